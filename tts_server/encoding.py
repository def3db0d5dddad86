"""Samples to a response's bytes: one encoder for each response, whole or streamed, at the rate that was asked for.

Everything here is synchronous and computes. Whoever calls it from an event loop does so in a thread, one call at a time
for each encoder; an encoder that says it is `light` may be called on the loop itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from tts_server.audio import AudioError, Pcm
from tts_server.codec import Codec, Flac, Mp3, Opus, Samples, StreamedWav, WholeWav
from tts_server.ffmpeg import FfmpegAac, why_no_ffmpeg

LOWEST_RATE_HZ: Final = 8_000
HIGHEST_RATE_HZ: Final = 48_000


class Encoder:
    """Makes one file. `open_encoder` opens it; end it with `finish` or `abort`. Its failures are AudioError."""

    light: bool
    """Whether its calls are cheap enough for an event loop."""
    sample_rate_hz: int
    """The rate of what it makes: the wish, or the next rate above it that the format knows."""

    def __init__(self, audio_format: str, codec: Codec, rates_hz: tuple[int, int], *, streamed: bool) -> None:
        source_rate_hz, self.sample_rate_hz = rates_hz
        self.light = isinstance(codec, Samples) and source_rate_hz == self.sample_rate_hz
        self._format = audio_format
        self._codec: Codec | None = codec
        self._resampler = None if source_rate_hz == self.sample_rate_hz else _Resampler(*rates_hz)
        self._kept: list[bytes] | None = None if streamed else []

    def encode(self, pcm: Pcm) -> bytes:
        """Add samples; return the bytes that are ready: often none, never any unless it streams."""
        with self._codec_at_work() as codec:
            data = self._write(codec, self._resampler.more(pcm) if self._resampler else pcm)
        if self._kept is None:
            return data
        if data:
            self._kept.append(data)
        return b""

    def finish(self) -> bytes:
        """Return the rest; if it does not stream, the whole file."""
        with self._codec_at_work() as codec:
            rest = self._write(codec, self._resampler.rest()) if self._resampler else b""
            rest += codec.close()
        self._codec = None
        kept, self._kept = self._kept or [], None
        return b"".join([*kept, rest])

    def abort(self) -> None:
        """Leave no process, file or memory behind. May be called at any time, more than once."""
        if self._codec is not None:
            self._codec.abort()
            self._codec = self._kept = None

    @contextmanager
    def _codec_at_work(self) -> Iterator[Codec]:
        if self._codec is None:
            raise AudioError(f"nothing more goes into this {self._format}: it has ended")
        try:
            yield self._codec
        except (soundfile.SoundFileError, RuntimeError, OSError) as error:  # RuntimeError is lameenc's
            raise AudioError(f"the audio could not be encoded as {self._format}: {error}") from error

    @staticmethod
    def _write(codec: Codec, pcm: Pcm) -> bytes:
        return codec.write(pcm) if len(pcm) else b""


class _Resampler:
    """The same sound at another rate, piece by piece: where the pieces are cut changes no sample."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        # HQ is exact to 20 bits, the output to 16: 4,700 x real time (VHQ 3,300, QQ, audibly worse, 6,400). In floats,
        # for soxr dithers what it makes 16 bits itself, and no answer would be like another.
        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")

    def more(self, pcm: Pcm) -> Pcm:
        return self._to_pcm(self._stream.resample_chunk(pcm.astype(np.float32)))

    def rest(self) -> Pcm:
        return self._to_pcm(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))

    @staticmethod
    def _to_pcm(samples: npt.NDArray[np.float32]) -> Pcm:
        # a filter overshoots: what was full scale may now be past it, and would come back with the other sign
        return np.rint(np.clip(samples, -32768, 32767)).astype(np.int16)


@dataclass(frozen=True, slots=True)
class _Format:
    content_type: str
    open: Callable[[int, bool], Codec]
    """Of the rate, and whether it streams."""
    rates_hz: tuple[int, ...] | None = None
    """The rates it knows, in order; None: any."""


_MPEG_RATES_HZ: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS_RATES_HZ: Final = (8_000, 12_000, 16_000, 24_000, 48_000)

_FORMATS: Final[dict[str, _Format]] = {
    "wav": _Format("audio/wav", lambda rate, streamed: StreamedWav(rate) if streamed else WholeWav(rate)),
    "pcm": _Format("audio/pcm", lambda rate, streamed: Samples()),
    "mp3": _Format("audio/mpeg", lambda rate, streamed: Mp3(rate), _MPEG_RATES_HZ),
    "opus": _Format("audio/opus", lambda rate, streamed: Opus(rate, streamed=streamed), _OPUS_RATES_HZ),
    "aac": _Format("audio/aac", lambda rate, streamed: FfmpegAac(rate, streamed=streamed), _MPEG_RATES_HZ),
    "flac": _Format("audio/flac", lambda rate, streamed: Flac(rate, streamed=streamed)),
}
FORMATS: Final = tuple(_FORMATS)
CONTENT_TYPES: Final[Mapping[str, str]] = MappingProxyType({name: it.content_type for name, it in _FORMATS.items()})


def available(audio_format: str) -> str | None:
    """Why this format cannot be had here and what to do about it; None: it can."""
    _look_up(audio_format)
    return why_no_ffmpeg() if audio_format == "aac" else None


def open_encoder(audio_format: str, source_rate_hz: int, sample_rate_hz: int, *, streamed: bool) -> Encoder:
    """An encoder for samples at `source_rate_hz`; streamed: bytes leave as early as the format allows.

    ValueError for a format that does not exist and a rate out of range. AudioError if it is not available. QueueFull if
    too many of its processes run.
    """
    known = _look_up(audio_format)
    for rate_hz in (source_rate_hz, sample_rate_hz):
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise ValueError(f"the sample rate must be {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, not {rate_hz}")
    rate_hz = next(rate for rate in known.rates_hz or (sample_rate_hz,) if rate >= sample_rate_hz)
    try:
        codec = known.open(rate_hz, streamed)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{audio_format} at {rate_hz} Hz is refused: {error}") from error
    return Encoder(audio_format, codec, (source_rate_hz, rate_hz), streamed=streamed)


def _look_up(audio_format: str) -> _Format:
    try:
        return _FORMATS[audio_format]
    except KeyError:
        raise ValueError(f"the format must be one of {', '.join(FORMATS)}, not {audio_format!r}") from None

"""What makes bytes of samples: wav and pcm by hand, mp3 by LAME, flac and opus by libsndfile."""
# ruff: noqa: D102  (`Codec` says what the methods do)

from __future__ import annotations

import contextlib
import struct
from typing import Final, Protocol

import lameenc
import numpy as np
import soundfile

from tts_server.audio import Pcm

_UNKNOWN_BYTES: Final = 0xFFFFFFFF  # the size in the header of a WAV that is still being made; OpenAI writes it too
_MP3_KBITS: Final = 64
_LAME_QUALITY: Final = 5  # 350 x real time on a core; 3 takes a quarter more for a difference of 0.4 dB
_OPUS_KBITS: Final = 56  # the least at which libopus takes speech for its fast half, CELT: 55 x real time against 23 x
_LOW_OPUS_KBITS: Final = 32  # below 16 kHz it is 95 x at any bit rate
_OPUS_PAGE_MS: Final = 100.0  # in a stream. The headers of ten pages a second cost 3 %; by itself a page is a second
_SET_OGG_PAGE_LATENCY: Final = 0x1303  # in libsndfile's sndfile.h; soundfile has no name for it


class Codec(Protocol):
    """What makes bytes of samples. Its file is what `write` and `close` return, one after another."""

    def write(self, pcm: Pcm) -> bytes:
        """Encode; return what is ready."""
        ...

    def close(self) -> bytes:
        """End; return the rest."""
        ...

    def abort(self) -> None:
        """End without a rest. Allowed after `close`."""
        ...


class Samples:
    """The samples themselves."""

    def write(self, pcm: Pcm) -> bytes:
        return pcm.astype("<i2", copy=False).tobytes()

    def close(self) -> bytes:
        return b""

    def abort(self) -> None:
        pass


class StreamedWav(Samples):
    """A header that knows no size, and the samples."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._header = wav_header(sample_rate_hz, None)

    def write(self, pcm: Pcm) -> bytes:
        header, self._header = self._header, b""
        return header + super().write(pcm) if header else super().write(pcm)

    def close(self) -> bytes:
        return self._header


class WholeWav(Samples):
    """The samples behind a header with their size."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._kept: list[Pcm] = []

    def write(self, pcm: Pcm) -> bytes:
        self._kept.append(np.ascontiguousarray(pcm, "<i2"))  # as it is, on all machines that we know
        return b""

    def close(self) -> bytes:
        """One copy of all, where they will lie."""
        size = sum(pcm.nbytes for pcm in self._kept)
        return b"".join([wav_header(self._sample_rate_hz, size), *(pcm.data for pcm in self._kept)])


def wav_header(sample_rate_hz: int, size_bytes: int | None) -> bytes:
    """What comes before so many bytes of samples; None if it is not known how many. Above 4 GiB it cannot be said."""
    if size_bytes is None or 36 + size_bytes > _UNKNOWN_BYTES:
        riff_bytes = data_bytes = _UNKNOWN_BYTES
    else:
        riff_bytes, data_bytes = 36 + size_bytes, size_bytes
    what = (16, 1, 1, sample_rate_hz, 2 * sample_rate_hz, 2, 16)  # 16 bytes of PCM, mono; bytes a second, a sample
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", riff_bytes, b"WAVE", b"fmt ", *what, b"data", data_bytes)


class Mp3:
    """LAME by lameenc: four times as fast as the one in soundfile's wheel, and without a tag to be filled in later."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._lame = lameenc.Encoder()
        self._lame.silence()  # prints its settings to stdout otherwise
        self._lame.set_channels(1)
        self._lame.set_in_sample_rate(sample_rate_hz)
        self._lame.set_out_sample_rate(sample_rate_hz)
        self._lame.set_bit_rate(_MP3_KBITS)  # constant: players seek in it, and know its length, without an index
        self._lame.set_quality(_LAME_QUALITY)
        self._lame.encode(b"")  # refuses wrong settings now, and may be flushed from here on

    def write(self, pcm: Pcm) -> bytes:
        return bytes(self._lame.encode(pcm.astype("<i2", copy=False).tobytes()))

    def close(self) -> bytes:
        return bytes(self._lame.flush())

    def abort(self) -> None:
        pass  # its memory goes with it


class _SoundFile:
    """FLAC and Opus by libsndfile."""

    def __init__(self, sample_rate_hz: int, *, streamed: bool, **settings: str | float) -> None:
        self._streamed = streamed
        self._sink = _Sink()
        self._file = soundfile.SoundFile(self._sink, "w", samplerate=sample_rate_hz, channels=1, **settings)

    def write(self, pcm: Pcm) -> bytes:
        self._file.write(pcm)
        return self._sink.take() if self._streamed else b""

    def close(self) -> bytes:
        self._file.close()
        return self._sink.take()

    def abort(self) -> None:
        self._file.close()


class Flac(_SoundFile):
    """FLAC: every sample, in a little more than half the bytes."""

    def __init__(self, sample_rate_hz: int, *, streamed: bool) -> None:
        super().__init__(sample_rate_hz, streamed=streamed, format="FLAC", subtype="PCM_16")


class Opus(_SoundFile):
    """Opus in Ogg. The dearest of all: complexity 10, which libsndfile does not let us choose."""

    def __init__(self, sample_rate_hz: int, *, streamed: bool) -> None:
        kbits = _OPUS_KBITS if sample_rate_hz >= 16_000 else _LOW_OPUS_KBITS
        level = 1 - (kbits - 6) / 250  # libsndfile's scale for 6 to 256 kbit/s
        super().__init__(sample_rate_hz, streamed=streamed, format="OGG", subtype="OPUS", compression_level=level)
        if streamed:  # these names are soundfile's own affair; should they go, the pages come by the second
            with contextlib.suppress(AttributeError):
                latency_ms = soundfile._ffi.new("double *", _OPUS_PAGE_MS)  # noqa: SLF001
                soundfile._snd.sf_command(self._file._file, _SET_OGG_PAGE_LATENCY, latency_ms, 8)  # noqa: SLF001


class _Sink:
    """The file that libsndfile writes. What was taken is on its way: the sizes it goes back for stay as they were."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._taken_bytes = 0
        self._position = 0

    def take(self) -> bytes:
        data = bytes(self._data)
        self._taken_bytes += len(data)
        self._data.clear()
        return data

    def write(self, data: bytes) -> int:
        start = self._position - self._taken_bytes
        if start >= 0:
            self._data[start : start + len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._taken_bytes + len(self._data))[whence]
        return self._position

    def tell(self) -> int:
        return self._position

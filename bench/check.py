"""Whether an answer is what was asked: speech of the text's length, with sound in it. Speed by silence is impossible.

An answer of 7 s in wav costs 0.05 ms to check, in flac 2, in mp3 4 and in opus up to 30 (a Zen 4 core). What it cost is
measured and told in every run, for a client shares its cores with the server.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import soundfile

CHECKED_FORMATS: Final = ("wav", "pcm", "flac", "opus", "mp3")
"""libsndfile knows no AAC."""
SYLLABLE_S: Final = (0.15, 0.6)
"""Of a voice at natural speed, pauses included. Ours takes 0.22 to 0.29 s over a whole text in either language."""
EDGE_S: Final = (0.3, 1.0)
"""May be missing, or be too much, beyond that: silence at both ends, and the frames of mp3."""
QUIET: Final = 0.005
"""Of full scale. Below it there is nothing to hear."""
LONGEST_QUIET_S: Final = 1.6
"""A pause between two paragraphs takes 0.5 s, and a mark before it lets a voice fall silent too."""

_WINDOW_S: Final = 0.1
_HANZI: Final = re.compile("[\u3400-\u9fff]")
_LETTER: Final = re.compile("[A-Za-z]")
_FIGURE: Final = re.compile("[0-9]")


class WrongAnswer(Exception):
    """An answer that is none; `kind` is one of a few words."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a syllable may sound, in seconds."""

    low_s: float = SYLLABLE_S[0]
    high_s: float = SYLLABLE_S[1]

    def __post_init__(self) -> None:
        """ValueError if nothing lies between them."""
        if not 0 < self.low_s < self.high_s:
            raise ValueError(f"a syllable of {self.low_s:g} to {self.high_s:g} s: give two numbers above 0 that rise")

    def seconds(self, text: str) -> tuple[float, float]:
        """The least and the most that a text may sound."""
        count = syllables(text)
        return max(0.0, count * self.low_s - EDGE_S[0]), count * self.high_s + EDGE_S[1]


def syllables(text: str) -> float:
    """About so many: a character is one; a figure, with the units that are said with it, one and a half; four letters
    make one.
    """
    return len(_HANZI.findall(text)) + 1.5 * len(_FIGURE.findall(text)) + 0.25 * len(_LETTER.findall(text))


def check(text: str, audio_format: str, data: bytes | bytearray, rate_hz: int, bounds: Bounds) -> float:
    """The seconds of audio in an answer. WrongAnswer if it is not that text's speech; `rate_hz` is of pcm alone."""
    low_s, high_s = bounds.seconds(text)
    samples, rate_hz = decode(audio_format, data, rate_hz, most_s=high_s)
    seconds = len(samples) / rate_hz
    if seconds < low_s:
        raise WrongAnswer("too short")
    if seconds > high_s:
        raise WrongAnswer("too long")
    if longest_quiet_s(samples, rate_hz) > LONGEST_QUIET_S:
        raise WrongAnswer("silent")
    return seconds


def decode(
    audio_format: str, data: bytes | bytearray, rate_hz: int, *, most_s: float
) -> tuple[npt.NDArray[np.int16], int]:
    """The samples, up to a little more than `most_s` of them, and their rate. WrongAnswer if they cannot be had."""
    if audio_format == "pcm":
        if len(data) % 2:
            raise WrongAnswer("does not decode")
        return np.frombuffer(data, "<i2"), rate_hz
    if audio_format == "wav" and (found := _plain_wav(data)) is not None:
        return found
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if (file.format, file.channels) != (_CONTAINERS[audio_format], 1):
                raise WrongAnswer("another format")
            file._info.seekable = 0  # noqa: SLF001  (a streamed FLAC does not know its length, and it would be sought)
            heard = np.empty(round((most_s + 1) * file.samplerate), np.int16)
            return heard[: file.buffer_read_into(heard, "int16")], file.samplerate
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise WrongAnswer("does not decode") from error


_CONTAINERS: Final = {"wav": "WAV", "flac": "FLAC", "opus": "OGG", "mp3": "MP3"}


def _plain_wav(data: bytes | bytearray) -> tuple[npt.NDArray[np.int16], int] | None:
    """Its samples where they lie, and their rate, if it is as ours and most programs write it; None: libsndfile must
    see what it is, which copies it piece by piece through Python.
    """
    if len(data) < _WAV_HEAD.size:
        return None
    riff, _, wave, chunk, size, coding, channels, rate_hz, per_s, frame, bits, tag, length = _WAV_HEAD.unpack_from(data)
    if (riff, wave, chunk, size, tag) != (b"RIFF", b"WAVE", b"fmt ", 16, b"data"):
        return None
    if (coding, channels, bits, frame, per_s) != (1, 1, 16, 2, 2 * rate_hz) or not rate_hz:
        return None
    there = len(data) - _WAV_HEAD.size
    if length > there:  # a stream, whose length was not known when it began
        length = there - there % 2
    return None if length % 2 else (np.frombuffer(data, "<i2", length // 2, _WAV_HEAD.size), rate_hz)


_WAV_HEAD: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")


def longest_quiet_s(samples: npt.NDArray[np.int16], rate_hz: int) -> float:
    """The longest stretch without a sound, in windows of a tenth of a second; all of it, if it is shorter than one."""
    size = max(1, round(_WINDOW_S * rate_hz))
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    if not len(windows):
        return float("inf")
    # Both ends of it, for the absolute value of -32768 is no int16: and nothing is copied.
    sounding = np.flatnonzero((windows.max(axis=1) > _QUIET_LEVEL) | (windows.min(axis=1) < -_QUIET_LEVEL))
    edges = np.concatenate(([-1], sounding, [len(windows)]))
    return float(np.diff(edges).max() - 1) * _WINDOW_S


_QUIET_LEVEL: Final = round(QUIET * 32768)

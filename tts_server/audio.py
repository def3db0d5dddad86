"""Samples to files: clamp, encode, and leave either the whole file or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soundfile

Floats = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]

_ENCODINGS: Final[dict[str, dict[str, Any]]] = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    # Constant bit rate: players seek in it without an index. Level 0.6 is 64 kbit/s for mono at 24 kHz.
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.6},
}
FORMATS: Final = tuple(_ENCODINGS)


class AudioError(Exception):
    """The encoder refused, or the disk is full."""


def to_pcm(audio: Floats) -> Pcm:
    """Float samples to 16 bits. Clamped first: a sample past full scale would come back with the other sign."""
    return np.rint(np.clip(audio, -1.0, 1.0) * 32767).astype(np.int16)


def with_silence(audio: Floats, seconds: float, sample_rate_hz: int) -> Floats:
    """`audio` with that much of nothing after it."""
    return np.concatenate([audio, np.zeros(round(seconds * sample_rate_hz), np.float32)])


@contextmanager
def open_audio(path: Path, audio_format: str, sample_rate_hz: int) -> Iterator[Callable[[Floats], None]]:
    """Yield a function that appends samples to a new mono file, which appears under `path` only when all is well."""
    with _whole_file(path) as unfinished:
        encoding = _ENCODINGS[audio_format]
        try:
            with soundfile.SoundFile(unfinished, "w", samplerate=sample_rate_hz, channels=1, **encoding) as file:
                yield lambda audio: file.write(to_pcm(audio))
        except soundfile.SoundFileError as error:
            raise AudioError(f"{path} could not be encoded as {audio_format}: {error}") from error


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    if path.exists() and not path.is_file():  # a pipe or a device is written into, never replaced
        with tempfile.TemporaryDirectory() as folder:
            unfinished = Path(folder, "audio")
            yield unfinished
            with unfinished.open("rb") as source, path.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        return
    target = path.resolve()  # replace what a link points to, not the link
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.part")  # the same folder: renaming stays atomic
    try:
        unfinished.open("wb").close()  # refuses here, by its reason, what the encoder would refuse without one
        yield unfinished
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)

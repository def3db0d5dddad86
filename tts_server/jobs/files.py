"""The audio of jobs on the disk: samples that grow, and at the end the file of the format that was asked for.

    <id>.pcm    16-bit samples at the rate asked for, piece after piece; the result itself if that is wav or pcm
    <id>.mp3    the result in another format, made when all is spoken; `.part` while it is being made

A wav's header is not in the file: `wav_header` makes it. Everything here may wait for the disk: call it in a thread.
What a function returned for is on the disk, and survives the machine.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

import numpy as np
import soundfile

from tts_server.audio import AudioError, Pcm
from tts_server.codec import wav_header
from tts_server.encoding import FORMATS, open_encoder
from tts_server.jobs.record import Job

SAMPLE_BYTES: Final = 2
WAV_HEADER_BYTES: Final = 44
_SAMPLES_ALIKE: Final = frozenset({"wav", "pcm"})
_ENCODED_AT_ONCE: Final = 1 << 17
"""Samples, a few seconds: between them an encoder looks whether it is still wanted."""
_SUFFIXES: Final = frozenset({".pcm", ".part", *(f".{name}" for name in FORMATS)})


class LostAudio(Exception):
    """Samples that were on the disk are not there any more: somebody else took them away."""


class Stopped(Exception):
    """An encoder was told to stop."""


class Growing:
    """A job's samples, open for more. What is behind those that it knows of is of an unfinished piece, and goes."""

    def __init__(self, folder: Path, job: Job) -> None:
        self._path = folder / f"{job.id}.pcm"
        self._size = job.samples * SAMPLE_BYTES
        self._opened = ExitStack()

    def open(self) -> None:
        """Before the rest. LostAudio if there is less than the job knows of."""
        known = self._path.exists()
        self._file = self._opened.enter_context(self._path.open("r+b" if known else "xb", buffering=0))
        if os.fstat(self._file.fileno()).st_size < self._size:
            raise LostAudio
        self._file.truncate(self._size)
        self._file.seek(self._size)
        if not known:
            sync_folder(self._path.parent)

    def append(self, pieces: Sequence[Pcm]) -> int:
        """Add samples; how many they were. OSError if the disk is full: what was written of them goes."""
        start = self._file.tell()
        try:
            for pcm in pieces:
                left = memoryview(pcm.astype("<i2", copy=False).tobytes())
                while left:
                    left = left[self._file.write(left) or 0 :]
            os.fdatasync(self._file.fileno())
        except OSError:
            self._file.truncate(start)
            self._file.seek(start)
            raise
        return (self._file.tell() - start) // SAMPLE_BYTES

    def close(self) -> None:
        """No more is added now. Allowed whatever `open` did."""
        self._opened.close()


def resampled(pieces: Sequence[Pcm], from_hz: int, to_hz: int) -> list[Pcm]:
    """The same sound at another rate."""
    if from_hz == to_hz:
        return list(pieces)
    encoder = open_encoder("pcm", from_hz, to_hz, streamed=True)
    data = [*(encoder.encode(pcm) for pcm in pieces), encoder.finish()]
    return [np.frombuffer(b"".join(data), "<i2").astype(np.int16, copy=False)]


def complete(folder: Path, job: Job, stop: threading.Event) -> int:
    """Make the result of samples that are all there; its size. Stopped if `stop` was set before the end."""
    samples = folder / f"{job.id}.pcm"
    if job.manner.audio_format in _SAMPLES_ALIKE:
        size = samples.stat().st_size
        return size + WAV_HEADER_BYTES if job.manner.audio_format == "wav" else size
    part = samples.with_suffix(".part")
    try:
        with samples.open("rb") as source:
            encode = _encode_flac if job.manner.audio_format == "flac" else _encode
            encode(_blocks(source, stop), part, job)
        size = _sync(part)
        part.replace(samples.with_suffix(f".{job.manner.audio_format}"))
    finally:
        part.unlink(missing_ok=True)
    sync_folder(folder)
    return size


def settle(folder: Path, job: Job) -> None:
    """Drop the samples of a job whose result is another file."""
    if job.manner.audio_format not in _SAMPLES_ALIKE:
        (folder / f"{job.id}.pcm").unlink(missing_ok=True)


def remove(folder: Path, job_id: str) -> None:
    """Drop whatever there is of a job."""
    for suffix in _SUFFIXES:
        (folder / f"{job_id}{suffix}").unlink(missing_ok=True)


def job_ids(folder: Path) -> set[str]:
    """Jobs of which there are files."""
    return {path.stem for path in folder.iterdir() if path.suffix in _SUFFIXES}


def free_bytes(folder: Path) -> int:
    """What programs without privileges may still write."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def grows_readable(job: Job) -> bool:
    """Whether its audio can be had while it is being made."""
    return job.manner.audio_format in _SAMPLES_ALIKE


def audio_bytes(job: Job) -> int:
    """Of its audio, as it is sent: how many are there now."""
    if job.result_bytes is not None:
        return job.result_bytes
    if not job.samples or not grows_readable(job):
        return 0
    return job.samples * SAMPLE_BYTES + (WAV_HEADER_BYTES if job.manner.audio_format == "wav" else 0)


class Reading:
    """A job's audio, open to be read as it is sent. OSError if there is none."""

    def __init__(self, folder: Path, job: Job) -> None:
        suffix = "pcm" if grows_readable(job) else job.manner.audio_format
        size = job.samples * SAMPLE_BYTES if job.result_bytes is not None else None
        self._head = wav_header(job.manner.sample_rate_hz, size) if job.manner.audio_format == "wav" else b""
        self._descriptor = os.open(folder / f"{job.id}.{suffix}", os.O_RDONLY)  # stays readable if the job expires

    def read(self, start: int, count: int) -> bytes:
        """Bytes from there; fewer where the header ends."""
        if start < len(self._head):
            return self._head[start : start + count]
        return os.pread(self._descriptor, count, start - len(self._head))

    def close(self) -> None:
        """Nothing more is read."""
        os.close(self._descriptor)


def sync_folder(folder: Path) -> None:
    """Make names in it survive."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _blocks(source: IO[bytes], stop: threading.Event) -> Iterator[Pcm]:
    while block := source.read(_ENCODED_AT_ONCE * SAMPLE_BYTES):
        if stop.is_set():
            raise Stopped
        yield np.frombuffer(block, "<i2").astype(np.int16, copy=False)


def _encode(blocks: Iterator[Pcm], path: Path, job: Job) -> None:
    """As a stream, which needs no memory for the whole."""
    rate_hz = job.manner.sample_rate_hz
    encoder = open_encoder(job.manner.audio_format, rate_hz, rate_hz, streamed=True)
    try:
        with path.open("wb") as sink:
            for block in blocks:
                sink.write(encoder.encode(block))
            sink.write(encoder.finish())
    finally:
        encoder.abort()


def _encode_flac(blocks: Iterator[Pcm], path: Path, job: Job) -> None:
    """Into the file, whose beginning tells its length when all is in it."""
    with (
        _as_audio_error(),
        soundfile.SoundFile(path, "w", job.manner.sample_rate_hz, 1, "PCM_16", format="FLAC") as sink,
    ):
        for block in blocks:
            sink.write(block)


@contextmanager
def _as_audio_error() -> Iterator[None]:
    try:
        yield
    except soundfile.SoundFileError as error:  # of a full disk it only knows that it is unwilling
        raise AudioError(f"the audio could not be encoded as flac: {error}") from error


def _sync(path: Path) -> int:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size

"""The audio of jobs on the disk: samples that grow, and at the end the file of the format that was asked for.

    <id>.pcm    16-bit samples at the rate asked for, piece after piece; the result itself if that is wav or pcm
    <id>.mp3    the result in another format, made when all is spoken; `.part` while it is being made
    <id>.txt    the text, where servers share jobs (elsewhere the store has it)

Where servers share jobs, a job's claim is in the names of its audio (`<id>.3.pcm`): a server that was silent for so
long that another has taken the job over may wake up and write, and must not do so into the other's file.

A wav's header is not in the file: `wav_header` makes it. Everything here may wait for the disk: call it in a thread.
What a function returned for is on the disk, and survives the machine.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
import soundfile

from tts_server.audio import AudioError, Pcm
from tts_server.codec import wav_header
from tts_server.encoding import FORMATS, open_encoder
from tts_server.jobs.record import Job, JobState

SAMPLE_BYTES: Final = 2
WAV_HEADER_BYTES: Final = 44
_SAMPLES_ALIKE: Final = frozenset({"wav", "pcm"})
_ENCODED_AT_ONCE: Final = 1 << 17
"""Samples, a few seconds: between them an encoder looks whether it is still wanted."""
_NAME: Final = re.compile(rf"([0-9a-f]{{32}})(?:\.(\d{{1,9}}))?\.(txt|pcm|part|{'|'.join(FORMATS)})", re.ASCII)
_COPIED_AT_ONCE: Final = 1 << 24


_FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(error: OSError) -> bool:
    """Whether it says that the disk has no room."""
    return error.errno in _FULL_DISK


class LostAudio(Exception):
    """Samples that were on the disk are not there any more: somebody else took them away."""


class Stopped(Exception):
    """An encoder was told to stop."""


class NoRoom(OSError):
    """What is to be written would take room that is others'."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "the rest of the disk is not for jobs")


@dataclass(frozen=True, slots=True)
class Name:
    """What a file is, by its name."""

    name: str
    job_id: str
    claim: int
    kind: str
    """txt, pcm, part, or the format of a result."""

    def is_of_use(self, job: Job) -> bool:
        """To its job, as it is now."""
        if job.state is JobState.DONE:
            return (self.kind, self.claim) == (_result_kind(job), job.file)
        if job.state.ended:
            return False
        return self.kind == "txt" or self.claim == job.claim or (self.kind, self.claim) == ("pcm", job.file)


class Growing:
    """A job's samples, open for more. What is behind those that it knows of is of an unfinished piece, and goes."""

    def __init__(self, folder: Path, job: Job) -> None:
        self._path = _path(folder, job.id, job.claim, "pcm")
        self._before = _path(folder, job.id, job.file, "pcm")
        self._size = job.samples * SAMPLE_BYTES
        self._opened = ExitStack()

    def open(self) -> None:
        """Before the rest. LostAudio if there is less than the job knows of."""
        known = self._path.exists()
        self._file = self._opened.enter_context(self._path.open("r+b" if known else "xb", buffering=0))
        if self._before != self._path and self._size:  # its last writer's file is left to that writer
            self._copy()
        elif os.fstat(self._file.fileno()).st_size < self._size:
            raise LostAudio
        self._file.truncate(self._size)
        self._file.seek(self._size)
        if not known:
            sync_folder(self._path.parent)

    def _copy(self) -> None:
        try:
            with self._before.open("rb") as source:
                at = 0
                while count := os.sendfile(
                    self._file.fileno(), source.fileno(), at, min(_COPIED_AT_ONCE, self._size - at)
                ):
                    at += count
        except FileNotFoundError:
            raise LostAudio from None
        if at < self._size:
            raise LostAudio
        os.fdatasync(self._file.fileno())

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


def complete(folder: Path, job: Job, stop: threading.Event, reserve_bytes: int) -> int:
    """Make the result of samples that are all there; its size. Stopped if `stop` was set before the end.

    NoRoom if less than `reserve_bytes` would be left of the disk.
    """
    samples = _path(folder, job.id, job.claim, "pcm")
    if job.manner.audio_format in _SAMPLES_ALIKE:
        size = samples.stat().st_size
        return size + WAV_HEADER_BYTES if job.manner.audio_format == "wav" else size
    part = samples.with_suffix(".part")
    try:
        with samples.open("rb") as source:
            encode = _encode_flac if job.manner.audio_format == "flac" else _encode
            encode(_blocks(source, stop, reserve_bytes), part, job)
        size = _sync(part)
        part.replace(samples.with_suffix(f".{job.manner.audio_format}"))
    finally:
        part.unlink(missing_ok=True)
    sync_folder(folder)
    return size


def keep_text(folder: Path, job_id: str, text: str) -> None:
    """Write a job's text. Nobody knows of the job before this has returned."""
    path = folder / f"{job_id}.txt"
    try:
        with path.open("xb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    sync_folder(folder)


def read_text(folder: Path, job_id: str) -> str:
    """A job's text. OSError if it is not there."""
    return (folder / f"{job_id}.txt").read_bytes().decode()


def remove(folder: Path, job_id: str) -> None:
    """Drop whatever there is of a job."""
    remove_files(folder, [name for name in names(folder) if name.job_id == job_id])


def remove_text(folder: Path, job_id: str) -> None:
    """Drop a job's text."""
    (folder / f"{job_id}.txt").unlink(missing_ok=True)


def remove_claim(folder: Path, job_id: str, claim: int, now: Job | None) -> None:
    """Drop what was written under this claim and is of no use to the job, as it is now: None if it is gone."""
    for kind in ("pcm", "part", *FORMATS):
        path = _path(folder, job_id, claim, kind)
        if now is None or not Name(path.name, job_id, claim, kind).is_of_use(now):
            path.unlink(missing_ok=True)


def remove_files(folder: Path, there: Iterable[Name]) -> None:
    """Drop these."""
    for name in there:
        (folder / name.name).unlink(missing_ok=True)


def names(folder: Path) -> list[Name]:
    """All files of jobs."""
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return [Name(name[0], name[1], int(name[2] or 0), name[3]) for name in found if name]


def old(folder: Path, there: Iterable[Name], before_s: float) -> list[Name]:
    """Those that were last written before that time."""
    found = []
    for name in there:
        with suppress(FileNotFoundError):
            if (folder / name.name).stat().st_mtime < before_s:
                found.append(name)
    return found


def job_ids(folder: Path) -> set[str]:
    """Jobs of which there are files."""
    return {name.job_id for name in names(folder)}


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
        size = job.samples * SAMPLE_BYTES if job.result_bytes is not None else None
        self.file = job.file
        self._folder = folder
        self._head = wav_header(job.manner.sample_rate_hz, size) if job.manner.audio_format == "wav" else b""
        self._path = _path(folder, job.id, job.file, _result_kind(job))
        self._descriptor = os.open(self._path, os.O_RDONLY)  # stays readable if the job expires

    def read(self, start: int, count: int) -> bytes:
        """Bytes from there; fewer where the header ends."""
        if start < len(self._head):
            return self._head[start : start + count]
        start -= len(self._head)
        if data := os.pread(self._descriptor, count, start):
            return data
        self._reopen()  # a network file system may show the length of some seconds ago, until that is done
        return os.pread(self._descriptor, count, start)

    def follow(self, job: Job) -> None:
        """Its audio is in another file now."""
        self.file = job.file
        self._path = _path(self._folder, job.id, job.file, _result_kind(job))
        self._reopen()

    def _reopen(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY)
        os.close(self._descriptor)
        self._descriptor = descriptor

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


def _path(folder: Path, job_id: str, claim: int, kind: str) -> Path:
    return folder / (f"{job_id}.{claim}.{kind}" if claim else f"{job_id}.{kind}")


def _result_kind(job: Job) -> str:
    return "pcm" if grows_readable(job) else job.manner.audio_format


def _blocks(source: IO[bytes], stop: threading.Event, reserve_bytes: int) -> Iterator[Pcm]:
    while block := source.read(_ENCODED_AT_ONCE * SAMPLE_BYTES):
        if stop.is_set():
            raise Stopped
        if free_bytes(Path(source.name).parent) - len(block) < reserve_bytes:
            raise NoRoom
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

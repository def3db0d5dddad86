"""What is known of one long job: what was asked, how far it has come, how it ended."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Final

import orjson

from tts_server.jobs.pieces import Pause


class JobState(StrEnum):
    """Where a job is. It moves by `store.Store` alone: queued and running to and fro, and once to one of the ends."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self in ENDS


ENDS: Final = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Manner:
    """How a text is to be spoken and delivered; all of it checked."""

    voice: str
    engine: str
    speed: float
    volume: float
    pitch_semitones: float
    audio_format: str
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Order:
    """A job that somebody wants."""

    owner: str
    """`Caller.owner`."""
    text: str
    manner: Manner
    callback_url: str | None = None
    idempotency_key: str | None = None

    def fingerprint(self) -> bytes:
        """Of all that makes a job what it is."""
        content = orjson.dumps([self.text, astuple(self.manner), self.callback_url])
        return hashlib.sha256(content).digest()


@dataclass(frozen=True, slots=True)
class Callback:
    """What has become of telling the caller."""

    url: str
    state: str
    """waiting (for the job's end, or for the next attempt), delivered, failed."""
    attempts: int


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the store knows it. What it says is done is on the disk. Times are seconds of the wall clock."""

    seq: int
    """The order in which jobs were accepted."""
    id: str
    owner: str
    state: JobState
    manner: Manner
    characters: int
    spoken_characters: int
    samples: int
    """Of audio there is, at the rate that was asked for."""
    pause: Pause
    """To be heard before the next piece."""
    created_s: float
    ended_s: float | None
    result_bytes: int | None
    error: dict[str, str | None] | None
    """In the API's shape."""
    callback: Callback | None
    claim: int = 0
    """How often it was taken up, where servers share jobs: whoever has the last claim may write of it. Else 0."""
    file: int = 0
    """The claim whose file holds the samples."""

    @property
    def progress(self) -> float:
        """0 to 1."""
        return 1.0 if self.state is JobState.DONE else self.spoken_characters / self.characters

    @property
    def audio_s(self) -> float:
        """Of audio there is."""
        return self.samples / self.manner.sample_rate_hz


@dataclass(frozen=True, slots=True)
class View:
    """A job, and how many wait before it."""

    job: Job
    position: int | None = None

    def content(self) -> dict[str, object]:
        """As callers are told of it."""
        job = self.job
        told: dict[str, object] = {"job_id": job.id, "status": job.state}
        if self.position is not None:
            told["position"] = self.position
        told |= {
            "progress": round(job.progress, 4),
            "characters": job.characters,
            "spoken_characters": job.spoken_characters,
            "audio_seconds": round(job.audio_s, 3),
            "voice": job.manner.voice,
            "engine": job.manner.engine,
            "format": job.manner.audio_format,
            "sample_rate": job.manner.sample_rate_hz,
            "created": round(job.created_s, 3),
            "ended": job.ended_s and round(job.ended_s, 3),
            "bytes": job.result_bytes,
            "error": job.error,
        }
        if job.callback is not None:
            told["callback"] = {"state": job.callback.state, "attempts": job.callback.attempts}
        return told


def former_owner(owner: str) -> str:
    """As whom a caller's jobs were kept before keys of one name were told apart."""
    return owner.partition("#")[0]

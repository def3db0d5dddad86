"""One line, or a text with its first line, on its way through an engine: the server's side of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final, Protocol

from inference.protocol import Script
from tts_server.batcher import rank_s
from tts_server.errors import TTSError
from tts_server.speech import Pcm


class JobState(enum.Enum):
    """Where a job is."""

    QUEUED = enum.auto()
    DISPATCHED = enum.auto()
    DONE = enum.auto()
    CANCELLED = enum.auto()
    FAILED = enum.auto()


_ENDS: Final = frozenset({JobState.CANCELLED, JobState.FAILED})
_MOVES: Final = {
    JobState.QUEUED: {JobState.DISPATCHED, *_ENDS},
    JobState.DISPATCHED: {JobState.QUEUED, JobState.DONE, *_ENDS},  # back to the queue when its worker dies
    JobState.DONE: set[JobState](),
    JobState.CANCELLED: set[JobState](),
    JobState.FAILED: set[JobState](),
}


class Listener(Protocol):
    """Who a job's audio is for."""

    def script(self, script: Script) -> None:
        """The text was read; never called twice for one job."""
        ...

    def audio(self, job: Job, pcm: Pcm, *, infer_s: float, timing: bytes = b"") -> None:
        """The next samples, made in so many seconds. With the last of them the job's state is DONE.

        `timing` comes with a line's first, if the engine knows it: see `inference.protocol.timing`.
        """
        ...

    def failed(self, job: Job, error: TTSError) -> None:
        """There will be no more."""
        ...


@dataclass(slots=True, eq=False)
class Job:
    """What is to be spoken, who wants it, and how far it has come."""

    id: int
    listener: Listener
    speaker: str
    speed: float
    pitch_semitones: float
    gain_db: float
    urgent: bool
    due_s: float
    """When its audio is needed, by the loop's clock."""
    priority: int
    audio_s: float
    """How long the audio of its line will be, about."""
    text: str = ""
    phones: bytes = b""
    marked: bool = False
    """Whether its text's words are asked for."""
    state: JobState = field(default=JobState.QUEUED)
    samples: int = 0
    """How many have come."""
    was_read: bool = False

    @property
    def content(self) -> int:
        """The same for jobs that say the same: what one worker died of, another will."""
        return hash((self.text, self.phones))

    @property
    def rank_s(self) -> float:
        """What is spoken first has the smallest."""
        return rank_s(self.due_s, self.priority)

    @property
    def live(self) -> bool:
        """Whether it is still to be spoken."""
        return bool(_MOVES[self.state])

    def move(self, state: JobState) -> None:
        """Go on to another state; RuntimeError if that is no legal move."""
        if state not in _MOVES[self.state]:
            raise RuntimeError(f"job {self.id} cannot go from {self.state.name} to {state.name}: this is a bug")
        self.state = state

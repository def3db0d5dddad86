"""The one thing that a worker knows of an engine, whatever its family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from inference.protocol import Code
from inference.utterance import Utterance

HASTE_S: Final = 1.0
"""A beginning that is waited for passes what is due up to so long before it. Not more: a flood of beginnings would let
nobody else have a turn."""


def turn_s(due_s: float, *, hasty: bool) -> float:
    """What is to be read, planned or spoken first has the smallest; `hasty`: it is a beginning that is waited for."""
    return due_s - HASTE_S if hasty else due_s


@dataclass(frozen=True, slots=True)
class Task:
    """One line to speak."""

    job_id: int
    utterance: Utterance
    urgent: bool
    """Let the beginning go as soon as it exists."""
    skip_samples: int = 0
    """Samples at the beginning that are not wanted."""
    due_s: float = 0.0
    """What is due first is spoken first."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Audio of a task: what follows the pieces before it."""

    job_id: int
    audio: npt.NDArray[np.float32]  # (S,) within ±1
    last: bool
    infer_s: float
    ends: npt.NDArray[np.int32] | None = None  # (N,)
    """After which sample of the line each of its phones ends: in its first piece, of engines that know."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A task that cannot be spoken. The others go on."""

    job_id: int
    code: Code
    message: str


class Engine(Protocol):
    """Speaks several tasks, a step at a time. `step` is where the time goes; all else returns at once.

    A parallel voice makes a line in one step, or the beginning of it; a language model makes a token for each of its
    tasks, and audio once enough tokens are there. The worker looks at its ring between two steps.
    """

    @property
    def capacity(self) -> int:
        """Tasks it can hold: for a language model, slots of its key-value cache."""
        ...

    @property
    def repeatable(self) -> bool:
        """Whether a task gives the same samples each time."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Of all its audio."""
        ...

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who can be asked for."""
        ...

    @property
    def has_work(self) -> bool:
        """Whether `step` would do something."""
        ...

    def running(self) -> tuple[int, ...]:
        """The jobs that the next step works on: who is to blame if it never returns."""
        ...

    def add(self, task: Task) -> None:
        """Take a task. ValueError, with what to tell the caller, if it can never be spoken."""
        ...

    def cancel(self, job_id: int) -> None:
        """Forget a task; nothing, if it is not held."""
        ...

    def step(self) -> list[Piece | Broken]:
        """Do the next piece of work, and give what came of it."""
        ...

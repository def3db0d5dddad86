"""Which jobs go to a worker next, and when. Pure: it is told the time, and holds nothing but what waits.

Order: a job is due when its audio is needed. The beginning of an answer is needed as soon as it is asked for, or up to
a second later by a caller whose deadline is far; a later line of a stream when those before it have been heard; and a
caller of lower priority is served as if he had come later. So beginnings outrank what is heard later, and yet nothing
waits for ever: time makes every job the most due.

Batches: a worker without work gets jobs at once. One that still works gets its next batch ahead, so that it need not
stop in between, once the batch is closed: as many jobs as a batch may have, or as much audio, or the oldest has waited
long enough. What is given to a worker is committed, so a batch is no longer than what keeps it busy for a moment.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

PRIORITY_STEP_S: Final = 2.0
"""How much later a caller seems to have come, for each step down in priority: VIPs pass those who came up to two
seconds before them, and not those who have waited longer. So nobody's wait is without bound.
"""


def rank_s(due_s: float, priority: int) -> float:
    """By which jobs are ordered: when it is due, and later for a lower priority."""
    return due_s + priority * PRIORITY_STEP_S


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is closed."""

    jobs: int = 8
    audio_s: float = 24.0
    wait_s: float = 0.05


@dataclass(slots=True)
class _Waiting(Generic[T]):
    job: T
    audio_s: float
    arrived_s: float
    dropped: bool = False


class Batcher(Generic[T]):
    """The jobs that wait for one engine's workers."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._heap: list[tuple[float, int, _Waiting[T]]] = []
        self._order = itertools.count()
        self._arrivals: dict[int, _Waiting[T]] = {}  # by id(): in order of arrival, for the oldest
        self._audio_s = 0.0

    def __len__(self) -> int:
        """Jobs that wait."""
        return len(self._arrivals)

    @property
    def audio_s(self) -> float:
        """Audio that waits to be made, as estimated."""
        return self._audio_s

    def add(self, job: T, *, due_s: float, priority: int, audio_s: float, now_s: float) -> None:
        """Queue a job whose audio is needed at `due_s` and lasts about `audio_s`."""
        waiting = _Waiting(job, audio_s, now_s)
        heapq.heappush(self._heap, (rank_s(due_s, priority), next(self._order), waiting))
        self._arrivals[id(job)] = waiting
        self._audio_s += audio_s

    def remove(self, job: T) -> bool:
        """Drop a job that nobody wants any more; whether it was here."""
        waiting = self._arrivals.get(id(job))
        if waiting is None:
            return False
        waiting.dropped = True  # it leaves the heap when it comes to the top
        self._leave(waiting)
        if len(self._heap) > 2 * len(self._arrivals) + 64:  # or when the dropped are most of it
            self._heap = [entry for entry in self._heap if not entry[2].dropped]
            heapq.heapify(self._heap)
        return True

    def first(self) -> T | None:
        """The most due job; None if there is none."""
        while self._heap and self._heap[0][2].dropped:
            heapq.heappop(self._heap)
        return self._heap[0][2].job if self._heap else None

    def closed(self, now_s: float) -> bool:
        """Whether the next batch is worth giving to a worker that still works."""
        if not self._arrivals:
            return False
        limits = self._limits
        closes_at_s = self.closes_at_s()
        return (
            len(self._arrivals) >= limits.jobs
            or self._audio_s >= limits.audio_s
            or (closes_at_s is not None and now_s >= closes_at_s)  # the same sum as whoever set a timer for it
        )

    def closes_at_s(self) -> float | None:
        """When the oldest job will have waited long enough; None if there is none."""
        oldest = next(iter(self._arrivals.values()), None)
        return None if oldest is None else oldest.arrived_s + self._limits.wait_s

    def take(self, *, shares: int = 1, room: int) -> list[T]:
        """The next batch, most due first: at most `room` jobs, and a fair part if several workers are without work."""
        most = min(self._limits.jobs, room, -(-len(self._arrivals) // shares))
        batch: list[T] = []
        audio_s = 0.0
        while self._heap and len(batch) < most:
            waiting = self._heap[0][2]
            if not waiting.dropped:
                if batch and audio_s + waiting.audio_s > self._limits.audio_s:
                    break
                self._leave(waiting)
                audio_s += waiting.audio_s
                batch.append(waiting.job)
            heapq.heappop(self._heap)
        return batch

    def clear(self) -> list[T]:
        """Everything that waits, in no order; nothing does afterwards."""
        jobs = [waiting.job for waiting in self._arrivals.values()]
        self._heap.clear()
        self._arrivals.clear()
        self._audio_s = 0.0
        return jobs

    def _leave(self, waiting: _Waiting[T]) -> None:
        del self._arrivals[id(waiting.job)]
        self._audio_s = self._audio_s - waiting.audio_s if self._arrivals else 0.0  # sums of floats drift

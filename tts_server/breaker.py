"""Whether an engine is to be asked at all: a circuit breaker. Pure: it is told the time, and how requests went.

    CLOSED ─ too many of the last went badly, or nobody is there ─► OPEN ─ after a while, one request ─► HALF_OPEN
       ▲                                                             ▲                                      │
       └──────────────── the probe went well ────────────────────────┼──────────────────────────────────────┤
                                                                     └── it did not: twice as long ─────────┘

It is our own, for want of one that fits: pybreaker 1.4, circuitbreaker 2.1 and purgatory 3.0 count failures in a row,
so that an engine which fails on every second request never opens them; aiomisc 18 knows a rate, but tries again by
ever more requests instead of one; all of them count exceptions alone, where a late answer is none, and none can be told
the time.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["ok", "failed", "late", "saturated"]
"""How a request went: in time; an error; first audio too late; refused for want of room."""
LONGEST_OPEN_S: Final = 60.0
"""A minute: an engine that has come back should not wait for hours to be noticed."""

ABSENT_S: Final = 1.0
"""Workers that died are back sooner: a request waits for its own engine rather than be spoken by another."""

_SLICES: Final = 10
"""Of the window: a tenth of it is forgotten at once, and what is kept has a bound, however many requests there are."""


class BreakerState(enum.IntEnum):
    """Where a breaker is, as the metric has it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a breaker opens, and for how long."""

    window_s: float = 10.0
    min_requests: int = 10
    ratio: float = 0.5
    open_s: float = 5.0


@dataclass(slots=True)
class _Slice:
    number: int
    requests: int = 0
    bad: int = 0


class Breaker:
    """Of one engine. `changed` is told of each new state, and why."""

    def __init__(
        self, bounds: Bounds, changed: Callable[[BreakerState, str], None] = lambda _state, _why: None
    ) -> None:
        self.state = BreakerState.CLOSED
        self._bounds = bounds
        self._changed = changed
        self._slices: deque[_Slice] = deque(maxlen=_SLICES)
        self._era = 0  # of one state: what began in another says nothing about this one
        self._probing = False
        self._open_s = bounds.open_s
        self._opened_s = -math.inf
        self._absent_s: float | None = None  # since when nobody was there

    def admit(self, now_s: float) -> int | None:
        """Let a request through: a ticket for `settle`. None if it should go elsewhere."""
        if self.state is BreakerState.OPEN and now_s >= self._opened_s + self._open_s:
            self._move(BreakerState.HALF_OPEN, "one request tries it")
        if self.state is BreakerState.OPEN or self._probing:
            return None
        self._probing = self.state is BreakerState.HALF_OPEN
        return self._era

    def settle(self, ticket: int | None, verdict: Verdict | None, now_s: float) -> None:
        """A request that was let through went so; None: nobody can tell, its caller has left."""
        if ticket != self._era:
            return
        if self.state is BreakerState.HALF_OPEN:
            self._probing = False
            if verdict == "ok":
                self._open_s = self._bounds.open_s
                self._move(BreakerState.CLOSED, "the probe went well")
            elif verdict is not None:
                self._open(min(2 * self._open_s, LONGEST_OPEN_S), f"the probe: {verdict}", now_s)
        elif verdict is not None:
            self._note(now_s, requests=1, bad=verdict != "ok", why=verdict)

    def broke_off(self, ticket: int | None, now_s: float) -> None:
        """A request that went well at first has failed after all."""
        if ticket == self._era:
            self._note(now_s, requests=0, bad=True, why="failed")

    def attend(self, now_s: float, *, present: bool) -> None:
        """Whether there is somebody to ask. When for long enough there is not, it opens."""
        if present:
            self._absent_s = None
            return
        if self._absent_s is None:
            self._absent_s = now_s
        if now_s - self._absent_s >= ABSENT_S:
            self.trip(now_s, "it has nobody who can speak")

    def trip(self, now_s: float, why: str) -> None:
        """It is not to be asked, however requests went."""
        if self.state is not BreakerState.OPEN:
            self._open(self._bounds.open_s, why, now_s)

    def _note(self, now_s: float, *, requests: int, bad: bool, why: str) -> None:
        number = math.floor(now_s * _SLICES / self._bounds.window_s)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
        self._slices[-1].requests += requests
        self._slices[-1].bad += bad
        if not bad:
            return
        lately = [part for part in self._slices if part.number > number - _SLICES]
        count, failures = sum(part.requests for part in lately), sum(part.bad for part in lately)
        if count >= self._bounds.min_requests and failures >= self._bounds.ratio * count:
            self._open(self._bounds.open_s, f"{why}: {failures} of {count}", now_s)

    def _open(self, for_s: float, why: str, now_s: float) -> None:
        self._open_s, self._opened_s = for_s, now_s
        self._move(BreakerState.OPEN, why)

    def _move(self, state: BreakerState, why: str) -> None:
        self.state = state
        self._era += 1
        self._probing = False
        self._slices.clear()
        self._changed(state, why)

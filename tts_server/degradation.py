"""What the server leaves undone when it has too much to do. Pure: it is told how busy the server is, and the time.

    NORMAL ─► VIP_FIRST, or if requests wait FALLBACK ─► REFUSE        and back one step at a time, NO_PREVIEW the last

A server that uses all its CPU and keeps nobody waiting is not overloaded: it does what it was bought for. So the first
two steps, which take little from anybody, need a busy CPU alone; those that change what callers get, or turn them away,
need besides that requests wait. Nobody is turned away before it was tried whether another engine helps.

What lifts the level must hold all of a while, and what ends it is well below what lifted it. Waits that are short
because another engine speaks, which costs less, would be long again without it: so what ends FALLBACK is spare CPU
alone, and if even that was its doing, it lasts longer the next time.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

_CALM: Final = 0.5
"""Nobody needs to be refused when the wait is half of what first counted as waiting. Not of what led to REFUSE: while
refusals keep the wait short, they are what is needed."""

_SOON, _LONGEST_HOLD = 6.0, 30.0
"""Of recover_s. Another engine that costs less makes CPU to spare, and the first would use it up again at once: each
time FALLBACK is called for again soon after it was given up, it is held twice as long, five minutes at most."""


class Level(enum.IntEnum):
    """How far the server has stepped back; each level has what those before it have."""

    NORMAL = 0
    NO_PREVIEW = 1
    """The web page's preview is switched off. Only on the way back: what calls for it calls for the next one too."""
    VIP_FIRST = 2
    """Ordinary requests queue behind those of priority 0."""
    FALLBACK = 3
    """New ordinary requests go to another engine first, if they may."""
    REFUSE = 4
    """New ordinary requests are refused, while others wait."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is too much, and for how long."""

    cpu: float = 0.9
    recover_cpu: float = 0.8
    after_s: float = 10.0
    recover_s: float = 10.0
    fallback_wait_s: float = 1.0
    refuse_wait_s: float = 5.0


class Degradation:
    """The level, and what it will become."""

    def __init__(self, bounds: Bounds) -> None:
        self.level = Level.NORMAL
        self._hold_s = bounds.recover_s  # for which FALLBACK must not be called for any more
        self._left_s = -math.inf  # when FALLBACK was given up last
        self._bounds = bounds
        self._calm_cpu = min(bounds.recover_cpu, bounds.cpu)
        fallback_s = bounds.fallback_wait_s
        self._waits_s = {Level.FALLBACK: fallback_s, Level.REFUSE: max(fallback_s, bounds.refuse_wait_s)}
        self._calm_wait_s = _CALM * fallback_s
        self._called_since_s: dict[Level, float] = {}  # levels above this one, each as long as it is called for
        self._calm_since_s: float | None = None

    def observe(self, cpu_share: float, wait_s: float, now_s: float) -> Level:
        """The level, now that so much of the CPU is used and a new request would wait so long to be taken up."""
        for level in self._next():
            if cpu_share > self._bounds.cpu and wait_s > self._waits_s.get(level, -1.0):
                self._called_since_s.setdefault(level, now_s)
            else:
                self._called_since_s.pop(level, None)
        if not self._calm(cpu_share, wait_s):
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        called = [level for level, since_s in self._called_since_s.items() if now_s - since_s >= self._bounds.after_s]
        hold_s = self._hold_s if self.level is Level.FALLBACK else self._bounds.recover_s
        if called:
            self._move(max(called), now_s)
        elif self._calm_since_s is not None and now_s - self._calm_since_s >= hold_s:
            self._move(Level(self.level - 1), now_s)
        return self.level

    def _next(self) -> tuple[Level, ...]:
        """The levels that it may be lifted to from this one."""
        if self.level < Level.FALLBACK:
            return tuple(level for level in (Level.VIP_FIRST, Level.FALLBACK) if level > self.level)
        return (Level.REFUSE,) if self.level is Level.FALLBACK else ()

    def _calm(self, cpu_share: float, wait_s: float) -> bool:
        """Whether this level is not called for any more."""
        if self.level is Level.NORMAL:
            return False
        return cpu_share < self._calm_cpu or (self.level is Level.REFUSE and wait_s < self._calm_wait_s)

    def _move(self, level: Level, now_s: float) -> None:
        recover_s = self._bounds.recover_s
        if self.level < Level.FALLBACK <= level:
            soon = now_s - self._left_s < _SOON * recover_s
            self._hold_s = min(2 * self._hold_s, _LONGEST_HOLD * recover_s) if soon else recover_s
        elif level < Level.FALLBACK <= self.level:
            self._left_s = now_s
        for passed in [other for other in self._called_since_s if other <= max(level, self.level)]:
            del self._called_since_s[passed]
        self.level = level
        self._calm_since_s = None

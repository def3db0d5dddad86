"""What the server leaves undone when it has too much to do. Pure: it is told how busy the server is, and the time.

    NORMAL ─► NO_PREVIEW ─► VIP_FIRST ─► FALLBACK ─► REFUSE        one step at a time, up and down

A server that uses all its CPU and keeps nobody waiting is not overloaded: it does what it was bought for. So the first
two steps, which take little from anybody, need a busy CPU alone; those that change what callers get, or turn them away,
need besides that requests wait. What lifts a step must hold all of a while, and what ends it is well below what lifted
it: the level cannot flap.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

_CALM: Final = 0.5
"""Nobody waits when it is half of what first counted as waiting. Not of what led to REFUSE: while refusals keep the
wait short, they are what is needed."""


class Level(enum.IntEnum):
    """How far the server has stepped back; each level has what those before it have."""

    NORMAL = 0
    NO_PREVIEW = 1
    """The web page's preview is switched off."""
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
        self._bounds = bounds
        self._calm_cpu = min(bounds.recover_cpu, bounds.cpu)
        fallback_s = bounds.fallback_wait_s
        self._waits_s = {Level.FALLBACK: fallback_s, Level.REFUSE: max(fallback_s, bounds.refuse_wait_s)}
        self._calm_wait_s = _CALM * fallback_s
        self._busy_since_s: float | None = None
        self._calm_since_s: float | None = None

    def observe(self, cpu_share: float, wait_s: float, now_s: float) -> Level:
        """The level, now that so much of the CPU is used and a new request would wait so long to be taken up."""
        if not self._too_much(cpu_share, wait_s):
            self._busy_since_s = None
        elif self._busy_since_s is None:
            self._busy_since_s = now_s
        if not self._calm(cpu_share, wait_s):
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = now_s
        if self._busy_since_s is not None and now_s - self._busy_since_s >= self._bounds.after_s:
            self._move(1)
        elif self._calm_since_s is not None and now_s - self._calm_since_s >= self._bounds.recover_s:
            self._move(-1)
        return self.level

    def _too_much(self, cpu_share: float, wait_s: float) -> bool:
        """Whether the next level is called for."""
        if self.level is Level.REFUSE:
            return False
        return cpu_share > self._bounds.cpu and wait_s > self._waits_s.get(Level(self.level + 1), -1.0)

    def _calm(self, cpu_share: float, wait_s: float) -> bool:
        """Whether this level is not called for any more."""
        if self.level is Level.NORMAL:
            return False
        return cpu_share < self._calm_cpu or (self.level in self._waits_s and wait_s < self._calm_wait_s)

    def _move(self, step: int) -> None:
        self.level = Level(self.level + step)
        self._busy_since_s = self._calm_since_s = None

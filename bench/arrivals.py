"""When requests are to be sent, whatever became of the ones before: an open loop's arrivals; pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

PROCESSES: Final = ("poisson", "constant")


def arrivals(process: str, rate_per_s: float, seconds: float, rng: random.Random) -> Iterator[float]:
    """Moments in seconds from the start, rising, before `seconds`; on average so many a second.

    A Poisson process is what many callers make who know nothing of one another: gaps are exponential, so that some
    come at once. A constant one begins at a random moment of its first gap, for several clients must not send together.
    """
    if process not in PROCESSES:
        raise ValueError(f"arrivals are {process!r}; they must be one of {', '.join(PROCESSES)}")
    if not rate_per_s > 0:
        raise ValueError(f"rate is {rate_per_s:g}; it must be more than 0")
    gap_s = 1 / rate_per_s
    at_s = rng.random() * gap_s if process == "constant" else rng.expovariate(rate_per_s)
    while at_s < seconds:
        yield at_s
        at_s += gap_s if process == "constant" else rng.expovariate(rate_per_s)

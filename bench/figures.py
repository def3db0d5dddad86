"""What is computed from moments and durations: percentiles, what a listener hears, slopes, ratios; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

QUANTILES: Final = 200
"""Steps of a stored distribution: every half percent, enough to draw it and to read p99 from it."""
_DRAWS: Final = 2_000
"""Resamplings for a spread: its own noise is then below a percent of it."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Of one measure."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    quantiles: tuple[float, ...]
    """201 values from the least to the greatest, one for each half percent, so that the curve can be drawn."""


def distribution(values: Sequence[float]) -> Distribution | None:
    """Of all values, exact: none is put into a bucket. None if there are none."""
    if not values:
        return None
    found = np.asarray(values, np.float64)
    # `higher`: a percentile is a value that was measured, and no better than what that part of the callers had
    quantiles = np.quantile(found, np.linspace(0, 1, QUANTILES + 1), method="higher")
    p50, p90, p95, p99 = np.quantile(found, (0.5, 0.9, 0.95, 0.99), method="higher")
    rounded = tuple(round(float(value), 4) for value in quantiles)
    mean, most = float(found.mean()), float(found.max())
    return Distribution(len(found), mean, float(p50), float(p90), float(p95), float(p99), most, rounded)


@dataclass(frozen=True, slots=True)
class Playback:
    """What a listener would have heard who began to play at the first audio, or a little later."""

    gaps: int
    """How often he had to wait in mid-speech."""
    silent_s: float
    """For how long, all together."""


def play(arrivals: Sequence[tuple[float, float]], cushion_s: float) -> Playback:
    """Play pieces that arrived at (moment in s, seconds of audio), `cushion_s` after the first; whoever runs dry waits
    for the next piece and goes on at once.
    """
    if not arrivals:
        return Playback(0, 0.0)
    gaps, silent_s = 0, 0.0
    ends_s = arrivals[0][0] + cushion_s + arrivals[0][1]
    for at_s, audio_s in arrivals[1:]:
        if at_s > ends_s:
            gaps += 1
            silent_s += at_s - ends_s
            ends_s = at_s
        ends_s += audio_s
    return Playback(gaps, silent_s)


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """By how much y grows with each x, by least squares; 0 if that cannot be told."""
    if len(set(xs)) < 2:
        return 0.0
    return float(np.polyfit(np.asarray(xs, np.float64), np.asarray(ys, np.float64), 1)[0])


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure that was taken several times."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """The median, the least and the greatest."""
    if not values:
        return None
    return Spread(float(np.median(values)), float(min(values)), float(max(values)))


def ratio(new: Sequence[float], old: Sequence[float]) -> Spread | None:
    """The mean of `new` over the mean of `old`, and between what 95 of 100 resamplings of both leave it (a bootstrap).

    None if there is nothing to divide.
    """
    first, second = np.asarray(new, np.float64), np.asarray(old, np.float64)
    if not len(first) or not len(second) or not np.all(second > 0):
        return None
    rng = np.random.default_rng(1)
    drawn = rng.choice(first, (_DRAWS, len(first))).mean(1) / rng.choice(second, (_DRAWS, len(second))).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Spread(float(first.mean() / second.mean()), float(low), float(high))

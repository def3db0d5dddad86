"""What a voice is asked to say: phones, who speaks, and how. Checked once, here; loads no onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inference.frontend.phones import Phone

SPEED_RANGE: Final = (0.25, 4.0)
"""Times natural speed: what clients of speech servers are used to. From 0.5 to 2 it sounds natural, beyond it is only
understood.
"""
PITCH_RANGE: Final = (-12.0, 12.0)
"""Semitones. An octave either way still lies in a speaking range for every shipped speaker."""
ENERGY_RANGE: Final = (-12.0, 12.0)
"""Decibels. Above that the limiter would be most of what is heard."""


@dataclass(frozen=True, slots=True)
class Manner:
    """Who speaks, and how. ValueError, with the setting and its range, if it is out of range."""

    speaker: str
    speed: float = 1.0
    """2.0 takes half the time. Reached by durations, so the pitch stays."""
    pitch_semitones: float = 0.0
    energy_db: float = 0.0

    def __post_init__(self) -> None:
        _check_range("speed", self.speed, SPEED_RANGE)
        _check_range("pitch", self.pitch_semitones, PITCH_RANGE)
        _check_range("energy", self.energy_db, ENERGY_RANGE)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence for a voice. ValueError if there is nothing in it."""

    phones: tuple[Phone, ...]
    manner: Manner

    def __post_init__(self) -> None:
        if not self.phones:
            raise ValueError("there are no phones to say")


def _check_range(name: str, value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not low <= value <= high:  # false for NaN too
        raise ValueError(f"{name} is {value:g}; it must be from {low:g} to {high:g}")

"""What a report is made of: the subject that is measured, and chapters with their figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import net, speech
from training.held_out import KIND_NAMES, KINDS, Kind, Sample
from training.teacher import SPEAKERS

Floats = NDArray[np.float32]
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the first table."""

    name: str
    goal: str
    measured: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class Chapter:
    """What one measurement says: its figures, its text in Markdown, and its numbers by name."""

    figures: list[Figure]
    text: str
    numbers: dict[str, float]


@dataclass(frozen=True, slots=True)
class Subject:
    """All that is compared: every sample as the teacher, the pack and the torch net say it, in the same order."""

    pack: Path
    samples: list[Sample]
    teacher: list[Floats]
    voice: list[speech.Said]
    net: net.Voice


def section(title: str, text: str) -> str:
    """A chapter with its heading, in Markdown."""
    return f"\n## {title}\n\n{text}\n"


def table(header: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def groups(subject: Subject) -> list[tuple[Kind, int, list[int]]]:
    """(kind, speaker, places of its samples), those that there are."""
    groups = [
        (kind, speaker, [n for n, one in enumerate(subject.samples) if (one.kind, one.speaker) == (kind, speaker)])
        for kind in KINDS
        for speaker in range(len(SPEAKERS))
    ]
    return [group for group in groups if group[2]]


def by_group(
    subject: Subject, rows: list[list[float]], formats: list[str]
) -> tuple[list[list[str]], dict[Kind, list[float]]]:
    """Means per group as a table, and per kind as numbers; every second of speech counts alike."""
    values = np.array(rows)
    weights = np.array([len(wave) for wave in subject.teacher], np.float64)
    cells = []
    for kind, speaker, chosen in groups(subject):
        means = np.average(values[chosen], 0, weights[chosen])
        cells.append([f"{KIND_NAMES[kind]}, {SPEAKERS[speaker].name}", *map(str.format, formats, means)])
    by_kind = {}
    for kind in KINDS:
        of_kind = [number for number, one in enumerate(subject.samples) if one.kind == kind]
        by_kind[kind] = [float(mean) for mean in np.average(values[of_kind], 0, weights[of_kind])]
    return cells, by_kind

"""Reads the five Mandarin tones back from a pitch curve: a small classifier, built on the teacher's audio alone.

A syllable is seen as ten points of log F0 over its rime with the clause's level and slope taken away, so that
declination and question contours, which our voices are taught and the teacher has not, are not read as tones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from inference.frontend.phones import FINALS, INITIALS, PAUSES, PHONES, RHOTIC, Tone

POINTS: Final = 10
TONES: Final = (Tone.T1, Tone.T2, Tone.T3, Tone.T4, Tone.T5)
_SHRINK_S2: Final = 0.15  # of the slope: a clause of two syllables has none of its own
_EPOCHS: Final = 400

_INITIAL, _FINAL, _PAUSE = (
    np.isin(np.arange(len(PHONES)), [PHONES.index(name) for name in names]) for names in (INITIALS, FINALS, PAUSES)
)
_RHOTIC: Final = PHONES.index(RHOTIC)
FRAME_S: Final = 256 / 22_050


@dataclass(frozen=True, slots=True)
class Curve:
    """The pitch of one sentence and where its phones lie. N phones, T frames."""

    ids: NDArray[np.int64]  # (N, 4)
    durations: NDArray[np.int64]  # (N,) frames
    log_f0: NDArray[np.float32]  # (T,) drawn through what is unvoiced
    voiced: NDArray[np.bool_]  # (T,)


@dataclass(frozen=True, slots=True)
class Syllables:
    """Mandarin syllables as the classifier sees them."""

    features: NDArray[np.float32]  # (M, F)
    tones: NDArray[np.int64]  # (M,) 0..4


def syllables_of(curves: Iterable[Curve]) -> Syllables:
    """Every Mandarin syllable of the sentences, in order."""
    features: list[NDArray[np.float64]] = []
    tones: list[int] = []
    for curve in curves:
        for clause in _clauses(curve):
            features += _describe(curve, clause)
            tones += [int(curve.ids[phone, 1]) - 1 for phone, _, _ in clause]
    return Syllables(np.array(features, np.float32), np.array(tones, np.int64))


Rime = tuple[int, int, int]  # the final's phone, the rime's first frame and its end


def _clauses(curve: Curve) -> list[list[Rime]]:
    """Mandarin rimes, clause by clause."""
    ends = np.cumsum(curve.durations)
    clauses: list[list[Rime]] = [[]]
    for index, phone in enumerate(curve.ids[:, 0]):
        if _PAUSE[phone]:
            clauses.append([])
        elif _FINAL[phone]:
            last = index + 1 if index + 1 < len(curve.ids) and curve.ids[index + 1, 0] == _RHOTIC else index
            clauses[-1].append((index, int(ends[index] - curve.durations[index]), int(ends[last])))
    return [clause for clause in clauses if clause]


def _describe(curve: Curve, clause: list[Rime]) -> list[NDArray[np.float64]]:
    log_f0 = curve.log_f0.astype(np.float64)
    points = np.array([_resample(log_f0[first:end]) for _, first, end in clause])  # (M, POINTS)
    middle = np.array([(first + end) / 2 for _, first, end in clause]) * FRAME_S
    level = points.mean(1)
    away = middle - middle.mean()
    slope = float((away * (level - level.mean())).sum() / (np.square(away).sum() + _SHRINK_S2))
    points = points - level.mean() - slope * away[:, None]
    rows = []
    for index, (_, first, end) in enumerate(clause):
        before = points[index - 1, -1] if index else 0.0
        after = points[index + 1, 0] if index + 1 < len(clause) else 0.0
        rest = [
            points[index, -1] - points[index, 0],
            before,
            float(index == 0),
            after,
            float(index + 1 == len(clause)),
            np.log(end - first),
            float(curve.voiced[first:end].mean()),
        ]
        rows.append(np.concatenate([points[index], rest]))
    return rows


def _resample(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp((np.arange(POINTS) + 0.5) / POINTS * len(curve) - 0.5, np.arange(len(curve)), curve)


class ToneReader(nn.Module):
    """Features (M, F) → scores of the five tones (M, 5); remembers the scale of what it was taught on."""

    def __init__(self, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> None:
        super().__init__()
        self.mean, self.deviation = torch.from_numpy(mean), torch.from_numpy(deviation)
        self.layers = nn.Sequential(nn.Linear(len(mean), 48), nn.GELU(), nn.Linear(48, len(TONES)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scores before the softmax."""
        scores: torch.Tensor = self.layers((features - self.mean) / self.deviation)
        return scores

    @torch.no_grad()
    def confusion(self, syllables: Syllables) -> NDArray[np.int64]:
        """How often each tone (row) was read as each tone (column), (5, 5)."""
        read = self(torch.from_numpy(syllables.features)).argmax(1).numpy()
        table = np.zeros((len(TONES), len(TONES)), np.int64)
        np.add.at(table, (syllables.tones, read), 1)
        return table


def build(syllables: Syllables, *, seed: int = 1) -> ToneReader:
    """Teach a reader on the teacher's syllables."""
    torch.manual_seed(seed)
    deviation = syllables.features.std(0)
    reader = ToneReader(syllables.features.mean(0), np.where(deviation > 0, deviation, 1).astype(np.float32))
    features, tones = torch.from_numpy(syllables.features), torch.from_numpy(syllables.tones)
    # Random words have few neutral tones, speech has many: between the two, each tone counts by the root of its rarity.
    rarity = torch.from_numpy(1 / np.sqrt(np.bincount(syllables.tones, minlength=len(TONES)).clip(1))).float()
    optimiser = torch.optim.AdamW(reader.parameters(), 0.01, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _EPOCHS)
    for _ in range(_EPOCHS):
        loss = functional.cross_entropy(reader(features), tones, rarity)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return reader.eval()


def accuracy(confusion: NDArray[np.int64]) -> float:
    """Share of syllables read right."""
    return float(np.trace(confusion) / confusion.sum())

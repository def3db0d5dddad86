"""A listener: a small phone recogniser taught on the teacher's audio alone, to judge whether a voice is understood.

Log-mel frames → dilated convolutions → phone of each frame (both languages together, tones ignored, pauses one class)
→ the best path through them at a fixed price per change of phone. The price is chosen on the teacher's own sentences.
Levels, tilts, noise and masked bands are varied while it learns: a listener that knows the teacher's waveform by heart
would hear a difference where a person hears none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from inference.frontend.phones import PAD, PAUSES, PHONES
from training.data import Utterance, teach
from training.held_out import in_a_fresh_process
from training.losses import MEL_BANDS
from training.measures import edit_distance, log_mel
from training.prosody import PACE
from training.teacher import SPEAKERS

FIRST_SENTENCE: Final = 6_000_000  # no voice is trained on sentences from 5,000,000 on
SENTENCES: Final = 480  # by the speakers in turn: about half an hour, and once more at the voice's pace
_TUNING: Final = 40  # of these, to choose the price
_STEPS: Final = 1500
_BATCH, _WINDOW = 16, 160  # frames
_PEAK_RATE: Final = 3e-3
_WIDTH: Final = 128
_DILATIONS: Final = (1, 2, 4, 8, 1)
_PRICES: Final = (2.0, 4.0, 6.0, 9.0, 13.0)
_VERSION: Final = 3  # of all the above, for the cache

SOUNDS: Final = tuple(name for name in PHONES if name != PAD and name not in PAUSES)
_SILENCE: Final = len(SOUNDS)
_CLASS_OF: Final = np.array([SOUNDS.index(name) if name in SOUNDS else _SILENCE for name in PHONES])


class Listener(nn.Module):
    """Log-mel (B, MEL_BANDS, T) → scores of the phone classes (B, len(SOUNDS) + 1, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(MEL_BANDS, _WIDTH, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(_WIDTH),
                nn.GELU(),
                nn.Conv1d(_WIDTH, _WIDTH, 3, padding=dilation, dilation=dilation),
                nn.Dropout(0.1),
            )
            for dilation in _DILATIONS
        )
        self.last = nn.Conv1d(_WIDTH, len(SOUNDS) + 1, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Scores before the softmax."""
        x = self.first((mel + 6.0) / 3.0)
        for block in self.blocks:
            x = x + block(x)
        scores: Tensor = self.last(functional.gelu(x))
        return scores


@dataclass(frozen=True, slots=True)
class Recogniser:
    """A taught listener and its price per change of phone."""

    listener: Listener
    price: float

    @torch.no_grad()
    def hear(self, audio: NDArray[np.floating[Any]]) -> list[str]:
        """The phones of a wave, without pauses."""
        return _phones(self._scores(log_mel(audio)), self.price)

    def _scores(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        return _scores(self.listener, mel)


def said(ids: NDArray[np.int64]) -> list[str]:
    """The phones of ids (N, 4) as a recogniser can hear them: names, no pauses, and of two equal neighbours one."""
    names = [SOUNDS[number] if (number := _CLASS_OF[phone]) != _SILENCE else "" for phone in ids[:, 0]]
    return [name for index, name in enumerate(names) if name and (index == 0 or names[index - 1] != name)]


def errors(ids: NDArray[np.int64], heard: Sequence[str]) -> tuple[int, int]:
    """(edits, phones said)."""
    asked = said(ids)
    return edit_distance(asked, heard), len(asked)


def recogniser(folder: Path, gains: dict[str, dict[Any, float]], seed: int = 1) -> Recogniser:
    """The recogniser of that seed kept in `folder`, or a new one, which takes about five minutes on one core."""
    path = folder / f"recogniser-{_VERSION}-{seed}.pt"
    listener = Listener().eval()
    if path.exists():
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        listener.load_state_dict(state["listener"])
        return Recogniser(listener, float(state["price"]))
    made = build(gains, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"listener": made.listener.state_dict(), "price": made.price}, path)
    return made


def sentences(gains: dict[str, dict[Any, float]], count: int = SENTENCES) -> list[Utterance]:
    """The teacher's sentences that the listener and the reader of tones learn from, each at the teacher's own pace and
    at the voice's. Who has heard but one of them takes a short syllable for a neutral one.
    """
    turns = tqdm(list(product(range(count), (1.0, PACE))), desc="teacher", unit="sentence", mininterval=2.0)
    made = (teach(FIRST_SENTENCE + number, number % len(SPEAKERS), gains, mandarin_pace=pace) for number, pace in turns)
    return [one for one in made if one is not None]


def build(
    gains: dict[str, dict[Any, float]], *, count: int = SENTENCES, steps: int = _STEPS, seed: int = 1
) -> Recogniser:
    """Teach a listener and choose its price."""
    utterances = in_a_fresh_process(sentences, gains, count)
    heard = [(log_mel(one.audio / 32768.0), _classes(one)) for one in utterances]
    tuning = 2 * max(1, count * _TUNING // SENTENCES)  # at both paces
    listener = _teach(heard[tuning:], steps, seed)
    price = min(_PRICES, key=lambda price: _error_rate(listener, price, utterances[:tuning], heard[:tuning]))
    return Recogniser(listener, price)


Heard = tuple[NDArray[np.float32], NDArray[np.int64]]  # log-mel (MEL_BANDS, T), class of each frame (T,)


def _classes(one: Utterance) -> NDArray[np.int64]:
    return np.repeat(_CLASS_OF[one.ids[:, 0]], one.durations)


def _teach(heard: list[Heard], steps: int, seed: int) -> Listener:
    torch.manual_seed(seed)
    listener = Listener().train()
    optimiser = torch.optim.AdamW(listener.parameters(), _PEAK_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK_RATE, total_steps=steps)
    batches = _batches(heard, seed)
    for _ in tqdm(range(steps), desc="listener", unit="step", mininterval=2.0):
        mels, classes = next(batches)
        loss = functional.cross_entropy(listener(mels), classes, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return listener.eval()


def _batches(heard: list[Heard], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    mel = np.concatenate([one for one, _ in heard], 1)  # sentences end in silence, so a window may pass over an end
    classes = np.concatenate([one for _, one in heard])
    rng = np.random.default_rng(seed)
    while True:
        first = rng.integers(mel.shape[1] - _WINDOW, size=_BATCH)
        mels = np.stack([mel[:, at : at + _WINDOW] for at in first])
        yield (
            torch.from_numpy(_varied(mels, rng)),
            torch.from_numpy(np.stack([classes[at : at + _WINDOW] for at in first])),
        )


def _varied(mels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Another level (±7 dB), tilt (±9 dB at the ends), noise floor, error per band and frame; some bands masked."""
    count = len(mels)
    level = (
        rng.uniform(-0.8, 0.8, (count, 1, 1))
        + rng.uniform(-1, 1, (count, 1, 1)) * np.linspace(-1, 1, MEL_BANDS)[:, None]
    )
    floor = rng.uniform(-11.5, -7.0, (count, 1, 1)) + rng.normal(0, 0.3, mels.shape)
    varied = np.logaddexp(mels + level, floor) + rng.normal(0, 0.25, mels.shape)
    for row, band, width in zip(varied, rng.integers(MEL_BANDS, size=count), rng.integers(9, size=count), strict=True):
        row[band : band + width] = -6.0
    return varied.astype(np.float32)


@torch.no_grad()
def _scores(listener: Listener, mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-probability of each class at each frame, (T, len(SOUNDS) + 1)."""
    return np.asarray(listener(torch.from_numpy(mel)[None])[0].log_softmax(0).T.numpy())


def _phones(scores: NDArray[np.float32], price: float) -> list[str]:
    path = best_path(scores, price)
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    names = [SOUNDS[number] if (number := path[start]) != _SILENCE else "" for start in starts]
    return [name for name in names if name]


def best_path(scores: NDArray[np.float32], price: float) -> NDArray[np.int64]:
    """Viterbi: the class of each frame, (T, C) → (T,), where every change of class costs `price`."""
    frames, classes = scores.shape
    come_from = np.zeros((frames, classes), np.int64)
    total = scores[0].astype(np.float64)
    for t in range(1, frames):
        best = int(total.argmax())
        change = total < total[best] - price
        come_from[t] = np.where(change, best, np.arange(classes))
        total = np.where(change, total[best] - price, total) + scores[t]
    path = np.zeros(frames, np.int64)
    path[-1] = total.argmax()
    for t in range(frames - 1, 0, -1):
        path[t - 1] = come_from[t, path[t]]
    return path


def _error_rate(listener: Listener, price: float, utterances: list[Utterance], heard: list[Heard]) -> float:
    counts = [
        errors(one.ids, _phones(_scores(listener, mel), price)) for one, (mel, _) in zip(utterances, heard, strict=True)
    ]
    return sum(edits for edits, _ in counts) / sum(phones for _, phones in counts)

"""Make `inference/frontend/data/polyphones.npz` from the phrases of `polyphones.tsv`: `python -m training.polyphones`.

A log-linear model for each character (Berger, Della Pietra & Della Pietra 1996, Computational Linguistics 22), its
weights held small. The sentences of the golden tables (`polyphones_in_sentences.tsv`) count too, for phrases are chosen
to be hard, with one reading as often as another; what the tables say of these is left out, for the tables were made by
them. Prints for each character what share of its phrases the tables read rightly, and what share they and the model,
which then learns four fifths and is asked for the last; a character that gains nothing is left to the tables. One
phrase of ten is kept from all this, so that a test can measure the file that ships. Some two minutes on one core.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from inference.frontend.mandarin import is_open, place_of, told_by_tables
from inference.frontend.polyphones import FILE, features
from inference.frontend.segment import HANZI

PHRASES: Final = Path(__file__).with_name("polyphones.tsv")
SENTENCES: Final = Path(__file__).with_name("polyphones_in_sentences.tsv")
_RUN, _RUN_BEFORE = re.compile(f"[{HANZI}]*"), re.compile(f"[{HANZI}]*$")
_MARKED: Final = re.compile(r"<(.)\|([a-z]+[1-5])>")
_PENALTY: Final = 0.5
"""Of a weight's square, beside the log-likelihood of a phrase."""
_PARTS: Final = 5
_FEWEST: Final = 25
"""Phrases that teach anything."""
_STEPS: Final = 60
KEPT_APART: Final = 10
"""One phrase of so many is, by a checksum: which ones does not hang on what is added."""
_STEP: Final = 1 / 12
"""What one unit of a stored weight is worth, in nats; what rounds to 0 for every reading is left out."""
_TOLD: Final = "="
"""What votes of the tables' word begin with."""


class Example(NamedTuple):
    """A character that stands alone in a phrase, as the model sees it."""

    char: str
    reading: str
    told: str
    votes: tuple[str, ...]
    asked: bool
    """Whether the model is, or a row of the table stands."""


Weights = dict[str, list[float]]
"""Of each feature, a number for each reading."""


def examples(lines: Iterable[str]) -> Iterator[Example]:
    """The marked characters of the phrases, where the segmenter leaves them alone."""
    for line in lines:
        marked = _MARKED.search(line)
        assert marked is not None, f"{PHRASES.name}: {line!r} has no mark like <得|dei3>"
        char, reading = marked.groups()
        before, after = _RUN_BEFORE.search(line[: marked.start()]), _RUN.match(line, marked.end())
        assert before is not None, "a run may be empty"
        assert after is not None, "a run may be empty"
        found = place_of(before[0] + char + after[0], len(before[0]))
        if found is not None:
            told, rule = told_by_tables(found, char)
            yield Example(char, reading, told, (*features(found, told),), is_open(char, rule))


def learn(learnt: Sequence[Example], readings: Sequence[str]) -> Weights:
    """Weights for one character, by L-BFGS from zero."""
    names = {vote: number for number, vote in enumerate(dict.fromkeys(v for one in learnt for v in one.votes))}
    where = [(row, names[vote]) for row, one in enumerate(learnt) for vote in dict.fromkeys(one.votes)]
    index = torch.tensor(where).T
    seen = torch.sparse_coo_tensor(index, torch.ones(len(where)), (len(learnt), len(names))).coalesce()
    right = torch.tensor([readings.index(one.reading) for one in learnt])
    weights = torch.zeros(len(names), len(readings), requires_grad=True)
    descent = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        descent.zero_grad()
        cost = functional.cross_entropy(torch.sparse.mm(seen, weights), right, reduction="sum")
        cost = cost + _PENALTY * weights.square().sum()
        cost.backward()  # type: ignore[no-untyped-call]
        return cost

    descent.step(loss)  # type: ignore[no-untyped-call]
    return dict(zip(names, weights.tolist(), strict=True))


def choose(weights: Weights, votes: Sequence[str], readings: Sequence[str]) -> str:
    """The reading with the most votes."""
    rows = [weights[vote] for vote in votes if vote in weights]
    totals = [sum(column) for column in zip(*rows, strict=True)]
    return readings[totals.index(max(totals))]


def main() -> None:
    """Measure, learn, write."""
    torch.set_num_threads(1)
    hard = list(examples(learnt_phrases()))
    apart = frozenset(phrases_kept_apart())
    natural = list(examples(line for line in _lines(SENTENCES) if line not in apart))
    natural = [one._replace(votes=tuple(vote for vote in one.votes if vote[:1] != _TOLD)) for one in natural]
    chars = sorted({one.char for one in hard})
    weights: dict[str, tuple[tuple[str, ...], Weights]] = {}
    print(f"{'':2} {'phrases':>8} {'tables':>7} {'with it':>7}")
    sums = np.zeros(3, int)
    for char in tqdm(chars, unit="character"):
        own, seen = ([one for one in part if one.char == char] for part in (hard, natural))
        readings = sorted({one.reading for one in (*own, *seen)})
        right = 0
        for part in range(_PARTS):
            model = learn([*(one for n, one in enumerate(own) if n % _PARTS != part), *seen], readings)
            for one in own[part::_PARTS]:
                right += (choose(model, one.votes, readings) if one.asked else one.told) == one.reading
        counts = np.array([len(own), sum(one.told == one.reading for one in own), right])
        if len(own) < _FEWEST or right <= counts[1]:
            tqdm.write(_row(char, counts) + "  left to the tables")
            continue
        tqdm.write(_row(char, counts))
        sums += counts
        weights[char] = tuple(readings), learn([*own, *seen], readings)
    print(_row("", sums))
    kept = [one for one in examples(phrases_kept_apart()) if one.char in weights]
    right = 0
    for one in kept:
        known, model = weights[one.char]
        right += (choose(model, one.votes, known) if one.asked else one.told) == one.reading
    print(f"kept apart: {_row('', np.array([len(kept), sum(one.told == one.reading for one in kept), right]))}")
    _write(weights)


def _row(char: str, counts: np.ndarray) -> str:
    count, tables, model = counts
    return f"{char:2} {count:8} {tables / count:7.1%} {model / count:7.1%}"


def learnt_phrases() -> list[str]:
    """Those the shipped file knows."""
    return [line for line in _lines(PHRASES) if crc32(line.encode()) % KEPT_APART]


def phrases_kept_apart() -> list[str]:
    """Those it has never seen."""
    return [line for line in _lines(PHRASES) if not crc32(line.encode()) % KEPT_APART]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _write(weights: dict[str, tuple[tuple[str, ...], Weights]]) -> None:
    most = max(len(readings) for readings, _ in weights.values())
    kept: dict[str, list[int]] = {}
    for char, (_, of_features) in weights.items():
        for vote, row in of_features.items():
            stored = [round(weight / _STEP) for weight in row]
            if any(stored):
                kept[char + vote] = [*(max(-128, min(127, one)) for one in stored), *[0] * (most - len(row))]
    np.savez_compressed(
        FILE,
        readings=" ".join(f"{char}:{','.join(readings)}" for char, (readings, _) in weights.items()),
        features="\n".join(kept),
        weights=np.array(list(kept.values()), np.int8),
    )
    print(f"{FILE}: {len(kept)} features, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

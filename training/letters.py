"""Make the letter-to-sound model `inference/frontend/data/letters.npz` from the lexicon: `python -m training.letters`.

Aligns letters with phones by expectation maximisation, counts graphone n-grams of nine tenths of the words, prints the
accuracy on the tenth held out, then counts that too and writes the file. Deterministic; about two minutes on one core.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import log
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inference.frontend.english import _lexicon
from inference.frontend.letters import ORDER, STEP, Graphones

_FILE: Final = Path(__file__).parents[1] / "inference" / "frontend" / "data" / "letters.npz"
_ROUNDS: Final = 5
_SAMPLE: Final = 8  # every eighth word teaches the alignment; more changes nothing
_KEEP: Final = {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2}
"""The rarest n-gram of each order that is kept; the file's size hangs on this."""
_RAREST_GRAPHONE: Final = 6

Entry = tuple[str, tuple[str, ...]]
Aligned = list[str]  # graphones, "letter:phones"


def main() -> None:
    """Train, measure, write."""
    entries, variants = _entries()
    costs = _learn_alignment(entries[::_SAMPLE])
    aligned = [(entry, graphones) for entry in entries if (graphones := _align(entry, costs)) is not None]
    seen = Counter(graphone for _, graphones in aligned for graphone in graphones)
    aligned = [pair for pair in aligned if all(seen[graphone] >= _RAREST_GRAPHONE for graphone in pair[1])]
    inventory = ["^:", "$:", *sorted({graphone for _, graphones in aligned for graphone in graphones})]
    print(f"{len(aligned)} of {len(entries)} words aligned, {len(inventory)} graphones")

    learnt = [pair for number, pair in enumerate(aligned) if number % 10]
    held_out = [entry for number, (entry, _) in enumerate(aligned) if number % 10 == 0]
    _measure(Graphones(_arrays((graphones for _, graphones in learnt), inventory)), held_out, variants)

    arrays = _arrays((graphones for _, graphones in aligned), inventory)
    np.savez_compressed(_FILE, allow_pickle=False, **arrays)
    print(
        f"{_FILE.name}: {_FILE.stat().st_size} bytes, "
        + ", ".join(str(len(arrays[f"tokens{n}"])) for n in range(1, ORDER + 1))
    )


def _entries() -> tuple[list[Entry], dict[str, set[tuple[str, ...]]]]:
    """The lexicon's words of letters alone, and every pronunciation it lists for each."""
    variants: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    entries: list[Entry] = []
    for key, value in _lexicon().items():
        word = key.partition("(")[0]
        if not re.fullmatch("[a-z]{2,24}", word) or not re.search("[aeiouy]", word):
            continue
        phones = tuple(value.partition(" #")[0].split())
        variants[word].add(phones)
        if word == key:
            entries.append((word, phones))
    return sorted(entries), dict(variants)


def _chunks(phones: Sequence[str], at: int) -> Iterable[tuple[int, str]]:
    yield at, ""
    if at < len(phones):
        yield at + 1, phones[at]
    if at + 1 < len(phones):
        yield at + 2, f"{phones[at]} {phones[at + 1]}"


def _learn_alignment(entries: Sequence[Entry]) -> dict[str, float]:
    """The cost of each graphone, by hard expectation maximisation from a preference for one phone a letter."""
    costs: dict[str, float] | None = None
    for _ in range(_ROUNDS):
        counts: Counter[str] = Counter()
        for entry in entries:
            counts.update(_align(entry, costs) or ())
        letters: Counter[str] = Counter()
        for graphone, count in counts.items():
            letters[graphone[0]] += count
        costs = {graphone: -log(count / letters[graphone[0]]) for graphone, count in counts.items()}
    assert costs is not None, "This is a bug."
    return costs


def _align(entry: Entry, costs: dict[str, float] | None) -> Aligned | None:
    word, phones = entry
    best: dict[int, tuple[float, Aligned]] = {0: (0.0, [])}
    for number, letter in enumerate(word):
        grown: dict[int, tuple[float, Aligned]] = {}
        left = len(word) - number - 1
        for at, (cost, path) in best.items():
            for after, chunk in _chunks(phones, at):
                if len(phones) - after > 2 * left:
                    continue
                graphone = f"{letter}:{chunk}"
                total = cost + (_first_cost(letter, chunk) if costs is None else costs.get(graphone, 12.0))
                if after not in grown or total < grown[after][0]:
                    grown[after] = (total, [*path, graphone])
        best = grown
    return best[len(phones)][1] if len(phones) in best else None


def _first_cost(letter: str, chunk: str) -> float:
    """Before anything is known: vowels go with vowels, and one phone a letter is likeliest."""
    if not chunk:
        return 2.0 if letter in "aeiouyhwgr" else 3.0
    phones = chunk.split()
    vowel_letter = letter in "aeiouy"
    apart = sum(phone[-1].isdigit() != vowel_letter for phone in phones)
    return (0.5 if len(phones) == 1 else 4.0) + 3.0 * apart - (1.0 if chunk[0].lower() == letter else 0.0)


def _arrays(words: Iterable[Aligned], inventory: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Count the words' n-grams, discount and prune them, and lay them out as `Graphones` reads them."""
    number_of = {graphone: number for number, graphone in enumerate(inventory)}
    counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(ORDER + 1)]
    for graphones in words:
        tokens = (0, *(number_of[graphone] for graphone in graphones), 1)
        for order in range(1, ORDER + 1):
            counts[order].update(tokens[at : at + order] for at in range(len(tokens) - order + 1))
    weights = [counts[ORDER]]  # Kneser-Ney: a shorter n-gram weighs as many as it has different words before it
    for order in range(ORDER - 1, 0, -1):
        different = Counter(ngram[1:] for ngram in counts[order + 1])
        weights.insert(0, Counter({n: different[n] or count for n, count in counts[order].items()}))
    arrays: dict[str, npt.NDArray[Any]] = {"graphones": np.array(inventory)}
    level: list[tuple[int, ...]] = [()]
    for order in range(1, ORDER + 1):
        weight = weights[order - 1]
        kept = sorted(ngram for ngram, count in counts[order].items() if count >= _KEEP[order])
        frequencies = Counter(weight.values())
        discount = frequencies[1] / (frequencies[1] + 2 * frequencies[2])
        totals: Counter[tuple[int, ...]] = Counter()
        for ngram, count in weight.items():
            totals[ngram[:-1]] += count
        shares = {ngram: (weight[ngram] - discount) / totals[ngram[:-1]] for ngram in kept}
        left = dict.fromkeys(level, 1.0)
        children = dict.fromkeys(level, 0)
        for ngram in kept:
            left[ngram[:-1]] -= shares[ngram]
            children[ngram[:-1]] += 1
        if order > 1:
            arrays[f"rest{order - 1}"] = _steps([left[context] for context in level])
        arrays[f"tokens{order}"] = np.array([ngram[-1] for ngram in kept], np.uint16)
        arrays[f"children{order}"] = np.array([children[context] for context in level], np.uint16)
        arrays[f"share{order}"] = _steps([shares[ngram] for ngram in kept])
        level = kept
    return arrays


def _steps(probabilities: Sequence[float]) -> npt.NDArray[np.uint8]:
    nats = -np.log(np.maximum(np.array(probabilities), 1e-7))
    steps: npt.NDArray[np.uint8] = np.clip(np.rint(nats * STEP), 0, 255).astype(np.uint8)
    return steps


def _measure(model: Graphones, held_out: Sequence[Entry], variants: dict[str, set[tuple[str, ...]]]) -> None:
    whole = unstressed = 0
    for word, _ in held_out:
        phones = model.phones_for(word)
        whole += phones in variants[word]
        unstressed += _bare(phones) in {_bare(variant) for variant in variants[word]}
    share = 100 / len(held_out)
    print(
        f"held out {len(held_out)} words: {whole * share:.1f} % right with stress, {unstressed * share:.1f} % without"
    )


def _bare(phones: Sequence[str]) -> tuple[str, ...]:
    return tuple(phone.rstrip("012") for phone in phones)


if __name__ == "__main__":
    main()

"""Make the letter-to-sound model `inference/frontend/data/letters.npz` from the lexicon: `python -m training.letters`.

Aligns letters with phones by expectation maximisation, counts graphone n-grams from the end of words, learns how words
of one stem differ and which words make compounds, all of nine tenths of the lexicon; prints the accuracy on the tenth
held out, whose words then count as any of their listed pronunciations; learns from that too and writes the file. The
words held out are every tenth of the alphabet, so a relative of a word is mostly known, as it is for a new word of
English. Deterministic; about two minutes on one core.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import log
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inference.frontend.english import lexicon
from inference.frontend.letters import (
    LONGEST_ENDING,
    ORDER,
    SHORTEST_STEM,
    STEP,
    LetterToSound,
    compounds,
)

_FILE: Final = Path(__file__).parents[1] / "inference" / "frontend" / "data" / "letters.npz"
_ROUNDS: Final = 5
_SAMPLE: Final = 8  # every eighth word teaches the alignment; more changes nothing
_KEEP: Final = {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2, 7: 2}
"""The rarest n-gram of each order that is kept; the file's size hangs on this. It may not fall as the order grows."""
_RAREST_GRAPHONE: Final = 6

_ENDINGS: Final = 400
_SISTERS: Final = 80
"""How many of the commonest endings a word may have, and the word it is compared with."""
_RULE: Final = (20, 0.7)
"""How often a rule of endings was met at least, and what share of that it must be right."""
_PART: Final = (3, 0.35)
"""The same of a head or tail of compounds."""

Phones = tuple[str, ...]
Entry = tuple[str, Phones]
Aligned = list[str]  # graphones, "letter:phones"
Arrays = dict[str, npt.NDArray[Any]]


def main() -> None:
    """Train, measure, write."""
    entries, variants = _entries()
    costs = _learn_alignment(entries[::_SAMPLE])
    learnt = [entry for number, entry in enumerate(entries) if number % 10]
    _measure(_model(learnt, costs), dict(learnt), entries[::10], variants)

    arrays = _model(entries, costs)
    np.savez_compressed(_FILE, allow_pickle=False, **arrays)
    sizes = {name: len(array) for name, array in arrays.items() if not name.startswith(("children", "share", "rest"))}
    print(f"{_FILE.name}: {_FILE.stat().st_size} bytes, {sizes}")


def _entries() -> tuple[list[Entry], dict[str, set[Phones]]]:
    """The lexicon's words of letters alone, and every pronunciation it lists for each."""
    variants: dict[str, set[Phones]] = defaultdict(set)
    entries: list[Entry] = []
    for key, value in lexicon().items():
        word = key.partition("(")[0]
        if not re.fullmatch("[a-z]{2,24}", word) or not re.search("[aeiouy]", word):
            continue
        phones = tuple(value.partition(" #")[0].split())
        variants[word].add(phones)
        if word == key:
            entries.append((word, phones))
    return sorted(entries), dict(variants)


def _model(entries: Sequence[Entry], costs: dict[str, float]) -> Arrays:
    """Everything that `letters` loads, from these words alone."""
    words = dict(entries)
    once = (entry for entry in entries if sum(phone[-1] == "1" for phone in entry[1]) == 1)
    aligned = [graphones for entry in once if (graphones := _align(entry, costs)) is not None]
    seen = Counter(graphone for graphones in aligned for graphone in graphones)
    aligned = [graphones for graphones in aligned if all(seen[graphone] >= _RAREST_GRAPHONE for graphone in graphones)]
    inventory = ["^:", "$:", *sorted({graphone for graphones in aligned for graphone in graphones})]
    heads, tails = _parts(words)
    return _ngrams(aligned, inventory) | {
        "graphones": np.array(inventory),
        "endings": np.array(_endings(words)),
        "beginnings": np.array(_endings({word[::-1]: phones[::-1] for word, phones in entries})),
        "heads": np.array(heads),
        "tails": np.array(tails),
    }


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


def _ngrams(words: Iterable[Aligned], inventory: Sequence[str]) -> Arrays:
    """Count the words' n-grams from their ends, discount and prune them, and lay them out as `Graphones` reads them."""
    number_of = {graphone: number for number, graphone in enumerate(inventory)}
    counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(ORDER + 1)]
    for graphones in words:
        tokens = (1, *(number_of[graphone] for graphone in reversed(graphones)), 0)
        for order in range(1, ORDER + 1):
            counts[order].update(tokens[at : at + order] for at in range(len(tokens) - order + 1))
    weights = [counts[ORDER]]  # Kneser-Ney: a shorter n-gram weighs as many as it has different words before it
    for order in range(ORDER - 1, 0, -1):
        different = Counter(ngram[1:] for ngram in counts[order + 1])
        weights.insert(0, Counter({n: different[n] or count for n, count in counts[order].items()}))
    arrays: Arrays = {}
    level: list[tuple[int, ...]] = [()]
    for order in range(1, ORDER + 1):
        weight = weights[order - 1]
        kept = sorted(ngram for ngram, count in counts[order].items() if count >= _KEEP[order])
        discounts = _discounts(weight.values())
        totals: Counter[tuple[int, ...]] = Counter()
        for ngram, count in weight.items():
            totals[ngram[:-1]] += count
        shares = {ngram: (weight[ngram] - discounts[min(weight[ngram], 3)]) / totals[ngram[:-1]] for ngram in kept}
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


def _discounts(weights: Iterable[int]) -> tuple[float, ...]:
    """Chen and Goodman's, of n-grams that weigh 1, 2, and 3 or more, at their place; the first is not used."""
    having = Counter(min(weight, 5) for weight in weights)
    once = having[1] / (having[1] + 2 * having[2])
    ideal = (n - (n + 1) * once * having[n + 1] / having[n] for n in (1, 2, 3))
    return (0.0, *(min(max(discount, 0.05), n - 0.05) for n, discount in enumerate(ideal, 1)))


def _steps(probabilities: Sequence[float]) -> npt.NDArray[np.uint8]:
    nats = -np.log(np.maximum(np.array(probabilities), 1e-7))
    steps: npt.NDArray[np.uint8] = np.clip(np.rint(nats * STEP), 0, 255).astype(np.uint8)
    return steps


def _endings(words: Mapping[str, Phones]) -> list[str]:
    """Rules from a word with one ending to its sister with another, as `letters` describes them."""
    changes: dict[tuple[str, str, str], Counter[tuple[int, Phones]]] = defaultdict(Counter)
    for stem, sister, ending in _sisters(words):
        phones = words[stem + sister]
        change = _change(phones, words[stem + ending])
        for last in (" ".join(phones[-2:]), phones[-1], ""):
            changes[ending, sister, last][change] += 1
    often, share = _RULE
    rules: list[str] = []
    for key, counts in sorted(changes.items()):
        (cut, added), count = counts.most_common(1)[0]
        if counts.total() >= often and count >= share * counts.total():
            sure = (count - 0.5) / (counts.total() + 1)
            rules.append(f"{','.join(key)},{cut},{' '.join(added)},{sure:.3f}")
    return rules


def _sisters(words: Mapping[str, Phones]) -> Iterator[tuple[str, str, str]]:
    """(stem, the one's ending, the other's) of every two words that part after a stem, if their endings are common."""
    commonest = Counter(ending for word in words for stem, ending in _stems(word) if ending and stem in words)
    endings = {"", *(ending for ending, _ in commonest.most_common(_ENDINGS))}
    sisters = {"", *(ending for ending, _ in commonest.most_common(_SISTERS))}
    families: dict[str, list[str]] = defaultdict(list)
    for word in words:
        for stem, ending in _stems(word):
            if ending in endings:
                families[stem].append(ending)
    for stem, family in families.items():
        for sister in sorted(sisters.intersection(family)):
            yield from ((stem, sister, ending) for ending in family if ending and ending[:1] != sister[:1])


def _stems(word: str) -> Iterator[tuple[str, str]]:
    for at in range(max(SHORTEST_STEM, len(word) - LONGEST_ENDING), len(word) + 1):
        yield word[:at], word[at:]


def _change(sister: Phones, word: Phones) -> tuple[int, Phones]:
    """How many phones to cut from the sister, and which to add then."""
    same = next((n for n, (a, b) in enumerate(zip(sister, word, strict=False)) if a != b), min(len(sister), len(word)))
    return len(sister) - same, word[same:]


def _parts(words: Mapping[str, Phones]) -> tuple[list[str], list[str]]:
    """The words that begin compounds and those that end them, more often than words do that merely look so."""
    tries: dict[tuple[int, str], Counter[bool]] = defaultdict(Counter)
    for word, phones in words.items():
        for at in range(SHORTEST_STEM, len(word) - SHORTEST_STEM + 1):
            for said in compounds(word, words.get, frozenset([word[:at]]), frozenset()):
                tries[0, word[:at]][said == phones] += 1
                tries[1, word[at:]][said == phones] += 1
    often, share = _PART
    enough = {key: right for key, right in tries.items() if right.total() >= often}
    good = sorted(key for key, right in enough.items() if right[True] >= share * right.total())
    return [word for side, word in good if side == 0], [word for side, word in good if side == 1]


def _measure(
    arrays: Arrays, words: Mapping[str, Phones], held_out: Sequence[Entry], variants: Mapping[str, set[Phones]]
) -> None:
    """Print how many words are right, and how many phones, against the listed pronunciation nearest to them."""
    model = LetterToSound(arrays, words.get)
    said = [(model.phones_for(word), variants[word]) for word, _ in held_out]
    for name, form in (("with stress", tuple), ("without", _bare)):
        whole = sum(form(phones) in {form(listed) for listed in all_listed} for phones, all_listed in said)
        print(f"{len(said)} words held out, {name}: {100 * whole / len(said):.1f} % right, ", end="")
        print(f"{100 * _share_of_phones(said, form):.1f} % of phones")


def _share_of_phones(said: Iterable[tuple[Phones, set[Phones]]], form: Callable[[Phones], Phones]) -> float:
    wrong = total = 0
    for phones, all_listed in said:
        errors, length = min((_edits(form(phones), form(listed)), len(listed)) for listed in all_listed)
        wrong, total = wrong + errors, total + length
    return 1 - wrong / total


def _edits(one: Phones, other: Phones) -> int:
    """Phones to put in, leave out or replace to make the one of the other."""
    row = list(range(len(other) + 1))
    for n, phone in enumerate(one, 1):
        above, row = row, [n]
        for m, wanted in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[m] + 1, above[m - 1] + (phone != wanted)))
    return row[-1]


def _bare(phones: Phones) -> Phones:
    return tuple(phone.rstrip("012") for phone in phones)


if __name__ == "__main__":
    main()

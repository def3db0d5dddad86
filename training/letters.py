"""Make the letter-to-sound model `inference/frontend/data/letters.npz` from the lexicon: `python -m training.letters`.

Aligns letters with phones by expectation maximisation, counts graphone n-grams from the end of words, trains a small
net on the same graphones, learns how words of one stem differ and which words make compounds, all of nine tenths of the
lexicon; writes the file and prints its accuracy on the tenth held out, whose words then count as any of their listed
pronunciations. The words held out are every tenth of the alphabet, so a relative of a word is mostly known, as it is
for a new word of English. The file that ships has not learnt from them, so that a test can measure it. Deterministic
on one kind of CPU; about eight minutes on one core.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import trange

from inference.frontend.english import lexicon
from inference.frontend.letters import (
    LONGEST_ENDING,
    ORDER,
    SHORTEST_STEM,
    STEP,
    compounds,
    load,
)

_FILE: Final = Path(__file__).parents[1] / "inference" / "frontend" / "data" / "letters.npz"
_ROUNDS: Final = 5
_SAMPLE: Final = 8  # every eighth word teaches the alignment; more changes nothing
_KEEP: Final = {1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 2, 7: 2}
"""The rarest n-gram of each order that is kept; the file's size hangs on this. It may not fall as the order grows."""
_RAREST_GRAPHONE: Final = 6

_WIDTH: Final = 96
_LAYERS: Final = 5
_TAPS: Final = 5
"""The net's size: each layer sees two letters more to either side."""
_EPOCHS: Final = 12
_BATCH: Final = 128
_PEAK_RATE: Final = 3e-3
_DROPOUT: Final = 0.1

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


class Accuracy(NamedTuple):
    """Shares of words that are right as a whole, and of phones."""

    words: float
    phones: float


def main() -> None:
    """Train, write, measure."""
    learnt, held_out, _ = _lexicon()
    arrays = _model(learnt, _learn_alignment(learnt[::_SAMPLE]))
    np.savez_compressed(_FILE, allow_pickle=False, **arrays)
    sizes = {name: len(array) for name, array in arrays.items() if not name.startswith(("children", "share", "rest"))}
    print(f"{_FILE.name}: {_FILE.stat().st_size} bytes, {sizes}")
    for name, (words, phones) in zip(("with stress", "without"), accuracy(), strict=True):
        right = f"{100 * words:.1f} % right, {100 * phones:.1f} % of phones"
        print(f"{len(held_out)} words held out, {name}: {right}")


def accuracy() -> tuple[Accuracy, Accuracy]:
    """With stress and without, what the model in the file makes of the words held out, told only of those learnt.

    Counted against the listed pronunciation that is nearest.
    """
    learnt, held_out, variants = _lexicon()
    model = load(dict(learnt).get)
    said = [(model.phones_for(word), variants[word]) for word, _ in held_out]
    bare = [(_bare(phones), {_bare(listed) for listed in all_listed}) for phones, all_listed in said]
    return _accuracy(said), _accuracy(bare)


def _lexicon() -> tuple[list[Entry], list[Entry], dict[str, set[Phones]]]:
    """The words of letters alone to learn and those held out, and every pronunciation listed for each."""
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
    entries.sort()
    return [entry for number, entry in enumerate(entries) if number % 10], entries[::10], dict(variants)


def _model(entries: Sequence[Entry], costs: dict[str, float]) -> Arrays:
    """Everything that `letters` loads, from these words alone."""
    words = dict(entries)
    once = (entry for entry in entries if sum(phone[-1] == "1" for phone in entry[1]) == 1)
    aligned = [graphones for entry in once if (graphones := _align(entry, costs)) is not None]
    seen = Counter(graphone for graphones in aligned for graphone in graphones)
    aligned = [graphones for graphones in aligned if all(seen[graphone] >= _RAREST_GRAPHONE for graphone in graphones)]
    inventory = ["^:", "$:", *sorted({graphone for graphones in aligned for graphone in graphones})]
    heads, tails = _parts(words)
    arrays = _ngrams(aligned, inventory) | _net(aligned, inventory)
    return arrays | {
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


class _Net(nn.Module):
    """The net that `letters` runs, in torch."""

    impossible: Tensor

    def __init__(self, inventory: Sequence[str]) -> None:
        super().__init__()
        self.letters = nn.Embedding(26, _WIDTH)
        self.layers = nn.ModuleList(nn.Conv1d(_WIDTH, _WIDTH, _TAPS, padding="same") for _ in range(_LAYERS))
        self.choice = nn.Linear(_WIDTH, len(inventory))
        fits = [[graphone[0] == letter for graphone in inventory] for letter in ascii_lowercase]
        self.register_buffer("impossible", ~torch.tensor(fits) * -1e4)  # (letters, graphones)

    def forward(self, letters: Tensor) -> Tensor:
        """(words, letters) → logits (words, letters, graphones), of each letter's own graphones alone."""
        seen = self.letters(letters).transpose(1, 2)
        for layer in self.layers:
            seen = seen + functional.dropout(functional.relu(layer(seen)), _DROPOUT, self.training)
        logits: Tensor = self.choice(seen.transpose(1, 2)) + self.impossible[letters]
        return logits


def _net(words: Sequence[Aligned], inventory: Sequence[str]) -> Arrays:
    """Train the net to choose each letter's graphone, and lay it out as `Net` reads it."""
    torch.set_num_threads(1)  # several may sum in any order
    torch.manual_seed(1)
    number_of = {graphone: number for number, graphone in enumerate(inventory)}
    by_length: dict[int, list[list[int]]] = defaultdict(list)  # nothing to pad
    for graphones in words:
        by_length[len(graphones)].append([number_of[graphone] for graphone in graphones])
    same_length = [torch.tensor(numbers) for numbers in by_length.values()]
    letter_of = torch.tensor([max(ord(graphone[0]) - ord("a"), 0) for graphone in inventory])

    net = _Net(inventory)
    batches = sum(-(-len(numbers) // _BATCH) for numbers in same_length)
    optimiser = torch.optim.AdamW(net.parameters(), _PEAK_RATE)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, _PEAK_RATE, total_steps=_EPOCHS * batches, pct_start=0.1)
    for _ in trange(_EPOCHS, desc="net", unit="epoch"):
        epoch = [
            numbers[some]
            for numbers in same_length
            for some in torch.randperm(len(numbers)).split(_BATCH)  # type: ignore[no-untyped-call]
        ]
        for at in torch.randperm(batches).tolist():
            logits = net(letter_of[epoch[at]])
            loss = functional.cross_entropy(logits.flatten(0, 1), epoch[at].flatten())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            rate.step()
    trained = net.state_dict()
    kernels = torch.stack([trained[f"layers.{n}.weight"].permute(2, 1, 0) for n in range(_LAYERS)])
    steps = kernels.abs().amax((1, 2)) / 127
    arrays = {
        "letters": trained["letters.weight"],
        "kernel_steps": steps,
        "biases": torch.stack([trained[f"layers.{n}.bias"] for n in range(_LAYERS)]),
        "choice": trained["choice.weight"].T,
        "choice_bias": trained["choice.bias"],
    }
    whole_steps = (kernels / steps[:, None, None]).round().to(torch.int8)
    return {"kernels": whole_steps.numpy()} | {name: array.numpy().astype(np.float16) for name, array in arrays.items()}


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


def _accuracy(said: Sequence[tuple[Phones, set[Phones]]]) -> Accuracy:
    right = wrong = total = 0
    for phones, all_listed in said:
        errors, length = min((_edits(phones, listed), len(listed)) for listed in all_listed)
        right, wrong, total = right + (errors == 0), wrong + errors, total + length
    return Accuracy(right / len(said), 1 - wrong / total)


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

"""Letter-to-sound: the likeliest CMUdict phones of an English word no lexicon knows.

A joint n-gram model over graphones (a letter with the none, one or two phones it stands for), interpolated by modified
Kneser-Ney discounting and searched with a beam. Words are read from their end: a final e or -tion tells the vowels and
the stress before it, so a narrow beam keeps what a wide one keeps from the left. A small convolutional net, which sees
the whole word before each letter, votes on every graphone. Where the lexicon has a relative of the word (its stem, a
sister with another ending, both halves of a compound), what that tells is added.

`training/letters.py` makes `data/letters.npz`; its layout:

    graphones   the inventory, sorted: "letter:phones", id 0 is a word's first edge, id 1 its last
    tokensN     of every n-gram of order N, the graphone farthest left; siblings together, in their parents' order
    childrenN   how many of level N's nodes each node of level N-1 has: a trie
    shareN      discounted probability of the last graphone after the others, as steps of 1/16 nat below 1
    restN       the probability an n-gram as a context leaves to its shorter self, likewise
    letters     the net's vector of each letter a-z: (26, width)
    kernels     (layers, taps, width, width) in kernel_steps (layers, width), biases (layers, width): the net's layers
    choice      (width, graphones), choice_bias (graphones,): from a letter's vector to its graphones' logits
    endings     "ending, the sister's ending, the last phones of the sister, phones to cut, phones to add, how sure"
    beginnings  the same for words and phones written backwards
    heads, tails    words that begin or end compounds
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from math import exp
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

LONGEST: Final = 32
"""Letters of the longest word sounded out; longer ones are no words, and the caller spells them."""

BEGIN: Final = 0
END: Final = 1
STEP: Final = 16
"""Steps of quantisation to a nat."""
ORDER: Final = 7
SHORTEST_STEM: Final = 3
LONGEST_ENDING: Final = 5

_BEAM: Final = 8
_WITHIN: Final = exp(-8)  # of the best; what is less likely so far is given up
_UNSEEN: Final = 1e-7
_ENDING: Final = 0.8
"""How much a sister's word counts against the model's. It and the next two were chosen on a tenth of their own."""
_BEGINNING: Final = 0.35
_COMPOUND: Final = 0.4
_SHORT: Final = 2
"""Graphones of a context so short that what follows it is worth remembering: there are 9 000 of them."""
_REMEMBERED: Final = 1 << 12
"""Rankings of graphones in longer ones, about 1 KB each."""
_PROBABILITY: Final = [exp(-steps / STEP) for steps in range(256)]
_PLAIN: Final = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "AE0 B K D EH0 F G HH IH0 JH K L M N AA0 P K R S T AH0 V W S IY0 Z".split(),
        strict=True,
    )
)
_VOWEL_LETTER: Final = re.compile("[aeiouy]")

Arrays = Mapping[str, npt.NDArray[Any]]
Phones = tuple[str, ...]
Known = Callable[[str], Phones | None]
"""The lexicon: a word in small letters to its phones."""
Moves = tuple[list[float], list[int]]
"""For each graphone of a letter, its probability in a context and the context after it."""
Ranked = list[tuple[float, int, int]]
Path_ = tuple[int, "Path_ | None"]
"""The graphones chosen so far, the latest first."""


class Graphones:
    """The n-gram model in memory: one table from (node, graphone) to node, and two probabilities a node.

    A context is a node, that of the longest n-gram known; node 0 is the empty one.
    """

    def __init__(self, arrays: Arrays) -> None:
        inventory = [graphone.partition(":") for graphone in arrays["graphones"].tolist()]
        self._phones = [tuple(phones.split()) for _, _, phones in inventory]
        self._stresses = [sum(phone[-1] == "1" for phone in phones) for phones in self._phones]
        letters = [letter for letter, _, _ in inventory]
        self._ranges = {letter: (letters.index(letter), letters.count(letter)) for letter in set(letters)}
        self._size = len(inventory)
        levels: list[npt.NDArray[np.int64]] = []  # keys: node * size + graphone
        tokens_of = [arrays[f"tokens{order}"].astype(np.int64) for order in range(1, ORDER + 1)]
        first_parent, first = 0, 1
        for order, tokens in enumerate(tokens_of, 1):
            children = arrays[f"children{order}"]
            parents = first_parent + np.repeat(np.arange(len(children), dtype=np.int64), children)
            levels.append(parents * self._size + tokens)
            first_parent, first = first, first + len(tokens)
        keys = np.concatenate(levels)  # ascending as they come
        shorter = np.zeros(len(keys) + 1, np.int64)  # each context without its oldest graphone
        first = 1 + len(levels[0])
        for level in levels[1:]:
            wanted = shorter[level // self._size] * self._size + level % self._size
            shorter[first : first + len(level)] = np.searchsorted(keys, wanted) + 1
            first += len(level)
        context = np.arange(len(keys) + 1)  # what nothing is known to follow is a context no longer
        goes_on = np.zeros(len(keys) + 1, np.bool_)
        goes_on[keys // self._size] = True
        for _ in range(ORDER):
            context = np.where(goes_on[context], context, shorter[context])
        shares = [arrays[f"share{n}"] for n in range(1, ORDER + 1)]
        rests = [arrays[f"rest{n}"] for n in range(1, ORDER)]
        self._rest = np.concatenate([np.zeros(1, np.uint8), *rests, np.zeros(len(levels[-1]), np.uint8)]).tobytes()
        self._share = np.concatenate([np.zeros(1, np.uint8), *shares]).tobytes()
        # Searched by halving, in 5 MB; a dict of them would take 60 in every process.
        self._keys = array("q", keys.tobytes())
        self._shorter = array("i", shorter.astype(np.int32).tobytes())
        self._context = array("i", context.astype(np.int32).tobytes())
        self._long = 1 + sum(len(level) for level in levels[:_SHORT])  # the first context that is not short
        self._net = Net(arrays, self._ranges)
        self._remembered: dict[tuple[int, str], Moves] = {}
        self._rankings: dict[tuple[int, str], Ranked] = {}

    def candidates(self, word: str) -> dict[Phones, float]:
        """Phones for a word of letters a-z with their probabilities; each has at most one primary stress."""
        start = self._moves(0, "$")[1][0]
        beam: dict[tuple[int, int], tuple[float, Path_ | None]] = {(start, 0): (1.0, None)}  # (context, stresses)
        for letter, votes in zip(reversed(word), reversed(self._net.votes(word)), strict=True):
            ranked = sorted(beam.items(), key=_score, reverse=True)[:_BEAM]
            first = self._ranges[letter][0]
            beam, best = {}, 0.0
            for (context, stresses), (score, path) in ranked:
                for probability, number, after in self._ranked(context, letter):
                    if score * probability < best * _WITHIN:
                        break
                    total = score * probability * votes[number - first]
                    state = after, stresses + self._stresses[number]
                    if state[1] <= 1 and (state not in beam or total > beam[state][0]):
                        beam[state] = total, (number, path)
                        best = max(best, total)
        found: dict[Phones, float] = {}
        for (context, _), (score, path) in sorted(beam.items(), key=_score, reverse=True)[:_BEAM]:
            phones = self._said(path)
            found[phones] = found.get(phones, 0.0) + score * self._moves(context, "^")[0][0]
        whole = sum(found.values())
        return {phones: score / whole for phones, score in found.items()}

    def _ranked(self, context: int, letter: str) -> Ranked:
        """The letter's graphones in a context, the likeliest first: probability, graphone, the context after it."""
        key = context, letter
        if key not in self._rankings:
            if len(self._rankings) >= _REMEMBERED:
                self._rankings.clear()
            moves = self._moves(context, letter)
            first, count = self._ranges[letter]
            ranked = sorted(zip(moves[0], range(first, first + count), moves[1], strict=True), reverse=True)
            self._rankings[key] = [move for move in ranked if move[0] >= ranked[0][0] * _WITHIN]
        return self._rankings[key]

    def _moves(self, context: int, letter: str) -> Moves:
        """The letter's graphones in a context, in their order. Remembered for the short contexts, which all share."""
        remembered = self._remembered.get((context, letter))
        if remembered is not None:
            return remembered
        first, count = self._ranges[letter]
        known: list[tuple[int, float, int]] = []  # graphone, share of the probability, context after it
        rest, here = 1.0, context
        base: Moves | None = None
        while base is None:
            key = here * self._size + first
            at = bisect_left(self._keys, key)
            while at < len(self._keys) and self._keys[at] < key + count:
                share = rest * _PROBABILITY[self._share[at + 1]]
                known.append((self._keys[at] - key, share, self._context[at + 1]))
                at += 1
            rest *= _PROBABILITY[self._rest[here]]
            if here == 0:
                base = [_UNSEEN] * count, [0] * count
            else:
                here = self._shorter[here]
                base = self._moves(here, letter) if here < self._long else None
        probabilities, after = [rest * probability for probability in base[0]], base[1].copy()
        for number, share, then in reversed(known):  # what follows a longer context comes last, and stays
            probabilities[number] += share
            after[number] = then
        if context < self._long:
            self._remembered[context, letter] = probabilities, after
        return probabilities, after

    def _said(self, path: Path_ | None) -> Phones:
        phones: list[str] = []
        while path:
            phones += self._phones[path[0]]
            path = path[1]
        return tuple(phones)


class Net:
    """Convolutions over a word's letters; each layer adds to what the ones before made of them."""

    def __init__(self, arrays: Arrays, ranges: Mapping[str, tuple[int, int]]) -> None:
        names = ("letters", "kernels", "kernel_steps", "biases", "choice", "choice_bias")
        self._letters, kernels, steps, self._biases, choice, choice_bias = (arrays[n].astype(np.float32) for n in names)
        self._kernels = kernels * steps[:, None, None]
        self._choices = {
            letter: (choice[:, first : first + count], choice_bias[first : first + count])
            for letter, (first, count) in ranges.items()
        }

    def votes(self, word: str) -> list[list[float]]:
        """For each letter, a weight of at most 1 of each of its graphones, in their order."""
        beyond = self._kernels.shape[1] // 2
        # (letters, width); zeros stand beyond the word's edges
        seen = np.pad(self._letters[[ord(letter) - ord("a") for letter in word]], ((beyond, beyond), (0, 0)))
        inside = seen[beyond : beyond + len(word)]
        for kernel, bias in zip(self._kernels, self._biases, strict=True):
            # tap by tap: products this small are made on one thread, whatever the process may use
            around = sum(seen[at : at + len(word)] @ tap for at, tap in enumerate(kernel))
            inside += np.maximum(around + bias, 0)
        votes = []
        for letter, vector in zip(word, inside, strict=True):
            choice, bias = self._choices[letter]
            logits = vector @ choice + bias
            likely = np.exp(logits - logits.max())
            votes.append(np.maximum(likely / likely.sum(), _UNSEEN).tolist())
        return votes


class Sisters:
    """Rules from a known word to an unknown one of the same stem: their endings, and the change in the phones."""

    def __init__(self, rows: list[str], known: Known) -> None:
        self._known = known
        self._rules: dict[str, dict[str, dict[str, tuple[int, Phones, float]]]] = {}
        for row in rows:
            ending, sister, last, cut, added, sure = row.split(",")
            rules = self._rules.setdefault(ending, {}).setdefault(sister, {})
            rules[last] = int(cut), tuple(added.split()), float(sure)

    def candidates(self, word: str) -> dict[Phones, float]:
        """What the word's sisters let expect, each with how sure it is."""
        found: dict[Phones, float] = {}
        for at in range(max(SHORTEST_STEM, len(word) - LONGEST_ENDING), len(word)):
            for sister, rules in self._rules.get(word[at:], {}).items():
                phones = self._known(word[:at] + sister)
                if phones:
                    rule = rules.get(" ".join(phones[-2:])) or rules.get(phones[-1]) or rules.get("")
                    if rule:
                        cut, added, sure = rule
                        said = phones[: len(phones) - cut] + added
                        found[said] = 1 - (1 - sure) * (1 - found.get(said, 0.0))  # sisters that agree
        return found


class LetterToSound:
    """The model, and the words it may compare with."""

    def __init__(self, arrays: Arrays, known: Known) -> None:
        self._graphones = Graphones(arrays)
        self._known = known
        self._by_ending = Sisters(arrays["endings"].tolist(), known)
        self._by_beginning = Sisters(arrays["beginnings"].tolist(), lambda word: _reversed(known(word[::-1])))
        self._heads = frozenset(arrays["heads"].tolist())
        self._tails = frozenset(arrays["tails"].tolist())

    def phones_for(self, word: str) -> Phones:
        """The phones of a word of at most LONGEST letters a-z, with exactly one primary stress if any is a vowel."""
        scores = self._graphones.candidates(word) or {plainly(word): 0.0}
        for phones, sure in self._by_ending.candidates(word).items():
            scores[phones] = scores.get(phones, 0.0) + _ENDING * sure
        for turned, sure in self._by_beginning.candidates(word[::-1]).items():
            phones = turned[::-1]
            scores[phones] = scores.get(phones, 0.0) + _BEGINNING * sure
        for phones in set(compounds(word, self._known, self._heads, self._tails)):
            scores[phones] = scores.get(phones, 0.0) + _COMPOUND
        ranked = sorted(scores, key=lambda phones: -scores[phones])
        stressed = next((phones for phones in ranked if _is_stressed_once(phones)), None)
        # the e of `bbe` is most likely silent, but a word has a vowel
        return stressed or stressed_once(next((phones for phones in ranked if _has_vowel(phones)), plainly(word)))


def _has_vowel(phones: Phones) -> bool:
    return any(phone[-1].isdigit() for phone in phones)


def _reversed(phones: Phones | None) -> Phones | None:
    return phones[::-1] if phones else None


def compounds(word: str, known: Known, heads: frozenset[str], tails: frozenset[str]) -> Iterator[Phones]:
    """What the word would be as a compound of two known words, one of them in its list; stressed on the first."""
    for at in range(SHORTEST_STEM, len(word) - SHORTEST_STEM + 1):
        head, tail = word[:at], word[at:]
        if head in heads or tail in tails:
            first, second = known(head), known(tail)
            if first and second:
                yield first + tuple(phone.replace("1", "2") for phone in second)


def plainly(word: str) -> Phones:
    """One phone for each letter of a word of a-z, its first vowel stressed: crude, but in microseconds."""
    phones = [_PLAIN[letter] for letter in word]
    vowel = _VOWEL_LETTER.search(word)
    if vowel:
        phones[vowel.start()] = phones[vowel.start()][:-1] + "1"
    return tuple(phones)


def stressed_once(phones: Phones) -> Phones:
    """With exactly one primary stress: the first of several stays, or the first vowel takes it."""
    vowels = [n for n, phone in enumerate(phones) if phone[-1].isdigit()]
    primary = next((n for digit in "120" for n in vowels if phones[n][-1] == digit), None)
    return tuple(
        phone[:-1] + "1" if n == primary else phone[:-1] + "2" if phone[-1] == "1" else phone
        for n, phone in enumerate(phones)
    )


def _score(state: tuple[tuple[int, int], tuple[float, Path_ | None]]) -> float:
    return state[1][0]


def _is_stressed_once(phones: Phones) -> bool:
    return sum(phone[-1] == "1" for phone in phones) == 1


def load(known: Known) -> LetterToSound:
    """The model that ships."""
    with np.load(Path(__file__).parent / "data" / "letters.npz", allow_pickle=False) as arrays:
        return LetterToSound({name: arrays[name] for name in arrays.files}, known)

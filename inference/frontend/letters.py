"""Letter-to-sound: the likeliest CMUdict phones of an English word no lexicon knows.

A joint n-gram model over graphones (a letter with the none, one or two phones it stands for), interpolated by
absolute discounting and searched with a beam. `training/letters.py` makes `data/letters.npz`; its layout, one level of
a trie for each order N:

    graphones   the inventory: "letter:phones", id 0 begins a word, id 1 ends it
    tokensN     the last graphone of every n-gram, siblings together, in the order of their parents
    childrenN   how many of level N's nodes each node of level N-1 has
    shareN      discounted probability of the last graphone after the others, as steps of 1/16 nat below 1
    restN       the probability an n-gram as a context leaves to its shorter self, likewise
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from functools import cache, lru_cache
from math import exp, log
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
ORDER: Final = 6
_BEAM: Final = 10
_WITHIN: Final = 6.0  # nats behind the best; a quarter faster than no limit, and 5 of 400 words come out otherwise
_PROBABILITY: Final = [exp(-steps / STEP) for steps in range(256)]

Arrays = Mapping[str, npt.NDArray[Any]]


class Graphones:
    """The model in memory: one table from (node, graphone) to node, and two probabilities a node."""

    def __init__(self, arrays: Arrays) -> None:
        self._phones: list[tuple[str, ...]] = []
        self._of_letter: dict[str, list[int]] = {}
        for number, graphone in enumerate(arrays["graphones"].tolist()):
            letter, _, phones = graphone.partition(":")
            self._phones.append(tuple(phones.split()))
            if number > END:
                self._of_letter.setdefault(letter, []).append(number)
        self._size = len(self._phones)
        share, rest = [np.zeros(1, np.uint8)], [np.zeros(1, np.uint8)]
        keys: list[npt.NDArray[np.int64]] = []
        first_parent, first = 0, 1  # node 0 is the empty context
        for order in range(1, ORDER + 1):
            tokens = arrays[f"tokens{order}"].astype(np.int64)
            children = arrays[f"children{order}"]
            parents = first_parent + np.repeat(np.arange(len(children), dtype=np.int64), children)
            keys.append(parents * self._size + tokens)
            share.append(arrays[f"share{order}"])
            rest.append(arrays[f"rest{order}"] if order < ORDER else np.zeros(len(tokens), np.uint8))
            first_parent, first = first, first + len(tokens)
        # Ascending as they come, so a search finds a child in 5 MB; a dict of them would take 60 in every process.
        self._keys = array("q", np.concatenate(keys).tobytes())
        self._share = np.concatenate(share).tobytes()
        self._rest = np.concatenate(rest).tobytes()

    def phones_for(self, word: str) -> tuple[str, ...]:
        """The phones of a word of letters a-z; `()` if none was found."""
        start = (0.0, self._step((0,), BEGIN)[1], ())
        beam: list[tuple[float, tuple[int, ...], tuple[int, ...]]] = [start]
        for letter in word:
            grown = []
            for score, context, said in beam:
                for graphone in self._of_letter.get(letter, ()):
                    probability, after = self._step(context, graphone)
                    grown.append((score + log(probability), after, (*said, graphone)))
            grown.sort(key=lambda path: -path[0])
            beam = [path for path in grown[:_BEAM] if path[0] > grown[0][0] - _WITHIN]
        ended = [(score + log(self._step(context, END)[0]), said) for score, context, said in beam]
        ended.sort(key=lambda path: -path[0])
        spoken = [tuple(phone for graphone in said for phone in self._phones[graphone]) for _, said in ended]
        once = (phones for phones in spoken if sum(phone[-1] == "1" for phone in phones) == 1)
        return next(once, _stressed(spoken[0]) if spoken else ())

    def _step(self, context: tuple[int, ...], graphone: int) -> tuple[float, tuple[int, ...]]:
        """P(graphone | context) and the context after it. A context is its nodes, from the empty one to the longest."""
        probability = 1e-7  # of a graphone never seen at all
        after = [0]
        found = True  # what is unknown after a context is unknown after every longer one
        for node in context:
            probability *= _PROBABILITY[self._rest[node]]
            if found:
                key = node * self._size + graphone
                at = bisect_left(self._keys, key)
                found = at < len(self._keys) and self._keys[at] == key
                if found:
                    probability += _PROBABILITY[self._share[at + 1]]
                    after.append(at + 1)
        return probability, tuple(after[:ORDER])


def _stressed(phones: tuple[str, ...]) -> tuple[str, ...]:
    """With exactly one primary stress: the first of several stays, or the first vowel takes it."""
    vowels = [n for n, phone in enumerate(phones) if phone[-1].isdigit()]
    primary = next((n for digit in "120" for n in vowels if phones[n][-1] == digit), None)
    return tuple(
        phone[:-1] + "1" if n == primary else phone[:-1] + "2" if phone[-1] == "1" else phone
        for n, phone in enumerate(phones)
    )


@lru_cache(maxsize=1 << 12)
def phones_for(word: str) -> tuple[str, ...]:
    """The phones of a lower-case word of at most LONGEST letters; `()` if none was found."""
    return _model().phones_for(word)


@cache
def _model() -> Graphones:
    with np.load(Path(__file__).parent / "data" / "letters.npz", allow_pickle=False) as arrays:
        return Graphones({name: arrays[name] for name in arrays.files})

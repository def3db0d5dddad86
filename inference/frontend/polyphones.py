"""Polyphonic characters that stand alone, read by what stands around them: a log-linear model whose features vote.

`contexts.tsv` and `senses` know what somebody wrote down; the model has learnt from thousands of phrases
(`training/polyphones.tsv`), in which what they say is one witness among many. A word it has never seen is known by its
part of speech and by what it names (`classes.tsv`).
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from inference.frontend.hanzi import DATA, rows

if TYPE_CHECKING:
    from inference.frontend.context import Place

FILE: Final = DATA / "polyphones.npz"
NEAR: Final = 5
"""Words and characters on either side that may vote, wherever they stand."""
AHEAD: Final = 3
"""Words in which the next noun is looked for, and the one before."""


class Model:
    """Of each character its readings, and for every feature what it votes for each of them, in whole numbers."""

    def __init__(self, readings: dict[str, tuple[str, ...]], votes: dict[str, dict[str, tuple[int, ...]]]) -> None:
        self._readings = readings
        self._votes = votes

    def __contains__(self, char: str) -> bool:
        return char in self._readings

    def choose(self, char: str, place: Place, told: str) -> str:
        """The reading most is said for; `told` is what the tables say."""
        known, readings = self._votes[char], self._readings[char]
        cast = [votes for votes in map(known.get, features(place, told)) if votes]
        if not cast:
            return told
        totals = dict(zip(readings, map(sum, zip(*cast, strict=True)), strict=True))
        best = max(totals.values())
        return told if totals.get(told) == best else next(reading for reading in readings if totals[reading] == best)


@cache
def model() -> Model:
    """The one that ships."""
    with np.load(FILE) as arrays:
        pairs = (pair.split(":") for pair in str(arrays["readings"]).split())
        readings = {char: tuple(given.split(",")) for char, given in pairs}
        names, weights = str(arrays["features"]).split("\n"), arrays["weights"].tolist()
    votes: dict[str, dict[str, tuple[int, ...]]] = {char: {} for char in readings}
    for name, row in zip(names, weights, strict=True):
        votes[name[0]][name[1:]] = tuple(row[: len(readings[name[0]])])
    return Model(readings, votes)


@cache
def _classes() -> dict[str, str]:
    """What a word names: 人 for a person, 食 for what is eaten."""
    pairs = (row.split("\t") for row in rows("classes.tsv"))
    return {word: name for name, words in pairs for word in words.split()}


@lru_cache(maxsize=1 << 15)
def class_of(word: str) -> str:
    """Of the word, or of the end of it that is known: 人 of 推销员, for 员 is one. `""` when nothing is."""
    known = _classes()
    return next((known[word[at:]] for at in range(len(word)) if word[at:] in known), "")


def features(place: Place, told: str) -> list[str]:
    """What may vote: the table's word, neighbours as they are, by part of speech and by class, and what is near."""
    words, number, text, at, end, tag = place.words, place.number, place.text, place.at, place.end, place.tag
    behind, ahead = words[max(0, number - NEAR) : number][::-1], words[number + 1 : number + 1 + NEAR]
    before, before2, *_ = *behind, "^", "^"
    after, after2, *_ = *ahead, "$", "$"
    tag_before, tag_after = tag(before)[:2], tag(after)[:2]
    voters = [
        "",
        "=" + told,
        "<" + before,
        ">" + after,
        "<<" + before2,
        ">>" + after2,
        "<t" + tag_before,
        ">t" + tag_after,
        f"<<t{tag(before2)[:2]},{tag_before}",
        f">>t{tag_after},{tag(after2)[:2]}",
        "<c" + text[at - 1],
        ">c" + text[end],
        "<e" + before[-1] + tag_before[:1],
        ">e" + after[-1],
        "<k" + class_of(before),
        ">k" + class_of(after),
        "<<k" + class_of(before2),
        ">>k" + class_of(after2),
    ]
    for sign, others in (("<", behind), (">", ahead)):
        noun = next((other for other in others[:AHEAD] if tag(other)[:1] == "n"), "")
        voters += (f"{sign}n{noun}", f"{sign}nk{class_of(noun)}")
        voters += ["~" + other for other in dict.fromkeys(others)]
        voters += [f"{sign}~k{kind}" for kind in dict.fromkeys(map(class_of, others))]
    voters += ["<~" + char for char in dict.fromkeys(text[max(1, at - NEAR) : at])]
    voters += [">~" + char for char in dict.fromkeys(text[end : min(end + NEAR, len(text) - 1)])]
    return voters

"""Polyphonic characters that stand alone, read by what stands around them: a log-linear model whose features vote.

`contexts.tsv` and `senses` know what somebody wrote down; the model has learnt from thousands of phrases
(`training/polyphones.tsv`), in which what they say is one witness among many. A word it has never seen is known by its
part of speech and by what it names (`classes.tsv`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from inference.frontend.hanzi import DATA, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        cast = [known[feature] for feature in features(place, told) if feature in known]
        if not cast:
            return told
        totals = [sum(votes) for votes in zip(*cast, strict=True)]
        return readings[totals.index(max(totals))]


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


def class_of(word: str) -> str:
    """Of the word, or of the end of it that is known: 人 of 推销员, for 员 is one. `""` when nothing is."""
    known = _classes()
    return next((known[word[at:]] for at in range(len(word)) if word[at:] in known), "")


def features(place: Place, told: str) -> Iterator[str]:
    """What may vote: the table's word, neighbours as they are, by part of speech and by class, and what is near."""
    words, number, text, at, end = place.words, place.number, place.text, place.at, place.end

    def word(offset: int) -> str:
        index = number + offset
        return "^" if index < 0 else words[index] if index < len(words) else "$"

    def tag(of: str) -> str:
        return place.tag(of)[:2]

    before, after, before2, after2 = word(-1), word(1), word(-2), word(2)
    tag_before, tag_after = tag(before), tag(after)
    yield ""
    yield f"={told}"
    yield f"<{before}"
    yield f">{after}"
    yield f"<<{before2}"
    yield f">>{after2}"
    yield f"<t{tag_before}"
    yield f">t{tag_after}"
    yield f"<<t{tag(before2)},{tag_before}"
    yield f">>t{tag_after},{tag(after2)}"
    yield f"<c{text[at - 1]}"
    yield f">c{text[end]}"
    yield f"<e{before[-1]}{tag_before[:1]}"
    yield f">e{after[-1]}"
    yield f"<k{class_of(before)}"
    yield f">k{class_of(after)}"
    yield f"<<k{class_of(before2)}"
    yield f">>k{class_of(after2)}"
    behind, ahead = words[max(0, number - NEAR) : number], words[number + 1 : number + 1 + NEAR]
    for sign, others in (("<", behind[::-1]), (">", ahead)):
        noun = next((other for other in others[:AHEAD] if place.tag(other)[:1] == "n"), "")
        yield f"{sign}n{noun}"
        yield f"{sign}nk{class_of(noun)}"
        for other in {*others}:
            yield f"~{other}"
        for kind in {class_of(other) for other in others}:
            yield f"{sign}~k{kind}"
    for char in {*text[max(1, at - NEAR) : at]}:
        yield f"<~{char}"
    for char in {*text[end : end + NEAR]}:
        yield f">~{char}"

"""Where the words that are said stand in the text as it was written: 八点半 in `8:30`, `Doctor` in `Dr.`.

What is the same in both is found side by side; what lies between is one place. A place is never before the one of an
earlier word. Pure, and linear in the text: what is looked through is passed over, or was twice as long at the most.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from inference.frontend.segment import HANZI

_TOKEN: Final = re.compile(
    rf"[{HANZI}]"
    rf"|[^\W\d_{HANZI}]+(?:['’][^\W\d_{HANZI}]+)*"
    r"|\d+(?:[.,:：/-]\d+)*"
    r"|[^\w\s，。！？；：、“”‘’（）《》〈〉「」『』【】〔〕…—–―·～,.!?;:'\"()\[\]{}]"
)
"""A hanzi, a word of letters, a figure, or a sign that may be said; marks that only make pauses are in none."""
_FULL_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if chr(code).isalnum()}
_NUMERALS: Final = frozenset(
    "零 〇 一 二 两 三 四 五 六 七 八 九 十 百 千 万 亿 点 负 zero oh one two three four five six seven eight nine ten "
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty "
    "seventy eighty ninety hundred thousand million billion point and".split()
)
"""What figures are said with: that they are found again in the text may be chance."""
_FIRST_LOOK: Final = 16
"""Tokens looked ahead for the place where both go on alike, doubled until it is found."""
_FIGURES_ARE_SHORT: Final = 3
"""Passing over a written token counts as much as passing over so many said ones: 35 is 三十五."""
_SMALL: Final = 400
"""Pairs of tokens compared one by one between two places that are alike."""


class Place(NamedTuple):
    """Characters of a text, from `start` to before `end`."""

    start: int
    end: int


@dataclass(slots=True)
class _Tokens:
    """What is compared, and where it stands."""

    names: list[str]
    places: list[Place]


def places(text: str, words: Sequence[str]) -> list[Place]:
    """Where each word is written. Words that were written together have the same place; no place overlaps another."""
    written = _tokens(text)
    said = _Tokens([], [])
    for number, word in enumerate(words):
        names = _tokens(word).names
        said.names += names
        said.places += [Place(number, number + 1)] * len(names)
    found: list[Place | None] = [None] * len(words)
    for (i, j), (next_i, next_j) in _gaps(_alike(said.names, written.names), len(said.names), len(written.names)):
        if i < next_i and j < next_j:
            place = Place(written.places[j].start, written.places[next_j - 1].end)
            for token in range(i, next_i):
                _widen(found, said.places[token].start, place)
        if next_i < len(said.names):
            _widen(found, said.places[next_i].start, written.places[next_j])
    return _apart(found)


def _tokens(text: str) -> _Tokens:
    matches = list(_TOKEN.finditer(text.translate(_FULL_WIDTH)))
    return _Tokens([_folded(match.group()) for match in matches], [Place(*match.span()) for match in matches])


def _folded(token: str) -> str:
    if token.isascii():
        return token.lower()
    letters = unicodedata.normalize("NFKD", token.replace("’", "'")).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _alike(said: list[str], written: list[str]) -> list[tuple[int, int]]:
    """Pairs of tokens that are the same, in the order of both."""
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(said) and j < len(written):
        if said[i] == written[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
            continue
        next_i, next_j = _meet(said, written, i, j)
        pairs += _inside(said, written, (i, next_i), (j, next_j))
        i, j = next_i, next_j
    return pairs


def _meet(said: list[str], written: list[str], i: int, j: int) -> tuple[int, int]:
    """The nearest place from which both go on with the same two tokens, or their ends."""
    look = _FIRST_LOOK
    while True:
        there: dict[tuple[str, str], int] = {}
        for at in range(j, min(j + look, len(written) - 1)):
            there.setdefault((written[at], written[at + 1]), at)
        best, cost = (len(said), len(written)), look
        for at in range(i, min(i + look, len(said) - 1)):
            pair = said[at], said[at + 1]
            found = there.get(pair)
            if found is None or (pair[0] in _NUMERALS and pair[1] in _NUMERALS):
                continue
            passed = at - i + _FIGURES_ARE_SHORT * (found - j)
            if passed < cost:
                best, cost = (at, found), passed
        if cost < look or look > len(said) + _FIGURES_ARE_SHORT * len(written):
            return best
        look *= 2


def _inside(said: list[str], written: list[str], i: tuple[int, int], j: tuple[int, int]) -> list[tuple[int, int]]:
    """The most tokens of two short stretches that are the same: 点 in 八点三十 and in 8点30."""
    rows, columns = i[1] - i[0], j[1] - j[0]
    if not rows * columns or rows * columns > _SMALL:
        return []
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    same = [
        [said[i[0] + row] == written[j[0] + column] and said[i[0] + row] not in _NUMERALS for column in range(columns)]
        for row in range(rows)
    ]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            best[row][column] = (
                best[row + 1][column + 1] + 1
                if same[row][column]
                else max(best[row + 1][column], best[row][column + 1])
            )
    pairs = []
    row = column = 0
    while row < rows and column < columns:
        if same[row][column]:
            pairs.append((i[0] + row, j[0] + column))
            row, column = row + 1, column + 1
        elif best[row + 1][column] >= best[row][column + 1]:
            row += 1
        else:
            column += 1
    return pairs


def _gaps(pairs: list[tuple[int, int]], said: int, written: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """What lies between the pairs: after one, and up to the next or to the end of both."""
    begins = [(0, 0), *((i + 1, j + 1) for i, j in pairs)]
    return list(zip(begins, [*pairs, (said, written)], strict=True))


def _widen(found: list[Place | None], word: int, place: Place) -> None:
    known = found[word]
    found[word] = place if known is None else Place(known.start, max(known.end, place.end))


def _apart(found: list[Place | None]) -> list[Place]:
    """Every word has a place; those that overlap are one. What was written nowhere is said where the last word is."""
    last = next((place for place in found if place is not None), Place(0, 0))
    groups: list[tuple[Place, int]] = []  # a place, and how many words are said there
    for place in found:
        last, count = place or last, 1
        while groups and last.start < groups[-1][0].end:
            before, words = groups.pop()
            last, count = Place(min(before.start, last.start), max(before.end, last.end)), count + words
        groups.append((last, count))
    return [place for place, count in groups for _ in range(count)]

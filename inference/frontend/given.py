"""Readings given by the user: found in a text as it was written, and known again in the normalised one.

`mark` makes one pass over the text before the normaliser, for `<行|hang2>` and for the lexicon's keys elsewhere. Words
in another word's place are simply put there. Where pinyin or phones are given, the text stays fit for the rules around
it, and a stand-in is left by which `mandarin_words` and `english_word` know the place again: numbers, words, breaks and
sandhi are those of the whole sentence. Pure; linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from inference.frontend.lexicon import (
    GIVEN_RULES,
    LATIN,
    MAX_KEY,
    MAX_READING,
    OVERRIDE,
    USER_LEXICON,
    Given,
    Lexicon,
    ReadingError,
    parse_reading,
)
from inference.frontend.mandarin import Spelling
from inference.frontend.phones import is_voiceless_english
from inference.frontend.sandhi import is_rhotic, syllable_starts
from inference.frontend.segment import HANZI
from inference.frontend.words import Change

# Noncharacters, which Unicode leaves to programs for inside use; both lie in HANZI, so rules take them for hanzi.
_BEFORE: Final = "\U0002ffff"
"""Stands after hanzi whose pinyin is given. They stay where they are, for the rules that look at them: 2<个|ge4>."""
_HERE: Final = "\U0002fffe"
"""Stands for other characters that are said in pinyin: T恤, 5G."""
_WORD: Final = "jqz"
"""Stands for what is said in phones, as far as the text has no such word: no acronym, Roman number or unit."""

_INLINE: Final = re.compile(rf"<(?!\s)([^<>|\n]{{0,{MAX_KEY}}})(?<!\s)\|(?!\s)([^<>|\n]{{0,{MAX_READING}}})(?<!\s)>")
_MARKS: Final = re.compile(f"([{_BEFORE}{_HERE}])")
_ALL_HANZI: Final = re.compile(f"[{HANZI}]+")
_RUN_TOGETHER: Final = re.compile(rf"[{LATIN}'’][{LATIN}]|[{LATIN}]['’](?![sS](?![{LATIN}]))[{LATIN}]")
_NO_STAND_INS: Final = {ord(_BEFORE): "\ufffd", ord(_HERE): "\ufffd"}
"""A text's own noncharacters say nothing; this says nothing either, and is reported."""
_SIBILANTS: Final = frozenset("S Z SH ZH CH JH".split())

Words = tuple[list[Spelling], list[str]]
"""The words of a run of hanzi, and its characters that are in none."""


class OverrideError(ValueError):
    """A reading given inside the text is not as it should be."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(offset, reason)
        self.offset = offset
        """Characters of the text before it."""
        self.reason = reason

    def moved(self, characters: int) -> OverrideError:
        """The same fault, told of a text that has so many characters more before it."""
        return OverrideError(self.offset + characters, self.reason)

    def __str__(self) -> str:
        return f"at offset {self.offset} of the text: {self.reason}"


@dataclass(frozen=True, slots=True)
class Marked:
    """A text, with stand-ins for what is given in it."""

    text: str
    given: tuple[Given, ...] = ()
    """For each stand-in, in the text's order, which no rule changes."""
    changes: tuple[Change, ...] = ()
    """Words put in the place of others."""
    stand_ins: re.Pattern[str] | None = None
    """Finds the stand-ins; None if there are none."""

    def restore(self, text: str, ahead: Iterator[Given]) -> str:
        """A part of the normalised text without stand-ins; `ahead` gives what they stand for."""
        if self.stand_ins is None:
            return text

        def written(match: re.Match[str]) -> str:
            item = next(ahead, None)
            return "" if match.group() == _BEFORE else item.text if item else "…"

        return self.stand_ins.sub(written, text)

    def all_changes(self, later: tuple[Change, ...]) -> tuple[Change, ...]:
        """These changes and those of the normaliser after them, without stand-ins."""
        if self.stand_ins is None:
            return self.changes + later
        unknown: Iterator[Given] = iter(())
        shown = (Change(c.rule, self.restore(c.before, unknown), self.restore(c.after, unknown)) for c in later)
        return (*self.changes, *shown)


def mark(text: str, lexicon: Lexicon | None) -> Marked:
    """Put stand-ins where readings are given, and words where words are.

    OverrideError, with the offset, if what has the form `<…|…>` is not a text and a reading for it.
    """
    if lexicon is None and "<" not in text:
        return Marked(text)
    found = list(_find(text, lexicon))
    items = tuple(piece for *_, piece in found if isinstance(piece, Given))
    changes = tuple(piece for *_, piece in found if isinstance(piece, Change))
    if not found:
        return Marked(text)
    word, small = _WORD, text.lower()
    while word in small:
        word += _WORD[-1]
    parts: list[str] = [""]
    at = 0
    for start, stop, piece in found:
        if at < start:
            _append(parts, text[at:start].translate(_NO_STAND_INS))
        _append(parts, piece.after if isinstance(piece, Change) else _stand_in(piece, word))
        at = stop
    _append(parts, text[at:].translate(_NO_STAND_INS))
    stand_ins = re.compile(f"{_BEFORE}|{_HERE}|{word}", re.IGNORECASE) if items else None
    return Marked("".join(parts), items, changes, stand_ins)


def mandarin_words(run: str, given: Iterator[Given], words_of: Callable[[str], Words]) -> Words:
    """A run's words as `words_of` finds them, with what is given for the stand-ins in it in place of their readings."""
    said: list[Spelling] = []
    unspoken: list[str] = []
    parts: list[str] = []
    places: list[_Place] = []
    length = 0

    def close() -> None:
        nonlocal length
        stretch = "".join(parts)
        words, silent = words_of(stretch)
        if places:
            words, silent = _put_in(stretch, words, places)
        said.extend(words)
        unspoken.extend(silent)
        parts.clear()
        places.clear()
        length = 0

    for piece in _MARKS.split(run):
        if piece not in {_BEFORE, _HERE}:
            parts.append(piece)
            length += len(piece)
            continue
        item = next(given)
        at = parts[-1].rfind(item.text) if piece == _BEFORE else -1
        if at >= 0:
            begin = length - len(parts[-1]) + at
            places.append(_Place(begin, begin + len(item.text), item))
        else:
            close()
            said.append(Spelling(item.text, item.readings, item.rule))
    close()
    return said, unspoken


def exchanged(words: list[Spelling], lexicon: Lexicon) -> list[Spelling]:
    """The words, with another reading for the characters for which the lexicon has one in place of theirs."""
    said = []
    for word in words:
        chars = (word.text[begin] for begin, *_ in _spans(word.text, word.readings))
        found = [lexicon.exchange(char, reading) for char, reading in zip(chars, word.readings, strict=True)]
        if any(found):
            readings = tuple(new or old for new, old in zip(found, word.readings, strict=True))
            said.append(Spelling(word.text, readings, USER_LEXICON))
        else:
            said.append(word)
    return said


def english_word(token: str, item: Given) -> Spelling:
    """The word that a token's stand-in stands for, and the possessive after it if there is one."""
    _, apostrophe, ending = token.partition("'")
    if not apostrophe:
        return Spelling(item.text, item.readings, item.rule)
    last = item.readings[-1]
    sound = ("IH0", "Z") if last in _SIBILANTS else ("S",) if is_voiceless_english(last) else ("Z",)
    return Spelling(item.text + apostrophe + ending, item.readings + sound, item.rule)


def _find(text: str, lexicon: Lexicon | None) -> Iterator[tuple[int, int, Given | Change]]:
    """Whatever is given in the text from left to right, with where it begins and ends."""
    at = 0
    for match in _INLINE.finditer(text):
        yield from _keys(text, at, match.start(), lexicon)
        at = match.end()
        written, reading = match.groups()
        try:
            item = parse_reading(written, reading, OVERRIDE)
        except ReadingError as error:
            raise OverrideError(match.start(), f"{match.group()}: {error}") from None
        yield match.start(), at, Change(OVERRIDE, written, item) if isinstance(item, str) else item
    yield from _keys(text, at, len(text), lexicon)


def _keys(text: str, start: int, end: int, lexicon: Lexicon | None) -> Iterator[tuple[int, int, Given | Change]]:
    if lexicon is not None:
        for begin, stop, entry in lexicon.find(text, start, end):
            yield begin, stop, Change(USER_LEXICON, text[begin:stop], entry) if isinstance(entry, str) else entry


def _stand_in(item: Given, word: str) -> str:
    if item.lang == "zh":
        return item.text + _BEFORE if _ALL_HANZI.fullmatch(item.text) else _HERE
    # Rules tell acronyms and names by their capitals.
    return word.upper() if item.text.isupper() else word.capitalize() if item.text[0].isupper() else word


def _append(parts: list[str], piece: str) -> None:
    """Add `piece`, after a blank where Latin letters would run together that are no word."""
    if _RUN_TOGETHER.match(parts[-1][-1:] + piece[:3]):
        parts.append(" ")
    parts.append(piece)


class _Place(NamedTuple):
    """Where in a stretch of hanzi a reading is given."""

    begin: int
    end: int
    item: Given


class _Syllable(NamedTuple):
    """A syllable of a stretch: the characters up to `end` in one reading, and the word they are in."""

    end: int
    reading: str
    word: int
    rule: str


def _put_in(stretch: str, words: list[Spelling], places: list[_Place]) -> Words:
    """The words with the given readings in them. What is given across the edges of words is a word of its own."""
    syllables: dict[int, _Syllable] = {}
    at = 0
    for number, word in enumerate(words):
        at = stretch.index(word.text, at)  # characters that are in no word are in none of the words, so this finds it
        for begin, end, reading in _spans(word.text, word.readings):
            syllables[at + begin] = _Syllable(at + end, reading, number, word.rule)
        at += len(word.text)
    for place in places:
        _overwrite(syllables, place, own_word=len(words) + place.begin)
    said = []
    for _, group in groupby(sorted(syllables.items()), key=lambda pair: pair[1].word):
        inside = list(group)
        rules = [syllable.rule for _, syllable in inside]
        rule = next((rule for rule in rules if rule in GIVEN_RULES), rules[0])
        text = stretch[inside[0][0] : inside[-1][1].end]
        said.append(Spelling(text, tuple(syllable.reading for _, syllable in inside), rule))
    covered = {at for begin, syllable in syllables.items() for at in range(begin, syllable.end)}
    return said, [char for at, char in enumerate(stretch) if at not in covered]


def _overwrite(syllables: dict[int, _Syllable], place: _Place, own_word: int) -> None:
    replaced = [syllables.pop(at) for at in range(place.begin, place.end) if at in syllables]
    inside = {syllable.word for syllable in replaced}
    word = inside.pop() if len(inside) == 1 else own_word
    for begin, end, reading in _spans(place.item.text, place.item.readings):
        syllables[place.begin + begin] = last = _Syllable(place.begin + end, reading, word, place.item.rule)
    cut = replaced[-1] if replaced else None
    if cut and cut.end > place.end:  # a 儿 is left over, which coloured the syllable that was here
        if is_rhotic(last.reading):
            syllables[place.end - 1] = last._replace(end=cut.end)
        else:
            syllables[place.end] = cut._replace(reading="er2")
    before = syllables.get(place.begin - 1)
    if before and before.end > place.begin and is_rhotic(before.reading):  # and here it has lost its 儿
        plain = before.reading[:-2] + before.reading[-1]
        syllables[place.begin - 1] = before._replace(end=place.begin, reading=plain)


def _spans(text: str, readings: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    """Each reading with the characters it covers: where they begin and end in the text."""
    starts = syllable_starts(text, readings)
    return zip(starts, [*starts[1:], len(text)], readings, strict=True)

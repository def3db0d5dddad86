"""Words and pauses to phones: the one place that decides what a voice is asked to say.

Training data is made with the same function, so a change here parts old voices from new text; treat it as frozen with
the phone table. Pure; raises ValueError for a syllable or phone that is not in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final

from inference.frontend.phones import (
    EDGE,
    ENGLISH_CONSONANTS,
    ENGLISH_VOWELS,
    PAUSES,
    Break,
    Phone,
    Position,
    Tone,
    split_syllable,
)
from inference.frontend.words import Word

PAUSE_OF: Final = {
    "，": ",", "、": "、", "；": ";", "：": ":", "。": ".", "．": ".", "｡": ".", "？": "?", "！": "!", "…": "…",
    "—": "-", "–": "-", "―": "-", "（": "-", "）": "-", "(": "-", ")": "-", "[": "-", "]": "-", "【": "-", "】": "-",
    "{": "-", "}": "-", "〔": "-", "〕": "-", "·": "", "～": "…", "~": "…",
} | {mark: mark for mark in PAUSES if mark != EDGE}  # fmt: skip
"""The pause phone of a punctuation mark; quotes, and whatever is not here, make no pause."""

_EDGE: Final = Phone(EDGE)
_WORD, _CLAUSE, _SENTENCE = Break.WORD, Break.CLAUSE, Break.SENTENCE  # an enum's members are slow to look up
_CONSONANTS: Final = frozenset(ENGLISH_CONSONANTS)
_STRESS: Final = {"0": Tone.UNSTRESSED, "1": Tone.PRIMARY, "2": Tone.SECONDARY}
_SYLLABIC_AFTER: Final = {
    "L": ("EL", _CONSONANTS - {"R", "W", "Y"}),
    "M": ("EM", _CONSONANTS),
    "N": ("EN", frozenset("T D S Z SH ZH F V TH DH K G P B CH JH".split())),
}


def assemble(items: Sequence[tuple[Word, str]]) -> tuple[Phone, ...]:
    """The phones of one sentence, given its words and the punctuation mark after each (`""` for none).

    Marks may be written marks (`，`) or pause phones (`,`). The last one closes the sentence, `.` when there is none.
    A word's own `break_` may only be raised here: CLAUSE before an inside pause, SENTENCE before the closing one.
    """
    if not items:
        raise ValueError("a sentence needs at least one word")
    *inner, (last, closing) = items
    phones = [_EDGE]
    for word, mark in inner:
        pause = PAUSE_OF.get(mark)
        if pause:
            phones += _word_phones(word, max(word.break_, _CLAUSE))
            phones.append(_pause(pause, _CLAUSE))
        else:
            phones += _word_phones(word, word.break_ or _WORD)
    phones += _word_phones(last, _SENTENCE)
    phones.append(_pause(PAUSE_OF.get(closing) or ".", _SENTENCE))
    return tuple(phones)


def phones_of(words: Sequence[Word], pauses: Sequence[str] = ()) -> tuple[Phone, ...]:
    """`assemble` for parallel sequences: `pauses[i]` is the mark after `words[i]`; missing ones are none."""
    marks = [*pauses, *[""] * (len(words) - len(pauses))]
    return assemble(list(zip(words, marks, strict=True)))


def phone_counts(words: Sequence[Word]) -> list[int]:
    """How many phones `assemble` makes of each word."""
    return [len(_word_phones(word, word.break_)) for word in words]


def _word_phones(word: Word, break_: Break) -> tuple[Phone, ...]:
    return _mandarin_phones(word.spoken, break_) if word.lang == "zh" else _english_phones(word.spoken, break_)


@lru_cache(maxsize=64)
def _pause(name: str, break_: Break) -> Phone:
    return Phone(name, Tone.NONE, Position.NONE, break_)


@lru_cache(maxsize=1 << 15)  # the words of a language repeat: making phones anew is half the time of a short sentence
def _mandarin_phones(spoken: tuple[str, ...], break_: Break) -> tuple[Phone, ...]:
    phones: list[Phone] = []
    last = len(spoken) - 1
    for number, syllable in enumerate(spoken):
        phones += _syllable_phones(syllable, _position(number, last + 1), break_ if number == last else Break.NONE)
    return tuple(phones)


@lru_cache(maxsize=1 << 14)  # there are about 1600 syllables; figures make words without end of ten of them
def _syllable_phones(syllable: str, position: Position, break_: Break) -> tuple[Phone, ...]:
    names, tone = split_syllable(syllable)
    return tuple(Phone(name, tone, position, break_) for name in names)


@lru_cache(maxsize=1 << 15)
def _english_phones(spoken: tuple[str, ...], break_: Break) -> tuple[Phone, ...]:
    sounds = _with_syllabic(spoken)
    phones = [_sound(sound, Position.MIDDLE, Break.NONE) for sound in sounds]
    count = len(phones)
    last_vowel = next((n for n in range(count - 1, -1, -1) if phones[n].name not in _CONSONANTS), 0)
    for n in {0, *range(last_vowel, count)}:
        phones[n] = _sound(sounds[n], _position(n, count), break_ if n >= last_vowel else Break.NONE)
    return tuple(phones)


def _with_syllabic(phones: tuple[str, ...]) -> tuple[str, ...]:
    if len(phones) >= 3 and phones[-2] == "AH0" and phones[-1] in _SYLLABIC_AFTER:
        syllabic, after = _SYLLABIC_AFTER[phones[-1]]
        if phones[-3] in after:
            return (*phones[:-2], syllabic + "0")
    return phones


@cache  # what is not in the table is not remembered either, so there are not many
def _sound(phone: str, position: Position, break_: Break) -> Phone:
    if phone in _CONSONANTS:
        return Phone(phone, Tone.UNSTRESSED, position, break_)
    name, stress = phone[:-1], _STRESS.get(phone[-1:])
    if name not in ENGLISH_VOWELS or stress is None:
        raise ValueError(f"not a CMUdict phone: {phone!r}")
    return Phone(name, stress, position, break_)


def _position(number: int, count: int) -> Position:
    if count == 1:
        return Position.SINGLE
    if number == 0:
        return Position.BEGIN
    return Position.END if number == count - 1 else Position.MIDDLE

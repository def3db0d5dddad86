"""Sentences for the teacher, as words with known readings: nothing here can be misread, so every label is right.

Mandarin words come from pypinyin's phrase dictionary (MIT), English ones from the CMUdict the front end ships; a
quarter of the Mandarin sentences are random tonal syllables, so that all of them occur. Sentences are numbered, and a
number always gives the same sentence.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from pypinyin.constants import PHRASES_DICT, PINYIN_DICT
from pypinyin.contrib.tone_convert import to_tone3

from inference.frontend.assemble import assemble
from inference.frontend.phones import Break, Phone, split_syllable
from inference.frontend.words import Word

Kind = Literal["zh", "syllables", "en", "mixed"]
KINDS: Final[tuple[Kind, ...]] = ("zh", "syllables", "en", "mixed")
_SHARE: Final = {"zh": 0.38, "syllables": 0.10, "en": 0.34, "mixed": 0.18}

_ZH_SMALL: Final = tuple(
    """
    de5 le5 zhe5 guo5 ma5 ne5 ba5 a5 wo3 ni3 ta1 men5 shi4 bu4 zai4 you3 he2 jiu4 ye3 dou1 yi1 ge4 zhe4 na4 hen3
    yao4 hui4 neng2 dao4 shuo1 qu4 lai2 kan4 zuo4 xiang3 gei3 cong2 dui4 ba3 bei4 er2 liang3 san1 si4 wu3 liu4 qi1
    ba1 jiu3 shi2 bai3 qian1 wan4 yi4 ling2 dian3 nian2 yue4 ri4
    """.split()
)
_NEUTRAL: Final = tuple("de5 de5 le5 zhe5 guo5 men5 zi5 ma5 ne5 ba5 a5 li5 shang5 tou5 me5 xia5".split())
_EN_SMALL: Final = tuple(
    """
    the a an of to and in is it you that he was for on are with as i his they be at one have this from or had by but
    some what there we can out other were all your when up use word how said each she which do their time if will
    way about many then them would write like so these her long make thing see him two has look more day could go
    come did my no most who over know than call first people may down been now find any new work part take get place
    made where after back only good man year came show every our under name very through just great think say help
    much before right too means old same tell does set three want air well also play small end put home read hand
    port large add here must big high such follow act why ask change went light kind need house try us again animal
    point mother world near build self earth father hello please thank okay yes not four five six seven eight nine
    ten hundred thousand
    """.split()
)
_INNER: Final = (",", ",", ",", ",", ",", "、", "、", ";", ":", "-", "…")
_CLOSING: Final = (".", ".", ".", ".", "?", "?", "!")


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence of the corpus: its number, kind and phones."""

    number: int
    kind: Kind
    phones: tuple[Phone, ...]


@cache
def _phrases() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Phrases of two to four characters with their readings, all of them syllables of the table."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for text, readings in sorted(PHRASES_DICT.items()):
        if 2 <= len(text) <= 4 and len(text) == len(readings):
            syllables = tuple(_tone_digit(reading[0]) for reading in readings)
            if all(_is_syllable(syllable) for syllable in syllables):
                found.append((text, syllables))
    return tuple(found)


@cache
def _syllables() -> tuple[str, ...]:
    """Every tonal syllable that some character has."""
    readings = {_tone_digit(reading) for readings in PINYIN_DICT.values() for reading in readings.split(",")}
    return tuple(sorted(reading for reading in readings if _is_syllable(reading)))


@cache
def _english() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((word, phones) for word, phones in sorted(_lexicon().items()) if word.isalpha() and len(phones) <= 12)


@cache
def _lexicon() -> dict[str, tuple[str, ...]]:
    """First pronunciations of the CMUdict that the front end ships."""
    raw = gzip.decompress(files("inference.frontend").joinpath("data/cmudict.dict.gz").read_bytes()).decode()
    rows = (row.split("#")[0].split() for row in raw.splitlines())
    return {row[0]: tuple(row[1:]) for row in rows if row and not row[0].endswith(")")}


def _tone_digit(reading: str) -> str:
    syllable = str(to_tone3(reading, v_to_u=False, neutral_tone_with_five=True))
    return syllable if syllable[-1:].isdigit() else syllable + "5"


def _is_syllable(text: str) -> bool:
    try:
        split_syllable(text)
    except ValueError:
        return False
    return True


def line(number: int) -> Line:
    """The sentence of that number."""
    rng = random.Random(f"corpus 3 {number}")
    kind = rng.choices(KINDS, [_SHARE[kind] for kind in KINDS])[0]
    words = list(_words(kind, rng))
    marks = _marks(len(words), rng)
    closed = [_with_break(word, mark, rng) for word, mark in zip(_sandhi(words, marks), marks, strict=True)]
    return Line(number, kind, assemble(list(zip(closed, marks, strict=True))))


def _words(kind: Kind, rng: random.Random) -> Iterator[Word]:
    for _ in range(rng.randint(3, 9) if kind != "en" else rng.randint(4, 11)):
        if kind == "en" or (kind == "mixed" and rng.random() < 0.3):
            yield _english_word(rng, small=0.45 if kind == "en" else 0.15)
        elif kind == "syllables":
            yield _mandarin_word("", tuple(rng.choice(_syllables()) for _ in range(rng.randint(1, 3))), rng)
        elif rng.random() < 0.35:
            yield _mandarin_word("", (rng.choice(_ZH_SMALL),), rng)
        else:
            text, syllables = rng.choice(_phrases())
            while len(syllables) > 2 and rng.random() < 0.6:  # the dictionary is full of idioms, speech is not
                text, syllables = rng.choice(_phrases())
            yield _mandarin_word(text, syllables, rng)
            if rng.random() < 0.3:  # neutral tones are rare in dictionaries, and every sixth syllable of speech
                yield _mandarin_word("", (rng.choice(_NEUTRAL),), rng)


def _mandarin_word(text: str, syllables: tuple[str, ...], rng: random.Random) -> Word:
    last = syllables[-1]
    if rng.random() < 0.05 and not last[:-1].endswith(("r", "m", "ng", "er")) and last[:-1] not in {"n", "m"}:
        syllables = (*syllables[:-1], f"{last[:-1]}r{last[-1]}")
    return Word(text, "zh", syllables, syllables, Break.WORD)


def _english_word(rng: random.Random, small: float) -> Word:
    word = rng.choice(_EN_SMALL) if rng.random() < small else rng.choice(_english())[0]
    phones = _lexicon()[word]
    return Word(word, "en", phones, phones, Break.WORD)


def _marks(count: int, rng: random.Random) -> list[str]:
    often = rng.choice((0.03, 0.16))  # long clauses have an intonation of their own
    marks = [rng.choice(_INNER) if rng.random() < often else "" for _ in range(count)]
    marks[-1] = rng.choice(_CLOSING) if rng.random() < 0.95 else "…"
    return marks


def _sandhi(words: list[Word], marks: list[str]) -> Iterator[Word]:
    """Third tone before third tone is second, also over word edges unless a pause lies between."""
    following = ""
    changed: list[Word] = []
    for word, mark in zip(reversed(words), reversed(marks), strict=True):
        if mark or word.lang == "en":
            following = ""
        spoken: list[str] = []
        if word.lang == "zh":
            for syllable in reversed(word.spoken):
                sandhi = syllable[-1] == "3" and following == "3"
                spoken.append(syllable[:-1] + "2" if sandhi else syllable)
                following = "2" if sandhi else syllable[-1]
            changed.append(Word(word.text, word.lang, word.readings, tuple(reversed(spoken)), word.break_))
        else:
            changed.append(word)
    return reversed(changed)


def _with_break(word: Word, mark: str, rng: random.Random) -> Word:
    # assemble makes the last one SENTENCE
    break_ = Break.CLAUSE if mark else Break.PHRASE if rng.random() < 0.2 else Break.WORD
    return Word(word.text, word.lang, word.readings, word.spoken, break_)

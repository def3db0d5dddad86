"""Sentences for the teacher, as words with known readings: nothing here can be misread, so every label is right.

Mandarin words come from pypinyin's phrase dictionary (MIT), English ones from the CMUdict the front end ships; a
quarter of the Mandarin sentences are random tonal syllables, so that all of them occur. Most English sentences have
the frame of real ones, for function words and their weak forms make its rhythm. Sentences are numbered, and a number
always gives the same sentence.
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

from inference.frontend import weak
from inference.frontend.assemble import assemble
from inference.frontend.phones import Break, Phone, split_syllable
from inference.frontend.words import Word

Kind = Literal["zh", "syllables", "en", "mixed"]
KINDS: Final[tuple[Kind, ...]] = ("zh", "syllables", "en", "mixed")
_SHARE: Final = {"zh": 0.36, "syllables": 0.09, "en": 0.40, "mixed": 0.15}

_ZH_SMALL: Final = tuple(
    """
    de5 le5 zhe5 guo5 ma5 ne5 ba5 a5 wo3 ni3 ta1 men5 shi4 bu4 zai4 you3 he2 jiu4 ye3 dou1 yi1 ge4 zhe4 na4 hen3
    yao4 hui4 neng2 dao4 shuo1 qu4 lai2 kan4 zuo4 xiang3 gei3 cong2 dui4 ba3 bei4 er2 liang3 san1 si4 wu3 liu4 qi1
    ba1 jiu3 shi2 bai3 qian1 wan4 yi4 ling2 dian3 nian2 yue4 ri4
    """.split()
)
_NEUTRAL: Final = tuple("de5 de5 le5 zhe5 guo5 men5 zi5 ma5 ne5 ba5 a5 li5 shang5 tou5 me5 xia5".split())
_EN_COMMON: Final = tuple(
    """
    one word other way many write make thing see look more day come most people over know than call first down side
    now find new work part take get place live where after back little only round man year came show every good give
    under name very through just form sentence great think say help low line before turn cause much mean right too old
    any same tell boy follow want also well play small end put home read hand port large spell add even land here big
    high such act why ask men change went light kind off need house picture try again animal point mother world near
    build self earth father head stand own page country found answer school grow study still learn plant cover food
    sun four five six seven eight nine ten hundred thousand between state keep eye never last let thought city tree
    cross farm hard start might story saw far sea draw left late run while press close night real life few north open
    seem together next white children begin got walk example ease paper group always music those both mark often
    letter until mile river car feet care second book carry took science eat room friend began idea fish mountain stop
    once base hear horse cut sure watch color face wood main enough plain girl usual young ready above ever red list
    though feel talk bird soon body dog family direct leave song measure door product black short number class wind
    question happen complete ship area half rock order fire south problem piece told knew pass since top whole king
    street inch nothing course stay wheel full force blue object decide surface deep moon island foot busy test record
    boat common gold plane dry wonder laugh ago ran check game shape hot miss brought heat snow bed bring sit perhaps
    fill east weight language among hello please thank okay yes not morning evening today tomorrow yesterday coffee
    water bus train phone email meeting office market price report server update message money doctor teacher student
    """.split()
)
_EN_FRAME: Final = {
    "subject": ("I", "you", "he", "she", "we", "they", "it", "this", "there", "D C", "D C C", "D C of D C", "C"),
    "verb": ("C", "C", "is C", "was C", "are C", "has C", "have C", "had C", "will C", "would C", "can C", "could C",
             "should be C", "must C", "did not C", "has been C", "to C"),
    "object": ("", "it", "them", "me", "him", "us", "her", "D C", "D C", "D C C", "C", "that subject verb"),
    "place": ("", "", "P D C", "P D C", "P D C of D C", "P C", "C", "P her", "P me"),
    "join": ("", "", "", "and subject verb", "but subject verb object", "if subject verb", "or C", "because subject C",
             "when subject verb place", "as C as D C"),
    "D": ("the", "the", "the", "a", "my", "your", "his", "her", "our", "their", "its", "this", "some", "every", "no"),
    "P": ("of", "to", "in", "for", "on", "with", "at", "by", "from", "into", "about", "over", "after", "before"),
}  # fmt: skip
"""A little grammar: each slot becomes one of its row; C is a word of content."""
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
    rng = random.Random(f"corpus 4 {number}")
    kind = rng.choices(KINDS, [_SHARE[kind] for kind in KINDS])[0]
    words = list(_words(kind, rng))
    marks = _marks(len(words), rng)
    closed = [_with_break(word, mark, rng) for word, mark in zip(_sandhi(words, marks), marks, strict=True)]
    weak.weaken(closed)
    return Line(number, kind, assemble(list(zip(closed, marks, strict=True))))


def _words(kind: Kind, rng: random.Random) -> Iterator[Word]:
    if kind == "en" and rng.random() < 0.7:
        frame = [word for slot in ("subject", "verb", "object", "place", "join") for word in _framed(slot, rng)]
        yield from (_english_word(rng, word) for word in frame)
        return
    for _ in range(rng.randint(3, 9) if kind != "en" else rng.randint(4, 11)):
        if kind == "en" or (kind == "mixed" and rng.random() < 0.3):
            yield _english_word(rng)
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


def _framed(slot: str, rng: random.Random) -> Iterator[str]:
    """The words that a slot of the frame becomes; "" stands for any word of content."""
    if slot == "C":
        yield ""
    elif slot not in _EN_FRAME:
        yield slot
    else:
        for part in rng.choice(_EN_FRAME[slot]).split():
            yield from _framed(part, rng)


def _english_word(rng: random.Random, word: str = "") -> Word:
    """A word, else a random one: half of them common."""
    chosen = word or (rng.choice(_EN_COMMON) if rng.random() < 0.5 else rng.choice(_english())[0])
    phones = _lexicon()[chosen.lower()]
    return Word(chosen, "en", phones, phones, Break.WORD)


def _marks(count: int, rng: random.Random) -> list[str]:
    often = rng.choice((0.02, 0.16))  # long clauses have an intonation of their own
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

"""The door of the front end: text to sentences of words and phones.

`read` is pure and linear in the text. It calls, in order: `given` for the user's own readings, `normalise`, `segment`,
`mandarin` or `english` for the words, `phrasing` for the breaks between them, `sandhi` over each phrase and `weak` over
each breath, `assemble` for the phones. The first call loads the dictionaries (`warm` does it ahead of time).
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from inference.frontend import english, given, mandarin, phrasing, sandhi, weak
from inference.frontend.assemble import assemble, phones_of
from inference.frontend.given import Marked, OverrideError, Words
from inference.frontend.lexicon import GIVEN_RULES, Lexicon, LexiconError, read_lexicon
from inference.frontend.mandarin import Spelling
from inference.frontend.normalise import normalise
from inference.frontend.phones import Phone
from inference.frontend.phrasing import Draft
from inference.frontend.segment import Passage, Run, passages
from inference.frontend.words import Change, Word, english_word, mandarin_word

__all__ = [
    "Change",
    "Lexicon",
    "LexiconError",
    "NothingToSay",
    "OverrideError",
    "Reading",
    "Sentence",
    "Word",
    "assemble",
    "english_word",
    "mandarin_word",
    "phones_of",
    "read",
    "read_lexicon",
    "warm",
]


SOUNDED_OUT: Final = 4000
"""Letters of the unknown English words in one text that are sounded out with care, a tenth of a millisecond each. What
has more, some 500 words, is no text that anybody reads, and must not keep a server busy for minutes."""


class NothingToSay(ValueError):
    """The text has nothing that can be spoken: it is empty, or all of it is unspoken."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as a voice is asked to say it, in one breath group or several."""

    text: str
    """The sentence, normalised."""
    words: tuple[Word, ...]
    phones: tuple[Phone, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole text, read."""

    normalized: str
    sentences: tuple[Sentence, ...]
    unspoken: tuple[str, ...]
    """Characters nobody knows how to say, each as often as it was met."""
    changes: tuple[Change, ...] = ()
    """What the user's own words and then the normaliser's rules made of the text."""


def read(text: str, lexicon: Lexicon | None = None) -> Reading:
    """Read a text of Mandarin, English or both, with the user's readings: those in it (`<行|hang2>`) and the lexicon's.

    NothingToSay if none of it can be spoken, OverrideError if what is written as a reading in the text is none.
    """
    with _without_collector():
        marked = given.mark(text, lexicon)
        clean = normalise(marked.text)
        unspoken = [*clean.unspoken]
        sentences: list[Sentence] = []
        reader = _Reader(lexicon, marked)
        shown = iter(marked.given)
        for passage in passages(clean.text):
            unspoken += passage.unspoken
            drafts = reader.drafts(passage, unspoken)
            for text_part, part in phrasing.fit(marked.restore(passage.text, shown), drafts):
                sentences.append(_sentence(text_part, part))
    if not sentences:
        raise NothingToSay("the text has nothing that can be spoken")
    normalized = marked.restore(clean.text, iter(marked.given))
    return Reading(normalized, tuple(sentences), tuple(unspoken), marked.all_changes(clean.changes))


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep Python from searching for cycles: a reading has none, but the search through it as it grows, and through the
    dictionaries, is half of the time that a long text takes.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def warm() -> None:
    """Load every dictionary, so that the first request does not wait for them (about a second)."""
    read("你好 hello Xyzzyq 一点儿 他还在 3.5%")


_PARTICLES: Final = {"啊": "a5", "地": "de5", "得": "de5"}
"""Particles that are something else where a clause begins with them: OK啊, random地选, P得太狠."""
_HOW: Final = re.compile("[太很真挺超贼飞]")
_DONE_SO: Final = frozenset("P p hold carry high low chill emo nice cool happy diss cos nb match".split())
"""What is done or is so, and no thing: a complement follows 得, while App得更新 tells what must be done."""


class _Reader:
    """Reads the passages of one text, in order: the user's readings are met in the order of the text."""

    def __init__(self, lexicon: Lexicon | None, marked: Marked) -> None:
        self._lexicon = lexicon if lexicon and lexicon.exchanges else None
        self._stand_ins = marked.stand_ins
        self._given = iter(marked.given)
        self._plain: dict[str, Spelling] = {}  # English words that are said alike wherever they stand in this text
        self._unknown: set[str] = set()
        self._letters_left = SOUNDED_OUT

    def drafts(self, passage: Passage, unspoken: list[str]) -> list[Draft]:
        """The words of a passage; adds to `unspoken`."""
        drafts: list[Draft] = []
        runs = passage.runs
        shouted: bool | None = None
        before: list[str] = []  # the English words of this clause so far
        for number, run in enumerate(runs):
            if run.lang == "zh":
                said, silent = self._mandarin(run.text)
                unspoken += silent
                first = said[0] if said and number and said[0].rule not in GIVEN_RULES else None
                if first and _is_particle(runs[number - 1], run.text, first.text):
                    said[0] = first._replace(readings=(_PARTICLES[first.text],))
                drafts += [Draft(text, "zh", readings, len(readings), rule) for text, readings, rule in said]
                before = []
                if not said and not run.pause:
                    continue
            else:
                if shouted is None:
                    shouted = _is_shouted(runs)
                spelling = self._plain.get(run.text)
                if spelling is None or shouted:
                    spelling = self._english(run.text, before, runs, number, shouted=shouted)
                text, phones, rule = spelling
                drafts.append(Draft(text, "en", phones, english.syllables(phones), rule))
                before.append(text)
            if run.pause:
                before = []
                if drafts and not drafts[-1].pause:
                    drafts[-1].pause = run.pause
        return drafts

    def _mandarin(self, run: str) -> Words:
        return given.mandarin_words(run, self._given, self._words_of) if self._stand_ins else self._words_of(run)

    def _words_of(self, run: str) -> Words:
        words, silent = mandarin.words_of(run)
        return (given.exchanged(words, self._lexicon) if self._lexicon else words), silent

    def _english(self, word: str, before: list[str], runs: tuple[Run, ...], number: int, *, shouted: bool) -> Spelling:
        if self._stand_ins and self._stand_ins.match(word):
            return given.english_word(word, next(self._given))
        sound_out = len(word) <= self._letters_left
        if not sound_out and (plain := english.letter_by_letter(word)):
            return Spelling(word, plain, "letter-to-sound")
        left, right = "", ""
        if english.is_told_by_place(word):
            left, right = " ".join(before[-3:]), _words_after(runs, number)
        phones, rule = english.read_word(word, shouted=shouted, before=left, after=right, sound_out=sound_out)
        if rule == "letter-to-sound" and sound_out and word not in self._unknown:
            self._unknown.add(word)
            self._letters_left -= len(word)
        spelling = Spelling(word, phones, rule)
        if rule not in _BY_PLACE and not shouted and len(word) > 1 and not self._stand_ins:
            self._plain[word] = spelling
        return spelling


_BY_PLACE: Final = frozenset(["heteronym", "letter-to-sound"])
"""Rules that give the same word now these phones and now others: by its neighbours, or by how much was sounded out."""


def _words_after(runs: tuple[Run, ...], number: int) -> str:
    """The English words of the same clause that follow the run, three at most."""
    words: list[str] = []
    for at in range(number, min(number + 3, len(runs) - 1)):
        if runs[at].pause or runs[at + 1].lang != "en":
            break
        words.append(runs[at + 1].text)
    return " ".join(words)


def _is_particle(before: Run, text: str, word: str) -> bool:
    """Whether the first word of a run of hanzi belongs to the English word before it."""
    if before.pause or word not in _PARTICLES:
        return False
    return word != "得" or before.text in _DONE_SO or bool(_HOW.match(text, 1))


def _is_shouted(runs: tuple[Run, ...]) -> bool:
    """Whether it is English, all in capitals, so that capitals do not mean an acronym. Nobody shouts amid Chinese."""
    if any(run.lang == "zh" for run in runs):
        return False
    words = [run.text for run in runs if run.lang == "en" and len(run.text) > 1]
    return len(words) >= 3 and all(word.isupper() for word in words)


def _sentence(text: str, drafts: list[Draft]) -> Sentence:
    phrasing.set_breaks(drafts)
    sandhi.settle(drafts, mandarin.is_word)
    words = [_word(draft.text, draft.lang, draft.readings, draft.spoken, draft.break_, draft.rule) for draft in drafts]
    if "en" in [draft.lang for draft in drafts]:
        weak.weaken(words)
        for number, word in enumerate(words):
            if word.rule in GIVEN_RULES and word.lang == "en":
                words[number] = replace(word, spoken=word.readings)
    phones = assemble(list(zip(words, [draft.pause for draft in drafts], strict=True)))
    return Sentence(text, tuple(words), phones)


_word: Final = lru_cache(maxsize=1 << 15)(Word)
"""Words repeat; to look one up takes a tenth of the time to make it."""

"""The door of the front end: text to sentences of words and phones.

`read` is pure and linear in the text. It calls, in order: `normalise`, `segment`, `mandarin` or `english` for the
words, `phrasing` for the breaks between them, `sandhi` over each phrase and `weak` over each breath, `assemble` for the
phones. The first call loads the dictionaries (`warm` does it ahead of time).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inference.frontend import english, mandarin, phrasing, sandhi, weak
from inference.frontend.assemble import assemble, phones_of
from inference.frontend.normalise import normalise
from inference.frontend.phones import Break, Phone
from inference.frontend.phrasing import Draft
from inference.frontend.segment import Passage, Run, passages
from inference.frontend.words import Word, english_word, mandarin_word

__all__ = [
    "NothingToSay",
    "Reading",
    "Sentence",
    "Word",
    "assemble",
    "english_word",
    "mandarin_word",
    "phones_of",
    "read",
    "warm",
]


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


def read(text: str) -> Reading:
    """Read a text of Mandarin, English or both. Raises NothingToSay when none of it can be spoken."""
    clean = normalise(text)
    unspoken = [*clean.unspoken]
    sentences: list[Sentence] = []
    for passage in passages(clean.text):
        unspoken += passage.unspoken
        drafts = _drafts(passage, unspoken)
        for text_part, part in phrasing.fit(passage.text, drafts):
            sentences.append(_sentence(text_part, part))
    if not sentences:
        raise NothingToSay("the text has nothing that can be spoken")
    return Reading(clean.text, tuple(sentences), tuple(unspoken))


def warm() -> None:
    """Load every dictionary, so that the first request does not wait for them (about a second)."""
    read("你好 hello Xyzzyq 一点儿 3.5%")


def _drafts(passage: Passage, unspoken: list[str]) -> list[Draft]:
    drafts: list[Draft] = []
    shouted = _is_shouted(passage.runs)
    for number, run in enumerate(passage.runs):
        if run.lang == "zh":
            said, silent = mandarin.words_of(run.text)
            unspoken += silent
            drafts += (Draft(text, "zh", readings) for text, readings in said)
            if not said and not run.pause:
                continue
        else:
            after = passage.runs[number + 1] if number + 1 < len(passage.runs) and not run.pause else None
            drafts.append(Draft(run.text, "en", _english(run, after, shouted=shouted)))
        if run.pause and drafts and not drafts[-1].pause:
            drafts[-1].pause = run.pause
    return drafts


def _english(run: Run, after: Run | None, *, shouted: bool) -> tuple[str, ...]:
    if run.text == "A" and after and after.lang == "en" and after.text[0].islower() and len(after.text) > 1:
        return ("AH0",)  # the article, not the letter
    return english.phones_for(run.text, shouted=shouted)


def _is_shouted(runs: tuple[Run, ...]) -> bool:
    """Whether the English is all in capitals, so that capitals do not mean an acronym."""
    words = [run.text for run in runs if run.lang == "en" and len(run.text) > 1]
    return len(words) >= 3 and all(word.isupper() for word in words)


def _sentence(text: str, drafts: list[Draft]) -> Sentence:
    phrasing.set_breaks(drafts)
    words: list[Word] = []
    for phrase in _phrases(drafts):
        said = [(draft.text, draft.readings) if draft.lang == "zh" else ("", ()) for draft in phrase]
        for draft, spoken in zip(phrase, sandhi.spoken(said, mandarin.is_word), strict=True):
            words.append(Word(draft.text, draft.lang, draft.readings, spoken or draft.readings, draft.break_))
    weak.weaken(words)
    marks = [draft.pause for draft in drafts]
    return Sentence(text, tuple(words), assemble(list(zip(words, marks, strict=True))))


def _phrases(drafts: list[Draft]) -> Iterator[list[Draft]]:
    phrase: list[Draft] = []
    for draft in drafts:
        phrase.append(draft)
        if draft.break_ >= Break.PHRASE:
            yield phrase
            phrase = []

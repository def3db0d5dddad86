"""A text as what is said, line by line, with the silences between; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from inference.frontend.assemble import phone_counts
from inference.frontend.phones import EDGE, Break, Phone, is_pause
from inference.frontend.reading import NothingToSay, OverrideError, Reading, Sentence
from inference.places import places

SENTENCE_PAUSE_S: Final = 0.25
PARAGRAPH_PAUSE_S: Final = 0.5
LONGEST_LINE_PHONES: Final = 600
"""The front end cuts sentences far shorter, but not inside a word; one of a thousand letters is said in parts."""

_PARAGRAPH_END: Final = re.compile(
    r"\n\s*\n"  # a blank line
    r"|\n(?=[ \t]*\u3000)"  # an indented line, as Chinese paragraphs begin
    r"|(?<=[。！？…”』」])[ \t]*\n"  # a line that ends as Chinese sentences do: Chinese is not wrapped by hand
)


class Mark(NamedTuple):
    """What is said together, and where it was written."""

    start: int
    end: int
    """Characters (code points) of the whole text, from `start` to before `end`."""
    first: int
    last: int
    """Phones of the line, from `first` to before `last`."""


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence to say, or a part of a very long one."""

    text: str
    """Of the whole sentence."""
    phones: tuple[Phone, ...]
    pause_after_s: float
    marks: tuple[Mark, ...] = ()
    """In the text's order, none in another's place; only if they were asked for."""


@dataclass(frozen=True, slots=True)
class Script:
    """A whole text, read."""

    lines: tuple[Line, ...]
    unspoken: tuple[str, ...]
    """What has no reading and is left out."""


def write_script(text: str, read: Callable[[str], Reading], *, marked: bool = False) -> Script:
    """Read `text`, a paragraph at a time. A paragraph without anything to say is passed over.

    `marked`: lines tell where their words are written, which takes some 20 µs for each word.
    NothingToSay if all are; OverrideError, with its offset in the whole text, if a reading given in it is none.
    """
    lines: list[Line] = []
    unspoken: list[str] = []
    for start, paragraph in _paragraphs(text):
        try:
            reading = read(paragraph)
        except NothingToSay:  # a line of asterisks between two chapters
            continue
        except OverrideError as error:
            raise error.moved(start) from None
        unspoken.extend(reading.unspoken)
        pauses = [SENTENCE_PAUSE_S] * (len(reading.sentences) - 1) + [PARAGRAPH_PAUSE_S]
        marks = _marks(start, paragraph, reading.sentences) if marked else [()] * len(pauses)
        for sentence, pause, own in zip(reading.sentences, pauses, marks, strict=True):
            parts = list(_parts(sentence.phones))
            for at, part in parts:
                is_last = at == parts[-1][0]  # the mark at the end of the others is their pause
                lines.append(Line(sentence.text, part, pause if is_last else 0.0, _marks_of(at, part, own)))
    if not lines:
        raise NothingToSay("the text has nothing that can be spoken")
    return Script(tuple(lines), tuple(dict.fromkeys(unspoken)))


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs, each with the characters of the text before it."""
    start = 0
    for end in _PARAGRAPH_END.finditer(text):
        yield start, text[start : end.start()]
        start = end.end()
    yield start, text[start:]


def _marks(start: int, paragraph: str, sentences: tuple[Sentence, ...]) -> list[tuple[Mark, ...]]:
    """Sentence by sentence, with phones counted from the sentence's beginning. A place is told once."""
    found = iter(places(paragraph, [word.text for sentence in sentences for word in sentence.words]))
    told = 0
    marks: list[tuple[Mark, ...]] = []
    for sentence in sentences:
        own: list[Mark] = []
        at = 1  # behind the edge
        for count in phone_counts(sentence.words):
            place = next(found)
            if own and own[-1][:2] == (start + place.start, start + place.end):
                own[-1] = own[-1]._replace(last=at + count)
            elif place.start >= told and place.end > place.start:
                own.append(Mark(start + place.start, start + place.end, at, at + count))
                told = place.end
            at += count
            at += is_pause(sentence.phones[at].name)
        marks.append(tuple(own))
    return marks


def _marks_of(at: int, part: tuple[Phone, ...], marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Those that begin in the part of the sentence that begins with its phone `at`."""
    shift = 1 - at if at else 0  # each part has an edge of its own
    pause = len(part) - 1  # which it ends with
    return tuple(
        mark._replace(first=mark.first + shift, last=min(mark.last + shift, pause))
        for mark in marks
        if at <= mark.first and mark.first + shift < pause
    )


def _parts(phones: tuple[Phone, ...]) -> Iterator[tuple[int, tuple[Phone, ...]]]:
    """The phones whole, or cut where a reader would take breath: after a mark if there is one, else between words.

    Each with the phones before it.
    """
    start = 0
    while len(phones) - start > LONGEST_LINE_PHONES:
        ends = range(start + LONGEST_LINE_PHONES - 2, start + LONGEST_LINE_PHONES // 2, -1)
        cut = max(ends, key=lambda end: (is_pause(phones[end - 1].name), phones[end - 1].break_))
        part = phones[start:cut]
        if not is_pause(part[-1].name):
            part = (*part, Phone(",", break_=Break.CLAUSE))
        yield start, part if start == 0 else (Phone(EDGE), *part)
        start = cut
    yield start, phones[start:] if start == 0 else (Phone(EDGE), *phones[start:])

"""A text as what is said, line by line, with the silences between; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from inference.frontend.phones import EDGE, Break, Phone, is_pause
from inference.frontend.reading import NothingToSay, OverrideError, Reading

SENTENCE_PAUSE_S: Final = 0.25
PARAGRAPH_PAUSE_S: Final = 0.5
LONGEST_LINE_PHONES: Final = 600
"""The front end cuts sentences far shorter, but not inside a word; one of a thousand letters is said in parts."""

_PARAGRAPH_END: Final = re.compile(
    r"\n\s*\n"  # a blank line
    r"|\n(?=[ \t]*\u3000)"  # an indented line, as Chinese paragraphs begin
    r"|(?<=[。！？…”』」])[ \t]*\n"  # a line that ends as Chinese sentences do: Chinese is not wrapped by hand
)


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence to say, or a part of a very long one."""

    text: str
    """Of the whole sentence."""
    phones: tuple[Phone, ...]
    pause_after_s: float


@dataclass(frozen=True, slots=True)
class Script:
    """A whole text, read."""

    lines: tuple[Line, ...]
    unspoken: tuple[str, ...]
    """What has no reading and is left out."""


def write_script(text: str, read: Callable[[str], Reading]) -> Script:
    """Read `text`, a paragraph at a time. A paragraph without anything to say is passed over.

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
        for sentence, pause in zip(reading.sentences, pauses, strict=True):
            *parts, last = _parts(sentence.phones)
            lines.extend(Line(sentence.text, part, 0.0) for part in parts)  # the mark at its end is its pause
            lines.append(Line(sentence.text, last, pause))
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


def _parts(phones: tuple[Phone, ...]) -> Iterator[tuple[Phone, ...]]:
    """The phones whole, or cut where a reader would take breath: after a mark if there is one, else between words."""
    start = 0
    while len(phones) - start > LONGEST_LINE_PHONES:
        ends = range(start + LONGEST_LINE_PHONES - 2, start + LONGEST_LINE_PHONES // 2, -1)
        cut = max(ends, key=lambda end: (is_pause(phones[end - 1].name), phones[end - 1].break_))
        part = phones[start:cut]
        if not is_pause(part[-1].name):
            part = (*part, Phone(",", break_=Break.CLAUSE))
        yield part if start == 0 else (Phone(EDGE), *part)
        start = cut
    yield phones[start:] if start == 0 else (Phone(EDGE), *phones[start:])

"""A long text in pieces that can be spoken one by one, and read as they would be in the whole. Pure.

The front end reads a paragraph at a time and a sentence by itself. So a text may be cut between paragraphs, and within
one where a sentence ends beyond doubt: not within brackets, nor after what may be a shortened word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

PIECE_CHARACTERS: Final = 200
"""A few sentences: a second of work, all that a crash can lose. Smaller ones would spend more on making sure of them
(two writes that reach the disk for each), and give the workers less to do at once."""
LONGEST_CHARACTERS: Final = 1_000
"""Where a text is cut in the middle of a sentence, should it have no end."""

PARAGRAPH_END: Final = re.compile(
    r"\n\s*\n"  # a blank line
    r"|\n(?=[ \t]*\u3000)"  # an indented line
    r"|(?<=[。！？…”』」])[ \t]*\n"  # a line that ends as Chinese sentences do
)
"""`inference.script`'s own; that module loads the dictionaries, which a server's event loop has no use for."""
_SENTENCE_END: Final = re.compile(
    r"""(?: [。！？] [。．！？…]*+
          | (?<= [a-z]{4}) (?<!\bapprox) [.!?]++ (?= ["'”’)\]]*+ \s++ ["'“‘(]?+ [A-Z\u4e00-\u9fff] )
        ) ["'”’」』）)\]】》〉]*+ [ \t]*+ (?!\n)  # there the paragraph may end as well, with a longer pause
    """,
    re.VERBOSE,
)
_MAYBE_END: Final = re.compile(
    r"""(?: (?P<end> [.!?](?=\s) | [。！？…]++ | \n ) | [;:,](?=\s) | [；，、：—]++ ) [”’」』）】》]*+ \s*+""",
    re.VERBOSE,
)
"""Where a text may be cut that has no other end: after any mark, or a line."""
_OPENING: Final = frozenset("(（[【〔{<")
_CLOSING: Final = frozenset(")）]】〕}>")
_REMARK_CHARACTERS: Final = 210
"""The longest remark in brackets that the front end takes for one, and the longest reading given in the text."""


class Pause(IntEnum):
    """What is heard between two pieces."""

    NONE = 0
    SENTENCE = 1
    PARAGRAPH = 2

    @property
    def seconds(self) -> float:
        """At natural speed, as in `inference.script`."""
        return (0.0, 0.25, 0.5)[self]


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of a text: up to where, and the pause after it."""

    end: int
    pause: Pause


def next_piece(text: str, start: int, longest: int = LONGEST_CHARACTERS) -> Piece:
    """The piece that begins at `start`, which is less than the length of the text; at most `longest` characters."""
    longest = min(longest, LONGEST_CHARACTERS)
    aim, stop = start + min(PIECE_CHARACTERS, longest), start + longest
    if len(text) <= aim:
        return Piece(len(text), Pause.PARAGRAPH)
    best: Piece | None = None
    for piece in _ends(text, start, stop):
        if piece.end > aim:
            best = best or piece
            break
        if best is None or piece.pause >= best.pause:
            best = piece
    if best is not None:
        return best
    if len(text) <= stop:
        return Piece(len(text), Pause.PARAGRAPH)
    maybe = [
        Piece(end.end(), Pause.SENTENCE if end["end"] else Pause.NONE)
        for end in _MAYBE_END.finditer(text, start, stop)
        if not _in_brackets(text, start, end.start())
    ]
    if maybe:
        return maybe[-1]
    blank = max(text.rfind(char, start + 1, stop) for char in " \t")
    return Piece(blank + 1 or stop, Pause.NONE)


def _ends(text: str, start: int, stop: int) -> Iterator[Piece]:
    """Where paragraphs and sentences end, in order."""
    found = [Piece(end.end(), Pause.PARAGRAPH) for end in PARAGRAPH_END.finditer(text, start, stop)]
    found += [
        Piece(end.end(), Pause.SENTENCE)
        for end in _SENTENCE_END.finditer(text, start, stop)
        if not _in_brackets(text, start, end.start())
    ]
    return iter(sorted(found, key=lambda piece: (piece.end, piece.pause)))


def _in_brackets(text: str, start: int, at: int) -> bool:
    depth = 0
    for char in reversed(text[max(start, at - _REMARK_CHARACTERS) : at]):
        if char in _CLOSING:
            depth += 1
        elif char in _OPENING:
            if not depth:
                return True
            depth -= 1
        elif char == "\n" and not depth:
            return False
    return False

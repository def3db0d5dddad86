"""Text cut into sentences while it is still being written. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

COMMA_AFTER: Final = 80
"""Characters that wait before a comma is reason enough: five seconds of English, fifteen of Chinese."""
LONGEST: Final = 1_000
"""Where text without any marks is cut all the same, between words if there are any."""

_END: Final = re.compile(
    r"""(?: [。！？；…]++
          | (?<![!?;]) [!?;]++ (?![A-Za-z0-9=&/_])        # not within an address
          | (?<!\.) (?P<stop> \.++ ) (?=["')\]”’]*\s)  # not within 3.14; so a full stop waits for what follows it
          | (?= \n )
        ) ["'”’」』）)\]】》]*+ \n*+""",
    re.VERBOSE,
)
_NO_END: Final = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|No|Fig|cf|approx|e\.g|i\.e|a\.m|p\.m)"  # shortened
    r"|\b[A-Z]"  # J. Smith, U.S.
    r"|(?:^|\n)\s*\d{1,2})$"  # 1. the number of a list
)
_LOOK_BACK: Final = 16  # characters; longer than any of these
_COMMA: Final = re.compile(r"[，、：—]+|[,:](?=\s)")


@dataclass(frozen=True, slots=True)
class Clause:
    """What can be spoken at once."""

    text: str
    ends_sentence: bool
    start: int = field(default=0, compare=False)
    """Characters of the utterance before it."""


class Cutter:
    """Holds what is not yet a sentence."""

    def __init__(self) -> None:
        self._rest = ""
        self._gone = 0  # characters of this utterance before the rest

    @property
    def waiting(self) -> int:
        """Characters held."""
        return len(self._rest)

    def add(self, text: str) -> list[Clause]:
        """The sentences that `text` completes. Without a sentence's end, a comma will do once much is waiting."""
        self._rest += text
        clauses: list[Clause] = []
        start = 0
        for end in _END.finditer(self._rest):
            if end["stop"] and _NO_END.search(self._rest[max(start, end.start() - _LOOK_BACK) : end.start()]):
                continue
            if end.end() > start:
                clauses.extend(_clauses(self._rest[start : end.end()], self._gone + start, ends=True))
                start = end.end()
        self._pass(start)
        while cut := _comma(self._rest):
            clauses.extend(_clauses(self._rest[:cut], self._gone, ends=False))
            self._pass(cut)
        return clauses

    def flush(self) -> list[Clause]:
        """What is left, whatever it is. What comes next is another utterance."""
        rest = list(_clauses(self._rest, self._gone, ends=True))
        self.clear()
        return rest

    def clear(self) -> None:
        """Forget what is left, and begin another utterance."""
        self._rest, self._gone = "", 0

    def _pass(self, characters: int) -> None:
        self._rest = self._rest[characters:]
        self._gone += characters


def _clauses(text: str, start: int, *, ends: bool) -> Iterator[Clause]:
    while len(text) > LONGEST:
        cut = _comma(text)
        yield from _clauses(text[:cut], start, ends=False)
        text, start = text[cut:], start + cut
    if any(char.isalnum() for char in text):  # a closing quote alone is nothing to say
        yield Clause(text, ends, start)


def _comma(text: str) -> int:
    """Where to cut a text that has been waiting too long; 0 for not yet."""
    if len(text) <= COMMA_AFTER:
        return 0
    early = [comma.end() for comma in _COMMA.finditer(text, 0, COMMA_AFTER)]
    if early:
        return early[-1]
    if late := _COMMA.search(text, COMMA_AFTER - 1, LONGEST):
        return late.end()
    if len(text) <= LONGEST:
        return 0
    return text.rfind(" ", 1, LONGEST) + 1 or LONGEST

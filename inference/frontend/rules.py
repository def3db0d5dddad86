"""A table of rules over a text: at every figure or symbol, the first rule that fits says it. One pass, linear.

Rules see the text as it was written and never what another rule made of it, so that their order matters only at one
spot. A rule may look back and ahead; what it takes is said, and the search goes on after it. To stay linear, a pattern
either takes what it runs over or looks no further than a bounded number of characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from inference.frontend.words import Change

MAX_CHANGES: Final = 1000
"""Changes remembered of one text: enough for people to read, and no memory for floods."""

_NEAR: Final = 24
"""Characters before a match that a rule may look at."""

Match = re.Match[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` is for the trace. `say` may give None: not this rule after all, then the next ones are asked."""

    name: str
    pattern: str
    """Groups are numbered, not named; no back-references."""
    say: Callable[[Match], str | None]
    bare: bool = False
    """Whether it may fit figures that no sign, blank or letter follows. Most figures in Chinese are such."""


class Table:
    """Rules by what they begin with: each branch is the pattern of its spots and the rules to be asked there."""

    def __init__(self, *branches: tuple[str, Sequence[Rule]]) -> None:
        self._spot = re.compile("|".join(f"({spot})" for spot, _ in branches))
        self._branches = [_Branch(rules) for _, rules in branches]

    def say(self, text: str, changes: list[Change], seen: str | None, at: int, end: int | None) -> str:
        """The stretch `text[at:end]` with its figures said.

        Rules look at `seen`, which is as long as `text`; the rest is copied from `text`.
        """
        seen = text if seen is None else seen
        end = len(text) if end is None else end
        search, branches = self._spot.search, self._branches
        said: list[str] = []
        copied = at
        while spot := search(seen, at, end):
            start = spot.start()
            found = branches[(spot.lastindex or 1) - 1].first(seen, start, end)
            if found is None:
                at = spot.end()
                continue
            name, at, after = found
            if len(changes) < MAX_CHANGES:
                note(changes, name, text[start:at], after.strip())
            said += (text[copied:start], _apart(seen[start - 1 : start], after))
            if at < end and after and _is_latin(after[-1]) and _is_latin(seen[at]):
                said.append(" ")
            copied = at
        if not said:
            return text[copied:end]
        said.append(text[copied:end])
        return "".join(said)


class _Branch:
    """Rules for one kind of spot, compiled into one pattern."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [(rule.name, re.compile(rule.pattern).match, rule.say) for rule in rules]
        self._any = re.compile("|".join(f"({rule.pattern})" for rule in rules)).match
        self._number: dict[int | None, int] = {}
        group = 1
        for number, rule in enumerate(rules):
            self._number[group] = number  # the outermost group of an alternative closes last
            group += re.compile(rule.pattern).groups + 1

    def first(self, seen: str, start: int, end: int) -> tuple[str, int, str] | None:
        """The first rule that fits at `start`: its name, where it ends and what is said."""
        found = self._any(seen, start, end)
        if found is None:
            return None
        for name, match_here, say in self._rules[self._number[found.lastindex] :]:
            match = match_here(seen, start, end)
            if match is not None:
                after = say(match)
                if after is not None:
                    return name, match.end(), after
        return None


def before(match: Match, pattern: re.Pattern[str]) -> bool:
    """Whether the pattern, which should end in `$`, is found in the few characters before the match."""
    start = match.start()
    return pattern.search(match.string[max(0, start - _NEAR) : start]) is not None


def after(match: Match, pattern: re.Pattern[str]) -> bool:
    """Whether the pattern fits right after the match."""
    return pattern.match(match.string, match.end()) is not None


def note(changes: list[Change], rule: str, before: str, after: str) -> None:
    """Remember a change, if it is one and there is room."""
    if before != after and len(changes) < MAX_CHANGES:
        changes.append(Change(rule, before, after))


def _apart(before: str, after: str) -> str:
    """Words of letters do not run together with what stands before them."""
    return " " + after if before and after and _is_latin(after[0]) and _is_latin(before) else after


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalnum()

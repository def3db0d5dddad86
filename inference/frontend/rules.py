"""A table of rules over a text: at every figure or symbol, the first rule that fits says it. One pass, linear.

Rules see the text as it was written and never what another rule made of it, so that their order matters only at one
spot. A rule may look back and ahead; what it takes is said, and the search goes on after it. To stay linear, a pattern
either takes what it runs over or looks no further than a bounded number of characters.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from inference.frontend.words import Change

MAX_CHANGES: Final = 1000
"""Changes remembered of one text: enough for people to read, and no memory for floods."""

_NEAR: Final = 24
"""Characters before a match that a rule may look at."""
_HANDFUL: Final = 8
"""Rules to a pattern: when one declines, no more than these are asked one by one."""

_LATIN: Final = frozenset(string.ascii_letters + string.digits)
_APOSTROPHE: Final = re.compile(r"\S'")
"""What would tie a word to the one before: Zoe'5G."""
_CAPTURING: Final = re.compile(r"(?<!\\)\((?!\?)")
_KINDS: Final = dict(zip("\n ~～–—-：∶:.,/", "  -----:::.,/", strict=True)) | {"": "h"}

_NUMERALS: Final = frozenset("零〇一二三四五六七八九十百千万亿两")
_WIDE_MARKS: Final = frozenset("、。〈〉《》「」『』【】〔〕〜！（），：；？～")

Match = re.Match[str]
_Matcher = Callable[[str, int, int], Match | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` is for the trace. `say` may give None: not this rule after all, then the next ones are asked."""

    name: str
    pattern: str
    """Groups are numbered, not named; no back-references; an opening bracket that is no group is escaped."""
    say: Callable[[Match], str | None]
    next: str = "h -.,/:a"
    """Kinds of characters that may follow the figures it begins with, so that few rules are asked at each spot: `h` is
    a hanzi or the end, `-` any dash, `a` whatever has no other kind. Of no meaning where a rule begins otherwise."""


class Table:
    """Rules by what they begin with: figures, or what each branch's pattern of spots says."""

    def __init__(self, figures: Sequence[Rule], *branches: tuple[str, Sequence[Rule]]) -> None:
        self._spot = re.compile("|".join((r"(\d++)", *(f"({spot})" for spot, _ in branches))))
        self._figures = {kind: _Branch([rule for rule in figures if kind in rule.next]) for kind in "h -.,/:a"}
        self._branches = [_Branch(rules) for _, rules in branches]

    def say(self, text: str, changes: list[Change], seen: str | None, at: int, end: int | None) -> str:
        """The stretch `text[at:end]` with its figures said.

        Rules look at `seen`, which is as long as `text`; the rest is copied from `text`.
        """
        seen = text if seen is None else seen
        end = len(text) if end is None else end
        search, figures, branches = self._spot.search, self._figures, self._branches
        said: list[str] = []
        copied = at
        while spot := search(seen, at, end):
            start, stop = spot.span()
            if spot.lastindex == 1:
                branch = figures[_kind(seen[stop] if stop < end else "")]
            else:
                branch = branches[(spot.lastindex or 2) - 2]
            found = branch.first(seen, start, end)
            if found is None:
                at = stop
                continue
            name, at, after = found
            if len(changes) < MAX_CHANGES:
                note(changes, name, text[start:at], after.strip())
            if after and copied < start and _joins(after[0], seen[start - 1 : start], seen[start - 2 : start - 1]):
                start -= 1  # 超过 3000 转 is one run of hanzi
            said.append(text[copied:start])
            if after:
                said += _spaced(after, seen, start, at, end)
                at += (
                    at < end and after[-1] in _NUMERALS and _joins(after[-1], seen[at : at + 1], seen[at + 1 : at + 2])
                )
            copied = at
        if not said:
            return text[copied:end]
        said.append(text[copied:end])
        return "".join(said)


class _Branch:
    """Rules for one kind of spot, a handful compiled into each pattern, which tells the first of them that may fit.

    The pattern has no groups but an empty one after each rule: groups inside would double its cost.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._handfuls = [_compiled(rules[at : at + _HANDFUL]) for at in range(0, len(rules), _HANDFUL)]

    def first(self, seen: str, start: int, end: int) -> tuple[str, int, str] | None:
        """The first rule that fits at `start`: its name, where it ends and what is said."""
        for fits, rules in self._handfuls:
            found = fits(seen, start, end)
            if found is None or found.lastindex is None:
                continue
            for name, match_here, say in rules[found.lastindex - 1 :]:
                match = match_here(seen, start, end)
                if match is not None:
                    after = say(match)
                    if after is not None:
                        return name, match.end(), after
        return None


def _compiled(rules: Sequence[Rule]) -> tuple[_Matcher, list[tuple[str, _Matcher, Callable[[Match], str | None]]]]:
    fits = re.compile("|".join(f"(?:{_CAPTURING.sub('(?:', rule.pattern)})()" for rule in rules))
    return fits.match, [(rule.name, re.compile(rule.pattern).match, rule.say) for rule in rules]


def _spaced(after: str, seen: str, start: int, at: int, end: int) -> list[str]:
    """What is said, apart from what stands beside it: words of letters do not run together."""
    parts = [after]
    if after[0] in _LATIN and (seen[start - 1 : start] in _LATIN or (start > 1 and _APOSTROPHE.match(seen, start - 2))):
        parts.insert(0, " ")
    if after[-1] in _LATIN and at < end and seen[at] in _LATIN:
        parts.append(" ")
    return parts


def _joins(said: str, beside: str, beyond: str) -> bool:
    """Whether no more than a blank is between what is said and a hanzi, as people set figures; it parts no words."""
    return beside == " " and _is_hanzi(said) and _is_hanzi(beyond)


def _is_hanzi(char: str) -> bool:
    return char > "\u2fff" and char not in _WIDE_MARKS


def _kind(char: str) -> str:
    return _KINDS.get(char) or ("h" if char > "\u2fff" else "a")


def before(match: Match, pattern: re.Pattern[str]) -> bool:
    """Whether the pattern, which should end in `$`, is found in the few characters before the match."""
    start = match.start()
    return pattern.search(match.string, start - _NEAR if start > _NEAR else 0, start) is not None


def after(match: Match, pattern: re.Pattern[str]) -> bool:
    """Whether the pattern fits right after the match."""
    return pattern.match(match.string, match.end()) is not None


def note(changes: list[Change], rule: str, before: str, after: str) -> None:
    """Remember a change, if it is one and there is room."""
    if before != after and len(changes) < MAX_CHANGES:
        changes.append(Change(rule, before, after))

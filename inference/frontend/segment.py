"""Normalised text to sentences, and sentences to runs of one script, each with the pause after it. Pure, linear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from inference.frontend.assemble import PAUSE_OF
from inference.frontend.words import Language

HANZI: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Chinese characters, as the inside of a regular expression's class."""

_TOKEN: Final = re.compile(rf"([{HANZI}]+) ?|([A-Za-z]+(?:'[A-Za-z]+)*) ?|([^A-Za-z{HANZI}]+)")
_ENDS: Final = frozenset("。．｡.!?！？\n")
_OPENING: Final = frozenset("(（[【〔{")
_BRACKETS: Final = frozenset("（）()[]【】{}〔〕")
_QUOTES: Final = "“”‘’「」『』《》〈〉\"'`«»"
_CLOSING: Final = r"。．｡.!?！？…”’」』】）)\]》〉}\"'"
_MAYBE_END: Final = re.compile(r"[。．｡.!?！？…\n]")
_END: Final = re.compile(
    # a question quoted inside an English sentence does not end it, nor does a dot inside a name
    rf"(?:[。．｡！？\n]|[!?](?![\"”'’)] ?[a-z])|\.(?![a-z,;:])|…(?=[{_CLOSING}]{{0,4}}(?:\s{{0,4}}\n| [\"'“‘]?[A-Z])))"
    rf"[{_CLOSING}]*\s*"
)
"""Where a sentence ends, and what still belongs to it."""
_REMARK: Final = re.compile(r"[(（\[【〔{][^()（）\[\]【】〔〕{}\n]{1,200}[)）\]】〕}](?=[^\n])")
"""A remark in brackets with more text after it: what ends in it does not end the sentence."""
_IN_REMARK: Final = str.maketrans(dict.fromkeys("。．｡.!?！？", "；"))
_SILENT: Final = re.compile(f"[^\\s{re.escape(_QUOTES)}{re.escape(''.join(PAUSE_OF))}]")
_MANY: Final = 16
"""Marks in a row of which each is heard; of more, one of each kind."""


@dataclass(slots=True)
class Run:
    """Characters of one script, and the pause mark that follows them (`""` for none)."""

    text: str
    lang: Language
    pause: str = ""


class Passage(NamedTuple):
    """A sentence as text and as runs; it has at least one run. `unspoken` are the characters in it that say nothing."""

    text: str
    runs: tuple[Run, ...]
    unspoken: tuple[str, ...]


def passages(text: str) -> Iterator[Passage]:
    """The sentences of a normalised text, in order. One without a run is yielded only for its unspoken characters."""
    start = remark = 0  # where the sentence begins, and where the remark ends that we are in
    runs: list[Run] = []
    unspoken: list[str] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastindex
        if kind == 1:
            runs.append(Run(match[1], "zh"))
        elif kind == 2:
            runs.append(Run(match[2], "en"))
        elif match.end() <= remark:
            _hear(match[3].translate(_IN_REMARK), runs, unspoken)
        else:
            marks = match[3]
            at, last = match.span()
            for maybe in _MAYBE_END.finditer(text, max(at, remark), last):
                end = _END.match(text, maybe.start()) if maybe.start() >= at else None
                if end is None:
                    continue
                _hear(text[at : end.end()], runs, unspoken)
                at = end.end()
                if runs or unspoken:
                    yield _passage(text[start:at], runs, unspoken)
                start, runs, unspoken = at, [], []
            _hear(text[at:last], runs, unspoken)
            if runs and not _OPENING.isdisjoint(marks):
                remark = _remark_end(text, at, last) or remark
    if runs or unspoken:
        yield _passage(text[start:], runs, unspoken)


def _remark_end(text: str, at: int, last: int) -> int:
    """Where the remark ends that is opened among the marks `text[at:last]`; 0 for none."""
    opening = max(text.rfind(bracket, at, last) for bracket in _OPENING)
    match = _REMARK.match(text, opening) if opening >= 0 else None
    return match.end() if match else 0


def _hear(marks: str, runs: list[Run], unspoken: list[str]) -> None:
    if len(marks) > _MANY:
        unspoken += _SILENT.findall(marks)
        marks = "".join(dict.fromkeys(_SILENT.sub("", marks)))
    for mark in marks:
        kind = PAUSE_OF.get(mark)
        if kind is None:
            if not mark.isspace() and mark not in _QUOTES:
                unspoken.append(mark)
        elif kind and runs and _outranks(mark, runs[-1].pause):
            runs[-1].pause = mark


def _outranks(mark: str, before: str) -> bool:
    """Whether of two marks in a row the later one is heard: ？！ is a question, ）。 is a full stop."""
    if not before or before in _BRACKETS:
        return True
    if mark in _BRACKETS or before in "?？":
        return False
    return mark in "?？" or (mark in _ENDS and before not in _ENDS)


def _passage(text: str, runs: list[Run], unspoken: list[str]) -> Passage:
    if runs and runs[-1].pause in _BRACKETS:  # a bracket closes no sentence
        runs[-1].pause = ""
    return Passage(text.strip(), tuple(runs), tuple(unspoken))

"""Normalised text to sentences, and sentences to runs of one script, each with the pause after it. Pure, linear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from inference.frontend.assemble import PAUSE_OF
from inference.frontend.words import Language

HANZI: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Chinese characters, as the inside of a regular expression's class."""

_TOKEN: Final = re.compile(rf"([{HANZI}]+)|([A-Za-z]+(?:'[A-Za-z]+)*)|(…+|—+|-+|\s+|.)", re.DOTALL)
_ENDS: Final = frozenset("。．｡.!?！？\n")
_CLOSERS: Final = frozenset("”’」』】）)]》〉\"'")
_BRACKETS: Final = frozenset("（）()[]【】{}〔〕")
_QUOTES: Final = frozenset("“”‘’「」『』《》〈〉\"'`«»")


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one script, and the pause mark that follows them (`""` for none)."""

    text: str
    lang: Language
    pause: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence as text and as runs; it has at least one run. `unspoken` are the characters in it that say nothing."""

    text: str
    runs: tuple[Run, ...]
    unspoken: tuple[str, ...]


def passages(text: str) -> Iterator[Passage]:
    """The sentences of a normalised text, in order. One without a run is yielded only for its unspoken characters."""
    start, ended = 0, False
    runs: list[Run] = []
    unspoken: list[str] = []
    for match in _TOKEN.finditer(text):
        hanzi, latin, other = match.groups()
        if ended and not (other and (other in _CLOSERS or other in _ENDS)):
            if runs or unspoken:
                yield _passage(text[start : match.start()], runs, unspoken)
            start, ended, runs, unspoken = match.start(), False, [], []
        if hanzi:
            runs.append(Run(hanzi, "zh", ""))
        elif latin:
            runs.append(Run(latin, "en", ""))
        else:
            ended = ended or other in _ENDS or "\n" in other
            _hear(other, runs, unspoken)
    if runs or unspoken:
        yield _passage(text[start:], runs, unspoken)


def _hear(mark: str, runs: list[Run], unspoken: list[str]) -> None:
    kind = PAUSE_OF.get(mark[0])
    if kind is None:
        if not mark.isspace() and mark not in _QUOTES:
            unspoken.append(mark)
    elif kind and runs and _outranks(mark[0], runs[-1].pause):
        runs[-1] = Run(runs[-1].text, runs[-1].lang, mark[0])


def _outranks(mark: str, before: str) -> bool:
    """Whether of two marks in a row the later one is heard: ？！ is a question, ）。 is a full stop."""
    if not before or before in _BRACKETS:
        return True
    if mark in _BRACKETS or before in "?？":
        return False
    return mark in "?？" or (mark in _ENDS and before not in _ENDS)


def _passage(text: str, runs: list[Run], unspoken: list[str]) -> Passage:
    if runs and runs[-1].pause in _BRACKETS:  # a bracket closes no sentence
        runs[-1] = Run(runs[-1].text, runs[-1].lang, "")
    return Passage(text.strip(), tuple(runs), tuple(unspoken))

"""What the bench has spoken: sentences and paragraphs put together from `news.txt`, no two alike; pure.

Sentence n of a kind is the n-th combination of its choices in an order that looks like chance, so that no list of what
was used is needed, clients that share the numbers out never meet, and a cache of lines finds nothing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice, product
from pathlib import Path
from typing import Final

NEWS: Final = Path(__file__).with_name("news.txt")
LANGUAGES: Final = ("zh", "en", "mixed")
LENGTHS: Final = ("short", "sentence", "paragraph", "mixed")
SEED_TEXTS: Final = "seed"
"""The language whose texts are those of `bench seed`; it has sentences alone."""

PARAGRAPH_CHARS: Final = (100, 300)
"""Of a Chinese paragraph, or one of both languages."""
PARAGRAPH_CHARS_EN: Final = (300, 900)
"""English says in three letters what takes one Chinese character."""
PARAGRAPHS_IN_MIXED: Final = 0.1
"""One text in ten is a paragraph, in a mix of lengths: what short requests wait for."""
HOT_TEXTS: Final = 100
"""What repeated requests choose from, each as often as the others."""
_HOT_SENTENCES: Final = 100 * HOT_TEXTS
"""Numbers kept for them: no paragraph has more sentences."""
_SEED_STEP: Final = 7_919_317  # a prime beyond what one run asks for
_FIGURES: Final = "123456789"
_STEP: Final = 0.6180339887
"""How far on among a kind's combinations the next sentence is: by the golden section neighbours are never alike."""


@dataclass(frozen=True, slots=True)
class TextPlan:
    """Which texts are asked for."""

    language: str = "zh"
    """zh, en, mixed (both in one sentence), or seed."""
    length: str = "sentence"
    """short (a question of some twenty characters), sentence, paragraph, or mixed: in ten texts a paragraph."""
    repeat: float = 0.0
    """The part of requests, 0 to 1, whose text was asked for before: one of a hundred."""
    seed: int = 0
    """Another number gives other texts."""

    def __post_init__(self) -> None:
        """ValueError if there are no such texts."""
        if self.language not in {*LANGUAGES, SEED_TEXTS}:
            raise ValueError(f"language is {self.language!r}; it must be one of {', '.join(LANGUAGES)}")
        if self.length not in LENGTHS:
            raise ValueError(f"length is {self.length!r}; it must be one of {', '.join(LENGTHS)}")
        if self.length == "short" and self.language != "zh":
            raise ValueError("short texts are Chinese; ask for language zh, or for another length")
        if not 0 <= self.repeat <= 1:
            raise ValueError(f"repeat is {self.repeat:g}; it must be from 0 to 1")


@dataclass(frozen=True, slots=True)
class Text:
    """One text, and whether a cache may know it."""

    text: str
    repeated: bool


def texts(plan: TextPlan, client: int = 0, clients: int = 1) -> Iterator[Text]:
    """The texts of one client of so many, without end."""
    rng = random.Random(f"{plan.seed} {client}")
    first = plan.seed * _SEED_STEP
    hot = list(islice(_new(plan, random.Random(plan.seed), count(first)), HOT_TEXTS))
    new = _new(plan, rng, count(first + _HOT_SENTENCES + client, clients))
    while True:
        repeated = rng.random() < plan.repeat
        yield Text(rng.choice(hot) if repeated else next(new), repeated)


def sentence(kind: str, number: int) -> str:
    """Sentence `number` of a kind; no two of its first `combinations` are alike."""
    columns, total, step = _kind(kind)
    left = number * step % total
    written, before = "", 0
    for column in columns:
        left, digit = divmod(left, len(column))
        before = (digit + before) % len(column)  # else neighbours would have their middles in common
        written += column[before]
    if "#" in written:
        rng = random.Random(number)
        written = "".join(rng.choice(_FIGURES) if char == "#" else char for char in written)
    return written


def combinations(kind: str) -> int:
    """How many different sentences of a kind there are, whatever their figures."""
    return _kind(kind)[1]


def _new(plan: TextPlan, rng: random.Random, numbers: Iterator[int]) -> Iterator[str]:
    kind = "chat" if plan.length == "short" else plan.language
    while True:
        if plan.length == "paragraph" or (plan.length == "mixed" and rng.random() < PARAGRAPHS_IN_MIXED):
            yield _paragraph(kind, rng, numbers)
        else:
            yield sentence(kind, next(numbers))


def _paragraph(kind: str, rng: random.Random, numbers: Iterator[int]) -> str:
    shortest, longest = PARAGRAPH_CHARS_EN if kind == "en" else PARAGRAPH_CHARS
    wanted = rng.randint(shortest, longest)
    written = ""
    while len(written) < shortest or len(written) < wanted - shortest // 4:
        more = sentence(kind, next(numbers))
        if len(written) + len(more) >= longest:
            break
        written += f" {more}" if written and kind == "en" else more
    return written


@lru_cache
def _kind(kind: str) -> tuple[list[list[str]], int, int]:
    """The columns of a kind, how many combinations they have, and a step that meets all of them."""
    blocks = NEWS.read_text(encoding="utf-8").split("\n\n")
    block = next(block for block in blocks if block.startswith(f"{kind}\n"))
    columns = [_choices(line.split("|")) for line in block.strip("\n").split("\n")[1:]]
    total = math.prod(len(column) for column in columns)
    step = round(total * _STEP)
    while math.gcd(step, total) != 1:
        step += 1
    return columns, total, step


def _choices(written: list[str]) -> list[str]:
    """A column whose choices have as many figures each is written out, and so each number in it comes once."""
    figures = {choice.count("#") for choice in written}
    if len(figures) > 1 or figures == {0}:
        return written
    forms = [choice.replace("#", "{}") for choice in written]
    return [form.format(*number) for number in product(_FIGURES, repeat=figures.pop()) for form in forms]

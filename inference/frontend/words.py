"""One spoken word with its reading: what the two languages' rooms make, and `assemble` turns into phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inference.frontend.phones import Break

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule made of a piece of the text, for people who ask why: `time`, `3:20`, `三点二十分`."""

    rule: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Word:
    """A word as written and as said."""

    text: str
    """The word as it stands in the normalised sentence."""
    lang: Language
    readings: tuple[str, ...]
    """zh: pinyin with its tone digit, one per syllable, before sandhi (`yi1 dianr3`). en: CMUdict phones."""
    spoken: tuple[str, ...]
    """The readings as they sound here: zh after sandhi, en with weak forms."""
    break_: Break = Break.WORD
    """The boundary after the word."""
    rule: str = ""
    """How its reading was found: `phrase book`, `surname`, `lexicon`, `letter-to-sound`, …"""


def mandarin_word(
    text: str, readings: Sequence[str], spoken: Sequence[str] | None = None, break_: Break = Break.WORD
) -> Word:
    """A Mandarin word of known pinyin, e.g. from a labelled corpus; without `spoken` it is said as it is read."""
    return Word(text, "zh", tuple(readings), tuple(readings if spoken is None else spoken), break_)


def english_word(text: str, phones: Sequence[str], break_: Break = Break.WORD) -> Word:
    """An English word of known CMUdict phones, e.g. `("HH", "AH0", "L", "OW1")`."""
    return Word(text, "en", tuple(phones), tuple(phones), break_)

"""Figures and symbols in Chinese text, as Chinese: a table of rules, most particular first."""

from __future__ import annotations

from functools import cache

from inference.frontend.mandarin_figures import (
    clocks,
    codes,
    dates,
    measures,
    models,
    money,
    names,
    quantities,
    scores,
    signs,
    telephones,
)
from inference.frontend.rules import Table
from inference.frontend.words import Change


def say(text: str, changes: list[Change], seen: str | None = None, at: int = 0, end: int | None = None) -> str:
    """The stretch of the text with its figures and symbols said in Chinese. No ASCII digit is left.

    `seen` is the text in simplified characters, for which the rules are written.
    """
    return _table().say(text, changes, seen, at, end)


@cache
def _table() -> Table:
    figures = [
        *codes.CHAIN,
        *quantities.LISTED,
        *dates.DATES,
        *clocks.TIMED,
        *scores.GAMES,
        *clocks.CLOCKS,
        *telephones.TELEPHONES,
        *codes.CODES,
        *names.NAMES,
        *dates.UNBROKEN,
        *quantities.ORDINAL,
        *codes.LONG,
        *money.SUMS,
        *measures.MEASURES,
        *codes.DOTTED,
        *scores.SCORES,
        *quantities.RANGES,
        *clocks.TWO_MINUTES,
        *scores.TWO_POINTS,
        *names.GRAPHICS_CARD,
        *quantities.FEW,
        *measures.TWO_OF_A_UNIT,
        *quantities.NUMBERS,
    ]
    marks = [
        *signs.ORNAMENTS,
        *telephones.IN_BRACKETS,
        *quantities.BRACKETED,
        *telephones.ABROAD,
        *money.SIGNED,
        *quantities.SIGNED,
        *measures.POWER,
        *signs.SIGNS,
        *measures.PER,
        *signs.JOINTS,
    ]
    letters = [
        *models.VERSIONS,
        *money.SIGNED,
        *models.ABBREVIATIONS,
        *measures.EACH,
        *models.MODELS,
    ]
    words = (
        r"[A-Z]{2,4}(?=/[TZQ][ -]?\d)"
        r"|[A-Za-z]++(?=[-_ ·]?\d|\$\d|\.\s?\d|[+#])|[IVX]++(?![A-Za-z])|vs(?![A-Za-z])|(?:Ctrl|Esc)(?![A-Za-z])"
        rf"|(?<=每)[A-Za-z]++|(?<={models.PLATE})[A-Z](?=[·• -]?[A-Z\d]{{5,6}}(?![A-Za-z\d]))"
    )
    return Table(
        figures,
        (rf"(?<![A-Za-z\d])(?:{words})", letters),
        (r"[(（.\-~～–—+^=<>×÷≈≠≤≥±*°¥€£$%‰√∞&@/_#|₩₹₽¢∶→μΩ`\\§]|[?!](?=[号”\"’'」])", marks),
    )

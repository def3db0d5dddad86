"""Figures, symbols and abbreviations in English text, as English: a table of rules, most particular first."""

from __future__ import annotations

from functools import cache

from inference.frontend.english_figures import clocks, codes, dates, measures, models, money, quantities, signs
from inference.frontend.rules import Table
from inference.frontend.words import Change


def say(text: str, changes: list[Change], seen: str | None = None, at: int = 0, end: int | None = None) -> str:
    """The stretch of the text with its figures and symbols said in English. No ASCII digit is left."""
    return _table().say(text, changes, seen, at, end)


@cache
def _table() -> Table:
    figures = [
        *codes.CHAIN,
        *quantities.LISTED,
        *dates.DATES,
        *codes.DOTTED,
        *clocks.HALF_DAY,
        *codes.CODES,
        *money.CENTS,
        *clocks.CLOCKS,
        *dates.DECADES,
        *quantities.ORDINALS,
        *dates.SHORT,
        *quantities.FRACTIONS,
        *measures.SHARES,
        *money.PENCE,
        *measures.MEASURES,
        *quantities.RANGES,
        *measures.SIZES,
        *quantities.HUNDREDS,
        *dates.YEARS,
        *quantities.NUMBERS,
    ]
    marks = [
        *signs.ORNAMENTS,
        *codes.TELEPHONE,
        *quantities.BRACKETED,
        *money.SIGNED,
        *dates.SHORT_DECADE,
        *quantities.SIGNED,
        *dates.TO_A_MONTH,
        *signs.SIGNS,
        *measures.PER,
        *signs.JOINTS,
    ]
    letters = [
        *dates.MONTHS,
        *money.SIGNED,
        *models.MODELS,
        *dates.FISCAL_YEAR,
        *models.NAMES,
    ]
    words = (
        rf"(?:{dates.MONTH})(?=\.?\s\d|\.)|[A-Za-z]++(?=[-_]?\d|\$\d|\.\s?\d|[+#]|\s\d{{3}})"
        r"|(?:Python|Ubuntu|Django|Xcode|Go|PHP)(?=\s\d)|[IVXLCDM]++(?![A-Za-z'])|vs(?![A-Za-z])"
    )
    return Table(
        figures,
        (rf"(?<![A-Za-z\d])(?:{words})", letters),
        (r"[(.\-~–—+^=<>×÷≈≠≤≥±*°¥€£$%‰√∞∶&@/_#|₩₹₽¢`\\μΩ→§]|'(?=\d0s)", marks),
    )

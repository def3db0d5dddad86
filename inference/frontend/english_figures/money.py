"""Sums of money in English text: $3.50, £1.5bn, a $20 bill, 50¢."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.english_figures.counted import ARTICLE, quantity
from inference.frontend.numerals import en_cardinal, en_number
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import TO, N

_CURRENCY: Final = {
    "$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", ""), "₩": ("won", ""),
    "₹": ("rupee", "paisa"), "US$": ("dollar", "cent"),
}  # fmt: skip
SCALES: Final = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "b": "billion", "B": "billion",
                  "bn": "billion", "T": "trillion"}  # fmt: skip
_NOUN_NEXT: Final = re.compile(
    r"\s(?!(?:you|we|he|she|they|it|i|that|which|a|an|in|on|of|for|last|this|each|per|and|or|to|from|was|is|today|with|"
    r"against|by|as|at|after|than|before|into|more|less|via|when|while|because|since|so|if|but)\b)"
    r"(?:[a-z]{3,}|[A-Z][A-Za-z]+)"
)
_DEAL_NEXT: Final = re.compile(
    r"\s(?:deal|contract|bill|note|check|budget|lawsuit|settlement|investment|project|loan|fine|program|plan|package|"
    r"mortgage|grant|gift card|fund|prize|valuation|bond|bonus|deposit|fee|bid|offer|bailout)\b"
)
_SUM: Final = (
    rf"((?:US)?\$|[£€¥₩₹])\s?({N})(?:[kKmMbB]?{TO}[$£€¥]?({N}))?"
    r"(?:\s?(thousand|million|billion|trillion)(?![a-z])|(bn|[kKmMbBT])(?![A-Za-z\d]))?"
)


def _money(match: Match) -> str:
    sign, low, high = match[1], match[2].replace(",", ""), (match[3] or "").replace(",", "")
    major, minor = _CURRENCY[sign]
    majors = major if major in {"yen", "won"} else major + "s"
    scale = match[4] or SCALES.get(match[5] or "", "")
    if high:
        return f"{quantity(low)} to {quantity(high)} {scale + ' ' if scale else ''}{majors}"
    if after(match, _DEAL_NEXT) or (before(match, ARTICLE) and after(match, _NOUN_NEXT)):
        # a $20 bill: an adjective has no plural
        return f"{quantity(low)} {scale + ' ' if scale else ''}{major}"
    if scale:
        return f"{quantity(low)} {scale} {majors}"
    whole, _, cents = low.partition(".")
    named = major if whole.lstrip("0") == "1" else majors
    if not cents.strip("0"):
        return f"{en_cardinal(whole)} {named}"
    if len(cents) != 2 or not minor:
        return f"{en_number(low)} {majors}"
    count = cents.lstrip("0")
    small = minor if count == "1" else "pence" if minor == "penny" else minor + "s"
    said = f"{en_cardinal(count)} {small}"
    return said if not whole.strip("0") else f"{en_cardinal(whole)} {named} {said}"


SIGNED: Final = (
    Rule("money", _SUM, _money),
)  # fmt: skip
"""What begins with the sign of a currency."""
CENTS: Final = (
    Rule("money", rf"({N})\s?¢",
         lambda m: quantity(m[1]) + (" cent" if m[1] == "1" else " cents"), next=" .,a"),
)  # fmt: skip
PENCE: Final = (
    Rule("money", r"(\d{1,2})p(?=\s(?:off|each|per|a)\b|\s?/)", lambda m: en_cardinal(m[1]) + " pence", next="a"),
)  # fmt: skip

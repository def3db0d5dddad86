"""Figures in English text that are a code: telephones, addresses, versions, serials, passwords."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.english_figures.counted import COUNTED_NEXT
from inference.frontend.numerals import en_cardinal, en_digits, en_figures
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import SERIAL

_CHAINED: Final = {".": " point ", "+": " plus ", "=": " equals ", "*": " times ", ",": ", ", "/": ", "}
_CODE: Final = re.compile(
    r"(?i)\b(?:password|passcode|pin|zip(?: code)?|code|id|account|agent|extension|area code|text \w{2,12} to|"
    r"serial number|phone|call|dial|ring|number)(?: number)?(?: is| was|:|,)?\s?$"
)
_CALLED: Final = re.compile(r"(?i)\b(?:call|dial|dialed|dialled|called|phone|ring)\s$")
_LOCAL_PHONE: Final = r"(?:\d{1,3}[- ])?(?:\(\d{3}\)\s?|\d{3}[- ])?\d{3}-\d{4}(?![\d-])"


def _chain(match: Match) -> str:
    parts = re.split(r"(\D+)", match.group())
    return "".join(_part(part) if part.isdigit() else _CHAINED.get(part, " ") for part in parts)


def _part(digits: str) -> str:
    return en_cardinal(digits) if len(digits) < 3 else en_digits(digits)


def _phone(match: Match) -> str:
    parts = re.findall(r"\d+", match.group())
    return ", ".join("eight hundred" if part == "800" else en_digits(part) for part in parts)


def _code(match: Match) -> str | None:
    if not before(match, _CODE) or after(match, COUNTED_NEXT):
        return None
    said = en_digits(match[1])
    return said if match[1][0] == "0" else said.replace("zero", "oh")


def version(numbers: str) -> str:
    """Version 1.12 is one point twelve, but 591.74 five ninety one point seven four."""
    first, *rest = numbers.split(".")
    long = len(first) == 3
    return " point ".join(
        [en_figures(first) if long else en_cardinal(first), *map(en_digits if long else en_cardinal, rest)]
    )


def spelled(code: str) -> str:
    """A code letter by letter and figure by figure: 5CD2."""
    return " ".join(en_digits(char) if char.isdigit() else char for char in code)


CHAIN: Final = (
    Rule("code", r"\d++(?:[-:./, +*=_~x][ ]?\d++){24,}+", _chain, next=" -.,/:a"),
)  # fmt: skip
"""Figures without end, joined by whatever."""
DOTTED: Final = (
    Rule("address", r"((?:\d{1,3}\.){3}\d{1,3})(?::(\d{1,5}))?(?!\d|\.\d)",
         lambda m: " dot ".join(map(en_digits, m[1].split("."))) + (f" port {en_digits(m[2])}" if m[2] else ""),
         next="."),
    Rule("telephone", r"\d{3}\.\d{3}\.\d{4}(?![.\d])", _phone, next="."),
    Rule("version", r"(\d{1,9}(?:\.\d{1,9}){2,9})(?!\d|\.\d)", lambda m: version(m[1]), next="."),
    Rule("telephone", rf"{_LOCAL_PHONE}|\d{{3}}[- ]\d{{3}}[- ]\d{{4}}(?!\d)", _phone, next=" -"),
    Rule("telephone", r"\d{3} \d{3,4} \d{4}(?!\d|[.,]\d)", _phone, next=" "),
    Rule("telephone", r"(911|999|112|411)(?!\d|[.,]\d|%)",
         lambda m: en_digits(m[1]) if before(m, _CALLED) else None),
    Rule("code", r"802\.(\d{1,2})([a-z]{0,2})(?![A-Za-z\d])",
         lambda m: f"eight oh two dot {en_cardinal(m[1])} {' '.join(m[2].upper())}".rstrip(), next="."),
)  # fmt: skip
"""Addresses, versions and telephones: 192.168.1.1:80, 2.10.3, 555-0123."""
CODES: Final = (
    Rule("code", r"(40[13])\s?\(?([kb])\)?(?![A-Za-z\d])",
         lambda m: f"{en_figures(m[1])} {m[2].upper()}", next=" a"),
    Rule("code", SERIAL, lambda m: spelled(m.group()), next="a"),
    Rule("code", r"0x([\dA-Fa-f]{1,16})(?![A-Za-z\d])",
         lambda m: "zero X " + " ".join(en_digits(c) if c.isdigit() else c.upper() for c in m[1]), next="a"),
    Rule("code", r"(\d{3,}+)(?![.,:]\d|%)", _code),
)  # fmt: skip
TELEPHONE: Final = (
    Rule("telephone", rf"\+?{_LOCAL_PHONE}|\+\d{{1,3}}(?:[- ]\d{{2,4}}){{2,4}}(?!\d)", _phone),
)  # fmt: skip
"""A telephone that begins with a sign: +1 212 555 0123."""

"""Signs in English text: operators, keys, steps of a menu, what joins names, and what is no more than ornament."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.numerals import en_digits, en_figures, en_ordinal
from inference.frontend.rules import Match, Rule, before
from inference.frontend.written import FILES, ORNAMENT

_SYMBOLS: Final = {
    "%": " percent ", "‰": " per mille ", "+": " plus ", "=": " equals ", "×": " times ", "÷": " divided by ",
    "±": " plus or minus ", "≈": " is about ", "≠": " is not ", "≤": " at most ", "≥": " at least ", "*": " times ",
    "<": " less than ", ">": " greater than ", "&": " and ", "@": " at ", "°": " degrees ", "$": " dollars ",
    "¥": " yen ", "¢": " cents ", "€": " euros ", "£": " pounds ", "₩": " won ", "₹": " rupees ", "₽": " rubles ",
    "√": " root of ", "∞": " infinity ", "→": " to ", "∶": " to ", "μ": " mu ", "Ω": " ohm ",
}  # fmt: skip
_OPERAND: Final = re.compile(r"[\w)%]\s?$")
_SIZE: Final = re.compile(r"(?<![A-Za-z])(?:X{0,4}S|M)$")
"""The lower end of sizes: S-XL."""
_PRESSED: Final = re.compile(r"(?i)\b(?:press|presses|pressing|hit|push|dial|tap|enter)(?: the)?\s$")
"""What is done to a key: press # to confirm."""


def _power(match: Match) -> str:
    names = {"2": " squared", "3": " cubed"}
    return names.get(match[1]) or f" to the {en_ordinal(match[1])} power"


def _operator(match: Match) -> str | None:
    return _SYMBOLS[match[1]] if before(match, _OPERAND) else None


ORNAMENTS: Final = (
    Rule("ornament", rf"{ORNAMENT}|\*\*", lambda m: m.group()),
)  # fmt: skip
SIGNS: Final = (
    Rule("minus", r"-(?=\s(?:in|on|for|and|or|average|to)\b|[,.;)]|\s*$)(?<=[\s(/][A-F]-)", lambda m: " minus"),
    Rule("sign", r"\+(?=\d)(?<![\dA-Za-z)]\+)", lambda m: "plus "),
    Rule("power", r"\^(\d{1,3})", _power),
    Rule("path", r">\s(?=[A-Z][a-z])(?<=[a-z]\s>\s)", lambda m: ", "),
    Rule("key", r"[#*](?![A-Za-z\d#*])",
         lambda m: {"#": "pound", "*": "star"}[m.group()] if before(m, _PRESSED) else None),
    Rule("sign", r"([=<>×÷≈≠≤≥±*+])\s?(?=[-A-Za-z\d\(])", _operator),
    Rule("code", r"#(\d{5,12})(?![\d,.]\d|\d)", lambda m: "number " + en_digits(m[1]).replace("zero", "oh")),
    Rule("code", r"#(\d{4})(?![\d,.]\d|\d)", lambda m: "number " + en_figures(m[1])),
    Rule("code", r"#(\d{2,8}(?:-\d{2,8}){1,3})(?![\d-])",
         lambda m: "number " + ", ".join(map(en_digits, m[1].split("-"))).replace("zero", "oh")),
    Rule("code", r"#(?=[A-Z]{1,5}-?\d)", lambda m: "number "),
    Rule("sign", r"#(?=\d)", lambda m: "number "),
    Rule("section", r"§{1,2}\s?(?=\d)", lambda m: "section "),
    Rule("sign", r"#(?=[A-Za-z])", lambda m: "hashtag "),
    Rule("sign", r"#(?=\s(?:is|was|to|and|or)\b|:)", lambda m: "number"),
    Rule("sign", r"@(?=[A-Za-z]|\s[A-Za-z\d$£€])", lambda m: " at "),
    Rule("sign", r"[&×÷±≈≠≤≥‰√∞∶¥€£$%=¢°₩₹₽μΩ→]", lambda m: _SYMBOLS[m.group()]),
)  # fmt: skip
JOINTS: Final = (
    Rule("sign", r"(?<=[A-Za-z\d%])\+", lambda m: " plus "),
    Rule("range", r"[-~–—](?=X{0,4}L(?![A-Za-z\d])|M(?![A-Za-z\d]))",
         lambda m: " to " if before(m, _SIZE) else None),
    Rule("joint", r"[-_/](?=[A-Za-z\d])(?<=[A-Za-z\d][-_/])", lambda m: " "),
    Rule("file name", rf"\.(?=(?:{FILES})(?![A-Za-z\d]))(?<=[\w)]\.)", lambda m: " dot "),
    Rule("file name", r"\.(?=[a-z\d])(?<=[A-Za-z\d]\.)", lambda m: " dot "),
)  # fmt: skip

"""Ranges, fractions, ordinals and plain numbers in English text: 3-5, 1/2 gal, 21st, 1500 tickets."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend import units
from inference.frontend.english_figures.counted import DOT, THING_NEXT, UNIT, quantity
from inference.frontend.numerals import en_cardinal, en_digits, en_figures, en_ordinal, en_plural
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import TO, N

_ORDERED: Final = {"min": "minute", "hr": "hour", "yr": "year", "wk": "week", "Fl": "floor"}
_DATED: Final = re.compile(r"(?i)\b(?:in|since|by|until|of|year|from|before|after)\s$")
_RANGED: Final = re.compile(r"(?:^|[^A-Za-z\d.-])[\d.,]++$|[M%]$|\d\s?[AaPp](?:\.?[Mm]\.?)?\s?$")
_SMALL_LETTER: Final = re.compile(r"[a-z]$|[A-Z]\d$|(?<![A-Z])[A-Z]{3}$")
_VARIABLE: Final = re.compile(r"(?:\^\d|(?:^|[\s(=+-])[A-Zb-z])\s$")
_ALGEBRA: Final = re.compile(r"[-+=*/^(]\s?$")
_EQUALS_NEXT: Final = re.compile(r"\s?=")


def _fraction(match: Match) -> str:
    whole, over, under = match[1], int(match[2]), int(match[3])
    if (over, under) in {(24, 7), (9, 11)} or over == under or (over > 9 and under == over + 1):
        return f"{quantity(match[2])} {quantity(match[3])}"  # twenty four seven, fifty fifty
    if not 2 <= under <= 100 or over > under:
        return f"{quantity(match[2])} over {quantity(match[3])}"
    name = {2: "half", 4: "quarter"}.get(under) or en_ordinal(str(under))
    many = "halves" if name == "half" else name + "s"
    if whole:
        return f"{quantity(whole)} and " + (f"a {name}" if over == 1 else f"{quantity(match[2])} {many}")
    return f"one {name}" if over == 1 else f"{quantity(match[2])} {many}"


def _fraction_of(match: Match) -> str | None:
    """1/2 gal: half a gallon; 3/4 tsp: three quarters of a teaspoon; 1 1/2 lbs: one and a half pounds."""
    whole, over, under, unit = match.groups()
    if not 2 <= int(under) <= 100 or int(over) >= int(under):
        return None
    if whole:
        return f"{_fraction(match)} {units.in_english(unit, one=False)}"
    one = units.in_english(unit, one=True)
    if under == "2":
        return f"half {'an' if one[0] in 'aeio' or one == 'hour' else 'a'} {one}"
    return f"{_fraction(match)} {one if over == '1' else 'of a ' + one}"


def _range(match: Match) -> str:
    if match[1] == match[2] == "50":
        return "fifty fifty"
    joint = "minus" if after(match, _EQUALS_NEXT) else "to"
    return f"{quantity(match[1])} {joint} {quantity(match[2])}"


def _hundreds(match: Match) -> str | None:
    """1500 tickets: fifteen hundred."""
    return None if before(match, _DATED) else f"{en_cardinal(match[1])} hundred"


LISTED: Final = (
    Rule("list", r"(?<![^\n])(\d{1,2})[.)](?!\d)\s++(?=\S)|(?<=[.!?:] )(\d{1,2})[.)]\s(?=[A-Z])",
         lambda m: en_cardinal(m[1] or m[2]) + ", ", next=".a"),
)  # fmt: skip
"""The number of an item of a list: 1."""
ORDINALS: Final = (
    Rule("ordinal", r"(\d{1,3})(?:st|nd|rd|th)\s(min|hr|yr|wk|Fl)(?![A-Za-z])\.?(?!\s[A-Z])",
         lambda m: f"{en_ordinal(m[1])} {_ORDERED[m[2]]}", next="a"),
    Rule("ordinal", r"(\d{1,15})(?:st|nd|rd|th|ST|ND|RD|TH)(?![A-Za-z\d])", lambda m: en_ordinal(m[1]), next="a"),
)  # fmt: skip
FRACTIONS: Final = (
    Rule("fraction", rf"(?:(\d{{1,4}})[ -])?(\d{{1,2}})/(\d{{1,2}})[ -]?({UNIT})(?!/){DOT}",
         _fraction_of, next=" -/"),
    Rule("fraction", r"(?:(\d{1,4})[ -])?(\d{1,2})/(\d{1,2})\"(?!\w)",
         lambda m: _fraction(m) + (" inch" if after(m, THING_NEXT) or not m[1] else " inches"), next=" -/"),
    Rule("fraction", r"(?:(\d{1,4})[ -])?(\d{1,3})/(\d{1,3})(?![\d/]|\.\d)", _fraction, next=" -/"),
)  # fmt: skip
RANGES: Final = (
    Rule("range", rf"({N}){TO}({N})(?!\d|[-–]\d)", _range, next=" -.,"),
    Rule("ratio", rf"({N})(?:\s?:\s?{N}){{1,7}}",
         lambda m: " to ".join(map(quantity, re.split(r"\s?:\s?", m.group()))), next=" .,:"),
    Rule("times", rf"({N})x(?=\s[a-z]{{2}}|[,;:!?)]|\.(?!\w)|\s*$|\s[/@(–—-])",
         lambda m: None if before(m, _ALGEBRA) else quantity(m[1]) + " time" + "s" * (m[1] != "1"), next=".,a"),
)  # fmt: skip
HUNDREDS: Final = (
    Rule("sum", rf"({N})\s?[xX×*]\s?(?={N})", lambda m: quantity(m[1]) + " times ", next=" .,a"),
    Rule("code", r"([1-5]\d\d)(?=\s(?:error|page|response|status)(?!s))", lambda m: en_figures(m[1]), next=" "),
    Rule("plural", r"(\d?[4-9])(ers?)(?![A-Za-z\d])",
         lambda m: en_cardinal(m[1]).removesuffix("e") + m[2], next="a"),
    Rule("plural", r"(\d++)'?s(?![A-Za-z\d])", lambda m: en_plural(en_figures(m[1])), next="a"),
    Rule("hundreds", r"(1[1-9])00(?=\s[a-z]{3})(?!\s(?:and|was|the|when|with|for|there|from|but|after|before))",
         _hundreds, next=" "),
)  # fmt: skip
"""Products, plurals, and hundreds."""
NUMBERS: Final = (
    Rule("code", r"(10|14|21)([48]0|60)(?=[pP](?![a-z]))",
         lambda m: f"{en_cardinal(m[1])} {en_cardinal(m[2])}", next="a"),
    Rule("number", N, lambda m: quantity(m.group())),
)  # fmt: skip
BRACKETED: Final = (
    Rule("list", r"(?<![^\n])\((\d{1,2})[)]\s++(?=\S)", lambda m: en_cardinal(m[1]) + ", "),
)  # fmt: skip
"""The number of an item of a list: (1)."""
SIGNED: Final = (
    Rule("number", r"\.(?<![A-Za-z\d]\.)(\d++)", lambda m: "point " + en_digits(m[1])),
    Rule("minus", r"-(?=[\d$£€])(?<![\dA-Za-z)%°]-)|-(?=[\dA-Za-z\(])(?<=\^\d-)", lambda m: " minus "),
    Rule("minus", r"[-–]\s(?=\d|[A-Za-z](?![A-Za-z]))", lambda m: "minus " if before(m, _VARIABLE) else None),
    Rule("range", r"[-–~](?=\d)", lambda m: " to " if before(m, _RANGED) else None),
    Rule("range", r"–(?=[A-Z])", lambda m: " to " if before(m, _SMALL_LETTER) else None),
)  # fmt: skip
"""What begins with a point, a minus or a dash."""

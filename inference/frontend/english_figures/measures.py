"""Shares, measures and prices by the unit in English text: 5%, 10-20 km, 5'11", 2.1M children, $30/hr."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend import units
from inference.frontend.english_figures.counted import ARTICLE, DOT, THING_NEXT, UNIT, quantity
from inference.frontend.english_figures.money import SCALES
from inference.frontend.numerals import en_cardinal, en_figures, en_plural
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import TO, N

_PER: Final = {
    "ea": " each", "each": " each", "mo": " per month", "yr": " per year", "hr": " per hour", "wk": " per week",
    "sec": " per second", "bbl": " per barrel", "lb": " per pound", "oz": " per ounce", "gal": " per gallon",
    "pp": " per person",
    "sq ft": " per square foot", "sqft": " per square foot",
}  # fmt: skip
_MANY: Final = (
    "people|fans|users|viewers|subscribers|followers|customers|children|homes|jobs|copies|views|downloads|tons|tonnes|"
    "barrels|euros|pounds|dollars|years|times|households|workers|members|visitors|passengers|vehicles|cars|units|"
    "shares|votes|voters|adults|residents|players|accounts|hectares|acres|women|men|students|pupils|patients|tourists"
)
"""What is counted by the million, so that the m of 3.4m is no meter."""
_MOVED: Final = re.compile(
    r"(?i)\b(?:rose|fell|up|down|by|gained|lost|cut|added|jumped|climbed|dropped|widened|narrowed|rates|yields?)"
    r"(?: about| some| another)?\s$"
)
_MOVED_NEXT: Final = re.compile(r"\s(?:cut|hike|rise|drop|increase|higher|lower|above|below)\b")
_PRICED: Final = re.compile(r"(?:[$£€¥]\s?[\d.,]+[kKmMbB]?|\d\s?(?:[KMGT]B|[¢p]))$")
_RACE_NEXT: Final = re.compile(
    r"\s(?:(?:individual|free|women's|men's|mixed)\s)?(?:freestyle|free|backstroke|breaststroke|butterfly|fly|medley|"
    r"relay|hurdles|dash|sprint|steeplechase|final|race|gold|silver|bronze|world|champion|record|title|run|swim|walk)\b"
)
_PACK_NEXT: Final = re.compile(
    r"\s(?:bag|bottle|can|pack|box|jar|carton|tub|drive|cable|roll|tin|sack|tank|container|screen|monitor|charger|"
    r"adapter|bulb|steak|burger|pizza|pot|walk|run|ride|hike|radius|range|delay|wait|break|session|class|workout|warranty|"
    r"lease|term|SSD|HDD|hard drive|flash drive|memory card|battery|sensor|lens)s?\b"
)
"""What is measured in a word that is no plural: a 256GB SSD, the 200m freestyle."""
_NAME_BEFORE: Final = re.compile(r"\b[A-Z][A-Za-z]*[\s-]?$")
_WORD_BEFORE: Final = re.compile(r"(?:Wait|Delay|Timeout|For|After|Within|Every|In|Hold|Rest|Took|Takes|Set|To)\s$")
_QUOTED: Final = re.compile(r"(\d?)\"")
_QUOTE: Final = 200
"""Characters before a figure in which a quotation may have been opened."""


def _measure(match: Match) -> str | None:
    low, high, unit, many, per = match.groups()
    alone = len(unit) == 1 and unit.isascii() and " " not in match.group()
    if alone and before(match, _NAME_BEFORE) and not (unit == "s" and len(low) > 1 and before(match, _WORD_BEFORE)):
        return None  # iPhone 5s, F-16s
    said = quantity(low) + (f" to {quantity(high)}" if high else "")
    adjective = (
        (before(match, ARTICLE) and after(match, THING_NEXT))
        or after(match, _PACK_NEXT)
        or (unit == "m" and after(match, _RACE_NEXT))
    )
    name = units.in_english(unit, one=adjective or (low == "1" and not high))
    if not per:
        return f"{said} {name}"
    return f"{said} {name} per {quantity(many) + ' ' if many else ''}{units.in_english(per, one=not many)}"


def _height(match: Match) -> str:
    said = f"{en_cardinal(match[1])} {'foot' if match[1] == '1' else 'feet'}"
    return said + (f" {en_cardinal(match[2])} inches" if match[2] else "")


def _in_scale(match: Match) -> str:
    """2.1M children, 70B parameters."""
    return f"{quantity(match[1])} {SCALES[match[2]]}"


def _inches(match: Match) -> str | None:
    """A 6.7" screen; a quotation mark that closes is none."""
    opened = False
    for mark in _QUOTED.finditer(match.string, max(0, match.start() - _QUOTE), match.start()):
        opened = not opened if opened or not mark[1] else opened
    if opened:
        return None
    one = match[1] == "1" or after(match, THING_NEXT)
    said = f"{quantity(match[1])} {'inch' if one else 'inches'}"
    return said + (f" by {quantity(match[2])} {'inch' if one else 'inches'}" if match[2] else "")


def _by(match: Match) -> str:
    """3840x2160, 4x6: by."""
    parts = re.split("[xX]", match.group())
    return " by ".join(
        en_figures(part) if part.isdigit() and len(part) == 4 and part[-2:] != "00" else quantity(part)
        for part in parts
    )


SHARES: Final = (
    Rule("percent", rf"({N})%?{TO}({N})%",
         lambda m: f"{quantity(m[1])} to {quantity(m[2])} percent", next=" -.,a"),
    Rule("percent", rf"({N})\s?%", lambda m: quantity(m[1]) + " percent", next=" .,a"),
    Rule("scale", rf"({N})(M(?=\+?\s[a-z]{{3}}|[,;)]|\.(?!\w)|\s*$)|[BT](?=\+?\s[a-z]{{2,20}}s\b))",
         _in_scale, next=".,a"),
    Rule("scale", rf"({N})(m)(?=\s(?:{_MANY})\b)", _in_scale, next=".,a"),
    Rule("unit", rf"({N})\"(?:\s?[xX×]\s?({N})\")?(?!\w)", _inches, next=" .,a"),
    Rule("height", r"(\d{1,2})'(?=\s[a-z]{3})",
         lambda m: en_cardinal(m[1]) + " foot" if before(m, ARTICLE) else None, next="a"),
    Rule("height", r"(\d{1,2})'(?=\s(?:tall|long|wide|high|deep|by|x)\b)",
         lambda m: en_cardinal(m[1]) + (" foot" if m[1] == "1" else " feet"), next="a"),
)  # fmt: skip
"""Shares, millions, inches and feet."""
MEASURES: Final = (
    Rule("height", r"(\d{1,2})'\s?(?:(\d{1,2})(?:\"|''))", _height, next="a"),
    Rule("plural", r"(7\d7)s(?![A-Za-z\d])", lambda m: en_plural(en_figures(m[1])), next="a"),
    Rule("unit", rf"({N})-?\s?bps(?![A-Za-z/])",
         lambda m: quantity(m[1]) + " basis points" if before(m, _MOVED) or after(m, _MOVED_NEXT) else None,
         next=" -.,a"),
    Rule("unit", rf"({N})(?:{TO}({N}))?\s?({UNIT})(?:/(?:({N})\s?)?({UNIT}))?{DOT}", _measure, next=" -.,a"),
    Rule("unit", rf"({N})-({UNIT}){DOT}",
         lambda m: f"{quantity(m[1])} {units.in_english(m[2], one=True)}", next="-.,"),
    Rule("unit", rf"({N})\s?in\.(?=[\s,;)]|$)", lambda m: quantity(m[1]) + (" inch" if m[1] == "1" else " inches"),
         next=" .,a"),
)  # fmt: skip
SIZES: Final = (
    Rule("race", r"(\d)[xX×]\s?(\d{2,4})\s?m(?=\s(?:relay|medley|freestyle|free|mixed|women|men|team|final))",
         lambda m: f"{en_cardinal(m[1])} by {en_cardinal(m[2])} meter", next="a"),
    Rule("size", r"\d{1,5}(?:\.\d+)?(?:[xX]\d{1,5}(?:\.\d+)?){1,2}(?![\dA-Za-z]|\s?=)", _by, next=".a"),
)  # fmt: skip
PER: Final = (
    Rule("per", r"/s(?![A-Za-z\d])(?<=[a-z]{2}/s)", lambda m: " per second"),
    Rule("per", r"/(ea|each|bbl|mo|yr|hr|wk|sec|lb|oz|gal|pp|sq\.? ?ft|sqft)(?![A-Za-z])(?:\.(?!\s[A-Z]|\s*$))?",
         lambda m: _PER[m[1].replace(".", "")] if before(m, _PRICED) else None),
    Rule("per", rf"/({UNIT})",
         lambda m: " per " + units.in_english(m[1], one=True) if before(m, _PRICED) else None),
    Rule("per", r"/(?=[A-Za-z]{2,}|\d)", lambda m: " per " if before(m, _PRICED) else None),
    Rule("per", r"/(?=(?:second|minute|hour|day|night|week|month|year|person|kg|lb)(?![a-z]))", lambda m: " per "),
)  # fmt: skip
"""The slash between a price or a rate and what it is for."""

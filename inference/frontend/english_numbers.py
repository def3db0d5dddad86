"""Figures, symbols and abbreviations in English text, as English. A table of rules in order, each one linear pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from inference.frontend.numerals import (
    en_cardinal,
    en_digits,
    en_number,
    en_ordinal,
    en_plural,
    en_year,
)

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]

_NUMBER: Final = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,40})(?:\.\d{1,40})?"
_ABBREVIATIONS: Final = {
    "Mr.": "Mister", "Mrs.": "Missus", "Ms.": "Miz", "Dr.": "Doctor", "Prof.": "Professor", "St.": "Saint",
    "Jr.": "Junior", "Sr.": "Senior", "vs.": "versus", "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is",
    "approx.": "approximately", "Inc.": "Incorporated", "Ltd.": "Limited", "Co.": "Company", "Corp.": "Corporation",
    "dept.": "department", "Fig.": "Figure", "Gen.": "General", "Sen.": "Senator", "Rep.": "Representative",
    "Gov.": "Governor", "Capt.": "Captain", "Sgt.": "Sergeant", "Mt.": "Mount", "Ave.": "Avenue",
    "Blvd.": "Boulevard",
}  # fmt: skip
_ENDING: Final = frozenset(["etc.", "Inc.", "Ltd.", "Co.", "Corp.", "Jr.", "Sr.", "Ave.", "Blvd."])
_MONTHS: Final = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July",
    "Aug": "August", "Sep": "September", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
_MONTH: Final = "January|February|March|April|May|June|July|August|September|October|November|December"
_CURRENCY: Final = {
    "$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yuan", "fen"),
}  # fmt: skip
_UNITS: Final = {
    "km/h": "kilometers per hour", "mph": "miles per hour", "m/s": "meters per second", "kg": "kilograms",
    "km": "kilometers", "cm": "centimeters", "mm": "millimeters", "mg": "milligrams", "ml": "milliliters",
    "mL": "milliliters", "lbs": "pounds", "lb": "pounds", "oz": "ounces", "ft": "feet", "kHz": "kilohertz",
    "MHz": "megahertz", "GHz": "gigahertz", "Hz": "hertz", "kW": "kilowatts", "kWh": "kilowatt hours",
    "ms": "milliseconds", "GB": "gigabytes", "MB": "megabytes", "KB": "kilobytes", "TB": "terabytes", "m": "meters",
    "g": "grams", "min": "minutes", "hrs": "hours", "hr": "hours", "dB": "decibels",
}  # fmt: skip
_UNIT: Final = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_SYMBOLS: Final = {
    "%": " percent ", "‰": " per mille ", "+": " plus ", "=": " equals ", "×": " times ", "÷": " divided by ",
    "±": " plus or minus ", "≈": " is about ", "≠": " is not ", "≤": " at most ", "≥": " at least ",
    "<": " less than ", ">": " greater than ", "&": " and ", "@": " at ", "°": " degrees ", "$": " dollars ",
    "¥": " yuan ", "€": " euros ", "£": " pounds ",
}  # fmt: skip
_FRACTIONS: Final = {"2": "half", "4": "quarter"}

_ABBREVIATION: Final = re.compile(
    r"(?<![A-Za-z.])(?:"
    + "|".join(map(re.escape, sorted(_ABBREVIATIONS, key=len, reverse=True)))
    + r")(?![A-Za-z])(\s*)"
)
_INITIALS: Final = re.compile(r"(?<![A-Za-z.])((?:[A-Za-z]\.){2,26})(?![A-Za-z])(\s*)")
_INITIAL: Final = re.compile(r"(?<![A-Za-z.'])([B-HJ-Z])\.(?=\s[A-Z][a-z.])")


def join_abbreviations(text: str) -> str:
    """Take the dot from abbreviations and initials, so that it ends no sentence: Dr. Li → Doctor Li, U.S. → US."""
    if "." not in text:
        return text
    text = _ABBREVIATION.sub(_abbreviation, text)
    text = _INITIALS.sub(_initials, text)
    return _INITIAL.sub(r"\1", text)


def say(text: str) -> str:
    """The text with its figures and symbols said in English. No ASCII digit is left."""
    if not text or text.isspace():
        return text
    for pattern, said in _RULES:
        text = pattern.sub(said, text)
    return text


def _abbreviation(match: re.Match[str]) -> str:
    short = match.group().rstrip()
    if short == "St." and match.start() and match.string[match.start() - 2 : match.start() - 1].islower():
        return "Street" + ("" if match.string[match.end() : match.end() + 1].islower() else ".") + match[1]  # Baker St.
    ends = short in _ENDING and not match.string[match.end() : match.end() + 1].islower()
    ends = ends and match.string[match.end() : match.end() + 1] not in {",", ";", ":", "，"}
    return _ABBREVIATIONS[short] + ("." if ends else "") + match[1]


def _initials(match: re.Match[str]) -> str:
    after = match.string[match.end() : match.end() + 1]
    letters = match[1].replace(".", "").upper()
    return letters + ("." if not after or "\n" in match[2] else "") + match[2]


def _money(match: re.Match[str]) -> str:
    major, minor = _CURRENCY[match["sign"]]
    amount = match["amount"].replace(",", "")
    whole, _, cents = amount.partition(".")
    if match["scale"]:
        return f"{en_number(amount)} {match['scale']} {major}s"
    plural = "yuan" if major == "yuan" else major if whole.lstrip("0") == "1" else major + "s"
    said = f"{en_cardinal(whole)} {plural}"
    if not cents.strip("0"):
        return said
    if len(cents) != 2:
        return f"{en_number(amount)} {major if major == 'yuan' else major + 's'}"
    count = str(int(cents))
    small = {"penny": "penny" if count == "1" else "pence", "fen": "fen"}.get(
        minor, minor if count == "1" else minor + "s"
    )
    return f"{en_cardinal(count)} {small}" if int(whole) == 0 else f"{said} {en_cardinal(count)} {small}"


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = match[1], match[2], match[3]
    said = en_cardinal(str(int(hour)))
    if minute is not None and int(minute):
        said += " oh " + en_cardinal(minute[1]) if minute[0] == "0" else " " + en_cardinal(minute)
    elif not half:
        said += " o'clock"
    return said + (f" {half[0].upper()}M" if half else "")


def _fraction(match: re.Match[str]) -> str:
    over, under = match[1], match[2]
    name = _FRACTIONS.get(under) or en_ordinal(under)
    if over == "1":
        return f"one {name}"
    return f"{en_cardinal(over)} {'halves' if name == 'half' else name + 's'}"


def _unit(count: str, unit: str) -> str:
    said = _UNITS[unit]
    return said[:-1] if count == "1" and said.endswith("s") else said


def _year(match: re.Match[str]) -> str:
    return en_year(match.group())


def _date(match: re.Match[str]) -> str:
    months = _MONTH.split("|")
    return f"{months[int(match[2]) - 1]} {en_ordinal(str(int(match[3])))}, {en_year(match[1])}"


_RULES: Final[tuple[Rule, ...]] = (
    (re.compile(r"\bNo\.\s?(?=\d)"), lambda m: "number "),
    (re.compile(r"\b(" + "|".join(_MONTHS) + r")\.?(?=\s\d)"), lambda m: _MONTHS[m[1]]),
    (re.compile(r"(?<![\d.])([12]\d{3})[-/](1[0-2]|0?[1-9])[-/](3[01]|[12]\d|0?[1-9])(?!\d|\.\d)"), _date),
    (re.compile(rf"\b({_MONTH})\s(\d{{1,2}})(?:st|nd|rd|th)?(?!\d|[.:]\d)"),
     lambda m: f"{m[1]} {en_ordinal(str(int(m[2])))}"),
    (re.compile(r"(?<![\dA-Za-z.])([vV]?)(\d{1,9}(?:\.\d{1,9}){2,9})(?![\d]|\.\d)"),
     lambda m: (m[1].upper() + " " if m[1] else "") + " point ".join(en_cardinal(part) for part in m[2].split("."))),
    (re.compile(r"(?<![A-Za-z])[vV](?=\d)"), lambda m: "version "),
    (re.compile(r"(?<![\d.])\+?(?:\d{1,3}[- ])?(?:\(\d{3}\)\s?|\d{3}[- ])?\d{3}-\d{4}(?![\d-])"),
     lambda m: ", ".join(en_digits(part) for part in re.findall(r"\d+", m.group()))),
    (re.compile(rf"(?P<sign>[$£€¥])\s?(?P<amount>{_NUMBER})(?:\s?(?P<scale>thousand|million|billion|trillion)\b)?"),
     _money),
    (re.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?:\s?([AaPp])\.?[Mm]\b\.?)?(?![\d:])"), _clock),
    (re.compile(r"(?<![\d:.])(1[0-2]|[1-9])()\s?([AaPp])\.?[Mm]\b"), lambda m: f"{en_cardinal(m[1])} {m[3].upper()}M"),
    (re.compile(r"(?<!\d)((?:1[1-9]|20)\d0)'?s\b"), lambda m: en_plural(en_year(m[1]))),
    (re.compile(r"(?<!\d)'?([2-9]0)'?s\b"), lambda m: en_plural(en_cardinal(m[1]))),
    (re.compile(r"(?<!\d)(\d{1,15})(?:st|nd|rd|th)\b"), lambda m: en_ordinal(m[1])),
    (re.compile(r"(?<![\d./])(\d{1,3})/(\d{1,3})(?![\d/]|\.\d)"),
     lambda m: _fraction(m) if int(m[2]) > 1 else f"{en_cardinal(m[1])} over {en_cardinal(m[2])}"),
    (re.compile(rf"(?<![\dA-Za-z.-])({_NUMBER})(%?)\s?[-–—~～]\s?(?={_NUMBER}(?![\d-]))"),
     lambda m: f"{m[1]}{m[2]} to "),
    (re.compile(r"\s?°\s?([CF])\b"), lambda m: " degrees Celsius" if m[1] == "C" else " degrees Fahrenheit"),
    (re.compile(rf"(?<![\dA-Za-z])({_NUMBER})\s?({_UNIT})(?![A-Za-z0-9])"),
     lambda m: f"{en_number(m[1])} {_unit(m[1], m[2])}"),
    (re.compile(r"(?<![\d.,$A-Za-z-])(?:1[1-9]|20)\d{2}(?!\d|[.,]\d|%)"), _year),
    (re.compile(r"(?<=[A-Za-z])[-_/](?=[A-Za-z0-9])|(?<=\d)[-_](?=[A-Za-z])"), lambda m: " "),
    (re.compile(r"(?<=[A-Za-z])(?=\d)"), lambda m: " "),
    (re.compile(rf"(?<![\dA-Za-z.%])-(?={_NUMBER})"), lambda m: " minus "),
    (re.compile(r"(?<=\d)\s?\*\s?(?=\d)"), lambda m: " times "),
    (re.compile(rf"{_NUMBER}(?=[A-Za-z])"), lambda m: en_number(m.group()) + " "),
    (re.compile(_NUMBER), lambda m: en_number(m.group())),
    (re.compile(r"(?<=[A-Za-z])\.(?=[a-z])"), lambda m: " dot "),
    (re.compile(r"(?<![A-Za-z])([CF])#"), lambda m: m[1] + " sharp "),
    (re.compile(r"[%‰+=×÷±≈≠≤≥<>&@°¥$€£]"), lambda m: _SYMBOLS[m.group()]),
)  # fmt: skip

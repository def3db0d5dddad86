"""Days, months, years and decades in English text: 2023-05-08, 9/21, Dec. 5th, the 1990s."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.english_figures.counted import ARTICLE, COUNTED_NEXT
from inference.frontend.numerals import en_cardinal, en_ordinal, en_plural, en_year
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import TO

_MONTHS: Final = {
    "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July",
    "Aug": "August", "Sep": "September", "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
_MONTH_NAMES: Final = tuple(
    "January February March April May June July August September October November December".split()
)
MONTH: Final = "|".join((*_MONTH_NAMES, *sorted(_MONTHS, key=len, reverse=True)))
_DECADE: Final = re.compile(
    r"(?i)(?:\b(?:the|his|her|their|my|our|your|mid|early|late|low|high|upper|lower|in|into|from|of|like)|"
    r"\d0'?s (?:and|or|to|through))[ -]$"
)
_LONG_AGO: Final = re.compile(r"(?i)\b(?:in|since|year)\s$")
_DAY_END: Final = re.compile(r"\d(?:st|nd|rd|th)?,?\s?$")
_DENOMINATORS: Final = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 18, 20, 24, 25, 30})
_COMMON: Final = frozenset({2, 3, 4, 5, 8, 10})
_DAYS_EVENT: Final = re.compile(
    r"\s(?:\w{2,12} )?(?:show|game|match|meeting|class|call|flight|event|episode|deadline|party|concert|release|shift|"
    r"appointment|service|session|webinar|exam|test|quiz|update|issue|invoice|order|edition|report|lecture|practice|"
    r"rehearsal|booking|reservation|payment|statement|email|newsletter|broadcast|stream|race|launch|outage|incident)s?\b"
)
"""What is held or sent on a day: the 7/18 show."""
_PART_OF: Final = re.compile(r"\s(?:of|full|as|the|cup|inch|mile)\b")
_ON_DAY: Final = re.compile(
    r"(?i)\b(?:on|until|till?|since|starting|expires?|born|from|due|(?:mon|tues|wednes|thurs|fri|satur|sun)day,?|"
    r"(?:due|ready|done|back|here|in|pay|register|reply|rsvp|apply|order|return|finished?|available|completed?|response|"
    r"submit|submitted|payment|off|me|home|out|answer|confirm|deliver|delivered|arrive|arrives) by)\s$"
)
"""After these even 3/4 is a day."""
_DAY_BEFORE: Final = re.compile(
    r"(?i)(?:\b(?:on|by|until|till?|since|starting|expires?|born|before|after|from|thru|through|due|is|ends|begins|starts|"
    r"opens|effective|dated?|to|for|(?:mon|tues|wednes|thurs|fri|satur|sun)day,?)\s"
    r"|\d/\d{1,2}(?:\s?[-–]\s?| to | and ))$"
)
_DAY: Final = "(3[01]|[12]\\d|0?[1-9])"
_TH: Final = "(?:st|nd|rd|th)?"


def _iso_date(match: Match) -> str:
    return _said_date(int(match[2]), int(match[3]), match[1])


def _slash_date(match: Match) -> str | None:
    month, day = int(match[1]), int(match[2])
    if month > 12:
        month, day = day, month
    return _said_date(month, day, match[3]) if month <= 12 else None


def _said_date(month: int, day: int, year: str) -> str:
    return f"{_MONTH_NAMES[month - 1]} {en_ordinal(str(day))}, {en_year(year)}"


def _month_day(match: Match) -> str | None:
    if not match[3] and after(match, COUNTED_NEXT):
        return None  # in December 5 people left
    said = f"{_MONTHS.get(match[1], match[1])} {en_ordinal(match[2].lstrip('0'))}"
    return said + (f" to {en_ordinal(match[3].lstrip('0'))}" if match[3] else "")


def _day_month(match: Match) -> str:
    return f"the {en_ordinal(match[1].lstrip('0'))} of {_MONTHS.get(match[2], match[2])}"


def _slash_days(match: Match) -> str | None:
    """3/14-3/21, 12/22-1/2: days, unless they may be fractions, which rise: 1/2-3/4 cup."""
    month, day, last_month, last_day = map(int, match.groups())
    mixed = match.string[match.start() - 2 : match.start()].strip().isdigit()
    rises = month * last_day < last_month * day and {day, last_day} <= _DENOMINATORS and last_month < last_day
    if mixed or (rises and not before(match, _DAY_BEFORE)) or after(match, _PART_OF):
        return None
    if (month, day) >= (last_month, last_day) and not (month >= 10 and last_month <= 3):
        return None
    first = f"{_MONTH_NAMES[month - 1]} {en_ordinal(str(day))}"
    return f"{first} to {_MONTH_NAMES[last_month - 1]} {en_ordinal(str(last_day))}"


def _month_slash_day(match: Match) -> str | None:
    """9/21 where it is told as a day, or is an unlikely fraction; not 9/11, which is a name."""
    month, day = int(match[1]), int(match[2])
    mixed = match.string[match.start() - 2 : match.start()].strip().isdigit()  # 1 1/2
    if mixed or after(match, _PART_OF) or (month, day) == (9, 11):
        return None
    if before(match, ARTICLE) and after(match, _DAYS_EVENT):
        return f"{_MONTH_NAMES[month - 1]} {en_ordinal(str(day))}"
    likely = day in _DENOMINATORS and month < day
    if not before(match, _ON_DAY if day in _COMMON and month < day else _DAY_BEFORE) and (likely or month == day):
        return None
    if month >= day and not before(match, _DAY_BEFORE):
        return None
    return f"{_MONTH_NAMES[month - 1]} {en_ordinal(str(day))}"


def _year(match: Match) -> str | None:
    return None if after(match, COUNTED_NEXT) else en_year(match.group())


def _years(match: Match) -> str | None:
    return f"{en_year(match[1])} to {en_year(match[2])}" if match[1] < match[2] else None


DATES: Final = (
    Rule("date", r"([12]\d{3})[-/.](1[0-2]|0?[1-9])[-/.](3[01]|[12]\d|0?[1-9])(?!\d|[-/.]\d)(?:T(?=\d\d:))?",
         _iso_date, next="-/."),
    Rule("date", rf"{_DAY}/{_DAY}/((?:19|20)\d\d)(?![\d/])", _slash_date, next="/"),
    Rule("date", rf"(1[0-2]|0?[1-9])/{_DAY}{TO}(1[0-2]|0?[1-9])/{_DAY}(?![\d/]|\.\d)", _slash_days, next="/"),
    Rule("date", rf"{_DAY}{_TH}\s({MONTH})(?![A-Za-z])\.?(?=\s\d{{4}}|[,.;!?]|\s[a-z]|$)", _day_month, next=" a"),
    Rule("date", rf"((?:1[1-9]|20)\d\d){TO}((?:1[1-9]|20)\d\d)(?!\d|[-.,]\d)", _years, next=" -"),
    Rule("date", r"((?:19|20)\d\d)–(\d\d)(?![\d/-]|\.\d)",
         lambda m: f"{en_year(m[1])} to {en_cardinal(m[2]) if m[2][0] != '0' else en_year(m[1][:2] + m[2])}"
         if int(m[2]) > int(m[1][2:]) + 1 else None, next="-"),
    Rule("date", r"((?:19|20)\d\d)[-–/](\d\d)(?![\d/-]|\.\d)",
         lambda m: f"{en_year(m[1])} to {en_cardinal(m[2])}" if int(m[2]) == int(m[1][2:]) + 1 else None,
         next="-/"),
)  # fmt: skip
DECADES: Final = (
    Rule("decade", r"((?:1[1-9]|20)\d0)'?s(?![A-Za-z\d])", lambda m: en_plural(en_year(m[1])), next="a"),
    Rule("decade", r"([2-9]0)'?s(?![A-Za-z\d])",
         lambda m: en_plural(en_cardinal(m[1])) if before(m, _DECADE) else None, next="a"),
)  # fmt: skip
SHORT: Final = (
    Rule("date", r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])/(\d\d)(?![\d/]|\.\d)",
         lambda m: _said_date(int(m[1]), int(m[2]), ("20" if int(m[3]) < 50 else "19") + m[3]), next="/"),
    Rule("date", r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\d/]|\.\d)", _month_slash_day, next="/"),
)  # fmt: skip
"""Days without a year, or with two figures of it: 9/21, 9/21/23."""
YEARS: Final = (
    Rule("year", r"(?:1[1-9]|20)\d{2}(?!\d|[.,]\d|%|[A-Za-z])", _year),
    Rule("year", r"0(\d)(?<='0\d)(?!\d)", lambda m: "oh " + en_cardinal(m[1])),
    Rule("year", r"(10\d\d)(?!\d|[.,]\d|%)", lambda m: en_year(m[1]) if before(m, _LONG_AGO) else None),
)  # fmt: skip
SHORT_DECADE: Final = (
    Rule("decade", r"'([2-9]0)s(?![A-Za-z\d])", lambda m: en_plural(en_cardinal(m[1]))),
)  # fmt: skip
"""'90s."""
TO_A_MONTH: Final = (
    Rule("range", rf"[-–]\s?(?=(?:{MONTH})\.?\s\d)", lambda m: " to " if before(m, _DAY_END) else None),
)  # fmt: skip
"""The dash of May 5 - June 7."""
MONTHS: Final = (
    Rule("date", rf"({MONTH})\.?\s{_DAY}{_TH}(?:{TO}{_DAY}{_TH})?(?![\d:]|\.\d|[A-Za-z%])", _month_day),
    Rule("abbreviation", rf"({'|'.join(_MONTHS)})\.(?=\s)", lambda m: _MONTHS[m[1]] if m[1] != "Mar" else None),
)  # fmt: skip
FISCAL_YEAR: Final = (
    Rule("date", r"FY\s?'?(\d{4}|\d\d)(?!\d|[.,]\d)(?:([-/])(\d\d)(?!\d))?",
         lambda m: "fiscal year " + (en_year(m[1]) if len(m[1]) == 4 else en_cardinal(m[1]))
         + (" to " + en_cardinal(m[3]) if m[3] else "")),
)  # fmt: skip

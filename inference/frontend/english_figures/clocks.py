"""Times of day and lengths of time in English text: 7:30pm, 9a-5p, ran it in 2:01:39, 2h 20m."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.english_figures.counted import quantity
from inference.frontend.numerals import en_cardinal, en_digits, en_last_two
from inference.frontend.rules import Match, Rule, after, before

_IN: Final = re.compile(r"\bin\s$")
_LASTING: Final = re.compile(
    r"(?i)\b(?:(?:time|times|record|best|mark|pace|split|length|duration|runtime) (?:of|is|was|:)|clocked(?: in at)?|"
    r"clocking|ran|runs|lasted|lasts|took|lasting|(?:finish|finished|won|home|race|marathon|mile|done|it) in)"
    r"(?: about| only| just)?\s$"
)
_UNTIL: Final = re.compile(r"\s?[-–—]\s?\d")


def _clock(match: Match) -> str:
    hour, minute, second, half = match[1], match[2], match[3], match[4]
    said = en_cardinal(str(int(hour)))
    if minute != "00" or second:
        said += " " + ("oh " + en_cardinal(minute[1]) if minute[0] == "0" else en_cardinal(minute))
    elif not half and not after(match, _UNTIL):
        said += " o'clock"
    if second:
        said += f" and {en_cardinal(str(int(second)))} seconds"
    return said + (f" {half.upper()}M" if half else "")


def _half_day(match: Match) -> str:
    """9a, 7:30p."""
    minutes = f" {en_last_two(match[2])}" if match[2] and match[2] != "00" else ""
    return f"{en_cardinal(match[1])}{minutes} {match[3].upper()}M"


def _race(match: Match) -> str:
    """1:54.32: one fifty four point three two."""
    hours, minutes, seconds, parts = match.groups()
    said = f"{en_cardinal(hours)} " if hours else ""
    said += en_last_two(minutes) if hours and len(minutes) == 2 else en_cardinal(str(int(minutes)))
    return f"{said} {en_last_two(seconds)} point {en_digits(parts)}"


def _duration(match: Match) -> str | None:
    """2h 20m, 5m30s, 3d 4h."""
    names = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
    pairs = [pair for pair in zip(match.groups()[::2], match.groups()[1::2], strict=True) if pair[0]]
    units_ = "".join(unit for _, unit in pairs)
    if units_ not in "dhms":
        return None
    counted = ((many.lstrip("0") or "0", names[unit]) for many, unit in pairs)
    return " ".join(f"{quantity(many)} {name}{'s' * (many != '1')}" for many, name in counted)


def _lasting(match: Match) -> str:
    """How long something took: ran it in 2:01:39."""
    hours, minutes, seconds = match.groups()
    told = ((hours or "0", "hour"), (minutes, "minute"), (seconds, "second"))
    return " ".join(f"{en_cardinal(str(int(many)))} {unit}{'s' * (int(many) != 1)}" for many, unit in told if int(many))


HALF_DAY: Final = (
    Rule("time", r"(1[0-2]|[1-9]):([0-5]\d)([ap])(?![A-Za-z\d])",
         _half_day, next=":"),
)  # fmt: skip
CLOCKS: Final = (
    Rule("time", r"(1[0-2]|[1-9])(?::([0-5]\d))?([ap])(?=\s?[-–]\s?\d{1,2}(?::\d\d)?p?m?(?![a-z\d])"
         r"|(?<=[ap][-–]\d[ap])(?![a-z])|(?<=[ap][-–]\d\d[ap])(?![a-z]))", _half_day, next=":a"),
    Rule("time", r"(?:(\d{1,2}):)?([0-5]?\d):([0-5]\d)\.(\d{1,3})(?![\d:]|\.\d)", _race, next=":"),
    Rule("time", r"(\d{1,3})([dhm])\s?(\d{1,2}(?:\.\d{1,3}(?=s))?)([hms])(?:\s?(\d{1,2})(s))?(?![A-Za-z\d])",
         _duration, next="a"),
    Rule("time", r"(?:(\d{1,2}):)?([0-5]?\d):([0-5]\d)(?![\d:]|\s?[AaPp]\.?[Mm](?![A-Za-z]))",
         lambda m: _lasting(m) if before(m, _LASTING) or (m[1] and before(m, _IN)) else None, next=":"),
    Rule("time", r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])(?:\s?([AaPp])\.?[Mm](?![A-Za-z]))?",
         _clock, next=":"),
    Rule("time", r"(1[0-2]|[1-9])\s?([AaPp])\.?[Mm](?![A-Za-z])",
         lambda m: f"{en_cardinal(m[1])} {m[2].upper()}M", next=" a"),
)  # fmt: skip

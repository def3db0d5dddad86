"""Figures after letters in English text: models, versions, flights, rooms, Roman numbers; and abbreviations."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.english_figures.codes import spelled, version
from inference.frontend.numerals import (
    en_cardinal,
    en_digits,
    en_figures,
    en_last_two,
    en_ordinal,
    en_plural,
    en_year,
    roman,
)
from inference.frontend.rules import Match, Rule
from inference.frontend.written import SERIAL

_REIGNING: Final = frozenset(
    "Henry Elizabeth Louis George Charles William Edward James Richard Mary Paul Philip Napoleon Catherine Peter "
    "Nicholas Alexander Frederick Benedict Francis Pius Leo Ivan Ramses Wilhelm Victor Emmanuel Gregory Innocent "
    "Clement Urban Sixtus Julius Otto Albert Leopold Ferdinand Alfonso Christian Gustav Harald Olaf Pedro Augustus "
    "Xerxes Darius Ptolemy Cleopatra Mehmed Murad Selim Suleiman Felipe Juan Carlos Rama Edgar".split()
)
"""Their Roman numbers are ordinals: Henry the eighth."""
_NUMBERED: Final = frozenset(
    "Chapter Part War Volume Vol Act Phase Type Book Episode Section Appendix Level Stage Class Title Article Mark "
    "Bowl Scene Figure Table Group Grade Tier Step Division Unit Season Wave Apollo Rocky Fantasy Quest "
    "Civilization".split()
)
"""What has even a Roman number of one letter: Act one, but Malcolm X."""
_CAPITALISED: Final = re.compile(r"([A-Z][A-Za-z]*)\s$")
_AIRLINES: Final = "UA|AA|DL|WN|BA|AF|LH|SQ|CX|MU|CA|CZ|HU|NH|JL|KE|EK|QR|TK|AC|QF|VS"
"""Airlines of whose flights the figures are read in pairs."""
_PLACES: Final = (
    "[Rr]oom|[Ss]uite|[Aa]partment|[Bb]uilding|[Bb]ox|[Rr]oute|[Tt]rain|[Uu]nit|Form|[Ff]light|[Bb]us|"
    "[Gg]ate|[Hh]ighway|[Ii]nterstate|Boeing|Airbus|RTX|GTX|RX|HTTP|RFC|Resolution|Error|[Pp]ort"
)
"""After these a number of three or four figures is a name."""


def _roman(match: Match) -> str | None:
    value = roman(match[1])
    named = _CAPITALISED.search(match.string[max(0, match.start() - 24) : match.start()])
    if value is None or named is None:
        return None
    if named[1] in _NUMBERED:
        return en_cardinal(str(value))
    if len(match[1]) == 1:
        return None  # the pronoun, and letters
    if named[1] in _REIGNING:
        return "the " + en_ordinal(str(value))
    return en_cardinal(str(value)) if set(match[1]) <= set("IVX") else None


def _numbered(match: Match) -> str:
    """Room 305, Flight 1549, but port 8080, of which each figure counts."""
    if match[1].lower() == "port":
        return f"{match[1]} {en_digits(match[2]).replace('zero', 'oh')}"
    return f"{match[1]} {en_figures(match[2])}"


def _long_figures(digits: str) -> str:
    """i7-14700: fourteen seven hundred."""
    if len(digits) == 5 and digits.endswith("00") and digits[2] != "0":
        return f"{en_cardinal(digits[:2])} {en_cardinal(digits[2:])}"
    return en_figures(digits)


MODELS: Final = (
    Rule("serial", r"([A-Z])2([A-Z])(?![A-Za-z\d])", lambda m: f"{m[1]} two {m[2]}" if m[1] != "H" else None),
    Rule("version", r"[vV]\.?(\d{1,9}(?:\.\d{1,9}){0,9})(?![A-Za-z\d])", lambda m: "V " + version(m[1])),
    Rule("abbreviation", r"[Nn]o\.\s?(?=\d)", lambda m: "number "),
    Rule("code", r"CVE-(\d{4})-(\d{4,6})(?!\d)", lambda m: f"CVE {en_year(m[1])} {en_digits(m[2])}"),
    Rule("serial", r"([A-Z])\.(\d{3})(?!\d|\.\d)", lambda m: f"{m[1]} {en_figures(m[2])}"),
    Rule("range", r"(X{0,4}[SL]|M)\s?[-~–—]\s?(?=\dX{1,2}L(?![A-Za-z\d]))", lambda m: f"{m[1]} to "),
    Rule("code", SERIAL, lambda m: spelled(m.group())),
    Rule("serial", r"([A-Za-z]++)(\d{1,2})-(\d{3,5})(?!\d|[.,]\d)",
         lambda m: f"{m[1]} {en_cardinal(m[2])} {_long_figures(m[3])}"),
    Rule("version", r"(Python|Ubuntu|Django|Xcode|Go|PHP)\s(\d{1,2})\.(\d\d)(?!\d|\.\d|%)",
         lambda m: f"{m[1]} {en_cardinal(m[2])} {'point ' if m[3][0] != '0' else ''}{en_last_two(m[3])}"),
    Rule("abbreviation", r"ca?\.\s?(?=\d{3,4}(?!\d))", lambda m: "circa "),
)  # fmt: skip
NAMES: Final = (
    Rule("abbreviation", r"pp?\.\s?(?=\d)", lambda m: "pages " if m.group().startswith("pp") else "page "),
    Rule("abbreviation", r"vs(?![A-Za-z])", lambda m: "versus"),
    Rule("sharp", r"([CFJ])#", lambda m: m[1] + " sharp"),
    Rule("sign", r"[Cc]\+\+", lambda m: "C plus plus"),
    Rule("code", rf"({_PLACES})\s(\d{{3,4}})(?!\d|[.,]\d|s(?![a-z]))", _numbered),
    Rule("code", rf"(?:({_PLACES})\s)?({_AIRLINES})\s?(\d{{3,4}})(?!\d|[.,:/]\d|\s?[%$]|\s(?:million|billion))",
         lambda m: " ".join(filter(None, (m[1], m[2], en_figures(m[3]))))),
    Rule("code", r"([Ff]light)\s([A-Z\d]{2})\s?(\d{1,4})(?!\d|[.,:]\d)",
         lambda m: f"{m[1]} {m[2]} {en_figures(m[3])}" if not m[2].isdigit() else None),
    Rule("code", rf"({_PLACES})\s(\d{{3}})s(?![a-z])", lambda m: f"{m[1]} {en_plural(en_figures(m[2]))}"),
    Rule("serial", r"([A-Za-z]++)[-_]?(\d++)(?!\.\d|'?s(?![A-Za-z])|st|nd|rd|th)",
         lambda m: f"{m[1]} {en_figures(m[2])}"),
    Rule("roman numeral", r"([IVXLCDM]{1,9})(?![A-Za-z'])", _roman),
)  # fmt: skip

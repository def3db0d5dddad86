"""Figures after letters in Chinese text: models, versions, standards, plates, flights, Roman numbers; abbreviations."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.codes import component, spelled
from inference.frontend.mandarin_figures.counted import MEASURED, UNIT, quantity
from inference.frontend.mandarin_figures.names import serial
from inference.frontend.numerals import roman, zh_cardinal, zh_digits
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import SERIAL, N

_MODEL_ENDS: Final = re.compile(rf"\s?(?:{MEASURED}|{UNIT}|[GMTKk]B?(?![A-Za-z]))|[,:：/-]\d")
_COUNTED_VERSIONS: Final = frozenset("Chrome Firefox Edge Chromium Electron Opera".split())
"""Programs whose versions are numbers like any other: Chrome 120."""
_FLIGHT_BEFORE: Final = re.compile(
    r"(?:(?:航班|车次|[机车]票)[订买改签]+[的了到成]*|航班|车次|[乘搭]坐?|坐|改签|改乘|转乘|[高动]铁|列车)"
    r"号?[:：是为到了的]?\s?$"
)
_TAIL_BEFORE: Final = re.compile(
    r"(?:尾号|尾数|车牌号?|车位号?|工位号?|储物柜|取件码|取餐[号码]|桌号|房号|门牌号?)[:：是为在]?\s?$"
)
"""What is known by a letter and a few figures, said one by one: 车牌尾号J27."""
_NUMBERED_NEXT: Final = re.compile("型|期|级|类|卷|章|部|届|世|阶段|度|相|号|代|区")
_SEQUELS: Final = frozenset("II III IV VI VII VIII IX XI XII XIII XIV XV XVI".split())
_SERIES: Final = re.compile("[一-鿿]{2}\\s?$|(?:[A-Z][a-z]+|[A-Z]{3,5})\\s$")
"""What has parts or follow-ups: 文明VI, SATA III, GTA VI."""
_WORDS: Final = frozenset("AM AN AS AT BE BY DO GO HE HI HU IF IN IS IT ME MU MY NO OF ON OR SO TO UP US WE".split())
PLATE: Final = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"


def _letters(letters: str) -> str:
    """The letters of a code, apart where they would be a word: MU5102, BE200."""
    return " ".join(letters) if letters in _WORDS else letters


def _standard(match: Match) -> str:
    """A national standard: GB/T 19001-2016."""
    year = f"杠{zh_digits(match[4])}" if match[4] else ""
    return f"{match[1]} {match[2]} {zh_digits(match[3].replace('.', '点'))}{year}"


def _version(match: Match) -> str:
    """V1.12 is 一点十二, but V591.74 says its figures one by one."""
    parts = match[1].split(".")
    return "V" + "点".join(map(zh_digits if len(parts[0]) > 2 else component, parts))


def _model(match: Match) -> str | None:
    """RTX 4090, HTTP 404, Room 101: a name's number of three or four figures is read figure by figure."""
    if after(match, _MODEL_ENDS) or (len(match[2]) == 4 and match[2][:2] in {"19", "20"}):
        return None
    if match[1] in _COUNTED_VERSIONS:
        return f"{match[1]} {zh_cardinal(match[2])}"
    return f"{match[1]} {zh_digits(match[2]) if match[1] == 'HTTP' else serial(match[2])}"


def _roman(match: Match) -> str | None:
    value = roman(match[1])
    placed = match.string.endswith("第", 0, match.start()) or after(match, _NUMBERED_NEXT)
    placed = placed or (match[1] in _SEQUELS and before(match, _SERIES))
    return zh_cardinal(str(value)) if value is not None and placed else None


VERSIONS: Final = (
    Rule("code", r"([A-Z]{2,4})/([TZQ])[ -]?(\d{2,5}(?:\.\d{1,2})?)(?:-((?:19|20)\d\d))?(?![\d.]|-\d)", _standard),
    Rule("serial", r"([A-Z])2([A-Z])(?![A-Za-z\d])", lambda m: f"{m[1]} two {m[2]}"),
    Rule("version", r"[vV](?:er)?\.?\s?(\d{1,9}(?:\.\d{1,9}){0,9})(?![A-Za-z\d])", _version),
)  # fmt: skip
ABBREVIATIONS: Final = (
    Rule("abbreviation", r"[Nn][Oo]\.\s?(?=\d{1,9}号)", lambda m: ""),
    Rule("abbreviation", r"[Nn][Oo]\.\s?(?=\d)", lambda m: "number "),
    Rule("abbreviation", r"vs(?![A-Za-z])", lambda m: " versus "),
    Rule("abbreviation", r"(Ctrl|Esc)(?![A-Za-z])", lambda m: {"Ctrl": "control", "Esc": "escape"}[m[1]]),
)  # fmt: skip
MODELS: Final = (
    Rule("code", r"([A-Z]{1,3})(\d{2,4})(?![\dA-Za-z])",
         lambda m: _letters(m[1]) + zh_digits(m[2], "幺") if before(m, _TAIL_BEFORE) else None),
    Rule("sharp", r"([CFJ])#", lambda m: m[1] + " sharp"),
    Rule("sign", r"([Cc])\+\+", lambda m: "C加加"),
    Rule("code", rf"(?<={PLATE})([A-Z])[·• -]?([A-Z\d]{{5,6}})(?![A-Za-z\d])",
         lambda m: m[1] + " " + zh_digits(m[2], "幺")),
    Rule("code", r"([A-Z]{1,2})-?(\d{2,4})(?=\s?(?:次|航班|列车|高铁|动车|客机))",
         lambda m: m[1] + zh_digits(m[2], "幺")),
    Rule("code", r"([A-Z]{1,4})\s?(\d{3,5}(?:\.\d{1,2})?)-((?:19|20)\d\d)(?![\d.-])",
         lambda m: f"{m[1]} {zh_digits(m[2].replace('.', '点'))}杠{zh_digits(m[3])}"),
    Rule("serial", r"(IP)[X ]?([0-6]\d)(?=[^\d.A-Za-z]|$)", lambda m: f"{m[1]} {zh_digits(m[2])}"),
    Rule("serial", r"([A-Z])\.(\d{3})(?![\d.])", lambda m: f"{m[1]}点{zh_digits(m[2])}"),
    Rule("code", r"([A-Z]{1,2})(\d{3,4})(?![\dA-Za-z])",
         lambda m: _letters(m[1]) + zh_digits(m[2], "幺") if before(m, _FLIGHT_BEFORE) else None),
    Rule("range", r"(X{0,4}[SL]|M)\s?[-~～–—]\s?(?=\dX{1,2}L(?![A-Za-z\d]))", lambda m: f"{m[1]}到"),
    Rule("code", SERIAL, lambda m: spelled(m.group())),
    Rule("serial", r"([A-Za-z]++)(\d{1,2})-(\d{3,5})(?!\d|[.,]\d)",
         lambda m: f"{m[1]}{zh_cardinal(m[2])} {zh_digits(m[3])}"),
    Rule("serial", rf"([A-Za-z]++)-?({N})-(\d++)(?=[A-Z](?![A-Za-z]))",
         lambda m: f"{m[1]}{quantity(m[2])} {quantity(m[3])}"),
    Rule("serial", r"([A-Za-z]++)-(\d++(?:-\d++){1,5})(?!\.\d)",
         lambda m: f"{m[1]} {zh_digits(m[2].replace('-', ' '))}"),
    Rule("serial", r"([A-Za-z]++)[- ](\d{3,4})(?![\d.,%]|[-:/]\d)", _model),
    Rule("minus", r"([ijknmxy])-(\d{1,3})(?![\d.A-Za-z-])", lambda m: f"{m[1]}减{zh_cardinal(m[2])}"),
    Rule("serial", r"([A-Za-z]++)[-_]?(\d++)(?!\.\d)",
         lambda m: _letters(m[1]) + serial(m[2])),
    Rule("roman numeral", r"([IVX]{1,6})(?![A-Za-z])", _roman),
)  # fmt: skip

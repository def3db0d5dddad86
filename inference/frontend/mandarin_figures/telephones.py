"""Numbers of telephones, people and cards in Chinese text, said figure by figure: 138 0013 8000, 拨打110."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.counted import COUNTED
from inference.frontend.numerals import zh_digits
from inference.frontend.rules import Match, Rule, after, before

_CALLED: Final = re.compile("(?:打|拨|呼叫|叫|热线|报警|按|拨通|火警|匪警|急救|救护车|消防|客服|交警|警察|交管)$")
_CALLED_NEXT: Final = re.compile(
    "(?:[是为][一-鿿]{0,6}?)?(?:客服|热线|急救|报警)|火警|消防|匪警|报警|急救|热线|指挥中心|接警|电话|平台|客服|救护车"
)
_HOTLINE_NEXT: Final = re.compile("[一-鿿]{0,6}?热线")
"""12345市民热线, though 市 is counted too."""
_NOT_CALLED_NEXT: Final = re.compile(rf"\s?(?:{COUNTED}|折|分|[多余来几])")
_MOBILE: Final = r"86[- ]?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"


def _phone(match: Match) -> str:
    return zh_digits(re.sub(r"\D", "", match.group().removeprefix("+86")), "幺")


def _identity(match: Match) -> str:
    return zh_digits(match[1], "幺") + (" X" if match[2] in "Xx" else zh_digits(match[2], "幺"))


def _service(match: Match) -> str | None:
    called = before(match, _CALLED) or after(match, _CALLED_NEXT)
    called = after(match, _HOTLINE_NEXT) or (called and not after(match, _NOT_CALLED_NEXT))
    return zh_digits(match[1], "幺") if called else None


TELEPHONES: Final = (
    Rule("telephone", rf"{_MOBILE}|1[3-9]\d[- ]?\d{{4}}[- ]?\d{{4}}(?!\d)", _phone),
    Rule("telephone", r"(?:0\d{2,3}|400|800)[- ]\d{3,4}[- ]?\d{4}(?!\d)|[48]00\d(?:-?\d{3}){2}(?!\d)", _phone),
    Rule("telephone", r"(\d{1,6})\*{2,12}(\d{1,6}[Xx]?)(?!\d)",
         lambda m: f"{zh_digits(m[1], '幺')} {zh_digits(m[2], '幺')}", next="a"),
    Rule("telephone", r"\d{3,4}-\d{7,8}(?![\d.])", _phone, next="-"),
    Rule("telephone", r"(1[12]\d|12\d{3}|100\d\d|95\d{3})(?!\d|[.,:]\d)", _service),
    Rule("identity number", r"(\d{17})([\dXx])(?![\dA-Za-z])", _identity),
    Rule("card number", r"\d{4}(?:[ -]\d{4}){2,4}(?:[ -]\d{1,4})?(?!\d)",
         lambda m: zh_digits(m.group().replace("-", " "), "幺"), next=" -"),
)  # fmt: skip
IN_BRACKETS: Final = (
    Rule("telephone", r"\(0\d{2,3}\)\s?\d{3,4}[- ]?\d{4}(?!\d)", _phone),
)  # fmt: skip
"""The area code first, in brackets: (010) 6552 9988."""
ABROAD: Final = (
    Rule("telephone", rf"\+{_MOBILE}|\+\d{{1,3}}(?:[- ]\d{{2,4}}){{2,4}}(?!\d)", _phone),
)  # fmt: skip
"""The country first: +86 138 0013 8000."""

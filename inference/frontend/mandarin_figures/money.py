"""Sums of money in Chinese text: ¥3.50, $1.5B, 20万USD, 3元."""

from __future__ import annotations

from typing import Final

from inference.frontend.mandarin_figures.counted import SCALE, quantity
from inference.frontend.numerals import zh_cardinal, zh_number
from inference.frontend.rules import Match, Rule
from inference.frontend.written import TO, N

_CURRENCY: Final = {
    "¥": "元", "$": "美元", "€": "欧元", "£": "英镑", "₩": "韩元", "₹": "卢比", "₽": "卢布", "US$": "美元",
    "HK$": "港元", "NT$": "新台币", "A$": "澳元", "AU$": "澳元", "C$": "加元", "CA$": "加元", "S$": "新元",
    "RMB": "元", "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "HKD": "港元",
    "KRW": "韩元", "TWD": "新台币", "AUD": "澳元", "CAD": "加元",
}  # fmt: skip
_MONEY_CODE: Final = "RMB|CNY|USD|EUR|GBP|JPY|HKD|KRW|TWD|AUD|CAD"
MONEY_WORD: Final = "元(?!旦|宵|月|素)|圆|美元|美金|欧元|英镑|日元|港元|港币|人民币|块钱|块"
_ZEROS: Final = {"k": 3, "K": 3, "m": 6, "M": 6, "b": 9, "B": 9, "bn": 9}
_SUM: Final = (
    rf"((?:US|HK|NT|AU?|CA?|S)?\$|[¥€£₩₹₽]|{_MONEY_CODE})\s?({N})(?:{TO}[¥$€£]?({N}))?"
    rf"(?:\s?(?:({SCALE})|(bn|[KkMBb])(?![A-Za-z])))?(?:\s?(?:{MONEY_WORD}))?"
)


def _money(match: Match) -> str:
    sign, low, high, scale, letter = match[1], match[2], match[3], match[4] or "", match[5]
    if letter:
        said = _scaled(low, letter) + (f"到{_scaled(high, letter)}" if high else "")
    else:
        said = _price(low) + (f"到{_price(high)}" if high else "")
        said = "两" if said == "二" and scale else said
    return said + scale + _CURRENCY[sign]


def _scaled(number: str, letter: str) -> str:
    """1.5B → 十五亿, 2.5M → 二百五十万."""
    whole, _, rest = number.replace(",", "").partition(".")
    value = int(whole + rest[: _ZEROS[letter]].ljust(_ZEROS[letter], "0"))
    for scale, worth in (("亿", 10**8), ("万", 10**4)):
        if value >= worth and value * 100 % worth == 0:
            return zh_number(f"{value / worth:g}") + scale
    return zh_cardinal(str(value))


def _price(number: str) -> str:
    """A sum of money; cents that are nought are not said, nor is the last nought of 3.50."""
    whole, point, cents = number.replace(",", "").partition(".")
    cents = cents.rstrip("0")
    return zh_number(whole + (point + cents if cents else ""))


SIGNED: Final = (
    Rule("money", _SUM, _money),
)  # fmt: skip
"""What begins with the sign or the code of a currency."""
SUMS: Final = (
    Rule("money", rf"({N})\s?({SCALE})?\s?({_MONEY_CODE}|[$€£](?!\d))(?![A-Za-z])",
         lambda m: quantity(m[1]) + (m[2] or "") + _CURRENCY[m[3]], next="h .,a"),
    Rule("money", rf"({N})(?=\s?(?:{MONEY_WORD}))", lambda m: "两" if m[1] == "2" else _price(m[1]), next="h .,"),
)  # fmt: skip

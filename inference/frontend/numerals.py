"""Numbers as words, in both languages. Takes strings of ASCII digits, so that no number is too long; pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_ZH_DIGITS: Final = "零一二三四五六七八九"
_ZH_PLAIN: Final = str.maketrans("0123456789", _ZH_DIGITS)
_ZH_CODE: Final = _ZH_PLAIN | {ord("1"): "幺"}
_ZH_PLACES: Final = ("", "十", "百", "千")
_ZH_GROUPS: Final = ("", "万", "亿", "万亿")
_LONGEST: Final = 15
"""Digits of the longest number read as a quantity; a longer one is a code and is read digit by digit."""

_EN_DIGITS: Final = tuple("zero one two three four five six seven eight nine".split())
_EN_SPACED: Final = {ord("0") + value: f" {name}" for value, name in enumerate(_EN_DIGITS)}
_EN_TEENS: Final = tuple("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split())
_EN_TENS: Final = ("", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split())
_EN_GROUPS: Final = ("", "thousand", "million", "billion", "trillion")
_EN_ORDINALS: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip

_ROMAN: Final = (
    ("M", 1000), ("CM", 900), ("D", 500), ("CD", 400), ("C", 100), ("XC", 90), ("L", 50), ("XL", 40), ("X", 10),
    ("IX", 9), ("V", 5), ("IV", 4), ("I", 1),
)  # fmt: skip


def zh_digits(digits: str, one: str = "一") -> str:
    """Digit by digit: `2008` → 二零零八. Telephone numbers say 幺 for `one`."""
    return digits.translate(_ZH_CODE if one == "幺" else _ZH_PLAIN)


def zh_cardinal(digits: str) -> str:
    """A quantity: `10500` → 一万零五百, `20000` → 两万. Leading zeros make it a code: `007` → 零零七."""
    if len(digits) > _LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return zh_digits(digits)
    return _zh_quantity(int(digits))


@lru_cache(maxsize=1 << 12)
def _zh_quantity(value: int) -> str:
    if value == 0:
        return "零"
    groups: list[int] = []
    while value:
        value, group = divmod(value, 10000)
        groups.append(group)
    said = ""
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if group == 0:
            continue
        # a zero is said once for any gap before this group, unless nothing has been said yet
        gap = said and (group < 1000 or groups[place + 1] == 0)
        said += ("零" if gap else "") + _zh_group(group, _ZH_GROUPS[place], leading=not said)
    return said


def zh_number(text: str) -> str:
    """A decimal: `3.14` → 三点一四, `-5` → 负五, `1,234` → 一千二百三十四."""
    sign, text = ("负", text[1:]) if text[:1] in "-−" else ("", text)
    whole, _, fraction = text.replace(",", "").partition(".")
    said = zh_cardinal(whole) if whole else "零"
    return sign + said + ("点" + zh_digits(fraction) if fraction else "")


def roman(letters: str) -> int | None:
    """The value of a Roman number written as it should be, else None: `XIV` → 14, `IIX` → None."""
    value, rest = 0, letters
    for figure, worth in _ROMAN:
        times = 0
        while rest.startswith(figure) and times < (1 if len(figure) == 2 or worth in {5, 50, 500} else 3):
            value, rest, times = value + worth, rest[len(figure) :], times + 1
    return value if letters and not rest else None


def _zh_group(group: int, unit: str, *, leading: bool) -> str:
    if group == 2 and unit:
        return "两" + unit
    said, gap = "", False
    for place in range(3, -1, -1):
        digit = group // 10**place % 10
        if digit == 0:
            gap = bool(said)
            continue
        if leading and not said and digit == 1 and place == 1:
            said = "十"  # 十五, but 一百一十五
        elif leading and not said and digit == 2 and place == 3:
            said = "两千"
        else:
            said += ("零" if gap else "") + _ZH_DIGITS[digit] + _ZH_PLACES[place]
        gap = False
    return said + unit


def en_digits(digits: str) -> str:
    """Digit by digit: `911` → nine one one."""
    return digits.translate(_EN_SPACED).strip()


def en_cardinal(digits: str) -> str:
    """A quantity: `1234` → one thousand two hundred thirty four. Leading zeros make it a code."""
    if len(digits) > _LONGEST or (len(digits) > 1 and digits[0] == "0"):
        return en_digits(digits)
    return _en_quantity(int(digits))


@lru_cache(maxsize=1 << 12)
def _en_quantity(value: int) -> str:
    if value == 0:
        return "zero"
    said: list[str] = []
    for place in range(len(_EN_GROUPS) - 1, -1, -1):
        group = value // 1000**place % 1000
        if group:
            said += _en_group(group)
            said += [_EN_GROUPS[place]] if place else []
    return " ".join(said)


def en_ordinal(digits: str) -> str:
    """`21` → twenty first."""
    *first, last = en_cardinal(digits).split()
    regular = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return " ".join([*first, _EN_ORDINALS.get(last, regular)])


def en_number(text: str) -> str:
    """A decimal: `3.14` → three point one four, `-5` → minus five."""
    sign, text = ("minus ", text[1:]) if text[:1] in "-−" else ("", text)
    whole, _, fraction = text.replace(",", "").partition(".")
    said = en_cardinal(whole) if whole else "zero"
    return sign + said + (" point " + en_digits(fraction) if fraction else "")


def en_year(digits: str) -> str:
    """A year of four digits: `1999` → nineteen ninety nine, `2005` → two thousand five, `1900` → nineteen hundred."""
    century, rest = digits[:2], digits[2:]
    if digits[1:3] == "00" or century[0] == "0":
        return en_cardinal(digits)
    return f"{en_cardinal(century)} {en_last_two(rest)}"


def en_figures(digits: str) -> str:
    """The figures of a name: Room 305 is three oh five, Boeing 747 seven forty seven, RTX 4090 forty ninety."""
    if len(digits) < 3 or (digits.endswith("00") and len(digits) != 4) or digits[-3:] == "000":
        return en_cardinal(digits)
    if len(digits) == 3 and digits[1] != "0":
        return f"{en_cardinal(digits[0])} {en_cardinal(digits[1:])}"
    if len(digits) == 4 and digits[0] != "0":
        return f"{en_cardinal(digits[:2])} {en_last_two(digits[2:])}"
    return en_digits(digits).replace("zero", "oh")


def en_last_two(rest: str) -> str:
    """The second half of a year or a number of four figures: nineteen *oh five*, nineteen *hundred*."""
    if rest == "00":
        return "hundred"
    return "oh " + en_cardinal(rest[1]) if rest[0] == "0" else en_cardinal(rest)


def en_plural(said: str) -> str:
    """The plural of a number's last word: twenty twenty → twenty twenties."""
    return said[:-1] + "ies" if said.endswith("y") else said + ("es" if said.endswith("x") else "s")


def _en_group(group: int) -> list[str]:
    hundreds, rest = divmod(group, 100)
    said = [_EN_DIGITS[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        said.append(_EN_TENS[rest // 10])
        rest %= 10
    elif rest >= 10:
        return [*said, _EN_TEENS[rest - 10]]
    return [*said, _EN_DIGITS[rest]] if rest else said

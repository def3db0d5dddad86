"""Figures and symbols in Chinese text, as Chinese. A table of rules, tried in order; each is one linear pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from inference.frontend.numerals import zh_cardinal, zh_digits, zh_number

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]

_NUMBER: Final = r"(?:\d{1,3}(?:,\d{3}){1,5}|\d{1,40})(?:\.\d{1,40})?"
_EDGE: Final = r"(?<![\d.])"
_END: Final = r"(?![\d]|\.\d)"

_CURRENCY: Final = {"¥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
_UNITS: Final = {
    "km/h": "公里每小时", "m/s": "米每秒", "km2": "平方公里", "cm2": "平方厘米", "m2": "平方米", "m3": "立方米",
    "kWh": "千瓦时", "kcal": "千卡", "mmHg": "毫米汞柱", "kHz": "千赫", "MHz": "兆赫", "GHz": "吉赫", "Hz": "赫兹",
    "km": "公里", "kg": "千克", "mg": "毫克", "cm": "厘米", "mm": "毫米", "nm": "纳米", "μm": "微米", "ml": "毫升",
    "mL": "毫升", "kW": "千瓦", "MW": "兆瓦", "dB": "分贝", "ms": "毫秒", "min": "分钟", "m": "米", "g": "克",
    "t": "吨", "L": "升", "l": "升", "s": "秒", "h": "小时", "W": "瓦", "V": "伏", "Pa": "帕", "N": "牛",
}  # fmt: skip
_UNIT: Final = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_MEASURES: Final = (
    "个|位|次|天|倍|年(?!代)|小时|分钟|点(?!\\d(?!\\d?分))|元|块|斤|公里|公斤|千克|米|人|种|条|张|本|只|件|杯|瓶|辆|台|家|名|岁|周|个月|秒|克|"
    "间|座|层|部|篇|首|场|套|双|对|把|支|头|匹|棵|朵|颗|份|项|句|句话|段|遍|趟|回|吨|升|亩|美元|欧元|英镑|名|方|边|者|国|市|省|校|队|票"
)
_CODE_WORDS: Final = (
    "电话|号码|编号|密码|邮编|QQ|qq|验证码|账号|帐号|卡号|学号|工号|尾号|代码|单号|热线|拨打|代号|股票代码|手机|"
    "身份证|微信|座机|传真|区号"
)
_SYMBOLS: Final = {
    "%": "百分号", "‰": "千分号", "+": "加", "=": "等于", "×": "乘", "÷": "除以", "±": "正负", "≈": "约等于",
    "≠": "不等于", "≤": "小于等于", "≥": "大于等于", "<": "小于", ">": "大于", "&": "和", "@": "at", "°": "度",
    "¥": "元", "$": "美元", "€": "欧元", "£": "英镑", "*": "乘",
}  # fmt: skip


def say(text: str) -> str:
    """The text with its figures and symbols said in Chinese. No ASCII digit is left."""
    if not text or text.isspace():
        return text
    for pattern, said in _RULES:
        text = pattern.sub(said, text)
    return text


def _money(match: re.Match[str]) -> str:
    amount = match["amount"].replace(",", "")
    whole, point, cents = amount.partition(".")
    cents = cents.rstrip("0")
    return zh_number(whole + (point + cents if cents else "")) + (match["scale"] or "") + _CURRENCY[match["sign"]]


def _date(match: re.Match[str]) -> str:
    return f"{zh_digits(match[1])}年{zh_cardinal(str(int(match[2])))}月{zh_cardinal(str(int(match[3])))}日"


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = match[1], match[2], match[3]
    said = ("两" if int(hour) == 2 else zh_cardinal(str(int(hour)))) + "点"
    if int(minute) or second:
        said += ("零" if minute[0] == "0" and int(minute) else "") + zh_cardinal(str(int(minute))) + "分"
    if second:
        said += ("零" if second[0] == "0" and int(second) else "") + zh_cardinal(str(int(second))) + "秒"
    return said


def _code(match: re.Match[str]) -> str:
    """Letters and figures: iPhone15 → iPhone 十五, but B737 → B 七三七 as codes are read."""
    return match[1] + " " + _short(match[2])


def _short(digits: str) -> str:
    return zh_cardinal(digits) if len(digits) < 3 else zh_digits(digits)


def _plain_number(match: re.Match[str]) -> str:
    return zh_number(match.group())


_RULES: Final[tuple[Rule, ...]] = (
    (re.compile(r"(?<![\d.])(\d{1,2})\.(?=[\u4e00-\u9fff])"), lambda m: zh_cardinal(m[1]) + "、"),  # an item of a list
    # dates, before versions take their dots
    (re.compile(_EDGE + r"([12]\d{3})[-/.](1[0-2]|0?[1-9])[-/.](3[01]|[12]\d|0?[1-9])" + _END), _date),
    (re.compile(_EDGE + r"(\d{4})\s?[-~～—–至到]\s?(\d{4})(?=\s?年)"),
     lambda m: zh_digits(m[1]) + "到" + zh_digits(m[2])),
    (re.compile(_EDGE + r"(\d{4}|0\d|[5-9][1-9])(?=\s?年(?!代|级|前|后|来|内|间|以|的历史))"),
     lambda m: zh_digits(m[1])),
    (re.compile(_EDGE + r"([12]\d{3})(?=年(?:前|后|来|间|以))"), lambda m: zh_digits(m[1])),
    # versions and network addresses
    (re.compile(r"(?<![\dA-Za-z.])([vV]?)(\d{1,9}(?:\.\d{1,9}){2,9})" + _END),
     lambda m: m[1].upper() + "点".join(_short(part) for part in m[2].split("."))),
    (re.compile(r"(?<![A-Za-z])[vV](?=\d+\.\d)"), lambda m: "V "),
    # the clock, before a leading zero makes a code
    (re.compile(_EDGE + r"([01]?\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?![\d:：])"), _clock),
    # telephone and identity numbers, other long codes
    (re.compile(r"(?<![\dA-Za-z.])(?:\+?86[- ]?)?(1[3-9]\d)[- ]?(\d{4})[- ]?(\d{4})(?!\d)"),
     lambda m: zh_digits(m[1] + m[2] + m[3], "幺")),
    (re.compile(r"(?<![\dA-Za-z.])(0\d{2,3}|400|800)[- ](\d{3,4})[- ]?(\d{4})(?!\d)"),
     lambda m: zh_digits(m[1] + m[2] + m[3], "幺")),
    (re.compile(r"(?<![\dA-Za-z.])(\d{17})([\dXx])(?![\dA-Za-z])"),
     lambda m: zh_digits(m[1], "幺") + (m[2].upper() if m[2] in "Xx" else zh_digits(m[2], "幺"))),
    (re.compile(rf"({_CODE_WORDS})(\s?[:：是为]?\s?)(\d{{3,40}})(?![\d.%])"),
     lambda m: m[1] + m[2] + zh_digits(m[3], "幺")),
    (re.compile(r"(?<=[打拨])(1[12]\d|12\d{3})(?!\d)"), lambda m: zh_digits(m[1], "幺")),
    (re.compile(r"(?<![\d.,])\d{3,4}-\d{4,8}(?![\d.])"), lambda m: zh_digits(m.group().replace("-", ""), "幺")),
    (re.compile(r"(?<![\d.,])(?:0\d+|\d{9,})(?![\d,]|\.\d|\s?[元人块个万亿美])"), lambda m: zh_digits(m.group())),
    # money, before its point is read
    (re.compile(rf"(?P<sign>[¥$€£])\s?(?P<amount>{_NUMBER})\s?(?P<scale>[千百]?[万亿])?(?:元|美元|美金|欧元|英镑)?"),
     _money),
    (re.compile(_EDGE + r"(\d{1,40}\.\d{0,40}?)0{1,40}(?=\s?(?:元|块|美元))"), lambda m: m[1].rstrip(".")),
    # scores, ratios, ranges of hours
    (re.compile(r"(?<=[点分秒日号月年])\s?[-~～–]\s?(?=[\d一二两三四五六七八九十零])"), lambda m: "到"),
    (re.compile(r"(?<=\d)\s?[:：]\s?(?=\d)"), lambda m: "比"),
    (re.compile(r"(比分|以)(\d{1,3})\s?[-–—]\s?(\d{1,3})(?!\d)"),
     lambda m: m[1] + zh_cardinal(m[2]) + "比" + zh_cardinal(m[3])),
    # percent, temperature
    (re.compile(rf"({_NUMBER})(%?)\s?[-~～—–至到]\s?({_NUMBER})%"),
     lambda m: f"百分之{zh_number(m[1])}到百分之{zh_number(m[3])}"),
    (re.compile(rf"(?<![\d.])(-?)({_NUMBER})\s?([%‰])"),
     lambda m: ("负" if m[1] else "") + ("百分之" if m[3] == "%" else "千分之") + zh_number(m[2])),
    (re.compile(rf"(?<![\d.A-Za-z])-({_NUMBER})\s?(?=°|度)"), lambda m: "零下" + zh_number(m[1])),
    (re.compile(r"\s?°\s?C"), lambda m: "摄氏度"),
    (re.compile(r"\s?°\s?F"), lambda m: "华氏度"),
    # ranges and fractions
    (re.compile(rf"(?<![\dA-Za-z.-])({_NUMBER})\s?([A-Za-z°]{{0,4}})\s?[-~～—–]\s?(?={_NUMBER}(?![\d-]))"),
     lambda m: f"{m[1]}{m[2]}到"),
    (re.compile(r"(?<![\d./])(\d{1,9})/(\d{1,9})(?![\d./]|\.\d)"),
     lambda m: f"{zh_cardinal(m[2])}分之{zh_cardinal(m[1])}" if int(m[1]) <= int(m[2]) else f"{m[1]}、{m[2]}"),
    # units, before the number loses its digits
    (re.compile(rf"(?<![\dA-Za-z])({_NUMBER})\s?({_UNIT})(?![A-Za-z0-9]|网络|手机|信号|基站|时代)"),
     lambda m: ("两" if m[1] == "2" else zh_number(m[1])) + _UNITS[m[2]]),
    (re.compile(rf"(?<![\d.第A-Za-z月年])2(?=\s?(?:{_MEASURES}))"), lambda m: "两"),
    # codes of letters and figures: a hyphen between them is not a minus
    (re.compile(r"(?<=[A-Za-z])[-_](?=[A-Za-z0-9])|(?<=\d)[-_](?=[A-Za-z])"), lambda m: " "),
    (re.compile(r"([A-Za-z])(\d{1,40})(?!\d|\.\d)"), _code),
    # what is left of the numbers
    (re.compile(rf"(?<![\dA-Za-z.%一-鿿])-(?={_NUMBER})|(?<=[到为是达至])-(?=\d)"), lambda m: "负"),
    (re.compile(rf"(?<![A-Za-z\d.])({_NUMBER})\s?([+×÷*=<>/])\s?(?=[-\d])"),
     lambda m: zh_number(m[1]) + ("除以" if m[2] == "/" else _SYMBOLS[m[2]])),
    (re.compile(r"(?<=\d)\+(?!\d)"), lambda m: "加"),
    (re.compile(_NUMBER), _plain_number),
    (re.compile(r"(?<=[A-Za-z])\s?&\s?(?=[A-Za-z])"), lambda m: " and "),
    (re.compile(r"(?<=[A-Za-z])(?=\+)"), lambda m: " "),
    (re.compile(r"[%‰+=×÷±≈≠≤≥<>&@°¥$€£]"), lambda m: _SYMBOLS[m.group()] if m.group() != "@" else " at "),
    (re.compile(r"(?<=\S)\s?/\s?(?=\S)"), lambda m: "、"),
    (re.compile(r"(?<=[A-Za-z])\.(?=[a-z])"), lambda m: " 点 "),
    (re.compile(r"(?<![A-Za-z])([CF])#"), lambda m: m[1] + " sharp "),
)  # fmt: skip

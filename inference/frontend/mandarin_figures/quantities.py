"""Ranges, fractions, negative and plain numbers in Chinese text: 3-5天, 2、3个, 1/2, -5℃, 2个."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.counted import COUNTED, HANZI_NEXT, MEASURE_NEXT, quantity
from inference.frontend.mandarin_figures.scores import SCORE, SCORE_NEXT
from inference.frontend.numerals import en_ordinal, zh_cardinal, zh_digits, zh_number
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.segment import HANZI
from inference.frontend.written import TO, N

_KEYED: Final = re.compile(
    r"(?:[按摁拨扣]|回复?|输入|键入|发送|[选点]择?|选项|方案|步骤|附件|情形|模式|阶段|档位|例题|习题|定理|场景)[“\"]?\s?$"
)
"""After these 2 is a key or a label where what follows may be done: 按2转人工."""
_DONE_NEXT: Final = re.compile(
    "转|回[车复到答退拨放主上首]|报[名修警案销备]|提[交现示前取]|挂[断失机号]|听|连[接线]|打[开印电]|人工|点[歌餐播击]|对[话应]|方[可能案便]|"
    "处理|排队|行[不得]|起[到作]|手[动工]|部[署门分]|节[省点]|步入|下[单载一线]|拨[打号通]|注[册销]|记录|声[明音]|场景|集[成合]|条件|期待|成[功立交]"
)
_COUNTED_NEXT: Final = re.compile(rf"\s?(?:{COUNTED})")
_COUNTED_RANGE: Final = re.compile(rf"[到至或]\d++\s?(?:{COUNTED})")
_CLASS_NEXT: Final = re.compile(r"\s?(?:届|级|款|版|新款|赛季|财年|学年)(?!以上)")
_ROUND_YEAR_NEXT: Final = re.compile(r"\s?(?:年|届|款|版|财年|赛季|学年|[^\d]{0,4}(?:奥运|世界杯|欧洲杯|亚运|世博))")
_LABELLED_NEXT: Final = re.compile(r"\s?(?:号|栋|幢|单元|室|楼|线|型|系列|款|版)")
_WARMTH_NEXT: Final = re.compile(rf"{N}(?:(?:{TO}|[到至])-?{N})?\s?(?:°|度|摄氏)")
_SHARE_NEXT: Final = re.compile(rf"{N}\s?(?:%|‰|[千百]?[万亿]|元|分|dB)")
_NEGATIVE: Final = re.compile(
    "(?:[为是到至达于约值额温得分化比负收回报的拔]|等于|同比|环比|增长|涨跌幅?|变动|增速|现在|目前|温度|只有|光衰|电平|强度|返回|(?:错误|退出|返回|状态)码)$"
)
_NAME_BEFORE: Final = re.compile(f"[{HANZI}]$")
_NO_QUANTITY: Final = re.compile("(?:第|[月年周初负]|地下|[A-Za-z])$")
"""After these 2 counts nothing: 第2个, 24H2起."""
_EQUALS_NEXT: Final = re.compile(r"\s?=")
_RANGED: Final = re.compile(
    "(?:^|[^A-Za-z\\d])\\d++[A-Za-z]{0,2}\\s?$|[年月日号点时分秒%度元CF午个天米克一二三四五六七八九十]\\s?$"
)
_WEEKDAY: Final = re.compile("(?:周|星期|礼拜)[一二三四五六日天]\\s?$")
_NAMED_YEAR: Final = re.compile("[A-Za-z]{3,} $")
_SIZE: Final = re.compile("(?<![A-Za-z])(?:X{0,4}[SL]|M|[二三四五六七八九\\d]X{1,2}L)$")
"""The lower end of sizes: S-XL."""


def _counted(number: str, match: Match) -> str:
    """A number before what it counts: 2 is 两 there."""
    return "两" if number == "2" and after(match, _COUNTED_NEXT) else quantity(number)


def _negative(match: Match) -> str | None:
    """A minus sign, or the hyphen of a name: 气温-5℃, 降到-5度, 利润-3%, but 歼-20 and 东风-41."""
    if after(match, _WARMTH_NEXT):
        return "" if match.string.endswith("零下", 0, match.start()) else "零下"
    if before(match, _NAME_BEFORE) and not before(match, _NEGATIVE) and not after(match, _SHARE_NEXT):
        return ""
    return "负"


def _range(match: Match) -> str:
    """3-5天, 2-3个; but 4-1获胜 is a score, and 10-4=6 a subtraction."""
    low, high = match[1], match[2]
    if after(match, _EQUALS_NEXT):
        return f"{quantity(low)}减{quantity(high)}"
    if low.isdigit() and high.isdigit():
        falls = len(low) < 4 and int(low) >= int(high[:4])  # a range rises
        if match.string.endswith("满", 0, match.start()):
            return f"{quantity(low)}减{quantity(high)}"  # 满300-50
        if falls and after(match, _LABELLED_NEXT):
            return f"{quantity(low)}杠{quantity(high)}"  # 5-3号楼
        if after(match, SCORE_NEXT) or ((falls or before(match, SCORE)) and not after(match, MEASURE_NEXT)):
            return f"{quantity(low)}比{quantity(high)}"
    return f"{_low(low, match)}到{_counted(high, match)}"


def _low(number: str, match: Match) -> str:
    """The lower end of a range: 第2-3名 is 二, 2-3名 is 两."""
    return quantity(number) if match.string.endswith("第", 0, match.start()) else _counted(number, match)


def _fraction(match: Match) -> str:
    whole, over, under = match[1], match[2], match[3]
    if after(match, _EQUALS_NEXT):
        return f"{quantity(over)}除以{quantity(under)}"
    if int(over) > int(under):
        return f"{quantity(over)}、{quantity(under)}"  # 120/80: blood pressure, not a fraction
    said = f"{zh_cardinal(under)}分之{zh_cardinal(over)}"
    return f"{zh_cardinal(whole)}又{said}" if whole else said


def _plain(match: Match) -> str:
    text = match.group()
    if text == "2" and after(match, _COUNTED_NEXT) and not before(match, _NO_QUANTITY):
        return "二" if after(match, _DONE_NEXT) and before(match, _KEYED) else "两"
    if len(text) == 4 and text.endswith("00") and not after(match, _ROUND_YEAR_NEXT):
        return quantity(text)
    modern = len(text) == 4 and text[:2] in {"19", "20"} and text.isdigit()
    if modern and before(match, _NAMED_YEAR) and not after(match, MEASURE_NEXT):
        return zh_digits(text)  # NeurIPS 2023
    modern = modern and after(match, HANZI_NEXT)
    if modern and (after(match, _CLASS_NEXT) or not after(match, MEASURE_NEXT)):
        return zh_digits(text) if not match.string.endswith("第", 0, match.start()) else quantity(text)
    return quantity(text)


def _few(match: Match) -> str | None:
    """2、3个: two or three of them."""
    low, high = match[1], match[2]
    if match.string.endswith("第", 0, match.start()):
        return None
    return ("两" if low == "2" else zh_cardinal(low)) + zh_cardinal(high) if int(high) == int(low) + 1 else None


LISTED: Final = (
    Rule("list", r"(?<![^\n])(\d{1,2})[.)）．](?!\d|[xX](?![A-Za-z]))\s*+(?=.)|(\d{1,2})\.(?=\s?[一-鿿])",
         lambda m: zh_cardinal(m[1] or m[2]) + "、", next="h.a"),
)  # fmt: skip
"""The number of an item of a list: 1."""
ORDINAL: Final = (
    Rule("ordinal", r"(\d{1,3})(?:st|nd|rd|th)(?![A-Za-z])", lambda m: f"{en_ordinal(m[1])} ", next="a"),
)  # fmt: skip
RANGES: Final = (
    Rule("code", r"(?<=[图表式例题])(\d{1,2})-(\d{1,2})(?![\d.-])",
         lambda m: f"{zh_cardinal(m[1])}杠{zh_cardinal(m[2])}", next="-"),
    Rule("range", rf"({N}){TO}({N})(?!\d|[-~～–—]\d)", _range, next=" -.,"),
)  # fmt: skip
FEW: Final = (
    Rule("range", r"2(?=[到至或]\d)",
         lambda m: "两" if _COUNTED_RANGE.match(m.string, m.end()) else None, next="h"),
    Rule("range", rf"([1-9])、([1-9])(?=\s?(?:{COUNTED}))", _few, next="h"),
)  # fmt: skip
NUMBERS: Final = (
    Rule("list", r"\d{1,3}(?:/\d{1,3}){2,5}(?![\d/.])",
         lambda m: "、".join(map(zh_cardinal, m.group().split("/"))), next="/"),
    Rule("list", r"(\d{1,3})/(\d{1,3})(?=\s?(?:[楼层帧期档](?!的一)|人[桌间份]|号[线楼]|路(?:公交|车)))",
         lambda m: f"{zh_cardinal(m[1])}、{zh_cardinal(m[2])}", next="/"),
    Rule("fraction", r"(1)/(\d\.\d{1,2})(?=\s?(?:英?寸|\"|型))",
         lambda m: f"{zh_number(m[2])}分之一", next="/"),
    Rule("fraction", r"(1)/(\d{1,5})\s?s(?![A-Za-z\d])", lambda m: f"{zh_cardinal(m[2])}分之一秒", next="/"),
    Rule("fraction", r"(?:(\d{1,4})\s)?(\d{1,9})/(\d{1,9})(?![\d/]|\.\d)", _fraction, next=" /"),
    Rule("sum", rf"({N})\s?[xX×*](?!3D)\s?(?={N})", lambda m: quantity(m[1]) + "乘", next=" .,a"),
    Rule("number", N, _plain),
)  # fmt: skip
BRACKETED: Final = (
    Rule("list", r"(?<![^\n])[\(（](\d{1,2})[)）]\s*+(?=.)", lambda m: zh_cardinal(m[1]) + "、"),
)  # fmt: skip
"""The number of an item of a list: (1)."""
SIGNED: Final = (
    Rule("number", r"\.(?<![A-Za-z\d]\.)(\d++)", lambda m: "零点" + zh_digits(m[1])),
    Rule("minus", r"-(?=\d)(?<![\dA-Za-z)）年月日点时分秒号%°]-)", _negative),
    Rule("range", r"(?:[-~～–]|—{1,2})\s?(?=(?:周|星期|礼拜)[一二三四五六日天])",
         lambda m: "到" if before(m, _WEEKDAY) else None),
    Rule("range", r"[-~～–—](?=(?:\dX{1,2}|X{0,4})L(?![A-Za-z\d])|M(?![A-Za-z\d]))",
         lambda m: "到" if before(m, _SIZE) else None),
    Rule("range", r"[~～](?=[一二三四五六七八九十])(?<=[一二三四五六七八九十两][~～])", lambda m: "到"),
    Rule("range", r"(?:[-~～–]|—{1,2})\s?(?=[\d¥$-])", lambda m: "到" if before(m, _RANGED) else None),
)  # fmt: skip
"""What begins with a point, a minus or a dash."""

"""Days, months and years in Chinese text: 2023-05-08, 5/1-5/5, 双11, 90后."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.codes import CODE_BEFORE
from inference.frontend.mandarin_figures.counted import MEASURE_NEXT, quantity, till
from inference.frontend.numerals import zh_cardinal, zh_digits, zh_number
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import TO

_DAY_OF_YEAR: Final = r"(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])"
_SPAN_BEFORE: Final = re.compile("[约近超有过达历长]$")
_SPAN_NEXT: Final = re.compile("年(?:前|的?历史|的?文明|多|以前|之久)")
_RECKONED: Final = re.compile("(?:等于|加上?|减去?|乘以?|除以)\\s?$")
"""What is done with fractions: 1/8 等于 3/24."""
_OLD: Final = re.compile("(?:公元前?|前)$")
_REIGNED: Final = re.compile(
    "(?:[民建]国|公元前?|前|昭和|平成|令和|大正|明治|康熙|雍正|乾隆|嘉庆|道光|"
    "咸丰|同治|光绪|万历|贞观|开元|建安|[第满过近约超]|\\d)$"
)
"""What counts years, so that 25年 are no 2025: 民国25年3月."""
_DATED: Final = re.compile("(?:[今明昨后]天|预计|截[止至]|日期|时间|定[在于]|将于|[于从至到])[:：]?\\s?$")
_DATED_NEXT: Final = re.compile(
    r"\s?(?:[到发]货|上线|上映|截止|开[始售卖业学]|妇女节|情人节|是?[^，。\\d/]{0,5}节|见面|见|交|前|之前|回来|出发|考试|过期|生效|[(（]?(?:周[一二三四五六日]|星期)|[晚早]|[上下中]午|\d{1,2}[:：点])"
)
_CHANGED: Final = re.compile("(?:[升降涨减增跌加缩占达高少低][到至]|不到|\\d/\\d{1,2}[到至])$")
_CHANGED_NEXT: Final = re.compile("[升降涨减增跌提下上缩]")
"""Beside shares that change: 从1/3升到2/3."""
_SHARED_NEXT: Final = re.compile(r"\s?(?:的|是|为|左右|以上|=|杯|英?寸|$)")


def _date(match: Match) -> str:
    return f"{zh_digits(match[1])}年{zh_number(match[2].lstrip('0'))}月{zh_number(match[3].lstrip('0'))}日"


def _year_month(match: Match) -> str | None:
    if before(match, CODE_BEFORE):
        return None
    return f"{zh_digits(match[1])}年{zh_number(match[2].lstrip('0'))}月"


def _year_last(match: Match) -> str | None:
    month, day = sorted((int(match[1]), int(match[2]))) if int(match[1]) > 12 else (int(match[1]), int(match[2]))
    if month > 12:
        return None
    return f"{zh_digits(match[3])}年{zh_cardinal(str(month))}月{zh_cardinal(str(day))}日"


def _month_and_day(match: Match) -> str | None:
    """5/20 where the words around it speak of a day, or 11/25, which no fraction is; elsewhere it is a fraction."""
    unlike = len(match[1]) == 2 and int(match[1]) < int(match[2]) and not after(match, _SHARED_NEXT)
    shared = before(match, _CHANGED) or after(match, _CHANGED_NEXT)
    dated = unlike or after(match, _DATED_NEXT) or (before(match, _DATED) and not shared)
    dated = dated and not before(match, _RECKONED)
    return f"{zh_cardinal(match[1])}月{zh_cardinal(match[2])}日" if dated else None


def _days(match: Match) -> str | None:
    """5/1-5/5: days, if they follow one another."""
    first, last = (int(match[1]), int(match[2])), (int(match[3]), int(match[4]))
    if first >= last:
        return None
    return "到".join(f"{zh_cardinal(str(month))}月{zh_cardinal(str(day))}日" for month, day in (first, last))


def _years(match: Match) -> str | None:
    first, word, last = match[1], match[2] or "", match[4]
    if int(first) >= int(last):
        return None
    return f"{zh_digits(first)}{word.strip()}{till(match[3])}{zh_digits(last)}"


def _year(match: Match) -> str | None:
    digits = match[1]
    if len(digits) == 4:
        spans = digits.endswith("00") and (after(match, _SPAN_NEXT) or before(match, _SPAN_BEFORE))
        if spans or digits[0] in "3456789" or (digits.endswith("000") and digits != "2000"):
            return None
    elif len(digits) == 3 and not before(match, _OLD):
        return None
    return zh_digits(digits)


def _day_and_night(match: Match) -> str:
    """What is warm by day and by night: 12/20℃, 3/-5℃."""
    return f"{quantity(match[1])}到{'零下' if match[2] else ''}{quantity(match[3])}摄氏度"


def _festival(match: Match) -> str:
    """11.11 is 双十一, 6.18 六幺八, 5.1 五一."""
    month, day = match[1], match[2]
    if month == day and len(day) == 2:
        return f"双{zh_cardinal(day)}"
    return zh_digits(month + day, "幺") if len(day) == 2 else zh_cardinal(month) + zh_cardinal(day)


DATES: Final = (
    Rule("date", r"([12]\d{3})[-/.](1[0-2]|0?[1-9])[-/.](3[01]|[12]\d|0?[1-9])(?!\d|[-/.]\d)(?:T(?=\d\d:))?",
         _date, next="-/."),
    Rule("date", r"(3[01]|[12]\d|0?[1-9])/(3[01]|[12]\d|0?[1-9])/((?:19|20)\d\d)(?![\d/])", _year_last, next="/"),
    Rule("date", r"([12]\d)/(0[1-9]|1[0-2])/(0[1-9]|[12]\d|3[01])(?![\d/])",
         lambda m: f"{zh_digits(m[1])}年{quantity(m[2].lstrip('0'))}月{quantity(m[3].lstrip('0'))}日", next="/"),
    Rule("unit", r"(\d{1,2})/(-?)(\d{1,2})\s?(?:°C|°|度)(?![A-Za-z])", _day_and_night, next="/"),
    Rule("date", r"((?:19|20)\d\d)[-/.](0[1-9]|1[0-2])(?![\d.]|[-/]\d|\s?[元%万亿倍米])", _year_month, next="-/."),
    Rule("date", r"((?:19|20)\d\d)[-/](\d\d)(?=\s?(?:赛季|学年|财年|年度))",
         lambda m: zh_digits(m[1] + m[2]), next="-/"),
    Rule("date", rf"(\d{{4}})(\s?年)?({TO}|至|到)(\d{{4}})(?=\s?(?:年|学年|赛季|届|财年))", _years, next="h -a"),
    Rule("date", rf"((?:19|20)\d\d)()({TO})((?:19|20)\d\d)(?![\d.元万亿:-])", _years, next=" -"),
    Rule("date", rf"(\d{{3}})(?=年?{TO}\d{{3,4}}年)|(?<=年[-~～–—])(\d{{3}})(?=年)",
         lambda m: zh_digits(m.group()), next="h -"),
    Rule("date", rf"{_DAY_OF_YEAR}(?:{TO}|[到至]){_DAY_OF_YEAR}(?![\d/]|\.\d)",
         _days, next="/"),
    Rule("date", r"(1[0-2]|[1-9])/(3[01]|[12]\d|[1-9])(?![\d/]|\.\d|\s?(?:秒|英寸|英里|小时|分钟))",
         _month_and_day, next="/"),
    Rule("date", r"(\d{3,4}|0\d|[5-9][1-9])(?=\s?年(?!代|级|后|来|内|间|的历史|以|前))", _year, next="h "),
    Rule("date", rf"(\d\d)(?=年(?:\s?(?:1[0-2]|0?[1-9])月(?!{TO}?\d*个)|春节|国庆|五一|中秋|元旦|"
         r"双十|高考|春招|秋招|校招|[底初]|[上下]半年|第?[一二三四1-4]季度|Q[1-4]|[春夏秋冬]季?[,，。]|款|版))",
         lambda m: None if before(m, _REIGNED) else zh_digits(m[1]), next="h"),
    Rule("date", r"(\d\d)[-/](\d\d)(?=\s?(?:赛季|学年|财年))", lambda m: zh_digits(m[1] + m[2]), next="-/"),
    Rule("date", r"([12]\d{3})(?=年(?:前|后|来|间|以))", _year, next="h"),
    Rule("date", r"((?:19|20)\d\d)(?=\s?(?:Q[1-4]|H[12])(?![A-Za-z\d]))", lambda m: zh_digits(m[1]), next=" a"),
    Rule("date", r"(?<=[〔\[\(（])((?:19|20)\d\d)(?=[〕\])）])", lambda m: zh_digits(m[1]), next="ha"),
    Rule("date", r"0([1-9])(?=\s?(?:[月日]|号(?![柜格桌楼线门窗机台房库仓牌车厅馆位舱车箱])))",
         lambda m: zh_cardinal(m[1]), next="h "),
    Rule("date", r"(\d{1,2})[·•.](\d{1,2})(?=\s?(?:事件|事变|运动|大?地震|惨案|革命|恐怖|袭击))",
         lambda m: zh_digits(m[1] + m[2], "幺"), next=".a"),
    Rule("date", r"(?<!第)(\d{1,2})[.·](\d{1,2})(?=小?长?假期?|黄金周|劳动节|国庆|大促|购物|狂欢|促销|年中|晚会|"
         r"妇女节|女[神生王]节)", _festival, next=".a"),
    Rule("date", r"(\d{1,2})·(\d{1,2})(?!\d)", lambda m: zh_digits(m[1] + m[2]), next="a"),
    Rule("date", r"(00|05|10|50|60|70|75|80|85|90|95)(?=后(?!面|续|来|天|半|卫|台|期|备|果|代|\d(?![05]后)))"
         r"|(00)(?=年代)",
         lambda m: zh_digits(m.group()), next="h"),
)  # fmt: skip
UNBROKEN: Final = (
    Rule("date", r"((?:19|20)\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?![\d.,])",
         lambda m: None if after(m, MEASURE_NEXT) else _date(m)),
)  # fmt: skip
"""A date of eight figures: 20230508."""

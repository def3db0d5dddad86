"""Shares, measures and prices by the unit in Chinese text: 5%, 10~20°C, 35μg/m^3, 30元/小时."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend import units
from inference.frontend.mandarin_figures.counted import HANZI_NEXT, SCALE, UNIT, quantity, till
from inference.frontend.numerals import zh_cardinal, zh_digits, zh_number
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.segment import HANZI
from inference.frontend.written import TO, N

_PER: Final = (
    "立方米|立方厘米|立方分米|平方公里|平方千米|平方厘米|平方分米|百毫升|分升|微升|毫克|千瓦时|"
    "斤|公斤|克|吨|升|毫升|人|位|天|日|月|年|周|次|个|件|张|本|盒|瓶|杯|份|套|台|辆|米|公里|平方米|平米|平|亩|小时|时|"
    "分钟|秒|股|桶|度|字|晚|"
    "间|节|户|单|盎司|颗|条|支|课时|季|学期|吨公里|箱|袋|包|桶|罐|批|卷|组|块|片|粒|枚|层|栋|头|只|棵|株|场|局|趟|对|双"
)
_NO_PORTION: Final = (
    r"\d|[一-鿿]\d|天[津猫气河]|日[本语元系式]|月[底初末]|年[级底初代]|人[工民事员力]|次[日方元]|时间|件套|单[人身号独双]|双[人十层]|"
    r"平[台均时]|周[一二三四五六日末边年\d]|个[人别体]|套[餐装]|批发|节[假日]|组[合装]|场[地景馆]|对[公应方]|本[科地人市周月次来]|"
    r"台[湾式]|条件|升级|支[付持]|块[头状]|米[饭线粉]|晚[上餐饭安]|季[度后]|吨位|桶装|盒装|瓶装|包装|袋装|箱包|罐装|度假"
)
"""Words that begin as what something is counted by: 3人/单双."""
_RATED: Final = re.compile(rf"\d\s?[{HANZI}]{{1,5}}$|单位[:：]?[{HANZI}]{{1,4}}$")
"""So many of what stands before a slash: 28微克/立方米."""
_PORTIONS: Final = "人天日周月年次包盒箱袋瓶件套份组台班桌间车队分秒时"
_TENS_OF_THOUSANDS: Final = re.compile(
    "(?:年薪|月入|年入|收入|工资|奖金|总包|存款|首付|彩礼|预算|粉丝?|粉丝数|播放量?|阅读量?|浏览量?|点赞|销量|流水|营收|赚|亏|花|欠|借)"
    "[了到过近约超破达是为有]{0,2}\\s?$"
)
"""What is counted in 万, for which people write W: 年薪20W+."""
_SEATS: Final = frozenset("ANJr")
"""Letters that are more often a seat's, a grade's or a name's than a unit."""
_FORCE_NEXT: Final = re.compile("的?(?:[拉推压浮阻摩]?力|电|插|保险|空开|能|功|热)")
_FORCE: Final = re.compile(r"(?:[力流载险丝能功热量]|\dV[、/,， ]?)[为是约达]?\s?$")
_LATIN_BEFORE: Final = re.compile(r"[A-Za-z]\s?$")
_POWER_NEXT: Final = re.compile("的?(?:[有无]线)?(?:快充|闪充|超充|充电|供电|适配器|电源)")
_TEXT_NEXT: Final = re.compile(rf"\s?(?:[{HANZI}，。；、）)！？：]|$)")
_SCALES: Final = {"kg": "公斤", "KG": "公斤"}
_PRICED: Final = re.compile(r"[¥$€£]\s?[\d.,]++$")
_PAID_FOR: Final = re.compile(f"\\d(?:[元块]|美元)(?:起|/[{HANZI}]{{1,3}})$")
"""What is paid, and for what, where another slash says for how long: 30元/位/小时."""
_PAID: Final = re.compile("(?:[\\d百千万亿零一二三四五六七八九十两]\\s?[元块角分]|美元)\\s?$")
"""What is paid for something that is written in Latin letters: 3元/GB."""
_PER_UNIT: Final = rf"(?:/({N}(?=(?:[mdμ]?[Llg]|k[gm]|m|cm|min|h|s)(?![A-Za-z])))?({UNIT}|{_PER}))?"
_SCALED: Final = rf"({SCALE})?\s?"


def _percents(match: Match) -> str:
    name = "百分之" if match[6] == "%" else "千分之"
    low = name + quantity(match[1])
    return f"{low}{till(match[3])}{'负' if match[4] else ''}{name}{quantity(match[5])}"


def _measure(match: Match) -> str | None:
    """A number, or a range of numbers, and its unit: 5km, 10~20°C, 3亿kWh, 35μg/m^3, 80mg/100mL."""
    low, between, high, scale, unit, many, per = match.groups()
    alone = len(unit) == 1 and unit.isascii() and not per and not high and not scale
    named = before(match, _LATIN_BEFORE) or (" " in match.group() and not after(match, _TEXT_NEXT))
    if alone and named and not after(match, _POWER_NEXT):
        return None  # iPhone 5s, Model 3 s; but PD 65W快充
    if alone and unit in _SEATS and "." not in low and not before(match, _FORCE) and not after(match, _FORCE_NEXT):
        return None  # 12A is a seat
    said = "两" if low == "2" and (scale or unit[0] != "°") else quantity(low)
    if high:
        minus = "" if high[0] != "-" else "零下" if unit[0] == "°" else "负"
        first = units.in_mandarin(between) if between and between != unit else ""
        said = f"{quantity(low)}{first}到{minus}{quantity(high.lstrip('-'))}"
    said += (scale or "") + units.in_mandarin(unit)
    if not per:
        return said
    return f"{said}每{quantity(many) if many else ''}{per if HANZI_NEXT.match(per) else units.in_mandarin(per)}"


def _power(match: Match) -> str:
    names = {"2": "的平方", "3": "的立方"}
    said = names.get(match[1]) or f"的{zh_number(match[1])}次方"
    unit = units.in_mandarin(match[2]) if match[2] else ""
    return said + unit + (f"每{units.in_mandarin(match[3])}" if match[3] else "")


MEASURES: Final = (
    Rule("angle", r"(\d{1,3})°\s?(\d{1,2})'(?:(\d{1,2})(?:\"|''))?",
         lambda m: f"{zh_cardinal(m[1])}度{quantity(m[2])}分" + (f"{quantity(m[3])}秒" if m[3] else ""), next="a"),
    Rule("percent", rf"({N})([%‰]?)({TO}|至|到)(-?)({N})([%‰])", _percents, next="h -.,a"),
    Rule("percent", rf"({N})\s?([%‰])",
         lambda m: ("百分之" if m[2] == "%" else "千分之") + quantity(m[1]), next=" .,a"),
    Rule("unit", r"(\d{1,3})[Ww](\d)(?![A-Za-z\d.])",
         lambda m: f"{'两' if m[1] == '2' else zh_cardinal(m[1])}万{zh_digits(m[2])}", next="a"),
    Rule("unit", rf"({N})\s?(cm|m|CM)/({N})\s?(kg|KG|斤|公斤)(?![A-Za-z])",
         lambda m: f"{quantity(m[1])}{'米' if m[2] == 'm' else '厘米'}、{quantity(m[3])}{_SCALES.get(m[4], m[4])}",
         next=".a "),
    Rule("unit", rf"({N})[Ww](?![A-Za-z\d])",
         lambda m: ("两" if m[1] == "2" else quantity(m[1])) + "万" if before(m, _TENS_OF_THOUSANDS) else None,
         next=".,a"),
    Rule("unit", rf"({N})[Ww](?=用户|粉|播放|阅读|人|元|块|点赞|年薪)",
         lambda m: ("两" if m[1] == "2" else quantity(m[1])) + "万", next=".,a"),
    Rule("unit", rf"({N})\s?({UNIT})?{TO}(-?{N})\s?{_SCALED}({UNIT}){_PER_UNIT}", _measure, next=" -.,a"),
    Rule("unit", rf"({N})(\s?)(){_SCALED}({UNIT}){_PER_UNIT}(?!网络|手机|信号|基站|时代|公司|口罩|胶)",
         _measure, next="h .,a"),
    Rule("unit", rf"({N})w(?![A-Za-z\d]|灯|的?功率|快充)",
         lambda m: ("两" if m[1] == "2" else quantity(m[1])) + "万", next=".,a"),
    Rule("unit", rf"({N})\"(?=\s?(?:[大小曲直柔全高]?面?屏|显示|笔记本|电视|平板|的|OLED|LCD|AMOLED|IPS|2K|4K))",
         lambda m: quantity(m[1]) + "英寸", next=".,a"),
    Rule("unit", r"([1-9][1-9])(?=折)", lambda m: zh_digits(m[1]), next="h"),
    Rule("unit", r"(720|1080|1440|2160)(?=[pPi](?![A-Za-z]))", lambda m: zh_digits(m[1]), next="a"),
    Rule("unit", r"(\d++)([米元块角万千百秒])(\d)(?![\d.多几余来]|\s?[年月日号点分秒个元万千百十米块角毛厘人名台])",
         lambda m: f"{'两' if m[1] == '2' else quantity(m[1])}{m[2]}{zh_digits(m[3])}", next="h"),
    Rule("unit", r"(\d++)([米秒])(\d\d|(?<=秒)\d{3})(?![\d.]|\s?[年月日个元万人])",
         lambda m: f"{'两' if m[1] == '2' else quantity(m[1])}{m[2]}{zh_digits(m[3])}", next="h"),
)  # fmt: skip
TWO_OF_A_UNIT: Final = (
    Rule("unit", rf"({N})/({N})\s?(mmHg|Hz|kHz|V|mAh)(?![A-Za-z])",
         lambda m: f"{quantity(m[1])}、{quantity(m[2])}{units.in_mandarin(m[3])}", next="/.,"),
)  # fmt: skip
"""Two values of one unit: 120/80mmHg."""
POWER: Final = (
    Rule("power", rf"\^(-?\d{{1,3}})(?:\s?({UNIT}))?(?:/({UNIT}))?", _power),
)  # fmt: skip
PER: Final = (
    Rule("per", rf"/(?=(?:{_PER}))(?!{_NO_PORTION})", lambda m: "每" if before(m, _RATED) else None),
    Rule("per", r"/(?=\d{1,4}(?:毫升|毫克|微克|升|克|千克|公斤|斤|公里|千米|米|平方米|立方米|万?人|次|字|小时|分钟"
         r"|天)(?!\d))", lambda m: "每" if before(m, _RATED) else None),
    Rule("per", rf"/(?=(?:{_PER}))(?<=[元块米里克斤升吨次度万千百\d]/)"
         r"|/(?=[期年月天日次笔])(?<=[%‰]/)|/(?=\d)(?<=[元块]/)", lambda m: "每"),
    Rule("per", r"/(?=[分秒](?!之))(?<=[转次拍滴跳步帧米字]/)", lambda m: "每"),
    Rule("per", rf"/(?=[{HANZI}])(?!/(?:[美日欧港澳]元|人民币))(?<=[\d百千万亿][元块角]/)", lambda m: "每"),
    Rule("per", rf"/(?=(?:{_PER}))", lambda m: "每" if before(m, _PAID_FOR) else None),
    Rule("per", rf"(?<=\d[个张件本粒片袋包盒瓶支只条份人次里])/(?=[{_PORTIONS}](?![{HANZI}]))", lambda m: "每"),
    Rule("per", rf"/(?={N}\s?(?:{_PER}|{UNIT}))", lambda m: "每" if before(m, _PRICED) else None),
    Rule("per", r"/(?=(?:1[KM]|百万|千)\s?(?:[Tt]oken|次|字))", lambda m: "每" if before(m, _PRICED) else None),
    Rule("per", rf"/({UNIT})", lambda m: "每" + units.in_mandarin(m[1]) if before(m, _PRICED) else None),
    Rule("per", rf"/(?<=[元块米克斤升吨次万亿千百]/)({UNIT})", lambda m: "每" + units.in_mandarin(m[1])),
    Rule("per", r"/\s?(?=[KMGT]B?(?![A-Za-z])|[A-Z]?[a-z]{3,})", lambda m: "每" if before(m, _PAID) else None),
    Rule("per", r"/s(?![A-Za-z])(?<=[KMGTk][Bb]/s)", lambda m: "每秒"),
)  # fmt: skip
"""The slash between a price or a rate and what it is for."""
EACH: Final = (
    Rule("unit", rf"(?<=每)({UNIT})", lambda m: units.in_mandarin(m[1])),
)  # fmt: skip
"""A unit of letters after 每."""

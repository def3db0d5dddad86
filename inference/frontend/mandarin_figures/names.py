"""Figures in Chinese text that are a name and count nothing: 波音737, 歼20, 305次列车, 666, 12306."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.codes import spelled
from inference.frontend.mandarin_figures.counted import MEASURE_NEXT, MEASURED
from inference.frontend.numerals import zh_cardinal, zh_digits
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import SERIAL

_DIVING: Final = re.compile(
    "(?:跳水?|跳分别|动作|难度|[臂翻]体?|完成了?|[选使]用了?|第[一二三四五六]跳)[是为的：“、，]{0,2}$|\\d[CD](?:[和与、]|以及)$"
)
_DIVE_NEXT: Final = re.compile("”?(?:这[一个]跳|这[一个]动作|动作|的?难度|一跳|[和与、]\\d{3,4}[CD])")
_CARD: Final = re.compile(
    "(?:显卡|[NA]卡|GPU)(?:[从是用换买上装了成为的到至：:]*|[^，。]{0,12}升级?到)$"
    "|(?:[一两几双单\\d][张卡]|\\d{2}[Gg][Bb]?)的?$"
)
_CARD_NEXT: Final = re.compile(r"\s?(?:显卡|(?:[Tt][Ii]|S(?:UPER|uper))(?![A-Za-z])|(?:升级到|[和与])\s?[1-5]0[5-9]0)")
"""What stands beside the number of a graphics card: 3060显卡, 从3060升到4060."""
_CHAT: Final = re.compile("(?:^|[，。！？、~～…“”\\s]|[哈啊呀了吧呢哦嘛啦的拜])$")
_PRAISED: Final = re.compile(
    "(?:操作|这[波把手]|技术|直接|简直|属实|真是?|[扣刷]|弹幕|满屏|一片|老铁|大佬|主播)(?:都是|全是)?\\s?$"
)
"""666 after these is praise: 这波操作666."""
_CHAT_NEXT: Final = re.compile(
    "$|[，。！？~～…”\\s]|快乐|啊|了|的?礼物|表白|那天|这天|当天|情人节|红包|活动|笑|牛|真|太"
)
_PLACED: Final = (
    "川藏|青藏|滇藏|新藏|室|房间|号房|房(?!子|屋|价)|宿舍|教室|病房|包间|包厢|国道|省道|县道|医院|次列车|次航班|次高铁|次动车|航班|列车|"
    "路公交|路车|客机|高校|工程|端口|中学|厂|艺术区|部队|高地|"
    "分机|内线|战机|错误|页面|网关|报错|战士|医科|会议室|办公室|实验室|诊室|号包间|号机房"
)
_KNOWN: Final = {
    "985": "九八五", "211": "二幺幺", "996": "九九六", "12306": "幺二三零六", "12315": "幺二三幺五",
    "10086": "幺零零八六",
    "18650": "一八六五零",
    "911事件": "九幺幺事件", "315打假": "三幺五打假", "618": "六幺八", "315晚会": "三幺五晚会",
}  # fmt: skip
"""Numbers that are names: universities, working hours, hotlines, a sale."""


def serial(digits: str) -> str:
    """The figures of a name: B12 is 十二 and A300 三百, but C919 is 九一九."""
    rounds = digits.endswith("00" if len(digits) < 5 else "000")
    return zh_cardinal(digits) if len(digits) < 3 or rounds else zh_digits(digits)


def _dive(match: Match) -> str | None:
    """A dive by its number: 207C, 5253B. B and A are units too, so that diving must be near."""
    if match[2] in "AB" and not before(match, _DIVING) and not after(match, _DIVE_NEXT):
        return None
    return f"{zh_digits(match[1])} {match[2]}"


def _chat(match: Match) -> str | None:
    """520, 2333, 666: what people mean by their sound, at the start of something said."""
    praised = match.group().startswith("666") and before(match, _PRAISED)
    if not (praised or before(match, _CHAT)) or after(match, MEASURE_NEXT):
        return None
    sure = match.group().startswith(("233", "1314", "1551")) or len(match.group()) > 3
    return zh_digits(match.group()) if sure or after(match, _CHAT_NEXT) else None


NAMES: Final = (
    Rule("code", r"(?<=波音)(7\d7)-(\d00|\d\d?)(?!\d)",
         lambda m: f"{zh_digits(m[1])}杠{zh_cardinal(m[2])}", next="-"),
    Rule("code", SERIAL, lambda m: spelled(m.group()), next="a"),
    Rule("code", r"([1-6]\d{2,3})([A-D])(?![A-Za-z\d])",
         _dive, next="a"),
    Rule("code", r"(\d{4,5})(?=(?:H[SX]?|XT?|KF|U)(?![A-Za-z\d]))|(1\d{4})(?=[KF](?![A-Za-z\d]))"
         r"|(\d{4})(?=X3D|\sXTX?(?![A-Za-z]))",
         lambda m: serial(m.group()), next=" a"),
    Rule("code", r"(?<=宝马)(\d{3})(?!\d)", lambda m: zh_digits(m[1])),
    Rule("code", r"(\d{3})(?=[CDEHXYZ](?![A-Za-z\d]))", lambda m: serial(m[1]), next="a"),
    Rule("code", rf"(\d{{3,5}})(?!\d)(?=\s?(?:{_PLACED}))|(\d{{3,4}})(?!\d)(?=路(?!程|途|口|费|线))",
         lambda m: zh_digits(m.group(), "幺")),
    Rule("code", r"(?<=[机空歼轰运直音客龙麟玑])(\d{2,4})(?![\d.,]|\s?(?:万|亿|个|元|人|年|架|台|岁|%))",
         lambda m: serial(m[1])),
    Rule("code", r"(?:520|1314|1551|9494|233++|555++|666++|7777++|886?)(?!\d)",
         _chat),
    Rule("code", r"(\d{1,2})W-(\d\d)(?!\d)", lambda m: f"{zh_cardinal(m[1])} W {zh_cardinal(m[2])}", next="a"),
    Rule("code", r"(3U|8L|9C|9H)(\d{4})(?!\d)", lambda m: f"{zh_digits(m[1][0])} {m[1][1]} {zh_digits(m[2], '幺')}",
         next="a"),
    Rule("code", r"4\d{3}(?=阵型|站位|的阵)", lambda m: zh_digits(m.group()), next="h"),
    Rule("code", r"(95[35]\d\d)(?!\d|[.,:]\d)",
         lambda m: None if after(m, MEASURE_NEXT) else zh_digits(m[1], "幺"), next="h a"),
    Rule("code", r"802\.(\d{1,2})", lambda m: f"八零二点{zh_digits(m[1])} ", next="."),
    Rule("code", r"7-11(?=便利|店|门店|超市)", lambda m: "七十一", next="-"),
    Rule("code", rf"({'|'.join(_KNOWN)})(?!\d|[.,]\d|\s?{MEASURED}|户)", lambda m: _KNOWN[m[1]]),
)  # fmt: skip
GRAPHICS_CARD: Final = (
    Rule("serial", r"([1-5]0[5-9]0)(?![\d.,:%/-]|\s?[元块点万亿])",
         lambda m: zh_digits(m[1]) if before(m, _CARD) or after(m, _CARD_NEXT) else None),
)  # fmt: skip

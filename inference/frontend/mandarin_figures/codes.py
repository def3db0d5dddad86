"""Figures in Chinese text that are a code: what a server answers, rooms, ports, shares, addresses, passwords."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.counted import MEASURE_NEXT, MEASURED, quantity
from inference.frontend.mandarin_figures.money import MONEY_WORD
from inference.frontend.numerals import zh_cardinal, zh_digits
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import N

_CODE_JOINTS: Final = (
    "号码?|尾号|为|是|设置?|弄|搞|换|还|就|仍|都|也|成|改|变|换|叫|填|输入?|选|到|了|的|请|您|你|我|[:：，、…“（(]|\\s|"
    "[前后][一二三四五六七八\\d]位(?:数字?)?|\\d{2,}+|[A-Za-z]-?|或者?|和|以及|从|由"
)
"""What may stand between the name of a code and the code: 密码还是, 验证码：, 状态码是301或."""
CODE_BEFORE: Final = re.compile(
    "(?:尾数|电话|手机|座机|传真|口令|(?:QQ|qq|微信)群?|账户|帐户|准考证|代码|编码|热线|拨打?|客服|快打|请打|致电|身份证|护照|门牌|车牌|"
    "房间|端口|(?<![A-Za-z])[PUGpug]?[Ii][Dd]|车次|航班|报错|分机|转(?:(?<=\\d转)|(?<=\\d 转))(?=\\s?$)|短信|邮编|"
    "号(?<![大中小特几三信符引括问句第\\d]号)|码(?<![起筹砝价加尺数扫\\d]码))"
    f"(?:{_CODE_JOINTS})*+$"
)
_ANSWERED: Final = re.compile(
    f"(?:日志里?(?=[全都])|返回|响应|报错?|抛出?|状态|提示|显示|出现|遇到|碰到|变成|一直|总是|HTTP|错误)(?:{_CODE_JOINTS}|个|全)*+$"
)
"""What a server said: 返回502, 一直报404."""
STATUS: Final = (
    "Not Found|Bad (?:Gateway|Request)|Internal Server|Service (?:Temporarily |Temporary )?Unavailable|Gateway Time|"
    "Forbidden|Unauthorized|Too Many|Not (?:Modified|Acceptable|Implemented|Allowed)|Moved|Method Not|Unprocessable|"
    "(?:Request |Payload )?(?:Timeout|Too Large)|Error(?![A-Za-z])|OK(?![A-Za-z])|Created(?![A-Za-z])|No Content"
)
"""What a server says after the number of its answer: 404 Not Found."""
_FAILING: Final = re.compile(
    "(?:页面|网页|网站|接口|请求|超时|官网|链接|服务器?|系统)(?:又|都|就|直接|一直|总是?|老是?)?\\s?$"
)
"""What fails with a number and no verb: 页面404了."""
_ROOM_BEFORE: Final = re.compile(
    r"(?:单元|[A-Za-z\d一二三四五六七八九十](?:\s?号?[楼栋座幢教]|层|门|区)|宿舍|公寓|大厦|酒店|宾馆|"
    r"房间|包厢|包间|办公楼|教学楼|住|搬到)[的，,\s]?$"
    r"|(?:教室|考场|会议室|病房|诊室|宿舍|房间)(?:[在是为：:]|[改换]到|号)?\s?$"
    r"|(?:[的次前开面]会|会议|面试|答辩|讲座|培训|评审|自习|上课)(?:地点)?(?:临时|统一|已)?(?:[改换挪移调]|安排|定)[到在为成]\s?$"
    r"|(?:电梯|货梯|客梯|闸机|门洞|工位|储物柜|格口|卡座|床位)(?:[在是：:]|[改换]到)?\s?$"
)
_ROOM_ENDS: Final = re.compile(rf"\s?(?!门[口前外锁])(?:{MEASURED}|{MONEY_WORD}|[千百]?[万亿])")
_QUOTED_NEXT: Final = re.compile("\\s?(?:[收大暴微续]?[涨跌]|停牌|复牌|封板|涨停|跌停|报收|[收开]盘|今日|股价)")
"""What a share does, whose code stands before: 贵州茅台600519收涨."""
_LISTED: Final = re.compile("(?:股票|个股|证券|股份|基金|转债|ETF)[:：是为买卖]?\\s?$")
"""What has a code of six figures on the exchange."""
_ALONE: Final = re.compile("(?:^|[，。！？,!?])\\s?$")
"""A server's answer that is said alone counts nothing: 有个红的，403，没权限."""
_GRANTED: Final = re.compile("(?:权限|chmod)[^。]{0,14}$")
"""What bits are granted, figure by figure: 权限给755."""
_STORED: Final = re.compile("(?:Xm[xs]|[内显运缓]存|硬盘|磁盘|流量|堆|swap)[^，。]{0,12}$")
"""Beside these a small g is no gram: 内存4g."""
_PORTS: Final = re.compile("(?:-p|端口(?:映射)?[成为到是：:]?|映射[成为到]?)\\s?$")
"""What two ports stand after: -p 8080:80."""
_CHAINED: Final = {".": "点", ":": "比", "+": "加", "*": "乘", "=": "等于", ",": "、", "/": "、"}


def component(digits: str) -> str:
    """A part of a version or a section: 12 is 十二, but 100 is 一零零."""
    return zh_cardinal(digits) if len(digits) < 3 else zh_digits(digits)


def _chain(match: Match) -> str:
    parts = re.split(r"(\D+)", match.group())
    return "".join(component(part) if part.isdigit() else _CHAINED.get(part, " ") for part in parts)


def _code(match: Match) -> str | None:
    counts = after(match, MEASURE_NEXT) and match[1][0] != "0"
    return zh_digits(match[1], "幺") if not counts and before(match, CODE_BEFORE) else None


def _grouped(match: Match) -> str:
    """Figures in groups: 12-3-501 has dashes, 123-456-789 and 4-4-2 have pauses at most."""
    groups = re.split("[- ]", match.group())
    if all(len(group) == 1 for group in groups):
        return zh_digits("".join(groups))
    joint = " " if len({len(group) for group in groups}) == 1 or " " in match.group() else "杠"
    return joint.join(zh_digits(group, "幺") for group in groups)


def spelled(code: str) -> str:
    """A code letter by letter and figure by figure: 5CD2."""
    return "".join(zh_digits(char) if char.isdigit() else f" {char} " for char in code)


def _long(match: Match) -> str | None:
    counts = after(match, MEASURE_NEXT) and match[1][0] != "0" and len(match[1]) < 16
    return None if counts else zh_digits(match[1])


CHAIN: Final = (
    Rule("code", r"\d++(?:[-:./, +*=_~x][ ]?\d++){24,}+", _chain, next=" -.,/:a"),
)  # fmt: skip
"""Figures without end, joined by whatever."""
CODES: Final = (
    Rule("code", r"\d++(?:[- ]\d++){1,4}(?!\.\d)",
         lambda m: _grouped(m) if before(m, CODE_BEFORE) else None, next=" -"),
    Rule("code", r"\d++(?:-\d++){2,4}(?![.-]?\d|\s?=)", _grouped, next="-"),
    Rule("code", r"(\d{3,}+)(?![.,]\d|%)", _code),
    Rule("code", r"(\d{2,5}):(\d{2,5})(?![\d:.])",
         lambda m: f"{zh_digits(m[1], '幺')}冒号{zh_digits(m[2], '幺')}" if before(m, _PORTS) else None, next=":"),
    Rule("number", r"(\d{1,3})(?=只(?:允许|支持|能|需|限|开放|接受|对))", lambda m: quantity(m[1]) + " ", next="h"),
    Rule("code", r"955(?=香|双休|公司|工作制|的(?:公司|工作))", lambda m: "九五五"),
    Rule("number", rf"({N})(?:e|E(?=-))(-?)(\d{{1,3}})(?![A-Za-z\d])",
         lambda m: f"{quantity(m[1])} E {'负' if m[2] else ''}{quantity(m[3])}", next=".a"),
    Rule("code", r"0x([\dA-Fa-f]{1,16})(?![A-Za-z\d])", lambda m: f"零 x {spelled(m[1])}", next="a"),
    Rule("code", r"([1-5]\d\d)(?!\d|[.,]\d|%)",
         lambda m: zh_digits(m[1]) if before(m, _ANSWERED) and not after(m, _ROOM_ENDS) else None),
    Rule("code", rf"([1-5]\d\d)(?=\s?(?:{STATUS}))", lambda m: zh_digits(m[1]), next=" a"),
    Rule("code", r"(40[0134]|50[0234])(?!\d|[.,]\d|%)",
         lambda m: zh_digits(m[1]) if before(m, _FAILING) and not after(m, _ROOM_ENDS) else None),
    Rule("code", r"([0-7][0-7]{3}|[67][045]{2}|777)(?![\d.,:%])",
         lambda m: zh_digits(m[1]) if before(m, _GRANTED) else None),
    Rule("unit", r"(\d{1,3})g(?![A-Za-z\d])",
         lambda m: quantity(m[1]) + " G" if before(m, _STORED) else None, next="a"),
    Rule("code", r"(30[1247]|40[134]|50[234])(?=\s?(?:[，。！？,!?了]|太多|状态|缓存|错误|$))",
         lambda m: zh_digits(m[1]) if before(m, _ALONE) else None, next="h ,a"),
    Rule("room", r"([1-9]\d?[0-4]\d)(?!\d|[.,:-]\d|%)(?<!00)",
         lambda m: zh_digits(m[1], "幺") if before(m, _ROOM_BEFORE) and not after(m, _ROOM_ENDS) else None),
)  # fmt: skip
LONG: Final = (
    Rule("code", r"(\d{4,6})\.(SH|SZ|BJ|HK)(?![A-Za-z])", lambda m: f"{zh_digits(m[1])} {m[2]}", next="."),
    Rule("code", r"([0-8]\d{5})(?![\d.,])",
         lambda m: zh_digits(m[1])
         if (before(m, _LISTED) and not after(m, _ROOM_ENDS)) or after(m, _QUOTED_NEXT) else None),
    Rule("code", r"(?<=第)(\d{5,8})(?=\s?期)", lambda m: zh_digits(m[1]), next="h "),
    Rule("code", r"(0\d++|\d{9,}+)(?![.,]\d)", _long),
)  # fmt: skip
"""Shares, issues, and what is too long to count."""
DOTTED: Final = (
    Rule("address", r"((?:\d{1,3}\.){3}\d{1,3})(?::(\d{1,5}))?(?!\d|\.\d)",
         lambda m: zh_digits(m[1].replace(".", "点"), "幺") + (f"冒号{zh_digits(m[2], '幺')}" if m[2] else ""),
         next="."),
    Rule("version", r"\d{1,9}(?:\.\d{1,9}){2,9}(?!\d|\.\d)",
         lambda m: "点".join(map(component, m.group().split("."))), next="."),
)  # fmt: skip
"""Addresses and versions: 192.168.1.1:80, 2.10.3."""

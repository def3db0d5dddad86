"""Times of day and lengths of time in Chinese text: 下午3:30, 用时2:35, 9点30分."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.scores import RATIO, SCORE, SCORE_NEXT
from inference.frontend.numerals import zh_cardinal, zh_digits
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.written import TO

_OPEN: Final = re.compile("(?:[日夜早晚午专连加返]场|[开入进散离退到清]场|营业时间|直播|转播)[是为在：:]?\\s?$")
"""What has a time and no score: 夜场19:30."""
_CLOCK_ENDS: Final = "(?=左右|许|[，。、）)；]|[发到开]|出[发现]|至|前|后|的|$)"
"""What follows 分 or 时 that is written after 19:32 and not said twice."""
_TRAVELLING: Final = re.compile("(?:飞行|行车|运行|车程|航程)(?:时间|时长)?(?:约?为?|是|[:：])?$")
"""What takes hours and minutes: 飞行时间2:35."""
_PLAYED: Final = re.compile("处(?![理于罚分在置])|/公里|每公里|/km")
"""After a place of a recording and a pace: 03:15处, 5:12/公里."""
_NTH: Final = re.compile("第[一二三四五六七八九十\\d]{1,2}场[是为在：:]?\\s?$")
_ENDS: Final = re.compile("(?:左右|前|后|才|就|全部)?(?:结束|收官|告终)")
_UNTIL: Final = re.compile(
    rf"(?:{TO}|[至到])(?:[01]?\d|2[0-4])[:：][0-5]\d(?!\d)|\s?(?:[(（]?北京时间|准时|正式|开[赛打播始场放门售]|入场|检票|起飞|发车)"
)
_SCALED_NEXT: Final = re.compile("的?(?:[一-鿿]{0,4}(?:沙盘|车模|模型|手办|复刻|图纸|地形图)|比例)")
"""What is made to a scale: 1:20的沙盘."""
_LASTING: Final = re.compile(
    "(?:时长|用时|耗时|片长|历时|成绩|配速|全程|时间仅|[还只仅]剩(?:下|余)?|剩余|每隔|倒计时|(?:结束|终场)前|读秒|[跑游骑划走]出?了|花了|耗费|马拉松|[半全]马|[跑游]进|PB|最好成绩|[世亚]界纪录|纪录)[是为约以]?\\s?$"
)
_LASTING_NEXT: Final = re.compile("的?(?:成绩|用时|时间(?:完成|跑完|夺)|完赛|夺冠|冲线|跑完|撞线|夺魁|摘金)")
_HALF_KNOWN: Final = re.compile("(?:[上下中]午|早上?|晚上?|凌晨|傍晚|明早|今晚|深夜)\\s?$")
_HALF: Final = r"([AaPp])\.?[Mm]\.?(?![A-Za-z])"


def _clock(match: Match) -> str | None:
    hour, minute, second, half = match[1], match[2], match[3], match[4]
    lasting = bool(second) and after(match, _LASTING_NEXT)
    if not lasting and (before(match, RATIO) or after(match, _SCALED_NEXT)):
        return None
    if not lasting and not _is_time(match) and (before(match, SCORE) or after(match, SCORE_NEXT)):
        return None
    if lasting or before(match, _LASTING) or after(match, _PLAYED):
        return _length([int(part) for part in (hour, minute, second) if part])
    if not second and before(match, _TRAVELLING):
        return _length([int(hour), int(minute), 0])
    said = _hour(hour, half, match)
    if int(minute) or second:
        said += ("零" if minute[0] == "0" and int(minute) else "") + zh_cardinal(str(int(minute))) + "分"
    if second:
        said += ("零" if second[0] == "0" and int(second) else "") + zh_cardinal(str(int(second))) + "秒"
    return said


def _length(parts: list[int]) -> str:
    """A length of time: [2, 35] is 两分三十五秒, [0, 59] is 五十九秒, [12, 0] is 十二分钟."""
    pairs = [*zip(parts, ("小时", "分", "秒")[-len(parts) :], strict=True)]
    while len(pairs) > 1 and not pairs[-1][0]:
        pairs.pop()
    while len(pairs) > 1 and not pairs[0][0]:
        pairs.pop(0)
    said = "".join(zh_cardinal(str(part)) + mark for part, mark in pairs) + "钟" * (pairs[-1][1] == "分")
    return "两" + said[1:] if said.startswith(("二小时", "二分")) else said


def _is_time(match: Match) -> bool:
    """Whether a:b is no score whatever stands beside it: 夜场19:30, 首场9:05, 第二场19:35, 9:30结束."""
    whole = match[2][0] == "0" or (match[2][1] in "05" and (before(match, _NTH) or after(match, _ENDS)))
    return whole or before(match, _OPEN) or after(match, _UNTIL)


def _hour(hour: str, half: str | None, match: Match) -> str:
    said = ("两" if int(hour) == 2 else zh_cardinal(str(int(hour)))) + "点"
    if half is None or before(match, _HALF_KNOWN):
        return said
    return ("上午" if half in "Aa" else "下午") + said


TIMED: Final = (
    Rule("time", r"(\d{1,2})分([0-5]?\d)秒(\d{1,3})(?![\d.]|\s?[年月日个元万人])",
         lambda m: ("两" if m[1] == "2" else zh_cardinal(m[1])) + f"分{zh_cardinal(m[2])}秒{zh_digits(m[3])}",
         next="h"),
    Rule("time", r"(?:(\d)[:：])?([0-5]?\d)[:：]([0-5]\d)\.(\d{1,3})(?![\d:.])",
         lambda m: (f"{zh_cardinal(m[1])}小时" if m[1] else "")
         + ("两" if int(m[2]) == 2 else zh_cardinal(str(int(m[2]))))
         + f"分{zh_cardinal(str(int(m[3])))}秒{zh_digits(m[4])}", next=":"),
)  # fmt: skip
"""Times to a part of a second: 9分58秒12, 1:54.32."""
CLOCKS: Final = (
    Rule("time",
         rf"([01]?\d|2[0-4])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?!\d|[:：]\d)(?:\s?{_HALF})?(?:[分时]{_CLOCK_ENDS})?",
         _clock, next=":"),
    Rule("time", rf"(1[0-2]|[1-9])\s?{_HALF}", lambda m: _hour(m[1], m[2], m), next=" a"),
    Rule("time", r"(\d{1,2})'\s?(\d{1,2})(?:\"|'')",
         lambda m: f"{zh_cardinal(m[1])}分{zh_cardinal(m[2])}秒", next="a"),
)  # fmt: skip
TWO_MINUTES: Final = (
    Rule("time", r"2(?=分\d{1,2}秒)(?<![点时]2)", lambda m: "两", next="h"),
)  # fmt: skip
"""The 2 of 2分30秒."""

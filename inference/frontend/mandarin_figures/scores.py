"""Scores and ratios in Chinese text: 比分3-1, 25:19、25:22, 1:20."""

from __future__ import annotations

import re
from typing import Final

from inference.frontend.mandarin_figures.counted import MEASURE_NEXT, quantity
from inference.frontend.numerals import zh_cardinal
from inference.frontend.rules import Match, Rule, after, before
from inference.frontend.segment import HANZI
from inference.frontend.written import TO, N

_GAME: Final = r"\d{1,3}[:：]\d{1,3}"
_AND: Final = r"(?:[、，,/]\s?|\s?(?:以及|[和与及])\s?|\s)"
"""What stands between the scores of games."""
SCORE: Final = re.compile(
    "(?:比分[^，。；\\d]{0,6}|以|比数|局分|总分|场|局|盘|节|(?:战|打|追|扳|改写)成|改写为|[追扳]至|扩大到|点球大战|点球|(?:领|先|落|胜|负|平|赢|输)后?|逼平|战平|暂时)\\s?$"
)
SCORE_NEXT: Final = re.compile(
    rf"\s?(?:[大险惜完横轻再]?[胜负败赢输]|[获取]胜|[大小]?逆转|击败|战[胜平]|力克|领先|落后|淘汰|绝杀|逼平|打平|横扫|"
    rf"拿下|告负|失利|的?[大总]?比分|不敌|"
    rf"平(?![均台方时安常原板凡稳分])|告终|结束|收官|[{HANZI}]{{1,6}}队)"
)
RATIO: Final = re.compile(
    "(?:比例尺?|[配占对]?比|比[率值]|按照?|赔率|[勾]?兑|稀释|混合|宽高)(?:大概|大约|差不多)?[是为约]?\\s?$"
)
_NO_POINTS: Final = "[钟\\d音法厂部店队会行院局校类频位度辨贝线制期]|公司|之(?![差优])"
"""What after 2分 makes it no points: 2分钟, 2分店."""
_NO_COUNT: Final = re.compile("(?:[第点A-Za-z\\d.·:：/-]|(?<!小)时)\\s?$")


def _ratio(match: Match) -> str:
    return "比".join(quantity(part) for part in re.split(r"\s?[:：∶]\s?", match.group()))


def _scores(match: Match) -> str | None:
    """11-7、9-11、11-5: one falls, so all are scores."""
    games = [re.split("[-–:：]", game) for game in re.findall(r"\d+[-–:：]\d+", match.group())]
    falls = any(int(low) > int(high) for low, high in games)
    if not (falls or before(match, SCORE) or after(match, SCORE_NEXT)) or after(match, MEASURE_NEXT):
        return None
    return re.sub(r"\d+", lambda figure: zh_cardinal(figure.group()), re.sub("[-–:：]", "比", match.group()))


def _games(match: Match) -> str | None:
    """25:19、25:22和15:13: where one is no time of day, or they do not rise, all are scores.

    So are 13:21、21:17、21:19, each of them won with 21 points, now by the one and now by the other.
    """
    games = [*map(re.Match.groups, re.finditer(r"(\d+)[:：](\d+)", match.group()))]
    clocks = all(int(hour) < 24 and len(minute) == 2 and int(minute) < 60 for hour, minute in games)
    times = [int(hour) * 60 + int(minute) for hour, minute in games]
    if any(len(minute) == 2 and minute[0] == "0" for _, minute in games):
        return None
    won = {max(int(ours), int(theirs)) for ours, theirs in games}
    alike = len({int(ours) > int(theirs) for ours, theirs in games}) == 2 and won in ({11}, {21}, {25})
    rises = (
        clocks and times == sorted(times) and not alike and not before(match, SCORE) and not after(match, SCORE_NEXT)
    )
    if rises or before(match, RATIO):
        return None
    return re.sub(r"\d+", lambda figure: zh_cardinal(figure.group()), re.sub("[:：]", "比", match.group()))


GAMES: Final = (
    Rule("score", rf"{_GAME}(?:{_AND}{_GAME}){{1,8}}(?![\d:：.]|{TO}\d)", _games, next=":"),
)  # fmt: skip
SCORES: Final = (
    Rule("score", r"(?<!\d[、，,])\d{1,3}[-–]\d{1,3}(?:[、，,]\s?\d{1,3}[-–]\d{1,3}){1,8}(?![\d-])",
         _scores, next="-"),
    Rule("score", r"([67])[-–]([67])(?=\s?[(（]\d)|(?<=[67][(（])(\d{1,2})[-–](\d{1,2})(?=[)）])",
         lambda m: "比".join(map(zh_cardinal, filter(None, m.groups()))), next="-"),
    Rule("ratio", rf"{N}(?:\s?[:：∶]\s?{N}){{1,7}}", _ratio, next=" .,:"),
)  # fmt: skip
TWO_POINTS: Final = (
    Rule("score", rf"2(?=分(?!{_NO_POINTS}))", lambda m: None if before(m, _NO_COUNT) else "两", next="h"),
)  # fmt: skip
"""The 2 of 得2分."""

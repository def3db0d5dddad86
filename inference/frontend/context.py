"""What a word's neighbours say about its reading: polyphones by a table, 得 地 长 为 by rules, surnames by titles.

Where nothing here tells, and for 得 长 为 调 even then, `polyphones` weighs the neighbours.

Each look at the neighbours is a comparison of a few characters, so the cost of a word does not grow with the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

from inference.frontend.hanzi import first_reading, rows
from inference.frontend.senses import NUMERALS, REACH, SENSES, listed, suggests


class Place(NamedTuple):
    """A word, `text[at:end]`, and those on both sides (`""` at the edges); `text` is a run of hanzi in `^` and `$`."""

    text: str
    at: int
    end: int
    before: str
    after: str
    words: Sequence[str]
    """All words of the run; this one is `words[number]`."""
    number: int
    tag: Callable[[str], str]
    """The part of speech of a word, as jieba's dictionary marks it."""


class _Texts:
    """Texts to look for beside a word. Most places are passed over by one character, before any text is compared."""

    __slots__ = ("_first", "_last", "_texts", "fit_all")

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = tuple(texts)
        self.fit_all = "" in self._texts
        self._first = frozenset(text[:1] for text in self._texts)
        self._last = frozenset(text[-1:] for text in self._texts)

    def begins(self, text: str, at: int) -> bool:
        """Whether one of them stands in `text` at the place."""
        return self.fit_all or (text[at] in self._first and text.startswith(self._texts, at))

    def ends(self, text: str, at: int) -> bool:
        """Whether one of them ends right before the place."""
        return self.fit_all or (text[at - 1] in self._last and text.endswith(self._texts, 0, at))

    def within(self, text: str, at: int, end: int) -> bool:
        """Whether one of them stands near `text[at:end]`, on either side and not across it."""
        if self.fit_all:
            return True
        behind, ahead = text[max(0, at - _NEAR_BY) : at], text[end : end + _NEAR_BY]
        return any(near in behind or near in ahead for near in self._texts)


_NEAR_BY: Final = 14
"""Characters on either side that are looked at for what stands near: most of a spoken clause."""


def reading(word: str, place: Place) -> tuple[tuple[str, ...], str] | None:
    """The word's readings here and the rule that told them, None when the neighbours tell nothing."""
    surname, rule, table = ambiguous()[word]
    if word in _SONS:
        named = len(place.after) == 1 and place.after in _SECOND
        return ((*surnames().get(word[0], (first_reading(word[0]) or "",)), "zi3"), "surname") if named else None
    if surname and _is_name(word, place):
        return surname, "surname"
    if rule is not None:
        return tuple(rule(place).split()), "polyphone"
    text, at, end = place.text, place.at, place.end
    if word == "得了" and suggests(place):
        return ("de2", "le5"), "polyphone"
    for readings, before, after, near in table:
        if before.ends(text, at) and after.begins(text, end) and near.within(text, at, end):
            return readings, "character" if before.fit_all and after.fit_all and near.fit_all else "polyphone"
    told = SENSES[word](place) if word in SENSES else None
    return (tuple(told.split()), "polyphone") if told else None


def may_be_overruled(char: str) -> bool:
    """Whether neighbours are weighed even where a rule or a row tells the character's reading."""
    return char in _RULES or char in _OFTEN_WRONG


@cache
def ambiguous() -> dict[str, tuple[tuple[str, ...], Callable[[Place], str] | None, tuple[_Row, ...]]]:
    """The words whose reading depends on their neighbours: each as a surname, its rule, its rows of the table."""
    return {
        word: (surnames().get(word, ()), _RULES.get(word), _table().get(word, ()))
        for word in {*surnames(), *_RULES, *_table(), *_SONS, *SENSES}
    }


@cache
def surnames() -> dict[str, tuple[str, ...]]:
    """Surnames that are read otherwise than the same characters elsewhere, and compound ones."""
    pairs = (pair.partition(":") for row in rows("surnames.txt") for pair in row.split())
    return {name: tuple(reading.split("-")) for name, _, reading in pairs}


_COURTESIES: Final = _Texts(listed("courtesies"))
_OFFICES: Final = _Texts(listed("offices"))
_OCCUPATIONS: Final = _Texts(listed("occupations"))
_SONS: Final = frozenset(
    f"{char}子"
    for char in "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡"
    "贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔"
    "贺赖龚文柳肖"
)
"""A surname and the first half of a given name, if one character more follows: 李子|涵. Else some are things."""
_SECOND: Final = frozenset("".join(listed("second")))
_MEETING: Final = _Texts("^ 和 与 跟 找 见 请 向 对 给 被 把 让 是 叫 陪 替 听 问 谢谢 感谢 欢迎 了 的".split())
_ELDERS: Final = _Texts(listed("elders"))
"""What an honoured elder or a coach is called, with what they do: 任老在世时, 曾指导说."""
_RARE: Final = frozenset("那过干能相种员洗折句祭秘黑繁召藏乜")
"""Surnames that are far commoner as other words: 那老师 is that teacher."""
_HOLDS_OFFICE: Final = frozenset("任曾解")
"""These come before a title as words of their own too: 任主任, 曾校长."""
_GIVEN: Final = frozenset("".join(listed("given")))
"""Characters that given names are made of; function words are left out."""
_DONE: Final = frozenset("来成立发献问言论征求扬拥照理约行加超进顶闻通达安当先正直常可必须能得就应相真做长生用")
"""Of those, what a title may do or be: 主任曾来过."""
_FOLLOWS_NO_NAME: Final = frozenset("经有是在被想因为和把于与说对到任")


def _is_name(word: str, place: Place) -> bool:
    text, at, end = place.text, place.at, place.end
    if len(word) > 1 or (text.endswith("姓", 0, at) and not text.endswith("百姓", 0, at)):
        return True  # a compound surname is no other word
    if word in _RARE:
        return False
    if (text[at - 1] in "据听由因" or _MEETING.ends(text, at)) and _ELDERS.begins(text, end):
        return True
    if _OFFICES.begins(text, end):
        return word not in _HOLDS_OFFICE or _MEETING.ends(text, at)
    if place.before in {"老", "小", "阿"} and text[end] != "的":
        return word not in _HOLDS_OFFICE or place.after[:1] not in _FOLLOWS_NO_NAME
    return _COURTESIES.begins(text, end) or _begins_full_name(place)


def _begins_full_name(place: Place) -> bool:
    """Whether a given name follows: two single characters fit for one, or a word that is one.

    After an occupation one character will do, and a word that is no name elsewhere: 院士曾毅, 市长任建华.
    """
    after, text, at = place.after, place.text, place.at
    if text[at - 1] == "^" and text[place.end + 2 :] == "$" and {*text[place.end : place.end + 2]} <= _GIVEN:
        return text[place.end] not in _DONE  # 任建国 in a row of names
    known = is_introduced(text, at)
    if len(after) == 2:
        tag = place.tag(after)
        if known and tag.startswith("nr"):
            return True
        fits = after[0] in _GIVEN and after[1] in _GIVEN
        return fits and (tag.startswith(("nr", "x", "nz", "j")) or not tag or (known and tag[0] not in "vdpcu"))
    given = text[place.end : place.end + 2]
    if len(after) != 1 or given[0] not in _GIVEN:
        return False
    return given[1] in _GIVEN or (known and given[0] not in _DONE) or (text[at - 1] == "叫" and given[1] == "$")


def is_introduced(text: str, at: int) -> bool:
    """Whether what a person is stands right before the place: 教练, 副市长, 我叫."""
    return _OCCUPATIONS.ends(text, at) or _OFFICES.ends(text, at) or text.endswith("叫", 0, at)


def is_glued_name(word: str, place: Place) -> bool:
    """Whether the segmenter has tied a surname to half of a given name: 教练|解立|彬."""
    fits = word[0] not in _RARE and word[1] in _GIVEN and place.tag(word)[:1] == "n"
    return fits and is_introduced(place.text, place.at)


_Row = tuple[tuple[str, ...], _Texts, _Texts, _Texts]
"""Readings, and what stands right before, right after, and near; `""` fits everything."""


@cache
def _table() -> dict[str, tuple[_Row, ...]]:
    """`contexts.tsv`: for each word its readings with what must stand before and after it, the first that fits wins."""
    classes: dict[str, list[str]] = {}
    table: dict[str, list[_Row]] = {}
    for row in rows("contexts.tsv"):
        words, *cells = row.split("\t")
        if words.startswith("@"):
            classes[words] = cells[0].split()
            continue
        readings, before, after, near = *cells, *["-"] * (4 - len(cells))
        texts = (_side(before, classes), _side(after, classes), _side(near, classes))
        for word in words.split():
            table.setdefault(word, []).append((tuple(readings.split()), *texts))
    return {word: tuple(found) for word, found in table.items()}


def _side(cell: str, classes: dict[str, list[str]]) -> _Texts:
    if cell == "-":
        return _Texts([""])
    head = {item[1:] for item in cell.split() if item.startswith("@")}
    texts = [text for name, members in classes.items() for text in members if name[1:] in head]
    return _Texts([*texts, *(item for item in cell.split() if item not in classes)])


_PRONOUNS: Final = frozenset(listed("pronouns"))
_ADVERBS: Final = frozenset(listed("adverbs"))
_ERRANDS: Final = frozenset(listed("errands"))
"""Verbs with their object inside take no complement: 得 after them is must, as in 出门得带伞."""
_THINGS: Final = frozenset(listed("things"))
_DEGREE: Final = frozenset("很太更非真最好不多有像怎那这挺够怪极够特快慢早晚高低")
_GAINED: Final = _Texts(listed("gained"))

_GAINED_ALONE: Final = frozenset("到 分 出 手 知 体 当 势 道 名 主 力 金 以 其 此 一分 一奖".split())
"""These only as whole words: 得|分, but not 得|分开."""
_GAINING: Final = frozenset(listed("gaining"))
_ONLY_GAINING: Final = frozenset("独共净各焉安")
_URGED: Final = _Texts(listed("urged"))
_SCORED: Final = frozenset("分票枚")
_LENGTHS: Final = tuple(
    about + unit
    for about in ("", "多", "来", "几", "个多", "个半")
    for unit in "天 周 年 月 个月 星期 个星期 小时 个小时 分钟 个工作日 个钟".split()
)
_BEFORE_MUST: Final = _Texts(
    "少说 的话 往少了说 不说也 怎么着也 下轮 下场 下一轮 下一场 下回 下趟 下把 下局 末轮 回头 这趟 这回 这把 改天 隔天 "
    "周一 周二 周三 周四 周五 周六 周日 月底 月初 年底 年初 赛后 饭后 饭前".split()
)
_DOERS: Final = frozenset("客员者商户友民师迷们")
"""What people are called ends so, in words that the segmenter's dictionary does not mark: 访客得登记."""
_NAMERS: Final = _DOERS | frozenset("名值码器键")
"""So end also the terms of a trade: 变量名得用英文."""
_WINNERS: Final = frozenset(listed("winners"))
"""Those who gain what is counted after 得: 亚军得五十万."""
_MAY_GAIN: Final = _Texts(listed("may_gain"))
_RECEIVING: Final = frozenset("分 可 能 各 均 中 共 将 应 会".split())
_PAID: Final = _Texts(listed("paid"))
"""What is paid out to somebody: 分得遗产, 可得补贴."""
_AT_ONCE: Final = frozenset(listed("at_once"))
"""What is done at once or again is no complement: 驱动得重装."""
_NEEDED: Final = frozenset(listed("needed"))
"""What a complement never begins with, so that 得 before it is must: 救援得抓紧."""
_AFFAIRS: Final = frozenset(listed("affairs"))
_STEPS: Final = frozenset("靠 看 等 用 按 去 找 经 讲 请 派 由 走 打 跑 问 听 从 到 在 凭 拿".split())
"""What affairs take, in nobody's hands but ours: 胜利得靠团队."""
_FOREMOST: Final = frozenset("先进 先后 先天 先锋 先知 先兆 先例 先烈".split())


_EXTREMES: Final = frozenset(listed("extremes"))
"""Complements, whatever stands before 得: 手机卡|得|要死."""


_ASKED: Final = frozenset("太 很 多 高 少 低 狠 急 紧 不多 太多 太高".split())
"""价要得太高."""
_TO_BE_HAD: Final = frozenset("挑说选比谈商救玩吃办聊跑")
"""没得挑, 没得商量: there is nothing to choose."""
_POINTED: Final = frozenset(
    "这 那 该 此 每 各 这个 那个 这种 那种 这台 那台 这辆 这张 这款 这部 这件 这份 这套 这条 每个".split()
)
_CONCLUDED: Final = tuple(
    "不出结 不出答 不出一 不出什 不出个 不出任 不出正 不出最 不出相 不出$ 过奖 过第 过冠 过奥 过诺 过金".split()
)
"""怎么也得不出结论, 她得过奖."""
_OF_THINGS: Final = frozenset(["n", "nz", "ns", "nr", "ng", "l", "", "vn"])
"""Parts of speech of what must be done with, where something points at it: 这个变量得加锁."""
_VERY: Final = ("很$", "很呢$", "很啊$", "很吧$", "很吗$", "很了$")
"""码全得很: nothing that must be done ends so."""
_ASKED_HOW: Final = ("怎么样", "咋样", "如何", "差不多")
"""装修得怎么样了: nobody must do that."""
_LOOKS: Final = frozenset("白黑亮暗红绿蓝黄")
_STRIKING: Final = frozenset("吓人 惊人 让 令 叫 像 没 没有 可怕 离谱 不行 不得了".split())
"""What tells how well somebody aims or guesses: 猜得准得吓人."""
_DIRECTIONS: Final = frozenset("下来 下去 上来 上去 出来 出去 进来 进去 回来 回去 过来 过去 起来".split())


def _scores(text: str, at: int) -> bool:
    """Whether points, votes or medals follow: 得三分, but not 得三分钟."""
    if text.startswith("十分", at) and text[at + 2] not in "$的了，、以":
        return False  # 保存得十分完好
    end = at
    while text[end] in NUMERALS or text[end] == "点":
        end += 1
    return end > at and text[end] in _SCORED and not text.startswith(("分钟", "分之"), end)


def _lasts(text: str, at: int) -> bool:
    """Whether a length of time follows: 调货得三天, but not 冷得一天比一天早."""
    end = at
    while text[end] in NUMERALS:
        end += 1
    return end > at and text.startswith(_LENGTHS, end) and not text.startswith(("一天比", "一年比", "一天天"), at)


_MORE_OF: Final = ("多喝水", "多喝点", "多喝热水", "多休息", "多穿", "多睡", "勤洗手", "勤通风", "少吃", "少喝")
"""What is advised, whatever stands before: 发烧|得|多喝水."""


def _lasts_no_longer(place: Place) -> bool:
    """Whether the clause ends with how long it takes: 从|这儿|走|得|二十分钟, but not 气|得|三天|没|吃."""
    text, end = place.text, place.end
    while text[end] in NUMERALS:
        end += 1
    if end == place.end:
        return False
    return any(text.startswith((f"{length}$", f"{length}吧$", f"{length}呢$"), end) for length in _LENGTHS)


def _is_paid(place: Place) -> bool:
    """Whether somebody gains a sum or what is paid out: 亚军得五十万, 每年可得补贴."""
    before, after = place.before, place.after
    if after[:1] in NUMERALS and (before in _WINNERS or (before == "可" and _MAY_GAIN.ends(place.text, place.at))):
        return True
    return before in _RECEIVING and _PAID.begins(place.text, place.end)


def _is_due(place: Place) -> bool:
    """Whether what follows is no complement but what must be done, or how long it takes."""
    before, after = place.before, place.after
    if after in _AT_ONCE or (after[:1] == "先" and after[:2] not in _FOREMOST):
        return True
    return (len(before) > 1 and (after in _NEEDED or _lasts(place.text, place.end))) or (
        before in _AFFAIRS and after in _STEPS
    )


def _comes_to(place: Place) -> bool:
    """Whether a sum is told: 四|减|二|得|二, 二三|得|六, but not 加二十得三百块."""
    text, at, end = place.text, place.at, place.end
    behind = text[max(0, at - _SUM) : at]
    if behind[-1] not in NUMERALS or (behind[-3:-2] != "^" and not any(sign in behind for sign in "加减乘除")):
        return False
    told = end
    while text[told] in NUMERALS or text[told] in "点负":
        told += 1
    return told > end and text[told] in "$再又加减乘除的了吧"


_SUM: Final = 12
"""Characters before 得 that are looked at for what is done to a number."""


def _counts_noun(place: Place) -> bool:
    """Whether what stands before 得 is counted, and so no verb: 挑|一担|水|得|走|四里, 坛|口|得|常|添水."""
    tag, before = place.tag(place.before)[:1], place.before
    of = place.tag(place.words[place.number - 2]) if place.number > 1 else ""
    if before[-1:] in _COUNTED and (tag in {"q", "i"} or before[0] in NUMERALS):
        return True
    if place.number > 2 and place.words[place.number - 2] in _MEASURES:
        of = "q" if place.tag(place.words[place.number - 3])[:1] in {"r", "m"} else of  # 这|条|路
    return tag == "n" and of in {"m", "q", "mq"} and before != "气"


_MEASURES: Final = frozenset(listed("measures"))


def _is_no_subject(place: Place) -> bool:
    """Whether what stands before 得 looks like a noun and is done or felt: 嗓子疼, 孩子|号, 病|得|一个月|没|上班."""
    before, text = place.before, place.text
    if before == "号":
        return place.text[place.at - 2] in "子她他娃儿妈人"
    if before == "病":
        return "没" in text[place.end : place.end + 8]
    return before in {"玩儿", "孩子气", "书写", "歌唱", "视频卡", "恶心"} or before[-1:] in {"疼", "痛", "痒"}


_COUNTED: Final = frozenset("口盒瓶壶箱桶碗水茶酒油面饭菜跤趟架")


def _is_prescribed(place: Place) -> bool:
    """Whether a person says what must be done: 大夫|说|得|忌口, 老师|说|得|家长|签字, but not 他|说|得|有道理."""
    before, after, number = place.before, place.after, place.number
    who = place.words[number - 2] if number > 1 else ""
    tells = who in _TELLING or place.tag(who) == "vn" or place.tag(who)[:1] in {"n", "j"}
    if not tells or before not in {"说", "讲"}:
        return False
    if after in _HOW_SAID or (after[:1] in _DEGREE and after not in _IN_TIME) or place.words[-1] == "了":
        return False
    verb = place.tag(after)[:1] in {*"vnmt"} or (len(after) == 3 and place.tag(after[0])[:1] == "v")  # 打官司
    return verb or after in _IN_TIME


_IN_TIME: Final = frozenset(listed("in_time"))
_TELLING: Final = frozenset("导航 通知 公告 规定 群里 上面 提示".split())
_HOW_SAID: Final = frozenset(listed("how_said"))


def _de(place: Place) -> str:
    """得: gained (de2), must (dei3), or before a complement (de5)."""
    text, end, before, after = place.text, place.end, place.before, place.after
    ranked = text.startswith("第", end) and text[end + 1] in NUMERALS and before not in _ADVERBS  # 小李得第一名
    if (
        _comes_to(place)
        or _is_paid(place)
        or ranked
        or (_scores(text, end) and before not in {"还", "就", "总", "也", "都", "至少", "起码"})
    ):
        return "de2"
    leads = not before or before in _PRONOUNS or before in _ADVERBS or before in _THINGS or before in _ERRANDS
    if len(before) > 1:
        leads = leads or before[-1] in "时前后" or (place.tag(before)[:1] in {*"nrtcsfm"} and before[-1] != "多")
    pointed = place.number > 1 and place.words[place.number - 2] in _POINTED
    leads = leads or (pointed and place.tag(before)[:2] in _OF_THINGS)  # 这个变量得加锁
    leads = leads or before == "的" or (before == "了" and after not in {"", "啊", "吗", "呀", "吧"})
    leads = leads or (before[-1:] == "着" and after[:1] in {*"有先去等用找换"})  # 摸着得有四十度
    leads = leads or before == "员" or _BEFORE_MUST.ends(text, place.at) or (len(before) > 1 and before[-1] in _NAMERS)
    leads = leads or (before == "上" and place.number > 1 and place.tag(place.words[place.number - 2])[:1] in {*"nrs"})
    leads = leads or _counts_noun(place)
    leads = leads and not _is_no_subject(place)
    gained = text.startswith(_CONCLUDED, end)
    gained = gained or after in _GAINED_ALONE or (_GAINED.begins(text, end) and not text.startswith("空腹", end))
    goes = len(before) == 1 and after in _DIRECTIONS and not leads  # 停得下来, 答得上来
    goes = goes or (before == "要" and after in _ASKED)
    led = before in _PRONOUNS or before in _ADVERBS or before in _ERRANDS
    goes = goes or (after in {"跟", "像"} and "似的" in text[end:] and not led)  # 脸肿|得|跟馒头似的
    goes = goes or (before[-1:] in _LOOKS and after in {"什么", "啥"})  # 天空白得什么都看不见
    if goes or (before and (after in _EXTREMES or text.startswith((*_VERY, *_ASKED_HOW), end))):
        return "de5"
    if (
        after == "的"
        or (before == "没" and after[:1] in _TO_BE_HAD)
        or before in _ONLY_GAINING
        or (gained and leads)
        or ((gained or not after) and before in _GAINING)
    ):
        return "de2"
    told = before in {"说", "要求", "通知"} and after[:1] in {*"返换等去先交找补花提预重降升减增控停戒留办签排改"}
    told = told or text.startswith(_MORE_OF, end) or _is_prescribed(place) or _lasts_no_longer(place)
    told = told or (before == "准" and place.tag(after)[:1] == "v" and after not in _STRIKING)  # 一乱准得撞栏
    told = told or (before[-1:] == "得" and not gained)  # 觉得得问问
    told = told or (before != "" and after not in {"", "清"} and place.tag(after) == "t")
    if told or _is_due(place) or text.startswith("好几", end):
        return "dei3"  # 售后说得返厂, 换屏得好几百, 快递得明天到
    if not after or not leads:
        return "de5" if before else "de2"  # 得,又白忙了
    degree = after[0] in _DEGREE and not _URGED.begins(text, end)
    degree = degree and not (after == "有" and text[end + 1] in NUMERALS)  # 他家得有三辆车
    # 估计|得|更|充分 is a complement; 估计|得|更|多|人 is a guess at what must be done
    next_but_one = "".join(place.words[place.number + 2 : place.number + 3])
    reckoned = before in {"估计", "估量"} and place.tag(next_but_one)[:1] == "a"
    led = led or before in {"了", "的"} or place.tag(before) == "t"
    degree = degree and not (led and (place.tag(before) == "t" or not reckoned))
    return "de5" if before and degree else "dei3"


_MANNERS: Final = frozenset(listed("manners"))
"""Adverbials that the segmenter's dictionary marks as names, or that stand before a comma: 安静地, 相反地，."""
_MORE: Final = frozenset("更 更加 尽 越来越".split())
_RAISED: Final = frozenset("更 更加 最 很 太 越 越来越 更为 较 尽 挺 再 如此 这么 那么 非常 极 十分 不 稍 略".split())


def _is_adverbial(place: Place) -> bool:
    """Whether what stands before 地 is said twice, or one character with a degree: 一|颠|一|颠|地, 更|快|地."""
    before, words, number = place.before, place.words, place.number
    if not before or len(before) > 1:
        return before[-1:] == before[-2:-1] != "" or (number > 1 and before == words[number - 2])
    raised = words[number - 2] if number > 1 else ""
    twice = before in words[max(0, number - 3) : number - 1]
    return twice or raised in (_MORE if before in "多少" else _RAISED)  # 更多地了解, but 很多地都荒了


_SUDDEN: Final = frozenset("猛忽蓦倏霍轰嗖哗唰呼砰刷腾噌嗡扑霎咚当嘭嗒飕咣咕啪咔")


def _di(place: Place) -> str:
    """地: a particle after an adverbial, else the ground."""
    before, text, at = place.before, place.text, place.at
    by_turns = at > 5 and text[at - 2] == text[at - 5] == "一" and text[at - 1] == text[at - 4]  # 你一句我一句地
    if by_turns or before in _MANNERS or (place.after and _is_adverbial(place)):
        return "de5"
    if len(before) < 2:
        return "de5" if before in _SUDDEN else "di4"
    if not place.after:
        return "de5" if before[-1] == "然" or before[-1] == before[-2] or place.tag(before)[:1] in {"d", "z"} else "di4"
    if before[-1] in "块片这那整本各亩":
        return "di4"
    if before[-1] == "的" or place.tag(before)[:2] in {"nr", "ns", "r", "m"}:
        return "di4" if before[-1] not in "次遍步个样声" else "de5"
    return "de5"


_MUCH_LONGER: Final = ("了一截", "了一大截", "了半截", "了一倍", "了两倍", "了几倍", "了不止", "了$")
"""After these a thing is long and has not grown: 比那根长了一截."""
_AFTER_GROWN: Final = _Texts(listed("after_grown"))
_LONG_BEFORE: Final = _Texts(listed("long_before"))


def _measured(text: str, at: int) -> bool:
    """Whether so many metres follow: 东西长一百二十米."""
    end = at
    while text[end] in NUMERALS or text[end] in "点多来":
        end += 1
    return end > at and text.startswith(_METRES, end)


_METRES: Final = ("米", "公里", "千米", "厘米", "毫米", "里", "丈", "尺", "寸", "海里", "英里", "英尺")


def _chang(place: Place) -> str:
    """长: to grow before what grows or how, else long."""
    text, at, end = place.text, place.at, place.end
    # 两国|外长 and 韩国|防长, which the segmenter cuts as 国外|长 and 国防|长
    abroad = text.endswith("国外", 0, at) and text[end] in "互会将签访表说称就通举发共与和磋级在"
    if abroad or (text.endswith("国防", 0, at) and text[end] not in "城期远久"):
        return "zhang3"
    if text.endswith(("不长", "没长"), 0, end) and text.startswith(
        ("大", "高", "胖", "牙", "毛", "草", "个", "肉", "记性", "心眼", "脑子", "见识", "教训"), end
    ):
        return "zhang3"
    aged = text[end] in NUMERALS and text.startswith("岁", end + 1)  # 他比我长两岁
    if aged or (place.before == "又" and text[end] in "了着高大胖出"):
        return "zhang3"
    inside = text[at - 1] == "里" and text[at - 2] not in NUMERALS | {"公", "英", "海", "华"}  # 嘴里长溃疡
    if (_LONG_BEFORE.ends(text, at) and not inside) or not place.after:
        return "zhang3" if place.before in {"疯", "猛", "学", "见", "师", "兄"} else "chang2"
    if _measured(text, end) or text.startswith(
        ("期", "达", "得多", "一点", "一些", "了点", "了一点", "了些", "过头", *_MUCH_LONGER), end
    ):
        return "chang2"
    return "zhang3" if _AFTER_GROWN.begins(text, end) else "chang2"


_NAMED: Final = frozenset(
    "成作以名定视称认变分设改列选译最被命封聘任评誉转化合并奉尊即意拜折换算降升约宽深厚重距均误断"
)
_FOR: Final = frozenset(listed("for"))
_FOR_WHAT: Final = _Texts(listed("for_what"))
_BE_WHAT: Final = frozenset(listed("be_what"))
_BE_WHOM: Final = _Texts(listed("be_whom"))
"""为人低调: what one is like. The segmenter makes two words of it."""
_CORES: Final = frozenset(listed("cores"))
"""What something is taken for: 以经济建设为中心."""
_FOR_AFTER: Final = frozenset(listed("for_after"))
_WHATS: Final = frozenset(listed("whats"))
"""Qualities and the like, of which it is told what they are: 主题为环境保护."""
_OF_WHATS: Final = frozenset("率值额费龄址价型号码积")
_SERVED: Final = frozenset("名位家户所个人对支只届批群些")
"""Measures of people and the like, who may be done something for: 为三万名患者提供服务, but 为三天."""
_DEEDS: Final = frozenset(listed("deeds"))
"""What is done for somebody, where the segmenter's dictionary does not mark the word as a verb."""
_KNOWN: Final = frozenset("熟知 知晓 诟病 称道 称颂 传颂 乐道 津津乐道 熟悉 不知 不齿 唾弃".split())
_DEVOTED: Final = frozenset(listed("devoted"))
"""What stands before 为 only where something is done for somebody."""
_RANKS: Final = frozenset(listed("ranks"))
_AFTER_DEED: Final = frozenset("了 过 着 一次 一些 出 到 起 上 完 好".split())
_AHEAD: Final = 16
"""Words looked at after 为 for what is done."""


def _wei(place: Place) -> str:
    """为: for, because of (wei4), or be, become, act as (wei2).

    It is *for* when behind a noun, still in the clause, something is done: 为|受灾|群众|发放. What stands before can
    settle it sooner: 以…为, 称为, and qualities, which are and do nothing.
    """
    before, after, text, end = place.before, place.after, place.text, place.end
    said = place.tag(before) in {"v", ""} or len(before) == 1
    behind = place.words[place.number + 1 : place.number + 5]
    if (
        after in _BE_WHAT
        or _BE_WHOM.begins(text, end)
        or (said and before[-1:] in _NAMED)
        or any(w[0] == "所" or w in _KNOWN for w in behind)
    ):
        return "wei2"  # 称为, 为世人所知
    quality = before in _WHATS or before[-1:] in _OF_WHATS
    if before in _DEVOTED or (after in _FOR and not quality):
        return "wei4"
    if after in _CORES and "以" in place.words[max(0, place.number - _AHEAD) : place.number]:
        return "wei2"
    counted = after[:1] in NUMERALS and place.tag(after)[:1] != "n"  # 为三天, but 为百姓
    if quality or not after or (counted and not _counts_people(place)):
        return "wei2"
    people = before[-1:] == "们"
    if not before and len(after) > 1 and place.tag(after) == "v":
        return "wei4"  # 为防控山火
    return "wei4" if people or before in _FOR_AFTER or _FOR_WHAT.begins(text, end) or _does(place) else "wei2"


def _counts_people(place: Place) -> bool:
    text, end = place.text, place.end
    while text[end] in NUMERALS or text[end] in "多余来点":
        end += 1
    return text[end] in _SERVED


def _does(place: Place) -> bool:
    """Whether behind a noun, a pronoun or another verb after the word something is done in what is left of the clause.

    A noun of doing (服务 建设) counts only where it cannot be half of a compound, or where the clause begins with 为.
    """
    words, first = place.words, place.number + 1
    last = min(len(words), first + _AHEAD)
    ranked = not place.before and any(word in _RANKS for word in words[first:last])
    named = led = False
    for number in range(first, last):
        word = words[number]
        tag, after = place.tag(word), words[number + 1] if number + 1 < len(words) else ""
        verb = tag[:1] == "v" and tag not in {"vn", "vd"}
        noun_of_doing = tag == "vn" and (not after or after in _AFTER_DEED or not (place.before or ranked))
        if named and (verb or noun_of_doing or word in _DEEDS or after in _AFTER_DEED):
            relative = "的" in words[number:last] if led else after == "的" and place.tag(place.before)[:1] == "n"
            return not relative  # 该车|为|公司|研发|的|新|车型, 亚军|为|来自|日本|的|选手
        led = led or (verb and not named)
        named = named or verb or tag[:1] in {"n", "r", "s", "j", "x", "l", ""} or tag in {"vn", "an"}
        if word == "而":
            return True
    return False


_HANDED: Final = frozenset(
    "把 将 要 必须 应该 应 记得 赶紧 已 已经 没 不 再 早 全 都 如数 原样 借 钱 书 用完 看完".split()
)
"""What stands in a clause where something is given back."""
_CLAUSE_ENDS: Final = frozenset("时 后 之后 以后 前 之前 并 并且 再 然后 就 才 也 都 的 而 却".split())


def _huan_gei(place: Place) -> str:
    """还给: given back (huan2), or also done for somebody (hai2), which is told by what is done: 还给|每个|村|配|了."""
    words, number = place.words, place.number
    if not place.after or not _HANDED.isdisjoint(words[max(0, number - REACH) : number]):
        return "huan2 gei3"
    if place.after == "了" and place.text[place.end + 1] in NUMERALS:
        return "hai2 gei3"  # 还给了一张黄牌: to whom, is not said
    if place.after == "了" and number + 3 == len(words):
        return "huan2 gei3"  # 还给了失主
    if place.after == "不" or (place.after in {"什么", "啥"} and place.text[place.end + len(place.after)] != "人"):
        return "hai2 gei3"  # 还给不给, 还给什么钱
    for at in range(number + 1, min(len(words), number + _AHEAD)):
        if words[at] in _CLAUSE_ENDS:
            break
        word, tag = words[at], place.tag(words[at])
        done = len(word) == 1 and at > number + 1 and words[at + 1 : at + 2] in (["了"], ["过"])
        if done or word[0] == "发" or (tag[:1] == "v" and tag != "vn" and word not in {"是", "有"}):
            return "hai2 gei3"
    return "huan2 gei3"


_OFTEN_WRONG: Final = frozenset("调")
"""Their own rows are wrong in a quarter of the phrases they fit."""
_RULES: Final[dict[str, Callable[[Place], str]]] = {
    "得": _de,
    "地": _di,
    "长": _chang,
    "为": _wei,
    "还给": _huan_gei,
}

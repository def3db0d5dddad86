"""A run of hanzi to words with their dictionary readings: segmenter, our tables, phrase book, neighbours, erhua.

Readings are before sandhi (`sandhi` comes after, over the prosodic phrase). Characters nobody knows a reading for stay
in no word and are handed back. Linear in the text; words are remembered, so common text costs little.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from operator import eq
from typing import Final, NamedTuple

import rjieba
from pypinyin.constants import PHRASES_DICT

from inference.frontend import context, polyphones
from inference.frontend.hanzi import digit_tone, first_reading, is_syllable, rows, simplified


class Spelling(NamedTuple):
    """A word, its readings before sandhi (one per syllable), and how they were found."""

    text: str
    readings: tuple[str, ...]
    rule: str
    """`override table`, `phrase book`, `by parts`, `character`, `polyphone`, `neighbours`, `surname`, `neutral tone` or
    `erhua`."""


_Found = tuple[tuple[str | None, ...], str]
"""Readings, None for a character without one (then there is one entry per character), and their rule."""

_FIGURES: Final = re.compile("([零〇一二三四五六七八九幺]{3,})(?![十百千万亿])")
_COUNTED_ROLLS: Final = re.compile("[一二三四五六七八九十百千万两几数零]+卷")
_LONGEST_PART: Final = 8
"""Characters of the longest entry looked for inside a word; longer ones are found whole or not at all."""
_OURS, _THEIRS, _CUT, _ALONE = 1.0, 1.1, 1.3, 1.6
"""What a part of a word costs: one of our tables, one of the phrase book, two characters that the segmenter knows, a
character alone. 白|头发, not 白头|发; 发射|中心, not 发|射中|心."""

_AT_END: Final = {"曲": "qu3", "倒": "dao3", "铺": "pu4"}
"""What a character says that ends a word of three and more and is no part of a shorter one: 谐谑曲, 一边倒, 修车铺."""

# 儿 is a syllable of its own, a child, at the end of these; elsewhere at a word's end it colours the syllable before.
_CHILD: Final = frozenset(
    "女 婴 幼 婴幼 孤 胎 新生 健 宠 混血 少 育 男 侄 孙 小 生 患 弃 产 早产 妻 弄潮 连体 爱 娇 吾 我 你 他 麟 乞 托 "
    "畸形 低能 笛卡 可 试管 双胞 金枝 孩 宁馨 独生 脑瘫 病 巨 幸运 中 寄 盲 聋 哑 留守 足月 义 继 痴呆 问题 天 "
    "这个婴".split()
)
_RHOTIC_INSIDE: Final = tuple(
    "玩儿 哪儿 这儿 那儿 点儿 会儿 块儿 事儿 劲儿 味儿 今儿 明儿 昨儿 后儿 前儿 哥儿 爷儿 娘儿 姐儿".split()
)
_DOUBLED_AS_NOUNS: Final = frozenset("画画 剪剪 唱唱 跳跳 停停 打打 闹闹 缝缝 补补 拉拉 扯扯 敲敲 删删 改改".split())
"""The second halves of what is done by turns: 涂涂|画画, 修修|补补."""
_KEEPS_ZI: Final = frozenset(
    "男女电原分孔庄孟弟父母王太公君才量离质中粒光因棋莲松鱼卵精核介游浪学赤天世仙西臣逆孝独长次养义夫诸骄之童亲瓜生家"
    "其庶嫡继皇玉荀韩墨老墓贵质甲游弃荪内枸附女商餐杏梅竹虾胶超强轻重反费玻声双五孺庚壬丙戊望爱教龙圣国二配算振端素智竖樟贼多"
)
_NAMED: Final = frozenset("曾单仇解任朴缪")
"""Surnames with which the segmenter's dictionary is right when it marks a word as a person."""
_SHORT: Final = 4
"""Characters of a run that is remembered whole: 好, 谢谢, what stands between a Chinese sentence's figures."""


def words_of(run: str) -> tuple[list[Spelling], list[str]]:
    """The run's words with their readings before sandhi, and the characters without one."""
    if len(run) <= _SHORT:
        said, unspoken = _words_of_short(run)
        return [*said], [*unspoken]
    return _words_of(run)


@lru_cache(maxsize=1 << 14)
def _words_of_short(run: str) -> tuple[list[Spelling], list[str]]:
    return _words_of(run)


def _words_of(run: str) -> tuple[list[Spelling], list[str]]:
    text = simplified(run)
    words = _segmented(text)
    alone = [*map(_out_of_context, words)]
    if text is run and all(alone):
        return alone, []  # type: ignore[return-value]  # no None is in it
    said: list[Spelling] = []
    unspoken: list[str] = []
    framed = f"^{text}$"
    at = 0
    for number, (word, spelling) in enumerate(zip(words, alone, strict=True)):
        end = at + len(word)
        if spelling is not None and text is run:
            said.append(spelling)
        else:
            spellings, silent = _spelled(word) if spelling else _spelled_at(_place(framed, at, words, number), word)
            if text is not run and text[at:end] != run[at:end]:
                spellings, silent = _as_written(spellings, run[at:end])
            said += spellings
            unspoken += silent
        at = end
    return said, unspoken


def _segmented(run: str) -> list[str]:
    words = _cut(run)
    if any(map(eq, words, words[1:])) or not _DOUBLED_AS_NOUNS.isdisjoint(words):
        words = _join_doubled(words)
    return _join_rhotic(words) if "儿" in run else words


def place_of(run: str, at: int) -> context.Place | None:
    """The place of a run's character, None if it is a part of a word."""
    text, start = simplified(run), 0
    words = _segmented(text)
    for number, word in enumerate(words):
        if start == at and len(word) == 1:
            return _place(f"^{text}$", at, words, number)
        start += len(word)
    return None


@lru_cache(maxsize=1 << 16)
def _out_of_context(word: str) -> Spelling | None:
    """A word that is said alike wherever it stands; None if its place must be looked at or a character is silent."""
    if word in context.ambiguous() or _may_be_name(word) or word in polyphones.model():
        return None
    spellings, silent = _spelled(word)
    return None if silent else spellings[0]


def _may_be_name(word: str) -> bool:
    """Whether the segmenter may have glued a surname to what follows."""
    return word[0] in context.surnames() and 1 < len(word) < 4 and word not in PHRASES_DICT and word not in _fixed()


def _spelled_at(place: context.Place, word: str) -> tuple[tuple[Spelling, ...], tuple[str, ...]]:
    """A word as it is said where it stands."""
    if told := _pointed_out(place, word):
        return (Spelling(word, (told,), "polyphone"),), ()
    if word in polyphones.model():
        return (weighed(place, word),), ()
    if word in context.ambiguous():
        found = context.reading(word, place)
        return _spelled(word) if found is None else ((Spelling(word, *found),), ())
    return _named(word) if _may_be_name(word) and context.is_glued_name(word, place) else _spelled(word)


def told_by_tables(place: context.Place, char: str) -> tuple[str, str]:
    """What the tables say of a character alone, and the rule."""
    found = context.reading(char, place) if char in context.ambiguous() else None
    if found is not None:
        return found[0][0], found[1]
    spelling = _spelled(char)[0][0]
    return spelling.readings[0], spelling.rule


def is_open(char: str, rule: str) -> bool:
    """Whether the model is asked for a character of which the tables told by this rule."""
    return rule != "surname" and (rule != "polyphone" or context.may_be_overruled(char))


def weighed(place: context.Place, char: str) -> Spelling:
    """A character of the model. A surname is none of its matters, nor what a row of the table was written for."""
    told, rule = told_by_tables(place, char)
    if not is_open(char, rule):
        return Spelling(char, (told,), rule)
    reading = polyphones.model().choose(char, place, told)
    return Spelling(char, (reading,), rule if reading == told else "neighbours")


def _pointed_out(place: context.Place, word: str) -> str | None:
    """How a character is read that a word is named for: 长城|的|长, 单田芳|的|单."""
    named = place.words[place.number - 2] if place.number > 1 and place.before == "的" else ""
    if len(word) > 1 or len(named) < 2 or word not in named or place.after not in {"", "字"}:
        return None
    readings = word_readings(named)
    return readings[named.index(word)] if len(readings) == len(named) else None


def _place(framed: str, at: int, words: list[str], number: int) -> context.Place:
    before = words[number - 1] if number else ""
    after = words[number + 1] if number + 1 < len(words) else ""
    end = at + 1 + len(words[number])
    return context.Place(framed, at + 1, end, before, after, words, number, part_of_speech)


def _named(word: str) -> tuple[tuple[Spelling, ...], tuple[str, ...]]:
    """A word that begins with a surname, as a name."""
    spellings, silent = _spelled(word)
    if silent:
        return spellings, silent
    return (Spelling(word, (*context.surnames()[word[0]], *spellings[0].readings[1:]), "surname"),), ()


def is_word(text: str) -> bool:
    """Whether the segmenter's dictionary has the word."""
    return _segmenter().has_word(text)


@lru_cache(maxsize=1 << 15)
def part_of_speech(word: str) -> str:
    """The part of speech of a word by the segmenter's dictionary (`n`, `v`, `nr` for a name of a person, …)."""
    tagged = _segmenter().tag(word, hmm=False)
    return tagged[0][1] if len(tagged) == 1 else ""


def word_readings(word: str) -> tuple[str | None, ...]:
    """A word's readings out of context, None for a character without one (then one entry per character)."""
    return _found(word)[0]


@lru_cache(maxsize=1 << 16)
def _spelled(word: str) -> tuple[tuple[Spelling, ...], tuple[str, ...]]:
    """A word as it is said out of context; one with characters nobody can say falls into single characters."""
    readings, rule = _found(word)
    if None not in readings:
        return (Spelling(word, readings, rule),), ()  # type: ignore[arg-type]  # no None is in it
    pairs = list(zip(word, readings, strict=True))
    return (
        tuple(Spelling(char, (reading,), rule) for char, reading in pairs if reading is not None),
        tuple(char for char, reading in pairs if reading is None),
    )


def _as_written(spellings: tuple[Spelling, ...], written: str) -> tuple[tuple[Spelling, ...], tuple[str, ...]]:
    """Spellings looked up in simplified characters, for the word as the text has it."""
    if len(written) == 1 and written in _OF_TRADITIONAL:
        return (Spelling(written, (_OF_TRADITIONAL[written],), "character"),), ()
    if len(spellings) != 1 or len(spellings[0].text) != len(written):
        return _spelled(written)  # a character without a reading is in it
    return (spellings[0]._replace(text=written),), ()


_OF_TRADITIONAL: Final = {
    "隻": "zhi1",
    "髮": "fa4",
    "發": "fa1",
    "乾": "gan1",
    "捲": "juan3",
    "儘": "jin3",
    "盡": "jin4",
    "鬥": "dou4",
    "幹": "gan4",
    "係": "xi4",
    "於": "yu2",
    "誌": "zhi4",
}
"""Characters alone that say more than the simplified ones they became."""


def _found(word: str) -> _Found:
    fixed = _fixed().get(word)
    if fixed or len(word) == 1:
        return (fixed, "override table") if fixed else ((first_reading(word),), "character")
    if coloured := _erhua(word):
        return coloured, "erhua"
    if len(word) > 2 and word.endswith(("不了", "不着", "得着")):  # 办不了 够不着 用得着
        middle, end = "bu4" if word[-2] == "不" else "de5", "liao3" if word[-1] == "了" else "zhao2"
        return (*_found(word[:-2])[0], middle, end), "by parts"
    readings, rule = _parts(word)
    last = readings[-1]
    if last is not None and last[-1] != "5" and (word in _neutral() or _has_neutral_suffix(word)):
        return (*readings[:-1], last[:-1] + "5"), "neutral tone"
    if word[0] in _NAMED and 1 < len(word) < 4 and word not in PHRASES_DICT and part_of_speech(word) == "nr":
        return (*context.surnames()[word[0]], *readings[1:]), "surname"
    return readings, rule


def _cut(run: str) -> list[str]:
    """The run's words. Figures said one by one are cut into fours, which the segmenter would tie to what follows."""
    words: list[str] = []
    for number, part in enumerate(_FIGURES.split(run)):
        if number % 2:
            words += (part[at : at + 4] for at in range(0, len(part), 4))
        elif part:
            words += _segmenter().cut(part, hmm=False)
    if "卷" not in run:
        return words
    # 十二|卷: rolls or volumes, which is told by what is near
    return [part for word in words for part in ((word[:-1], "卷") if _COUNTED_ROLLS.fullmatch(word) else (word,))]


def _join_doubled(words: list[str]) -> list[str]:
    """Join a verb said twice that the segmenter took for two words: 自己|找|找. The second is neutral."""
    joined: list[str] = []
    for word in words:
        if joined and word == joined[-1] and word + word in _neutral():
            joined[-1] += word
        else:
            joined.append(word)
        if joined[-2:-1] == joined[-3:-2] and _is_doubled_verb("".join(joined[-3:])):
            joined[-3:] = ["".join(joined[-3:])]  # 织|织|拆拆
        elif joined[-1] in _DOUBLED_AS_NOUNS and _is_doubled_verb("".join(joined[-2:])):
            joined[-2:] = ["".join(joined[-2:])]  # 涂涂|画画
    return joined


def _join_rhotic(words: list[str]) -> list[str]:
    """Put a 儿 that the segmenter left alone onto the word it colours: 冰棍|儿."""
    joined: list[str] = []
    for word in words:
        if word == "儿" and joined and joined[-1] not in _CHILD and joined[-1][-1] != "儿":
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _erhua(word: str) -> tuple[str | None, ...]:
    """The readings of a word whose 儿 colours the syllable before it, at its end or inside; else empty."""
    if "儿" not in word:
        return ()
    if word[-1] == "儿" and word[:-1] not in _CHILD:
        return _rhotic(word[:-1])
    for ending in _RHOTIC_INSIDE:
        at = word.find(ending)
        if at >= 0:
            return (*_rhotic(word[: at + 1]), *_found(word[at + 2 :])[0])
    return ()


def _rhotic(stem: str) -> tuple[str | None, ...]:
    readings = _found(stem)[0]
    last = readings[-1]
    if last is None or len(readings) != len(stem):
        return (*readings, "er2")
    coloured = last[:-1] + "r" + last[-1]
    if last[:-1] == "er" or not is_syllable(coloured):
        return (*readings, "er2")  # 二儿: no such coda
    return (*readings[:-1], coloured)


def _has_neutral_suffix(word: str) -> bool:
    last, before = word[-1], word[-2]
    if last == "子":
        return before not in _KEEPS_ZI and part_of_speech(word) != "nr"
    return last == "们"


def _parts(word: str) -> _Found:
    """The readings of the fewest known parts a word falls into: our tables first, then the phrase book."""
    whole = _part(word)
    if whole:
        return whole, "neutral tone" if _neutral_ends(word) else "phrase book"
    if len(word) == 4 and word[0] == word[1] and word[2] == word[3] and word[1:3] in _neutral():
        first, weak = _found(word[1:3])[0]  # 清清楚楚: the second of 清楚 has its tone again
        full = first_reading(word[2])
        second = full if full and weak and full[:-1] == weak[:-1] else weak
        return (first, first, second, second), "by parts"
    if _is_drawn_out(word) and word[:2] in _neutral():
        return tuple(first_reading(char) for char in word), "by parts"  # 脆生生: 生 is weak in 脆生 alone
    if _is_doubled_verb(word):  # 走走停停: neither is weak, as it is in 走走
        return tuple(first_reading(char) for char in word), "by parts"
    ours = _ours()
    final = _AT_END.get(word[-1]) if len(word) > 2 else None
    # best[end]: the cheapest cut of word[:end], its cost and its last part's start and readings
    best: list[tuple[float, int, tuple[str | None, ...]]] = [(0.0, 0, ())]
    for end in range(1, len(word) + 1):
        alone = final if final and end == len(word) else first_reading(word[end - 1])
        readings: tuple[str | None, ...] = (alone,)
        cost, start = best[end - 1][0] + _ALONE, end - 1
        for at in range(max(0, end - _LONGEST_PART), end - 1):
            part = word[at:end]
            price = best[at][0] + (_OURS if part in ours else _THEIRS if part in PHRASES_DICT else _CUT)
            if price < cost and (told := _part(part) or _pair(part)):
                cost, start, readings = price, at, told
        best.append((cost, start, readings))
    pieces: list[tuple[str | None, ...]] = []
    end = len(word)
    while end:
        _, start, readings = best[end]
        pieces.append(readings)
        end = start
    return tuple(reading for piece in reversed(pieces) for reading in piece), "by parts"


def _is_drawn_out(word: str) -> bool:
    """Whether a word says its second half twice, which is then weak in neither: 光溜溜, 黑压压."""
    return len(word) == 3 and word[0] != word[1] == word[2]


def _is_doubled_verb(word: str) -> bool:
    """Whether two verbs are each said twice: 走走停停, but not 爸爸妈妈."""
    doubled = len(word) == 4 and word[0] == word[1] and word[2] == word[3]
    if not doubled or part_of_speech(word[0])[:1] != "v":
        return False
    return word[2:] in _DOUBLED_AS_NOUNS or part_of_speech(word[2])[:1] == "v"


def _part(part: str) -> tuple[str | None, ...]:
    """What our tables or the phrase book say of a word or a part of one; empty when they do not have it."""
    fixed = _fixed().get(part)
    if fixed and len(fixed) == len(part):
        return fixed
    told, phrase = _polyphones().get(part, {}), PHRASES_DICT.get(part)
    readings: list[str | None]
    if phrase and len(phrase) == len(part):
        readings = [_plain(char, marked[0]) for char, marked in zip(part, phrase, strict=True)]
    elif told or part in _neutral():
        readings = [first_reading(char) for char in part]
    else:
        return ()
    weak = _neutral_ends(part)
    readings = [r[:-1] + "5" if r and n + 1 in weak else r for n, r in enumerate(readings)]
    return tuple(told.get(char, r) for char, r in zip(part, readings, strict=True))


def _pair(part: str) -> tuple[str | None, ...]:
    """Two characters that the segmenter's dictionary has as a word, as they are read alone; empty for all else."""
    if len(part) != 2 or not is_word(part):
        return ()
    first, last = map(first_reading, part)
    return first, (last[:-1] + "5" if last and _has_neutral_suffix(part) else last)


def _neutral_ends(part: str) -> list[int]:
    """Where words of ours with a neutral end stop in a short phrase: the phrase book gives 打招呼 full tones."""
    if _is_drawn_out(part) and part[:2] in _neutral():
        return []
    return [end for end in range(2, len(part) + 1) if part[end - 2 : end] in _neutral()] if len(part) < 4 else []


def _plain(char: str, marked: str) -> str | None:
    """`hǎo` → `hao3`. The phrase book bakes sandhi into 一 and 不; undo it."""
    if char == "一":
        return "yi1"
    if char == "不" and marked != "fǒu":
        return "bu4"
    reading = digit_tone(marked)
    return reading if is_syllable(reading) else first_reading(char)


@cache
def _segmenter() -> rjieba.Jieba:
    # The one that rjieba loads as it is imported: another costs 24 MB in every worker, and a tenth of a second.
    segmenter: rjieba.Jieba = getattr(rjieba, "_DEFAULT_JIEBA", None) or rjieba.Jieba()
    for word in _fixed():
        if len(word) > 1:
            segmenter.add_word(word, None, None)
    for word in " ".join(rows("apart.txt")).split():
        segmenter.add_word(word, 1, None)  # as rare as can be
    return segmenter


@cache
def _fixed() -> dict[str, tuple[str, ...]]:
    pairs = (row.split("\t") for row in rows("overrides.tsv"))
    return {word: tuple(readings.split()) for word, readings in pairs}


@cache
def _polyphones() -> dict[str, dict[str, str]]:
    """`polyphones.txt` turned about: for each word which of its characters are read how."""
    told: dict[str, dict[str, str]] = {}
    for row in rows("polyphones.txt"):
        char, reading, *words = row.split()
        for word in words:
            told.setdefault(word, {})[char] = reading
    return told


@cache
def _ours() -> frozenset[str]:
    """The words of our tables that may be parts of longer ones."""
    return frozenset({*_fixed(), *_polyphones(), *_neutral()})


@cache
def _neutral() -> frozenset[str]:
    return frozenset(" ".join(rows("neutral.txt")).split())

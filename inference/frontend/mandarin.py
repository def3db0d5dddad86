"""A run of hanzi to words with their dictionary readings: segmenter, phrase book, neutral tones, polyphones, erhua.

Readings are before sandhi (`sandhi` comes after, over the prosodic phrase). Characters nobody knows a reading for stay
in no word and are handed back. Linear in the text; words are remembered, so common text costs little.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import rjieba
from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

from inference.frontend.phones import split_syllable
from inference.frontend.sandhi import Said

_DATA: Final = Path(__file__).parent / "data"

_PRONOUNS: Final = frozenset("我 你 您 他 她 它 咱 谁 我们 你们 他们 她们 它们 咱们 大家 人 人们 自己".split())
_ADVERBS: Final = frozenset(
    "都 就 还 也 又 可 只 总 必 必须 一定 恐怕 还是 真 才 今天 明天 现在 可能 肯定 最少 至少 起码".split()
)
_TONE_MARKS: Final = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
_SURNAMES: Final = {
    "曾": "zeng1", "单": "shan4", "任": "ren2", "仇": "qiu2", "解": "xie4",
    "华": "hua4", "查": "zha1", "盖": "ge3", "区": "ou1",
    "朴": "piao2",
}  # fmt: skip
_FIGURES: Final = re.compile("([零〇一二三四五六七八九幺]{3,})(?![十百千万亿])")
_COUNTED: Final = frozenset("零一二三四五六七八九十百千万亿两几第这那哪每半各某数多")
_DEGREE: Final = frozenset("很太更非真最好不多有像怎那这挺够怪极够特快慢早晚高低")
_AFTER_LONG: Final = frozenset("大高出成得满着了过胖在")
_WEI2_BEFORE: Final = frozenset("成作以名定视称认变分设改列选译最被命封聘任评誉转化合并奉尊温度价格面积长度高度结果")
_AGAIN: Final = frozenset("做写来建启装读印播返演试开算")
_PLANTS: Final = frozenset("树花菜地田草下上了植粮瓜豆稻麦庄满")
_PAID_BACK: Final = frozenset("钱给书清款债账贷")

# 儿 is a syllable of its own, a child, at the end of these; elsewhere at a word's end it colours the syllable before.
_CHILD: Final = frozenset(
    "女 婴 幼 孤 胎 新生 健 宠 混血 少 育 男 侄 孙 小 生 患 弃 产 早产 妻 弄潮 连体 爱 娇 吾 我 你 他 麟 乞 托 畸形 "
    "低能".split()
)
_RHOTIC_INSIDE: Final = tuple("玩儿 哪儿 这儿 那儿 点儿 会儿 块儿 事儿 劲儿 味儿 今儿 明儿 昨儿".split())
_KEEPS_ZI: Final = frozenset(
    "男女电原分孔庄孟弟父母王太公君才量离质中粒光因棋莲松鱼卵精核介游浪学赤天世仙西臣逆孝独长次养义夫诸骄之童亲瓜生家"
)


def words_of(run: str) -> tuple[list[Said], list[str]]:
    """The run's words with their readings before sandhi, and the characters without one."""
    said: list[Said] = []
    unspoken: list[str] = []
    words = _join_rhotic(_cut(run))
    for number, word in enumerate(words):
        if len(word) == 1:
            before = words[number - 1] if number else ""
            after = words[number + 1] if number + 1 < len(words) else ""
            readings = _alone(word, before, after)
        else:
            readings = word_readings(word)
        if None in readings:
            unspoken += (c for c, r in zip(word, readings, strict=True) if r is None)
            said += ((c, (r,)) for c, r in zip(word, readings, strict=True) if r is not None)
        else:
            said.append((word, readings))  # type: ignore[arg-type]  # no None is in it
    return said, unspoken


def is_word(text: str) -> bool:
    """Whether the segmenter's dictionary has the word."""
    return _segmenter().has_word(text)


@lru_cache(maxsize=1 << 16)
def word_readings(word: str) -> tuple[str | None, ...]:
    """A word's readings out of context, None for a character without one (then one entry per character)."""
    fixed = _fixed().get(word)
    if fixed:
        return fixed
    if word.endswith(("儿", "兒")) and len(word) > 1 and word[:-1] not in _CHILD:
        return _rhotic(word[:-1])
    for ending in _RHOTIC_INSIDE:
        at = word.find(ending)
        if at >= 0:
            rest = word[at + 2 :]
            head = _rhotic(word[: at + 1])
            return (*head, *(word_readings(rest) if len(rest) > 1 else _alone(rest, "", "")))
    if len(word) > 2 and word.endswith(("不了", "不着")):  # 办不了 够不着
        return (*word_readings(word[:-2]), "bu5", "liao3" if word[-1] == "了" else "zhao2")
    readings = _phrase_readings(word)
    if "得" in word[1:-1] and word not in PHRASES_DICT:  # 跑得快, but 迫不得已
        readings = tuple("de5" if c == "得" and n else r for n, (c, r) in enumerate(zip(word, readings, strict=True)))
    last = readings[-1]
    if last is not None and len(readings) > 1 and (word in _neutral() or _has_neutral_suffix(word)):
        readings = (*readings[:-1], last[:-1] + "5")
    return readings


def _cut(run: str) -> list[str]:
    """The run's words. Figures said one by one are cut into fours, which the segmenter would tie to what follows."""
    words: list[str] = []
    for number, part in enumerate(_FIGURES.split(run)):
        if number % 2:
            words += (part[at : at + 4] for at in range(0, len(part), 4))
        elif part:
            words += _segmenter().cut(part, hmm=False)
    return words


def _join_rhotic(words: list[str]) -> list[str]:
    """Put a 儿 that the segmenter left alone onto the word it colours: 冰棍|儿."""
    joined: list[str] = []
    for word in words:
        if word in {"儿", "兒"} and joined and joined[-1] not in _CHILD and joined[-1][-1] not in {"儿", "兒"}:
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _rhotic(stem: str) -> tuple[str | None, ...]:
    readings = word_readings(stem) if len(stem) > 1 else _alone(stem, "", "")
    last = readings[-1]
    if last is None or len(readings) != len(stem):
        return (*readings, "er2")
    coloured = last[:-1] + "r" + last[-1]
    try:
        split_syllable(coloured)
    except ValueError:
        return (*readings, "er2")  # 二儿: no such coda
    return (*readings[:-1], coloured) if last[:-1] != "er" else (*readings, "er2")


def _has_neutral_suffix(word: str) -> bool:
    last, before = word[-1], word[-2]
    if last in {"们", "們"}:
        return True
    if last == "子":
        return before not in _KEEPS_ZI
    if last in {"么", "麽", "麼", "吗", "吧", "呢"}:
        return True
    return last in {"的", "了", "着"} and is_word(word)


def _phrase_readings(word: str) -> tuple[str | None, ...]:
    """The phrase book's reading, by its longest entries from the left."""
    readings: list[str | None] = []
    at = 0
    while at < len(word):
        for end in range(len(word), at + 1, -1):
            part = word[at:end]
            fixed = _fixed().get(part) if len(part) < len(word) else None
            if fixed and len(fixed) == len(part):
                readings += fixed
                break
            phrase = PHRASES_DICT.get(part)
            if phrase and len(phrase) == len(part):
                readings += (_plain(char, marked[0]) for char, marked in zip(part, phrase, strict=True))
                break
        else:
            end = at + 1
            readings.append(_usual().get(word[at]) if word[at] in "一不〇们們么" else _first_reading(word[at]))
        at = end
    return tuple(readings)


def _plain(char: str, marked: str) -> str | None:
    """`hǎo` → `hao3`. The phrase book bakes sandhi into 一 and 不; undo it."""
    if char == "一":
        return "yi1"
    if char == "不" and marked != "fǒu":
        return "bu4"
    reading = _digit_tone(marked)
    try:
        split_syllable(reading)
    except ValueError:
        return _first_reading(char)
    return reading


def _digit_tone(marked: str) -> str:
    """`hǎo` → `hao3`, `nǚ` → `nv3`, `de` → `de5`."""
    apart = unicodedata.normalize("NFD", marked)
    tone = next((digit for mark, digit in _TONE_MARKS.items() if mark in apart), "5")
    plain = unicodedata.normalize("NFC", "".join(c for c in apart if c not in _TONE_MARKS))
    return plain.replace("ü", "v") + tone if plain else ""


@lru_cache(maxsize=1 << 15)
def _first_reading(char: str) -> str | None:
    if char in _usual() and char not in "的了着得":
        return _usual()[char]
    for marked in PINYIN_DICT.get(ord(char), "").split(","):
        reading = _digit_tone(marked)
        try:
            split_syllable(reading)
        except (ValueError, IndexError):
            continue  # the table also has sounds of dialects that are no syllables of ours
        return reading
    return None


def _alone(char: str, before: str, after: str) -> tuple[str | None, ...]:
    """The reading of a character that is a word by itself, by its neighbours where it has several."""
    if before[-1:] == "姓" and char in _SURNAMES:
        return (_SURNAMES[char],)
    rule = _POLYPHONES.get(char)
    if rule is not None:
        return (rule(before, after),)
    return (_usual().get(char) or _first_reading(char),)


def _de(before: str, after: str) -> str:
    if not after or after[0] in _DEGREE:
        return "de5"
    if after[0] in "了到分出奖病票" and (not before or before in _PRONOUNS or before in _ADVERBS):
        return "de2"
    return "dei3" if not before or before in _PRONOUNS or before in _ADVERBS else "de5"


def _di(before: str, after: str) -> str:
    return "de5" if after and len(before) > 1 and before[-1] not in "块片这那整本各" else "di4"


def _chang(before: str, after: str) -> str:
    return "zhang3" if after[:1] in _AFTER_LONG and before[-1:] not in {"很", "太", "米", "里"} and after else "chang2"


def _wei(before: str, after: str) -> str:
    if before[-1:] and (before[-1] in _WEI2_BEFORE):
        return "wei2"
    if after and (after[0] in "零一二三四五六七八九十百千万亿两负第主例止准宜" or not before):
        return "wei2" if before else "wei4"
    return "wei4" if not before or after in _PRONOUNS or len(before) == 1 else "wei2"


def _hai(before: str, after: str) -> str:
    owed = before in {"没", "没有", "要", "该", "来", "去"} and (
        not after or after in _PRONOUNS or after in {"了", "完"}
    )
    return "huan2" if owed or after[:1] in _PAID_BACK else "hai2"


_POLYPHONES: Final[dict[str, Callable[[str, str], str]]] = {
    "得": _de,
    "地": _di,
    "长": _chang,
    "長": _chang,
    "为": _wei,
    "為": _wei,
    "还": _hai,
    "调": lambda before, after: "tiao2" if after[:1] in {*"得高低到成好大小亮暗快慢一"} else "diao4",
    "行": lambda before, after: "hang2" if before[-1:] and before[-1] in _COUNTED and after else "xing2",
    "重": lambda before, after: "chong2" if after[:1] and after[0] in _AGAIN else "zhong4",
    "只": lambda before, after: "zhi1" if before[-1:] and before[-1] in _COUNTED else "zhi3",
    "种": lambda before, after: (
        "zhong4" if after[:1] and after[0] in _PLANTS and before[-1:] not in _COUNTED else "zhong3"
    ),
    "了": lambda before, after: "liao3" if before[-1:] == "不" else "le5",
    "数": lambda before, after: "shu3" if after[:1] and after[0] in "一不到钱完得着" else "shu4",
    "干": lambda before, after: "gan1" if before[-1:] and before[-1] in "很太不晒晾吹擦烘风" and not after else "gan4",
    "倒": lambda before, after: "dao3" if after[:1] in {*"下闭塌霉"} or before[-1:] in {*"摔跌推"} else "dao4",
    "量": lambda before, after: "liang2" if after[:1] and after[0] in "体血身尺一了" else "liang4",
    "背": lambda before, after: "bei1" if after[:1] and after[0] in "着包起上负" else "bei4",
    "血": lambda before, after: "xue4" if after else "xie3",
}


@cache
def _segmenter() -> rjieba.Jieba:
    segmenter = rjieba.Jieba()
    for word in _fixed():
        if len(word) > 1:
            segmenter.add_word(word, None, None)
    return segmenter


@cache
def _fixed() -> dict[str, tuple[str, ...]]:
    rows = (_DATA / "overrides.tsv").read_text("utf-8").splitlines()
    pairs = (row.split("\t") for row in rows if row and not row.startswith("#"))
    return {word: tuple(readings.split()) for word, readings in pairs}


@cache
def _usual() -> dict[str, str]:
    """The reading of a character alone, where its commonest in running speech is not pypinyin's first."""
    rows = (_DATA / "characters.txt").read_text("utf-8").splitlines()
    pairs = (pair.partition(":") for row in rows if not row.startswith("#") for pair in row.split())
    return {char: reading for char, _, reading in pairs}


@cache
def _neutral() -> frozenset[str]:
    rows = (_DATA / "neutral.txt").read_text("utf-8").splitlines()
    return frozenset(" ".join(row for row in rows if not row.startswith("#")).split())

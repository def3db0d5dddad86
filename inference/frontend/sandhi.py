"""Tone sandhi inside prosodic phrases: 一, 不 and third tones, from dictionary readings to spoken ones. Pure.

The rules are those of 现代汉语词典's preface: 一 is yi2 before a fourth tone and yi4 before the others, but yi1 in
numbers and at a word's end; 不 is bu2 before a fourth tone; a third tone before a third one becomes a second, innermost
first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from inference.frontend.phones import Break

if TYPE_CHECKING:
    from inference.frontend.phrasing import Draft

Said = tuple[str, tuple[str, ...]]
"""A word's text and its readings."""
_NOTHING: Final[Said] = ("", ())
"""What is beside a word at the edge of a phrase, and where a word of another language stands."""
_PHRASE: Final = Break.PHRASE

_DIGITS: Final = frozenset("零〇一二三四五六七八九幺")
_PLACES: Final = frozenset("百千万亿")
_FIGURE_BEFORE: Final = _DIGITS | _PLACES | frozenset("十第")
_FIGURE_AFTER: Final = _DIGITS | frozenset("十月号楼")
_KIN: Final = frozenset("姐奶姥嫂婶宝")
_COUNTING: Final = frozenset("说一不二 数一数二 独一无二 一一 一不做 一不做二不休".split())
"""Words in which 一 is the figure one, whatever follows."""
_BEFORE_FULL_NOT: Final = frozenset(
    "要可岂毫绝并决莫再何从也倒才更永若如无都还就却又最太既殊概素尚一两三四独老全多恕谁能前后"
)
"""Adverbs and the like: a 不 after them in a word of three keeps its tone, as in 要不然 毫不在."""
_FULL_NOT: Final = frozenset("少不得 了不得 不得".split())
_DETERMINERS: Final = frozenset("同这那哪每某有无不另")
"""一 at a word's end is a quantity after these, as in 同一|个; else it is a figure, as in 统一 唯一 万一."""


def settle(words: Sequence[Draft], is_word: Callable[[str], bool]) -> None:
    """Set how the words of a sentence sound; `is_word` knows the dictionary and shows a word's inner parts."""
    next_tone = ""  # of the word behind, none if that is of another language
    for number in range(len(words) - 1, -1, -1):
        word = words[number]
        text, readings = word.text, word.readings
        if word.lang != "zh":
            word.spoken, next_tone = readings, ""
            continue
        if "一" in text or "不" in text:
            readings = _with_one_and_not(words, number)
        if len(readings) > 1:
            readings = _settled(text, readings, is_word)
        if next_tone == "3" and readings[-1][-1] == "3" and word.break_ < _PHRASE:
            readings = (*readings[:-1], readings[-1][:-1] + "2")
        word.spoken, next_tone = readings, readings[0][-1]


@lru_cache(maxsize=1 << 15)
def _settled(text: str, readings: tuple[str, ...], is_word: Callable[[str], bool]) -> tuple[str, ...]:
    """A word's readings after the sandhi of third tones inside it."""
    if len(readings) == 2 and text[0] == text[1] not in _KIN and readings[0][-1] == "3" and readings[1][-1] == "5":
        return (readings[0][:-1] + "2", readings[1])  # 想想: the second was a third tone until it lost it
    if len(readings) > 1 and sum(reading[-1] == "3" for reading in readings) > 1:
        return _third_tones_within(text, list(readings), is_word)
    return readings


def syllable_starts(text: str, readings: Sequence[str]) -> list[int]:
    """Where each reading's character stands in the text: erhua covers two characters with one reading."""
    if len(readings) == len(text):  # none of them covers two
        return list(range(len(text)))
    starts, at = [], 0
    for reading in readings:
        starts.append(at)
        at += 2 if is_rhotic(reading) and text[at + 1 : at + 2] in {"儿", "兒"} else 1
    return starts


def is_rhotic(reading: str) -> bool:
    """Whether the reading ends in erhua: `wanr2`, but not `er2`."""
    return reading[-2:-1] == "r" and reading[:-1] != "er"


def _with_one_and_not(words: Sequence[Draft], number: int) -> tuple[str, ...]:
    """The readings of a word with its 一 and 不 as they sound, for which its neighbours in the phrase are looked at."""
    text, own = words[number].text, words[number].readings
    next_text, next_own = _after(words, number)
    if len(text) > 1 and _DIGITS.issuperset(text) and next_text[:1] not in _PLACES:
        return own  # every 一 is a figure among figures
    chars = _chars(text, own)
    behind = _chars(*_before(words, number))
    ahead = [*_chars(next_text, next_own)[:2]]
    if len(ahead) == 1:
        ahead += _chars(*_after(words, number + 1))[:1]
    line = [behind[-1] if behind else "", *chars, *ahead, "", ""]
    following = (*own[1:], *(next_own[:1] or ("",)))
    said = [*own]
    for place, (char, reading) in enumerate(zip(chars, own, strict=True)):
        before, after, beyond = line[place], line[place + 2], line[place + 3]
        tone = following[place][-1:] if after else ""
        if char == "不" and reading == "bu4":
            said[place] = "bu5" if before and _is_inner(text) else _not(before, after, tone)
        elif char == "一" and reading == "yi1" and text not in _COUNTING:
            ends_word = place == len(own) - 1 > 0
            numeral = _is_numeral(before, after, beyond) or (ends_word and before not in _DETERMINERS)
            said[place] = _one(before, after, tone, numeral=numeral)
    return tuple(said)


def _before(words: Sequence[Draft], number: int) -> Said:
    before = words[number - 1] if number else None
    return (before.text, before.readings) if before and before.lang == "zh" and before.break_ < _PHRASE else _NOTHING


def _after(words: Sequence[Draft], number: int) -> Said:
    after = words[number + 1] if words[number].break_ < _PHRASE else None
    return (after.text, after.readings) if after and after.lang == "zh" else _NOTHING


def _chars(text: str, readings: tuple[str, ...]) -> Sequence[str]:
    """The character of each reading."""
    return text if len(text) == len(readings) else [text[at : at + 1] for at in syllable_starts(text, readings)]


@lru_cache(maxsize=1 << 10)
def _is_inner(text: str) -> bool:
    """Whether the word's 不 stands between a verb and its result and is neutral: 对不起 解决不了, but not 要不然."""
    if text.endswith(("不了", "不着", "不起", "不得", "不住", "不到", "不见", "不动")):
        return text not in _FULL_NOT
    return len(text) == 3 and text[1] == "不" and text[0] not in _BEFORE_FULL_NOT


def _not(before: str, after: str, tone: str) -> str:
    if before and before == after != "得":
        return "bu5"  # 好不好
    return "bu2" if tone == "4" else "bu4"


def _one(before: str, after: str, tone: str, *, numeral: bool) -> str:
    if before and before == after and before not in _DIGITS | _PLACES:
        return "yi5"  # 看一看
    if not tone or (numeral and (after not in _PLACES or before == "第")):
        return "yi1"
    return "yi2" if tone in "45" else "yi4"


def _is_numeral(before: str, after: str, beyond: str) -> bool:
    """Whether 一 is a figure or an ordinal, not a quantity: 第一 一二三 十一 一点五 一月."""
    dated = before == "月" and after == "日"
    return dated or before in _FIGURE_BEFORE or after in _FIGURE_AFTER or (after == "点" and beyond in _DIGITS)


def _third_tones_within(text: str, syllables: list[str], is_word: Callable[[str], bool]) -> tuple[str, ...]:
    starts = [*syllable_starts(text, syllables), len(text)]

    def settle(first: int, last: int) -> None:  # the syllables [first, last)
        if last - first < 2:
            return
        middle = _split(first, last)
        settle(first, middle)
        settle(middle, last)
        if syllables[middle - 1][-1] == "3" == syllables[middle][-1]:
            syllables[middle - 1] = syllables[middle - 1][:-1] + "2"

    def _split(first: int, last: int) -> int:
        """Where the word's two parts meet: 小|老虎 by the dictionary, else 展览|馆, 2 + 2 and so on."""
        if last - first == 3 and not is_word(text[starts[first] : starts[first + 2]]):
            return first + 1 if is_word(text[starts[first + 1] : starts[last]]) else first + 2
        return first + (1 if last - first == 2 else 2)

    settle(0, len(syllables))
    return tuple(syllables)

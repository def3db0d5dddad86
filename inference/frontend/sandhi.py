"""Tone sandhi over one prosodic phrase: 一, 不 and third tones, from dictionary readings to spoken ones. Pure.

The rules are those of 现代汉语词典's preface: 一 is yi2 before a fourth tone and yi4 before the others, but yi1 in
numbers and at a word's end; 不 is bu2 before a fourth tone; a third tone before a third one becomes a second, innermost
first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Said = tuple[str, tuple[str, ...]]
"""A word's text and its readings; `("", ())` stands for a word of another language."""

_DIGITS: Final = frozenset("零〇一二三四五六七八九幺")
_PLACES: Final = frozenset("百千万亿")
_FIGURE_BEFORE: Final = _DIGITS | _PLACES | frozenset("十第")
_FIGURE_AFTER: Final = _DIGITS | frozenset("十月号楼")
_KIN: Final = frozenset("姐奶姥嫂婶宝")
_COUNTING: Final = frozenset("说一不二 数一数二 独一无二 一一 一不做 一不做二不休".split())
"""Words in which 一 is the figure one, whatever follows."""
_DETERMINERS: Final = frozenset("同这那哪每某有无不另")
"""一 at a word's end is a quantity after these, as in 同一|个; else it is a figure, as in 统一 唯一 万一."""


def spoken(words: Sequence[Said], is_word: Callable[[str], bool]) -> list[tuple[str, ...]]:
    """The readings of a phrase's words as they sound; `is_word` knows the dictionary and shows a word's inner parts."""
    said = [list(readings) for _, readings in words]
    if any("一" in text or "不" in text for text, _ in words):
        _say_one_and_not(words, said)
    for (text, _), syllables in zip(words, said, strict=True):
        if len(syllables) == 2 and text[0] == text[1] not in _KIN and [s[-1] for s in syllables] == ["3", "5"]:
            syllables[0] = syllables[0][:-1] + "2"  # 想想: the second was a third tone until it lost it
        elif len(syllables) > 1 and sum(s[-1] == "3" for s in syllables) > 1:
            _third_tones_within(text, syllables, is_word)
    for number in range(len(said) - 2, -1, -1):
        here, after = said[number], said[number + 1]
        if here and after and here[-1][-1] == "3" == after[0][-1]:
            here[-1] = here[-1][:-1] + "2"
    return [tuple(syllables) for syllables in said]


def syllable_starts(text: str, readings: Sequence[str]) -> list[int]:
    """Where each reading's character stands in the text: erhua covers two characters with one reading."""
    starts, at = [], 0
    for reading in readings:
        starts.append(at)
        at += 2 if is_rhotic(reading) and text[at + 1 : at + 2] in {"儿", "兒"} else 1
    return starts


def is_rhotic(reading: str) -> bool:
    """Whether the reading ends in erhua: `wanr2`, but not `er2`."""
    return reading[-2:-1] == "r" and reading[:-1] != "er"


@dataclass(frozen=True, slots=True)
class _Syllable:
    """A syllable of the phrase with where to change it; `char` is empty for a word of another language."""

    char: str
    word: int
    place: int


_NOTHING: Final = _Syllable("", 0, 0)


def _say_one_and_not(words: Sequence[Said], said: list[list[str]]) -> None:
    """Change 一 and 不 in place. The phrase is laid flat, for both look across word edges."""
    flat: list[_Syllable] = []
    for number, (text, readings) in enumerate(words):
        starts = enumerate(syllable_starts(text, readings))
        flat += [_Syllable(text[at : at + 1], number, place) for place, at in starts] or [_NOTHING]
    for before, here, after, beyond in zip(
        [_NOTHING, *flat], flat, [*flat[1:], _NOTHING], [*flat[2:], _NOTHING, _NOTHING], strict=False
    ):
        syllables = said[here.word]
        tone = said[after.word][after.place][-1] if after.char else ""
        if here.char == "不" and syllables[here.place] == "bu4":  # else the dictionary says: the neutral 不 of 对不起
            syllables[here.place] = _not(before.char, after.char, tone)
        elif here.char == "一" and syllables[here.place] == "yi1" and words[here.word][0] not in _COUNTING:
            ends_word = here.place == len(syllables) - 1 > 0
            numeral = _is_numeral(before.char, after.char, beyond.char) or (
                ends_word and before.char not in _DETERMINERS
            )
            syllables[here.place] = _one(before.char, after.char, tone, numeral=numeral)


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


def _third_tones_within(text: str, syllables: list[str], is_word: Callable[[str], bool]) -> None:
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

"""Where a reader breathes: the break after each word, and the cut of sentences too long for one go. Pure, linear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from inference.frontend.assemble import PAUSE_OF
from inference.frontend.english import OPENS_PHRASE, syllables
from inference.frontend.phones import Break
from inference.frontend.words import Language

LONGEST: Final = 150
"""Syllables of the longest sentence; about 30 s of speech, more than any training sentence had."""

_OPENS: Final = frozenset(
    "和 与 或 或者 但 但是 可是 不过 然而 因为 所以 因此 如果 要是 虽然 即使 而 而且 并 并且 以及 在 从 对 对于 向 把 "
    "被 给 跟 比 由 为了 关于 根据 按照 通过 随着 当 就 才 却 使 让 用 以 于是 然后 还是 是".split()
)
"""Mandarin words that open a phrase: a break may fall before them."""
_CLINGS: Final = frozenset("的 了 着 过 吗 呢 吧 啊 呀 嘛 啦 得 地 们 里 上 下 中 后 前 时 等 个 们的 之 来 去".split())
"""Words that lean on the one before: no break falls before them."""
_ZH_OPEN_AFTER: Final = 5
_ZH_ANY_AFTER: Final = 9
_EN_OPEN_AFTER: Final = 7
_EN_ANY_AFTER: Final = 16
_LEFT: Final = 3


@dataclass(slots=True)
class Draft:
    """A word on its way: read, but neither its break nor its sandhi settled."""

    text: str
    lang: Language
    readings: tuple[str, ...]
    pause: str = ""
    break_: Break = Break.WORD

    @property
    def syllables(self) -> int:
        """How many syllables it has."""
        return len(self.readings) if self.lang == "zh" else syllables(self.readings)


def fit(text: str, drafts: list[Draft]) -> Iterator[tuple[str, list[Draft]]]:
    """The sentence whole, or cut into sentences short enough: at its pauses, else between words."""
    if sum(draft.syllables for draft in drafts) <= LONGEST:
        if drafts:
            yield text, drafts
        return
    part: list[Draft] = []
    count = paused = 0  # `paused`: how many of the part's words come before its last pause
    for draft in drafts:
        if part and count + draft.syllables > LONGEST:
            cut = paused or len(part)
            yield _text(part[:cut]), part[:cut]
            part, paused = part[cut:], 0
            count = sum(left.syllables for left in part)
        part.append(draft)
        count += draft.syllables
        if draft.pause:
            paused = len(part)
    yield _text(part), part


def set_breaks(drafts: list[Draft]) -> None:
    """Set the break after every word of a sentence, in place."""
    last = len(drafts) - 1
    ahead = _syllables_to_pause(drafts)
    since = 0
    for number, draft in enumerate(drafts):
        since += draft.syllables
        if number == last:
            draft.break_ = Break.SENTENCE
        elif PAUSE_OF.get(draft.pause):
            draft.break_, since = Break.CLAUSE, 0
        elif _breathes(draft, drafts[number + 1], since, ahead[number]):
            draft.break_, since = Break.PHRASE, 0
        else:
            draft.break_ = Break.WORD


def _breathes(here: Draft, after: Draft, since: int, ahead: int) -> bool:
    if ahead < _LEFT:
        return False
    if after.lang == "zh":
        if after.text in _CLINGS:
            return False
        if after.text in _OPENS:
            return since >= _ZH_OPEN_AFTER and here.text not in _OPENS
        left = _LEFT if here.text != "的" else 2 * _LEFT  # 漂亮的衣服 stays together, unless much follows
        return since >= _ZH_ANY_AFTER and ahead > left and here.text not in _OPENS
    if after.text.lower() in OPENS_PHRASE:
        return since >= _EN_OPEN_AFTER and here.text.lower() not in OPENS_PHRASE
    return since >= _EN_ANY_AFTER and ahead > 2 * _LEFT and len(here.text) > 3 and here.text.lower() not in OPENS_PHRASE


def _syllables_to_pause(drafts: list[Draft]) -> list[int]:
    """For each word, the syllables after it until the next pause."""
    ahead = [0] * len(drafts)
    for number in range(len(drafts) - 2, -1, -1):
        if not PAUSE_OF.get(drafts[number].pause):
            ahead[number] = ahead[number + 1] + drafts[number + 1].syllables
    return ahead


def _text(drafts: list[Draft]) -> str:
    said = ""
    parts: list[str] = []
    for draft in drafts:
        gap = " " if draft.lang == "en" and said == "en" else ""
        parts.append(gap + draft.text + draft.pause)
        said = draft.lang
    return "".join(parts)

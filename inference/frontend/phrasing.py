"""Where a reader breathes: the break after each word, and the cut of sentences too long for one go. Pure, linear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from inference.frontend.english import OPENS_PHRASE
from inference.frontend.mandarin import part_of_speech
from inference.frontend.phones import Break
from inference.frontend.words import Language

LONGEST: Final = 150
"""Syllables of the longest sentence; about 30 s of speech, more than any training sentence had."""

_OPENS: Final = frozenset(
    "和 与 或 或者 但 但是 可是 不过 然而 因为 所以 因此 如果 要是 虽然 即使 而 而且 并 并且 以及 在 从 对 对于 向 把 "
    "被 给 跟 比 由 为了 关于 根据 按照 通过 随着 当 就 才 却 使 让 用 以 于是 然后 还是 是 将 同时 从而 直到 除了 "
    "经过 由于 为 到 已经 正在 也 都 至于 只要 只有 不仅 无论 一直".split()
)
"""Mandarin words that open a phrase: a break may fall before them."""
_CLOSES: Final = frozenset(
    "时候 之后 之前 以后 以前 以来 期间 方面 来说 而言 的话 之间 之中 之外 之下 之上 以外 以上 以下 里 中 上 "
    "下 内 后 前 时 起 为止 左右 同时 附近 里面 上面 下面 外面 旁边".split()
)
"""Mandarin words that close a phrase of time or place: a break may fall after them."""
_CLINGS: Final = frozenset(
    "的 了 着 过 吗 呢 吧 啊 呀 嘛 啦 得 地 们 里 上 下 中 内 后 前 时 等 个 们的 之 来 去 起来 下来 下去 出来 "
    "出去 上来 上去 过来 过去 起 到 完 好 时候 之后 之前 以后 以前 以来 期间 方面 来说 而言 的话 之间 之中 "
    "之外 之下 之上 以外 以上 以下 为止 左右 附近 里面 上面 下面 外面 旁边 儿 似的 一样 一般 罢了 而已".split()
)
"""Words that lean on the one before: no break falls before them."""
_LEANS: Final = _OPENS - frozenset(
    "但是 可是 不过 然而 因此 虽然 而且 并且 以及 同时 从而 于是 然后 至于".split()
) | frozenset(
    "很 更 最 太 不 没 没有 又 再 还 刚 刚刚 非常 十分 特别 比较 相当 越来越 越 会 能 要 想 可以 应该 必须 "
    "可能 能够 需要 愿意 不会 不能 不要 不是 这 那 每 各 某 该 本 此 其 几 第 每个 这个 那个 这些 那些 一个 "
    "一些 一种 这种 那种 各种 所有 全部 整个 我 你 他 她 它 我的 你的 他的 她的 我们的 小 大 老 新 好 多 共 约 "
    "近 超过 达到 等 叫 有 做 成 之 所 于 自 与其 只 只能 只是 就是 便 仍 仍然 依然 曾 曾经 正 能否 是否 如何 "
    "怎么 怎样 为什么 有点 有些".split()
)
"""Words that lean on the one after: no break falls after them."""
_FIGURES: Final = frozenset("零〇一二三四五六七八九十百千万亿两几半多数第")
_NUMERALS: Final = _FIGURES | frozenset("每这那某各点分之")
_COUNTS_ON: Final = frozenset("前 后 上 下 共 达".split())
"""A number after these belongs to them: 前三季度."""
_NOUNS: Final = frozenset("nrstfq")
"""Parts of speech, as jieba marks them, that a subject ends in: noun, pronoun, place, time, direction, measure."""
_OPENS_PREDICATE: Final = frozenset("vdpctrzli")
_ATTRIBUTES: Final = frozenset("dampcb")
_OPENS_OBJECT: Final = frozenset("nmr")
_PHRASED: Final = 10
"""Syllables a clause must have before it is worth breaking."""
_ZH_OPEN_AFTER: Final = 5
_ZH_SHORTEST: Final = 4
_ZH_LONG: Final = ((9, 2), (11, 1), (14, 0))
"""A phrase of so many syllables is broken if a place at least so good was passed."""
_NOW: Final = 3
_ZH_BREATH: Final = 20
"""Syllables after which any place will do."""
_EN_OPEN_AFTER: Final = 7
_EN_ANY_AFTER: Final = 16
_LEFT: Final = 3
_PHRASE, _CLAUSE, _SENTENCE = Break.PHRASE, Break.CLAUSE, Break.SENTENCE  # an enum's members are slow to look up


@dataclass(slots=True)
class Draft:
    """A word on its way: first read, then its break is set, then its sandhi settled."""

    text: str
    lang: Language
    readings: tuple[str, ...]
    syllables: int
    rule: str = ""
    pause: str = ""
    break_: Break = Break.WORD
    spoken: tuple[str, ...] = ()
    """The readings as they sound here."""


def fit(text: str, drafts: list[Draft]) -> Iterator[tuple[str, list[Draft]]]:
    """The sentence whole, or cut into sentences short enough: at its pauses, else between words."""
    if sum([draft.syllables for draft in drafts]) <= LONGEST:
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
    start = syllables = 0
    for end, draft in enumerate(drafts, start=1):
        syllables += draft.syllables
        if draft.pause:
            _break_clause(drafts[start:end], syllables)
            draft.break_ = _CLAUSE
            start, syllables = end, 0
    _break_clause(drafts[start:], syllables)
    drafts[-1].break_ = _SENTENCE


def _break_clause(drafts: list[Draft], left: int) -> None:
    """Set the breaks of phrases in a clause of that many syllables.

    A phrase ends where the next one plainly opens or, when it grows long, at the best place it has passed.
    """
    since = 0  # syllables since the last break
    place, until, worth = 0, 0, -1  # the best place for a break since then, the syllables up to it, how good it is
    for number, draft in enumerate(drafts):
        since += draft.syllables
        left -= draft.syllables
        if left < _LEFT or since + left < _PHRASED:
            return  # both only fall from here
        if since < _ZH_SHORTEST:
            continue
        here = _worth(draft, drafts[number + 1], since, left)
        if here == _NOW:
            draft.break_, since, worth = _PHRASE, 0, -1
            continue
        if here >= 0 and here >= worth:
            place, until, worth = number, since, here
        if worth < 0 and since >= _ZH_BREATH:
            place, until, worth = number, since, 0
        if worth >= 0 and any(since >= long and worth >= least for long, least in _ZH_LONG):
            drafts[place].break_ = _PHRASE
            since, worth = since - until, -1


def _allows(here: Draft, after: Draft) -> bool:
    """Whether nothing ties the two Mandarin words: no particle, preposition, number and measure, measure and noun."""
    text, next_text = here.text, after.text
    if next_text in _CLINGS or text in _LEANS or (text[-1] in _NUMERALS and _NUMERALS.issuperset(text)):
        return False
    if text in _COUNTS_ON and next_text[0] in _FIGURES:
        return False
    counted = text[0] in _NUMERALS and part_of_speech(text)[:1] in {"m", "r"}  # 三个, 这种, 每位
    return not counted or len(text) > 3 or next_text in _OPENS


def _invites(here: Draft, after: Draft, since: int, left: int) -> bool:
    """Whether a reader would breathe here even in a phrase that is not yet long."""
    if since < _ZH_OPEN_AFTER:
        return False
    return after.text in _OPENS or (here.text in _CLOSES and left > _LEFT)


def _worth(here: Draft, after: Draft, since: int, left: int) -> int:
    """How good a place for a break is: _NOW, 2 before a predicate, 1 before an object, 0 within a phrase, -1 never."""
    if after.lang == "en":
        return _NOW if _breathes_in_english(here, after, since, left) else -1
    if not _allows(here, after):
        return -1
    return _NOW if _invites(here, after, since, left) else _worth_of_parts(here.text, after.text, left)


def _worth_of_parts(text: str, after: str, left: int) -> int:
    """`_worth` by the parts of speech of the two words."""
    if text in {"的", "地", "得"}:
        return 0 if left >= 2 * _LEFT else -1  # 漂亮的衣服 stays together
    kind, next_kind = part_of_speech(text)[:2], part_of_speech(after)[:2]
    if kind[:1] in _NOUNS or kind in {"vn", "an"}:
        return 2 if next_kind != "vn" and next_kind[:1] in _OPENS_PREDICATE else 0
    if kind[:1] in _ATTRIBUTES:
        return -1  # 不断提高, 最新数据
    return 1 if text in {"了", "过", "着"} or (kind[:1] == "v" and next_kind[:1] in _OPENS_OBJECT) else 0


def _breathes_in_english(here: Draft, after: Draft, since: int, left: int) -> bool:
    opens = here.text.lower() in OPENS_PHRASE
    if after.text.lower() in OPENS_PHRASE:
        return since >= _EN_OPEN_AFTER and not opens
    return since >= _EN_ANY_AFTER and left > 2 * _LEFT and len(here.text) > 3 and not opens


def _text(drafts: list[Draft]) -> str:
    said = ""
    parts: list[str] = []
    for draft in drafts:
        gap = " " if draft.lang == "en" and said == "en" else ""
        parts.append(gap + draft.text + draft.pause)
        said = draft.lang
    return "".join(parts)

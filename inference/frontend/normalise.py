"""Written text to text that is all letters, hanzi and punctuation: widths, symbols, numbers, dates, money, units.

`normalise` keeps everything that can be said and hands back what cannot (emoji, other scripts). Numbers are said in the
language around them. Text of hanzi and plain punctuation alone is returned as it is. Pure; every rule is one pass.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from inference.frontend import addresses, english_numbers, mandarin_numbers
from inference.frontend.segment import HANZI
from inference.frontend.words import Language

_PLAIN: Final = re.compile(rf"[{HANZI}，。！？；：、“”‘’（）《》…—\n ]*")
_PUNCTUATION: Final = "，。！？；：、“”‘’（）《》〈〉「」『』【】〔〕…—–―·～"
_SILENT: Final = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff\u00ad\u0000-\u0008\u000e-\u001f\u007f]+"
)
_STRANGE: Final = re.compile(rf"[^\x00-\x7f{HANZI}{_PUNCTUATION}]")
_HAS_HANZI: Final = re.compile(f"[{HANZI}]")
_HAS_LATIN: Final = re.compile("[A-Za-z]")
_NEEDS_RULES: Final = re.compile(r"[^A-Za-z\s,，。！？；：、“”‘’（）《》…—!?'" + HANZI + "]")
_CLAUSE: Final = re.compile(r"[^。！？!?\n]*[。！？!?\n]*")
_ENGLISH_STRETCH: Final = re.compile(rf"[^{HANZI}，；：、（）]+")
_ENGLISH_WORDS: Final = re.compile(r"(?<![A-Za-z])[a-z]{2,}(?![A-Za-z])")

_NOT_LATIN: Final = "".join(chr(c) for c in range(128) if not chr(c).isalpha()) + _PUNCTUATION + "¥£€°±×÷≈≠≤≥‰"
_SAID: Final = {
    "℃": "°C", "℉": "°F", "㎏": "kg", "㎜": "mm", "㎝": "cm", "㎞": "km", "㎡": "m2", "㏄": "ml", "№": "No.", "￥": "¥",
    "￡": "£", "µ": "μ", "−": "-", "‐": "-", "‑": "-", "‒": "-", "⁄": "/", "∕": "/", "〜": "～", "∼": "～", "•": "、",
    "・": "·", "‧": "·", "︰": "：", "﹐": "，", "､": "、", "｡": "。", "⋯": "…", "‥": "…", "©": "", "®": "", "™": "",
    "½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3",
}  # fmt: skip
_GREEK: Final = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψω",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi "
        "chi psi omega".split(),
        strict=True,
    )
)
_KEPT: Final = frozenset("¥£€°±×÷≈≠≤≥‰")


@dataclass(frozen=True, slots=True)
class Normalised:
    """Text fit to be read, and the characters left out of it, each as often as it stood there."""

    text: str
    unspoken: tuple[str, ...]


def normalise(text: str) -> Normalised:
    """Say in words what is written in figures and symbols."""
    if _PLAIN.fullmatch(text):
        return Normalised(text, ())
    unspoken: list[str] = []
    text = _SILENT.sub("", text)

    def replace(match: re.Match[str]) -> str:
        said = _one_character(match.group())
        if said is None:
            unspoken.append(match.group())
            return " "
        return said

    text = _STRANGE.sub(replace, text)
    text = _tidy(text)
    if _NEEDS_RULES.search(text):
        mainly: Language = "zh" if _HAS_HANZI.search(text) or not _HAS_LATIN.search(text) else "en"
        text = addresses.say(text, mainly)
        text = english_numbers.join_abbreviations(text)
        text = _CLAUSE.sub(lambda match: _say_clause(match.group(), mainly), text)
    return Normalised(re.sub(r"[^\S\n]+", " ", text).strip(), tuple(unspoken))


@lru_cache(maxsize=1 << 12)
def _one_character(char: str) -> str | None:
    """What an unusual character becomes; None when nobody can say it."""
    if char in _SAID:
        return _SAID[char]
    if char in _KEPT:
        return char
    if "\ud800" <= char <= "\udfff":
        return None
    if char.lower() in _GREEK:
        return f" {_GREEK[char.lower()]} "
    plain = unicodedata.normalize("NFKD", char)
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    if all(c.isascii() or c in _PUNCTUATION or c in _KEPT or _HAS_HANZI.match(c) for c in letters):
        # a circled or Roman number stands apart from its neighbours, a width or an accent does not
        return f" {letters} " if len(letters) > 1 else letters
    return None


def _tidy(text: str) -> str:
    text = re.sub(r"(?<=[A-Za-z])’(?=[A-Za-z])", "'", text)
    text = re.sub(r"(?<![A-Za-z])[Ww]i-[Ff]i(?![A-Za-z])", "WiFi", text)
    text = re.sub(r"\.{3,}|。{3,}|…+", "…", text)
    return re.sub(r"(?<!-)-{2,3}(?!-)", "—", text)


def _say_clause(clause: str, mainly: Language) -> str:
    if not _NEEDS_RULES.search(clause):
        return clause
    if not _HAS_HANZI.search(clause):
        english = mainly == "en" or len(_ENGLISH_WORDS.findall(clause)) > 1
        return english_numbers.say(clause) if english else mandarin_numbers.say(clause)
    # an English phrase of some words inside Chinese text says its own numbers; 买 iPhone 15 does not
    said: list[str] = []
    at = 0
    for match in _ENGLISH_STRETCH.finditer(clause):
        stretch = match.group()
        if len(_ENGLISH_WORDS.findall(stretch)) >= 3 and _NEEDS_RULES.search(stretch):
            begin = match.start() + len(stretch) - len(stretch.lstrip(_NOT_LATIN))
            end = match.start() + len(stretch.rstrip(_NOT_LATIN))
            said += [mandarin_numbers.say(clause[at:begin]), english_numbers.say(clause[begin:end])]
            at = end
    return "".join(said) + mandarin_numbers.say(clause[at:])

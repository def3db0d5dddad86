"""Written text to text that is all letters, hanzi and punctuation: widths, symbols, numbers, dates, money, units.

`normalise` keeps everything that can be said and hands back what cannot (emoji, other scripts). Numbers are said in the
language around them. Text of hanzi and plain punctuation alone is returned as it is. Pure; linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from inference.frontend import addresses, shorthand
from inference.frontend.english_figures import table as english_figures
from inference.frontend.english_figures.abbreviations import join_abbreviations
from inference.frontend.hanzi import simplified
from inference.frontend.mandarin_figures import table as mandarin_figures
from inference.frontend.mandarin_figures.codes import STATUS
from inference.frontend.numerals import en_digits, zh_digits
from inference.frontend.rules import note
from inference.frontend.segment import HANZI
from inference.frontend.words import Change, Language

_PUNCTUATION: Final = "，。！？；：、“”‘’（）《》〈〉「」『』【】〔〕…—–―·～"
_PLAIN: Final = re.compile(rf"[{HANZI}，。！？；：、“”‘’（）《》…—\n ]*")
_HANZI: Final = re.compile(f"[{HANZI}]")
_CHINESE: Final = re.compile(f"[{HANZI}，。、；：！？]")
_LATIN: Final = re.compile("[A-Za-z\uff21-\uff3a\uff41-\uff5a]")
_FIGURES: Final = re.compile(
    rf"[^A-Za-z\s.,，。！？；：、“”‘’（）《》…—!?'\"{HANZI}]|\.(?=[A-Za-z\d])"
    r"|(?<![A-Za-z])(?:[IVXLCDM]{2,}|(?<=[a-z] )[IVX])(?![A-Za-z'])|(?<![A-Za-z])vs(?![A-Za-z])"
)
"""Something that a table of rules may want to say."""

_STRANGE: Final = re.compile(rf"(?<=[A-Za-z])([\u0300-\u036f]{{1,4}})|[^\n -~{HANZI}{_PUNCTUATION}]+")
_FULL_WIDTH: Final = re.compile("[\uff01-\uff5e\u3000]+")

# Between hanzi and Chinese punctuation: a stretch that may be English.
_BORDERS: Final = rf"{HANZI}，。！？；：、（）“”《》「」『』【】\n"
_STRETCH: Final = re.compile(rf"(?<![^{_BORDERS}])[^{_BORDERS}A-Za-z]*+[A-Za-z][^{_BORDERS}]*+")
_ANSWER: Final = re.compile(rf"\s?[1-5]\d\d\s(?:{STATUS})")
"""What a server answers is no English phrase, whose figures would be English: 404 Not Found."""
_WORD: Final = re.compile(r"(?<![A-Za-z\d.@/_-])[A-Za-z]+(?:'[a-z]+)?(?![A-Za-z@/_-]|\.[A-Za-z])")
_PLAIN_WORD: Final = re.compile(r"(?<![A-Za-z\d.@/_-])[a-z]{2,}(?![A-Za-z@/_-]|\.[A-Za-z])")
_FUNCTION_WORDS: Final = frozenset(
    "the an of to in on at for with from by and or is are was were be been am has have had do does did i'm i'll i've "
    "you he she it we they my your his her our their its this that these those there me him us them not don't will "
    "would "
    "can could should must if but as so what when where who how than then about after before it's let's".split()
)
_ENOUGH: Final = 400
"""Characters of a stretch looked at to tell its language."""

_SAID: Final = {
    "℃": "°C", "℉": "°F", "㎏": "kg", "㎜": "mm", "㎝": "cm", "㎞": "km", "㎡": "m^2", "㎥": "m^3", "㏄": "ml",
    "№": "No.", "￥": "¥", "￡": "£", "￠": "¢", "−": "-", "‐": "-", "‑": "-", "‒": "-", "⁄": "/", "∕": "/", "〜": "～",
    "∼": "～", "•": "、", "・": "·", "‧": "·", "︰": "：", "﹐": "，", "､": "、", "｡": "。", "．": ".", "⋯": "…",
    "‥": "…",
    "½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3", "″": '"', "′": "'", "＇": "'", "\u2028": "\n",
    "\u2029": "\n", "\x85": "\n", "\x0b": "\n", "\x0c": "\n", "\t": " ", "\r": " ", "∗": "*", "⋅": "·",
    "µ": "μ", "\u2126": "Ω", "∙": "·",
    "＂": '"', "„": "“",
    "‟": "“", "‛": "‘", "«": "《", "»": "》", "‹": "〈", "›": "〉", "﹏": "…",
}  # fmt: skip
_GREEK: Final = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψως",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi "
        "chi psi omega sigma".split(),
        strict=True,
    )
)
_KEPT: Final = "¥£€¢₩₹₽°±×÷≈≠≤≥‰√∞→∶μΩ§"
_FLOOD: Final = 1000
_STARS: Final = re.compile(r"(?<![★☆])(?:(?<=\d)\s?★|★{2,5}☆{0,4})(?![★☆])")
_NO_TEXT: Final = re.compile(f"[!-~]{{{_FLOOD},}}+")
"""So much without a blank is no text in any notation: it is spelled, and costs no rule anything."""
_CARED_FOR: Final = 50_000
"""Characters that are read with care, whatever they are: four hours of speech."""
_BLOCK: Final = 4096
_SCRAP: Final = re.compile("[a-z]++|[A-Z]++|[0-9]++|[!-/:-@\\[-`{-~]")
_SCRAPS: Final = 0.5
"""Scraps to a character: 0.25 in prose, 0.35 in a program, 0.4 to 0.6 in a table of figures, 0.6 to 0.8 in noise."""
_TANGLE: Final = re.compile("[!-/:-@\\[-`{-~]{2,}+")
_TANGLES: Final = 0.04
"""Signs beside signs to a character: none in a table of figures, 0.08 in noise."""
_SIGNS: Final = re.compile(r"""[^A-Za-z\d.,:;!?'"()\[\]{}~\s-]""")
_SIGNS_TO_NOTHING: Final = str.maketrans(
    dict.fromkeys(map(chr, (*range(0x21, 0x30), *range(0x3A, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x7F))))
)
_FEW: Final = re.compile("[A-Z]{1,3}|[0-9]+|[^\x00-\x7f]+")
_KNOWN: Final[dict[str, str | None]] = {
    **dict.fromkeys("©®™℠"),
    **{form: f" {name} " for letter, name in _GREEK.items() for form in (letter, letter.upper())},
    **{char: str(value) for row in ("ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩⅪⅫ", "ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅺⅻ") for value, char in enumerate(row, 1)},
    **{char: f"^{value}" for value, char in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{char: char for char in _KEPT},
    **_SAID,
}
"""What single characters are read as, before the rules; None for what is not said."""
_UNHEARD: Final = frozenset("Cf Cc Me".split())
"""Categories of characters that only steer others: format, control, enclosing marks."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """Text fit to be read, and the characters left out of it, each as often as it stood there."""

    text: str
    unspoken: tuple[str, ...]
    changes: tuple[Change, ...] = ()
    """What each rule made of a piece of the text: the first 1,000, by kind of rule and then in the text's order."""


def normalise(text: str) -> Normalised:
    """Say in words what is written in figures and symbols."""
    if _PLAIN.fullmatch(text):
        return Normalised(text, ())
    unspoken: list[str] = []
    changes: list[Change] = []
    # asked of the text as written, for Greek letters become Latin words
    lang: Language = "zh" if _CHINESE.search(text) or not _LATIN.search(text) else "en"
    if "★" in text:
        text = _STARS.sub(partial(_starred, lang, changes), text)
    text = _without_noise(_tidy(_known_characters(text, unspoken, changes), changes), lang, unspoken)
    if lang == "en":
        text = shorthand.say(text, changes)
    if "." in text or _FIGURES.search(text):
        text = _say(text, lang, changes)
    return Normalised(_SPACES.sub(" ", text).strip(), tuple(unspoken), tuple(changes))


def _starred(lang: Language, changes: list[Change], match: re.Match[str]) -> str:
    """★★★☆☆: three stars; 4.5★, which has its figures already."""
    many = match.group().count("★")
    if many == 1:
        said = "星" if lang == "zh" else " stars"
    else:
        said = f"{'零一二三四五'[many]}星" if lang == "zh" else f" {en_digits(str(many))} stars"
    note(changes, "stars", match.group().strip(), said.strip())
    return said


def _known_characters(text: str, unspoken: list[str], changes: list[Change]) -> str:
    """The text without what nobody can say; widths and variants of characters as the common ones."""
    if text.isascii() and text.isprintable():
        return text

    def replace(match: re.Match[str]) -> str:
        run = match.group()
        if match.lastindex:  # accents of the letter before
            note(changes, "accent", run, "")
            return ""
        if _FULL_WIDTH.fullmatch(run):
            rule, after = "width", unicodedata.normalize("NFKC", run)
        else:
            rule, known = "character", [_one_character(char) for char in run]
            if None in known:
                lost = [char for char, said in zip(run, known, strict=True) if said is None]
                unspoken.extend(lost)
                rule = "emoji" if unicodedata.category(lost[0]) == "So" else "unspoken"
            after = "".join(" " if said is None else said for said in known)
        if not run.isspace():
            note(changes, rule, run, after.strip())
        return after

    if "○" in text:  # 二○二四年: a nought, elsewhere a shape
        text = _CIRCLE.sub(partial(_noted, "character", "〇", changes), text)
    return _STRANGE.sub(replace, text)


@lru_cache(maxsize=1 << 12)
def _one_character(char: str) -> str | None:
    """What an unusual character becomes; None when nobody can say it."""
    if char in _KNOWN:
        return _KNOWN[char]
    category = unicodedata.category(char)
    if category in _UNHEARD or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        return ""
    if category == "Zs":
        return " "
    if not unicodedata.decomposition(char):
        return None
    plain = unicodedata.normalize("NFKD", char)
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    if not letters or not all(c.isascii() or c in _PUNCTUATION or c in _KEPT or _HANZI.match(c) for c in letters):
        return None
    # a circled number stands apart from its neighbours, a width or an accent does not
    return f" {letters} " if category in {"No", "So"} and not "₀" <= char <= "₉" else letters


_SPACES: Final = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
_CIRCLE: Final = re.compile("(?<=[零一二三四五六七八九〇○])○")
_TIDY: Final = (
    # what to look for first, which is cheap; the rule's name; what it finds; what that becomes
    (("’", "‘"), "apostrophe", re.compile(r"(?<=[A-Za-z])’(?=[A-Za-z])|(?<=s)’(?= )|[‘’](?=\d0s)"), "'"),
    (("-Fi", "-fi"), "word", re.compile(r"(?<![A-Za-z])[Ww]i-[Ff]i(?![A-Za-z])"), "WiFi"),
    (("n' ", "n’ ", "N' "), "word", re.compile(r"(?<= )['‘’][nN]['’](?= )"), "and"),
    (("..", "。。", "……", ". ."), "ellipsis", re.compile(r"\.{3,}|。{3,}|…{2,}|(?:\. ){3,}"), "…"),
    (("--",), "dash", re.compile(r"(?<!-)-{2,3}(?!-)"), "—"),
    (("\n",), "line", re.compile(r"(?<=[a-z,;]) ?\n(?=[a-z])"), " "),
    (("- ", "* ", "+ ", "、", "· "), "bullet", re.compile(r"(?m)^[ ]{0,8}(?:[-*+·] |、) *"), ""),
)  # fmt: skip
"""Spellings of the same thing, and marks of layout."""


def _tidy(text: str, changes: list[Change]) -> str:
    for hints, rule, pattern, after in _TIDY:
        if any(hint in text for hint in hints):
            text = pattern.sub(partial(_noted, rule, after, changes), text)
    return text


def _noted(rule: str, after: str, changes: list[Change], match: re.Match[str]) -> str:
    note(changes, rule, match.group(), after)
    return after


def _say(text: str, lang: Language, changes: list[Change]) -> str:
    text = addresses.say(text, lang, changes)
    text = join_abbreviations(text, changes)
    if not _FIGURES.search(text):
        return text
    if lang == "en":
        return english_figures.say(text, changes)
    seen = simplified(text)
    mixed = len(_PLAIN_WORD.findall(text)) > len(_HANZI.findall(text)) > 0
    said: list[str] = []
    at = 0
    for match in _STRETCH.finditer(text):
        if _ANSWER.match(match.group()):
            continue
        if _FIGURES.search(match.group()) and _is_english(match.group()[:_ENOUGH], mixed=mixed):
            said.append(mandarin_figures.say(text, changes, seen, at, match.start()))
            said.append(english_figures.say(text, changes, seen, match.start(), match.end()))
            at = match.end()
    said.append(mandarin_figures.say(text, changes, seen, at))
    return "".join(said)


def _without_noise(text: str, lang: Language, unspoken: list[str]) -> str:
    """The text with what is no text in it spelled: floods without a blank, and noise that goes on for hours."""
    if len(text) >= _FLOOD:
        text = _NO_TEXT.sub(lambda match: _spelled(match.group(), lang, unspoken), text)
    if len(text) <= _CARED_FOR:
        return text
    blocks = [text[:_CARED_FOR]]
    for at in range(_CARED_FOR, len(text), _BLOCK):
        block = text[at : at + _BLOCK]
        noise = len(_SCRAP.findall(block)) > _SCRAPS * len(block)
        noise = noise and len(_TANGLE.findall(block)) > _TANGLES * len(block)
        blocks.append(_spelled(block, lang, unspoken) if noise else block)
    return "".join(blocks)


def _spelled(run: str, lang: Language, unspoken: list[str]) -> str:
    """Letters by their names and figures one by one, a few to a word: there are so many words of them, and no more."""
    if run.isalpha():
        return run
    unspoken += _SIGNS.findall(run)
    words = _FEW.findall(run.translate(_SIGNS_TO_NOTHING).upper())
    if lang == "en":
        words = [en_digits(word) if word.isdigit() else word for word in words]
    return f" {zh_digits(' '.join(words))} "


def _is_english(stretch: str, *, mixed: bool) -> bool:
    """An English phrase inside Chinese says its own numbers; 买 iPhone 15 Pro does not.

    `mixed`: the text has more English words than hanzi.
    """
    words, plain = _WORD.findall(stretch), _PLAIN_WORD.findall(stretch)
    if len(plain) > 3 or (plain and (mixed or words[0] == "I")):
        return True
    return len(words) > 1 and any(word.lower() in _FUNCTION_WORDS for word in words)

"""One Chinese character: its commonest reading alone, and its simplified form. Pure; tables are loaded once."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from pypinyin.constants import PINYIN_DICT

from inference.frontend.phones import split_syllable

DATA: Final = Path(__file__).parent / "data"

_TONE_MARKS: Final = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
_COMPATIBLE: Final = re.compile("[\uf900-\ufaff\U0002f800-\U0002fa1f]")
_PARTICLE: Final = re.compile("(?<![名巨专專原编編论論显顯卓土拙遗遺译譯合所])著(?![名作书書称稱述者有])")
"""著 that is written for 着, not for a book."""
_DRY: Final = re.compile("(?<![康雍])乾(?![坤隆县縣陵元卦位宁寧州道清嘉德符])")
"""乾 that is written for 干, not for heaven or an emperor."""


def rows(name: str) -> list[str]:
    """The lines of a table in `data/`, without its remarks."""
    return [row for row in (DATA / name).read_text("utf-8").splitlines() if row and not row.startswith("#")]


def simplified(text: str) -> str:
    """The text in simplified characters, one for one: words are looked up in these."""
    table, traditional = _simpler()
    plain = text.translate(table) if traditional.search(text) else text
    if "著" in plain or "乾" in plain:
        plain = _DRY.sub("干", _PARTICLE.sub("着", plain))
    return _COMPATIBLE.sub(_of_one_kind, plain) if _COMPATIBLE.search(plain) else plain


@cache
def usual() -> dict[str, str]:
    """The reading of a character alone, where its commonest in running speech is not pypinyin's first."""
    pairs = (pair.partition(":") for row in rows("characters.txt") for pair in row.split())
    return {char: reading for char, _, reading in pairs}


@lru_cache(maxsize=1 << 15)
def first_reading(char: str) -> str | None:
    """The commonest reading of a character, None when nobody knows one."""
    if char in usual():
        return usual()[char]
    for marked in PINYIN_DICT.get(ord(char), "").split(","):
        reading = digit_tone(marked)
        if is_syllable(reading):  # the table also has sounds of dialects that are no syllables of ours
            return reading
    return None


@lru_cache(maxsize=1 << 12)
def digit_tone(marked: str) -> str:
    """`hǎo` → `hao3`, `nǚ` → `nv3`, `de` → `de5`."""
    apart = unicodedata.normalize("NFD", marked)
    tone = next((digit for mark, digit in _TONE_MARKS.items() if mark in apart), "5")
    plain = unicodedata.normalize("NFC", "".join(c for c in apart if c not in _TONE_MARKS))
    return plain.replace("ü", "v") + tone if plain else ""


@lru_cache(maxsize=1 << 12)
def is_syllable(reading: str) -> bool:
    """Whether the phone table has the syllable."""
    try:
        split_syllable(reading)
    except (ValueError, IndexError):
        return False
    return True


@cache
def _simpler() -> tuple[dict[int, str], re.Pattern[str]]:
    """The simplified character of each traditional one, and what finds a traditional one: ten times as fast."""
    table = {ord(pair[0]): pair[1] for row in rows("traditional.txt") for pair in row.split()}
    return table, re.compile(f"[{''.join(map(chr, table))}]")


def _of_one_kind(match: re.Match[str]) -> str:
    """A compatibility ideograph as the character it stands for."""
    plain = unicodedata.normalize("NFKC", match.group())
    return plain if len(plain) == 1 else match.group()

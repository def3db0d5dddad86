"""English words to CMUdict phones: lexicon first, then parts, then letters.

`phones_for` always has an answer for a word of ASCII letters and apostrophes: a word the lexicon lacks is cut at its
capitals (`OpenAI`), spelled (`USB`), stripped of its ending (`Lin's`) or sounded out by `letters`.
"""

from __future__ import annotations

import gzip
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from inference.frontend import letters
from inference.frontend.phones import is_voiceless_english

_DATA: Final = Path(__file__).parent / "data"

_LETTERS: Final = {
    letter: tuple(phones.split())
    for letter, phones in zip(
        "abcdefghijklmnopqrstuvwxyz",
        "EY1,B IY1,S IY1,D IY1,IY1,EH1 F,JH IY1,EY1 CH,AY1,JH EY1,K EY1,EH1 L,EH1 M,EH1 N,OW1,P IY1,K Y UW1,AA1 R,"
        "EH1 S,T IY1,Y UW1,V IY1,D AH1 B AH0 L Y UW2,EH1 K S,W AY1,Z IY1".split(","),
        strict=True,
    )
}

# Written in capitals but said as a word. Every other word of two or three capitals is spelled.
_SAID_AS_WORD: Final = frozenset(
    "NASA NATO UNESCO UNICEF OPEC AIDS COVID RAM ROM SIM PIN GIF JPEG LASER RADAR SONAR APP OK APEC ASEAN FIFA SARS "
    "SWAT WIFI JAVA LINUX".split()
)
_SPELLED: Final = frozenset("HTML HTTP HTTPS IEEE ISBN CCTV GDPR NCAA NAACP DVDS CNBC MSNBC ESPN AAAI".split())
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]")
_SIBILANTS: Final = frozenset("S Z SH ZH CH JH".split())

# Parts of speech that open an English phrase: a break may fall before them.
OPENS_PHRASE: Final = frozenset(
    "and but or nor so because although though while when where which who that if unless until since before after with "
    "without from into through during between against about as than".split()
)


def phones_for(word: str, *, shouted: bool = False) -> tuple[str, ...]:
    """The phones of a word of ASCII letters and apostrophes. `shouted`: its neighbours are in capitals too."""
    return _phones_for(word.strip("'") or "a", shouted=shouted)


def syllables(phones: tuple[str, ...]) -> int:
    """How many syllables the phones have; never less than one."""
    return sum(phone[-1].isdigit() for phone in phones) or 1


@lru_cache(maxsize=1 << 15)
def _phones_for(word: str, *, shouted: bool = False) -> tuple[str, ...]:
    lower = word.lower()
    capitals = word.isupper() and word not in _SAID_AS_WORD
    if len(word) == 1:
        return ("AH0",) if word == "a" else _LETTERS[lower]
    if capitals and not shouted and (len(word) <= 3 or word in _SPELLED) and "'" not in word:
        return _extra().get(lower) or _spell(word)
    known = _known(lower)
    if known:
        return known
    if capitals and (len(word) <= 5 or not re.search("[AEIOUY]", word)) and "'" not in word:
        return _spell(word)
    return _ending(word) or _parts(word) or _sounded(lower)


def _known(lower: str) -> tuple[str, ...] | None:
    extra = _extra().get(lower)
    if extra:
        return extra
    entry = _lexicon().get(lower)
    return tuple(entry.partition(" #")[0].split()) if entry else None


def _spell(word: str) -> tuple[str, ...]:
    return tuple(phone for letter in word.lower() for phone in _LETTERS.get(letter, ()))


def _ending(word: str) -> tuple[str, ...] | None:
    """Possessives, and the plural of what is spelled: Lin's, CPUs, DVD's."""
    stem, apostrophe, tail = word.rpartition("'")
    if apostrophe and tail.lower() == "s" and stem:
        base = _phones_for(stem)
    elif re.fullmatch("[A-Z]{2,}s", word):
        base = _phones_for(word[:-1])
    elif apostrophe and stem:
        return _phones_for(stem) + (_phones_for(tail) if tail else ())
    else:
        return None
    if base[-1] in _SIBILANTS:
        return (*base, "IH0", "Z")
    return (*base, "S" if is_voiceless_english(base[-1]) else "Z")


def _parts(word: str) -> tuple[str, ...] | None:
    """A word cut at its capitals: OpenAI, iPhone, PyTorch."""
    parts = _PARTS.findall(word)
    if len(parts) < 2:
        return None
    return tuple(phone for part in parts for phone in (_LETTERS["a"] if part == "a" else _phones_for(part)))


def _sounded(lower: str) -> tuple[str, ...]:
    plain = lower.replace("'", "")
    if not re.search("[aeiouy]", plain) or len(plain) > letters.LONGEST:
        return _spell(plain)
    return letters.phones_for(plain) or _spell(plain)


@cache
def _lexicon() -> dict[str, str]:
    """Word → phones of its first pronunciation, still one string: cutting 135 000 of them would take a second."""
    text = gzip.decompress((_DATA / "cmudict.dict.gz").read_bytes()).decode("latin-1")
    return dict(line.split(" ", 1) for line in text.splitlines())


@cache
def _extra() -> dict[str, tuple[str, ...]]:
    rows = (_DATA / "english.tsv").read_text("utf-8").splitlines()
    pairs = (row.split("\t") for row in rows if row and not row.startswith("#"))
    return {word: tuple(phones.split()) for word, phones in pairs}

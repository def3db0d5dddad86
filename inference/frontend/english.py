"""English words to CMUdict phones: lexicon first, then parts, then letters.

`read_word` always has an answer for a word of ASCII letters and apostrophes. A word of two sounds is told by its
neighbours (`heteronyms`); one the lexicon lacks is spelled (`USB`), stripped of its ending (`Lin's`), cut at its
capitals (`OpenAI`) or sounded out (`letters`).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from inference.frontend import heteronyms, letters
from inference.frontend.letters import Phones
from inference.frontend.phones import is_voiceless_english

_DATA: Final = Path(__file__).parent / "data"

Said = tuple[Phones, str]
"""CMUdict phones, and the rule that gave them; `letter-to-sound` too where only a part of a word was sounded out."""

_LETTERS: Final = {
    letter: tuple(phones.split())
    for letter, phones in zip(
        "abcdefghijklmnopqrstuvwxyz",
        "EY1,B IY1,S IY1,D IY1,IY1,EH1 F,JH IY1,EY1 CH,AY1,JH EY1,K EY1,EH1 L,EH1 M,EH1 N,OW1,P IY1,K Y UW1,AA1 R,"
        "EH1 S,T IY1,Y UW1,V IY1,D AH1 B AH0 L Y UW2,EH1 K S,W AY1,Z IY1".split(","),
        strict=True,
    )
}

# Said as words in capitals too: acronyms, and short words that signs and titles shout. Every other word of two or three
# capitals is spelled.
_SAID_AS_WORD: Final = frozenset(
    "NASA NATO UNESCO UNICEF OPEC AIDS COVID RAM ROM SIM PIN GIF JPEG LASER RADAR SONAR APP OK APEC ASEAN FIFA SARS "
    "SWAT WIFI JAVA LINUX LAN WAN ZIP BIN MERS NOT AND THE FOR YOU ARE BUT ALL CAN NEW NOW OUT TOP BIG OFF ONE "
    "TWO SIX TEN YES NO SO DO GO BY MY ME HE WE ON OF IF IN OR AS BE TO UP AN HIS HER HIM SHE HAS HAD WAS GET GOT "
    "SET PUT END DAY WAY WHY HOW OLD OUR USE TRY BUY SEE SAY SUN MON TUE WED THU FRI SAT JAN FEB MAR APR MAY JUN JUL "
    "AUG SEP OCT NOV DEC OH HI HEY WOW YEP HOT RED BOX CAR MAN BOY DOG CAT EGG FUN JOB KEY LOW MAX MIX NET OWN PAY RUN "
    "SEA SKY WAR WIN TAX TEA TOO VAN WEB ACT ADD AGE AGO AIR ANY ART ASK BAD BAG BAR BED BIT CUT DRY EAR EAT EYE "
    "FAR FAT FEW FLY HIT ICE ITS LAW LAY LEG LET LIE LOT MEN NOR ODD PER POP PRO RAW SIT SON TOY TIP MAC "
    "ACE SUM MIN ROW MAP GAS TAG BUG LOG HUB KIT PEN CUP BUS LAB FAN FIT FIX FAX BET PAD PET".split()
)
_SPELLED: Final = frozenset(
    "HTML HTTP HTTPS IEEE ISBN CCTV GDPR NCAA NAACP DVDS CNBC MSNBC ESPN AAAI UCLA USDA USPS OECD ICBM ISIS".split()
)
_PLURAL_OF_LETTERS: Final = re.compile("[A-Z]{2,}s")
_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]")
_SCOTTISH: Final = re.compile("Mc[A-Z][a-z]+")  # its capital is no joint
_LONGEST: Final = letters.LONGEST
_SPELLED_UP_TO: Final = 3
_SPELLED_UNKNOWN_UP_TO: Final = 5
"""Capitals in a row that are always spelled, and those that are spelled unless the lexicon has them."""
_SIBILANTS: Final = frozenset("S Z SH ZH CH JH".split())
_VOWEL: Final = re.compile("[aeiou]|[b-df-hj-np-tv-xz]y")
"""A word without a match has no vowel to say. A first y is none: yyds."""
_DRAWN_OUT: Final = re.compile(r"([a-z])\1{2,}")
_DRAWN_OUT_AT_END: Final = re.compile(r"([a-z])\1{2,}$")
_CLITICS: Final = {"ve": ("AH0", "V"), "ll": ("AH0", "L"), "re": ("ER0",), "m": ("AH0", "M"), "t": ("T",)}
_PREFIXES: Final = {"o": ("OW0",), "d": ("D",), "l": ("L",)}
"""Before an apostrophe: O'Shea, D'Arcy, L'Enfant."""
_SAID_OF_LETTERS: Final = frozenset("is was has had and or to can will does stands means".split())
"""Words that after a capital A say that it is a letter."""

_BEFORE_LETTER: Final = frozenset(
    "triple double vitamin plan grade group type terminal section class option exhibit serie building gate concourse "
    "hepatitis appendix schedule number tier column row block unit zone series".split()
)
"""Words after which a capital A is a letter."""

# Parts of speech that open an English phrase: a break may fall before them.
OPENS_PHRASE: Final = frozenset(
    "and but or nor so because although though while when where which who that if unless until since before after with "
    "without from into through during between against about as than".split()
)


def read_word(text: str, *, shouted: bool = False, before: str = "", after: str = "", sound_out: bool = True) -> Said:
    """How a word of ASCII letters and apostrophes is said, and by which rule.

    `shouted`: its neighbours are in capitals too. `before`, `after`: the English words of the same clause beside it,
    joined by blanks; three are enough. `sound_out=False` gives a word that nothing but its letters can tell one phone
    a letter, which takes microseconds instead of a millisecond: for texts with thousands of such words.
    """
    if len(text) > _LONGEST:
        return _long(text), "by parts"
    said = _read(text, shouted, sound_out)
    if said[1] == "heteronym":
        return _heteronym(text, before, after), "heteronym"
    if text in {"a", "A"} and _is_letter_a(text, before, after):
        return _LETTERS["a"], "spelled"
    return said


def is_told_by_place(text: str) -> bool:
    """Whether the words beside it say how the word is said."""
    return text in {"a", "A"} or heteronyms.knows(text)


def letter_by_letter(text: str) -> Phones | None:
    """What `read_word` makes of a word without `sound_out`, where it is quickly told that no list has the word."""
    if not text.islower() or "'" in text or not 1 < len(text) <= _LONGEST or not _VOWEL.search(text):
        return None
    listed = text in lexicon() or text in _own() or heteronyms.knows(text)
    return None if listed else letters.plainly(text)


@lru_cache(maxsize=1 << 15)
def syllables(phones: Phones) -> int:
    """How many syllables the phones have; never less than one."""
    return sum([phone[-1].isdigit() for phone in phones]) or 1


@cache
def lexicon() -> dict[str, str]:
    """Word → phones of its first pronunciation, still one string: cutting 135 000 of them would take a second.

    Further pronunciations have keys of their own, `word(2)`.
    """
    text = gzip.decompress((_DATA / "cmudict.dict.gz").read_bytes()).decode("latin-1")
    return dict(line.split(" ", 1) for line in text.splitlines())


def _is_letter_a(text: str, before: str, after: str) -> bool:
    if text == "a":
        return not before and not after  # 方案a: an article has a word to belong to
    last, following = before.rpartition(" ")[2], after.partition(" ")[0]
    if not after or last.lower() in _BEFORE_LETTER or following in _SAID_OF_LETTERS or len(following) == 1:
        return True
    if not before:
        return False  # A German firm
    if following.islower():
        return not last.islower() or last in {"an", "the", "got", "straight"}
    return not last[0].isupper()  # Once Upon A Time


@lru_cache(maxsize=1 << 14)
def _heteronym(text: str, before: str, after: str) -> Phones:
    return heteronyms.read(text, before, after)


class _Token(NamedTuple):
    """A word to read by itself."""

    text: str
    lower: str
    shouted: bool
    sound_out: bool
    guessed: list[str]
    """Parts of it, read so far, that nothing but their letters could tell."""

    def read(self, part: str) -> Phones:
        """A part of it, in the same way."""
        if part == "a":
            return _LETTERS["a"]
        phones, rule = _read(part, self.shouted, self.sound_out)
        if rule == "letter-to-sound":
            self.guessed.append(part)
        return phones


@lru_cache(maxsize=1 << 15)
def _read(word: str, shouted: bool, sound_out: bool) -> Said:  # noqa: FBT001 - in order, for the cache
    """How a word of at most _LONGEST letters is said by itself; a heteronym as after `the`."""
    text = word.strip("'") or "a"
    token = _Token(text, text.lower(), shouted, sound_out, [])
    phones, rule = next((phones, rule) for rule, said in _RULES if (phones := said(token)))
    return phones, "letter-to-sound" if token.guessed else rule


def _letter(token: _Token) -> Phones | None:
    return _LETTERS[token.lower] if len(token.text) == 1 else None


def _article(token: _Token) -> Phones | None:
    return ("AH0",) if token.lower == "a" else None


def _own_word(token: _Token) -> Phones | None:
    return _own().get(token.text) or _own().get(token.lower)


def _abbreviation(token: _Token) -> Phones | None:
    """What is written in capitals because it is no word."""
    text = token.text
    if token.shouted or not text.isupper() or "'" in text or text in _SAID_AS_WORD:
        return None
    return _spell(text) if len(text) <= _SPELLED_UP_TO or text in _SPELLED else None


def _heteronym_alone(token: _Token) -> Phones | None:
    return heteronyms.read(token.lower, "the", "") if heteronyms.knows(token.lower) else None


def _listed(token: _Token) -> Phones | None:
    return None if _PLURAL_OF_LETTERS.fullmatch(token.text) else known_phones(token.lower)


def _ended(token: _Token) -> Phones | None:
    """What an apostrophe parts, and the plural of what is spelled: Lin's, they'd've, O'Shea, CPUs, DVD's."""
    head, apostrophe, rest = token.text.partition("'")
    if not apostrophe:
        return _with_s(token.read(head[:-1])) if _PLURAL_OF_LETTERS.fullmatch(head) else None
    if head.lower() in _PREFIXES and len(rest) > 2:
        return _PREFIXES[head.lower()] + token.read(rest)
    stem, _, tail = token.text.rpartition("'")
    base = token.read(stem)
    if tail.lower() == "s":
        return _with_s(base)
    if tail.lower() == "d":
        return (*base, "AH0", "D") if base[-1] in {"T", "D"} else (*base, "D")
    return base + (_CLITICS.get(tail.lower()) or token.read(tail))


def _drawn_out(token: _Token) -> Phones | None:
    """A word with a letter drawn out: sooo, coool, pleeease. Two are tried first inside the word, one at its end."""
    text = token.lower
    if not _DRAWN_OUT.search(text):
        return None
    for inside, last in (("\\1\\1", "\\1"), ("\\1", "\\1"), ("\\1\\1", "\\1\\1"), ("\\1", "\\1\\1")):
        word = _DRAWN_OUT.sub(inside, _DRAWN_OUT_AT_END.sub(last, text))
        if word in _own() or known_phones(word) or heteronyms.knows(word):
            return token.read(word)
    return None


def _unknown_capitals(token: _Token) -> Phones | None:
    text = token.text
    spelled = text.isupper() and len(text) <= _SPELLED_UNKNOWN_UP_TO and text not in _SAID_AS_WORD
    return _spell(text) if spelled else None


def _parts(token: _Token) -> Phones | None:
    """A word cut at its capitals, each part read by itself: OpenAI, iPhone, PyTorch."""
    parts = [] if token.text == token.lower or _SCOTTISH.fullmatch(token.text) else _PARTS.findall(token.text)
    return tuple(phone for part in parts for phone in token.read(part)) if len(parts) > 1 else None


def _without_vowel(token: _Token) -> Phones | None:
    return None if _VOWEL.search(token.lower) else _spell(token.text)


def _sounded(token: _Token) -> Phones:
    return _letter_to_sound().phones_for(token.lower) if token.sound_out else letters.plainly(token.lower)


_RULES: Final[tuple[tuple[str, Callable[[_Token], Phones | None]], ...]] = (
    ("lexicon", _article),
    ("spelled", _letter),
    ("own lexicon", _own_word),
    ("spelled", _abbreviation),
    ("heteronym", _heteronym_alone),
    ("lexicon", _listed),
    ("ending", _ended),
    ("by parts", _drawn_out),
    ("spelled", _unknown_capitals),
    ("by parts", _parts),
    ("spelled", _without_vowel),
    ("letter-to-sound", _sounded),
)
"""The rules in order; the first that has phones for a word says it."""


def _long(text: str) -> Phones:
    """A word longer than any is, piece by piece, in linear time; a piece that is still too long is spelled."""
    token = _Token("", "", shouted=False, sound_out=False, guessed=[])
    pieces = _PARTS.findall(text)
    said = (_spell(piece) if len(piece) > _LONGEST else token.read(piece) for piece in pieces)
    return tuple(phone for phones in said for phone in phones) or _LETTERS["a"]


def _spell(word: str) -> Phones:
    return tuple(phone for letter in word.lower() for phone in _LETTERS.get(letter, ()))


def _with_s(base: Phones) -> Phones:
    if base[-1] in _SIBILANTS:
        return (*base, "IH0", "Z")
    return (*base, "S" if is_voiceless_english(base[-1]) else "Z")


def known_phones(lower: str) -> Phones | None:
    """The first pronunciation that the lexicon lists for a word in small letters."""
    entry = lexicon().get(lower)
    return tuple(entry.partition(" #")[0].split()) if entry else None


@cache
def _letter_to_sound() -> letters.LetterToSound:
    return letters.load(known_phones)


@cache
def _own() -> dict[str, tuple[str, ...]]:
    """Words of ours: a key with a capital is for that spelling alone, one without for any."""
    rows = (_DATA / "english.tsv").read_text("utf-8").splitlines()
    pairs = (row.split("\t") for row in rows if row and not row.startswith("#"))
    return {word: tuple(phones.split()) for word, phones in pairs}

"""The user's own readings: a lexicon from what is written to how it is said, checked and compiled once.

A reading is written in one of three ways, and refused with the place of the fault if it is none of them:

    chong2 qing4        pinyin with tone digits, a syllable for each Chinese character; erhua may take two (`wanr2`)
    S IY1 K W AH0 L     CMUdict phones, in capitals
    sequel              plain words without digits, which are read as if they stood there

A key is found as it is written, capitals and all: Chinese anywhere, Latin and figures not inside a longer word or
number, the longest key first. A key `字|reading` is for those places where 字 would be read so otherwise:
`{"行|hang2": "xing2"}`. Pure but for `read_lexicon`; time is linear in the text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from inference.frontend.phones import ENGLISH_CONSONANTS, ENGLISH_VOWELS, split_syllable
from inference.frontend.sandhi import is_rhotic, syllable_starts
from inference.frontend.segment import HANZI
from inference.frontend.words import Language

MAX_ENTRIES: Final = 10_000
"""Entries of one lexicon: every name a large house has, and still compiled in a quarter of a second."""
MAX_KEY: Final = 64
"""Characters of a key. A text is compared with keys of all lengths at each of its places, so this bounds the time."""
MAX_READING: Final = 512
"""Characters of a reading: eight for each of the longest key, as `zhuang1` and a blank take."""
MAX_FILE_BYTES: Final = 16 << 20
"""More than the most entries of the greatest length take."""

LATIN: Final = "A-Za-z\u00c0-\u024f"
"""Latin letters, as the inside of a regular expression's class."""

_EXPECTED: Final = "pinyin (chong2 qing4), CMUdict phones in capitals (S IY1 K W AH0 L) or plain words (sequel)"
_ALL_HANZI: Final = re.compile(f"[{HANZI}]+")
_PLAIN_WORDS: Final = re.compile(rf"(?=.*[{LATIN}{HANZI}])[{LATIN}{HANZI} '’-]+")
_GOES_ON_HERE: Final = re.compile(rf"(?<=[{LATIN}])[{LATIN}]|(?<=[0-9])[0-9]|(?<=[{LATIN}]['’])[{LATIN}]")
_GOES_ON_AFTER: Final = re.compile(rf"(?<=[{LATIN}])(?:[{LATIN}]|['’](?![sS](?![{LATIN}]))[{LATIN}])|(?<=[0-9])[0-9]")
"""The same word or number before and after a place. A possessive 's is no part of the word: Nguyen's."""

USER_LEXICON: Final = "user lexicon"
OVERRIDE: Final = "override"
GIVEN_RULES: Final = frozenset({USER_LEXICON, OVERRIDE})
"""Rules of words whose reading is the user's own, which no other rule may change."""


class LexiconError(ValueError):
    """An entry of a lexicon, or its file, is not as it should be; the message says which, where and what is."""


class ReadingError(ValueError):
    """A reading is not as it should be; the message says where in it, and what was expected."""


class Given(NamedTuple):
    """A piece of text, and the reading that the user gave for it."""

    text: str
    lang: Language
    readings: tuple[str, ...]
    """zh: pinyin. en: CMUdict phones."""
    rule: str
    """Where it was given: `user lexicon` or `override`."""


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """Readings by what is written. Made by `Lexicon.of` or `read_lexicon`, and never changed."""

    _entries: Mapping[str, Given | str]
    _exchanged: Mapping[tuple[str, str], str]
    """(character, its reading) → the reading to take instead."""
    _lengths: Mapping[str, tuple[int, ...]]
    """First character → the lengths of the keys that begin with it, the longest first."""
    _begins: re.Pattern[str] | None
    """Finds the first character of any key."""

    @classmethod
    def of(cls, mapping: Mapping[str, str]) -> Lexicon:
        """Check and compile `mapping`. LexiconError names the first entry at fault, the place and what was expected."""
        if len(mapping) > MAX_ENTRIES:
            raise LexiconError(f"the lexicon has {len(mapping)} entries; it may have {MAX_ENTRIES}")
        entries: dict[str, Given | str] = {}
        exchanged: dict[tuple[str, str], str] = {}
        lengths: dict[str, set[int]] = {}
        for key, value in mapping.items():
            try:
                written, bar, usual = _checked_key(key)
                if bar:
                    exchanged[_one_character(written), _one_syllable(usual)] = _one_syllable(value)
                else:
                    entries[key] = parse_reading(key, value, USER_LEXICON)
                    lengths.setdefault(key[0], set()).add(len(key))
            except ReadingError as error:
                raise LexiconError(f"lexicon entry {key!r}: {error}") from None
        longest_first = {char: tuple(sorted(own, reverse=True)) for char, own in lengths.items()}
        begins = re.compile(f"[{re.escape(''.join(lengths))}]") if lengths else None
        return cls(entries, exchanged, longest_first, begins)

    def __len__(self) -> int:
        return len(self._entries) + len(self._exchanged)

    def find(self, text: str, start: int, end: int) -> Iterator[tuple[int, int, Given | str]]:
        """The keys in `text[start:end]` from left to right: where each begins and ends, and what is given for it."""
        if self._begins is None:
            return
        at = start
        while match := self._begins.search(text, at, end):
            begin = match.start()
            at = begin + 1
            if _GOES_ON_HERE.match(text, begin):
                continue
            for length in self._lengths[match.group()]:
                stop = begin + length
                entry = self._entries.get(text[begin:stop]) if stop <= end else None
                if entry is not None and not _GOES_ON_AFTER.match(text, stop):
                    yield begin, stop, entry
                    at = stop
                    break

    def exchange(self, char: str, reading: str) -> str | None:
        """What to read where `char` would be read as `reading`, None if no entry says so."""
        return self._exchanged.get((char, reading))

    @property
    def exchanges(self) -> bool:
        """Whether `exchange` ever gives anything."""
        return bool(self._exchanged)


def read_lexicon(path: Path) -> Lexicon:
    """The lexicon in a JSON file, one object of strings. LexiconError if it is none, OSError if it cannot be read."""
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise LexiconError(f"{path} is longer than {MAX_FILE_BYTES >> 20} MiB")
    try:
        mapping = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_doubles)
    except UnicodeDecodeError as error:
        raise LexiconError(f"{path} is not text in UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise LexiconError(f"{path} is not JSON: {error.msg}, line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise LexiconError(f"{path} is nested too deeply; one object of strings is expected") from error
    if not isinstance(mapping, dict):
        raise LexiconError(f'{path} is not one object of strings, such as {{"SQL": "sequel"}}')
    return Lexicon.of(mapping)


def parse_reading(text: str, reading: object, rule: str) -> Given | str:
    """What is given for `text`: readings, or other words to read in its place. ReadingError if it is neither."""
    reading = _checked_reading(reading)
    if not text:
        raise ReadingError("there is no text before the bar; expected some")
    if not any(char.isdigit() for char in reading):
        if not _PLAIN_WORDS.fullmatch(reading):
            raise ReadingError(f"{reading!r} is no reading; expected {_EXPECTED}")
        return reading.strip()
    if any("A" <= char <= "Z" for char in reading):
        return Given(text, "en", _cmudict_phones(reading), rule)
    syllables = _pinyin(reading)
    if _ALL_HANZI.fullmatch(text) and not _fits(text, syllables):
        counts = f"{len(syllables)} syllable(s) for {len(text)} character(s)"
        raise ReadingError(f"{reading!r} has {counts}; expected one for each, or erhua as in wanr2 for 玩儿")
    return Given(text, "zh", syllables, rule)


def _checked_key(key: str) -> tuple[str, str, str]:
    written, bar, usual = key.partition("|")
    if not written or written != written.strip() or not written.isprintable() or "<" in written or ">" in written:
        raise ReadingError("expected a key of one line without < and > and without blanks at its ends")
    if len(written) > MAX_KEY:
        raise ReadingError(f"the key has {len(written)} characters; it may have {MAX_KEY}")
    return written, bar, usual


def _checked_reading(reading: object) -> str:
    if not isinstance(reading, str):
        value = json.dumps(reading, default=repr)[:40]
        raise ReadingError(f"the reading is {value}, not a string; expected {_EXPECTED}")
    if len(reading) > MAX_READING:
        raise ReadingError(f"the reading has {len(reading)} characters; it may have {MAX_READING}")
    return reading


def _one_character(text: str) -> str:
    if len(text) != 1 or not _ALL_HANZI.fullmatch(text):
        raise ReadingError("expected one Chinese character before the key's bar")
    return text


def _one_syllable(reading: object) -> str:
    syllables = _pinyin(_checked_reading(reading))
    if len(syllables) != 1:
        raise ReadingError(f"{reading!r} has {len(syllables)} syllables; expected one for one character, as in hang2")
    return syllables[0]


def _fits(text: str, syllables: tuple[str, ...]) -> bool:
    last = syllable_starts(text, syllables)[-1]
    coloured = is_rhotic(syllables[-1]) and text[last + 1 : last + 2] in {"儿", "兒"}
    return last + (2 if coloured else 1) == len(text)


def _pinyin(reading: str) -> tuple[str, ...]:
    syllables = []
    for number, match in enumerate(re.finditer(r"\S+", reading), start=1):
        syllable = match.group().replace("u:", "v").replace("ü", "v")
        if not _is_syllable(syllable):
            where = f"syllable {number}, {match.group()!r} at offset {match.start()} of the reading"
            raise ReadingError(f"{where}, is not pinyin with a tone from 1 to 5; expected {_EXPECTED}")
        syllables.append(syllable)
    if not syllables:
        raise ReadingError(f"the reading is empty; expected {_EXPECTED}")
    return tuple(syllables)


@lru_cache(maxsize=1 << 11)  # more than there are
def _is_syllable(text: str) -> bool:
    try:
        split_syllable(text)
    except ValueError:
        return False
    return re.fullmatch("[a-zê]+[1-5]", text) is not None


def _cmudict_phones(reading: str) -> tuple[str, ...]:
    phones = []
    for number, match in enumerate(re.finditer(r"\S+", reading), start=1):
        phone = match.group()
        if phone not in ENGLISH_CONSONANTS and not (phone[:-1] in ENGLISH_VOWELS and phone[-1] in "012"):
            where = f"phone {number}, {phone!r} at offset {match.start()} of the reading"
            raise ReadingError(f"{where}, is not in CMUdict, where vowels end in 0, 1 or 2; expected {_EXPECTED}")
        phones.append(phone)
    return tuple(phones)


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        ((key, times),) = Counter(key for key, _ in pairs).most_common(1)
        raise LexiconError(f"lexicon entry {key!r}: it is there {times} times; expected one reading")
    return mapping

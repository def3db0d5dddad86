"""English words of one spelling and two sounds, told apart by the words beside them: to read, have read; a record.

`data/heteronyms.tsv` has a row for each reading of a word: the word, when it is read so, its CMUdict phones. "When" is
any of

    noun adjective infinitive verb past participle    its part of speech, as far as the neighbours tell
    name place                  it has a capital inside a sentence (Polish), and follows in, at, from … too (Nice)
    -word +word                 the word just before it, just after it
    +word_word                  the two words after it; `$` where the clause ends
    <word >word                 a word somewhere before it, after it
    else                        no row says otherwise

Rows are tried in order, so a neighbour above the parts of speech outranks them and one below yields. Pure.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_DATA: Final = Path(__file__).parent / "data" / "heteronyms.tsv"

# Words after which the next is what the table's name says. Common adjectives count as determiners: a noun follows both.
_DETERMINERS: Final = frozenset(
    "a an the this these those my your his her our their its no any some each every either neither another such "
    "whose many few several one two three four five six seven eight nine ten hundred own new old good great big "
    "small little bad best".split()
)
_AUXILIARIES: Final = frozenset(
    "do does did will would can cannot could shall should may might must don't doesn't didn't won't wouldn't can't "
    "couldn't shouldn't mustn't".split()
)
_BEFORE_INFINITIVE: Final = _AUXILIARIES | set("to let let's lets please gonna wanna gotta help helps helped".split())
_SINGULAR_SUBJECTS: Final = frozenset("he she it everyone someone nobody everybody".split())
_PLURAL_SUBJECTS: Final = frozenset("i you we they who which people men women children police".split())
_TELLERS: Final = frozenset("i we they who".split())
_BE: Final = frozenset(
    "is are was were be been being am isn't aren't wasn't weren't i'm you're we're they're it's that's there's what's "
    "seem seems seemed feel feels felt look looks looked stay stayed become became becomes".split()
)
_HAVE: Final = frozenset(
    "have has had having haven't hasn't hadn't i've you've we've they've he's she's who've who's could've should've "
    "would've must've might've".split()
)
_DEGREES: Final = frozenset("very so too quite more most less least pretty fairly how as rather".split())
_PREPOSITIONS: Final = frozenset(
    "of in on at for with by from into about under over after before without per via between against during through "
    "like than within upon towards beyond despite".split()
)
_PLACE: Final = frozenset("in at from to near".split())
_OBJECTS: Final = frozenset("me him us them her it you".split())
_CAUSES: Final = frozenset("let lets make makes made help helps helped see saw watch watched hear heard have".split())
_KEEPS: Final = frozenset("keep keeps kept make makes made get gets got find found hold held watch see hear".split())
_OPENS_OBJECT: Final = _OBJECTS | set(
    "a an the this these those my your his our their its any some every each that myself yourself himself herself "
    "itself ourselves yourselves themselves".split()
)
_FINITE: Final = frozenset("is was are were will would has had can could should may might must".split())
_JOINTS: Final = frozenset("and or but nor if when while because that where then what why whether".split())
_BEFORE_NOUN: Final = _DETERMINERS | _PREPOSITIONS | _OBJECTS | {"to"}
_TO_NOUN: Final = frozenset(
    "due access listen listening listened respond responded response according thanks subject exposure addicted prior "
    "committed contribute contributed change changes attention addition link links linked opposed".split()
)
"""Words whose `to` is a preposition: access to content."""
_KINDS: Final = frozenset("sales sports news goods savings arms systems operations customs business".split())
"""Words in s that name a thing's kind, not the one who does it: a sales contract."""
_ADVERBS: Final = frozenset(
    "also always never often just still even already ever sometimes usually only soon now then again really first next "
    "last all both not".split()
)
"""Words that may stand between a word and the one that tells what it is; those in -ly are others."""
_ALIKE: Final = {
    "noun": ("noun", "adjective"),
    "adjective": ("adjective", "noun"),
    "infinitive": ("infinitive", "verb"),
    "verb": ("verb",),
    "past": ("past", "verb"),
    "participle": ("participle", "adjective", "noun"),
    "": (),
}
"""For each part of speech, those whose row serves it, best first."""


class _Row(NamedTuple):
    """One reading of a word, and when it is read so."""

    when: frozenset[str]
    phones: tuple[str, ...]


def knows(text: str) -> bool:
    """Whether the word is one of two sounds."""
    return text.lower() in _table()


def read(text: str, before: str, after: str) -> tuple[str, ...]:
    """The CMUdict phones of a heteronym that `knows` knows, between its neighbours.

    `before`, `after`: the words of its clause beside it, joined by blanks, as many as are known.
    """
    rows = _table()[text.lower()]
    left, right = before.lower().split()[::-1], after.lower().split()
    around = {*(f"<{word}" for word in left), *(f">{word}" for word in right)}
    around |= {*(f"-{word}" for word in left[:1]), *(f"+{word}" for word in right[:1])}
    if right:
        around.add(f"+{right[0]}_{right[1] if len(right) > 1 else '$'}")
    if left and text[0].isupper() and not text.isupper():
        around |= {"name", "place"} if left[0] in _PLACE else {"name"}
    inflected = text.lower().endswith("s") and not text.lower().endswith("ss")  # records: things, or what he does
    return (
        _first(rows, _sure(left, right, inflected=inflected), around)
        or _first(rows, _guess(left, right, inflected=inflected), set())
        or _first(rows, "", {"else"})
        or rows[0].phones
    )


def _first(rows: tuple[_Row, ...], part: str, others: set[str]) -> tuple[str, ...] | None:
    """The first row that serves a part of speech or has one of the other conditions."""
    serves = next((alike for alike in _ALIKE[part] if any(alike in row.when for row in rows)), "")
    return next((row.phones for row in rows if serves in row.when or not others.isdisjoint(row.when)), None)


def _sure(left: list[str], right: list[str], *, inflected: bool) -> str:
    """The part of speech that the function words around it demand; "" if they demand none. `left` begins nearest."""
    near, far = _nearest(left)
    joined = near in {"and", "or"}
    while near in {"and", "or"}:  # to import and export: as the word before `and`
        left = left[left.index(near) + 2 :]
        near, far = _nearest(left)
    object_follows = bool(right) and right[0] in _OPENS_OBJECT - {"every", "each"}
    if left and left[0] in _DEGREES and not object_follows:
        return "adjective"
    if near in _SINGULAR_SUBJECTS | _PLURAL_SUBJECTS:
        return _after_subject(near, far, object_follows=object_follows, inflected=inflected)
    if near == "one" and inflected:
        return "verb"
    if near in _HAVE | _BE:
        return "participle"
    if _before_infinitive(near, far):
        return "noun" if inflected else "infinitive"
    part = "verb" if joined and object_follows else "noun"  # open the app and record a note
    return part if near in _BEFORE_NOUN or near.endswith(("'s", "s'")) else ""


def _before_infinitive(near: str, far: str) -> bool:
    if near in _OBJECTS:
        return far in _CAUSES
    return near.endswith(("'ll", "'d")) or (near in _BEFORE_INFINITIVE and not (near == "to" and far in _TO_NOUN))


def _after_subject(near: str, far: str, *, object_follows: bool, inflected: bool) -> str:
    if far in _HAVE | _BE:  # have you read, is it close
        return "participle"
    if near == "it" and far in _KEEPS:  # watch it live
        return "adjective"
    if inflected:
        return "verb" if near in _SINGULAR_SUBJECTS | {"who", "which"} else "noun"
    if far in _AUXILIARIES | _CAUSES:  # did you read, let it live
        return "infinitive"
    return "past" if near in _SINGULAR_SUBJECTS or (near in _TELLERS and object_follows) else "verb"


def _guess(left: list[str], right: list[str], *, inflected: bool) -> str:
    """The likelier part of speech after a word of content, or none: an object follows verbs, `of` follows nouns."""
    near, far = _nearest(left)
    after = right[0] if right else ""
    plural = near.endswith("s") and not near.endswith(("ss", "us", "is")) and near not in _KINDS | _CAUSES | _KEEPS
    if any(word in _AUXILIARIES for word in left[2:3]) and far in _DETERMINERS and not inflected:
        return "infinitive"  # what does the company produce
    if after in _OPENS_OBJECT:
        return "verb" if plural or inflected or not near else "past"
    if after == "of" or after in _FINITE:
        return "noun"
    if not near or near in _JOINTS:
        return ""
    if inflected:
        return "verb" if far in _DETERMINERS and after and after not in _JOINTS | _PREPOSITIONS else ""
    return "verb" if plural else "noun"


def _nearest(left: list[str]) -> tuple[str, str]:
    """The two words before it, from the first on that is no adverb; "" where there is none."""
    skipped = next((n for n, word in enumerate(left) if not _is_adverb(word)), len(left))
    near, far = [*left[skipped:], "", ""][:2]
    return near, far


def _is_adverb(word: str) -> bool:
    return word in _ADVERBS or (word.endswith("ly") and len(word) > 4)


@cache
def _table() -> dict[str, tuple[_Row, ...]]:
    table: dict[str, tuple[_Row, ...]] = {}
    for line in _DATA.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            word, when, phones = line.split("\t")
            table[word] = (*table.get(word, ()), _Row(frozenset(when.split()), tuple(phones.split())))
    return table

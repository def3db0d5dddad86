"""Weak forms: how small English words sound inside a phrase. Pure.

The forms are those of General American (Wells, Longman Pronunciation Dictionary, "weak forms"): a function word loses
its stress, and often its vowel, unless it ends its breath.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from inference.frontend.phones import Break
from inference.frontend.words import Word

_WEAK: Final = {
    word: tuple(phones.split())
    for word, phones in (
        row.split(" ", 1)
        for row in """
and AH0 N D|as AH0 Z|at AH0 T|but B AH0 T|can K AH0 N|could K UH0 D|for F ER0|from F R AH0 M|of AH0 V|or ER0|nor N ER0
an AH0 N|than DH AH0 N|that DH AE0 T|the DH AH0|to T AH0
into IH0 N T AH0|in IH0 N|on AA0 N|by B AY0|with W IH0 DH|if IH0 F
am AE0 M|are ER0|be B IY0|been B IH0 N|is IH0 Z|was W AH0 Z|were W ER0|do D UW0|does D AH0 Z|did D IH0 D
has HH AE0 Z|have HH AE0 V|had HH AE0 D|will W AH0 L|would W UH0 D|should SH UH0 D|must M AH0 S T|i'm AY0 M|it's IH0 T S
i AY0|he HH IY0|she SH IY0|we W IY0|they DH EY0|you Y UW0|it IH0 T|me M IY0|us AH0 S|him HH IH0 M|them DH AH0 M
my M AY0|his HH IH0 Z|her HH ER0|its IH0 T S|our AW0 ER0|their DH EH0 R|your Y ER0
""".strip().replace("\n", "|").split("|")
    )
}  # fmt: skip
_BEFORE_VOWEL: Final = {"the": ("DH", "IY0"), "to": ("T", "UW0"), "into": ("IH0", "N", "T", "UW0")}
_PRONOUNS: Final = frozenset("me us him her them it you".split())
"""Weak at the end of a breath too: I've SEEN it."""
_CLAUSE: Final = Break.CLAUSE  # an enum's members are slow to look up
_CONTRACTION: Final = re.compile("(?:i|you|he|she|it|we|they)'(?:m|re|s|ve|ll|d)")
"""Keeps its sounds and loses its stress."""
_HAVE: Final = frozenset("have has had".split())
_OPENS_OBJECT: Final = frozenset("a an the to no some any my your his her its our their this that these those".split())
_MAY_BE_NOUNS: Final = frozenset("can will must".split())
_DETERMINERS: Final = frozenset("a the my your his her its our their own free".split())


def weaken(words: list[Word]) -> None:
    """Give the English words of one sentence their weak forms, in place; their breaks must be set.

    A word before a pause or before Mandarin stays strong, and so do a word in capitals (`IT`), a first `that`, `have`
    where it is the verb itself (`they HAVE a dog`, `I HAVE to`) and `can`, `will`, `must` where they are nouns.
    """
    last = len(words) - 1
    stressed = False  # whether the breath has a stress yet: else its last word must keep one
    begins = True
    for number, word in enumerate(words):
        ends = number == last or word.break_ >= _CLAUSE or words[number + 1].lang != "en"
        weak = None
        if word.lang == "en":
            weak = _form(word, None if begins else words[number - 1], None if ends else words[number + 1])
        if weak is None or (ends and not stressed):
            stressed = True
        else:
            words[number] = replace(word, spoken=weak)
        stressed &= not ends
        begins = ends


def _form(word: Word, before: Word | None, after: Word | None) -> tuple[str, ...] | None:
    """The weak form between its neighbours in the breath, or None if the word stays as it is."""
    text = word.text.lower()
    if after and "'" in text and _CONTRACTION.fullmatch(text):
        return tuple(phone.replace("1", "0") for phone in word.readings)
    if text not in _WEAK or _stays_strong(word, before, after):
        return None
    if after and after.readings[0][-1].isdigit() and text in _BEFORE_VOWEL:
        return _BEFORE_VOWEL[text]
    return _WEAK[text]


def _stays_strong(word: Word, before: Word | None, after: Word | None) -> bool:
    text = word.text.lower()
    if (word.text.isupper() and text != "i") or (after is None and text not in _PRONOUNS):
        return True
    if before is None:
        return text == "that"
    if text in _HAVE:
        return after is not None and after.text.lower() in _OPENS_OBJECT
    return text in _MAY_BE_NOUNS and before.text.lower() in _DETERMINERS

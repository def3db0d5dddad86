"""English words that are written short without a figure: btw, tmrw, w/, YoY, Mon–Fri, Va., 12 N. Main St. Pure, linear.

`data/shorthand.tsv` has the words. What may be a word or a name of its own is taken for shorthand only where its
neighbours say so: `u` but for `the u`, `Sat` before a time of day, `Mo.` after a town.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from inference.frontend.hanzi import rows
from inference.frontend.numerals import en_digits, en_figures
from inference.frontend.rules import Match, after, before, note
from inference.frontend.words import Change

_Said = Callable[[Match], str | None]
_Pattern = re.Pattern[str]


def _load() -> dict[str, dict[str, str]]:
    """Kind → what is written → what is said."""
    table: dict[str, dict[str, str]] = {}
    for row in rows("shorthand.tsv"):
        kind, short, said = row.split("\t")
        table.setdefault(kind, {})[short] = said
    return table


_TABLE: Final = _load()
_ABBREVIATIONS: Final = _TABLE["abbreviation"]
_WORDS: Final = _TABLE["word"] | _ABBREVIATIONS
_STATES: Final = _TABLE["state"]
_POSTAL: Final = _TABLE["postal"]
_DAYS: Final = _TABLE["day"]
_MONTHS: Final = _TABLE["month"]
_STREETS: Final = _TABLE["street"]
_ROOMS: Final = _TABLE["room"]
_DIRECTIONS: Final = _TABLE["direction"]
_SLASHED: Final = _TABLE["slash"]
_LETTERS: Final = frozenset("u U ur Ur yr hr rm ea AA def WoW b c k K n r".split())
"""Short forms that are letters, words or units too, and told by their neighbours."""
_HINTS: Final = frozenset(
    {*_WORDS, *_STATES, *_POSTAL, *_DAYS, *_DAYS.values(), *_MONTHS, *_MONTHS.values(), "May", *_STREETS, *_ROOMS}
    | {short.capitalize() for short in _WORDS}
    | {*_LETTERS, *_DIRECTIONS, *"wjymqvMR24", "gov"}
)
"""Words of a text that may have something short in it."""
_PIECE: Final = re.compile(r"[A-Za-z\d]+")


def _any(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest first."""
    return "|".join(map(re.escape, sorted(set(words), key=len, reverse=True)))


def say(text: str, changes: list[Change]) -> str:
    """The English text with its shorthand written out."""
    if _HINTS.isdisjoint(_PIECE.findall(text)):
        return text
    for rule, pattern, said in _STEPS:
        text = pattern.sub(partial(_replaced, rule, said, changes), text)
    return text


def _replaced(rule: str, said: _Said, changes: list[Change], match: Match) -> str:
    written = said(match)
    if written is None:
        return match.group()
    note(changes, rule, match.group().strip(), written.strip())
    return written


# addresses

_STREET: Final = re.compile(
    rf"(?<![\w.,$-])(?:(\d{{1,5}}[A-Z]?)\s)?((?:[NSEW]|N[EW]|S[EW])\.?\s)?"
    rf"((?:[A-Z][a-z]+|\d{{1,3}}(?:st|nd|rd|th))\s(?:[A-Z][a-z]+\s)?)({_any(_STREETS)})(\.?)"
    r"(\s(?:NE|NW|SE|SW)(?!\w))?(?![\w'.])"
)
_NOT_ALONE: Final = frozenset("St Dr Ct Pl Sq Ter Cir".split())
"""Streets only with a number, or where the sentence ends: Uncle St. Nick."""
_LINE_GOES_ON: Final = re.compile(r"\s[A-Z][a-z]")
_ROOM: Final = re.compile(rf"(?<![\w'.])({_any(_ROOMS)})\.?\s(?=\d|[A-Z](?!\w))")
_DIRECTION: Final = re.compile(rf"(?<![\w.])({_any(_DIRECTIONS)})(?=\sof\s[A-Za-z])")


def _street(match: Match) -> str | None:
    number, direction, name, street, dot, part = match.groups()
    goes_on = after(match, _LINE_GOES_ON)
    sure = number or direction or name[0].isdigit()  # E. 55th St.
    if not sure and street in _NOT_ALONE and (dot or goes_on):
        return None
    said = [name + _STREETS[street]]
    if direction:
        said.insert(0, _DIRECTIONS[direction.strip(" .")])
    if number:
        digits = number.rstrip(string.ascii_uppercase)
        said[:0] = [en_figures(digits), *number[len(digits) :]]
    if part:
        said.append(_DIRECTIONS[part.strip()])
    return " ".join(said) + "." * bool(dot and (goes_on or match.end() == len(match.string)))


# states

_STATE: Final = re.compile(
    rf"(?<![A-Za-z.])(?:({_any(_STATES)})\.(?!\w)|({_any(_POSTAL)})(?![\w'-]))(?:\s(\d{{5}})(?:-(\d{{4}}))?(?!\d))?"
)
_WORDS_TOO: Final = frozenset("HI ME OK ID".split())
"""Postal codes that are words or other things too: only before a ZIP code."""
_TOWN: Final = re.compile(r"[A-Z][A-Za-z.'-]+, $|\b[DRI]-$")
_WHERE: Final = re.compile(r"\b(?:in|from|of|and|or|across|near|to) $")
_NAME_OR_FIGURE: Final = re.compile(r"\s?[A-Z\d]")


def _state(match: Match) -> str | None:
    """Richmond, Va.; D-Calif.; Austin, TX 78701."""
    old, postal, code, more = match.groups()
    if not before(match, _TOWN) and not (old and before(match, _WHERE) and not after(match, _NAME_NEXT)):
        return None
    if postal and not code and (postal in _WORDS_TOO or after(match, _NAME_OR_FIGURE)):
        return None
    if code:
        figures = en_digits(code) + (" " + en_digits(more) if more else "")
        return f"{_STATES[old] if old else _POSTAL[postal]}, {figures}"
    end = match.string[match.end() : match.end() + 2].strip()
    return _STATES[old] + "." * (not end or end.isupper()) if old else _POSTAL[postal]


# days and months

_DAY: Final = _any((*_DAYS, *_DAYS.values()))
_MONTH: Final = _any((*_MONTHS, *_MONTHS.values(), "May"))
_SPAN: Final = re.compile(
    rf"(?<![\w'@/#$-])(?:({_DAY})\.?\s?[-–—]\s?(?=(?:{_DAY})(?!\w))|({_MONTH})\.?\s?[-–—]\s?(?=(?:{_MONTH})(?!\w)))"
)
_WEEK: Final = re.compile(r"(?<![\w-])M[-–]F(?=,?\s\d|[:,)]|\s*$)")
_ONE_DAY: Final = re.compile(rf"(?<![\w'@#$.])({_any(_DAYS)})(\.?)(?!\w|'(?!s\b))")
_SURE_DAYS: Final = frozenset("Tue Tues Thu Thur Thurs Fri".split())
_BEFORE_DAY: Final = re.compile(
    r"(?i)(?:\b(?:you|ya|u|on|this|next|last|every|by|until|till?|from|to|thru|through|since|coming|closed|open)\s"
    rf"|(?:{_DAY})\.?,?(?:\sand\s|\sor\s|/|\s?&\s?)|[(–—]|\d\s)$"
)
_AFTER_DAY: Final = re.compile(
    rf"\s?[-–—/&]\s?(?:{_DAY}|\d)|,?\s(?:\d|(?:{_MONTH})(?!\w))|\s(?:morning|afternoon|evening|night|noon|at|@)\b"
)
_SMALL: Final = re.compile(r"(?<!\ba)(?<!the)(?<!and)(?<!\bin)[a-z]\s$")
"""A small letter, so that what follows has its capital for being a name; `and Sat` is told by what follows."""
_NAME_NEXT: Final = re.compile(rf"\s(?!(?:{_MONTH}|{_DAY}|Morning|Night)\b)[A-Z][a-z]")
_ONE_MONTH: Final = re.compile(rf"(?<=[a-z][ -])({_any(_MONTHS)})(?:\.(?=[,;)]|\s[a-z(]|\s*$))?(?![\w'.-]|\s\d)")
_WHEN: Final = re.compile(
    r"(?i)\b(?:in|since|until|by|this|next|last|late|early|mid|of|from|through|"
    r"[a-z]{3,}(?:ary|ch|il|ay|ne|ly|st|er) to)[ -]$"
)


def _span(match: Match) -> str:
    first = match[1] or match[2]
    return f"{_DAYS.get(first) or _MONTHS.get(first, first)} to "


def _day(match: Match) -> str | None:
    short, dot = match.groups()
    goes_on = dot and match.string[match.end() : match.end() + 1] in {" ", ",", ")", ";"}
    told = before(match, _BEFORE_DAY) or after(match, _AFTER_DAY) or (goes_on and not before(match, _ARTICLE))
    told = told or (short != "Sun" and before(match, _SMALL))
    if short not in _SURE_DAYS and (not told or after(match, _NAME_NEXT)):
        return None
    return _DAYS[short] + "." * bool(dot and (match.end() == len(match.string) or after(match, _NAME_NEXT)))


def _month(match: Match) -> str | None:
    return _MONTHS[match[1]] if before(match, _WHEN) else None


# words

_WORD: Final = re.compile(
    r"(?<![\w'@./:#$\\&-])([jb]/[kc]|y/y|q/q|m/m|gov't|[A-Za-z\d]++)(\.(?=\s|,))?(?![\w@/\\]|[.:-]\w|'(?!s\b)\w|\(\))"
)
_SLASH: Final = re.compile(r"(?<![\w/.-])(w/o|w/in|w/(?!e\b)|c/o)(?![/\d])\s?(?=[A-Za-z\d$])")
_VERSUS: Final = re.compile(r"(?<=[a-z.] )v\.(?=\s[A-Z])")
_FIGURE: Final = re.compile(
    r"(?<![\w$.,#])([24])(?:(?:(?<=[Ss]ry 4)|(?<=hx 4)|(?<=nks 4)|(?<=orry 4)|(?<= ty 4))\s(?=[a-z])"
    r"|\s(?=(?:u|ya|me)\b)|(?<=2)\s(?=(?:much|late|early|many|bad|soon|long)\b)|(?<=\bu 2)(?=[!.,?]|\s*$))"
)
_PERSON: Final = re.compile(r"(?:u|ya|me)\b")
_SENTENCE_NEXT: Final = re.compile(r"\s+[A-Z]")
_ARTICLE: Final = re.compile(r"(?i)\b(?:the|a|an|let|letters?|vitamin|variable)\s$")
_NO_WORD_NEXT: Final = re.compile(r"\s?[=<>+*/^]|\s(?:is|and)\b(?!\s(?:u|r|i|you|we)\b)|[.,]?\w\.")
_YEAR_BEFORE: Final = re.compile(
    r"(?i)(?:\b(?:a|an|the|per|this|last|next|each|every|one|school|new|half|old|light|whole|rush|happy)|\d)[ -]$"
)
_YOU_ARE: Final = re.compile(
    r"\s(?:a|an|the|so|not|gonna|right|late|welcome|in|on|at|too|very|really|such|still|here|there|getting|\w+ing|done|"
    r"free|home|sure|kidding|wrong|funny|amazing|great|ready)\b"
)
_OKAY_NEXT: Final = re.compile(
    r"(?i)$|[,.!]|\s(?:thx|thanks|ty|bye|cool|see|c|so|i'll|i'm|then|u|well|great|got|np|let|lmk)\b"
)
_AND_BEFORE: Final = re.compile(r"[a-z]{2}\s$")
_AND_NEXT: Final = re.compile(r"\s[a-z]{2}")
_ARE_BEFORE: Final = re.compile(
    r"(?i)\b(?:u|how|where|what|why|who|they|we|you|these|those|some|all|both|there|when|things|ppl|people|guys|kids|tix|"
    r"tickets)\s$"
)
_BE_BEFORE: Final = re.compile(
    r"(?i)(?:\b(?:will|to|gonna|can|might|must|should|would|could|ill|dont|wont|cant)|'ll|n't)\s$"
)
_TOLD: Final[dict[str, tuple[str, _Pattern | None, _Pattern | None]]] = {
    "r": ("are", _ARE_BEFORE, re.compile(r"(?i)\s(?:u|you|they|we|ya)\b")),
    "b": ("be", _BE_BEFORE, None),
    "c": ("see", None, re.compile(r"\s(?:u|ya)\b")),
    "hr": ("hour", _YEAR_BEFORE, None),
    "ea": ("each", re.compile(r"\d\s$"), None),
    "rm": ("room", None, re.compile(r"\s(?:\d|[A-Z](?!\w))")),
    "AA": ("double A", None, re.compile(r"\s(?:batter|cell|size|alkaline|rechargeable)")),
    "WoW": ("week over week", re.compile(r"%\s$"), None),
    "def": ("definitely", None, re.compile(r"\s[a-z]+(?![\w(:])(?!\s\()")),
}
"""What is said where the one pattern fits before it, or the other after it."""


def _word(match: Match) -> str | None:
    short, dot = match[1], match[2] or ""
    lower = short.lower()
    said = _letters(short, match) if short in _LETTERS else _WORDS.get(short)
    if said is None and short == short.capitalize() and short != "Dr":
        said = _WORDS.get(lower)
    if said is None:
        return None
    shortens = (lower in _ABBREVIATIONS or lower in _TOLD) and (short != lower or not after(match, _SENTENCE_NEXT))
    return said + ("" if shortens else dot)


def _letters(short: str, match: Match) -> str | None:
    """One or two letters that stand for a word: how r u, ur late, c u, mac n cheese."""
    if short in _TOLD:
        said, left, right = _TOLD[short]
        return said if (left and before(match, left)) or (right and after(match, right)) else None
    if short in {"ur", "Ur"}:
        return "you're" if after(match, _YOU_ARE) else "your"
    if short == "yr":
        return "year" if before(match, _YEAR_BEFORE) else "your"
    if short in {"k", "K"}:
        return "okay" if match.start() == 0 and after(match, _OKAY_NEXT) else None
    joins = short == "n" and before(match, _AND_BEFORE) and after(match, _AND_NEXT)
    names = short == "n" or before(match, _ARTICLE) or (short == "U" and match.start() > 0)
    return None if after(match, _NO_WORD_NEXT) else "and" if joins else None if names else "you"


def _figure(match: Match) -> str:
    """2 much, u 2, 4 u."""
    said = "for" if match[1] == "4" else "to" if after(match, _PERSON) else "too"
    return said + match.group()[1:]


_STEPS: Final[tuple[tuple[str, _Pattern, _Said], ...]] = (
    ("street", _STREET, _street),
    ("room", _ROOM, lambda match: _ROOMS[match[1]] + " "),
    ("state", _STATE, _state),
    ("direction", _DIRECTION, lambda match: _DIRECTIONS[match[1]]),
    ("versus", _VERSUS, lambda match: "versus"),
    ("span", _WEEK, lambda match: "Monday to Friday"),
    ("span", _SPAN, _span),
    ("day", _ONE_DAY, _day),
    ("month", _ONE_MONTH, _month),
    ("shorthand", _FIGURE, _figure),
    ("shorthand", _SLASH, lambda match: _SLASHED[match[1]] + " "),
    ("shorthand", _WORD, _word),
)

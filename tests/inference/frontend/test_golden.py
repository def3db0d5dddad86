"""The golden tables: what a careful reader says, written from knowledge of the language and never from our output.

A line is a text, a tab, and a row of tokens:

    yi1 dianr3       Mandarin syllables before sandhi, erhua in one; the neutral tone is 5, ü is v
    hello don't      English words, in small letters
    u.s.b. c.p.u.'s  what is spelled; `u.s.b.` is `u. s. b.`
    read=R-EH1-D     a word whose phones matter
    liang3/er4       either; `fen1?` may be left out; `… || …` is either of two rows

Punctuation has no token. The comparer itself is tested first, on readings made by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from inference.frontend.reading import NothingToSay, Reading, Sentence, Word, english_word, mandarin_word, read

GOLDEN = Path(__file__).parent / "golden"
NAMES = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "EY,B IY,S IY,D IY,IY,EH F,JH IY,EY CH,AY,JH EY,K EY,EH L,EH M,EH N,OW,P IY,K Y UW,AA R,EH S,T IY,Y UW,V IY,"
        "D AH B AH L Y UW,EH K S,W AY,Z IY".split(","),
        strict=True,
    )
)
"""The letters' names in phones, without stress: a spelled word may have it on any letter."""
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z']+|[A-Z]")


class Line(NamedTuple):
    """A line of a table."""

    text: str
    expected: str


NOT_YET = "# not yet right: "


def table(name: str) -> list[Line]:
    rows = (GOLDEN / name).read_text("utf-8").splitlines()
    lines = [Line(*row.split("\t")) for row in rows if row and not row.startswith("#")]
    assert len({line.text for line in lines}) == len(lines), f"{name} has a text twice"
    return lines


def known_errors(name: str) -> list[Line]:
    """Lines of a table that are marked as not yet read aright."""
    rows = (GOLDEN / name).read_text("utf-8").splitlines()
    return [Line(*row.removeprefix(NOT_YET).split("\t")) for row in rows if row.startswith(NOT_YET)]


def says(reading: Reading, expected: str) -> bool:
    """Whether the reading is one that the row allows."""
    words = [word for sentence in reading.sentences for word in sentence.words]
    return any(_fits(words, row.split()) for row in expected.split("||"))


def shown(reading: Reading) -> str:
    """The reading as tokens, for a test that fails."""
    tokens: list[str] = []
    for sentence in reading.sentences:
        for word in sentence.words:
            tokens += word.readings if word.lang == "zh" else _said_as(word)[0]
    return " ".join(tokens)


def _fits(words: list[Word], row: list[str]) -> bool:
    """Match word by word, keeping every place in the row where the words so far may have led."""
    slots = [_alternatives(token) for token in row]
    places = _skipping(slots, {(0, ())})
    for word in words:
        ways: list[tuple[str, ...]] = [word.readings] if word.lang == "zh" else _said_as(word)
        places = {after for place in places for way in ways for after in _walk(slots, place, way)}
    return (len(slots), ()) in places


Place = tuple[int, tuple[str, ...]]
"""The slot of a row, and what is left of the alternative that was begun in the slot before it."""


def _walk(slots: list[list[tuple[str, ...]]], place: Place, atoms: tuple[str, ...]) -> set[Place]:
    places = {place}
    for atom in atoms:
        after: set[Place] = set()
        for slot, left in places:
            if left:
                after |= {(slot, left[1:])} if left[0] == atom else set()
            elif slot < len(slots):
                after |= {(slot + 1, way[1:]) for way in slots[slot] if way and way[0] == atom}
        places = _skipping(slots, after)
    return places


def _skipping(slots: list[list[tuple[str, ...]]], places: set[Place]) -> set[Place]:
    """The places, and those behind slots that may be left out."""
    found = set(places)
    for slot, left in places:
        at = slot
        while not left and at < len(slots) and () in slots[at]:
            at += 1
            found.add((at, ()))
    return found


def _alternatives(token: str) -> list[tuple[str, ...]]:
    """A token's alternatives, each as atoms: a syllable, a word, a word with its phones, or a letter."""
    optional = token.endswith("?")
    ways = [_atoms(way) for way in token.removesuffix("?").split("/")]
    return [*ways, ()] if optional else ways


def _atoms(way: str) -> tuple[str, ...]:
    if re.fullmatch(r"(?:[a-z]\.)+(?:'s)?", way):
        return tuple(re.findall(r"[a-z]\.|'s", way))
    return (way,)


def _said_as(word: Word) -> list[tuple[str, ...]]:
    """The ways to write an English word as it is said, each as atoms."""
    text = word.text.lower()
    ways: list[tuple[str, ...]] = [(f"{text}={'-'.join(word.readings)}",)]
    phones = " ".join(phone.rstrip("012") for phone in word.readings)
    letters = re.sub(r"'?s$", "", text) if _is_plural(word.text) else text
    spelled = tuple(f"{letter}." for letter in letters if letter in NAMES)
    name = " ".join(NAMES[atom[0]] for atom in spelled)
    if phones == name or (letters != text and re.fullmatch(rf"{name}(?: IH)? [SZ]", phones)):
        ways.append(spelled if letters == text else (*spelled, "'s"))
        return [*ways, (text,)] if len(text) == 1 and text != "a" else ways
    parts = PART.findall(word.text)
    if len(parts) > 1:  # ChatGPT: chat g.p.t.
        atoms: list[str] = []
        for part in parts:
            own = " ".join(NAMES[letter] for letter in part.lower()) if part.isupper() else ""
            atoms += [f"{letter}." for letter in part.lower()] if own and own in phones else [part.lower()]
        ways.append(tuple(atoms))
    return [*ways, (text,)]


def _is_plural(text: str) -> bool:
    """Whether a final s is an ending and not a letter: CPUs, CEO's, PhDs."""
    return len(text) > 2 and text.endswith("s") and text[:-1].rstrip("'")[-1:].isupper()


def reading(*words: Word) -> Reading:
    return Reading("", (Sentence("", words, ()),), ())


NI_HAO = mandarin_word("你好", ("ni3", "hao3"), ("ni2", "hao3"))
HELLO = english_word("Hello", "HH AH0 L OW1".split())
USB = english_word("USB", "Y UW1 EH1 S B IY1".split())
CPUS = english_word("CPUs", "S IY1 P IY1 Y UW1 Z".split())
READ = english_word("read", "R EH1 D".split())
CHAT_GPT = english_word("ChatGPT", "CH AE1 T JH IY1 P IY1 T IY1".split())


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (reading(NI_HAO), "ni3 hao3"),
        (reading(NI_HAO), "ni3/ni2 hao3/hao5"),
        (reading(NI_HAO), "ni3 men5? hao3"),
        (reading(NI_HAO), "hao3 || ni3 hao3"),
        (reading(NI_HAO), "men5? ni3 hao3 men5? men5?"),
        (reading(NI_HAO, HELLO), "ni3 hao3 hello"),
        (reading(USB), "u.s.b."),
        (reading(USB), "u. s.b."),
        (reading(english_word("B", ("B", "IY1")), USB), "b.u. s.b."),
        (reading(USB), "usb/u.s.b."),
        (reading(CPUS), "c.p.u.'s"),
        (reading(english_word("boss's", "B AO1 S IH0 Z".split())), "boss's"),
        (reading(READ), "read=R-EH1-D"),
        (reading(READ), "read"),
        (reading(READ), "read=R-IY1-D/read=R-EH1-D"),
        (reading(CHAT_GPT), "chat g.p.t."),
        (reading(CHAT_GPT), "chatgpt"),
        (reading(english_word("I", ("AY1",))), "i"),
        (reading(english_word("I", ("AY1",))), "i."),
        (reading(english_word("a", ("AH0",))), "a"),
        (reading(english_word("A", ("EY1",))), "a."),
        (reading(english_word("OK", "OW2 K EY1".split())), "o.k./okay"),
    ],
)
def test_the_comparer_allows(said: Reading, expected: str) -> None:
    assert says(said, expected), shown(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (reading(NI_HAO), "ni2 hao3"),
        (reading(NI_HAO), "ni3"),
        (reading(NI_HAO), "ni3 hao3 ma5"),
        (reading(NI_HAO), "hao3 || ni3"),
        (reading(USB), "usb"),
        (reading(USB), "u.s."),
        (reading(english_word("NASA", "N AE1 S AH0".split())), "n.a.s.a."),
        (reading(CPUS), "c.p.u."),
        (reading(READ), "read=R-IY1-D"),
        (reading(english_word("ChatGPT", "CH AE1 T G AH0 P T".split())), "chat g.p.t."),
        (reading(english_word("A", ("EY1",))), "a"),
        (reading(english_word("a", ("AH0",))), "a."),
    ],
)
def test_the_comparer_refuses(said: Reading, expected: str) -> None:
    assert not says(said, expected)


@pytest.mark.parametrize("name", ["chinese.tsv", "english.tsv", "mixed.tsv", "sentences.tsv", "kept_apart.tsv"])
def test_a_table_keeps_its_grammar(name: str) -> None:
    atom = r"(?:[a-z]+[1-5]|[a-zà-ÿ]+(?:'[a-z]+)*'?|(?:[a-z]\.)+(?:'s)?|[a-zà-ÿ']+=[A-Z]+[012]?(?:-[A-Z]+[012]?)*)"
    row = re.compile(rf"{atom}(?:/{atom})*\??(?: {atom}(?:/{atom})*\??)*")
    fits = [all(map(row.fullmatch, line.expected.split(" || "))) for line in table(name)]
    assert [number for number, fit in enumerate(fits, start=1) if not fit] == []


@pytest.mark.parametrize(
    "line",
    [line for name in ("chinese", "english", "mixed", "sentences") for line in table(f"{name}.tsv")],
    ids=lambda line: line.text,
)
def test_a_golden_line_is_read_aright(line: Line) -> None:
    said = read(line.text)
    assert says(said, line.expected), f"{line.text}\n  expected {line.expected}\n  read     {shown(said)}"


@pytest.mark.parametrize("row", known_errors("sentences.tsv"), ids=lambda row: row.text)
def test_a_known_error_is_still_one(row: Line) -> None:
    """So that whoever mends one takes the mark off its line."""
    assert not says(read(row.text), row.expected)


def test_sentences_kept_apart_are_read_aright() -> None:
    """Nobody tunes on these: they say how the rules fare on text for which they were not made.

    The bound is the goal, and what this exam found to the sentence: who loses one learns of it here.
    """
    lines = table("kept_apart.tsv")
    wrong = [line for line in lines if not _right(line)]
    for line in wrong:
        print(f"{line.text}\n  expected {line.expected}\n  read     {_read_as(line.text)}")
    share = 1 - len(wrong) / len(lines)
    assert share >= 0.98, f"{len(wrong)} of {len(lines)} sentences have an error, which leaves {share:.1%}"


def _right(line: Line) -> bool:
    try:
        return says(read(line.text), line.expected)
    except NothingToSay:
        return False


def _read_as(text: str) -> str:
    try:
        return shown(read(text))
    except NothingToSay:
        return "nothing"

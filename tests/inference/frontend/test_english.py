"""English words: by lexicon, neighbours, letters and parts."""

from __future__ import annotations

import random
import re
import string
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference.frontend import english, letters
from inference.frontend.english import letter_by_letter, read_word
from inference.frontend.phones import ENGLISH_CONSONANTS, ENGLISH_VOWELS
from inference.frontend.reading import read

HERE = Path(__file__).parent
DATA = Path(english.__file__).parent / "data"
RULES = {"lexicon", "own lexicon", "heteronym", "spelled", "ending", "by parts", "letter-to-sound"}
VOWELS = {vowel + stress for vowel in ENGLISH_VOWELS if vowel not in {"EL", "EM", "EN"} for stress in "012"}


def is_legal(phones: tuple[str, ...]) -> bool:
    return bool(phones) and all(phone in VOWELS or phone in ENGLISH_CONSONANTS for phone in phones)


def rows(path: Path) -> list[list[str]]:
    lines = path.read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("text", "expected"), [tuple(row) for row in rows(HERE / "heteronyms.tsv")])
def test_a_heteronym_is_told_by_its_neighbours(text: str, expected: str) -> None:
    word, _, phones = expected.partition("=")
    said = [w.readings for s in read(text).sentences for w in s.words if w.text.lower() == word]
    assert tuple(phones.split("-")) in said


@pytest.mark.parametrize(
    ("text", "phones", "rule"),
    [
        ("hello", "HH AH0 L OW1", "lexicon"),
        ("Hello", "HH AH0 L OW1", "lexicon"),
        ("kubernetes", "K UW2 B ER0 N EH1 T IY0 Z", "own lexicon"),
        ("Xi'an", "SH IY1 AA1 N", "own lexicon"),
        ("Xie", "SH Y EH1", "own lexicon"),
        ("LaTeX", "L EY1 T EH2 K", "own lexicon"),
        ("latex", "L EY1 T EH2 K S", "lexicon"),
        ("NASA", "N AE1 S AH0", "lexicon"),
        ("THE", "DH AH0", "lexicon"),
        ("USB", "Y UW1 EH1 S B IY1", "spelled"),
        ("IT", "AY1 T IY1", "spelled"),
        ("LLM", "EH1 L EH1 L EH1 M", "spelled"),
        ("yyds", "W AY1 W AY1 D IY1 EH1 S", "spelled"),
        ("b", "B IY1", "spelled"),
        ("a", "EY1", "spelled"),
        ("CPUs", "S IY1 P IY1 Y UW1 Z", "ending"),
        ("APIs", "EY1 P IY1 AY1 Z", "ending"),
        ("DVD's", "D IY1 V IY1 D IY1 Z", "ending"),
        ("SMS's", "EH1 S EH1 M EH1 S IH0 Z", "ending"),
        ("PhDs", "P IY1 EY1 CH D IY1 Z", "own lexicon"),
        ("shouldn't've", "SH UH1 D AH0 N T AH0 V", "ending"),
        ("Xiaomi's", "SH AW1 M IY1 Z", "ending"),
        ("ChatGPT", "CH AE1 T JH IY1 P IY1 T IY1", "own lexicon"),
        ("macOS", "M AE1 K OW1 EH1 S", "own lexicon"),
        ("DeepBlue", "D IY1 P B L UW1", "by parts"),
        ("getUserName", "G EH1 T Y UW1 Z ER0 N EY1 M", "by parts"),
        ("HelloZorbinate", "HH AH0 L OW1 Z AO1 R B AH0 N EY2 T", "letter-to-sound"),
        ("zorbinate's", "Z AO1 R B AH0 N EY2 T S", "letter-to-sound"),
        ("HTMLParser", "EY1 CH T IY1 EH1 M EH1 L P AA1 R S ER0", "by parts"),
    ],
)
def test_a_word_is_read_by_its_rule(text: str, phones: str, rule: str) -> None:
    assert read_word(text) == (tuple(phones.split()), rule)


@pytest.mark.parametrize(
    ("text", "shouted", "phones"),
    [("IT", True, "IH1 T"), ("USB", True, "Y UW1 EH1 S B IY1"), ("US", True, "AH1 S"), ("HOME", True, "HH OW1 M")],
)
def test_among_shouted_words_capitals_say_nothing(text: str, shouted: bool, phones: str) -> None:
    assert read_word(text, shouted=shouted)[0] == tuple(phones.split())


@pytest.mark.parametrize(
    ("text", "before", "after", "phones"),
    [
        ("A", "", "cat", "AH0"),
        ("A", "vitamin", "", "EY1"),
        ("A", "", "is for", "EY1"),
        ("a", "", "cat", "AH0"),
        ("a", "", "", "EY1"),
    ],
)
def test_the_article_is_not_the_letter(text: str, before: str, after: str, phones: str) -> None:
    assert read_word(text, before=before, after=after)[0] == (phones,)


@settings(max_examples=300, deadline=None)
@given(st.text(string.ascii_letters + "'", min_size=1, max_size=40), st.booleans(), st.booleans())
def test_any_word_has_legal_phones(text: str, shouted: bool, sound_out: bool) -> None:
    phones, rule = read_word(text, shouted=shouted, sound_out=sound_out)
    assert is_legal(phones)
    assert rule in RULES
    if rule == "letter-to-sound" and text.islower() and text.isalpha():
        assert sum(phone.endswith("1") for phone in phones) == 1


@example("bbe")
@settings(max_examples=200, deadline=None)
@given(st.from_regex("[bcdfghjklmnpqrstvwxyz]{0,4}[aeiou]{1,2}[a-z]{0,8}", fullmatch=True))
def test_letters_give_one_primary_stress(word: str) -> None:
    for phones in (english._letter_to_sound().phones_for(word), letters.plainly(word)):
        assert is_legal(phones)
        assert sum(phone.endswith("1") for phone in phones) == 1


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("blogosphering", "B L AO1 G AH0 S F ER0 IH0 NG"),
        ("zorbinate", "Z AO1 R B AH0 N EY2 T"),
        ("snarkle", "S N AA1 R K AH0 L"),
        ("cloudbook", "K L AW1 D B UH2 K"),  # both halves are
    ],
)
def test_words_no_lexicon_knows_sound_as_they_look(word: str, phones: str) -> None:
    assert read_word(word) == (tuple(phones.split()), "letter-to-sound")


def test_the_tables_have_legal_phones() -> None:
    for word, phones in rows(DATA / "english.tsv"):
        assert is_legal(tuple(phones.split())), word
    for word, _, phones in rows(DATA / "heteronyms.tsv"):
        assert is_legal(tuple(phones.split())), word


@pytest.mark.parametrize("word", ["axyzzyq", "blorp", "qip"])
def test_a_word_told_by_its_letters_alone_is_that_of_the_rules(word: str) -> None:
    assert (letter_by_letter(word), "letter-to-sound") == read_word(word, sound_out=False)


@pytest.mark.parametrize("word", ["hello", "read", "github", "USB", "Lin's", "hmm", "a", "OpenAI", "x" * 200])
def test_what_more_is_known_of_is_not_told_by_its_letters_alone(word: str) -> None:
    assert letter_by_letter(word) is None


def test_every_heteronym_has_two_readings_and_an_else() -> None:
    table: dict[str, list[tuple[str, str]]] = {}
    for word, when, phones in rows(DATA / "heteronyms.tsv"):
        table.setdefault(word, []).append((when, phones))
        condition = r"[-<>]?[a-z']+|\+[a-z']+(?:_(?:[a-z']+|\$))?"
        assert all(re.fullmatch(condition, written) for written in when.split()), word
    for word, readings in table.items():
        assert len({phones for _, phones in readings}) > 1, word
        assert sum("else" in when.split() for when, _ in readings) == 1, word


@pytest.mark.parametrize("piece", ["a'", "aB", "Aa", "x", "A", "'", "read", "McA", "o'"])
def test_time_is_linear_in_the_word(piece: str) -> None:
    def calls(times: int) -> int:
        count = 0

        def note(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(note)
        try:
            read_word(piece * times)
        finally:
            sys.setprofile(None)
        return count

    calls(100)
    assert calls(10_000) < 15 * calls(1000) + 100


def test_sounding_out_costs_the_same_for_any_letters() -> None:
    def calls(word: str) -> int:
        count = 0

        def note(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(note)
        try:
            english._letter_to_sound().phones_for(word)
        finally:
            sys.setprofile(None)
        return count

    rng = random.Random(3)
    for _ in range(50):
        word = "".join(rng.choices(string.ascii_lowercase, k=letters.LONGEST))
        assert calls(word) < 20_000

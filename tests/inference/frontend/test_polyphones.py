"""Characters read by what stands around them: what the model gains, and that it looks no farther than it says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.frontend import mandarin, polyphones
from inference.frontend.context import Place
from inference.frontend.hanzi import is_syllable
from training.polyphones import PHRASES, SENTENCES, phrases_kept_apart

MARKED = re.compile(r"([^<>]*)<(.)\|([a-z]+[1-5])>([^<>]*)")
LINES = [line for path in (PHRASES, SENTENCES) for line in path.read_text("utf-8").splitlines() if line[0] != "#"]


def place_of(line: str) -> tuple[Place | None, str, str]:
    """The place of the marked character in its run of hanzi, None inside a word; the character; its reading."""
    marked = MARKED.fullmatch(line)
    assert marked is not None, line
    before, char, reading, after = marked.groups()
    run = re.split("[^〇㐀-鿿]", before)[-1] + char + re.split("[^〇㐀-鿿]", after)[0]
    return mandarin.place_of(run, len(re.split("[^〇㐀-鿿]", before)[-1])), char, reading


def test_every_phrase_marks_one_character_with_one_reading() -> None:
    told: dict[tuple[str, str], set[str]] = {}
    for line in LINES:
        marked = MARKED.fullmatch(line)
        assert marked is not None, line
        assert is_syllable(marked[3]), line
        told.setdefault((marked[1], marked[2] + marked[4]), set()).add(marked[3])
    assert {where: readings for where, readings in told.items() if len(readings) > 1} == {}


def test_of_phrases_that_nobody_learnt_from_half_of_the_tables_errors_are_gone() -> None:
    asked = [place_of(line) for line in phrases_kept_apart()]
    known = [(place, char, reading) for place, char, reading in asked if place and char in polyphones.model()]
    tables = sum(mandarin.told_by_tables(place, char)[0] != reading for place, char, reading in known)
    both = sum(mandarin.weighed(place, char).readings != (reading,) for place, char, reading in known)
    assert len(known) > 1000
    assert both < 0.5 * tables, f"of {len(known)} wrong by tables {tables}, with the model {both}"


@pytest.mark.parametrize(
    ("text", "char", "reading", "rule"),
    [
        ("医生说复查得空腹", "得", "dei3", "neighbours"),
        ("他晕车晕得直想吐", "得", "de5", "polyphone"),
        ("同桌借我橡皮还我的时候少了一角", "还", "huan2", "neighbours"),
        ("他姓种", "种", "chong2", "surname"),
    ],
)
def test_the_rule_says_who_told(text: str, char: str, reading: str, rule: str) -> None:
    words, _ = mandarin.words_of(text)
    found = next(word for word in words if word.text == char)
    assert (found.readings, found.rule) == ((reading,), rule)


def test_what_a_word_names_is_known_of_its_end_too() -> None:
    assert polyphones.class_of("推销员") == polyphones.class_of("人")
    assert polyphones.class_of("囧") == ""


@given(st.lists(st.sampled_from(["银行", "苹果", "我们", "跑", "了"]), max_size=20))
def test_what_lies_beyond_the_near_words_has_no_vote(far: list[str]) -> None:
    def votes(beyond: list[str]) -> list[str]:
        near = ["是"] * polyphones.NEAR
        words, number = [*beyond, *near, "还", *near, *beyond], len(beyond) + polyphones.NEAR
        at = 1 + len("".join(words[:number]))
        place = Place(f"^{''.join(words)}$", at, at + 1, "是", "是", words, number, mandarin.part_of_speech)
        return polyphones.features(place, "hai2")

    assert votes(far) == votes(["好"])

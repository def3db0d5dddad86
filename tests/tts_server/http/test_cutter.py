"""Where text is cut that is still being written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts_server.http.cutter import COMMA_AFTER, LONGEST, Cutter


def cut(*pieces: str) -> list[str]:
    cutter = Cutter()
    clauses = [clause for piece in pieces for clause in cutter.add(piece)]
    return [clause.text for clause in [*clauses, *cutter.flush()]]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("你好。今天好！", ["你好。", "今天好！"]),
        ("真的？！是的；好", ["真的？！", "是的；", "好"]),
        ("他说：“好。”然后走了。", ["他说：“好。”", "然后走了。"]),
        ("Hello there. How are you? Fine!", ["Hello there.", " How are you?", " Fine!"]),
        ("It is 3.14 or so. Yes.", ["It is 3.14 or so.", " Yes."]),
        ("See e.g. Dr. Smith and J. Doe. Then go.", ["See e.g. Dr. Smith and J. Doe.", " Then go."]),
        ("Well... perhaps. No", ["Well...", " perhaps.", " No"]),
        ("See http://a.b/c?d=e&f;g now", ["See http://a.b/c?d=e&f;g now"]),
        ("A title\n\nA text\n", ["A title\n\n", "A text\n"]),
        ("1. Eat.\n2. Sleep.", ["1. Eat.\n", "2. Sleep."]),
        ('He said "Hi." Then left.', ['He said "Hi."', " Then left."]),
        ("。。。", []),
        ("好。 😀 ！", ["好。"]),
    ],
)
def test_text_is_cut_behind_its_sentences(text: str, sentences: list[str]) -> None:
    assert cut(text) == sentences


def test_a_sentence_is_there_as_soon_as_it_is_whole() -> None:
    cutter = Cutter()
    assert [cutter.add(char) for char in "你好"] == [[], []]
    assert [clause.text for clause in cutter.add("。")] == ["你好。"]
    assert cutter.add("3.") == []
    assert cutter.add("14 is pi.") == []  # it may be 14 is pi.5
    assert [clause.text for clause in cutter.add(" ")] == ["3.14 is pi."]


def test_a_comma_will_do_when_much_is_waiting() -> None:
    long = "一二三四五六七，" * 20
    cutter = Cutter()
    assert cutter.add(long[:COMMA_AFTER]) == []
    clauses = cutter.add(long[COMMA_AFTER:])
    assert [(len(clause.text), clause.ends_sentence) for clause in clauses] == [(COMMA_AFTER, False)]
    assert [clause.ends_sentence for clause in cutter.flush()] == [True]


def test_figures_are_not_cut_at_their_commas() -> None:
    assert cut("1,000," * 20) == ["1,000," * 20]


def test_text_without_any_mark_is_cut_between_words() -> None:
    clauses = cut("word " * 1000)
    assert all(len(clause) <= LONGEST and clause.endswith("word ") for clause in clauses)
    assert [len(clause) for clause in cut("字" * (2 * LONGEST + 1))] == [LONGEST, LONGEST, 1]


def test_what_was_forgotten_is_not_spoken() -> None:
    cutter = Cutter()
    cutter.add("half a")
    assert cutter.waiting == 6
    cutter.clear()
    assert (cutter.waiting, cutter.flush()) == (0, [])


@given(st.lists(st.text(st.sampled_from('好a1 ,，.。!?…\n"”e.g')), max_size=12), st.integers(1, 200))
def test_nothing_that_can_be_said_is_lost_or_turned_about(pieces: list[str], times: int) -> None:
    clauses = cut(*(piece * times for piece in pieces))
    said = "".join(char for clause in clauses for char in clause if char.isalnum())
    assert said == "".join(char for piece in pieces for char in piece * times if char.isalnum())
    assert all(len(clause) <= LONGEST for clause in clauses)


@given(st.lists(st.text('好。！ \n"a,，.', max_size=200), max_size=6))
def test_every_clause_is_known_by_its_place(pieces: list[str]) -> None:
    cutter = Cutter()
    for _ in range(2):  # each utterance is counted from its beginning
        clauses = [clause for piece in pieces for clause in cutter.add(piece)] + cutter.flush()
        text = "".join(pieces)
        assert all(text[clause.start :].startswith(clause.text) for clause in clauses)

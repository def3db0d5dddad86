"""A long text in pieces: nothing lost, nothing doubled, nothing read otherwise."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference import script
from inference.frontend.reading import NothingToSay, read
from inference.script import write_script
from tts_server.jobs import pieces
from tts_server.jobs.pieces import LONGEST_CHARACTERS, PIECE_CHARACTERS, Pause, Piece, next_piece

GOLDEN = Path(__file__).resolve().parents[2] / "inference" / "frontend" / "golden"
SNIPPETS = (
    "你好。",
    "走吧！”",
    "（见下。）",
    "Well done. ",
    "Dr. No",
    "3.14",
    "\n",
    "\n\n",
    "\n\u3000",
    "，",
    " ",
    "<行|hang2>",
    "…",
    "x",
)


def cut(text: str, longest: int = LONGEST_CHARACTERS) -> list[tuple[str, Piece]]:
    found, at = [], 0
    while at < len(text):
        piece = next_piece(text, at, longest)
        found.append((text[at : piece.end], piece))
        at = piece.end
    return found


@given(
    st.lists(st.one_of(st.sampled_from(SNIPPETS), st.text(max_size=30))).map("".join),
    st.integers(1, LONGEST_CHARACTERS),
)
def test_pieces_join_to_the_text_and_none_is_too_long(text: str, longest: int) -> None:
    found = cut(text, longest)
    assert "".join(part for part, _ in found) == text
    assert all(0 < len(part) <= longest for part, _ in found)


@given(st.text(alphabet="啊a. 。\n（(", max_size=3000), st.integers(0, 2000))
def test_where_one_goes_on_changes_nothing_of_what_follows(text: str, skipped: int) -> None:
    ends = [piece.end for _, piece in cut(text)]
    for end in ends[skipped % (len(ends) + 1) :]:
        if end < len(text):
            assert next_piece(text, end).end in ends


def texts(count: int) -> Iterator[str]:
    """Texts of ordinary and of odd sentences, as files hold them."""
    rng = random.Random(5)
    lines = [
        line.split("\t")[0]
        for name in ("chinese", "mixed")
        for line in (GOLDEN / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    lines += ["The meeting starts at 3:30 p.m. on Friday.", "Did you read the news?", "Mr. Lee paid $3.50 for it."] * 20
    ends = ["\n", "\n\n", "。\n", "\n\u3000\u3000"]
    for _ in range(count):
        text = ""
        while len(text) < 1200:
            text += rng.choice(lines) + rng.choice(
                ["", " ", "。", "。", ". ", "！", *(ends if rng.random() < 0.1 else ())]
            )
        yield text


def test_a_text_in_pieces_is_read_as_the_whole() -> None:
    cuts_within = 0
    for text in texts(40):
        whole = write_script(text, read).lines
        said: list[tuple[object, float]] = []
        pause = Pause.NONE
        for part, piece in cut(text):
            try:
                lines = write_script(part, read).lines
            except NothingToSay:
                pause = max(pause, piece.pause)
                continue
            if said:
                said[-1] = (said[-1][0], pause.seconds)
            said += [(line.phones, line.pause_after_s) for line in lines]
            pause = piece.pause
            cuts_within += piece.pause is Pause.SENTENCE
        assert said[:-1] == [(line.phones, line.pause_after_s) for line in whole][:-1]
        assert said[-1][0] == whole[-1].phones
    assert cuts_within > 20, "no text was ever cut within a paragraph"


def test_pauses_and_paragraphs_are_those_of_the_whole() -> None:
    assert pieces.PARAGRAPH_END.pattern == script._PARAGRAPH_END.pattern
    assert Pause.SENTENCE.seconds == script.SENTENCE_PAUSE_S
    assert Pause.PARAGRAPH.seconds == script.PARAGRAPH_PAUSE_S


LONG = "字" * 150


@pytest.mark.parametrize(
    ("text", "first", "pause"),
    [
        ("短。", "短。", Pause.PARAGRAPH),
        (f"{LONG}。\n{LONG}。", f"{LONG}。\n", Pause.PARAGRAPH),
        (f"{LONG}。{LONG}。", f"{LONG}。", Pause.SENTENCE),
        ("字" * 149 + "。" + "字" * 49 + "。" + "\n\n" + LONG, "字" * 149 + "。", Pause.SENTENCE),
        (f"“{LONG}！”他说。{LONG}。", f"“{LONG}！”他说。", Pause.SENTENCE),
        (f"{LONG}（见上。）{LONG}。{LONG}", f"{LONG}（见上。）{LONG}。", Pause.SENTENCE),
        ("words and " * 18 + "end here. Next one. " + "words " * 30, "words and " * 18 + "end here. ", Pause.SENTENCE),
        ("words " * 30 + "of Dr. No. " + "words " * 30 + "after. Then it goes on", None, Pause.SENTENCE),
        (LONG * 5 + "，" + LONG * 5, LONG * 5 + "，", Pause.NONE),
        (LONG * 5 + " " + LONG * 5, LONG * 5 + " ", Pause.NONE),
        (LONG * 10, "字" * LONGEST_CHARACTERS, Pause.NONE),
    ],
)
def test_where_a_text_is_cut(text: str, first: str | None, pause: Pause) -> None:
    piece = next_piece(text, 0)
    assert piece.pause is pause
    if first is not None:
        assert text[: piece.end] == first
    else:
        assert text[: piece.end].endswith("after. ")


def test_an_ordinary_text_is_cut_into_a_few_sentences_at_a_time() -> None:
    text = "今天天气很好，我们去公园散步吧。" * 100
    ends = [0, *(piece.end for _, piece in cut(text))]
    assert all(PIECE_CHARACTERS / 2 < end - start <= PIECE_CHARACTERS for start, end in pairwise(ends[:-1]))

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from inference.frontend import reading as frontend
from inference.frontend.phones import EDGE, Break, Phone, is_pause
from inference.frontend.reading import NothingToSay, OverrideError, Reading, Sentence
from inference.script import LONGEST_LINE_PHONES, write_script
from inference.utterance import Manner
from inference.voice import Voice
from tests.tiny_pack import RATE_HZ
from tts_server.narration import narrate

PHONES = (Phone("^"), Phone("a"), Phone("^"))


def read(text: str) -> Reading:
    """A sentence for each stop; a snowman has no reading."""
    sentences = [s.strip() for s in text.replace("。", ".").split(".") if s.strip(" *☃\n\u3000")]
    if not sentences:
        raise NothingToSay(f"nothing to say in {text!r}")
    return Reading(text, tuple(Sentence(s, (), PHONES) for s in sentences), tuple(c for c in text if c == "☃"))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One. Two.", [("One", 0.25), ("Two", 0.5)]),
        ("One.\n\nTwo.", [("One", 0.5), ("Two", 0.5)]),
        ("A line\nwrapped by hand. Two.", [("A line\nwrapped by hand", 0.25), ("Two", 0.5)]),
        ("第一段。\n第二段。第三句。", [("第一段", 0.5), ("第二段", 0.25), ("第三句", 0.5)]),
        ("第一段\n\u3000\u3000第二段", [("第一段", 0.5), ("第二段", 0.5)]),
        ("One.\n\n* * *\n\nTwo.", [("One", 0.5), ("Two", 0.5)]),
    ],
)
def test_paragraphs_pause_longer_than_sentences(text: str, lines: list[tuple[str, float]]) -> None:
    assert [(line.text, line.pause_after_s) for line in write_script(text, read).lines] == lines


def test_what_has_no_reading_is_told_once() -> None:
    assert write_script("One ☃.\n\nTwo ☃.", read).unspoken == ("☃",)


def test_a_text_without_anything_to_say_is_refused() -> None:
    with pytest.raises(NothingToSay):
        write_script("* * *\n\n***", read)
    with pytest.raises(NothingToSay):
        write_script(" \n ", read)


def test_a_fault_is_told_by_its_place_in_the_whole_text() -> None:
    with pytest.raises(OverrideError, match="offset 6 of the text"):
        write_script("好。\n\n真好<行|hang9>", frontend.read)


@pytest.mark.parametrize(
    "text",
    ["a" * 3000, "我说：" + "ba" * 2000 + "，然后他笑了。", "Well, " + "xkcdq" * 700 + " it said."],
    ids=["letters", "in Chinese", "in English"],
)
def test_a_word_without_end_is_said_in_parts_and_nothing_of_it_is_lost(text: str) -> None:
    sentences = frontend.read(text).sentences
    assert max(len(sentence.phones) for sentence in sentences) > LONGEST_LINE_PHONES
    lines = write_script(text, frontend.read).lines
    assert max(len(line.phones) for line in lines) <= LONGEST_LINE_PHONES
    assert [line.pause_after_s for line in lines].count(0.0) == len(lines) - len(sentences)  # its parts run on
    assert all(line.phones[0].name == EDGE and is_pause(line.phones[-1].name) for line in lines)
    spoken = [phone for sentence in sentences for phone in sentence.phones]
    assert _said(phone for line in lines for phone in line.phones) == _said(spoken)


@pytest.mark.parametrize(("mark", "breath"), [(",", ","), ("?", "?"), ("", ",")])
def test_a_line_without_end_is_cut_after_a_mark_or_between_words(mark: str, breath: str) -> None:
    word = (Phone("a"), Phone("n", break_=Break.WORD), *([Phone(mark, break_=Break.CLAUSE)] if mark else []))
    phones = (Phone(EDGE), *word * 500, Phone(".", break_=Break.SENTENCE))
    parts = [
        line.phones for line in write_script("x", lambda text: Reading(text, (Sentence(text, (), phones),), ())).lines
    ]
    assert len(parts) > 1
    assert {part[-1].name for part in parts[:-1]} == {breath}
    assert all(part[-2].break_ is Break.WORD for part in parts[:-1])


def _said(phones: Iterable[Phone]) -> list[Phone]:
    return [phone for phone in phones if not is_pause(phone.name) and phone.name != EDGE]


@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_silence_stands_between_sentences_and_not_after_the_last(voice: Voice, speed: float) -> None:
    manner = Manner("female", speed=speed)
    single = voice.speak(PHONES, speaker="female", speed=speed)
    first, second, third = narrate(write_script("One. Two.\n\nThree.", read), voice, manner)
    for spoken, pause_s in ((first, 0.25), (second, 0.5), (third, 0.0)):
        np.testing.assert_array_equal(spoken[: len(single.audio)], single.audio)
        rest = spoken[len(single.audio) :]
        assert len(rest) == round(pause_s / speed * RATE_HZ)
        assert not rest.any()


@pytest.mark.parametrize(
    "text",
    [
        "你好。今天8:30见！\n\nWell, Dr. Smith. 好！好！",
        "我说：" + "ba" * 2000 + "，然后他笑了。",
        "1 2 3\n\n1 2 3",
        "😀 <行|hang2>家，○。" * 50,
    ],
)
def test_marks_lie_in_their_line_and_in_the_order_of_the_text(text: str) -> None:
    script = write_script(text, frontend.read, marked=True)
    assert [replace(line, marks=()) for line in script.lines] == list(write_script(text, frontend.read).lines)
    told = 0
    for line in script.lines:
        heard = 1
        for mark in line.marks:
            assert told <= mark.start < mark.end <= len(text)
            assert heard <= mark.first < mark.last <= len(line.phones)
            assert not is_pause(line.phones[mark.first].name)
            assert not is_pause(line.phones[mark.last - 1].name)
            told, heard = mark.end, mark.last
    assert told

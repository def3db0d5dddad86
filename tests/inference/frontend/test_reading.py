"""The door: whole texts in, readings out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.frontend.phones import PAUSES, PHONE_IDS, Break, Position, Tone
from inference.frontend.reading import SOUNDED_OUT, NothingToSay, OverrideError, Reading, Sentence, read
from inference.frontend.segment import HANZI

_HERE = Path(__file__).parent


def table(name: str) -> list[tuple[str, str]]:
    rows = (_HERE / name).read_text("utf-8").splitlines()
    pairs = (row.split("\t") for row in rows if row and not row.startswith("#"))
    return [(text, expected) for text, expected in pairs]


def spoken(text: str) -> str:
    return " ".join(s for sentence in read(text).sentences for word in sentence.words for s in word.spoken)


def only(text: str) -> Sentence:
    (sentence,) = read(text).sentences
    return sentence


@pytest.mark.parametrize(("text", "expected"), [*table("mandarin.tsv"), *table("sandhi.tsv"), *table("english.tsv")])
def test_a_text_is_spoken_as_the_table_says(text: str, expected: str) -> None:
    assert spoken(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我用USB线", "wo3 yong4 Y UW1 EH1 S B IY1 xian4"),
        ("打开WiFi", "da3 kai1 W AY1 F AY2"),
        ("A股", "EY1 gu3"),
        ("他说hello", "ta1 shuo1 HH AH0 L OW1"),
        ("This is 北京.", "DH IH1 S IH1 Z bei3 jing1"),
        ("A cat", "AH0 K AE1 T"),
        ("5G", "F AY1 V JH IY1"),
        ("用AI写代码", "yong4 EY1 AY1 xie3 dai4 ma3"),
        ("T恤衫", "T IY1 xu4 shan1"),
        ("iPhone15", "AY1 F OW2 N F IH0 F T IY1 N"),
        ("iPhone 15很贵", "AY1 F OW2 N shi2 wu2 hen3 gui4"),
        ("KTV里唱歌", "K EY1 T IY1 V IY1 li3 chang4 ge1"),
        ("OK好的", "OW2 K EY1 hao3 de5"),
    ],
)
def test_mixed_text_keeps_both_languages(text: str, expected: str) -> None:
    assert spoken(text) == expected


def test_words_remember_their_reading_before_sandhi() -> None:
    (word,) = only("你好").words
    assert (word.text, word.lang, word.readings, word.spoken) == ("你好", "zh", ("ni3", "hao3"), ("ni2", "hao3"))


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("你好。再见！", ["你好。", "再见！"]),
        ("他说：“走吧！”然后走了。", ["他说：“走吧！”", "然后走了。"]),
        ("Dr. Smith is here. He left.", ["Doctor Smith is here.", "He left."]),
        ("圆周率是3.14。好", ["圆周率是三点一四。", "好"]),
        ("He lives in the U.S. now.", ["He lives in the US now."]),
        ("第一行\n第二行", ["第一行", "第二行"]),
        ("真的？！好", ["真的？！", "好"]),
        ("e.g. this one", ["for example this one"]),
        ("我……不知道。", ["我……不知道。"]),
    ],
)
def test_sentences_end_where_they_should(text: str, sentences: list[str]) -> None:
    assert [sentence.text for sentence in read(text).sentences] == sentences


@pytest.mark.parametrize(
    ("text", "pauses"),
    [
        ("你好", "^ ."),
        ("你好，世界。", "^ , ."),
        ("苹果、梨；桃：李？", "^ 、 ; : ?"),
        ("我……走了！", "^ … !"),
        ("这个（其实）好", "^ - - ."),
        ("他——走了", "^ - ."),
        ("“你好”世界", "^ ."),
        ("真的？！", "^ ?"),
        ("你好（世界）", "^ - ."),
        ("Hello, world!", "^ , !"),
        ("等一等...", "^ …"),
    ],
)
def test_punctuation_becomes_pauses(text: str, pauses: str) -> None:
    assert " ".join(p.name for p in only(text).phones if p.name in PAUSES) == pauses


def test_breaks_say_what_follows_a_word() -> None:
    words = only("今天天气很好，我们去公园。").words
    by_text = {word.text: word.break_ for word in words}
    assert by_text["好"] == Break.CLAUSE
    assert by_text["公园"] == Break.SENTENCE
    assert by_text["我们"] == Break.WORD


def test_a_long_clause_has_a_phrase_break_and_sandhi_stops_there() -> None:
    words = only("昨天晚上我的朋友在学校附近的图书馆里安静地看书和写作业").words
    assert Break.PHRASE in {word.break_ for word in words}


def test_every_word_tells_by_which_rule_it_was_read() -> None:
    reading = read("他长得很高，3:20去GPU公司，a Xyzzyq")
    assert all(word.rule for sentence in reading.sentences for word in sentence.words)
    assert ("3:20", "三点二十分") in [(change.before, change.after) for change in reading.changes]
    assert read("今天天气很好。").changes == ()


def test_unknown_words_without_end_are_not_all_sounded_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def read_word(*_: object, sound_out: bool, **__: object) -> tuple[tuple[str, ...], str]:
        asked.append(sound_out)
        return ("AH1",), "letter-to-sound"

    monkeypatch.setattr("inference.frontend.reading.english.read_word", read_word)
    words = [f"{chr(97 + number % 26)}{chr(97 + number // 26)}xyzzyq" for number in range(SOUNDED_OUT // 8 + 100)]
    read(" ".join([*words[:10], *words]))
    assert asked == [True] * (SOUNDED_OUT // 8 + 10)  # the others are told by their letters alone


def test_emoji_and_other_scripts_are_reported() -> None:
    reading = read("你好😀世界ひ")
    assert reading.unspoken == ("😀", "ひ")
    assert "".join(word.text for sentence in reading.sentences for word in sentence.words) == "你好世界"


@pytest.mark.parametrize("text", ["", " ", "。！？", "😀", "ひらがな", "\n\n", "…", "()", "\ud800", "#"])
def test_nothing_to_say_is_an_error(text: str) -> None:
    with pytest.raises(NothingToSay):
        read(text)


def test_a_text_without_a_stop_is_cut_into_sentences_and_loses_nothing() -> None:
    text = "今天天气很好我们去公园散步" * 100
    reading = read(text)
    assert all(sum(len(word.spoken) for word in sentence.words) <= 150 for sentence in reading.sentences)
    assert "".join(word.text for sentence in reading.sentences for word in sentence.words) == text
    assert "".join(sentence.text for sentence in reading.sentences) == text


def test_long_sentences_are_cut_at_their_commas() -> None:
    reading = read("今天天气很好，我们去公园散步，" * 20)
    assert {sentence.text[-1] for sentence in reading.sentences} == {"，"}
    assert all(sentence.phones[-1].name == "," for sentence in reading.sentences)


def _check(text: str, reading: Reading) -> None:
    for sentence in reading.sentences:
        assert all(word.rule for word in sentence.words)
        assert sentence.phones[0].name == "^"
        assert sentence.phones[-1].name in PAUSES
        assert sentence.phones[-1].break_ == Break.SENTENCE
        for phone in sentence.phones:
            assert phone.name in PHONE_IDS
            assert (phone.tone == Tone.NONE) == (phone.position == Position.NONE) == (phone.name in PAUSES)
    said = "".join(word.text for sentence in reading.sentences for word in sentence.words) + "".join(reading.unspoken)
    assert not re.search("[0-9]", said)
    for char in re.findall(f"[{HANZI}]", text):
        assert char in said


_SNIPPETS = st.sampled_from(
    "一 不 儿 得 你好 了 12 3.5 % $ - . , A iPhone 's e.g. 2024-05-06 @ http://a.b … “ ” 😀 \u200d 𠮷 龘 9:05 / 0 ¥ "
    "1/2 v1.2.3 °C ： Ⅳ ½ kg ～ \n \t".split(" ")
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(st.characters(), max_size=60), st.lists(_SNIPPETS, max_size=25).map("".join)))
def test_any_text_is_read_or_has_nothing_to_say(text: str) -> None:
    try:
        reading = read(text)
    except (NothingToSay, OverrideError):  # the latter for <a|+>, which asks for a reading that is none
        return
    _check(text, reading)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1, max_size=40))
def test_any_hanzi_are_read_or_reported(text: str) -> None:
    reading = read("好" + text)
    said = "".join(word.text for sentence in reading.sentences for word in sentence.words)
    assert sorted(said + "".join(reading.unspoken)) == sorted("好" + text)


@pytest.mark.parametrize(
    "piece",
    "一 不 儿 1 9. 1- a. $1, v1. ( …… A e.g. http:// @a. 1:2 < <a| <行|hang2> | \u0301 😀 \n 好\n".split(" "),
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    read("热身 warm 1")

    def calls(times: int) -> int:
        """Python calls made: the same on any machine, where seconds are not."""
        count = 0

        def note(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(note)
        try:
            read("好" + piece * times)
        finally:
            sys.setprofile(None)
        return count

    calls(100)
    assert calls(4000) < 15 * calls(400)

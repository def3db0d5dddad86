"""The user's own readings: lexicons, `<行|hang2>` in the text, and what is refused in them."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference.frontend.lexicon import MAX_ENTRIES, MAX_KEY, Lexicon, LexiconError, read_lexicon
from inference.frontend.reading import Change, NothingToSay, OverrideError, Reading, Word, read

HOUSE = {
    "重庆": "zhong4 qing4",
    "SQL": "sequel",
    "Nguyen": "W IH1 N",
    "行|hang2": "xing2",
    "T恤": "ti4 xu4",
    "5G": "wu3 ji4",
    "C++": "see plus plus",
    "New York": "N UW1 Y AO1 R K",
    "玩儿": "wan2 er2",
    "花": "huar1",
    "西": "xi3",
    "西红柿": "xi2 hong2 shi4",
    "究生": "jiu4 sheng4",
    "覅": "不要",
    "the": "DH AH0",
    "ß": "S IY1",
}


def words(text: str, lexicon: Lexicon | None = None) -> list[Word]:
    return [word for sentence in read(text, lexicon).sentences for word in sentence.words]


def said(text: str, lexicon: Lexicon | None = None) -> str:
    return " ".join(reading for word in words(text, lexicon) for reading in word.readings)


@pytest.fixture(scope="module")
def house() -> Lexicon:
    return Lexicon.of(HOUSE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("重庆", "zhong4 qing4"),
        ("MySQL重庆SQL", "M AY1 EH1 S K Y UW1 EH1 L zhong4 qing4 S IY1 K W AH0 L"),
        ("去重庆市", "qu4 zhong4 qing4 shi4"),
        ("学SQL", "xue2 S IY1 K W AH0 L"),
        ("Nguyen", "W IH1 N"),
        ("Nguyen's", "W IH1 N Z"),
        ("银行", "yin2 xing2"),
        ("不行", "bu4 xing2"),
        ("2件T恤", "liang3 jian4 ti4 xu4"),
        ("5G和15G", "wu3 ji4 he2 shi2 wu3 JH IY1"),
        ("C++", "S IY1 P L AH1 S P L AH1 S"),
        ("New York", "N UW1 Y AO1 R K"),
        ("去玩儿", "qu4 wan2 er2"),
        ("花", "huar1"),
        ("花儿", "huar1"),
        ("西方的西红柿", "xi3 fang1 de5 xi2 hong2 shi4"),
        ("研究生命", "yan2 jiu4 sheng4 ming4"),
        ("覅走", "bu4 yao4 zou3"),
    ],
)
def test_a_lexicon_is_honoured(text: str, expected: str, house: Lexicon) -> None:
    assert said(text, house) == expected


@pytest.mark.parametrize("text", ["MySQL", "SQLite", "Nguyens", "15G", "5GB", "don'the", "théthe", "New Yorkers"])
def test_a_key_is_not_found_inside_a_longer_word(text: str, house: Lexicon) -> None:
    assert [word.rule for word in words(text, house) if word.rule == "user lexicon"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("这一<行|hang2>", "zhe4 yi1 hang2"),
        ("在银<行|xing2>存钱", "zai4 yin2 xing2 cun2 qian2"),
        ("<SQL|sequel>", "S IY1 K W AH0 L"),
        ("<Nguyen|W IH1 N>先生", "W IH1 N xian1 sheng5"),
        ("<阮|W IH1 N>先生", "W IH1 N xian1 sheng5"),
        ("<重庆|chong2 qing4>", "chong2 qing4"),
        ("2<个|ge4>", "liang3 ge4"),
        ("3.5<折|she2>", "san1 dian3 wu3 she2"),
        ("<花儿|huar1>", "huar1"),
        ("<花儿|hua1 er2>", "hua1 er2"),
        ("<花|hua1>儿", "hua1 er2"),
        ("花<儿|er5>", "hua1 er5"),
        ("<女|nü3><女|nu:3>", "nv3 nv3"),
        ("<𪚥|zhe2>", "zhe2"),
        ("<WTO|shi4 mao4 zu3 zhi1>", "shi4 mao4 zu3 zhi1"),
        ("<B|S IY1><b|S IY1>", "S IY1 S IY1"),
        ("x<Tom|T AA1 M>x", "EH1 K S T AA1 M EH1 K S"),
        ("jqz <Tom|T AA1 M>", "JH EY1 K Y UW1 Z IY1 T AA1 M"),
        ("買<個|ge4>", "mai3 ge4"),
    ],
)
def test_a_reading_in_the_text_is_honoured_and_wins(text: str, expected: str) -> None:
    assert said(text, Lexicon.of({"重庆": "zhong4 qing4", "行|hang2": "xing2"})) == expected


@pytest.mark.parametrize(
    "text", ["a<b", "a > b | c", "< 行 | hang2 >", "<行>", "<行 |hang2>", "<行||hang2>", "<\n行|a>", "|", "a<|b|>"]
)
def test_brackets_and_bars_of_another_shape_are_text(text: str) -> None:
    for char in set(re.findall("[行ab]", text)):
        assert any(char in word.text for word in words(f"{text}好"))


def test_the_sentence_around_is_one_sentence() -> None:
    (sentence,) = read("我不<去|qu4>，一<个|ge4>3岁的<买|mai3>了很好").sentences
    spoken = {word.text: " ".join(word.spoken) for word in sentence.words}
    assert sentence.text == "我不去，一个三岁的买了很好"
    assert "".join(spoken) == "我不去一个三岁的买了很好"
    joined = " ".join(spoken.values())
    assert "bu2 qu4" in joined
    assert "yi2 ge4 san1 sui4" in joined


def test_a_given_word_keeps_its_place_in_a_longer_one(house: Lexicon) -> None:
    assert [(word.text, word.rule) for word in words("银行", house)] == [("银行", "user lexicon")]
    assert [(word.text, word.rule) for word in words("银<行|xing2>")] == [("银行", "override")]


def test_a_given_english_word_has_no_weak_form(house: Lexicon) -> None:
    assert next(word.spoken for word in words("the apple", house)) == ("DH", "AH0")


def test_the_reading_shows_what_was_written(house: Lexicon) -> None:
    reading = read("用SQL、5G和<B|S IY1>，2<个|ge4>", house)
    assert reading.normalized == "用sequel、5G和B，两个"
    assert [sentence.text for sentence in reading.sentences] == [reading.normalized]
    assert reading.changes[0] == Change("user lexicon", "SQL", "sequel")
    assert read("<SQL|sequel>").changes[0] == Change("override", "SQL", "sequel")
    assert not [change for change in reading.changes if re.search("[\U0002fffe\U0002ffff]|jqz", str(change))]


def test_a_lexicon_that_finds_nothing_changes_nothing(house: Lexicon) -> None:
    text = "今天3:20我们去公园，hello world。😀"
    assert read(text, house) == read(text) == read(text, Lexicon.of({}))


REFUSED = {
    "unknown syllable": ("重庆", "chong2 qingg4", "'重庆': syllable 2, 'qingg4' at offset 7 of the reading"),
    "no such tone": ("重庆", "chong2 qing9", "'重庆': syllable 2, 'qing9' at offset 7 of the reading"),
    "no tone": ("重庆", "chong2 qing", "syllable 2, 'qing'"),
    "too few syllables": ("重庆", "chong2", "1 syllable(s) for 2 character(s)"),
    "too many syllables": ("行", "xing2 hang2", "2 syllable(s) for 1 character(s)"),
    "erhua on too little": ("玩", "wan2 er2", "2 syllable(s) for 1 character(s)"),
    "unknown phone": ("SQL", "S IY1 Q", "phone 3, 'Q' at offset 6 of the reading"),
    "a vowel without stress": ("SQL", "S IY1 K W AH L", "phone 5, 'AH'"),
    "empty": ("SQL", "", "'SQL': '' is no reading; expected pinyin"),
    "blank": ("SQL", "  ", "'SQL': '  ' is no reading"),
    "punctuation": ("SQL", "se.quel", "'se.quel' is no reading"),
    "not a string": ("SQL", 3, "'SQL': the reading is 3, not a string"),
    "no key": ("", "a", "expected a key"),
    "a key with a blank": (" a", "a", "expected a key"),
    "a key of two lines": ("a\nb", "a", "expected a key"),
    "a key in brackets": ("<a>", "a", "expected a key"),
    "a long key": ("a" * (MAX_KEY + 1), "a", f"the key has {MAX_KEY + 1} characters; it may have {MAX_KEY}"),
    "a long reading": ("a", "a" * 513, "the reading has 513 characters; it may have 512"),
    "two characters before the bar": ("银行|hang2", "hang2", "one Chinese character before the key's bar"),
    "a word before the bar": ("a|hang2", "hang2", "one Chinese character before the key's bar"),
    "no syllable after the bar": ("行|", "hang2", "'行|': the reading is empty"),
    "no such syllable after the bar": ("行|hong9", "hang2", "syllable 1, 'hong9'"),
    "two syllables for a bar": ("行|hang2", "hang2 hang2", "2 syllables; expected one"),
    "words for a bar": ("行|hang2", "sequel", "syllable 1, 'sequel'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_entry_is_refused_with_its_place(name: str) -> None:
    key, value, message = REFUSED[name]
    with pytest.raises(LexiconError, match="lexicon entry") as caught:
        Lexicon.of({"好": "hao3", key: value})  # type: ignore[dict-item]  # that is one of the faults
    assert message in str(caught.value)
    assert repr(key) in str(caught.value)
    assert "expected" in str(caught.value) or "it may have" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("好<行|hang9>", 1, "<行|hang9>: syllable 1, 'hang9'"),
        ("<行|xing2 hang2>", 0, "2 syllable(s) for 1 character(s)"),
        ("<好|hao3><行|>", 8, "<行|>: '' is no reading"),
        ("😀<|hang2>", 1, "<|hang2>: there is no text before the bar"),
        ("a <b|c+d>", 2, "'c+d' is no reading"),
    ],
)
def test_a_wrong_reading_in_the_text_is_refused_with_its_offset(text: str, offset: int, message: str) -> None:
    with pytest.raises(OverrideError, match=f"at offset {offset} of the text") as caught:
        read(text)
    assert caught.value.offset == offset
    assert message in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  # as between processes


def test_a_lexicon_has_a_limit() -> None:
    most = {chr(0x4E00 + number % 5000) + chr(0x4E00 + number // 5000): "a1 a1" for number in range(MAX_ENTRIES)}
    assert len(Lexicon.of(most)) == MAX_ENTRIES
    with pytest.raises(LexiconError, match="it may have 10000"):
        Lexicon.of({**most, "好": "hao3"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "is not text in UTF-8 (byte 0)"),
        (b'{"a": }', "is not JSON: Expecting value, line 1, column 7"),
        (b'["a"]', "is not one object of strings"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"a": "b", "a": "c"}', "lexicon entry 'a': it is there 2 times"),
        (b'{"a": {"b": "c"}}', "lexicon entry 'a': the reading is"),
        (b'{"a": null}', "lexicon entry 'a': the reading is null"),
        ('{"重庆": "chong2"}'.encode(), "lexicon entry '重庆': 'chong2' has 1 syllable(s)"),
    ],
)
def test_a_wrong_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "lexicon.json"
    file.write_bytes(content)
    with pytest.raises(LexiconError, match=re.escape(message)):
        read_lexicon(file)


def test_a_file_is_a_lexicon(tmp_path: Path) -> None:
    file = tmp_path / "lexicon.json"
    file.write_text("\ufeff" + json.dumps(HOUSE), encoding="utf-8")
    assert said("重庆", read_lexicon(file)) == "zhong4 qing4"
    with pytest.raises(FileNotFoundError):
        read_lexicon(tmp_path / "none.json")


def test_a_lexicon_travels_between_processes(house: Lexicon) -> None:
    assert said("重庆", pickle.loads(pickle.dumps(house))) == "zhong4 qing4"  # noqa: S301


_PIECES = st.sampled_from(
    "一 不 儿 得 你好 银行 重庆 SQL Nguyen 5G C++ 12 3.5 % $ - . , ' / www. .com 2024-05-06 3: :20 ¥ < > | 😀".split()
)
_GIVEN = st.sampled_from(
    [
        ("<行|nuan2>", "nuan2"),
        ("<儿|zhui3>", "zhui3"),
        ("<点|dian2>", "dian2"),
        ("<百|lve1>", "lve1"),
        ("<OK|ou1 kei4>", "ou1 kei4"),
        ("<Zoe|Z OW1>", "Z OW1"),
        ("<ZOE|Z OW2>", "Z OW2"),
        ("<5%|Z OW0>", "Z OW0"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_PIECES, _GIVEN), min_size=1, max_size=15))
@example(["$", ("<百|lve1>", "lve1"), "12", ("<Zoe|Z OW1>", "Z OW1"), "'", "SQL"])
def test_whatever_stands_beside_it_a_given_reading_is_said(pieces: list[str | tuple[str, str]]) -> None:
    text = "".join(piece if isinstance(piece, str) else piece[0] for piece in pieces)
    expected = [piece[1] for piece in pieces if isinstance(piece, tuple)]
    try:
        reading = read(text)
    except OverrideError:  # < and > of their own have made an override of something else
        return
    except NothingToSay:
        assert not expected
        return
    assert [reading for reading in _given(reading) if reading in expected] == expected
    assert not re.search("[\U0002fffe\U0002ffff]|jqz", str(reading))


def _given(reading: Reading) -> list[str]:
    """The readings that were given, one by one, words of several hanzi cut into their syllables."""
    found: list[str] = []
    for sentence in reading.sentences:
        for word in sentence.words:
            if word.rule == "override":
                found += [" ".join(word.readings)] if word.text[0].isascii() else word.readings
    return found


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from([*"一不儿行重庆SQLaz’'<>|5 。\U0002fffe\U0002ffff"]), max_size=30))
def test_any_text_is_read_with_a_lexicon(text: str) -> None:
    try:
        reading = read(text, Lexicon.of(HOUSE))
    except (NothingToSay, OverrideError):
        return
    assert not re.search("[\U0002fffe\U0002ffff]|jqz", str(reading))


def test_finding_keys_is_linear_in_the_text() -> None:
    hostile = Lexicon.of({"一" * length + "丁": "yi1 " * length + "ding1" for length in range(1, 50)})
    assert sum(1 for _ in hostile.find("一" * 20_000 + "丁", 0, 20_001)) == 1

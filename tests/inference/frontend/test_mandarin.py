"""Hanzi to words and readings: polyphones, names, places, coverage, and where a long sentence breathes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypinyin.constants import PINYIN_DICT

from inference.frontend import mandarin
from inference.frontend.hanzi import is_syllable, rows
from inference.frontend.phones import Break, split_syllable
from inference.frontend.reading import read
from inference.frontend.sandhi import syllable_starts

_ROWS = (Path(__file__).parent / "polyphones.tsv").read_text("utf-8").splitlines()
_SENTENCES = [row for row in _ROWS if row and not row.startswith("#")]
_HANZI = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1, max_size=40)
_COMMON = st.text(
    st.sampled_from("一不儿了着得地长为行重还只种曾单尉迟先生姓老师好数干中発長爲還著\u3400𠮷豈"), max_size=30
)


def readings_by_place(text: str) -> dict[int, str]:
    """For each character its reading; 儿 that colours a syllable has none of its own."""
    found: dict[int, str] = {}
    at = 0
    for word in mandarin.words_of(text)[0]:
        found |= {at + s: r for s, r in zip(syllable_starts(word.text, word.readings), word.readings, strict=True)}
        at += len(word.text)
    return found


@pytest.mark.parametrize("sentence", _SENTENCES)
def test_a_polyphone_is_read_by_its_sentence(sentence: str) -> None:
    text = re.sub(r"\[(.):[^\]]*\]", r"\1", sentence)
    found = readings_by_place(text)
    bare = re.split(r"(\[.:[^\]]*\])", sentence)
    at = 0
    for piece in bare:
        marked = re.fullmatch(r"\[(.):([^\]]*)\]", piece)
        if marked:
            assert found[at] in marked[2].split("/"), (marked[1], mandarin.words_of(text)[0])
        at += 1 if marked else len(piece)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("银行", "override table"),
        ("经济", "phrase book"),
        ("建设银行", "by parts"),
        ("猫", "character"),
        ("很长", "polyphone"),
        ("曾先生", "surname"),
        ("花儿", "erhua"),
        ("秧歌", "neutral tone"),
    ],
)
def test_a_word_tells_how_its_reading_was_found(text: str, rule: str) -> None:
    assert rule in [word.rule for word in mandarin.words_of(text)[0]]


def test_every_entry_of_our_tables_can_be_said() -> None:
    spelled = [row.split("\t") for row in rows("overrides.tsv")]
    for word, reading in spelled:
        readings = reading.split()
        coloured = sum(r[-2] == "r" and r[:-1] != "er" for r in readings)
        assert len(word) == len(readings) + coloured, word
        assert all(map(is_syllable, readings)), word
    assert len({word for word, _ in spelled}) == len(spelled)
    for row in rows("polyphones.txt"):
        char, reading, *words = row.split()
        assert is_syllable(reading)
        assert all(char in word and len(word) > 1 for word in words), row
    for row in rows("contexts.tsv"):
        if not row.startswith("@"):
            word, reading, *sides = row.split("\t")
            assert len(word) == len(reading.split()), row
            assert all(map(is_syllable, reading.split())), row
            assert len(sides) in (2, 3), row
            assert all(side.split() for side in sides), row


def test_every_common_character_has_a_reading() -> None:
    common = [chr(code) for code in range(0x4E00, 0x9FA6) if _in_gb2312(chr(code))]
    assert len(common) == 6763
    assert [char for char in common if mandarin.words_of(char)[1]] == []


def test_every_character_that_pypinyin_knows_has_a_reading() -> None:
    known = [chr(code) for code in range(0x4E00, 0xA000) if PINYIN_DICT.get(code)]
    assert len(known) > 20_000
    assert [char for char in known if mandarin.words_of(char)[1]] == []


def test_a_character_without_a_reading_is_reported() -> None:
    said, unspoken = mandarin.words_of("好兙好")
    assert [word.text for word in said] == ["好", "好"]
    assert unspoken == ["兙"]


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [
        ("銀行行長還錢", "银行行长还钱"),
        ("他長得很高", "他长得很高"),
        ("音樂會很快樂", "音乐会很快乐"),
        ("頭髮長了", "头发长了"),
        ("著名作家看著我", "著名作家看着我"),
        ("兩隻老虎", "两只老虎"),
        ("衣服乾了", "衣服干了"),
    ],
)
def test_traditional_characters_are_read_as_simplified_ones(traditional: str, simplified: str) -> None:
    said, _ = mandarin.words_of(traditional)
    assert "".join(word.text for word in said) == traditional
    assert [r for word in said for r in word.readings] == [
        r for word in mandarin.words_of(simplified)[0] for r in word.readings
    ]


@settings(max_examples=300, deadline=None)
@given(st.one_of(_HANZI, _COMMON))
def test_any_hanzi_have_a_syllable_each_or_are_reported(text: str) -> None:
    said, unspoken = mandarin.words_of(text)
    assert sorted("".join(word.text for word in said) + "".join(unspoken)) == sorted(text)
    for word in said:
        assert all(split_syllable(reading) for reading in word.readings)
        coloured = sum(reading[-2] == "r" and reading[:-1] != "er" for reading in word.readings)
        assert len(word.text) == len(word.readings) + coloured


@settings(max_examples=300, deadline=None)
@given(_COMMON)
def test_any_sentence_of_polyphones_is_spoken(text: str) -> None:
    reading = read("好" + text)
    said = "".join(word.text for sentence in reading.sentences for word in sentence.words)
    assert sorted(said + "".join(reading.unspoken)) == sorted("好" + text)


def _in_gb2312(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def breathed(text: str) -> str:
    """The sentences with `|` at phrase breaks and `‖` at pauses."""
    marks = {Break.PHRASE: "|", Break.CLAUSE: "‖", Break.SENTENCE: "‖"}
    words = [word for sentence in read(text).sentences for word in sentence.words]
    return "".join(word.text + marks.get(word.break_, "") for word in words)


@pytest.mark.parametrize(
    "text",
    [
        "昨天晚上我的朋友|在学校附近的图书馆里|安静地看书和写作业‖",
        "国家发展和改革委员会|日前发布的最新数据|显示今年前三季度全国|粮食产量稳步增长‖",
        "中国人民银行|决定下调金融机构存款准备金率|零点五个百分点‖",
        "随着经济的快速发展|和人民生活水平的不断提高|越来越多的人|开始重视身体健康‖",
        "如果明天不下雨的话|我们就去公园里放风筝‖",
        "请您在听到提示音以后|输入您的十八位身份证号码‖",
        "她是一个非常漂亮|而且聪明的女孩子‖",
        "他在北京工作‖",
        "今天天气很好‖我们去公园‖",
    ],
)
def test_a_long_sentence_breathes_where_a_reader_would(text: str) -> None:
    assert breathed(re.sub("[|‖]", "", text.replace("好‖", "好，"))) == text


@pytest.mark.parametrize(
    ("text", "tied"),
    [
        ("昨天晚上他在公园里遇见了一个非常漂亮的女孩子", "漂亮的女孩子"),
        ("学校图书馆今年新买了三百二十本科学方面的书", "三百二十本"),
        ("妈妈昨天在超市里给我们买了五斤苹果和三斤香蕉", "三斤香蕉"),
        ("老师把昨天的作业本全部发给了班里的同学们", "把昨天"),
        ("这座古老的城市在一百多年以前被大火烧毁了", "被大火"),
        ("我们一家人每年夏天都会在海边的房子里住一个月", "在海边"),
        ("那位年轻的医生认真地给每一位病人检查了身体", "每一位病人"),
        ("公司决定从下个月开始不再向员工提供免费的午餐", "向员工"),
        ("他已经在这家公司里工作了整整二十五年零三个月", "二十五年"),
        ("这种植物只生长在海拔三千米以上的高山地区", "三千米以上"),
    ],
)
def test_what_belongs_together_is_not_parted(text: str, tied: str) -> None:
    assert tied in breathed(text)


@pytest.mark.parametrize(
    "text", ["今天天气很好我们去公园散步" * 30, "一" * 500, "的" * 500, "中国人民银行" * 60, "好" * 300]
)
def test_no_phrase_is_longer_than_a_breath(text: str) -> None:
    for phrase in re.split("[|‖]", breathed(text)):
        assert len(phrase) <= 60

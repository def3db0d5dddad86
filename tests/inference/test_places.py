"""Where the words that are said stand in the text that was written."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.frontend.reading import NothingToSay, OverrideError, read
from inference.places import _alike, _tokens, places

TABLE = [
    ("早上好！现在是8:30。", "早上好 | 现在 | 是 | 8:30=八点 三十分"),
    ("下午3点。Don't worry, it's OK.", "下午 | 3点=三点 | Don't | worry | it's | OK"),
    ("共35块，还有十五个。", "共 | 35块=三十五块 | 还有 | 十五个"),
    ("5月1日和3月5日", "5月=五月 | 1日=一日 | 和 | 3月=三月 | 5日=五日"),
    ("花了￥3.50元，占12.5%。", "花 | 了 | ￥3.50元=三点 五元 | 占 | 12.5%=百分之十 二点五"),
    ("I paid $3.50 to Dr. Smith.", "I | paid | $3.50=three dollars fifty cents | to | Dr=Doctor | Smith"),
    ("GDP增长5.2%，占1/2", "GDP | 增长 | 5.2%=百分之五点 二 | 占 | 1/2=二分之一"),
    ("ＡＢＣ，café 😀 naïve", "ＡＢＣ=ABC | café=cafe | naïve=naive"),
    ("网址www.example.com", "网址 | www=WWW 点 | example=example 点 | com"),
    ("他说：“3点见！”", "他 | 说 | 3点=三点 | 见"),
    ("行不行？<行|hang2>家", "行不行 | 行|hang2>家=行家"),
    ("1 2 3", "1 2 3=一 二 三"),
]


def words_of(text: str) -> list[str]:
    return [word.text for sentence in read(text).sentences for word in sentence.words]


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_words_are_found_where_they_are_written(text: str, expected: str) -> None:
    words = words_of(text)
    shown = []
    for place, group in itertools.groupby(zip(places(text, words), words, strict=True), key=lambda pair: pair[0]):
        said, written = [word for _, word in group], text[place.start : place.end]
        shown.append(written if [written] == said else f"{written}={' '.join(said)}")
    assert " | ".join(shown) == expected


def assert_in_order(text: str, words: list[str]) -> None:
    found = places(text, words)
    assert len(found) == len(words)
    for place in found:
        assert 0 <= place.start <= place.end <= len(text)
    for one, other in itertools.pairwise(found):
        assert one == other or one.end <= other.start


@settings(deadline=None)  # the dictionaries are loaded once
@given(st.text("一二三十点月日块3508:.%/$ 。，aTo and 你好\n<>|😀", max_size=60))
def test_places_are_in_the_order_of_the_text(text: str) -> None:
    try:
        words = words_of(text)
    except (NothingToSay, OverrideError):
        return
    assert_in_order(text, words)


@given(st.text("一三十 3:a你", max_size=40), st.lists(st.text("一三十a你b", max_size=4), max_size=30))
def test_whatever_is_said_has_a_place(text: str, words: list[str]) -> None:
    assert_in_order(text, words)


def test_what_is_written_as_it_is_said_is_found_to_the_letter() -> None:
    sentences = Path(__file__).parent / "frontend" / "golden" / "sentences.tsv"
    plain = 0
    for line in sentences.read_text(encoding="utf-8").splitlines():
        text = line.split("\t")[0]
        if not text or not all(char.isalpha() or char in "，。！？、 " for char in text):
            continue
        words = words_of(text)
        assert [text[place.start : place.end] for place in places(text, words)] == words, text
        plain += 1
    assert plain > 20, "the test has something to look at"


class Counted(list[str]):
    """A list that knows how often it was looked into."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("piece", ["3块三", "三十", "1", "你好，", "a1 b2 ", "8:30 ", "3十3", "1/2三分之一"])
def test_the_work_grows_as_the_text_does(piece: str) -> None:
    def looks(count: int) -> int:
        said, written = (Counted(_tokens(text).names) for text in (" ".join(words_of(piece * count)), piece * count))
        _alike(said, written)
        return said.looks + written.looks

    assert looks(2000) < 5 * looks(500)

"""Figures, symbols, widths: what becomes of them, that nothing is lost, and that it costs little."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.frontend.normalise import normalise
from inference.frontend.numerals import en_cardinal, en_ordinal, roman, zh_cardinal
from inference.frontend.rules import MAX_CHANGES
from inference.frontend.segment import HANZI, passages
from inference.frontend.words import Change

_ROWS = (Path(__file__).parent / "normalised.tsv").read_text("utf-8").splitlines()


@pytest.mark.parametrize("row", [row for row in _ROWS if row and not row.startswith("# ")])
def test_figures_are_said_as_the_table_says(row: str) -> None:
    text, expected = row.split("\t")
    assert normalise(text).text == expected


@pytest.mark.parametrize(
    ("digits", "zh", "en"),
    [
        ("0", "零", "zero"),
        ("10", "十", "ten"),
        ("15", "十五", "fifteen"),
        ("110", "一百一十", "one hundred ten"),
        ("101", "一百零一", "one hundred one"),
        ("1001", "一千零一", "one thousand one"),
        ("2000", "两千", "two thousand"),
        ("10500", "一万零五百", "ten thousand five hundred"),
        ("20000", "两万", "twenty thousand"),
        ("100001", "十万零一", "one hundred thousand one"),
        ("100000000", "一亿", "one hundred million"),
        ("007", "零零七", "zero zero seven"),
    ],
)
def test_cardinals(digits: str, zh: str, en: str) -> None:
    assert (zh_cardinal(digits), en_cardinal(digits)) == (zh, en)


@pytest.mark.parametrize(
    ("digits", "said"), [("1", "first"), ("12", "twelfth"), ("20", "twentieth"), ("23", "twenty third")]
)
def test_ordinals(digits: str, said: str) -> None:
    assert en_ordinal(digits) == said


@pytest.mark.parametrize(
    ("letters", "value"), [("I", 1), ("IV", 4), ("XIV", 14), ("MCMXC", 1990), ("IIX", None), ("VV", None), ("", None)]
)
def test_roman_numbers(letters: str, value: int | None) -> None:
    assert roman(letters) == value


def test_plain_hanzi_are_left_alone() -> None:
    text = "今天天气很好，我们去公园吧！"
    assert normalise(text).text is text


def test_rules_say_what_they_changed() -> None:
    assert normalise("下午3:20开会，涨了5%").changes == (
        Change("time", "3:20", "三点二十分"),
        Change("percent", "5%", "百分之五"),
    )
    assert normalise("Dr. Li paid $5.").changes == (
        Change("abbreviation", "Dr.", "Doctor"),
        Change("money", "$5", "five dollars"),
    )
    assert normalise("好😀，ＵＳＢ").changes == (Change("emoji", "😀", ""), Change("width", "ＵＳＢ", "USB"))
    assert normalise("没有数字。").changes == ()


def test_changes_are_bounded() -> None:
    assert len(normalise("1个 " * 5000).changes) == MAX_CHANGES


@pytest.mark.parametrize(
    ("text", "unspoken"),
    [
        ("你好😀世界ひ", ("😀", "ひ")),
        ("👨‍👩‍👧好", ("👨", "👩", "👧")),
        ("1️⃣先", ()),
        ("e\u0301", ()),
        ("好\u0301", ("\u0301",)),
        ("\ud800", ("\ud800",)),
        ("a\u200bb\ufeff", ()),
        ("Kindle™", ("™",)),
    ],
)
def test_what_nobody_can_say_is_handed_back(text: str, unspoken: tuple[str, ...]) -> None:
    assert normalise(text).unspoken == unspoken


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789.,-/:%$¥年月日点元个kgAa 到～°C()+=", max_size=30))
def test_no_digit_is_left(text: str) -> None:
    assert not re.search("[0-9]", normalise(text).text)


_HEARD_AS_PAUSES = frozenset(".,!?;:'\"()[]{}…~-、，。！？；：·—–―～“”‘’（）《》〈〉「」『』【】〔〕．｡․‥⋯•・‧∙⋅")
_SNIPPETS = st.sampled_from(
    "一 了 12 3.5 % $ - . , A iPhone 's e.g. 2024-05-06 @ http://a.b … “ ” 😀 \u200d 9:05 / 0 ¥ 1/2 v1.2.3 °C ： Ⅳ ½ "
    "kg ～ \n \t # * _ ^ & ² ① Ω \u0301 é ひ \ud800 ** === (1) 5' 3x 第2 个 年 Dr. St. p.m. XIV vs C++ ’ ○".split(" ")
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(_SNIPPETS, max_size=25).map("".join)))
def test_nothing_is_lost_in_silence(text: str) -> None:
    """A character is still there, or a rule tells what it became, or it is handed back; marks and controls may go."""
    done = normalise(text)
    kept = Counter(done.text)
    kept.update(done.unspoken)
    for change in done.changes:
        kept.update(change.before)
    for char, count in Counter(text).items():
        quiet = char.isspace() or unicodedata.category(char) in {"Cf", "Cc", "Me", "Mn"} or char in _HEARD_AS_PAUSES
        assert quiet or kept[char] >= count, char
    said = Counter(done.unspoken)
    for passage in passages(done.text):
        said.update(passage.unspoken)
        said.update("".join(run.text for run in passage.runs))
    for char, count in Counter(re.findall(f"[A-Za-z{HANZI}]", done.text)).items():
        assert said[char] >= count


@pytest.mark.parametrize(
    "piece",
    [
        *"1 1, 1- 1: 1/ 1. a. A. a1 A1 $1 -1 +1 1% ( (1) [ < = @ a@ http://a. a/ 😀 \u0301 a\u0301 … …” .” ?”".split(),
        *"3-5天 5kg e.g. Mr. XIV v1.2 10:30 IV. ½ ² ① ** #a 1'1\" 1×1 °1 1,000 1.1 (a (a。 ひ 9's 1st 。“ 1年".split(),
        *("1 ", " 1", "a ", "- ", "1 - ", "(a? ", " \n", "I am 1. ", "1年 a1 ", "“", "5 May ", "No. 1 "),
        *(
            "密码还是1，",
            "密码12345678901234567890千1",
            "返回是的是502 ",
            "3号楼2单元1501",
            "5kg/100m",
            "1-2、3-1、",
            "*1**1",
        ),
    ],
)
def test_work_is_linear_in_the_text(piece: str) -> None:
    """Python calls and lines made: the same on any machine, where seconds are not."""

    def work(times: int) -> int:
        count = 0

        def note(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(note)
        try:
            for _ in passages(normalise("好" + piece * times).text):
                pass
        finally:
            sys.setprofile(None)
        return count

    work(20)
    assert work(1600) < 6 * work(400) + 4000


def test_noise_that_goes_on_for_hours_is_spelled_and_loses_nothing() -> None:
    noise = "a+7|*Qz;3_&w " * 20_000
    assert normalise(noise).text.endswith("A seven QZ three W")
    clean = normalise("好" + noise)
    assert clean.text.endswith("A 七 QZ 三 W")
    assert {*clean.unspoken} >= {"|", "&"}


def test_a_long_table_of_figures_is_no_noise() -> None:
    assert normalise("好\n" + "12.50, 3.25\n" * 8_000).text.endswith("十二点五零, 三点二五")


def test_hanzi_in_noise_are_kept() -> None:
    clean = normalise("年7|*月-3%/" * 20_000)
    assert clean.text.count("年") == clean.text.count("月") == 20_000

"""Figures, symbols and widths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.frontend.normalise import normalise
from inference.frontend.numerals import en_cardinal, en_ordinal, zh_cardinal

_ROWS = (Path(__file__).parent / "normalised.tsv").read_text("utf-8").splitlines()


@pytest.mark.parametrize("row", [row for row in _ROWS if row and not row.startswith("#")])
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


def test_plain_hanzi_are_left_alone() -> None:
    text = "今天天气很好，我们去公园吧！"
    assert normalise(text).text is text


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789.,-/:%$¥年月日点元个kgAa 到～°C()+=", max_size=30))
def test_no_digit_is_left(text: str) -> None:
    assert not re.search("[0-9]", normalise(text).text)

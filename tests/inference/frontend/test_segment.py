"""Where sentences end, and what of a normalised text is heard."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.frontend.normalise import normalise
from inference.frontend.segment import passages


def sentences(text: str) -> list[str]:
    return [passage.text for passage in passages(normalise(text).text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # quotes
        ("他说：“走吧！”然后走了。", ["他说：“走吧！”", "然后走了。"]),
        ('He said "Go." Then he left.', ['He said "Go."', "Then he left."]),
        ('"Are you OK?" she asked.', ['"Are you OK?" she asked.']),
        ("“好。”“再见。”", ["“好。”", "“再见。”"]),
        # brackets
        ("他来了（真的吗？）然后走了。", ["他来了（真的吗？）然后走了。"]),
        ("He left (why?) at five. She stayed.", ["He left (why?) at five.", "She stayed."]),
        ("好。（完）", ["好。", "（完）"]),
        ("一（二。三", ["一（二。", "三"]),
        # ellipses
        ("我……不知道。", ["我……不知道。"]),
        ("Wait... what?", ["Wait… what?"]),
        ("Wait... What?", ["Wait…", "What?"]),
        # abbreviations and decimals
        ("Dr. Li lives on Elm St. now. He left.", ["Doctor Li lives on Elm Street now.", "He left."]),
        ("He lives in the U.S. now. Good.", ["He lives in the US now.", "Good."]),
        ("He works at Apple Inc. He likes it.", ["He works at Apple Incorporated.", "He likes it."]),
        ("We met at 5 p.m. It rained.", ["We met at five PM.", "It rained."]),
        ("圆周率是3.14。好", ["圆周率是三点一四。", "好"]),
        ("打开README.md看看。", ["打开README点md看看。"]),
        # lists and lines
        ("1. Open it. 2. Close it.", ["one, Open it.", "two, Close it."]),
        ("1.打开文件\n2.点击保存", ["一、打开文件", "二、点击保存"]),
        ("- 苹果\n- 梨\n* 桃", ["苹果", "梨", "桃"]),
        ("• First\n• Second", ["First", "Second"]),
        ("a long\nline wrapped", ["a long line wrapped"]),
        ("第一行\n第二行", ["第一行", "第二行"]),
        ("真的？！好", ["真的？！", "好"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "pauses"),
    [
        ("来了（真的吗？）走了。", ["（", "；", "。"]),
        ("真的？！", ["？"]),
        ("你好）。", ["。"]),
        ("（" * 100 + "好，" + "）" * 100 + "好", ["，", ""]),
        ("好" + "，；" * 50 + "好", ["，", ""]),
    ],
)
def test_of_marks_in_a_row_one_is_heard(text: str, pauses: list[str]) -> None:
    assert [run.pause for passage in passages(text) for run in passage.runs] == pauses


def test_marks_nobody_says_are_handed_back_each_time() -> None:
    (passage,) = passages("好" + "#" * 40 + "坏#")
    assert passage.unspoken == ("#",) * 41


@settings(max_examples=200, deadline=None)
@given(st.text("好a。.?！…”\"'（)( \n,-x", max_size=40))
def test_the_words_of_all_sentences_are_those_of_the_text(text: str) -> None:
    found = list(passages(text))
    runs = "".join(run.text for passage in found for run in passage.runs)
    assert "".join(c for c in runs if c.isalpha()) == "".join(c for c in text if c.isalpha())
    assert all(passage.text in text for passage in found)

"""Weak forms of small English words, from the text on."""

from __future__ import annotations

import pytest

from inference.frontend.reading import read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I can see it.", "AY0 | K AH0 N | S IY1 | IH0 T"),
        ("Yes, I can.", "Y EH1 S | AY0 | K AE1 N"),
        ("the apple", "DH IY0 | AE1 P AH0 L"),
        ("the store", "DH AH0 | S T AO1 R"),
        ("go to the office", "G OW1 | T AH0 | DH IY0 | AO1 F IH0 S"),
        ("What for?", "W AH1 T | F AO1 R"),
        ("That is the man that left.", "DH AE1 T | IH0 Z | DH AH0 | M AE1 N | DH AE0 T | L EH1 F T"),
        ("Is it?", "IH0 Z | IH1 T"),
        ("the IT department", "DH IY0 | AY1 T IY1 | D IH0 P AA1 R T M AH0 N T"),
        ("he gave 朋友 the book", "HH IY0 | G EY1 V | peng2 you5 | DH AH0 | B UH1 K"),
        ("They have a dog.", "DH EY0 | HH AE1 V | AH0 | D AO1 G"),
        ("They have seen it.", "DH EY0 | HH AE0 V | S IY1 N | IH0 T"),
        ("She has to go.", "SH IY0 | HH AE1 Z | T AH0 | G OW1"),
        ("Has the man left?", "HH AE0 Z | DH AH0 | M AE1 N | L EH1 F T"),
        ("the will to win", "DH AH0 | W IH1 L | T AH0 | W IH1 N"),
        ("an old man", "AH0 N | OW1 L D | M AE1 N"),
        ("I'm here.", "AY0 M | HH IY1 R"),
        ("You say they've left.", "Y UW0 | S EY1 | DH EY0 V | L EH1 F T"),
        ("Yes, I've.", "Y EH1 S | AY1 V"),
        ("买 the 票", "mai3 | DH AH0 | piao4"),
    ],
)
def test_function_words_are_weak_inside_a_breath(text: str, expected: str) -> None:
    assert " | ".join(" ".join(word.spoken) for word in read(text).sentences[0].words) == expected


def test_readings_stay_those_of_the_lexicon() -> None:
    assert read("I can see it.").sentences[0].words[1].readings == ("K", "AE1", "N")

"""Words and pauses to phones, the frozen rules."""

from __future__ import annotations

import pytest

from inference.frontend.assemble import assemble, phones_of
from inference.frontend.phones import Break, Phone, Position, Tone
from inference.frontend.words import english_word, mandarin_word

NI_HAO = mandarin_word("你好", ("ni3", "hao3"), ("ni2", "hao3"))
SHI_JIE = mandarin_word("世界", ("shi4", "jie4"))


def names(word_phones: str) -> list[str]:
    phones = assemble([(english_word("x", word_phones.split()), "")])
    return [phone.name for phone in phones[1:-1]]


def test_a_mandarin_word_carries_tones_positions_and_its_break_on_the_last_syllable() -> None:
    assert assemble([(NI_HAO, "")]) == (
        Phone("^"),
        Phone("n", Tone.T2, Position.BEGIN, Break.NONE),
        Phone("i", Tone.T2, Position.BEGIN, Break.NONE),
        Phone("h", Tone.T3, Position.END, Break.SENTENCE),
        Phone("ao", Tone.T3, Position.END, Break.SENTENCE),
        Phone(".", Tone.NONE, Position.NONE, Break.SENTENCE),
    )


def test_an_english_word_carries_stress_and_its_break_from_the_last_vowel_on() -> None:
    phones = assemble([(english_word("hello", ("HH", "AH0", "L", "OW1")), ""), (SHI_JIE, "！")])
    assert phones[1:5] == (
        Phone("HH", Tone.UNSTRESSED, Position.BEGIN, Break.NONE),
        Phone("AH", Tone.UNSTRESSED, Position.MIDDLE, Break.NONE),
        Phone("L", Tone.UNSTRESSED, Position.MIDDLE, Break.NONE),
        Phone("OW", Tone.PRIMARY, Position.END, Break.WORD),
    )
    assert phones[-1] == Phone("!", Tone.NONE, Position.NONE, Break.SENTENCE)


def test_an_inside_pause_makes_a_clause_break() -> None:
    phones = assemble([(NI_HAO, "，"), (SHI_JIE, "？")])
    assert [p.name for p in phones] == ["^", "n", "i", "h", "ao", ",", "sh", "ih", "j", "ie", "?"]
    assert phones[4].break_ == phones[5].break_ == Break.CLAUSE


def test_a_phrase_break_is_the_words_own() -> None:
    phones = assemble([(mandarin_word("好", ("hao3",), break_=Break.PHRASE), ""), (SHI_JIE, "")])
    assert phones[1] == Phone("h", Tone.T3, Position.SINGLE, Break.PHRASE)


def test_positions_in_a_long_word() -> None:
    phones = assemble([(mandarin_word("展览馆", ("zhan2", "lan2", "guan3")), "")])
    assert [p.position for p in phones[1:-1:2]] == [Position.BEGIN, Position.MIDDLE, Position.END]


def test_erhua_is_one_syllable() -> None:
    phones = assemble([(mandarin_word("玩儿", ("wanr2",)), "")])
    assert [(p.name, p.position) for p in phones[1:-1]] == [(n, Position.SINGLE) for n in ("w", "uan", "rr")]


@pytest.mark.parametrize(
    ("phones", "expected"),
    [
        ("B AA1 T AH0 L", "B AA T EL"),
        ("R IH1 DH AH0 M", "R IH DH EM"),
        ("B AH1 T AH0 N", "B AH T EN"),
        ("B AE1 R AH0 L", "B AE R AH L"),
        ("L EH1 M AH0 N", "L EH M AH N"),
        ("L AY1 AH0 N", "L AY AH N"),
        ("AH0 L", "AH L"),
        ("P EH1 N AH0 L", "P EH N EL"),
        ("B AA1 T AH0 L Z", "B AA T AH L Z"),
        ("K AH1 M", "K AH M"),
    ],
)
def test_syllabic_consonants_at_a_words_end(phones: str, expected: str) -> None:
    assert " ".join(names(phones)) == expected


def test_a_word_of_no_vowel_carries_its_break_throughout() -> None:
    phones = assemble([(english_word("hmm", ("HH", "M")), "")])
    assert {p.break_ for p in phones[1:]} == {Break.SENTENCE}


def test_phones_of_takes_words_and_marks_apart() -> None:
    assert phones_of((NI_HAO, SHI_JIE), (",",)) == assemble([(NI_HAO, "，"), (SHI_JIE, "")])


@pytest.mark.parametrize(
    "word", [mandarin_word("x", ("xyz1",)), english_word("x", ("QQ",)), english_word("x", ("AH",))]
)
def test_what_is_not_in_the_table_is_refused(word: object) -> None:
    with pytest.raises(ValueError, match="not a"):
        assemble([(word, "")])  # type: ignore[list-item]


def test_no_words_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        assemble([])

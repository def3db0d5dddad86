from __future__ import annotations

from itertools import islice

import pytest

from bench.texts import HOT_TEXTS, PARAGRAPH_CHARS, PARAGRAPH_CHARS_EN, TextPlan, combinations, sentence, texts


def some(plan: TextPlan, count: int, client: int = 0, clients: int = 1) -> list[str]:
    return [text.text for text in islice(texts(plan, client, clients), count)]


@pytest.mark.parametrize(
    ("language", "length"),
    [
        ("zh", "short"),
        ("zh", "sentence"),
        ("zh", "mixed"),
        ("en", "sentence"),
        ("mixed", "sentence"),
        ("seed", "sentence"),
    ],
)
def test_no_two_texts_are_alike(language: str, length: str) -> None:
    assert len(set(some(TextPlan(language, length), 5_000))) == 5_000


def test_the_sentences_of_a_paragraph_are_new_ones_too() -> None:
    found = some(TextPlan("zh", "paragraph"), 500)
    parts = [part for text in found for part in text.replace("！", "。").split("。") if part not in {"", "，值得高兴"}]
    assert len(set(parts)) > 0.99 * len(parts)  # a cache of lines would find nothing


@pytest.mark.parametrize(
    ("language", "bounds"), [("zh", PARAGRAPH_CHARS), ("mixed", PARAGRAPH_CHARS), ("en", PARAGRAPH_CHARS_EN)]
)
def test_paragraphs_are_as_long_as_they_are_called(language: str, bounds: tuple[int, int]) -> None:
    assert all(bounds[0] <= len(text) <= bounds[1] for text in some(TextPlan(language, "paragraph"), 500))


def test_one_text_in_ten_of_a_mix_is_a_paragraph() -> None:
    long = sum(len(text) >= PARAGRAPH_CHARS[0] for text in some(TextPlan("zh", "mixed"), 5_000))
    assert 400 < long < 600


def test_every_sentence_of_a_kind_comes_before_one_comes_again() -> None:
    numbers = range(combinations("seed") // 1000)
    assert len({sentence("seed", number) for number in numbers}) == len(numbers)


def test_clients_share_the_texts_out() -> None:
    first, second = (set(some(TextPlan(), 3_000, client, 2)) for client in (0, 1))
    assert not first & second


def test_another_seed_gives_other_texts_and_the_same_one_the_same() -> None:
    assert some(TextPlan(seed=1), 100) == some(TextPlan(seed=1), 100)
    assert not set(some(TextPlan(seed=1), 1_000)) & set(some(TextPlan(seed=2), 1_000))


def test_repeated_texts_are_few_and_known() -> None:
    found = list(islice(texts(TextPlan(repeat=0.5)), 4_000))
    repeated = [text.text for text in found if text.repeated]
    assert 1_800 < len(repeated) < 2_200
    assert len(set(repeated)) == HOT_TEXTS
    assert not set(repeated) & {text.text for text in found if not text.repeated}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"language": "fr"}, "language is 'fr'"),
        ({"length": "book"}, "length is 'book'"),
        ({"language": "en", "length": "short"}, "short texts are Chinese"),
        ({"repeat": 1.5}, "repeat is 1.5"),
    ],
)
def test_texts_that_there_are_not_are_refused(plan: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextPlan(**plan)  # type: ignore[arg-type]

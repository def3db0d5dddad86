"""What is asked of the threads that encode is bounded by what they can do in time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from tts_server.errors import QueueFull
from tts_server.http.encoders import Encoders

BOOK_S, LINE_S = 1650.0, 5.5
"""Of audio, that take 30 s and 0.1 s as opus."""


@pytest.fixture
def encoders() -> Iterator[Encoders]:
    with closing(Encoders(threads=2)) as encoders:
        yield encoders


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def accepted(encoders: Encoders, held: ExitStack, audio_s: float, *, streamed: bool = False, times: int = 100) -> int:
    for count in range(times):
        try:
            encoders.admit("opus", audio_s, 60.0, streamed=streamed)
        except QueueFull:
            return count
        held.enter_context(encoders.share("opus", audio_s, streamed=streamed))
    return times


def test_no_more_is_accepted_than_can_be_ready_in_time(encoders: Encoders, held: ExitStack) -> None:
    assert accepted(encoders, held, BOOK_S) == 3  # each shares two threads with two others: 30 + 2 × 30 / 2 s


def test_short_answers_pass_long_ones(encoders: Encoders, held: ExitStack) -> None:
    accepted(encoders, held, BOOK_S)
    assert accepted(encoders, held, LINE_S) == 100


def test_a_stream_is_waited_for_only_as_it_is_heard(encoders: Encoders, held: ExitStack) -> None:
    assert accepted(encoders, held, BOOK_S, streamed=True) == 100
    assert accepted(encoders, held, BOOK_S) == 2


def test_the_caller_is_told_when_to_come_back(encoders: Encoders, held: ExitStack) -> None:
    accepted(encoders, held, BOOK_S)
    with pytest.raises(QueueFull, match="3 answers are being encoded, and yours as opus") as refused:
        encoders.admit("opus", BOOK_S, 60.0, streamed=False)
    assert refused.value.retry_after_s == pytest.approx(15.0)


def test_what_has_been_encoded_or_left_is_owed_no_more(encoders: Encoders) -> None:
    with ExitStack() as held:
        shares = [held.enter_context(encoders.share("opus", BOOK_S, streamed=False)) for _ in range(3)]
        for share in shares:
            encoders.encoded(share, BOOK_S, 30.0)
        with ExitStack() as others:
            assert accepted(encoders, others, BOOK_S) == 3
    with ExitStack() as held:
        assert accepted(encoders, held, BOOK_S) == 3


def test_costs_are_learnt(encoders: Encoders, held: ExitStack) -> None:
    with encoders.share("opus", BOOK_S, streamed=False) as share:
        for _ in range(200):
            encoders.encoded(share, 1.0, 1 / 120)  # twice as fast as was thought
    assert accepted(encoders, held, BOOK_S) == 7


def test_what_alone_would_take_too_long_is_refused(encoders: Encoders) -> None:
    with pytest.raises(QueueFull):
        encoders.admit("opus", BOOK_S, 1.0, streamed=False)
    encoders.admit("opus", BOOK_S, 1.0, streamed=True)
    encoders.admit("wav", BOOK_S, 1.0, streamed=False)

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.protocol import (
    CHUNK_HEADER_BYTES,
    FIRST_RUNNING,
    RUNNING_COUNT,
    RUNNING_WORDS,
    Cancel,
    Chunk,
    Code,
    Failure,
    FromWorker,
    Job,
    Line,
    ProtocolError,
    Ready,
    Script,
    Stop,
    ToWorker,
    decode,
    encode,
    running_jobs,
)
from tests.strategies import floats

IDS = st.integers(0, 2**64 - 1)
FLOATS = floats(width=32, allow_nan=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
LINES = st.builds(Line, phones=st.binary(max_size=64), pause_after_s=FLOATS, marks=st.binary(max_size=64))
MESSAGES = st.one_of(
    st.builds(
        Job,
        id=IDS,
        speaker=TEXTS,
        speed=FLOATS,
        pitch_semitones=FLOATS,
        gain_db=FLOATS,
        urgent=st.booleans(),
        skip_samples=st.integers(0, 2**32 - 1),
        text=TEXTS,
        phones=st.binary(),
        marked=st.booleans(),
    ),
    st.builds(Cancel, IDS),
    st.just(Stop()),
    st.builds(Ready, st.integers(0, 100), st.integers(8000, 48000), st.booleans()),
    st.builds(
        Script,
        IDS,
        floats(allow_nan=False),
        floats(allow_nan=False),
        st.lists(LINES).map(tuple),
        st.lists(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map(tuple),
    ),
    st.builds(Chunk, IDS, st.booleans(), floats(allow_nan=False), st.integers(0, 3), st.binary(min_size=6)),
    st.builds(Failure, IDS, st.sampled_from(Code), TEXTS),
)


@given(MESSAGES)
def test_a_message_is_what_it_was(message: ToWorker | FromWorker) -> None:
    assert decode(encode(message)) == message


@given(st.binary(max_size=80))
def test_noise_is_a_message_or_an_error_of_its_own(noise: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode(noise)


def test_a_script_that_lost_its_end_is_refused() -> None:
    record = encode(Script(7, 1.0, 0.5, (Line(b"abcd", 0.25),), ("☃",)))
    with pytest.raises(ProtocolError):
        decode(record[:-1])


def test_samples_begin_where_they_can_be_read_in_place() -> None:
    assert CHUNK_HEADER_BYTES % 2 == 0


@pytest.mark.parametrize("count", [0, 1, RUNNING_WORDS])
def test_the_board_tells_who_is_running(count: int) -> None:
    board = memoryview(bytearray(256)).cast("Q")
    for place in range(count):
        board[FIRST_RUNNING + place] = 100 + place
    board[RUNNING_COUNT] = count
    assert running_jobs(board) == tuple(range(100, 100 + count))


def test_more_than_the_board_holds_are_all_under_suspicion() -> None:
    board = memoryview(bytearray(256)).cast("Q")
    board[RUNNING_COUNT] = RUNNING_WORDS + 1
    assert running_jobs(board) is None

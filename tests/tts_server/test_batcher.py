from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import floats
from tts_server.batcher import PRIORITY_STEP_S, Batcher, Limits

LIMITS = Limits(jobs=3, audio_s=4.0, wait_s=0.05)


def batcher(*jobs: tuple[str, float, int, float]) -> Batcher[str]:
    """Name, due time, priority, seconds of audio; all came at 0."""
    made: Batcher[str] = Batcher(LIMITS)
    for name, due_s, priority, audio_s in jobs:
        made.add(name, due_s=due_s, priority=priority, audio_s=audio_s, now_s=0.0)
    return made


def test_what_is_needed_first_goes_first() -> None:
    assert batcher(("later", 2.0, 0, 1), ("now", 0.0, 0, 1), ("soon", 1.0, 0, 1)).take(room=8) == [
        "now",
        "soon",
        "later",
    ]


def test_equals_go_in_order_of_arrival() -> None:
    assert batcher(("a", 0, 0, 1), ("b", 0, 0, 1), ("c", 0, 0, 1)).take(room=8) == ["a", "b", "c"]


def test_a_lower_priority_is_a_later_arrival() -> None:
    just_before, just_after = PRIORITY_STEP_S - 0.1, PRIORITY_STEP_S + 0.1
    assert batcher(("plain", 0.0, 1, 1), ("vip", just_before, 0, 1)).take(room=1) == ["vip"]
    assert batcher(("plain", 0.0, 1, 1), ("vip", just_after, 0, 1)).take(room=1) == ["plain"]


@pytest.mark.parametrize(
    ("audio_s", "room", "shares", "taken"),
    [
        ([1, 1, 1, 1, 1], 8, 1, 3),  # by count
        ([3, 3, 3], 8, 1, 1),  # by audio
        ([1, 2, 3], 8, 1, 2),
        ([9, 1], 8, 1, 1),  # what is longer than any batch goes alone
        ([1, 1, 1], 2, 1, 2),  # by room
        ([1, 1, 1], 0, 1, 0),
        ([1, 1, 1, 1], 8, 2, 2),  # two workers are without work
        ([1, 1, 1], 8, 2, 2),
        ([], 8, 1, 0),
    ],
)
def test_a_batch_ends_by_count_by_audio_by_room_or_by_share(
    audio_s: list[float], room: int, shares: int, taken: int
) -> None:
    jobs = batcher(*((str(number), 0.0, 0, seconds) for number, seconds in enumerate(audio_s)))
    assert len(jobs.take(room=room, shares=shares)) == taken
    assert len(jobs) == len(audio_s) - taken


@pytest.mark.parametrize(
    ("audio_s", "now_s", "closed"),
    [
        ([], 9.0, False),
        ([1.0], 0.049, False),
        ([1.0], 0.05, True),  # by age
        ([4.0], 0.0, True),  # by audio
        ([1.0, 1.0], 0.0, False),
        ([1.0, 1.0, 1.0], 0.0, True),  # by count
    ],
)
def test_a_batch_closes_by_age_by_audio_or_by_count(audio_s: list[float], now_s: float, closed: bool) -> None:
    jobs = batcher(*((str(number), 0.0, 0, seconds) for number, seconds in enumerate(audio_s)))
    assert jobs.closed(now_s) is closed


def test_it_tells_when_the_oldest_has_waited_long_enough() -> None:
    jobs = batcher(("old", 5.0, 0, 1))
    jobs.add("young", due_s=0.0, priority=0, audio_s=1, now_s=0.03)
    assert jobs.closes_at_s() == pytest.approx(0.05)
    assert jobs.take(room=1) == ["young"]
    assert jobs.closes_at_s() == pytest.approx(0.05)
    assert jobs.take(room=1) == ["old"]
    assert jobs.closes_at_s() is None


def test_what_nobody_wants_any_more_is_gone() -> None:
    jobs = batcher(("a", 0, 0, 1), ("b", 1, 0, 1), ("c", 2, 0, 1))
    assert jobs.remove("b")
    assert not jobs.remove("b")
    assert not jobs.remove("x")
    assert (len(jobs), jobs.audio_s) == (2, 2)
    assert jobs.take(room=8) == ["a", "c"]


class Named:
    def __init__(self, due_s: float, priority: int) -> None:
        self.due_s, self.priority = due_s, priority


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove", "take"]), floats(0, 9), st.integers(0, 2), floats(0.1, 6)),
        max_size=200,
    )
)
def test_every_job_leaves_once_in_order_and_nothing_is_invented(
    moves: list[tuple[str, float, int, float]],
) -> None:
    jobs: Batcher[Named] = Batcher(LIMITS)
    inside: list[Named] = []
    for now_s, (move, due_s, priority, audio_s) in enumerate(moves):
        if move == "add":
            job = Named(due_s, priority)
            inside.append(job)
            jobs.add(job, due_s=due_s, priority=priority, audio_s=audio_s, now_s=float(now_s))
        elif move == "remove" and inside:
            assert jobs.remove(inside.pop(int(due_s) % len(inside)))
        elif move == "take":
            batch = jobs.take(room=1 + priority)
            inside.sort(key=lambda job: job.due_s + job.priority * PRIORITY_STEP_S)
            assert batch == inside[: len(batch)]
            assert bool(batch) == bool(inside)
            del inside[: len(batch)]
        assert len(jobs) == len(inside)
        assert jobs.audio_s >= 0
        assert inside or jobs.audio_s == 0


@given(st.integers(1, 3), st.integers(1, 40))
def test_nobody_starves_however_many_vips_come(priority: int, rate: int) -> None:
    """One place a tick, at least one new VIP a tick: an ordinary job still has its turn within its bound."""
    jobs: Batcher[str] = Batcher(Limits(jobs=1))
    jobs.add("plain", due_s=0.0, priority=priority, audio_s=1, now_s=0.0)
    served_s = None
    for tick in range(1000):
        now_s = tick / rate
        jobs.add(f"vip {tick}", due_s=now_s, priority=0, audio_s=1, now_s=now_s)
        if jobs.take(room=1) == ["plain"]:
            served_s = now_s
            break
    assert served_s is not None
    assert served_s <= priority * PRIORITY_STEP_S + 2 / rate

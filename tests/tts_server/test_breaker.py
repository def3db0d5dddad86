"""When an engine is asked, and when it is left alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import floats
from tts_server.breaker import LONGEST_OPEN_S, Bounds, Breaker, BreakerState, Verdict

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN
BOUNDS = Bounds(window_s=10.0, min_requests=4, ratio=0.5, open_s=5.0)


@dataclass
class Told:
    states: list[BreakerState] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def __call__(self, state: BreakerState, why: str) -> None:
        self.states.append(state)
        self.reasons.append(why)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def breaker(told: Told) -> Breaker:
    return Breaker(BOUNDS, told)


def ask(breaker: Breaker, verdict: Verdict, now_s: float) -> None:
    ticket = breaker.admit(now_s)
    assert ticket is not None
    breaker.settle(ticket, verdict, now_s)


@pytest.mark.parametrize("bad", ["failed", "late", "saturated"])
def test_it_opens_when_half_of_enough_requests_went_badly(breaker: Breaker, told: Told, bad: Verdict) -> None:
    for verdict in ("ok", bad, "ok"):
        ask(breaker, verdict, 0.0)
    assert breaker.state is CLOSED
    ask(breaker, bad, 0.1)
    assert breaker.state is OPEN
    assert breaker.admit(0.1) is None
    assert told.reasons == [f"{bad}: 2 of 4"]


def test_a_few_say_nothing(breaker: Breaker) -> None:
    for _ in range(3):
        ask(breaker, "failed", 0.0)
    assert breaker.state is CLOSED


def test_what_most_requests_bear_is_borne(breaker: Breaker) -> None:
    for second in range(100):
        for verdict in ("ok", "ok", "failed"):
            ask(breaker, verdict, second / 4)
    assert breaker.state is CLOSED


def test_what_was_before_the_window_is_forgotten(breaker: Breaker) -> None:
    for second in range(100):
        ask(breaker, "failed", second * 4.0)  # never four in ten seconds
    assert breaker.state is CLOSED


def test_who_has_left_says_nothing(breaker: Breaker) -> None:
    for _ in range(100):
        breaker.settle(breaker.admit(0.0), None, 0.0)
    assert breaker.state is CLOSED


def test_what_fails_after_it_went_well_counts_once(breaker: Breaker) -> None:
    for _ in range(3):
        ticket = breaker.admit(0.0)
        breaker.settle(ticket, "ok", 0.0)
        breaker.broke_off(ticket, 0.5)
    assert breaker.state is CLOSED  # of three
    ask(breaker, "ok", 0.6)
    ticket = breaker.admit(0.7)
    breaker.settle(ticket, "ok", 0.7)
    breaker.broke_off(ticket, 0.8)
    assert breaker.state is OPEN


def opened(breaker: Breaker, now_s: float = 0.0) -> None:
    for _ in range(4):
        ask(breaker, "failed", now_s)
    assert breaker.state is OPEN


def test_after_a_while_one_request_tries_it_and_the_others_do_not(breaker: Breaker, told: Told) -> None:
    opened(breaker)
    assert breaker.admit(4.9) is None
    probe = breaker.admit(5.0)
    assert probe is not None
    assert breaker.state is HALF_OPEN
    assert [breaker.admit(5.0 + second) for second in range(100)] == [None] * 100
    breaker.settle(probe, "ok", 5.1)
    assert breaker.state is CLOSED
    assert breaker.admit(5.1) is not None
    assert told.states == [OPEN, HALF_OPEN, CLOSED]


@pytest.mark.parametrize("bad", ["failed", "late", "saturated"])
def test_each_probe_that_fails_leaves_it_alone_for_twice_as_long(breaker: Breaker, bad: Verdict) -> None:
    opened(breaker)
    now_s, waits_s = 0.0, []
    for _ in range(6):
        wait_s = 0.0
        while (probe := breaker.admit(now_s + wait_s)) is None:
            wait_s += 1.0
        waits_s.append(wait_s)
        now_s += wait_s
        breaker.settle(probe, bad, now_s)
    assert waits_s == [5.0, 10.0, 20.0, 40.0, LONGEST_OPEN_S, LONGEST_OPEN_S]
    breaker.settle(breaker.admit(now_s + LONGEST_OPEN_S), "ok", now_s + LONGEST_OPEN_S)
    opened(breaker, now_s + 100.0)
    assert breaker.admit(now_s + 105.0) is not None, "what was before is over"


def test_a_probe_whose_caller_leaves_makes_room_for_another(breaker: Breaker) -> None:
    opened(breaker)
    breaker.settle(breaker.admit(5.0), None, 6.0)
    assert breaker.state is HALF_OPEN
    breaker.settle(breaker.admit(6.0), "ok", 6.1)
    assert breaker.state is CLOSED


def test_what_began_before_it_opened_says_nothing_afterwards(breaker: Breaker) -> None:
    early = [breaker.admit(0.0) for _ in range(10)]
    opened(breaker)
    probe = breaker.admit(5.0)
    for ticket in early:
        breaker.settle(ticket, "failed", 5.1)
        breaker.broke_off(ticket, 5.1)
    assert breaker.state is HALF_OPEN
    breaker.settle(probe, "ok", 5.2)
    for ticket in (*early, probe):
        breaker.broke_off(ticket, 5.3)
    assert breaker.state is CLOSED


def test_who_is_not_there_is_not_asked(breaker: Breaker, told: Told) -> None:
    breaker.trip(0.0, "nobody")
    breaker.trip(4.0, "nobody")  # and known already
    assert breaker.admit(4.9) is None
    assert breaker.admit(5.0) is not None
    assert told.reasons[0] == "nobody"


def test_who_is_away_for_a_moment_is_waited_for(breaker: Breaker, told: Told) -> None:
    for now_s, present in ((0.0, True), (1.0, False), (1.9, False), (1.95, True), (5.0, False), (5.9, False)):
        breaker.attend(now_s, present=present)
        assert breaker.admit(now_s) is not None
    breaker.attend(6.0, present=False)
    assert breaker.admit(6.0) is None
    assert told.reasons == ["it has nobody who can speak"]


Steps = st.lists(
    st.tuples(floats(0.0, 3.0), st.sampled_from(["admit", "ok", "failed", "late", None, "broke", "trip"])),
    max_size=200,
)


@given(Steps)
def test_whatever_happens_one_probe_at_a_time_is_let_through_and_the_states_follow_the_picture(steps: object) -> None:
    told = Told()
    breaker = Breaker(BOUNDS, told)
    now_s, tickets, probes = 0.0, [], 0
    for pause_s, step in steps:  # type: ignore[attr-defined]
        now_s += pause_s
        if step == "admit":
            ticket = breaker.admit(now_s)
            if ticket is not None:
                tickets.append(ticket)
                probes += breaker.state is HALF_OPEN
        elif step == "trip":
            breaker.trip(now_s, "nobody")
        elif tickets:
            ticket = tickets.pop(0)
            before = breaker.state
            if step == "broke":
                breaker.broke_off(ticket, now_s)
                breaker.settle(ticket, None, now_s)
            else:
                breaker.settle(ticket, step, now_s)
            if before is HALF_OPEN and step in {None, "broke"} and breaker._probing is False:
                probes = 0
        if breaker.state is not HALF_OPEN:
            probes = 0
        assert probes <= 1
    moves = set(zip([CLOSED, *told.states], told.states, strict=False))
    assert moves <= {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED), (HALF_OPEN, OPEN)}

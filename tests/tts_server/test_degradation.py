"""How far the server steps back, and when."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import floats
from tts_server.degradation import Bounds, Degradation, Level

BOUNDS = Bounds(cpu=0.9, recover_cpu=0.8, after_s=10.0, recover_s=10.0, fallback_wait_s=1.0, refuse_wait_s=5.0)


def run(looks: list[tuple[float, float]], degradation: Degradation, from_s: int = 0) -> list[int]:
    """The level after each look, one a second."""
    return [int(degradation.observe(cpu, wait_s, from_s + second)) for second, (cpu, wait_s) in enumerate(looks)]


def test_a_busy_cpu_that_keeps_nobody_waiting_costs_the_preview_and_the_order() -> None:
    assert run([(1.0, 0.0)] * 100, Degradation(BOUNDS)) == [0] * 10 + [2] * 90


def test_when_requests_wait_as_well_they_go_elsewhere_and_are_then_refused() -> None:
    assert run([(1.0, 6.0)] * 100, Degradation(BOUNDS)) == [0] * 10 + [3] * 11 + [4] * 79


def test_waits_that_come_later_are_counted_from_then_on() -> None:
    levels = run([(1.0, 0.0)] * 5 + [(1.0, 2.0)] * 95, Degradation(BOUNDS))
    assert [levels.index(level) for level in (2, 3)] == [10, 15]


@pytest.mark.parametrize(("wait_s", "most"), [(0.9, 2), (1.1, 3), (4.9, 3), (5.1, 4)])
def test_how_long_they_wait_decides_how_far_it_goes(wait_s: float, most: int) -> None:
    assert max(run([(1.0, wait_s)] * 100, Degradation(BOUNDS))) == most


def test_a_burst_that_passes_changes_nothing() -> None:
    looks = ([(1.0, 9.0)] * 10 + [(0.85, 9.0)]) * 20
    assert max(run(looks, Degradation(BOUNDS))) == 0


def test_waiting_alone_is_no_overload() -> None:
    assert max(run([(0.5, 60.0)] * 100, Degradation(BOUNDS))) == 0


def at_its_worst() -> Degradation:
    degradation = Degradation(BOUNDS)
    assert run([(1.0, 9.0)] * 60, degradation)[-1] == 4
    return degradation


def test_when_it_is_quiet_again_it_comes_back_one_step_at_a_time() -> None:
    levels = run([(0.1, 0.0)] * 60, at_its_worst(), from_s=60)
    assert [levels.index(level) for level in (3, 2, 1, 0)] == [10, 21, 32, 43]


def test_between_the_two_thresholds_it_stays_as_it_is() -> None:
    assert run([(0.85, 3.0)] * 100, at_its_worst(), from_s=60) == [4] * 100


def test_when_nobody_waits_any_more_nobody_is_refused_however_busy_the_cpu() -> None:
    assert run([(1.0, 0.0)] * 100, at_its_worst(), from_s=60) == [4] * 10 + [3] * 90


def test_waits_that_are_short_for_another_engine_speaks_do_not_end_that() -> None:
    degradation = Degradation(BOUNDS)
    assert run([(1.0, 2.0)] * 20, degradation)[-1] == 3
    assert run([(0.81, 0.0)] * 100, degradation, from_s=20) == [3] * 100
    levels = run([(0.79, 0.0)] * 100, degradation, from_s=120)
    assert [levels.index(level) for level in (2, 1, 0)] == [10, 21, 32]


def test_a_fallback_that_makes_the_cpu_spare_itself_is_held_longer_each_time() -> None:
    """1.3 times what the first engine can do; the other does it for half."""
    degradation, wait_s, levels = Degradation(BOUNDS), 0.0, list[int]()
    for second in range(3600):
        used = 1.3 * (0.5 if degradation.level >= Level.FALLBACK else 1.0)
        wait_s = max(0.0, wait_s + used - 1.0)
        levels.append(int(degradation.observe(min(1.0, used), wait_s, second)))
    last = levels[-1800:]
    assert last.count(3) > 0.9 * len(last)
    assert run([(0.1, 0.0)] * 400, degradation, from_s=3600)[-1] == 0  # and it ends when there is little to do
    assert run([(1.0, 2.0)] * 20 + [(0.5, 0.0)] * 40, degradation, from_s=9000)[-1] == 0, "long ago is forgotten"


def test_waits_that_are_only_a_little_shorter_do_not_end_it() -> None:
    assert min(run([(1.0, 0.6)] * 100, at_its_worst(), from_s=60)) == 4
    assert run([(1.0, 0.4)] * 100, at_its_worst(), from_s=60)[-1] == 3


def test_settings_that_contradict_one_another_do_no_harm() -> None:
    degradation = Degradation(
        Bounds(cpu=0.5, recover_cpu=0.9, after_s=1.0, recover_s=1.0, fallback_wait_s=9.0, refuse_wait_s=0.0)
    )
    levels = run([(0.7, 3.0)] * 100, degradation)
    assert levels[-1] == 2
    assert levels == sorted(levels)
    assert run([(0.4, 99.0)] * 100, degradation, from_s=100)[-1] == 0


Shares = st.sampled_from([0.0, 0.79, 0.8, 0.85, 0.9, 0.91, 1.0]) | floats(0.0, 1.0)
Waits = st.sampled_from([0.0, 0.4, 0.6, 1.0, 1.1, 2.4, 2.6, 5.1, 60.0]) | floats(0.0, 60.0)


@st.composite
def looks(draw: st.DrawFn) -> list[tuple[float, float, float]]:
    """When, how busy, how long: some hold for a while, and some come late."""
    spans = draw(st.lists(st.tuples(Shares, Waits, st.integers(1, 25), floats(0.5, 3.0)), max_size=20))
    found, now_s = [], 0.0
    for cpu, wait_s, count, step_s in spans:
        for _ in range(count):
            now_s += step_s
            found.append((now_s, cpu, wait_s))
    return found


@given(looks())
def test_it_refuses_nobody_before_it_has_tried_the_rest_comes_back_by_steps_and_never_flaps(
    observed: list[tuple[float, float, float]],
) -> None:
    degradation = Degradation(BOUNDS)
    levels, changes = [Level.NORMAL], []
    for now_s, cpu, wait_s in observed:
        levels.append(degradation.observe(cpu, wait_s, now_s))
        if levels[-1] != levels[-2]:
            changes.append((now_s, levels[-2], levels[-1], cpu, wait_s))
    assert all(after - before >= -1 for before, after in itertools.pairwise(levels))
    assert all(before == 3 for before, after in itertools.pairwise(levels) if after == 4 != before)
    for (before_s, *last, _, _), (after_s, old, new, _, _) in itertools.pairwise(changes):
        if new < old or last[1] < last[0] or new == 4:
            assert after_s - before_s >= (BOUNDS.after_s if new > old else BOUNDS.recover_s)
    for _, old, new, cpu, wait_s in changes:  # no look lifts it that could also end it
        if new > old:
            assert cpu > BOUNDS.cpu
            assert wait_s > {2: -1.0, 3: 1.0, 4: 5.0}[new]
        else:
            assert cpu < BOUNDS.recover_cpu or (old == 4 and wait_s < BOUNDS.fallback_wait_s / 2)


@given(looks(), Shares, Waits)
def test_the_same_looks_for_long_enough_always_lead_to_the_same_end(
    observed: list[tuple[float, float, float]], cpu: float, wait_s: float
) -> None:
    degradation = Degradation(BOUNDS)
    for look in observed:
        degradation.observe(look[1], look[2], look[0])
    now_s = observed[-1][0] if observed else 0.0
    levels = [degradation.observe(cpu, wait_s, now_s + second) for second in range(1, 120)]
    steps = {after - before for before, after in itertools.pairwise(levels)}
    assert not {1, -1} <= steps, "up or down, never both"
    assert len({*levels[-20:]}) == 1

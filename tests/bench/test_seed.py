from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from bench import load as load_bench
from bench import seed
from bench.client import ClientReport, Load
from bench.figures import distribution
from bench.level import Level, Observed, level
from bench.rig import Setup


def found(load: Load, **changes: Any) -> Level:
    nothing = level(Observed(load, 500, 0, [ClientReport([], 0, 1, [])], 0, [], (), 0, 2, streamed=False))
    return replace(nothing, **changes)


@pytest.mark.parametrize(("users", "latency_ms", "most"), [(50, 0.0, 25), (50, 500.0, 20), (500, 500.0, 200)])
def test_users_ask_once_in_their_wait_and_what_they_waited_for(users: int, latency_ms: float, most: float) -> None:
    of = found(Load(users, seed.WAIT_S), latency_ms=distribution([latency_ms]))
    assert seed.most_qps(of) == pytest.approx(most)


def test_the_published_figure_is_more_than_its_users_can_ask() -> None:
    published = seed.PUBLISHED[0]
    assert published.qps
    assert published.qps > 3 * seed.most_qps(found(Load(published.users, seed.WAIT_S)))


@pytest.mark.parametrize(
    ("users", "qps", "p95_ms", "errors", "verdict"),
    [
        (50, 24.3, 20.0, {}, "met"),
        (50, 22.0, 20.0, {}, "missed"),  # not all that they ask for
        (50, 24.0, 120.0, {}, "missed"),
        (50, 24.3, 20.0, {"silent": 1}, "missed"),
        (200, 95.0, 150.0, {}, "met"),
        (500, 189.0, 411.0, {}, "met"),
        (500, 188.0, 300.0, {}, "missed"),
        (500, 200.0, 412.0, {}, "missed"),
        (7, 3.4, 20.0, {}, "no goal"),
    ],
)
def test_a_goal_is_met_by_rate_and_latency_without_an_error(
    users: int, qps: float, p95_ms: float, errors: dict[str, int], verdict: str
) -> None:
    of = found(Load(users, seed.WAIT_S), qps=qps, latency_ms=distribution([p95_ms]), errors=errors)
    assert f"{users} users: {verdict}" in seed.verdict(of)


def test_the_levels_are_the_published_ones_as_long_as_wanted() -> None:
    assert [(load.users, load.seconds, load.wait_s) for load in seed.loads(0.5)] == [
        (50, 30, (1, 3)),
        (200, 30, (1, 3)),
        (500, 30, (1, 3)),
    ]
    assert [load.users for load in seed.loads(1, (3, 4))] == [3, 4]


class Rig:
    """A server that answers in time up to a rate, and half of the requests beyond it."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.probes: list[float] = []

    def lay(self, load: Load, note: str = "") -> Level:
        assert "search" in note
        self.probes.append(load.rate_per_s)
        return found(load, in_time=1.0 if load.rate_per_s <= self.capacity else 0.5)


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], tuple[float, list[float]]]:
    def search(capacity: float, first: float) -> tuple[float, list[float]]:
        there = Rig(capacity)

        @contextmanager
        def rig(_: Setup) -> Any:
            yield there

        monkeypatch.setattr(load_bench, "rig", rig)
        result = load_bench.search(Setup(), Load(rate_per_s=first, seconds=10))
        assert result.sustained_per_s is not None
        assert [level.rate_per_s for level in result.levels] == sorted(there.probes)
        return result.sustained_per_s, there.probes

    return search


@pytest.mark.parametrize("first", [5.0, 20.0, 37.0, 160.0])
def test_a_search_comes_within_five_percent_from_either_side(
    search: Callable[[float, float], tuple[float, list[float]]], first: float
) -> None:
    sustained, probes = search(37.0, first)
    assert 37.0 / 1.06 < sustained <= 37.0
    assert len(probes) <= 12


def test_a_search_gives_up_where_requests_are_too_few_to_tell(
    search: Callable[[float, float], tuple[float, list[float]]],
) -> None:
    assert search(0.5, 10.0) == (0.0, [10, 5, 2.5])

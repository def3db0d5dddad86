from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import QUANTILES, Playback, distribution, play, ratio, slope, spread


@pytest.mark.parametrize(
    ("values", "p50", "p90", "p95", "p99", "most"),
    [
        ([7.0], 7, 7, 7, 7, 7),
        ([1.0, 2.0], 2, 2, 2, 2, 2),
        ([float(n) for n in range(101)], 50, 90, 95, 99, 100),
        ([float(n) for n in range(1000, 0, -1)], 501, 901, 951, 991, 1000),
        ([1.0] * 99 + [50.0], 1, 1, 1, 50, 50),
    ],
)
def test_percentiles_are_values_that_were_measured(
    values: list[float], p50: float, p90: float, p95: float, p99: float, most: float
) -> None:
    found = distribution(values)
    assert found
    assert (found.p50, found.p90, found.p95, found.p99, found.max) == (p50, p90, p95, p99, most)
    assert found.mean == pytest.approx(sum(values) / len(values))
    assert found.count == len(values)


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1))
def test_quantiles_rise_from_the_least_to_the_greatest(values: list[float]) -> None:
    found = distribution(values)
    assert found
    assert len(found.quantiles) == QUANTILES + 1
    assert list(found.quantiles) == sorted(found.quantiles)
    assert found.quantiles[0] == pytest.approx(min(values), abs=1e-3)
    assert found.quantiles[-1] == pytest.approx(max(values), abs=1e-3)


def test_nothing_has_no_percentiles() -> None:
    assert distribution([]) is None
    assert spread([]) is None


@pytest.mark.parametrize(
    ("arrivals", "cushion_s", "heard"),
    [
        ([], 0.0, Playback(0, 0.0)),
        ([(5.0, 1.0)], 0.0, Playback(0, 0.0)),
        ([(0.0, 1.0), (0.9, 1.0), (1.9, 1.0)], 0.0, Playback(0, 0.0)),  # each is there before it is needed
        ([(0.0, 1.0), (1.0, 1.0)], 0.0, Playback(0, 0.0)),  # on the spot
        ([(0.0, 1.0), (1.5, 1.0)], 0.0, Playback(1, 0.5)),
        ([(0.0, 1.0), (1.5, 1.0)], 0.25, Playback(1, 0.25)),  # a cushion takes some of it
        ([(0.0, 1.0), (1.5, 1.0)], 0.5, Playback(0, 0.0)),
        ([(0.0, 1.0), (1.5, 1.0), (2.25, 1.0)], 0.0, Playback(1, 0.5)),  # who has waited is later from then on
        ([(0.0, 1.0), (1.5, 1.0), (3.0, 1.0)], 0.0, Playback(2, 1.0)),
        ([(0.0, 0.25), (0.125, 3.0), (3.0, 1.0)], 0.0, Playback(0, 0.0)),  # what came early is kept
    ],
)
def test_a_listener_hears_a_gap_when_he_runs_dry(
    arrivals: list[tuple[float, float]], cushion_s: float, heard: Playback
) -> None:
    assert play(arrivals, cushion_s) == heard


@given(
    st.lists(st.tuples(st.floats(0, 10, allow_subnormal=False), st.floats(0.01, 2)), min_size=1),
    st.floats(0, 5, allow_subnormal=False),
)
def test_a_cushion_never_makes_it_worse(pieces: list[tuple[float, float]], cushion_s: float) -> None:
    arrivals = sorted(pieces)
    assert play(arrivals, cushion_s).silent_s <= play(arrivals, 0.0).silent_s + 1e-9


@pytest.mark.parametrize(
    ("xs", "ys", "expected"),
    [([0, 1, 2], [5, 7, 9], 2), ([0, 10, 20], [3, 3, 3], 0), ([4], [1], 0), ([], [], 0), ([2, 2], [1, 9], 0)],
)
def test_a_slope_is_by_how_much_it_grows(xs: list[float], ys: list[float], expected: float) -> None:
    assert slope(xs, ys) == pytest.approx(expected, abs=1e-9)


def test_a_ratio_has_a_spread_that_holds_one_where_there_is_no_difference() -> None:
    same = ratio([10, 11, 9, 10, 12, 8], [10, 9, 11, 10, 8, 12])
    assert same
    assert same.low < 1 < same.high
    twice = ratio([20, 22, 18, 21], [10, 9, 11, 10])
    assert twice
    assert twice.median == pytest.approx(2.025)
    assert 1.5 < twice.low < twice.median < twice.high
    assert ratio([1], [0]) is None
    assert ratio([], [1]) is None

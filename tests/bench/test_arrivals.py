from __future__ import annotations

import random
from itertools import pairwise

import pytest

from bench.arrivals import PROCESSES, arrivals


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("rate", [0.5, 20.0, 400.0])
def test_arrivals_rise_and_are_so_many_a_second(process: str, rate: float) -> None:
    seconds = 4_000 / rate
    moments = list(arrivals(process, rate, seconds, random.Random(1)))
    assert all(one <= other for one, other in pairwise(moments))
    assert moments[0] >= 0
    assert moments[-1] < seconds
    assert len(moments) == pytest.approx(4_000, rel=0.05)


def test_constant_arrivals_are_equally_far_apart() -> None:
    moments = list(arrivals("constant", 10, 5, random.Random(1)))
    assert [after - at for at, after in pairwise(moments)] == pytest.approx([0.1] * (len(moments) - 1))


def test_the_gaps_of_a_poisson_process_scatter_as_much_as_they_are_long() -> None:
    moments = list(arrivals("poisson", 10, 1_000, random.Random(1)))
    gaps = [after - at for at, after in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    scatter = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert scatter == pytest.approx(mean, rel=0.05)


def test_clients_do_not_send_together() -> None:
    first, second = (next(arrivals("constant", 10, 5, random.Random(seed))) for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize(("process", "rate", "message"), [("bursts", 1, "arrivals are"), ("poisson", 0, "rate is 0")])
def test_what_is_no_process_is_refused(process: str, rate: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        next(arrivals(process, rate, 1, random.Random(1)))

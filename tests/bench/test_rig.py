from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import pytest

from bench.client import Load
from bench.engine import BenchError
from bench.rig import Setup, rig
from bench.served import Server, serving

NOBODY = Setup(url="http://127.0.0.1:1", clients=2)


def test_a_server_that_is_not_there_gives_errors_and_no_figures() -> None:
    with rig(NOBODY) as there:
        first = there.lay(Load(users=2, wait_s=(0.05, 0.1), warmup_s=0.1, seconds=0.5))
        second = there.lay(Load(rate_per_s=40, warmup_s=0, seconds=0.5))  # the same clients, another load
    for level in (first, second):
        assert set(level.errors) == {"connection"}
        assert level.errors["connection"] == level.asked > 0
        assert (level.right, level.qps, level.latency_ms, level.processes) == (0, 0, None, ())


def test_a_load_may_end_by_its_requests() -> None:
    counts: list[int] = []
    with rig(NOBODY) as there:
        level = there.lay(Load(users=3, wait_s=(0.0, 0.01), warmup_s=0, seconds=600, requests=51), look=counts.append)
    assert level.asked == 51
    assert counts == sorted(counts)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_client_that_dies_ends_the_run(when: str) -> None:
    def kill(_: int = 0) -> None:
        (victim, *_others) = multiprocessing.active_children()
        victim.kill()

    look: Callable[[int], None] | None = kill if when == "meanwhile" else None
    with pytest.raises(BenchError, match="a client process ended"), rig(NOBODY) as there:  # noqa: PT012
        if when == "before":
            kill()
            for child in multiprocessing.active_children()[:1]:
                child.join(0.1)
        there.lay(Load(users=2, wait_s=(0.1, 0.1), warmup_s=0, seconds=2), look=look)
    assert multiprocessing.active_children() == []


def test_a_server_that_says_nothing_of_itself_is_measured_all_the_same() -> None:
    server = Server("http://127.0.0.1:1", None)
    assert server.metrics() == {}
    assert server.processes() == []


def test_a_server_that_does_not_start_is_told_with_what_it_said() -> None:
    with (
        pytest.raises(BenchError, match=r"did not start; it said:(.|\n)*a folder that holds a voice pack"),
        serving(["--engines", "none"]),
    ):
        pass


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"clients": 0}, "clients is 0"),
        ({"clients": 65}, "clients is 65"),
        ({"slo_ms": 0}, "SLO is 0 ms"),
        ({"url": "http://a", "serve": ("--port", "1")}, "give one of them"),
    ],
)
def test_what_cannot_be_set_up_is_refused(setup: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Setup(**setup)  # type: ignore[arg-type]

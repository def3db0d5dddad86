"""Our counters and histograms are read as prometheus_client's own would be."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics

from tts_server.tallies import Spreads, Tallies

BOUNDS = (0.001, 0.25, 1, 2.5, 60.0)


@pytest.mark.parametrize("written", [generate_latest, open_metrics])
@given(
    counted=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([200, 503]))),
    values=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0.0, 0.0005, *BOUNDS, 61.0, 1e9]))),
)
def test_all_is_written_alike(
    written: Callable[[CollectorRegistry], bytes],
    counted: list[tuple[str, int]],
    values: list[tuple[str, float]],
) -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    counter = Counter("tts_some", "Some", ["route", "status"], registry=theirs)
    histogram = Histogram("tts_seconds", "Seconds", ["route"], buckets=BOUNDS, registry=theirs)
    alone = Histogram("tts_alone", "Alone", buckets=BOUNDS, registry=theirs)
    tallies = Tallies("tts_some", "Some", ["route", "status"], ours)
    spreads = Spreads("tts_seconds", "Seconds", ["route"], buckets=BOUNDS, registry=ours)
    unlabelled = Spreads("tts_alone", "Alone", buckets=BOUNDS, registry=ours)
    unlabelled[()]
    for route, status in counted:
        counter.labels(route, status).inc()
        tallies[route, status].inc()
    for route, value in values:
        histogram.labels(route).observe(value)
        spreads[route].observe(value)
        alone.observe(value)
        unlabelled[()].observe(value)
    assert written(ours) == written(theirs)


def test_a_name_is_given_once() -> None:
    registry = CollectorRegistry()
    Tallies("tts_some", "Some", ["route"], registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("tts_some", "Some", registry=registry)


def test_what_is_counted_for_the_first_time_while_others_read_does_not_disturb_them() -> None:
    tallies = Tallies("tts_some", "Some", ["route"], CollectorRegistry())
    for number in range(100):
        tallies[f"early {number}"].inc()
    late = iter(range(1_000_000))

    def count_another(_: str, __: dict[str, int]) -> None:  # as a thread may, wherever the garbage collector runs
        tallies[f"late {next(late)}"].inc()

    thresholds = gc.get_threshold()
    gc.callbacks.append(count_another)
    gc.set_threshold(1)
    try:
        (family,) = tallies.collect()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(count_another)
    assert {f"early {number}" for number in range(100)} <= {sample.labels["route"] for sample in family.samples}
    assert next(late) > 0, "something was counted meanwhile"

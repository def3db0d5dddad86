from __future__ import annotations

from dataclasses import replace

import pytest

from bench.caller import Heard
from bench.client import NOT_SENT, ClientReport, Load
from bench.counted import Samples, batch_sizes, cache_hits, mean_batch, parse
from bench.level import Level, Observed, level
from bench.usage import ProcessUse

BEFORE = parse(
    """
tts_batch_size_bucket{engine="a",le="1.0"} 10
tts_batch_size_bucket{engine="a",le="2.0"} 10
tts_batch_size_bucket{engine="a",le="+Inf"} 10
tts_batch_size_sum{engine="a"} 10
tts_batch_size_count{engine="a"} 10
tts_cache_requests_total{kind="line",level="memory",result="hit"} 5
tts_cache_requests_total{kind="line",level="memory",result="miss"} 5
"""
)
AFTER = parse(
    """
tts_batch_size_bucket{engine="a",le="1.0"} 20
tts_batch_size_bucket{engine="a",le="2.0"} 25
tts_batch_size_bucket{engine="a",le="+Inf"} 26
tts_batch_size_bucket{engine="b",le="1.0"} 4
tts_batch_size_bucket{engine="b",le="2.0"} 4
tts_batch_size_bucket{engine="b",le="+Inf"} 4
tts_batch_size_sum{engine="a"} 34
tts_batch_size_count{engine="a"} 26
tts_cache_requests_total{kind="line",level="memory",result="hit"} 8
tts_cache_requests_total{kind="line",level="memory",result="miss"} 14
tts_cache_requests_total{kind="line",level="redis",result="hit"} 100
"""
)


def right(intended_s: float, latency_s: float, **more: object) -> Heard:
    return Heard(intended_s, intended_s, intended_s + latency_s, intended_s + 0.01, audio_s=2.0, **more)  # type: ignore[arg-type]


def wrong(intended_s: float, error: str) -> Heard:
    return Heard(intended_s, intended_s, intended_s + 0.001, error=error)


def observed(*heard: Heard, **changes: object) -> Level:
    report = ClientReport(list(heard), cpu_s=1.0, wall_s=10.0, lags_s=[0.001])
    scrapes: list[tuple[float, Samples]] = [(100.0, BEFORE), (105.0, AFTER), (110.0, AFTER)]
    seen = Observed(
        load=Load(users=5, seconds=10, warmup_s=1),
        slo_ms=500,
        start_s=100.0,
        reports=[report],
        bench_cores=0.01,
        scrapes=scrapes,
        processes=(ProcessUse("server", 0.5, 100, 90, 30), ProcessUse("worker 1", 0.9, 200, 150, 10)),
        busy_cores=1.55,
        cores=2,
        streamed=False,
    )
    return level(replace(seen, **changes))  # type: ignore[arg-type]


def test_latency_counts_from_when_a_request_was_to_be_sent() -> None:
    late = Heard(intended_s=101.0, sent_s=103.0, ended_s=103.1, first_s=103.05, audio_s=1.0)
    found = observed(late)
    assert found.latency_ms
    assert found.latency_ms.max == pytest.approx(2100)
    assert found.first_audio_ms
    assert found.first_audio_ms.max == pytest.approx(2050)


def test_what_is_warmed_up_with_is_not_measured() -> None:
    found = observed(right(99.5, 0.1), right(101, 0.1), right(109, 0.2), right(110.5, 0.1))
    assert (found.asked, found.right) == (2, 2)
    assert found.qps == pytest.approx(0.2)
    assert found.audio_s_per_s == pytest.approx(0.4)
    assert found.audio_s_per_s_per_core == pytest.approx(0.2)


def test_an_answer_that_ends_after_the_time_has_its_latency_and_no_part_in_the_rate() -> None:
    found = observed(right(109.5, 3.0))
    assert (found.asked, found.right, found.qps) == (1, 1, 0)
    assert found.latency_ms
    assert found.latency_ms.p50 == pytest.approx(3000)


def test_goodput_leaves_out_what_is_late_or_wrong() -> None:
    found = observed(right(101, 0.4), right(102, 0.5), right(103, 0.6), wrong(104, "silent"), wrong(105, "status 503"))
    assert found.qps == pytest.approx(0.3)
    assert found.goodput_qps == pytest.approx(0.2)
    assert found.in_time == pytest.approx(2 / 5)
    assert found.errors == {"silent": 1, "status 503": 1}


def test_a_streamed_answer_is_in_time_by_its_first_audio() -> None:
    found = observed(right(101, 4.0, underruns=(0.0, 0.0)), right(102, 4.0, underruns=(0.2, 0.1)), streamed=True)
    assert found.in_time == 1
    assert found.underruns == {"0": 0.5, "100": 0.5}
    assert found.underrun_s == {"0": 0.2, "100": 0.1}


def test_nothing_right_has_no_percentiles() -> None:
    found = observed(wrong(101, "timeout"))
    assert (found.latency_ms, found.first_audio_ms, found.underruns) == (None, None, None)
    assert found.in_time == 0


def test_the_time_of_an_answer_goes_to_its_stages_and_what_is_left() -> None:
    found = observed(
        right(101, 0.1, stages_ms=(10.0, 1.0, 50.0, 4.0)), right(102, 0.1, stages_ms=(20.0, 1.0, 50.0, 4.0))
    )
    assert found.stages_ms == pytest.approx({"queue": 15, "read": 1, "infer": 50, "encode": 4, "other": 30})


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"reports": [ClientReport([], cpu_s=9, wall_s=10, lags_s=[])]}, "bound by the client"),
        ({"reports": [ClientReport([], cpu_s=1, wall_s=10, lags_s=[0.03] * 10)]}, "late itself, by 30 ms"),
        ({"busy_cores": 2.0}, "other programs used 0.49 cores"),
        ({"reports": [ClientReport([wrong(101, NOT_SENT)], 1, 10, [])]}, "1 requests were not sent"),
    ],
)
def test_what_spoils_a_figure_is_said_in_words(changes: dict[str, object], doubt: str) -> None:
    assert any(doubt in said for said in observed(**changes).doubts)


def test_a_clean_run_leaves_no_doubt() -> None:
    assert observed(right(101, 0.1)).doubts == ()


def test_series_go_from_look_to_look() -> None:
    found = observed(right(101, 0.1), right(102, 0.3), wrong(103, "silent"), right(106, 0.2))
    first, second = found.series
    assert (first.at_s, second.at_s) == (2.5, 7.5)
    assert (first.qps, second.qps) == (0.4, 0.2)
    assert (first.errors, second.errors) == (1, 0)
    assert first.p95_ms == pytest.approx(300)
    assert (first.mean_batch, second.mean_batch) == (1.5, None)
    assert (first.cache_hits, second.cache_hits) == (0.25, None)


def test_counters_are_read_as_what_they_grew_by() -> None:
    assert batch_sizes(BEFORE, AFTER) == {"1": 14, "2": 5, "+Inf": 1}
    assert mean_batch(BEFORE, AFTER) == 1.5
    assert cache_hits(BEFORE, AFTER) == 0.25  # redis is another level
    assert mean_batch({}, {}) is cache_hits({}, {}) is None


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ({}, "some users or a rate"),
        ({"users": 1, "rate_per_s": 1.0}, "some users or a rate"),
        ({"users": -1}, "some users or a rate"),
        ({"users": 1, "wait_s": (3.0, 1.0)}, "two numbers that rise"),
        ({"users": 1, "seconds": 0.0}, "lasts more than 0 s"),
    ],
)
def test_what_is_no_load_is_refused(load: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Load(**load)  # type: ignore[arg-type]

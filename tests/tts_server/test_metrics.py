"""What is counted, under which names, and that reading it holds nobody up."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tts_server.metrics import OUTCOMES, Metrics, WorkerStat


async def _read(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    body, _ = await metrics.exposition()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


async def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return (await _read(metrics)).get((name, frozenset(labels.items())))


async def test_everything_that_happens_is_counted_under_its_name() -> None:
    metrics = Metrics()
    metrics.request("/api/tts", 200, 0.2)
    metrics.request("/api/tts", 503, 0.1)
    metrics.first_audio(0.03)
    metrics.encoded("mp3", 0.001)
    metrics.accepted()
    metrics.outcome("done")
    metrics.queue_depth("standard", 7)
    metrics.queued(0.5)
    metrics.unspoken(3)
    metrics.batch_sent("standard", 5)
    metrics.chunk("standard", 0.01, 2.5)
    metrics.worker_restarted("standard", "hung")
    metrics.long_job("accepted")
    metrics.unfinished_jobs({"queued": 4, "running": 2})
    metrics.callback("waiting")
    for name, labels, value in [
        ("tts_requests_total", {"route": "/api/tts", "status": "200"}, 1),
        ("tts_requests_total", {"route": "/api/tts", "status": "503"}, 1),
        ("tts_request_seconds_count", {"route": "/api/tts"}, 2),
        ("tts_first_audio_seconds_sum", {}, 0.03),
        ("tts_encode_seconds_count", {"format": "mp3"}, 1),
        ("tts_jobs_accepted_total", {}, 1),
        ("tts_jobs_total", {"outcome": "done"}, 1),
        ("tts_queue_depth", {"engine": "standard"}, 7),
        ("tts_queue_seconds_sum", {}, 0.5),
        ("tts_unspoken_characters_total", {}, 3),
        ("tts_batch_size_sum", {"engine": "standard"}, 5),
        ("tts_inference_seconds_sum", {"engine": "standard"}, 0.01),
        ("tts_audio_seconds_total", {"engine": "standard"}, 2.5),
        ("tts_worker_restarts_total", {"engine": "standard", "reason": "hung"}, 1),
        ("tts_long_jobs_total", {"outcome": "accepted"}, 1),
        ("tts_long_jobs_total", {"outcome": "done"}, 0),
        ("tts_long_jobs_unfinished", {"state": "queued"}, 4),
        ("tts_callbacks_total", {"state": "waiting"}, 1),
        ("tts_event_loop_lag_seconds_count", {}, 0),
    ]:
        assert await _value(metrics, name, **labels) == value, name


async def test_each_outcome_is_there_before_it_happens() -> None:
    metrics = Metrics()
    assert [await _value(metrics, "tts_jobs_total", outcome=outcome) for outcome in OUTCOMES] == [0] * 5


async def test_two_servers_in_one_process_do_not_share_their_counts() -> None:
    one, other = Metrics(), Metrics()
    one.accepted()
    assert await _value(one, "tts_jobs_accepted_total") == 1
    assert await _value(other, "tts_jobs_accepted_total") == 0


async def test_workers_are_measured_when_they_are_asked_for() -> None:
    metrics = Metrics()
    gone = 2**22  # above any process number that Linux gives
    metrics.watch_workers(lambda: [WorkerStat("standard", 0, os.getpid()), WorkerStat("standard", 1, gone)])
    cpu_s = await _value(metrics, "tts_worker_cpu_seconds_total", engine="standard", worker="0")
    assert cpu_s is not None
    assert 0 < cpu_s <= time.process_time() + 1
    rss = await _value(metrics, "tts_worker_memory_bytes", engine="standard", worker="0", kind="rss")
    pss = await _value(metrics, "tts_worker_memory_bytes", engine="standard", worker="0", kind="pss")
    assert rss is not None
    assert pss is not None
    assert 0 < pss <= rss
    assert await _value(metrics, "tts_worker_cpu_seconds_total", engine="standard", worker="1") is None


async def test_reading_leaves_the_event_loop_free() -> None:
    metrics = Metrics()
    asked, go_on = threading.Event(), threading.Event()

    def slow() -> list[WorkerStat]:
        asked.set()
        assert go_on.wait(10), "the event loop waits for this, which waits for the event loop"
        return []

    metrics.watch_workers(slow)
    reading = asyncio.create_task(metrics.exposition())
    assert await asyncio.to_thread(asked.wait, 10)
    go_on.set()
    body, content_type = await reading
    assert b"tts_build_info{" in body
    assert content_type.startswith("text/plain")


@pytest.mark.parametrize("accept", ["application/openmetrics-text; version=1.0.0", "application/openmetrics-text"])
async def test_open_metrics_are_given_to_who_asks(accept: str) -> None:
    body, content_type = await Metrics().exposition(accept)
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


async def test_a_stall_of_the_event_loop_is_seen() -> None:
    metrics = Metrics()
    watching = asyncio.create_task(metrics.watch_loop())
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251  (this is the stall)
    for _ in range(10):  # rounds of the loop, in the first of which its sleep is over
        await asyncio.sleep(0)
    watching.cancel()
    lag_s = await _value(metrics, "tts_event_loop_lag_seconds_sum")
    assert lag_s is not None
    assert lag_s > 0.15

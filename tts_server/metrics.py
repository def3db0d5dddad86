"""What the server counts and measures, for Prometheus. One object holds it all, so that a process may have several.

Methods are named after what happened and cost about a microsecond. Text exposition runs in a thread.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

import psutil
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    Metric,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tts_server.release import version
from tts_server.tallies import Spreads, Tallies

Outcome = Literal["done", "cancelled", "expired", "rejected", "failed"]
"""How a job ends: spoken; not wanted any more; too late; refused at the door; could not be spoken."""
CacheResult = Literal["hit", "miss", "failed", "corrupt", "skipped"]
"""How a cache answers: it has it; has not; gives no answer; a wrong one; was not asked, because it gave none lately."""
OUTCOMES: Final[tuple[Outcome, ...]] = ("done", "cancelled", "expired", "rejected", "failed")

# Waits and answers: 1, 2.5 and 5 of each decade, from what an idle server needs to the longest deadline in common use.
_WAITS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Finer between 10 and 500 ms: there lies what a listener feels, and what `bench` compares.
_FIRST_AUDIO_S: Final = (
    0.005,
    0.01,
    0.02,
    0.03,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.3,
    0.5,
    0.75,
    1.0,
    2.0,
    5.0,
    10.0,
    30.0,
)
# One sentence: 0.5 s of speech at 500 times its speed up to 30 s of it at 10 times.
_INFERENCE_S: Final = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 3.0)
# One piece of audio through an encoder.
_ENCODE_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
# Every size up to the default bound, then doubling up to the largest one.
_BATCH: Final = (1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64)
# Probes must answer within 50 ms; what is above it is a fault, and the buckets above tell how bad.
_LAG_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_LAG_EVERY_S: Final = 0.1  # a stall as long as a probe may take is met in every second sample

_LATELY_S: Final = 60.0
_RATE_S: Final = 10.0
_REMEMBERED: Final = 4096  # answers: a minute's at 68 a second; of more, what is told is of the last of them
_SORT_EVERY_S: Final = 1.0  # so many take 0.4 ms, whoever asks

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkerStat:
    """A worker process that runs now."""

    engine: str
    worker: int
    pid: int


class Metrics:
    """Every metric of one server."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line for each, of when it was first touched: nobody asks
        self.registry = registry = CollectorRegistry()
        self._requests = Tallies("tts_requests", "Requests answered", ["route", "status"], registry)
        self._seconds = Spreads(
            "tts_request_seconds",
            "From a request's arrival to the last byte of its answer",
            ["route"],
            buckets=_WAITS_S,
            registry=registry,
        )
        self._first = Spreads(
            "tts_first_audio_seconds",
            "From a request's arrival to the first byte of audio",
            buckets=_FIRST_AUDIO_S,
            registry=registry,
        )
        depth = Gauge("tts_queue_depth", "Jobs that wait for a worker", ["engine"], registry=registry)
        self._queued = Spreads(
            "tts_queue_seconds",
            "From a request's acceptance until a worker took up its text",
            buckets=_WAITS_S,
            registry=registry,
        )
        self._batch = Spreads(
            "tts_batch_size", "Jobs sent to a worker at once", ["engine"], buckets=_BATCH, registry=registry
        )
        self._inference = Spreads(
            "tts_inference_seconds",
            "From phones to a piece of audio, in the worker",
            ["engine"],
            buckets=_INFERENCE_S,
            registry=registry,
        )
        audio = Counter("tts_audio_seconds", "Speech made", ["engine"], registry=registry)
        restarts = Counter("tts_worker_restarts", "Workers replaced", ["engine", "reason"], registry=registry)
        accepted = Counter("tts_jobs_accepted", "Jobs accepted", registry=registry)
        jobs = Counter("tts_jobs", "Jobs that ended, or were rejected", ["outcome"], registry=registry)
        self._encode = Spreads(
            "tts_encode_seconds", "One call of an encoder", ["format"], buckets=_ENCODE_S, registry=registry
        )
        unspoken = Counter("tts_unspoken_characters", "Characters left out, for want of a reading", registry=registry)
        self._cache = Tallies(
            "tts_cache_requests",
            "Questions to the cache for answers, lines and scripts (kind), in memory and Redis (level)",
            ["kind", "level", "result"],
            registry,
        )
        cache_bytes = Gauge("tts_cache_bytes", "Memory that the cache takes", registry=registry)
        cuts = Counter(
            "tts_connections_cut",
            "Connections ended without a request: headers_late, bad_http, too_many from one address",
            ["reason"],
            registry=registry,
        )
        long_jobs = Counter("tts_long_jobs", "Long jobs accepted, and how they ended", ["outcome"], registry=registry)
        unfinished = Gauge(
            "tts_long_jobs_unfinished", "Long jobs that wait or are spoken, all servers'", ["state"], registry=registry
        )
        callbacks = Counter(
            "tts_callbacks", "Attempts to tell callers of the end of their jobs", ["state"], registry=registry
        )
        self._lag = Spreads(
            "tts_event_loop_lag_seconds",
            "How much later than asked for the event loop woke",
            buckets=_LAG_S,
            registry=registry,
        )
        build = Info("tts_build", "What runs", registry=registry)
        build.info({"version": version(), "python": platform.python_version()})
        ProcessCollector(registry=registry)
        self._workers = _Workers()
        registry.register(self._workers)

        # What has no label, or few, is there from the start: a rate needs the zero before the first event.
        for unlabelled in (self._first, self._queued, self._lag):
            unlabelled[()]
        self._depth = _Children(depth.labels)
        self._audio = _Children(audio.labels)
        self._restarts = restarts
        self._accepted = accepted
        self._outcomes = {outcome: jobs.labels(outcome) for outcome in OUTCOMES}
        self._unspoken = unspoken
        for kind in ("answer", "line", "script"):
            for result in ("hit", "miss"):
                self._cache[kind, "memory", result]
        self._cache_bytes = cache_bytes
        self._cuts = cuts
        self._long_jobs = {
            outcome: long_jobs.labels(outcome) for outcome in ("accepted", "done", "failed", "cancelled")
        }
        self._unfinished_jobs = unfinished
        self._callbacks = {state: callbacks.labels(state) for state in ("delivered", "waiting", "failed")}
        self._remote_tasks, self._remote_characters = _of_remote_engines(registry)
        self.routing: Final = Routing(registry)
        self.lately: Final = Lately()

    # HTTP

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is the pattern that it matched: a path would make a metric of each typo."""
        self._requests[route, status].inc()
        self._seconds[route].observe(seconds)

    def connection_cut(self, reason: str) -> None:
        """A connection was cut before it had sent a request. `reason` is one of a few words."""
        self._cuts.labels(reason).inc()

    def first_audio(self, seconds: float) -> None:
        """The first byte of audio left, so long after its request came."""
        self._first[()].observe(seconds)
        self.lately.add(seconds)

    def encoded(self, audio_format: str, seconds: float) -> None:
        """An encoder was called once."""
        self._encode[audio_format].observe(seconds)

    # Jobs

    def accepted(self) -> None:
        """A job was accepted; one outcome, not `rejected`, will follow."""
        self._accepted.inc()

    def outcome(self, outcome: Outcome) -> None:
        """A job ended, or was refused."""
        self._outcomes[outcome].inc()

    def queue_depth(self, engine: str, jobs: int) -> None:
        """So many jobs wait now."""
        self._depth[engine].set(jobs)

    def queued(self, seconds: float) -> None:
        """A worker took up a request's text, so long after it was accepted."""
        self._queued[()].observe(seconds)

    def unspoken(self, characters: int) -> None:
        """So many characters of a text were left out."""
        self._unspoken.inc(characters)

    # The cache

    def cache_asked(self, kind: str, level: Literal["memory", "redis"], result: CacheResult) -> None:
        """A level of the cache was asked for something of that kind."""
        self._cache[kind, level, result].inc()

    def cache_holds(self, size_bytes: int) -> None:
        """So much is in memory now."""
        self._cache_bytes.set(size_bytes)

    # Long jobs

    def long_job(self, outcome: str) -> None:
        """A long job was accepted, or is done, failed or cancelled."""
        self._long_jobs[outcome].inc()

    def unfinished_jobs(self, counts: Mapping[str, int]) -> None:
        """So many long jobs are queued, and so many run."""
        for state, count in counts.items():
            self._unfinished_jobs.labels(state).set(count)

    def callback(self, state: str) -> None:
        """A caller was called back: delivered, waiting for another attempt, or failed for good."""
        self._callbacks[state].inc()

    # Engines and workers

    def batch_sent(self, engine: str, size: int) -> None:
        """A batch went to a worker."""
        self._batch[engine].observe(size)

    def chunk(self, engine: str, infer_s: float, audio_s: float) -> None:
        """A piece of audio came from a worker."""
        self._inference[engine].observe(infer_s)
        self._audio[engine].inc(audio_s)

    def worker_restarted(self, engine: str, reason: str) -> None:
        """A worker was replaced. `reason` is one of a few words."""
        self._restarts.labels(engine, reason).inc()

    def watch_workers(self, workers: Callable[[], Iterable[WorkerStat]]) -> None:
        """Whom to ask which workers there are; asked in a thread when metrics are read."""
        self._workers.ask = workers

    # Remote engines

    def remote_task(self, engine: str, outcome: str, characters: int, audio_s: float) -> None:
        """A text was sent to a remote engine, and so much audio came of it. `outcome` is one of a few words."""
        self._remote_tasks[engine, outcome].inc()
        self._remote_characters[engine].inc(characters)
        self._audio[engine].inc(audio_s)

    # The event loop

    async def watch_loop(self) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            before = time.perf_counter()  # uvloop's own clock stands still while a callback runs
            await asyncio.sleep(_LAG_EVERY_S)
            self._lag[()].observe(max(0.0, time.perf_counter() - before - _LAG_EVERY_S))

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All of it, and its content type, in the format that the `Accept` header asks for."""
        encode, content_type = choose_encoder(accept)
        return await asyncio.to_thread(encode, self.registry), content_type


def _of_remote_engines(registry: CollectorRegistry) -> tuple[_Children[Counter], _Children[Counter]]:
    tasks = Counter(
        "tts_remote_tasks",
        "Texts sent to a remote engine: done, failed, throttled, cancelled",
        ["engine", "outcome"],
        registry=registry,
    )
    characters = Counter(
        "tts_remote_characters", "Characters sent to a remote engine, as it counts them", ["engine"], registry=registry
    )
    return _Children(lambda key: tasks.labels(*key)), _Children(characters.labels)


class Routing:
    """Which engine speaks, and what is left undone."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._fallbacks = Counter(
            "tts_fallbacks",
            "Requests that another engine spoke than the one that was to, and why",
            ["from", "to", "reason"],
            registry=registry,
        )
        self._breaker = Gauge(
            "tts_breaker_state",
            "Whether an engine is asked: 0 closed, it is; 1 half open, by one request; 2 open, it is not",
            ["engine"],
            registry=registry,
        )
        self._level = Gauge(
            "tts_degradation_level",
            "What is left undone: 0 nothing; 1 previews; 2 ordinary requests wait behind; 3 they go to another engine; "
            "4 they are refused",
            registry=registry,
        )

    def fallback(self, wanted: str, engine: str, reason: str) -> None:
        """A request goes to another engine than the one that was to speak it. `reason` is one of a few words."""
        self._fallbacks.labels(wanted, engine, reason).inc()

    def breaker(self, engine: str, state: int) -> None:
        """An engine's breaker has moved."""
        self._breaker.labels(engine).set(state)

    def degradation(self, level: int) -> None:
        """The server has stepped back, or forward."""
        self._level.set(level)


class Lately:
    """The last answers, for people who watch: how many a second, and how soon they began."""

    def __init__(self) -> None:
        self._firsts: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)  # when, and how long it took
        self._told: tuple[float, float | None] = (0.0, None)
        self._told_s = -math.inf

    def add(self, first_audio_s: float) -> None:
        """One had its first audio, so long after it was asked for."""
        self._firsts.append((time.monotonic(), first_audio_s))

    def tell(self) -> tuple[float, float | None]:
        """Answers a second, in the last ten; and in what time 95 of 100 began, in the last minute. None: no answers."""
        now_s, firsts = time.monotonic(), self._firsts
        if now_s - self._told_s >= _SORT_EVERY_S:
            while firsts and firsts[0][0] < now_s - _LATELY_S:
                firsts.popleft()
            recent = sum(1 for _ in itertools.takewhile(lambda first: first[0] > now_s - _RATE_S, reversed(firsts)))
            over_s = _RATE_S if recent < _REMEMBERED else now_s - firsts[0][0]
            took = sorted(seconds for _, seconds in firsts)
            self._told = recent / over_s, took[math.ceil(0.95 * len(took)) - 1] if took else None
            self._told_s = now_s
        return self._told


class _Children(dict[object, T], Generic[T]):
    """A metric's children by their labels: `labels()` itself takes a lock and makes strings, each time."""

    def __init__(self, make: Callable[..., T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: object) -> T:
        child = self[key] = self._make(key)
        return child


class _Workers(Collector):
    """What the workers use, measured when it is asked for."""

    def __init__(self) -> None:
        self.ask: Callable[[], Iterable[WorkerStat]] = tuple

    def describe(self) -> Iterable[Metric]:
        return []  # names are those of `collect`; asking it at registration would be before there are workers

    def collect(self) -> Iterator[Metric]:
        cpu = CounterMetricFamily(
            "tts_worker_cpu_seconds", "Processor time of a worker, from its start", labels=["engine", "worker"]
        )
        memory = GaugeMetricFamily(
            "tts_worker_memory_bytes",
            "Memory of a worker: resident (rss), and with what is shared divided among its users (pss)",
            labels=["engine", "worker", "kind"],
        )
        for stat in self.ask():
            labels = [stat.engine, str(stat.worker)]
            try:
                process = psutil.Process(stat.pid)
                times, sizes = process.cpu_times(), process.memory_full_info()
            except psutil.Error:
                continue  # it has ended since; its successor will be there the next time
            cpu.add_metric(labels, times.user + times.system)
            memory.add_metric([*labels, "rss"], sizes.rss)
            memory.add_metric([*labels, "pss"], sizes.pss)
        yield cpu
        yield memory

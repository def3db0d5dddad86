"""What one load came to: all that was heard, as figures; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from bench.caller import CUSHIONS_S, STAGES, Heard
from bench.client import NOT_SENT, ClientReport, Load
from bench.counted import Samples, batch_sizes, cache_hits, mean_batch
from bench.figures import Distribution, distribution
from bench.usage import ProcessUse

BUSY_CLIENT: Final = 0.85
"""Of a core. A client above it has no time to be punctual, and what it measures is itself."""
BUSY_OTHERS: Final = 0.1
"""Cores that other programs may take without being mentioned."""
LATE_CLIENT_S: Final = 0.02
"""Of an event loop's lag, its p99. Above it, latencies are told with a warning."""

WATCHING: Final = "watching"
"""The process that starts the clients and looks on."""


@dataclass(frozen=True, slots=True)
class ClientUse:
    """What a process of the bench cost."""

    name: str
    cores: float
    """Seconds of processor time in each second."""
    lag_p99_ms: float
    """How much later than asked for its event loop woke; its latencies may be too long by that."""
    check_us: float
    """Microseconds of its processor time to check one answer, the mean."""


@dataclass(frozen=True, slots=True)
class Point:
    """A stretch of a level."""

    at_s: float
    """Its middle, from the beginning of what is measured."""
    qps: float
    p50_ms: float | None
    p95_ms: float | None
    audio_s_per_s: float
    errors: int
    mean_batch: float | None
    """Jobs sent to a worker at once; None if the server does not say."""
    cache_hits: float | None
    """Lines and answers that were in its cache, of those it was asked for."""


@dataclass(frozen=True, slots=True)
class Level:
    """What one load came to."""

    name: str
    users: int
    """Who ask, listen to the end, wait and ask again; 0 in an open loop."""
    rate_per_s: float
    """Requests sent a second, whatever became of the ones before; 0 in a closed loop."""
    seconds: float
    """How long it was measured, without its warm-up."""
    asked: int
    """Requests that were to be sent within that time."""
    right: int
    """Those of them that were answered rightly."""
    errors: Mapping[str, int]
    """Those that were not, by what was wrong."""
    qps: float
    """Right answers that ended within the time, per second."""
    goodput_qps: float
    """Those of them that were soon enough: whole answers by their end, streamed ones by their first audio."""
    in_time: float
    """The part of what was asked that was answered rightly and soon enough."""
    audio_s_per_s: float
    """Speech in right answers, per second."""
    audio_s_per_s_per_core: float
    """Divided by the cores of the machine that may be used, the client's among them."""
    latency_ms: Distribution | None
    """From when a request was to be sent until its last byte; of right answers."""
    first_audio_ms: Distribution | None
    """Until its first byte of audio."""
    longest_gap_ms: Distribution | None
    """The longest wait between two pieces of a streamed answer."""
    underruns: Mapping[str, float] | None
    """The part of streamed answers in which a listener would have heard a gap, by milliseconds of his cushion."""
    underrun_s: Mapping[str, float] | None
    """Seconds of such silence, of all of them together."""
    stages_ms: Mapping[str, float]
    """Where the time of a right answer went, the mean: queue, read, infer and encode as the server tells; other is what
    is left of the latency. Lines are spoken side by side, so that infer may be more than passed."""
    answers_from_cache: Mapping[str, int]
    """By X-Cache: HIT, PARTIAL, MISS."""
    batch_sizes: Mapping[str, float]
    """How many batches there were, by the bound of their size."""
    processes: tuple[ProcessUse, ...]
    """Of the server, if its processes are known."""
    clients: tuple[ClientUse, ...]
    other_cores: float | None
    """What everything else on this machine took, and its host; None if the server's processes are not known."""
    series: tuple[Point, ...]
    doubts: tuple[str, ...]
    """What the reader should know before he believes it: that the client was the limit, for instance."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that is known of a load."""

    load: Load
    slo_ms: float
    start_s: float
    """When what is measured began."""
    reports: Sequence[ClientReport]
    bench_cores: float
    """What the process that watched took."""
    scrapes: Sequence[tuple[float, Samples]]
    processes: tuple[ProcessUse, ...]
    busy_cores: float
    """All of the machine, its host's other guests included."""
    cores: int
    streamed: bool


def level(seen: Observed) -> Level:
    """The figures."""
    load, seconds = seen.load, seen.load.seconds
    until_s = seen.start_s + seconds
    heard = [one for report in seen.reports for one in report.heard]
    asked = [one for one in heard if seen.start_s <= one.intended_s < until_s]
    right = [one for one in asked if not one.error]
    ended = [one for one in heard if not one.error and seen.start_s <= one.ended_s < until_s]
    soon = [one for one in ended if _felt_s(one, streamed=seen.streamed) * 1000 <= seen.slo_ms]
    audio = sum(one.audio_s for one in ended) / seconds
    streams = [one for one in right if one.underruns]
    first = distribution([1000 * (one.first_s - one.intended_s) for one in right if one.first_s])
    result = Level(
        name=load.name,
        users=load.users,
        rate_per_s=load.rate_per_s,
        seconds=seconds,
        asked=len(asked),
        right=len(right),
        errors=dict(Counter(one.error for one in asked if one.error)),
        qps=len(ended) / seconds,
        goodput_qps=len(soon) / seconds,
        in_time=_part(sum(_felt_s(one, streamed=seen.streamed) * 1000 <= seen.slo_ms for one in right), len(asked)),
        audio_s_per_s=audio,
        audio_s_per_s_per_core=audio / seen.cores,
        latency_ms=distribution([1000 * _latency_s(one) for one in right]),
        first_audio_ms=first,
        longest_gap_ms=distribution([1000 * one.longest_gap_s for one in streams]),
        underruns=_by_cushion(streams, lambda silent_s: _part(sum(s > 0 for s in silent_s), len(silent_s))),
        underrun_s=_by_cushion(streams, lambda silent_s: float(sum(silent_s))),
        stages_ms=_stages(right),
        answers_from_cache=dict(Counter(one.cache for one in right if one.cache)),
        batch_sizes=batch_sizes(seen.scrapes[0][1], seen.scrapes[-1][1]) if seen.scrapes else {},
        processes=seen.processes,
        clients=(clients := _clients(seen)),
        other_cores=_others(seen, clients),
        series=tuple(_series(seen, heard)),
        doubts=(),
    )
    return replace(result, doubts=tuple(_doubts(result)))


def beside(found: Level, others: Sequence[Level], *, same_server: bool) -> Level:
    """The same, if these loads were laid at the same time: what they cost is no other program's."""
    if found.other_cores is None:
        return found
    known = sum(use.cores for other in others for use in other.clients if use.name != WATCHING)
    if not same_server:
        known += sum(use.cores for other in others for use in other.processes)
    result = replace(found, other_cores=max(0.0, found.other_cores - known))
    return replace(result, doubts=tuple(_doubts(result)))


def _latency_s(one: Heard) -> float:
    return one.ended_s - one.intended_s


def _felt_s(one: Heard, *, streamed: bool) -> float:
    return one.first_s - one.intended_s if streamed else _latency_s(one)


def _part(some: float, all_: float) -> float:
    return some / all_ if all_ else 0.0


def _by_cushion(streams: Sequence[Heard], figure: Callable[[Sequence[float]], float]) -> dict[str, float] | None:
    if not streams:
        return None
    silent_s = {cushion_s: [one.underruns[n] for one in streams] for n, cushion_s in enumerate(CUSHIONS_S)}
    return {f"{1000 * cushion_s:g}": figure(found) for cushion_s, found in silent_s.items()}


def _stages(right: Sequence[Heard]) -> dict[str, float]:
    told = [one for one in right if one.stages_ms]
    if not told:
        return {}
    means = {stage: sum(one.stages_ms[n] for one in told) / len(told) for n, stage in enumerate(STAGES)}
    whole = 1000 * sum(map(_latency_s, told)) / len(told)
    return means | {"other": max(0.0, whole - sum(means.values()))}


def _clients(seen: Observed) -> tuple[ClientUse, ...]:
    uses = []
    for number, report in enumerate(seen.reports, start=1):
        lag = distribution(report.lags_s)
        checked = [one.check_s for one in report.heard if one.check_s]
        check_us = 1e6 * sum(checked) / len(checked) if checked else 0.0
        cores = report.cpu_s / report.wall_s if report.wall_s else 0.0
        uses.append(ClientUse(f"client {number}", cores, 1000 * lag.p99 if lag else 0.0, check_us))
    return (*uses, ClientUse(WATCHING, seen.bench_cores, 0.0, 0.0))


def _others(seen: Observed, clients: Sequence[ClientUse]) -> float | None:
    if not seen.processes:
        return None
    ours = sum(use.cores for use in seen.processes) + sum(use.cores for use in clients)
    return max(0.0, seen.busy_cores - ours)


def _doubts(found: Level) -> Iterator[str]:
    for client in found.clients:
        if client.cores > BUSY_CLIENT:
            yield (
                f"bound by the client: {client.name} used {client.cores:.2f} of a core; the server may be faster than "
                "this says (take more --clients, or other cores for them)"
            )
        elif client.lag_p99_ms > 1000 * LATE_CLIENT_S:
            yield (
                f"{client.name} was late itself, by {client.lag_p99_ms:.0f} ms at p99: it shares its core, and "
                "latencies are too long by that"
            )
    if found.other_cores is not None and found.other_cores > BUSY_OTHERS:
        yield f"other programs used {found.other_cores:.2f} cores meanwhile: the server had so much less"
    if found.errors.get(NOT_SENT):
        yield f"{found.errors[NOT_SENT]} requests were not sent: so many were open that the client had no room for more"


def _series(seen: Observed, heard: Sequence[Heard]) -> Iterator[Point]:
    """A point between each two looks at what the server has counted."""
    for (from_s, before), (to_s, after) in pairwise(seen.scrapes):
        ended = [one for one in heard if from_s <= one.ended_s < to_s]
        right = [one for one in ended if not one.error]
        latency = distribution([1000 * _latency_s(one) for one in right])
        seconds = to_s - from_s
        yield Point(
            at_s=(from_s + to_s) / 2 - seen.start_s,
            qps=len(right) / seconds,
            p50_ms=latency.p50 if latency else None,
            p95_ms=latency.p95 if latency else None,
            audio_s_per_s=sum(one.audio_s for one in right) / seconds,
            errors=len(ended) - len(right),
            mean_batch=mean_batch(before, after),
            cache_hits=cache_hits(before, after),
        )

"""A server under load as its callers feel it: loads one after another, each with its figures; and the highest rate it
can hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal

from bench.client import Load
from bench.figures import Distribution
from bench.level import Level
from bench.record import LoadResult, Method
from bench.rig import Rig, Setup, rig

HELD: Final = 0.95
"""The part of requests that must be answered rightly and in time, for a rate to be called sustained."""
PRECISION: Final = 0.05
"""Of a search. One run and the next differ by more on a machine that others use."""
MOST_PROBES: Final = 20
FEWEST: Final = 20
"""Requests in a probe: of fewer, 95 % is no number."""


def measure(setup: Setup, loads: Sequence[Load], kind: Literal["http", "seed"] = "http") -> LoadResult:
    """Lay these loads upon a server, one after another. BenchError if server or clients fail."""
    if not loads:
        raise ValueError("there is no load; give some users or a rate")
    with rig(setup) as there:
        levels = tuple(there.lay(load) for load in loads)
    return LoadResult(kind, method(setup, loads[0]), levels)


def search(setup: Setup, first: Load) -> LoadResult:
    """The highest rate at which `HELD` of all requests are answered rightly within the SLO, to 5 %: from the rate of
    `first` doubled until it is not held, then halved in between. BenchError if server or clients fail.
    """
    if not first.rate_per_s:
        raise ValueError("a search is for a rate; give the one it begins with")
    if first.rate_per_s * first.seconds < FEWEST:
        raise ValueError(f"{first.rate_per_s:g} requests/s in {first.seconds:g} s tell nothing; {FEWEST} in all do")
    with rig(setup) as there:
        levels, sustained = _search(there, first)
    return LoadResult("http", method(setup, first), tuple(sorted(levels, key=lambda one: one.rate_per_s)), sustained)


def _search(there: Rig, first: Load) -> tuple[list[Level], float]:
    held, failed, rate = 0.0, float("inf"), first.rate_per_s
    levels: list[Level] = []
    while len(levels) < MOST_PROBES and failed > held * (1 + PRECISION) and rate * first.seconds >= FEWEST:
        load = replace(first, rate_per_s=float(f"{rate:.3g}"))
        levels.append(there.lay(load, note=f"search, {load.name}"))
        if levels[-1].in_time >= HELD:
            held = max(held, load.rate_per_s)
        else:
            failed = min(failed, load.rate_per_s)
        rate = 2 * rate if failed == float("inf") else failed / 2 if not held else (held + failed) / 2
    return levels, held


def method(setup: Setup, load: Load) -> Method:
    """How it was measured, for the record."""
    ask, texts = setup.ask, setup.texts
    return Method(
        language=texts.language,
        length=texts.length,
        repeat=texts.repeat,
        text_seed=texts.seed,
        voice=ask.voice,
        engine=ask.engine,
        audio_format=ask.audio_format,
        streamed=ask.streamed,
        cache=setup.cache,
        server="started" if setup.url is None else "running",
        serve=setup.serve,
        clients=setup.clients,
        users_wait_s=load.wait_s,
        arrivals=load.process,
        warmup_s=load.warmup_s,
        slo_ms=setup.slo_ms,
        deadline_ms=ask.deadline_ms,
    )


def report(result: LoadResult) -> str:
    """The result for people."""
    rows = [_told(result.method), "", _head(result.method), *(_row(level) for level in result.levels)]
    for level in result.levels:
        rows += ["", f"at {level.name}", *(f"  {line}" for line in details(level))]
    if result.sustained_per_s is not None:
        rows += [
            "",
            f"sustained: {result.sustained_per_s:g} requests/s ({HELD:.0%} answered within {result.method.slo_ms:g} ms)"
            if result.sustained_per_s
            else f"no rate held {HELD:.0%} within {result.method.slo_ms:g} ms",
        ]
    return "\n".join(rows)


def _told(how: Method) -> str:
    texts = f"{how.language} {how.length} texts, {f'{how.repeat:.0%} repeated' if how.repeat else 'all different'}"
    deadline = "" if how.deadline_ms is None else f", deadline {how.deadline_ms} ms"
    streamed = "streamed" if how.streamed else "whole"
    server = f"cache {'on' if how.cache else 'off'}" if how.server == "started" else "a server that ran already"
    return f"{texts}; {how.audio_format}, {streamed}; {server}; SLO {how.slo_ms:g} ms{deadline}"


def _head(how: Method) -> str:
    return (
        f"{'load':>18}{'QPS':>8}{'good':>8}{'errors':>8}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'max ms':>9}"
        f"{'first p50':>11}{'p95':>8}{'audio s/s':>11}{'per core':>10}" + (f"{'underruns':>11}" if how.streamed else "")
    )


def _row(level: Level) -> str:
    latency, first = percentiles(level.latency_ms), percentiles(level.first_audio_ms)
    underruns = "" if level.underruns is None else f"{next(iter(level.underruns.values())):>11.1%}"
    return (
        f"{level.name:>18}{level.qps:>8.1f}{level.goodput_qps:>8.1f}{sum(level.errors.values()):>8}"
        + "".join(f"{value:>9}" for value in (latency[0], latency[1], latency[2], latency[3]))
        + f"{first[0]:>11}{first[1]:>8}{level.audio_s_per_s:>11.0f}{level.audio_s_per_s_per_core:>10.0f}{underruns}"
    )


def percentiles(found: Distribution | None) -> tuple[str, str, str, str]:
    """p50, p95, p99 and the greatest, as they are shown."""
    if found is None:
        return ("—",) * 4
    p50, p95, p99, most = (
        f"{value:.1f}" if value < 100 else f"{value:.0f}" for value in (found.p50, found.p95, found.p99, found.max)
    )
    return p50, p95, p99, most


def details(level: Level) -> Iterator[str]:
    """What there is to know of a level beside its line in the table."""
    if level.errors:
        yield "errors: " + ", ".join(f"{count} {kind}" for kind, count in level.errors.items())
    if level.stages_ms:
        yield "where the time goes, ms: " + ", ".join(f"{stage} {ms:.1f}" for stage, ms in level.stages_ms.items())
    if level.longest_gap_ms and level.underruns and level.underrun_s:
        gap = level.longest_gap_ms
        yield f"longest gap between pieces: p50 {gap.p50:.0f} ms, p95 {gap.p95:.0f} ms"
        yield "a listener hears a gap: " + ", ".join(
            f"{part:.1%} with {cushion} ms of cushion ({level.underrun_s[cushion]:.2f} s in all)"
            for cushion, part in level.underruns.items()
        )
    if level.processes:
        yield "server: " + ", ".join(
            f"{use.name} {use.cores:.2f} cores {use.rss_mib:.0f} MiB" for use in level.processes if use.name != "helper"
        )
    yield (
        "clients: "
        + ", ".join(
            f"{use.name} {use.cores:.2f} cores"
            + (f", {use.check_us:.0f} µs to check an answer" if use.check_us else "")
            for use in level.clients
        )
        + ("" if level.other_cores is None else f"; other programs {level.other_cores:.2f} cores")
    )
    if level.batch_sizes:
        yield "batches by size: " + ", ".join(f"{size}: {count:.0f}" for size, count in level.batch_sizes.items())
    if level.answers_from_cache.keys() - {"MISS"}:
        yield "cache: " + ", ".join(f"{name} {count}" for name, count in level.answers_from_cache.items())
    for doubt in level.doubts:
        yield f"doubt: {doubt}"

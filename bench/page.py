"""A result as a page that a person reads in a minute: one file, no script, nothing from elsewhere.

Its plots are matplotlib's, as SVG in the page: `pip install '.[bench]'`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import cached, coldstart, efficiency, idle, load, pairs, peers, seed, soak, underruns, vip
from bench.figures import QUANTILES
from bench.level import Level
from bench.peer_felt import PeersResult
from bench.peer_turn import OURS
from bench.record import (
    AnyResult,
    CachedResult,
    ColdstartResult,
    EfficiencyResult,
    EfficiencyRound,
    IdleResult,
    LoadResult,
    PairResult,
    Record,
    SoakResult,
    VipResult,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } td, th { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left } pre { overflow-x: auto; background: #f6f6f6; padding: .7rem }
.doubt { background: #fff3d6; padding: .3rem .7rem; border-left: 4px solid #e0a800 } small { color: #666 }
svg { max-width: 100%; height: auto }
"""
_WIDTH_IN, _HEIGHT_IN = 8.5, 3.0
_STAGE_COLOURS: Final = ("#9aa7b8", "#5aa469", "#3465a4", "#c17d11", "#ddd")


def write_page(record: Record, file: Path) -> None:
    """Write it."""
    file.write_text(page(record), encoding="utf-8")


def can_draw() -> bool:
    """Whether there is a matplotlib to draw with."""
    return find_spec("matplotlib") is not None


def page(record: Record) -> str:
    """The page as HTML."""
    machine, result = record.machine, record.result
    on = f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB, {machine.kernel}, Python {machine.python}"
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    told = f"<p>{escape(on)}<br><small>{escape(versions)} · {record.date}</small></p>"
    head = f"<h1>tts-server bench {result.kind}</h1>{told}"
    note = f"<p>{escape(record.note)}</p>" if record.note else ""
    body, words = "".join(_parts(result)), _WORDS[result.kind](result)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>bench {result.kind}</title>'
        f"<style>{_STYLE}</style>{head}{note}{body}<h2>In words</h2><pre>{escape(words)}</pre></html>\n"
    )


_WORDS: Final[Mapping[str, Callable[[Any], str]]] = {
    "http": load.report,
    "seed": seed.report,
    "underruns": underruns.report,
    "soak": soak.report,
    "coldstart": coldstart.report,
    "efficiency": efficiency.report,
    "vip": vip.report,
    "peers": peers.report,
    "instances": pairs.report,
    "batching": pairs.report,
    "idle": idle.report,
    "cached": cached.report,
}
"""By the kind of result."""


def _parts(result: AnyResult) -> Iterator[str]:
    match result:
        case LoadResult(levels=levels):
            yield from _of_levels(levels)
        case SoakResult(points=points):
            yield "<h2>Memory over requests</h2>"
            asked = [point.requests for point in points]
            yield _plot(
                lambda axes: axes.plot(asked, [point.rss_mib for point in points]),
                "requests answered",
                "RSS of all, MiB",
            )
        case EfficiencyResult(rounds=rounds):
            yield "<h2>Limit and server, in turn</h2>"
            yield _plot(lambda axes: _rounds(axes, rounds), "round", "seconds of audio a second")
        case VipResult():
            yield "<h2>VIPs' p95, alone and beside others</h2>"
            yield _plot(lambda axes: _vips(axes, result), "round", "ms")
        case PeersResult():
            yield "<h2>Seconds of audio per second, 50 connections</h2>"
            yield _plot(lambda axes: _beside(axes, result), "round", "seconds of audio a second")
        case PairResult(rounds=turns):
            yield "<h2>Both, in turn</h2>"
            yield _plot(lambda axes: _both(axes, result), "round", "seconds of audio a second") if turns else ""
        case CachedResult():
            yield "<h2>A bare handler and the cache, in turn</h2>"
            yield _plot(lambda axes: _cached(axes, result), "round", "answers a second")
        case ColdstartResult() | IdleResult():
            pass


def _rounds(axes: Axes, rounds: Sequence[EfficiencyRound]) -> None:
    numbers = range(1, len(rounds) + 1)
    axes.plot(numbers, [one.limit_audio_s_per_s for one in rounds], "o-", label="the nets alone")
    axes.plot(numbers, [one.served_audio_s_per_s for one in rounds], "o-", label="served")
    axes.set_ylim(bottom=0)
    axes.legend()


def _cached(axes: Axes, result: CachedResult) -> None:
    numbers = range(1, len(result.rounds) + 1)
    axes.plot(numbers, [one.bare_qps for one in result.rounds], "o-", label="a bare handler")
    axes.plot(numbers, [one.cached_qps for one in result.rounds], "o-", label="from the cache")
    axes.set_ylim(bottom=0)
    axes.legend()


def _vips(axes: Axes, result: VipResult) -> None:
    for streamed, what in ((False, "whole"), (True, "first audio")):
        turns = [turn for turn in result.turns if turn.streamed is streamed]
        numbers = [turn.round for turn in turns]
        for name, values in (("alone", [t.alone.p95_ms for t in turns]), ("loaded", [t.loaded.p95_ms for t in turns])):
            axes.plot(numbers, values, "o-" if name == "loaded" else "o:", label=f"{what}, {name}")  # type: ignore[arg-type]
    axes.set_ylim(bottom=0)
    axes.legend()


def _beside(axes: Axes, result: PeersResult) -> None:
    for server in (OURS, *result.peers):
        turns = sorted((turn.round, turn.flat_out.audio_s_per_s) for turn in result.turns if turn.server == server)
        axes.plot([number for number, _ in turns], [audio for _, audio in turns], "o-", label=server)
    axes.set_ylim(bottom=0)
    axes.legend()


def _both(axes: Axes, result: PairResult) -> None:
    numbers = range(1, len(result.rounds) + 1)
    axes.plot(numbers, [one.first_audio_s_per_s for one in result.rounds], "o-", label=result.first)
    axes.plot(numbers, [one.second_audio_s_per_s for one in result.rounds], "o-", label=result.second)
    axes.set_ylim(bottom=0)
    axes.legend()


def _of_levels(levels: Sequence[Level]) -> Iterator[str]:
    yield _table(levels)
    for level in levels:
        if level.doubts:
            yield f'<p class="doubt"><b>{escape(level.name)}</b>: {escape("; ".join(level.doubts))}</p>'
    if len(levels) > 1:
        loads = [level.users or level.rate_per_s for level in levels]
        unit = "users" if levels[0].users else "requests a second"
        yield "<h2>Latency over load</h2>"
        yield _plot(lambda axes: _latency_over_load(axes, loads, levels), unit, "ms")
        yield "<h2>Right answers over load</h2>"
        yield _plot(lambda axes: _answers_over_load(axes, loads, levels), unit, "per second")
    yield "<h2>How long it took, for which part of the answers</h2>"
    yield _plot(lambda axes: _curves(axes, levels), "ms", "part of the answers")
    if any(level.stages_ms for level in levels):
        yield "<h2>Where the time goes</h2>"
        yield _plot(lambda axes: _stages(axes, levels), "ms, the mean", "")
    for level in levels:
        if len(level.series) > 1:
            yield f"<h2>Over time, {escape(level.name)}</h2>"
            yield _plot(lambda axes, level=level: _over_time(axes, level), "s", "QPS, and batch")  # type: ignore[misc]


def _table(levels: Sequence[Level]) -> str:
    heads = ("load", "QPS", "in time", "errors", "p50 ms", "p95 ms", "p99 ms", "first audio p95", "audio s/s")
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{escape(cell)}</td>"
            for cell in (
                level.name,
                f"{level.qps:.1f}",
                f"{level.in_time:.1%}",
                str(sum(level.errors.values())),
                *load.percentiles(level.latency_ms)[:3],
                load.percentiles(level.first_audio_ms)[1],
                f"{level.audio_s_per_s:.0f}",
            )
        )
        + "</tr>"
        for level in levels
    )
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table>"


def _latency_over_load(axes: Axes, loads: Sequence[float], levels: Sequence[Level]) -> None:
    for name in ("p50", "p95", "p99"):
        values = [getattr(level.latency_ms, name) if level.latency_ms else None for level in levels]
        axes.plot(loads, values, "o-", label=name)  # type: ignore[arg-type]  # None is a hole in the line
    axes.set_yscale("log")
    axes.legend()


def _answers_over_load(axes: Axes, loads: Sequence[float], levels: Sequence[Level]) -> None:
    axes.plot(loads, [level.qps for level in levels], "o-", label="QPS")
    axes.plot(loads, [level.goodput_qps for level in levels], "o-", label="in time")
    axes.set_ylim(bottom=0)
    axes.legend()


def _curves(axes: Axes, levels: Sequence[Level]) -> None:
    parts = [number / QUANTILES for number in range(QUANTILES + 1)]
    for level in levels:
        if level.latency_ms:
            (line,) = axes.plot(level.latency_ms.quantiles, parts, label=level.name)
            if level.first_audio_ms and level.underruns is not None:
                first = level.first_audio_ms.quantiles
                axes.plot(first, parts, "--", color=line.get_color(), label=f"{level.name}, first audio")
    axes.set_xscale("log")
    if axes.lines:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))  # beside it: curves leave no corner free


def _stages(axes: Axes, levels: Sequence[Level]) -> None:
    names = [level.name for level in levels if level.stages_ms]
    left = [0.0] * len(names)
    for stage, colour in zip(("queue", "read", "infer", "encode", "other"), _STAGE_COLOURS, strict=True):
        widths = [level.stages_ms[stage] for level in levels if level.stages_ms]
        axes.barh(names, widths, left=left, label=stage, color=colour)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _over_time(axes: Axes, level: Level) -> None:
    moments = [point.at_s for point in level.series]
    axes.plot(moments, [point.qps for point in level.series], "o-", label="QPS")
    if any(point.mean_batch for point in level.series):
        axes.plot(moments, [point.mean_batch or 0 for point in level.series], ":", label="mean batch")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower left")
    right = axes.twinx()
    p95 = [float("nan") if point.p95_ms is None else point.p95_ms for point in level.series]
    right.plot(moments, p95, "s--", color="#c17d11", label="p95, ms")
    if any(point.cache_hits for point in level.series):
        hits = [100 * (point.cache_hits or 0) for point in level.series]
        right.plot(moments, hits, "^:", color="#5aa469", label="cache hits, %")
    right.set_ylim(bottom=0)
    right.legend(loc="lower right")


def _plot(draw: Callable[[Axes], object], across: str, up: str) -> str:
    """A plot as SVG, its letters as text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "axes.spines.top": False, "font.family": "sans-serif"}):
        figure = Figure((_WIDTH_IN, _HEIGHT_IN), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.grid(alpha=0.3)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue().partition("<!DOCTYPE")[2].partition(">")[2]

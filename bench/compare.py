"""Two results side by side: ratios with their spread, and in words whether there is a difference. Pure but for reading.

A spread is what 95 of 100 resamplings of the points of both runs lie between (`figures.ratio`). It knows how much a run
varied within itself, and nothing of how the machine changed between the two: run them in turn before you believe it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import peers
from bench.figures import Spread, ratio
from bench.level import Level, Point
from bench.peer_felt import PeersResult
from bench.record import (
    CachedResult,
    ColdstartResult,
    EfficiencyResult,
    LoadResult,
    PairResult,
    Record,
    RecordError,
    SoakResult,
    VipResult,
    read,
)

_POINTS: Final[dict[str, tuple[Callable[[Point], float | None], bool]]] = {
    "QPS": (lambda point: point.qps, True),
    "audio s/s": (lambda point: point.audio_s_per_s, True),
    "p50 ms": (lambda point: point.p50_ms, False),
    "p95 ms": (lambda point: point.p95_ms, False),
}
"""Figures that have points over time, and whether more of them is better."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of both."""

    where: str
    """Its level."""
    figure: str
    old: float
    new: float
    ratio: Spread | None
    """New by old: `median` is the ratio itself, low and high are its spread. None where there is one value of each."""
    more_is_better: bool

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.old:
            return "—"
        change = self.new / self.old - 1
        if self.ratio is None:
            return f"{change:+.0%}, from one value each"
        if self.ratio.low <= 1 <= self.ratio.high:
            return "no difference that these runs can tell"
        return f"{'better' if (change > 0) == self.more_is_better else 'worse'} by {abs(change):.0%}"


def compare(old: Record, new: Record) -> list[Comparison]:
    """All figures that both have. RecordError if they have none in common."""
    match old.result, new.result:
        case LoadResult(levels=before), LoadResult(levels=after):
            pairs = [(one, other) for one in before for other in after if one.name == other.name]
            found = [figure for one, other in pairs for figure in _of_levels(one, other)]
        case EfficiencyResult() as one, EfficiencyResult() as other:
            news, olds = ([each.ratio_without_client for each in result.rounds] for result in (other, one))
            values = one.ratio_without_client.median, other.ratio_without_client.median
            found = [Comparison("", "served ÷ limit", *values, ratio(news, olds), more_is_better=True)]
        case ColdstartResult() as one, ColdstartResult() as other:
            found = [
                Comparison("", name, getattr(one, name).median, getattr(other, name).median, None, more_is_better=False)
                for name in ("cold_ready_ms", "cold_first_audio_ms", "warm_ready_ms", "warm_first_audio_ms")
            ]
        case SoakResult() as one, SoakResult() as other:
            slopes = one.rss_mib_per_1000, other.rss_mib_per_1000
            found = [Comparison("", "MiB by 1000 requests", *slopes, None, more_is_better=False)]
        case CachedResult() as one, CachedResult() as other:
            news, olds = ([each.cpu_ratio for each in result.rounds] for result in (other, one))
            values = one.cpu_ratio.median, other.cpu_ratio.median
            found = [Comparison("", "bare ÷ cached, CPU", *values, ratio(news, olds), more_is_better=True)]
        case VipResult() as one, VipResult() as other:
            found = list(_of_vips(one, other))
        case PeersResult() as one, PeersResult() as other:
            found = list(_of_peers(one, other))
        case PairResult() as one, PairResult() as other if one.kind == other.kind:
            olds, news = ([each.ratio_without_client for each in result.rounds] for result in (one, other))
            values = one.ratio_without_client.median, other.ratio_without_client.median
            found = [Comparison("", "second ÷ first", *values, ratio(news, olds), more_is_better=True)]
        case _:
            found = []
    if not found:
        raise RecordError("the two results have no figure in common: compare runs of one kind, with the same loads")
    return found


def compare_files(old: Path, new: Path) -> str:
    """The comparison for people. RecordError if a file is no result, or they cannot be compared."""
    before, after = read(old), read(new)
    rows = [f"{'':>18} {'':<22}{'first':>10}{'second':>10}{'ratio':>8}  {'spread':<16}"]
    for each in compare(before, after):
        quotient = f"{each.new / each.old:.2f}" if each.old else "—"
        between = f"{each.ratio.low:.2f} to {each.ratio.high:.2f}" if each.ratio else ""
        rows.append(
            f"{each.where:>18} {each.figure:<22}{_short(each.old):>10}{_short(each.new):>10}{quotient:>8}  "
            f"{between:<16}{each.verdict}"
        )
    return "\n".join([*rows, *(f"note: {note}" for note in _differences(before, after))])


def _of_vips(old: VipResult, new: VipResult) -> Iterator[Comparison]:
    """How much worse VIPs have it beside others than alone."""
    for streamed, name in ((False, "VIP p95 ÷ alone"), (True, "first audio ÷ alone")):
        olds, news = (
            [
                turn.loaded.p95_ms / turn.alone.p95_ms
                for turn in result.turns
                if turn.streamed is streamed and turn.loaded.p95_ms and turn.alone.p95_ms
            ]
            for result in (old, new)
        )
        if olds and news:
            means = sum(olds) / len(olds), sum(news) / len(news)
            yield Comparison("", name, *means, ratio(news, olds), more_is_better=False)


def _of_peers(old: PeersResult, new: PeersResult) -> Iterator[Comparison]:
    """Ours by each peer's: what the machine did to both of a round leaves it alone."""
    for peer in old.peers.keys() & new.peers.keys():
        for figure in peers.FIGURES:
            before, after = (peers.against(result, figure, peer) for result in (old, new))
            if before and after:
                values = before.median, after.median
                yield Comparison(
                    f"ours ÷ {peer}", figure.name[:22], *values, None, more_is_better=figure.more_is_better
                )


def _of_levels(old: Level, new: Level) -> Iterator[Comparison]:
    for name, (of, more_is_better) in _POINTS.items():
        olds, news = ([value for point in level.series if (value := of(point)) is not None] for level in (old, new))
        if olds and news:
            spread = ratio(news, olds) if min(len(olds), len(news)) > 1 else None
            means = sum(olds) / len(olds), sum(news) / len(news)
            yield Comparison(old.name, name, *means, spread, more_is_better)
    if old.first_audio_ms and new.first_audio_ms:
        values = old.first_audio_ms.p95, new.first_audio_ms.p95
        yield Comparison(old.name, "first audio p95 ms", *values, None, more_is_better=False)
    if old.underruns and new.underruns:
        cushion = next(iter(old.underruns))
        values = old.underruns[cushion], new.underruns.get(cushion, 0.0)
        yield Comparison(old.name, "underruns", *values, None, more_is_better=False)
    yield Comparison(old.name, "errors", sum(old.errors.values()), sum(new.errors.values()), None, more_is_better=False)


def _differences(old: Record, new: Record) -> Iterator[str]:
    """What else differs, and may be the reason."""
    for name in ("cpu", "cores", "kernel", "python"):
        if (before := getattr(old.machine, name)) != (after := getattr(new.machine, name)):
            yield f"{name}: {before} and {after}"
    for name in old.machine.versions.keys() & new.machine.versions.keys():
        if old.machine.versions[name] != new.machine.versions[name]:
            yield f"{name}: {old.machine.versions[name]} and {new.machine.versions[name]}"
    if isinstance(old.result, LoadResult) and isinstance(new.result, LoadResult):
        for which, result in (("first", old.result), ("second", new.result)):
            yield from (f"{which}, {level.name}: {doubt}" for level in result.levels for doubt in level.doubts)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"

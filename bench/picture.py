"""The published test as a picture: answers per second and 95th percentiles, ours beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

from bench.record import LoadResult
from bench.seed import PUBLISHED, PUBLISHED_CORES, WAIT_S

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH_IN, _HEIGHT_IN = 9.0, 3.4
_COLOURS: Final = ("#3465a4", "#5aa469", "#c17d11")
_OF_PUBLISHED: Final = "#777777"


def draw(results: Mapping[str, LoadResult], cores: int, file: Path) -> None:
    """An SVG of the results of `bench seed`, by engine. Needs matplotlib."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": file.name, "font.size": 9}):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), layout="constrained")
        left, right = figure.subplots(1, 2)
        _lines(left, "answers per second", {users: qps for users, qps, _ in _published()})
        _lines(right, "95th percentile, ms", {users: p95_ms for users, _, p95_ms in _published()})
        for colour, (engine, result) in zip(_COLOURS, results.items(), strict=False):
            levels = [level for level in result.levels if level.users and level.latency_ms]
            users = [level.users for level in levels if level.users]
            name = f"here, {cores} cores: {engine}"
            left.plot(users, [level.qps for level in levels], "o-", color=colour, label=name)
            right.plot(users, [level.latency_ms.p95 for level in levels if level.latency_ms], "o-", color=colour)
        users = [line.users for line in PUBLISHED]
        left.plot(
            users, [number / fmean(WAIT_S) for number in users], ":", color=_OF_PUBLISHED, label="all they can ask for"
        )
        right.set_yscale("log")
        left.set_ylim(bottom=0)
        left.legend(loc="upper left", frameon=False)
        figure.savefig(file, metadata={"Date": None})


def _published() -> list[tuple[int, float, float]]:
    return [(line.users, line.qps, line.p95_ms) for line in PUBLISHED if line.qps and line.p95_ms]


def _lines(axes: Axes, title: str, published: Mapping[int, float]) -> None:
    axes.plot(list(published), list(published.values()), "o--", color=_OF_PUBLISHED,
              label=f"published, {PUBLISHED_CORES} cores")  # fmt: skip
    axes.set_title(title, loc="left")
    axes.set_xlabel("users who wait 1 to 3 s")
    axes.set_xticks(list(published))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)

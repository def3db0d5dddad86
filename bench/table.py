"""The table of record: each figure that has a goal, the bench that measures it, and what it came to.

Benches run as processes of their own, one after another, so that none has what another left; one that fails costs its
own lines alone. What is written is read again here, so that the table can be made of any earlier run as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from bench import idle, peers, picture, seed, vip
from bench.figures import Spread
from bench.peer_felt import PeersResult
from bench.peer_turn import OURS
from bench.record import (
    AnyResult,
    CachedResult,
    EfficiencyResult,
    IdleResult,
    LoadResult,
    PairResult,
    Record,
    RecordError,
    VipResult,
    read,
)

EFFICIENCY, SECOND_INSTANCE, CACHED, BATCHED = 0.95, 1.95, 0.6, 1.3
HALF, TENTH, GOODPUT = 0.5, 0.1, 0.9
FIRST_ONE_MS, FIRST_MANY_MS = 15.0, 150.0
MORE_MIB: Final = 30.0
LONGEST_S: Final = 900.0
"""For one bench: what takes longer is stuck."""
_BENCH: Final = "import sys; from tts_server.cli import main; sys.exit(main(['bench', *sys.argv[1:]]))"


@dataclass(frozen=True, slots=True)
class Step:
    """One bench of the table."""

    name: str
    flags: tuple[str, ...]
    seconds: tuple[tuple[str, float], ...] = ()
    """Flags whose value goes with the scale."""
    page: bool = True

    def command(self, prefix: Path, scale: float) -> list[str]:
        """Its words after `bench`."""
        scaled = [word for flag, value in self.seconds for word in (flag, f"{max(0.5, value * scale):.3g}")]
        files = ["--json", str(_file(prefix, self.name))]
        if self.page and find_spec("matplotlib") is not None:
            files += ["--html", str(_file(prefix, self.name, "html"))]
        return [*self.flags, *scaled, *files]


_USERS: Final = ("http", "--users", "1,50", "--wait", "1-3", "--length", "paragraph", "--stream")
STEPS: Final = (
    Step("efficiency", ("efficiency", "--rounds", "3"), (("--seconds", 10),)),
    Step("seed", ("seed", "--scale"), ()),
    Step("seed-light", ("seed", "--engine", "light", "--scale"), ()),
    Step("first-audio", _USERS, (("--seconds", 20), ("--warmup", 3))),
    Step("underruns", ("underruns",), (("--seconds", 10), ("--warmup", 3))),
    Step("vip", ("vip", "--rounds", "3"), (("--seconds", 12), ("--warmup", 3))),
    Step("peers", ("peers", "--rounds", "1"), (("--seconds", 5),)),
    Step("cached", ("cached", "--rounds", "5"), (("--seconds", 2),)),
    Step("instances", ("instances", "--rounds", "3"), (("--seconds", 8),)),
    Step("batching", ("batching", "--rounds", "2"), (("--seconds", 8),)),
    Step("batching-light", ("batching", "--serve=--engines light", "--rounds", "2"), (("--seconds", 8),)),
    Step("memory", ("memory",), (), page=False),
    Step("idle", ("idle",), (("--seconds", 15),)),
)
_SEEDS: Final = (("seed", "default engines"), ("seed-light", "light"))
SEED_SCALE: Final = 0.4
"""Of the published minutes: 24 s for each number of users, 340 answers of the fewest."""


def run(prefix: Path, scale: float = 1.0, only: Sequence[str] | None = None) -> list[str]:
    """Run them; the names of those that failed. ValueError if there is no such bench, or no such scale."""
    if not scale > 0:
        raise ValueError(f"scale is {scale:g}; it must be more than 0")
    names = [step.name for step in STEPS]
    if unknown := [name for name in only or () if name not in names]:
        raise ValueError(f"{unknown[0]!r} is none of: {', '.join(names)}")
    failed = []
    for step in STEPS:
        if only is not None and step.name not in only:
            continue
        words = step.command(prefix, scale)
        if step.flags[-1] == "--scale":
            words.insert(len(step.flags), f"{SEED_SCALE * scale:.3g}")
        print(f"\n== {step.name}: bench {' '.join(words)}", flush=True)
        try:
            done = (
                subprocess.run([sys.executable, "-c", _BENCH, *words], timeout=LONGEST_S, check=False).returncode == 0
            )
        except subprocess.TimeoutExpired:
            done = False
        if not done:
            failed.append(step.name)
    return failed


# --- the table ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A line of it."""

    figure: str
    goal: str
    measured: str
    met: bool | None
    """None: there is no goal, or it was not measured."""

    @property
    def verdict(self) -> str:
        """In a word."""
        return "—" if self.met is None else "met" if self.met else "**not met**"


def rows(prefix: Path) -> Iterator[Row]:
    """What the results of that prefix came to."""
    for name, engine in _SEEDS:
        result = _result(prefix, name)
        yield from _seed(engine, result if isinstance(result, LoadResult) else None)
    result = _result(prefix, "efficiency")
    ratio = result.ratio_without_client if isinstance(result, EfficiencyResult) else None
    yield _at_least("served audio ÷ `bench engine`, clients' share taken off", EFFICIENCY, ratio)
    result = _result(prefix, "peers")
    yield from _peers(result if isinstance(result, PeersResult) else None)
    result = _result(prefix, "vip")
    yield from _vip(result if isinstance(result, VipResult) else None)
    result = _result(prefix, "first-audio")
    yield from _first_audio(result if isinstance(result, LoadResult) else None)
    result = _result(prefix, "underruns")
    yield _underruns(result if isinstance(result, LoadResult) else None)
    result = _result(prefix, "cached")
    ratio = result.qps_ratio if isinstance(result, CachedResult) else None
    yield _at_least("identical request cached ÷ bare aiohttp handler, answers per second", CACHED, ratio)
    result = _result(prefix, "instances")
    ratio = result.ratio_without_client if isinstance(result, PairResult) else None
    yield _at_least("two instances on two cores ÷ one on one", SECOND_INSTANCE, ratio)
    for name, engine in (("batching", "standard"), ("batching-light", "light")):
        result = _result(prefix, name)
        ratio = result.ratio if isinstance(result, PairResult) else None
        told = _at_least(f"batching on ÷ off, 500 users, short texts, {engine}", BATCHED, ratio)
        yield Row(told.figure, f"reported; {told.goal} where it can help", told.measured, None)
    yield _memory(_raw(prefix, "memory"))
    result = _result(prefix, "idle")
    used = idle.cores(result) if isinstance(result, IdleResult) else None
    yield _one("idle", "under 1 % of a core", used, "{:.2%}", lambda value: value < idle.GOAL_CORES)


def as_text(prefix: Path) -> str:
    """As Markdown."""
    lines = [f"| {row.figure} | {row.goal} | {row.measured} | {row.verdict} |" for row in rows(prefix)]
    return "\n".join([*_about(prefix), "", "| figure | goal | measured | |", "|---|---|---|---|", *lines])


def write(prefix: Path) -> None:
    """The table beside the results, as Markdown and as a page that leads to the others; and a picture of the first."""
    _draw(prefix)
    _file(prefix, "table", "md").write_text(as_text(prefix) + "\n", encoding="utf-8")
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in (row.figure, row.goal, row.measured))
        + f"<td><b>{escape(row.verdict.strip('*'))}</b></td></tr>"
        for row in rows(prefix)
    )  # fmt: skip
    pages = [_file(prefix, step.name, "html").name for step in STEPS if _file(prefix, step.name, "html").exists()]
    links = " · ".join(f'<a href="{escape(page)}">{escape(page)}</a>' for page in pages)
    _file(prefix, "table", "html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>figures of record</title>'
        "<style>body{font:15px/1.5 "
        "system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}td,th{padding:.2rem .7rem;"
        "border-bottom:1px solid #ddd;text-align:left}</style><h1>Figures of record</h1>"
        f"<p>{escape(' '.join(_about(prefix)))}</p><table><tr><th>figure<th>goal<th>measured<th></tr>{body}</table>"
        f"<p>{links}</p></html>\n",
        encoding="utf-8",
    )


def _draw(prefix: Path) -> None:
    found = {engine: _record(prefix, name) for name, engine in _SEEDS}
    known = {name: one.result for name, one in found.items() if one and isinstance(one.result, LoadResult)}
    if known and find_spec("matplotlib") is not None:
        picture.draw(known, next(one.machine.cores for one in found.values() if one), _file(prefix, "seed", "svg"))


def _about(prefix: Path) -> list[str]:
    for step in STEPS:
        if (found := _record(prefix, step.name)) is not None:
            on = found.machine
            return [f"{on.cpu}, {on.cores} cores, {on.kernel}, Python {on.python}; {found.date[:10]}."]
    return []


def _seed(engine: str, result: LoadResult | None) -> Iterator[Row]:
    levels = {level.users: level for level in result.levels} if result else {}
    for known in seed.PUBLISHED:
        level = levels.get(known.users)
        whole = known.users == seed.PUBLISHED[-1].users
        goal = f"{known.qps:g} QPS" if whole else "all that users ask for"
        name, goal = (
            f"`bench seed`, {known.users} users, {engine}",
            f"{goal}, P95 under {known.goal_p95_ms:g} ms, 0 errors",
        )
        if level is None or level.latency_ms is None:
            yield Row(name, goal, "not measured", None)
            continue
        errors = sum(level.errors.values())
        told = f"{level.qps:.1f} QPS of {seed.most_qps(level):.0f}, {level.latency_ms.p95:.0f} ms, {errors} errors"
        yield Row(name, goal, told, seed.verdict(level).split(": ")[1] == "met")


def _peers(result: PeersResult | None) -> Iterator[Row]:
    of = {figure.name: figure for figure in peers.FIGURES}
    names = list(of)

    def best(figure: str, pick: Callable[[Sequence[float]], float]) -> tuple[float, float] | None:
        """Ours and the best of theirs, medians over rounds."""
        if result is None:
            return None
        ours, theirs = peers.of_server(result, of[figure], OURS), [
            found.median for peer in result.peers if (found := peers.of_server(result, of[figure], peer)) is not None
        ]  # fmt: skip
        return (ours.median, pick(theirs)) if ours and theirs else None

    for figure, goal, pick, bound in (
        (names[1], "never below the best peer", max, None),
        (names[3], "half of the best peer's", min, HALF),
        (names[4], "a tenth of the best peer's", min, TENTH),
    ):
        pair, name = best(figure, pick), f"`bench peers`, {figure.removeprefix('… ')}"
        if pair is None:
            yield Row(name, goal, "not measured", None)
            continue
        met = pair[0] >= pair[1] if bound is None else pair[0] <= bound * pair[1]
        yield Row(name, goal, f"{pair[0]:.4g}, best peer {pair[1]:.4g}: {pair[0] / pair[1]:.2f}", met)
    ours = peers.of_server(result, of[names[6]], OURS) if result else None
    yield _at_least("`bench peers`, twice capacity: audio in time ÷ capacity", GOODPUT, ours)


def _vip(result: VipResult | None) -> Iterator[Row]:
    whole, first = (result.whole_p95_ratio, result.first_audio_p95_ratio) if result else (None, None)
    for what, ratio in (("whole", whole), ("first audio", first)):
        told = "not measured" if ratio is None else _told(ratio)
        met = None if ratio is None else ratio.median <= vip.GOAL
        yield Row(f"VIP p95 at twice capacity ÷ unloaded, {what}", f"within {vip.GOAL:g}", told, met)


def _first_audio(result: LoadResult | None) -> Iterator[Row]:
    levels = {level.users: level.first_audio_ms for level in result.levels} if result else {}
    one, many = levels.get(1), levels.get(50)
    name = "first audio, streamed paragraphs"
    yield _one(
        f"{name}, 1 user",
        f"p50 {FIRST_ONE_MS:g} ms",
        one.p50 if one else None,
        "{:.1f} ms",
        lambda ms: ms <= FIRST_ONE_MS,
    )
    yield _one(
        f"{name}, 50 users",
        f"p95 {FIRST_MANY_MS:g} ms",
        many.p95 if many else None,
        "{:.0f} ms",
        lambda ms: ms <= FIRST_MANY_MS,
    )


def _underruns(result: LoadResult | None) -> Row:
    name = "underruns of streamed answers up to 80 % of capacity"
    if result is None:
        return Row(name, "0", "not measured", None)
    loaded = result.levels[1:]
    dry = [next(iter(level.underruns.values())) for level in loaded if level.underruns]
    count = sum(round(part * level.right) for part, level in zip(dry, loaded, strict=False))
    errors = sum(sum(level.errors.values()) for level in loaded)
    right = sum(level.right for level in loaded)
    return Row(name, "0", f"{count} of {right}, {errors} errors", not count and not errors and bool(right))


def _memory(result: dict[str, Any] | None) -> Row:
    name, goal = "memory of one more worker (PSS)", f"under {MORE_MIB:g} MB beyond its working buffers"
    if result is None:
        return Row(name, goal, "not measured", None)
    buffers = next((part["uss_mib"] for part in result["parts"] if part["name"] == "working buffers"), 0.0)
    more_mb = (result["one_more_mib"] - buffers) * 2**20 / 1e6
    return Row(name, goal, f"{more_mb:.1f} MB; buffers {buffers * 2**20 / 1e6:.1f} MB", more_mb < MORE_MIB)


def _at_least(name: str, goal: float, found: Spread | None) -> Row:
    if found is None:
        return Row(name, f"{goal:g}", "not measured", None)
    return Row(name, f"{goal:g}", _told(found), found.median >= goal)


def _one(name: str, goal: str, value: float | None, form: str, met: Callable[[float], bool]) -> Row:
    return Row(name, goal, "not measured", None) if value is None else Row(name, goal, form.format(value), met(value))


def _told(found: Spread) -> str:
    return f"{found.median:.3g} ({found.low:.3g}–{found.high:.3g})"


# --- files ----------------------------------------------------------------------------------------------------------


def _file(prefix: Path, name: str, kind: str = "json") -> Path:
    return prefix.with_name(f"{prefix.name}-{name}.{kind}")


def _record(prefix: Path, name: str) -> Record | None:
    try:
        return read(_file(prefix, name))
    except RecordError:
        return None


def _result(prefix: Path, name: str) -> AnyResult | None:
    found = _record(prefix, name)
    return None if found is None else found.result


def _raw(prefix: Path, name: str) -> dict[str, Any] | None:
    """Of a bench whose result is no record."""
    try:
        found = json.loads(_file(prefix, name).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None

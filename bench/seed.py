"""The published test, done again: 50, 200 and 500 users who ask for a sentence, listen to the end, and wait 1 to 3 s.

What was published was measured on four times our cores. Its first figure cannot be: users who wait 2 s on average ask
no more often than every 2 s, and 50 of them make at most 25 requests a second, not 86. Either they did not wait, or
something else was counted. The sentences are ours, ordinary Chinese ones (`news.txt`); a number makes each another one,
for else a cache would answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bench.client import Load
from bench.level import Level
from bench.load import details, measure, percentiles
from bench.record import LoadResult
from bench.rig import Setup

WAIT_S: Final = (1.0, 3.0)
WARMUP_S: Final = 5.0
"""Users come one after another within the longest wait; two seconds later they are a crowd."""
SECONDS: Final = 60.0
"""Of each level. Long enough for a p99 of 50 users: some 1,400 answers."""
ALL: Final = 0.97
"""Of what users can ask for, counts as all of it: what is under way at both edges of the time is not counted."""
PUBLISHED_CORES: Final = 8


@dataclass(frozen=True, slots=True)
class Published:
    """A line of the published table, and our goal beside it."""

    users: int
    qps: float | None
    p95_ms: float | None
    goal_p95_ms: float


PUBLISHED: Final = (Published(50, 86, 412, 100), Published(200, 153, 687, 200), Published(500, 189, 1143, 412))
"""One instance. Their errors: 0, 0.2 and 2.8 %; their CPU: 42, 71 and 94 %."""


def loads(scale: float = 1.0, users: tuple[int, ...] = ()) -> list[Load]:
    """The levels; `scale` makes all of them that much shorter or longer. ValueError if nothing is left of them."""
    if not scale > 0:
        raise ValueError(f"scale is {scale:g}; it must be more than 0")
    warmup_s = WARMUP_S * min(1.0, scale)
    numbers = users or tuple(line.users for line in PUBLISHED)
    return [Load(number, WAIT_S, warmup_s=warmup_s, seconds=SECONDS * scale) for number in numbers]


def run(setup: Setup, levels: list[Load]) -> LoadResult:
    """Measure it. BenchError if server or clients fail."""
    return measure(setup, levels, "seed")


def most_qps(level: Level) -> float:
    """What so many users can ask for: each once in its mean wait and the latency that it met."""
    latency_s = level.latency_ms.mean / 1000 if level.latency_ms else 0.0
    return level.users / (sum(WAIT_S) / 2 + latency_s)


def report(result: LoadResult) -> str:
    """Our table beside the published one."""
    cores = _cores(result)
    rows = [
        f"users who wait {WAIT_S[0]:g} to {WAIT_S[1]:g} s, ordinary Chinese sentences, "
        + (f"{result.method.repeat:.0%} of them repeated" if result.method.repeat else "all different"),
        "",
        f"{'':>6}{f'published, {PUBLISHED_CORES} cores':>30}{f'here, {cores} cores':>60}",
        f"{'users':>6}"
        + "".join(f"{head:>10}" for head in ("QPS", "per core", "P95 ms"))
        + "".join(f"{head:>10}" for head in ("QPS", "per core", "possible", "P95 ms", "p99 ms", "errors")),
    ]
    for level in result.levels:
        known = next((line for line in PUBLISHED if line.users == level.users), None)
        _, p95, p99, _ = percentiles(level.latency_ms)
        qps = known.qps if known else None
        rows.append(
            f"{level.users:>6}{_or_dash(qps):>10}{_or_dash(qps and qps / PUBLISHED_CORES):>10}"
            f"{_or_dash(known.p95_ms if known else None):>10}{level.qps:>10.1f}{level.qps / cores:>10.1f}"
            f"{most_qps(level):>10.1f}{p95:>10}{p99:>10}{sum(level.errors.values()):>10}"
        )
    rows += ["", *(verdict(level) for level in result.levels)]
    for level in result.levels:
        rows += ["", f"at {level.name}", *(f"  {line}" for line in details(level))]
    rows += [
        "",
        "50 users cannot have made 86 QPS: who waits 2 s on average asks every 2 s at most, and 50 of them make 25.",
        "`possible` is users ÷ (mean wait + mean latency): a server that keeps up answers all; more cannot be asked.",
    ]
    return "\n".join(rows)


def verdict(level: Level) -> str:
    """Whether the goal of that many users was met, in words."""
    known = next((line for line in PUBLISHED if line.users == level.users), None)
    errors = sum(level.errors.values())
    p95 = level.latency_ms.p95 if level.latency_ms else float("inf")
    if known is None:
        return f"{level.users} users: no goal; {level.qps / most_qps(level):.0%} of what they can ask for is answered"
    wanted = known.qps if known.users == PUBLISHED[-1].users and known.qps else ALL * most_qps(level)
    met = level.qps >= wanted and p95 < known.goal_p95_ms and not errors
    return (
        f"{level.users} users: {'met' if met else 'missed'}: {level.qps:.1f} QPS (goal {wanted:.0f}), "
        f"P95 {p95:.0f} ms (goal {known.goal_p95_ms:g}), {errors} errors"
    )


def _cores(result: LoadResult) -> int:
    level = result.levels[0]
    return round(level.audio_s_per_s / level.audio_s_per_s_per_core) if level.audio_s_per_s_per_core else 1


def _or_dash(value: float | None) -> str:
    return "—" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"

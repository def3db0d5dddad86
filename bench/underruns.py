"""Whether streamed answers run dry while a server has much to do: paragraphs at rising parts of what it can do."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bench.client import Load
from bench.engine import BenchError
from bench.load import details, method
from bench.record import LoadResult
from bench.rig import Setup, rig

USERS: Final = 50
"""Who do not wait: what they are answered is the capacity."""
PARTS: Final = (0.2, 0.4, 0.6, 0.8)
"""Of the capacity."""


def measure(setup: Setup, *, seconds: float = 10.0, warmup_s: float = 3.0) -> LoadResult:
    """The capacity, then these parts of it. BenchError if server or clients fail."""
    streamed = replace(setup, ask=replace(setup.ask, streamed=True))
    users = Load(USERS, warmup_s=warmup_s, seconds=seconds)
    with rig(streamed) as there:
        levels = [there.lay(users, note="capacity")]
        if not levels[0].qps:
            raise BenchError(f"the server gave no right answer: {dict(levels[0].errors)}")
        for part in PARTS:
            rate = float(f"{part * levels[0].qps:.3g}")
            levels.append(there.lay(replace(users, users=0, rate_per_s=rate)))
    return LoadResult("underruns", method(streamed, users), tuple(levels))


def report(result: LoadResult) -> str:
    """The result for people."""
    capacity, *levels = result.levels
    head = (("of capacity", 12), ("asked/s", 9), ("errors", 8), ("first p50 ms", 14), ("p95 ms", 8), ("underruns", 11))
    rows = [
        f"{result.method.length} texts, streamed; capacity {capacity.qps:.1f} answers/s",
        "",
        "".join(f"{name:>{width}}" for name, width in (*head, ("+100 ms", 9))),
    ]
    for part, level in zip(PARTS, levels, strict=True):
        first, dry = level.first_audio_ms, list((level.underruns or {}).values())
        times = f"{first.p50:>14.1f}{first.p95:>8.1f}" if first else f"{'—':>14}{'—':>8}"
        rows.append(
            f"{part:>12.0%}{level.rate_per_s:>9.1f}{sum(level.errors.values()):>8}{times}"
            + "".join(f"{share:>{width}.2%}" for share, width in zip(dry, (11, 9), strict=False))
        )
    for level in result.levels:
        rows += ["", f"at {level.name}", *(f"  {line}" for line in details(level))]
    return "\n".join(rows)

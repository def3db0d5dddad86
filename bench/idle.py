"""What a server takes that nobody asks for anything."""

from __future__ import annotations

import time
from typing import Final

from bench.record import IdleResult
from bench.served import serving, wait_quiet
from bench.usage import Watch

GOAL_CORES: Final = 0.01


def measure(serve: tuple[str, ...] = (), *, seconds: float = 20.0) -> IdleResult:
    """Start one, wait until it is quiet, and look on for so long. BenchError if it does not serve."""
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds:g}; it must be more than 0")
    with serving(serve) as server:
        wait_quiet(server)
        watch, since_s = Watch(server), time.monotonic()
        time.sleep(seconds)
        return IdleResult("idle", serve, seconds, watch.read(time.monotonic() - since_s))


def cores(result: IdleResult) -> float:
    """Of all its processes together."""
    return sum(use.cores for use in result.processes)


def report(result: IdleResult) -> str:
    """The result for people."""
    rows = [f"{use.name:>10}{use.cores:>9.4f} cores{use.pss_mib:>9.1f} MiB" for use in result.processes]
    return "\n".join([*rows, "", f"all together {cores(result):.2%} of a core, goal under {GOAL_CORES:.0%}"])

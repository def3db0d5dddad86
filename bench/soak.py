"""Whether a server stays as it is: memory, open files and shared memory over very many requests."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import psutil

from bench.client import Load
from bench.figures import slope
from bench.load import method
from bench.record import SoakPoint, SoakResult
from bench.rig import Rig, Setup, rig
from bench.served import Server
from bench.usage import segments

LONGEST_S: Final = 24 * 3600.0
"""Whatever is not done by then is not waited for."""
POINTS: Final = 200
"""That are kept; each is a look at some files in /proc."""
GROWTH_MIB_PER_1000: Final = 0.5
"""Of memory over a thousand requests: a busy server makes as many in ten seconds. Less is the noise of heaps."""
_LEAST_EVERY_S: Final = 0.5


def measure(setup: Setup, *, requests: int, users: int = 20) -> SoakResult:
    """Have so many requests answered, and look on. BenchError if server or clients fail."""
    if requests < POINTS:
        raise ValueError(f"requests is {requests}; a slope wants {POINTS} or more")
    load = Load(users, seconds=LONGEST_S, warmup_s=0.0, requests=requests)
    with rig(setup) as there:
        points: list[SoakPoint] = []
        look = _Look(there, points, requests)
        began_s = time.monotonic()
        level = there.lay(load, f"{requests} requests", look)
        seconds = time.monotonic() - began_s
        points.append(_point(there.server, requests))
    late = points[len(points) // 2 :]
    return SoakResult(
        kind="soak",
        method=replace(method(setup, load), warmup_s=0.0),
        requests=level.asked,
        seconds=seconds,
        errors=level.errors,
        rss_mib_per_1000=1000 * slope([point.requests for point in late], [point.rss_mib for point in late]),
        open_files_grown=late[-1].open_files - late[0].open_files,
        segments_grown=late[-1].segments - late[0].segments,
        points=tuple(points),
        processes=level.processes,
    )


def report(result: SoakResult) -> str:
    """The result for people."""
    first, middle, last = (result.points[n] for n in (0, len(result.points) // 2, -1))
    rows = [
        f"{result.requests} requests in {result.seconds:.0f} s, {result.requests / result.seconds:.0f} a second",
        f"{sum(result.errors.values())} errors",
        *(f"  {count} {kind}" for kind, count in result.errors.items()),
        "",
        f"{'requests':>10}{'RSS of all, MiB':>18}{'open files':>12}{'segments':>10}",
        *(f"{p.requests:>10}{p.rss_mib:>18.1f}{p.open_files:>12}{p.segments:>10}" for p in (first, middle, last)),
        "",
        "in the later half:",
        f"{result.rss_mib_per_1000:+.3f} MiB for a thousand requests",
        f"{result.open_files_grown:+d} open files, connections among them",
        f"{result.segments_grown:+d} segments",
    ]
    if result.rss_mib_per_1000 > GROWTH_MIB_PER_1000:
        rows.append("doubt: memory grows; a longer run tells whether it ends")
    return "\n".join(rows)


class _Look:
    """Looks on every so many requests."""

    def __init__(self, there: Rig, points: list[SoakPoint], requests: int) -> None:
        self._server = there.server
        self._points = points
        self._every = requests / POINTS
        self._next_s = 0.0

    def __call__(self, done: int) -> None:
        if done >= len(self._points) * self._every and time.monotonic() >= self._next_s:
            self._points.append(_point(self._server, done))
            self._next_s = time.monotonic() + _LEAST_EVERY_S


def _point(server: Server, requests: int) -> SoakPoint:
    rss, files, held = 0, 0, set[str]()
    for process in server.processes():
        try:
            rss += process.memory_info().rss
            files += process.num_fds()
        except psutil.Error:
            continue  # it has ended
        held |= segments(process)
    return SoakPoint(requests, rss / 2**20, files, len(held))

"""What an answer from the cache costs, beside a bare aiohttp handler that returns as many bytes from one event loop.

The server is ours as it is served, with keys, limits, metrics and its log on; both have the same core, one after the
other, and the client another one. Two ratios are told: of the answers per second, which the client may bound as well,
and of the processor time for each, which it cannot.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

import psutil
from tqdm import tqdm

from bench.bare import ROUTE
from bench.engine import BenchError
from bench.figures import Spread, spread
from bench.keyed import keyed_serving
from bench.record import CachedResult, CachedRound
from bench.repeated import CONNECTIONS, Question, Repeated
from bench.served import Server, wait_quiet
from inference.cores import usable_cores

GOAL: Final = 0.6
"""Of the bare handler's answers per second."""
MOST_ROUNDS: Final = 100
TEXT: Final = "今天下午三点开会。"
"""Some 100 kB as wav in the shipped voices."""
_WARMUP_S: Final = 0.5
_ROOT: Final = Path(__file__).resolve().parent.parent


def measure(serve: tuple[str, ...] = (), *, rounds: int = 10, seconds: float = 2.0, text: str = TEXT) -> CachedResult:
    """Measure both so often, so long, by turns. BenchError if one of them does not answer as it did before."""
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {rounds}; it must be 1 to {MOST_ROUNDS}")
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds:g}; it must be more than 0")
    cores = usable_cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tts-bench-")))
        body = f'{{"text":"{text}","format":"wav"}}'.encode()
        with _on(cores[0]):
            keyed = stack.enter_context(keyed_serving(["--workers", "1", *serve], folder))
            key = (("Authorization", f"Bearer {keyed.vip_key}"),)
            ours = stack.enter_context(closing(Repeated(Question(keyed.server.url + ROUTE, body, key))))
            bare_server = stack.enter_context(_bare(len(ours.body)))
            bare = stack.enter_context(closing(Repeated(Question(bare_server.url + ROUTE, body, key))))
        wait_quiet(keyed.server)
        found = []
        with _on(cores[-1]), tqdm(total=rounds, unit="round", disable=None, leave=False) as bar:
            for asked in (bare, ours):
                asked.ask(_WARMUP_S)
            for _ in range(rounds):
                found.append(_round(_ask(bare, bare_server, seconds), _ask(ours, keyed.server, seconds)))
                bar.update()
    return CachedResult(
        kind="cached",
        serve=serve,
        answer_bytes=len(ours.body),
        connections=CONNECTIONS,
        shared_core=len(cores) < 2,
        rounds=tuple(found),
        qps_ratio=_of([one.qps_ratio for one in found]),
        cpu_ratio=_of([one.cpu_ratio for one in found]),
    )


def report(result: CachedResult) -> str:
    """The result for people."""
    rows = [
        f"{result.answer_bytes} bytes from one event loop to {result.connections} connections, on a core of its own",
        "",
        f"{'':>8}{'bare handler':>24}{'this server':>24}{'ratio':>16}",
        "".join(f"{head:>8}" for head in ("", "QPS", "CPU us", "busy", "QPS", "CPU us", "busy", "QPS", "CPU")),
    ]
    rows += [
        f"{number:>8}{one.bare_qps:>8.0f}{one.bare_cpu_us:>8.0f}{one.bare_busy:>8.2f}{one.cached_qps:>8.0f}"
        f"{one.cached_cpu_us:>8.0f}{one.cached_busy:>8.2f}{one.qps_ratio:>8.2f}{one.cpu_ratio:>8.2f}"
        for number, one in enumerate(result.rounds, 1)
    ]
    for name, found in (("answers per second", result.qps_ratio), ("processor time", result.cpu_ratio)):
        met = "met" if found.median >= GOAL else "missed"
        rows.append(f"by {name}: {found.median:.2f} ({found.low:.2f} to {found.high:.2f}); {GOAL:g} is the goal: {met}")
    if result.shared_core:
        rows.append("doubt: client and servers shared one core")
    elif any(min(one.bare_busy, one.cached_busy) < 0.9 for one in result.rounds):
        rows.append("doubt: a server was not busy all the time; the client, or other programs, held it up")
    return "\n".join(rows)


def _ask(asked: Repeated, server: Server, seconds: float) -> tuple[float, float, float]:
    """Answers per second, microseconds of the process's time for each, and the part of a core that it took."""
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    answers, took_s = asked.ask(seconds)
    after = process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return answers / took_s, 1e6 * cpu_s / answers, cpu_s / took_s


def _round(bare: tuple[float, float, float], cached: tuple[float, float, float]) -> CachedRound:
    return CachedRound(
        *bare, *cached, qps_ratio=cached[0] / bare[0], cpu_ratio=bare[1] / cached[1] if cached[1] else 0.0
    )


def _of(values: list[float]) -> Spread:
    found = spread(values)
    assert found is not None, "there was a round: this is a bug"  # noqa: S101
    return found


@contextmanager
def _bare(length: int) -> Iterator[Server]:
    command = [sys.executable, "-m", "bench.bare", str(length)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it was asked for: this is a bug"  # noqa: S101
        try:
            if not (port := process.stdout.readline().strip()):
                raise BenchError("the bare handler did not start; what it said stands above")
            yield Server(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.kill()


@contextmanager
def _on(core: int) -> Iterator[None]:
    """Keep this process on that core, and those it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

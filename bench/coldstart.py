"""How soon a server speaks after its start: with models still to be prepared, and with those of an earlier start.

What the system keeps of files in memory is left as it is: after a boot, the disk comes on top.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from bench.engine import BenchError
from bench.figures import Spread, spread
from bench.record import ColdstartResult
from bench.served import ASK_S, Server, serving

MOST_ROUNDS: Final = 100
_TEXT: Final = "你好，今天天气很好。"
_HEADER_BYTES: Final = 44  # of a wav; what comes after it is audio


def measure(serve: tuple[str, ...] = (), *, rounds: int = 3) -> ColdstartResult:
    """Start a server twice in each round, with these options. BenchError if it does not serve."""
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {rounds}; it must be 1 to {MOST_ROUNDS}")
    ready: dict[str, list[float]] = {"cold": [], "warm": []}
    heard: dict[str, list[float]] = {"cold": [], "warm": []}
    with tqdm(total=2 * rounds, unit="start", disable=None, leave=False) as bar:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(prefix="tts-bench-") as folder:
                for kind in ("cold", "warm"):  # the first start prepares the models for the second
                    with serving(serve, folder=Path(folder)) as server:
                        ready[kind].append(1000 * server.ready_s)
                        heard[kind].append(1000 * (_first_audio_s(server) - server.started_s))
                    bar.update()
    figures = [_of(found[kind]) for kind in ready for found in (ready, heard)]
    return ColdstartResult("coldstart", serve, rounds, *figures)


def report(result: ColdstartResult) -> str:
    """The result for people."""
    rows = [
        ("models to be prepared, until it serves", result.cold_ready_ms),
        ("models to be prepared, until its first audio", result.cold_first_audio_ms),
        ("models prepared before, until it serves", result.warm_ready_ms),
        ("models prepared before, until its first audio", result.warm_first_audio_ms),
    ]
    return "\n".join(
        [
            f"from the start of the process, {result.rounds} rounds",
            "",
            f"{'':<48}{'median ms':>10}{'least':>8}{'most':>8}",
            *(f"{name:<48}{found.median:>10.0f}{found.low:>8.0f}{found.high:>8.0f}" for name, found in rows),
        ]
    )


def _of(values: list[float]) -> Spread:
    found = spread(values)
    assert found is not None, "there was a round: this is a bug"  # noqa: S101
    return found


def _first_audio_s(server: Server) -> float:
    """When the first audio of a request came that was sent now."""
    body = json.dumps({"text": _TEXT, "stream": True}).encode()
    request = Request(f"{server.url}/api/tts", body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urlopen(request, timeout=ASK_S) as answer:  # noqa: S310
            if len(answer.read(_HEADER_BYTES + 2)) < _HEADER_BYTES + 2:
                raise BenchError("the server answered without audio")
            return time.monotonic()
    except (URLError, OSError) as error:
        raise BenchError(f"the server started and did not speak: {error}") from error

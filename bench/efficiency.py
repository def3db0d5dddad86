"""What of the machine's power reaches the callers: the nets alone on all cores, and the server, in turn.

The limit is what the same onnxruntime sessions make of texts of the same kind without HTTP, rings, readings or
encoding, a process on each core. The client shares these cores with the server and would not in earnest, so the ratio
is told twice: as it is, and by what the cores give that the client left. What other programs took is told beside it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from tqdm import tqdm

from bench import engine
from bench.client import Load
from bench.figures import Spread, spread
from bench.level import BUSY_OTHERS
from bench.load import method
from bench.record import EfficiencyResult, EfficiencyRound
from bench.rig import Setup, rig
from bench.texts import TextPlan, texts
from bench.usage import busy_s
from inference.cores import usable_cores
from inference.frontend.phones import Phone

USERS: Final = 50
MOST_ROUNDS: Final = 100
_TEXTS: Final = 40
"""Whose lines the nets speak alone, round and round."""


def measure(
    setup: Setup, pack_folder: Path, *, rounds: int = 5, seconds: float = 10.0, users: int = USERS
) -> EfficiencyResult:
    """Measure both so often, so long. BenchError if a process fails, PackError if the pack is broken."""
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {rounds}; it must be 1 to {MOST_ROUNDS}")
    load = Load(users, seconds=seconds)
    lines = _lines(setup.texts)
    found: list[EfficiencyRound] = []
    errors: Counter[str] = Counter()
    cores = len(usable_cores())
    options = ("--engines", str(pack_folder), *setup.serve)  # no other engine's workers beside it
    with (
        rig(replace(setup, serve=options) if setup.url is None else setup) as there,
        tqdm(total=rounds, unit="round", disable=None, leave=False) as bar,
    ):
        for _ in range(rounds):
            alone, others = _limit(pack_folder, seconds, lines)
            level = there.lay(load)
            limit = alone.x_realtime_per_core * len(alone.per_core)
            taken = sum(client.cores for client in level.clients)
            ratio = level.audio_s_per_s / limit
            without = ratio * cores / (cores - taken)
            found.append(EfficiencyRound(limit, level.audio_s_per_s, taken, others, level.other_cores, ratio, without))
            errors.update(level.errors)
            bar.update()
    return EfficiencyResult(
        kind="efficiency",
        pack=alone.pack,
        method=method(setup, load),
        users=users,
        rounds=tuple(found),
        ratio=_of([one.ratio for one in found]),
        ratio_without_client=_of([one.ratio_without_client for one in found]),
        errors=dict(errors),
    )


def report(result: EfficiencyResult) -> str:
    """The result for people."""
    rows = [
        f"{result.pack}, {result.users} users who do not wait, {result.method.language} {result.method.length} texts",
        "",
        f"{'':>15}{'other programs':>15}{'':>15}{'other programs':>15}{'client':>15}",
        "".join(f"{head:>15}" for head in ("nets alone", "cores", "served", "cores", "cores", "ratio", "less client")),
    ]
    rows += [
        f"{one.limit_audio_s_per_s:>15.0f}{one.limit_other_cores:>15.2f}{one.served_audio_s_per_s:>15.0f}"
        f"{'—' if one.served_other_cores is None else f'{one.served_other_cores:.2f}':>15}"
        f"{one.client_cores:>15.2f}{one.ratio:>15.3f}{one.ratio_without_client:>15.3f}"
        for one in result.rounds
    ]
    ratio, without = result.ratio, result.ratio_without_client
    rows += [
        "",
        f"served ÷ limit: {ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})",
        f"without what the client took: {without.median:.3f} ({without.low:.3f} to {without.high:.3f})",
        f"{sum(result.errors.values())} errors",
    ]
    if any(max(one.limit_other_cores, one.served_other_cores or 0.0) > BUSY_OTHERS for one in result.rounds):
        rows.append(
            "doubt: other programs ran meanwhile. They outrank the server's workers, which are nice, but not the nets"
        )
    return "\n".join(rows)


def _limit(pack_folder: Path, seconds: float, lines: list[tuple[Phone, ...]]) -> tuple[engine.EngineResult, float]:
    """The nets alone, and the cores that other programs took meanwhile."""
    began_s, busy, ours = time.monotonic(), busy_s(), _ours_s()
    result = engine.measure(pack_folder, seconds=seconds, sentences=lines)
    others_s = busy_s() - busy - (_ours_s() - ours)
    return result, max(0.0, others_s / (time.monotonic() - began_s))


def _ours_s() -> float:
    """Processor time of this process and of those it started and waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _lines(plan: TextPlan) -> list[tuple[Phone, ...]]:
    """What the nets are given of such texts."""
    from inference.frontend.reading import read
    from inference.script import write_script

    found = islice(texts(replace(plan, seed=plan.seed + 1)), _TEXTS)
    return [line.phones for text in found for line in write_script(text.text, read).lines]


def _of(values: list[float]) -> Spread:
    found = spread(values)
    assert found is not None, "there was a round: this is a bug"  # noqa: S101
    return found

"""What VIPs feel while others ask for twice what the server can do, beside what they feel alone.

VIPs come at a modest rate, from a client process of their own, in rounds: alone, and beside the others, whose client is
another process. The same process with the same texts alone is what "unloaded" means: it has the same client, the same
server and the same way between them, and idle cores. The load generator and the workers that speak to the others take
those cores away, whatever the server does; so it is told how long VIPs' server and workers were ready and had no core.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from tqdm import tqdm

from bench.client import Load
from bench.engine import BenchError
from bench.figures import Spread, spread
from bench.keyed import keyed_serving
from bench.level import Level
from bench.load import method
from bench.peer_callers import REFUSALS
from bench.peer_turn import listed
from bench.record import Others, VipResult, Vips, VipTurn
from bench.rig import Rig, Setup, lay_together, rig
from bench.served import wait_quiet
from bench.texts import TextPlan
from bench.usage import ProcessUse

GOAL: Final = 1.5
"""VIPs' p95 beside the others, by their p95 alone."""
OVERLOAD: Final = 2.0
"""Times the capacity."""
USERS: Final = 50
"""Who do not wait: what they are answered is called the capacity."""
WARMUP_S: Final = 3.0
"""Until the queue is as long as admission lets it become: deadlines are a second or two."""
MOST_ROUNDS: Final = 100


def measure(
    setup: Setup,
    *,
    rounds: int = 5,
    seconds: float = 15.0,
    rate_per_s: float = 5.0,
    offered_qps: float | None = None,
    warmup_s: float = WARMUP_S,
) -> VipResult:
    """Measure it. `setup` is of the others: their texts, their deadline; VIPs ask for short texts without one.
    `offered_qps` is what the others ask for; None: `OVERLOAD` times the capacity. BenchError if server or clients fail.
    """
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {rounds}; it must be 1 to {MOST_ROUNDS}")
    if not rate_per_s > 0 or (offered_qps is not None and not offered_qps > 0):
        raise ValueError("the VIPs' rate and the others' must be more than 0")
    if setup.url is not None:
        raise ValueError("VIPs are measured with keys of their own: leave --url out, and a server is started")
    vips = Load(rate_per_s=rate_per_s, warmup_s=warmup_s, seconds=seconds)
    users = Load(USERS, warmup_s=warmup_s, seconds=seconds)
    turns: list[VipTurn] = []
    with tempfile.TemporaryDirectory(prefix="tts-bench-") as folder, ExitStack() as stack:
        options = list(setup.serve) if setup.cache else ["--cache-bytes", "0", *setup.serve]
        keyed = stack.enter_context(keyed_serving(options, Path(folder)))
        server = keyed.server
        wait_quiet(server)
        running = replace(setup, url=server.url, pid=server.pid, serve=())
        others = stack.enter_context(rig(replace(running, ask=replace(setup.ask, key=keyed.standard_key))))

        def caller(*, streamed: bool) -> Rig:
            ask = replace(setup.ask, key=keyed.vip_key, streamed=streamed, deadline_ms=None)
            texts = TextPlan("zh", "short", seed=setup.texts.seed + 1 + streamed)
            return stack.enter_context(rig(replace(running, ask=ask, texts=texts, clients=1)))

        callers = {streamed: caller(streamed=streamed) for streamed in (False, True)}
        others.lay(replace(users, seconds=warmup_s + 1))  # what a process does but once
        capacity = others.lay(users)
        if not capacity.qps:
            raise BenchError(f"the server gave no right answer: {dict(capacity.errors)}")
        too_many = replace(users, users=0, rate_per_s=offered_qps or round(OVERLOAD * capacity.qps, 1))
        for number in tqdm(range(1, rounds + 1), unit="round", disable=None, leave=False):
            for streamed, there in callers.items():
                wait_quiet(server)
                alone = there.lay(vips) if number % 2 else None
                loaded, beside = lay_together([(there, vips), (others, too_many)], same_server=True)
                if alone is None:
                    wait_quiet(server)
                    alone = there.lay(vips)
                felt = [_vips(level, streamed=streamed) for level in (alone, loaded)]
                turns.append(VipTurn(number, streamed, felt[0], felt[1], _others(beside)))
    return VipResult(
        kind="vip",
        method=method(setup, too_many),
        vips_per_s=rate_per_s,
        capacity_qps=capacity.qps,
        offered_qps=too_many.rate_per_s,
        seconds=seconds,
        turns=tuple(turns),
        whole_p95_ratio=_ratio(turns, streamed=False),
        first_audio_p95_ratio=_ratio(turns, streamed=True),
    )


def _vips(level: Level, *, streamed: bool) -> Vips:
    felt = level.first_audio_ms if streamed else level.latency_ms
    client = level.clients[0]
    return Vips(
        asked=level.asked,
        errors=level.errors,
        p50_ms=felt.p50 if felt else None,
        p95_ms=felt.p95 if felt else None,
        p99_ms=felt.p99 if felt else None,
        stages_ms=level.stages_ms,
        client_lag_p99_ms=client.lag_p99_ms,
        client_cores=client.cores,
        server_cores=sum(use.cores for use in level.processes),
        server_waited=_waited(level.processes, "server"),
        workers_waited=_waited(level.processes, "worker"),
        other_cores=level.other_cores,
    )


def _waited(processes: Sequence[ProcessUse], name: str) -> float:
    return sum(use.waited for use in processes if use.name.startswith(name))


def _others(level: Level) -> Others:
    return Others(
        asked=level.asked,
        answered_qps=level.qps,
        goodput_qps=level.goodput_qps,
        refused=sum(level.errors.get(error, 0) for error in REFUSALS),
        errors=level.errors,
        client_cores=sum(use.cores for use in level.clients if use.name.startswith("client")),
    )


def _ratio(turns: Sequence[VipTurn], *, streamed: bool) -> Spread | None:
    return spread(
        [
            turn.loaded.p95_ms / turn.alone.p95_ms
            for turn in turns
            if turn.streamed is streamed and turn.loaded.p95_ms and turn.alone.p95_ms
        ]
    )


def report(result: VipResult) -> str:
    """The result for people."""
    how = result.method
    head = ("p50 ms", "p95 ms", "p99 ms", "errors", "lag p99", "client", "server", "its wait", "workers’", "others")
    told = f"{result.vips_per_s:g} VIP requests/s, short texts; beside them {result.offered_qps:g} standard ones/s, "
    told += f"{how.length} texts, deadline {how.deadline_ms} ms; capacity {result.capacity_qps:.1f}/s"
    rows = [told, "", f"{'':>24}" + "".join(f"{name:>10}" for name in head)]
    for turn in result.turns:
        what = "first audio" if turn.streamed else "whole"
        rows += [
            _row(f"{turn.round}. {what}, {name}", felt)
            for name, felt in (("alone", turn.alone), ("loaded", turn.loaded))
        ]
    rows += [
        "",
        "lag: of the VIPs' client, ms; client, server: cores used; waits: seconds in a second without a core",
        "",
    ]
    for streamed, what in ((False, "whole"), (True, "first audio")):
        rows += list(_stages(what, [turn for turn in result.turns if turn.streamed is streamed]))
    rows.append("")
    for number, turn in enumerate(result.turns, start=1):
        beside = turn.others
        of_capacity = beside.goodput_qps / result.capacity_qps
        rows.append(
            f"others, {number}: {beside.asked} asked, {beside.answered_qps:.1f}/s answered, {beside.goodput_qps:.1f}/s "
            f"in time ({of_capacity:.2f} of capacity), {beside.refused} refused; errors: {listed(beside.errors)}"
        )
    rows.append("")
    for what, ratio in (("whole", result.whole_p95_ratio), ("first audio", result.first_audio_p95_ratio)):
        rows.append(
            f"VIP p95 loaded ÷ alone, {what}: "
            + (
                "—"
                if ratio is None
                else f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}), goal {GOAL:g}: "
                + ("met" if ratio.median <= GOAL else "missed")
            )
        )
    return "\n".join(rows)


def _row(name: str, felt: Vips) -> str:
    figures = "".join(f"{'—' if ms is None else f'{ms:.1f}':>10}" for ms in (felt.p50_ms, felt.p95_ms, felt.p99_ms))
    others = "—" if felt.other_cores is None else f"{felt.other_cores:.2f}"
    return (
        f"{name:>24}{figures}{sum(felt.errors.values()):>10}{felt.client_lag_p99_ms:>10.1f}{felt.client_cores:>10.2f}"
        f"{felt.server_cores:>10.2f}{felt.server_waited:>10.3f}{felt.workers_waited:>10.3f}{others:>10}"
    )


def _stages(what: str, turns: Sequence[VipTurn]) -> Iterator[str]:
    for name, some in (("alone", [turn.alone for turn in turns]), ("loaded", [turn.loaded for turn in turns])):
        told = [felt.stages_ms for felt in some if felt.stages_ms]
        if told:
            means = {stage: sum(one[stage] for one in told) / len(told) for stage in told[0]}
            yield f"{what}, {name}, ms, the mean: " + ", ".join(f"{stage} {ms:.1f}" for stage, ms in means.items())

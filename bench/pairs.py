"""Two ways to serve beside each other, in turn: one instance on one core and two on two; batching off and on.

Both have users who do not wait, and servers stay up between their turns. The clients' share of the cores is told, and
the ratio once more without it: of one instance on one core the clients take nothing, for they have the other core; of
two instances they take a part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final, Literal

from tqdm import tqdm

from bench.client import Load
from bench.engine import BenchError
from bench.figures import Spread, spread
from bench.level import Level
from bench.load import method
from bench.record import PairResult, PairRound
from bench.rig import Rig, Setup, lay_together, rig
from inference.cores import choose, usable_cores

MOST_ROUNDS: Final = 100
UNBATCHED: Final = ("--max-batch-size", "1", "--max-batch-audio-s", "0.1")
"""One line is given to a worker at a time, and none ahead of the one it speaks: so it has none to speak together."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One of the two."""

    name: str
    options: tuple[tuple[str, ...], ...]
    """Of each of its servers."""
    cores: int
    """That its servers have."""
    spare: int
    """Cores beside them that clients have first."""


def instances(setup: Setup, *, rounds: int = 3, seconds: float = 10.0, users: int = 50) -> PairResult:
    """One instance with one worker, and two that share two cores. ValueError if there are not two."""
    if len(usable_cores()) < 2:
        raise ValueError("a second instance wants a second core, and there is but one")
    first, second = choose(2)
    cores = f"{first},{second}"
    one = _Way("one instance on one core", (("--cores", str(first)),), 1, 1)
    shares = tuple(("--cores", cores, "--share", f"{number}/2") for number in (1, 2))
    return _measure("instances", setup, (one, _Way("two instances on two cores", shares, 2, 0)), rounds, seconds, users)


def batching(setup: Setup, *, rounds: int = 3, seconds: float = 10.0, users: int = 500) -> PairResult:
    """Batches of one line, and as by default."""
    cores = len(usable_cores())
    ways = _Way("batching off", (UNBATCHED,), cores, 0), _Way("batching on", ((),), cores, 0)
    return _measure("batching", setup, ways, rounds, seconds, users)


def _measure(
    kind: Literal["instances", "batching"],
    setup: Setup,
    ways: tuple[_Way, _Way],
    rounds: int,
    seconds: float,
    users: int,
) -> PairResult:
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {rounds}; it must be 1 to {MOST_ROUNDS}")
    if setup.url is not None:
        raise ValueError("servers are started for this: leave --url out")
    found: list[PairRound] = []
    errors: Counter[str] = Counter()
    load = Load(users, seconds=seconds)
    with ExitStack() as stack:
        served = [_start(stack, setup, way) for way in ways]
        for number in tqdm(range(rounds), unit="round", disable=None, leave=False):
            laid: dict[int, list[Level]] = {}
            for turn in (0, 1) if number % 2 == 0 else (1, 0):
                laid[turn] = _lay(served[turn], load)
            first, second = (_Turn(way, laid[turn]) for turn, way in enumerate(ways))
            if not first.audio_s_per_s:
                raise BenchError(f"{ways[0].name} gave no right answer: {dict(laid[0][0].errors)}")
            found.append(_round(first, second))
            for level in laid[0] + laid[1]:
                errors.update(level.errors)
    return PairResult(
        kind=kind,
        method=method(setup, load),
        first=ways[0].name,
        second=ways[1].name,
        users=users,
        rounds=tuple(found),
        ratio=_of([one.ratio for one in found]),
        ratio_without_client=_of([one.ratio_without_client for one in found]),
        errors=dict(errors),
    )


def _start(stack: ExitStack, setup: Setup, way: _Way) -> list[Rig]:
    return [
        stack.enter_context(
            rig(
                replace(
                    setup, serve=(*setup.serve, *options), texts=replace(setup.texts, seed=setup.texts.seed + number)
                )
            )
        )
        for number, options in enumerate(way.options)
    ]


def _lay(rigs: Sequence[Rig], load: Load) -> list[Level]:
    shared = replace(load, users=max(1, load.users // len(rigs)))
    return lay_together([(there, shared) for there in rigs], same_server=False)


class _Turn:
    """What one way came to."""

    def __init__(self, way: _Way, levels: Sequence[Level]) -> None:
        self.audio_s_per_s = sum(level.audio_s_per_s for level in levels)
        # Of the process that looks on, each level tells: it is one.
        self.client_cores = levels[0].clients[-1].cores + sum(
            use.cores for level in levels for use in level.clients[:-1]
        )
        self.other_cores = levels[0].other_cores
        self.p95_ms = max((level.latency_ms.p95 for level in levels if level.latency_ms), default=None)
        taken = max(0.0, self.client_cores - way.spare)
        self.without_client = self.audio_s_per_s * way.cores / max(0.1, way.cores - taken)


def _round(first: _Turn, second: _Turn) -> PairRound:
    return PairRound(
        first_audio_s_per_s=first.audio_s_per_s,
        second_audio_s_per_s=second.audio_s_per_s,
        first_client_cores=first.client_cores,
        second_client_cores=second.client_cores,
        first_other_cores=first.other_cores,
        second_other_cores=second.other_cores,
        first_p95_ms=first.p95_ms,
        second_p95_ms=second.p95_ms,
        ratio=second.audio_s_per_s / first.audio_s_per_s,
        ratio_without_client=second.without_client / first.without_client,
    )


def report(result: PairResult) -> str:
    """The result for people."""
    rows = [
        f"{result.users} users who do not wait, {result.method.length} texts: {result.first}; {result.second}",
        "",
        "".join(f"{head:>14}" for head in ("first", "second", "clients", "clients", "ratio", "less clients"))
        + f"{'p95 ms':>10}{'p95 ms':>10}{'others':>8}{'others':>8}",
    ]
    for one in result.rounds:
        p95s, others = (one.first_p95_ms, one.second_p95_ms), (one.first_other_cores, one.second_other_cores)
        rows.append(
            f"{one.first_audio_s_per_s:>14.0f}{one.second_audio_s_per_s:>14.0f}{one.first_client_cores:>14.2f}"
            f"{one.second_client_cores:>14.2f}{one.ratio:>14.3f}{one.ratio_without_client:>14.3f}"
            + "".join(f"{'—' if ms is None else f'{ms:.0f}':>10}" for ms in p95s)
            + "".join(f"{'—' if cores is None else f'{cores:.2f}':>8}" for cores in others)
        )
    for name, value in (("second ÷ first", result.ratio), ("less what clients took", result.ratio_without_client)):
        rows.append(f"{name}: {value.median:.3f} ({value.low:.3f} to {value.high:.3f})")
    return "\n".join([*rows, f"{sum(result.errors.values())} errors"])


def _of(values: list[float]) -> Spread:
    found = spread(values)
    assert found is not None, "there was a round: this is a bug"  # noqa: S101
    return found

"""Our server beside others' with the same voice behind them: what each makes of the same cores, and what callers feel.

Everything is on in ours (readings, keys, limits, metrics, deadlines); the others are given phone ids and do nothing but
serve. A round is a turn of each server, and every other round goes the other way about. A ratio is of two turns of one
round, and its spread is that of the rounds: what else the machine does changes from turn to turn.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tqdm import tqdm

from bench.figures import Spread, spread
from bench.level import BUSY_CLIENT, BUSY_OTHERS
from bench.peer_callers import Texts
from bench.peer_felt import PeersResult, Turn
from bench.peer_process import PEERS, installed
from bench.peer_turn import OURS, Plan, listed
from inference.pack import load_pack

SLO_MS: Final = 1000
MOST_ROUNDS: Final = 100


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table."""

    name: str
    of: Callable[[Turn], float | None]
    more_is_better: bool = False


FIGURES: Final = (
    Figure("50 connections, short texts: answers/s", lambda turn: turn.flat_out.answers_per_s, more_is_better=True),
    Figure("… seconds of audio per second", lambda turn: turn.flat_out.audio_s_per_s, more_is_better=True),
    Figure("… for a second of processor time", lambda turn: turn.audio_s_per_cpu_s, more_is_better=True),
    Figure("80 %, a paragraph in ten: short p95 ms", lambda turn: turn.loaded_short.p95_ms),
    Figure("… paragraphs, first audio p50 ms", lambda turn: turn.loaded_paragraphs.first_p50_ms),
    Figure("… paragraphs, first audio p95 ms", lambda turn: turn.loaded_paragraphs.first_p95_ms),
    Figure(
        "200 %: audio in time ÷ capacity",
        lambda turn: _ratio(turn.overloaded.soon_audio_s_per_s, turn.capacity.audio_s_per_s),
        more_is_better=True,
    ),
    Figure("… refused, p95 ms", lambda turn: turn.overloaded.refused_p95_ms),
    Figure("… VIP p95 ms", lambda turn: turn.overloaded_vips.p95_ms),
    Figure("… VIP p95 ÷ unloaded", lambda turn: _ratio(turn.overloaded_vips.p95_ms, turn.vips_alone.p95_ms)),
)


def measure(
    pack_folder: Path,
    peers: Sequence[str] | None = None,
    *,
    rounds: int = 3,
    seconds: float = 10.0,
    slo_ms: int = SLO_MS,
    peer_timeout_s: float | None = None,
    texts: Texts | None = None,
) -> PeersResult:
    """Measure ours and these peers; all that are installed, if None. ValueError if that cannot be measured, BenchError
    if a server fails, PackError if the pack is broken.
    """
    if not 1 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {rounds}; it must be 1 to {MOST_ROUNDS}")
    if not (seconds > 0 and slo_ms > 0) or (peer_timeout_s is not None and not peer_timeout_s > 0):
        raise ValueError("seconds, the SLO and the peers' timeout must be more than 0")
    beside = tuple(filter(installed, PEERS)) if peers is None else tuple(dict.fromkeys(peers))
    if unknown := [peer for peer in beside if peer not in PEERS]:
        raise ValueError(f"there is no peer {unknown[0]!r}; there are: {', '.join(PEERS)}")
    if missing := [peer for peer in beside if not installed(peer)]:
        raise ValueError(f"{', '.join(missing)} cannot be had here: pip install 'tts-server[peers]'")
    pack = load_pack(pack_folder)
    servers = (OURS, *beside)
    turns: list[Turn] = []
    with (
        tempfile.TemporaryDirectory(prefix="tts-bench-") as folder,
        tqdm(total=rounds * len(servers), unit="turn", disable=None, leave=False) as bar,
    ):
        plan = Plan(pack_folder, Path(folder), texts or Texts(), seconds, slo_ms, peer_timeout_s)
        for number in range(1, rounds + 1):
            for server in servers if number % 2 else reversed(servers):
                bar.set_postfix_str(server)
                turns.append(plan.turn(server, number))
                bar.update()
    return PeersResult(
        kind="peers",
        pack=pack.name,
        peers={peer: version(PEERS[peer]) for peer in beside},
        seconds=seconds,
        slo_ms=slo_ms,
        peer_timeout_s=peer_timeout_s,
        turns=tuple(turns),
    )


def of_server(result: PeersResult, figure: Figure, server: str) -> Spread | None:
    """A server's, over all rounds; None if no round has it."""
    return spread([value for turn in result.turns if turn.server == server if (value := figure.of(turn)) is not None])


def against(result: PeersResult, figure: Figure, peer: str) -> Spread | None:
    """Ours divided by the peer's of the same round, over all rounds; None if no round has both."""
    ours, theirs = ({t.round: figure.of(t) for t in result.turns if t.server == name} for name in (OURS, peer))
    ratios = [_ratio(ours[number], theirs[number]) for number in ours.keys() & theirs.keys()]
    return spread([ratio for ratio in ratios if ratio is not None])


def report(result: PeersResult) -> str:
    """The result for people."""
    rounds = max(turn.round for turn in result.turns)
    peers = [f"{name} {number}" for name, number in result.peers.items()]
    timeouts = "their own timeouts" if result.peer_timeout_s is None else f"timeouts of {result.peer_timeout_s:g} s"
    rows = [
        f"{result.pack}, {rounds} rounds of {result.seconds:g} s under each load; SLO {result.slo_ms} ms",
        f"beside {', '.join(peers)} (plain is by aiohttp), with {timeouts}",
        "",
        "median over rounds (least–greatest)",
        *_table(result, of_server, (OURS, *result.peers)),
        "",
        "ours ÷ theirs, of the same round",
        *_table(result, against, tuple(result.peers)),
        "",
        *_notes(result),
    ]
    return "\n".join(rows)


def _table(
    result: PeersResult, value: Callable[[PeersResult, Figure, str], Spread | None], columns: Sequence[str]
) -> Iterator[str]:
    yield f"{'':<40}" + "".join(f"{name:>21}" for name in columns)
    for figure in FIGURES:
        yield f"{figure.name:<40}" + "".join(f"{_cell(value(result, figure, name)):>21}" for name in columns)


def _cell(found: Spread | None) -> str:
    return "—" if found is None else f"{_short(found.median)} ({_short(found.low)}–{_short(found.high)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _notes(result: PeersResult) -> Iterator[str]:
    """What became of those who were not answered, and what the reader should know before he believes it."""
    for server in (OURS, *result.peers):
        turns = [turn for turn in result.turns if turn.server == server]
        errors: Counter[str] = Counter()
        for turn in turns:
            errors.update(turn.overloaded.errors)
        asked, right = sum(turn.overloaded.asked for turn in turns), sum(turn.overloaded.right for turn in turns)
        yield f"{server} at 200 %: {asked} asked, {right} answered in the end; others: {listed(errors)}"
        if bare := sum(turn.without_retry_after for turn in turns):
            yield f"{server} gave {bare} refusals without Retry-After"
        before: Counter[str] = Counter()
        for turn in turns:
            for one in (turn.flat_out, turn.capacity, turn.loaded_short, turn.loaded_paragraphs):
                before.update(one.errors)
        if before:
            yield f"doubt: {server} failed before it was overloaded: {listed(before)}"
    if (client := max(turn.client_cores for turn in result.turns)) > BUSY_CLIENT:
        yield f"doubt: those who asked used {client:.2f} of a core: servers may be faster than this says"
    others = [turn.other_cores for turn in result.turns]
    if max(others) > BUSY_OTHERS:
        yield (
            f"doubt: other programs used {statistics.fmean(others):.2f} cores meanwhile, {min(others):.2f} in one turn "
            f"and {max(others):.2f} in another: of these figures, that for a second of processor time says most (Ray's "
            "processes have sessions of their own, and a busy Linux divides its time by sessions)"
        )


def _ratio(some: float | None, of: float | None) -> float | None:
    return some / of if some is not None and of else None

"""One server under all the loads of a comparison, one after another, and what its callers felt.

It is loaded by what it has just shown to be its own capacity, so that a slower one is not asked for more than it can
give, and a machine that others use is not taken for a quiet one.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.caller import Heard
from bench.client import Load
from bench.engine import BenchError
from bench.figures import distribution
from bench.keyed import keyed_serving
from bench.peer_callers import REFUSALS, Door, Kind, Laid, Part, Texts, lay
from bench.peer_felt import Felt, Turn
from bench.peer_process import Behind, peer_serving
from bench.served import wait_quiet
from inference.cores import choose, usable_cpus
from tts_server.config import Settings

OURS: Final = "ours"
CONNECTIONS: Final = 50
PARAGRAPHS: Final = 0.1
"""One text in ten."""
LOADED: Final = 0.8
OVERLOADED: Final = 2.0
"""Of its capacity."""
VIPS: Final = 0.1
"""Of its capacity, beside the others: were they many, they would be nothing special."""
WARMUP_S: Final = 2.0
"""Before each load; by its end a server at twice its capacity is late by a second if it refuses nobody."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What all turns have in common."""

    pack: Path
    folder: Path
    """For what servers write."""
    texts: Texts
    seconds: float
    """Of each load."""
    slo_ms: int
    peer_timeout_s: float | None = None
    """What peers give a request, if they have such a setting; None: their own defaults."""

    def turn(self, server: str, number: int) -> Turn:
        """Start it, lay the loads upon it, and stop it. BenchError if that fails."""
        with self._ours() if server == OURS else self._peer(server) as door:
            wait_quiet(door.server, below=0.5, within_s=5)  # LitServe is never quiet
            return self._turn(door, server, number)

    def _turn(self, door: Door, server: str, number: int) -> Turn:
        laid: list[Laid] = []

        def under(*parts: Part, deadline_ms: int | None = None) -> Laid:
            laid.append(lay(door, parts, self.texts, deadline_ms=deadline_ms))
            return laid[-1]

        users = Load(CONNECTIONS, warmup_s=WARMUP_S, seconds=self.seconds)
        flat_out = felt(under(Part(users)), self.slo_ms)
        audio_s = sum(one.audio_s for _, one in laid[0].heard)
        capacity = felt(under(Part(users, PARAGRAPHS)), self.slo_ms)
        if not flat_out.right or not capacity.right:
            raise BenchError(f"{server} gave no right answer: {listed({**flat_out.errors, **capacity.errors})}")

        def rate(part: float) -> Load:
            return replace(users, users=0, rate_per_s=part * capacity.answers_per_s)

        vips = Part(rate(VIPS), vip=True)
        alone = under(vips)
        loaded = under(Part(rate(LOADED), PARAGRAPHS))
        overloaded = under(Part(rate(OVERLOADED), PARAGRAPHS), vips, deadline_ms=self.slo_ms)
        return Turn(
            server=server,
            round=number,
            flat_out=flat_out,
            audio_s_per_cpu_s=audio_s / laid[0].server_cpu_s if laid[0].server_cpu_s else 0.0,
            capacity=capacity,
            vips_alone=felt(alone, self.slo_ms),
            loaded_short=felt(loaded, self.slo_ms, "short"),
            loaded_paragraphs=felt(loaded, self.slo_ms, "paragraph"),
            overloaded=felt(overloaded, self.slo_ms, "short", "paragraph"),
            overloaded_vips=felt(overloaded, self.slo_ms, "vip"),
            without_retry_after=sum(one.without_retry_after for one in laid),
            client_cores=max(one.client_cores for one in laid),
            other_cores=statistics.fmean(one.other_cores for one in laid),
        )

    @contextmanager
    def _ours(self) -> Iterator[Door]:
        options = ["--engines", str(self.pack.resolve()), "--cache-bytes", "0"]
        with keyed_serving(options, self.folder) as keyed:
            yield Door(keyed.server, is_peer=False, key=keyed.standard_key, vip_key=keyed.vip_key)

    @contextmanager
    def _peer(self, name: str) -> Iterator[Door]:
        # As many workers as ours, on the same cores, as nice, and with the same prepared models.
        cores = choose(max(1, int(usable_cpus())))
        behind = Behind(
            self.pack, self.folder / "models", cores, Settings.model_fields["worker_nice"].default, self.peer_timeout_s
        )
        question = self.texts.phones(self.texts.next("short").text)
        with peer_serving(name, behind, question) as server:
            yield Door(server, is_peer=True)


def felt(laid: Laid, slo_ms: float, *kinds: Kind) -> Felt:
    """What callers of these kinds felt; of all, if none is named."""
    until_s = laid.start_s + laid.seconds
    heard = [(kind, one) for kind, one in laid.heard if not kinds or kind in kinds]
    asked = [one for _, one in heard if laid.start_s <= one.intended_s < until_s]
    right = [one for one in asked if not one.error]
    ended = [(kind, one) for kind, one in heard if not one.error and laid.start_s <= one.ended_s < until_s]
    soon = [one for kind, one in ended if 1000 * (_heard_s(kind, one) - one.intended_s) <= slo_ms]
    whole = distribution([1000 * (one.ended_s - one.intended_s) for one in right])
    first = distribution([1000 * (one.first_s - one.intended_s) for one in right])
    refusals = [one for one in asked if one.error in REFUSALS]
    refused = distribution([1000 * (one.ended_s - one.intended_s) for one in refusals])
    return Felt(
        asked=len(asked),
        right=len(right),
        errors=dict(Counter(one.error for one in asked if one.error)),
        answers_per_s=len(ended) / laid.seconds,
        audio_s_per_s=sum(one.audio_s for _, one in ended) / laid.seconds,
        soon_answers_per_s=len(soon) / laid.seconds,
        soon_audio_s_per_s=sum(one.audio_s for one in soon) / laid.seconds,
        p50_ms=whole.p50 if whole else None,
        p95_ms=whole.p95 if whole else None,
        first_p50_ms=first.p50 if first else None,
        first_p95_ms=first.p95 if first else None,
        refused=len(refusals),
        refused_p95_ms=refused.p95 if refused else None,
    )


def _heard_s(kind: Kind, one: Heard) -> float:
    return one.first_s if kind == "paragraph" else one.ended_s


def listed(errors: Mapping[str, int]) -> str:
    """In words."""
    return ", ".join(f"{count} {kind}" for kind, count in errors.items()) or "none"

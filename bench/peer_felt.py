"""What became of servers beside one another, as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Felt:
    """What some of the callers felt under one load. Milliseconds count from when a request was to be sent."""

    asked: int
    right: int
    """Answered rightly, however late."""
    errors: Mapping[str, int]
    answers_per_s: float
    """Right ones that ended within the time."""
    audio_s_per_s: float
    """Speech in them."""
    soon_answers_per_s: float
    """Those of them that were soon enough: a short text by its end, a paragraph by its first audio."""
    soon_audio_s_per_s: float
    p50_ms: float | None
    """Until the last byte; of right answers."""
    p95_ms: float | None
    first_p50_ms: float | None
    """Until the first audio."""
    first_p95_ms: float | None
    refused: int
    """429 and 503."""
    refused_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One server under all loads."""

    server: str
    round: int
    flat_out: Felt
    """Short texts, from users who do not wait: its throughput."""
    audio_s_per_cpu_s: float
    """Speech for a second of processor time of all the server's processes, under that load: what other programs take
    from the server changes it little.
    """
    capacity: Felt
    """The same users, one text in ten a paragraph."""
    vips_alone: Felt
    loaded_short: Felt
    """At 80 % of its capacity."""
    loaded_paragraphs: Felt
    overloaded: Felt
    """At twice its capacity: all but the VIPs."""
    overloaded_vips: Felt
    without_retry_after: int
    """Refusals, under all loads, that do not say when to come again."""
    client_cores: float
    """The most that those who asked took under a load."""
    other_cores: float
    """What other programs, and the machine's host, took: the mean."""


@dataclass(frozen=True, slots=True)
class PeersResult:
    """Of `bench peers`."""

    kind: Literal["peers"]
    pack: str
    peers: Mapping[str, str]
    """Their versions."""
    seconds: float
    """Of each load."""
    slo_ms: int
    peer_timeout_s: float | None
    """What peers gave a request, if they have such a setting; None: their own defaults."""
    turns: tuple[Turn, ...]

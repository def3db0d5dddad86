"""Callers of several kinds beside one another, who ask our server by text, and a peer by the phones of the same text.

They are `bench.caller`'s, on one event loop: a short text is wanted whole, of a paragraph its first audio as soon as it
can be had, and some callers are VIPs. For a peer the body is another one; nothing else differs. No encoding is offered
to anybody: LitServe would compress speech, which no client wants.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final, Literal

import uvloop

from bench.arrivals import arrivals
from bench.caller import Ask, Caller, Heard
from bench.check import Bounds
from bench.client import Load
from bench.peer_servers.speaker import write_request
from bench.served import Server
from bench.texts import Text, TextPlan, texts
from bench.usage import Watch, busy_s
from bench.wire import Wire
from inference.frontend.reading import read
from inference.script import write_script

Kind = Literal["short", "paragraph", "vip"]

TEXTS: Final[Mapping[Kind, int]] = {"short": 4_000, "paragraph": 400, "vip": 400}
"""Read before anything is measured, in two seconds, and then asked in turn, again and again on a fast machine. What is
under way at once is a small part of them: nobody asks for what another one is just being told.
"""
VOICE: Final = "female"
REFUSALS: Final = ("status 429", "status 503")
"""Errors that mean: not now."""
TIMEOUT_S: Final = 30.0
"""An answer that is not there by then is none; far beyond any SLO."""
_START_S: Final = 0.1  # all begin together


@dataclass(frozen=True, slots=True)
class Door:
    """Whom they ask."""

    server: Server
    is_peer: bool
    """It is asked by phones, and answers whole."""
    key: str | None = None
    vip_key: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the callers under one load."""

    load: Load
    paragraphs: float = 0.0
    """The part of their texts that are paragraphs; the others are short."""
    vip: bool = False


@dataclass(slots=True)
class Laid:
    """What came of a load."""

    start_s: float
    """When what is measured began, by the system's monotonic clock."""
    seconds: float
    heard: list[tuple[Kind, Heard]] = field(default_factory=list)
    """All of it, before and after what is measured too."""
    without_retry_after: int = 0
    """Refusals that did not say when to come again."""
    client_cores: float = 0.0
    server_cpu_s: float = 0.0
    """Processor time of all the server's processes, from its first request to its last answer."""
    other_cores: float = 0.0
    """What everything else on this machine took, and its host."""


class Texts:
    """What is asked, with its phones."""

    def __init__(self, seed: int = 1, counts: Mapping[Kind, int] = TEXTS, bounds: Bounds | None = None) -> None:
        """Write and read so many of each; `bounds` are of another voice than ours."""
        self.bounds = bounds or Bounds()
        # One sequence of short ones for both kinds of callers: who asks what another one does would be told with him.
        short = texts(TextPlan(length="short", seed=seed))
        long = texts(TextPlan(length="paragraph", seed=seed))
        found: Mapping[Kind, list[Text]] = {
            "short": list(islice(short, counts["short"])),
            "vip": list(islice(short, counts["vip"])),
            "paragraph": list(islice(long, counts["paragraph"])),
        }
        self._next: Mapping[Kind, Iterator[Text]] = {kind: cycle(some) for kind, some in found.items()}
        self._phones = {
            text.text: write_request(write_script(text.text, read), VOICE) for some in found.values() for text in some
        }

    def next(self, kind: Kind) -> Text:
        """Another one."""
        return next(self._next[kind])

    def phones(self, text: str) -> bytes:
        """What a peer is asked for it."""
        return self._phones[text]


def lay(door: Door, parts: Sequence[Part], texts: Texts, *, deadline_ms: int | None) -> Laid:
    """Lay these upon a server together, until all that was asked is answered; `deadline_ms` is what they tell it."""
    watch, cpu_s, began_s, machine_s = Watch(door.server), time.process_time(), time.monotonic(), busy_s()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        laid = runner.run(_lay(door, parts, texts, deadline_ms))
    wall_s = time.monotonic() - began_s
    laid.client_cores = (time.process_time() - cpu_s) / wall_s
    laid.server_cpu_s = wall_s * sum(use.cores for use in watch.read(wall_s))
    laid.other_cores = max(0.0, (busy_s() - machine_s - laid.server_cpu_s) / wall_s - laid.client_cores)
    return laid


async def _lay(door: Door, parts: Sequence[Part], texts: Texts, deadline_ms: int | None) -> Laid:
    start_s = time.monotonic() + _START_S
    loads = [part.load for part in parts]
    laid = Laid(start_s + max(load.warmup_s for load in loads), max(load.seconds for load in loads))

    def ask(key: str | None, *, streamed: bool = False) -> Ask:
        return Ask(
            door.server.url,
            key,
            VOICE,
            streamed=streamed,
            timeout_s=TIMEOUT_S,
            bounds=texts.bounds,
            deadline_ms=deadline_ms,
        )

    write = texts.phones if door.is_peer else None
    with closing(Wire(door.server.url)) as wire:
        callers: Mapping[Kind, Caller] = {
            "short": Caller(ask(door.key), wire, write),
            "paragraph": Caller(ask(door.key, streamed=not door.is_peer), wire, write),
            "vip": Caller(ask(door.vip_key), wire, write),
        }
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(_Part(part, callers, texts, laid).work(start_s))
    return laid


class _Part:
    """Some of the callers, at work."""

    def __init__(self, part: Part, callers: Mapping[Kind, Caller], texts: Texts, laid: Laid) -> None:
        self._part = part
        self._callers = callers
        self._texts = texts
        self._laid = laid
        self._rng = random.Random(f"{part}")

    async def work(self, start_s: float) -> None:
        """Until the load ends, and what was asked is answered."""
        load = self._part.load
        end_s = start_s + load.warmup_s + load.seconds
        async with asyncio.TaskGroup() as group:
            if load.users:
                for _ in range(load.users):
                    group.create_task(self._user(end_s))
                return
            for at_s in arrivals(load.process, load.rate_per_s, end_s - start_s, self._rng):
                if (early_s := start_s + at_s - time.monotonic()) > 0:
                    await asyncio.sleep(early_s)
                group.create_task(self._call(start_s + at_s))

    async def _user(self, end_s: float) -> None:
        while (now_s := time.monotonic()) < end_s:
            await self._call(now_s)

    async def _call(self, intended_s: float) -> None:
        paragraph = self._rng.random() < self._part.paragraphs
        kind: Kind = "paragraph" if paragraph else "vip" if self._part.vip else "short"
        heard = await self._callers[kind].call(self._texts.next(kind), intended_s)
        self._laid.heard.append((kind, heard))
        self._laid.without_retry_after += heard.error in REFUSALS and not heard.told_when

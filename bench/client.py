"""A client process: callers on an event loop of its own, in a closed loop (users) or an open one (arrivals).

It is given one load after another over a pipe, and answers each with what was heard and what it cost itself: where
clients are the limit, a run must say so. What is done is counted in shared memory as it happens, for the progress bar.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from ctypes import Array, c_uint64
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import uvloop

from bench.arrivals import arrivals
from bench.caller import Ask, Caller, Heard
from bench.texts import Text, TextPlan, texts
from bench.wire import Wire

DONE, WRONG, AUDIO_MS = 0, 1, 2
"""What is counted."""
MOST_AT_ONCE: Final = 4_000
"""Requests of one client in an open loop: each is an open file, and a server that is so far behind has lost."""
NOT_SENT: Final = "not sent"
"""The error of one that would have been one more."""

_SPAWN: Final = multiprocessing.get_context("spawn")
_LAG_EVERY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Load:
    """What is laid upon the server, by all clients together. Either `users` or `rate_per_s` is above 0."""

    users: int = 0
    """Callers who ask, listen to the end, wait, and ask again."""
    wait_s: tuple[float, float] = (0.0, 0.0)
    """Between an answer and a user's next request, uniform."""
    rate_per_s: float = 0.0
    process: str = "poisson"
    warmup_s: float = 2.0
    """Before what is measured."""
    seconds: float = 10.0
    requests: int = 0
    """It ends when so many were asked by users; 0: by the clock alone."""

    def __post_init__(self) -> None:
        """ValueError if it is none."""
        if (self.users > 0) == (self.rate_per_s > 0) or self.users < 0 or self.rate_per_s < 0:
            raise ValueError("a load is some users or a rate, above 0; give one of them")
        if not 0 <= self.wait_s[0] <= self.wait_s[1]:
            raise ValueError(f"users wait {self.wait_s[0]:g} to {self.wait_s[1]:g} s; give two numbers that rise")
        if not self.seconds > 0 or self.warmup_s < 0:
            raise ValueError("a load lasts more than 0 s, and its warm-up no less than 0 s")

    @property
    def name(self) -> str:
        """What people call it."""
        if not self.users:
            return f"{self.rate_per_s:g} requests/s"
        return "1 user" if self.users == 1 else f"{self.users} users"


@dataclass(frozen=True, slots=True)
class ClientReport:
    """What a client heard under one load, and what that cost it."""

    heard: list[Heard]
    cpu_s: float
    wall_s: float
    lags_s: list[float]
    """How much later than asked for its event loop woke: its latencies may be too long by that."""


@dataclass(frozen=True, slots=True)
class ClientTask:
    """What a client needs to know from the start."""

    ask: Ask
    plan: TextPlan
    number: int
    count: int


def start_client(task: ClientTask) -> tuple[multiprocessing.process.BaseProcess, Connection, Array[c_uint64]]:
    """A process that runs, the pipe to it, and what it counts. It waits for (Load, moment to start); None ends it."""
    ours, theirs = _SPAWN.Pipe()
    counts = _SPAWN.RawArray(c_uint64, 3)
    process = _SPAWN.Process(target=_run, args=(task, theirs, counts), name=f"bench-client-{task.number}", daemon=True)
    process.start()
    theirs.close()
    return process, ours, counts


def _run(task: ClientTask, pipe: Connection, counts: Array[c_uint64]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started it, and that one ends it
    source = texts(task.plan, task.number, task.count)
    next(source)  # the first one makes those that are repeated
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(None)  # ready
        while (order := pipe.recv()) is not None:
            load, start_s = order
            pipe.send(runner.run(_Client(task, load, source, counts).work(start_s)))


class _Client:
    """One load's share of one client."""

    def __init__(self, task: ClientTask, load: Load, source: Iterator[Text], counts: Array[c_uint64]) -> None:
        self._task = task
        self._load = load
        self._texts = source
        self._counts = counts
        self._rng = random.Random(f"{task.plan.seed} {task.number} {load.name}")
        self._heard: list[Heard] = []
        self._lags_s: list[float] = []
        self._left = _share(load.requests, task) if load.requests else 0

    async def work(self, start_s: float) -> ClientReport:
        """Until the load ends and what was asked is answered."""
        await asyncio.sleep(max(0.0, start_s - time.monotonic()))
        cpu_s, began_s = time.process_time(), time.monotonic()
        end_s = start_s + self._load.warmup_s + self._load.seconds
        with closing(Wire(self._task.ask.url)) as wire:
            caller = Caller(self._task.ask, wire)
            watching = asyncio.create_task(self._watch_lag())
            if self._load.users:
                await self._users(caller, end_s)
            else:
                await self._arrivals(caller, start_s, end_s)
            if not self._load.requests:  # what it costs is divided by the whole time, and all clients end together
                await asyncio.sleep(max(0.0, end_s - time.monotonic()))
            watching.cancel()
            cpu_s, wall_s = time.process_time() - cpu_s, time.monotonic() - began_s
        return ClientReport(self._heard, cpu_s, wall_s, self._lags_s)

    async def _users(self, caller: Caller, end_s: float) -> None:
        users = _share(self._load.users, self._task)
        async with asyncio.TaskGroup() as group:
            for _ in range(users):
                group.create_task(self._user(caller, end_s))

    async def _user(self, caller: Caller, end_s: float) -> None:
        low_s, high_s = self._load.wait_s
        await asyncio.sleep(self._rng.uniform(0, high_s))  # they did not all come together
        while (now_s := time.monotonic()) < end_s:
            if self._load.requests:
                if not self._left:
                    return
                self._left -= 1
            self._note(await caller.call(next(self._texts), now_s))
            await asyncio.sleep(self._rng.uniform(low_s, high_s))

    async def _arrivals(self, caller: Caller, start_s: float, end_s: float) -> None:
        rate = self._load.rate_per_s / self._task.count
        open_calls: set[asyncio.Task[None]] = set()
        for at_s in arrivals(self._load.process, rate, end_s - start_s, self._rng):
            intended_s = start_s + at_s
            if (early_s := intended_s - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            if len(open_calls) >= MOST_AT_ONCE:
                self._note(Heard(intended_s, intended_s, time.monotonic(), error=NOT_SENT))
                continue
            call = asyncio.create_task(self._call(caller, intended_s))
            open_calls.add(call)
            call.add_done_callback(open_calls.discard)
        await asyncio.gather(*open_calls)

    async def _call(self, caller: Caller, intended_s: float) -> None:
        self._note(await caller.call(next(self._texts), intended_s))

    def _note(self, heard: Heard) -> None:
        self._heard.append(heard)
        self._counts[DONE] += 1
        self._counts[WRONG] += bool(heard.error)
        self._counts[AUDIO_MS] += round(1000 * heard.audio_s)

    async def _watch_lag(self) -> None:
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(_LAG_EVERY_S)
            self._lags_s.append(max(0.0, time.monotonic() - before_s - _LAG_EVERY_S))


def _share(count: int, task: ClientTask) -> int:
    """Of so many users, those of this client."""
    return count // task.count + (task.number < count % task.count)

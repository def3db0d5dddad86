"""A server and the clients that lay loads upon it, one after another, and what is seen of both meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from ctypes import Array, c_uint64
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

from tqdm import tqdm

from bench.caller import Ask
from bench.client import AUDIO_MS, DONE, WRONG, ClientReport, ClientTask, Load, start_client
from bench.counted import Samples
from bench.engine import BenchError
from bench.level import Level, Observed, beside, level
from bench.served import Server, serving, wait_quiet
from bench.texts import TextPlan
from bench.usage import ProcessUse, Watch, busy_s
from inference.cores import usable_cores

MOST_CLIENTS: Final = 64
POINTS: Final = 10
"""Of a level's series: enough for a curve, and for the spread of its means."""
_LOOK_EVERY_S: Final = 0.25
_START_S: Final = 0.3  # from the order to its execution: all clients begin together
_LATE_S: Final = 30.0  # after the last answer may have come
_DEAD: Final = "a client process ended before its time; why is said above"


@dataclass(frozen=True, slots=True)
class Setup:
    """Which server is measured, and with what."""

    url: str | None = None
    """Of a server that runs; None: one is started."""
    pid: int | None = None
    """Of that server's process, if it runs on this machine and is to be watched."""
    serve: tuple[str, ...] = ()
    """Options of `serve` for the one that is started."""
    cache: bool = False
    """Whether the one that is started caches; where all texts differ it could only cost."""
    ask: Ask = field(default_factory=lambda: Ask(""))
    """What every request asks for; its URL is filled in."""
    texts: TextPlan = field(default_factory=TextPlan)
    clients: int = 1
    """Client processes."""
    slo_ms: float = 500.0
    """Answers that take longer are no good."""

    def __post_init__(self) -> None:
        """ValueError if that cannot be measured."""
        if not 1 <= self.clients <= MOST_CLIENTS:
            raise ValueError(f"clients is {self.clients}; it must be 1 to {MOST_CLIENTS}")
        if not self.slo_ms > 0:
            raise ValueError(f"the SLO is {self.slo_ms:g} ms; it must be more than 0")
        if self.url is not None and self.serve:
            raise ValueError("options for a server that is started, and the URL of one that runs: give one of them")


class Rig:
    """What is set up."""

    def __init__(self, setup: Setup, server: Server, clients: Sequence[_Client]) -> None:
        self.setup = setup
        self.server = server
        self._clients = clients

    def lay(self, load: Load, note: str = "", look: Callable[[int], None] | None = None) -> Level:
        """Lay a load upon the server and return what came of it; shows its progress on a terminal. `look` is called a
        few times a second with the number of answers there are.
        """
        start_s = time.monotonic() + _START_S + load.warmup_s
        for client in self._clients:
            client.begin(load, start_s - load.warmup_s)
        looking = _Looking(self.server, load, start_s)
        began_s, cpu_s = time.monotonic(), time.process_time()
        total, unit = (load.requests, "") if load.requests else (load.warmup_s + load.seconds, " s")
        with tqdm(total=total, desc=note or load.name, disable=None, leave=False) as bar:
            bar.bar_format = f"{{desc}}: {{bar:30}} {{n:.0f}}/{{total:.0f}}{unit}{{postfix}}"
            while sum(client.ended for client in self._clients) < len(
                self._clients
            ):  # all are asked: one may have died
                if time.monotonic() > start_s + load.seconds + self.setup.ask.timeout_s + _LATE_S:
                    raise BenchError("a client does not come to an end")
                looking.look()
                done, passed_s = self._grown(DONE), max(0.1, time.monotonic() - start_s + load.warmup_s)
                if look is not None:
                    look(done)
                bar.n = min(total, done if load.requests else passed_s)
                bar.set_postfix_str(self._said(passed_s))
                time.sleep(_LOOK_EVERY_S)
        reports = [client.report() for client in self._clients]
        looking.look(last=True)
        return level(
            Observed(
                load,
                self.setup.slo_ms,
                start_s,
                reports,
                (time.process_time() - cpu_s) / (time.monotonic() - began_s),
                looking.scrapes,
                looking.processes,
                looking.busy_cores,
                len(usable_cores()),
                self.setup.ask.streamed,
            )
        )

    def _grown(self, what: int) -> int:
        return sum(client.grown(what) for client in self._clients)

    def _said(self, seconds: float) -> str:
        done, wrong, audio_s = self._grown(DONE), self._grown(WRONG), self._grown(AUDIO_MS) / 1000
        return f"{done} answers, {done / seconds:.0f}/s, {wrong} wrong, {audio_s / seconds:.0f} s of audio/s"


def lay_together(rigs: Sequence[tuple[Rig, Load]], *, same_server: bool) -> list[Level]:
    """Lay each load upon its server, all at once; what the others cost counts as no other program's."""
    with ThreadPoolExecutor(len(rigs)) as threads:
        laid = [threads.submit(there.lay, load) for there, load in rigs]
        found = [each.result() for each in laid]
    return [beside(one, [other for other in found if other is not one], same_server=same_server) for one in found]


@contextmanager
def rig(setup: Setup) -> Iterator[Rig]:
    """Server and clients, ready, until they are not needed any more. BenchError if that cannot be had."""
    with ExitStack() as stack:
        if setup.url is None:
            options = list(setup.serve) if setup.cache else ["--cache-bytes", "0", *setup.serve]
            server = stack.enter_context(serving(options))
            wait_quiet(server)
        else:
            server = Server(setup.url.rstrip("/"), setup.pid, setup.ask.key)
        ask = replace(setup.ask, url=server.url)
        tasks = [ClientTask(ask, setup.texts, number, setup.clients) for number in range(setup.clients)]
        clients = [stack.enter_context(_client(task)) for task in tasks]
        for client in clients:
            client.ready()
        yield Rig(setup, server, clients)


@contextmanager
def _client(task: ClientTask) -> Iterator[_Client]:
    process, pipe, counts = start_client(task)
    client = _Client(process, pipe, counts)
    try:
        yield client
    finally:
        client.stop()


class _Client:
    """One client process, from this side."""

    def __init__(self, process: BaseProcess, pipe: Connection, counts: Array[c_uint64]) -> None:
        self._process = process
        self._pipe = pipe
        self._counts = counts
        self._before = [0, 0, 0]

    def ready(self) -> None:
        self._receive()

    def begin(self, load: Load, start_s: float) -> None:
        self._before = list(self._counts)
        try:
            self._pipe.send((load, start_s))
        except OSError as error:
            raise BenchError(_DEAD) from error

    def grown(self, what: int) -> int:
        """How many of these there were under this load."""
        return int(self._counts[what]) - self._before[what]

    @property
    def ended(self) -> bool:
        """Whether its report waits. BenchError if it has died."""
        if self._pipe.poll():
            return True
        if not self._process.is_alive():
            raise BenchError(_DEAD)
        return False

    def report(self) -> ClientReport:
        report = self._receive()
        assert isinstance(report, ClientReport), "it sends nothing else: this is a bug"  # noqa: S101
        return report

    def stop(self) -> None:
        with suppress(OSError):  # it has died, and that was told
            self._pipe.send(None)
        self._pipe.close()
        self._process.join(timeout=5)
        self._process.kill()
        self._process.join()

    def _receive(self) -> object:
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise BenchError(_DEAD) from error


class _Looking:
    """What is seen of the server while a load lasts: its counters in equal steps, its processes over all of it."""

    def __init__(self, server: Server, load: Load, start_s: float) -> None:
        self._server = server
        step_s = max(1.0, load.seconds / POINTS)
        steps = max(1, int(load.seconds / step_s + 1e-6))
        self._moments = [start_s + load.seconds * n / steps for n in range(steps + 1)]
        self._watch: Watch | None = None
        self._since_s = 0.0
        self.scrapes: list[tuple[float, Samples]] = []
        self._busy_s = 0.0
        self.processes: tuple[ProcessUse, ...] = ()
        self.busy_cores = 0.0

    def look(self, *, last: bool = False) -> None:
        """Look if it is time to; the last time in any case."""
        now_s = time.monotonic()
        if len(self.scrapes) < len(self._moments) and (last or now_s >= self._moments[len(self.scrapes)]):
            self.scrapes.append((now_s, self._server.metrics()))
            if self._watch is None:
                self._watch, self._since_s, self._busy_s = Watch(self._server), now_s, busy_s()
        over = last or len(self.scrapes) == len(self._moments)
        if over and not self.processes and self._watch is not None and now_s > self._since_s:
            self.processes = self._watch.read(now_s - self._since_s)
            self.busy_cores = (busy_s() - self._busy_s) / (now_s - self._since_s)

"""What the processes of a server take while it is measured: cores, memory, open files; looked at from outside."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.served import Server
from shm.segment import PREFIX

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process over a stretch of time."""

    name: str
    """server, worker 1, worker 2, …, helper."""
    cores: float
    """Seconds of processor time in each second."""
    rss_mib: float
    """Memory at the end, pages that others have too counted in full."""
    pss_mib: float
    """The same, such pages shared out among those who have them; 0 where that may not be read."""
    open_files: int
    waited: float = 0.0
    """Seconds in each second that its threads were ready to run and had no core, one after another's added; 0 where the
    kernel does not count them."""


class Watch:
    """Of one server's processes, from now until `read`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = {process.pid: (_cpu_s(process), waited_s(process.pid)) for process in server.processes()}

    def read(self, seconds: float) -> tuple[ProcessUse, ...]:
        """What each took, `seconds` after the beginning; one that came meanwhile is counted from its start."""
        workers = 0
        uses = []
        for number, process in enumerate(self._server.processes()):
            try:
                worker = number > 0 and bool(segments(process))
                workers += worker
                name = "server" if number == 0 else f"worker {workers}" if worker else "helper"
                cpu_s, lost_s = self._before.get(process.pid, (0.0, 0.0))
                cores, waited = (_cpu_s(process) - cpu_s) / seconds, (waited_s(process.pid) - lost_s) / seconds
                uses.append(ProcessUse(name, cores, *_memory_mib(process), process.num_fds(), max(0.0, waited)))
            except psutil.Error:
                continue  # it has ended
        return tuple(uses)


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def waited_s(pid: int) -> float:
    """For how long its threads have been ready to run without running."""
    total_ns = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, IndexError):  # the thread has ended, or nobody counts
            total_ns += int(file.read_text(encoding="ascii").split()[1])
    return total_ns / 1e9


def _memory_mib(process: psutil.Process) -> tuple[float, float]:
    try:
        memory = process.memory_full_info()
    except psutil.AccessDenied:
        return process.memory_info().rss / _MIB, 0.0
    return memory.rss / _MIB, memory.pss / _MIB


def segments(process: psutil.Process) -> set[str]:
    """The shared memory it holds: of those that a server started, workers alone have any."""
    try:
        maps = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
    except OSError:  # it has ended
        return set()
    return set(re.findall(rf"/({PREFIX}\w+)", maps))


def busy_s() -> float:
    """Processor time of the whole machine since it started: of every program, and what its host gave to others."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)  # guests are in `user` too

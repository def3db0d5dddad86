"""How much of the CPU that this server may use is used.

In a container with a quota (cgroup v2, cpu.max) that is what the container has used of it, whatever else the machine
does; else what is busy of the cores that this process may run on, by whomever.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from inference.cores import control_groups, usable_cores


@dataclass(frozen=True, slots=True)
class _Reading:
    used_s: float
    """Of all cores together."""
    could_s: float
    """The same, had everything been used."""


class CpuMeter:
    """Measures from one asking to the next. Reads files, so it is asked in a thread."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._cores = usable_cores()
        self._group = _limited_group(root, len(self._cores))
        self._last = self._read()

    def share(self) -> float:
        """The part that was used since it was asked last, 0 to 1; 0 if that was but now."""
        last, self._last = self._last, self._read()
        could_s = self._last.could_s - last.could_s
        return min(1.0, max(0.0, (self._last.used_s - last.used_s) / could_s)) if could_s > 0 else 0.0

    def _read(self) -> _Reading:
        if self._group is not None:
            folder, cpus = self._group
            return _Reading(_used_s(folder), time.monotonic() * cpus)
        busy_s = total_s = 0.0
        each = psutil.cpu_times(percpu=True)
        for core in self._cores:
            if core < len(each):
                times = each[core]
                # guest time is in user's; who waits for a disk, or whose core the host gave to others, could compute
                idle_s = times.idle + getattr(times, "iowait", 0.0)
                all_s = sum(times[:8])
                busy_s, total_s = busy_s + all_s - idle_s, total_s + all_s
        return _Reading(busy_s, total_s)


def _limited_group(root: Path, cores: int) -> tuple[Path, float] | None:
    """The control group with the smallest quota of those that we are in, and how many cores' time that is."""
    found = []
    for folder in control_groups(root, ""):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period) > 0 and int(quota) > 0:
            found.append((folder, min(int(quota) / int(period), cores)))
    return min(found, key=lambda group: group[1], default=None)


def _used_s(folder: Path) -> float:
    for line in _text(folder / "cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "usage_usec":
            return int(value) / 1e6
    return 0.0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""

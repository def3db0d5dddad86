"""Which cores the workers run on: those this process may use, one per physical core before two share one.

The kernel tells it in files (`sched_getaffinity` aside): what a container may use in its control group, how cores lie
in /sys. Any of them may be missing; then one core is taken to be as good as another.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

_FULL: Final = 1024  # as the kernel counts capacity: that of the machine's fastest cores
_SMALL: Final = 512  # Intel's efficient cores, of which it does not say how fast they are: about half


@dataclass(frozen=True, slots=True)
class Core:
    """One core as the scheduler counts them: a thread of a physical core."""

    number: int
    node: int = 0
    """Memory that is near, and the caches before it."""
    physical: int = 0
    """The same for those that share a physical core."""
    capacity: int = _FULL
    """How fast it is, where cores differ."""


@dataclass(frozen=True, slots=True)
class Topology:
    """What this process may use of the machine."""

    cores: tuple[Core, ...]
    quota_cpus: float = math.inf
    """Seconds of all cores together that its container may use in each second."""

    @property
    def cpus(self) -> float:
        """How many cores it can really keep busy."""
        return min(len(self.cores), self.quota_cpus)

    @property
    def spread(self) -> tuple[int, ...]:
        """All its cores, those first that share least: first threads of physical cores before second ones, fast cores
        before slow ones, and of those that are alike one from each node in turn.
        """
        threads: Counter[int] = Counter()
        places: Counter[tuple[int, int, int]] = Counter()
        ranked = []
        for core in sorted(self.cores, key=lambda core: core.number):
            thread = threads[core.physical]
            kind = (thread, -core.capacity, core.node)
            ranked.append((thread, -core.capacity, places[kind], core.node, core.number))
            threads[core.physical] += 1
            places[kind] += 1
        return tuple(rank[-1] for rank in sorted(ranked))


def usable_cores() -> tuple[int, ...]:
    """The cores this process may run on, ascending."""
    return tuple(core.number for core in read_topology().cores)


def usable_cpus() -> float:
    """How many cores' worth of time this process can use: fewer than its cores if its container has a quota.

    As many workers as that, rounded down, but one at least: one more and all of them are stopped again and again.
    """
    return read_topology().cpus


def choose(count: int, cores: Sequence[int] | None = None, *, topology: Topology | None = None) -> tuple[int, ...]:
    """A core for each of `count` workers; with more workers than cores it begins again.

    `cores`, if given, are taken as they stand; ValueError names those that this process may not use.
    """
    if count < 0:
        raise ValueError(f"count is {count}; it must be 0 or more")
    machine = topology or read_topology()
    order = machine.spread if cores is None else tuple(cores)
    if not order:
        raise ValueError("no core is named; name some, or leave the choice open")
    if wrong := sorted(set(order) - set(machine.spread)):
        raise ValueError(
            f"cores {_listed(wrong)} cannot be used; this process may use {_listed(sorted(machine.spread))}"
        )
    return tuple(islice(cycle(order), count))


def divide(cores: Sequence[int], number: int, instances: int) -> tuple[int, ...]:
    """Those of the cores that are for instance `number`, from 1, of so many: every so-many-th, one at least.

    No two instances have the same, unless there are fewer cores than instances: then they take turns.
    """
    if not 1 <= number <= instances:
        raise ValueError(f"there is no instance {number} of {instances}")
    return tuple(cores[number - 1 :: instances]) or (cores[(number - 1) % len(cores)],)


def pin(cores: Iterable[int]) -> None:
    """Keep this process, and threads it starts later, on `cores`. Nothing where the system cannot do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def read_topology(root: Path = Path("/"), allowed: Iterable[int] | None = None) -> Topology:
    """The machine as its files describe it; `allowed` is the affinity of this process, asked of the system if None."""
    system = root / "sys/devices/system"
    usable = _affinity() if allowed is None else set(allowed)
    for limit in (_cores(system / "cpu/online"), *(_cores(file) for file in _cpusets(root))):
        usable = usable & limit or usable  # a file that leaves nothing is about another container
    nodes = {
        core: _number(folder.name.removeprefix("node"))
        for folder in sorted(system.glob("node/node[0-9]*"))
        for core in _cores(folder / "cpulist")
    }
    small = _cores(root / "sys/devices/cpu_atom/cpus")
    return Topology(tuple(_core(system / f"cpu/cpu{n}", n, nodes, small) for n in sorted(usable)), _quota_cpus(root))


def _core(folder: Path, number: int, nodes: dict[int, int], small: set[int]) -> Core:
    # Not by core_id: that is unique within a die at best.
    siblings = _cores(folder / "topology/thread_siblings_list")
    capacity = _number(_text(folder / "cpu_capacity"), _SMALL if number in small else _FULL)
    node = nodes.get(number, max(0, _number(_text(folder / "topology/physical_package_id"), 0)))
    return Core(number, node, min(siblings, default=number), capacity)


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _quota_cpus(root: Path) -> float:
    """The smallest quota of the control group and of those around it."""
    pairs = [_text(folder / "cpu.max").partition(" ")[::2] for folder in control_groups(root, "")]
    older = control_groups(root, "cpu")
    pairs += [(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")) for folder in older]
    return min((_cpus(quota, period) for quota, period in pairs), default=math.inf)


def _cpus(quota: str, period: str) -> float:
    """`max`, -1, or nothing at all: no limit."""
    used, of = _number(quota, -1), _number(period, -1)
    return used / of if used > 0 and of > 0 else math.inf


def _cpusets(root: Path) -> Iterator[Path]:
    for controller, name in (("", "cpuset.cpus.effective"), ("cpuset", "cpuset.effective_cpus")):
        # The innermost that says anything: it is what all around it leave.
        yield from islice((folder / name for folder in control_groups(root, controller) if _text(folder / name)), 1)


def control_groups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of our control group and of those around it, innermost first; `controller` "" is version 2.

    Within a container the path may be that of the host, of which nothing but the end is there, or is mounted as root.
    """
    mounts = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller not in controllers.split(","):
            continue
        mounted = [mounts / controllers, mounts / controller] if controller else [mounts, mounts / "unified"]
        for mount in mounted:
            inner = Path(path.strip("/"))
            yield from (mount / part for part in (inner, *inner.parents) if (mount / part).is_dir())


def _cores(file: Path) -> set[int]:
    """`0-3,8,10-11` as a set; nothing if there is no such file."""
    found: set[int] = set()
    for part in filter(None, _text(file).split(",")):
        first, _, last = part.partition("-")
        found.update(range(_number(first), _number(last or first) + 1))
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _number(text: str, otherwise: int = -1) -> int:
    try:
        return int(text)
    except ValueError:
        return otherwise


def _listed(numbers: Sequence[int]) -> str:
    """`0-3, 8`: a machine may have hundreds."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from inference.cores import Core, Topology, choose, pin, read_topology, usable_cores, usable_cpus

Files = Mapping[str, str]
CPU, NODE, GROUP = "sys/devices/system/cpu", "sys/devices/system/node", "sys/fs/cgroup"


def write(root: Path, files: Files) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n", encoding="ascii")
    return root


def physical(*siblings: str, package: int = 0, capacity: int | None = None) -> dict[str, str]:
    """A physical core's files, one group of siblings (`0,8`) after another."""
    files = {}
    for group in siblings:
        for number in group.split(","):
            files[f"{CPU}/cpu{number}/topology/thread_siblings_list"] = group
            files[f"{CPU}/cpu{number}/topology/physical_package_id"] = str(package)
            if capacity is not None:
                files[f"{CPU}/cpu{number}/cpu_capacity"] = str(capacity)
    return files


# 2 sockets × 4 cores × 2 threads, numbered as Linux mostly does: second threads after all first ones
TWO_SOCKETS = {
    **physical("0,8", "1,9", "2,10", "3,11", package=0),
    **physical("4,12", "5,13", "6,14", "7,15", package=1),
    f"{CPU}/online": "0-15",
    f"{NODE}/node0/cpulist": "0-3,8-11",
    f"{NODE}/node1/cpulist": "4-7,12-15",
}
# siblings side by side, as many virtual machines number them
SIDE_BY_SIDE = physical("0,1", "2,3", "4,5", "6,7")
# two fast cores of two threads, four slow ones of one; as Intel tells it, and as ARM does
INTEL_HYBRID = {**physical("0,1", "2,3", "4", "5", "6", "7"), "sys/devices/cpu_atom/cpus": "4-7"}
ARM_HYBRID = {**physical("0", "1", capacity=430), **physical("2", "3", capacity=1024)}


@pytest.mark.parametrize(
    ("name", "files", "allowed", "order"),
    [
        ("two sockets", TWO_SOCKETS, range(16), [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]),
        ("one socket of two", TWO_SOCKETS, [4, 5, 6, 7, 12, 13, 14, 15], [4, 5, 6, 7, 12, 13, 14, 15]),
        ("a second thread whose first is not ours is a whole core", TWO_SOCKETS, [0, 8, 9], [0, 9, 8]),
        ("more of one socket than of the other", TWO_SOCKETS, [0, 1, 2, 4], [0, 4, 1, 2]),
        (
            "sockets, where the kernel tells no nodes",
            {name: text for name, text in TWO_SOCKETS.items() if not name.startswith(NODE)},
            range(8),
            [0, 4, 1, 5, 2, 6, 3, 7],
        ),
        ("siblings side by side", SIDE_BY_SIDE, range(8), [0, 2, 4, 6, 1, 3, 5, 7]),
        ("Intel's fast and small cores", INTEL_HYBRID, range(8), [0, 2, 4, 5, 6, 7, 1, 3]),
        ("ARM's fast and small cores", ARM_HYBRID, range(4), [2, 3, 0, 1]),
        ("some cores offline", {**SIDE_BY_SIDE, f"{CPU}/online": "0-2,6"}, range(8), [0, 2, 6, 1]),
        ("no files at all", {}, [3, 1, 2], [1, 2, 3]),
        ("files that make no sense", {f"{CPU}/cpu1/topology/thread_siblings_list": "x-,,7-"}, [0, 1], [0, 1]),
        ("a package without a number", physical("0", "1", package=-1), [0, 1], [0, 1]),
    ],
)
def test_workers_share_as_little_as_can_be(
    name: str, files: Files, allowed: Iterable[int], order: list[int], tmp_path: Path
) -> None:
    topology = read_topology(write(tmp_path, files), allowed)
    assert list(choose(len(order), topology=topology)) == order, name


@pytest.mark.parametrize(
    ("name", "files", "cpus"),
    [
        ("no control groups", {}, 64),
        ("version 2, within its namespace", {"proc/self/cgroup": "0::/", f"{GROUP}/cpu.max": "250000 100000"}, 2.5),
        ("version 2, no limit", {"proc/self/cgroup": "0::/", f"{GROUP}/cpu.max": "max 100000"}, 64),
        (
            "version 2, a limit further out",
            {
                "proc/self/cgroup": "0::/a/b",
                f"{GROUP}/a/b/cpu.max": "800000 100000",
                f"{GROUP}/a/cpu.max": "300000 100000",
            },
            3,
        ),
        (
            "version 2 beside version 1",
            {"proc/self/cgroup": "1:name=systemd:/\n0::/u", f"{GROUP}/unified/u/cpu.max": "50000 100000"},
            0.5,
        ),
        (
            "version 1",
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/x",
                f"{GROUP}/cpu,cpuacct/x/cpu.cfs_quota_us": "150000",
                f"{GROUP}/cpu,cpuacct/x/cpu.cfs_period_us": "100000",
            },
            1.5,
        ),
        (
            "version 1 in a container that is told the host's path",
            {
                "proc/self/cgroup": "4:cpu:/docker/0123",
                f"{GROUP}/cpu/cpu.cfs_quota_us": "400000",
                f"{GROUP}/cpu/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            "version 1, no limit",
            {
                "proc/self/cgroup": "4:cpu:/",
                f"{GROUP}/cpu/cpu.cfs_quota_us": "-1",
                f"{GROUP}/cpu/cpu.cfs_period_us": "100000",
            },
            64,
        ),
        ("a cpuset, version 2", {"proc/self/cgroup": "0::/a", f"{GROUP}/a/cpuset.cpus.effective": "0-3,8"}, 5),
        (
            "the innermost cpuset",
            {
                "proc/self/cgroup": "0::/a/b",
                f"{GROUP}/a/b/cpuset.cpus.effective": "0-1",
                f"{GROUP}/a/cpuset.cpus.effective": "0-7",
            },
            2,
        ),
        ("a cpuset, version 1", {"proc/self/cgroup": "3:cpuset:/", f"{GROUP}/cpuset/cpuset.effective_cpus": "7"}, 1),
        ("another's cpuset", {"proc/self/cgroup": "0::/", f"{GROUP}/cpuset.cpus.effective": "100-120"}, 64),
        (
            "more quota than cores",
            {
                "proc/self/cgroup": "0::/",
                f"{GROUP}/cpuset.cpus.effective": "0-3",
                f"{GROUP}/cpu.max": "900000 100000",
            },
            4,
        ),
    ],
)
def test_a_container_has_what_its_control_group_leaves_it(name: str, files: Files, cpus: float, tmp_path: Path) -> None:
    assert read_topology(write(tmp_path, files), range(64)).cpus == pytest.approx(cpus), name


FOUR = Topology(tuple(Core(number, physical=number) for number in (0, 1, 4, 5)))


def test_more_workers_than_cores_begin_again() -> None:
    assert choose(6, topology=FOUR) == (0, 1, 4, 5, 0, 1)
    assert choose(3, [5, 4], topology=FOUR) == (5, 4, 5)
    assert choose(0, topology=FOUR) == ()


@pytest.mark.parametrize(
    ("count", "cores", "message"),
    [
        (1, [0, 2, 3, 9], "cores 2-3, 9 cannot be used; this process may use 0-1, 4-5"),
        (1, [-1], "cores -1 cannot"),
        (1, [], "no core is named"),
        (-1, None, "count is -1"),
    ],
)
def test_a_wrong_choice_is_told(count: int, cores: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose(count, cores, topology=FOUR)


def test_a_quota_does_not_hide_cores() -> None:
    topology = Topology(FOUR.cores, quota_cpus=2.5)
    assert (topology.cpus, topology.spread) == (2.5, (0, 1, 4, 5))
    assert Topology(FOUR.cores).quota_cpus == math.inf


def test_this_machine_is_read() -> None:
    assert set(usable_cores()) <= os.sched_getaffinity(0)
    assert 0 < usable_cpus() <= len(usable_cores())
    assert sorted(choose(len(usable_cores()))) == list(usable_cores())


def test_a_process_is_pinned() -> None:
    before = os.sched_getaffinity(0)
    try:
        pin(choose(1))
        assert usable_cores() == choose(1)
    finally:
        pin(before)

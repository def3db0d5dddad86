"""How much of the CPU is used: of a container's quota, or of the machine's cores."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from tts_server import cpu
from tts_server.cpu import CpuMeter


class Clock:
    """Seconds, as a test has them pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(cpu, "time", SimpleNamespace(monotonic=lambda: self.now_s))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(cpu, "usable_cores", lambda: (0, 1, 2, 3))
    return Clock(monkeypatch)


def group(root: Path, path: str, maximum: str, used_s: float) -> Path:
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(maximum)
    (folder / "cpu.stat").write_text(f"usage_usec {round(used_s * 1e6)}\nuser_usec 1\nnr_throttled 2\n")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/box/server\n")
    return tmp_path


@pytest.mark.parametrize(
    ("maximum", "used_s", "share"),
    [
        ("200000 100000", 0.0, 0.0),
        ("200000 100000", 10.0, 0.5),  # two cores' time for ten seconds
        ("50000 100000", 5.0, 1.0),
        ("50000 100000", 5.2, 1.0),  # a quota is kept on the average
        ("900000 100000", 20.0, 0.5),  # there are but four cores
    ],
)
def test_a_container_uses_its_quota(clock: Clock, root: Path, maximum: str, used_s: float, share: float) -> None:
    group(root, "box/server", maximum, 7.0)
    meter = CpuMeter(root)
    clock.now_s += 10.0
    group(root, "box/server", maximum, 7.0 + used_s)
    assert meter.share() == pytest.approx(share)
    assert meter.share() == 0.0, "since it was asked last, nothing"


def test_of_nested_groups_the_narrowest_counts(clock: Clock, root: Path) -> None:
    group(root, "box/server", "400000 100000", 0.0)
    group(root, "box", "100000 100000", 50.0)
    meter = CpuMeter(root)
    clock.now_s += 10.0
    group(root, "box/server", "400000 100000", 2.0)
    group(root, "box", "100000 100000", 58.0)
    assert meter.share() == pytest.approx(0.8)


def test_a_group_that_goes_away_uses_nothing(clock: Clock, root: Path) -> None:
    folder = group(root, "box/server", "100000 100000", 5.0)
    meter = CpuMeter(root)
    clock.now_s += 10.0
    (folder / "cpu.stat").unlink()
    assert meter.share() == 0.0


class Times(NamedTuple):
    """As psutil has them on Linux."""

    user: float = 0.0
    nice: float = 0.0
    system: float = 0.0
    idle: float = 0.0
    iowait: float = 0.0
    irq: float = 0.0
    softirq: float = 0.0
    steal: float = 0.0
    guest: float = 0.0


@pytest.mark.parametrize("maximum", ["max 100000", "", "garbage"])
def test_without_a_quota_it_is_what_is_busy_of_the_usable_cores(
    root: Path, monkeypatch: pytest.MonkeyPatch, maximum: str
) -> None:
    monkeypatch.setattr(cpu, "usable_cores", lambda: (1, 2))
    group(root, "box/server", maximum, 7.0)
    readings = [
        [Times(), Times(), Times()],
        [
            Times(user=10.0),
            Times(user=1.0, guest=1.0, nice=2.0, steal=1.0, idle=6.0),
            Times(system=1.0, idle=5.0, iowait=4.0),
        ],
    ]
    monkeypatch.setattr(cpu, "psutil", SimpleNamespace(cpu_times=lambda percpu: readings.pop(0)))
    meter = CpuMeter(root)
    assert meter.share() == pytest.approx(5 / 20)


def test_on_this_machine_it_is_a_share() -> None:
    meter = CpuMeter()
    until_s = time.process_time() + 0.2
    while time.process_time() < until_s:
        pass
    assert 0.0 < meter.share() <= 1.0

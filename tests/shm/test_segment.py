"""Segments: shared, reserved, and never left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shm import segment
from shm.segment import Segment, SegmentError


def names() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob(f"{segment.PREFIX}*")}  # noqa: S108


def test_what_one_side_writes_the_other_reads() -> None:
    ours = Segment.create(4096)
    theirs = Segment.attach(ours.name)
    ours.memory[10] = 42
    assert theirs.memory[10] == 42
    theirs.close()
    ours.close()
    with pytest.raises(SegmentError, match="its owner has ended"):
        Segment.attach(ours.name)


def test_closing_a_segment_removes_it() -> None:
    ours = Segment.create(4096)
    assert ours.name in names()
    ours.close()
    assert ours.name not in names()


def test_a_sweep_leaves_what_has_an_owner() -> None:
    ours = Segment.create(4096)
    assert ours.name not in segment.sweep()
    assert ours.name in names()
    ours.close()


def test_what_a_killed_process_left_is_swept() -> None:
    # the tracker that multiprocessing starts would clean up after it too: it dies with it here, as in a killed service
    code = (
        "import os, signal\n"
        "from multiprocessing import resource_tracker\n"
        "from shm.segment import Segment\n"
        "kept = Segment.create(4096)\n"
        "print(kept.name, flush=True)\n"
        "os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    left = result.stdout.strip()
    assert left in names(), result.stderr
    assert left in segment.sweep()
    assert left not in names()


def test_too_little_memory_is_an_error_that_says_how_much_is_needed() -> None:
    before = names()
    wanted = segment.free_bytes() + 2**30
    with pytest.raises(SegmentError, match=r"MiB of shared memory are needed.*--shm-size"):
        segment.require(wanted)
    with pytest.raises(SegmentError, match="MiB of shared memory are needed"):
        Segment.create(wanted)
    assert names() == before

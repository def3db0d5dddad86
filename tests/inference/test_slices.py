"""Slices as the kernel tells them. Where it knows of none, nothing is asked of it and nothing changes."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from inference import slices

ONE = """
import os, threading
from inference import slices
usual = slices.length_ns()
print(slices.shorten(), slices.length_ns() < usual)
asked = []
thread = threading.Thread(target=lambda: asked.append(slices.length_ns() == usual))
thread.start()
thread.join()
print(asked[0])
os.nice(3)
print(os.nice(0), slices.length_ns() < usual)
if os.fork() == 0:
    os._exit(slices.length_ns() != usual)
print(os.wait()[1])
"""

knows = pytest.mark.skipif(slices.length_ns() == 0, reason="slices are told and can be asked for since Linux 6.12")


@knows
def test_they_are_shorter_for_the_thread_that_asks_and_for_none_that_it_starts() -> None:
    said = subprocess.run([sys.executable, "-c", ONE], capture_output=True, text=True, check=True).stdout.split("\n")
    assert said == ["True True", "True", f"{os.nice(0) + 3} True", "0", ""]


@knows
@pytest.mark.parametrize("first", ["os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))", "os.nice(-1)"])
def test_who_has_been_given_another_precedence_keeps_it(first: str) -> None:
    if "-1" in first and os.geteuid():
        pytest.skip("only root may take precedence")
    look = "print(os.sched_getscheduler(0), os.nice(0))"
    tried = f"import os; from inference import slices; {first}; {look}; print(slices.shorten()); {look}"
    said = subprocess.run([sys.executable, "-c", tried], capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[1] == "False"
    assert said[0] == said[2]


def test_a_system_that_does_not_know_of_them_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "an unknown one")
    before = os.nice(0), os.sched_getscheduler(0)
    assert not slices.shorten()
    assert (os.nice(0), os.sched_getscheduler(0)) == before

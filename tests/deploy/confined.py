"""Run a program under what a unit says of system calls, as systemd would.

`python -m tests.deploy.confined UNIT COMMAND…`. Meant are
SystemCallFilter, RestrictAddressFamilies, MemoryDenyWriteExecute and NoNewPrivileges; what these refuse is EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pyseccomp

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN = 65, 1


def directives(unit: Path) -> list[tuple[str, str]]:
    """Its lines, in their order: what a name says may depend on what it said before."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [(name, value) for line in lines if line[:1] != "#" for name, sign, value in [line.partition("=")] if sign]


def calls(words: Iterable[str]) -> set[str]:
    """System calls by their names, sets (`@system-service`) unfolded as systemd has them."""
    found: set[str] = set()
    for word in words:
        if not word.startswith("@"):
            found.add(word)
            continue
        listed = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
        found |= calls(line.strip() for line in listed.stdout.splitlines() if re.match(r"\s+[@\w]", line))
    return found


def allowed(unit: Path) -> set[str]:
    """What SystemCallFilter lets pass."""
    passing: set[str] = set()
    for name, value in directives(unit):
        if name == "SystemCallFilter":
            words = value.removeprefix("~").split()
            passing = passing - calls(words) if value.startswith("~") else passing | calls(words)
    return passing


def confine(unit: Path) -> None:
    """This process and all its children, for good."""
    told = dict(directives(unit))
    libc = ctypes.CDLL(None, use_errno=True)
    assert told["NoNewPrivileges"] == "yes"
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if told.get("MemoryDenyWriteExecute") == "yes" and libc.prctl(_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
        assert ctypes.get_errno() == errno.EINVAL, "a kernel before 6.3 has no such thing"
    families = {int(getattr(socket, name)) for name in told["RestrictAddressFamilies"].split()}
    barred = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    for call in allowed(unit) - {"socket"}:
        try:
            barred.add_rule(pyseccomp.ALLOW, call)
        except (ValueError, OSError):
            continue  # one of another architecture, or younger than this libseccomp
    for family in families:
        barred.add_rule(pyseccomp.ALLOW, "socket", pyseccomp.Arg(0, pyseccomp.EQ, family))
    barred.load()


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606

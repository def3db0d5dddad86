"""How soon a process that wakes gets a core that another one has.

Niceness says how much of a core each gets in the long run. Whoever wakes nevertheless waits until the other's slice is
over, some milliseconds, unless its own slices are shorter (EEVDF, Linux 6.12 and later; sched(7)).
"""

from __future__ import annotations

import ctypes
import platform
from typing import Final

SHORTEST_NS: Final = 100_000
"""That the kernel grants. What takes longer goes on in the next one."""

_SET_GET: Final = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Numbers of sched_setattr and sched_getattr, which the C library does not know."""
_RESET_ON_FORK: Final = 1
_USUAL_POLICIES: Final = (0, 3)
"""SCHED_OTHER and SCHED_BATCH: under others the same field means something else, or nothing."""


class _Attributes(ctypes.Structure):
    """struct sched_attr of linux/sched/types.h."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime_ns", ctypes.c_uint64),
        ("deadline_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
    )


def shorten() -> bool:
    """Ask for the shortest slices for this thread; those that it starts have the usual ones. Whether they are so now.

    Nothing changes where the system knows of no slices, and where somebody has given this thread precedence in another
    way: what it starts would lose that.
    """
    attributes = _read()
    if attributes is None or not attributes.runtime_ns or attributes.nice < 0:
        return False
    if attributes.policy not in _USUAL_POLICIES:
        return False
    attributes.size, attributes.runtime_ns = ctypes.sizeof(attributes), SHORTEST_NS
    attributes.flags |= _RESET_ON_FORK
    if ctypes.CDLL(None).syscall(_SET_GET[platform.machine()][0], 0, ctypes.byref(attributes), 0):
        return False
    return length_ns() == SHORTEST_NS


def length_ns() -> int:
    """Of this thread's slices; 0 where the system does not tell."""
    attributes = _read()
    return 0 if attributes is None else int(attributes.runtime_ns)


def _read() -> _Attributes | None:
    if platform.system() != "Linux" or platform.machine() not in _SET_GET:
        return None
    attributes = _Attributes()
    size = ctypes.sizeof(attributes)
    failed = ctypes.CDLL(None).syscall(_SET_GET[platform.machine()][1], 0, ctypes.byref(attributes), size, 0)
    return None if failed else attributes

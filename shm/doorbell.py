"""Wakes the process at the other end, and tells when it is gone.

A ring of the bell is a hint: it may come late, and many may come as one. What is true stands in the rings' cursors, so
look there after every wake-up. The bell's end closes with the process that holds it, however that dies.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

_MANY = 4096  # more rings than a socket holds unheard; each takes one byte


class Doorbell:
    """One end of a pair. Can be handed to a spawned process as an argument of it, and nowhere else."""

    def __init__(self, connection: Connection) -> None:
        os.set_blocking(connection.fileno(), False)
        self._connection = connection

    @staticmethod
    def pair() -> tuple[Doorbell, Doorbell]:
        """Two ends. Whoever hands one to a child closes his own copy of it, else the child's death is not heard."""
        ours, theirs = get_context("spawn").Pipe(duplex=True)
        return Doorbell(ours), Doorbell(theirs)

    def fileno(self) -> int:
        """For `loop.add_reader` and `select`: readable when the other side has rung or is gone."""
        return self._connection.fileno()

    def ring(self) -> None:
        """Wake the other side. Never waits, never fails: a full socket has woken it, a closed one needs no waking."""
        with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            os.write(self._connection.fileno(), b"\0")

    def hear(self) -> bool:
        """Take all rings so far; False when the other side is gone."""
        try:
            return os.read(self._connection.fileno(), _MANY) != b""
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleep until the other side rings, is gone, or so long has passed; then `hear`."""
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLIN)
        poll.poll(None if timeout_s is None else timeout_s * 1000)
        return self.hear()

    def close(self) -> None:
        """Hang up; the other side hears it."""
        self._connection.close()

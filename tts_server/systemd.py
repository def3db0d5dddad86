"""Tell systemd how the server is (sd_notify), and that it still is (the watchdog). Without systemd, nothing happens."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

_LOOK_AGAIN_S: Final = 1.0
"""An ill server that recovers says so this soon: after half of the watchdog's patience again it might be too late."""


class Notifier:
    """The socket that systemd named, if it did."""

    def __init__(self, address: str, watchdog_s: float) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog_s = watchdog_s

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Notifier:
        """As NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID have it."""
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = environ.get("WATCHDOG_USEC", "")
        return cls(
            environ.get("NOTIFY_SOCKET", ""), int(watchdog_us) / 1e6 if ours and watchdog_us.isdecimal() else 0.0
        )

    def tell(self, *states: str) -> None:
        """Say `READY=1` and the like. Never waits; who does not listen is told nothing."""
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
                channel.sendto("\n".join(states).encode(), self._address)

    async def keep_alive(self, healthy: Callable[[], bool]) -> None:
        """Until cancelled, say twice in the watchdog's time that the server is well, while it is.

        systemd restarts it when that stops: because `healthy` says no, or because this event loop stands still.
        """
        if not self._address or not self._watchdog_s:
            return
        while True:
            well = healthy()
            if well:
                self.tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 2 if well else min(_LOOK_AGAIN_S, self._watchdog_s / 2))

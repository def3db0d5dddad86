"""A place among the tasks that the service is given at once."""

from __future__ import annotations

import asyncio
from typing import Final

from tts_server.errors import QueueFull

_AGAIN_S: Final = 2.0
"""When to come back if all are taken: a sentence or two later."""


class Slot:
    """One speech's; it has it, or has not. Who has waited longest gets the next one."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._taken = False

    async def take(self, wait_s: float) -> None:
        """QueueFull if none is free within that time."""
        try:
            async with asyncio.timeout(wait_s):
                self._taken = await self._slots.acquire()
        except TimeoutError:
            raise QueueFull(
                "as many texts as may be are being spoken by DashScope; come back later", retry_after_s=_AGAIN_S
            ) from None

    def give_back(self) -> None:
        """If it has it."""
        if self._taken:
            self._taken = False
            self._slots.release()

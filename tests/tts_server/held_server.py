"""A server whose gateway speaks when it is told to: each request is held until SIGUSR1. A process of its own.

`python -m tests.tts_server.held_server '{"port": 0}' [trouble]`, the settings as JSON.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from tts_server.config import Settings
from tts_server.errors import ShuttingDown
from tts_server.gateway import StartError
from tts_server.logs import get_logger
from tts_server.metrics import Metrics
from tts_server.server import run
from tts_server.speech import Pcm, Reuse, Speech, SpeechRequest, SpokenWord, Timings, Voice

VOICE = Voice("female", "standard", "female", ("zh", "en"), "held", 22050)
log = get_logger("held")


class HeldSpeech:
    def __init__(self, gateway: HeldGateway) -> None:
        self.voice = VOICE
        self.timings = Timings()
        self.unspoken: tuple[str, ...] = ()
        self.reuse: Reuse = "MISS"
        self.words: tuple[SpokenWord, ...] = ()
        self._gateway = gateway

    async def __aiter__(self) -> AsyncIterator[Pcm]:
        async with asyncio.TaskGroup() as group:
            ends = [group.create_task(event.wait()) for event in (self._gateway.released, self._gateway.cancelled)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        if not self._gateway.released.is_set():
            raise ShuttingDown("cancelled")
        yield np.zeros(2205, np.int16)


class HeldGateway:
    def __init__(self, trouble: str) -> None:
        self.released = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.draining = False
        self.cache = None
        self.overload = None
        self._trouble = trouble
        self._live = 0
        self._idle = asyncio.Event()

    async def start(self) -> None:
        log.info("starting")
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.released.set)
        if self._trouble == "no start":
            raise StartError("there is no voice")
        if self._trouble == "bug":
            raise ZeroDivisionError
        if self._trouble == "slow start":
            await asyncio.Event().wait()

    async def drain(self, timeout_s: float) -> int:
        log.info("draining", jobs=self._live)
        self.draining = True
        try:
            async with asyncio.timeout(timeout_s):
                while self._live:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            self.cancelled.set()
        return self._live

    async def stop(self) -> None:
        log.info("gateway stopped")

    def voices(self) -> tuple[Voice, ...]:
        return (VOICE,)

    def ready(self) -> dict[str, bool]:
        return {VOICE.engine: True}

    @asynccontextmanager
    async def speak(self, request: SpeechRequest) -> AsyncIterator[Speech]:
        if self.draining:
            raise ShuttingDown("draining")
        self._live += 1
        log.info("accepted", request=request.id)
        try:
            yield HeldSpeech(self)
        finally:
            self._live -= 1
            self._idle.set()


def make(_: Settings, __: Metrics) -> HeldGateway:
    return HeldGateway("".join(sys.argv[2:]))


if __name__ == "__main__":
    raise SystemExit(run(Settings.model_validate(json.loads(sys.argv[1])), make_gateway=make))

"""A Redis of a test's own, on a port of its own."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tts_server.cache_redis import RedisCache

PROGRAM = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")


class RedisServer:
    """One that can be killed, stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        assert PROGRAM is not None
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(64).startswith(b"+PONG"):
                    return
            assert self._process.poll() is None, "redis-server does not start"
            time.sleep(0.01)

    def ask(self, *command: str) -> Any:
        """What it answers."""
        with Redis(port=self.port, decode_responses=True) as client:
            return client.execute_command(*command)

    def flush(self) -> None:
        """Forget everything."""
        self.ask("FLUSHALL")

    def change(self, name: str, value: str) -> None:
        """Change a setting."""
        self.ask("CONFIG", "SET", name, value)

    def all_keys(self) -> set[str]:
        """Whatever there is."""
        return set(self.ask("KEYS", "*"))

    def tell(self, sign: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(sign)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(folder)
    try:
        server.start(*options)
        yield server
    finally:
        server.kill()


async def settled(cache: RedisCache) -> None:
    """Everything is written."""
    while cache._to_write:  # noqa: ASYNC110  (the writer has no event for its end)
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)

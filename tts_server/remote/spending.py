"""How many characters were sent to a service that bills them: a day's limit, which survives the server.

The hours are in a SQLite file in the state folder, with what was sent in each; servers that share it share the limit.
The last 24 whole hours count, and this one: never less than a day. What is sent is counted before it is, and set right
when the service has told its own count, so that a crash leaves too much in the file rather than too little.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tts_server.errors import EngineUnavailable, InvalidRequest, QueueFull
from tts_server.logs import get_logger

HOUR_S: Final = 3600
_DAY: Final = 24
_BUSY_S: Final = 2.0
"""For another server's transaction, which takes milliseconds."""
_AGAIN_S: Final = 5.0
"""When to come back, if the file fails."""

log = get_logger(__name__)


class Spending:
    """At most so many characters a day. OSError or sqlite3.Error if the file cannot be had; opening it blocks."""

    def __init__(self, file: Path, limit: int) -> None:
        self._limit = limit
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes is not worth 25 ms of each text
        self._database.execute("CREATE TABLE IF NOT EXISTS spent (hour INTEGER PRIMARY KEY, characters INTEGER)")
        self._thread = ThreadPoolExecutor(1, "spending")

    async def reserve(self, characters: int, now_s: float) -> int:
        """Count so many as sent now: the hour they are under. QueueFull if they are too many today."""
        if characters > self._limit:
            raise InvalidRequest(
                f"the text has {characters} characters as DashScope counts them, and {self._limit} may be sent to it "
                "in a day",
                param="text",
                code="input_too_long",
            )
        asked = self._thread.submit(self._reserve, characters, now_s)
        try:
            hour, wait_s = await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            self._thread.submit(self._undo, asked, characters)
            raise
        except sqlite3.Error as error:
            log.warning("characters cannot be counted", problem=str(error))
            raise EngineUnavailable(
                "what is sent to DashScope cannot be counted, so nothing is sent; come back later",
                retry_after_s=_AGAIN_S,
            ) from error
        if wait_s:
            raise QueueFull(
                f"{self._limit} characters were sent to DashScope within a day, which is as many as may be; come back "
                f"in {wait_s / HOUR_S:.1f} hours",
                retry_after_s=wait_s,
            )
        return hour

    def settle(self, hour: int, difference: int) -> None:
        """So many more were sent than was counted under that hour, or fewer. Waits for nothing."""
        if difference:
            self._thread.submit(self._settle, hour, difference)

    async def close(self) -> None:
        """After what was told has been written."""
        await asyncio.to_thread(self._thread.shutdown)
        self._database.close()

    def _reserve(self, characters: int, now_s: float) -> tuple[int, float]:
        """The hour; and how long until so many fit in, 0 if they do and are counted."""
        hour = int(now_s // HOUR_S)
        with self._transaction() as database:
            database.execute("DELETE FROM spent WHERE hour < ?", (hour - _DAY,))
            spent = database.execute("SELECT hour, characters FROM spent ORDER BY hour").fetchall()
            too_many = sum(count for _, count in spent) + characters - self._limit
            if too_many <= 0:
                database.execute(
                    "INSERT INTO spent VALUES (?, ?) "
                    "ON CONFLICT (hour) DO UPDATE SET characters = characters + excluded.characters",
                    (hour, characters),
                )
                return hour, 0.0
        for earlier, count in spent:
            too_many -= count
            if too_many <= 0:
                return hour, max(1.0, (earlier + _DAY + 1) * HOUR_S - now_s)
        raise AssertionError("what is more than the limit by itself is not asked here. This is a bug.")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _settle(self, hour: int, difference: int) -> None:
        try:
            self._database.execute(
                "UPDATE spent SET characters = max(0, characters + ?) WHERE hour = ?", (difference, hour)
            )
        except sqlite3.Error as error:
            log.warning("characters cannot be counted", problem=str(error))

    def _undo(self, asked: Future[tuple[int, float]], characters: int) -> None:
        """What was asked by somebody who did not wait for it. Runs behind it."""
        if not asked.cancelled() and asked.exception() is None:
            hour, wait_s = asked.result()
            if not wait_s:
                self._settle(hour, -characters)

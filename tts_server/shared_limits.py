"""Limits that several instances count together, in Redis: by the `limits` library, and never at the cost of a request.

Redis may be slow, full, gone or confused. Then each instance counts for itself, after a few milliseconds at most, and
looks once a second whether it is back.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tts_server.limits import Limit, Window
from tts_server.logs import get_logger

WAIT_S: Final = 0.01
"""For an answer; one on the same network takes less than a millisecond. After that, memory decides."""
AGAIN_S: Final = 1.0
"""After a failure: until then nobody waits for Redis, and then one request does. So long a question lives at most."""
PATIENCE: Final = 3
"""Answers in a row that may come late before Redis counts as gone: this event loop may have been late itself."""
CONNECTIONS: Final = 16
"""Each is busy for less than a millisecond at a time."""

Taken = tuple[bool, Window]
log = get_logger(__name__)


class RedisCounters:
    """The counters in one Redis. ValueError if its URL is none."""

    def __init__(self, url: str) -> None:
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=AGAIN_S,
            socket_connect_timeout=AGAIN_S,
            socket_timeout=AGAIN_S,
            retry=Retry(NoBackoff(), 0),
        )
        options: dict[str, Any] = {"connection_pool": self._pool}
        theirs = url.replace("unix://", "redis+unix://", 1)  # as the library names it
        self._storage = RedisStorage(theirs, implementation="redispy", key_prefix="tts:limits", **options)
        self._asking: set[asyncio.Task[Taken]] = set()
        self._late = 0
        self._again_s = 0.0
        """When to try again; 0 while all is well."""

    async def take(self, limit: Limit, who: str, cost: int) -> Taken | None:
        """As `Memory.take`; None if Redis does not tell in time."""
        now_s = time.monotonic()
        if now_s < self._again_s:
            return None
        if away := self._again_s > 0:
            self._again_s = now_s + AGAIN_S  # this one tries; the others do not wait for what comes of it
        # Not cancelled when it is late: a new connection, which may take longer, will be there for the next one.
        asking = asyncio.create_task(self._ask(limit, who, cost))
        self._asking.add(asking)
        asking.add_done_callback(self._asked)
        await asyncio.wait({asking}, timeout=WAIT_S)
        if not asking.done():
            self._late += 1
            if away or self._late >= PATIENCE:
                self._leave("late")
            return None
        if (error := asking.exception()) is not None:
            self._leave(type(error).__name__)
            return None
        self._late, self._again_s = 0, 0.0
        if away:
            log.info("limits are shared again")
        return asking.result()

    async def close(self) -> None:
        """Give its connections up."""
        for asking in self._asking:
            asking.cancel()
        if self._asking:
            await asyncio.wait(self._asking)
        await self._pool.disconnect()

    async def _ask(self, limit: Limit, who: str, cost: int) -> Taken:
        key = RateLimitItemPerSecond(limit.amount, limit.window_s).key_for(who)
        async with asyncio.timeout(AGAIN_S):
            granted = await self._storage.acquire_sliding_window_entry(key, limit.amount, limit.window_s, cost)
            counted = await self._storage.get_sliding_window(key, limit.window_s)
        return granted, Window(limit.amount, limit.window_s, *counted)

    def _asked(self, asking: asyncio.Task[Taken]) -> None:
        self._asking.discard(asking)
        if not asking.cancelled():
            asking.exception()  # it was late, and nobody may have waited for it

    def _leave(self, problem: str) -> None:
        if not self._again_s:
            log.warning("limits are counted by this instance alone: no Redis", problem=problem)
        self._late, self._again_s = 0, time.monotonic() + AGAIN_S

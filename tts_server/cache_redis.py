"""Redis as a cache that may be slow, dead, full or wrong, and costs no caller more than a few ms for it.

    get ──► asked ──► reader ─┐                        Callers wait for their answer no longer than ANSWER_S. Reader and
                              ├─► one connection each  writer are tasks of their own and more patient, so that nobody's
    keep ─► to write ► writer ┘                        leaving breaks a connection in the middle of an answer.

A value is sealed with a hash over its key and itself: one that was cut off, damaged, or put under another key by
somebody else is no value. It is a seal against accidents; whoever may write to Redis can make one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tts_server.logs import get_logger
from tts_server.metrics import CacheResult

PREFIX: Final = "tts:"
ANSWER_S: Final = 0.005
"""How long a caller waits: a Redis nearby answers in 0.3 ms, and a line is spoken in 10."""
PATIENCE_S: Final = 1.0
"""How long reader and writer wait: for a connection over TLS to another building, or a large value."""
LARGEST_BYTES: Final = 1 << 20
"""Twenty seconds of audio. More is not kept here, nor read: it would take a ms to hash, and others wait behind it."""
ASKED_AT_ONCE: Final = 16
MOST_ASKED: Final = 1024
"""Questions that wait for the reader; it would not get further in ANSWER_S anyway."""
MOST_TO_WRITE_BYTES: Final = 16 << 20
"""What waits for the writer; beyond it the newest is not written."""
FAILURES: Final = 3
"""In a row, until it is left alone. One and two may be our own event loop that was late."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 8.0
"""How long it is left alone: twice as long each time. The longest is what a Redis that is back waits to be seen."""

HEAD_BYTES: Final = 4 + hashlib.sha256().digest_size
"""Of the seal, in front of the value."""
_MAGIC: Final = b"tts1"
_NOT_OURS: Final = b"?"

log = get_logger(__name__)


class Circuit:
    """Whether to ask somebody who may not answer. After a pause one question is let through, to see."""

    def __init__(self, what: str, clock: Callable[[], float]) -> None:
        self._what = what
        self._clock = clock
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._until_s: float | None = None
        self._trying = False

    def lets_pass(self) -> bool:
        """Whether to ask now."""
        if self._until_s is None:
            return True
        now_s = self._clock()
        if now_s < self._until_s:
            return False
        self._trying, self._until_s = True, now_s + self._pause_s  # should nobody hear how this one ends
        return True

    def succeeded(self) -> None:
        """It answered in time."""
        if self._trying:
            log.info("redis answers again", what=self._what)
        if self._trying or self._until_s is None:
            self._failures, self._pause_s, self._until_s, self._trying = 0, FIRST_PAUSE_S, None, False

    def failed(self, why: BaseException) -> None:
        """It did not."""
        if self._trying:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        elif self._until_s is not None:  # asked before it was left alone
            return
        else:
            self._failures += 1
            if self._failures < FAILURES:
                return
            log.warning("redis left alone for a while", what=self._what, error=f"{type(why).__name__}: {why}")
        self._trying, self._until_s = False, self._clock() + self._pause_s


def seal(key: str, value: bytes) -> bytes:
    """The value as Redis is given it."""
    return _MAGIC + _digest(key, value) + value


def unseal(key: str, sealed: bytes) -> bytes | None:
    """The value of that key, if this is what `seal` made of it."""
    value = sealed[HEAD_BYTES:]
    return value if sealed[:HEAD_BYTES] == _MAGIC + _digest(key, value) else None


def _digest(key: str, value: bytes) -> bytes:
    digest = hashlib.sha256(b"%d:%b" % (len(key), key.encode()))
    digest.update(value)  # 0.6 ms for the largest
    return digest.digest()


class RedisCache(BaseCache):  # type: ignore[misc]  # aiocache has no types
    """A store for aiocache that never fails and hardly waits. ValueError if `url` is none.

    aiocache's own Redis raises what goes wrong, knows no TLS nor users, and gives out what it finds. `count` is told
    how each question ended.
    """

    NAME = "redis"

    def __init__(self, url: str, *, ttl_s: float, count: Callable[[str, CacheResult], None]) -> None:
        super().__init__(serializer=NullSerializer(), timeout=None, namespace=PREFIX, ttl=ttl_s)
        self._count = count
        # Nothing is tried again: what is not answered is made anew, and the circuits know when to come back.
        self._client = Redis.from_url(
            url, max_connections=2, retry=Retry(NoBackoff(), 0), socket_timeout=None, client_name="tts-server"
        )
        self._asked: OrderedDict[str, asyncio.Future[bytes | None]] = OrderedDict()
        self._to_write: OrderedDict[str, bytes] = OrderedDict()
        self._to_write_bytes = 0
        self._news = asyncio.Event()
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read and write. Waits for nothing."""
        clock = asyncio.get_running_loop().time
        self._reads, self._writes = Circuit("reads", clock), Circuit("writes", clock)
        self._tasks = [asyncio.create_task(self._read_on()), asyncio.create_task(self._write_on())]

    def keep(self, key: str, value: bytes) -> None:
        """Have it written soon, if there is room: what `set` does, for callers that cannot await."""
        key = self.build_key(key)
        if len(value) > LARGEST_BYTES or key in self._to_write or not self._tasks:
            return
        if self._to_write_bytes + len(value) <= MOST_TO_WRITE_BYTES:
            self._to_write[key] = value
            self._to_write_bytes += len(value)
            self._work.set()

    # what aiocache calls

    async def _get(self, key: str, **_: Any) -> bytes | None:  # noqa: ANN401
        value, result = await self._ask(key)
        self._count(key.removeprefix(PREFIX), result)
        return value

    async def _set(self, key: str, value: bytes, **_: Any) -> bool:  # noqa: ANN401
        self.keep(key.removeprefix(PREFIX), value)
        return True

    async def _close(self, **_: Any) -> None:  # noqa: ANN401
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._client.aclose()

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _ask(self, key: str) -> tuple[bytes | None, CacheResult]:
        if not self._tasks or len(self._asked) >= MOST_ASKED or not self._reads.lets_pass():
            return None, "skipped"
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
            self._news.set()
        await asyncio.wait({answer}, timeout=ANSWER_S)  # which leaves it alone: others may wait for it too
        if not answer.done():
            if self._asked.get(key) is answer:
                del self._asked[key]
            self._reads.failed(TimeoutError(f"no answer within {ANSWER_S:g} s"))
            return None, "failed"
        sealed = answer.result()
        if sealed is None:
            return None, "failed"
        self._reads.succeeded()
        if not sealed:
            return None, "miss"
        value = unseal(key, sealed)
        return value, "corrupt" if value is None else "hit"

    async def _read_on(self) -> None:
        with suppress(Exception):
            await self._read([PREFIX])  # connects, which takes longer than a caller waits
        while True:
            await self._news.wait()
            self._news.clear()
            while self._asked:
                asked = [self._asked.popitem(last=False) for _ in range(min(ASKED_AT_ONCE, len(self._asked)))]
                try:
                    found = await self._read([key for key, _ in asked])
                except Exception as error:  # noqa: BLE001  (whatever it says or does: it is but a cache)
                    self._reads.failed(error)
                    found = [None] * len(asked)
                for (_, answer), sealed in zip(asked, found, strict=True):
                    answer.set_result(sealed)

    async def _read(self, keys: list[str]) -> Sequence[bytes | None]:
        """What lies under these keys, b"" where nothing does."""
        async with asyncio.timeout(PATIENCE_S), self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.getrange(key, 0, HEAD_BYTES + LARGEST_BYTES - 1)  # whatever somebody else may have put there
            found = await pipeline.execute(raise_on_error=False)
        for sealed in found:
            if isinstance(sealed, Exception) and not str(sealed).startswith("WRONGTYPE"):
                raise sealed
        return [sealed if isinstance(sealed, bytes) else _NOT_OURS for sealed in found]

    async def _write_on(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._to_write:
                key, value = self._to_write.popitem(last=False)
                self._to_write_bytes -= len(value)
                if not self._writes.lets_pass():
                    continue
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await self._client.set(key, seal(key, value), px=round(self.ttl * 1000))
                except Exception as error:  # noqa: BLE001  (as above)
                    self._writes.failed(error)
                else:
                    self._writes.succeeded()

"""What was said before: audio of lines, scripts of texts and whole answers, by what they depend on.

    asked ─► memory, bounded in bytes ─► Redis, if there is one ─► made anew
                    ◄──────── kept ────────┘

A key is a hash over everything that changes its value, so that no entry ever goes out of date; what a kind of entry
depends on, and how it is written, is known to whoever keeps it (`take.py`, `http/kept.py`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer

from tts_server.cache_redis import RedisCache

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.metrics import CacheResult, Metrics

FORMAT: Final = 3
"""Of the entries. Another number leaves all that was kept before alone."""
ENTRY_BYTES: Final = 400
"""What an entry takes beside its value: its key, its place in the dictionary and in the order, headers of objects."""
LARGEST_SHARE: Final = 8
"""An entry larger than this part of the memory is not kept there: one book must not drive out a thousand greetings."""

_CODE: Final = (Path(__file__).resolve().parent.parent / "inference", Path(__file__).parent)


def key(kind: str, *parts: str | float | bytes) -> str:
    """The key of an entry of that kind which depends on those parts."""
    named = repr((FORMAT, *parts))  # no two lists of parts look the same so
    return f"{kind}:{hashlib.sha256(named.encode(errors='surrogatepass')).hexdigest()}"


def code_fingerprint() -> str:
    """A hash over the code and data that read, speak and encode: another release may do so in another way.

    Blocks, 30 ms.
    """
    digest = hashlib.sha256()
    for folder in _CODE:
        for file in sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"):
            digest.update(b"%b:%d:" % (str(file.relative_to(folder)).encode(), file.stat().st_size))
            digest.update(file.read_bytes())
    return digest.hexdigest()


class MemoryCache(BaseCache):  # type: ignore[misc]  # aiocache has no types
    """A store for aiocache that holds so many bytes and forgets what was longest not asked for.

    aiocache's own counts nothing. Entries have no time to live: see the head of this file.
    """

    NAME = "memory"

    def __init__(self, bound_bytes: int) -> None:
        super().__init__(serializer=NullSerializer(), timeout=None)  # nothing here waits
        self._bound_bytes = bound_bytes
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self.held_bytes = 0
        """Of all entries, with what they take beside their values."""

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def recall(self, key: str) -> bytes | None:
        """The value, if it is here; it counts as used. What `get` does, for callers that cannot await."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def keep(self, key: str, value: bytes) -> bool:
        """Keep it, and forget others for it; whether it is kept. What `set` does, for callers that cannot await."""
        self.forget(key)
        size = len(value) + ENTRY_BYTES
        if size * LARGEST_SHARE > self._bound_bytes:
            return False
        self._entries[key] = value
        self.held_bytes += size
        while self.held_bytes > self._bound_bytes:
            self.forget(next(iter(self._entries)))
        return True

    def forget(self, key: str) -> bool:
        """Drop it; whether it was here."""
        value = self._entries.pop(key, None)
        if value is not None:
            self.held_bytes -= len(value) + ENTRY_BYTES
        return value is not None

    # what aiocache calls

    async def _get(self, key: str, **_: Any) -> bytes | None:  # noqa: ANN401
        return self.recall(key)

    async def _set(self, key: str, value: bytes, **_: Any) -> bool:  # noqa: ANN401
        return self.keep(key, value)

    async def _delete(self, key: str, **_: Any) -> int:  # noqa: ANN401
        return int(self.forget(key))

    async def _exists(self, key: str, **_: Any) -> bool:  # noqa: ANN401
        return key in self._entries

    async def _clear(self, namespace: str | None = None, **_: Any) -> bool:  # noqa: ANN401, ARG002  (there is but one)
        self._entries.clear()
        self.held_bytes = 0
        return True


class Cache:
    """Both levels. Everything runs on the event loop and nothing waits but `fetch`, which does so for some ms."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """ValueError if the address of Redis is none."""
        self._metrics = metrics
        self.memory = MemoryCache(settings.cache_bytes)
        self.redis = None
        if settings.redis_url:
            count = partial(self._count, "redis")
            self.redis = RedisCache(settings.redis_url, ttl_s=settings.cache_ttl_s, count=count)
        self.on = settings.cache_bytes > 0 or self.redis is not None
        """Whether anything is kept."""

    def start(self) -> None:
        """Begin to talk to Redis, if there is one. Waits for nothing: it may be dead."""
        if self.redis:
            self.redis.start()

    async def close(self) -> None:
        """Leave Redis; what was still to be written there is lost."""
        if self.redis:
            await self.redis.close()

    def __contains__(self, key: str) -> bool:
        return key in self.memory

    def recall(self, key: str) -> bytes | None:
        """The value, if it is in memory."""
        value = self.memory.recall(key)
        self._count("memory", key, "miss" if value is None else "hit")
        return value

    def count_hit(self, key: str) -> None:
        """Somebody was given what memory had, without having asked by `recall`."""
        self._count("memory", key, "hit")

    async def fetch(self, key: str) -> bytes | None:
        """The value, if Redis has it and says so at once; it is then in memory too."""
        if self.redis is None:
            return None
        value: bytes | None = await self.redis.get(key)
        if value is not None:
            self._keep_here(key, value)
        return value

    def keep(self, key: str, value: bytes) -> None:
        """Keep it in memory at once, and in Redis soon."""
        self._keep_here(key, value)
        if self.redis:
            self.redis.keep(key, value)

    def _keep_here(self, key: str, value: bytes) -> None:
        self.memory.keep(key, value)
        self._metrics.cache_holds(self.memory.held_bytes)

    def _count(self, level: Literal["memory", "redis"], key: str, result: CacheResult) -> None:
        self._metrics.cache_asked(key.partition(":")[0], level, result)

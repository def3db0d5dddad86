"""How much a caller may take: requests, characters, and requests at once.

Requests and characters are counted by the sliding window of the `limits` library: what the last window held counts by
the part of it that is still within reach. With Redis all instances count together, by the library itself
(`shared_limits.py`). In memory the same is a class of ours: the library's takes 22 µs a look (measured; ours 2), and
each of its requests begins a walk through all counters there are.

What is being served at once is counted by each instance for itself: what an instance that was killed has counted in
Redis would be counted for ever.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from tts_server.caller import Caller
from tts_server.errors import InvalidRequest, RateLimited, TTSError

MOST_COUNTERS: Final = 100_000
"""About 40 MB. With more callers at once, those who have not come for the longest time are forgotten."""
CHARACTERS_WINDOW_S: Final = 60
BUSY_RETRY_S: Final = 1.0
"""When to ask again with too much at once: one answer takes about as long, and nobody can know."""


class Window(NamedTuple):
    """What was counted under one limit: in this window and in the one before, each with the time until it is over."""

    limit: int
    window_s: int
    previous: int
    previous_left_s: float
    current: int
    current_left_s: float
    """Until it counts no more, as the previous one: at its beginning, two windows."""

    @property
    def counted(self) -> int:
        """What counts now."""
        return math.floor(self.previous * self.previous_left_s / self.window_s) + self.current

    @property
    def remaining(self) -> int:
        """What may still come now."""
        return max(0, self.limit - self.counted)

    @property
    def whole_s(self) -> float:
        """Until nothing counts any more."""
        return self.current_left_s if self.current else self.previous_left_s if self.previous else 0.0

    def wait_s(self, cost: int) -> float:
        """Until so much fits in, if nothing else comes."""
        fits_below = self.limit - cost + 1  # rounded down, so what is less than this is not more than the limit
        if self.current < fits_below:
            if not self.previous:
                return 0.0
            return max(0.0, self.previous_left_s - (fits_below - self.current) * self.window_s / self.previous)
        ends_s = max(0.0, self.current_left_s - self.window_s)
        return ends_s + max(0.0, self.window_s * (1 - fits_below / self.current))

    def written(self) -> str:
        """As headers, of the names that the IETF's draft has, each with its line end."""
        return (
            f"RateLimit-Limit: {self.limit}\r\nRateLimit-Remaining: {self.remaining}\r\n"
            f"RateLimit-Reset: {math.ceil(self.whole_s)}\r\nRateLimit-Policy: {self.limit};w={self.window_s}\r\n"
        )

    def headers(self) -> dict[str, str]:
        """The same for an answer that has others too."""
        return dict(line.split(": ") for line in self.written().splitlines())


class Limit(NamedTuple):
    """So much in any so many seconds."""

    amount: int
    window_s: int


@lru_cache(maxsize=1024)  # of each tier, and of each key that has one of its own
def limit_of_requests(per_s: float, burst: int | None) -> Limit:
    """The burst, in as long as it takes to earn it: whole seconds, as the library has them.

    A burst is no less than what is earned in one second.
    """
    amount = max(burst or 1, math.ceil(per_s))
    return Limit(amount, max(1, round(amount / per_s)))


class Memory:
    """The counters of this process."""

    def __init__(self, most: int = MOST_COUNTERS) -> None:
        self._most = most
        self._counters: OrderedDict[str, _Counter] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counters)

    def take(self, limit: Limit, who: str, cost: int, now_s: float) -> tuple[bool, Window]:
        """Count so much, unless it would be too much: whether it was, and what is counted now."""
        amount, window_s = limit
        counter = self._counters.get(who)
        if counter is None:
            counter = self._counters[who] = _Counter(now_s)
            if len(self._counters) > self._most:
                self._counters.popitem(last=False)
        else:
            self._counters.move_to_end(who)
            if now_s - counter.began_s >= window_s:
                counter.shift(window_s, now_s)
        left_s = window_s - (now_s - counter.began_s)
        granted = math.floor(counter.previous * left_s / window_s) + counter.current + cost <= amount
        if granted:
            counter.current += cost
        return granted, Window(amount, window_s, counter.previous, left_s, counter.current, left_s + window_s)

    def give_back(self, who: str, cost: int) -> None:
        """What was taken a moment ago."""
        self._counters[who].current -= cost


@dataclass(slots=True)
class _Counter:
    began_s: float
    previous: int = 0
    current: int = 0

    def shift(self, window_s: int, now_s: float) -> None:
        """The window is over, or more than one."""
        if now_s - self.began_s >= 2 * window_s:
            self.began_s, self.previous, self.current = now_s, 0, 0
        else:
            self.began_s, self.previous, self.current = self.began_s + window_s, self.current, 0


class Shared(Protocol):
    """Counters that several instances have in common: `shared_limits.RedisCounters`."""

    async def take(self, limit: Limit, who: str, cost: int) -> tuple[bool, Window] | None:
        """As `Memory.take`; None if that cannot be told in time."""
        ...


_Cost = tuple[Limit, str, int, str]
"""Under which limit, by whom, how much, and of what."""


class Limiter:
    """All limits of a server."""

    def __init__(self, shared: Shared | None = None) -> None:
        self._memory = Memory()
        self._shared = shared
        self._active: dict[str, int] = {}

    async def request(self, caller: Caller) -> Window | None:
        """Count a request: what is left for the next; None if there is no limit. RateLimited if it is one too many."""
        return await self._take(_of_request(caller))

    async def characters(self, caller: Caller, count: int) -> Window | None:
        """Count characters to be spoken; else as `request`. InvalidRequest if there are more than are ever allowed."""
        return await self._take(_of_characters(caller, count))

    def both(self, caller: Caller, count: int, *, or_none: bool = False) -> Window | None:
        """`request` and `characters`, for an instance that is `alone`: the limit nearer its end; nothing is awaited.

        With `or_none`, a request whose characters are too many is not counted either.
        """
        window = self._settle(_of_request(caller), None)
        try:
            return nearer(window, self._settle(_of_characters(caller, count), None))
        except TTSError:
            if or_none and window is not None:
                self._memory.give_back(caller.id, 1)
            raise

    @property
    def alone(self) -> bool:
        """Whether no other instance counts with this one."""
        return self._shared is None

    def enter(self, caller: Caller) -> None:
        """A request begins to be served, and `leave` must follow. RateLimited, and none, if it is one too many."""
        most = caller.may.concurrent
        active = self._active.get(caller.id, 0)
        if most is not None and active >= most:
            raise RateLimited(
                f"{most} of your requests are being served, which is as many as may be at once",
                retry_after_s=BUSY_RETRY_S,
            )
        self._active[caller.id] = active + 1

    def leave(self, caller: Caller) -> None:
        """It has been served, or given up."""
        active = self._active[caller.id] - 1
        if active:
            self._active[caller.id] = active
        else:
            del self._active[caller.id]

    async def _take(self, cost: _Cost | None) -> Window | None:
        shared = None if cost is None or self._shared is None else await self._shared.take(*cost[:3])
        return self._settle(cost, shared)

    def _settle(self, cost: _Cost | None, shared: tuple[bool, Window] | None) -> Window | None:
        """What is left, by what was said of it elsewhere, or else by memory. RateLimited if it was too much."""
        if cost is None:
            return None
        limit, who, amount, what = cost
        granted, window = shared or self._memory.take(limit, who, amount, time.monotonic())
        if granted:
            return window
        wait_s = max(0.001, window.wait_s(amount))
        raise RateLimited(
            f"too many {what}: {limit.amount} may come in {limit.window_s} s; come back in {wait_s:.1f} s",
            retry_after_s=wait_s,
            headers=window.headers(),
        )


def nearer(one: Window | None, other: Window | None) -> Window | None:
    """The limit that is nearest to its end, which is the one that callers are told of."""
    if one is None or other is None:
        return one or other
    return other if other.remaining * one.limit < one.remaining * other.limit else one


def _of_request(caller: Caller) -> _Cost | None:
    may = caller.may
    if may.requests_per_s is None:
        return None
    return limit_of_requests(may.requests_per_s, may.burst), caller.id, 1, "requests"


def _of_characters(caller: Caller, count: int) -> _Cost | None:
    amount = caller.may.characters_per_min
    if amount is None:
        return None
    if count > amount:
        raise InvalidRequest(
            f"the text has {count} characters, and you may have {amount} spoken in a minute", code="input_too_long"
        )
    return Limit(amount, CHARACTERS_WINDOW_S), f"{caller.id}/characters", count, "characters"

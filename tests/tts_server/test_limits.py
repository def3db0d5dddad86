"""How much callers may take: counted exactly, told truly, shared through Redis, and never at the mercy of it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from tests.strategies import floats
from tests.tts_server.redis_server import RedisServer, needs_redis, redis_server
from tts_server import shared_limits
from tts_server.caller import TIERS, Caller, Tier, as_written
from tts_server.config import Settings
from tts_server.config_sources import ConfigError, load
from tts_server.errors import InvalidRequest, RateLimited
from tts_server.limits import Limit, Limiter, Memory, Window, limit_of_requests
from tts_server.shared_limits import RedisCounters

PATIENCE_S = 30


def _caller(name: str = "ann", **may: float) -> Caller:
    return Caller(f"key:{name}", "standard", Tier.model_validate(may))


async def _granted(calls: int, take: Callable[[], Awaitable[object]]) -> int:
    """How many of so many at once are let in."""
    answers = await asyncio.gather(*(take() for _ in range(calls)), return_exceptions=True)
    assert all(isinstance(answer, Window | RateLimited) for answer in answers), answers
    return sum(isinstance(answer, Window) for answer in answers)


# --- tiers ----------------------------------------------------------------------------------------------------------


def test_what_a_tier_does_not_say_is_as_it_was_and_a_new_one_is_like_standard() -> None:
    written = {"standard": {"burst": 3}, "gold": {"priority": 0, "concurrent": "none"}}
    tiers = Settings.model_validate({"tiers": written}).tiers
    assert tiers["vip"] == TIERS["vip"]
    assert tiers["standard"] == TIERS["standard"].model_copy(update={"burst": 3})
    assert tiers["gold"] == TIERS["standard"].model_copy(update={"priority": 0, "concurrent": None})
    assert json.loads(as_written(tiers)) == written
    assert Settings.model_validate({"tiers": as_written(tiers)}).tiers == tiers


@pytest.mark.parametrize(
    "written",
    [
        "many",
        "[]",
        '{"vip": 5}',
        '{"vip": {"burst": 0}}',
        '{"vip": {"bursts": 1}}',
        '{"VIP!": {}}',
        '{"vip": {"priority": 10}}',
    ],
)
def test_tiers_that_will_not_do_are_told(written: str) -> None:
    with pytest.raises(ConfigError, match="tiers"):
        load({"TTS_TIERS": written}, {})


@pytest.mark.parametrize(
    ("per_s", "burst", "limit"),
    [
        (10, None, Limit(10, 1)),
        (10, 40, Limit(40, 4)),
        (10, 45, Limit(45, 4)),  # whole seconds
        (0.5, None, Limit(1, 2)),
        (0.1, 3, Limit(3, 30)),
        (0.3, 1, Limit(1, 3)),
        (1.9, None, Limit(2, 1)),
        (3, 4, Limit(4, 1)),
        (1000, 1, Limit(1000, 1)),
    ],
)
def test_a_rate_with_a_burst_is_so_many_in_the_time_that_earns_the_burst(
    per_s: float, burst: int | None, limit: Limit
) -> None:
    assert limit_of_requests(per_s, burst) == limit


# --- memory ---------------------------------------------------------------------------------------------------------

MOVES = st.lists(st.tuples(floats(0, 25), st.integers(1, 12)), max_size=60)


@given(MOVES, st.integers(1, 12))
def test_memory_never_grants_more_than_the_limit_and_says_when_there_will_be_room(
    moves: list[tuple[float, int]], amount: int
) -> None:
    memory, limit, now_s = Memory(), Limit(amount, 10), 1000.0
    for pause_s, cost in moves:
        now_s += pause_s
        granted, window = memory.take(limit, "ann", cost, now_s)
        assert window.counted <= amount
        if granted or cost > amount:
            assert granted == (cost <= amount)
            continue
        wait_s = window.wait_s(cost)
        assert 0 <= wait_s <= 20
        assert window.counted + cost > amount, "refused for want of room alone"
        early, _ = memory.take(limit, "ann", cost, now_s + wait_s * 0.99 - 1e-6) if wait_s > 1e-3 else (False, None)
        assert not early
        now_s += wait_s + 1e-6
        assert memory.take(limit, "ann", cost, now_s)[0], "as promised"


@given(floats(0, 9.99), st.integers(1, 50))
def test_a_pause_of_two_windows_makes_it_whole(began_s: float, amount: int) -> None:
    memory, limit = Memory(), Limit(amount, 10)
    _, window = memory.take(limit, "ann", amount, began_s)
    assert window.remaining == 0
    assert not memory.take(limit, "ann", 1, began_s)[0]
    assert memory.take(limit, "ann", amount, began_s + window.whole_s)[0]


def test_callers_are_counted_apart_and_those_who_stay_away_are_forgotten_first() -> None:
    memory, limit = Memory(most=2), Limit(1, 10)
    assert [memory.take(limit, who, 1, 0.0)[0] for who in "aabbab"] == [True, False, True, False, False, False]
    assert memory.take(limit, "c", 1, 0.0)[0]
    assert len(memory) == 2
    assert not memory.take(limit, "b", 1, 0.0)[0]
    assert memory.take(limit, "a", 1, 0.0)[0], "a was the one that had not come for longest"


def test_a_limit_is_told_in_headers() -> None:
    assert Window(40, 4, previous=20, previous_left_s=1.0, current=7, current_left_s=5.2).headers() == {
        "RateLimit-Limit": "40",
        "RateLimit-Remaining": "28",
        "RateLimit-Reset": "6",
        "RateLimit-Policy": "40;w=4",
    }


# --- the limiter ----------------------------------------------------------------------------------------------------


async def test_under_parallel_fire_exactly_as_many_are_let_in_as_may_be() -> None:
    limiter, ann, bob = Limiter(), _caller(requests_per_s=1, burst=60), _caller("bob", requests_per_s=1, burst=60)
    assert await _granted(500, lambda: limiter.request(ann)) == 60
    assert await _granted(500, lambda: limiter.request(bob)) == 60


async def test_who_is_refused_is_told_when_to_come_back_and_loses_nothing_by_asking() -> None:
    limiter, ann = Limiter(), _caller(requests_per_s=0.1, burst=2)
    await limiter.request(ann)
    await limiter.request(ann)
    with pytest.raises(RateLimited) as caught:
        await limiter.request(ann)
    headers = caught.value.headers()
    assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("2", "0")
    assert 10 <= int(headers["Retry-After"]) <= 30
    assert int(headers["retry-after-ms"]) <= 30_000
    assert int(headers["RateLimit-Reset"]) >= int(headers["Retry-After"])
    assert caught.value.body()["error"]["code"] == "rate_limit_exceeded"


async def test_characters_are_counted_beside_requests() -> None:
    limiter, ann = Limiter(), _caller(characters_per_min=100)
    assert await limiter.request(ann) is None
    assert await _granted(50, lambda: limiter.characters(ann, 9)) == 11
    window = await limiter.characters(ann, 1)
    assert window is not None
    assert (window.limit, window.window_s, window.remaining) == (100, 60, 0)


async def test_a_text_longer_than_a_minute_may_have_is_refused_for_good() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await Limiter().characters(_caller(characters_per_min=100), 101)
    assert caught.value.code == "input_too_long"


async def test_without_limits_nothing_is_counted() -> None:
    limiter, ann = Limiter(), _caller()
    assert (await limiter.request(ann), await limiter.characters(ann, 10**9)) == (None, None)
    for _ in range(1000):
        limiter.enter(ann)


def test_so_many_at_once_and_each_that_ends_makes_room() -> None:
    limiter, ann, bob = Limiter(), _caller(concurrent=2), _caller("bob", concurrent=1)
    for caller in (ann, bob, ann):
        limiter.enter(caller)
    with pytest.raises(RateLimited, match="2 of your requests"):
        limiter.enter(ann)
    limiter.leave(ann)
    limiter.enter(ann)
    for caller in (ann, bob, ann):
        limiter.leave(caller)
    assert not limiter._active


# --- Redis ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path, "--unixsocket", str(tmp_path / "redis")) as server:
        yield server


@pytest.fixture
async def instances(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Limiter]]:
    """The limiters of three servers that share a Redis; on this machine, which may be busy, they wait for it."""
    monkeypatch.setattr(shared_limits, "WAIT_S", 10.0)
    monkeypatch.setattr(shared_limits, "AGAIN_S", 10.0)
    counters = [RedisCounters(redis.url) for _ in range(3)]
    yield [Limiter(shared) for shared in counters]
    for shared in counters:
        await shared.close()


@needs_redis
async def test_instances_that_share_redis_let_in_together_exactly_as_many_as_one(instances: list[Limiter]) -> None:
    ann = _caller(requests_per_s=1, burst=60)
    granted = await asyncio.gather(
        *(_granted(100, lambda instance=instance: instance.request(ann)) for instance in instances)  # type: ignore[misc]
    )
    assert sum(granted) == 60
    assert min(granted) > 0
    with pytest.raises(RateLimited) as caught:
        await instances[0].request(ann)
    assert caught.value.headers()["RateLimit-Remaining"] == "0"
    assert 60 <= int(caught.value.headers()["Retry-After"]) <= 62


@needs_redis
async def test_characters_are_shared_as_well(instances: list[Limiter]) -> None:
    ann = _caller(characters_per_min=100)
    first, second, third = instances
    await first.characters(ann, 60)
    window = await second.characters(ann, 30)
    assert window is not None
    assert window.remaining == 10
    with pytest.raises(RateLimited):
        await third.characters(ann, 11)
    await third.characters(ann, 10)


@pytest.fixture
async def impatient(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Limiter, RedisServer]]:
    """A limiter that looks often whether Redis is back, and has been served by it."""
    monkeypatch.setattr(shared_limits, "AGAIN_S", 0.05)
    shared = RedisCounters(redis.url)
    limiter = Limiter(shared)
    await _until_shared(limiter)
    yield limiter, redis
    await shared.close()


async def _until_shared(limiter: Limiter) -> None:
    """Requests until Redis has counted one in time: the last of them, and none before."""
    shared = limiter._shared
    assert isinstance(shared, RedisCounters)
    async with asyncio.timeout(PATIENCE_S):
        while await shared.take(Limit(1000, 1), "probe", 1) is None:  # noqa: ASYNC110  (a Redis rings no bell)
            await asyncio.sleep(0.01)


async def _is_limited_without_it(limiter: Limiter) -> None:
    assert await _granted(100, lambda: limiter.request(_caller("bob", requests_per_s=0.1, burst=20))) == 20


@needs_redis
async def test_a_redis_that_dies_costs_nobody_an_answer_and_comes_back_by_itself(
    impatient: tuple[Limiter, RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    limiter, server = impatient
    caplog.set_level("INFO")
    server.kill()
    await _is_limited_without_it(limiter)
    server.start()
    await _until_shared(limiter)
    told = [record.message for record in caplog.records]
    assert told.count("limits are counted by this instance alone: no Redis") == 1
    assert told[-1] == "limits are shared again"


@needs_redis
async def test_a_redis_that_stands_still_is_not_waited_for(
    impatient: tuple[Limiter, RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter, server = impatient
    monkeypatch.setattr(shared_limits, "AGAIN_S", 3600.0)
    server.tell(signal.SIGSTOP)
    await _is_limited_without_it(limiter)
    shared = limiter._shared
    assert isinstance(shared, RedisCounters)
    asked = len(shared._asking)
    await _granted(1000, lambda: limiter.request(_caller("carl", requests_per_s=1000)))
    assert len(shared._asking) <= asked, "nobody waits for it, so it may stand still for ever"
    monkeypatch.setattr(shared_limits, "AGAIN_S", 0.05)
    shared._again_s = time.monotonic()
    server.tell(signal.SIGCONT)
    await _until_shared(limiter)


@needs_redis
async def test_a_full_or_confused_redis_is_done_without(impatient: tuple[Limiter, RedisServer]) -> None:
    limiter, server = impatient
    async with Redis(port=server.port) as client:
        await client.config_set("maxmemory", "1")
        await _is_limited_without_it(limiter)
        await client.config_set("maxmemory", "0")
        await _until_shared(limiter)
        for key in await client.keys("*"):
            async with client.pipeline(transaction=True) as both:
                both.delete(key)
                both.rpush(key, "not", "a", "number")
                await both.execute()
        await limiter.request(_caller(requests_per_s=1000))


@needs_redis
@pytest.mark.usefixtures("redis")
async def test_a_redis_may_be_at_a_socket(tmp_path: Path) -> None:
    shared = RedisCounters(f"unix://{tmp_path / 'redis'}")
    await _until_shared(Limiter(shared))
    await shared.close()


async def test_a_redis_that_was_never_there_keeps_nobody_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shared = RedisCounters(f"redis://127.0.0.1:{port}")
    await _is_limited_without_it(Limiter(shared))
    await shared.close()

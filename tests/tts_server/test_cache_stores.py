"""The two stores of the cache: memory, and Redis, which may be wrong in every way."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from tests.tts_server.redis_server import RedisServer, needs_redis, redis_server, settled
from tts_server.cache import ENTRY_BYTES, LARGEST_SHARE, MemoryCache, key
from tts_server.cache_redis import (
    FAILURES,
    FIRST_PAUSE_S,
    LARGEST_BYTES,
    LONGEST_PAUSE_S,
    PREFIX,
    Circuit,
    RedisCache,
    seal,
    unseal,
)

# --- memory -----------------------------------------------------------------------------------------------------------

BOUND = 20 * ENTRY_BYTES
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["keep", "recall", "forget"]), st.integers(0, 30), st.integers(0, 4 * ENTRY_BYTES))
)


@given(OPERATIONS)
def test_memory_is_bounded_and_forgets_what_was_longest_not_asked_for(operations: list[tuple[str, int, int]]) -> None:
    cache = MemoryCache(BOUND)
    model: OrderedDict[str, bytes] = OrderedDict()
    for operation, number, size in operations:
        name, value = str(number), bytes([number]) * size
        match operation:
            case "keep":
                model.pop(name, None)
                if fits := (size + ENTRY_BYTES) * LARGEST_SHARE <= BOUND:
                    model[name] = value
                    while sum(len(held) + ENTRY_BYTES for held in model.values()) > BOUND:
                        model.popitem(last=False)
                assert cache.keep(name, value) is fits
            case "recall":
                assert cache.recall(name) == model.get(name)
                if name in model:
                    model.move_to_end(name)
            case _:
                assert cache.forget(name) is (model.pop(name, None) is not None)
        assert cache.held_bytes == sum(len(held) + ENTRY_BYTES for held in model.values()) <= BOUND
        assert [one for one in map(str, range(31)) if one in cache] == [
            one for one in map(str, range(31)) if one in model
        ]


async def test_memory_is_a_store_for_aiocache() -> None:
    cache = MemoryCache(1 << 20)
    assert await cache.get("a") is None
    await cache.set("a", b"1")
    await cache.set("b", b"2")
    assert (await cache.get("a"), await cache.get("b"), await cache.exists("a")) == (b"1", b"2", True)
    assert await cache.delete("a") == 1
    assert not await cache.exists("a")
    await cache.clear()
    assert cache.held_bytes == 0


def test_a_bound_of_nothing_keeps_nothing() -> None:
    assert not MemoryCache(0).keep("a", b"")


def test_keys_differ_where_anything_does() -> None:
    parts: list[tuple[str | float | bytes, ...]] = [
        *(("a", "b"), ("ab",), ("a", "b", ""), ("", "a", "b"), (b"a", b"b"), ("b", "a")),
        *((1.0,), (1,), ("1.0",), ("\ud800",)),
    ]
    keys = [key("line", *one) for one in parts] + [key("text", *parts[0])]
    assert len(set(keys)) == len(keys)
    assert keys[0] == key("line", *parts[0])


# --- Redis, alone -----------------------------------------------------------------------------------------------------


@given(st.text(), st.binary())
def test_a_seal_fits_its_key_and_value_alone(name: str, value: bytes) -> None:
    sealed = seal(name, value)
    assert unseal(name, sealed) == value
    assert unseal(f"{name}x", sealed) is None
    assert unseal(name, sealed + b"x") is None
    assert unseal(name, sealed[:-1]) is None
    for place in {0, len(sealed) // 2, len(sealed) - 1}:
        changed = bytearray(sealed)
        changed[place] ^= 1
        assert unseal(name, bytes(changed)) is None


def test_who_does_not_answer_is_left_alone_longer_and_longer() -> None:
    now_s = 0.0
    circuit = Circuit("test", lambda: now_s)
    for _ in range(FAILURES):
        assert circuit.lets_pass()
        circuit.failed(TimeoutError())
    pauses = []
    for _ in range(8):
        since_s = now_s
        while not circuit.lets_pass():
            now_s += FIRST_PAUSE_S / 4
        pauses.append(now_s - since_s)
        assert not circuit.lets_pass(), "one tries, the others wait for what it meets"
        circuit.failed(TimeoutError())
        circuit.failed(TimeoutError())  # of one who asked before
    assert pauses == [FIRST_PAUSE_S * 2**n for n in range(6)] + [LONGEST_PAUSE_S] * 2
    now_s += LONGEST_PAUSE_S
    assert circuit.lets_pass()
    now_s += LONGEST_PAUSE_S  # that one left without a word
    assert circuit.lets_pass()
    circuit.succeeded()
    assert all(circuit.lets_pass() for _ in range(5))


def test_one_late_answer_is_no_reason_to_stop_asking() -> None:
    circuit = Circuit("test", lambda: 0.0)
    for _ in range(5 * FAILURES):
        circuit.failed(TimeoutError())
        circuit.succeeded()
    assert circuit.lets_pass()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


class Counted(RedisCache):
    """With what was counted."""

    def __init__(self, url: str) -> None:
        self.results: list[str] = []
        super().__init__(url, ttl_s=100, count=lambda _, result: self.results.append(result))


async def found(cache: Counted, name: str) -> bytes | None:
    """What it finds when it is given the time: an event loop that is late is not what is tested."""
    for _ in range(1000):
        value: bytes | None = await cache.get(name)
        if cache.results[-1] in {"hit", "miss", "corrupt"}:
            return value
        await asyncio.sleep(0.02)
    raise AssertionError("redis does not answer")


@pytest.fixture
async def shared(redis: RedisServer) -> AsyncIterator[Counted]:
    cache = Counted(redis.url)
    cache.start()
    yield cache
    await cache.close()


@needs_redis
async def test_redis_keeps_what_it_is_given_and_for_how_long(shared: Counted, redis: RedisServer) -> None:
    assert await found(shared, "line:1") is None
    await shared.set("line:1", b"abc")
    shared.keep("line:2", b"")
    shared.keep("line:3", bytes(LARGEST_BYTES))
    shared.keep("line:4", bytes(LARGEST_BYTES + 1))
    await settled(shared)
    assert [await found(shared, f"line:{n}") for n in (1, 2, 3, 4)] == [b"abc", b"", bytes(LARGEST_BYTES), None]
    async with Redis.from_url(redis.url) as client:
        assert 90_000 < await client.pttl(f"{PREFIX}line:1") <= 100_000


@needs_redis
async def test_what_others_put_there_is_not_taken_for_ours(shared: Counted, redis: RedisServer) -> None:
    shared.keep("line:a", b"a")
    await settled(shared)
    async with Redis.from_url(redis.url) as client:
        sealed = await client.get(f"{PREFIX}line:a")
        assert isinstance(sealed, bytes)
        for number, wrong in enumerate([sealed, sealed[:-1], sealed + b"x", b"tts1", b"x", b"x" * 3 * LARGEST_BYTES]):
            await client.set(f"{PREFIX}line:b{number}", wrong)
            assert await found(shared, f"line:b{number}") is None
            assert shared.results[-1] == "corrupt"
        await client.rpush(f"{PREFIX}line:c", "a list")
        assert await found(shared, "line:c") is None
        assert shared.results[-1] == "corrupt"
    assert await found(shared, "line:a") == b"a"


@needs_redis
async def test_who_leaves_in_the_middle_of_an_answer_spoils_no_other(shared: Counted) -> None:
    for number in range(64):
        shared.keep(f"line:{number}", b"%d" % number)
    await settled(shared)
    for steps in range(6):
        leaving = [asyncio.create_task(shared.get(f"line:{number}")) for number in range(64)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        assert [await found(shared, f"line:{number}") for number in range(64)] == [b"%d" % n for n in range(64)]


async def test_a_redis_that_is_not_there_is_asked_seldom() -> None:
    cache = Counted("redis://127.0.0.1:1/0")
    cache.start()
    for number in range(200):
        assert await cache.get(f"line:{number}") is None
        cache.keep(f"line:{number}", b"x")
    assert cache.results.count("failed") < 20
    assert cache.results[-1] == "skipped"
    await cache.close()

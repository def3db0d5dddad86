"""The gateway with its cache: what was said before, what is asked for by many at once, and Redis in trouble."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from inference.frontend.reading import read
from inference.protocol import Line, Script, timing
from inference.script import write_script
from inference.utterance import Manner, Utterance
from tests.engines import RAISE, RATE_HZ, SLOW, load_autoregressive, load_tone, tone
from tests.tts_server.redis_server import RedisServer, needs_redis, redis_server, settled
from tests.tts_server.test_gateway import LONG, ask, assert_nothing_is_left, expected, hear, pids, running
from tts_server import cache_redis
from tts_server.cache import Cache
from tts_server.cache_redis import PREFIX
from tts_server.config import Settings
from tts_server.errors import DeadlineExceeded, EngineFailed, InvalidRequest, TTSError
from tts_server.gateway import SpeechGateway
from tts_server.job import Job, JobState
from tts_server.metrics import Metrics
from tts_server.speech import SpeechRequest, Voice
from tts_server.take import Take, Takes

MIB = 1 << 20
pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- the gateway ------------------------------------------------------------------------------------------------------

_numbers = itertools.count()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SpeechGateway]:
    async with running(voices_dir, tmp_path_factory.mktemp("cache"), cache_bytes=64 * MIB, hang_s=10.0) as gateway:
        yield gateway


def unheard(words: str = "第一句话。Here is another. 还有一句？") -> str:
    """A text whose first line is new."""
    return f"{next(_numbers)}号。{words}"


def unheard_lines(count: int) -> str:
    """A text of which no line was heard before."""
    return "".join(unheard("") for _ in range(count))


def made(gateway: SpeechGateway) -> int:
    """Lines that workers have spoken."""
    found = gateway.metrics.registry.get_sample_value("tts_inference_seconds_count", {"engine": "standard"})
    return int(found or 0)


async def reuse_of(gateway: SpeechGateway, request: SpeechRequest) -> str:
    async with gateway.speak(request) as speech:
        np.testing.assert_array_equal(np.concatenate([pcm async for pcm in speech]), expected(request))
        return speech.reuse


def assert_all_is_settled(gateway: SpeechGateway) -> None:
    assert_nothing_is_left(gateway)
    for takes in gateway._takes.values():
        assert (takes.under_way, takes._open) == ({}, set())


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_was_said_before_is_said_again_without_a_worker(gateway: SpeechGateway, streamed: bool) -> None:
    text = unheard(LONG)
    assert await reuse_of(gateway, ask(gateway, text)) in {"MISS", "PARTIAL"}  # it repeats itself
    before = made(gateway)
    for pid in pids(gateway):
        os.kill(pid, signal.SIGSTOP)
    assert await reuse_of(gateway, ask(gateway, text, streamed=streamed)) == "HIT"
    for pid in pids(gateway):
        os.kill(pid, signal.SIGCONT)
    assert made(gateway) == before
    assert_all_is_settled(gateway)


async def test_what_the_cache_gives_is_counted(gateway: SpeechGateway) -> None:
    def asked(kind: str, result: str) -> int:
        labels = {"kind": kind, "level": "memory", "result": result}
        return int(gateway.metrics.registry.get_sample_value("tts_cache_requests_total", labels) or 0)

    names = [(kind, result) for kind in ("script", "line") for result in ("hit", "miss")]
    before = [asked(*name) for name in names]
    text = unheard_lines(3)
    for _ in range(2):
        await hear(gateway, ask(gateway, text))
    counted = [asked(*name) - count for name, count in zip(names, before, strict=True)]
    assert counted == [1, 1, 3, 3]
    held = gateway.metrics.registry.get_sample_value("tts_cache_bytes")
    assert held == gateway.cache.memory.held_bytes > 0


async def test_texts_that_share_sentences_share_work(gateway: SpeechGateway) -> None:
    first, second, third = (unheard("") for _ in range(3))
    assert await reuse_of(gateway, ask(gateway, first + second)) == "MISS"
    before = made(gateway)
    assert await reuse_of(gateway, ask(gateway, third + second)) == "PARTIAL"
    assert made(gateway) == before + 1
    # the worker that reads a text has spoken its first line before it can be told that we have it
    assert await reuse_of(gateway, ask(gateway, second + first)) == "HIT"
    assert made(gateway) <= before + 2
    assert_all_is_settled(gateway)


@pytest.mark.parametrize(
    "change",
    [
        {"speaker": "male"},
        {"speed": 1.5},
        {"volume": 0.5},
        {"pitch_semitones": 1.0},
    ],
)
async def test_what_sounds_another_way_is_made_anew(gateway: SpeechGateway, change: dict[str, Any]) -> None:
    text = unheard()
    await reuse_of(gateway, ask(gateway, text))
    assert await reuse_of(gateway, ask(gateway, text, **change)) == "MISS"


async def test_who_wants_nothing_reused_gets_his_own_and_leaves_nothing(gateway: SpeechGateway) -> None:
    text = unheard_lines(4)
    for kept_before in (False, True):
        before = made(gateway), gateway.cache.memory.held_bytes
        both = [ask(gateway, text, may_reuse=False) for _ in range(2)]
        assert await asyncio.gather(*(reuse_of(gateway, request) for request in both)) == ["MISS", "MISS"]
        assert (made(gateway), gateway.cache.memory.held_bytes) == (before[0] + 8, before[1])
        await reuse_of(gateway, ask(gateway, text))
        assert kept_before or made(gateway) == before[0] + 12
    assert_all_is_settled(gateway)


@pytest.mark.parametrize("load", [load_tone, load_autoregressive])
async def test_a_thousand_who_ask_for_the_same_have_it_made_once(voices_dir: Path, tmp_path: Path, load: Any) -> None:
    async with running(voices_dir, tmp_path, load, cache_bytes=16 * MIB) as gateway:
        text = unheard()
        requests = [ask(gateway, text, streamed=number % 2 == 0) for number in range(1000)]
        reuses = await asyncio.gather(*(reuse_of(gateway, request) for request in requests))
        audio_s = gateway.metrics.registry.get_sample_value("tts_audio_seconds_total", {"engine": "standard"})
        spoken = sum(len(tone(Utterance(line.phones, Manner("female")))) for line in write_script(text, read).lines)
        assert audio_s == pytest.approx(spoken / RATE_HZ)
        assert reuses.count("MISS") == 1
        assert_all_is_settled(gateway)


async def test_when_who_asked_first_leaves_the_others_are_served(gateway: SpeechGateway) -> None:
    for steps in range(12):
        text = unheard(LONG)
        requests = [ask(gateway, text, pitch_semitones=SLOW, streamed=True) for _ in range(6)]
        tasks = [asyncio.create_task(hear(gateway, request)) for request in requests]
        for _ in range(steps):
            await asyncio.sleep(0.002 * steps)
        for task in tasks[:3]:
            task.cancel()
        for request, task in zip(requests[3:], tasks[3:], strict=True):
            np.testing.assert_array_equal(await task, expected(request))
        await asyncio.gather(*tasks, return_exceptions=True)
        assert_all_is_settled(gateway)


async def test_when_all_have_left_nothing_goes_on(gateway: SpeechGateway) -> None:
    text = unheard(LONG)
    tasks = [asyncio.create_task(hear(gateway, ask(gateway, text, pitch_semitones=SLOW))) for _ in range(20)]
    await hear(gateway, ask(gateway, unheard()))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert_all_is_settled(gateway)


async def test_each_has_a_deadline_of_his_own(gateway: SpeechGateway) -> None:
    text = unheard(LONG)
    request = ask(gateway, text, pitch_semitones=SLOW)
    patient = asyncio.create_task(hear(gateway, request))
    with pytest.raises(DeadlineExceeded):
        await hear(gateway, ask(gateway, text, pitch_semitones=SLOW, deadline_s=0.005))
    np.testing.assert_array_equal(await patient, expected(request))
    assert_all_is_settled(gateway)


async def test_what_fails_fails_for_all_who_wait_and_is_not_kept(gateway: SpeechGateway) -> None:
    text = unheard()
    before = gateway.cache.memory.held_bytes
    ends = await asyncio.gather(
        *(hear(gateway, ask(gateway, text, pitch_semitones=RAISE)) for _ in range(50)), return_exceptions=True
    )
    assert {type(end) for end in ends} == {EngineFailed}
    assert len({id(end) for end in ends}) == 50
    ends = await asyncio.gather(*(hear(gateway, ask(gateway, "☃")) for _ in range(50)), return_exceptions=True)
    assert {type(end) for end in ends} == {InvalidRequest}
    assert gateway.cache.memory.held_bytes == before
    assert_all_is_settled(gateway)


async def test_what_was_cut_short_is_not_kept(gateway: SpeechGateway) -> None:
    text = unheard(LONG)
    for _ in range(3):
        async with gateway.speak(ask(gateway, text, pitch_semitones=SLOW, streamed=True)) as speech:
            await anext(aiter(speech))
    request = ask(gateway, text, pitch_semitones=SLOW)
    np.testing.assert_array_equal(await hear(gateway, request), expected(request))


async def test_who_matters_more_hurries_what_waits(gateway: SpeechGateway) -> None:
    """A caller of low priority asked first; the same, asked for by one of high priority, passes what is in between."""
    texts = [unheard_lines(10) for _ in range(12)]
    crowd = [asyncio.create_task(hear(gateway, ask(gateway, text, pitch_semitones=SLOW))) for text in texts]
    await asyncio.sleep(0)
    text = unheard("好。")
    low = asyncio.create_task(hear(gateway, ask(gateway, text, priority=9)))
    await asyncio.sleep(0)
    request = ask(gateway, text, priority=0, streamed=True)
    np.testing.assert_array_equal(await hear(gateway, request), expected(request))
    np.testing.assert_array_equal(await low, expected(request))
    assert not all(task.done() for task in crowd)
    await asyncio.gather(*crowd)
    assert_all_is_settled(gateway)


async def test_a_cache_too_small_for_anything_changes_no_sample(voices_dir: Path, tmp_path: Path) -> None:
    for size in (1, 3_000, 60_000):
        async with running(voices_dir, tmp_path, cache_bytes=size) as gateway:
            requests = [ask(gateway, text) for text in (LONG, "好。", LONG, "好。好。好。", LONG)] * 3
            heard = await asyncio.gather(*(hear(gateway, request) for request in requests))
            for request, audio in zip(requests, heard, strict=True):
                np.testing.assert_array_equal(audio, expected(request))
            assert gateway.cache.memory.held_bytes <= size
            assert_all_is_settled(gateway)


async def test_workers_that_die_leave_nothing_wrong_in_the_cache(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, load_autoregressive, cache_bytes=16 * MIB, hang_s=30.0) as gateway:
        rng = random.Random(5)
        for _ in range(4):
            texts = [unheard_lines(8) for _ in range(6)]
            requests = [ask(gateway, text, speed=rng.choice([1.0, 1.5])) for text in texts * 3]
            tasks = [asyncio.create_task(hear(gateway, request)) for request in requests]
            await asyncio.sleep(0.01)
            os.kill(killed := rng.choice(pids(gateway)), signal.SIGKILL)
            for request, task in zip(requests, tasks, strict=True):
                np.testing.assert_array_equal(await task, expected(request))
            await _until(lambda killed=killed: killed not in pids(gateway) and len(pids(gateway)) == 2)
        assert_all_is_settled(gateway)


# --- the gateway with Redis -------------------------------------------------------------------------------------------


@needs_redis
async def test_what_one_server_said_another_need_not_make(voices_dir: Path, tmp_path: Path, redis: RedisServer) -> None:
    text = unheard(LONG)
    async with running(voices_dir, tmp_path, redis_url=redis.url, cache_bytes=MIB) as first:
        await hear(first, ask(first, text))
        assert first.cache.redis is not None
        await settled(first.cache.redis)
    async with running(voices_dir, tmp_path, redis_url=redis.url, cache_bytes=MIB) as second:
        requests = [ask(second, text, streamed=streamed) for streamed in (False, True)] * 10
        for request in requests:
            await reuse_of(second, request)
        while await reuse_of(second, ask(second, text)) != "HIT":  # should the event loop have been late for one
            pass
        assert made(second) < made(first) / 2
        assert_all_is_settled(second)


async def _crowd(gateway: SpeechGateway, texts: list[str], stop: asyncio.Event, rng: random.Random) -> int:
    """Ask for this and that until told to stop; every sample is checked."""
    asked = 0
    while not stop.is_set():
        request = ask(gateway, rng.choice(texts), speed=rng.choice([1.0, 1.25]), streamed=rng.random() < 0.5)
        np.testing.assert_array_equal(await hear(gateway, request), expected(request))
        asked += 1
    return asked


@needs_redis
@pytest.mark.parametrize("trouble", ["killed", "stopped", "full", "poisoned"])
async def test_no_caller_notices_what_redis_does(
    voices_dir: Path, tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A crowded machine answers late, and then it would hardly be asked at all.
    monkeypatch.setattr(cache_redis, "ANSWER_S", 0.1)
    monkeypatch.setattr(cache_redis, "LONGEST_PAUSE_S", 0.5)
    with redis_server(tmp_path) as server:
        # no memory to speak of: every line is asked of Redis
        async with running(voices_dir, tmp_path, redis_url=server.url, cache_bytes=1) as gateway:
            texts = [unheard(f"{n}个。好，{n}。") for n in range(20)]
            stop = asyncio.Event()
            crowd = [asyncio.create_task(_crowd(gateway, texts, stop, random.Random(seed))) for seed in range(8)]
            count = _results(gateway)
            await _until(lambda: count("hit") > 20)
            await _TROUBLES[trouble](server, gateway)
            for again in ("hit", "hit"):  # and it comes back by itself
                seen = count(again)
                await _until(lambda seen=seen, again=again: count(again) > seen + 5)
            stop.set()
            assert sum(await asyncio.gather(*crowd)) > 0
            assert gateway.metrics.registry.get_sample_value("tts_jobs_total", {"outcome": "failed"}) == 0
            assert_all_is_settled(gateway)


def _results(gateway: SpeechGateway) -> Any:
    value = gateway.metrics.registry.get_sample_value

    def count(result: str) -> float:
        kinds = ("line", "script")
        labels = [{"kind": kind, "level": "redis", "result": result} for kind in kinds]
        return sum(value("tts_cache_requests_total", label) or 0.0 for label in labels)

    return count


async def _until(fact: Any) -> None:
    async with asyncio.timeout(180):  # on a crowded machine Redis is often too slow to be asked
        while not fact():  # noqa: ASYNC110  (counters have no event)
            await asyncio.sleep(0.01)


async def _killed(server: RedisServer, gateway: SpeechGateway) -> None:
    await asyncio.to_thread(server.kill)
    await _until(lambda: _results(gateway)("skipped") > 20)
    await asyncio.to_thread(server.start)


async def _stopped(server: RedisServer, gateway: SpeechGateway) -> None:
    server.tell(signal.SIGSTOP)
    await _until(lambda: _results(gateway)("skipped") > 20)
    server.tell(signal.SIGCONT)


async def _full(server: RedisServer, gateway: SpeechGateway) -> None:
    async with Redis.from_url(server.url) as client:
        await client.config_set("maxmemory", "1")
        await client.config_set("maxmemory-policy", "noeviction")
        await client.flushall()
        missed = _results(gateway)("miss")
        await _until(lambda: _results(gateway)("miss") > missed + 40)
        assert await client.dbsize() == 0
        await client.config_set("maxmemory", "0")


async def _poisoned(server: RedisServer, gateway: SpeechGateway) -> None:
    async with Redis.from_url(server.url) as client:
        names = [name async for name in client.scan_iter(f"{PREFIX}*")]
        values = await client.mget(names)
        for name, value in zip(names, values[1:] + values[:1], strict=True):  # each has another's
            await client.set(name, value or b"")
    await _until(lambda: _results(gateway)("corrupt") > 5)


_TROUBLES = {"killed": _killed, "stopped": _stopped, "full": _full, "poisoned": _poisoned}


class _Pool:
    """Takes jobs, and lets the test be the worker."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    def cancel(self, job: Job) -> None:
        if job.live:
            job.move(JobState.CANCELLED)


class _Waiting:
    def read(self, script: Script, first: Take | None) -> None:
        del script
        assert first is not None
        first.join(self)
        first.start(self, due_s=0.0, urgent=True, priority=0)
        self.take = first

    def heard(self, infer_s: float) -> None:
        pass

    def failed(self, error: TTSError) -> None:
        raise error


async def test_a_line_that_was_begun_is_not_begun_again_by_another_text_that_starts_with_it() -> None:
    cache, pool = Cache(Settings(cache_bytes=MIB), Metrics()), _Pool()
    takes = Takes(pool, cache)  # type: ignore[arg-type]
    voice = Voice("female", "standard", "female", ("zh",), "", RATE_HZ, "fingerprint")
    one, other = SpeechRequest("1", "第一句。二。", voice), SpeechRequest("2", "第一句。三。", voice)
    line, audio = Line(b"aaaa", 0.25), np.arange(1000, dtype=np.int16)

    first = _Waiting()
    take = takes.take(one, takes.of(one), line)
    take.join(first)
    take.start(first, due_s=0.0, urgent=True, priority=0)
    begun = pool.jobs[-1]
    begun.move(JobState.DISPATCHED)
    begun.samples = 300
    take.audio(begun, audio[:300], infer_s=0.0)
    begun.move(JobState.QUEUED)  # its worker has died

    second = _Waiting()
    reading = takes.reading(other)
    reading.join(second)
    reading.start(second, due_s=0.0, urgent=True, priority=0)
    text = pool.jobs[-1]
    text.move(JobState.DISPATCHED)
    reading.script(Script(text.id, 0.0, 0.0, (line,), ()))
    assert second.take is take
    assert text.state is JobState.CANCELLED

    begun.move(JobState.DISPATCHED)
    begun.move(JobState.DONE)
    take.audio(begun, audio[300:], infer_s=0.0)
    np.testing.assert_array_equal(np.concatenate(take.pieces), audio)
    assert cache.recall(take.key) == audio.tobytes() + timing(), "and no engine has told when its phones end"

"""The gateway with real worker processes, whose engines say exactly what they were asked."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import types
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import psutil
import pytest
import pytest_asyncio

from inference import protocol
from inference.cores import usable_cores
from inference.utterance import Manner
from inference.zygote import Zygote
from shm import segment
from shm.channel import Channel
from shm.segment import PREFIX
from tests.engines import CRASH, HANG, RAISE, SLOW, load_autoregressive, load_tone, whole
from tts_server import pool as pools
from tts_server.config import Settings
from tts_server.errors import (
    DeadlineExceeded,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    QueueFull,
    ShuttingDown,
)
from tts_server.gateway import SpeechGateway
from tts_server.job import Job
from tts_server.metrics import OUTCOMES, Metrics
from tts_server.router import Local, Router
from tts_server.speech import Pcm, Speech, SpeechRequest

LONG = "第一句话。第二句话在这里。And here is the third. 最后还有第四句，它稍微长一点。" * 4
pytestmark = pytest.mark.asyncio(loop_scope="module")
LOADERS = {"parallel": load_tone, "autoregressive": load_autoregressive}


class Counted(SpeechGateway):
    """With a router in front, as in a server: it counts what becomes of requests."""

    def __init__(self, settings: Settings, metrics: Metrics, *, load: Any) -> None:
        super().__init__(settings, metrics, load=load)
        self._router = Router(settings, metrics, cast("Local", super()), cpu_share=lambda: 0.0)

    async def start(self) -> None:
        await self._router.start()

    async def stop(self) -> None:
        await self._router.stop()

    def speak(self, request: SpeechRequest) -> AbstractAsyncContextManager[Speech]:
        return self._router.speak(request)


@asynccontextmanager
async def running(
    voices_dir: Path, tmp_path: Path, load: Any = load_tone, **changes: Any
) -> AsyncIterator[SpeechGateway]:
    settings = Settings(
        **{
            "engines": ("standard",),
            "workers": 2,
            "voices_dir": voices_dir,
            "cache_dir": tmp_path,
            "cache_bytes": 0,  # everything is to be made here; test_cache.py is about the rest
            "hang_s": 1.0,
            "start_timeout_s": 120.0,
            "express_workers": 0,  # whether or not there are keys on this machine
            **changes,
        }
    )
    gateway = Counted(settings, Metrics(), load=load)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SpeechGateway]:
    async with running(voices_dir, tmp_path_factory.mktemp("cache")) as gateway:
        yield gateway


@pytest.fixture
def gateway(shared: SpeechGateway) -> Iterator[SpeechGateway]:
    """The one that all well-behaved tests share, with its counters as if it were new."""
    _before.clear()
    _before.update(counts(shared))
    yield shared
    _before.clear()


_before: dict[str, int] = {}
_numbers = itertools.count()


def ask(gateway: SpeechGateway, text: str, speaker: str = "female", **changes: Any) -> SpeechRequest:
    voice = next(voice for voice in gateway.voices() if voice.id == speaker)
    return SpeechRequest(f"request-{next(_numbers)}", text, voice, **changes)


async def hear(gateway: SpeechGateway, request: SpeechRequest) -> Pcm:
    async with gateway.speak(request) as speech:
        return np.concatenate([pcm async for pcm in speech])


def expected(request: SpeechRequest) -> npt.NDArray[np.int16]:
    gain_db = 20 * np.log10(request.volume)
    manner = Manner(request.voice.id, request.speed, request.pitch_semitones, float(np.float32(gain_db)))
    return whole(request.text, manner, request.voice.sample_rate_hz)


def counts(gateway: SpeechGateway) -> dict[str, int]:
    value = gateway.metrics.registry.get_sample_value
    ends: dict[str, int] = {name: int(value("tts_jobs_total", {"outcome": name}) or 0) for name in OUTCOMES}
    now = {"accepted": int(value("tts_jobs_accepted_total") or 0), **ends}
    return {name: count - _before.get(name, 0) for name, count in now.items()}


def assert_nothing_is_left(gateway: SpeechGateway) -> None:
    for pool in gateway._pools.values():
        assert pool.depth == 0
        assert [job for worker in pool._workers.values() for job in worker.held.values()] == []
        assert pool._batcher.audio_s == pool._express.audio_s == 0
    assert gateway._live == set()
    assert {takes.owed_s() for takes in gateway._takes.values()} == {0.0}
    found = counts(gateway)
    assert found["accepted"] == found["done"] + found["cancelled"] + found["expired"] + found["failed"]


def pids(gateway: SpeechGateway) -> list[int]:
    return [pid for pool in gateway._pools.values() for _, pid in pool.pids()]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("text", ["好。", "你好。Hello.", LONG])
async def test_a_text_is_said_whole_and_in_order(gateway: SpeechGateway, text: str, streamed: bool) -> None:
    request = ask(gateway, text, streamed=streamed)
    np.testing.assert_array_equal(await hear(gateway, request), expected(request))
    assert_nothing_is_left(gateway)


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
async def test_two_hundred_callers_each_hear_their_own(voices_dir: Path, tmp_path: Path, load: Any) -> None:
    rng = random.Random(1)
    async with running(voices_dir, tmp_path, load) as gateway:
        at_once = asyncio.Semaphore(64)

        async def one(number: int) -> None:
            words = rng.choices(
                ["你好", "三十五", "行长", "hello", "world,", "好。", "Well done."], k=rng.randint(1, 12)
            )
            request = ask(
                gateway,
                f"{number}号。" + " ".join(words),
                rng.choice(["female", "male"]),
                speed=rng.choice([0.5, 1.0, 1.7]),
                volume=rng.choice([0.5, 1.0, 2.0]),
                streamed=rng.random() < 0.5,
            )
            async with at_once:
                np.testing.assert_array_equal(await hear(gateway, request), expected(request))

        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(one(number))
        assert_nothing_is_left(gateway)
        assert counts(gateway) == {
            "accepted": 200,
            "done": 200,
            "cancelled": 0,
            "expired": 0,
            "rejected": 0,
            "failed": 0,
        }


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
async def test_who_leaves_at_any_point_leaves_nothing_behind(voices_dir: Path, tmp_path: Path, load: Any) -> None:
    async with running(voices_dir, tmp_path, load) as gateway:
        request = ask(gateway, LONG, streamed=True, pitch_semitones=SLOW)
        for pieces in range(8):
            async with gateway.speak(request) as speech:
                heard = aiter(speech)
                for _ in range(pieces):
                    await anext(heard)
            assert_nothing_is_left(gateway)
        assert counts(gateway)["cancelled"] == 8
        after = ask(gateway, "还好。")
        np.testing.assert_array_equal(await hear(gateway, after), expected(after))


@types.coroutine
def _cut_off(work: Coroutine[Any, Any, Any], after: int) -> Generator[Any, None, bool]:
    """Run it, and cancel it where it waits for the so-manieth time; whether it came that far."""
    running = work.__await__()
    for waits in itertools.count():
        try:
            waited = next(running)
        except StopIteration:
            return False
        if waits == after:
            if waited is not None:
                waited._asyncio_future_blocking = False
                waited.cancel()
            with pytest.raises(asyncio.CancelledError):
                running.throw(asyncio.CancelledError())
            return True
        yield waited
    raise AssertionError("never here")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_cancelled_wherever_it_waits_it_leaves_nothing_behind(gateway: SpeechGateway, streamed: bool) -> None:
    request = ask(gateway, "你好。" + LONG, streamed=streamed)
    points = 0
    while await _cut_off(hear(gateway, request), points):
        assert_nothing_is_left(gateway)
        points += 1
    assert points > 10
    found = counts(gateway)
    assert (found["cancelled"], found["done"]) == (points, 1)


async def test_who_is_cancelled_while_waiting_leaves_nothing_behind(gateway: SpeechGateway) -> None:
    waiting = [asyncio.create_task(hear(gateway, ask(gateway, LONG, pitch_semitones=SLOW))) for _ in range(20)]
    await hear(gateway, ask(gateway, "好。"))
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert_nothing_is_left(gateway)
    assert counts(gateway)["cancelled"] == 20


async def test_a_deadline_ends_the_work(gateway: SpeechGateway) -> None:
    with pytest.raises(DeadlineExceeded):
        await hear(gateway, ask(gateway, LONG, pitch_semitones=SLOW, deadline_s=0.1))
    assert_nothing_is_left(gateway)
    assert counts(gateway)["expired"] == 1


@pytest.mark.parametrize(
    ("text", "code"), [("☃☃", "nothing_to_say"), ("好<行|hang9>。", "invalid_reading")], ids=["nothing", "reading"]
)
async def test_what_cannot_be_read_is_the_callers_fault(gateway: SpeechGateway, text: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await hear(gateway, ask(gateway, text))
    assert caught.value.code == code
    assert_nothing_is_left(gateway)


async def test_what_is_left_out_is_told(gateway: SpeechGateway) -> None:
    async with gateway.speak(ask(gateway, "好☃。")) as speech:
        assert [pcm async for pcm in speech]
        assert speech.unspoken == ("☃",)


async def test_an_engine_that_fails_on_one_text_goes_on_with_others(gateway: SpeechGateway) -> None:
    before = pids(gateway)
    with pytest.raises(EngineFailed):
        await hear(gateway, ask(gateway, "好。", pitch_semitones=RAISE))
    request = ask(gateway, "好。")
    np.testing.assert_array_equal(await hear(gateway, request), expected(request))
    assert pids(gateway) == before
    assert_nothing_is_left(gateway)


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize("order", [CRASH, HANG], ids=["crash", "hang"])
async def test_a_poisonous_text_fails_alone_and_is_remembered(
    voices_dir: Path, tmp_path: Path, order: float, load: Any
) -> None:
    async with running(voices_dir, tmp_path, load, hang_s=0.5) as gateway:
        poison = asyncio.create_task(hear(gateway, ask(gateway, "毒药。", pitch_semitones=order)))
        others = [ask(gateway, f"第{number}个。{LONG}") for number in range(12)]
        heard = await asyncio.gather(*(hear(gateway, request) for request in others))
        for request, audio in zip(others, heard, strict=True):
            np.testing.assert_array_equal(audio, expected(request))
        with pytest.raises(EngineFailed):
            await poison
        with pytest.raises(EngineFailed):  # at the door: no worker dies of it again
            await hear(gateway, ask(gateway, "毒药。"))
        assert_nothing_is_left(gateway)
        assert counts(gateway)["failed"] == 2
        assert _restarts(gateway) == 3


def _restarts(gateway: SpeechGateway) -> int:
    value = gateway.metrics.registry.get_sample_value
    reasons = ("died", "hung", "recycled", "broken")
    return int(sum(value("tts_worker_restarts_total", {"engine": "standard", "reason": r}) or 0 for r in reasons))


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
async def test_callers_do_not_notice_that_workers_die(
    voices_dir: Path, tmp_path: Path, load: Any, sign: signal.Signals
) -> None:
    async with running(voices_dir, tmp_path, load, hang_s=0.5) as gateway:
        rng = random.Random(2)
        deaths = 0

        async def caller(number: int) -> None:
            while deaths < 4:
                request = ask(gateway, f"{number}号来了。{LONG}", streamed=number % 2 == 0)
                np.testing.assert_array_equal(await hear(gateway, request), expected(request))

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                group.create_task(caller(number))
            while deaths < 4:
                seen = counts(gateway)["done"]
                while counts(gateway)["done"] < seen + 3:  # noqa: ASYNC110  (counters have no event)
                    await asyncio.sleep(0.01)
                os.kill(rng.choice(pids(gateway)), sign)
                deaths += 1
        found = counts(gateway)
        assert found["accepted"] == found["done"]
        assert_nothing_is_left(gateway)


async def test_a_worker_that_hangs_is_replaced_though_it_has_no_work(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, hang_s=0.5) as gateway:
        stopped = pids(gateway)[0]
        os.kill(stopped, signal.SIGSTOP)
        while stopped in pids(gateway) or len(pids(gateway)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert _restarts(gateway) == 1


async def test_a_worker_that_has_grown_too_big_is_replaced_unnoticed(
    voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "GROWTH", 0.0)  # as if it had begun with nothing
    async with running(voices_dir, tmp_path, worker_max_rss_mib=64) as gateway:
        while not _restarts(gateway):
            request = ask(gateway, LONG)
            np.testing.assert_array_equal(await hear(gateway, request), expected(request))
        assert counts(gateway)["failed"] == 0


async def test_too_much_at_once_is_refused_at_the_door(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, max_queued=3) as gateway:
        tasks = [asyncio.create_task(hear(gateway, ask(gateway, LONG, pitch_semitones=SLOW))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as caught:
            await hear(gateway, ask(gateway, "好。"))
        assert caught.value.headers()["Retry-After"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert counts(gateway)["rejected"] == 1
        await hear(gateway, ask(gateway, "好。"))
        assert_nothing_is_left(gateway)


async def test_the_wait_is_told_by_the_clock_and_not_by_what_workers_say_of_themselves(
    voices_dir: Path, tmp_path: Path
) -> None:
    async with running(voices_dir, tmp_path, workers=1) as gateway:
        pool = gateway._pools["standard"]
        await hear(gateway, ask(gateway, LONG))
        before_s = pool.seconds_for(60.0, 1)
        await hear(gateway, ask(gateway, LONG * 10, pitch_semitones=SLOW))  # it says that each line took a millisecond
        assert pool.seconds_for(60.0, 1) > 3 * before_s


async def test_what_is_given_up_says_nothing_about_the_pace(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, workers=1) as gateway:
        pool = gateway._pools["standard"]
        await hear(gateway, ask(gateway, LONG))
        before_s = pool.seconds_for(60.0, 1)
        tasks = [asyncio.create_task(hear(gateway, ask(gateway, LONG, pitch_semitones=SLOW))) for _ in range(4)]
        (worker,) = pool._workers.values()
        while not worker.held:  # noqa: ASYNC110  (workers have no event)
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(1.0)  # nobody works, and that is no slow work
        await hear(gateway, ask(gateway, LONG * 2))
        assert pool.seconds_for(60.0, 1) < 2 * before_s  # other programs may take some of the core


async def test_workers_killed_as_they_start_are_not_held_against_the_shared_weights(
    voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(voices_dir, tmp_path, workers=1) as gateway:
        pool = gateway._pools["standard"]
        bury, buried = pool._bury, asyncio.Queue[bool]()

        async def tell(process: Any, *, starting: bool = False) -> None:
            await bury(process, starting=starting)
            buried.put_nowait(starting)

        monkeypatch.setattr(pool, "_bury", tell)
        starts = 0
        os.kill(pids(gateway)[0], signal.SIGKILL)
        while starts < pools.BAD_STARTS:
            for worker in list(pool._workers.values()):
                if worker.state is pools.WorkerState.STARTING:
                    os.kill(worker.pid, signal.SIGKILL)
                    starts += await buried.get()
            await asyncio.sleep(0)
        assert pool._spec.cache_dir is not None


async def test_who_could_not_be_answered_in_time_is_refused_unless_nobody_waits(
    voices_dir: Path, tmp_path: Path
) -> None:
    async with running(voices_dir, tmp_path, workers=1) as gateway:
        with pytest.raises(DeadlineExceeded):
            await hear(gateway, ask(gateway, LONG * 10, pitch_semitones=SLOW, deadline_s=0.01))
        async with gateway.speak(ask(gateway, "好。", pitch_semitones=SLOW)):
            with pytest.raises(QueueFull):
                await hear(gateway, ask(gateway, LONG * 10, deadline_s=0.01))


async def test_streams_that_nobody_hurries_to_hear_keep_nobody_out(voices_dir: Path, tmp_path: Path) -> None:
    book = "第一句话。" * 900
    async with running(voices_dir, tmp_path, max_queue_s=1.0) as gateway, AsyncExitStack() as stack:
        for _ in range(3):
            listening = aiter(await stack.enter_async_context(gateway.speak(ask(gateway, book, streamed=True))))
            await anext(listening)
        request = ask(gateway, "好。")
        np.testing.assert_array_equal(await hear(gateway, request), expected(request))
    async with running(voices_dir, tmp_path, max_queue_s=1.0) as gateway, gateway.speak(ask(gateway, book)):
        with pytest.raises(QueueFull):  # whole ones are waited for, and count
            await hear(gateway, ask(gateway, book))


async def test_a_stream_outlasts_its_deadline_if_it_is_heard_in_time(gateway: SpeechGateway) -> None:
    request = ask(gateway, LONG, streamed=True, pitch_semitones=SLOW, deadline_s=0.3)
    heard = []
    async with gateway.speak(request) as speech:
        async for pcm in speech:
            heard.append(pcm)
            await asyncio.sleep(0.03)  # a listener
    np.testing.assert_array_equal(np.concatenate(heard), expected(request))


async def test_a_listener_who_has_audio_left_waits_for_nothing(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, hang_s=60.0, workers=1, run_ahead=0) as gateway:
        request = ask(gateway, LONG, streamed=True, deadline_s=0.3, speed=0.25)
        async with gateway.speak(request) as speech:
            heard = []
            async for pcm in speech:
                heard.append(pcm)
                if len(heard) == 1:
                    os.kill(pids(gateway)[0], signal.SIGSTOP)
                    continue_s = sum(map(len, heard)) / speech.voice.sample_rate_hz
                    asyncio.get_running_loop().call_later(continue_s + 0.2, os.kill, pids(gateway)[0], signal.SIGCONT)
        np.testing.assert_array_equal(np.concatenate(heard), expected(request))


async def test_a_stream_whose_audio_stops_coming_expires(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, hang_s=60.0, workers=1) as gateway:
        async with gateway.speak(ask(gateway, LONG, streamed=True, deadline_s=0.5)) as speech:
            listening = aiter(speech)
            await anext(listening)
            os.kill(pids(gateway)[0], signal.SIGSTOP)
            with pytest.raises(DeadlineExceeded):
                async for _ in listening:
                    pass
        os.kill(pids(gateway)[0], signal.SIGKILL)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_books_do_not_starve_a_greeting(gateway: SpeechGateway, streamed: bool) -> None:
    books = [
        asyncio.create_task(
            hear(gateway, ask(gateway, f"第{number}本。{LONG}", streamed=streamed, pitch_semitones=SLOW))
        )
        for number in range(6)
    ]
    await hear(gateway, ask(gateway, "好。"))
    greeting = ask(gateway, "你好。", streamed=True)
    np.testing.assert_array_equal(await hear(gateway, greeting), expected(greeting))
    assert not any(book.done() for book in books)
    await asyncio.gather(*books)
    assert_nothing_is_left(gateway)


async def test_an_early_deadline_passes_those_who_gave_more_time_and_not_who_is_more_important(
    voices_dir: Path, tmp_path: Path
) -> None:
    ends: list[str] = []

    async def say(gateway: SpeechGateway, name: str, **changes: Any) -> None:
        async with gateway.speak(ask(gateway, f"{name}.", pitch_semitones=SLOW, **changes)) as speech:
            async for _ in speech:
                pass
        ends.append(name)

    settings: dict[str, Any] = {"workers": 1, "max_batch_size": 1, "max_batch_audio_s": 0.1}
    async with running(voices_dir, tmp_path, **settings) as gateway, asyncio.TaskGroup() as group:
        for number in range(6):  # some of them are taken up before anybody else has come
            group.create_task(say(gateway, f"patient {number}", deadline_s=60.0, priority=1))
        await asyncio.sleep(0)
        group.create_task(say(gateway, "important", deadline_s=60.0))
        await asyncio.sleep(0)
        group.create_task(say(gateway, "hurried", deadline_s=20.0, priority=1))
    assert ends.index("important") < ends.index("hurried") < ends.index("patient 5")


async def test_who_is_important_passes_what_a_busy_worker_holds_already(voices_dir: Path, tmp_path: Path) -> None:
    ends: list[str] = []
    ended = asyncio.Event()

    async def say(gateway: SpeechGateway, name: str, **changes: Any) -> None:
        async with gateway.speak(ask(gateway, f"{name}.", pitch_semitones=SLOW, **changes)) as speech:
            async for _ in speech:
                pass
        ends.append(name)
        ended.set()

    async with (
        running(voices_dir, tmp_path, workers=1, max_batch_audio_s=60.0) as gateway,
        asyncio.TaskGroup() as group,
    ):
        for number in range(8):
            group.create_task(say(gateway, f"ordinary {number}", priority=1))
        (worker,) = gateway._pools["standard"]._workers.values()
        await ended.wait()
        assert len(worker.held) > 3  # its next batch is with it already
        group.create_task(say(gateway, "important"))
    assert ends.index("important") <= 2


async def test_a_beginning_that_is_waited_for_goes_to_a_busy_worker_at_once(voices_dir: Path, tmp_path: Path) -> None:
    ends: list[str] = []

    async def say(gateway: SpeechGateway, name: str, *, streamed: bool = False) -> None:
        await hear(gateway, ask(gateway, f"{name}.", pitch_semitones=SLOW, streamed=streamed))
        ends.append(name)

    settings: dict[str, Any] = {"workers": 1, "max_batch_wait_ms": 1000.0}  # nothing goes ahead by its wait
    async with running(voices_dir, tmp_path, **settings) as gateway, asyncio.TaskGroup() as group:
        (worker,) = gateway._pools["standard"]._workers.values()
        group.create_task(say(gateway, "whole"))
        while not worker.held:  # noqa: ASYNC110  (workers have no event)
            await asyncio.sleep(0)
        group.create_task(say(gateway, "streamed", streamed=True))
        group.create_task(say(gateway, "another whole"))
        while len(worker.held) < 2:
            assert not ends, "it waited until the worker had nothing to do"
            await asyncio.sleep(0)
        assert [job.urgent for job in worker.held.values()] == [False, True]
    assert ends[-1] == "another whole"


async def test_lines_that_wait_go_to_busy_workers_in_batches_each_a_fair_part(
    voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(voices_dir, tmp_path, workers=2) as gateway:
        pool, sizes = gateway._pools["standard"], list[int]()
        monkeypatch.setattr(pool._metrics, "batch_sent", lambda _, size: sizes.append(size))
        most = dict.fromkeys(pool._workers, 0)
        send = pool._send

        def watched(worker: pools._Worker, batch: list[Job]) -> None:
            send(worker, batch)
            most[worker.number] = max(most[worker.number], len(worker.held))

        monkeypatch.setattr(pool, "_send", watched)
        text = "这是一句有六秒左右那么长的话，为的是看看工人忙的时候怎样拿到下一批。"
        asked = [ask(gateway, f"第{number}句，{text}", pitch_semitones=SLOW) for number in range(24)]
        await asyncio.gather(*(hear(gateway, request) for request in asked))
    assert sum(sizes) == 24
    assert max(sizes) > 1  # while both were busy, batches were formed
    assert max(sizes) <= 4, "longer batches are committed work"
    assert max(most.values()) <= 8  # less than a third of a batch, and the next one
    assert min(most.values()) > 1


async def test_who_is_important_has_workers_of_his_own_and_others_do_not_take_them(
    voices_dir: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"workers": 1, "express_workers": 1, "hang_s": 60.0}
    async with running(voices_dir, tmp_path, **settings) as gateway:
        ordinary, express = sorted(gateway._pools["standard"]._workers.values(), key=lambda worker: worker.express)
        assert psutil.Process(express.pid).nice() < psutil.Process(ordinary.pid).nice()
        os.kill(ordinary.pid, signal.SIGSTOP)
        asked = [ask(gateway, f"第{number}。", priority=1) for number in range(5)]
        waiting = [asyncio.create_task(hear(gateway, request)) for request in asked]
        important = ask(gateway, "第一句话。第二句话。")
        np.testing.assert_array_equal(await hear(gateway, important), expected(important))
        assert not express.held
        assert len(ordinary.held) > 0
        assert not any(task.done() for task in waiting)
        os.kill(ordinary.pid, signal.SIGCONT)
        for request, task in zip(asked, waiting, strict=True):
            np.testing.assert_array_equal(await task, expected(request))


async def test_express_workers_are_left_out_where_nobody_asked_for_them_and_memory_is_short(
    voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.json").write_text("{}", encoding="utf-8")
    room = pools.shared_memory_bytes(1)
    monkeypatch.setattr(segment, "free_bytes", lambda: room)
    settings: dict[str, Any] = {"workers": 1, "keys_file": tmp_path / "keys.json"}
    with pytest.raises(pools.StartError, match="shared memory"):
        async with running(voices_dir, tmp_path, express_workers=1, **settings):
            pass
    async with running(voices_dir, tmp_path, express_workers=None, **settings) as gateway:
        assert len(gateway._pools["standard"]._workers) == 1
    room = pools.shared_memory_bytes(2)
    async with running(voices_dir, tmp_path, express_workers=None, **settings) as gateway:
        assert len(gateway._pools["standard"]._workers) == 2


async def test_where_express_workers_are_dead_others_speak_for_them(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, workers=1, express_workers=1) as gateway:
        (express,) = (worker for worker in gateway._pools["standard"]._workers.values() if worker.express)
        hearing = asyncio.create_task(hear(gateway, request := ask(gateway, LONG, pitch_semitones=SLOW)))
        while not express.held:  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0)
        os.kill(express.pid, signal.SIGKILL)
        np.testing.assert_array_equal(await hearing, expected(request))


def _apart(gateway: SpeechGateway) -> tuple[list[Any], list[Any]]:
    """Workers for everybody, and express workers; each by number."""
    workers = sorted(gateway._pools["standard"]._workers.values(), key=lambda worker: worker.number)
    return [worker for worker in workers if not worker.express], [worker for worker in workers if worker.express]


@asynccontextmanager
async def stopped(*workers: Any) -> AsyncIterator[None]:
    """They hold what they are given, and do nothing."""
    for worker in workers:
        os.kill(worker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker.pid, signal.SIGCONT)


EXPRESS: dict[str, Any] = {"workers": 1, "express_workers": 1, "hang_s": 60.0}


async def test_under_a_flood_of_vips_a_standard_request_is_done(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, **EXPRESS) as gateway:
        over = asyncio.Event()
        numbers = itertools.count()

        async def ask_again() -> None:
            while not over.is_set():
                request = ask(gateway, f"第{next(numbers)}位。{LONG}", pitch_semitones=SLOW)
                np.testing.assert_array_equal(await hear(gateway, request), expected(request))

        async with asyncio.TaskGroup() as flood:
            for _ in range(8):
                flood.create_task(ask_again())
            _, (express,) = _apart(gateway)
            while not express.held:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0)
            for streamed in (True, False):
                request = ask(gateway, LONG, priority=1, streamed=streamed)
                np.testing.assert_array_equal(await hear(gateway, request), expected(request))
                assert express.held, "they have not let up"
            over.set()
        assert_nothing_is_left(gateway)


async def test_vips_are_spoken_to_when_all_their_workers_are_killed(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, workers=2, express_workers=2) as gateway:
        asked = [ask(gateway, f"第{number}位。{LONG}", pitch_semitones=SLOW) for number in range(8)]
        hearing = [asyncio.create_task(hear(gateway, request)) for request in asked]
        _, express = _apart(gateway)
        while not all(worker.held for worker in express):  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0)
        for worker in express:
            os.kill(worker.pid, signal.SIGKILL)
        for request, task in zip(asked, hearing, strict=True):
            np.testing.assert_array_equal(await task, expected(request))
        assert_nothing_is_left(gateway)


async def test_among_vips_too_what_is_more_due_passes_what_a_worker_holds(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, **EXPRESS) as gateway:
        _, (express,) = _apart(gateway)
        async with stopped(express):
            patient = asyncio.create_task(hear(gateway, ask(gateway, "第一本" * 40 + "。", deadline_s=60.0)))
            while not express.held:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0)
            assert express.held_audio_s > 4, "all that a worker is given at once"
            hurried = asyncio.create_task(hear(gateway, ask(gateway, "你好。", deadline_s=20.0)))
            await asyncio.sleep(0)
            assert len(express.held) == 2
        await asyncio.gather(patient, hurried)
        assert_nothing_is_left(gateway)


@pytest.mark.skipif(len(usable_cores()) < 2, reason="workers of one core only wait for one another")
async def test_where_express_workers_are_few_vips_have_the_other_cores_as_everybody_has(
    voices_dir: Path, tmp_path: Path
) -> None:
    async with running(voices_dir, tmp_path, **EXPRESS | {"workers": 2}) as gateway:
        (beside, other), (express,) = _apart(gateway)
        async with stopped(express, beside):
            first = asyncio.create_task(hear(gateway, ask(gateway, "第一句话。")))
            while not express.held:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0)
            second = ask(gateway, "第二句话。")
            np.testing.assert_array_equal(await hear(gateway, second), expected(second))
            assert not beside.held, "it would wait for a tenth of its core"
            async with stopped(other):
                held = [
                    asyncio.create_task(hear(gateway, ask(gateway, LONG, priority=priority))) for priority in (1, 1, 0)
                ]
                while not other.held:  # noqa: ASYNC110  (nobody tells)
                    await asyncio.sleep(0)
        await asyncio.gather(first, *held)
        assert_nothing_is_left(gateway)


async def test_how_long_vips_wait_says_nothing_about_others_nor_theirs_about_vips(
    voices_dir: Path, tmp_path: Path
) -> None:
    async with running(voices_dir, tmp_path, max_queue_s=0.1, **EXPRESS) as gateway:
        pool = gateway._pools["standard"]
        vip_s = pool.seconds_for(60.0, 0)
        await hear(gateway, ask(gateway, LONG * 10, priority=1, pitch_semitones=SLOW))  # as if VIPs had their core
        assert pool.seconds_for(60.0, 1) > 3 * vip_s
        assert pool.seconds_for(60.0, 0) <= 1.1 * vip_s
        _, (express,) = _apart(gateway)
        async with stopped(express):
            book = asyncio.create_task(hear(gateway, ask(gateway, LONG * 20)))
            while not express.held:  # noqa: ASYNC110  (nobody tells)
                await asyncio.sleep(0)
            with pytest.raises(QueueFull):
                await hear(gateway, ask(gateway, "好。"))
            assert gateway.wait_s > 0.1
            standard = ask(gateway, "你好。", priority=1)
            np.testing.assert_array_equal(await hear(gateway, standard), expected(standard))
        await book


async def test_without_workers_for_everybody_vips_alone_are_let_in(
    voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "FIRST_DELAY_S", 60.0)  # the next one does not come
    async with running(voices_dir, tmp_path, max_queue_s=0.1, **EXPRESS) as gateway:
        (ordinary,), _ = _apart(gateway)
        os.kill(ordinary.pid, signal.SIGKILL)
        while ordinary.number in gateway._pools["standard"]._workers:  # noqa: ASYNC110  (a death has no event)
            await asyncio.sleep(0.01)
        assert gateway.ready() == {"standard": False}
        await asyncio.sleep(0.2)
        with pytest.raises(EngineUnavailable):
            await hear(gateway, ask(gateway, "好。", priority=1))
        important = ask(gateway, "你好。")
        np.testing.assert_array_equal(await hear(gateway, important), expected(important))


async def test_draining_finishes_what_was_accepted_and_refuses_the_rest(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path) as gateway:
        request = ask(gateway, LONG, pitch_semitones=SLOW)
        await _drain_while_heard(gateway, request)


async def _drain_while_heard(gateway: SpeechGateway, request: SpeechRequest) -> None:
    async with gateway.speak(request) as speech:
        heard = aiter(speech)
        first = await anext(heard)
        draining = asyncio.create_task(gateway.drain(60))
        await asyncio.sleep(0)
        with pytest.raises(ShuttingDown):
            await hear(gateway, ask(gateway, "好。"))
        rest = [pcm async for pcm in heard]
    assert await draining == 0
    np.testing.assert_array_equal(np.concatenate([first, *rest]), expected(request))


async def test_what_does_not_finish_in_time_is_cancelled_and_counted(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path) as gateway:
        requests = [ask(gateway, LONG, pitch_semitones=HANG) for _ in range(3)]
        tasks = [asyncio.create_task(hear(gateway, request)) for request in requests]
        await asyncio.sleep(0)
        assert await gateway.drain(0.05) == 3
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [ShuttingDown] * 3
        assert_nothing_is_left(gateway)


def _left() -> tuple[int, int]:
    """Open files and shared memory of this process."""
    maps = Path("/proc/self/maps").read_text()
    return len(list(Path("/proc/self/fd").iterdir())), maps.count(PREFIX)


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def test_nothing_is_left_on_the_machine(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path):
        pass  # whatever is opened once stays open
    before = _left()
    async with running(voices_dir, tmp_path) as gateway:
        os.kill(pids(gateway)[0], signal.SIGKILL)
        await hear(gateway, ask(gateway, LONG))
        children = pids(gateway)
    assert _left() == before
    assert _alive(children) == []


async def test_without_a_worker_callers_wait_for_the_next_one_but_not_for_long(
    voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(voices_dir, tmp_path, workers=1) as gateway:
        os.kill(pids(gateway)[0], signal.SIGKILL)
        while all(gateway.ready().values()):  # noqa: ASYNC110  (a death has no event)
            await asyncio.sleep(0.01)
        await hear(gateway, ask(gateway, "好。"))
    monkeypatch.setattr(pools, "FIRST_DELAY_S", 60.0)  # the next one does not come
    async with running(voices_dir, tmp_path, workers=1, max_queue_s=0.1) as gateway:
        os.kill(pids(gateway)[0], signal.SIGKILL)
        while all(gateway.ready().values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        with pytest.raises(EngineUnavailable):
            await hear(gateway, ask(gateway, "好。"))


async def test_a_text_that_callers_gave_up_on_is_blamed_all_the_same(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, hang_s=0.5) as gateway:
        while _restarts(gateway) < 3:
            with pytest.raises((DeadlineExceeded, EngineFailed)):
                await hear(gateway, ask(gateway, "毒药。", pitch_semitones=HANG, deadline_s=0.2))
        with pytest.raises(EngineFailed):
            await hear(gateway, ask(gateway, "毒药。"))
        assert_nothing_is_left(gateway)


async def test_copies_of_a_poisonous_text_cost_no_more_workers_than_one(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path) as gateway:
        copies = [hear(gateway, ask(gateway, "毒药。", pitch_semitones=CRASH)) for _ in range(8)]
        ends = await asyncio.gather(*copies, return_exceptions=True)
        assert {type(end) for end in ends} == {EngineFailed}
        assert _restarts(gateway) <= 4  # both workers may have had one at first
        assert_nothing_is_left(gateway)


@pytest.mark.parametrize("fault", ["fork", "channel"])
async def test_a_worker_that_cannot_be_started_is_tried_again(
    voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(pools, "LONGEST_DELAY_S", 0.2)
    async with running(voices_dir, tmp_path) as gateway:
        where, name = (Zygote, "fork") if fault == "fork" else (Channel, "create")
        with monkeypatch.context() as broken:
            failures = []

            def fail(*_: Any, **__: Any) -> None:
                failures.append(1)
                raise BlockingIOError(11, "no more processes")

            broken.setattr(where, name, fail)
            os.kill(pids(gateway)[0], signal.SIGKILL)
            while len(failures) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        while len(pids(gateway)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        request = ask(gateway, LONG)
        np.testing.assert_array_equal(await hear(gateway, request), expected(request))


def _remove_segment(worker: Any) -> None:
    Path("/dev/shm", worker.channel._segment.name).unlink()  # noqa: S108


async def test_shared_memory_that_somebody_removed_costs_nothing_but_itself(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, workers=1) as gateway:
        hearing = asyncio.create_task(hear(gateway, request := ask(gateway, LONG, pitch_semitones=SLOW)))
        await hear(gateway, ask(gateway, "好。"))
        (worker,) = gateway._pools["standard"]._workers.values()
        _remove_segment(worker)
        os.kill(worker.pid, signal.SIGKILL)
        np.testing.assert_array_equal(await hearing, expected(request))


async def test_a_record_that_makes_no_sense_costs_its_worker_and_nobody_else(
    voices_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(voices_dir, tmp_path, workers=1) as gateway:
        hearing = asyncio.create_task(hear(gateway, request := ask(gateway, LONG, pitch_semitones=SLOW)))
        await hear(gateway, ask(gateway, "好。"))
        broken = [b"\xff"]
        decode = protocol.decode
        monkeypatch.setattr(protocol, "decode", lambda record: decode(broken.pop() if broken else record))
        np.testing.assert_array_equal(await hearing, expected(request))
        assert _restarts(gateway) == 1


async def test_stopping_fails_what_is_left(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path) as gateway:
        tasks = [asyncio.create_task(hear(gateway, ask(gateway, LONG, pitch_semitones=SLOW))) for _ in range(40)]
        await hear(gateway, ask(gateway, "好。"))
        await gateway.stop()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(end) for end in ends} <= {EngineFailed, np.ndarray}
        assert_nothing_is_left(gateway)

"""DashScope as an engine, against a server that speaks its protocol, errs on demand and finds fault with its client."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inference.limiter import limit
from tests.dashscope_server import (
    AUDIO,
    CHATTER,
    CLOSE,
    DROP,
    FINISHED,
    GENERATED,
    KEY,
    PLAIN,
    SILENCE,
    STARTED,
    Failed,
    FakeDashScope,
    Pause,
    Raw,
    Script,
    dashscope,
    noise,
)
from tts_server.audio import to_pcm
from tts_server.config import Settings
from tts_server.config_listing import as_json, as_text
from tts_server.config_sources import load
from tts_server.errors import (
    DeadlineExceeded,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    QueueFull,
    ShuttingDown,
    TTSError,
)
from tts_server.metrics import Metrics
from tts_server.pool import StartError
from tts_server.remote import speech as speeches
from tts_server.remote.dashscope import HELD_PER_SLOT, DashScope
from tts_server.remote.messages import characters_of, read_event
from tts_server.remote.speech import RemoteSpeech
from tts_server.remote.spending import HOUR_S, Spending
from tts_server.speech import SpeechRequest

SAMBERT, COSY = "sambert-zhichu-v1", "cosyvoice-v2/longxiaochun_v2"
TEXT = "今天天气很好。Let us go."
LONG = "".join(f"这是第{number}句话，它还算长，也没有什么意思。" for number in range(60))
PATIENCE_S = 30  # for what comes at once, on a machine that does much else
FRAME = b"\x01\x02" * 400
_ids = itertools.count()


@pytest.fixture
async def fake() -> AsyncIterator[FakeDashScope]:
    async with dashscope() as server:
        yield server


def settings_of(fake: FakeDashScope, tmp_path: Path, **changes: Any) -> Settings:
    given = {"dashscope_models": f"{SAMBERT}=male,{COSY}", "dashscope_url": fake.url, "state_dir": tmp_path}
    return Settings.model_validate(given | changes)


@asynccontextmanager
async def running(fake: FakeDashScope, tmp_path: Path, *, key: str = KEY, **changes: Any) -> AsyncIterator[DashScope]:
    gateway = DashScope(settings_of(fake, tmp_path, **changes), Metrics(), key)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()


@pytest.fixture
async def gateway(fake: FakeDashScope, tmp_path: Path) -> AsyncIterator[DashScope]:
    async with running(fake, tmp_path) as remote:
        yield remote


def asked(gateway: DashScope, text: str = TEXT, voice: str = SAMBERT, **more: Any) -> SpeechRequest:
    (found,) = (one for one in gateway.voices() if one.id == voice)
    return SpeechRequest(id=f"r{next(_ids)}", text=text, voice=found, **{"streamed": True, **more})


async def hear(speech: RemoteSpeech, into: list[npt.NDArray[np.int16]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async for pcm in speech:
            assert pcm.dtype == np.int16
            assert pcm.size
            into.append(pcm)


async def said(gateway: DashScope, request: SpeechRequest) -> npt.NDArray[np.int16]:
    pieces: list[npt.NDArray[np.int16]] = []
    async with gateway.speak(request) as speech:
        await hear(speech, pieces)
    return np.concatenate(pieces)


async def hear_one(gateway: DashScope, request: SpeechRequest, into: list[npt.NDArray[np.int16]]) -> None:
    async with gateway.speak(request) as speech:
        await hear(speech, into)


async def failed(gateway: DashScope, request: SpeechRequest) -> tuple[TTSError, int]:
    """The error, and the samples before it."""
    pieces: list[npt.NDArray[np.int16]] = []
    with pytest.raises(TTSError) as caught:
        async with gateway.speak(request) as speech:
            await hear(speech, pieces)
    return caught.value, sum(map(len, pieces))


def count(gateway: DashScope, name: str, **labels: str) -> float:
    return gateway.metrics.registry.get_sample_value(name, labels) or 0.0


# --- what is spoken ---------------------------------------------------------------------------------------------------

WELL: dict[str, Script] = {
    "as usual": (STARTED, AUDIO, GENERATED, FINISHED),
    "words before audio": (STARTED, GENERATED, AUDIO, FINISHED),
    "no words": (STARTED, AUDIO, FINISHED),
    "empty frames": (STARTED, b"", AUDIO, b"", FINISHED),
    "events nobody knows": (STARTED, "task-imagined", AUDIO, FINISHED),
    "started twice": (STARTED, AUDIO, "task-heartbeat", FINISHED),
    "frames after the end": (STARTED, AUDIO, FINISHED, FRAME, FRAME),
    "an end that is not waited for": (STARTED, AUDIO, FINISHED, SILENCE),
}
FRAMES = {
    "small": itertools.repeat(64),
    "odd": itertools.repeat(333),
    "bytes": itertools.repeat(1),
    "one": itertools.repeat(10**6),
}


@pytest.mark.parametrize("voice", [SAMBERT, COSY])
@pytest.mark.parametrize("script", WELL.values(), ids=WELL)
async def test_the_audio_is_what_the_service_sent(
    fake: FakeDashScope, gateway: DashScope, voice: str, script: Script
) -> None:
    fake.scripts.append(script)
    request = asked(gateway, voice=voice)
    model, _, speaker = voice.partition("/")
    audio = await said(gateway, request)
    np.testing.assert_array_equal(audio, noise(TEXT, model, request.voice.sample_rate_hz))
    (task,) = fake.tasks
    assert (task["text"], task["model"], task.get("voice", "")) == (TEXT, model, speaker)
    assert (task["rate"], task["pitch"], task["volume"]) == (1.0, 1.0, 50)


@pytest.mark.parametrize("sizes", FRAMES.values(), ids=FRAMES)
async def test_frames_may_be_cut_anywhere(fake: FakeDashScope, gateway: DashScope, sizes: Iterator[int]) -> None:
    fake.frames = sizes
    np.testing.assert_array_equal(await said(gateway, asked(gateway)), noise(TEXT, SAMBERT, 16_000))


async def test_frames_may_be_cut_by_chance(fake: FakeDashScope, gateway: DashScope) -> None:
    chance = random.Random(7)
    fake.frames = iter(lambda: chance.choice((1, 2, 3, 5, 8, 999)), None)
    audio = await asyncio.gather(*(said(gateway, asked(gateway, text)) for text in ("甲。", "Two.", "丙丁。")))
    for found, text in zip(audio, ("甲。", "Two.", "丙丁。"), strict=True):
        np.testing.assert_array_equal(found, noise(text, SAMBERT, 16_000))


async def test_slow_frames_are_waited_for_as_long_as_they_come(fake: FakeDashScope, tmp_path: Path) -> None:
    slow: Script = [Pause(0.7), FRAME] * 4
    fake.scripts.append((STARTED, FRAME, *slow, FINISHED))
    async with running(fake, tmp_path, dashscope_first_audio_s=2.0, dashscope_silence_s=2.0) as gateway:
        assert len(await said(gateway, asked(gateway))) == 5 * len(FRAME) // 2


async def test_speed_and_pitch_are_the_services_and_volume_is_ours(fake: FakeDashScope, gateway: DashScope) -> None:
    audio = await said(gateway, asked(gateway, speed=1.5, pitch_semitones=-12, volume=2.0))
    (task,) = fake.tasks
    assert (task["rate"], task["pitch"], task["volume"]) == (1.5, 0.5, 50)
    natural = noise(TEXT, SAMBERT, 16_000).astype(np.float32)
    np.testing.assert_allclose(audio, to_pcm(limit(natural * np.float32(2.0 / 32767))), atol=1)


async def test_voices_are_those_of_the_settings(fake: FakeDashScope, tmp_path: Path) -> None:
    models = f"{SAMBERT}=male,{COSY},sambert-cally-v1=female"
    async with running(fake, tmp_path, dashscope_models=models) as gateway:
        told = [(one.id, one.engine, one.gender, one.languages, one.sample_rate_hz) for one in gateway.voices()]
        assert told == [
            (SAMBERT, "dashscope", "male", ("zh", "en"), 16_000),
            (COSY, "dashscope", "unknown", ("zh", "en"), 22_050),
            ("sambert-cally-v1", "dashscope", "female", (), 16_000),
        ]
        assert len({one.fingerprint for one in gateway.voices()}) == 3
    async with running(fake, tmp_path, dashscope_sample_rate_hz="48000") as gateway:
        assert {one.sample_rate_hz for one in gateway.voices()} == {48_000}
        await said(gateway, asked(gateway))
        assert fake.tasks[0]["sample_rate"] == 48_000


CANNOT = {
    "too fast": {"speed": 2.5},
    "too slow": {"speed": 0.4},
    "too high": {"pitch_semitones": 12.5},
    "a reading of one's own": {"text": "去<行|hang2>里。"},
    "nothing to say": {"text": "……！？"},
}


@pytest.mark.parametrize("wish", CANNOT.values(), ids=CANNOT)
async def test_what_it_cannot_do_is_refused_before_anything_is_sent(
    fake: FakeDashScope, gateway: DashScope, wish: dict[str, Any]
) -> None:
    error, _ = await failed(gateway, asked(gateway, **wish))
    assert isinstance(error, InvalidRequest)
    assert fake.most_connections == 0


# --- long texts -------------------------------------------------------------------------------------------------------


async def test_a_long_text_is_several_tasks_in_order_and_nothing_is_lost(
    fake: FakeDashScope, gateway: DashScope
) -> None:
    text = f"{LONG}\n\n“……”\n\nThe end of it."
    audio = await said(gateway, asked(gateway, text))
    assert len(fake.texts) > 5
    assert "".join(fake.texts) == text
    assert fake.most_connections == 1
    expected = [noise(piece, SAMBERT, 16_000) for piece in fake.texts]
    np.testing.assert_array_equal(audio, np.concatenate(expected))


async def test_the_next_task_waits_for_a_listener_who_is_far_behind(
    fake: FakeDashScope, gateway: DashScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeches, "AHEAD_S", 0.01)
    async with gateway.speak(asked(gateway, LONG)) as speech:
        await fake.until("tasks", 1)
        await fake.until("connections", 0)
        assert await said(gateway, asked(gateway, "别人。")) is not None, "others are spoken meanwhile"
        assert [text for text in fake.texts if text != "别人。"] == fake.texts[:1]
        pieces: list[npt.NDArray[np.int16]] = []
        await hear(speech, pieces)
    mine = [text for text in fake.texts if text != "别人。"]
    assert "".join(mine) == LONG
    np.testing.assert_array_equal(
        np.concatenate(pieces), np.concatenate([noise(text, SAMBERT, 16_000) for text in mine])
    )


async def test_a_failure_in_a_later_task_ends_the_whole(fake: FakeDashScope, gateway: DashScope) -> None:
    fake.scripts.extend([(STARTED, AUDIO, FINISHED), (STARTED, Failed("InternalError"))])
    error, samples = await failed(gateway, asked(gateway, LONG))
    assert isinstance(error, EngineFailed)
    assert "InternalError" in error.message
    assert samples == len(noise(fake.texts[0], SAMBERT, 16_000))


# --- what goes wrong --------------------------------------------------------------------------------------------------

ILL: dict[str, tuple[Script, type[TTSError], str]] = {
    "refused parameters": ((Failed("InvalidParameter"),), EngineFailed, "InvalidParameter"),
    "failed at once": ((STARTED, Failed("InternalError.Algo")), EngineFailed, "InternalError.Algo"),
    "failed midway": ((STARTED, FRAME, Failed("SERVER_ERROR")), EngineFailed, "SERVER_ERROR"),
    "a code that is a text": ((STARTED, Failed(f"quote: {TEXT}")), EngineFailed, "unknown"),
    "throttled": ((Failed("Throttling.RateQuota"),), QueueFull, "Throttling.RateQuota"),
    "throttled midway": (
        (
            STARTED,
            FRAME,
            Failed("Throttling"),
        ),
        QueueFull,
        "Throttling",
    ),
    "no key": ((Failed("InvalidApiKey"),), EngineUnavailable, "InvalidApiKey"),
    "no money": ((Failed("Arrearage"),), EngineUnavailable, "Arrearage"),
    "no such model": ((Failed("ModelNotFound"),), EngineUnavailable, "ModelNotFound"),
    "text refused": ((STARTED, Failed("DataInspectionFailed")), InvalidRequest, "refuses this text"),
    "dropped at once": ((DROP,), EngineFailed, "cut the connection"),
    "dropped before audio": ((STARTED, DROP), EngineFailed, "cut the connection"),
    "dropped after audio": ((STARTED, FRAME, DROP), EngineFailed, "cut the connection"),
    "closed politely": ((STARTED, FRAME, CLOSE), EngineFailed, "cut the connection"),
    "closed after all audio": ((STARTED, AUDIO, CLOSE), EngineFailed, "cut the connection"),
    "silent at once": ((SILENCE,), EngineFailed, "fell silent"),
    "silent before audio": ((STARTED, SILENCE), EngineFailed, "fell silent"),
    "silent midway": ((STARTED, FRAME, SILENCE), EngineFailed, "fell silent"),
    "silent at the end": ((STARTED, AUDIO, SILENCE), EngineFailed, "fell silent"),
    "words without audio": ((STARTED, CHATTER), EngineFailed, "fell silent"),
    "no audio": ((STARTED, GENERATED, FINISHED), EngineFailed, "no audio"),
    "empty audio": ((STARTED, b"", FINISHED), EngineFailed, "no audio"),
    "half a sample": ((STARTED, FRAME, b"\x01", FINISHED), EngineFailed, "within a sample"),
    "audio too early": ((FRAME, STARTED, FINISHED), EngineFailed, "before it was asked"),
    "audio without end": ((STARTED, *[bytes(1 << 20)] * 4), EngineFailed, "more audio"),
    "a frame too large": ((STARTED, bytes(5 << 20)), EngineFailed, "cut the connection"),
    "no JSON": ((STARTED, Raw("[")), EngineFailed, "no event"),
    "another task": (
        (Raw('{"header": {"task_id": "0", "event": "task-started"}, "payload": {}}'),),
        EngineFailed,
        "another task",
    ),
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("case", ILL.values(), ids=ILL)
async def test_what_goes_wrong_is_an_error_and_never_a_short_answer(
    fake: FakeDashScope,
    tmp_path: Path,
    case: tuple[Script, type[TTSError], str],
    streamed: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    script, kind, words = case
    fake.scripts.append(script)
    caplog.set_level("DEBUG")
    waits: dict[str, Any] = {}
    if {SILENCE, CHATTER} & set(script):
        waits = {"dashscope_first_audio_s": 60, "dashscope_silence_s": 60}  # more than the patience of this test
        waits["dashscope_silence_s" if {FRAME, AUDIO} & set(script) else "dashscope_first_audio_s"] = 0.3
    async with running(fake, tmp_path, **waits) as gateway:
        error, samples = await failed(gateway, asked(gateway, streamed=streamed))
        assert type(error) in {kind, *kind.__subclasses__()}, error
        assert words in error.message
        assert kind is not QueueFull or error.retry_after_s
        if FRAME in script and streamed and script[0] == STARTED:
            assert samples == len(FRAME) // 2
        told = f"{error!r} {error.__context__!r} {error.__cause__!r} {error.body()} {caplog.text} {vars(gateway)}"
        assert KEY not in told
        assert TEXT not in told
        await fake.until("connections", 0)
        assert count(gateway, "tts_remote_tasks_total", engine="dashscope", outcome="done") == 0
        if gateway.ready()["dashscope"]:
            assert len(await said(gateway, asked(gateway))) == 100 * len(TEXT), "the next one is well"


@pytest.mark.parametrize(
    ("status", "kind"), [(401, EngineUnavailable), (403, EngineUnavailable), (429, QueueFull), (500, EngineUnavailable)]
)
async def test_a_status_in_place_of_a_connection(
    fake: FakeDashScope, gateway: DashScope, status: int, kind: type[TTSError]
) -> None:
    fake.status = status
    error, _ = await failed(gateway, asked(gateway))
    assert isinstance(error, kind)
    assert str(status) in error.message
    assert gateway.ready() == {"dashscope": status not in {401, 403}}


async def test_nobody_there(fake: FakeDashScope, tmp_path: Path) -> None:
    async with running(fake, tmp_path, dashscope_url="ws://127.0.0.1:9/") as gateway:
        error, _ = await failed(gateway, asked(gateway))
        assert isinstance(error, EngineUnavailable)
        assert error.retry_after_s == 1.0


async def test_somebody_there_who_says_nothing(fake: FakeDashScope, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # the kernel lets callers in, and nobody answers
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}/"
        async with running(fake, tmp_path, dashscope_url=url, dashscope_connect_s=0.2) as gateway:
            error, _ = await failed(gateway, asked(gateway))
            assert isinstance(error, EngineUnavailable)


async def test_a_wrong_key_is_told_once_and_the_service_let_alone_for_a_while(
    fake: FakeDashScope, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = "sk-another-key-that-opens-nothing"
    async with running(fake, tmp_path, key=wrong) as gateway:
        first, _ = await failed(gateway, asked(gateway))
        second, _ = await failed(gateway, asked(gateway))
        assert isinstance(first, EngineUnavailable)
        assert isinstance(second, EngineUnavailable)
        assert second.retry_after_s is not None
        assert 0 < second.retry_after_s <= 60
        assert fake.most_connections == 0
        assert gateway.ready() == {"dashscope": False}
        gateway._refused_until_s = asyncio.get_running_loop().time()  # a minute later
        assert gateway.ready() == {"dashscope": True}
        await failed(gateway, asked(gateway))
        told = [record for record in caplog.records if "refuses this account" in record.message]
        assert [record.levelname for record in told] == ["ERROR"]
        assert wrong not in f"{caplog.text} {first!r} {first.__context__!r} {first.__cause__!r} {vars(gateway)}"


async def test_an_account_that_is_mended_serves_again(
    fake: FakeDashScope, gateway: DashScope, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fake.scripts.append((Failed("Arrearage"),))
    await failed(gateway, asked(gateway))
    gateway._refused_until_s = asyncio.get_running_loop().time()
    await said(gateway, asked(gateway))
    assert "DashScope serves this account again" in caplog.text
    assert gateway.ready() == {"dashscope": True}


@pytest.mark.parametrize("key", ["", "  ", "sk-a b", "sk-é", "sk-a\nb"])
async def test_it_does_not_start_without_a_key(fake: FakeDashScope, tmp_path: Path, key: str) -> None:
    gateway = DashScope(settings_of(fake, tmp_path), Metrics(), key)
    with pytest.raises(StartError, match="DASHSCOPE_API_KEY") as caught:
        await gateway.start()
    assert not key.strip() or key not in str(caught.value)
    await gateway.stop()


async def test_it_does_not_start_where_characters_cannot_be_counted(fake: FakeDashScope, tmp_path: Path) -> None:
    (tmp_path / "dashscope.db").mkdir()
    gateway = DashScope(settings_of(fake, tmp_path), Metrics(), KEY)
    with pytest.raises(StartError, match="counted"):
        await gateway.start()
    await gateway.stop()


def test_without_models_there_is_no_such_engine(fake: FakeDashScope, tmp_path: Path) -> None:
    environ = {"DASHSCOPE_API_KEY": KEY}
    assert DashScope.of(Settings(), Metrics(), environ) is None
    assert DashScope.of(settings_of(fake, tmp_path), Metrics(), environ) is not None


def test_the_key_is_no_setting(tmp_path: Path) -> None:
    environ = {"DASHSCOPE_API_KEY": KEY, "TTS_DASHSCOPE_MODELS": SAMBERT, "TTS_STATE_DIR": str(tmp_path)}
    effective = load(environ, {})
    assert KEY not in as_json(effective) + as_text(effective)
    assert effective.settings.dashscope_models == (SAMBERT,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dashscope_models", "sambert-zhichu-v1,sambert-zhichu-v1=male"),
        ("dashscope_models", "cosyvoice-v2"),
        ("dashscope_models", "sambert-zhichu-v1/zhichu"),
        ("dashscope_models", "sambert-zhichu-v1=tall"),
        ("dashscope_models", "tts-1"),
        ("dashscope_url", "ws://dashscope.aliyuncs.com/"),
        ("dashscope_url", "ws://localhost.example.com/"),
        ("dashscope_url", "https://dashscope.aliyuncs.com/"),
        ("dashscope_sample_rate_hz", "11025"),
        ("dashscope_chars_per_day", "0"),
    ],
)
def test_settings_that_will_not_do(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({name: value})


# --- leaving, bounds, the end -----------------------------------------------------------------------------------------

STAGES: dict[str, tuple[Script, int]] = {
    "before it has started": ((SILENCE,), 0),
    "before audio": ((STARTED, SILENCE), 0),
    "midway": ((STARTED, FRAME, SILENCE), 1),
    "while audio comes": ((STARTED, *[FRAME] * 200, SILENCE), 3),
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
async def test_who_leaves_closes_the_connection_and_frees_the_slot(
    fake: FakeDashScope, tmp_path: Path, stage: tuple[Script, int]
) -> None:
    script, heard = stage
    fake.scripts.append(script)
    async with running(fake, tmp_path, dashscope_concurrency=1) as gateway:
        async with gateway.speak(asked(gateway)) as speech:
            await fake.until("tasks", 1)
            audio = aiter(speech)
            for _ in range(heard):
                await anext(audio)
        await fake.until("connections", 0)
        np.testing.assert_array_equal(await said(gateway, asked(gateway)), noise(TEXT, SAMBERT, 16_000))
        assert count(gateway, "tts_remote_tasks_total", engine="dashscope", outcome="cancelled") == 1


async def test_who_leaves_at_once_has_begun_nothing(fake: FakeDashScope, tmp_path: Path) -> None:
    async with running(fake, tmp_path, dashscope_concurrency=1, dashscope_chars_per_day=100) as gateway:
        for _ in range(50):
            async with gateway.speak(asked(gateway)):
                pass
        assert len(await said(gateway, asked(gateway))) == 100 * len(TEXT)
        assert await spent(gateway) == len(TEXT), "what was never sent is not counted"


async def test_a_listener_who_is_cancelled_while_he_waits_leaves_nothing_behind(
    fake: FakeDashScope, tmp_path: Path
) -> None:
    fake.scripts.append((STARTED, FRAME, SILENCE))
    async with running(fake, tmp_path, dashscope_concurrency=1) as gateway:
        listening = asyncio.create_task(said(gateway, asked(gateway)))
        await fake.until("tasks", 1)
        waiting = asyncio.create_task(said(gateway, asked(gateway)))
        for task in (waiting, listening):
            task.cancel()
        await asyncio.wait({listening, waiting})
        await fake.until("connections", 0)
        assert len(await said(gateway, asked(gateway))) == 100 * len(TEXT)
        assert not gateway._live


async def test_no_more_than_so_many_are_spoken_at_once(fake: FakeDashScope, tmp_path: Path) -> None:
    go = asyncio.Event()
    fake.scripts.extend([(STARTED, go, AUDIO, FINISHED)] * 2)
    async with running(fake, tmp_path, dashscope_concurrency=2, dashscope_wait_s=0.05) as gateway:
        first = [asyncio.create_task(said(gateway, asked(gateway))) for _ in range(2)]
        await fake.until("tasks", 2)
        error, _ = await failed(gateway, asked(gateway))
        assert isinstance(error, QueueFull)
        assert error.retry_after_s
        go.set()
        assert [len(audio) for audio in await asyncio.gather(*first)] == [100 * len(TEXT)] * 2
        assert fake.most_connections == 2


async def test_who_comes_later_waits_a_moment_for_his_turn(fake: FakeDashScope, tmp_path: Path) -> None:
    async with running(fake, tmp_path, dashscope_concurrency=1, dashscope_wait_s=PATIENCE_S) as gateway:
        texts = [f"第{number}个。" for number in range(12)]
        audio = await asyncio.gather(*(said(gateway, asked(gateway, text)) for text in texts))
        for found, text in zip(audio, texts, strict=True):
            np.testing.assert_array_equal(found, noise(text, SAMBERT, 16_000))
        assert fake.texts == texts, "in the order they came"
        assert fake.most_connections == 1


async def test_the_deadline_is_for_the_whole_or_for_the_beginning(fake: FakeDashScope, gateway: DashScope) -> None:
    fake.scripts.extend([(STARTED, FRAME, SILENCE), (STARTED, SILENCE), (STARTED, FRAME, Pause(1.8), FRAME, FINISHED)])
    whole, _ = await failed(gateway, asked(gateway, streamed=False, deadline_s=0.3))
    beginning, _ = await failed(gateway, asked(gateway, deadline_s=0.3))
    assert isinstance(whole, DeadlineExceeded)
    assert isinstance(beginning, DeadlineExceeded)
    assert len(await said(gateway, asked(gateway, deadline_s=1.5))) == len(FRAME), "it is being heard"


async def test_draining_lets_the_accepted_finish_and_takes_nothing_new(fake: FakeDashScope, gateway: DashScope) -> None:
    go = asyncio.Event()
    fake.scripts.append((STARTED, go, AUDIO, FINISHED))
    speaking = asyncio.create_task(said(gateway, asked(gateway)))
    await fake.until("tasks", 1)
    draining = asyncio.create_task(gateway.drain(PATIENCE_S))
    await asyncio.sleep(0)
    assert gateway.draining
    error, _ = await failed(gateway, asked(gateway))
    assert isinstance(error, ShuttingDown)
    assert len(await said(gateway, asked(gateway, promised=True))) == 100 * len(TEXT)
    go.set()
    assert len(await speaking) == 100 * len(TEXT)
    assert await draining == 0


@pytest.mark.parametrize("end", ["drain", "stop"])
async def test_the_end_cuts_what_does_not_finish(fake: FakeDashScope, tmp_path: Path, end: str) -> None:
    fake.scripts.append((STARTED, FRAME, SILENCE))
    async with running(fake, tmp_path) as gateway:
        speaking = asyncio.create_task(failed(gateway, asked(gateway)))
        await fake.until("tasks", 1)
        if end == "drain":
            assert await gateway.drain(0) == 1
        else:
            await gateway.stop()
        error, _ = await speaking
        assert isinstance(error, ShuttingDown)
        await fake.until("connections", 0)


async def test_the_end_is_also_that_of_those_who_wait_for_their_turn(fake: FakeDashScope, tmp_path: Path) -> None:
    fake.scripts.append((STARTED, SILENCE))
    async with running(fake, tmp_path, dashscope_concurrency=1, dashscope_wait_s=PATIENCE_S) as gateway:
        speaking = [asyncio.create_task(failed(gateway, asked(gateway))) for _ in range(5)]
        await fake.until("tasks", 1)
        await gateway.stop()
        assert [type(error) for error, _ in await asyncio.gather(*speaking)] == [ShuttingDown] * 5
        assert len(fake.tasks) == 1


async def test_no_more_are_held_than_can_be_waited_for(fake: FakeDashScope, tmp_path: Path) -> None:
    fake.scripts.append((STARTED, SILENCE))
    async with running(fake, tmp_path, dashscope_concurrency=1, dashscope_wait_s=PATIENCE_S) as gateway:
        waiting = [asyncio.create_task(said(gateway, asked(gateway))) for _ in range(HELD_PER_SLOT)]
        await fake.until("tasks", 1)
        error, _ = await failed(gateway, asked(gateway))
        assert isinstance(error, QueueFull)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_nothing_is_left_behind_and_nobody_hears_anything_else(
    fake: FakeDashScope, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    fates: list[Script] = [script for script, *_ in ILL.values() if not {SILENCE, CHATTER} & set(script)]
    fates = [script for script in fates if Failed("InvalidApiKey") not in script and Failed("Arrearage") not in script]
    whole = noise(TEXT, SAMBERT, 16_000)

    async def one(gateway: DashScope) -> str:
        pieces: list[npt.NDArray[np.int16]] = []
        speaking = asyncio.create_task(hear_one(gateway, asked(gateway, streamed=chance.random() < 0.5), pieces))
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.05)
            speaking.cancel()
        (result,) = await asyncio.gather(speaking, return_exceptions=True)
        heard = np.concatenate([np.zeros(0, np.int16), *pieces])
        if result is None:
            np.testing.assert_array_equal(heard, whole)
        else:
            assert isinstance(result, TTSError | asyncio.CancelledError), result
        return "done" if result is None else "not"

    fake.scripts.extend(chance.choice([*fates, *[PLAIN] * 20]) for _ in range(80))
    async with running(fake, tmp_path, dashscope_concurrency=3, dashscope_wait_s=PATIENCE_S) as gateway:
        ends: list[str] = []
        for _ in range(4):
            ends += await asyncio.gather(*(one(gateway) for _ in range(20)))
        assert set(ends) == {"done", "not"}
        while gateway._busy:
            gateway._ended.clear()
            await gateway._ended.wait()
        await fake.until("connections", 0)
        assert (gateway.slots._value, gateway._live) == (3, set())


# --- what it costs ----------------------------------------------------------------------------------------------------


async def spent(gateway: DashScope) -> int:
    """What the file holds, after all that was to be written."""
    assert gateway._spending is not None
    await asyncio.wrap_future(gateway._spending._thread.submit(lambda: None))
    with sqlite3.connect(gateway._settings.state_dir / "dashscope.db") as database:
        return int(database.execute("SELECT coalesce(sum(characters), 0) FROM spent").fetchone()[0])


async def test_no_more_characters_are_sent_than_may_be_in_a_day(fake: FakeDashScope, tmp_path: Path) -> None:
    text = "今天天气。"  # nine, as the service counts
    for _ in range(2):  # a restart changes nothing
        async with running(fake, tmp_path, dashscope_chars_per_day=20) as gateway:
            fake.characters = 9
            await said(gateway, asked(gateway, text))
            assert await spent(gateway) == 9 * len(fake.tasks)
    async with running(fake, tmp_path, dashscope_chars_per_day=20) as gateway:
        error, _ = await failed(gateway, asked(gateway, text))
        assert isinstance(error, QueueFull)
        assert error.retry_after_s is not None
        assert 23 * HOUR_S < error.retry_after_s <= 25 * HOUR_S
        assert len(fake.tasks) == 2
        await said(gateway, asked(gateway, "好"))  # this one fits in
        error, _ = await failed(gateway, asked(gateway, "今天天气很好，很好。"))
        assert isinstance(error, QueueFull)
        assert isinstance((await failed(gateway, asked(gateway, LONG)))[0], InvalidRequest), "it never will"


async def test_the_services_count_is_what_counts(fake: FakeDashScope, tmp_path: Path) -> None:
    async with running(fake, tmp_path) as gateway:
        for characters, total in ((3, 3), (50, 53)):
            fake.characters = characters
            await said(gateway, asked(gateway))
            assert await spent(gateway) == total
            assert count(gateway, "tts_remote_characters_total", engine="dashscope") == total
        assert count(gateway, "tts_audio_seconds_total", engine="dashscope") == pytest.approx(len(TEXT) * 200 / 16_000)


NOT_BILLED: dict[str, tuple[Script, int]] = {
    "throttled": ((Failed("Throttling"),), 0),
    "refused": ((Failed("InvalidApiKey"),), 0),
    "failed": ((STARTED, FRAME, Failed("InternalError")), characters_of(TEXT)),
    "cut": ((STARTED, FRAME, DROP), characters_of(TEXT)),
}


@pytest.mark.parametrize("case", NOT_BILLED.values(), ids=NOT_BILLED)
async def test_what_was_not_taken_is_not_counted_and_what_may_be_billed_is(
    fake: FakeDashScope, gateway: DashScope, case: tuple[Script, int]
) -> None:
    script, expected = case
    fake.scripts.append(script)
    await failed(gateway, asked(gateway))
    assert await spent(gateway) == expected


async def test_pieces_that_were_not_sent_are_not_counted(fake: FakeDashScope, gateway: DashScope) -> None:
    fake.scripts.append((STARTED, FRAME, SILENCE))
    async with gateway.speak(asked(gateway, LONG)) as speech:
        await anext(aiter(speech))
        assert await spent(gateway) == characters_of(LONG)
    await fake.until("connections", 0)
    await gateway.drain(PATIENCE_S)
    while gateway._busy:
        await gateway._ended.wait()
    assert await spent(gateway) == characters_of(fake.texts[0])


async def test_without_a_limit_nothing_is_written(fake: FakeDashScope, tmp_path: Path) -> None:
    async with running(fake, tmp_path, dashscope_chars_per_day="auto") as gateway:
        await said(gateway, asked(gateway))
    assert not (tmp_path / "dashscope.db").exists()


async def test_a_day_is_over_hour_by_hour_and_servers_share_it(tmp_path: Path) -> None:
    file, now_s = tmp_path / "spent.db", 1_000_000.0 * HOUR_S
    one, other = Spending(file, 100), Spending(file, 100)
    try:
        await one.reserve(60, now_s)
        await other.reserve(40, now_s + 3 * HOUR_S)
        with pytest.raises(QueueFull) as caught:
            await one.reserve(50, now_s + 4 * HOUR_S)
        assert caught.value.retry_after_s == 21 * HOUR_S
        with pytest.raises(QueueFull) as caught:
            await one.reserve(61, now_s + 4 * HOUR_S)
        assert caught.value.retry_after_s == 24 * HOUR_S
        await one.reserve(50, now_s + 25 * HOUR_S)
        with pytest.raises(QueueFull):
            await other.reserve(11, now_s + 25 * HOUR_S)
    finally:
        await asyncio.gather(one.close(), other.close())


async def test_reservations_under_parallel_fire_are_exact(tmp_path: Path) -> None:
    ledgers = [Spending(tmp_path / "spent.db", 100) for _ in range(3)]
    answers = await asyncio.gather(
        *(ledger.reserve(7, 0.0) for _ in range(10) for ledger in ledgers), return_exceptions=True
    )
    await asyncio.gather(*(ledger.close() for ledger in ledgers))
    assert sum(answer == 0 for answer in answers) == 14
    assert sum(isinstance(answer, QueueFull) for answer in answers) == 16


async def test_a_reservation_nobody_waits_for_is_undone(tmp_path: Path) -> None:
    ledger = Spending(tmp_path / "spent.db", 100)
    for _ in range(20):
        asking = asyncio.create_task(ledger.reserve(90, 0.0))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
    assert await ledger.reserve(100, 0.0) == 0
    await ledger.close()


async def test_where_nothing_can_be_counted_nothing_is_sent(fake: FakeDashScope, gateway: DashScope) -> None:
    assert gateway._spending is not None
    gateway._spending._database.execute("DROP TABLE spent")
    error, _ = await failed(gateway, asked(gateway))
    assert isinstance(error, EngineUnavailable)
    assert fake.most_connections == 0


# --- its words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("你好", 4),
        ("中A文123", 8),
        ("中文。", 5),
        ("中 文。", 6),
        ("", 0),
        ("カナ", 2),
        ("한국", 2),
        ("𠮷", 2),
        ("a" * 9, 9),
    ],
)
def test_characters_are_counted_as_the_service_does(text: str, characters: int) -> None:
    assert characters_of(text) == characters


@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["header", "payload", "usage", "event", "task_id", "characters"]), inner)
        ),
    ).map(json.dumps)
)
def test_any_answer_is_an_event_or_a_value_error(text: str) -> None:
    try:
        event = read_event(text)
    except ValueError:
        return
    assert isinstance(event.name, str)
    assert isinstance(event.task_id, str)

"""X-Cache and Cache-Control: whole answers given again, over a socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.tts_server.http.conftest import Serve
from tests.tts_server.http.fakes import LIGHT, FakeGateway, pcm_of
from tts_server.cache import Cache
from tts_server.config import Settings
from tts_server.encoding import FORMATS, available
from tts_server.errors import EngineFailed
from tts_server.http import kept
from tts_server.http.requests import Delivery
from tts_server.metrics import Metrics
from tts_server.speech import SpeechRequest

TEXT = "你好。"
BODY: dict[str, Any] = {"text": TEXT, "format": "pcm"}
OPENAI = {"model": "tts-1", "input": TEXT, "voice": "nova", "response_format": "pcm"}
Ask = Callable[..., Awaitable[tuple[str, bytes, dict[str, str]]]]


@pytest.fixture
async def cache() -> Cache:
    return Cache(Settings(cache_bytes=64 << 20), Metrics())


@pytest.fixture
async def client(serve: Serve, cache: Cache) -> TestClient[Any, Any]:
    return await serve(cache=cache)


@pytest.fixture
async def ask(client: TestClient[Any, Any]) -> Ask:
    async def ask(body: dict[str, Any], path: str = "/api/tts", **headers: str) -> tuple[str, bytes, dict[str, str]]:
        async with client.post(path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}) as answer:
            assert answer.status == 200
            return answer.headers["X-Cache"], await answer.read(), dict(answer.headers)

    return ask


@pytest.mark.parametrize("audio_format", [name for name in FORMATS if available(name) is None])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_same_request_is_answered_by_the_same_bytes(
    ask: Ask, gateway: FakeGateway, audio_format: str, stream: bool
) -> None:
    body = {"text": TEXT, "format": audio_format, "stream": stream}
    first, audio, headers = await ask(body)
    again, audio_again, headers_again = await ask(body)
    assert (first, again) == ("MISS", "HIT")
    assert audio_again == audio
    assert len(gateway.requests) == 1
    assert _lasting(headers) == _lasting(headers_again)
    assert int(headers_again["Content-Length"]) == len(audio)
    assert headers_again["Server-Timing"].startswith("queue;dur=0.0")


def _lasting(headers: dict[str, str]) -> dict[str, str]:
    """Those that do not tell of one answer alone."""
    of_one = {"x-request-id", "x-cache", "server-timing", "date", "content-length", "transfer-encoding"}
    return {name: value for name, value in headers.items() if name.lower() not in of_one}


async def test_what_differs_in_anything_is_another_answer(ask: Ask) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"text": "你好!"},
        {"voice": "male"},
        {"speed": 1.5},
        {"volume": 0.5},
        {"pitch": 1},
        {"format": "wav"},
        {"sample_rate": 16_000},
        {"stream": True},
        {"engine": "light"},
    ]
    assert [(await ask(BODY | change))[0] for change in changes] == ["MISS"] * len(changes)
    assert [(await ask(BODY | change))[0] for change in changes] == ["HIT"] * len(changes)
    assert (await ask({"format": "pcm", "text": TEXT}))[0] == "HIT", "the same, written in another way"


async def test_openais_route_is_answered_again_too(ask: Ask) -> None:
    assert (await ask(OPENAI, "/v1/audio/speech"))[:2] == ("MISS", pcm_of(TEXT))
    assert (await ask(OPENAI, "/v1/audio/speech"))[:2] == ("HIT", pcm_of(TEXT))
    events = OPENAI | {"stream_format": "sse"}
    assert [(await ask(events, "/v1/audio/speech"))[0] for _ in range(2)] == ["MISS", "MISS"], "their lines are kept"


@pytest.mark.parametrize("words", ["no-store", "No-Store", "max-age=0, no-store"])
async def test_no_store_is_made_anew_and_not_kept(ask: Ask, gateway: FakeGateway, cache: Cache, words: str) -> None:
    assert (await ask(BODY, Cache_Control=words))[0] == "MISS"
    assert cache.memory.held_bytes == 0
    assert [request.may_reuse for request in gateway.requests] == [False]
    assert [(await ask(BODY, Cache_Control=other))[0] for other in ("no-cache", "no-store-please", "")] == [
        "MISS",
        "HIT",
        "HIT",
    ]
    assert (await ask(BODY, Cache_Control=words))[0] == "MISS"


async def test_what_fails_on_its_way_is_not_kept(gateway: FakeGateway, ask: Ask) -> None:
    gateway.failure, gateway.fails_at = EngineFailed("broken"), 1
    for stream in (False, True):
        with pytest.raises(Exception):  # noqa: B017, PT011  (a status, or a connection that is cut)
            await ask(BODY | {"stream": stream})
    gateway.failure = None
    for stream in (False, True):
        assert (await ask(BODY | {"stream": stream}))[:2] == ("MISS", pcm_of(TEXT))


async def test_who_leaves_early_leaves_nothing_behind(
    client: TestClient[Any, Any], gateway: FakeGateway, cache: Cache, ask: Ask
) -> None:
    gateway.holds_at = 1
    async with client.post("/api/tts", json=BODY | {"stream": True}):
        await gateway.held.wait()
    await gateway.left.wait()
    assert cache.memory.held_bytes == 0
    gateway.holds_at = None
    assert (await ask(BODY | {"stream": True}))[0] == "MISS"


async def test_what_another_engine_spoke_is_not_kept_as_this_ones(ask: Ask, gateway: FakeGateway) -> None:
    gateway.speaker = LIGHT
    assert [(await ask(BODY))[2]["X-Engine"] for _ in range(2)] == ["light"] * 2
    gateway.speaker = None
    states = [(state, headers["X-Engine"]) for state, _, headers in [await ask(BODY) for _ in range(2)]]
    assert states == [("MISS", "standard"), ("HIT", "standard")]


async def test_what_the_gateway_reused_is_told(ask: Ask, gateway: FakeGateway) -> None:
    for number, reuse in enumerate(("HIT", "PARTIAL", "MISS")):
        gateway.reuse = reuse  # type: ignore[assignment]
        assert (await ask(BODY | {"text": "好" * (number + 1)}))[0] == reuse


async def test_very_long_answers_are_not_kept(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LARGEST_BYTES", len(pcm_of(TEXT)) - 1)
    assert [(await ask(BODY))[0] for _ in range(2)] == ["MISS", "MISS"]
    monkeypatch.setattr(kept, "LARGEST_BYTES", len(pcm_of(TEXT)))
    assert [(await ask(BODY))[0] for _ in range(2)] == ["MISS", "HIT"]


async def test_without_a_cache_all_is_made(serve: Serve) -> None:
    for cache in (None, Cache(Settings(cache_bytes=0), Metrics())):
        client = await serve(cache=cache)
        for _ in range(2):
            async with client.post("/api/tts", json=BODY) as answer:
                assert (answer.headers["X-Cache"], await answer.read()) == ("MISS", pcm_of(TEXT))


def test_another_pack_is_another_answer() -> None:
    delivery = Delivery("wav", 24_000, streamed=False)
    names = {
        kept.name_of(SpeechRequest("1", TEXT, replace(LIGHT, fingerprint=fingerprint)), delivery)
        for fingerprint in ("a", "b")
    }
    assert len(names) == 2

"""What the server tells of how busy it is, and what it leaves undone then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from tests.tts_server.http.conftest import Serve
from tests.tts_server.http.fakes import FakeGateway
from tts_server import overload
from tts_server.config import Settings
from tts_server.degradation import Level
from tts_server.metrics import Metrics
from tts_server.overload import LISTENERS, Overload

Client = TestClient[Any, Any]
TEXT = {"text": "好。"}


class Load(Overload):
    """One that is as busy as a test says."""

    def __init__(self) -> None:
        self.cpu, self.wait = 0.0, 0.0
        settings = Settings(degrade_after_s=0.05, degrade_recover_s=0.05)
        super().__init__(settings, Metrics(), lambda: self.wait, self._all, lambda: self.cpu)

    def _all(self) -> Mapping[str, object]:
        return {**self.content(), "breakers": {"standard": "closed"}, "queue_depth": 3}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setattr(overload, "LOOK_S", 0.01)
    return Load()


@pytest.fixture
async def client(serve: Serve, load: Load) -> Client:
    return await serve(load=load)


async def next_status(answer: ClientResponse) -> dict[str, Any]:
    event = (await answer.content.readuntil(b"\n\n")).decode()
    kind, data = event.strip().split("\n")
    assert kind == "event: status"
    return dict(orjson.loads(data.removeprefix("data: ")))


async def refusal(answer: ClientResponse) -> tuple[int, str]:
    assert int(answer.headers["Retry-After"]) > 0
    return answer.status, (await answer.json())["error"]["code"]


async def test_the_status_can_be_asked(client: Client, load: Load) -> None:
    load.level = Level.VIP_FIRST
    async with client.get("/api/tts/status") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.json() == {
            "level": 2,
            "level_name": "vip_first",
            "preview": False,
            "cpu": 0.0,
            "wait_s": 0.0,
            "requests_per_s": 0.0,
            "first_audio_p95_s": None,
            "breakers": {"standard": "closed"},
            "queue_depth": 3,
        }


async def test_readiness_tells_the_level_and_the_breakers(client: Client, load: Load) -> None:
    load.level = Level.REFUSE
    async with client.get("/readyz") as answer:
        assert answer.status == 200, "to be busy is not to be gone: others would be sent its load"
        told = await answer.json()
        assert (told["level"], told["breakers"]) == (4, {"standard": "closed"})


async def test_listeners_are_told_of_each_change(client: Client, load: Load, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    watching = asyncio.create_task(load.watch())
    async with client.get("/api/tts/status/events") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        levels = [(await next_status(answer))["level"]]
        load.cpu, load.wait = 1.0, 9.0
        while levels[-1] < 4:
            levels.append((await next_status(answer))["level"])
        load.cpu = 0.1
        while levels[-1]:
            levels.append((await next_status(answer))["level"])
    assert levels == [0, 3, 4, 3, 2, 1, 0]
    assert load._metrics.registry.get_sample_value("tts_degradation_level") == 0
    assert [record.message for record in caplog.records].count("level of service") == 6
    watching.cancel()
    await asyncio.wait({watching})


async def test_without_a_change_they_are_told_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "TELL_S", 0.01)
    async with client.get("/api/tts/status/events") as answer:
        assert [(await next_status(answer))["level"] for _ in range(5)] == [0] * 5


async def test_there_is_a_bound_to_listeners_and_who_leaves_makes_room(
    client: Client, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overload, "LISTENERS", 2)
    assert LISTENERS > 2
    first, second = [await client.get("/api/tts/status/events") for _ in range(2)]
    async with client.get("/api/tts/status/events") as answer:
        assert await refusal(answer) == (503, "too_many_listeners")
    first.close()
    while len(load._listeners) > 1:
        load.tell()
        await asyncio.sleep(0.01)
    async with client.get("/api/tts/status/events") as answer:
        assert answer.status == 200
    second.close()


async def test_the_servers_end_is_theirs(client: Client) -> None:
    async with client.get("/api/tts/status/events") as answer:
        await next_status(answer)
        await client.app.shutdown()
        assert await answer.content.read() == b""


async def test_a_measure_that_fails_does_not_end_the_watch(load: Load) -> None:
    seen = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail() -> float:
        loop.call_soon_threadsafe(seen.set)
        raise OSError("no such file")

    load._cpu_share = fail
    watching = asyncio.create_task(load.watch())
    for _ in range(3):
        seen.clear()
        await seen.wait()
    watching.cancel()
    await asyncio.wait({watching})


@pytest.mark.parametrize("level", Level)
async def test_the_preview_is_the_first_to_go(client: Client, load: Load, gateway: FakeGateway, level: Level) -> None:
    load.level = level
    async with client.post("/api/tts/preview", json=TEXT) as answer:
        if level:
            assert await refusal(answer) == (503, "preview_off")
        else:
            assert answer.status == 200
            assert answer.headers["X-Voice"] == "female"
    async with client.post("/api/tts", json=TEXT) as answer:
        assert answer.status == 200, "what is refused there, the gateway refuses"
    assert len(gateway.requests) == 1 + (not level)


async def test_at_the_worst_no_new_websocket_is_opened_and_an_open_one_goes_on(client: Client, load: Load) -> None:
    async with client.ws_connect("/v1/audio/speech/stream") as socket:
        load.level, load.wait = Level.REFUSE, 9.0
        async with client.get("/v1/audio/speech/stream", headers={"Upgrade": "websocket"}) as answer:
            assert await refusal(answer) == (503, "overloaded")
        await socket.send_json({"type": "input.text", "text": "好。"})
        await socket.send_json({"type": "input.done"})
        assert (await socket.receive_json())["type"] == "audio.start"


@pytest.mark.parametrize("path", ["/api/tts/status", "/api/tts/status/events"])
async def test_where_nobody_looks_there_is_nothing_to_tell(serve: Serve, path: str) -> None:
    async with (await serve()).get(path) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("answers", "rate", "p95"),
    [
        ([], 0.0, None),
        ([(0.0, 0.5)], 0.1, 0.5),
        ([(0.0, n / 100) for n in range(1, 101)], 10.0, 0.95),
        ([(70.0, 9.0), (30.0, 0.2), (0.0, 0.1)], 0.1, 0.2),  # seconds ago, and how long it took
        ([(0.5, 0.1)] * 5000, 4096 / 0.5, 0.1),
    ],
    ids=["none", "one", "many", "some long ago", "more than are remembered"],
)
def test_what_was_lately(
    monkeypatch: pytest.MonkeyPatch, answers: list[tuple[float, float]], rate: float, p95: float | None
) -> None:
    now_s = 1000.0
    monkeypatch.setattr("tts_server.metrics.time.monotonic", lambda: now_s)
    lately = Metrics().lately
    for ago_s, took_s in answers:
        now_s = 1000.0 - ago_s
        lately.add(took_s)
    now_s = 1000.0
    per_s, found = lately.tell()
    assert per_s == pytest.approx(rate)
    assert found == p95

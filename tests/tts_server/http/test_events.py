"""Server-sent events: what OpenAI's API calls stream_format sse."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from tests.tts_server.http.conftest import Serve
from tests.tts_server.http.fakes import PIECE_SAMPLES, RATE_HZ, FakeGateway, FakeMeter, pcm_of
from tts_server.errors import EngineFailed
from tts_server.http.services import Limits

TEXT = "Hello."
BODY = {"model": "tts-1", "input": TEXT, "voice": "nova", "response_format": "pcm", "stream_format": "sse"}


async def events_of(answer: ClientResponse) -> list[dict[str, Any]]:
    """Each event's data; its name must be its type."""
    events = []
    for block in (await answer.text()).split("\n\n")[:-1]:
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


async def test_audio_comes_in_deltas_and_then_its_usage(client: TestClient[Any, Any]) -> None:
    async with client.post("/v1/audio/speech", json=BODY) as answer:
        *deltas, done = await events_of(answer)
    assert answer.content_type == "text/event-stream"
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-cache", "no")
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == pcm_of(TEXT)
    spoken = round(20 * len(TEXT) * PIECE_SAMPLES / RATE_HZ)
    assert done == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": len(TEXT), "output_tokens": spoken, "total_tokens": len(TEXT) + spoken},
    }


@pytest.mark.parametrize("failure", [EngineFailed("the worker died"), RuntimeError("a bug")])
async def test_a_failure_on_the_way_is_an_event(
    client: TestClient[Any, Any], gateway: FakeGateway, meter: FakeMeter, failure: Exception
) -> None:
    gateway.failure, gateway.fails_at = failure, 2
    async with client.post("/v1/audio/speech", json=BODY) as answer:
        *deltas, error = await events_of(answer)
    assert [event["type"] for event in deltas] == ["speech.audio.delta"] * 2
    assert error["type"] == "speech.audio.error"
    assert error["error"].keys() == {"message", "type", "param", "code"}
    assert "bug" not in error["error"]["message"]
    assert meter.requests == [("/v1/audio/speech", 500)]


async def test_a_sign_of_life_comes_while_there_is_no_audio(serve: Serve, gateway: FakeGateway) -> None:
    client = await serve(Limits(ping_s=0.01))
    for gateway.holds_at in (0, 1):  # before the headers as well
        gateway.release.clear()
        async with client.post("/v1/audio/speech", json=BODY) as answer:
            assert answer.status == 200
            if gateway.holds_at:
                await answer.content.readuntil(b"speech.audio.delta")
            await answer.content.readuntil(b": ping\n\n")
            gateway.release.set()
            assert b"speech.audio.done" in await answer.read()


async def test_nothing_runs_on_when_the_stream_has_ended(client: TestClient[Any, Any], gateway: FakeGateway) -> None:
    before = len(asyncio.all_tasks())
    await (await client.post("/v1/audio/speech", json=BODY)).read()
    await gateway.left.wait()
    assert gateway.speaking == []
    assert len(asyncio.all_tasks()) <= before + 1  # the connection's own

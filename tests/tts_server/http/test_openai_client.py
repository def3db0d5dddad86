"""OpenAI's own Python client, unchanged but for its address."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from aiohttp.test_utils import TestClient

from tests.tts_server.http.fakes import PIECE_SAMPLES, FakeGateway, pcm_of
from tts_server.errors import EngineFailed, QueueFull

TEXT = "你好, world."


@pytest.fixture
async def ai(client: TestClient[Any, Any]) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="any", base_url=str(client.make_url("/v1")), max_retries=0) as made:
        yield made


async def test_speech_whole(ai: openai.AsyncOpenAI, gateway: FakeGateway) -> None:
    answer = await ai.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input=TEXT, response_format="wav", speed=1.5, instructions="gently"
    )
    with wave.open(io.BytesIO(answer.content)) as heard:
        assert heard.readframes(len(TEXT) * PIECE_SAMPLES) == pcm_of(TEXT)
    assert (gateway.requests[0].speed, gateway.requests[0].voice.id) == (1.5, "female")


async def test_speech_is_mp3_unless_told(ai: openai.AsyncOpenAI) -> None:
    answer = await ai.audio.speech.create(model="tts-1", voice="echo", input=TEXT)
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert answer.content[0] == 0xFF


async def test_speech_streamed(ai: openai.AsyncOpenAI, gateway: FakeGateway) -> None:
    gateway.holds_at = 1
    streaming = ai.audio.speech.with_streaming_response
    async with streaming.create(model="tts-1", voice="marin", input=TEXT, response_format="pcm") as answer:
        heard = b""
        async for data in answer.iter_bytes():
            heard += data
            if len(heard) == 2 * PIECE_SAMPLES:
                gateway.release.set()  # so the first piece was heard before the second was made
    assert heard == pcm_of(TEXT)


async def test_the_blocking_client_in_a_thread(client: TestClient[Any, Any]) -> None:
    def speak() -> bytes:
        with openai.OpenAI(api_key="any", base_url=str(client.make_url("/v1"))) as ai:
            answer = ai.audio.speech.create(model="tts-1-hd", voice={"id": "male"}, input=TEXT, response_format="pcm")
            return answer.content

    assert await asyncio.to_thread(speak) == pcm_of(TEXT)


async def test_events(ai: openai.AsyncOpenAI) -> None:
    body = {"model": "tts-1", "voice": "sage", "input": TEXT, "response_format": "pcm", "stream_format": "sse"}
    stream = await ai.post(
        "/audio/speech", body=body, cast_to=object, stream=True, stream_cls=openai.AsyncStream[dict[str, Any]]
    )
    kinds = [event["type"] async for event in stream]
    assert kinds == ["speech.audio.delta"] * len(TEXT) + ["speech.audio.done"]


async def test_a_failure_among_events_is_raised(ai: openai.AsyncOpenAI, gateway: FakeGateway) -> None:
    gateway.failure, gateway.fails_at = EngineFailed("the worker died"), 1
    body = {"model": "tts-1", "voice": "sage", "input": TEXT, "stream_format": "sse", "response_format": "pcm"}
    stream = await ai.post(
        "/audio/speech", body=body, cast_to=object, stream=True, stream_cls=openai.AsyncStream[dict[str, Any]]
    )
    with pytest.raises(openai.APIError, match="the worker died"):
        async for _ in stream:
            pass


async def test_a_failure_on_the_way_is_no_end(ai: openai.AsyncOpenAI, gateway: FakeGateway) -> None:
    gateway.failure, gateway.fails_at = EngineFailed("the worker died"), 1
    with pytest.raises(Exception, match=r"(?i)peer closed|incomplete|connection"):
        await ai.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="pcm")


@pytest.mark.parametrize(
    ("fields", "error", "param", "code"),
    [
        ({"speed": 9}, openai.BadRequestError, "speed", "invalid_value"),
        ({"input": "x" * 4097}, openai.BadRequestError, "input", "input_too_long"),
        ({"response_format": "ogg"}, openai.BadRequestError, "response_format", "unsupported_format"),
        ({"voice": "nobody"}, openai.NotFoundError, "voice", "voice_not_found"),
        ({"model": "gpt-9"}, openai.NotFoundError, "model", "model_not_found"),
    ],
)
async def test_refusals_are_the_clients_own_errors(
    ai: openai.AsyncOpenAI, fields: dict[str, Any], error: type[openai.APIStatusError], param: str, code: str
) -> None:
    wanted: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": TEXT} | fields
    with pytest.raises(error) as caught:
        await ai.audio.speech.create(**wanted, extra_headers={"X-Request-Id": "mine"})
    assert (caught.value.param, caught.value.code, caught.value.request_id) == (param, code, "mine")
    assert caught.value.type == "invalid_request_error"


async def test_our_failures_are_the_clients_own_errors(ai: openai.AsyncOpenAI, gateway: FakeGateway) -> None:
    gateway.refusal = EngineFailed("broken")
    with pytest.raises(openai.InternalServerError) as caught:
        await ai.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert caught.value.code == "engine_failed"


async def test_the_client_comes_back_when_it_is_told_to(ai: openai.AsyncOpenAI, gateway: FakeGateway) -> None:
    gateway.refusal = QueueFull("full", retry_after_s=0.001)
    with pytest.raises(openai.InternalServerError):
        await ai.with_options(max_retries=2).audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert len(gateway.requests) == 3


async def test_the_client_does_not_repeat_what_will_fail_again(ai: openai.AsyncOpenAI, gateway: FakeGateway) -> None:
    gateway.refusal = EngineFailed("broken")
    with pytest.raises(openai.InternalServerError):
        await ai.with_options(max_retries=2).audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert len(gateway.requests) == 1


async def test_every_model_that_is_listed_can_be_retrieved(ai: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in ai.models.list()]
    assert names[:3] == ["standard", "light", "tts-1"]
    assert [(await ai.models.retrieve(name)).id for name in names] == names
    with pytest.raises(openai.NotFoundError):
        await ai.models.retrieve("gpt-9")

"""A server that lies, and callers who notice."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.caller import Ask, Caller, Heard
from bench.texts import Text
from bench.wire import Wire

RATE_HZ = 24_000
TEXT = Text("今天天气很好，我们一起去公园散步吧。", repeated=False)
SPOKEN = np.asarray(8_000 * np.sin(np.arange(5 * RATE_HZ) * 0.05), np.int16)
HEADERS = {
    "X-Sample-Rate": str(RATE_HZ),
    "X-Cache": "MISS",
    "Server-Timing": "queue;dur=1.5, read;dur=2.0, infer;dur=3.5",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def wav(samples: npt.NDArray[np.int16]) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    return written.getvalue()


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/api/tts", handler)
    async with TestServer(app) as server:
        yield str(server.make_url(""))


async def heard_of(handler: Handler, **wishes: object) -> Heard:
    async with served(handler) as url:
        with closing(Wire(url)) as wire:
            ask = Ask(url, **wishes)  # type: ignore[arg-type]
            return await Caller(ask, wire).call(TEXT, time.monotonic())


def answering(body: bytes, status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=HEADERS)

    return handler


async def cut_short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    response.content_length = len(wav(SPOKEN))
    await response.prepare(request)
    await response.write(wav(SPOKEN)[:50_000])
    assert request.transport
    request.transport.close()
    return response


async def cut_in_a_chunk(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers=HEADERS)
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(wav(SPOKEN))
    assert request.transport
    request.transport.close()  # all of it came, and its end did not: nobody can know that it was all
    return response


async def hung_up(request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.close()
    return web.Response()


async def silent_for_ever(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody wakes it")


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (answering(wav(SPOKEN)), ""),
        (answering(wav(SPOKEN * 0)), "silent"),
        (answering(wav(SPOKEN[: RATE_HZ // 2])), "too short"),
        (answering(wav(np.tile(SPOKEN, 5))), "too long"),
        (answering(b""), "empty"),
        (answering(b"not audio"), "does not decode"),
        (answering(b'{"error": {}}', 500), "status 500"),
        (answering(b'{"error": {}}', 503), "status 503"),
        (cut_short, "cut"),
        (cut_in_a_chunk, "cut"),
        (hung_up, "connection"),
    ],
    ids=["right", "silence", "short", "long", "empty", "garbage", "500", "503", "cut", "cut in a chunk", "hung up"],
)
async def test_a_lie_is_an_error_of_its_kind(handler: Handler, error: str) -> None:
    heard = await heard_of(handler)
    assert heard.error == error
    assert heard.intended_s <= heard.sent_s <= heard.ended_s
    if not error:
        assert heard.audio_s == pytest.approx(5)
        assert heard.cache == "MISS"
        assert heard.stages_ms == (1.5, 2.0, 3.5, 0.0)
        assert heard.check_s > 0


async def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_told() -> None:
    assert (await heard_of(silent_for_ever, timeout_s=0.05)).error == "timeout"


async def test_a_server_that_is_not_there_is_an_error() -> None:
    heard = await Caller(Ask(""), Wire("http://127.0.0.1:1")).call(TEXT, time.monotonic())
    assert heard.error == "connection"


async def test_what_is_asked_is_what_was_wished() -> None:
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((await request.json(), request.headers.get("Authorization"), request.headers.get("X-Deadline-Ms")))
        return web.Response(body=SPOKEN.tobytes(), headers=HEADERS)

    heard = await heard_of(
        handler, key="secret", voice="male", engine="light", audio_format="pcm", streamed=True, deadline_ms=900
    )
    assert not heard.error
    body = {"text": TEXT.text, "voice": "male", "format": "pcm", "stream": True, "engine": "light"}
    assert asked == [(body, "Bearer secret", "900")]


async def test_pcm_without_a_rate_cannot_be_judged() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=SPOKEN.tobytes())

    assert (await heard_of(handler, audio_format="pcm")).error == "no sample rate"


async def test_a_stream_that_runs_dry_is_heard_as_a_gap() -> None:
    pieces = [SPOKEN[: RATE_HZ // 10], SPOKEN[RATE_HZ // 10 :]]
    dry = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        await response.write(pieces[0].tobytes())
        await dry.wait()  # until its listener has been waiting for a while
        await response.write(pieces[1].tobytes())
        return response

    asyncio.get_running_loop().call_later(0.5, dry.set)
    heard = await heard_of(handler, audio_format="pcm", streamed=True)
    assert not heard.error
    assert heard.first_s < heard.ended_s
    assert heard.longest_gap_s > 0.3
    without, with_cushion = heard.underruns
    assert without > with_cushion > 0
    assert without - with_cushion == pytest.approx(0.1)


async def test_a_wavs_header_is_not_yet_audio() -> None:
    body = wav(SPOKEN)
    headed, sent = asyncio.Event(), []

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        await response.write(body[:44])
        asyncio.get_running_loop().call_later(0.1, headed.set)
        await headed.wait()
        sent.append(time.monotonic())
        await response.write(body[44:])
        return response

    heard = await heard_of(handler, streamed=True)
    assert not heard.error
    assert heard.first_s >= sent[0]

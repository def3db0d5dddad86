"""How audio goes out over HTTP: as it is, or as events; whole, or while it is being made."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Final, Protocol

import orjson
from aiohttp import web

from tts_server.encoding import CONTENT_TYPES
from tts_server.errors import TTSError
from tts_server.http.kept import Kept
from tts_server.http.middlewares import note_failure, unexpected
from tts_server.http.rendering import Rendering
from tts_server.http.requests import Delivery
from tts_server.http.sending import ClientGone, send
from tts_server.http.services import SERVICES
from tts_server.speech import Speech, SpeechRequest, Timings

WRITE_BYTES: Final = 1 << 16
"""Sent at once: what aiohttp buffers before it waits for the client. 1.4 s of audio as pcm."""
TOKENS_PER_S: Final = 20
"""Of audio, in the `usage` of an event stream. We have no tokens, but the field is required; this is OpenAI's order."""


async def answer(
    request: web.Request,
    wanted: SpeechRequest,
    speech: Speech,
    delivery: Delivery,
    since_s: float,
    place: Kept | None = None,
) -> web.StreamResponse:
    """Send the speech as it is wanted; return what was sent. TTSError if it fails before its first audio.

    A failure after that cuts the connection, or is an event: it never looks like the end of the audio. `since_s` is
    when the request came, by time.perf_counter(); `place` is where the answer is kept, if it was whole.
    """
    services = request.app[SERVICES]
    rendering = Rendering(services, speech, delivery, text_s=wanted.audio_s, since_s=since_s)
    pieces: AsyncGenerator[bytes, None] | AsyncGenerator[bytes | None, None]
    wrapping: _Wrapping
    if delivery.events:
        pieces = _with_pings(rendering.pieces(), services.limits.ping_s)
        wrapping = _Events(len(wanted.text), rendering, speech)
    else:
        pieces = place.collect(rendering.pieces()) if place else rendering.pieces()
        wrapping = _Bytes(delivery.audio_format)
    async with aclosing(pieces):
        first = await anext(pieces)  # what fails up to here still has a status of its own
        headers = _headers(None if first is None else speech, delivery, rendering, wrapping.content_type)
        now = headers | _timings(speech.timings) | {"X-Cache": speech.reuse}
        if delivery.streamed:
            response = web.StreamResponse(headers=now)
            await _deliver(request, response, wrapping, first, pieces)
        else:
            body = b"".join([first or b"", *[piece or b"" async for piece in pieces]])  # one piece, so no copy
            response = await _send_whole(request, now, body)
    if place and speech.voice == wanted.voice:
        place.keep(headers | _AGAIN)
    return response


async def answer_again(
    request: web.Request, headers: dict[str, str], body: memoryview, since_s: float
) -> web.StreamResponse:
    """Send what was sent before."""
    request.app[SERVICES].meter.first_audio(time.perf_counter() - since_s)
    return await _send_whole(request, headers, body)


async def _send_whole(request: web.Request, headers: dict[str, str], body: bytes | memoryview) -> web.StreamResponse:
    """What the client does not take at once waits for him in the transport. A long body goes there as it is; a short
    one is better copied and sent in one call with the headers.
    """
    within_s = request.app[SERVICES].limits.write_timeout_s
    response: web.StreamResponse
    if len(body) < WRITE_BYTES:
        response = web.Response(body=bytes(body), headers=headers)
        await send(response.prepare(request), within_s)
        await send(response.write_eof(), within_s, request.transport)
    else:
        response = web.StreamResponse(headers=headers | {"Content-Length": str(len(body))})
        await send(response.prepare(request), within_s)
        await send(response.write(body), within_s, request.transport)
        await send(response.write_eof(), within_s)
    return response


class _Wrapping(Protocol):
    """What stands around the audio in an answer."""

    content_type: str

    def piece(self, data: bytes | None) -> bytes:
        """Audio, or a sign of life where there has been none for a while."""
        ...

    def end(self) -> bytes:
        """What follows when all has been said."""
        ...

    def failure(self, error: TTSError) -> bytes | None:
        """What follows when the rest cannot be had; None: only cutting the connection tells the client."""
        ...


class _Bytes:
    """The audio alone."""

    def __init__(self, audio_format: str) -> None:
        self.content_type = CONTENT_TYPES[audio_format]

    def piece(self, data: bytes | None) -> bytes:
        return data or b""

    def end(self) -> bytes:
        return b""

    def failure(self, _: TTSError) -> bytes | None:
        return None


class _Events:
    """Server-sent events, as OpenAI names them; and one of our own for words, before the audio that they are in."""

    content_type = "text/event-stream"

    def __init__(self, characters: int, rendering: Rendering, speech: Speech) -> None:
        self._characters = characters
        self._rendering = rendering
        self._speech = speech
        self._told_words = 0

    def piece(self, data: bytes | None) -> bytes:
        if data is None:
            return b": ping\n\n"
        return self._words() + self._event("speech.audio.delta", {"audio": base64.b64encode(data).decode()})

    def end(self) -> bytes:
        spoken = round(self._rendering.audio_s * TOKENS_PER_S)
        usage = {
            "input_tokens": self._characters,
            "output_tokens": spoken,
            "total_tokens": self._characters + spoken,
        }
        return self._event("speech.audio.done", {"usage": usage})

    def failure(self, error: TTSError) -> bytes | None:
        return self._event("speech.audio.error", error.body())

    def _words(self) -> bytes:
        words = self._speech.words[self._told_words :]
        if not words:
            return b""
        self._told_words += len(words)
        return self._event("speech.audio.words", {"words": [word.content() for word in words]})

    def _event(self, kind: str, content: Mapping[str, object]) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **content}))


def _headers(speech: Speech | None, delivery: Delivery, rendering: Rendering, content_type: str) -> dict[str, str]:
    headers = {"Content-Type": content_type, "X-Sample-Rate": str(rendering.sample_rate_hz)}
    if speech is not None:  # else there is no audio yet, and it may still come from another engine
        headers |= {"X-Engine": speech.voice.engine, "X-Voice": speech.voice.id}
        if speech.unspoken:
            headers["X-Unspoken-Characters"] = str(len(speech.unspoken))
    if delivery.streamed:  # whoever is in between should pass it on as it comes
        headers |= {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    else:
        headers["X-Audio-Seconds"] = f"{rendering.audio_s:.3f}"
    return headers


def _timings(timings: Timings) -> dict[str, str]:
    stages = {"queue": timings.queue_s, "read": timings.read_s, "infer": timings.infer_s, "encode": timings.encode_s}
    return {"Server-Timing": ", ".join(f"{stage};dur={seconds * 1000:.1f}" for stage, seconds in stages.items())}


_AGAIN: Final = _timings(Timings()) | {"X-Cache": "HIT"}


async def _deliver(
    request: web.Request,
    response: web.StreamResponse,
    wrapping: _Wrapping,
    first: bytes | None,
    rest: AsyncIterator[bytes | None],
) -> None:
    """The answer, from its headers to its end. TTSError or ClientGone if it cannot be brought to its end."""
    within_s = request.app[SERVICES].limits.write_timeout_s

    async def write(data: bytes) -> None:
        view = memoryview(data)  # parts of it are no copies
        for start in range(0, len(data), WRITE_BYTES):
            await send(response.write(view[start : start + WRITE_BYTES]), within_s)

    await send(response.prepare(request), within_s)
    try:
        await write(wrapping.piece(first))
        async for piece in rest:
            await write(wrapping.piece(piece))
        await write(wrapping.end())
    except ClientGone:
        raise
    except Exception as error:
        failure = error if isinstance(error, TTSError) else unexpected(request, error)
        if (last_words := wrapping.failure(failure)) is None:
            raise failure from error
        note_failure(request, failure)
        await write(last_words)
    await send(response.write_eof(), within_s)


async def _with_pings(pieces: AsyncGenerator[bytes, None], every_s: float) -> AsyncGenerator[bytes | None, None]:
    """The pieces, and None whenever none has come for so long."""
    coming: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(1)  # one ahead of the client

    async def pump() -> None:
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    await coming.put(piece)
            await coming.put(None)
        except Exception as error:  # noqa: BLE001  (raised again on the other side)
            await coming.put(error)

    pumping = asyncio.create_task(pump())
    try:
        while True:
            try:
                async with asyncio.timeout(every_s):
                    piece = await coming.get()
            except TimeoutError:
                yield None
                continue
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece
    finally:
        pumping.cancel()
        await asyncio.wait({pumping})

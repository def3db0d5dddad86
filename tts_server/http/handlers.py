"""The HTTP routes: speech, and the lists of what there is to speak with."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final, Protocol

from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError

from tts_server.errors import InvalidRequest, TTSError, UnsupportedMediaType
from tts_server.http.answer import answer, answer_again
from tts_server.http.guard import allowed_voices, choose, permit
from tts_server.http.kept import Kept, may_reuse, name_of
from tts_server.http.known import KNOWN, SHORT_BYTES
from tts_server.http.middlewares import json_response
from tts_server.http.requests import (
    MODEL_ALIASES,
    Delivery,
    engine_of_model,
    engines,
    parse_deadline_s,
    parse_openai,
    parse_tts,
)
from tts_server.http.services import BODY, CALLER, REQUEST_ID, SERVICES, Limits
from tts_server.speech import SpeechRequest, Voice
from tts_server.trace import current, facts_of

_MODELS_CREATED_S: Final = 1_767_225_600  # 2026-01-01: the listing must have a date, and it should not change


class Parse(Protocol):
    """`requests.parse_tts` or `parse_openai`."""

    def __call__(
        self, data: bytes, voices: tuple[Voice, ...], limits: Limits, *, request_id: str, deadline_s: float
    ) -> tuple[SpeechRequest, Delivery]:
        """What a body asks for."""
        ...


async def speak_tts(request: web.Request) -> web.StreamResponse:
    """POST /api/tts."""
    return await _speak(request, parse_tts)


async def speak_preview(request: web.Request) -> web.StreamResponse:
    """POST /api/tts/preview: the web page's, the first to be switched off when there is too much to do."""
    if (load := request.app[SERVICES].load) is not None:
        load.admit_preview()
    return await _speak(request, parse_tts)


async def speak_openai(request: web.Request) -> web.StreamResponse:
    """POST /v1/audio/speech."""
    return await _speak(request, parse_openai)


async def list_models(request: web.Request) -> web.Response:
    """GET /v1/models: the engines, and the names of OpenAI's that are taken for the default one."""
    names = (*engines(allowed_voices(request)), *MODEL_ALIASES)
    return json_response({"object": "list", "data": [_model(name) for name in names]})


async def get_model(request: web.Request) -> web.Response:
    """GET /v1/models/{id}: whatever POST /v1/audio/speech takes as a model is found here."""
    name = request.match_info["id"]
    choose(request, lambda voices: engine_of_model(voices, name))
    return json_response(_model(name))


async def list_voices(request: web.Request) -> web.Response:
    """GET /v1/audio/voices. `?legacy=true` gives the names alone, as clients of older servers want them."""
    voices = allowed_voices(request)
    if request.query.get("legacy", "").lower() in {"true", "1"}:
        return json_response({"voices": list(dict.fromkeys(voice.id for voice in voices))})
    return json_response({"voices": [_voice(voice) for voice in voices]})


def _model(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": _MODELS_CREATED_S, "owned_by": "tts-server"}


def _voice(voice: Voice) -> dict[str, object]:
    return {
        "id": voice.id,
        "name": voice.id,
        "language": ",".join(voice.languages),
        "gender": voice.gender,
        "engine": voice.engine,
        "sample_rate": voice.sample_rate_hz,
        "description": voice.description,
    }


async def _speak(request: web.Request, parse: Parse) -> web.StreamResponse:
    since_s = time.perf_counter()
    services = request.app[SERVICES]
    deadline_s = parse_deadline_s(request.headers.get("X-Deadline-Ms"), services.limits.deadline_s)
    body = await read_body(request)
    caller = request[CALLER]
    wanted, delivery = choose(
        request,
        lambda voices: parse(body, voices, services.limits, request_id=request[REQUEST_ID], deadline_s=deadline_s),
    )
    wanted = await permit(request, wanted)
    if trace := current():
        trace.facts |= {**facts_of(wanted), "tts.format": delivery.audio_format}
    wanted = replace(wanted, may_reuse=may_reuse(request))
    place = None
    if services.cache and services.cache.on and wanted.may_reuse and (name := name_of(wanted, delivery)):
        place = Kept(services.cache, name)
        if found := await place.recall():
            request.app[KNOWN].note(request, caller, body, len(wanted.text), name)
            return await answer_again(request, *found, since_s)
    try:
        services.encoders.admit(delivery.audio_format, wanted.audio_s, deadline_s, streamed=delivery.streamed)
    except TTSError:
        services.meter.outcome("rejected")
        raise
    async with services.gateway.speak(wanted) as speech:
        return await answer(request, wanted, speech, delivery, since_s, place)


async def read_body(request: web.Request) -> bytes:
    """The body, if it is JSON and arrives in time."""
    if request.content_type != "application/json":
        raise UnsupportedMediaType("the body must be JSON, and Content-Type: application/json say so")
    if BODY in request:
        return request[BODY]
    limit_s = request.app[SERVICES].limits.body_s
    try:
        most_bytes = min(SHORT_BYTES, request.client_max_size)
        if request.content.is_eof() and request.content.total_bytes <= most_bytes:  # it came with the headers
            return request.content.read_nowait()
        async with asyncio.timeout(limit_s):
            return await request.read()
    except TimeoutError:
        raise InvalidRequest(f"the body did not arrive within {limit_s:g} s", code="body_timeout") from None
    except (web.RequestPayloadError, PayloadEncodingError):  # chunks or compression that are none
        raise InvalidRequest("the body is broken: its chunks or its compression", code="invalid_body") from None

"""The HTTP routes: speech, and the lists of what there is to speak with."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError

from tts_server.errors import InvalidRequest, UnsupportedMediaType
from tts_server.http.answer import answer
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
from tts_server.http.services import REQUEST_ID, SERVICES, Limits
from tts_server.speech import SpeechRequest, Voice

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


async def speak_openai(request: web.Request) -> web.StreamResponse:
    """POST /v1/audio/speech."""
    return await _speak(request, parse_openai)


async def list_models(request: web.Request) -> web.Response:
    """GET /v1/models: the engines, and the names of OpenAI's that are taken for the default one."""
    names = (*engines(request.app[SERVICES].gateway.voices()), *MODEL_ALIASES)
    return json_response({"object": "list", "data": [_model(name) for name in names]})


async def get_model(request: web.Request) -> web.Response:
    """GET /v1/models/{id}: whatever POST /v1/audio/speech takes as a model is found here."""
    name = request.match_info["id"]
    engine_of_model(request.app[SERVICES].gateway.voices(), name)
    return json_response(_model(name))


async def list_voices(request: web.Request) -> web.Response:
    """GET /v1/audio/voices. `?legacy=true` gives the names alone, as clients of older servers want them."""
    voices = request.app[SERVICES].gateway.voices()
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
    wanted, delivery = parse(
        await _body(request),
        services.gateway.voices(),
        services.limits,
        request_id=request[REQUEST_ID],
        deadline_s=deadline_s,
    )
    async with services.gateway.speak(wanted) as speech:
        return await answer(request, wanted, speech, delivery, since_s)


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise UnsupportedMediaType("the body must be JSON, and Content-Type: application/json say so")
    limit_s = request.app[SERVICES].limits.body_s
    try:
        async with asyncio.timeout(limit_s):
            return await request.read()
    except TimeoutError:
        raise InvalidRequest(f"the body did not arrive within {limit_s:g} s", code="body_timeout") from None
    except (web.RequestPayloadError, PayloadEncodingError):  # chunks or compression that are none
        raise InvalidRequest("the body is broken: its chunks or its compression", code="invalid_body") from None

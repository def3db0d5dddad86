"""What happens around every request: its id, its line in the log, its count; and each failure becomes an answer."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

from tts_server.errors import InvalidRequest, MethodNotAllowed, NotFound, TooLarge, TTSError, UnsupportedMediaType
from tts_server.http.sending import ClientGone, cut
from tts_server.http.services import BEGUN, CALLER, FAILURE_CODE, OUTCOME, REQUEST_ID, SERVICES, TRACE_ID, Meter
from tts_server.logs import get_logger

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CLIENT_GONE: Final = 499
"""nginx's word for it, in logs and metrics; nobody is there to read it."""
QUIET_ROUTES: Final = frozenset(
    {"/healthz", "/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready", "/metrics", "/web/{name}"}
)
"""Asked every few seconds, or twenty at a time by a browser; they are logged for debugging alone."""

SERVER: Final = "tts-server"
"""What it is made of, and of which version, is nobody's business."""

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ERRORS: Final[dict[int, type[TTSError]]] = {
    error.status: error for error in (NotFound, MethodNotAllowed, TooLarge, UnsupportedMediaType)
}
log = get_logger(__name__)


@web.middleware
async def attend(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, and tell the log and the metrics how it ended."""
    started_s = time.perf_counter()
    request[REQUEST_ID] = id_of(request)
    status = CLIENT_GONE  # unless it is answered: what leaves here as an exception is a cancellation
    try:
        response = await handler(request)
        status = response.status
    finally:
        status = request.get(OUTCOME, status)
        tell_done(
            request.app[SERVICES].meter,
            request[REQUEST_ID],
            request.method,
            route_of(request),
            status,
            time.perf_counter() - started_s,
            **({"caller": request[CALLER].id} if CALLER in request else {}),
            **({"code": request[FAILURE_CODE]} if FAILURE_CODE in request else {}),
            **({"trace": request[TRACE_ID]} if TRACE_ID in request else {}),
        )
    return response


@web.middleware
async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure in OpenAI's shape. If the answer has begun, its connection is cut, for it is not the whole."""
    try:
        return await handler(request)
    except TTSError as error:
        return _told(request, error)
    except web.HTTPException as error:
        return _refused(request, error)
    except ClientGone:
        request[OUTCOME] = CLIENT_GONE
        cut(request)
        return request[BEGUN]
    except Exception as error:  # noqa: BLE001  (the caller is told that it is our fault, and no more)
        return _told(request, unexpected(request, error))


def id_of(request: web.Request) -> str:
    """The id that its caller has given it, if it will do; else a new one."""
    given = request.headers.get("X-Request-Id")
    return given if given is not None and _GIVEN_ID.fullmatch(given) else new_id()


def new_id() -> str:
    """Of a request whose caller gave it none."""
    return f"{random.getrandbits(128):032x}"


def tell_done(
    meter: Meter, request_id: str, method: str, route: str, status: int, duration_s: float, **more: str
) -> None:
    """Count a request, and write its line in the log."""
    meter.request(route, status, duration_s)
    tell = log.debug if route in QUIET_ROUTES else log.info
    ms = round(duration_s * 1000, 1)
    tell("request done", request=request_id, method=method, route=route, status=status, ms=ms, **more)


def route_of(request: web.Request) -> str:
    """The pattern that it matched."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


async def sign(request: web.Request, response: web.StreamResponse) -> None:
    """Put the request's id on its answer, whatever it is; called as headers are about to go."""
    if REQUEST_ID in request:  # aiohttp answers some requests before any of us has seen them
        response.headers["X-Request-Id"] = request[REQUEST_ID]
    response.headers["Server"] = SERVER
    request[BEGUN] = response


def note_failure(request: web.Request, error: TTSError) -> None:
    """For the log and the metrics."""
    request[OUTCOME] = error.status
    request[FAILURE_CODE] = error.code


def unexpected(request: web.Request, error: Exception) -> TTSError:
    """A bug was met: it is logged here, and what the caller may know of it is returned."""
    request_id = request[REQUEST_ID]
    log.error("request failed unexpectedly", request=request_id, exc_info=error)
    return TTSError(f"something went wrong in the server; its log tells more about request {request_id}")


def json_response(content: object, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=orjson.dumps(content), status=status, headers=headers, content_type="application/json")


def _told(request: web.Request, error: TTSError, headers: dict[str, str] | None = None) -> web.StreamResponse:
    note_failure(request, error)
    if BEGUN in request:
        cut(request)
        return request[BEGUN]
    return json_response(error.body(), error.status, error.headers() | (headers or {}))


def _refused(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """What aiohttp itself refuses."""
    status = HTTPStatus(error.status)
    headers = {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        headers["Allow"] = ", ".join(sorted({*error.allowed_methods, "OPTIONS"}))
        if request.method == "OPTIONS":
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)
    message = {
        HTTPStatus.NOT_FOUND: "there is no such route; GET /openapi.json lists those there are",
        HTTPStatus.METHOD_NOT_ALLOWED: f"this route does not take {request.method}",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"the body may have up to {request.client_max_size} bytes",
    }.get(status, error.text or error.reason)
    return _told(request, _ERRORS.get(status, InvalidRequest)(message), headers)

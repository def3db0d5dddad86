"""What collects a request's trace, around all else that happens to it. There only if traces are collected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from tts_server.http.middlewares import CLIENT_GONE, QUIET_ROUTES, route_of
from tts_server.http.services import FAILURE_CODE, OUTCOME, TRACE_ID
from tts_server.trace import TRACE, Trace
from tts_server.tracing import Tracing, trace_id, traceresponse

if TYPE_CHECKING:
    from aiohttp.typedefs import Middleware

    from tts_server.metrics import Outcome

_SPAN: Final = web.RequestKey("traceresponse", str)
_TOLD: Final = {"X-Engine": "tts.engine", "X-Voice": "tts.voice", "X-Cache": "tts.cache"}
"""What an answer tells its caller, and we tell the trace: who really spoke."""


def traced(tracing: Tracing) -> Middleware:
    """The middleware; to be the outermost."""

    @web.middleware
    async def trace_it(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        route = route_of(request)
        if route in QUIET_ROUTES:
            return await handler(request)
        span, trace = tracing.begin(request.method, route, request.headers), Trace()
        request[TRACE_ID], request[_SPAN] = trace_id(span), traceresponse(span)
        token = TRACE.set(trace if span.is_recording() else None)
        status = CLIENT_GONE  # unless it is answered
        try:
            response = await handler(request)
            status = response.status
            for header, fact in _TOLD.items():
                if header in response.headers:
                    trace.facts[fact] = response.headers[header]
        finally:
            TRACE.reset(token)
            status = request.get(OUTCOME, status)
            trace.facts["tts.outcome"] = outcome_of(status)
            tracing.end(span, trace, status, request.get(FAILURE_CODE, ""))
        return response

    return trace_it


async def tell_trace(request: web.Request, response: web.StreamResponse) -> None:
    """Put the trace on the answer; called as headers are about to go."""
    if _SPAN in request:
        response.headers["traceresponse"] = request[_SPAN]


def outcome_of(status: int) -> Outcome:
    """How a request with that status ended, in the words that the metrics have for it."""
    if status < HTTPStatus.BAD_REQUEST:
        return "done"
    if status == CLIENT_GONE:
        return "cancelled"
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return "expired"
    refused = status < HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.SERVICE_UNAVAILABLE
    return "rejected" if refused else "failed"

"""The web application: its routes, and what stands around them. Who runs it decides where it listens, and how it ends.

It must be run with `handler_cancellation=True`: a client that goes away then stops its own work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from tts_server.http import handlers, jobs, openapi, page, probes, status, websocket
from tts_server.http.guard import GUARD, Guard, admit, tell_limits
from tts_server.http.known import KNOWN, Known
from tts_server.http.middlewares import attend, sign, tell_errors
from tts_server.http.services import SERVICES, Services

if TYPE_CHECKING:
    from tts_server.tracing import Tracing

_ROUTES: Final = (
    web.post("/api/tts", handlers.speak_tts),
    web.post("/api/tts/preview", handlers.speak_preview),
    web.get("/api/tts/status", status.show),
    web.get("/api/tts/status/events", status.events, allow_head=False),
    web.post("/api/tts/jobs", jobs.submit),
    web.get("/api/tts/jobs", jobs.listing),
    web.get("/api/tts/jobs/{id}", jobs.show),
    web.delete("/api/tts/jobs/{id}", jobs.delete),
    web.get("/api/tts/jobs/{id}/audio", jobs.audio),
    web.get("/api/tts/jobs/{id}/events", jobs.events, allow_head=False),
    web.post("/v1/audio/speech", handlers.speak_openai),
    web.get("/v1/audio/speech/stream", websocket.speak_as_written, allow_head=False),
    web.get("/v1/audio/voices", handlers.list_voices),
    web.get("/v1/models", handlers.list_models),
    web.get("/v1/models/{id}", handlers.get_model),
    web.get("/healthz", probes.alive),
    # the same under the names that other programs look for
    web.post("/audio/speech", handlers.speak_openai),
    web.get("/audio/voices", handlers.list_voices),
    web.get("/audio/models", handlers.list_models),
    web.get("/v1/audio/models", handlers.list_models),
    web.get("/livez", probes.alive),
    web.get("/health", probes.alive),
    web.get("/v2/health/live", probes.alive),
)
_ADMIN_ROUTES: Final = (
    web.get("/readyz", probes.ready),
    web.get("/v2/health/ready", probes.ready),
    web.get("/metrics", probes.metrics),
)
"""What only the operator needs to know."""


def create_app(
    services: Services,
    *,
    version: str,
    guard: Guard | None = None,
    admin_apart: bool = False,
    tracing: Tracing | None = None,
) -> web.Application:
    """The application that serves with these services; without a guard, everybody.

    With `admin_apart`, readiness and metrics are left to `create_admin_app`. With `tracing`, each request is traced.
    """
    app = web.Application(middlewares=[attend, tell_errors, admit], client_max_size=services.limits.body_bytes)
    app[SERVICES] = services
    app[GUARD] = guard = guard or Guard()
    app[KNOWN] = known = Known(services, guard)
    app[websocket.SOCKETS] = set()
    app.add_routes([*_ROUTES, *(() if admin_apart else _ADMIN_ROUTES), *openapi.routes(services.limits, version)])
    app.add_routes(page.routes())
    app.on_response_prepare.append(tell_limits)
    app.on_response_prepare.append(sign)
    if tracing is not None:
        from tts_server.http.traced import tell_trace, traced

        app.middlewares.insert(0, traced(tracing))
        app.on_response_prepare.append(tell_trace)
    else:  # a trace has to have all of a request's way
        app.middlewares.insert(0, known.answer)
    app.on_shutdown.append(known.end)
    app.on_shutdown.append(websocket.close_sockets)
    app.on_shutdown.append(jobs.end_streams)
    app.on_shutdown.append(status.end_streams)
    return app


def create_admin_app(services: Services) -> web.Application:
    """Probes and metrics alone, for a port that strangers cannot reach: nobody is asked for a key."""
    app = web.Application(middlewares=[attend, tell_errors])
    app[SERVICES] = services
    app.add_routes([*(route for route in _ROUTES if route.handler is probes.alive), *_ADMIN_ROUTES])
    app.on_response_prepare.append(sign)
    return app

"""The web application: its routes, and what stands around them. Who runs it decides where it listens, and how it ends.

It must be run with `handler_cancellation=True`: a client that goes away then stops its own work.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from tts_server.http import handlers, openapi, probes, websocket
from tts_server.http.middlewares import attend, sign, tell_errors
from tts_server.http.services import SERVICES, Services

_ROUTES: Final = (
    web.post("/api/tts", handlers.speak_tts),
    web.post("/v1/audio/speech", handlers.speak_openai),
    web.get("/v1/audio/speech/stream", websocket.speak_as_written, allow_head=False),
    web.get("/v1/audio/voices", handlers.list_voices),
    web.get("/v1/models", handlers.list_models),
    web.get("/v1/models/{id}", handlers.get_model),
    web.get("/healthz", probes.alive),
    web.get("/readyz", probes.ready),
    web.get("/metrics", probes.metrics),
    # the same under the names that other programs look for
    web.post("/audio/speech", handlers.speak_openai),
    web.get("/audio/voices", handlers.list_voices),
    web.get("/audio/models", handlers.list_models),
    web.get("/v1/audio/models", handlers.list_models),
    web.get("/livez", probes.alive),
    web.get("/health", probes.alive),
    web.get("/v2/health/live", probes.alive),
    web.get("/v2/health/ready", probes.ready),
)


def create_app(services: Services, *, version: str) -> web.Application:
    """The application that serves with these services."""
    app = web.Application(middlewares=[attend, tell_errors], client_max_size=services.limits.body_bytes)
    app[SERVICES] = services
    app[websocket.SOCKETS] = set()
    app.add_routes([*_ROUTES, *openapi.routes(services.limits, version)])
    app.on_response_prepare.append(sign)
    app.on_shutdown.append(websocket.close_sockets)
    return app

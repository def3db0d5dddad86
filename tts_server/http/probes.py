"""Is the server alive, is it ready, what has it counted. Nothing here waits for anything."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from tts_server.http.middlewares import json_response
from tts_server.http.services import SERVICES


async def alive(_: web.Request) -> web.Response:
    """Whoever answers is alive."""
    return json_response({"live": True})


async def ready(request: web.Request) -> web.Response:
    """200 if every engine has a worker that has spoken, and the server is not about to go; otherwise 503."""
    services = request.app[SERVICES]
    gateway = services.gateway
    engines = gateway.ready()
    is_ready = bool(engines) and all(engines.values()) and not gateway.draining
    told: dict[str, object] = {"ready": is_ready, "engines": engines, "draining": gateway.draining}
    if services.load is not None:
        status = services.load.status
        told |= {name: status[name] for name in ("level", "breakers")}
    return json_response(
        told,
        HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE,
    )


async def metrics(request: web.Request) -> web.Response:
    """Everything counted, as Prometheus reads it."""
    body, content_type = await request.app[SERVICES].meter.exposition(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})

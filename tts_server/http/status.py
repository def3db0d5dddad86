"""How busy the server is: once, or as it changes."""

from __future__ import annotations

from contextlib import aclosing

import orjson
from aiohttp import web

from tts_server.errors import NotFound
from tts_server.http.middlewares import json_response
from tts_server.http.sending import send
from tts_server.http.services import SERVICES, Load


async def show(request: web.Request) -> web.Response:
    """GET /api/tts/status."""
    return json_response(_load(request).status, headers={"Cache-Control": "no-store"})


async def events(request: web.Request) -> web.StreamResponse:
    """GET /api/tts/status/events: as server-sent events, until the client leaves or the server ends."""
    load, within_s = _load(request), request.app[SERVICES].limits.write_timeout_s
    async with load.listen() as statuses, aclosing(statuses):
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        await send(response.prepare(request), within_s)
        async for status in statuses:
            await send(response.write(b"event: status\ndata: %b\n\n" % orjson.dumps(status)), within_s)
    await send(response.write_eof(), within_s)
    return response


async def end_streams(app: web.Application) -> None:
    """End what goes on for as long as the server does; called on shutdown."""
    if (load := app[SERVICES].load) is not None:
        load.end_listening()


def _load(request: web.Request) -> Load:
    load = request.app[SERVICES].load
    if load is None:
        raise NotFound("this server does not look how busy it is")
    return load

"""The least that aiohttp can do with a request: a handler that reads the body and returns bytes it has. `python -m`."""

from __future__ import annotations

import asyncio
import os
import sys

import uvloop
from aiohttp import web

ROUTE = "/api/tts"


def main(length: int) -> None:
    """Serve answers of that length on a free port, which is told on standard output, until killed."""
    body = os.urandom(length)

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=body, content_type="audio/wav")

    async def serve() -> None:
        app = web.Application()
        app.router.add_post(ROUTE, answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve())


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""What one writes in an hour: aiohttp, and a thread for each core, in one process that has the voice once.

onnxruntime lets go of Python's lock while it computes, and so threads are enough.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import uvloop
from aiohttp import web

from bench.peer_servers.speaker import MEDIA_TYPE, ROUTE, Settings, Speaker, settle


def main() -> None:
    """Serve until told to stop."""
    settings = Settings.given()
    speaker = Speaker.load(settings)
    cores: SimpleQueue[int] = SimpleQueue()
    for core in settings.cores:
        cores.put(core)
    pool = ThreadPoolExecutor(len(settings.cores), initializer=lambda: settle(cores.get(), settings.nice))

    async def speak(request: web.Request) -> web.Response:
        wav = await asyncio.get_running_loop().run_in_executor(pool, speaker.speak, await request.json())
        return web.Response(body=wav, content_type=MEDIA_TYPE)

    app = web.Application()
    app.router.add_post(ROUTE, speak)
    web.run_app(app, host="127.0.0.1", port=settings.port, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()

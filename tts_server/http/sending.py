"""Writing to clients that may be slow, or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aiohttp import web


class ClientGone(Exception):
    """Nobody takes what is sent."""


async def send(sending: Awaitable[object], within_s: float) -> None:
    """Await what writes. ClientGone if the connection is lost, or nothing has been taken for so long."""
    try:
        async with asyncio.timeout(within_s):
            await sending
    except (ConnectionError, TimeoutError) as error:
        raise ClientGone from error


def cut(request: web.Request) -> None:
    """End the connection so that nobody can take it for a proper end."""
    if request.transport is not None:
        request.transport.abort()

"""Writing to clients that may be slow, or gone."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

from aiohttp import web


class ClientGone(Exception):
    """Nobody takes what is sent."""


async def send(sending: Coroutine[Any, Any, object], within_s: float) -> None:
    """Await what writes. ClientGone if the connection is lost, or nothing has been taken for so long.

    Most of what is written is taken at once: a clock is set only for what has to wait.
    """
    try:
        waiting_for = sending.send(None)
    except StopIteration:
        return
    except ConnectionError as error:
        raise ClientGone from error
    try:
        async with asyncio.timeout(within_s):
            await _go_on(sending, waiting_for)
    except (ConnectionError, TimeoutError) as error:
        raise ClientGone from error


@types.coroutine
def _go_on(begun: Coroutine[Any, Any, object], waiting_for: object) -> Generator[object, Any, None]:
    """The rest of a coroutine that has been begun, and waits for that."""
    while True:
        try:
            came = yield waiting_for
        except BaseException as error:  # noqa: BLE001  (it is the coroutine's, whatever it is)
            step: Callable[[], object] = partial(begun.throw, error)
        else:
            step = partial(begun.send, came)
        try:
            waiting_for = step()
        except StopIteration:
            return


def cut(request: web.Request) -> None:
    """End the connection so that nobody can take it for a proper end."""
    if request.transport is not None:
        request.transport.abort()

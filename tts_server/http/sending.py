"""Writing to clients that may be slow, or gone."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, cast

from aiohttp import web


class ClientGone(Exception):
    """Nobody takes what is sent."""


LEAST_BYTES: Final = 1 << 16
"""Of a long answer, to be taken in each time that a client may take nothing: 2 kB/s with the default of 30 s. Who takes
less would hold it for hours."""


async def send(
    sending: Coroutine[Any, Any, object], within_s: float, transport: asyncio.BaseTransport | None = None
) -> None:
    """Await what writes. ClientGone if the connection is lost, or it has not been taken after so long; if the transport
    is given, only when less than `LEAST_BYTES` of it have been taken in so long.

    Most of what is written is taken at once: a clock is set only for what has to wait.
    """
    try:
        waiting_for = sending.send(None)
    except StopIteration:
        return
    except ConnectionError as error:
        raise ClientGone from error
    watch = None if transport is None else _Watch(transport, within_s)
    try:
        async with asyncio.timeout(within_s if watch is None else None):
            await _go_on(sending, waiting_for)
    except (ConnectionError, TimeoutError) as error:
        raise ClientGone from error
    finally:
        if watch is not None:
            watch.timer.cancel()


class _Watch:
    """Cuts a connection whose other side takes next to nothing of what waits to be sent."""

    def __init__(self, transport: asyncio.BaseTransport, within_s: float) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are none by their class
        self._within_s = within_s
        self._look_again()

    def _look_again(self) -> None:
        self._left_bytes = self._transport.get_write_buffer_size()
        self.timer = asyncio.get_running_loop().call_later(self._within_s, self._look)

    def _look(self) -> None:
        if self._transport.get_write_buffer_size() <= self._left_bytes - LEAST_BYTES:
            self._look_again()
        else:
            self._transport.abort()  # who waits to write is told


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

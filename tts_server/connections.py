"""Connections, before there is a request: so many for each address, and no more time for headers than they need.

aiohttp bounds the size of headers (8 kB a line, 128 lines), and closes who sends nothing between two requests; but it
gives headers that trickle in as long as an idle connection. And what is no HTTP it answers in a shape of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import socket
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from tts_server.address import customer, parse
from tts_server.errors import InvalidRequest, TTSError
from tts_server.http.middlewares import json_response

HEARD_BYTES: Final = 8192
"""Of a request that may be known by all its bytes, and which its connection keeps: most take some hundred."""


def _know_none(_connection: Connection, _heard: bytes) -> bool:
    return False


@dataclass(slots=True)
class Connections:
    """The bounds that all connections of a server have in common, and what is counted for them."""

    header_s: float
    """From the first byte of a request, or the beginning of the connection, to the end of the headers."""
    most_per_address: int
    cut: Callable[[str], None]
    """Called with the reason when one ends without a request: `headers_late`, `too_many` or `bad_http`."""
    exempt: Callable[[str], bool]
    """Whether an address may have any number: a proxy speaks for many."""
    at_once: Callable[[Connection, bytes], bool] = _know_none
    """Given all that was heard since the last answer went out: whether it was a request, and has been answered."""
    count: Counter[str] = field(default_factory=Counter)
    """Of each caller's: an address, or the /64 of IPv6 that one customer has."""


class Connection(RequestHandler):
    """One of them."""

    __slots__ = ("_address", "_bounds", "_late", "_whole", "heard")

    def __init__(self, bounds: Connections, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, **server._kwargs)  # noqa: SLF001  (as the server itself would)
        self._bounds = bounds
        self._late: asyncio.TimerHandle | None = None
        self._address = ""
        self._whole = True
        """Whether each piece so far was one request, neither less nor more: then nothing of another is left over."""
        self.heard = b""
        """All bytes of the request that is being served, if `at_once` may come to know them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there; or one too many."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        bounds = self._bounds
        if isinstance(peer, tuple) and not bounds.exempt(peer[0]):
            address = parse(peer[0])
            self._address = peer[0] if address is None else customer(address)
            bounds.count[self._address] += 1
            if bounds.count[self._address] > bounds.most_per_address:
                self._cut("too_many")
                return
        self._give_time()

    def data_received(self, data: bytes) -> None:
        """Part of a request, or several."""
        between = self._whole and self._waits and self._keepalive and len(data) <= HEARD_BYTES
        if between and data and self._at_once(data):
            return
        before = self._request_count
        super().data_received(data)
        if data:  # aiohttp itself gives us nothing when a request has been taken
            self._whole = self._whole and self._request_count == before + 1 and self._is_whole(data)
            self.heard = data if between and self._whole and self._bounds.at_once is not _know_none else b""
        if (
            self._waits or not self._request_count
        ):  # or what serves it has not begun, where bytes came with the connection
            self._give_time()  # the headers have begun, and not ended
        elif self._late is not None:
            self._late.cancel()
            self._late = None

    @property
    def _waits(self) -> bool:
        """Whether there is no request that is whole or is being served."""
        return self._waiter is not None and not self._waiter.done()

    def _is_whole(self, data: bytes) -> bool:
        """Whether the request that has just been found in a piece is all of it."""
        message, payload = self._messages[-1]
        if not isinstance(message, RawRequestMessage) or message.chunked or message.upgrade or not payload.is_eof():
            return False
        _, end, body = data.partition(b"\r\n\r\n")
        return bool(end) and str(len(body)) == message.headers.get(hdrs.CONTENT_LENGTH, "0")

    def _at_once(self, data: bytes) -> bool:
        transport = self.transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size():
            return False
        if not self._bounds.at_once(self, data):
            return False
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        return True

    def _process_keepalive(self) -> None:
        if self.transport is not None and self.transport.get_write_buffer_size():  # given at once, and still being sent
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    async def drained(self) -> None:
        """Wait until enough of what was written has been taken; ConnectionError if the connection is lost."""
        await self._drain_helper()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nobody is there any more."""
        if self._late is not None:
            self._late.cancel()
        if self._address:
            count = self._bounds.count
            count[self._address] -= 1
            if not count[self._address]:
                del count[self._address]
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """In the shape of all other errors. Only what comes before, or passes, our own middlewares gets here."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            super().handle_error(request, status, exc, message)  # logs it
            error = TTSError("something went wrong in the server; its log tells more")
        else:  # not logged: strangers could fill the log, and with what they like
            self._bounds.cut("bad_http")
            error = InvalidRequest("this is not HTTP as it should be, or its headers are too long", code="bad_http")
        response = json_response(error.body(), status, {"Server": "tts-server"})
        response.force_close()
        return response

    def _give_time(self) -> None:
        if self._late is None:
            self._late = self._loop.call_later(self._bounds.header_s, self._cut, "headers_late")

    def _cut(self, reason: str) -> None:
        self._bounds.cut(reason)
        self.force_close()


class BoundedSite(web.SockSite):
    """A socket at which connections are bounded."""

    def __init__(self, runner: web.AppRunner, bound: socket, bounds: Connections, *, backlog: int) -> None:
        super().__init__(runner, bound, backlog=backlog)
        self._bounds = bounds

    async def start(self) -> None:
        """Let people in."""
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        server = self._runner.server
        assert server is not None, "the runner was set up"  # noqa: S101
        self._server = await loop.create_server(
            lambda: Connection(self._bounds, server, loop), sock=self._sock, backlog=self._backlog
        )

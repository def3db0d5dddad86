"""HTTP/1.1 as a client of the bench needs it: one POST after another over connections that stay open, for little.

What it is given it keeps where it lies: an answer whose length is told is received into the memory that holds it.
aiohttp's client costs half a millisecond of a core for each answer, which the server would have had.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import urlsplit

_ROOM_BYTES: Final = 1 << 18
"""Read at once, of what has no length: most answers come in one or two pieces."""
_HEAD_ROOM_BYTES: Final = 1 << 12
"""Read at once where a head begins. What comes with it is copied on its way to its place, so it should be little."""
_HEAD_BYTES: Final = 1 << 16
"""Longest head of an answer, or line before a chunk: more is no answer of ours."""
_LONGEST_BYTES: Final = 1 << 28
"""Longest answer, an hour and a half of audio: a server must not make its client fill the memory."""


class WireError(Exception):
    """There is no answer: nobody listens, or what came is not HTTP."""


class CutError(WireError):
    """An answer began, and not all of it came."""


@dataclass(slots=True)
class Answer:
    """What came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    """By name, in small letters; the last of each."""
    body: bytearray = field(default_factory=bytearray)
    pieces: list[tuple[float, int]] = field(default_factory=list)
    """When how many of its bytes came, by the monotonic clock."""


class Wire:
    """Connections to one server, as many as there are requests at once."""

    def __init__(self, url: str, *headers: str) -> None:
        """`headers` are lines that go with every request. ValueError if the URL is none."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of a server; give one such as http://127.0.0.1:8000")
        self._host, self._tls = parts.hostname, parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._lines = "".join(f"{line}\r\n" for line in (f"Host: {parts.netloc.rpartition('@')[2]}", *headers))
        self._idle: list[_Connection] = []
        self._room = memoryview(bytearray(_ROOM_BYTES))  # of all connections: what is read is taken out at once

    async def post(self, path: str, headers: str, body: bytes) -> Answer:
        """Ask, and wait for all of the answer. `headers` are lines, each with its end. WireError if there is none."""
        head = f"POST {self._prefix}{path} HTTP/1.1\r\n{self._lines}{headers}Content-Length: {len(body)}\r\n\r\n"
        connection = await self._connection()
        try:
            answer = await connection.ask(head.encode("latin-1") + body)
        except BaseException:
            connection.close()
            raise
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Hang up."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(
                lambda: _Connection(self._room), self._host, self._port, ssl=self._tls or None
            )
        except OSError as error:
            raise WireError("nobody listens") from error
        return made


class _Connection(asyncio.BufferedProtocol):
    """One of them. What comes goes to the body itself where its length is known, else through `_room`."""

    def __init__(self, room: memoryview) -> None:
        self._room = room
        self._left = b""  # that came and was not understood yet: part of a head, or of a line before a chunk
        self._answer = Answer()
        self._waiter: asyncio.Future[Answer] | None = None
        self._state = self._head
        self._to_come = 0  # bytes of the body, or of a chunk; -1: until the end
        self._filled = 0
        self.reusable = True

    # --- for the wire -----------------------------------------------------------------------------------------------

    async def ask(self, request: bytes) -> Answer:
        self._answer, self._state, self._left = Answer(), self._head, b""
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def close(self) -> None:
        self.reusable = False
        self._transport.close()

    # --- for the loop -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are, and do not say so

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  (the loop's guess is worse than ours)
        if self._state == self._sized:
            return memoryview(self._answer.body)[self._filled :]
        return self._room[:_HEAD_ROOM_BYTES] if self._state == self._head else self._room

    def buffer_updated(self, nbytes: int) -> None:
        if self._waiter is None:  # nobody has asked for anything
            self.close()
            return
        try:
            if self._state == self._sized:
                self._answer.pieces.append((time.monotonic(), nbytes))
                self._filled += nbytes
                if self._filled == len(self._answer.body):
                    self._done()
                return
            data = self._left + bytes(self._room[:nbytes])
            self._left = b""
            while data and not self._waiter.done():
                data = self._state(data)
            if data:  # more than was asked for: what follows would be taken for the next answer
                self.reusable = False
        except (ValueError, IndexError, OverflowError) as error:
            self._fail(WireError(f"that is not HTTP: {error}"))

    def eof_received(self) -> None:
        if self._state == self._endless and self._waiter is not None:
            self.reusable = False
            self._done()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self.reusable = False
        begun = bool(self._answer.status)
        self._fail(CutError("the answer was cut") if begun else WireError("the server hung up"))

    # --- what comes; each returns what it has not used --------------------------------------------------------------

    def _head(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._left = _bounded(data)
            return b""
        status, *lines = data[:end].decode("latin-1").split("\r\n")
        answer, rest = self._answer, data[end + 4 :]
        version, code = status.split(" ", 2)[:2]
        if not version.startswith("HTTP/1."):
            raise ValueError(version)
        if 100 <= int(code) < 200:
            return rest
        answer.status = int(code)
        for line in lines:
            name, _, value = line.partition(":")
            answer.headers[name.lower()] = value.strip()
        close = answer.headers.get("connection", "").lower()
        self.reusable = close != "close" and (version == "HTTP/1.1" or close == "keep-alive")
        self._filled = 0
        if answer.headers.get("transfer-encoding", "").lower() == "chunked":
            self._state = self._chunk_head
        elif (length := answer.headers.get("content-length")) is not None:
            answer.body = bytearray(_length(length, 10))
            self._state = self._sized
            if not answer.body:
                self._done()
        else:
            self.reusable, self._state = False, self._endless
        return rest

    def _sized(self, data: bytes) -> bytes:
        """What came together with the head; the rest goes to its place."""
        body = self._answer.body
        if len(data) > len(body):
            raise ValueError("more than its length")
        body[: len(data)] = data
        self._filled = len(data)
        self._came(len(data))
        if self._filled == len(body):
            self._done()
        return b""

    def _chunk_head(self, data: bytes) -> bytes:
        end = data.find(b"\r\n")
        if end < 0:
            self._left = _bounded(data)
            return b""
        self._to_come = _length(data[:end].split(b";")[0].decode("ascii").strip(), 16)
        self._state = self._chunk if self._to_come else self._trailer
        return data[end + 2 :]

    def _chunk(self, data: bytes) -> bytes:
        part = data[: self._to_come]
        self._take(part)
        self._to_come -= len(part)
        if not self._to_come:
            self._state = self._chunk_end
        return data[len(part) :]

    def _chunk_end(self, data: bytes) -> bytes:
        if len(data) < 2:
            self._left = data
            return b""
        if data[:2] != b"\r\n":
            raise ValueError("a chunk without its end")
        self._state = self._chunk_head
        return data[2:]

    def _trailer(self, data: bytes) -> bytes:
        end = data.find(b"\r\n")
        if end < 0:
            self._left = _bounded(data)
            return b""
        if end == 0:
            self._done()
        return data[end + 2 :]

    def _endless(self, data: bytes) -> bytes:
        self._take(data)
        return b""

    def _take(self, part: bytes) -> None:
        if len(self._answer.body) + len(part) > _LONGEST_BYTES:
            raise ValueError("too long")
        self._answer.body += part
        self._came(len(part))

    def _came(self, count: int) -> None:
        self._answer.pieces.append((time.monotonic(), count))

    def _done(self) -> None:
        self._state = self._head
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._answer)

    def _fail(self, error: WireError) -> None:
        self.reusable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)


def _bounded(data: bytes) -> bytes:
    if len(data) > _HEAD_BYTES:
        raise ValueError("a head without an end")
    return data


def _length(written: str, base: int) -> int:
    if not written or not all(digit in "0123456789abcdefABCDEF"[: 10 if base == 10 else None] for digit in written):
        raise ValueError(f"a length of {written!r}")
    length = int(written, base)
    if length > _LONGEST_BYTES:
        raise ValueError("too long")
    return length

"""A client that asks for the same thing over and over, from some connections at once, and costs little itself.

It is written for one question: how many equal requests a second one event loop answers. So it sends bytes that were
made once, reads status and length of each answer, has the kernel throw the rest away unread, and compares one in a
thousand to the last byte.
"""

from __future__ import annotations

import re
import select
import socket
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bench.engine import BenchError

CONNECTIONS: Final = 32
"""As many requests are under way at once: enough that the server never waits for this client."""
LOOKED_AT: Final = 1000
"""One in so many answers is compared."""
_HEAD_BYTES: Final = 4096
"""Of an answer, enough for its headers."""
_PIECE_BYTES: Final = 1 << 18
_SILENCE_S: Final = 10.0
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    url: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def written(self) -> bytes:
        """As it goes over the wire."""
        at = urlsplit(self.url)
        lines = [f"POST {at.path} HTTP/1.1", f"Host: {at.netloc}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, ("Content-Type", "application/json"))]
        return "\r\n".join((*lines, "", "")).encode() + self.body


class Repeated:
    """A question and the connections to ask it from, until `close`. BenchError if it is not answered."""

    def __init__(self, question: Question) -> None:
        at = urlsplit(question.url)
        self._connections: dict[int, _Connection] = {}
        self._poll = select.epoll()
        try:
            for _ in range(CONNECTIONS):
                connection = _Connection((at.hostname or "", at.port or 80), question.written())
                self._connections[connection.number] = connection
                self._poll.register(connection.number, select.EPOLLIN)
            self.body = next(iter(self._connections.values())).whole()
            """Of the answer, as it was the first time."""
        except BenchError:
            self.close()
            raise

    def ask(self, seconds: float) -> tuple[int, float]:
        """Ask for so long: how many answers there were, and in how many seconds. BenchError at one that is wrong."""
        began_s = time.monotonic()
        answered, length = 0, len(self.body)
        for connection in self._connections.values():
            connection.send()
        waiting = len(self._connections)
        while waiting:
            events = self._poll.poll(_SILENCE_S)
            if not events:
                raise BenchError(f"an answer did not come within {_SILENCE_S:g} s")
            over = time.monotonic() - began_s > seconds
            for number, _ in events:
                connection = self._connections[number]
                if connection.read(length):
                    answered += 1
                    if over:
                        waiting -= 1
                        continue
                    if answered % LOOKED_AT == 0 and connection.whole() != self.body:
                        raise BenchError("an answer had other bytes than the first")
                    connection.send()
        return answered, time.monotonic() - began_s

    def close(self) -> None:
        """End all connections."""
        for connection in self._connections.values():
            connection.close()
        self._poll.close()


class _Connection:
    """One of them, with one question under way at most."""

    def __init__(self, address: tuple[str, int], asked: bytes) -> None:
        try:
            self._socket = socket.create_connection(address, timeout=_SILENCE_S)
        except OSError as error:
            raise BenchError(f"nobody answers at {address[0]}:{address[1]}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(0)
        self.number = self._socket.fileno()
        self._asked = asked
        self._left = 0
        self._buffer = bytearray(_PIECE_BYTES)

    def send(self) -> None:
        """Ask; the question is short, and the last one has been read."""
        self._socket.send(self._asked)

    def read(self, length: int) -> bool:
        """Read what is there; whether that was the end of the answer. BenchError if it is not so long, or an error."""
        if not self._left:
            head = self._socket.recv(_HEAD_BYTES)
            ends = head.find(b"\r\n\r\n")
            found = _LENGTH.search(head)
            if not head.startswith(b"HTTP/1.1 200 ") or ends < 0 or not found or int(found[1]) != length:
                raise BenchError(f"asked again, the server said: {head[:200]!r}")
            self._left = length - (len(head) - ends - 4)
        while self._left:
            try:
                read = self._socket.recv_into(self._buffer, min(self._left, _PIECE_BYTES), socket.MSG_TRUNC)
            except BlockingIOError:
                return False
            if not read:
                raise BenchError("the server closed a connection in the middle of an answer")
            self._left -= read
        return True

    def whole(self) -> bytes:
        """Ask and wait: the body of the answer. BenchError if there is none."""
        self._socket.settimeout(_SILENCE_S)
        self.send()
        said = b""
        try:
            while (found := _LENGTH.search(said)) is None or len(said) < said.find(b"\r\n\r\n") + 4 + int(found[1]):
                if not (piece := self._socket.recv(_PIECE_BYTES)):
                    break
                said += piece
        except TimeoutError:
            pass  # told below
        self._socket.settimeout(0)
        if not said.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"the server said: {said[:200]!r}")
        return said[said.find(b"\r\n\r\n") + 4 :]

    def close(self) -> None:
        """Go."""
        self._socket.close()

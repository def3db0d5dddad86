"""What comes over the wire is understood however it was cut, and what is no answer is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress

import pytest
import uvloop

from bench.wire import CutError, Wire, WireError

ASKED = b"POST /api/tts HTTP/1.1\r\nHost: "


@asynccontextmanager
async def saying(*answers: Sequence[bytes]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers the n-th request it is sent with these pieces, and hangs up after the last; what it heard,
    and `b""` for each connection.
    """
    heard: list[bytes] = []
    left = list(answers)
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(b"")
        serving.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while left:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                heard.append(head + await reader.readexactly(length))
                for piece in left.pop(0):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)  # so that it goes as a piece of its own
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
        await asyncio.gather(*filter(None, serving))


SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Cache: MISS\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Cache:MISS\r\n\r\n"
    b"2\r\nhe\r\n3;name=value\r\nllo\r\n0\r\nTrailer: x\r\n\r\n"
)
AFTER_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("whole", [SIZED, CHUNKED, AFTER_CONTINUE], ids=["sized", "chunked", "after 100"])
def test_an_answer_is_the_same_wherever_it_was_cut(
    whole: bytes, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    cuts = [[whole], [bytes([byte]) for byte in whole], *([whole[:at], whole[at:]] for at in range(1, len(whole)))]

    async def ask() -> list[bytes]:
        async with saying(*cuts) as (url, heard):
            with closing(Wire(url)) as wire:
                for _ in cuts:
                    answer = await wire.post("/api/tts", "X-Own: 1\r\n", b"{}")
                    assert (answer.status, bytes(answer.body), answer.headers["x-cache"]) == (200, b"hello", "MISS")
                    assert sum(count for _, count in answer.pieces) == 5
                    assert answer.pieces == sorted(answer.pieces, key=lambda piece: piece[0])
        return heard

    with asyncio.Runner(loop_factory=new_loop) as runner:
        heard = runner.run(ask())
    assert heard.count(b"") == 1  # all of them over one connection
    assert all(
        one.startswith(ASKED) and b"\r\nX-Own: 1\r\n" in one and one.endswith(b"\r\n\r\n{}") for one in heard[1:]
    )


@pytest.mark.parametrize(
    ("said", "body", "status"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n", b"", 503),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end", 200),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", 200),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", b"hi", 200),
    ],
    ids=["nothing in it", "no length", "an old server", "one answer a connection"],
)
async def test_other_forms_of_answers_are_understood(said: bytes, body: bytes, status: int) -> None:
    async with saying([said]) as (url, _):
        with closing(Wire(url)) as wire:
            answer = await wire.post("/", "", b"")
    assert (bytes(answer.body), answer.status) == (body, status)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", WireError),
        (b"HTTP/1.1 200 OK\r\nContent-Le", WireError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", WireError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", WireError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", WireError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", WireError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", WireError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", CutError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", CutError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", CutError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello", WireError),
        (b"x" * 100_000, WireError),
    ],
)
async def test_what_is_no_whole_answer_is_an_error(said: bytes, error: type[WireError]) -> None:
    async with saying([said]) as (url, _):
        with closing(Wire(url)) as wire, pytest.raises(error) as raised:
            await wire.post("/", "", b"")
    assert type(raised.value) is error


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    async with saying([SIZED]) as (url, heard):
        with closing(Wire(url)) as wire:
            await wire.post("/", "", b"")
            (connection,) = wire._idle
            while connection.reusable:  # noqa: ASYNC110  (until that is known here)
                await asyncio.sleep(0)
            with pytest.raises(WireError, match="hung up"):
                await wire.post("/", "", b"")
    assert heard.count(b"") == 2


async def test_who_stops_waiting_leaves_nothing_to_the_next() -> None:
    async with saying([SIZED[:-3]], [SIZED]) as (url, heard):
        with closing(Wire(url)) as wire:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await wire.post("/", "", b"")
            assert bytes((await wire.post("/", "", b"")).body) == b"hello"
    assert heard.count(b"") == 2


async def test_nobody_there_is_an_error() -> None:
    with pytest.raises(WireError, match="nobody listens"):
        await Wire("http://127.0.0.1:1").post("/", "", b"")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://127.0.0.1", "http://"])
def test_what_is_no_url_is_told(url: str) -> None:
    with pytest.raises(ValueError, match="no URL of a server"):
        Wire(url)

"""The door: when it stays shut, what stands at which port, and connections that only want to be held open."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.tts_server.test_server_life import Server
from tts_server import door
from tts_server.config import Settings
from tts_server.connections import BoundedSite, Connection, Connections
from tts_server.http.guard import Guard
from tts_server.keys import Key, changing, digest, make_secret


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


def _add(settings: Settings, secret: str) -> None:
    with changing(settings.keys_path) as keys:
        keys.append(Key(name="ann", sha256=digest(secret), tier="vip", created=datetime.now(UTC)))


@contextmanager
def _bound(*hosts: str) -> Iterator[list[socket.socket]]:
    sockets = [socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) for host in hosts]
    try:
        for bound, host in zip(sockets, hosts, strict=True):
            bound.bind((host, 0))
        yield sockets
    finally:
        for bound in sockets:
            bound.close()


async def _opened(settings: Settings, *hosts: str) -> Guard:
    with _bound(*hosts) as sockets:
        async with door.guarding(settings, sockets) as guard:
            return guard


@pytest.mark.parametrize("hosts", [("127.0.0.1",), ("127.0.0.2", "::1")])
async def test_on_this_machine_alone_a_server_without_keys_is_open(settings: Settings, hosts: tuple[str, ...]) -> None:
    guard = await _opened(settings, *hosts)
    assert guard.open
    assert guard.anonymous is None


@pytest.mark.parametrize("hosts", [("0.0.0.0",), ("::",), ("127.0.0.1", "0.0.0.0")])  # noqa: S104
async def test_for_others_it_opens_only_with_keys_or_when_told_to(settings: Settings, hosts: tuple[str, ...]) -> None:
    with pytest.raises(door.DoorError, match=r"tts-server keys add NAME.*--allow-anonymous"):
        await _opened(settings, *hosts)
    told = await _opened(settings.model_copy(update={"allow_anonymous": True}), *hosts)
    assert (told.open, told.anonymous) == (False, settings.tiers["anonymous"])
    _add(settings, make_secret())
    keyed = await _opened(settings, *hosts)
    assert (keyed.open, keyed.anonymous) == (False, None)


async def test_strangers_are_limited_on_this_machine_too_when_it_was_told_to_let_them_in(settings: Settings) -> None:
    guard = await _opened(settings.model_copy(update={"allow_anonymous": True}), "127.0.0.1")
    assert not guard.open, "a proxy may stand in front of it"


async def test_a_file_of_no_keys_opens_to_nobody(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with changing(settings.keys_path):
        pass
    assert (await _opened(settings, "127.0.0.1")).keys is not None
    assert "nobody can come in: the file of keys has none" in [record.message for record in caplog.records]
    with pytest.raises(door.DoorError):
        await _opened(settings, "0.0.0.0")  # noqa: S104


async def test_a_broken_file_of_keys_keeps_the_server_from_starting(settings: Settings) -> None:
    settings.keys_path.write_text("{")
    with pytest.raises(door.DoorError, match="is not a file of keys"):
        await _opened(settings, "127.0.0.1")


# --- the process ----------------------------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    servers: list[Server] = []

    def start_one(**settings: Any) -> Server:
        servers.append(Server(state_dir=str(tmp_path), **settings))
        return servers[-1]

    yield start_one
    for server in servers:
        server.close()


async def _status(port: int, path: str, **headers: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as answer,
    ):
        return answer.status


def test_a_server_for_others_without_keys_ends_before_anything_starts_and_says_how_to_add_one(start: Any) -> None:
    server = start(host="0.0.0.0")  # noqa: S104
    assert server.end() == 1
    (told,) = [event["event"] for event in server.events if event["level"] == "error"]
    assert "there are no keys" in told
    assert "tts-server keys add NAME" in told
    assert "starting" not in server.told()


async def test_keys_made_and_revoked_while_it_serves_are_in_force(start: Any, settings: Settings) -> None:
    first, second = make_secret(), make_secret()
    _add(settings, first)
    server = start(host="0.0.0.0")  # noqa: S104
    port = server.serving()
    assert await _status(port, "/v1/models") == 401
    assert await _status(port, "/v1/models", Authorization=f"Bearer {first}") == 200
    with changing(settings.keys_path) as keys:
        keys[:] = [keys[0].model_copy(update={"sha256": digest(second)})]
    server.until("keys read")
    assert await _status(port, "/v1/models", Authorization=f"Bearer {first}") == 401
    assert await _status(port, "/v1/models", Authorization=f"Bearer {second}") == 200


async def test_metrics_and_readiness_can_be_at_a_port_of_their_own(start: Any, settings: Settings) -> None:
    _add(settings, make_secret())
    server = start(admin_port=0)
    admin = int(str(server.until("probes and metrics")["url"]).rpartition(":")[2])
    port = server.serving()
    assert [await _status(admin, path) for path in ("/metrics", "/readyz", "/healthz", "/v1/models")] == [
        200,
        200,
        200,
        404,
    ]
    assert [await _status(port, path) for path in ("/metrics", "/readyz", "/healthz")] == [401, 401, 200]
    server.process.terminate()
    assert server.end() == 0


# --- connections ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _site(header_s: float = 60.0, most: int = 100) -> AsyncIterator[tuple[int, list[str]]]:
    """A server with such bounds: its port, and why connections were cut."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=await request.text())

    app = web.Application()
    app.router.add_route("*", "/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    cut: list[str] = []
    bound = socket.create_server(("127.0.0.1", 0))
    await BoundedSite(runner, bound, Connections(header_s, most, cut.append, lambda _: False), backlog=10).start()
    try:
        yield bound.getsockname()[1], cut
    finally:
        await runner.cleanup()


REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    "sent", [b"", b"GET ", REQUEST[:-2], REQUEST + b"hi" + b"GET / HT"], ids=["nothing", "a word", "almost", "the next"]
)
async def test_headers_that_do_not_end_are_not_waited_for(sent: bytes) -> None:
    async with _site(header_s=0.05) as (port, cut):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent[: len(REQUEST) + 2])
        if len(sent) > len(REQUEST):
            await reader.readuntil(b"\r\n\r\nhi")
            writer.write(sent[len(REQUEST) + 2 :])
        assert await reader.read() == b""
        assert cut == ["headers_late"]
        writer.close()


async def test_headers_that_trickle_in_are_given_no_more_time_for_each_byte() -> None:
    async with _site(header_s=0.1) as (port, cut):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ended = asyncio.create_task(reader.read())
        for byte in REQUEST[:-1] * 100:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.005)
            if ended.done():
                break
        assert ended.done()
        assert cut == ["headers_late"]
        writer.close()


async def test_a_body_may_take_longer_than_headers_and_a_connection_rest_between_two_requests() -> None:
    async with _site(header_s=0.05) as (port, cut):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(REQUEST)
            await asyncio.sleep(0.1)
            writer.write(b"hi")
            assert (await reader.readuntil(b"\r\n\r\nhi")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.1)
        assert cut == []
        writer.close()


async def test_an_address_may_have_so_many_connections_and_each_that_ends_makes_room() -> None:
    async with _site(most=2) as (port, cut):
        first, second, third = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await third[0].read() == b""
        assert cut == ["too_many"]
        first[1].close()
        async with asyncio.timeout(30):
            while True:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(REQUEST + b"hi")
                if await reader.read(1):
                    break
                writer.close()
        for opened in (second, third, (reader, writer)):
            opened[1].close()


class Peer(asyncio.Transport):
    """A connection from there."""

    def __init__(self, address: str) -> None:
        super().__init__({"peername": (address, 1, 0, 0)})
        self.open = True

    def abort(self) -> None:
        self.open = False

    def close(self) -> None:
        self.open = False

    def is_closing(self) -> bool:
        return not self.open


async def test_connections_of_one_ipv6_network_are_one_callers() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    assert runner.server is not None
    cut: list[str] = []
    bounds = Connections(60.0, 2, cut.append, lambda _: False)
    opened = []
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1"):
        connection = Connection(bounds, runner.server, asyncio.get_running_loop())
        connection.connection_made(Peer(address))
        opened.append(connection)
    assert cut == ["too_many"]
    assert bounds.count == {"2001:db8::/64": 3, "2001:db8:0:1::/64": 1, "192.0.2.1": 2}
    for connection in opened:
        connection.connection_lost(None)
    assert not bounds.count
    await runner.cleanup()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 10_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: x\r\n" * 1_000 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["no HTTP", "a long header", "a long path", "many headers", "a wrong length"],
)
async def test_headers_are_bounded_and_what_is_no_http_is_told_in_the_shape_of_all_errors(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with _site() as (port, cut):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.split()[1] == b"400"
        assert b"aiohttp" not in head
        error = json.loads(body)["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", "bad_http")
        assert cut == ["bad_http"]
        assert not caplog.records, "strangers do not write our log"
        writer.close()


@pytest.mark.parametrize(
    ("address", "exempt"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),  # as a socket for both kinds of addresses tells it
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_this_machine_and_proxies_may_have_any_number(settings: Settings, address: str, exempt: bool) -> None:
    trusting = settings.model_copy(update={"trusted_proxies": ("10.0.0.0/8",)})
    assert door.bounds(trusting, lambda _: None).exempt(address) == exempt

"""A request that is known gets what it would get by the ordinary passage: a table of requests, each asked by both."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import TestClient

from tests.tts_server.http.conftest import Serve
from tests.tts_server.http.fakes import FakeGateway, FakeMeter
from tts_server.cache import Cache
from tts_server.caller import TIERS, Caller, Tier
from tts_server.config import Settings
from tts_server.connections import BoundedSite, Connection, Connections
from tts_server.http import known
from tts_server.http.guard import Guard
from tts_server.http.known import KNOWN, Known
from tts_server.http.services import Limits
from tts_server.keys import Key, KeyStore, changing, digest
from tts_server.limits import Limit, Limiter, Memory, Window
from tts_server.metrics import Metrics

SECRET = "tts_the_secret_of_this_test"  # noqa: S105
OTHER_SECRET = "tts_the_other_secret"  # noqa: S105
TEXT = "你好。"
OPENAI = {"model": "tts-1", "input": TEXT, "voice": "nova", "response_format": "wav"}
# Windows so long that they do not end, nor the seconds until their end change by more than a few, in a test
LIMITS: dict[str, float | None] = {"requests_per_s": 0.01, "burst": 50, "characters_per_min": 10_000, "concurrent": 5}


class Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class Asked:
    """A request as it goes over the wire."""

    body: dict[str, Any] = field(default_factory=lambda: {"text": TEXT, "format": "wav"})
    path: str = "/api/tts"
    method: str = "POST"
    version: str = "1.1"
    headers: dict[str, str | None] = field(default_factory=dict)
    pieces: int = 1
    packed: bool = False
    spaced: int = 0

    def lines(self, length: int) -> list[str]:
        given = {"Host": "127.0.0.1", "Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
        given |= {"Content-Encoding": "gzip"} if self.packed else {}
        headers = given | self.headers | {"Content-Length": str(length)}
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return [f"{self.method} {self.path} HTTP/{self.version}", *lines, "", ""]


class World:
    """A server with keys, limits, cache and metrics."""

    def __init__(self, folder: Path) -> None:
        self.gateway, self.meter, self.counted = FakeGateway(), FakeMeter(), Metrics()
        self.cache = Cache(Settings(cache_bytes=64 << 20), self.counted)
        self.keys = KeyStore(folder / "keys.json", TIERS)
        self.limiter = Limiter()
        self.write(self.key())
        self.client: TestClient[Any, Any]
        self.port = 0
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def listen(self) -> None:
        """At another port, with connections as the server has them."""
        app = self.client.server.app  # type: ignore[attr-defined]
        bounds = Connections(60.0, 1000, lambda _: None, lambda _: True, app[KNOWN].at_once)
        bound = socket.create_server(("127.0.0.1", 0))
        self.port = bound.getsockname()[1]
        runner = self.client.server.runner
        assert isinstance(runner, web.AppRunner)
        await BoundedSite(runner, bound, bounds, backlog=10).start()

    def key(self, secret: str = SECRET, **more: Any) -> Key:
        fields = {"tier": "standard", "limits": LIMITS, "created": datetime(2026, 1, 1, tzinfo=UTC)} | more
        return Key(name=f"ann{len(secret)}", sha256=digest(secret), **fields)  # type: ignore[arg-type]

    def write(self, *keys: Key) -> None:
        with changing(self.keys.file) as stored:
            stored[:] = keys
        self.keys.load()

    async def hang_up(self) -> None:
        if self._line is not None:
            self._line[1].close()
            await self._line[1].wait_closed()
            self._line = None

    async def ask(self, asked: Asked, *, kept: bool = False) -> Answer:
        """On a connection of its own, or on one that is kept as long as the server lets it."""
        line = self._line if kept else None
        reader, writer = line or await asyncio.open_connection("127.0.0.1", self.port or self.client.port)
        data = json.dumps(asked.body).encode() + b" " * asked.spaced
        data = gzip.compress(data, mtime=0) if asked.packed else data
        head = "\r\n".join(asked.lines(len(data))).encode()
        for part in (head, data) if asked.pieces == 2 else (head + data,):
            writer.write(part)
            await writer.drain()
            for _ in range(20):  # turns of the loop, in which the server sees the first part alone
                await asyncio.sleep(0)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        headers = [(name, text) for name, _, text in (line.partition(": ") for line in lines)]
        body = b""
        if (length := dict(headers).get("Content-Length")) and asked.method != "HEAD":
            body = await reader.readexactly(int(length))
        elif "Transfer-Encoding" in dict(headers):
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        ends = dict(headers).get("Connection") == "close" or (
            asked.version == "1.0" and "Connection" not in dict(headers)
        )
        self._line = (reader, writer) if kept and not ends else None
        if self._line is None:
            writer.close()
            await writer.wait_closed()
        body = re.sub(rb"come back in [\d.]+ s", b"come back", body)
        lasting = [(name, _lasting(name, text, refused="429" in status)) for name, text in headers]
        return Answer(status, lasting, body)


def _lasting(name: str, text: str, *, refused: bool) -> str:
    """What does not tell of this very moment."""
    if name == "X-Request-Id":
        return "as was given" if text == "mine" else str(bool(re.fullmatch(r"[0-9a-f]{32}", text)))
    if name == "Date":
        assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", text)
    momentary = {"Date": "", "RateLimit-Reset": "", "Retry-After": "", "retry-after-ms": ""}
    if refused:  # it tells how long to wait, to the tenth of a second
        momentary["Content-Length"] = ""
    return momentary.get(name, text if name != "Server-Timing" else re.sub(r"encode;dur=[\d.]+", "", text))


def _told(records: list[Any]) -> list[dict[str, Any]]:
    of_this_one = {"request", "ms"}
    fields = [record.tts_fields for record in records if record.getMessage() == "request done"]
    return [{name: value for name, value in each.items() if name not in of_this_one} for each in fields]


def nothing(_: World) -> None:
    pass


def revoke(world: World) -> None:
    world.write(world.key(OTHER_SECRET))


def limit(**changed: float | None) -> Callable[[World], None]:
    return lambda world: world.write(world.key(limits=LIMITS | changed))


def narrow(world: World) -> None:
    world.write(world.key(voices=("male",)))


def occupy(world: World) -> None:
    caller = world.keys.find(SECRET)
    assert caller is not None
    for _ in range(5):
        world.limiter.enter(caller)


def forget(world: World) -> None:
    for name in list(world.cache.memory._entries):
        world.cache.memory.forget(name)


def drain(world: World) -> None:
    world.gateway.draining = True


def second_key(world: World) -> None:
    world.write(world.key(), world.key(OTHER_SECRET))


def expire(world: World) -> None:
    world.write(world.key(expires=datetime.now(UTC) - timedelta(seconds=1)))


def _with(**headers: str | None) -> Asked:
    return Asked(headers={name.replace("_", "-"): text for name, text in headers.items()})


SAME = Asked()
TABLE: dict[str, tuple[Asked, Callable[[World], None], Asked, int]] = {
    # what is asked twice; what happens then; what is asked twice then; how many of the four are known again
    "the same": (SAME, nothing, SAME, 2),
    "openai's route": (Asked(OPENAI, "/v1/audio/speech"), nothing, Asked(OPENAI, "/v1/audio/speech"), 2),
    "its other name": (Asked(OPENAI, "/v1/audio/speech"), nothing, Asked(OPENAI, "/audio/speech"), 1),
    "streamed": (Asked({"text": TEXT, "stream": True}), nothing, Asked({"text": TEXT, "stream": True}), 2),
    "another format": (SAME, nothing, Asked({"text": TEXT, "format": "pcm"}), 0),
    "another voice": (SAME, nothing, Asked({"text": TEXT, "format": "wav", "voice": "male"}), 0),
    "another engine": (SAME, nothing, Asked({"text": TEXT, "format": "wav", "engine": "light"}), 0),
    "the same, written otherwise": (SAME, nothing, Asked({"format": "wav", "text": TEXT}), 1),
    "the preview": (SAME, nothing, Asked(path="/api/tts/preview"), 0),
    "a query": (SAME, nothing, Asked(path="/api/tts?x=1"), 2),
    "an id": (SAME, nothing, _with(X_Request_Id="mine"), 2),
    "an id that will not do": (SAME, nothing, _with(X_Request_Id="no good"), 2),
    "headers of proxies": (SAME, nothing, _with(traceparent="00-1", X_Forwarded_For="1.2.3.4"), 2),
    "no-store": (SAME, nothing, _with(Cache_Control="no-store"), 0),
    "no-cache": (SAME, nothing, _with(Cache_Control="no-cache"), 0),
    "a deadline": (SAME, nothing, _with(X_Deadline_Ms="5000"), 0),
    "a deadline that is none": (SAME, nothing, _with(X_Deadline_Ms="soon"), 0),
    "a priority": (SAME, nothing, _with(X_Priority="5"), 0),
    "a priority that is none": (SAME, nothing, _with(X_Priority="first"), 0),
    "no key": (SAME, nothing, _with(Authorization=None), 0),
    "a wrong key": (SAME, nothing, _with(Authorization="Bearer tts_wrong"), 0),
    "the key in another header": (SAME, nothing, _with(Authorization=None, X_API_Key=SECRET), 1),
    "another's key": (SAME, second_key, _with(Authorization=f"Bearer {OTHER_SECRET}"), 1),
    "keys read again": (SAME, second_key, SAME, 1),
    "a key that was revoked": (SAME, revoke, SAME, 0),
    "a key that is over": (SAME, expire, SAME, 0),
    "a key for other voices": (SAME, narrow, SAME, 0),
    "fewer requests": (SAME, limit(burst=3), SAME, 1),
    "fewer characters": (SAME, limit(characters_per_min=10), SAME, 1),
    "fewer characters than the text has": (SAME, limit(characters_per_min=2), SAME, 0),
    "no limits": (SAME, limit(requests_per_s=None, characters_per_min=None, concurrent=None), SAME, 1),
    "too many at once": (SAME, occupy, SAME, 2),
    "a cache that has forgotten": (SAME, forget, SAME, 0),
    "a server that drains": (SAME, drain, SAME, 0),
    "no body": (SAME, nothing, Asked(method="GET"), 0),
    "only its head": (SAME, nothing, Asked(method="HEAD"), 0),
    "what it can do": (SAME, nothing, Asked(method="OPTIONS"), 0),
    "HTTP/1.0": (SAME, nothing, Asked(version="1.0"), 0),
    "a connection that ends": (SAME, nothing, _with(Connection="close"), 0),
    "a body that comes later": (SAME, nothing, Asked(pieces=2), 0),
    "a packed body": (SAME, nothing, Asked(packed=True), 2),
    "a long body": (Asked(spaced=5000), nothing, Asked(spaced=5000), 0),
    "another type": (SAME, nothing, _with(Content_Type="text/plain"), 0),
    "no type": (SAME, nothing, _with(Content_Type=None), 0),
    "the type at length": (SAME, nothing, _with(Content_Type="application/json; charset=utf-8"), 1),
}

AT_ONCE: dict[str, int] = {
    # of four times each on one connection; of most the first two alone, whose answer and whose bytes are known by then
    **dict.fromkeys(("the same", "openai's route", "streamed"), 6),
    **dict.fromkeys(("its other name", "the same, written otherwise", "a query", "headers of proxies"), 5),
    **dict.fromkeys(("the key in another header", "another's key", "keys read again", "no limits"), 5),
    **dict.fromkeys(("the type at length",), 5),
    **dict.fromkeys(("another format", "another voice", "another engine", "a cache that has forgotten"), 4),
    "a long body": 0,
}


@pytest.mark.parametrize("name", TABLE)
async def test_both_passages_give_the_same(
    name: str, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, happens, then, times = TABLE[name]
    taken: list[int] = []
    enter = Known._enter

    async def counting(self: Known, caller: Caller, characters: int) -> Window | None:
        taken.append(1)
        return await enter(self, caller, characters)

    async def ask_all(folder: str) -> tuple[object, ...]:
        (tmp_path / folder).mkdir()
        world = World(tmp_path / folder)
        guard = Guard(world.keys, world.limiter)
        world.client = await serve(guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
        caplog.clear()
        answers = [await world.ask(first) for _ in range(2)]
        happens(world)
        answers += [await world.ask(then) for _ in range(2)]
        counted, _ = await world.counted.exposition()
        asked = [line for line in counted.decode().splitlines() if "tts_cache_" in line]
        met = (world.meter.requests, world.meter.firsts, len(world.gateway.requests))
        return answers, met, asked, _told(caplog.records), len(world.limiter._active)

    caplog.set_level("INFO", "tts_server")
    monkeypatch.setattr(Known, "_enter", counting)
    by_the_known = await ask_all("known")
    assert len(taken) == times
    monkeypatch.setattr(known, "ROUTES", frozenset())
    assert await ask_all("ordinary") == by_the_known
    assert len(taken) == times, "that was the ordinary passage"


@pytest.mark.parametrize("name", TABLE)
async def test_a_connection_that_is_kept_gives_the_same_with_and_without_what_is_known(
    name: str, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, happens, then, _ = TABLE[name]
    taken: list[bool] = []

    async def ask_all(folder: str, at_once: Callable[[Known, Connection, bytes], bool]) -> tuple[object, ...]:
        (tmp_path / folder).mkdir()
        world = World(tmp_path / folder)
        guard = Guard(world.keys, world.limiter)
        with monkeypatch.context() as patch:
            patch.setattr(Known, "at_once", at_once)
            world.client = await serve(guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
            await world.listen()
        caplog.clear()
        answers = [await world.ask(first, kept=True) for _ in range(4)]
        happens(world)
        answers += [await world.ask(then, kept=True) for _ in range(4)]
        await world.hang_up()
        counted, _ = await world.counted.exposition()
        asked = [line for line in counted.decode().splitlines() if "tts_cache_" in line]
        met = (world.meter.requests, world.meter.firsts, len(world.gateway.requests))
        return answers, met, asked, _told(caplog.records), len(world.limiter._active)

    really = Known.at_once

    def counting(self: Known, connection: Connection, heard: bytes) -> bool:
        taken.append(really(self, connection, heard))
        return taken[-1]

    caplog.set_level("INFO", "tts_server")
    at_once = await ask_all("at once", counting)
    assert sum(taken) == AT_ONCE.get(name, 2)
    monkeypatch.setattr(known, "ROUTES", frozenset())
    assert await ask_all("ordinary", lambda *_: False) == at_once


async def _served(serve: Serve, folder: Path) -> World:
    world = World(folder)
    guard = Guard(world.keys, world.limiter)
    world.client = await serve(guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
    for _ in range(2):
        await world.ask(SAME)
    return world


def _known(world: World) -> Known:
    found: Known = world.client.server.app[KNOWN]  # type: ignore[attr-defined]
    return found


async def test_every_answer_has_an_id_of_its_own(serve: Serve, tmp_path: Path) -> None:
    world = await _served(serve, tmp_path)
    ids = set()
    for _ in range(20):
        async with world.client.post(
            "/api/tts", data=json.dumps(SAME.body), headers={"X-API-Key": SECRET, "Content-Type": "application/json"}
        ) as answer:
            ids.add(answer.headers["X-Request-Id"])
    assert len(ids) == 20


async def test_neither_texts_nor_keys_are_noted(serve: Serve, tmp_path: Path) -> None:
    world = await _served(serve, tmp_path)
    assert len(_known(world)) == 1
    await world.listen()
    for _ in range(3):
        await world.ask(SAME, kept=True)
    await world.hang_up()
    assert _known(world)._heard
    noted = repr((_known(world)._checked, _known(world)._heard))
    assert TEXT not in noted
    assert json.dumps(TEXT).strip('"') not in noted
    assert SECRET not in noted


async def test_no_more_are_noted_than_may_be(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST_KNOWN", 3)
    world = await _served(serve, tmp_path)
    for _ in range(2):
        for number in range(5):
            await world.ask(Asked({"text": TEXT * (number + 2)}))
    assert len(_known(world)) == 3


async def test_what_is_not_kept_any_more_is_not_noted_any_more(serve: Serve, tmp_path: Path) -> None:
    world = await _served(serve, tmp_path)
    forget(world)
    assert dict((await world.ask(SAME)).headers)["X-Cache"] == "MISS"
    assert len(_known(world)) == 0


async def test_limits_are_exact_under_parallel_fire(serve: Serve, tmp_path: Path) -> None:
    world = await _served(serve, tmp_path)
    answers = await asyncio.gather(*(world.ask(SAME) for _ in range(200)))
    granted = [answer for answer in answers if answer.status.startswith("HTTP/1.1 200")]
    assert len(granted) == 50 - 2
    assert {answer.status for answer in answers if answer not in granted} == {"HTTP/1.1 429 Too Many Requests"}


async def test_a_limit_that_others_share_is_asked_of_them(serve: Serve, tmp_path: Path) -> None:
    asked: list[str] = []

    class Shared:
        counters = Memory()

        async def take(self, limit: Limit, who: str, cost: int) -> tuple[bool, Window] | None:
            asked.append(who)
            await asyncio.sleep(0)
            return self.counters.take(limit, who, cost, 0.0)

    world = World(tmp_path)
    world.limiter = Limiter(Shared())
    guard = Guard(world.keys, world.limiter)
    world.client = await serve(guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
    left = [dict((await world.ask(SAME)).headers)["RateLimit-Remaining"] for _ in range(4)]
    assert left == ["49", "48", "47", "46"]
    assert len(asked) == 2 * 4


async def test_who_is_known_by_his_address_is_known_again_too(serve: Serve, tmp_path: Path) -> None:
    world = World(tmp_path)
    tier = Tier(priority=2, requests_per_s=0.01, burst=3)
    world.client = await serve(
        guard=Guard(anonymous=tier, open=False), gateway=world.gateway, meter=world.meter, cache=world.cache
    )
    answers = [await world.ask(_with(Authorization=None)) for _ in range(4)]
    assert [answer.status.split()[1] for answer in answers] == ["200", "200", "200", "429"]
    assert len(_known(world)) == 1


async def test_a_page_of_strangers_is_refused_though_the_request_is_known(serve: Serve, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.client = await serve(gateway=world.gateway, meter=world.meter, cache=world.cache)
    statuses = [(await world.ask(asked)).status.split()[1] for asked in (SAME, SAME, SAME, _with(Host="evil.example"))]
    assert statuses == ["200", "200", "200", "403"]


async def test_keys_that_change_while_a_request_is_on_its_way_are_not_taken_for_those_it_was_checked_by(
    serve: Serve, tmp_path: Path
) -> None:
    world = await _served(serve, tmp_path)
    reader, writer = await asyncio.open_connection("127.0.0.1", world.client.port)
    data = json.dumps(SAME.body | {"voice": "female"}).encode()
    late = Asked(SAME.body | {"voice": "female"})
    assert (await world.ask(late)).status == "HTTP/1.1 200 OK"
    writer.write("\r\n".join(late.lines(len(data))).encode())
    while not world.limiter._active:  # noqa: ASYNC110  (nothing tells that it has been let in)
        await asyncio.sleep(0)
    narrow(world)
    writer.write(data)
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert (await world.ask(late)).status == "HTTP/1.1 403 Forbidden"


async def test_a_key_that_is_revoked_while_its_request_is_noted_is_asked_for_again(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    guard = Guard(world.keys, world.limiter)
    world.client = await serve(guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
    await world.ask(SAME)
    look_up, looks = KeyStore.look_up, []

    def slow_look_up(keys: KeyStore, secret: str) -> tuple[Caller, float] | None:
        found = look_up(keys, secret)
        looks.append(1)
        if len(looks) == 3:  # at the door, for the characters, and when it is noted; meanwhile the thread has read
            revoke(world)
        return found

    monkeypatch.setattr(KeyStore, "look_up", slow_look_up)
    assert (await world.ask(SAME)).status == "HTTP/1.1 200 OK"
    assert len(looks) == 3
    assert (await world.ask(SAME)).status == "HTTP/1.1 401 Unauthorized"


async def test_what_was_open_to_all_is_not_when_there_are_keys(serve: Serve, tmp_path: Path) -> None:
    world = World(tmp_path)
    keys = KeyStore(tmp_path / "later.json", TIERS)
    guard = Guard(keys, world.limiter)
    world.client = await serve(guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
    asked = [Asked(SAME.body | {"voice": "female"}), _with(Authorization=None)]
    before = [(await world.ask(each)).status.split()[1] for each in asked * 2]
    with changing(keys.file) as stored:
        stored.append(world.key(voices=("male",)))
    keys.load()
    assert before == ["200"] * 4
    assert [(await world.ask(each)).status.split()[1] for each in asked] == ["403", "401"]


async def test_on_a_kept_connection_an_open_server_answers_at_once_until_there_are_keys(
    serve: Serve, tmp_path: Path
) -> None:
    world = World(tmp_path)
    keys = KeyStore(tmp_path / "later.json", TIERS)
    guard = Guard(keys, world.limiter)
    world.client = await serve(guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
    await world.listen()
    asked = _with(Authorization=None)
    assert [(await world.ask(asked, kept=True)).status.split()[1] for _ in range(4)] == ["200"] * 4
    assert len(_known(world)._heard) == 1
    stranger = _with(Authorization=None, Host="evil.example")
    assert [(await world.ask(stranger, kept=True)).status.split()[1] for _ in range(3)] == ["403"] * 3
    with changing(keys.file) as stored:
        stored.append(world.key())
    keys.load()
    assert (await world.ask(asked, kept=True)).status.split()[1] == "401"
    await world.hang_up()


async def test_who_is_known_by_his_address_is_looked_at_each_time(serve: Serve, tmp_path: Path) -> None:
    world = World(tmp_path)
    tier = Tier(priority=2, requests_per_s=0.01, burst=5)
    guard = Guard(anonymous=tier, open=False)
    world.client = await serve(guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
    await world.listen()
    statuses = [(await world.ask(_with(Authorization=None), kept=True)).status.split()[1] for _ in range(6)]
    assert statuses == ["200"] * 5 + ["429"]
    assert not _known(world)._heard
    await world.hang_up()


@pytest.mark.parametrize("routes", [known.ROUTES, frozenset()])
async def test_who_goes_away_in_the_middle_of_his_answer_is_told_of_as_anybody(
    routes: frozenset[str],
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(known, "ROUTES", routes)
    caplog.set_level("INFO", "tts_server")
    world = await _served(serve, tmp_path)
    name, value = _answer_of(world)
    world.cache.memory.keep(name, value + bytes(7 << 20))  # more than all buffers in between take
    firsts, hits = world.meter.firsts, await _hits(world)
    caplog.clear()
    world.meter.counted.clear()
    data = json.dumps(SAME.body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", world.client.port, limit=1 << 10)
    writer.write("\r\n".join(SAME.lines(len(data))).encode() + data)
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.transport.abort()
    await world.meter.counted.wait()
    await asyncio.sleep(0)  # its line is written next
    (told,) = (record.tts_fields for record in caplog.records if record.getMessage() == "request done")  # type: ignore[attr-defined]
    assert told["status"] == 499
    assert f"X-Request-Id: {told['request']}\r\n" in head
    assert (world.meter.firsts - firsts, await _hits(world) - hits) == (1, 1)
    assert not world.limiter._active


async def _hits(world: World) -> int:
    counted, _ = await world.counted.exposition()
    found = re.search(r'tts_cache_requests_total\{kind="answer",level="memory",result="hit"\} (\d+)', counted.decode())
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("spaced", [10, 2000])
async def test_a_body_may_not_be_longer_than_the_settings_say_however_short_that_is(
    spaced: int, serve: Serve, tmp_path: Path
) -> None:
    world = World(tmp_path)
    guard, limits = Guard(world.keys, world.limiter), Limits(body_bytes=1024)
    world.client = await serve(limits, guard=guard, gateway=world.gateway, meter=world.meter, cache=world.cache)
    statuses = {(await world.ask(Asked(spaced=spaced))).status.split()[1] for _ in range(3)}
    assert statuses == {"413" if spaced > 1024 else "200"}


_BEGUN = f"POST /api/tts HTTP/1.1\r\nX-API-Key: {SECRET}\r\nX-Part: ".encode()


class _Line:
    """A connection on which a request has been answered at once, and is again."""

    def __init__(self, world: World) -> None:
        self.world = world
        data = json.dumps(SAME.body).encode()
        self.request = "\r\n".join(SAME.lines(len(data))).encode() + data
        self.at_once = 0

    async def open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        really = Known.at_once

        def counting(known: Known, connection: Connection, heard: bytes) -> bool:
            done = really(known, connection, heard)
            self.at_once += done
            return done

        monkeypatch.setattr(Known, "at_once", counting)
        await self.world.listen()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.world.port, limit=1 << 12)
        while not self.at_once:
            self.writer.write(self.request)
            assert (await self.answer())[0].startswith("HTTP/1.1 200 ")

    async def answer(self) -> tuple[str, bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"Content-Length: (\d+)", head)
        assert length is not None
        return head, await self.reader.readexactly(int(length[1]))


@pytest.fixture
async def line(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[_Line]:
    line = _Line(await _served(serve, tmp_path))
    await line.open(monkeypatch)
    yield line
    line.writer.close()


async def test_requests_that_come_in_one_piece_are_all_answered_and_no_more_at_once(line: _Line) -> None:
    before = line.at_once
    line.writer.write(line.request * 3)
    answers = [await line.answer() for _ in range(3)]
    assert len({body for _, body in answers}) == 1
    assert len({head for head, _ in answers}) == 3, "each has an id of its own"
    line.writer.write(line.request)
    assert (await line.answer())[1] == answers[0][1]
    assert line.at_once == before
    assert not line.world.limiter._active


@pytest.mark.parametrize("spaced", [b"", b"\r\n", b"\r\n\r\n"])
async def test_what_follows_a_request_and_a_part_of_another_is_no_request(line: _Line, spaced: bytes) -> None:
    """Else it would be answered as somebody's whose key it lacks, and be known as his."""
    before, known_before = line.at_once, len(_known(line.world)._heard)
    rest = b"X-Rest: \r\n" + line.request.partition(b"\r\n")[2].replace(f"Bearer {SECRET}".encode(), b"none")
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", line.world.port)
        for number, piece in enumerate((line.request, line.request + spaced + _BEGUN, rest, line.request)):
            writer.write(piece)
            if number != 1:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                assert "HTTP/1.1 200 " in head, head
                await reader.readexactly(int(head.partition("Content-Length: ")[2].split()[0]))
            else:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                await reader.readexactly(int(head.partition("Content-Length: ")[2].split()[0]))
                for _ in range(20):
                    await asyncio.sleep(0)
        writer.close()
    assert line.at_once - before <= 2, "the first of each connection at most"
    stranger = await asyncio.open_connection("127.0.0.1", line.world.port)
    stranger[1].write(line.request.replace(SECRET.encode(), b"tts_wrong"))
    assert b" 401 " in await stranger[0].readline()
    stranger[1].close()
    assert len(_known(line.world)._heard) == known_before


async def test_what_follows_a_part_of_a_request_is_no_request(line: _Line) -> None:
    before = line.at_once
    line.writer.write(b"POST /api/tts HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Part: ")
    for _ in range(20):
        await asyncio.sleep(0)
    line.writer.write(line.request)
    head, _ = await line.answer()
    assert "HTTP/1.1 200 " not in head  # without a key, for that is in the next request's headers or in none
    assert line.at_once == before


def test_what_follows_bytes_that_came_with_the_connection_is_no_request() -> None:
    """uvloop reads them before anything serves the connection."""
    asked: list[bytes] = []
    cut: list[str] = []

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    def at_once(_: Connection, heard: bytes) -> bool:
        asked.append(heard)
        return False

    async def talk() -> None:
        app = web.Application()
        app.router.add_get("/", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        bound = socket.create_server(("127.0.0.1", 0))
        await BoundedSite(runner, bound, Connections(0.5, 9, cut.append, lambda _: True, at_once), backlog=9).start()
        lines = [socket.create_connection(bound.getsockname()) for _ in range(2)]
        for line in lines:
            line.sendall(b"GET / HTTP/1.1\r\n")  # it is there before the loop has seen anybody
        reader, writer = await asyncio.open_connection(sock=lines[0])
        for _ in range(20):
            await asyncio.sleep(0)
        for piece in (b"Host: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
            writer.write(piece)
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len("hello"))
        assert not asked, "it has once been heard in pieces"
        late, other = await asyncio.open_connection(sock=lines[1])
        assert await late.read() == b"", "its headers are late"
        assert cut == ["headers_late"]
        writer.close()
        other.close()
        await runner.cleanup()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())


async def test_a_connection_is_kept_while_what_was_given_at_once_is_sent(line: _Line) -> None:
    name, value = _answer_of(line.world)
    line.world.cache.memory.keep(name, value + bytes(7 << 20))
    (connection,) = (one for one in line.world.client.server.runner.server.connections if isinstance(one, Connection))  # type: ignore[union-attr]
    line.writer.write(line.request)
    await line.reader.readuntil(b"\r\n\r\n")
    connection._next_keepalive_close_time = 0.0
    connection._process_keepalive()
    assert connection.transport is not None
    assert not connection.transport.is_closing()


async def test_texts_and_keys_are_forgotten_with_their_answers(line: _Line) -> None:
    (connection,) = (one for one in line.world.client.server.runner.server.connections if isinstance(one, Connection))  # type: ignore[union-attr]
    line.writer.write(line.request.replace(b"Host: 127.0.0.1", b"Host: 127.0.0.1:1"))
    await line.answer()
    assert connection.heard == b""


async def test_no_piece_of_a_request_is_taken_for_one(line: _Line) -> None:
    before = line.at_once
    for cut in (1, 20, len(line.request) - 1):
        line.writer.write(line.request[:cut])
        for _ in range(20):
            await asyncio.sleep(0)
        line.writer.write(line.request[cut:])
        assert (await line.answer())[0].startswith("HTTP/1.1 200 ")
    assert line.at_once == before


async def test_a_slow_reader_gets_all_of_what_was_given_at_once_and_others_wait_for_their_turn(line: _Line) -> None:
    name, value = _answer_of(line.world)
    line.world.cache.memory.keep(name, value + bytes(7 << 20))  # more than all buffers in between take
    before = line.at_once
    line.writer.write(line.request)
    for _ in range(20):
        await asyncio.sleep(0)
    line.writer.write(line.request)
    (one, first), (two, second) = await line.answer(), await line.answer()
    assert len(first) == len(second) > 7 << 20
    assert (one.split()[1], two.split()[1]) == ("200", "200")
    assert line.at_once == before + 1, "what waits to be sent has a bound"
    await _told_of(line.world, 2 + 2 + line.at_once)
    assert not line.world.limiter._active


async def test_who_goes_away_in_the_middle_of_what_was_given_at_once_is_told_of_as_anybody(
    line: _Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tts_server")
    name, value = _answer_of(line.world)
    line.world.cache.memory.keep(name, value + bytes(7 << 20))
    before, hits = line.at_once, await _hits(line.world)
    caplog.clear()
    line.world.meter.counted.clear()
    line.writer.write(line.request)
    await line.reader.readuntil(b"\r\n\r\n")
    assert line.at_once == before + 1
    line.writer.transport.abort()
    await line.world.meter.counted.wait()
    await asyncio.sleep(0)  # its line is written next
    (told,) = (record.tts_fields for record in caplog.records if record.getMessage() == "request done")  # type: ignore[attr-defined]
    assert told["status"] == 499
    assert await _hits(line.world) - hits == 1
    assert not line.world.limiter._active


async def test_a_server_that_ends_waits_for_what_was_given_at_once(line: _Line) -> None:
    name, value = _answer_of(line.world)
    line.world.cache.memory.keep(name, value + bytes(7 << 20))
    line.writer.write(line.request)
    await line.reader.readuntil(b"\r\n\r\n")
    ended = asyncio.ensure_future(line.world.client.server.runner.cleanup())  # type: ignore[union-attr]
    assert len(await line.reader.read(-1)) > 7 << 20
    await ended


def _answer_of(world: World) -> tuple[str, bytes]:
    ((name, value),) = ((key, value) for key, value in world.cache.memory._entries.items() if key.startswith("answer"))
    return name, value


async def _told_of(world: World, requests: int) -> None:
    while len(world.meter.requests) < requests:
        world.meter.counted.clear()
        await world.meter.counted.wait()

"""Who is let in, as what, and how much he may have: over HTTP, with the application as it is served."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError, web
from aiohttp.test_utils import TestClient, TestServer

from tests.tts_server.http.fakes import FakeGateway, FakeMeter
from tts_server.caller import TIERS, Tier
from tts_server.http.app import create_admin_app, create_app
from tts_server.http.guard import OPEN_ROUTES, Guard
from tts_server.http.services import SERVICES
from tts_server.keys import Key, KeyStore, changing, digest, make_secret
from tts_server.limits import Limiter

Serve = Callable[..., Awaitable[TestClient[Any, Any]]]
Add = Callable[..., dict[str, str]]
TEXT = {"text": "Hello."}


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    """Keys of which there is one."""
    store = KeyStore(tmp_path / "keys.json", TIERS)
    with changing(store.file) as stored:
        stored.append(Key(name="first", sha256=digest(make_secret()), tier="standard", created=datetime.now(UTC)))
    store.load()
    return store


@pytest.fixture
def add(keys: KeyStore) -> Add:
    """Add a key: the headers that present it."""

    def add_one(name: str = "ann", tier: str = "standard", **more: Any) -> dict[str, str]:
        secret = make_secret()
        with changing(keys.file) as stored:
            stored.append(Key(name=name, sha256=digest(secret), tier=tier, created=datetime.now(UTC), **more))
        keys.load()
        return {"Authorization": f"Bearer {secret}"}

    return add_one


@pytest.fixture
async def guarded(serve: Serve, keys: KeyStore) -> TestClient[Any, Any]:
    return await serve(guard=Guard(keys))


def _app(client: TestClient[Any, Any]) -> web.Application:
    app: web.Application = client.server.app  # type: ignore[attr-defined]
    return app


def _paths(app: web.Application) -> set[str]:
    return {route.resource.canonical for route in app.router.routes() if route.resource}


async def _error(answer: Any) -> tuple[int, str]:
    body = await answer.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return answer.status, body["error"]["code"]


# --- coming in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer tts_wrong"}, {"X-API-Key": "tts_wrong"}])
async def test_every_route_needs_a_key_unless_it_is_open(
    guarded: TestClient[Any, Any], headers: dict[str, str], gateway: FakeGateway
) -> None:
    routes = {(route.method, route.resource.canonical) for route in _app(guarded).router.routes() if route.resource}
    assert len(routes) > 20
    for method, path in sorted(routes):
        async with guarded.request(
            method, path.replace("{id}", "x").replace("{name}", "app.js"), headers=headers
        ) as answer:
            if path in OPEN_ROUTES:
                assert answer.status == 200, path
                continue
            assert answer.status == 401, path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            if method != "HEAD":
                assert await _error(answer) == (401, "invalid_api_key")
    assert not gateway.requests


async def test_what_is_open_to_all_is_no_more_than_this() -> None:
    probes = {"/healthz", "/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready"}
    assert probes | {"/openapi.json", "/docs", "/", "/web/{name}"} == OPEN_ROUTES


async def test_a_route_that_nobody_thought_of_needs_a_key(serve: Serve, keys: KeyStore, add: Add) -> None:
    async def secret(_: web.Request) -> web.Response:
        return web.Response(text="secret")

    services = _app(await serve())[SERVICES]
    app = create_app(services, version="1", guard=Guard(keys))
    app.router.add_get("/new", secret)
    async with TestClient(TestServer(app)) as client:
        for method, path in (("GET", "/new"), ("GET", "/nowhere"), ("DELETE", "/api/tts"), ("OPTIONS", "/api/tts")):
            assert await _error(await client.request(method, path)) == (401, "invalid_api_key"), path
        assert await (await client.get("/new", headers=add())).text() == "secret"


async def test_who_has_no_key_is_refused_before_his_body_is_read(guarded: TestClient[Any, Any]) -> None:
    reader, writer = await asyncio.open_connection(guarded.host, guarded.port)
    writer.write(b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")  # and no body follows
    assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()


@pytest.mark.parametrize(
    ("header", "form", "status"),
    [
        ("Authorization", "Bearer {}", 200),
        ("Authorization", "bearer   {} ", 200),
        ("X-API-Key", "{}", 200),
        ("Authorization", "Basic {}", 401),
        ("Authorization", "{}", 401),
        ("Authorization", "Bearer {}x", 401),
        ("X-API-Key", "Bearer {}", 401),
        ("Cookie", "key={}", 401),
    ],
)
async def test_a_key_comes_as_a_bearer_or_as_a_header_of_its_own(
    guarded: TestClient[Any, Any], add: Add, header: str, form: str, status: int
) -> None:
    secret = add()["Authorization"].removeprefix("Bearer ")
    answer = await guarded.get("/v1/models", headers={header: form.format(secret)})
    assert answer.status == status
    in_url = await guarded.get("/v1/models", params={"api_key": secret})
    assert in_url.status == 401, "addresses end up in logs"


async def test_an_expired_key_opens_nothing(guarded: TestClient[Any, Any], add: Add) -> None:
    expired = add(expires=datetime(2026, 1, 1, tzinfo=UTC))
    assert await _error(await guarded.get("/v1/models", headers=expired)) == (401, "invalid_api_key")


async def test_without_keys_anybody_on_this_machine_is_let_in_whatever_he_presents(
    serve: Serve, tmp_path: Path
) -> None:
    client = await serve(guard=Guard(KeyStore(tmp_path / "none", TIERS)))
    for headers in ({}, {"Authorization": "Bearer any"}):
        answer = await client.post("/api/tts", json=TEXT, headers=headers)
        assert answer.status == 200
        assert "RateLimit-Limit" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "tts.localhost"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:8000", "Origin": "http://evil.example:8000"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_an_open_server_answers_no_strange_pages(serve: Serve, headers: dict[str, str], status: int) -> None:
    client = await serve()
    async with client.get("/v1/models", headers=headers) as answer:
        assert answer.status == status
    async with client.get("/healthz", headers=headers) as answer:
        assert answer.status == 200


async def test_the_first_key_closes_the_door(serve: Serve, tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.json", TIERS)
    client = await serve(guard=Guard(store))
    assert (await client.get("/v1/models")).status == 200
    with changing(store.file) as stored:
        stored.append(Key(name="first", sha256=digest(make_secret()), tier="vip", created=datetime.now(UTC)))
    store.load()
    assert (await client.get("/v1/models")).status == 401


async def test_a_port_for_the_operator_has_what_the_other_then_has_not_and_asks_nobody(
    serve: Serve, keys: KeyStore
) -> None:
    services = _app(await serve())[SERVICES]
    alive = {"/healthz", "/livez", "/health", "/v2/health/live"}
    apart = {"/readyz", "/v2/health/ready", "/metrics"}
    public, admin = create_app(services, version="1", guard=Guard(keys), admin_apart=True), create_admin_app(services)
    assert _paths(admin) == alive | apart
    assert _paths(public) == _paths(create_app(services, version="1")) - apart
    async with TestClient(TestServer(admin)) as client:
        for path in alive | apart:
            assert (await client.get(path)).status == 200, path


# --- what a key is for ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "body", "outcome"),
    [
        ({}, {}, ("female", "standard")),
        ({"voices": ("male",)}, {"voice": "male"}, ("male", "standard")),
        ({"voices": ("male",)}, {"voice": "echo"}, ("male", "standard")),
        ({"voices": ("male",)}, {"voice": "alloy"}, 403),
        ({"voices": ("male",)}, {}, 403),
        ({"voices": ("male",)}, {"voice": "nobody"}, 404),
        ({"engines": ("light",)}, {}, ("female", "light")),
        ({"engines": ("light",)}, {"engine": "standard"}, 403),
        ({"engines": ("light",)}, {"engine": "none"}, 404),
        ({"engines": ("light",)}, {"voice": "male"}, 403),
        ({"engines": ("gone",)}, {}, 403),
    ],
)
async def test_a_key_may_be_for_some_voices_and_engines_alone(
    guarded: TestClient[Any, Any], add: Add, gateway: FakeGateway, allowed: Any, body: Any, outcome: Any
) -> None:
    answer = await guarded.post("/api/tts", json=TEXT | body, headers=add(**allowed))
    if isinstance(outcome, int):
        assert answer.status == outcome
        assert not gateway.requests
        assert outcome != 403 or await _error(answer) == (403, "not_allowed")
    else:
        assert (answer.headers["X-Voice"], answer.headers["X-Engine"]) == outcome


async def test_lists_show_what_the_key_is_for(guarded: TestClient[Any, Any], add: Add) -> None:
    light = add(engines=("light",))
    voices = (await (await guarded.get("/v1/audio/voices", headers=light)).json())["voices"]
    assert [(voice["id"], voice["engine"]) for voice in voices] == [("female", "light")]
    models = (await (await guarded.get("/v1/models", headers=light)).json())["data"]
    assert [model["id"] for model in models if not model["id"].startswith(("tts-1", "gpt"))] == ["light"]
    for model, status in (("light", 200), ("tts-1", 200), ("standard", 403), ("none", 404)):
        assert (await guarded.get(f"/v1/models/{model}", headers=light)).status == status, model


@pytest.mark.parametrize(
    ("tier", "asked", "priority"),
    [
        ("vip", None, 0),
        ("vip", "3", 3),
        ("standard", None, 1),
        ("standard", "0", 1),
        ("standard", "1", 1),
        ("standard", "9", 9),
        ("standard", "10", None),
        ("standard", "-1", None),
        ("standard", "high", None),
        ("standard", "", None),
        ("standard", "²", None),
    ],
)
async def test_a_caller_may_ask_for_less_priority_than_his_tier_has_and_never_for_more(
    guarded: TestClient[Any, Any], add: Add, gateway: FakeGateway, tier: str, asked: str | None, priority: int | None
) -> None:
    headers = add(tier=tier) | ({} if asked is None else {"X-Priority": asked})
    answer = await guarded.post("/api/tts", json=TEXT, headers=headers)
    if priority is None:
        assert await _error(answer) == (400, "invalid_value")
    else:
        assert answer.status == 200
        assert [request.priority for request in gateway.requests] == [priority]


# --- limits ---------------------------------------------------------------------------------------------------------


async def test_limits_are_told_on_every_answer_and_one_too_many_is_refused(
    guarded: TestClient[Any, Any], add: Add
) -> None:
    headers = add(limits={"requests_per_s": 0.1, "burst": 3, "characters_per_min": None})
    left = []
    for path in ("/v1/models", "/nowhere", "/v1/models/none"):
        answer = await guarded.get(path, headers=headers)
        assert answer.headers["RateLimit-Limit"] == "3"
        left.append(answer.headers["RateLimit-Remaining"])
    assert left == ["2", "1", "0"]
    refused = await guarded.post("/api/tts", json=TEXT, headers=headers)
    assert await _error(refused) == (429, "rate_limit_exceeded")
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert 0 < int(refused.headers["retry-after-ms"]) <= 1000 * int(refused.headers["Retry-After"])
    assert (await guarded.get("/v1/models", headers=add("bob"))).status == 200, "others are not concerned"
    assert (await guarded.get("/healthz")).status == 200


async def test_the_limit_that_is_nearest_is_told_of(guarded: TestClient[Any, Any], add: Add) -> None:
    headers = add(limits={"requests_per_s": 1, "burst": 10, "characters_per_min": 20})
    first = await guarded.post("/api/tts", json={"text": "12345"}, headers=headers)
    assert (first.status, first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == (200, "20", "15")
    second = await guarded.post(
        "/v1/audio/speech", json={"model": "tts-1", "voice": "echo", "input": "1" * 16}, headers=headers
    )
    assert await _error(second) == (429, "rate_limit_exceeded")
    assert second.headers["RateLimit-Limit"] == "20"
    long = await guarded.post("/api/tts", json={"text": "1" * 21}, headers=headers)
    assert await _error(long) == (400, "input_too_long")


async def test_parallel_fire_over_http_is_let_in_exactly_as_far_as_may_be(
    guarded: TestClient[Any, Any], add: Add
) -> None:
    headers = add(limits={"requests_per_s": 0.1, "burst": 20, "concurrent": None})
    answers = await asyncio.gather(*(guarded.get("/v1/models", headers=headers) for _ in range(100)))
    assert sorted(answer.status for answer in answers) == [200] * 20 + [429] * 80


async def test_so_many_at_once_and_each_that_ends_or_leaves_makes_room(
    guarded: TestClient[Any, Any], add: Add, gateway: FakeGateway, meter: FakeMeter
) -> None:
    gateway.holds_at = 0
    headers = add(limits={"concurrent": 1})
    first = asyncio.create_task(guarded.post("/api/tts", json=TEXT, headers=headers))
    await gateway.held.wait()
    refused = await guarded.post("/api/tts", json=TEXT, headers=headers)
    assert await _error(refused) == (429, "rate_limit_exceeded")
    assert refused.headers["Retry-After"] == "1"
    meter.counted.clear()
    first.cancel()  # the client goes away
    await meter.counted.wait()
    gateway.release.set()
    for _ in range(2):
        assert (await guarded.post("/api/tts", json=TEXT, headers=headers)).status == 200


async def test_strangers_are_limited_by_address_where_they_are_let_in(serve: Serve, keys: KeyStore, add: Add) -> None:
    once = Tier(priority=2, requests_per_s=0.1, burst=1)
    proxies = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.0.0.0/8"))
    client = await serve(guard=Guard(keys, Limiter(), once, open=False, proxies=proxies))

    async def ask(*forwarded: str) -> int:
        headers = [("X-Forwarded-For", value) for value in forwarded]
        async with client.get("/v1/models", headers=headers) as answer:
            return answer.status

    assert [await ask(), await ask()] == [200, 429]
    assert [await ask("192.0.2.1"), await ask("192.0.2.1")] == [200, 429]
    assert await ask("1.1.1.1, 192.0.2.1") == 429, "what is left of the last stranger, he may have written himself"
    assert await ask("1.1.1.1, 192.0.2.1, 10.1.2.3") == 429, "and what is right of him are our own proxies"
    assert await ask("1.1.1.1", "192.0.2.1", "10.1.2.3") == 429
    assert [await ask("2001:db8::1"), await ask("2001:db8::2"), await ask("2001:db8:0:1::1")] == [200, 429, 200]
    assert await ask("::ffff:192.0.2.1") == 429
    assert [await ask("192.0.2.3:5678"), await ask("192.0.2.3:1"), await ask("1.1.1.1, [2001:db8::7]:80")] == [
        200,
        429,
        429,
    ]
    assert await ask("nonsense") == 429, "then it is the proxy itself"
    assert (await client.get("/v1/models", headers=add())).status == 200
    assert (await client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.8"})).status == 401, "not for strangers"
    assert (await client.get("/metrics", headers=add("bob"))).status == 200
    wrong = await client.get("/v1/models", headers={"X-API-Key": "tts_wrong", "X-Forwarded-For": "192.0.2.9"})
    assert wrong.status == 401, "a wrong key is told, and not taken for none"


async def test_forwarded_addresses_of_a_stranger_are_not_believed(serve: Serve, keys: KeyStore) -> None:
    client = await serve(guard=Guard(keys, Limiter(), Tier(priority=2, requests_per_s=0.1, burst=1), open=False))
    statuses = [
        (await client.get("/v1/models", headers={"X-Forwarded-For": f"192.0.2.{number}"})).status for number in (1, 2)
    ]
    assert statuses == [200, 429]


# --- websockets and OpenAI's client ---------------------------------------------------------------------------------


async def test_a_websocket_needs_a_key(guarded: TestClient[Any, Any]) -> None:
    with pytest.raises(WSServerHandshakeError, match="401"):
        await guarded.ws_connect("/v1/audio/speech/stream")


async def _say(socket: Any, text: str) -> dict[str, Any]:
    """Have it said: what the audio ended with."""
    await socket.send_json({"type": "input.text", "text": text})
    await socket.send_json({"type": "input.done"})
    told: dict[str, Any] = {}
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            if message.json()["type"] == "session.done":
                break
            told = message.json()
    return told


async def test_characters_of_a_websocket_count_and_what_is_too_much_is_told_by_sentence(
    guarded: TestClient[Any, Any], add: Add, gateway: FakeGateway
) -> None:
    headers = add(tier="vip", limits={"characters_per_min": 12})
    async with guarded.ws_connect("/v1/audio/speech/stream", headers=headers | {"X-Priority": "4"}) as socket:
        assert (await _say(socket, "1234567.")).get("error") is None
        assert (await _say(socket, "1234567."))["error"]["code"] == "rate_limit_exceeded"
        assert (await _say(socket, "123."))["error"] is None
    assert [(request.text, request.priority) for request in gateway.requests] == [("1234567.", 4), ("123.", 4)]
    refused = await guarded.post("/api/tts", json=TEXT, headers=headers)
    assert refused.status == 429, "it is one account"


async def test_a_websocket_speaks_with_what_its_key_is_for(
    guarded: TestClient[Any, Any], add: Add, gateway: FakeGateway
) -> None:
    async with guarded.ws_connect("/v1/audio/speech/stream", headers=add(voices=("male",))) as socket:
        await socket.send_json({"type": "session.config", "voice": "female"})
        assert (await socket.receive_json())["error"]["code"] == "not_allowed"
        assert (await _say(socket, "Hello."))["error"] is None
    assert [request.voice.id for request in gateway.requests] == ["male"]


async def test_a_websocket_is_silent_when_its_key_is_revoked(
    guarded: TestClient[Any, Any], add: Add, keys: KeyStore
) -> None:
    async with guarded.ws_connect("/v1/audio/speech/stream", headers=add()) as socket:
        assert (await _say(socket, "Hello."))["error"] is None
        with changing(keys.file) as stored:
            stored.pop()
        keys.load()
        assert (await _say(socket, "Hello."))["error"]["code"] == "invalid_api_key"


async def test_openais_client_raises_its_own_errors(guarded: TestClient[Any, Any], add: Add) -> None:
    headers = add(engines=("light",), limits={"requests_per_s": 0.1, "burst": 2})
    secret = headers["Authorization"].removeprefix("Bearer ")
    url = str(guarded.make_url("/v1"))
    async with openai.AsyncOpenAI(api_key="tts_wrong", base_url=url, max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as wrong:
            await stranger.models.list()
    assert wrong.value.code == "invalid_api_key"
    async with openai.AsyncOpenAI(api_key=secret, base_url=url, max_retries=0) as ai:
        await ai.audio.speech.create(model="tts-1", voice="alloy", input="Hello.", response_format="pcm")
        with pytest.raises(openai.PermissionDeniedError):
            await ai.audio.speech.create(model="standard", voice="alloy", input="Hello.")
        with pytest.raises(openai.RateLimitError) as many:
            await ai.models.list()
    assert many.value.code == "rate_limit_exceeded"
    assert float(many.value.response.headers["retry-after-ms"]) > 0


async def test_the_log_names_the_key_and_never_shows_it(
    guarded: TestClient[Any, Any], add: Add, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    headers = add()
    await guarded.get("/v1/models", headers=headers)
    told = [str(record.__dict__) for record in caplog.records if "request done" in record.message]
    assert any("key:ann" in line for line in told)
    assert headers["Authorization"].removeprefix("Bearer ") not in "".join(told)

"""What the server tells of itself: voices, models, health, metrics, its own description."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from aiohttp.test_utils import TestClient

from tests.tts_server.http.conftest import Serve
from tests.tts_server.http.fakes import FakeGateway, FakeMeter
from tts_server.http.requests import MODEL_ALIASES
from tts_server.http.services import Limits

Client = TestClient[Any, Any]


@pytest.mark.parametrize("path", ["/v1/audio/voices", "/audio/voices"])
async def test_voices_are_told_with_what_they_are(client: Client, path: str) -> None:
    voices = (await (await client.get(path)).json())["voices"]
    assert voices[0] == {
        "id": "female",
        "name": "female",
        "language": "zh,en",
        "gender": "female",
        "engine": "standard",
        "sample_rate": 24_000,
        "description": "A calm woman",
    }
    assert [(voice["id"], voice["engine"]) for voice in voices[1:]] == [("male", "standard"), ("female", "light")]


async def test_older_clients_get_names_alone(client: Client) -> None:
    assert await (await client.get("/v1/audio/voices?legacy=true")).json() == {"voices": ["female", "male"]}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/audio/models", "/audio/models"])
async def test_models_are_engines_and_openais_names(client: Client, path: str) -> None:
    listed = await (await client.get(path)).json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["standard", "light", *MODEL_ALIASES]
    for model in listed["data"]:
        assert await (await client.get(f"/v1/models/{model['id']}")).json() == model
        assert isinstance(model["created"], int)


async def test_a_model_that_is_not_there_is_not_found(client: Client) -> None:
    async with client.get("/v1/models/gpt-9%2F..%2F") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/health", "/v2/health/live"])
async def test_whoever_answers_is_alive(client: Client, gateway: FakeGateway, path: str) -> None:
    gateway.is_ready = {"standard": False}
    gateway.draining = True
    async with client.get(path) as answer:
        assert (answer.status, await answer.json()) == (200, {"live": True})


@pytest.mark.parametrize("path", ["/readyz", "/v2/health/ready"])
@pytest.mark.parametrize(
    ("engines", "draining", "ready"),
    [
        ({"standard": True, "light": True}, False, True),
        ({"standard": True, "light": False}, False, False),
        ({"standard": True}, True, False),
        ({}, False, False),
    ],
)
async def test_ready_is_when_every_engine_can_speak(
    client: Client, gateway: FakeGateway, path: str, engines: dict[str, bool], *, draining: bool, ready: bool
) -> None:
    gateway.is_ready, gateway.draining = engines, draining
    async with client.get(path) as answer:
        assert answer.status == (200 if ready else 503)
        assert await answer.json() == {"ready": ready, "engines": engines, "draining": draining}


async def test_metrics_are_shown_as_they_are_asked_for(client: Client) -> None:
    async with client.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
        assert await answer.text() == "counted for application/openmetrics-text"
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/api/tts", 405, "method_not_allowed"),
        ("DELETE", "/v1/audio/speech", 405, "method_not_allowed"),
        ("GET", "/v1/audio/speech/stream", 400, "upgrade_required"),
    ],
)
async def test_every_refusal_has_the_one_shape(
    client: Client, meter: FakeMeter, method: str, path: str, status: int, code: str
) -> None:
    async with client.request(method, path, headers={"X-Request-Id": "mine"}) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["type"]) == (status, code, "invalid_request_error")
    assert error.keys() == {"message", "type", "param", "code"}
    assert (answer.headers["X-Request-Id"], answer.headers["Server"]) == ("mine", "tts-server")
    assert meter.requests[0][1] == status
    if status == 405:
        assert "OPTIONS" in answer.headers["Allow"]


async def test_head_is_get_without_a_body_and_options_tells_methods(client: Client) -> None:
    async with client.head("/v1/models") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0
    async with client.head("/api/tts") as answer:
        assert answer.status == 405
    async with client.options("/api/tts") as answer:
        assert (answer.status, answer.headers["Allow"]) == (204, "OPTIONS, POST")
    async with client.options("/nowhere") as answer:
        assert answer.status == 404


async def test_a_path_of_a_typo_is_counted_as_no_route(client: Client, meter: FakeMeter) -> None:
    await client.get("/v1/nodels/a")
    await client.get("/v1/models/tts-1")
    assert meter.requests == [("unmatched", 404), ("/v1/models/{id}", 200)]


# --- the description ------------------------------------------------------------------------------------------------


async def test_every_route_is_described_or_is_another_name_of_one_that_is(client: Client) -> None:
    document = await (await client.get("/openapi.json")).json()
    routes = [route for route in client.app.router.routes() if route.method != "HEAD"]
    by_handler: dict[object, set[tuple[str, str]]] = {}
    for route in routes:
        assert route.resource is not None
        by_handler.setdefault(route.handler, set()).add((route.method.lower(), route.resource.canonical))
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described <= set().union(*by_handler.values())
    assert [names for names in by_handler.values() if not names & described] == []


async def test_the_description_says_what_is_checked(serve: Serve) -> None:
    client = await serve(Limits(tts_characters=10))
    document = await (await client.get("/openapi.json")).json()
    schema = document["components"]["schemas"]["TtsBody"]
    assert document["openapi"] == "3.1.0"
    for body in (
        {"text": "a"},
        {"text": "a" * 11},
        {"text": 1},
        {"text": "a", "speed": 5},
        {"text": "a", "format": "x"},
    ):
        resolved = {**schema, "components": document["components"]}
        right = jsonschema.Draft202012Validator(resolved).is_valid(body)
        async with client.post("/api/tts", json=body) as answer:
            assert (answer.status == 200) is right


async def test_every_reference_of_the_description_leads_somewhere(client: Client) -> None:
    text = await (await client.get("/openapi.json")).text()
    schemas = (await (await client.get("/openapi.json")).json())["components"]["schemas"]
    assert set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', text)) <= schemas.keys()
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_the_page_needs_nobody_else(client: Client) -> None:
    async with client.get("/docs") as answer:
        page = await answer.text()
    assert answer.content_type == "text/html"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"https?://|<script|src=", page)
    assert "a number from 0.25 to 4" in page
    assert "POST /v1/audio/speech" in page

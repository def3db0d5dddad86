"""Whatever the body, the answer is speech or a refusal in the one shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import floats
from tests.tts_server.http.fakes import FakeGateway, FakeMeter
from tts_server.encoding import FORMATS
from tts_server.http.app import create_app
from tts_server.http.bodies import VOICE_ALIASES
from tts_server.http.encoders import Encoders
from tts_server.http.requests import MODEL_ALIASES
from tts_server.http.services import Services

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["你好。", "x" * 4097, "\ud800", "\x00"])
SHARED = {
    "speed": floats(0, 5) | JUNK,
    "volume": floats(0, 4) | JUNK,
    "pitch": floats(-13, 13) | JUNK,
    "sample_rate": st.integers(7_000, 50_000) | JUNK,
}
FORMAT = st.sampled_from([*FORMATS, "ogg"]) | JUNK
VOICE = st.sampled_from(["female", "male", "nobody", *VOICE_ALIASES]) | JUNK
BODIES = {
    "/api/tts": st.fixed_dictionaries(
        {"text": TEXT | JUNK},
        optional={
            **SHARED,
            "voice": VOICE,
            "format": FORMAT,
            "stream": st.booleans() | JUNK,
            "engine": JUNK,
            "x": JUNK,
        },
    ),
    "/v1/audio/speech": st.fixed_dictionaries(
        {"input": TEXT | JUNK, "model": st.sampled_from(MODEL_ALIASES) | JUNK, "voice": VOICE},
        optional={
            **SHARED,
            "response_format": FORMAT,
            "stream_format": st.sampled_from(["audio", "sse"]) | JUNK,
            "instructions": JUNK,
        },
    ),
}


class Served:
    """A server for many examples, each run to its end on one loop."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.encoders = Encoders(1)
        app = create_app(Services(FakeGateway(), FakeMeter(), self.encoders), version="1")
        self.client = self.run(self._start(TestServer(app)))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    async def _start(self, server: TestServer) -> TestClient[Any, Any]:
        client = TestClient(server)
        await client.start_server()
        return client

    async def check(self, path: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        async with self.client.post(path, data=body, headers=headers) as answer:
            content = await answer.read()
        assert answer.status == 200 or 400 <= answer.status < 500, content
        if answer.status == 200:
            assert content
        else:
            assert json.loads(content)["error"].keys() == {"message", "type", "param", "code"}

    def close(self) -> None:
        self.run(self.client.close())
        self.runner.close()
        self.encoders.close()


@pytest.fixture(scope="module")
def served() -> Any:
    server = Served()
    yield server
    server.close()


@pytest.mark.parametrize("path", BODIES)
def test_any_object_is_answered(served: Served, path: str) -> None:
    @settings(max_examples=200, deadline=None)
    @given(BODIES[path] | JUNK)
    def answered(body: Any) -> None:
        served.run(served.check(path, json.dumps(body).encode()))

    answered()


@pytest.mark.parametrize("path", BODIES)
def test_any_bytes_are_answered(served: Served, path: str) -> None:
    @settings(max_examples=50, deadline=None)
    @given(st.binary(max_size=40))
    def answered(body: bytes) -> None:
        served.run(served.check(path, body))

    answered()

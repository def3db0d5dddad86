from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.tts_server.http.fakes import FakeGateway, FakeMeter
from tts_server.http.app import create_app
from tts_server.http.encoders import Encoders
from tts_server.http.guard import Guard
from tts_server.http.services import Limits, Services

Serve = Callable[..., Awaitable[TestClient[Any, Any]]]


@pytest.fixture
async def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def meter() -> FakeMeter:
    return FakeMeter()


@pytest.fixture
async def serve(gateway: FakeGateway, meter: FakeMeter) -> AsyncIterator[Serve]:
    """Serve the application on a port, run as the server runs it, with other limits or another encoder if need be."""
    clients: list[TestClient[Any, Any]] = []
    with closing(Encoders(2)) as encoders:

        async def start(
            limits: Limits | None = None, *, guard: Guard | None = None, **services: Any
        ) -> TestClient[Any, Any]:
            given = replace(Services(gateway, meter, encoders, limits or Limits()), **services)
            server = TestServer(create_app(given, version="1.2.3", guard=guard))
            await server.start_server()  # with handler_cancellation, as the server must
            clients.append(TestClient(server))
            return clients[-1]

        yield start
        for client in clients:
            await client.close()


@pytest.fixture
async def client(serve: Serve) -> TestClient[Any, Any]:
    return await serve()

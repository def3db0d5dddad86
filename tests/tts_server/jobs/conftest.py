from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.tts_server.http.fakes import FakeGateway, FakeMeter
from tests.tts_server.redis_server import PROGRAM, RedisServer, redis_server
from tts_server.config import Settings
from tts_server.http.app import create_app
from tts_server.http.encoders import Encoders
from tts_server.http.services import Limits, Services
from tts_server.jobs.service import Jobs

Client = TestClient[Any, Any]
LONG = "\n\n".join(char * 150 for char in "一二三")
"""Three pieces."""
Serve = Callable[..., AbstractAsyncContextManager[Client]]


@dataclass
class JobMeter(FakeMeter):
    jobs: list[str] = field(default_factory=list)
    callbacks: list[str] = field(default_factory=list)
    unfinished: dict[str, int] = field(default_factory=dict)

    def long_job(self, outcome: str) -> None:
        self.jobs.append(outcome)

    def unfinished_jobs(self, counts: Mapping[str, int]) -> None:
        self.unfinished = dict(counts)

    def callback(self, state: str) -> None:
        self.callbacks.append(state)


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def meter() -> JobMeter:
    return JobMeter()


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all tests that need no more of it than to be there, and empty."""
    if PROGRAM is None:
        pytest.skip("redis-server is not installed")
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=[None])
def redis_url(request: pytest.FixtureRequest) -> str | None:
    """None, or an empty Redis through which jobs are shared: for a module, `in_both_stores`."""
    if request.param is None:
        return None
    server: RedisServer = request.getfixturevalue("redis")
    server.flush()
    return server.url


in_both_stores = pytest.mark.parametrize("redis_url", [None, "redis"], ids=["alone", "shared"], indirect=True)
"""What callers meet is the same whether a server keeps its jobs alone or shares them."""


@pytest.fixture
def folder(tmp_path: Path, redis_url: str | None) -> Path:
    """Where the audio is."""
    jobs = tmp_path / "state" / "jobs"
    return jobs if redis_url is None else jobs / "shared"


@pytest.fixture
def serve(gateway: FakeGateway, meter: JobMeter, tmp_path: Path, redis_url: str | None) -> Serve:
    """Serve jobs from one state folder, as often as one likes; what runs at the end is put back."""

    @asynccontextmanager
    async def serving(**settings: Any) -> AsyncIterator[Client]:
        changes = {"state_dir": tmp_path / "state", "jobs_disk_reserve_mib": 0, "redis_url": redis_url, **settings}
        jobs = Jobs(Settings(**changes), gateway, meter)
        with closing(Encoders(1)) as encoders:
            server = TestServer(
                create_app(Services(gateway, meter, encoders, Limits(ping_s=0.5), jobs=jobs), version="1")
            )
            await server.start_server()
            running = asyncio.create_task(jobs.run())
            client = TestClient(server)
            try:
                yield client
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                await client.close()

    return serving


async def order(client: Client, text: str = "你好。", **fields: Any) -> str:
    async with client.post("/api/tts/jobs", json={"text": text, "format": "pcm", **fields}) as answer:
        content = await answer.json()
        assert answer.status == 202, content
        return str(content["job_id"])


async def show(client: Client, job_id: str) -> dict[str, Any]:
    async with client.get(f"/api/tts/jobs/{job_id}") as answer:
        content: dict[str, Any] = await answer.json()
        assert answer.status == 200, content
        return content


async def ended(client: Client, job_id: str) -> dict[str, Any]:
    """The job, once it has ended."""
    async with client.get(f"/api/tts/jobs/{job_id}/events") as answer:
        assert answer.status == 200
        await answer.read()
    content = await show(client, job_id)
    assert content["status"] in {"done", "failed", "cancelled"}
    return content


async def fetch(client: Client, job_id: str, **headers: str) -> tuple[int, bytes, Any]:
    async with client.get(f"/api/tts/jobs/{job_id}/audio", headers=headers) as answer:
        return answer.status, await answer.read(), answer.headers


async def until(fact: Callable[[], bool]) -> None:
    while not fact():  # noqa: ASYNC110  (files and fakes send no events)
        await asyncio.sleep(0.01)

"""Jobs that instances share through one Redis and one folder: real servers, killed in turn, and Redis with them."""

from __future__ import annotations

import asyncio
import io
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from inference.utterance import Manner
from tests.engines import whole
from tests.test_jobs_service import SENTENCES
from tests.test_service import ROOT
from tests.tiny_pack import RATE_HZ
from tests.tts_server.redis_server import RedisServer, needs_redis, redis_server
from tts_server.jobs.files import names

INSTANCES, JOBS, KILLS = 3, 60, 5
LOGGED = ("job done", "jobs resumed", "job begins again")
PATIENCE_S = 120.0

pytestmark = needs_redis


def events_of(log: Path, kind: str) -> list[dict[str, Any]]:
    """What is in its log of that kind; the last line may be half of one."""
    lines = log.read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    return [event for event in found if event["event"] == kind]


class Instance:
    """A server process."""

    def __init__(self, settings: dict[str, Any], log: Path) -> None:
        self._log = log
        with log.open("a") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.jobs_instance", json.dumps(settings)],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=sink,
            )
        self.url = ""

    async def serving(self) -> None:
        while not self.url:
            assert self.process.poll() is None, self._log.read_text()
            for event in events_of(self._log, "serving"):
                self.url = str(event["url"])
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Cluster:
    """Some of them, with a folder and a Redis in common."""

    def __init__(self, folder: Path, voices_dir: Path, redis: RedisServer) -> None:
        self._folder = folder
        self._common = {
            "port": 0,
            "engines": "standard",
            "workers": 1,
            "voices_dir": str(voices_dir),
            "cache_dir": str(folder / "cache"),
            "jobs_dir": str(folder / "jobs"),
            "redis_url": redis.url,
            "log_format": "json",
            "start_timeout_s": 120,
            "degrade_cpu": 1.0,
        }
        self.redis = redis
        self.audio = folder / "jobs" / "shared"
        self.logs: list[Path] = []
        self.instances = [self._start() for _ in range(INSTANCES)]

    def _start(self) -> Instance:
        number = len(self.logs)
        self.logs.append(self._folder / f"{number}.log")
        return Instance(self._common | {"state_dir": str(self._folder / f"state{number}")}, self.logs[-1])

    async def replace(self, number: int) -> None:
        """Kill it and start another in its place."""
        self.instances[number].kill()
        self.instances[number] = self._start()
        await self.instances[number].serving()

    async def ask(self, method: str, path: str, first: int = 0, **more: Any) -> tuple[int, bytes]:
        """What one of them answers; not one that was just killed."""
        for number in range(first, first + INSTANCES):
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.request(method, self.instances[number % INSTANCES].url + path, **more) as answer,
                ):
                    return answer.status, await answer.read()
            except aiohttp.ClientError:
                continue
        raise AssertionError("nobody answers")

    async def submit(self, body: dict[str, Any], first: int = 0) -> str:
        status, content = await self.ask("POST", "/api/tts/jobs", first, json=body)
        assert status == 202, content
        return str(json.loads(content)["job_id"])

    async def all(self, first: int = 0) -> list[dict[str, Any]]:
        status, content = await self.ask("GET", "/api/tts/jobs?limit=100", first)
        assert status == 200, content
        jobs: list[dict[str, Any]] = json.loads(content)["jobs"]
        assert [job["error"] for job in jobs if job["status"] in {"failed", "cancelled"}] == []
        return jobs

    async def until_done(self, count: int) -> list[dict[str, Any]]:
        """All jobs, once so many are done."""
        return await self._until(lambda jobs: sum(job["status"] == "done" for job in jobs) >= count)

    async def until_midway(self) -> None:
        """Some jobs are just being spoken."""
        await self._until(lambda jobs: any(job["status"] == "running" and 0 < job["progress"] < 1 for job in jobs))

    async def _until(self, fact: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE_S):
            while not fact(jobs := await self.all()):  # noqa: ASYNC110  (they are other processes)
                await asyncio.sleep(0.05)
            return jobs

    def close(self) -> None:
        for instance in self.instances:
            instance.kill()


@pytest.fixture
async def cluster(voices_dir: Path, tmp_path: Path) -> AsyncIterator[Cluster]:
    with redis_server(tmp_path, "--appendonly", "yes") as redis:
        found = Cluster(tmp_path, voices_dir, redis)
        try:
            for instance in found.instances:
                await instance.serving()
            yield found
        finally:
            found.close()


def wishes() -> list[dict[str, Any]]:
    """Some of one piece, some of several."""
    rng = random.Random(9)
    return [
        {
            "text": f"{number}号。" + "".join(rng.choices(SENTENCES, k=rng.choice([1, 20, 80]))),
            "voice": rng.choice(["female", "male"]),
            "speed": rng.choice([1.0, 2.0]),
            "format": rng.choice(["wav", "flac"]),
            "idempotency_key": f"wish-{number}",
        }
        for number in range(JOBS)
    ]


def assert_heard(audio: bytes, body: dict[str, Any]) -> None:
    samples, _ = soundfile.read(io.BytesIO(audio), dtype="int16")
    alone = whole(body["text"], Manner(body["voice"], body["speed"]), RATE_HZ)
    np.testing.assert_array_equal(samples, alone, body["text"])


async def test_60_jobs_survive_that_three_instances_and_redis_are_killed_each_once(cluster: Cluster) -> None:
    wanted, ids = wishes(), list[str]()
    for turn in range(KILLS):
        some = wanted[turn::KILLS]
        ids += await asyncio.gather(*(cluster.submit(body, number) for number, body in enumerate(some)))
        await cluster.until_midway()
        if turn == KILLS // 2:
            await redis_away(cluster)
        await cluster.replace(turn % INSTANCES)
    jobs = await cluster.until_done(JOBS)
    assert Counter(job["job_id"] for job in jobs) == Counter(ids), "each accepted job is there, once"
    wanted = [body for turn in range(KILLS) for body in wanted[turn::KILLS]]
    assert [await cluster.submit(body, 1) for body in wanted[:5]] == ids[:5]
    for number, (body, job_id) in enumerate(zip(wanted, ids, strict=True)):
        status, audio = await cluster.ask("GET", f"/api/tts/jobs/{job_id}/audio", number)
        assert status == 200, audio
        assert_heard(audio, body)
    assert {name.job_id for name in names(cluster.audio)} == set(ids)
    logged = {kind: [event for log in cluster.logs for event in events_of(log, kind)] for kind in LOGGED}
    done = Counter(event["job"] for event in logged["job done"])
    assert max(done.values()) == 1, "none was finished twice"
    assert set(done) <= set(ids)
    assert len(logged["jobs resumed"]) >= KILLS - 1, "those of the dead were taken over"
    assert logged["job begins again"] == [], "where they were, and not from their beginning"


async def redis_away(cluster: Cluster) -> None:
    """Redis dies, and comes back after some seconds with what it knew."""
    cluster.redis.kill()
    status, content = await cluster.ask("POST", "/api/tts/jobs", json={"text": "你好。"})
    assert (status, json.loads(content)["error"]["code"]) == (503, "jobs_unavailable")
    await asyncio.sleep(3)
    cluster.redis.start("--appendonly", "yes")

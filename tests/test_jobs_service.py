"""Long jobs as their callers meet them: a real server with real workers, killed again and again."""

from __future__ import annotations

import asyncio
import io
import random
import re
import signal
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from inference.voice import Voice
from tests.test_service import serving, solo
from tts_server.jobs.files import job_ids

SENTENCES = (
    "今天天气很好，我们去公园吧。",
    "明天见！",
    "Well done, everybody. ",
    "一共三十五块。",
    "你好吗？",
    "I read the news.\n\n",
)


def wishes(count: int) -> list[dict[str, Any]]:
    """Some of one piece, some of several."""
    rng = random.Random(7)
    return [
        {
            "text": f"{number}号。" + "".join(rng.choices(SENTENCES, k=rng.choice([1, 5, 120]))),
            "voice": rng.choice(["female", "male"]),
            "speed": rng.choice([1.0, 2.0]),
            "format": rng.choice(["wav", "flac"]),
            "idempotency_key": f"wish-{number}",
        }
        for number in range(count)
    ]


async def submit(session: aiohttp.ClientSession, body: dict[str, Any]) -> str:
    async with session.post("/api/tts/jobs", json=body) as answer:
        content = await answer.json()
        assert answer.status == 202, content
        return str(content["job_id"])


async def listed(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        async with session.get(f"/api/tts/jobs?limit=100{cursor}") as answer:
            page = await answer.json()
        found += page["jobs"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def until_done(session: aiohttp.ClientSession, count: int, *, midway: bool = False) -> list[dict[str, Any]]:
    """All jobs, once so many are done; `midway`: and another is just being spoken."""
    while True:
        jobs = await listed(session)
        assert [job["error"] for job in jobs if job["status"] in {"failed", "cancelled"}] == []
        begun = any(job["status"] == "running" and 0 < job["progress"] < 1 for job in jobs)
        if sum(job["status"] == "done" for job in jobs) >= count and (begun or not midway):
            return jobs
        await asyncio.sleep(0.05)


async def killed_again_and_again(voices_dir: Path, tmp_path: Path, voice: Voice, count: int, kills: int) -> None:
    wanted = wishes(count)
    ids: list[str] = []
    for turn in range(kills):
        with serving(voices_dir, tmp_path) as server:
            async with aiohttp.ClientSession(server.url) as session:
                if not ids:
                    ids = await asyncio.gather(*(submit(session, body) for body in wanted))
                    assert len(set(ids)) == count
                await until_done(session, count * (turn + 1) // (kills + 2), midway=True)
                server.process.kill()
                server.process.wait()
    with serving(voices_dir, tmp_path) as server:
        async with aiohttp.ClientSession(server.url) as session:
            jobs = await until_done(session, count)
            assert sorted(job["job_id"] for job in jobs) == sorted(ids), "each accepted job is there, once"
            assert [await submit(session, body) for body in wanted[:5]] == ids[:5]
            for body, job_id in zip(wanted, ids, strict=True):
                async with session.get(f"/api/tts/jobs/{job_id}/audio") as answer:
                    assert answer.status == 200
                    samples, _ = soundfile.read(io.BytesIO(await answer.read()), dtype="int16")
                np.testing.assert_array_equal(samples, solo(voice, body), err_msg=body["text"])
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    assert job_ids(tmp_path / "jobs") == set(ids)
    assert not list((tmp_path / "jobs").glob("*.part"))


async def test_accepted_jobs_survive_that_the_server_is_killed(voices_dir: Path, tmp_path: Path, voice: Voice) -> None:
    await killed_again_and_again(voices_dir, tmp_path, voice, count=30, kills=2)


@pytest.mark.stress
async def test_200_accepted_jobs_survive_five_kills_each_once(voices_dir: Path, tmp_path: Path, voice: Voice) -> None:
    await killed_again_and_again(voices_dir, tmp_path, voice, count=200, kills=5)


async def test_a_terminated_server_puts_its_jobs_back_and_its_successor_finishes_them(
    voices_dir: Path, tmp_path: Path, voice: Voice
) -> None:
    body = {"text": "".join(SENTENCES) * 200, "format": "wav"}
    with serving(voices_dir, tmp_path) as server:
        async with aiohttp.ClientSession(server.url) as session:
            job_id = await submit(session, body)
            async with session.get(f"/api/tts/jobs/{job_id}/events") as events:
                while True:
                    block = (await events.content.readuntil(b"\n\n")).decode()
                    if 0 < float(re.findall(r'"progress":([0-9.e-]+)', block)[0]) < 1:
                        break
                server.process.send_signal(signal.SIGTERM)
                await events.read()  # it is told that there is no more, and not cut off
        assert server.process.wait(60) == 0
    with serving(voices_dir, tmp_path) as server:
        async with aiohttp.ClientSession(server.url) as session:
            async with session.get(f"/api/tts/jobs/{job_id}") as answer:
                assert (await answer.json())["progress"] > 0, "it is gone on with"
            await until_done(session, 1)
            async with session.get(f"/api/tts/jobs/{job_id}/audio") as answer:
                samples, _ = soundfile.read(io.BytesIO(await answer.read()), dtype="int16")
    np.testing.assert_array_equal(samples, solo(voice, body))

"""Jobs in a file of the state folder: what is particular to it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tts_server.http.fakes import FakeGateway
from tests.tts_server.jobs.conftest import LONG, Serve, ended, fetch, order, show
from tts_server.jobs.sqlite_file import JobsFile


async def test_a_piece_is_on_the_disk_before_it_is_noted(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def note(step: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*args: Any) -> Any:
            steps.append(step)
            return call(*args)

        return noting

    monkeypatch.setattr(os, "fdatasync", note("synced", os.fdatasync))
    monkeypatch.setattr(JobsFile, "advance", note("noted", JobsFile.advance))
    monkeypatch.setattr(JobsFile, "finish", note("done", JobsFile.finish))
    async with serve() as client:
        await ended(client, await order(client, LONG))
    assert steps == ["synced", "noted"] * 3 + ["done"]


async def test_a_file_of_a_later_release_is_left_alone(serve: Serve, folder: Path) -> None:
    async with serve() as client:
        await ended(client, await order(client))
    with sqlite3.connect(folder / "jobs.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    async with serve() as client, client.get("/api/tts/jobs") as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["code"]) == (503, "jobs_unavailable")
        assert "later release" in error["message"]


async def test_a_broken_store_refuses_jobs_and_nothing_else(serve: Serve, folder: Path) -> None:
    (folder / "").mkdir(parents=True)
    (folder / "jobs.sqlite").write_bytes(b"this is no database" * 100)
    async with serve() as client:
        async with client.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "jobs_unavailable")
        async with client.post("/api/tts", json={"text": "你好。"}) as answer:
            assert answer.status == 200


async def test_two_servers_share_one_folder_and_one_of_them_runs(serve: Serve, gateway: FakeGateway) -> None:
    gateway.holds_at = 0
    async with serve() as first:
        job_id = await order(first, "一")
        await gateway.held.wait()
        async with serve() as second:
            assert (await show(second, job_id))["status"] == "running", "it is not taken twice"
            other_id = await order(second, "二")
            gateway.release.set()
            for client in (first, second):
                for each in (job_id, other_id):
                    assert (await ended(client, each))["status"] == "done"
                    assert (await fetch(client, each))[0] == 200
            gateway.holds_at, gateway.release = 0, asyncio.Event()
            gateway.held.clear()
            third_id = await order(second, "三")
            await gateway.held.wait()
            async with second.delete(f"/api/tts/jobs/{third_id}") as answer:
                assert (await answer.json())["status"] == "cancelled"
            gateway.holds_at = None
            gateway.release.set()
    assert [request.text for request in gateway.requests] == ["一", "二", "三"]
    async with serve() as client:
        assert (await show(client, third_id))["status"] == "cancelled"

"""What may go wrong around jobs: disks that fill up, servers that die at the worst moment, callers who hang."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.tts_server.http.fakes import FakeGateway
from tests.tts_server.jobs.conftest import LONG, Serve, ended, fetch, in_both_stores, order, show, until
from tts_server.jobs import files, runner
from tts_server.jobs.record import Manner, Order
from tts_server.jobs.sqlite_file import JobsFile
from tts_server.jobs.store import Bounds

PLENTY = Bounds(100, 100, 1 << 40)


class Disk(NamedTuple):
    f_bavail: int
    f_frsize: int = 1


@contextmanager
def called_by(owner: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr("tts_server.http.jobs._owner", lambda _: owner)
        yield


# --- callers who hang ------------------------------------------------------------------------------------------------


@in_both_stores
async def test_who_does_not_answer_delays_his_own_callbacks_and_nobody_elses(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most, hung, heard = 0, 0, asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == 2:
            hung.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def hear(_: web.Request) -> web.Response:
        heard.set()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hang", hang)
    app.router.add_post("/hear", hear)
    async with TestServer(app, handler_cancellation=True) as receiver, serve(callback_private=True) as client:
        with called_by("slow", monkeypatch):
            for _ in range(40):
                await ended(client, await order(client, callback_url=str(receiver.make_url("/hang"))))
        await hung.wait()
        with called_by("quick", monkeypatch):
            await order(client, callback_url=str(receiver.make_url("/hear")))
        async with asyncio.timeout(8):  # an attempt takes ten seconds until it is given up
            await heard.wait()
        assert most == 2, "a caller has so many at once"


# --- disks that fill up ----------------------------------------------------------------------------------------------


@dataclass
class SmallDisk:
    free_bytes: int = 1 << 40
    looks: int = 0
    """How often somebody asked."""

    def look(self, _: object) -> Disk:
        self.looks += 1
        return Disk(self.free_bytes)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    """One whose room is changed at will."""
    found = SmallDisk()
    monkeypatch.setattr(os, "statvfs", found.look)
    monkeypatch.setattr(runner, "_ROOM_AGAIN_S", 0.01)
    return found


def fill_after_the_first_piece(gateway: FakeGateway, disk: SmallDisk, left: int) -> None:
    speak = gateway.speak

    def fill(request: Any) -> Any:
        if request.text == LONG[152:304]:
            disk.free_bytes = left
        return speak(request)

    gateway.speak = fill  # type: ignore[method-assign]


@in_both_stores
async def test_a_job_waits_while_it_would_take_room_that_is_others(
    serve: Serve, gateway: FakeGateway, disk: SmallDisk
) -> None:
    fill_after_the_first_piece(gateway, disk, 1 << 20)
    async with serve(jobs_disk_reserve_mib=1) as client:
        job_id = await order(client, LONG)
        await until(lambda: len(gateway.requests) == 2 and not gateway.speaking)
        looks = disk.looks
        await until(lambda: disk.looks > looks + 3)
        job = await show(client, job_id)
        assert (job["status"], job["spoken_characters"]) == ("running", 152)
        disk.free_bytes = 1 << 40
        assert (await ended(client, job_id))["status"] == "done"
        assert len((await fetch(client, job_id))[1]) == (await show(client, job_id))["bytes"]


@in_both_stores
@pytest.mark.parametrize("audio_format", ["pcm", "flac"])
async def test_a_job_that_finds_no_room_fails_and_frees_what_it_took(
    serve: Serve,
    gateway: FakeGateway,
    disk: SmallDisk,
    folder: Path,
    audio_format: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_ROOM_WAIT_S", 0.05)
    fill_after_the_first_piece(gateway, disk, 1 << 20)
    async with serve(jobs_disk_reserve_mib=1) as client:
        job = await ended(client, await order(client, LONG, format=audio_format))
        assert (job["status"], job["error"]["code"]) == ("failed", "disk_full")
        assert files.job_ids(folder) == set()


@in_both_stores
async def test_an_encoder_leaves_the_reserve_alone_too(
    serve: Serve, disk: SmallDisk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_ROOM_WAIT_S", 0.05)
    complete = files.complete

    def fill(*args: Any) -> int:
        disk.free_bytes = 1 << 20
        return complete(*args)

    monkeypatch.setattr(files, "complete", fill)
    async with serve(jobs_disk_reserve_mib=1) as client:
        job = await ended(client, await order(client, format="flac"))
        assert (job["status"], job["error"]["code"]) == ("failed", "disk_full")
        assert files.job_ids(folder) == set()


# --- servers that die ------------------------------------------------------------------------------------------------


@in_both_stores
async def test_samples_beside_a_result_go_though_the_server_died_between_the_two(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_claim", lambda *_: None)  # where it died
        async with serve() as client:
            job_id = await order(client, format="flac")
            await ended(client, job_id)
    kinds = {name.kind for name in files.names(folder)}
    assert kinds == {"pcm", "flac"}
    async with serve() as client:
        await until(lambda: {name.kind for name in files.names(folder)} == {"flac"})
        assert (await fetch(client, job_id))[0] == 200


# --- what is deleted -------------------------------------------------------------------------------------------------

SECRET = "秘密のことば" * 2_000


def found_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if SECRET[:100].encode() in path.read_bytes()]


async def test_the_text_of_a_job_that_has_ended_is_nowhere_any_more(
    serve: Serve, folder: Path, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_TIDY_S", 0.01)
    gateway.holds_at = 0
    async with serve() as client:
        job_id = await order(client, SECRET)
        await gateway.held.wait()
        assert found_in(folder)
        async with client.delete(f"/api/tts/jobs/{job_id}") as answer:
            assert answer.status == 200
        await until(lambda: not found_in(folder))


@pytest.mark.parametrize("redis_url", ["redis"], indirect=True)
async def test_in_a_shared_folder_the_text_goes_with_its_file(serve: Serve, folder: Path) -> None:
    async with serve() as client:
        await ended(client, await order(client, "秘密。"))
        assert {name.kind for name in files.names(folder)} == {"pcm"}


def test_somebody_who_reads_does_not_hold_up_the_tidying(tmp_path: Path) -> None:
    store, other = JobsFile(tmp_path / "jobs.sqlite"), JobsFile(tmp_path / "jobs.sqlite")
    manner = Manner("female", "standard", 1.0, 1.0, 0.0, "pcm", 24_000)
    job, _ = store.add(Order("anybody", SECRET, manner), 1, PLENTY)
    other._db.execute("BEGIN")
    other.get(job.id)
    store.cancel(job.id)
    store.tidy()
    assert found_in(tmp_path), "somebody may still read it"
    other._db.execute("COMMIT")
    store.tidy()
    assert not found_in(tmp_path)
    store.close()
    other.close()


# --- names that are given again --------------------------------------------------------------------------------------


@in_both_stores
async def test_a_name_that_is_given_again_has_none_of_the_others_jobs(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as client:
        with called_by("key:ann#1111", monkeypatch):
            job_id = await order(client, idempotency_key="one")
            await ended(client, job_id)
        with called_by("key:ann#2222", monkeypatch):
            for path in ("", "/audio", "/events"):
                async with client.get(f"/api/tts/jobs/{job_id}{path}") as answer:
                    assert answer.status == 404
            async with client.get("/api/tts/jobs") as answer:
                assert (await answer.json())["jobs"] == []
            assert await order(client, "另一个。", idempotency_key="one") != job_id


async def test_jobs_of_an_earlier_release_are_their_names(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as client:
        with called_by("key:ann", monkeypatch):
            job_id = await order(client, idempotency_key="one")
            await ended(client, job_id)
        with called_by("key:ann#2222", monkeypatch):
            assert (await fetch(client, job_id))[0] == 200
            assert await order(client, idempotency_key="one") == job_id
            other_id = await order(client)
            async with client.get("/api/tts/jobs") as answer:
                assert [job["job_id"] for job in (await answer.json())["jobs"]] == [other_id, job_id]

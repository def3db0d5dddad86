"""Instances that share jobs: any answers, the dead are succeeded, and Redis may be away."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.tts_server.http.fakes import FakeGateway, pcm_of
from tests.tts_server.jobs.conftest import LONG, Client, JobMeter, Serve, ended, fetch, order, show, until
from tests.tts_server.jobs.test_routes import spoken
from tests.tts_server.redis_server import RedisServer, needs_redis, redis_server
from tests.tts_server.test_server_life import Server
from tts_server.config import Settings
from tts_server.errors import JobsUnavailable
from tts_server.http.services import SERVICES
from tts_server.jobs import files, scripts, store_redis
from tts_server.jobs.service import Jobs
from tts_server.jobs.store import SharedFolder
from tts_server.jobs.store_redis import RedisJobs

pytestmark = [needs_redis, pytest.mark.parametrize("redis_url", ["redis"], ids=[""], indirect=True)]
PARTS = (LONG[:152], LONG[152:304], LONG[304:])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_redis, "LEASE_S", 1.0)
    monkeypatch.setattr("tts_server.jobs.runner._LOOK_AGAIN_S", 0.1)


@pytest.fixture
def serve_at(serve: Serve, tmp_path: Path) -> Any:
    """An instance with a state folder of its own, and the others' folder of jobs."""

    def serving(name: str, **settings: Any) -> AbstractAsyncContextManager[Client]:
        return serve(state_dir=tmp_path / name, jobs_dir=tmp_path / "state" / "jobs", **settings)

    return serving


def hold_the_second(gateway: FakeGateway) -> None:
    speak = gateway.speak

    def hold(request: Any) -> Any:
        gateway.holds_at = 0 if request.text == PARTS[1] else None
        return speak(request)

    gateway.speak = hold  # type: ignore[method-assign]


async def test_any_instance_answers_for_any_job(serve_at: Any, gateway: FakeGateway) -> None:
    gateway.holds_at = 0
    async with serve_at("a", jobs_at_once=1) as first, serve_at("b", jobs_at_once=1) as second:
        ids = [await order(client, text) for client, text in ((first, "一"), (first, "二"), (second, "三"))]
        await until(lambda: len(gateway.speaking) == 2)
        assert [(await show(second, job_id))["status"] for job_id in ids] == ["running", "running", "queued"]
        for client in (first, second):
            async with client.delete(f"/api/tts/jobs/{ids[2]}") as answer:
                assert answer.status == 200
                last = await answer.json()
        assert last == {"job_id": ids[2], "status": "cancelled", "deleted": True}
        gateway.release.set()
        for job_id, text in zip(ids, "一二", strict=False):
            for client in (first, second):
                assert (await ended(client, job_id))["status"] == "done"
                assert (await fetch(client, job_id))[1] == pcm_of(text)
    assert sorted(request.text for request in gateway.requests) == ["一", "二"]


async def test_a_job_that_is_cancelled_elsewhere_stops_here(serve_at: Any, gateway: FakeGateway, folder: Path) -> None:
    gateway.holds_at = 1
    async with serve_at("a") as first:
        job_id = await order(first)
        await gateway.held.wait()
        async with serve_at("b") as second, second.delete(f"/api/tts/jobs/{job_id}") as answer:
            assert (await answer.json())["status"] == "cancelled"
        await gateway.left.wait()
        assert gateway.cut_short == ["你好。"]
        await until(lambda: not files.job_ids(folder))


@pytest.mark.parametrize("audio_format", ["pcm", "flac"])
async def test_who_was_silent_is_succeeded_and_changes_nothing_any_more(
    serve_at: Any, gateway: FakeGateway, meter: JobMeter, folder: Path, audio_format: str
) -> None:
    hold_the_second(gateway)
    async with serve_at("a") as first:
        job_id = await order(first, LONG, format=audio_format)
        await gateway.held.wait()
        following = await first.get(f"/api/tts/jobs/{job_id}/audio") if audio_format == "pcm" else None
        silent = _cut_off(first)
        gateway.requests.clear()
        gateway.held.clear()
        async with serve_at("b") as second:
            await gateway.held.wait()  # the other instance goes on where the first one was
            assert [request.text for request in gateway.requests] == [PARTS[1]]
            assert (await show(second, job_id))["spoken_characters"] == len(PARTS[0])
            silent.clear()  # it is back, and now both have the same piece to write
            gateway.release.set()
            assert (await ended(second, job_id))["status"] == "done"
            if following is not None:
                assert await following.read() == spoken(*PARTS), "who listens to it does not notice"
                assert (await fetch(second, job_id))[1] == spoken(*PARTS)
            assert meter.jobs == ["accepted", "done"]
            await until(lambda: len(files.names(folder)) == 1)


def _cut_off(client: Client) -> list[bool]:
    """Redis hears nothing of this instance as long as there is something in the list."""
    jobs: Jobs = client.server.app[SERVICES].jobs  # type: ignore[attr-defined]
    assert jobs._parts is not None
    store = jobs._parts.store
    assert isinstance(store, RedisJobs)
    away, answer = [True], store._answer

    async def nothing(question: Any) -> Any:
        if away:
            question.close()
            raise JobsUnavailable("cut off")
        return await answer(question)

    store._answer = nothing  # type: ignore[method-assign]
    return away


async def test_while_redis_is_away_nothing_is_accepted_and_what_runs_goes_on(
    serve: Serve, gateway: FakeGateway, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_redis, "_ANSWER_S", 0.2)
    hold_the_second(gateway)
    with redis_server(tmp_path, "--appendonly", "yes") as redis:
        async with serve(redis_url=redis.url) as client:
            job_id = await order(client, LONG, format="wav")
            await gateway.held.wait()
            redis.tell(signal.SIGSTOP)
            async with client.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (503, "jobs_unavailable")
                assert int(answer.headers["Retry-After"]) > 0
            async with client.get(f"/api/tts/jobs/{job_id}") as answer:
                assert answer.status == 503, "and not 404: nobody knows"
            gateway.release.set()
            await until(lambda: len(gateway.requests) == 3 and not gateway.speaking)
            await until(lambda: sum(path.stat().st_size for path in folder.glob("*.pcm")) == len(spoken(*PARTS)))
            redis.kill()
            redis.start("--appendonly", "yes")
            job = await ended(client, job_id)
            assert (job["status"], job["spoken_characters"]) == ("done", len(LONG))
            assert (await fetch(client, job_id))[1][44:] == spoken(*PARTS)
            assert len(gateway.requests) == 3, "nothing is spoken twice"
            assert files.job_ids(folder) == {job_id}, "nothing is left of what was refused"


async def test_a_full_redis_refuses_and_loses_nothing(serve: Serve, gateway: FakeGateway, tmp_path: Path) -> None:
    gateway.holds_at = 0
    with redis_server(tmp_path, "--maxmemory-policy", "noeviction") as redis:
        async with serve(redis_url=redis.url) as client:
            job_id = await order(client)
            await gateway.held.wait()
            redis.change("maxmemory", "1")
            async with client.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (503, "jobs_unavailable")
            redis.change("maxmemory", "0")
            gateway.release.set()
            assert (await ended(client, job_id))["status"] == "done"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--appendonly", "no"), ["jobs are lost if Redis ends"]),
        (("--appendonly", "yes"), []),
        (
            ("--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"),
            ["jobs are lost if Redis is full"],
        ),
        (("--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"), []),
        (("--appendonly", "yes", "--rename-command", "CONFIG", ""), []),
    ],
)
async def test_a_redis_that_would_lose_jobs_is_told_of(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, options: tuple[str, ...], told: list[str]
) -> None:
    with redis_server(tmp_path, *options) as redis:
        async with serve(redis_url=redis.url) as client, client.get("/api/tts/jobs") as answer:
            assert answer.status == 200
    assert [record.message.partition(":")[0].partition(";")[0] for record in caplog.records] == told


# --- one folder -----------------------------------------------------------------------------------------------------


@pytest.fixture
def jobs(gateway: FakeGateway, meter: JobMeter, redis_url: str, tmp_path: Path) -> Any:
    def make(name: str) -> Jobs:
        return Jobs(
            Settings(state_dir=tmp_path / "state", jobs_dir=tmp_path / name, redis_url=redis_url), gateway, meter
        )

    return make


async def test_instances_that_see_other_folders_do_not_begin(jobs: Any, serve: Serve, tmp_path: Path) -> None:
    async with serve(jobs_dir=tmp_path / "one") as client:
        job_id = await order(client)
        await ended(client, job_id)
        with pytest.raises(SharedFolder, match=r"set jobs_dir to a folder that all of them see"):
            await jobs("other").prepare()
        shutil.copytree(tmp_path / "one", tmp_path / "copy", ignore=shutil.ignore_patterns("*.here"))
        with pytest.raises(SharedFolder):
            await jobs("copy").prepare()
        assert [path.suffix for path in (tmp_path / "one" / "shared").iterdir() if path.suffix == ".here"] == [".here"]
    third = jobs("one")
    await third.prepare()
    assert (await third.get("anybody", job_id)).job.id == job_id
    with pytest.raises(asyncio.TimeoutError):
        async with asyncio.timeout(0):
            await third.run()


def test_a_process_that_sees_another_folder_ends_and_says_what_to_set(redis_url: str, tmp_path: Path) -> None:
    first = Server(state_dir=str(tmp_path / "a"), redis_url=redis_url)
    try:
        first.serving()
        second = Server(state_dir=str(tmp_path / "b"), redis_url=redis_url)
        try:
            assert second.end() == 1
            (told,) = [event["event"] for event in second.events if event["level"] == "error"]
            assert "set jobs_dir to a folder that all of them see, or jobs_shared to false" in told
        finally:
            second.close()
    finally:
        first.close()


async def test_marks_of_instances_that_were_killed_go(serve: Serve, folder: Path) -> None:
    def marks() -> list[str]:
        return [path.stem for path in folder.parent.rglob("*.here")]

    async with serve():
        await until(lambda: len(marks()) == 1)
    assert marks() == [], "who ends takes his along"
    (folder / "dead.here").touch()
    os.utime(folder / "dead.here", (0, 0))
    async with serve():
        await until(lambda: "dead" not in marks() and len(marks()) == 1)


async def test_who_comes_back_may_have_its_job_again(serve_at: Any, gateway: FakeGateway, folder: Path) -> None:
    """While the old run of it still ends."""
    hold_the_second(gateway)
    async with serve_at("a") as only:
        job_id = await order(only, LONG)
        await gateway.held.wait()
        gateway.held.clear()
        jobs = only.server.app[SERVICES].jobs
        assert jobs._parts is not None
        await jobs._parts.store.keep_up(())  # as if Redis had forgotten who has it
        await gateway.held.wait()
        assert [request.text for request in gateway.requests] == [PARTS[0], PARTS[1], PARTS[1]]
        gateway.release.set()
        assert (await ended(only, job_id))["status"] == "done"
        assert (await fetch(only, job_id))[1] == spoken(*PARTS)
        await until(lambda: [(name.kind, name.claim) for name in files.names(folder)] == [("pcm", 2)])
        assert (await ended(only, await order(only)))["status"] == "done"


async def test_a_server_begins_without_redis_and_takes_jobs_when_it_is_there(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts_server.jobs.service._REDIS_AGAIN_S", 0.05)
    monkeypatch.setattr("tts_server.jobs.service._SPARED_S", 0.0)
    server = RedisServer(tmp_path)
    async with serve(redis_url=server.url) as client:
        async with client.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "jobs_unavailable")
        server.start()
        try:
            assert (await ended(client, await order(client)))["status"] == "done"
        finally:
            server.kill()


async def test_instances_need_not_share_jobs(serve: Serve, tmp_path: Path) -> None:
    async with (
        serve(state_dir=tmp_path / "a", jobs_shared=False) as first,
        serve(state_dir=tmp_path / "b", jobs_shared=False) as second,
    ):
        job_id = await order(first)
        await ended(first, job_id)
        async with second.get(f"/api/tts/jobs/{job_id}") as answer:
            assert answer.status == 404


async def test_jobs_that_were_accepted_before_they_were_shared_are_told_of(
    serve: Serve, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.holds_at = 0
    async with serve(jobs_shared=False) as client:
        job_id = await order(client)
    async with serve() as client, client.get(f"/api/tts/jobs/{job_id}") as answer:
        assert answer.status == 404
    assert "unfinished jobs that are not shared" in caplog.text
    gateway.holds_at = None
    async with serve(jobs_shared=False) as client:
        assert (await ended(client, job_id))["status"] == "done"


async def test_files_of_no_job_stay_until_nobody_can_be_about_to_make_it_known(
    serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as client:
        await ended(client, await order(client))
    stranger = "0" * 32
    files.keep_text(folder, stranger, "你好。")
    async with serve() as client:
        await ended(client, await order(client))
        assert stranger in files.job_ids(folder)
    monkeypatch.setattr("tts_server.jobs.runner.time.time", lambda: 4e9)
    async with serve():
        await until(lambda: not files.job_ids(folder))


async def test_what_is_left_in_redis_after_a_job_is_its_record_until_that_expires(
    serve: Serve, redis: RedisServer, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as client:
        for key in ("one", "two"):
            await ended(client, await order(client, idempotency_key=key))
        gateway.holds_at = 0
        async with client.delete(f"/api/tts/jobs/{await order(client)}"):
            pass
    assert redis.all_keys() > {f"{scripts.PREFIX}seq", f"{scripts.PREFIX}ended"}
    monkeypatch.setattr("tts_server.jobs.runner.time.time", lambda: 4e9)
    async with serve():
        lasting = {f"{scripts.PREFIX}{name}" for name in ("seq", "turn", "promised", "folder", "turn:anybody")}
        await until(lambda: not any("job:" in key for key in redis.all_keys()))
    assert redis.all_keys() == lasting
    assert redis.ask("GET", f"{scripts.PREFIX}promised") == "0"

"""Long jobs over HTTP: ordered, asked after, listened to, fetched, cancelled."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile

from tests.tts_server.http.fakes import PIECE_SAMPLES, RATE_HZ, FakeGateway, pcm_of
from tests.tts_server.jobs.conftest import (
    LONG,
    Client,
    JobMeter,
    Serve,
    ended,
    fetch,
    in_both_stores,
    order,
    show,
    until,
)
from tts_server.encoding import FORMATS, available
from tts_server.errors import DeadlineExceeded, EngineFailed, EngineUnavailable, InvalidRequest, QueueFull
from tts_server.jobs import files

pytestmark = in_both_stores
HEADER_BYTES = 44


def spoken(*parts: str, pause_s: float = 0.5) -> bytes:
    """What the fake gateway makes of these, with the pauses between."""
    return (b"\0" * (round(pause_s * RATE_HZ) * 2)).join(map(pcm_of, parts))


def samples_of(folder: Path, job_id: str) -> Path:
    return next(folder.glob(f"{job_id}*.pcm"))


async def test_a_job_is_accepted_spoken_and_kept(serve: Serve, meter: JobMeter) -> None:
    async with serve() as client:
        async with client.post("/api/tts/jobs", json={"text": "你好。", "format": "pcm"}) as answer:
            assert answer.status == 202
            told = await answer.json()
            assert answer.headers["Location"] == f"/api/tts/jobs/{told['job_id']}"
        assert told.keys() == {"job_id", "status", "position"}
        assert (told["status"], told["position"]) == ("queued", 0)
        job = await ended(client, told["job_id"])
        assert (job["status"], job["progress"], job["spoken_characters"]) == ("done", 1.0, 3)
        assert job["audio_seconds"] == pytest.approx(3 * PIECE_SAMPLES / RATE_HZ)
        assert (await fetch(client, told["job_id"]))[:2] == (200, pcm_of("你好。"))
        await until(lambda: meter.unfinished == {"queued": 0, "running": 0})
    assert meter.jobs == ["accepted", "done"]


@pytest.mark.parametrize("audio_format", FORMATS)
async def test_every_format_decodes_to_what_was_said(serve: Serve, audio_format: str) -> None:
    if why_not := available(audio_format):
        pytest.skip(why_not)
    async with serve() as client:
        job_id = await order(client, LONG[:152], format=audio_format)
        job = await ended(client, job_id)
        assert job["status"] == "done", job
        status, data, headers = await fetch(client, job_id)
        assert status == 200
        assert len(data) == job["bytes"] == int(headers["Content-Length"])
        if audio_format == "pcm":
            samples = np.frombuffer(data, "<i2")
        elif audio_format == "aac":
            return
        else:
            samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
            assert rate_hz == RATE_HZ
        want = np.frombuffer(pcm_of(LONG[:152]), "<i2")
        if audio_format in {"wav", "pcm", "flac"}:
            np.testing.assert_array_equal(samples, want)
        else:
            assert len(want) <= len(samples) <= len(want) + 4 * 1152  # an encoder's padding


async def test_another_rate_is_that_of_the_result(serve: Serve) -> None:
    async with serve() as client:
        job_id = await order(client, format="wav", sample_rate=16_000)
        await ended(client, job_id)
        samples, rate_hz = soundfile.read(io.BytesIO((await fetch(client, job_id))[1]))
        assert rate_hz == 16_000
        assert len(samples) == round(3 * PIECE_SAMPLES * 16_000 / RATE_HZ)


async def test_between_pieces_are_the_pauses_of_a_text(serve: Serve, gateway: FakeGateway) -> None:
    async with serve() as client:
        job_id = await order(client, LONG, speed=2.0)
        await ended(client, job_id)
        parts = [request.text for request in gateway.requests]
        assert len(parts) == 3
        assert "".join(parts) == LONG
        assert (await fetch(client, job_id))[1] == spoken(*parts, pause_s=0.25)
        assert {request.priority for request in gateway.requests} == {9}, "callers who wait go first"


@pytest.mark.parametrize("refusal", [QueueFull("full"), EngineUnavailable("starting"), DeadlineExceeded("late")])
async def test_a_piece_that_is_refused_is_tried_again(serve: Serve, gateway: FakeGateway, refusal: Any) -> None:
    gateway.refusal = refusal
    async with serve() as client:
        job_id = await order(client)
        await until(lambda: bool(gateway.requests))
        assert (await show(client, job_id))["status"] == "running"
        gateway.refusal = None
        assert (await ended(client, job_id))["status"] == "done"


async def test_a_piece_that_fails_fails_the_job_and_leaves_no_audio(
    serve: Serve, gateway: FakeGateway, meter: JobMeter, folder: Path
) -> None:
    gateway.failure, gateway.fails_at = EngineFailed("the engine broke"), 1
    async with serve() as client:
        job_id = await order(client)
        job = await ended(client, job_id)
        assert job["status"] == "failed"
        assert job["error"] == {
            "message": "the engine broke",
            "type": "server_error",
            "param": None,
            "code": "engine_failed",
        }
        status, body, _ = await fetch(client, job_id)
        assert (status, json.loads(body)["error"]["code"]) == (409, "job_failed")
        assert files.job_ids(folder) == set()
        gateway.failure = None
        assert (await ended(client, await order(client)))["status"] == "done", "the others go on"
    assert meter.jobs == ["accepted", "failed", "accepted", "done"]


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"text": ""}, 400, "empty_input", "text"),
        ({"text": "字" * 200_001}, 400, "input_too_long", "text"),
        ({"text": "x" * 3_000_000}, 413, "body_too_large", None),
        ({"voice": "nobody"}, 404, "voice_not_found", "voice"),
        ({"format": "ogg"}, 400, "unsupported_format", "format"),
        ({"speed": 9}, 400, "invalid_value", "speed"),
        ({"idempotency_key": "k" * 256}, 400, "invalid_value", "idempotency_key"),
        ({"callback_url": "ftp://example.com/"}, 400, "invalid_value", "callback_url"),
        ({"callback_url": "http://a:b@example.com/"}, 400, "invalid_value", "callback_url"),
        ({"callback_url": "http://[::1/"}, 400, "invalid_value", "callback_url"),
        ({"callback_url": "http://127.0.0.1/"}, 400, "callback_refused", "callback_url"),
        ({"callback_url": "http://[::ffff:10.0.0.1]/"}, 400, "callback_refused", "callback_url"),
        ({"callback_url": "http://localhost:80/"}, 400, "callback_refused", "callback_url"),
    ],
)
async def test_what_is_wrong_is_refused_at_the_door(
    serve: Serve, fields: dict[str, Any], status: int, code: str, param: str | None, folder: Path, redis_url: str | None
) -> None:
    body = io.BytesIO(json.dumps({"text": "你好。", **fields}).encode())
    headers = {"Content-Type": "application/json"}
    async with serve() as client, client.post("/api/tts/jobs", data=body, headers=headers) as answer:
        error = (await answer.json())["error"]
        assert (answer.status, error["code"], error["param"]) == (status, code, param)
    assert redis_url or not (folder.parent / folder.name).exists(), "nothing is made for what is refused"


async def test_the_longest_text_fits_however_it_is_written(serve: Serve, gateway: FakeGateway) -> None:
    gateway.holds_at = 0
    async with serve() as client:
        body = io.BytesIO(b'{"text": "' + b"\\ud83d\\ude00" * 200_000 + b'"}')
        headers = {"Content-Type": "application/json"}
        async with client.post("/api/tts/jobs", data=body, headers=headers) as answer:
            assert answer.status == 202
            job_id = (await answer.json())["job_id"]
        assert (await show(client, job_id))["characters"] == 200_000


async def test_the_same_key_gives_the_same_job_however_many_ask_at_once(serve: Serve, meter: JobMeter) -> None:
    async with serve() as client:
        ids = await asyncio.gather(*(order(client, idempotency_key="one") for _ in range(50)))
        assert len(set(ids)) == 1
        async with client.post("/api/tts/jobs", json={"text": "另一个。", "idempotency_key": "one"}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (409, "idempotency_conflict")
        await ended(client, ids[0])
        assert await order(client, idempotency_key="one") == ids[0], "also when it is done"
    assert meter.jobs.count("accepted") == 1


async def test_of_parallel_bodies_under_one_key_one_is_accepted(serve: Serve) -> None:
    async with serve() as client:

        async def one(number: int) -> int:
            body = {"text": f"第{number}个。", "idempotency_key": "one"}
            async with client.post("/api/tts/jobs", json=body) as answer:
                return answer.status

        statuses = await asyncio.gather(*map(one, range(20)))
    assert sorted(statuses) == [202] + [409] * 19


async def test_queues_are_bounded(serve: Serve, gateway: FakeGateway) -> None:
    gateway.holds_at = 0
    async with serve(jobs_queued_per_caller=2) as client:
        for _ in range(2):
            await order(client)
        async with client.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (429, "too_many_jobs")
            assert "Retry-After" in answer.headers
    async with serve(jobs_queued=2) as client, client.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "queue_full")


class Disk(NamedTuple):
    f_bavail: int
    f_frsize: int


async def test_a_full_disk_is_told_at_the_door(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve() as client:
        monkeypatch.setattr(os, "statvfs", lambda _: Disk(1, 4096))
        async with client.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (507, "disk_full")
        async with client.get("/api/tts/jobs") as answer:
            assert (await answer.json())["jobs"] == []


async def test_room_is_promised_once(serve: Serve, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.holds_at = 0
    async with serve() as client:
        monkeypatch.setattr(os, "statvfs", lambda _: Disk(130, 1000))  # three characters may take 57,600 bytes
        statuses = []
        for _ in range(3):
            async with client.post("/api/tts/jobs", json={"text": "你好。", "format": "pcm"}) as answer:
                statuses.append(answer.status)
        assert statuses == [202, 202, 507]


async def test_a_list_is_the_callers_own_and_comes_in_pages(serve: Serve) -> None:
    async with serve() as client:
        ids = [await order(client) for _ in range(5)]
        seen, query = [], "limit=2"
        while True:
            async with client.get(f"/api/tts/jobs?{query}") as answer:
                page = await answer.json()
            seen += [job["job_id"] for job in page["jobs"]]
            if page["next_cursor"] is None:
                break
            query = f"limit=2&cursor={page['next_cursor']}"
        assert seen == ids[::-1]
        for wrong in ("limit=0", "limit=101", "limit=x", "cursor=x", "limit=²"):
            async with client.get(f"/api/tts/jobs?{wrong}") as answer:
                assert answer.status == 400, wrong


async def test_nobody_meets_a_job_that_is_not_there(serve: Serve, folder: Path, redis_url: str | None) -> None:
    async with serve() as client:
        for method, path in [("GET", ""), ("GET", "/audio"), ("GET", "/events"), ("DELETE", "")]:
            async with client.request(method, f"/api/tts/jobs/nothing{path}") as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (404, "job_not_found")
        async with client.get("/api/tts/jobs") as answer:
            assert (await answer.json()) == {"jobs": [], "next_cursor": None}
    assert redis_url or not (folder.parent / folder.name).exists(), "looking makes nothing"


async def test_a_running_job_is_cancelled_and_then_removed(
    serve: Serve, gateway: FakeGateway, meter: JobMeter, folder: Path
) -> None:
    gateway.holds_at = 1
    async with serve() as client:
        job_id = await order(client)
        await gateway.held.wait()
        async with client.delete(f"/api/tts/jobs/{job_id}") as answer:
            assert await answer.json() == {"job_id": job_id, "status": "cancelled", "deleted": False}
        await gateway.left.wait()
        assert gateway.cut_short == ["你好。"], "its work stops"
        assert (await ended(client, job_id))["status"] == "cancelled"
        assert (await fetch(client, job_id))[0] == 409
        async with client.delete(f"/api/tts/jobs/{job_id}") as answer:
            assert (await answer.json())["deleted"] is True
        async with client.get(f"/api/tts/jobs/{job_id}") as answer:
            assert answer.status == 404
        gateway.holds_at = None
        assert (await ended(client, await order(client)))["status"] == "done"
    assert meter.jobs == ["accepted", "cancelled", "accepted", "done"]
    assert len(files.job_ids(folder)) == 1


async def test_a_queued_job_is_cancelled_before_it_costs_anything(serve: Serve, gateway: FakeGateway) -> None:
    gateway.holds_at = 0
    async with serve(jobs_at_once=1) as client:
        first = await order(client, "一")
        await gateway.held.wait()
        second = await order(client, "二")
        assert (await show(client, second))["position"] == 0
        third = await order(client, "三")
        assert (await show(client, third))["position"] == 1
        async with client.delete(f"/api/tts/jobs/{second}") as answer:
            assert (await answer.json())["status"] == "cancelled"
        assert (await show(client, third))["position"] == 0
        gateway.release.set()
        for job_id in (first, third):
            assert (await ended(client, job_id))["status"] == "done"
        assert [request.text for request in gateway.requests] == ["一", "三"]


async def events_of(client: Client, job_id: str) -> list[tuple[str, dict[str, Any]]]:
    async with client.get(f"/api/tts/jobs/{job_id}/events") as answer:
        assert answer.content_type == "text/event-stream"
        text = (await answer.read()).decode()
    found = []
    for block in text.strip().split("\n\n"):
        if not block.startswith(":"):
            kind, data = block.split("\n")
            found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_events_tell_of_each_piece_and_of_the_end(serve: Serve, gateway: FakeGateway) -> None:
    gateway.holds_at = 1
    async with serve() as client:
        job_id = await order(client, LONG)
        await gateway.held.wait()
        listening = asyncio.create_task(events_of(client, job_id))
        other = await client.get(f"/api/tts/jobs/{job_id}/events")
        await other.content.readuntil(b"\n\n")
        assert (await other.content.readuntil(b"\n\n")) == b": ping\n\n", "a sign of life where nothing happens"
        other.close()
        gateway.release.set()
        found = await listening
    kinds = [kind for kind, _ in found]
    assert kinds[-1] == "done"
    assert set(kinds[:-1]) == {"progress"}
    progress = [content["progress"] for _, content in found]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert len(set(progress)) >= 3


async def test_audio_can_be_heard_while_it_grows(serve: Serve, gateway: FakeGateway) -> None:
    texts = [LONG[:152], LONG[152:304], LONG[304:]]
    async with serve() as client:
        gateway.holds_at = 0
        job_id = await order(client, LONG, format="wav")
        await gateway.held.wait()
        status, body, headers = await fetch(client, job_id)
        assert (status, json.loads(body)["error"]["code"]) == (409, "audio_not_ready")
        assert "Retry-After" in headers
        speak, gateway.speak = gateway.speak, None  # type: ignore[method-assign,assignment]
        gateway.held.clear()

        def hold_the_second(request: Any) -> Any:
            gateway.holds_at = 0 if request.text == texts[1] else None
            gateway.release = asyncio.Event() if request.text == texts[1] else gateway.release
            return speak(request)

        gateway.speak = hold_the_second  # type: ignore[method-assign]
        gateway.release.set()
        await gateway.held.wait()
        first = pcm_of(texts[0])
        status, body, headers = await fetch(client, job_id, Range="bytes=0-")
        there = HEADER_BYTES + len(first)
        assert (status, headers["Content-Range"]) == (206, f"bytes 0-{there - 1}/*")
        assert body[HEADER_BYTES:] == first
        assert "ETag" not in headers
        status, _, headers = await fetch(client, job_id, Range=f"bytes={there}-")
        assert (status, headers["Content-Range"]) == (416, f"bytes */{there}")
        following = await client.get(f"/api/tts/jobs/{job_id}/audio")
        assert following.status == 200
        assert await following.content.readexactly(there) == body
        gateway.release.set()
        rest = await following.read()
        assert first + rest == spoken(*texts)
        assert (await fetch(client, job_id))[1][HEADER_BYTES:] == spoken(*texts)


async def test_who_follows_a_job_that_fails_is_cut_off(serve: Serve, gateway: FakeGateway) -> None:
    async with serve() as client:
        speak = gateway.speak
        held, release = asyncio.Event(), asyncio.Event()

        def fail_the_second(request: Any) -> Any:
            if request.text != LONG[:152]:
                gateway.failure, gateway.holds_at, gateway.release = EngineFailed("broke"), 0, release
                held.set()
            return speak(request)

        gateway.speak = fail_the_second  # type: ignore[method-assign]
        job_id = await order(client, LONG)
        await held.wait()
        following = await client.get(f"/api/tts/jobs/{job_id}/audio")
        release.set()
        with pytest.raises(Exception, match=r"(?i)closed|payload|reset|not completed"):
            await following.read()


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("bytes=0-", 206, (0, None)),
        ("bytes=0-0", 206, (0, 1)),
        ("bytes=100-199", 206, (100, 200)),
        ("bytes=-500", 206, (-500, None)),
        ("bytes=-99999999", 206, (0, None)),
        ("bytes=14300-99999999", 206, (14300, None)),
        ("bytes=5-2", 200, (0, None)),
        ("bytes=0-1,5-6", 200, (0, None)),
        ("lines=0-1", 200, (0, None)),
        ("bytes=-", 200, (0, None)),
        ("bytes=a-b", 200, (0, None)),
        ("bytes=14400-", 416, None),
        ("bytes=14400-14500", 416, None),
        ("bytes=-0", 416, None),
    ],
)
async def test_ranges_of_a_result(serve: Serve, header: str, status: int, part: tuple[int, int | None] | None) -> None:
    whole = pcm_of("你好。")
    async with serve() as client:
        job_id = await order(client)
        await ended(client, job_id)
        found, body, headers = await fetch(client, job_id, Range=header)
        assert found == status
        if part is None:
            assert headers["Content-Range"] == f"bytes */{len(whole)}"
            return
        want = whole[slice(*part)]
        assert body == want
        assert headers["Accept-Ranges"] == "bytes"
        if status == 206:
            start = whole.index(want) if part[0] <= 0 or part[0] >= 14_000 else part[0]
            start = len(whole) + part[0] if -len(whole) <= part[0] < 0 else max(part[0], 0)
            assert headers["Content-Range"] == f"bytes {start}-{start + len(want) - 1}/{len(whole)}"
        async with client.head(f"/api/tts/jobs/{job_id}/audio", headers={"Range": header}) as answer:
            assert (answer.status, int(answer.headers["Content-Length"])) == (status, len(want))
        tag = headers["ETag"]
        assert (await fetch(client, job_id, Range=header, **{"If-Range": tag}))[0] == status
        assert (await fetch(client, job_id, Range=header, **{"If-Range": '"other"'}))[0] == 200


async def test_a_result_expires(serve: Serve, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    async with serve() as client:
        job_id = await order(client)
        await ended(client, job_id)
    monkeypatch.setattr("tts_server.jobs.runner.time.time", lambda: 4e9)
    async with serve() as client:
        await until(lambda: not files.job_ids(folder))
        async with client.get(f"/api/tts/jobs/{job_id}") as answer:
            assert answer.status == 404


async def test_a_stopped_server_goes_on_where_it_was(serve: Serve, gateway: FakeGateway, folder: Path) -> None:
    gateway.holds_at = 100
    speak = gateway.speak

    def hold_the_second(request: Any) -> Any:
        gateway.holds_at = 100 if request.text == LONG[152:304] else None
        return speak(request)

    gateway.speak = hold_the_second  # type: ignore[method-assign]
    async with serve() as client:
        job_id = await order(client, LONG)
        await gateway.held.wait()
        first = (await show(client, job_id))["spoken_characters"]
        assert first == 152
    with samples_of(folder, job_id).open("ab") as file:
        file.write(b"what a machine that lost its power may leave behind what was made sure of")
    gateway.speak = speak  # type: ignore[method-assign]
    gateway.holds_at = None
    gateway.requests.clear()
    async with serve() as client:
        assert (await ended(client, job_id))["status"] == "done"
        assert [request.text for request in gateway.requests] == [LONG[152:304], LONG[304:]]
        assert (await fetch(client, job_id))[1] == spoken(LONG[:152], LONG[152:304], LONG[304:])


async def test_who_drains_accepts_nothing(serve: Serve, gateway: FakeGateway) -> None:
    gateway.draining = True
    async with serve() as client, client.post("/api/tts/jobs", json={"text": "你好。"}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (503, "shutting_down")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("audio_format", ["pcm", "flac"])
async def test_a_disk_that_fills_up_fails_the_job_and_not_the_server(
    serve: Serve, small_disk: Path, monkeypatch: pytest.MonkeyPatch, audio_format: str
) -> None:
    monkeypatch.setattr("tts_server.jobs.service.files.free_bytes", lambda _: 1 << 40)
    async with serve(state_dir=small_disk) as client:
        job = await ended(client, await order(client, LONG, format=audio_format))
        assert (job["status"], job["error"]["code"]) == ("failed", "disk_full")
        assert [path.suffix for path in (small_disk / "jobs").iterdir() if path.suffix in {".pcm", ".part"}] == []
        assert (await ended(client, await order(client)))["status"] == "done"
        (small_disk / "filler").write_bytes(b"x" * max(0, os.statvfs(small_disk).f_bavail * 4096))
        async with client.post("/api/tts/jobs", json={"text": "字" * 5000}) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (507, "disk_full")
        (small_disk / "filler").unlink()
        assert (await ended(client, await order(client)))["status"] == "done"


async def test_callers_take_turns(serve: Serve, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.holds_at = 0
    async with serve(jobs_at_once=1) as client:
        await order(client, "0")
        await gateway.held.wait()
        for owner, text in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")]:
            monkeypatch.setattr("tts_server.http.jobs._owner", lambda _, owner=owner: owner)
            last = await order(client, text)
        gateway.holds_at = None
        gateway.release.set()
        monkeypatch.setattr("tts_server.http.jobs._owner", lambda _: "a")
        async with client.get(f"/api/tts/jobs/{last}") as answer:
            assert answer.status == 404, "it is another's"
        async with client.get("/api/tts/jobs") as answer:
            jobs = (await answer.json())["jobs"]
        assert len(jobs) == 3
        for job in jobs:
            await ended(client, job["job_id"])
    assert [request.text for request in gateway.requests] == ["0", "a1", "b1", "a2", "a3"]


async def test_samples_that_were_lost_are_spoken_again(serve: Serve, gateway: FakeGateway, folder: Path) -> None:
    speak = gateway.speak

    def hold_the_second(request: Any) -> Any:
        gateway.holds_at = 0 if request.text == LONG[152:304] else None
        return speak(request)

    gateway.speak = hold_the_second  # type: ignore[method-assign]
    async with serve() as client:
        job_id = await order(client, LONG)
        await gateway.held.wait()
    samples_of(folder, job_id).unlink()
    gateway.speak = speak  # type: ignore[method-assign]
    gateway.holds_at = None
    async with serve() as client:
        assert (await ended(client, job_id))["status"] == "done"
        assert (await fetch(client, job_id))[1] == spoken(LONG[:152], LONG[152:304], LONG[304:])


async def test_a_text_without_a_word_fails_and_parts_without_one_are_passed_over(
    serve: Serve, gateway: FakeGateway
) -> None:
    speak = gateway.speak

    def refuse_stars(request: Any) -> Any:
        gateway.refusal = None if any(map(str.isalnum, request.text)) else InvalidRequest("x", code="nothing_to_say")
        return speak(request)

    gateway.speak = refuse_stars  # type: ignore[method-assign]
    stars = "*" * 150
    async with serve() as client:
        job = await ended(client, await order(client, f"{stars}\n\n{stars}"))
        assert (job["status"], job["error"]["code"]) == ("failed", "nothing_to_say")
        text = f"{stars}\n\n{LONG[:152]}{stars}\n\n{LONG[152:304]}{stars}"
        job_id = await order(client, text)
        assert (await ended(client, job_id))["status"] == "done"
        assert (await fetch(client, job_id))[1] == spoken(LONG[:152], LONG[152:304])

"""Several instances as one service: cores divided, one port shared, and nginx before them while one is killed."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from inference import cores
from inference.cores import Core, Topology, divide
from inference.voice import Voice
from tests.test_service import ROOT, Pcm, Server, ask, metrics, serving, solo, wish
from tts_server.config import Settings
from tts_server.config_sources import ConfigError, load
from tts_server.gateway import cores_of_workers
from tts_server.keys import Key, changing, digest, make_secret
from tts_server.listener import ListenError, open_sockets

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
INSTANCES = 3
BURST = 1_000_000
CALLERS, TEXTS, STOPPED_AFTER, KILLED_AFTER = 12, 240, 60, 120
MOST_PIECES = 2000
"""Of 64 KiB: more than all buffers of all sockets on the way."""
LONG = "今天天气很好，我们去公园吧。" * 340
ANONYMOUS = {"requests_per_s": 1000, "burst": BURST, "characters_per_min": "none", "concurrent": "none"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


# --- cores -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "shares"),
    [
        ((0, 1, 2, 3, 4, 5, 6), [(0, 3, 6), (1, 4), (2, 5)]),
        ((5, 1), [(5,), (1,)]),
        ((5, 1), [(5, 1)]),
        ((5, 1), [(5,), (1,), (5,), (1,), (5,)]),
    ],
)
def test_an_instance_takes_every_so_many_th_core(order: tuple[int, ...], shares: list[tuple[int, ...]]) -> None:
    assert [divide(order, number, len(shares)) for number in range(1, len(shares) + 1)] == shares


@given(st.sets(st.integers(0, 4095), min_size=1, max_size=300), st.integers(1, 50), st.randoms())
def test_all_shares_are_all_cores_and_none_is_there_twice_unless_it_must(
    numbers: set[int], instances: int, rng: random.Random
) -> None:
    order = rng.sample(sorted(numbers), len(numbers))
    taken = Counter(core for number in range(1, instances + 1) for core in divide(order, number, instances))
    assert set(taken) == numbers
    assert max(taken.values()) - min(taken.values()) <= (1 if instances > len(order) else 0)
    assert taken.total() == max(len(order), instances)


@pytest.mark.parametrize(("number", "instances"), [(0, 3), (4, 3)])
def test_there_is_no_share_for_nobody(number: int, instances: int) -> None:
    with pytest.raises(ValueError, match=f"no instance {number} of {instances}"):
        divide((0, 1), number, instances)


@pytest.mark.parametrize(
    ("given", "pinned"),
    [
        ({}, [0, 2, 4, 1, 3, 5]),
        ({"share": "1/3"}, [0, 1]),
        ({"share": "3/3"}, [4, 5]),
        ({"share": "1/3", "workers": 3}, [0, 1, 0]),
        ({"share": "2/2", "cores": "5,3,1"}, [3]),
        ({"cores": "5,3"}, [5, 3]),
        ({"share": "8/9"}, [2]),
    ],
)
def test_workers_are_on_the_cores_of_the_share(
    given: dict[str, Any], pinned: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # three physical cores of two threads each: 0 and 1, 2 and 3, 4 and 5
    machine = Topology(tuple(Core(number, physical=number // 2 * 2) for number in range(6)))
    monkeypatch.setattr(cores, "read_topology", lambda: machine)
    assert [core for (core,) in cores_of_workers(Settings(**given))] == pinned


def test_instances_of_one_container_have_no_more_workers_than_it_has_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "read_topology", lambda: Topology(tuple(map(Core, range(8))), quota_cpus=4.5))
    pinned = [[core for (core,) in cores_of_workers(Settings(share=f"{number}/3"))] for number in (1, 2, 3)]
    assert pinned == [[0, 3], [1], [2]]


@pytest.mark.parametrize("share", ["0/1", "2/1", "1", "1/0", "a/b", "1/2/3", "01/2", ""])
def test_a_share_is_one_of_so_many(share: str) -> None:
    with pytest.raises(ConfigError, match=r"--share: share cannot be .* such as 2/3"):
        load({}, {"share": share})


# --- one port --------------------------------------------------------------------------------------------------------


def test_a_port_is_shared_only_if_both_want_it() -> None:
    (first,) = open_sockets("127.0.0.1", 0, {}, reuse_port=True)
    port = first.getsockname()[1]
    with first:
        (second,) = open_sockets("127.0.0.1", port, {}, reuse_port=True)
        with second:
            assert second.getsockname() == first.getsockname()
        first.listen()
        with pytest.raises(ListenError, match="in use"):
            open_sockets("127.0.0.1", port, {})


async def test_two_servers_answer_at_one_port(voices_dir: Path, tmp_path: Path, voice: Voice) -> None:
    options = ("--workers", "1", "--reuse-port")
    body = {"text": "你好。Hello."}
    with serving(voices_dir, tmp_path, *options, "--share", "1/2") as first:
        port = first.url.rpartition(":")[2]
        with serving(voices_dir, tmp_path, *options, "--share", "2/2", "--port", port) as second:
            assert second.url == first.url
            begun: set[float] = set()
            while len(begun) < 2:  # the kernel chooses by the caller's port, which is another each time
                async with aiohttp.ClientSession(first.url) as session:
                    np.testing.assert_array_equal(await ask(session, body), solo(voice, body))
                    begun.add((await metrics(session))["process_start_time_seconds"])
            usable = len(os.sched_getaffinity(0))
            pinned = [worker.cpu_affinity() for server in (first, second) for worker in server.workers()]
            assert len(set(map(tuple, pinned))) == min(2, usable)
            first.process.kill()
            first.process.wait()
            for _ in range(8):
                async with aiohttp.ClientSession(second.url) as session:
                    np.testing.assert_array_equal(await ask(session, body), solo(voice, body))


# --- behind nginx ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Service:
    """Three instances and the nginx before them."""

    url: str
    instances: list[Server]
    secret: str
    """A key for those who read metrics."""
    log: Path
    """What nginx says."""

    async def unfinished(self) -> float:
        """Requests that instances hold."""
        held = 0.0
        for instance in self.instances:
            async with aiohttp.ClientSession(instance.url, headers={"X-API-Key": self.secret}) as session:
                found = await metrics(session)
            held += found["tts_jobs_accepted_total"]
            held -= sum(number for name, number in found.items() if re.match(r'tts_jobs_total\{outcome="[^r]', name))
        return held


@contextmanager
def nginx_before(urls: list[str], folder: Path) -> Iterator[str]:
    """deploy/nginx.conf, with other ports; its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours = (ROOT / "deploy/nginx.conf").read_text(encoding="utf-8").replace("listen 127.0.0.1:8080", f"listen {port}")
    for number, url in enumerate(urls, 1):
        assert ours.count(f"127.0.0.1:800{number}") == 2
        ours = ours.replace(f"127.0.0.1:800{number}", url.removeprefix("http://"))
    (folder / "tts.conf").write_text(ours, encoding="utf-8")
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 2; pid {folder / 'pid'}; error_log {folder / 'error.log'} notice;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}include {folder / 'tts.conf'};\n}}\n",
        encoding="utf-8",
    )
    assert NGINX is not None
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")], stderr=said
        )
    try:
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (folder / "said").read_text() + (folder / "error.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def service(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("instances")
    secret = make_secret()
    with changing(folder / "keys.json") as keys:
        keys.append(Key(name="meter", sha256=digest(secret), tier="vip", created=datetime.now(UTC)))
    options = ["--workers", "1", "--trusted-proxies", "127.0.0.1", "--allow-anonymous"]
    options += ["--tiers", json.dumps({"anonymous": ANONYMOUS})]
    with ExitStack() as stack:
        instances = [
            stack.enter_context(serving(voices_dir, folder, *options, "--share", f"{number}/{INSTANCES}"))
            for number in range(1, INSTANCES + 1)
        ]
        urls = [instance.url for instance in instances]
        yield Service(stack.enter_context(nginx_before(urls, folder)), instances, secret, folder / "error.log")


@asynccontextmanager
async def calling(service: Service, *, address: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    local = aiohttp.TCPConnector(limit=0, local_addr=(address, 0) if address else None)
    async with aiohttp.ClientSession(service.url, connector=local) as session:
        yield session


@needs_nginx
async def test_a_stream_comes_piece_by_piece(service: Service, voice: Voice) -> None:
    body = {"text": LONG, "format": "pcm", "stream": True}
    async with calling(service) as session, session.post("/api/tts", json=body) as answer:
        assert answer.status == 200
        heard = await answer.content.readany()
        assert heard
        assert await service.unfinished() == 1, "the first of it is here, and the last not made"
        heard += await answer.read()
    assert len(heard) == 2 * len(solo(voice, body))


@needs_nginx
async def test_a_websocket_goes_through(service: Service) -> None:
    async with calling(service) as session, session.ws_connect("/v1/audio/speech/stream") as sock:
        await sock.send_json({"type": "input.text", "text": "你好。"})
        await sock.send_json({"type": "input.done"})
        kinds, heard_bytes = [], 0
        while "session.done" not in kinds:
            message = await sock.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                heard_bytes += len(message.data)
            else:
                kinds.append(json.loads(message.data)["type"])
    assert heard_bytes > 0
    assert "audio.done" in kinds


@needs_nginx
@pytest.mark.parametrize(
    ("path", "status"), [("/api/tts", 200), ("/api/tts/jobs", 200), ("/metrics", 404), ("/nowhere", 404)]
)
async def test_a_request_keeps_its_id_or_gets_one(service: Service, path: str, status: int) -> None:
    async with calling(service) as session:
        for given in ("order-7:a", None, "no id {}"):
            headers = {} if given is None else {"X-Request-Id": given}
            body = {"text": "你好。"} if path == "/api/tts" else None
            async with session.request("POST" if body else "GET", path, json=body, headers=headers) as answer:
                assert answer.status == status
                shown = answer.headers["X-Request-Id"]
            assert shown == given if given == "order-7:a" else re.fullmatch("[0-9a-f]{32}", shown)


@needs_nginx
async def test_callers_are_told_apart_by_their_addresses(service: Service) -> None:
    async def left(address: str, asked: int) -> set[int]:
        async with calling(service, address=address) as session:
            found = set()
            for _ in range(asked):
                async with session.post("/api/tts", json={"text": "好。"}) as answer:
                    found.add(int(answer.headers["RateLimit-Remaining"]))
        return found

    await left("127.0.1.5", 10 * INSTANCES)
    assert await left("127.0.1.6", 1) == {BURST - 1}


@needs_nginx
async def test_a_body_that_is_too_large_is_refused_in_the_usual_shape(service: Service) -> None:
    body = io.BytesIO(b" " * ((1 << 20) + 1))
    async with calling(service) as session, session.post("/api/tts", data=body) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["code"] == "body_too_large"


@needs_nginx
async def test_no_text_is_written_to_the_disk(service: Service) -> None:
    async with calling(service) as session, session.post("/api/tts", json={"text": "好" * 100_000}) as answer:
        assert answer.status == 400
    assert "temporary file" not in service.log.read_text(encoding="utf-8")


async def once(session: aiohttp.ClientSession, body: dict[str, Any], *, streamed: bool) -> Pcm:
    if not streamed:
        return await ask(session, body)
    async with session.post("/api/tts", json=body | {"stream": True, "format": "pcm"}) as answer:
        content = await answer.read()
        assert answer.status == 200, content
    return np.frombuffer(content, "<i2")


@needs_nginx
async def test_an_instance_is_killed_and_callers_who_try_again_once_miss_nothing(
    service: Service, voice: Voice
) -> None:
    rng = random.Random(5)
    wishes = [wish(rng) for _ in range(TEXTS)]
    heard: list[tuple[dict[str, Any], Pcm]] = []
    again = 0
    doomed = service.instances[0]
    enough, late = asyncio.Event(), asyncio.Event()

    async def caller(session: aiohttp.ClientSession) -> None:
        nonlocal again
        while wishes:
            body, streamed = wishes.pop(), len(wishes) % 2 == 0
            try:
                audio = await once(session, body, streamed=streamed)
            except aiohttp.ClientError:
                again += 1
                audio = await once(session, body, streamed=streamed)
            heard.append((body, audio))
            if len(heard) >= STOPPED_AFTER:
                enough.set()
            if len(heard) >= KILLED_AFTER:
                late.set()

    async def fate() -> None:
        await enough.wait()
        workers = doomed.workers()
        doomed.process.send_signal(signal.SIGSTOP)  # so that some surely wait for it when it is killed
        await late.wait()
        doomed.process.kill()
        doomed.process.wait()
        assert psutil.wait_procs(workers, timeout=60)[1] == []

    async with calling(service) as session, asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller(session))
        group.create_task(fate())
    assert len(heard) == TEXTS
    assert again <= CALLERS, "only what was being answered broke"
    assert re.search(r"prematurely closed|recv\(\) failed", service.log.read_text(encoding="utf-8")), "nobody met it"
    for body, audio in heard:
        np.testing.assert_array_equal(audio, solo(voice, body))


@asynccontextmanager
async def pretended(tmp_path: Path, *answers: Handler) -> AsyncIterator[str]:
    """nginx before instances that answer at will."""
    async with AsyncExitStack() as stack:
        urls = []
        for answer in answers:
            app = web.Application()
            app.router.add_post("/{path:.*}", answer)
            server = await stack.enter_async_context(TestServer(app))
            urls.append(str(server.make_url("")).rstrip("/"))
        with nginx_before(urls, tmp_path) as url:
            yield url


async def refuse(_: web.Request) -> web.Response:
    return web.json_response({"error": {"code": "queue_full"}}, status=503, headers={"Retry-After": "7"})


async def speak(_: web.Request) -> web.Response:
    return web.Response(body=b"audio")


@needs_nginx
@pytest.mark.parametrize("path", ["/api/tts", "/v1/audio/speech", "/audio/speech"])
async def test_who_is_refused_by_one_instance_is_heard_by_another(tmp_path: Path, path: str) -> None:
    async with pretended(tmp_path, refuse, speak, speak) as url, aiohttp.ClientSession(url) as session:
        for _ in range(30):
            async with session.post(path, json={"text": "你好。"}) as answer:
                assert (answer.status, await answer.read()) == (200, b"audio")


@needs_nginx
async def test_refusals_of_some_do_not_shut_others_out(tmp_path: Path) -> None:
    async def only_vip(request: web.Request) -> web.Response:
        return await (speak if "X-Vip" in request.headers else refuse)(request)

    async with pretended(tmp_path, *[only_vip] * 3) as url, aiohttp.ClientSession(url) as session:
        for _ in range(30):
            async with session.post("/api/tts") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
                assert (await answer.json())["error"]["code"] == "queue_full"
            async with session.post("/api/tts", headers={"X-Vip": "1"}) as answer:
                assert answer.status == 200


@needs_nginx
@pytest.mark.parametrize("status", [400, 401, 422, 429, 500, 504])
async def test_what_else_an_instance_says_is_handed_on(tmp_path: Path, status: int) -> None:
    asked: list[str] = []

    async def explain(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"error": {"code": "mine"}}, status=status)

    async with (
        pretended(tmp_path, *[explain] * 3) as url,
        aiohttp.ClientSession(url) as session,
        session.post("/api/tts") as answer,
    ):
        assert answer.status == status
        assert (await answer.json())["error"]["code"] == "mine"
    assert len(asked) == 1


@needs_nginx
async def test_a_small_piece_is_not_kept_until_there_is_more(tmp_path: Path) -> None:
    heard = asyncio.Event()

    async def hesitate(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"half")
        await heard.wait()
        await answer.write(b"rest")
        return answer

    async with (
        pretended(tmp_path, *[hesitate] * 3) as url,
        aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(30)) as session,
        session.post("/api/tts") as answer,
    ):
        assert await answer.content.readexactly(4) == b"half"
        heard.set()
        assert await answer.read() == b"rest"


@needs_nginx
async def test_a_listener_who_takes_nothing_holds_up_his_instance_and_fills_no_disk(tmp_path: Path) -> None:
    written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def pour(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        stalled = False
        try:
            for _ in range(MOST_PIECES):
                async with asyncio.timeout(1):  # in which nothing moved
                    await answer.write(bytes(1 << 16))
        except TimeoutError:
            stalled = True
        finally:
            written.set_result(stalled)
        return answer

    async with (
        pretended(tmp_path, *[pour] * 3) as url,
        aiohttp.ClientSession(url) as session,
        session.post("/api/tts"),
    ):
        assert await written


@needs_nginx
async def test_an_answer_that_breaks_off_is_not_asked_for_again_and_does_not_end_as_if_it_were_whole(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    async def break_off(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return answer

    async with pretended(tmp_path, *[break_off] * 3) as url, aiohttp.ClientSession(url) as session:
        async with session.post("/api/tts") as answer:
            assert await answer.content.readexactly(4) == b"half"
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        assert len(asked) == 1


@needs_nginx
async def test_with_nobody_behind_it_the_refusal_has_the_usual_shape(tmp_path: Path) -> None:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(INSTANCES)]
        urls = [f"http://127.0.0.1:{held.getsockname()[1]}" for held in taken]
        for held in taken:
            held.close()
        url = stack.enter_context(nginx_before(urls, tmp_path))
        async with aiohttp.ClientSession(url) as session:
            for path in ("/api/tts", "/v1/models", "/api/tts/jobs"):
                async with session.request("POST" if path == "/api/tts" else "GET", path) as answer:
                    assert answer.status == 503
                    assert answer.headers["Retry-After"] == "1"
                    assert (await answer.json())["error"]["code"] == "engine_unavailable"

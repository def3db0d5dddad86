"""A failing engine is replaced before callers notice: two engines with workers of their own, asked over HTTP.

`standard` fails on order (a pitch, see tests/engines.py); `light` speaks whatever it is asked.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import orjson
import psutil
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from inference.utterance import Manner
from tests.engines import CRASH, HANG, RAISE, SLOW, load_pair, whole
from tests.tiny_pack import RATE_HZ, write_tiny_pack
from tts_server import breaker, overload
from tts_server.caller import TIERS
from tts_server.config import Settings
from tts_server.cpu import CpuMeter
from tts_server.gateway import SpeechGateway
from tts_server.http.app import create_app
from tts_server.http.encoders import Encoders
from tts_server.http.guard import Guard
from tts_server.http.services import Services
from tts_server.keys import Key, KeyStore, changing, digest, make_secret
from tts_server.metrics import Metrics
from tts_server.router import Router

Client = TestClient[Any, Any]
OPEN_S = 0.2


@pytest.fixture(scope="module")
def two_packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    for name in ("standard", "light"):
        write_tiny_pack(folder / name)
    return folder


class Served:
    """A server in this process, with real workers."""

    def __init__(self, client: Client, router: Router, local: SpeechGateway) -> None:
        self.client = client
        self.router = router
        self.local = local

    async def speak(self, text: str, headers: dict[str, str] | None = None, **fields: Any) -> ClientResponse:
        body = {"text": text, "format": "pcm", **fields}
        return await self.client.post("/api/tts", json=body, headers=headers)

    async def engine_of(self, text: str, **fields: Any) -> str:
        """Who spoke it; every sample is checked."""
        async with await self.speak(text, **fields) as answer:
            assert answer.status == 200, await answer.text()
            heard = np.frombuffer(await answer.read(), np.int16)
            assert answer.headers["X-Voice"] == "female"
            manner = Manner("female", pitch_semitones=fields.get("pitch", 0.0))
            np.testing.assert_array_equal(heard, whole(text, manner, RATE_HZ))
            return answer.headers["X-Engine"]

    async def ready(self) -> dict[str, Any]:
        async with self.client.get("/readyz") as answer:
            return dict(await answer.json())

    def pids(self, engine: str) -> list[int]:
        return [pid for _, pid in self.local._pools[engine].pids()]

    def count(self, name: str, **labels: str) -> int:
        return int(self.router.metrics.registry.get_sample_value(f"tts_{name}", labels) or 0)


@asynccontextmanager
async def serving(
    voices_dir: Path,
    tmp_path: Path,
    guard: Guard | None = None,
    cpu_share: Callable[[], float] = lambda: 0.0,
    **changes: Any,
) -> AsyncIterator[Served]:
    settings = Settings(
        **{
            "voices_dir": voices_dir,
            "cache_dir": tmp_path,
            "cache_bytes": 0,
            "workers": 1,
            "hang_s": 1.0,
            "start_timeout_s": 120.0,
            "breaker_open_s": OPEN_S,
            **changes,
        }
    )
    metrics = Metrics()
    local = SpeechGateway(settings, metrics, load=load_pair)
    router = Router(settings, metrics, local, cpu_share=cpu_share)
    await router.start()
    try:
        with closing(Encoders(1)) as encoders:
            app = create_app(Services(router, metrics, encoders, load=router.overload), version="1", guard=guard)
            async with TestClient(TestServer(app)) as client:
                yield Served(client, router, local)
    finally:
        await router.stop()


async def test_a_breaker_opens_probes_and_closes_and_callers_are_served_all_the_while(
    two_packs: Path, tmp_path: Path
) -> None:
    async with serving(two_packs, tmp_path) as server:
        assert await server.engine_of("好。") == "standard"
        failures = 0
        while (await server.ready())["breakers"]["standard"] == "closed":
            assert await server.engine_of("坏了。", pitch=RAISE) == "light"
            failures += 1
        assert failures == 9  # of ten
        assert (await server.ready())["breakers"] == {"standard": "open", "light": "closed"}
        assert (await server.ready())["ready"] is True
        assert await server.engine_of("好。") == "light", "nobody asks it now"
        assert server.count("breaker_state", engine="standard") == 2
        moved = {"from": "standard", "to": "light"}
        assert server.count("fallbacks_total", **moved, reason="engine_failed") == 9
        assert server.count("fallbacks_total", **moved, reason="breaker_open") == 1

        await asyncio.sleep(OPEN_S)
        assert await server.engine_of("坏了。", pitch=RAISE) == "light", "a probe that fails moves, too"
        assert (await server.ready())["breakers"]["standard"] == "open"
        assert server.count("fallbacks_total", **moved, reason="engine_failed") == 10
        await asyncio.sleep(2 * OPEN_S)
        assert await server.engine_of("好。") == "standard"
        assert (await server.ready())["breakers"]["standard"] == "closed"
        assert server.count("jobs_accepted_total") == server.count("jobs_total", outcome="done")


async def test_who_names_the_engine_is_told_of_its_failure(two_packs: Path, tmp_path: Path) -> None:
    async with serving(two_packs, tmp_path) as server:
        async with await server.speak("坏了。", pitch=RAISE, engine="standard") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (500, "engine_failed")
        body = {"model": "standard", "input": "坏了。", "voice": "female", "pitch": RAISE}
        async with server.client.post("/v1/audio/speech", json=body) as answer:
            assert answer.status == 500
        async with server.client.post("/v1/audio/speech", json={**body, "model": "tts-1"}) as answer:
            assert (answer.status, answer.headers["X-Engine"]) == (200, "light")


async def test_a_text_that_kills_workers_is_not_given_to_another_engine(two_packs: Path, tmp_path: Path) -> None:
    async with serving(two_packs, tmp_path) as server:
        before = server.pids("light")
        for _ in range(2):
            async with await server.speak("毒药。", pitch=CRASH) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (500, "poisonous_text")
        assert server.pids("light") == before
        assert server.count("fallbacks_total", **{"from": "standard", "to": "light", "reason": "engine_failed"}) == 0
        assert server.count("worker_restarts_total", engine="standard", reason="died") == 3


async def test_what_hangs_for_long_is_spoken_by_another(two_packs: Path, tmp_path: Path) -> None:
    async with serving(two_packs, tmp_path, breaker_late_s=0.3, hang_s=60.0) as server:
        assert await server.engine_of("太久了。", pitch=HANG) == "light"
        assert server.count("fallbacks_total", **{"from": "standard", "to": "light", "reason": "late"}) == 1
        os.kill(server.pids("standard")[0], signal.SIGKILL)


async def test_a_text_that_may_be_what_workers_hang_on_stays_where_it_is(two_packs: Path, tmp_path: Path) -> None:
    async with serving(two_packs, tmp_path, breaker_late_s=2.0, hang_s=0.5) as server:
        async with await server.speak("毒药。", pitch=HANG) as answer:  # three deaths take longer than late is
            assert (answer.status, (await answer.json())["error"]["code"]) == (500, "poisonous_text")
        assert server.count("worker_restarts_total", engine="light", reason="hung") == 0


async def test_an_engine_that_stays_without_workers_is_replaced(
    two_packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "ABSENT_S", 0.0)
    async with serving(two_packs, tmp_path) as server:
        os.kill(server.pids("standard")[0], signal.SIGSTOP)
        os.kill(server.pids("standard")[0], signal.SIGKILL)
        while all(server.local.ready().values()):  # noqa: ASYNC110  (a death has no event)
            await asyncio.sleep(0.01)
        assert await server.engine_of("好。") == "light"
        assert (await server.ready())["breakers"]["standard"] == "open"
        while not all(server.local.ready().values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(OPEN_S)
        assert await server.engine_of("好。") == "standard"


def keys_of(tmp_path: Path, **made: dict[str, Any]) -> tuple[Guard, list[dict[str, str]]]:
    """Keys of these names, and for each the headers that present it."""
    store, headers = KeyStore(tmp_path / "keys.json", TIERS), []
    with changing(store.file) as keys:
        for name, more in made.items():
            secret = make_secret()
            keys.append(Key(name=name, sha256=digest(secret), created=datetime.now(UTC), **more))
            headers.append({"Authorization": f"Bearer {secret}"})
    store.load()
    return Guard(store), headers


async def test_a_key_for_one_engine_is_not_helped_by_another(two_packs: Path, tmp_path: Path) -> None:
    guard, (bob,) = keys_of(tmp_path, bob={"tier": "vip", "engines": ("standard",)})
    async with serving(two_packs, tmp_path, guard) as server:
        answer = await server.speak("坏了。", bob, pitch=RAISE)
        assert (answer.status, (await answer.json())["error"]["code"]) == (500, "engine_failed")


async def test_an_answer_of_another_rate_is_what_was_asked_for(tmp_path: Path) -> None:
    write_tiny_pack(tmp_path / "voices/standard")
    write_tiny_pack(tmp_path / "voices/light", sample_rate_hz=16_000)
    async with serving(tmp_path / "voices", tmp_path / "cache") as server:
        lengths = {}
        for engine in ("standard", "light"):
            async with await server.speak("坏了。", pitch=RAISE if engine == "light" else 0.0) as answer:
                assert (answer.headers["X-Engine"], answer.headers["X-Sample-Rate"]) == (engine, "24000")
                lengths[engine] = len(await answer.read())
        assert lengths["light"] == pytest.approx(lengths["standard"] * 24 / 16, rel=0.01)


# --- too much to do -------------------------------------------------------------------------------------------------


class Container:
    """A control group with a quota of a fifth of a core, of which a process uses as much as it gets.

    The group's files are made up, for this machine may not let us have one, and is used by others besides; what they
    say was used really was.
    """

    def __init__(self, root: Path) -> None:
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/cgroup").write_text("0::/\n")
        (root / "sys/fs/cgroup").mkdir(parents=True)
        (root / "sys/fs/cgroup/cpu.max").write_text("20000 100000\n")
        self._stat = root / "sys/fs/cgroup/cpu.stat"
        self._stat.write_text("usage_usec 0\n")
        self._meter = CpuMeter(root)
        self._burner: psutil.Process | None = None

    def share(self) -> float:
        if self._burner is not None:
            times = self._burner.cpu_times()
            self._stat.write_text(f"usage_usec {round((times.user + times.system) * 1e6)}\n")
        return self._meter.share()

    @contextmanager
    def busy(self) -> Iterator[None]:
        with Popen([sys.executable, "-c", "while True: pass"]) as process:
            self._burner = psutil.Process(process.pid)
            try:
                yield
            finally:
                self._burner = None
                process.kill()


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path / "machine")


async def statuses(server: Served, headers: dict[str, str] | None = None) -> AsyncIterator[dict[str, Any]]:
    async with server.client.get("/api/tts/status/events", headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        while line := await answer.content.readline():
            if line.startswith(b"data: "):
                yield orjson.loads(line.removeprefix(b"data: "))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings by which the server makes up its mind within a second."""
    monkeypatch.setattr(overload, "LOOK_S", 0.1)
    return {"degrade_after_s": 0.5, "degrade_recover_s": 0.5, "degrade_recover_cpu": 0.85}


async def test_a_busy_machine_switches_the_preview_off_and_a_quiet_one_on_again(
    two_packs: Path, tmp_path: Path, container: Container, soon: dict[str, Any]
) -> None:
    async with serving(two_packs, tmp_path, cpu_share=container.share, **soon) as server:
        told = statuses(server)
        seen = [await anext(told)]
        with container.busy():
            while seen[-1]["level"] < 2:
                seen.append(await anext(told))
            assert seen[-1]["cpu"] > 0.9
            async with server.client.post("/api/tts/preview", json={"text": "好。"}) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (503, "preview_off")
                assert answer.headers["Retry-After"]
            assert (await server.ready())["level"] == server.count("degradation_level") == 2
            assert await server.engine_of("好。") == "standard", "whoever wants speech is served"
        while seen[-1]["level"]:
            seen.append(await anext(told))
        levels = [status["level"] for status in seen]
        assert all(after - before in {2, 0, -1} for before, after in pairwise(levels))
        async with server.client.post("/api/tts/preview", json={"text": "好。"}) as answer:
            assert answer.status == 200


async def test_when_callers_wait_as_well_ordinary_ones_are_turned_away_and_vips_are_served(
    two_packs: Path, tmp_path: Path, container: Container, soon: dict[str, Any]
) -> None:
    waits = {"max_queue_s": 600.0, "degrade_fallback_wait_s": 0.5, "degrade_refuse_wait_s": 1.0}
    guard, (vip, ordinary) = keys_of(tmp_path, vip={"tier": "vip"}, ordinary={"tier": "standard"})
    async with serving(two_packs, tmp_path, guard, container.share, **soon, **waits) as server:
        told = statuses(server, vip)
        levels = [(await anext(told))["level"]]
        books = ["".join(f"第{page}页，{book}号书。" for page in range(300)) for book in range(8)]
        reading = [asyncio.create_task(server.speak(book, ordinary, pitch=SLOW, engine="standard")) for book in books]
        with container.busy():
            while levels[-1] < 4:
                levels.append((await anext(told))["level"])
            async with await server.speak("好。", ordinary) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (503, "overloaded")
                assert answer.headers["Retry-After"]
            async with await server.speak("好。", vip) as answer:
                assert (answer.status, answer.headers["X-Engine"]) == (200, "standard")
            assert not any(task.done() for task in reading), "they came before, and are read"
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
        while levels[-1]:
            levels.append((await anext(told))["level"])
        assert 3 in levels[: levels.index(4)], "another engine is tried before anybody is turned away"
        assert all(after - before >= -1 for before, after in pairwise(levels))
        async with await server.speak("好。", ordinary) as answer:
            assert answer.status == 200
        assert server.count("jobs_total", outcome="rejected") == 1

"""The server as its users meet it: a real process, real workers, HTTP; killed, stopped and crowded."""

from __future__ import annotations

import asyncio
import io
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
import psutil
import pytest
import soundfile

from inference.frontend.reading import read
from inference.script import write_script
from inference.utterance import Manner
from inference.voice import Voice
from shm.segment import PREFIX
from tests.decoding import MOST_PADDING, decode
from tests.tiny_pack import RATE_HZ
from tts_server.audio import to_pcm
from tts_server.encoding import FORMATS, available
from tts_server.narration import narrate

ROOT = Path(__file__).resolve().parent.parent
Pcm = npt.NDArray[np.int16]
STRESS_S = float(os.environ.get("STRESS_SECONDS", "60"))


class Server:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self._psutil = psutil.Process(process.pid)

    def workers(self) -> list[psutil.Process]:
        """Its worker processes; neither what they are forked from, nor what Python's shared memory starts, is one."""
        if self.process.poll() is not None:
            return []
        return [child for child in self._psutil.children() if child.name() == "tts-worker"]

    @property
    def open_files(self) -> int:
        return self._psutil.num_fds()

    def segments(self) -> list[Path]:
        """The shared memory that it holds: its own, whatever other servers run here."""
        maps = Path(f"/proc/{self.process.pid}/maps").read_text()
        return [Path("/dev/shm", name) for name in set(re.findall(rf"/dev/shm/({PREFIX}\w+)", maps))]  # noqa: S108


@contextmanager
def serving(voices_dir: Path, tmp_path: Path, *options: str, before: Sequence[str] = ()) -> Iterator[Server]:
    command = [*before, sys.executable, "run.py", "serve", "--port", "0", "--engines", "standard", "--workers", "2"]
    command += ["--voices-dir", str(voices_dir), "--state-dir", str(tmp_path), "--cache-dir", str(tmp_path / "cache")]
    command += ["--log-format", "text", "--start-timeout-s", "120", *options]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"serving url=(\S+)", line):
            break
    else:
        raise AssertionError("the server did not start: " + "".join(said))
    drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    server = Server(process, found[1])
    try:
        yield server
    finally:
        for worker in server.workers():
            worker.kill()  # one that was stopped does not hear that its server ends
        process.kill()
        process.wait()
        drain.wait()
        process.stderr.close()


@pytest.fixture
def server(voices_dir: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(voices_dir, tmp_path, "--hang-s", "1") as server:
        yield server


def solo(voice: Voice, body: dict[str, Any]) -> Pcm:
    """What the answer must be: the same text, spoken here."""
    gain_db = float(np.float32(20 * np.log10(body.get("volume", 1.0))))
    manner = Manner(body.get("voice", "female"), body.get("speed", 1.0), energy_db=gain_db)
    return np.concatenate([to_pcm(part) for part in narrate(write_script(body["text"], read), voice, manner)])


_numbers = itertools.count()


def wish(rng: random.Random) -> dict[str, Any]:
    words = ["你好", "三十五块", "银行。", "hello", "world.", "Well done!", "明天见？", "2026年"]
    return {
        "text": f"{next(_numbers)}号：" + "".join(rng.choices(words, k=rng.randint(1, 10))),
        "voice": rng.choice(["female", "male"]),
        "speed": rng.choice([0.75, 1.0, 1.5]),
        "volume": rng.choice([0.5, 1.0]),
    }


async def ask(session: aiohttp.ClientSession, body: dict[str, Any]) -> Pcm:
    async with session.post("/api/tts", json=body) as response:
        content = await response.read()
        assert response.status == 200, content
    samples, _ = soundfile.read(io.BytesIO(content), dtype="int16")
    return np.asarray(samples, np.int16)


async def metrics(session: aiohttp.ClientSession) -> dict[str, float]:
    async with session.get("/metrics") as response:
        lines = (await response.text()).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] != "#"}


def assert_all_is_accounted_for(found: dict[str, float]) -> None:
    ends = {name: found[f'tts_jobs_total{{outcome="{name}"}}'] for name in ("done", "cancelled", "expired", "failed")}
    assert found["tts_jobs_accepted_total"] == sum(ends.values()), ends


async def test_at_a_concurrency_of_64_everybody_hears_what_he_would_hear_alone(server: Server, voice: Voice) -> None:
    rng = random.Random(1)
    at_once = asyncio.Semaphore(64)
    async with aiohttp.ClientSession(server.url) as session:

        async def one(body: dict[str, Any]) -> tuple[dict[str, Any], Pcm]:
            async with at_once:
                return body, await ask(session, body)

        answers = await asyncio.gather(*(one(wish(rng)) for _ in range(200)))
        found = await metrics(session)
    for body, audio in answers:
        np.testing.assert_array_equal(audio, solo(voice, body))
    assert found['tts_jobs_total{outcome="done"}'] == 200
    assert_all_is_accounted_for(found)
    assert max(size for size in _batches(found)) > 1, "no two jobs ever went together"


def _batches(found: dict[str, float]) -> Iterator[int]:
    before = 0.0
    for size in (1, 2, 3, 4, 5, 6, 7, 8):
        count = found[f'tts_batch_size_bucket{{engine="standard",le="{size}.0"}}']
        if count > before:
            yield size
        before = count


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_every_format_says_all_of_it(server: Server, voice: Voice, streamed: bool) -> None:
    texts = ["好。", "你好。Hello.", "第一句。第二句，长一点。The third one. 第四句？" * 3]
    async with aiohttp.ClientSession(server.url) as session:
        for audio_format, text, rate_hz in itertools.product(FORMATS, texts, (24_000, 48_000)):
            if available(audio_format):
                continue
            body = {"text": text, "format": audio_format, "sample_rate": rate_hz, "stream": streamed}
            async with session.post("/api/tts", json=body) as response:
                assert response.status == 200
                assert response.headers["X-Sample-Rate"] == str(rate_hz)
                heard = decode(audio_format, await response.read(), rate_hz)
                if not streamed:
                    assert float(response.headers["X-Audio-Seconds"]) == round(len(solo(voice, body)) / RATE_HZ, 3)
            said = len(solo(voice, body)) * rate_hz // RATE_HZ
            most = said + MOST_PADDING.get(audio_format, 1)
            assert said - 1 <= len(heard) <= most, (audio_format, text)
            last = heard[said - rate_hz // 10 - rate_hz // 20 : said - rate_hz // 20]  # before the silence at its end
            assert np.abs(last).max() > 0.003, (audio_format, text)


async def _torment(server: Server, voice: Voice, seconds: float, rng: random.Random) -> None:
    """Callers call, and each second a worker is killed or stopped. Nobody must notice."""
    until_s = time.monotonic() + seconds
    heard: list[tuple[dict[str, Any], Pcm]] = []
    async with aiohttp.ClientSession(server.url, timeout=aiohttp.ClientTimeout(60)) as session:

        async def caller() -> None:
            while time.monotonic() < until_s:
                body = wish(rng)
                heard.append((body, await ask(session, body)))

        async def fate() -> None:
            while time.monotonic() < until_s:
                await asyncio.sleep(1)
                if workers := server.workers():
                    rng.choice(workers).send_signal(rng.choice([signal.SIGKILL, signal.SIGSTOP]))

        await ask(session, wish(rng))
        files_before = server.open_files
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(caller())
            group.create_task(fate())
        found = await metrics(session)
        ready = False
        while not ready or len(server.workers()) < 2:  # the last ones are replaced
            await asyncio.sleep(0.1)
            async with session.get("/readyz") as response:
                ready = response.status == 200
    assert_all_is_accounted_for(found)
    assert found['tts_jobs_total{outcome="done"}'] == len(heard) + 1
    assert sum(count for name, count in found.items() if name.startswith("tts_worker_restarts_total")) > 0
    assert server.open_files <= files_before + 16  # the callers' connections
    for body, audio in heard:
        np.testing.assert_array_equal(audio, solo(voice, body))


async def test_nobody_notices_that_workers_are_killed_and_stopped(server: Server, voice: Voice) -> None:
    await _torment(server, voice, 8, random.Random(3))


@pytest.mark.stress
async def test_nobody_notices_for_long_that_workers_are_killed_and_stopped(server: Server, voice: Voice) -> None:
    await _torment(server, voice, STRESS_S, random.Random())


async def test_a_terminated_server_says_what_came_by_websocket_before(server: Server) -> None:
    sentences = 150
    async with (
        aiohttp.ClientSession(server.url) as session,
        session.ws_connect("/v1/audio/speech/stream") as socket,
    ):
        text = "".join(f"第{number}句。" for number in range(sentences))
        await socket.send_json({"type": "input.text", "text": text})  # in one message, so that all of it has come
        await socket.send_json({"type": "input.done"})
        said = []
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            told = message.json()
            if told["type"] == "audio.done":
                said.append((told["sentence_index"], told["error"]))
                if len(said) == 1:
                    server.process.send_signal(signal.SIGTERM)
            if told["type"] == "session.done":
                break
    assert said == [(number, None) for number in range(sentences)]
    assert await asyncio.to_thread(server.process.wait, 60) == 0


def test_a_terminated_server_finishes_and_leaves_nothing(voices_dir: Path, tmp_path: Path) -> None:
    with serving(voices_dir, tmp_path) as server:
        workers, held = server.workers(), server.segments()
        assert len(held) == len(workers) == 2
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert not any(segment.exists() for segment in held)
        assert not any(worker.is_running() for worker in workers)


def test_a_killed_server_takes_its_workers_along_and_its_memory_is_swept(voices_dir: Path, tmp_path: Path) -> None:
    with serving(voices_dir, tmp_path) as server:
        workers, left = server.workers(), server.segments()
        server.process.kill()
        server.process.wait()
        assert psutil.wait_procs(workers, timeout=60)[1] == []
    with serving(voices_dir, tmp_path):
        assert left
        assert not any(segment.exists() for segment in left)

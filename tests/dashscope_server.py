"""DashScope as far as its protocol goes: it speaks noise that no other text would give, errs on demand, and finds fault
with whatever a client does otherwise than the protocol has it.

What it does with a task is a script: events by their names, frames of audio, and orders. Without one it speaks.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

KEY = "sk-0123456789abcdef-the-key-of-the-tests"
PATH = "/api-ws/v1/inference"
STARTED, GENERATED, FINISHED = "task-started", "result-generated", "task-finished"
SAMPLES_A_CHARACTER = 100


@dataclass(frozen=True)
class Failed:
    """task-failed with that code."""

    code: str


@dataclass(frozen=True)
class Raw:
    """A text frame of its own making."""

    text: str


@dataclass(frozen=True)
class Pause:
    seconds: float


class Order(Enum):
    """What is no message."""

    AUDIO = auto()  # all of the text's
    DROP = auto()  # cut the connection
    CLOSE = auto()  # close it politely
    SILENCE = auto()  # say nothing more
    CHATTER = auto()  # say something, but send no audio


AUDIO, DROP, CLOSE, SILENCE, CHATTER = Order
Script = Sequence[str | bytes | Failed | Raw | Pause | asyncio.Event | Order]
PLAIN: Script = (STARTED, AUDIO, GENERATED, FINISHED)


def noise(text: str, model: str, rate_hz: int) -> npt.NDArray[np.int16]:
    """What the service says, exactly."""
    seed = int.from_bytes(hashlib.sha256(repr((text, model, rate_hz)).encode()).digest()[:8], "little")
    samples = np.random.default_rng(seed).integers(-30_000, 30_000, len(text) * SAMPLES_A_CHARACTER, np.int16)
    return samples.astype(np.int16)


class FakeDashScope:
    def __init__(self) -> None:
        self.url = ""
        self.scripts: deque[Script] = deque()
        """Of the next tasks, one each."""
        self.frames: Iterator[int] = itertools.repeat(1000)
        """Bytes of each frame of AUDIO."""
        self.status: int | None = None
        """Answered in place of a connection."""
        self.characters: int | None = None
        """Counted for each task; by default as many as the text has."""
        self.tasks: list[dict[str, Any]] = []
        """Model, text and parameters of each task whose text has come."""
        self.wrong: list[str] = []
        self.connections = 0
        self.most_connections = 0
        self.changed = asyncio.Event()
        self._ids: set[str] = set()

    @property
    def texts(self) -> list[str]:
        return [task["text"] for task in self.tasks]

    async def until(self, what: str, count: int) -> None:
        """Until there are so many `tasks` or `connections`."""
        async with asyncio.timeout(30):
            while True:
                self.changed.clear()
                value = getattr(self, what)
                if (value if isinstance(value, int) else len(value)) == count:
                    return
                await self.changed.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.status is not None:
            return web.Response(status=self.status)
        if request.headers.get("Authorization") != f"bearer {KEY}":
            return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self.most_connections = max(self.connections, self.most_connections)
        self.changed.set()
        said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        listening = asyncio.create_task(self._listen(socket, said))
        acting = asyncio.create_task(self._act(request, socket, said))
        try:
            await listening  # until the client goes
        finally:
            acting.cancel()
            try:
                await acting
            except (asyncio.CancelledError, ConnectionError):
                pass
            except Exception as error:  # noqa: BLE001  (whatever the client has said, the test is to fail by it)
                self.wrong.append(repr(error))
            if not said.empty():
                self.wrong.append(f"it said {said.get_nowait()['header']['action']} to nobody")
        return socket

    async def _listen(self, socket: web.WebSocketResponse, said: asyncio.Queue[dict[str, Any]]) -> None:
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    said.put_nowait(orjson.loads(message.data))
                else:
                    self.wrong.append(f"it sent a frame of type {message.type}")
        finally:
            self.connections -= 1
            self.changed.set()

    async def _act(
        self, request: web.Request, socket: web.WebSocketResponse, said: asyncio.Queue[dict[str, Any]]
    ) -> None:
        run = await said.get()
        payload = run["payload"]
        task = _Task(request, socket, said, run["header"]["task_id"], payload["model"], payload["parameters"])
        self._check_run(run, duplex=task.duplex)
        if not task.duplex:
            task.text = payload["input"]["text"]
            self._note(task)
        for step in self.scripts.popleft() if self.scripts else PLAIN:
            match step:
                case str():
                    await self._tell(task, step)
                case Failed():
                    message = f"{task.text} of {KEY}"  # nobody may pass this on
                    await task.tell("task-failed", {}, error_code=step.code, error_message=message)
                case bytes():
                    await socket.send_bytes(step)
                case Raw():
                    await socket.send_str(step.text)
                case Pause():
                    await asyncio.sleep(step.seconds)
                case asyncio.Event():
                    await step.wait()
                case Order():
                    await self._obey(step, task)

    async def _tell(self, task: _Task, event: str) -> None:
        characters = len(task.text) if self.characters is None else self.characters
        await task.tell(event, {"usage": {"characters": characters}} if event in {GENERATED, FINISHED} else {})
        if event == STARTED and task.duplex:
            task.text = await self._text(task.said, task.id)
            self._note(task)

    async def _obey(self, order: Order, task: _Task) -> None:
        match order:
            case Order.AUDIO:
                audio, at = noise(task.text, task.model, task.parameters["sample_rate"]).tobytes(), 0
                while at < len(audio):
                    size = next(self.frames)
                    await task.socket.send_bytes(audio[at : at + size])
                    at += size
            case Order.CLOSE:
                await task.socket.close()
            case Order.DROP:
                assert task.request.transport is not None
                task.request.transport.abort()
            case Order.SILENCE:
                await asyncio.Event().wait()
            case Order.CHATTER:
                while True:
                    await task.tell(GENERATED, {})
                    await asyncio.sleep(0.02)

    async def _text(self, said: asyncio.Queue[dict[str, Any]], task_id: str) -> str:
        going_on, finish = await said.get(), await said.get()
        common = {"task_group": "audio", "task": "tts", "function": "SpeechSynthesizer"}
        self._expect("continue-task", going_on["header"], _header("continue-task", task_id, "duplex"))
        text = going_on["payload"]["input"]["text"]
        self._expect("its payload", going_on["payload"], {**common, "input": {"text": text}})
        self._expect(
            "finish-task", finish, {"header": _header("finish-task", task_id, "duplex"), "payload": {"input": {}}}
        )
        if not text.strip():
            self.wrong.append("a text is empty")
        return str(text)

    def _check_run(self, run: dict[str, Any], *, duplex: bool) -> None:
        header, payload = run["header"], run["payload"]
        task_id, parameters = header["task_id"], payload["parameters"]
        self._expect("run-task", header, _header("run-task", task_id, "duplex" if duplex else "out"))
        if not re.fullmatch(r"[0-9a-f]{32}", task_id) or task_id in self._ids:
            self.wrong.append(f"{task_id} is no new task id")
        self._ids.add(task_id)
        names = {"text_type", "format", "sample_rate", "volume", "rate", "pitch"} | ({"voice"} if duplex else set())
        self._expect("names of parameters", set(parameters), names)
        self._expect("format", (parameters["text_type"], parameters["format"]), ("PlainText", "pcm"))
        for name, low, high in (("rate", 0.5, 2), ("pitch", 0.5, 2), ("volume", 0, 100)):
            if not low <= parameters[name] <= high:
                self.wrong.append(f"{name} is {parameters[name]}")
        if duplex:
            self._expect("input", payload["input"], {})
        elif not payload["input"]["text"].strip():
            self.wrong.append("the text is empty")
        what = (payload["task_group"], payload["task"], payload["function"])
        self._expect("what is asked", what, ("audio", "tts", "SpeechSynthesizer"))

    def _expect(self, what: str, found: object, expected: object) -> None:
        if found != expected:
            self.wrong.append(f"{what} is {found!r} and not {expected!r}")

    def _note(self, task: _Task) -> None:
        self.tasks.append({"model": task.model, "text": task.text, **task.parameters})
        self.changed.set()


@dataclass
class _Task:
    """One that a client has begun."""

    request: web.Request
    socket: web.WebSocketResponse
    said: asyncio.Queue[dict[str, Any]]
    id: str
    model: str
    parameters: dict[str, Any]
    text: str = ""

    @property
    def duplex(self) -> bool:
        return self.model.startswith("cosyvoice")

    async def tell(self, event: str, payload: dict[str, Any], **header: str) -> None:
        told = {"header": {"task_id": self.id, "event": event, "attributes": {}, **header}, "payload": payload}
        await self.socket.send_str(orjson.dumps(told).decode())


def _header(action: str, task_id: str, streaming: str) -> dict[str, str]:
    return {"action": action, "task_id": task_id, "streaming": streaming}


@asynccontextmanager
async def dashscope() -> AsyncIterator[FakeDashScope]:
    """One at a port of its own; AssertionError at the end, if a client did anything that the protocol does not have."""
    fake = FakeDashScope()
    app = web.Application()
    app.router.add_get(PATH, fake.handle)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=1.0)
    fake.url = f"ws://127.0.0.1:{server.port}{PATH}"
    try:
        yield fake
    finally:
        await server.close()
    assert fake.wrong == []

"""The flow of one request: accept it, have its text read, its lines spoken, and give the audio out in order."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from inference import pack as packs
from inference.cores import choose, usable_cpus
from inference.protocol import Line, Script, WorkerSpec
from shm import segment
from tts_server.errors import DeadlineExceeded, EngineUnavailable, QueueFull, ShuttingDown, TTSError
from tts_server.job import Job, JobState
from tts_server.logs import get_logger
from tts_server.pool import Pool, StartError, shared_memory_bytes
from tts_server.speech import Pcm, SpeechRequest, Timings, Voice

if TYPE_CHECKING:
    from inference.engine import Engine
    from tts_server.config import Settings
    from tts_server.metrics import Metrics, Outcome

__all__ = ["SpeechGateway", "StartError"]

AUDIO_S_PER_BYTE: Final = 0.075
"""Seconds of audio for a byte of UTF-8 text, about: a Chinese character has three and takes 0.22 s, an English letter
one and 0.07 s. For order and admission only."""
AUDIO_S_PER_PHONE: Final = 0.1
PHONE_BYTES: Final = 4
FIRST_LINE_BYTES: Final = 120
"""Of a text that is not read yet, what its first line takes at most, about: forty Chinese characters."""
CUSHION: Final = 0.5
"""A later line of a stream is due when this share of the audio before it has been heard."""

log = get_logger(__name__)


class SpeechGateway:
    """All engines behind one door."""

    def __init__(
        self, settings: Settings, metrics: Metrics, *, load: Callable[[WorkerSpec], Engine] | None = None
    ) -> None:
        self._settings = settings
        self._load = load  # another engine than the packs' own
        self.metrics = metrics
        self._pools: dict[str, Pool] = {}
        self._voices: tuple[Voice, ...] = ()
        self._live: set[_Speech] = set()
        self._ids = itertools.count(1)
        self._backlog_s: dict[str, float] = {}
        self._draining = False
        self._ended = asyncio.Event()

    async def start(self) -> None:
        """Start every engine, and wait until each of their workers has spoken. StartError says why it cannot be."""
        loaded = [
            await asyncio.to_thread(_load_pack, name, self._settings.voices_dir) for name in self._settings.engines
        ]
        cpus = max(1, math.floor(usable_cpus()))
        count = self._settings.workers or cpus
        cores = tuple((core,) for core in choose(count, self._settings.cores))
        try:
            segment.require(shared_memory_bytes(count * len(loaded)))
        except segment.SegmentError as error:
            raise StartError(str(error)) from error
        for pack in loaded:
            spec = WorkerSpec(pack.folder, self._settings.cache_dir, nice=self._settings.worker_nice, load=self._load)
            self._pools[pack.name] = Pool(pack.name, spec, cores, self._settings, self.metrics)
            self._backlog_s[pack.name] = 0.0
        self._voices = tuple(
            Voice(s.name, pack.name, s.gender, s.languages, s.description, pack.sample_rate_hz)
            for pack in loaded
            for s in pack.speakers
        )
        self.metrics.watch_workers(lambda: [stat for pool in self._pools.values() for stat in pool.stats()])
        try:
            async with asyncio.TaskGroup() as group:
                for pool in self._pools.values():
                    group.create_task(pool.start())
        except* StartError as errors:
            raise errors.exceptions[0] from None

    async def drain(self, timeout_s: float) -> int:
        """Take nothing new, let what is accepted finish, then cancel the rest: how many that were."""
        self._draining = True
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while self._live and loop.time() < until_s:
            self._ended.clear()
            try:
                async with asyncio.timeout_at(until_s):
                    await self._ended.wait()
            except TimeoutError:
                break
        rest = list(self._live)
        for speech in rest:
            speech.fail(ShuttingDown("the server shut down before this was finished", retry_after_s=1.0))
        return len(rest)

    async def stop(self) -> None:
        """End the workers."""
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()))

    # --- the contract -----------------------------------------------------------------------------------------------

    def voices(self) -> tuple[Voice, ...]:
        """Every voice of every engine, the default engine's first."""
        return self._voices

    def speak(self, request: SpeechRequest) -> _Speech:
        """A request, accepted when it is entered: see `speech.Gateway`."""
        return _Speech(request, self)

    def ready(self) -> dict[str, bool]:
        """Engine by engine, whether somebody can speak."""
        return {engine: pool.ready for engine, pool in self._pools.items()}

    @property
    def draining(self) -> bool:
        """Whether the server is shutting down."""
        return self._draining

    # --- for speeches -----------------------------------------------------------------------------------------------

    def admit(self, speech: _Speech) -> Pool:
        """Let it in, or refuse it by a TTSError."""
        request = speech.request
        pool = self._pools[request.voice.engine]
        if self._draining:
            raise ShuttingDown("the server is shutting down; another instance may serve this", retry_after_s=1.0)
        if not pool.ready:
            raise EngineUnavailable(f"no worker of engine {pool.engine} is up; one is being started", retry_after_s=1.0)
        wait_s = pool.seconds_for(self._backlog_s[pool.engine])
        bound_s = min(self._settings.max_queue_s, request.deadline_s)
        if wait_s > bound_s or len(self._live) >= self._settings.max_queued:
            raise QueueFull(
                f"{len(self._live)} requests are being served and it would take {wait_s:.1f} s until yours is spoken; "
                "come back later",
                retry_after_s=max(0.5, wait_s - bound_s),
            )
        self._live.add(speech)
        return pool

    def owe(self, engine: str, audio_s: float) -> None:
        """Keep count of the audio that accepted requests still wait for; negative when it has been made."""
        self._backlog_s[engine] += audio_s

    def ended(self, speech: _Speech) -> None:
        """It needs nothing any more."""
        self._live.discard(speech)
        if not self._live:
            self._backlog_s = dict.fromkeys(self._pools, 0.0)  # sums of floats drift
        self._ended.set()

    def job(self, speech: _Speech, *, due_s: float, audio_s: float, urgent: bool, content: str | Line) -> Job:
        """A job of that speech."""
        request = speech.request
        return Job(
            next(self._ids),
            speech,
            request.voice.id,
            request.speed,
            request.pitch_semitones,
            20 * math.log10(request.volume),
            urgent,
            due_s,
            request.priority,
            audio_s,
            text=content if isinstance(content, str) else "",
            phones=b"" if isinstance(content, str) else content.phones,
        )

    @property
    def run_ahead(self) -> int:
        """Lines of one speech that may be made before they are wanted."""
        return self._settings.run_ahead


class _Line:
    """One line of a speech: its job, and the audio that has come and is not yet taken."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.pieces: deque[Pcm] = deque()


class _Speech:
    """A request on its way: the `Speech` that its caller iterates over, and the listener of its jobs."""

    def __init__(self, request: SpeechRequest, gateway: SpeechGateway) -> None:
        self.request = request
        self.timings = Timings()
        self.unspoken: tuple[str, ...] = ()
        self._gateway = gateway
        self._lines: deque[_Line] = deque()  # made or being made, in order; the first is the one that is heard
        self._script: tuple[Line, ...] = ()  # what is read
        self._started_lines = 0
        self._due_s = 0.0
        self._owed_s = 0.0
        self._error: TTSError | None = None
        self._news = asyncio.Event()
        self._complete = False

    @property
    def voice(self) -> Voice:
        """Who speaks."""
        return self.request.voice

    async def __aenter__(self) -> Self:
        metrics = self._gateway.metrics
        try:
            self._pool = self._gateway.admit(self)
        except TTSError:
            metrics.outcome("rejected")
            raise
        metrics.accepted()
        loop = asyncio.get_running_loop()
        self._accepted_s = time.monotonic()
        self._due_s = loop.time()
        self._deadline = loop.call_later(self.request.deadline_s, self._expire)
        size = len(self.request.text.encode()) * AUDIO_S_PER_BYTE / self.request.speed
        self._owe(size)
        first_s = min(size, FIRST_LINE_BYTES * AUDIO_S_PER_BYTE / self.request.speed)
        try:
            self._start(self.request.text, first_s)
        except TTSError:
            self._leave("failed")
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._complete:
            self._leave("done")
        elif self._error is None:
            self._leave("cancelled")
        else:
            self._leave("expired" if isinstance(self._error, DeadlineExceeded) else "failed")

    async def __aiter__(self) -> AsyncIterator[Pcm]:
        """The audio, line after line with the silences between."""
        said = 0
        while True:
            line = self._lines[0]
            while not line.pieces:
                if self._error is not None:
                    raise self._error
                if line.job.state is JobState.DONE:
                    break
                self._news.clear()
                await self._news.wait()
            if line.pieces:
                yield line.pieces.popleft()
                continue
            self._lines.popleft()
            said += 1
            if said == len(self._script):
                self._complete = True
                return
            self._run_ahead()
            yield self._silence(self._script[said - 1].pause_after_s)

    # --- listening to jobs ------------------------------------------------------------------------------------------

    def script(self, script: Script) -> None:
        """The text is read: the other lines can be spoken."""
        self.timings.queue_s = script.started_s - self._accepted_s
        self.timings.read_s = script.read_s
        self._gateway.metrics.queued(self.timings.queue_s)
        self.unspoken = script.unspoken
        self._gateway.metrics.unspoken(len(script.unspoken))
        self._script = script.lines
        self._owe(sum(map(self._seconds, script.lines)) - self._owed_s)
        self._run_ahead()

    def audio(self, job: Job, pcm: Pcm, *, infer_s: float) -> None:
        """Samples for one of the lines."""
        self.timings.infer_s += infer_s
        if len(pcm):
            self._owe(-min(self._owed_s, len(pcm) / self.voice.sample_rate_hz))
            next(line for line in self._lines if line.job is job).pieces.append(pcm)
        self._news.set()

    def failed(self, job: Job, error: TTSError) -> None:  # noqa: ARG002  (whichever it was, the answer cannot be whole)
        """A line cannot be spoken, so there is no whole answer."""
        self.fail(error)

    def fail(self, error: TTSError) -> None:
        """End it by an error, which the caller meets after the audio that he has."""
        if self._error is None and not self._complete:
            self._error = error
            self._cancel_jobs()
            self._news.set()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _start(self, content: str | Line, audio_s: float) -> None:
        urgent = self.request.streamed and self._started_lines == 0
        job = self._gateway.job(self, due_s=self._due_s, audio_s=audio_s, urgent=urgent, content=content)
        self._pool.submit(job)
        self._lines.append(_Line(job))
        self._started_lines += 1
        if self.request.streamed:
            self._due_s += audio_s * CUSHION

    def _run_ahead(self) -> None:
        """Have further lines made, but not more than its share."""
        try:
            while self._started_lines < len(self._script) and len(self._lines) <= self._gateway.run_ahead:
                line = self._script[self._started_lines]
                self._start(line, self._seconds(line))
        except TTSError as error:
            self.fail(error)

    def _seconds(self, line: Line) -> float:
        return len(line.phones) / PHONE_BYTES * AUDIO_S_PER_PHONE / self.request.speed

    def _silence(self, seconds: float) -> Pcm:
        return np.zeros(round(seconds / self.request.speed * self.voice.sample_rate_hz), np.int16)

    def _owe(self, audio_s: float) -> None:
        self._owed_s += audio_s
        self._gateway.owe(self.voice.engine, audio_s)

    def _expire(self) -> None:
        self.fail(DeadlineExceeded(f"the deadline of {self.request.deadline_s:g} s passed before all was spoken"))

    def _cancel_jobs(self) -> None:
        for line in self._lines:
            self._pool.cancel(line.job)

    def _leave(self, outcome: Outcome) -> None:
        self._deadline.cancel()
        self._cancel_jobs()
        self._owe(-self._owed_s)
        self._gateway.ended(self)
        self._gateway.metrics.outcome(outcome)


def _load_pack(name: str, folder: Path) -> packs.Pack:
    try:
        return packs.load_pack(Path(name) if "/" in name else folder / name)
    except packs.PackError as error:
        raise StartError(str(error)) from error

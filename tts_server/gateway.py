"""The flow of one request: accept it, have its text read, its lines spoken, and give the audio out in order."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from itertools import cycle, islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from inference import pack as packs
from inference.cores import choose, divide, usable_cores, usable_cpus
from inference.protocol import Line, Script, WorkerSpec, phone_ends
from inference.zygote import PRELOAD, Zygote
from shm import segment
from tts_server.cache import Cache, code_fingerprint, key
from tts_server.errors import DeadlineExceeded, EngineUnavailable, QueueFull, ShuttingDown, TTSError
from tts_server.logs import get_logger
from tts_server.pool import Pool, StartError, shared_memory_bytes
from tts_server.speech import Pcm, Reuse, Speech, SpeechRequest, SpokenWord, Timings, Voice
from tts_server.take import Reading, Take, Takes
from tts_server.trace import Work, current

if TYPE_CHECKING:
    from inference.engine import Engine
    from tts_server.config import Settings
    from tts_server.metrics import Metrics

__all__ = ["SpeechGateway", "StartError"]

CUSHION: Final = 0.5
"""A later line is due when this share of the audio before it would have been heard. So it is, too, where the answer is
wanted whole: else the lines of a book would all go before a greeting that comes later."""

ZYGOTE_EVERY_S: Final = 1.0
"""Between two looks at it, in a thread: a tenth of a millisecond each."""
DOUBT: Final = 1.25
"""By how much an estimate of time may be too small. Who is let in and then expires has cost others their time."""
PATIENCE_S: Final = 1.0
"""How much earlier others may have come that a request passes by having an early deadline; who gives a minute or more
has all this patience. Half a step of priority: haste passes no VIP."""
PATIENT_S: Final = 60.0
_EVERYBODY: Final = 99
"""Beyond any priority: before who has it everybody is spoken to."""

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
        self.cache: Final = Cache(settings, metrics)
        self._takes: dict[str, Takes] = {}
        self._zygote = Zygote(() if load else PRELOAD, load_s=settings.start_timeout_s)
        self._keeper: asyncio.Task[None] | None = None
        self._live: set[_Speech] = set()
        self._draining = False
        self._ended = asyncio.Event()

    async def start(self) -> None:
        """Start every engine, and wait until each of their workers has spoken. StartError says why it cannot be."""
        loaded = [
            await asyncio.to_thread(_load_pack, name, self._settings.voices_dir) for name in self._settings.engines
        ]
        fingerprints = await asyncio.to_thread(_fingerprints, loaded, self._load)
        cores = cores_of_workers(self._settings)
        express = await asyncio.to_thread(cores_of_express, self._settings, cores)
        try:
            express = _require_memory(self._settings, cores, express)
        except segment.SegmentError as error:
            raise StartError(str(error)) from error
        for pack in loaded:
            spec = WorkerSpec(pack.folder, self._settings.cache_dir, nice=self._settings.worker_nice, load=self._load)
            self._pools[pack.name] = Pool(pack.name, spec, cores, self._settings, self.metrics, self._zygote, express)
            self._takes[pack.name] = Takes(self._pools[pack.name], self.cache)
        self._voices = tuple(
            Voice(s.name, pack.name, s.gender, s.languages, s.description, pack.sample_rate_hz, fingerprints[pack.name])
            for pack in loaded
            for s in pack.speakers
        )
        self.cache.start()
        self._keeper = asyncio.create_task(self._keep_zygote())
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
        error = ShuttingDown("the server shut down before this was finished", retry_after_s=1.0)
        return sum(speech.fail(error) for speech in list(self._live))

    async def stop(self) -> None:
        """End the workers."""
        if self._keeper is not None:
            self._keeper.cancel()
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()), self.cache.close())
        await asyncio.to_thread(self._zygote.close)

    async def _keep_zygote(self) -> None:
        """Have one at hand when a worker dies: it takes a second or two to load."""
        while True:
            await asyncio.sleep(ZYGOTE_EVERY_S)
            try:
                await asyncio.to_thread(self._zygote.revive)
            except OSError as error:
                log.error("no zygote", exc_info=error)  # noqa: TRY400  (with why)

    # --- the contract -----------------------------------------------------------------------------------------------

    def voices(self) -> tuple[Voice, ...]:
        """Every voice of every engine, the default engine's first."""
        return self._voices

    def speak(self, request: SpeechRequest) -> AbstractAsyncContextManager[Speech]:
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

    def admit(self, speech: _Speech) -> Takes:
        """Let it in, or refuse it by a TTSError."""
        request = speech.request
        pool = self._pools[request.voice.engine]
        if self._draining and not request.promised:
            raise ShuttingDown("the server is shutting down; another instance may serve this", retry_after_s=1.0)
        if not pool.ready_within(self._settings.max_queue_s, request.priority):
            raise EngineUnavailable(f"no worker of engine {pool.engine} is up; one is being started", retry_after_s=1.0)
        wait_s = pool.seconds_for(self._owed_before_s(pool, request.priority), request.priority)
        own_s = 0.0 if request.streamed else pool.seconds_for(request.audio_s, request.priority)
        # Where nobody waits, it is tried, however short its time is.
        bound_s = min(self._settings.max_queue_s, max(0.0, request.deadline_s / DOUBT - own_s))
        if wait_s > bound_s or len(self._live) >= self._settings.max_queued:
            raise QueueFull(
                f"{len(self._live)} requests are being served and it would take {wait_s:.1f} s until yours is spoken; "
                "come back later",
                retry_after_s=max(0.5, wait_s - bound_s),
            )
        self._live.add(speech)
        return self._takes[pool.engine]

    @property
    def wait_s(self) -> float:
        """How long a new request would wait to be taken up, about, by the engine with most to do."""
        return max(
            (
                pool.seconds_for(self._owed_before_s(pool, priority), priority)
                for pool in self._pools.values()
                for priority in (0, _EVERYBODY)
            ),
            default=0.0,
        )

    def _owed_before_s(self, pool: Pool, priority: int) -> float:
        """Audio that is made before a new request of that priority, by the workers that it will have."""
        beside = priority > 0 and pool.express_up  # of VIPs, who have others: their part shows in the pace
        return self._takes[pool.engine].owed_s(1 if beside else 0, priority)

    @property
    def depth(self) -> int:
        """Jobs that wait for a worker."""
        return sum(pool.depth for pool in self._pools.values())

    def ended(self, speech: _Speech) -> None:
        """It needs nothing any more."""
        self._live.discard(speech)
        self._ended.set()

    def run_ahead(self, engine: str) -> int:
        """Lines of one speech that may be made before they are wanted: enough for every worker to have one."""
        return max(self._settings.run_ahead, self._pools[engine].size)


class _Speech:
    """A request on its way: the `Speech` that its caller iterates over; it waits for takes of its lines."""

    def __init__(self, request: SpeechRequest, gateway: SpeechGateway) -> None:
        self.request = request
        self._timings = Timings()
        self.unspoken: tuple[str, ...] = ()
        self.words: list[SpokenWord] = []
        self._given_samples = 0
        self._gateway = gateway
        self._reading: Reading | None = None
        self._script: tuple[Line, ...] = ()  # what is read
        self._lines: deque[Take] = deque()  # of those not yet heard; the first is the one that is heard
        self._started_lines = 0  # of them
        self._heard_lines = 0
        self._reused_lines = 0  # of those that were heard
        self._due_s = 0.0
        self._error: TTSError | None = None
        self._news = asyncio.Event()
        self._listening = False  # whether the caller waits for audio; else he has some, or does not listen
        self._came_s = 0.0  # when audio came last; 0 if there has been none
        self._begun_s = 0.0  # when it came first
        self._complete = False
        self._noted: Work | None = None

    @property
    def voice(self) -> Voice:
        """Who speaks."""
        return self.request.voice

    @property
    def timings(self) -> Timings:
        """So far."""
        self._timings.waiting = not self._came_s and (not self._lines or self._lines[0].waits)
        work = self._lines[0] if self._lines else self._reading
        self._timings.suspected = work is not None and work.suspected
        return self._timings

    @property
    def reuse(self) -> Reuse:
        """How much was there already; of lines that are not made yet, what is known now."""
        reused = self._reused_lines + sum(map(self._is_reused, self._lines))
        return "MISS" if reused == 0 else "HIT" if reused == len(self._script) else "PARTIAL"

    async def __aenter__(self) -> Self:
        self._takes = self._gateway.admit(self)
        loop = asyncio.get_running_loop()
        self._accepted_s = time.monotonic()
        if trace := current():
            self._noted = trace.work(self.request)
        self._due_s = loop.time() + PATIENCE_S * min(1.0, self.request.deadline_s / PATIENT_S)
        self._deadline = loop.call_later(self.request.deadline_s, self._expire)
        try:
            self._begin()
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    async def __aiter__(self) -> AsyncIterator[Pcm]:
        """The audio, line after line with the silences between."""
        while not self._script:
            await self._hear_more()
        while True:
            take, heard = self._lines[0], 0
            self._start(take)  # again, if it was a refrain that has been let go
            while heard < len(take.pieces) or not take.done:
                if self._error is not None and not self.request.streamed:
                    raise self._error  # half of it is of no use to who wants it whole
                if heard < len(take.pieces):
                    if heard == 0 and self.request.timestamps:
                        self._tell_words(take)
                    self._given_samples += len(take.pieces[heard])
                    yield take.pieces[heard]
                    heard += 1
                else:
                    await self._hear_more()
            self._reused_lines += self._is_reused(take)
            self._next_line()
            if not self._lines:
                self._complete = True
                return
            self._run_ahead()
            silence = self._silence(self._script[self._heard_lines - 1].pause_after_s)
            self._given_samples += len(silence)
            yield silence
            await asyncio.sleep(0)  # a long text from the cache must not keep others waiting

    # --- waiting for readings and takes -----------------------------------------------------------------------------

    def read(self, script: Script, first: Take | None) -> None:
        """The text is read: its lines can be spoken."""
        self._reading = None
        metrics = self._gateway.metrics
        if first is not None:  # a worker has read it now
            self.timings.queue_s = max(0.0, script.started_s - self._accepted_s)
            self.timings.read_s = script.read_s
            metrics.queued(self.timings.queue_s)
            if self._noted is not None:
                self._noted.read(script.started_s, script.read_s)
        self.unspoken = script.unspoken
        metrics.unspoken(len(script.unspoken))
        self._script = script.lines
        manner = self._takes.of(self.request)
        self._lines.extend(
            first if first and not number else self._takes.take(self.request, manner, line)
            for number, line in enumerate(script.lines)
        )
        for take in self._lines:
            take.join(self)
        self._run_ahead()
        self._news.set()

    def heard(self, infer_s: float) -> None:
        """One of the lines has more audio."""
        self.timings.infer_s += infer_s
        if self._noted is not None:
            self._noted.heard(infer_s)
        self._came_s = asyncio.get_running_loop().time()
        self._begun_s = self._begun_s or self._came_s
        self._news.set()

    def failed(self, error: TTSError) -> None:
        """A line cannot be spoken, so there is no whole answer."""
        self.fail(error)

    def fail(self, error: TTSError) -> bool:
        """End it by an error, which the caller meets after the audio that he has; False if it has ended already."""
        if self._error is not None or self._complete:
            return False
        self._error = error
        self._drop()
        self._news.set()
        return True

    # --- inside -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if (script := self._takes.script(self.request)) is not None:
            self.read(script, None)
        else:
            self._reading = self._takes.reading(self.request)
            self._reading.join(self)
            self._start(self._reading)

    async def _hear_more(self) -> None:
        if self._error is not None:
            raise self._error
        self._news.clear()
        self._listening = True
        await self._news.wait()
        self._listening = False

    def _start(self, work: Reading | Take) -> None:
        urgent = self.request.streamed and self._heard_lines + self._started_lines == 0
        work.start(self, due_s=self._due_s, urgent=urgent, priority=self.request.priority)

    def _run_ahead(self) -> None:
        """Have further lines made, but not more than its share."""
        ahead = self._gateway.run_ahead(self.voice.engine) + 1
        while self._error is None and self._started_lines < min(len(self._lines), ahead):
            take = self._lines[self._started_lines]
            self._start(take)
            self._started_lines += 1
            self._due_s += take.seconds * CUSHION

    def _next_line(self) -> None:
        self._lines.popleft().leave(self)
        self._started_lines -= 1
        self._heard_lines += 1

    def _tell_words(self, take: Take) -> None:
        ends, text = phone_ends(take.timing), self.request.text
        if not ends:
            return  # an engine that does not know
        rate_hz, given = self.voice.sample_rate_hz, self._given_samples
        marks = memoryview(self._script[self._heard_lines].marks).cast("I")
        for at in range(0, len(marks), 4):
            start, end, first, last = marks[at : at + 4]
            start_s, end_s = ((given + ends[phone - 1]) / rate_hz for phone in (first, last))
            self.words.append(SpokenWord(text[start:end], start_s, end_s, start, end))

    def _is_reused(self, take: Take) -> bool:
        return take.found or take.asker not in {None, self}

    def _silence(self, seconds: float) -> Pcm:
        return np.zeros(round(seconds / self.request.speed * self.voice.sample_rate_hz), np.int16)

    def _expire(self) -> None:
        """The deadline has come. A stream that has begun goes on for as long as its audio keeps coming, and its caller
        may take his time: he hears it as it is spoken. He waits only when he has heard all that he was given.
        """
        if self.request.streamed and self._came_s:
            loop = asyncio.get_running_loop()
            heard_s = self._begun_s + self._given_samples / self.voice.sample_rate_hz
            since_s = loop.time() - max(self._came_s, heard_s) if self._listening else 0.0
            if since_s < self.request.deadline_s:
                self._deadline = loop.call_later(self.request.deadline_s - since_s, self._expire)
                return
        self.fail(DeadlineExceeded(f"the deadline of {self.request.deadline_s:g} s passed before all was spoken"))

    def _drop(self) -> None:
        """Wait for nothing any more."""
        if self._reading is not None:
            self._reading.leave(self)
        for take in self._lines:
            take.leave(self)

    def _leave(self) -> None:
        self._deadline.cancel()
        self._drop()
        if self._noted is not None and not self._came_s:
            self._noted.given_up()
        self._gateway.ended(self)


def cores_of_workers(settings: Settings) -> tuple[tuple[int], ...]:
    """A core for each worker of an engine, from this instance's share."""
    try:
        order = choose(len(settings.cores or usable_cores()), settings.cores)
    except ValueError as error:
        raise StartError(str(error)) from error
    cpus = max(1, math.floor(usable_cpus()))  # a container may have more cores than time to use them
    count = settings.workers or len(divide(order[:cpus], *settings.instance))
    return tuple((core,) for core in choose(count, divide(order, *settings.instance)))


def cores_of_express(settings: Settings, cores: tuple[tuple[int], ...]) -> tuple[tuple[int], ...]:
    """A core for each express worker: without keys nobody goes before others. Looks for a file."""
    count = settings.express_workers
    if count is None:
        count = 0
        with suppress(OSError):  # whoever reads the keys tells why they cannot be read
            count = len(cores) if settings.keys_path.exists() else 0
    return tuple(islice(cycle(cores), count))


def _require_memory(
    settings: Settings, cores: tuple[tuple[int], ...], express: tuple[tuple[int], ...]
) -> tuple[tuple[int], ...]:
    """The express workers that shared memory has room for: all, or none if nobody insists. SegmentError if it has none
    for the others, or for those that were asked for.
    """
    engines = len(settings.engines)
    try:
        segment.require(shared_memory_bytes((len(cores) + len(express)) * engines))
    except segment.SegmentError:
        if settings.express_workers is not None or not express:
            raise
        segment.require(shared_memory_bytes(len(cores) * engines))
        log.warning("no express workers: too little shared memory", engines=engines, workers=len(cores))
        return ()
    return express


def _load_pack(name: str, folder: Path) -> packs.Pack:
    try:
        return packs.load_pack(Path(name) if "/" in name else folder / name)
    except packs.PackError as error:
        raise StartError(str(error)) from error


def _fingerprints(loaded: Sequence[packs.Pack], load: Callable[[WorkerSpec], Engine] | None) -> dict[str, str]:
    """Pack by pack, a hash over all that its sound depends on. Reads files."""
    other = f"{load.__module__}.{load.__qualname__}" if load else ""
    code = code_fingerprint()
    return {pack.name: key("voice", code, other, pack.manifest.read_bytes()) for pack in loaded}

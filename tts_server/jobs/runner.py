"""Speaks the jobs, a few at once and behind everybody who waits for an answer.

Of several servers on one state folder the one that holds the lock runs them. The kernel drops the lock with its
process, so a successor knows that nobody runs what the store says is running.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import numpy as np

from tts_server.audio import AudioError, Pcm
from tts_server.caller import LOWEST_PRIORITY
from tts_server.errors import DeadlineExceeded, DiskFull, InvalidRequest, NotFound, TTSError
from tts_server.jobs import files
from tts_server.jobs.pieces import Pause, next_piece
from tts_server.jobs.record import Job, JobState
from tts_server.jobs.store import Store, StoreThread
from tts_server.logs import get_logger
from tts_server.speech import Gateway, SpeechRequest, Voice

P = ParamSpec("P")
T = TypeVar("T")

PRIORITY: Final = LOWEST_PRIORITY
"""As if it had come a while later (`batcher.PRIORITY_STEP_S`): whoever waits for an answer goes first, and yet a busy
server does not forget the jobs."""
_PIECE_DEADLINE_S: Final = 300.0
"""For a minute of audio. A server that needs longer is too busy; the piece is tried again."""
_LOOK_AGAIN_S: Final = 1.0
"""For jobs that another server accepted, or cancelled, and for the lock of one that died."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0  # before a piece that was refused is tried again
_SWEEP_S: Final = 60.0
_FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL_BYTES: Final = 1 << 20  # libsndfile does not say why it could not write; less than this left says it
_NICE: Final = 10  # encoding a book must not hold up the event loop

_AT_ONCE: Final = 500  # names in one question to the store: its statements have a bound

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How jobs are run."""

    at_once: int
    piece_characters: int
    """The longest text that the gateway takes."""
    ttl_s: float


@dataclass(frozen=True, slots=True)
class _Run:
    """One job that runs."""

    task: asyncio.Task[None]
    stop: threading.Event
    """For what a thread does for it."""


class _NotWanted(Exception):
    """The job was cancelled, here or by another server."""


class Runner:
    """Runs jobs. `told` hears of every change of one, and of the end that it has come to; `counted`, how many wait."""

    def __init__(
        self,
        store: StoreThread,
        folder: Path,
        gateway: Gateway,
        told: Callable[[Job, JobState | None], None],
        counted: Callable[[Mapping[str, int]], None],
        bounds: Bounds,
    ) -> None:
        self._store = store
        self._folder = folder
        self._gateway = gateway
        self._told = told
        self._counted = counted
        self._bounds = bounds
        self._runs: dict[str, _Run] = {}
        self._news = asyncio.Event()
        self._stopping = False

    def look(self) -> None:
        """There may be another job."""
        self._news.set()

    def cancel(self, job_id: str) -> None:
        """Nobody wants that job any more: the store knows it."""
        if run := self._runs.get(job_id):
            run.stop.set()
            run.task.cancel()

    async def run(self, beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take jobs and run them until cancelled; then put back what is not finished.

        What goes on `beside` is likewise for one server alone.
        """
        lock = await asyncio.to_thread(os.open, self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._threads = ThreadPoolExecutor(self._bounds.at_once, "jobs", initializer=_be_nice)
        try:
            while not _locked(lock):  # noqa: ASYNC110  (to be told of a lock, a thread would have to wait for it)
                await asyncio.sleep(_LOOK_AGAIN_S)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(beside())
                    group.create_task(self._work())
            finally:
                await self._stop()
        finally:
            os.close(lock)

    async def _work(self) -> None:
        if resumed := await self._store.run(Store.put_back):
            log.info("jobs resumed", jobs=resumed)
        sweep_s = 0.0
        while True:
            self._news.clear()
            if time.monotonic() >= sweep_s:
                await self._sweep()
                sweep_s = time.monotonic() + _SWEEP_S
            while len(self._runs) < self._bounds.at_once and (taken := await self._store.run(Store.take)):
                self._start(*taken)
            self._counted(await self._store.run(Store.unfinished))
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._news.wait()

    async def _stop(self) -> None:
        self._stopping = True
        for job_id in self._runs:
            self.cancel(job_id)
        if self._runs:
            await asyncio.wait([run.task for run in self._runs.values()])
        self._stopping = False
        await asyncio.to_thread(self._threads.shutdown)
        try:
            await self._store.run(Store.put_back)
        except TTSError as error:  # then the next holder of the lock does it
            log.warning("jobs not put back", code=error.code)

    async def _sweep(self) -> None:
        """Forget what has expired, and remove files that nobody has a use for."""
        if swept := await self._store.run(Store.sweep, time.time() - self._bounds.ttl_s):
            log.info("jobs expired", jobs=swept)
        there = sorted(await self._in_thread(files.job_ids, self._folder))
        for start in range(0, len(there), _AT_ONCE):
            some = there[start : start + _AT_ONCE]
            keepers = await self._store.run(Store.keepers, some)
            for job_id in {*some} - keepers - {*self._runs}:
                await self._in_thread(files.remove, self._folder, job_id)

    # One job

    def _start(self, job: Job, text: str) -> None:
        stop = threading.Event()
        task = asyncio.create_task(self._see_through(job, text, stop))
        self._runs[job.id] = _Run(task, stop)
        task.add_done_callback(lambda _: self._ended(job.id))
        self._told(job, None)

    def _ended(self, job_id: str) -> None:
        run = self._runs.pop(job_id)
        if not run.task.cancelled() and (error := run.task.exception()):  # it stays `running`, for the next start
            log.error("job left unfinished", job=job_id, exc_info=error)
        self._news.set()

    async def _see_through(self, job: Job, text: str, stop: threading.Event) -> None:
        """Run one job to whatever end it has."""
        failure: TTSError
        try:
            try:
                await self._speak(job, text)
            except files.LostAudio:
                log.warning("job begins again", job=job.id)
                await self._speak(replace(job, spoken_characters=0, samples=0, pause=Pause.NONE), text)
            await self._complete(job, stop)
        except (asyncio.CancelledError, _NotWanted):
            if not self._stopping:
                await self._in_thread(files.remove, self._folder, job.id)
            return
        except TTSError as error:
            failure = error
        except (OSError, AudioError) as error:
            failure = await self._explained(error)
        except Exception as error:  # whatever one job does, the others must go on
            log.error("job failed unexpectedly", job=job.id, exc_info=error)  # noqa: TRY400  (our logger has no other)
            failure = TTSError("something went wrong in the server; its log tells more")
        else:
            return
        await self._in_thread(files.remove, self._folder, job.id)  # first, for the note of it may need the room
        if await self._surely(Store.fail, job, failure.body()["error"]):
            log.warning("job failed", job=job.id, code=failure.code)
            self._told(job, JobState.FAILED)

    async def _speak(self, job: Job, text: str) -> None:
        """Speak what is not yet spoken of it, and make sure of each piece before the next."""
        audio = files.Growing(self._folder, job)
        at, samples, pause = job.spoken_characters, job.samples, job.pause
        try:
            await self._in_thread(audio.open)
            while at < len(text):
                piece = next_piece(text, at, self._bounds.piece_characters)
                if said := await self._say(job, at, text[at : piece.end]):
                    silence_s = pause.seconds / job.manner.speed if samples else 0.0
                    silence = np.zeros(round(silence_s * job.manner.sample_rate_hz), np.int16)
                    samples += await self._in_thread(audio.append, [silence, *said])
                    pause = piece.pause
                else:
                    pause = max(pause, piece.pause)
                at = piece.end
                if not await self._surely(Store.advance, job, at, samples, pause):
                    raise _NotWanted
                self._told(job, None)
        finally:
            await self._in_thread(audio.close)
        if not samples:
            raise InvalidRequest("the text has nothing that can be spoken", param="text", code="nothing_to_say")

    async def _say(self, job: Job, at: int, text: str) -> list[Pcm]:
        """The audio of a piece, at the job's rate; none if there is nothing to say in it."""
        if text.isspace():
            return []
        manner = job.manner
        request = SpeechRequest(
            f"{job.id}/{at}",
            text,
            self._voice(job),
            manner.speed,
            manner.volume,
            manner.pitch_semitones,
            deadline_s=_PIECE_DEADLINE_S,
            priority=PRIORITY,
            may_reuse=False,  # a book would drive out of the cache what callers ask for again and again
        )
        try:
            said, rate_hz = await self._patiently(lambda: self._ask(request))
        except InvalidRequest as error:
            if error.code == "nothing_to_say":
                return []
            raise InvalidRequest(
                f"{error.message} (in the part of the text from character {at} on)", code=error.code, param="text"
            ) from error
        if rate_hz == manner.sample_rate_hz:
            return said
        return await self._in_thread(files.resampled, said, rate_hz, manner.sample_rate_hz)

    async def _ask(self, request: SpeechRequest) -> tuple[list[Pcm], int]:
        async with self._gateway.speak(request) as speech:
            return [pcm async for pcm in speech], speech.voice.sample_rate_hz

    def _voice(self, job: Job) -> Voice:
        wanted = (job.manner.voice, job.manner.engine)
        for voice in self._gateway.voices():
            if (voice.id, voice.engine) == wanted:
                return voice
        raise NotFound(f"there is no voice {wanted[0]} of engine {wanted[1]} any more", code="voice_not_found")

    async def _complete(self, job: Job, stop: threading.Event) -> None:
        size = await self._patiently(lambda: self._in_thread(files.complete, self._folder, job, stop))
        if not await self._surely(Store.finish, job, size):
            raise _NotWanted
        log.info("job done", job=job.id, bytes=size)
        self._told(job, JobState.DONE)
        await self._in_thread(files.settle, self._folder, job)

    async def _explained(self, error: OSError | AudioError) -> TTSError:
        free_bytes = await self._in_thread(files.free_bytes, self._folder)
        if (isinstance(error, OSError) and error.errno in _FULL_DISK) or free_bytes < _FULL_BYTES:
            return DiskFull("the server's disk was full before all was spoken; send the job again later")
        log.error("job failed on its file", exc_info=error)
        return TTSError(f"the audio could not be written: {type(error).__name__}")

    # Doing things surely

    async def _surely(self, call: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the store, again and again while its disk is full or fails."""
        return await self._patiently(lambda: self._store.run(call, *args, **kwargs))

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try again while that may help; for as long as a result is kept, and then its error is raised."""
        until_s = time.monotonic() + self._bounds.ttl_s
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return await attempt()
            except TTSError as error:
                if not (error.retriable or isinstance(error, DeadlineExceeded)) or time.monotonic() > until_s:
                    raise
                log.debug("job waits", code=error.code)
                asked_s = error.retry_after_s or 0.0
            await asyncio.sleep(min(_LONGEST_WAIT_S, max(wait_s, asked_s)) * random.uniform(0.8, 1.2))
            wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a thread do it. Cancelled, it still waits for the end: two must never write one file."""
        doing = asyncio.wrap_future(self._threads.submit(call, *args, **kwargs))
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.wait({doing})
            with suppress(Exception):
                doing.result()
            raise


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _be_nice() -> None:
    thread = threading.get_native_id()
    with suppress(OSError):  # some sandboxes forbid it
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICE, os.getpriority(os.PRIO_PROCESS, thread)))

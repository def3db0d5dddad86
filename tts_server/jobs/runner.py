"""Speaks the jobs, a few at once and behind everybody who waits for an answer.

Which server may do so, and what becomes of the jobs of one that died, is the store's to know (`store.py`).
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import numpy as np

from tts_server.audio import AudioError, Pcm
from tts_server.caller import LOWEST_PRIORITY
from tts_server.errors import DeadlineExceeded, DiskFull, InvalidRequest, JobsUnavailable, NotFound, TTSError
from tts_server.jobs import files
from tts_server.jobs.pieces import Pause, next_piece
from tts_server.jobs.record import Job, JobState
from tts_server.jobs.store import JobStore
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
"""For jobs that another server accepted, or cancelled, or left behind."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0  # before a piece that was refused is tried again
_SWEEP_S: Final = 60.0
_TIDY_S: Final = 10.0
"""How long a deleted text may still lie in a log. More often, and the disk would be asked for more than the jobs do."""
_ROOM_WAIT_S: Final = 600.0
"""How long a job waits for room that others have taken. It may keep all other jobs waiting, and a log that has filled
the disk does not go away by itself: then it fails, and what it took is free."""
_ROOM_AGAIN_S: Final = 2.0
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
    reserve_bytes: int
    """Of the disk, which are not for jobs."""


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
        store: JobStore,
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
        self._runs: dict[tuple[str, int], _Run] = {}
        """By job and claim: a job that was lost may come back while its old run still ends."""
        self._left: set[str] = set()
        """Jobs that failed in a way that nobody could note: they rest until the next start."""
        self._news = asyncio.Event()
        self._stopping = False

    def look(self) -> None:
        """There may be another job."""
        self._news.set()

    def cancel(self, job_id: str) -> None:
        """Nobody wants that job any more: the store knows it."""
        for (running, _), run in self._runs.items():
            if running == job_id:
                run.stop.set()
                run.task.cancel()

    async def run(self, beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take jobs and run them until cancelled; then what is not finished is queued again.

        What goes on `beside` is likewise for who may run jobs.
        """
        async with self._store.leading():
            self._threads = ThreadPoolExecutor(self._bounds.at_once, "jobs", initializer=_be_nice)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(beside())
                    group.create_task(self._work())
                    group.create_task(self._clean())
            finally:
                await self._stop()

    async def _work(self) -> None:
        away = False
        while True:
            self._news.clear()
            try:
                await self._look_round()
                away = False
            except TTSError as error:  # what runs goes on
                if not away:
                    log.warning("no job is begun for a while", code=error.code, reason=error.message)
                away = True
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._news.wait()

    async def _look_round(self) -> None:
        kept = await self._store.keep_up({*self._running(), *self._left})
        if kept.resumed:
            log.info("jobs resumed", jobs=kept.resumed)
        for job_id in kept.lost:
            self._left.discard(job_id)
            self.cancel(job_id)
        while len(self._runs) < self._bounds.at_once and (job := await self._store.take()):
            self._start(job)
        self._counted(await self._store.unfinished())

    async def _stop(self) -> None:
        self._stopping = True
        for job_id in self._running():
            self.cancel(job_id)
        if self._runs:
            await asyncio.wait([run.task for run in self._runs.values()])
        self._stopping = False
        self._left.clear()
        await asyncio.to_thread(self._threads.shutdown)

    async def _clean(self) -> None:
        """Remove what is of no use any more. Apart from the rest, for it may take long."""
        sweep_s = 0.0
        while True:
            try:
                if time.monotonic() >= sweep_s:
                    await self._sweep()
                    sweep_s = time.monotonic() + _SWEEP_S
                await self._store.tidy()
            except (TTSError, OSError) as error:
                log.warning("jobs not cleaned up", reason=str(error))
            await asyncio.sleep(_TIDY_S)

    async def _sweep(self) -> None:
        """Forget what has expired, and remove files that nobody has a use for."""
        if not await self._store.may_sweep():
            return
        if swept := await self._store.sweep(time.time() - self._bounds.ttl_s):
            log.info("jobs expired", jobs=swept)
        there: dict[str, list[files.Name]] = {}
        for name in await self._in_thread(files.names, self._folder):
            there.setdefault(name.job_id, []).append(name)
        ids = sorted({*there} - self._running())
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            jobs = await self._store.some(some)
            strange = [name for job_id in some if job_id not in jobs for name in there[job_id]]
            useless = [name for job_id in some if job_id in jobs for name in there[job_id]]
            useless = [name for name in useless if not name.is_of_use(jobs[name.job_id])]
            strangers_since_s = time.time() - self._store.strangers_stay_s
            useless += await self._in_thread(files.old, self._folder, strange, strangers_since_s)
            await self._in_thread(files.remove_files, self._folder, useless)

    # One job

    def _start(self, job: Job) -> None:
        stop = threading.Event()
        task = asyncio.create_task(self._see_through(job, stop))
        self._runs[job.id, job.claim] = _Run(task, stop)
        task.add_done_callback(lambda _: self._ended(job))
        self._told(job, None)

    def _running(self) -> set[str]:
        return {job_id for job_id, _ in self._runs}

    def _ended(self, job: Job) -> None:
        run = self._runs.pop((job.id, job.claim))
        if not run.task.cancelled() and (error := run.task.exception()):
            self._left.add(job.id)
            log.error("job left unfinished", job=job.id, exc_info=error)
        self._news.set()

    async def _see_through(self, job: Job, stop: threading.Event) -> None:
        """Run one job to whatever end it has."""
        failure: TTSError
        try:
            text = await self._patiently(lambda: self._store.text(job))
            try:
                samples = await self._speak(job, text)
            except files.LostAudio:
                log.warning("job begins again", job=job.id)
                samples = await self._speak(replace(job, spoken_characters=0, samples=0, pause=Pause.NONE), text)
            await self._complete(job, samples, stop)
        except (asyncio.CancelledError, _NotWanted):
            if not self._stopping:
                await self._drop(job)
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
        await self._in_thread(files.remove_claim, self._folder, job.id, job.claim, None)  # the note may need the room
        told = failure.body()["error"]
        if await self._patiently(lambda: self._store.fail(job, told)):
            log.warning("job failed", job=job.id, code=failure.code)
            self._told(job, JobState.FAILED)
        await self._drop(job)

    async def _drop(self, job: Job) -> None:
        """Remove what we wrote of it, unless it is still of use."""
        try:
            now = await self._store.get(job.id)
        except TTSError:  # the sweep does it
            return
        for claim in {job.claim, job.file}:
            if claim == job.claim or now is None or now.state.ended:
                await self._in_thread(files.remove_claim, self._folder, job.id, claim, now)

    async def _speak(self, job: Job, text: str) -> int:
        """Speak what is not yet spoken of it, and make sure of each piece before the next; its samples are so many."""
        audio = files.Growing(self._folder, job)
        at, samples, pause = job.spoken_characters, job.samples, job.pause
        left_behind = range(job.claim)  # the claims before, of whose files none is of use once ours is noted
        try:
            await self._in_thread(audio.open)
            while at < len(text):
                piece = next_piece(text, at, self._bounds.piece_characters)
                if said := await self._say(job, at, text[at : piece.end]):
                    silence_s = pause.seconds / job.manner.speed if samples else 0.0
                    silence = np.zeros(round(silence_s * job.manner.sample_rate_hz), np.int16)
                    samples += await self._with_room(partial(self._append, audio, [silence, *said]))
                    pause = piece.pause
                else:
                    pause = max(pause, piece.pause)
                at = piece.end
                if await self._note(job, at, samples, pause) and left_behind:
                    whole = replace(job, file=job.claim)
                    for claim in left_behind:
                        await self._in_thread(files.remove_claim, self._folder, job.id, claim, whole)
                    left_behind = range(0)
        finally:
            await self._in_thread(audio.close)
        if not samples:
            raise InvalidRequest("the text has nothing that can be spoken", param="text", code="nothing_to_say")
        return samples

    async def _note(self, job: Job, at: int, samples: int, pause: Pause) -> bool:
        """Say how far it is; whether that was heard. If not, the next time will do: speaking goes on."""
        try:
            if not await self._store.advance(job, at, samples, pause):
                raise _NotWanted
        except (JobsUnavailable, DiskFull) as error:
            log.debug("progress not noted", job=job.id, code=error.code)
            return False
        self._told(job, None)
        return True

    def _append(self, audio: files.Growing, pieces: Sequence[Pcm]) -> Awaitable[int]:
        return self._in_thread(_append, self._folder, audio, pieces, self._bounds.reserve_bytes)

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

    async def _complete(self, job: Job, samples: int, stop: threading.Event) -> None:
        reserve_bytes = self._bounds.reserve_bytes
        size = await self._with_room(
            lambda: self._patiently(lambda: self._in_thread(files.complete, self._folder, job, stop, reserve_bytes))
        )
        if not await self._patiently(lambda: self._store.finish(job, samples, size)):
            raise _NotWanted
        log.info("job done", job=job.id, bytes=size)
        self._told(job, JobState.DONE)
        await self._drop(job)  # the samples, if the result is another file

    async def _explained(self, error: OSError | AudioError) -> TTSError:
        free_bytes = await self._in_thread(files.free_bytes, self._folder)
        if (isinstance(error, OSError) and files.is_full(error)) or free_bytes < _FULL_BYTES:
            return DiskFull("the server's disk was full before all was spoken; send the job again later")
        log.error("job failed on its file", exc_info=error)
        return TTSError(f"the audio could not be written: {type(error).__name__}")

    # Doing things surely

    async def _with_room(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Wait while there is no room on the disk for what it writes; in the end NoRoom."""
        until_s = time.monotonic() + _ROOM_WAIT_S
        while True:
            try:
                return await attempt()
            except files.NoRoom:
                if time.monotonic() > until_s:
                    raise
                log.debug("job waits for room on the disk")
            await asyncio.sleep(_ROOM_AGAIN_S)

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


def _append(folder: Path, audio: files.Growing, pieces: Sequence[Pcm], reserve_bytes: int) -> int:
    if files.free_bytes(folder) - sum(pcm.nbytes for pcm in pieces) < reserve_bytes:
        raise files.NoRoom
    return audio.append(pieces)


def _be_nice() -> None:
    thread = threading.get_native_id()
    with suppress(OSError):  # some sandboxes forbid it
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICE, os.getpriority(os.PRIO_PROCESS, thread)))

"""The workers of one engine: what goes to them, what comes back, and what happens when one dies.

STARTING ─► READY ─► DRAINING ─► gone        a dead or hung one is gone from any state, and another is started
"""

from __future__ import annotations

import asyncio
import enum
from collections import OrderedDict, deque
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil

from inference import protocol, run_worker
from inference.protocol import BEAT, Cancel, Chunk, Code, Failure, Ready, Script, Stop, WorkerSpec
from shm.channel import Channel, memory_bytes
from shm.segment import SegmentError
from tts_server.batcher import Batcher, Limits
from tts_server.errors import EngineFailed, InvalidRequest, TTSError
from tts_server.job import Job, JobState
from tts_server.logs import get_logger
from tts_server.metrics import WorkerStat

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from tts_server.config import Settings
    from tts_server.metrics import Metrics

JOBS_BYTES: Final = 1 << 20
"""Ring to a worker: a text of 5,000 characters takes 20 kB, and a worker holds a few."""
RESULTS_BYTES: Final = 1 << 22
"""Ring from a worker: ninety seconds of audio, so that it never waits for a busy event loop. A container's 64 MiB of
shared memory hold a dozen workers."""

DEATHS: Final = 3
"""Workers that may die of one job, before it is taken for poisonous. Once and twice may be chance."""
REMEMBERED_POISON: Final = 1024
POISON_S: Final = 600.0
"""How long a poisonous text is refused at the door: its caller will try again, and each try costs three workers."""

FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 10.0
"""Before a dead worker is replaced: at once at first, then twice as long each time, so that one which cannot live does
not burn the machine by trying."""
STEADY_S: Final = 30.0
"""A worker that has lived so long had a good start: the next delay is the first again."""

GOODBYE_S: Final = 1.0
"""For a worker to finish its step and go; then it is killed."""

_SPAWN: Final = get_context("spawn")
_COLLECT: Final = 256  # records read before other things have a turn on the event loop

log = get_logger(__name__)


class StartError(Exception):
    """The workers do not come up; the message says why."""


class WorkerState(enum.Enum):
    """Where a worker is in its life."""

    STARTING = enum.auto()
    READY = enum.auto()
    DRAINING = enum.auto()


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker process, as the server sees it."""

    number: int
    channel: Channel
    process: SpawnProcess
    started_s: float
    state: WorkerState = WorkerState.STARTING
    held: dict[int, Job] = field(default_factory=dict)
    alone: bool = False
    """Whether it speaks a job that others died of: no other shares that risk."""
    ready: Ready | None = None
    beat: int = 0
    beat_s: float = 0.0

    @property
    def held_audio_s(self) -> float:
        return sum(job.audio_s for job in self.held.values())


class Pool:
    """Everything of one engine in the server's process. All methods run on the event loop."""

    def __init__(
        self, engine: str, spec: WorkerSpec, cores: tuple[tuple[int, ...], ...], settings: Settings, metrics: Metrics
    ) -> None:
        self.engine = engine
        self.sample_rate_hz = 0
        """Of its audio; known once it has started."""
        self._spec = spec
        self._cores = cores
        self._settings = settings
        self._metrics = metrics
        self._limits = Limits(settings.max_batch_size, settings.max_batch_audio_s, settings.max_batch_wait_ms / 1000)
        self._batcher: Batcher[Job] = Batcher(self._limits)
        self._suspects: deque[Job] = deque()
        self._poison: OrderedDict[int, float] = OrderedDict()
        self._workers: dict[int, _Worker] = {}
        self._delays_s = [FIRST_DELAY_S] * len(cores)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._cost = 0.01  # seconds of a worker for a second of audio; measured as it goes
        self._last_words = ""
        self._stopping = False

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start every worker and wait until each has spoken; StartError if they do not come up in time."""
        self._loop = asyncio.get_running_loop()
        for number in range(len(self._cores)):
            self._spawn_soon(number, 0.0)
        self._run(self._watch())
        try:
            async with asyncio.timeout(self._settings.start_timeout_s):
                while sum(worker.state is WorkerState.READY for worker in self._workers.values()) < len(self._cores):
                    self._changed.clear()
                    await self._changed.wait()
                    if max(self._delays_s) > FIRST_DELAY_S * 2**DEATHS:
                        raise StartError(
                            f"the workers of engine {self.engine} die as they start; their own words are above"
                        )
        except TimeoutError:
            raise StartError(
                f"the workers of engine {self.engine} were not ready within {self._settings.start_timeout_s:g} s; "
                "is the machine very busy? Give them longer with --start-timeout-s"
            ) from None

    async def stop(self) -> None:
        """End every worker. Jobs that are still here fail."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer:
            self._timer.cancel()
        workers = list(self._workers.values())
        for worker in workers:
            self._dismiss(worker)  # its end of the bell falls silent, and it goes by itself
        for worker in workers:
            await asyncio.to_thread(worker.process.join, GOODBYE_S)
            await self._bury(worker.process)
        while rest := [*self._suspects, *self._batcher.take(room=len(self._batcher))]:
            self._suspects.clear()
            for job in rest:
                if job.live:
                    self._fail(job, EngineFailed("the server has stopped"))

    @property
    def ready(self) -> bool:
        """Whether somebody can speak."""
        return any(worker.state is WorkerState.READY for worker in self._workers.values())

    def pids(self) -> Iterator[tuple[int, int]]:
        """Number and process of each worker that is up."""
        for worker in self._workers.values():
            if worker.process.pid is not None:
                yield worker.number, worker.process.pid

    def stats(self) -> Iterator[WorkerStat]:
        """For the metrics."""
        for number, pid in self.pids():
            yield WorkerStat(self.engine, number, pid)

    # --- jobs -------------------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Jobs that wait for a worker."""
        return len(self._batcher) + len(self._suspects)

    def seconds_for(self, audio_s: float) -> float:
        """How long the workers will take for so much audio, going by what they did last."""
        up = sum(worker.state is WorkerState.READY for worker in self._workers.values())
        return audio_s * self._cost / max(1, up)

    def submit(self, job: Job) -> None:
        """Queue a job. TTSError if workers have died of the same text lately."""
        self._refuse_poison(job)
        self._queue(job)
        self._dispatch()

    def cancel(self, job: Job) -> None:
        """Drop a job; nothing, if it has ended."""
        if not job.live:
            return
        if job.state is JobState.QUEUED:
            if not self._batcher.remove(job):
                self._suspects.remove(job)
        else:
            worker = next((worker for worker in self._workers.values() if job.id in worker.held), None)
            if worker:  # else it has just died, and the job would be failed next
                self._forget(worker, job)
                worker.channel.send(protocol.encode(Cancel(job.id)))
        job.move(JobState.CANCELLED)
        self._dispatch()

    def _queue(self, job: Job) -> None:
        if job.deaths:
            self._suspects.append(job)
        else:
            self._batcher.add(job, due_s=job.due_s, priority=job.priority, audio_s=job.audio_s, now_s=self._loop.time())
        self._metrics.queue_depth(self.engine, self.depth)

    def _dispatch(self) -> None:
        """Give out what waits, as far as workers have room for it. Never waits."""
        workers = [
            worker for worker in self._workers.values() if worker.state is WorkerState.READY and not worker.alone
        ]
        idle = [worker for worker in workers if not worker.held]
        while idle and self._suspects:
            worker = idle.pop()
            worker.alone = True
            self._send(worker, [self._suspects.popleft()])
        while idle and self._batcher:
            shares = len(idle)
            worker = idle.pop()
            self._send(worker, self._batcher.take(shares=shares, room=self._room(worker)))
        now_s = self._loop.time()
        for worker in sorted(workers, key=lambda worker: worker.held_audio_s):
            # One batch ahead of the one it speaks, so that it need not wait for this loop in between.
            if self._batcher.closed(now_s) and worker.held_audio_s < self._limits.audio_s and self._room(worker):
                self._send(worker, self._batcher.take(room=self._room(worker)))
        self._metrics.queue_depth(self.engine, self.depth)
        self._wake_at(self._batcher.closes_at_s() if any(self._room(worker) for worker in workers) else None)

    def _room(self, worker: _Worker) -> int:
        assert worker.ready is not None, "only a ready worker is sent jobs: this is a bug"  # noqa: S101
        return 0 if worker.alone else min(worker.ready.capacity, 2 * self._limits.jobs) - len(worker.held)

    def _send(self, worker: _Worker, batch: list[Job]) -> None:
        for job in batch:
            job.move(JobState.DISPATCHED)
            worker.held[job.id] = job
            order = protocol.Job(
                job.id,
                job.speaker,
                job.speed,
                job.pitch_semitones,
                job.gain_db,
                job.urgent,
                job.samples,
                job.text,
                job.phones,
            )
            worker.channel.send(protocol.encode(order))
        self._metrics.batch_sent(self.engine, len(batch))

    def _wake_at(self, when_s: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        # A batch that is due already was not given out for want of room: whoever makes room looks again.
        ahead = when_s is not None and when_s > self._loop.time()
        self._timer = self._loop.call_at(when_s, self._dispatch) if when_s is not None and ahead else None

    # --- results ----------------------------------------------------------------------------------------------------

    def _heard(self, worker: _Worker) -> None:
        """The worker has rung: records, room in its ring, or its end."""
        alive = worker.channel.bell.hear()
        if alive:
            worker.channel.flush()
        more = self._collect(worker)
        if not alive:
            while more:
                more = self._collect(worker)
            self._lost(worker, "recycled" if worker.state is WorkerState.DRAINING else "died")
            return
        if more:
            self._loop.call_soon(self._heard_again, worker)
        self._dispatch()

    def _heard_again(self, worker: _Worker) -> None:
        if self._workers.get(worker.number) is worker:
            self._heard(worker)

    def _collect(self, worker: _Worker) -> bool:
        """Take the worker's records; whether there may be more."""
        records = worker.channel.receive(_COLLECT)
        for record in records:
            message = protocol.decode(record)
            match message:
                case Chunk():
                    self._audio(worker, message)
                case Script():
                    self._script(worker, message)
                case Failure():
                    self._failure(worker, message)
                case Ready():
                    self._is_ready(worker, message)
        if records:
            worker.channel.release(len(records))
        return len(records) == _COLLECT

    def _audio(self, worker: _Worker, chunk: Chunk) -> None:
        job = worker.held.get(chunk.job_id)
        if job is None:  # cancelled while the chunk was under way
            return
        pcm = np.frombuffer(chunk.pcm, np.int16).copy()  # the ring's memory is given back
        job.samples += len(pcm)
        if chunk.last:
            self._forget(worker, job)
            job.move(JobState.DONE)
        audio_s = len(pcm) / self.sample_rate_hz
        if audio_s > 0.2:  # shorter ones say more about overhead
            self._cost += 0.05 * (chunk.infer_s / audio_s - self._cost)
        self._metrics.chunk(self.engine, chunk.infer_s, audio_s)
        job.listener.audio(job, pcm, infer_s=chunk.infer_s)

    def _script(self, worker: _Worker, script: Script) -> None:
        job = worker.held.get(script.job_id)
        if job is not None and not job.was_read:  # read again after a death, it says the same
            job.was_read = True
            job.listener.script(script)

    def _failure(self, worker: _Worker, failure: Failure) -> None:
        job = worker.held.get(failure.job_id)
        if job is not None:
            self._forget(worker, job)
            self._fail(job, _error(failure))

    def _forget(self, worker: _Worker, job: Job) -> None:
        del worker.held[job.id]
        if not worker.held:
            worker.alone = False

    def _fail(self, job: Job, error: TTSError) -> None:
        job.move(JobState.FAILED)
        job.listener.failed(job, error)

    # --- birth and death --------------------------------------------------------------------------------------------

    def _spawn_soon(self, number: int, delay_s: float) -> None:
        self._run(self._spawn(number, delay_s))

    async def _spawn(self, number: int, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            channel, address = Channel.create(to_guest_bytes=JOBS_BYTES, to_host_bytes=RESULTS_BYTES)
        except SegmentError as error:  # somebody else fills the shared memory; it may be given back
            log.warning("no memory for a worker", engine=self.engine, worker=number, error=str(error))
            self._spawn_soon(number, LONGEST_DELAY_S)
            return
        spec = replace(self._spec, cores=self._cores[number])
        process = _SPAWN.Process(
            target=run_worker, args=(spec, address), name=f"tts-{self.engine}-{number}", daemon=True
        )
        try:
            await asyncio.to_thread(process.start)
        except BaseException:
            channel.close()
            raise
        finally:
            address.bell.close()  # or the worker's end would not be heard
        worker = _Worker(number, channel, process, self._loop.time())
        self._workers[number] = worker
        self._loop.add_reader(channel.bell.fileno(), self._heard, worker)

    def _is_ready(self, worker: _Worker, ready: Ready) -> None:
        worker.ready = ready
        worker.state = WorkerState.READY
        worker.beat_s = self._loop.time()
        self.sample_rate_hz = ready.sample_rate_hz
        log.info(
            "worker ready",
            engine=self.engine,
            worker=worker.number,
            pid=worker.process.pid,
            seconds=round(self._loop.time() - worker.started_s, 2),
        )
        self._changed.set()

    def _lost(self, worker: _Worker, reason: str) -> None:
        """The worker is dead, or as good as dead. Its jobs go on elsewhere, and another takes its place."""
        suspects = protocol.running_jobs(worker.channel.board)
        held = list(worker.held.values())
        lived_s = self._loop.time() - worker.started_s
        self._dismiss(worker)
        self._run(self._bury(worker.process))
        log.warning("worker lost", engine=self.engine, worker=worker.number, reason=reason, jobs=len(held))
        self._metrics.worker_restarted(self.engine, reason)
        if worker.state is WorkerState.STARTING and self._spec.cache_dir:
            log.warning("weights are not shared any more, should they be what it died of", engine=self.engine)
            self._spec = replace(self._spec, cache_dir=None)
        for job in held:
            job.deaths += reason != "recycled" and (suspects is None or job.id in suspects)
        repeatable = worker.ready is not None and worker.ready.repeatable
        doomed = [job for job in held if job.deaths >= DEATHS or (job.samples and not repeatable)]
        for job in held:
            if job not in doomed:
                job.move(JobState.QUEUED)
                self._queue(job)
        for job in doomed:
            if job.live:  # the failure of one may cancel its fellows
                self._give_up(job)
        delay_s = FIRST_DELAY_S if lived_s > STEADY_S else self._delays_s[worker.number]
        self._delays_s[worker.number] = min(delay_s * 2, LONGEST_DELAY_S)
        self._spawn_soon(worker.number, 0.0 if reason == "recycled" else delay_s)
        self._changed.set()
        self._dispatch()

    def _give_up(self, job: Job) -> None:
        if job.deaths < DEATHS:
            self._fail(job, EngineFailed("the engine crashed in the middle of this text"))
            return
        self._poison[_content(job)] = self._loop.time() + POISON_S
        while len(self._poison) > REMEMBERED_POISON:
            self._poison.popitem(last=False)
        log.error("poisonous text", engine=self.engine, job=job.id, deaths=job.deaths)
        self._fail(job, EngineFailed(f"the engine crashed {DEATHS} times on this text and will not try it again"))

    def _refuse_poison(self, job: Job) -> None:
        until_s = self._poison.get(_content(job)) if self._poison else None
        if until_s is None:
            return
        if self._loop.time() < until_s:
            raise EngineFailed(f"the engine crashed {DEATHS} times on this text lately and will not try it again")
        del self._poison[_content(job)]

    def _dismiss(self, worker: _Worker) -> None:
        """Cut every tie to a worker but its process."""
        del self._workers[worker.number]
        self._loop.remove_reader(worker.channel.bell.fileno())
        worker.channel.close()

    async def _bury(self, process: SpawnProcess) -> None:
        process.kill()
        await asyncio.to_thread(process.join)
        process.close()

    # --- watching ---------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look after the workers: those that hang, and those that have grown too big."""
        period_s = min(1.0, self._settings.hang_s / 4)
        while True:
            await asyncio.sleep(period_s)
            for worker in list(self._workers.values()):
                worker.channel.flush()  # see `Consumer.release`
                if reason := self._why_hung(worker):
                    worker.process.kill()
                    while self._collect(worker):
                        pass
                    self._lost(worker, reason)
            await self._recycle()

    def _why_hung(self, worker: _Worker) -> str | None:
        now_s = self._loop.time()
        if worker.state is WorkerState.STARTING:
            return "start" if now_s - worker.started_s > self._settings.start_timeout_s else None
        if not worker.held:
            worker.channel.bell.ring()  # one without work sleeps, and answers by a beat
        beat = worker.channel.board[BEAT]
        if beat != worker.beat:
            worker.beat, worker.beat_s = beat, now_s
        return "hung" if now_s - worker.beat_s > self._settings.hang_s else None

    async def _recycle(self) -> None:
        """Let a worker finish and go, that has grown beyond its bound; one at a time."""
        if any(worker.state is not WorkerState.READY for worker in self._workers.values()):
            return
        sizes = await asyncio.to_thread(_resident_bytes, [pid for _, pid in self.pids()])
        for worker in self._workers.values():
            grown = sizes.get(worker.process.pid or 0, 0)
            if worker.state is WorkerState.READY and grown > self._settings.worker_max_rss_mib << 20:
                log.warning("worker too big", engine=self.engine, worker=worker.number, mib=grown >> 20)
                worker.state = WorkerState.DRAINING
                worker.channel.send(protocol.encode(Stop()))
                return

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def shared_memory_bytes(workers: int) -> int:
    """Shared memory that so many workers need."""
    return workers * memory_bytes(JOBS_BYTES, RESULTS_BYTES)


def _error(failure: Failure) -> TTSError:
    match failure.code:
        case Code.NOTHING_TO_SAY:
            return InvalidRequest(failure.message, code="nothing_to_say")
        case Code.BAD_OVERRIDE:
            return InvalidRequest(failure.message, code="invalid_reading")
        case Code.TOO_LONG:
            return InvalidRequest(failure.message, code="sentence_too_long")
        case Code.ENGINE:
            log.error("engine failed", job=failure.job_id, error=failure.message)
            return EngineFailed("the engine failed on this text")


def _content(job: Job) -> int:
    return hash((job.text, job.phones))


def _resident_bytes(pids: list[int]) -> dict[int, int]:
    sizes = {}
    for pid in pids:
        with suppress(psutil.Error):
            sizes[pid] = psutil.Process(pid).memory_info().rss
    return sizes

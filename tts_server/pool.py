"""The workers of one engine: what goes to them, what comes back, and what happens when one dies.

STARTING ─► READY ─► DRAINING ─► gone        a dead or hung one is gone from any state, and another is started
"""

from __future__ import annotations

import asyncio
import enum
import math
import signal
import time
from collections import OrderedDict, deque
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil

from inference import protocol
from inference.engine import turn_s
from inference.protocol import BEAT, Cancel, Chunk, Code, Failure, Ready, Script, Stop, WorkerSpec
from inference.zygote import WorkerProcess, Zygote
from shm.channel import Channel, memory_bytes
from tts_server.batcher import Batcher, Limits
from tts_server.errors import POISONOUS, EngineFailed, InvalidRequest, TTSError
from tts_server.job import Job, JobState
from tts_server.logs import get_logger
from tts_server.metrics import WorkerStat

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.metrics import Metrics

JOBS_BYTES: Final = 1 << 20
"""Ring to a worker: a text of 5,000 characters takes 20 kB, and a worker holds a few."""
RESULTS_BYTES: Final = 1 << 22
"""Ring from a worker: ninety seconds of audio, so that it never waits for a busy event loop. A container's 64 MiB of
shared memory hold a dozen workers."""

DEATHS: Final = 3
"""Workers that may die of one job, before it is taken for poisonous. Once and twice may be chance."""
REMEMBERED_TEXTS: Final = 1024
POISON_S: Final = 600.0
"""How long deaths are held against a text: its caller will try again, and each try costs workers."""

FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 10.0
"""Before a dead worker is replaced: at once if it has ever been ready; else twice as long each time, so that one which
cannot start does not burn the machine by trying."""
BAD_STARTS: Final = 2
"""Of workers that load shared weights; after so many in a row they are no longer shared."""
REMEMBERED_CANCELS: Final = 64
"""Of each worker: it may still be busy with a job that nobody wants any more, and die of it."""

GROWTH: Final = 1.25
"""A worker may grow by a quarter whatever the setting says: a new one in its place would be as big."""
PACE_OVER_S: Final = 2.0
"""Of audio, over which the pace of a worker is measured: a few lines."""
PACE_LASTS_S: Final = 5.0
"""A pace is forgotten when nobody has been busy for so long: what slowed the machine may have gone."""
AHEAD: Final = 1 / 3
"""Of a batch: a worker that holds less than this is given the next one. It is the time in which the event loop hears of
what was made, some milliseconds of work; what is given earlier, nobody else can take up."""
GOODBYE_S: Final = 1.0
"""For a worker to finish its step and go; then it is killed."""

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
    process: WorkerProcess
    pid: int
    started_s: float
    state: WorkerState = WorkerState.STARTING
    held: dict[int, Job] = field(default_factory=dict)
    cancelled: OrderedDict[int, int] = field(default_factory=OrderedDict)
    """The last jobs that were cancelled here, and what they said."""
    express: bool = False
    """Whether it is for callers of priority 0 alone, and outranks the others."""
    alone: bool = False
    """Whether it speaks a job that others died of: no other shares that risk."""
    ready: Ready | None = None
    smallest_bytes: int = 0
    """Its memory when it was first looked at."""
    beat: int = 0
    beat_s: float = 0.0
    working_s: float | None = None
    """Since when it has worked without a stop, and its pace was not looked at; None if it has nothing to do."""
    made_s: float = 0.0
    """Audio that it has made since."""

    @property
    def held_audio_s(self) -> float:
        return sum(job.audio_s for job in self.held.values())


@dataclass(slots=True)
class _Pace:
    """Seconds by the clock for a second of audio, of workers that did not stop: others may take their cores."""

    seconds: float = 0.0
    measured_s: float = -math.inf
    """When that was last measured."""


class Pool:
    """Everything of one engine in the server's process. All methods run on the event loop."""

    def __init__(
        self,
        engine: str,
        spec: WorkerSpec,
        cores: tuple[tuple[int, ...], ...],
        settings: Settings,
        metrics: Metrics,
        zygote: Zygote,
        express: tuple[tuple[int, ...], ...] = (),
    ) -> None:
        """One worker for each of `cores`, forked from `zygote`; and one for each of `express`, for callers of priority
        0 alone, whom the system's scheduler lets go first: what others are being told in mid-step is not waited for.
        """
        self.engine = engine
        self.sample_rate_hz = 0
        """Of its audio; known once it has started."""
        self._zygote = zygote
        self._spec = spec
        self._cores = cores + express
        self._ordinary = len(cores)
        self._has_express = bool(express)
        self._settings = settings
        self._metrics = metrics
        self._limits = Limits(settings.max_batch_size, settings.max_batch_audio_s, settings.max_batch_wait_ms / 1000)
        self._batcher: Batcher[Job] = Batcher(self._limits)
        self._express: Batcher[Job] = Batcher(self._limits)
        self._suspects: deque[Job] = deque()
        self._deaths: OrderedDict[int, tuple[int, float]] = OrderedDict()  # of which content, how many, until when
        self._workers: dict[int, _Worker] = {}
        self._delays_s = [FIRST_DELAY_S] * len(self._cores)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._cost = 0.01  # seconds of a worker for a second of audio; measured as it goes
        self._paces = {express: _Pace() for express in (False, True)}  # one of them takes cores from the other
        self._bad_starts = 0
        self._ready_s = -math.inf  # when somebody was last seen ready

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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer:
            self._timer.cancel()
        workers = list(self._workers.values())
        jobs = [job for worker in workers for job in worker.held.values()]
        jobs += [*self._suspects, *self._batcher.clear(), *self._express.clear()]
        self._suspects.clear()
        for worker in workers:
            worker.held.clear()
            self._dismiss(worker)  # its end of the bell falls silent, and it goes by itself
        for job in jobs:
            if job.live:
                self._fail(job, EngineFailed("the server has stopped"))
        await asyncio.to_thread(_join, [worker.process for worker in workers], GOODBYE_S)
        await asyncio.gather(*(self._bury(worker.process) for worker in workers))

    @property
    def ready(self) -> bool:
        """Whether somebody can speak, to everybody."""
        return self._up(express=False) > 0

    @property
    def express_up(self) -> bool:
        """Whether a worker is up that is for callers of priority 0 alone."""
        return self._up(express=True) > 0

    def _up(self, *, express: bool) -> int:
        return sum(worker.state is WorkerState.READY and worker.express is express for worker in self._workers.values())

    @property
    def size(self) -> int:
        """Workers there are for everybody when all is well."""
        return self._ordinary

    def ready_within(self, seconds: float, priority: int) -> bool:
        """Whether somebody can speak to such a caller, or could so lately that a successor is likely to be up soon."""
        now_s = self._loop.time()
        if self.ready:
            self._ready_s = now_s
        return now_s - self._ready_s <= seconds or (priority == 0 and self.express_up)

    def pids(self) -> Iterator[tuple[int, int]]:
        """Number and process of each worker that is up."""
        for worker in list(self._workers.values()):  # metrics ask from another thread
            yield worker.number, worker.pid

    def stats(self) -> Iterator[WorkerStat]:
        """For the metrics."""
        for number, pid in self.pids():
            yield WorkerStat(self.engine, number, pid)

    # --- jobs -------------------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Jobs that wait for a worker."""
        return len(self._batcher) + len(self._express) + len(self._suspects)

    def seconds_for(self, audio_s: float, priority: int) -> float:
        """How long the workers of callers of that priority will take for so much audio, going by what they did last."""
        express = self._up(express=True) if priority == 0 else 0
        up = max(express, self._up(express=False))  # a core with no express worker serves everybody
        pace, cost = self._paces[express > 0], self._cost
        if self._loop.time() - pace.measured_s < PACE_LASTS_S:
            cost = max(cost, pace.seconds)
        return audio_s * cost / max(1, up)

    def suspects(self, job: Job) -> bool:
        """Whether workers have died lately of what it says."""
        return self._deaths_of(job) > 0

    def submit(self, job: Job) -> None:
        """Queue a job. TTSError if workers have died of the same text lately."""
        if self._deaths_of(job) >= DEATHS:
            raise _poisonous()
        self._queue(job)
        self._dispatch()

    def cancel(self, job: Job) -> None:
        """Drop a job; nothing, if it has ended."""
        if not job.live:
            return
        if job.state is JobState.QUEUED:
            if not (self._batcher.remove(job) or self._express.remove(job)):
                with suppress(ValueError):  # being failed this very moment
                    self._suspects.remove(job)
        else:
            worker = next((worker for worker in self._workers.values() if job.id in worker.held), None)
            if worker:  # else it has just died, and the job would be failed next
                self._forget(worker, job)
                worker.cancelled[job.id] = job.content
                if len(worker.cancelled) > REMEMBERED_CANCELS:
                    worker.cancelled.popitem(last=False)
                worker.channel.send(protocol.encode(Cancel(job.id)))
        job.move(JobState.CANCELLED)
        self._dispatch()

    def _queue(self, job: Job) -> None:
        if self._deaths_of(job):
            self._suspects.append(job)
        else:
            batcher = self._express if job.priority == 0 and self._has_express else self._batcher
            batcher.add(job, due_s=job.due_s, priority=job.priority, audio_s=job.audio_s, now_s=self._loop.time())
        self._metrics.queue_depth(self.engine, self.depth)

    def _dispatch(self) -> None:
        """Give out what waits, as far as workers have room for it. Never waits."""
        ready = [worker for worker in self._workers.values() if worker.state is WorkerState.READY and not worker.alone]
        workers = [worker for worker in ready if not worker.express]
        idle = [worker for worker in workers if not worker.held]
        while idle and self._suspects:
            job = self._suspects.popleft()
            if self._deaths_of(job) >= DEATHS:  # others died of the same in the meantime
                self._fail(job, _poisonous())
                continue
            worker = idle.pop()
            worker.alone = True
            self._send(worker, [job])
        busy = sum(bool(worker.held) for worker in workers if self._wants_more(worker))  # for long enough yet
        while idle and self._batcher:
            shares = len(idle) + busy
            worker = idle.pop()
            self._send(worker, self._take(self._batcher, worker, shares))
        self._pass_others(self._batcher, workers)
        self._send_express([worker for worker in ready if worker.express], workers)
        now_s = self._loop.time()
        for worker in sorted(workers, key=lambda worker: worker.held_audio_s):
            # The next batch before it has spoken this one, so that it need not wait for this loop in between; but while
            # a suspect waits for a worker without work, there must come to be one.
            ahead = worker.held and not self._suspects and self._wants_more(worker)
            if ahead and self._batcher.closed(now_s) and self._room(worker):
                self._send(worker, self._take(self._batcher, worker, shares=len(workers)))
        self._metrics.queue_depth(self.engine, self.depth)
        self._wake_at(self._batcher.closes_at_s() if any(self._room(worker) for worker in workers) else None)

    def _wants_more(self, worker: _Worker) -> bool:
        """Whether it will soon have nothing to do."""
        return worker.held_audio_s < AHEAD * self._limits.audio_s

    def _send_express(self, express: list[_Worker], others: list[_Worker]) -> None:
        """What has workers of its own goes to whoever of them has least to do. On cores where none of them is up, its
        turn comes with the other workers as everybody's; beside a busy one, it would wait there for a tenth of a core.
        """
        cores = {self._cores[worker.number] for worker in express}
        others = [worker for worker in others if self._cores[worker.number] not in cores]
        while self._express:
            may = [worker for worker in express if self._wants_more(worker) and self._room(worker)]
            may += [worker for worker in others if not worker.held]  # nothing else waits for those
            if not may:
                break
            worker = min(may, key=lambda worker: worker.held_audio_s)
            self._send(worker, self._take(self._express, worker, room=1))
        self._pass_others(self._express, express + others)

    def _pass_others(self, batcher: Batcher[Job], workers: list[_Worker]) -> None:
        """The most due job goes to a busy worker at once, if that would speak it before what it holds."""
        while (first := batcher.first()) is not None:
            hasty = first.urgent and not self._suspects  # for those, some worker must come to have nothing to do
            first_s = turn_s(first.rank_s, hasty=hasty)
            later = [
                worker
                for worker in workers
                if worker.held and self._room(worker) and first_s < min(job.rank_s for job in worker.held.values())
            ]
            if not later:
                return
            worker = min(later, key=lambda worker: worker.held_audio_s)
            self._send(worker, self._take(batcher, worker, room=1))

    def _take(self, batcher: Batcher[Job], worker: _Worker, shares: int = 1, room: int | None = None) -> list[Job]:
        """The next batch, without what has come under suspicion since it was queued: that is tried alone."""
        batch = batcher.take(shares=shares, room=self._room(worker) if room is None else room)
        suspects = [job for job in batch if self._deaths_of(job)]
        if suspects:
            self._suspects.extend(suspects)
            self._loop.call_soon(self._dispatch)
        return [job for job in batch if job not in suspects]

    def _room(self, worker: _Worker) -> int:
        assert worker.ready is not None, "only a ready worker is sent jobs: this is a bug"  # noqa: S101
        return 0 if worker.alone else min(worker.ready.capacity, 2 * self._limits.jobs) - len(worker.held)

    def _send(self, worker: _Worker, batch: list[Job]) -> None:
        if batch and worker.working_s is None:
            worker.working_s, worker.made_s = self._loop.time(), 0.0
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
                job.rank_s,
                job.marked,
            )
            worker.channel.send(protocol.encode(order))
        if batch:
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
        if more is None:
            self._lost(worker, "broken")
        elif alive:
            if more:
                self._loop.call_soon(self._heard_again, worker)
            self._dispatch()
        else:
            self._lost(worker, "died", collect=True)

    def _heard_again(self, worker: _Worker) -> None:
        if self._workers.get(worker.number) is worker:
            self._heard(worker)

    def _collect(self, worker: _Worker) -> bool | None:
        """Take the worker's records; whether there may be more, or None if what is there makes no sense."""
        try:
            records = worker.channel.receive(_COLLECT)
            for record in records:
                self._receive(worker, protocol.decode(record))
            if records:
                worker.channel.release(len(records))
        except Exception as error:  # its memory was damaged, or we have a bug: others must not suffer
            log.error("a worker's record makes no sense", engine=self.engine, worker=worker.number, exc_info=error)  # noqa: TRY400
            return None
        return len(records) == _COLLECT

    def _receive(self, worker: _Worker, message: object) -> None:
        match message:
            case Chunk():
                self._audio(worker, message)
            case Script():
                self._script(worker, message)
            case Failure():
                self._failure(worker, message)
            case Ready():
                self._is_ready(worker, message)

    def _audio(self, worker: _Worker, chunk: Chunk) -> None:
        job = worker.held.get(chunk.job_id)
        if job is None:  # cancelled while the chunk was under way
            return
        data = bytes(chunk.data)  # a copy: the ring's memory is given back
        pcm = np.frombuffer(data, np.int16, chunk.samples)
        job.samples += len(pcm)
        if chunk.last:
            self._forget(worker, job)
            job.move(JobState.DONE)
            self._deaths.pop(job.content, None)  # it was not this
        audio_s = len(pcm) / self.sample_rate_hz
        if audio_s > 0.2:  # shorter ones say more about overhead
            # one that was interrupted by the rest of the machine says little about the next
            self._cost += 0.05 * (min(chunk.infer_s / audio_s, 4 * self._cost) - self._cost)
        self._keep_pace(worker, audio_s)
        self._metrics.chunk(self.engine, chunk.infer_s, audio_s)
        job.listener.audio(job, pcm, infer_s=chunk.infer_s, timing=data[2 * chunk.samples :])

    def _keep_pace(self, worker: _Worker, audio_s: float) -> None:
        """A worker has made so much; how fast it goes shows while it has more to do."""
        if worker.working_s is None:
            return
        worker.made_s += audio_s
        if worker.made_s > PACE_OVER_S:
            now_s = self._loop.time()
            pace = self._paces[worker.express]
            known = pace.seconds if now_s - pace.measured_s < PACE_LASTS_S else self._cost
            taken = min((now_s - worker.working_s) / worker.made_s, 4 * known)  # as above
            pace.seconds, pace.measured_s = known + 0.2 * (taken - known), now_s
            worker.working_s, worker.made_s = now_s, 0.0

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
            if not (self._express if worker.express else self._batcher):  # else it is given more at once
                worker.working_s = None

    def _fail(self, job: Job, error: TTSError) -> None:
        job.move(JobState.FAILED)
        job.listener.failed(job, error)

    # --- birth and death --------------------------------------------------------------------------------------------

    def _spawn_soon(self, number: int, delay_s: float) -> None:
        self._run(self._spawn(number, delay_s))

    async def _spawn(self, number: int, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            worker = await self._start_worker(number)
        except Exception as error:  # no memory, no processes, no files: they may be given back
            log.error("a worker cannot be started", engine=self.engine, worker=number, exc_info=error)  # noqa: TRY400
            delay_s = self._delays_s[number]
            self._delays_s[number] = min(delay_s * 2, LONGEST_DELAY_S)
            self._spawn_soon(number, delay_s)
            return
        self._workers[number] = worker
        self._loop.add_reader(worker.channel.bell.fileno(), self._heard, worker)

    async def _start_worker(self, number: int) -> _Worker:
        channel, address = Channel.create(to_guest_bytes=JOBS_BYTES, to_host_bytes=RESULTS_BYTES)
        express = number >= self._ordinary
        nice = 0 if express else self._spec.nice
        spec = replace(self._spec, cores=self._cores[number], nice=nice, short_slices=express)
        starting = asyncio.ensure_future(asyncio.to_thread(self._zygote.fork, spec, address))
        try:
            process = await asyncio.shield(starting)
        except BaseException as error:
            channel.close()
            if isinstance(error, asyncio.CancelledError):  # in the middle of it: what is begun must be ended
                await asyncio.wait({starting})
                if starting.exception() is None:
                    await self._bury(starting.result())
            raise
        finally:
            address.bell.close()  # or the worker's end would not be heard
        return _Worker(number, channel, process, process.pid, self._loop.time(), express=express)

    def _is_ready(self, worker: _Worker, ready: Ready) -> None:
        worker.ready = ready
        worker.state = WorkerState.READY
        worker.beat_s = self._loop.time()
        if not worker.express:
            self._ready_s = worker.beat_s
        self._delays_s[worker.number] = FIRST_DELAY_S
        self._bad_starts = 0
        self.sample_rate_hz = ready.sample_rate_hz
        log.info(
            "worker ready",
            engine=self.engine,
            worker=worker.number,
            pid=worker.pid,
            seconds=round(self._loop.time() - worker.started_s, 2),
        )
        self._changed.set()

    def _lost(self, worker: _Worker, reason: str, *, collect: bool = False) -> None:
        """The worker is dead, or as good as dead. Its jobs go on elsewhere, and another takes its place."""
        worker.process.kill()
        while collect and self._collect(worker):  # what it has said is said
            pass
        running = protocol.running_jobs(worker.channel.board)
        held = list(worker.held.values())
        worker.held.clear()
        del self._workers[worker.number]
        if worker.state is WorkerState.DRAINING and not held and not running:
            reason = "recycled"
        self._blame(worker, held, running)
        repeatable = worker.ready is not None and worker.ready.repeatable
        doomed = [job for job in held if self._deaths_of(job) >= DEATHS or (job.samples and not repeatable)]
        for job in held:
            if job not in doomed:
                job.move(JobState.QUEUED)
                self._queue(job)
        for job in doomed:
            if job.live:  # the failure of one may cancel its fellows
                poisonous = self._deaths_of(job) >= DEATHS
                self._fail(job, _poisonous() if poisonous else EngineFailed("the engine crashed in mid-speech"))
        delay_s = self._delays_s[worker.number]
        if worker.state is WorkerState.STARTING:
            self._delays_s[worker.number] = min(delay_s * 2, LONGEST_DELAY_S)
        self._spawn_soon(worker.number, 0.0 if reason == "recycled" else delay_s)
        log.warning("worker lost", engine=self.engine, worker=worker.number, reason=reason, jobs=len(held))
        self._metrics.worker_restarted(self.engine, reason)
        self._hang_up(worker)
        self._run(self._bury(worker.process, starting=worker.state is WorkerState.STARTING))
        self._changed.set()
        self._dispatch()

    def _bad_start(self, *, killed: bool) -> None:
        self._bad_starts += not killed  # by an operator, or for want of memory: that says nothing about the weights
        if self._bad_starts >= BAD_STARTS and self._spec.cache_dir:
            log.warning("weights are not shared any more, should they be what workers die of", engine=self.engine)
            self._spec = replace(self._spec, cache_dir=None)

    def _blame(self, worker: _Worker, held: list[Job], running: tuple[int, ...] | None) -> None:
        """Hold the death against what the worker was busy with, wanted still or not."""
        contents = {job.id: job.content for job in held}
        blamed = contents if running is None else {id_: (contents | worker.cancelled).get(id_) for id_ in running}
        for content in {content for content in blamed.values() if content is not None}:
            count = self._deaths.pop(content, (0, 0.0))[0] + 1
            self._deaths[content] = count, self._loop.time() + POISON_S
            if count == DEATHS:
                log.error("poisonous text", engine=self.engine, deaths=count)
        while len(self._deaths) > REMEMBERED_TEXTS:
            self._deaths.popitem(last=False)

    def _deaths_of(self, job: Job) -> int:
        """Workers that died lately of what this job says."""
        count, until_s = self._deaths.get(job.content, (0, 0.0)) if self._deaths else (0, 0.0)
        return count if self._loop.time() < until_s else 0

    def _dismiss(self, worker: _Worker) -> None:
        """Cut every tie to a worker but its process."""
        del self._workers[worker.number]
        self._hang_up(worker)

    def _hang_up(self, worker: _Worker) -> None:
        self._loop.remove_reader(worker.channel.bell.fileno())
        try:
            worker.channel.close()
        except Exception as error:  # memory that is still looked at is given back later
            log.error("a worker's memory cannot be closed", worker=worker.number, exc_info=error)  # noqa: TRY400

    async def _bury(self, process: WorkerProcess, *, starting: bool = False) -> None:
        process.kill()
        await asyncio.to_thread(process.join)
        if starting:  # only now is it known what it died of
            self._bad_start(killed=process.exitcode == -signal.SIGKILL)

    # --- watching ---------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look after the workers: those that hang, and those that have grown too big."""
        period_s = min(1.0, self._settings.hang_s / 4)
        while True:
            due_s = self._loop.time() + period_s
            await asyncio.sleep(period_s)
            late = self._loop.time() - due_s > period_s  # all of us stood still: nobody's silence says anything
            try:
                for worker in list(self._workers.values()):
                    worker.channel.flush()  # see `Consumer.release`
                    if late:
                        worker.beat_s = self._loop.time()
                    if reason := self._why_hung(worker):
                        self._lost(worker, reason, collect=True)
                await self._recycle()
            except Exception as error:  # whatever it is, the watch goes on
                log.error("the watch over workers failed", engine=self.engine, exc_info=error)  # noqa: TRY400

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
        states = [worker.state for worker in self._workers.values()]
        if states != [WorkerState.READY] * len(self._cores):
            return
        sizes = await asyncio.to_thread(_resident_bytes, [pid for _, pid in self.pids()])
        for worker in self._workers.values():
            grown = sizes.get(worker.pid, 0)
            worker.smallest_bytes = worker.smallest_bytes or grown
            most = max(self._settings.worker_max_rss_mib << 20, round(GROWTH * worker.smallest_bytes))
            if worker.state is WorkerState.READY and grown > most:
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


def _poisonous() -> EngineFailed:
    return EngineFailed(
        f"the engine crashed {DEATHS} times on this text lately and will not try it again", code=POISONOUS
    )


def _join(processes: list[WorkerProcess], within_s: float) -> None:
    until_s = time.monotonic() + within_s
    for process in processes:
        process.join(max(0.0, until_s - time.monotonic()))


def _resident_bytes(pids: list[int]) -> dict[int, int]:
    sizes = {}
    for pid in pids:
        with suppress(psutil.Error):
            sizes[pid] = psutil.Process(pid).memory_info().rss
    return sizes

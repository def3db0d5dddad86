"""The jobs of one server, for the routes: accepted, asked after, listened to, cancelled; run in the background.

What is wrong with their folder or with Redis stops no server: jobs are refused, and tried again, and speech goes on.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from concurrent import futures
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tts_server.errors import DiskFull, JobsUnavailable, NotFound, QueueFull
from tts_server.jobs import files, store
from tts_server.jobs.callbacks import Messenger, Secrets, check_url
from tts_server.jobs.record import Job, JobState, Order, View, former_owner
from tts_server.jobs.room import estimate_bytes
from tts_server.jobs.runner import Bounds, Runner
from tts_server.jobs.sqlite_file import JobsFile
from tts_server.jobs.store import JobStore, SharedFolder
from tts_server.jobs.store_sqlite import SqliteJobs
from tts_server.logs import get_logger

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.speech import Gateway

_LOOK_AGAIN_S: Final = 1.0  # for what another server of the same state folder did
_AGAIN_S: Final = 30.0  # before what failed in the background is started again
_REDIS_AGAIN_S: Final = 5.0  # the same, where Redis may have been away: others wait for this instance to help
_SPARED_S: Final = 0.5  # after what keeps the jobs could not be opened: who comes next does not wait for it too
_PATIENCE_S: Final = 60.0  # with what keeps the jobs, for those who listen: a restart of Redis takes less
_LISTENERS: Final = 500
"""Who may listen to jobs at once: each asks the store once a second."""
_READERS: Final = 4  # threads that read audio for those who fetch it

log = get_logger(__name__)


class Meter(Protocol):
    """Who counts: `metrics.Metrics`."""

    def long_job(self, outcome: str) -> None:
        """A job was accepted, or has ended so."""
        ...

    def unfinished_jobs(self, counts: Mapping[str, int]) -> None:
        """So many are queued, and so many run."""
        ...

    def callback(self, state: str) -> None:
        """A caller was called back; or has to be again."""
        ...


@dataclass(frozen=True, slots=True)
class _Parts:
    """What there is once the state folder is."""

    store: JobStore
    secrets: Secrets
    runner: Runner
    messenger: Messenger


class Jobs:
    """All jobs of one server. `run` is its background; everything else may be called while that goes on."""

    def __init__(self, settings: Settings, gateway: Gateway, meter: Meter) -> None:
        self._settings = settings
        self._gateway = gateway
        self._meter = meter
        # Files of shared jobs are apart: a server that shares none would take them for nobody's.
        self._folder = settings.jobs_path / "shared" if settings.shares_jobs else settings.jobs_path
        self._parts: _Parts | None = None
        self._opening = asyncio.Lock()
        self._opened = asyncio.Event()
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._listening = 0
        self._readers = futures.ThreadPoolExecutor(_READERS, "jobs-readers")
        self._closed = False
        self._problem, self._failed_s = "", -math.inf

    async def prepare(self) -> None:
        """Before the first request, where instances share jobs: see to it that they share a folder.

        SharedFolder if they do not. Without an answer from Redis the server may begin: jobs are refused until then.
        """
        if self._settings.shares_jobs:
            try:
                await self._open()
            except SharedFolder:
                raise
            except JobsUnavailable:  # the log has it
                pass

    async def run(self) -> None:
        """Run jobs and tell callers until cancelled; then what runs is put back, to be gone on with later."""
        try:
            await self._run_again_and_again()
        finally:
            self.end_listening()
            if self._parts is not None:
                await self._parts.store.close()
            self._readers.shutdown(wait=False)

    # For the routes

    def check_callback(self, url: str) -> None:
        """InvalidRequest if this may not be called."""
        check_url(url, private=self._settings.callback_private)

    def callback_secret(self, owner: str) -> str:
        """What callbacks to this owner's URLs are signed with; after the first job was accepted."""
        assert self._parts is not None, "asked before a job was accepted; this is a bug"  # noqa: S101
        return self._parts.secrets.shown(owner)

    async def submit(self, order: Order) -> View:
        """Accept a job; when this returns, it is on the disk. TTSError if it is refused."""
        parts = await self._open()
        try:
            free_bytes, needed_bytes = await asyncio.to_thread(self._measure, order)
        except OSError as error:
            raise _folder_fails(error) from error
        bounds = store.Bounds(
            self._settings.jobs_queued,
            self._settings.jobs_queued_per_caller,
            free_bytes - self._reserve_bytes,
        )
        try:
            job, is_new = await parts.store.add(order, needed_bytes, bounds)
        except OSError as error:
            raise _folder_fails(error) from error
        if is_new:
            log.info("job accepted", job=job.id, characters=job.characters)
            self._meter.long_job("accepted")
            parts.runner.look()
        return await self._view(parts, job)

    async def get(self, owner: str, job_id: str) -> View:
        """The job. NotFound if there is none, or it is somebody else's."""
        parts = await self._open_if_any()
        job = await parts.store.get(job_id) if parts else None
        if parts is None or job is None or job.owner not in {owner, former_owner(owner)}:
            raise NotFound("there is no such job; it may have expired", code="job_not_found")
        return await self._view(parts, job)

    async def page(self, owner: str, limit: int, before_seq: int | None) -> list[Job]:
        """Some of the owner's jobs, the latest first; those that came before `before_seq`."""
        parts = await self._open_if_any()
        return await parts.store.page(owner, limit, before_seq) if parts else []

    async def delete(self, owner: str, job_id: str) -> tuple[Job, bool]:
        """Cancel a job that has not ended, or forget one that has; the job, and whether it is forgotten."""
        job = (await self.get(owner, job_id)).job
        parts = await self._open()
        if await parts.store.cancel(job_id):
            parts.runner.cancel(job_id)
            self._told(job, JobState.CANCELLED)
        else:
            await parts.store.remove(job_id)
            self._change(job_id)
            with suppress(OSError):  # the sweep tries again
                await asyncio.to_thread(files.remove, self._folder, job_id)
            return job, True
        if job.state is JobState.QUEUED:
            with suppress(OSError):
                await asyncio.to_thread(files.remove, self._folder, job_id)
        return (await self.get(owner, job_id)).job, False

    @asynccontextmanager
    async def listen(
        self, owner: str, job_id: str, ping_s: float = math.inf
    ) -> AsyncIterator[AsyncGenerator[View | None, None]]:
        """The job now, and whenever it has changed; None if it has not for so long. Ends with it, or the server."""
        if self._listening >= _LISTENERS:
            raise QueueFull("too many listen to jobs; ask for the job itself instead", retry_after_s=_AGAIN_S)
        changed = asyncio.Event()
        self._listening += 1
        self._listeners.setdefault(job_id, set()).add(changed)
        try:
            yield self._views(owner, job_id, changed, ping_s)
        finally:
            self._listening -= 1
            self._listeners[job_id].discard(changed)
            if not self._listeners[job_id]:
                del self._listeners[job_id]

    def end_listening(self) -> None:
        """Everybody who listens is shown out: the server ends."""
        self._closed = True
        for job_id in self._listeners:
            self._change(job_id)

    async def open_audio(self, job: Job) -> files.Reading:
        """Its audio, to be read by `read`. NotFound if it is not there any more."""
        opening = self._readers.submit(files.Reading, self._folder, job)
        try:
            return await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(
                lambda done: None if done.cancelled() or done.exception() else done.result().close()
            )
            raise
        except OSError as error:
            raise NotFound("the audio of this job is not there any more", code="audio_not_found") from error

    async def read(self, audio: files.Reading, start: int, count: int) -> bytes:
        """Bytes of it."""
        return await asyncio.wrap_future(self._readers.submit(audio.read, start, count))

    async def follow(self, audio: files.Reading, job: Job) -> None:
        """Go on where its audio is now, should another server have taken the job over."""
        if audio.file != job.file:
            await asyncio.wrap_future(self._readers.submit(audio.follow, job))

    def close_audio(self, audio: files.Reading) -> None:
        """It is not read any more."""
        self._readers.submit(audio.close)

    # Inside

    async def _views(
        self, owner: str, job_id: str, changed: asyncio.Event, ping_s: float
    ) -> AsyncGenerator[View | None, None]:
        before: View | None = None
        told_s = heard_s = time.monotonic()
        while True:
            changed.clear()
            try:
                view = await self.get(owner, job_id)
                heard_s = time.monotonic()
            except NotFound:  # removed
                return
            except JobsUnavailable:
                if before is None or self._closed or time.monotonic() - heard_s > _PATIENCE_S:
                    raise
                view = before
            if view != before or time.monotonic() - told_s >= ping_s:
                yield view if view != before else None
                before, told_s = view, time.monotonic()
            if view.job.state.ended or self._closed:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await changed.wait()

    async def _view(self, parts: _Parts, job: Job) -> View:
        if job.state is not JobState.QUEUED:
            return View(job)
        return View(job, await parts.store.position(job))

    async def _open_if_any(self) -> _Parts | None:
        """The same as `_open`, if there ever was a job, or others may have some; else nothing is made."""
        there = self._parts is not None or self._settings.shares_jobs
        return await self._open() if there or await asyncio.to_thread(self._folder.exists) else None

    async def _open(self) -> _Parts:
        async with self._opening:
            if self._parts is None:
                if time.monotonic() < self._failed_s + _SPARED_S:
                    raise JobsUnavailable(
                        f"jobs cannot be kept just now: {self._problem}", retry_after_s=_REDIS_AGAIN_S
                    )
                try:
                    store, secrets = await self._open_store()
                except OSError as error:
                    self._note_problem(error.strerror or str(error))
                    raise JobsUnavailable("the server's folder for jobs cannot be used; its log says why") from error
                except JobsUnavailable as error:
                    self._note_problem(error.message)
                    raise
                self._parts = self._assemble(store, secrets)
                self._opened.set()
        return self._parts

    async def _open_store(self) -> tuple[JobStore, Secrets]:
        settings = self._settings
        secrets = await asyncio.to_thread(_open_folder, self._folder, settings.jobs_path)
        if not settings.shares_jobs:
            opened = await asyncio.to_thread(JobsFile, self._folder / "jobs.sqlite")
            return SqliteJobs(opened, self._folder), secrets
        from tts_server.jobs.store_redis import RedisJobs  # with its library, which costs memory and time

        await asyncio.to_thread(_tell_of_unshared, settings.jobs_path / "jobs.sqlite")
        shared = RedisJobs(settings.redis_url or "", self._folder, secrets.root, settings.job_ttl_s)
        try:
            await shared.open()
        except BaseException:
            await shared.close()
            raise
        return shared, secrets

    def _note_problem(self, reason: str) -> None:
        """Tell it once: it is met again every few seconds."""
        if reason != self._problem:
            log.warning("jobs cannot be kept", folder=str(self._folder), reason=reason)
        self._problem, self._failed_s = reason, time.monotonic()

    def _assemble(self, store: JobStore, secrets: Secrets) -> _Parts:
        settings = self._settings
        bounds = Bounds(settings.jobs_at_once, settings.max_text_chars, settings.job_ttl_s, self._reserve_bytes)
        messenger = Messenger(
            store,
            secrets,
            lambda job: View(job).content(),
            self._meter.callback,
            private=settings.callback_private,
        )
        return _Parts(
            store,
            secrets,
            Runner(store, self._folder, self._gateway, self._told, self._meter.unfinished_jobs, bounds),
            messenger,
        )

    def _measure(self, order: Order) -> tuple[int, int]:
        """The bytes that there are, and those that this may need."""
        return files.free_bytes(self._folder), estimate_bytes(order.text, order.manner)

    @property
    def _reserve_bytes(self) -> int:
        return self._settings.jobs_disk_reserve_mib << 20

    async def _run_again_and_again(self) -> None:
        """Run as soon as there is anything, and begin again should it fail."""
        while True:
            try:
                if parts := await self._open_if_any():
                    self._opened.clear()
                    await parts.runner.run(parts.messenger.run)
            except JobsUnavailable:  # told when it was met
                pass
            except Exception as error:  # whatever it is, jobs must not rest for good
                log.error("jobs rest for a while", exc_info=error)  # noqa: TRY400  (our logger has no other)
            with suppress(TimeoutError):
                async with asyncio.timeout(_REDIS_AGAIN_S if self._settings.shares_jobs else _AGAIN_S):
                    await self._opened.wait()

    def _told(self, job: Job, ended: JobState | None) -> None:
        """A job has changed, or come to an end."""
        if ended is not None:
            self._meter.long_job(ended)
            if self._parts is not None:
                self._parts.messenger.look()
        self._change(job.id)

    def _change(self, job_id: str) -> None:
        for listener in self._listeners.get(job_id, ()):
            listener.set()


def _tell_of_unshared(path: Path) -> None:
    """Jobs that were accepted before they were shared are not lost, but somebody must start a server for them."""
    if not path.exists():
        return
    with closing(JobsFile(path)) as kept:
        if waiting := sum(kept.unfinished().values()):
            log.warning("unfinished jobs that are not shared; a server with jobs_shared=false ends them", jobs=waiting)


def _folder_fails(error: OSError) -> DiskFull | JobsUnavailable:
    if files.is_full(error):
        return DiskFull("the server's disk is full; come back later", retry_after_s=_AGAIN_S)
    return JobsUnavailable(f"the folder of jobs cannot be used: {error.strerror}", retry_after_s=_AGAIN_S)


def _open_folder(folder: Path, home: Path) -> Secrets:
    for each in (home, folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)  # texts and voices of others are nobody's business
        files.sync_folder(each.parent)
    return Secrets(home / "callbacks.secret")

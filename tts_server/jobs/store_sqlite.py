"""Jobs in a file of the state folder: one server's, or those of several on one machine.

Of servers that share the folder the one that holds the lock runs the jobs; all may accept and cancel them. The kernel
drops the lock with its process, so a successor knows that nobody runs what the file says is running.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from tts_server.errors import DiskFull, JobsUnavailable, QueueFull, TTSError
from tts_server.jobs.pieces import Pause
from tts_server.jobs.record import Job, Order
from tts_server.jobs.sqlite_file import JobsFile
from tts_server.jobs.store import AGAIN_S, Bounds, Upkeep
from tts_server.logs import get_logger

P = ParamSpec("P")
T = TypeVar("T")

_WAITING_CALLS: Final = 2_000
"""Calls that may wait for the file's thread: some seconds of a slow disk. Beyond, the disk is the bottleneck."""
_LOOK_AGAIN_S: Final = 1.0  # for the lock of a server that died

log = get_logger(__name__)


class SqliteJobs:
    """A file of jobs behind a thread of its own."""

    strangers_stay_s = 0.0

    def __init__(self, file: JobsFile, folder: Path) -> None:
        self._file = file
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, "jobs-store")
        self._waiting = 0

    async def add(self, order: Order, estimate_bytes: int, bounds: Bounds) -> tuple[Job, bool]:
        return await self._run(JobsFile.add, order, estimate_bytes, bounds)

    async def get(self, job_id: str) -> Job | None:
        return await self._run(JobsFile.get, job_id)

    async def some(self, job_ids: Sequence[str]) -> Mapping[str, Job]:
        return await self._run(JobsFile.some, job_ids)

    async def position(self, job: Job) -> int:
        return await self._run(JobsFile.position, job)

    async def page(self, owner: str, limit: int, before_seq: int | None) -> list[Job]:
        return await self._run(JobsFile.page, owner, limit, before_seq)

    async def cancel(self, job_id: str) -> bool:
        return await self._run(JobsFile.cancel, job_id)

    async def remove(self, job_id: str) -> None:
        await self._run(JobsFile.remove, job_id)

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """While this server holds the lock."""
        lock = await asyncio.to_thread(os.open, self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _locked(lock):  # noqa: ASYNC110  (to be told of a lock, a thread would have to wait for it)
                await asyncio.sleep(_LOOK_AGAIN_S)
            try:
                yield
            finally:
                try:
                    await self._run(JobsFile.keep_up, ())
                except TTSError as error:  # then the next holder of the lock does it
                    log.warning("jobs not put back", code=error.code)
        finally:
            os.close(lock)

    async def keep_up(self, running: Collection[str]) -> Upkeep:
        return await self._run(JobsFile.keep_up, running)

    async def take(self) -> Job | None:
        return await self._run(JobsFile.take)

    async def text(self, job: Job) -> str:
        return await self._run(JobsFile.text, job)

    async def advance(self, job: Job, spoken_characters: int, samples: int, pause: Pause) -> bool:
        return await self._run(JobsFile.advance, job, spoken_characters, samples, pause)

    async def finish(self, job: Job, samples: int, result_bytes: int) -> bool:
        return await self._run(JobsFile.finish, job, samples, result_bytes)

    async def fail(self, job: Job, error: Mapping[str, str | None]) -> bool:
        return await self._run(JobsFile.fail, job, error)

    async def may_sweep(self) -> bool:
        return True  # it holds the lock

    async def sweep(self, ended_before_s: float) -> int:
        return await self._run(JobsFile.sweep, ended_before_s)

    async def tidy(self) -> None:
        await self._run(JobsFile.tidy)

    async def unfinished(self) -> Mapping[str, int]:
        return await self._run(JobsFile.unfinished)

    async def due_callbacks(self, now_s: float, limit: int, without: Collection[str]) -> list[Job]:
        return await self._run(JobsFile.due_callbacks, now_s, limit, without)

    async def next_callback_s(self, without: Collection[str]) -> float | None:
        return await self._run(JobsFile.next_callback_s, without)

    async def called_back(self, job: Job, state: str, again_at_s: float | None) -> None:
        await self._run(JobsFile.called_back, job, state, again_at_s)

    async def close(self) -> None:
        """After what was asked has been done."""
        await asyncio.to_thread(self._thread.shutdown)
        self._file.close()

    async def _run(self, call: Callable[Concatenate[JobsFile, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call one of its methods; JobsUnavailable or DiskFull if the file fails.

        What has begun is carried out, also if the caller is cancelled.
        """
        if self._waiting >= _WAITING_CALLS:
            raise QueueFull("the disk is slower than jobs come; come back later", retry_after_s=AGAIN_S)
        self._waiting += 1
        try:
            return await asyncio.wrap_future(self._thread.submit(call, self._file, *args, **kwargs))
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise DiskFull("the server's disk is full", retry_after_s=AGAIN_S) from error
            raise JobsUnavailable(f"the file of jobs fails: {error}", retry_after_s=AGAIN_S) from error
        finally:
            self._waiting -= 1


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

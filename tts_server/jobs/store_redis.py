"""Jobs that instances share: what is known of them in Redis, their texts and audio in a folder that all instances see.

Redis is told of a job when its text is on the disk, and of a piece when its samples are. An instance that runs jobs
says every second that it is there; when one is silent, another queues its jobs again and goes on with them
(`scripts.py`). If Redis is away, nothing is accepted, and what is being spoken goes on and is reported later.

Why no library for queues: docs/jobs.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError  # noqa: A004  (theirs is none of Python's)

from tts_server.errors import JobsUnavailable, TTSError
from tts_server.jobs import files, scripts
from tts_server.jobs.pieces import Pause
from tts_server.jobs.record import Callback, Job, JobState, Manner, Order
from tts_server.jobs.store import (
    AGAIN_S,
    TELLING_S,
    Bounds,
    SharedFolder,
    Upkeep,
    conflict,
    no_room,
    queue_full,
    too_many,
)
from tts_server.logs import get_logger

LEASE_S: Final = 5.0
"""For how long an instance may be silent until its jobs are taken over. It speaks up every second: one whose event loop
stood still for so long is as good as dead, and should it wake up, it only finds that it lost its jobs."""
_ANSWER_S: Final = 2.0
"""For Redis to answer: a thousand times what it takes, and less than a caller waits."""
_CONNECTIONS: Final = 16  # each is busy for a millisecond at a time
_AWAY_AGAIN_S: Final = 5.0  # when callers may try again: about what a restart of Redis takes
_SWEEPING_S: Final = 50  # less than the minute between two sweeps of one instance
_MARK: Final = ".here"
"""Of the file by which others know that an instance sees the same folder."""
_MARKS_STAY_S: Final = 3_600.0  # each is renewed every minute
_SHORTEST_STAY_S: Final = 3_600.0  # of a text that is not known: far longer than Redis is told of it later
_SWEPT_AT_ONCE: Final = 500  # records; Redis does nothing else meanwhile, for some milliseconds
_TURNS_STAY_S: Final = 86_400  # who has not come for a day is a newcomer

log = get_logger(__name__)


class RedisJobs:
    """The jobs of all instances that have this Redis."""

    def __init__(self, url: str, folder: Path, identity: bytes, results_stay_s: float) -> None:
        """`identity` is in the folder, the same for all who see it. `results_stay_s` is how long results do."""
        self.strangers_stay_s = max(results_stay_s, _SHORTEST_STAY_S)
        self._folder = folder
        self._identity = hmac.digest(identity, b"folder", hashlib.sha256).hex()
        self._token = uuid.uuid4().hex
        self._mark = folder / f"{self._token}{_MARK}"
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_ANSWER_S,
            socket_connect_timeout=_ANSWER_S,
            socket_timeout=_ANSWER_S,
            # Of a connection that Redis has closed since, one learns by using it. Each script may run twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
            decode_responses=True,
            client_name="tts-server-jobs",
        )
        self._redis = Redis(connection_pool=self._pool)
        self._asked: set[asyncio.Future[Any]] = set()

    async def open(self) -> None:
        """Before the rest. SharedFolder if this is another folder than the others'."""
        await asyncio.to_thread(self._mark.touch)
        theirs, alive = await self._run(scripts.FOLDER, self._identity, round(LEASE_S * 1000))
        hidden = [token for token in alive if not await asyncio.to_thread(self._sees, token)]
        if theirs != self._identity or hidden:
            raise SharedFolder(
                f"{self._folder} is not where other instances of this Redis keep their jobs: set jobs_dir to a folder "
                "that all of them see, or jobs_shared to false on all; if that folder is gone for good, delete "
                f"the key {scripts.PREFIX}folder in Redis",
                retry_after_s=AGAIN_S,
            )
        await self._look_at_redis()

    async def add(self, order: Order, estimate_bytes: int, bounds: Bounds) -> tuple[Job, bool]:
        job_id = uuid.uuid4().hex  # nobody can guess it
        await self._answer(self._redis.ping())  # while Redis is away the folder does not fill with texts of no job
        await asyncio.to_thread(files.keep_text, self._folder, job_id, order.text)
        # If it is not known whether Redis heard of it, the text must stay.
        kind, *more = await self._run(
            scripts.ADD,
            job_id,
            order.owner,
            order.idempotency_key or "",
            order.fingerprint().hex(),
            estimate_bytes,
            bounds.queued,
            bounds.queued_per_owner,
            max(0, bounds.free_bytes),
            orjson.dumps(order.manner).decode(),
            len(order.text),
            order.callback_url or "",
        )
        if kind == "new":
            return _job(more[0]), True
        await self._remove_text(job_id)
        match kind:
            case "known":
                return _job(more[0]), False
            case "conflict":
                raise conflict()
            case "too_many":
                raise too_many(int(more[0]), bounds)
            case "full":
                raise queue_full(int(more[0]))
            case _:
                raise no_room(estimate_bytes, int(more[0]), bounds)

    async def get(self, job_id: str) -> Job | None:
        return (await self.some([job_id])).get(job_id)

    async def some(self, job_ids: Sequence[str]) -> Mapping[str, Job]:
        found = await self._run(scripts.SOME, *job_ids)
        return {job_id: _job(fields) for job_id, fields in zip(job_ids, found, strict=True) if fields}

    async def position(self, job: Job) -> int:
        return int(await self._answer(self._redis.zcount(f"{scripts.PREFIX}queued", "-inf", f"({job.seq}")))

    async def page(self, owner: str, limit: int, before_seq: int | None) -> list[Job]:
        newest = "+inf" if before_seq is None else f"({before_seq}"
        return [_job(fields) for fields in await self._run(scripts.PAGE, owner, limit, newest)]

    async def cancel(self, job_id: str) -> bool:
        ended = bool(await self._run(scripts.END, job_id, JobState.CANCELLED, "", "", ""))
        await self._remove_text(job_id)
        return ended

    async def remove(self, job_id: str) -> None:
        await self._run(scripts.REMOVE, job_id)

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """At once: who runs what is Redis's to say."""
        try:
            yield
        finally:
            try:
                await self._run(scripts.LEAVE, self._token)
            except TTSError as error:  # then others do it, when this instance has been silent for LEASE_S
                log.warning("jobs not put back", code=error.code)

    async def keep_up(self, running: Collection[str]) -> Upkeep:
        resumed, lost = await self._run(scripts.KEEP_UP, self._token, round(LEASE_S * 1000), *running)
        return Upkeep(resumed, lost)

    async def take(self) -> Job | None:
        fields = await self._run(scripts.TAKE, self._token, _TURNS_STAY_S)
        return _job(fields) if fields else None

    async def text(self, job: Job) -> str:
        try:
            return await asyncio.to_thread(files.read_text, self._folder, job.id)
        except FileNotFoundError as error:
            raise TTSError("the text of this job is not there any more", code="text_lost") from error
        except OSError as error:
            raise JobsUnavailable(f"the folder of jobs cannot be read: {error.strerror}") from error

    async def advance(self, job: Job, spoken_characters: int, samples: int, pause: Pause) -> bool:
        return bool(await self._run(scripts.ADVANCE, job.id, job.claim, spoken_characters, samples, int(pause)))

    async def finish(self, job: Job, samples: int, result_bytes: int) -> bool:
        return await self._end(job, JobState.DONE, str(result_bytes), "", str(samples))

    async def fail(self, job: Job, error: Mapping[str, str | None]) -> bool:
        return await self._end(job, JobState.FAILED, "", orjson.dumps(error).decode())

    async def may_sweep(self) -> bool:
        with suppress(OSError):
            await asyncio.to_thread(self._renew_mark)
        return bool(
            await self._answer(self._redis.set(f"{scripts.PREFIX}sweeping", self._token, nx=True, ex=_SWEEPING_S))
        )

    async def sweep(self, ended_before_s: float) -> int:
        swept = 0
        while some := int(await self._run(scripts.SWEEP, f"{ended_before_s:.6f}", _SWEPT_AT_ONCE)):
            swept += some
        return swept

    async def tidy(self) -> None:
        """What is deleted is gone, as far as a file system lets it."""

    async def unfinished(self) -> Mapping[str, int]:
        queued = await self._answer(self._redis.zcard(f"{scripts.PREFIX}queued"))
        running = await self._answer(self._redis.hlen(f"{scripts.PREFIX}running"))
        return {"queued": int(queued), "running": int(running)}

    async def due_callbacks(self, now_s: float, limit: int, without: Collection[str]) -> list[Job]:
        found = await self._run(scripts.DUE, f"{now_s:.6f}", limit, f"{now_s + TELLING_S:.6f}", *without)
        return [_job(fields) for fields in found if fields]

    async def next_callback_s(self, without: Collection[str]) -> float | None:
        owners = await self._answer(self._redis.zrange(f"{scripts.PREFIX}callbacks", 0, len(without), withscores=True))
        return next((float(due_s) for owner, due_s in owners if owner not in without), None)

    async def called_back(self, job: Job, state: str, again_at_s: float | None) -> None:
        again = "" if again_at_s is None else f"{again_at_s:.6f}"
        await self._run(scripts.CALLED_BACK, job.id, state, again)

    async def close(self) -> None:
        if self._asked:
            await asyncio.wait(self._asked)
        with suppress(OSError):
            await asyncio.to_thread(self._mark.unlink, missing_ok=True)
        await self._pool.disconnect()

    # Inside

    async def _end(self, job: Job, state: JobState, *result: str) -> bool:
        if not await self._run(scripts.END, job.id, state, job.claim, *result):
            return False
        await self._remove_text(job.id)
        return True

    async def _remove_text(self, job_id: str) -> None:
        with suppress(OSError):  # the sweep tries again
            await asyncio.to_thread(files.remove_text, self._folder, job_id)

    async def _run(self, script: str, *args: str | int) -> Any:  # noqa: ANN401  (as the script returns it)
        return await self._answer(self._redis.register_script(script)(args=args))

    async def _answer(self, question: Awaitable[Any]) -> Any:  # noqa: ANN401
        """What Redis answers. It is asked to the end, whoever leaves meanwhile."""
        asking = asyncio.ensure_future(question)
        self._asked.add(asking)
        asking.add_done_callback(self._answered)
        try:
            return await asyncio.shield(asking)
        except (RedisError, OSError, TimeoutError) as error:
            raise JobsUnavailable(
                "the Redis through which jobs are shared does not answer; try again soon", retry_after_s=_AWAY_AGAIN_S
            ) from error

    def _answered(self, asking: asyncio.Future[Any]) -> None:
        self._asked.discard(asking)
        if not asking.cancelled():
            asking.exception()  # perhaps nobody waits for it any more

    def _sees(self, token: str) -> bool:
        return (self._folder / f"{token}{_MARK}").exists()

    def _renew_mark(self) -> None:
        """Ours stays new, be Redis there or not; those of instances that were killed go."""
        self._mark.touch()
        for mark in self._folder.glob(f"*{_MARK}"):
            if mark.stat().st_mtime < time.time() - _MARKS_STAY_S:
                mark.unlink(missing_ok=True)

    async def _look_at_redis(self) -> None:
        """Say what in Redis's own settings would lose jobs. Where it does not tell them, its operator knows."""
        try:
            told = await self._redis.config_get("appendonly", "maxmemory", "maxmemory-policy")
        except RedisError:
            return
        if told.get("appendonly") == "no":
            log.warning("jobs are lost if Redis ends: it keeps no log; set `appendonly yes` there")
        if told.get("maxmemory") != "0" and str(told.get("maxmemory-policy")).startswith("allkeys"):
            log.warning("jobs are lost if Redis is full; set a `maxmemory-policy` there that is for volatile keys")


def _job(fields: Sequence[str]) -> Job:
    """Of a hash as Redis gives it: name, value, name, value."""
    of = dict(zip(fields[::2], fields[1::2], strict=True))
    return Job(
        int(of["seq"]),
        of["id"],
        of["owner"],
        JobState(of["state"]),
        Manner(**orjson.loads(of["manner"])),
        int(of["characters"]),
        int(of["spoken"]),
        int(of["samples"]),
        Pause(int(of["pause"])),
        float(of["created_s"]),
        float(of["ended_s"]) if "ended_s" in of else None,
        int(of["result_bytes"]) if of.get("result_bytes") else None,
        orjson.loads(of["error"]) if of.get("error") else None,
        Callback(of["callback_url"], of["callback_state"], int(of["callback_attempts"]))
        if of["callback_url"]
        else None,
        int(of["claim"]),
        int(of["file"]),
    )

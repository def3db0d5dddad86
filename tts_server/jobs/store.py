"""What keeps the jobs: a file in the state folder (`store_sqlite.py`), or a Redis for all instances (`store_redis.py`).

Both say the same of a job, and move it the same way. All methods that wait raise JobsUnavailable if what keeps the jobs
cannot be asked now. Then nobody knows whether it was done; all but `add` may be called again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from tts_server.errors import Conflict, DiskFull, JobsUnavailable, QueueFull, TooManyJobs
from tts_server.jobs.pieces import Pause
from tts_server.jobs.record import Job, Order

AGAIN_S: Final = 30.0
"""When to come back for room: about what a job of a few pages takes."""
TELLING_S: Final = 60.0
"""For how long a caller is not told again by others, while somebody tells him: far longer than an attempt takes."""


class SharedFolder(JobsUnavailable):
    """Our folder is not the one that the other instances of this Redis see."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be accepted."""

    queued: int
    queued_per_owner: int
    free_bytes: int
    """What may still be promised of the disk; all unfinished jobs take their part of it."""


def conflict() -> Conflict:
    """Under its idempotency key there is another job."""
    return Conflict(
        "this idempotency_key was used for another job; use a new one",
        param="idempotency_key",
        code="idempotency_conflict",
    )


def too_many(own: int, bounds: Bounds) -> TooManyJobs:
    """The caller has so many."""
    return TooManyJobs(
        f"{own} of your jobs are not finished yet; there may be up to {bounds.queued_per_owner}", retry_after_s=AGAIN_S
    )


def queue_full(waiting: int) -> QueueFull:
    """All callers have so many."""
    return QueueFull(f"{waiting} jobs wait already; come back later", retry_after_s=AGAIN_S)


def no_room(estimate_bytes: int, promised_bytes: int, bounds: Bounds) -> DiskFull:
    """So much is promised to others."""
    return DiskFull(
        f"this job may take {estimate_bytes >> 20} MiB, and the server's disk has "
        f"{max(0, bounds.free_bytes - promised_bytes) >> 20} MiB left for more; come back later",
        retry_after_s=AGAIN_S,
    )


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What has become of jobs that were running."""

    resumed: int
    """So many are queued again, for nobody runs them."""
    lost: Sequence[str]
    """These are run here, and should not be: they were cancelled, or another server has taken them over."""


class JobStore(Protocol):
    """All jobs that this server knows of."""

    strangers_stay_s: float
    """How long files stay that belong to no job: somebody may be about to make it known."""

    async def add(self, order: Order, estimate_bytes: int, bounds: Bounds) -> tuple[Job, bool]:
        """Accept a job; or find the one that was, under the same idempotency key. The job, and whether it is new.

        It survives then. Conflict if that one was another; TooManyJobs, QueueFull or DiskFull if there is no room.
        """
        ...

    async def get(self, job_id: str) -> Job | None:
        """The job, if there is one."""
        ...

    async def some(self, job_ids: Sequence[str]) -> Mapping[str, Job]:
        """Those of them that there are, by id. A few hundred at a time."""
        ...

    async def position(self, job: Job) -> int:
        """How many jobs that came before it still wait."""
        ...

    async def page(self, owner: str, limit: int, before_seq: int | None) -> list[Job]:
        """Somebody's jobs, the latest first."""
        ...

    async def cancel(self, job_id: str) -> bool:
        """End a job that has not ended; whether there was one."""
        ...

    async def remove(self, job_id: str) -> None:
        """Forget a job that has ended."""
        ...

    # What the runner does

    def leading(self) -> AbstractAsyncContextManager[None]:
        """Entered when this server may run jobs. What it still runs at the end is queued again."""
        ...

    async def keep_up(self, running: Collection[str]) -> Upkeep:
        """Say that this server is there, and runs these; what nobody runs is queued again. Called every second."""
        ...

    async def take(self) -> Job | None:
        """The next job, to be run here; None if none waits. Owners take turns: the longest ago is the next."""
        ...

    async def text(self, job: Job) -> str:
        """The text of a job that has not ended."""
        ...

    async def advance(self, job: Job, spoken_characters: int, samples: int, pause: Pause) -> bool:
        """Note that so much is spoken and on the disk; False if nobody wants it any more from this server."""
        ...

    async def finish(self, job: Job, samples: int, result_bytes: int) -> bool:
        """All is spoken, and its result is on the disk; False if nobody wants it any more from this server."""
        ...

    async def fail(self, job: Job, error: Mapping[str, str | None]) -> bool:
        """It cannot be spoken; False if nobody wants it any more from this server."""
        ...

    async def may_sweep(self) -> bool:
        """Whether this server is the one to look through all files now."""
        ...

    async def sweep(self, ended_before_s: float) -> int:
        """Forget what ended before then, once its caller was told or cannot be: how many that were."""
        ...

    async def tidy(self) -> None:
        """Have what was deleted be gone."""
        ...

    async def unfinished(self) -> Mapping[str, int]:
        """How many are queued, and how many run."""
        ...

    # What the messenger does

    async def due_callbacks(self, now_s: float, limit: int, without: Collection[str]) -> list[Job]:
        """Jobs whose callers are to be told now, by us alone for TELLING_S: one of each owner, none of `without`."""
        ...

    async def next_callback_s(self, without: Collection[str]) -> float | None:
        """When somebody else than these owners is to be told next."""
        ...

    async def called_back(self, job: Job, state: str, again_at_s: float | None) -> None:
        """An attempt was made; the next one, if any, is to be made then."""
        ...

    async def close(self) -> None:
        """After what was asked has been done. Nothing may be asked any more."""
        ...

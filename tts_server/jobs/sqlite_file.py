"""The jobs on the disk: one SQLite file, in which whatever was committed survives the machine.

Several servers may share the file. All methods are synchronous and wait for the disk: `store_sqlite.SqliteJobs` is how
an event loop calls them.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from tts_server.errors import JobsUnavailable
from tts_server.jobs.files import sync_folder
from tts_server.jobs.pieces import Pause
from tts_server.jobs.record import Callback, Job, JobState, Manner, Order, former_owner
from tts_server.jobs.store import TELLING_S, Bounds, Upkeep, conflict, no_room, queue_full, too_many

_SCHEMAS: Final = (  # each brings the version before it up to the next; never change one that was released
    """
    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        state TEXT NOT NULL,
        manner TEXT NOT NULL,
        characters INTEGER NOT NULL,
        spoken_characters INTEGER NOT NULL DEFAULT 0,
        samples INTEGER NOT NULL DEFAULT 0,
        pause INTEGER NOT NULL DEFAULT 0,
        estimate_bytes INTEGER NOT NULL,
        created_s REAL NOT NULL,
        taken_s REAL,
        ended_s REAL,
        result_bytes INTEGER,
        error TEXT,
        idempotency_key TEXT,
        fingerprint BLOB NOT NULL,
        callback_url TEXT,
        callback_state TEXT,
        callback_attempts INTEGER NOT NULL DEFAULT 0,
        callback_due_s REAL
    );
    CREATE TABLE texts (seq INTEGER PRIMARY KEY REFERENCES jobs ON DELETE CASCADE, text TEXT NOT NULL);
    CREATE UNIQUE INDEX by_key ON jobs (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
    CREATE INDEX by_state ON jobs (state, owner, seq);
    CREATE INDEX by_owner ON jobs (owner, seq);
    CREATE INDEX by_turn ON jobs (owner, taken_s) WHERE taken_s IS NOT NULL;
    CREATE INDEX by_end ON jobs (ended_s) WHERE ended_s IS NOT NULL;
    CREATE INDEX by_callback ON jobs (callback_due_s) WHERE callback_due_s IS NOT NULL;
    """,
)
_COLUMNS: Final = (
    "seq, id, owner, state, manner, characters, spoken_characters, samples, pause, created_s, ended_s, result_bytes, "
    "error, callback_url, callback_state, callback_attempts"
)
_LIVE: Final = "state IN ('queued', 'running')"
_BUSY_S: Final = 10.0  # for another server's transaction, each of which is a few milliseconds
_TIDY_WAIT_MS: Final = 100  # for the transactions of other servers, at the cost of who waits for this one's thread


class JobsFile:
    """An open file of jobs. JobsUnavailable if it cannot be opened. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(f"{path.name}-wal")
        self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            # secure_delete: what was deleted is overwritten, in the file when its log is emptied (`tidy`)
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {pragma}")
            with self._transaction():
                self._bring_up_to_date(path)
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error):
                raise JobsUnavailable(f"the file of jobs cannot be opened: {error}") from error
            raise
        sync_folder(path.parent)  # its name must survive as well

    def close(self) -> None:
        """Nothing may be asked any more."""
        self._db.close()

    # What callers do

    def add(self, order: Order, estimate_bytes: int, bounds: Bounds) -> tuple[Job, bool]:
        """Accept a job; or find the one that was, under the same idempotency key. The job, and whether it is new.

        It is on the disk then.

        Conflict if that one was another; TooManyJobs, QueueFull or DiskFull if there is no room.
        """
        fingerprint = order.fingerprint()
        with self._transaction():
            if order.idempotency_key is not None and (before := self._by_key(order)):
                if before[0] != fingerprint:
                    raise conflict()
                return self._job("seq = ?", before[1]), False
            self._check_room(order.owner, estimate_bytes, bounds)
            cursor = self._db.execute(
                "INSERT INTO jobs (id, owner, state, manner, characters, estimate_bytes, created_s, "
                "idempotency_key, fingerprint, callback_url, callback_state) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (
                    uuid.uuid4().hex,  # nobody can guess it
                    order.owner,
                    JobState.QUEUED,
                    orjson.dumps(order.manner).decode(),
                    len(order.text),
                    estimate_bytes,
                    time.time(),
                    order.idempotency_key,
                    fingerprint,
                    order.callback_url,
                    None if order.callback_url is None else "waiting",
                ),
            )
            self._db.execute("INSERT INTO texts VALUES (?, ?)", (cursor.lastrowid, order.text))
            return self._job("seq = ?", cursor.lastrowid), True

    def get(self, job_id: str) -> Job | None:
        """The job, if there is one."""
        return next(self._jobs("id = ?", (job_id,)), None)

    def position(self, job: Job) -> int:
        """How many jobs that came before it still wait."""
        found = self._db.execute("SELECT count(*) FROM jobs WHERE state = 'queued' AND seq < ?", (job.seq,))
        return int(found.fetchone()[0])

    def page(self, owner: str, limit: int, before_seq: int | None) -> list[Job]:
        """Somebody's jobs, the latest first."""
        newest = (1 << 62) if before_seq is None else before_seq
        where = "owner IN (?, ?) AND seq < ? ORDER BY seq DESC LIMIT ?"
        return list(self._jobs(where, (owner, former_owner(owner), newest, limit)))

    def cancel(self, job_id: str) -> bool:
        """End a job that has not ended; whether there was one."""
        return self._end(job_id, JobState.CANCELLED, _LIVE)

    def remove(self, job_id: str) -> None:
        """Forget a job that has ended."""
        self._db.execute(f"DELETE FROM jobs WHERE id = ? AND NOT {_LIVE}", (job_id,))  # noqa: S608

    # What the runner does

    def keep_up(self, running: Collection[str]) -> Upkeep:
        """Queue what the file says is running and is not among these. For the holder of the lock."""
        marks = ",".join("?" * len(running))
        back = self._db.execute(
            f"UPDATE jobs SET state = 'queued' WHERE state = 'running' AND id NOT IN ({marks})",  # noqa: S608
            tuple(running),
        )
        known = self._db.execute(
            f"SELECT id FROM jobs WHERE id IN ({marks}) AND state != 'cancelled'",  # noqa: S608
            tuple(running),
        )
        return Upkeep(back.rowcount, sorted({*running}.difference(*known)))

    def take(self) -> Job | None:
        """The next job; None if none waits. The owner whose last turn is longest ago has the next one."""
        with self._transaction():
            first = self._db.execute(
                "SELECT min(seq) FROM jobs AS waiting WHERE state = 'queued' GROUP BY owner ORDER BY "
                "coalesce((SELECT max(taken_s) FROM jobs WHERE owner = waiting.owner AND taken_s IS NOT NULL), 0), 1 "
                "LIMIT 1"
            ).fetchone()
            if first is None:
                return None
            self._db.execute("UPDATE jobs SET state = 'running', taken_s = ? WHERE seq = ?", (time.time(), *first))
            return self._job("seq = ?", *first)

    def text(self, job: Job) -> str:
        """Of a job that has not ended."""
        (text,) = self._db.execute("SELECT text FROM texts WHERE seq = ?", (job.seq,)).fetchone() or ("",)
        return str(text)

    def advance(self, job: Job, spoken_characters: int, samples: int, pause: Pause) -> bool:
        """Note that so much is spoken and on the disk; False if nobody wants it any more."""
        done = self._db.execute(
            "UPDATE jobs SET spoken_characters = ?, samples = ?, pause = ? WHERE seq = ? AND state = 'running'",
            (spoken_characters, samples, pause, job.seq),
        )
        return done.rowcount == 1

    def finish(self, job: Job, samples: int, result_bytes: int) -> bool:
        """All is spoken, and its result is on the disk; False if nobody wants it any more."""
        return self._end(job.id, JobState.DONE, "state = 'running'", result=(samples, result_bytes))

    def fail(self, job: Job, error: Mapping[str, str | None]) -> bool:
        """It cannot be spoken; False if nobody wants it any more."""
        return self._end(job.id, JobState.FAILED, "state = 'running'", error=orjson.dumps(error).decode())

    def sweep(self, ended_before_s: float) -> int:
        """Forget what ended before then, once its caller was told or cannot be: how many that were."""
        return self._db.execute(
            "DELETE FROM jobs WHERE ended_s < ? AND callback_due_s IS NULL", (ended_before_s,)
        ).rowcount

    def some(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Those of them that there are."""
        marks = ",".join("?" * len(job_ids))
        return {job.id: job for job in self._jobs(f"id IN ({marks})", job_ids)}

    def tidy(self) -> None:
        """Empty the log: the texts of jobs that have ended are in it, until others are written over them."""
        if not self._log.exists() or not self._log.stat().st_size:
            return
        self._db.execute(f"PRAGMA busy_timeout = {_TIDY_WAIT_MS}")
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # if somebody reads: the next time
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {round(_BUSY_S * 1000)}")

    def unfinished(self) -> dict[str, int]:
        """How many are queued, and how many run."""
        found = self._db.execute(f"SELECT state, count(*) FROM jobs WHERE {_LIVE} GROUP BY state")  # noqa: S608
        return {"queued": 0, "running": 0, **dict(found.fetchall())}

    # What the messenger does

    def due_callbacks(self, now_s: float, limit: int, without: Collection[str]) -> list[Job]:
        """Jobs whose callers are to be told now: one of each owner, none of the owners `without`."""
        marks = ",".join("?" * len(without))
        with self._transaction():
            found = self._db.execute(
                f"SELECT seq, min(callback_due_s) FROM jobs WHERE callback_due_s <= ? AND owner NOT IN ({marks}) "  # noqa: S608
                "GROUP BY owner ORDER BY 2 LIMIT ?",
                (now_s, *without, limit),
            ).fetchall()
            for seq, _ in found:
                self._db.execute("UPDATE jobs SET callback_due_s = ? WHERE seq = ?", (now_s + TELLING_S, seq))
            return [self._job("seq = ?", seq) for seq, _ in found]

    def next_callback_s(self, without: Collection[str]) -> float | None:
        """When somebody else than these owners is to be told next."""
        marks = ",".join("?" * len(without))
        (due_s,) = self._db.execute(
            f"SELECT min(callback_due_s) FROM jobs WHERE callback_due_s IS NOT NULL AND owner NOT IN ({marks})",  # noqa: S608
            tuple(without),
        ).fetchone()
        return None if due_s is None else float(due_s)

    def called_back(self, job: Job, state: str, again_at_s: float | None) -> None:
        """An attempt was made; the next one, if any, is to be made then."""
        self._db.execute(
            "UPDATE jobs SET callback_attempts = callback_attempts + 1, callback_state = ?, callback_due_s = ? "
            "WHERE seq = ?",
            (state, again_at_s, job.seq),
        )

    # Inside

    def _bring_up_to_date(self, path: Path) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(_SCHEMAS):
            raise JobsUnavailable(f"{path} was written by a later release (version {version}); use that one")
        for number, script in enumerate(_SCHEMAS[version:], start=version + 1):
            for statement in filter(str.strip, script.split(";")):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {number}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")  # a reader that becomes a writer later might not get its turn
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have ended it already
                self._db.execute("ROLLBACK")
            raise

    def _check_room(self, owner: str, estimate_bytes: int, bounds: Bounds) -> None:
        count = f"SELECT count(*) FROM jobs WHERE {_LIVE}"  # noqa: S608
        (waiting,) = self._db.execute(count).fetchone()
        (own,) = self._db.execute(f"{count} AND owner = ?", (owner,)).fetchone()
        if own >= bounds.queued_per_owner:
            raise too_many(own, bounds)
        if waiting >= bounds.queued:
            raise queue_full(waiting)
        (promised,) = self._db.execute(
            f"SELECT coalesce(sum(max(0, estimate_bytes - 2 * samples)), 0) FROM jobs WHERE {_LIVE}"  # noqa: S608
        ).fetchone()
        if promised + estimate_bytes > bounds.free_bytes:
            raise no_room(estimate_bytes, promised, bounds)

    def _end(
        self,
        job_id: str,
        state: JobState,
        when: str,
        *,
        result: tuple[int, int] | None = None,
        error: str | None = None,
    ) -> bool:
        """The only way to an end. Exactly one succeeds, whoever tries."""
        now_s = time.time()
        samples, result_bytes = result or (None, None)
        tell = "callback_url IS NOT NULL AND ? != 'cancelled'"  # who cancels knows
        with self._transaction():
            ended = self._db.execute(
                "UPDATE jobs SET state = ?, ended_s = ?, result_bytes = ?, error = ?, samples = coalesce(?, samples), "  # noqa: S608
                "spoken_characters = iif(? IS NULL, spoken_characters, characters), "
                f"callback_due_s = iif({tell}, ?, NULL) WHERE id = ? AND {when}",
                (state, now_s, result_bytes, error, samples, result_bytes, state, now_s, job_id),
            )
            self._db.execute(
                "DELETE FROM texts WHERE seq = (SELECT seq FROM jobs WHERE id = ? AND state = ?)", (job_id, state)
            )
        return ended.rowcount == 1

    def _by_key(self, order: Order) -> tuple[bytes, int] | None:
        found: tuple[bytes, int] | None = self._db.execute(
            "SELECT fingerprint, seq FROM jobs WHERE owner IN (?, ?) AND idempotency_key = ? ORDER BY seq DESC LIMIT 1",
            (order.owner, former_owner(order.owner), order.idempotency_key),
        ).fetchone()
        return found

    def _job(self, where: str, *values: object) -> Job:
        return next(self._jobs(where, values))

    def _jobs(self, where: str, values: Sequence[Any]) -> Iterator[Job]:
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE {where}", values):  # noqa: S608
            seq, job_id, owner, state, manner, characters, spoken, samples, pause, *rest = row
            created_s, ended_s, result_bytes, error, url, callback_state, attempts = rest
            yield Job(
                seq,
                job_id,
                owner,
                JobState(state),
                Manner(**orjson.loads(manner)),
                characters,
                spoken,
                samples,
                Pause(pause),
                created_s,
                ended_s,
                result_bytes,
                error and orjson.loads(error),
                Callback(url, callback_state, attempts) if url else None,
            )

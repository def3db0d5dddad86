"""Tells callers that their jobs have ended: signed as standardwebhooks.com has it, again and again until they listen.

What is still to be told is in the store, so a restart forgets nobody. A caller may be told twice, if the server dies
between his answer and the note of it: `webhook-id` is the job's, and tells him.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hmac
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import orjson
from yarl import URL

from tts_server.errors import InvalidRequest, TTSError
from tts_server.jobs.addresses import PrivateAddress, is_public, public_socket
from tts_server.jobs.files import sync_folder
from tts_server.jobs.record import Job
from tts_server.jobs.store import JobStore
from tts_server.logs import get_logger

WAITS_S: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 1_800.0, 7_200.0, 21_600.0)
"""Between attempts: a restart is waited for by seconds, an outage by hours. After nine attempts in nine hours it is
over; the job itself can still be asked for."""
_AT_ONCE: Final = 32
"""Attempts at once. A server that hangs takes a place for ten seconds: only 16 callers of such could delay others."""
_AT_ONCE_PER_OWNER: Final = 2
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0, sock_connect=5.0)
_LONGEST_URL: Final = 2_048  # what browsers and proxies agree to take
_SECRET_BYTES: Final = 32
_LOOK_AGAIN_S: Final = 5.0  # for jobs that other servers have ended

log = get_logger(__name__)


def check_url(url: str, *, private: bool) -> None:
    """InvalidRequest if nobody can be called there, or nobody may."""
    try:
        parsed = URL(url)
        host, port = parsed.host, parsed.port
    except ValueError:  # UnicodeError too, of a name that is none
        raise InvalidRequest("callback_url is not a URL", param="callback_url") from None
    if parsed.scheme not in {"http", "https"} or not host or not port or len(url) > _LONGEST_URL:
        raise InvalidRequest(
            f"callback_url must be an http or https URL of up to {_LONGEST_URL} characters", param="callback_url"
        )
    if parsed.user is not None or parsed.password is not None:
        raise InvalidRequest("callback_url must not hold a name or password", param="callback_url")
    if not private and _is_private(host):
        raise InvalidRequest(
            "callback_url leads to a private address, which this server does not call",
            param="callback_url",
            code="callback_refused",
        )


class Secrets:
    """The secrets that callbacks are signed with: one for each owner of jobs, all from one file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            _make(path)
        self._root = path.read_bytes()
        if len(self._root) != _SECRET_BYTES:
            raise OSError(errno.EINVAL, f"{path} does not hold {_SECRET_BYTES} bytes; remove it to have a new one made")

    @property
    def root(self) -> bytes:
        """What the folder has, and nobody else."""
        return self._root

    def of(self, owner: str) -> bytes:
        """What this owner's callbacks are signed with."""
        return hmac.digest(self._root, owner.encode(), "sha256")

    def shown(self, owner: str) -> str:
        """The same, as libraries for webhooks take it."""
        return f"whsec_{base64.b64encode(self.of(owner)).decode()}"


def headers(job_id: str, body: bytes, secret: bytes, now_s: float) -> dict[str, str]:
    """What proves to the receiver who speaks, of what, and when."""
    stamp = str(int(now_s))
    signature = hmac.digest(secret, b".".join((job_id.encode(), stamp.encode(), body)), "sha256")
    return {
        "Content-Type": "application/json",
        "User-Agent": "tts-server",
        "webhook-id": job_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


class Messenger:
    """Tells whoever is due, each in a task of his own. Runs beside the jobs."""

    def __init__(
        self,
        store: JobStore,
        secrets: Secrets,
        describe: Callable[[Job], dict[str, object]],
        told: Callable[[str], None],
        *,
        private: bool,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._describe = describe
        self._told = told
        self._socket_factory = None if private else public_socket
        self._due = asyncio.Event()
        self._telling: Counter[str] = Counter()
        """Attempts under way, by owner."""

    def look(self) -> None:
        """Somebody may be due."""
        self._due.set()

    async def run(self) -> None:
        """Until cancelled."""
        connector = aiohttp.TCPConnector(
            limit=_AT_ONCE,
            force_close=True,  # each connection is judged, and none is kept for hours
            use_dns_cache=False,
            socket_factory=self._socket_factory,
        )
        cookies = aiohttp.DummyCookieJar()
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=_TIMEOUT, cookie_jar=cookies, trust_env=False
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            while True:
                self._due.clear()
                try:
                    next_s = await self._begin(session, group)
                except TTSError as error:
                    log.warning("callbacks wait", code=error.code)
                    next_s = None
                wait_s = _LOOK_AGAIN_S if next_s is None else min(_LOOK_AGAIN_S, max(0.0, next_s - time.time()))
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._due.wait()

    async def _begin(self, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> float | None:
        """Tell whoever is due, as many at once as may be; when the next one will be, if that is known."""
        while (room := _AT_ONCE - self._telling.total()) > 0:
            busy = [owner for owner, attempts in self._telling.items() if attempts >= _AT_ONCE_PER_OWNER]
            jobs = await self._store.due_callbacks(time.time(), room, busy)
            if not jobs:
                return await self._store.next_callback_s(busy)
            for job in jobs:
                self._telling[job.owner] += 1
                group.create_task(self._tell(session, job)).add_done_callback(partial(self._told_one, job))
        return None

    def _told_one(self, job: Job, _: asyncio.Task[None]) -> None:
        self._telling[job.owner] -= 1
        self._telling += Counter()  # without those that are at zero
        self._due.set()

    async def _tell(self, session: aiohttp.ClientSession, job: Job) -> None:
        assert job.callback is not None  # noqa: S101  (only such jobs are due)
        body = orjson.dumps(self._describe(job))
        signed = headers(job.id, body, self._secrets.of(job.owner), time.time())
        failure, final = "", False
        try:
            # A redirect would lead where nobody has looked; the answer's body is of no interest, and may be endless.
            async with session.post(job.callback.url, data=body, headers=signed, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    failure, final = f"status {answer.status}", answer.status == 410  # Gone: it asks to be let alone
        except Exception as error:  # noqa: BLE001  (whatever one URL does, the others must be told)
            failure, final = type(error).__name__, _was_private(error)
        attempts = job.callback.attempts + 1
        if not failure:
            state, again_at_s = "delivered", None
        elif final or attempts > len(WAITS_S):
            state, again_at_s = "failed", None
        else:
            wait_s = WAITS_S[attempts - 1] * random.uniform(0.8, 1.2)  # not all at once after an outage
            state, again_at_s = "waiting", time.time() + wait_s
        log.info("callback made", job=job.id, attempt=attempts, state=state, failure=failure or None)
        try:
            await self._store.called_back(job, state, again_at_s)
        except TTSError as error:  # he is told again
            log.warning("callback not noted", job=job.id, code=error.code)
        self._told(state)


def _make(path: Path) -> None:
    """Whole or not at all, and once, however many servers begin with it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:  # for our own eyes only
        file.write(os.urandom(_SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)
    sync_folder(path.parent)


def _was_private(error: BaseException) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, PrivateAddress)


def _is_private(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:  # a name: its address is judged when it is called
        return host.rstrip(".").lower() == "localhost"

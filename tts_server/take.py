"""What a speech waits for, shared by all who wait for the same: a text being read, and takes of its lines.

    speech ─► Reading ─ script ─► a Take for each line ─► audio        a text known from before needs no reading
                  └─ job of the text ─► first Take                     a line in the cache needs no job

Work belongs to what it is for and not to who asked first: it goes on until the last who waits for it leaves. What no
key names (a caller who wants nothing kept) is shared with nobody.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from inference import protocol
from inference.protocol import Line, Script
from tts_server.cache import Cache, key
from tts_server.errors import TTSError
from tts_server.job import Job, JobState
from tts_server.speech import AUDIO_S_PER_BYTE, Pcm, SpeechRequest

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tts_server.pool import Pool

AUDIO_S_PER_PHONE: Final = 0.1
PHONE_BYTES: Final = 4
FIRST_LINE_BYTES: Final = 120
"""Of a text that is not read yet, what its first line takes at most, about: forty Chinese characters."""


class Waiting(Protocol):
    """Who waits for a reading or a take: a speech."""

    def read(self, script: Script, first: Take | None) -> None:
        """The text is read; `first` is its first line's take, if a worker has it in hand already."""
        ...

    def heard(self, infer_s: float) -> None:
        """A take has more audio, made in so many seconds, or has come to its end."""
        ...

    def failed(self, error: TTSError) -> None:
        """It cannot be had."""
        ...


class Takes:
    """The readings and takes of one engine."""

    def __init__(self, pool: Pool, cache: Cache) -> None:
        self.pool = pool
        self.cache = cache
        self.under_way: dict[str, _Shared] = {}
        """What others may join, by its key."""
        self.ids = itertools.count(1)
        self._open: set[_Shared] = set()
        self._owed_s: dict[int, float] = {}  # by priority

    def owed_s(self, first: float = 0, last: float = math.inf) -> float:
        """Audio that accepted requests of these priorities wait for and that is still to be made, about."""
        return sum(owed_s for priority, owed_s in self._owed_s.items() if first <= priority <= last)

    def of(self, request: SpeechRequest) -> str:
        """What lines depend on beside their phones, as a part of keys; empty if nothing is to be shared or kept."""
        if not (self.cache.on and request.may_reuse):
            return ""
        voice = request.voice
        return key(
            "", voice.fingerprint, voice.engine, voice.id, request.speed, request.pitch_semitones, request.volume
        )

    def script(self, request: SpeechRequest) -> Script | None:
        """How its text is read, if that is known here."""
        record = self.cache.recall(_script_key(request)) if self.of(request) else None
        return None if record is None else _script(record)

    def reading(self, request: SpeechRequest) -> Reading:
        """The reading of its text, under way or to be started."""
        manner = self.of(request)
        name = key("text", manner, request.text, request.timestamps) if manner else ""
        found = self.under_way.get(name)
        return found if isinstance(found, Reading) else Reading(self, name, request)

    def take(self, request: SpeechRequest, manner: str, line: Line) -> Take:
        """The take of a line, under way or to be started. `manner` is `of(request)`."""
        name = key("line", manner, line.phones) if manner else ""
        found = self.under_way.get(name)
        return found if isinstance(found, Take) else Take(self, name, request, line)

    def opened(self, work: _Shared) -> None:
        """It is wanted."""
        self._open.add(work)
        if work.key:
            self.under_way.setdefault(work.key, work)

    def closed(self, work: _Shared) -> None:
        """It is at its end."""
        self._open.discard(work)
        if work.key and self.under_way.get(work.key) is work:
            del self.under_way[work.key]
        if not self._open:
            self._owed_s.clear()  # sums of floats drift

    def owe(self, audio_s: float, priority: int) -> None:
        """Keep count; negative when it has been made."""
        self._owed_s[priority] = self._owed_s.get(priority, 0.0) + audio_s


class _Shared(ABC):
    """Work that goes on as long as somebody waits for it: looked for in Redis, else made by a job."""

    def __init__(self, takes: Takes, key: str, request: SpeechRequest, seconds: float) -> None:
        self.key = key
        self.asker: Waiting | None = None
        """For whom the job was made; None if there is none."""
        self.seconds = seconds
        """How long its audio will be, about."""
        self._takes = takes
        self.request = request  # of the first who asked; what it has beside what the key names is his alone
        self._waiting: dict[Waiting, int] = {}  # how often: a text may have the same line twice
        self._job: Job | None = None
        self._search: asyncio.Task[None] | None = None
        self._begun = False
        self._due_s, self._urgent, self._priority = math.inf, False, request.priority
        self._owed_s = 0.0
        takes.opened(self)

    def join(self, waiting: Waiting) -> None:
        """Wait for it."""
        self._waiting[waiting] = self._waiting.get(waiting, 0) + 1

    @property
    def waits(self) -> bool:
        """Whether no worker has it in hand; or one has whose death it may be."""
        return self._job is None or self._job.state is JobState.QUEUED or self.suspected

    @property
    def suspected(self) -> bool:
        """Whether it may be what workers have died of: no other engine must be given it as well."""
        return self._job is not None and self._takes.pool.suspects(self._job)

    def leave(self, waiting: Waiting) -> None:
        """Do not wait any more. Of whoever has left already, nothing is heard."""
        count = self._waiting.pop(waiting, 0)
        if count > 1:
            self._waiting[waiting] = count - 1
        elif count and not self._waiting:
            self._end()

    def start(self, asker: Waiting, *, due_s: float, urgent: bool, priority: int) -> None:
        """Have it found or made, at the latest by then. Called again, it may be wanted sooner."""
        if self._begun:
            self._hurry(due_s=due_s, urgent=urgent, priority=priority)
            return
        self._begun, self.asker = True, asker
        self._due_s, self._urgent, self._priority = due_s, urgent, priority
        self._find()

    def fail(self, error: TTSError) -> None:
        """It cannot be had, by anybody who waits for it."""
        for waiting in self._released():
            waiting.failed(copy.copy(error))  # each is raised somewhere else, with a traceback of its own

    def failed(self, job: Job, error: TTSError) -> None:  # noqa: ARG002  (there is but one)
        """The pool gives the job up."""
        self._job = None
        self.fail(error)

    @abstractmethod
    def script(self, script: Script) -> None:
        """From the pool: its job's text is read."""

    @abstractmethod
    def audio(self, job: Job, pcm: Pcm, *, infer_s: float, timing: bytes = b"") -> None:
        """From the pool: its job has audio."""

    # --- inside -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def _find(self) -> None:
        """Have it from the cache, or make it."""

    def _search_for(self, looking: Coroutine[None, None, None]) -> None:
        self._search = asyncio.get_running_loop().create_task(looking)

    def _make(self, *, text: str = "", phones: bytes = b"") -> None:
        request = self.request
        self._submit(
            Job(
                next(self._takes.ids),
                self,
                request.voice.id,
                request.speed,
                request.pitch_semitones,
                20 * math.log10(request.volume),
                self._urgent,
                self._due_s,
                self._priority,
                self.seconds,
                text,
                phones,
                self.request.timestamps,
            )
        )

    def _submit(self, job: Job) -> None:
        try:
            self._takes.pool.submit(job)
        except TTSError as error:
            self.fail(error)
        else:
            self._job = job

    def _hurry(self, *, due_s: float, urgent: bool, priority: int) -> None:
        """Somebody more important waits too: what is still in the queue is queued again."""
        sooner = priority < self._priority or (urgent and not self._urgent)
        self._due_s, self._urgent = min(due_s, self._due_s), urgent or self._urgent
        self._priority = min(priority, self._priority)
        job = self._job
        if sooner and job is not None and job.state is JobState.QUEUED:
            self._takes.pool.cancel(job)
            job = replace(job, id=next(self._takes.ids), state=JobState.QUEUED)
            job.due_s, job.urgent, job.priority = self._due_s, self._urgent, self._priority
            self._submit(job)

    def _owe(self, audio_s: float) -> None:
        self._owed_s += audio_s
        self._takes.owe(audio_s, self.request.priority)

    def _stop(self) -> None:
        if self._search is not None:
            self._search.cancel()
        if self._job is not None:
            self._takes.pool.cancel(self._job)
        self._search = self._job = None

    def _end(self) -> None:
        self._stop()
        self._owe(-self._owed_s)
        self._takes.closed(self)

    def _released(self) -> list[Waiting]:
        waiting, self._waiting = list(self._waiting), {}
        self._end()
        return waiting


class Reading(_Shared):
    """A text on its way to being a script."""

    def __init__(self, takes: Takes, key: str, request: SpeechRequest) -> None:
        size_s = request.audio_s
        super().__init__(takes, key, request, min(size_s, FIRST_LINE_BYTES * AUDIO_S_PER_BYTE / request.speed))
        self._owe(self.seconds if request.streamed else size_s)

    def script(self, script: Script) -> None:
        """A worker has read it, and goes on to speak the first line: its job is that line's from now on."""
        job, self._job = self._job, None
        assert job is not None, "only a job that is under way is read: this is a bug"  # noqa: S101
        first = self._takes.take(self.request, self._takes.of(self.request), script.lines[0])
        first.adopt(job, self, script)
        self._tell(script, first)

    def audio(self, job: Job, pcm: Pcm, *, infer_s: float, timing: bytes = b"") -> None:  # noqa: ARG002
        """Never called: there is no audio before there is a script."""
        raise RuntimeError(f"job {job.id} has audio and no script: this is a bug")

    def _find(self) -> None:
        if self.key and self._takes.cache.redis:
            self._search_for(self._look())
        else:
            self._make(text=self.request.text)

    async def _look(self) -> None:
        record = await self._takes.cache.fetch(_script_key(self.request))
        self._search = None
        if record is None:
            self._make(text=self.request.text)
        else:
            self._tell(_script(record), None)

    def _tell(self, script: Script, first: Take | None) -> None:
        for waiting in self._released():
            waiting.read(script, first)


class Take(_Shared):
    """One line on its way to being audio."""

    def __init__(self, takes: Takes, key: str, request: SpeechRequest, line: Line) -> None:
        super().__init__(takes, key, request, len(line.phones) / PHONE_BYTES * AUDIO_S_PER_PHONE / request.speed)
        self.pieces: list[Pcm] = []
        """The audio so far."""
        self.done = False
        """Whether that is all of it."""
        self.timing = _NO_TIMING
        """When its phones end, once there is audio, as `inference.protocol.timing` writes it."""
        self.found = bool(key) and key in takes.cache
        """Whether it comes from the cache, as far as is known."""
        self._phones = line.phones
        self._script: Script | None = None  # that begins with this line, to be kept when it has been spoken
        self._script_key = ""
        self._hearing: set[Waiting] = set()  # of those who wait, they whose turn it is
        if not request.streamed:  # lines that come later wait for a listener, not for a worker
            self._owe_it()

    def start(self, asker: Waiting, *, due_s: float, urgent: bool, priority: int) -> None:
        """Have it found or made, for one who will hear it soon."""
        self._hearing.add(asker)
        if not self._begun:
            self._owe_it()
        super().start(asker, due_s=due_s, urgent=urgent, priority=priority)

    def leave(self, waiting: Waiting) -> None:
        """Do not wait any more; or not now, if the line comes again."""
        self._hearing.discard(waiting)
        super().leave(waiting)
        if self.done and self._waiting and not self._hearing:
            # Those who come to this line later find it in the cache: a text's refrains are not held all its length.
            self.pieces, self.done, self._begun, self.asker = [], False, False, None
            self.found = self.key in self._takes.cache
            self._takes.opened(self)
            if not self.request.streamed:
                self._owe_it()

    def adopt(self, job: Job, reading: Reading, script: Script) -> None:
        """Take over a job that has just read the script of a text and will now speak this line."""
        if self.key:
            self._script, self._script_key = script, _script_key(reading.request)
            if not self._begun and (audio := self._takes.cache.recall(self.key)) is not None:
                self._begun = True
                self._has(audio)
        held = self._job
        # One that has sent samples goes on from there when its turn comes again; another would begin at the beginning.
        if self.done or (held is not None and (held.state is JobState.DISPATCHED or held.samples)):
            self._takes.pool.cancel(job)
            return
        self._stop()
        self._is_to_be_made()
        self._begun, self.asker = True, reading.asker
        self._due_s, self._urgent, self._priority = job.due_s, job.urgent, job.priority
        job.listener, self._job = self, job

    def script(self, script: Script) -> None:
        """Never called: what it is asked to speak is a line."""
        raise RuntimeError(f"the take of a line was given the script of job {script.job_id}: this is a bug")

    def audio(self, job: Job, pcm: Pcm, *, infer_s: float, timing: bytes = b"") -> None:
        """Samples of it."""
        self.timing = timing or self.timing
        if len(pcm):
            self.pieces.append(pcm)
            self._owe(-min(self._owed_s, len(pcm) / self.request.voice.sample_rate_hz))
        if job.state is JobState.DONE:
            self._job = None
            if self.key:
                self._takes.cache.keep(self.key, _joined(self.pieces, self.timing))
            self._is_done()
        self._say(infer_s)

    def _find(self) -> None:
        audio = self._takes.cache.recall(self.key) if self.key else None
        if audio is not None:
            self._has(audio)
        elif self.key and self._takes.cache.redis:
            self._search_for(self._look())
        else:
            self._make_it()

    async def _look(self) -> None:
        audio = await self._takes.cache.fetch(self.key)
        self._search = None
        if audio is None:
            self._make_it()
        else:
            self._has(audio)

    def _make_it(self) -> None:
        self._is_to_be_made()
        self._make(phones=self._phones)

    def _is_to_be_made(self) -> None:
        self.found = False  # if it was, it has been forgotten meanwhile
        self._owe_it()

    def _owe_it(self) -> None:
        if not self.found and not self._owed_s:
            self._owe(self.seconds)

    def _has(self, audio: bytes) -> None:
        self.found, self.asker = True, None
        samples, self.timing = protocol.split_timing(audio)
        self.pieces = [np.frombuffer(samples, np.int16)] if samples else []
        self._is_done()
        self._say(0.0)

    def _is_done(self) -> None:
        self.done = True
        if self._script is not None:
            self._takes.cache.keep(self._script_key, protocol.encode(replace(self._script, job_id=0, read_s=0.0)))
        self._owe(-self._owed_s)
        self._takes.closed(self)

    def _say(self, infer_s: float) -> None:
        for waiting in list(self._waiting):
            waiting.heard(infer_s)


_NO_TIMING: Final = protocol.timing()


def _joined(pieces: list[Pcm], timing: bytes) -> bytes:
    """The samples' bytes and the timing; of a single piece from a worker, which has both already, no copy."""
    owner: object = pieces[0].base if len(pieces) == 1 else None
    if isinstance(owner, bytes) and len(owner) == pieces[0].nbytes + len(timing):
        return owner
    return b"".join((*(piece.data for piece in pieces), timing))


def _script_key(request: SpeechRequest) -> str:
    return key("script", request.voice.fingerprint, request.text, request.timestamps)


def _script(record: bytes) -> Script:
    script = protocol.decode(record)
    assert isinstance(script, Script), "what is kept as a script is one: this is a bug"  # noqa: S101
    return script

"""A worker process: pin, load, speak once to be sure, then read and speak what comes, until it is told to stop.

The loop knows an `Engine` and not which. Between two steps it looks at its ring, so that jobs join and leave while
others are under way. Its board tells the server that it lives, and which job it is busy with if it should die.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from inference import slices
from inference.engine import Broken, Engine, Piece, Task, turn_s
from inference.frontend.phones import PHONES, Break, Phone, Position, Tone
from inference.frontend.reading import NothingToSay, OverrideError, read, warm
from inference.heap import give_back
from inference.protocol import (
    BEAT,
    CHUNK_HEADER_BYTES,
    FIRST_RUNNING,
    RUNNING_COUNT,
    RUNNING_WORDS,
    Cancel,
    Code,
    Failure,
    FromWorker,
    Job,
    Line,
    Ready,
    Script,
    Stop,
    WorkerSpec,
    chunk_header,
    decode,
    encode,
    timing,
)
from inference.script import write_script
from inference.utterance import Manner, Utterance
from shm.channel import Address, Channel
from shm.segment import SegmentError

if TYPE_CHECKING:
    import numpy.typing as npt

WARM_UP: Final = "你好。Hello, it is 8:30. 行长说，一共三点五元。"
"""Spoken before anybody is served: all parts of the front end, both languages, a short line and a longer one."""

_READ_AT_ONCE: Final = 160
"""Characters, before the engine has its turn: as many lines as it plans at once. Each engine's run drives out of the
processor's caches what the next reading needs: of 30 characters the first takes 0.5 ms, those after it 0.2."""
_READ_IN_HASTE: Final = 64
"""Characters, where a beginning is waited for, and of such texts alone: a few short ones, that are spoken at once."""


class _HostGoneError(Exception):
    """The server has ended."""


def run_worker(spec: WorkerSpec, address: Address) -> None:
    """The whole life of a worker: what the spawned process calls."""
    # The server decides when workers end, also when a terminal or systemd signals the whole group.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if spec.cores:
        os.sched_setaffinity(0, spec.cores)  # before onnxruntime looks at it
    engine = (spec.load or _load)(spec)
    try:
        channel = Channel.attach(address)
    except SegmentError:  # the server has ended while we loaded
        return
    try:
        worker = Worker(engine, channel)
        worker.warm_up()
        os.nice(spec.nice)  # from here on others come first; until here they wait for us
        if spec.short_slices:
            slices.shorten()
        worker.run()
    except _HostGoneError:
        pass
    finally:
        channel.close()


def _load(spec: WorkerSpec) -> Engine:
    from inference.parallel import ParallelEngine
    from inference.voice import Voice

    return ParallelEngine(Voice.load(spec.pack, cache_dir=spec.cache_dir))


class Worker:
    """The loop between a channel and an engine."""

    def __init__(self, engine: Engine, channel: Channel) -> None:
        self._engine = engine
        self._channel = channel
        self._unread: list[Job] = []
        self._stopping = False

    def warm_up(self) -> None:
        """Speak once, with everything that later requests need; RuntimeError if nothing is heard."""
        warm()
        speaker = self._engine.speakers[0]
        for number, line in enumerate(write_script(WARM_UP, read).lines):
            self._engine.add(Task(number, Utterance(line.phones, Manner(speaker)), urgent=number == 0))
        loudest = 0.0
        while self._engine.has_work:
            for result in self._engine.step():
                if isinstance(result, Broken):
                    raise RuntimeError(f"the engine cannot speak: {result.message}")  # noqa: TRY004
                loudest = max(loudest, float(np.abs(result.audio).max(initial=0)))
        if not loudest > 0.01:
            raise RuntimeError("the engine spoke, and it was silence")
        gc.collect()
        give_back()
        gc.freeze()  # dictionaries and graphs stay for good: the collector need not walk through them

    def run(self) -> None:
        """Serve until told to stop, or until the server is gone."""
        engine = self._engine
        self._send(Ready(engine.capacity, engine.sample_rate_hz, engine.repeatable))
        while True:
            self._receive()
            self._read_some()
            if engine.has_work:
                self._step()
            elif not self._unread:
                if self._stopping:
                    return
                self._busy_with(())
                self._wait(None)

    def _receive(self) -> None:
        """Take all that has come: what is left behind nobody would ring for again."""
        self._channel.board[BEAT] += 1
        while records := self._channel.receive():
            for record in records:
                self._take(decode(record))
            self._channel.release(len(records))

    def _read_some(self) -> None:
        """Hand jobs on to the engine, which can speak short lines together: all that are read already, and of texts a
        few short ones or one long one, in the order in which the engine would have its turn with them.
        """
        waiting = sorted(self._unread, key=lambda job: (not job.phones, turn_s(job.due_s, hasty=job.urgent)))
        first = next((job for job in waiting if not job.phones), None)
        hasty = first is not None and first.urgent
        left = _READ_IN_HASTE if hasty else _READ_AT_ONCE
        for job in waiting:
            if job.phones or (left > 0 and (job.urgent or not hasty)):
                left -= len(job.text)
                self._unread.remove(job)
                self._read(job)

    def _take(self, message: object) -> None:
        match message:
            case Job():
                self._unread.append(message)
            case Cancel(job_id):
                self._unread = [job for job in self._unread if job.id != job_id]
                self._engine.cancel(job_id)
            case Stop():
                self._stopping = True

    def _read(self, job: Job) -> None:
        """Find out what is to be said, and hand the first line to the engine."""
        self._busy_with((job.id,))
        try:
            phones = _phones(job.phones) if job.phones else self._script(job)
            manner = Manner(job.speaker, job.speed, job.pitch_semitones, job.gain_db)
            self._engine.add(Task(job.id, Utterance(phones, manner), job.urgent, job.skip_samples, job.due_s))
        except NothingToSay as error:
            self._send(Failure(job.id, Code.NOTHING_TO_SAY, str(error)))
        except OverrideError as error:
            self._send(Failure(job.id, Code.BAD_OVERRIDE, str(error)))
        except Exception as error:  # noqa: BLE001  whatever one text does, the others must go on
            self._send(Failure(job.id, Code.ENGINE, f"{type(error).__name__}: {error}"))

    def _script(self, job: Job) -> tuple[Phone, ...]:
        started_s = time.monotonic()
        script = write_script(job.text, read, marked=job.marked)
        lines = tuple(Line(_ids(line.phones), line.pause_after_s, _numbers(line.marks)) for line in script.lines)
        self._send(Script(job.id, started_s, time.monotonic() - started_s, lines, script.unspoken))
        return script.lines[0].phones

    def _step(self) -> None:
        self._busy_with(self._engine.running())
        for result in self._engine.step():
            if isinstance(result, Piece):
                self._send_bytes(_chunk(result))
            else:
                self._send(Failure(result.job_id, result.code, result.message))

    def _busy_with(self, jobs: Sequence[int]) -> None:
        board = self._channel.board
        board[RUNNING_COUNT] = 0  # a reader between these lines must not blame a job that is done
        for place, job_id in enumerate(jobs[:RUNNING_WORDS], start=FIRST_RUNNING):
            board[place] = job_id
        board[RUNNING_COUNT] = len(jobs)

    def _send(self, message: FromWorker) -> None:
        self._send_bytes(encode(message))

    def _send_bytes(self, record: bytes | bytearray) -> None:
        """Send, and wait while the ring is full: the server reads as fast as callers listen."""
        sent = self._channel.send(record)
        while not sent:
            self._wait(1.0)
            sent = self._channel.flush()

    def _wait(self, timeout_s: float | None) -> None:
        if not self._channel.bell.wait(timeout_s):
            raise _HostGoneError
        self._channel.board[BEAT] += 1


def _chunk(piece: Piece) -> bytearray:
    """The piece as a record: converted to 16 bits where it will lie."""
    head = chunk_header(piece.job_id, last=piece.last, infer_s=piece.infer_s, samples=len(piece.audio))
    tail = b"" if piece.ends is None else timing(piece.ends.tobytes())
    tail_at = CHUNK_HEADER_BYTES + 2 * len(piece.audio)
    record = bytearray(tail_at + len(tail))
    record[:CHUNK_HEADER_BYTES] = head
    record[tail_at:] = tail
    samples: npt.NDArray[np.int16] = np.frombuffer(record, np.int16, len(piece.audio), CHUNK_HEADER_BYTES)
    # Clamped: past full scale a sample would come back with the other sign.
    scaled = np.clip(piece.audio, -1.0, 1.0)
    scaled *= 32767
    samples[:] = np.rint(scaled, out=scaled)
    return record


def _ids(phones: Sequence[Phone]) -> bytes:
    return bytes(number for phone in phones for number in phone.ids)


def _numbers(marks: Sequence[Sequence[int]]) -> bytes:
    return np.array(marks, np.uint32).tobytes()


def _phones(ids: bytes) -> tuple[Phone, ...]:
    return tuple(_phone(ids[at : at + 4]) for at in range(0, len(ids), 4))


@lru_cache(maxsize=1 << 14)  # some 5,000 combinations are met in ordinary text
def _phone(ids: bytes) -> Phone:
    name, tone, position, break_ = ids
    return Phone(PHONES[name], Tone(tone), Position(position), Break(break_))

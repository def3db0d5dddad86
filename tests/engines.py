"""Engines whose audio tells exactly what was asked, and which fail on demand. For tests alone.

What is asked is in the samples: any mix-up between jobs, voices or speeds shows. The pitch is a switch for faults.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inference.engine import Broken, Piece, Task
from inference.frontend.phones import Phone
from inference.frontend.reading import read
from inference.protocol import Code, WorkerSpec
from inference.script import write_script
from inference.utterance import Manner, Utterance

RATE_HZ = 22_050
SAMPLES_A_STEP = 64

CRASH, HANG, RAISE, SLOW = 11.5, 11.25, 11.0, 10.5
"""Pitches that are orders: die, never come back, raise, take 20 ms for each step."""


def tone(utterance: Utterance) -> npt.NDArray[np.int16]:
    """What both engines say: noise that nobody else's phones, speaker, speed, pitch or gain would give."""
    manner = utterance.manner
    asked = repr(([phone.ids for phone in utterance.phones], manner.speaker, np.float32(manner.speed).item()))
    levels = repr((np.float32(manner.pitch_semitones).item(), np.float32(manner.energy_db).item()))
    seed = int.from_bytes(hashlib.sha256((asked + levels).encode()).digest()[:8], "little")
    length = round(len(utterance.phones) * 100 / manner.speed)
    return np.random.default_rng(seed).integers(-30_000, 30_000, length, np.int16)


def whole(text: str, manner: Manner, rate_hz: int = RATE_HZ) -> npt.NDArray[np.int16]:
    """What a server with one of these engines must answer."""
    parts: list[npt.NDArray[np.int16]] = []
    lines = write_script(text, read).lines
    for line in lines:
        parts += [tone(Utterance(line.phones, manner)), _silence(line.pause_after_s / manner.speed, rate_hz)]
    return np.concatenate(parts[:-1])


def _silence(seconds: float, rate_hz: int) -> npt.NDArray[np.int16]:
    return np.zeros(round(seconds * rate_hz), np.int16)


class _Running:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.audio: npt.NDArray[np.float32] = tone(task.utterance).astype(np.float32) / np.float32(32767)
        self.at = 0
        self.sent = task.skip_samples


class ToneEngine:
    """A line in one step, as the parallel voices."""

    capacity = 32
    repeatable = True
    sample_rate_hz = RATE_HZ
    speakers: tuple[str, ...] = ("female", "male")

    def __init__(self) -> None:
        self._tasks: dict[int, _Running] = {}

    @property
    def has_work(self) -> bool:
        return bool(self._tasks)

    def running(self) -> tuple[int, ...]:
        return (self._next(),)

    def add(self, task: Task) -> None:
        self._tasks[task.job_id] = _Running(task)

    def cancel(self, job_id: int) -> None:
        self._tasks.pop(job_id, None)

    def _next(self) -> int:
        return min(self._tasks, key=lambda job_id: self._tasks[job_id].task.due_s)

    def step(self) -> list[Piece | Broken]:
        job_id = self._next()
        running = self._tasks.pop(job_id)
        if broken := _obey(running.task):
            return [broken]
        return [Piece(job_id, running.audio[running.sent :], True, 0.001)]


class AutoregressiveEngine(ToneEngine):
    """Some samples for each of its tasks in every step, four tasks at a time; audio leaves every third step."""

    capacity = 4

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0

    def running(self) -> tuple[int, ...]:
        return tuple(self._tasks)

    def add(self, task: Task) -> None:
        if len(self._tasks) == self.capacity:
            raise ValueError("all slots are taken: the server sent more than there is room for")
        super().add(task)

    def step(self) -> list[Piece | Broken]:
        self._steps += 1
        results: list[Piece | Broken] = []
        for job_id, running in list(self._tasks.items()):
            if broken := _obey(running.task):
                del self._tasks[job_id]
                results.append(broken)
                continue
            running.at = min(running.at + SAMPLES_A_STEP, len(running.audio))
            last = running.at == len(running.audio)
            if last or (self._steps % 3 == 0 and running.at > running.sent):
                results.append(Piece(job_id, running.audio[running.sent : running.at], last, 0.001))
                running.sent = max(running.sent, running.at)
            if last:
                del self._tasks[job_id]
        return results


class SteadyEngine(ToneEngine):
    """One that takes no orders: it speaks, whatever is asked."""

    def step(self) -> list[Piece | Broken]:
        job_id = self._next()
        running = self._tasks.pop(job_id)
        return [Piece(job_id, running.audio[running.sent :], True, 0.001)]


def load_tone(_: WorkerSpec) -> ToneEngine:
    return ToneEngine()


def load_pair(spec: WorkerSpec) -> ToneEngine:
    """The engine `standard` obeys, and any other is steady."""
    return ToneEngine() if spec.pack.name == "standard" else SteadyEngine()


def load_autoregressive(_: WorkerSpec) -> AutoregressiveEngine:
    return AutoregressiveEngine()


def _obey(task: Task) -> Broken | None:
    match task.utterance.manner.pitch_semitones:
        case p if p == CRASH:
            os.kill(os.getpid(), signal.SIGKILL)
        case p if p == HANG:
            while True:
                time.sleep(1)
        case p if p == RAISE:
            return Broken(task.job_id, Code.ENGINE, "told to")
        case p if p == SLOW:
            time.sleep(0.02)
    return None


def phones_of(text: str) -> Sequence[Phone]:
    """Of its first line."""
    return write_script(text, read).lines[0].phones

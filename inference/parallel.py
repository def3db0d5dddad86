"""The parallel voices as an engine: a line is planned in one run and decoded in another, or in stretches.

What is due first goes first, a beginning that is waited for as if it were due a second before: so a line of somebody
important passes those that came with it or before it, and waits for one step at most. Short lines that wait are spoken
together, since a run costs about a millisecond whatever is in it; longer ones are planned together and decoded one by
one, since two in one run of the decoder take as long, and the second would be waited for.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from inference.engine import Broken, Piece, Task, turn_s
from inference.protocol import Code
from inference.voice import Prosody, Voice

FIRST_STRETCH_S: Final = 0.3
"""Of an urgent line. Shorter ones would not come noticeably earlier, for planning takes as long as decoding them."""
STRETCH_GROWTH: Final = 3
"""Each stretch is so many times the one before: decoded some hundred times faster than it is heard, the next one is
there long before it is needed, and few stretches cost little context.
"""
HEARD: Final = 0.5
"""Share of what was sent after which more of it is due."""
LONGEST_STRETCH_S: Final = 4.0
"""Of any line, made in some 10 ms: the worker looks at its ring between two steps, and who waits for a beginning, or is
more important, waits no longer than that. Of 19 s, stretches of 4 and 5 s took 0.97 of the time that the whole took, of
3 s 1.05, of 2 s 1.17 (CPU time, medians of 30, int8, a Zen 4 core)."""
SHORT_PHONES: Final = 14
"""What is called short: up to some 1.8 s. Four lines of 0.4 s in one run take 0.75 of the time they take one by one,
four of 1.3 s 0.87; of 3.4 s, as long, of 4.9 s a third more (`bench batch`, int8, a Zen 4 core)."""
TOGETHER: Final = 4  # eight gain no more
SPREAD: Final = 1.35
"""How much longer the longest may be: all take as long as it does."""
PLANNED_TOGETHER: Final = 4
"""Longer lines that wait are planned in one run, and decoded one by one. Of lines of 6 s that takes 1.40 ms each one by
one, 1.02 by four, 0.93 by eight (medians of 12, int8, `light`, a Zen 4 core)."""
PLANNED_SPREAD: Final = 2.0
"""How much longer the longest of those may be, or the shortest shorter: at 3 as much is lost as gained."""
PLANNED_PHONES: Final = 150
"""Most of them, a dozen seconds: longer lines gain nothing by company, and take their time."""
LONGEST_LINE_PHONES: Final = 1200
"""More than a minute. The front end cuts lines far shorter; what comes longer is no line of its making."""


@dataclass(slots=True)
class _Spoken:
    """A task under way."""

    task: Task
    prosody: Prosody | None = None
    done_frames: int = 0
    stretch_frames: int = 0
    alone: bool = False
    """Whether it was in a run that failed: whose fault it was shows when each is tried by itself."""
    planning_s: float = 0.0
    """Its part of the time that planning took, until it is told with its first piece."""
    told: bool = False
    """Whether a piece of it went out, and with it where its phones end."""

    @property
    def length(self) -> int:
        """In phones."""
        return len(self.task.utterance.phones)

    @property
    def short(self) -> bool:
        """Whether it gains by company."""
        return self.length <= SHORT_PHONES and not self.done_frames and not self.alone

    @property
    def plannable(self) -> bool:
        """Whether it may be planned with others: it is neither short, nor long, nor in haste."""
        ordinary = SHORT_PHONES < self.length <= PLANNED_PHONES and not self.task.urgent
        return ordinary and self.prosody is None and not self.alone


class ParallelEngine:
    """Speaks with one `Voice`. One thread."""

    repeatable: Final = True

    def __init__(self, voice: Voice, *, capacity: int = 32) -> None:
        self._voice = voice
        self.capacity = capacity
        self._waiting: dict[int, _Spoken] = {}  # by job, in order of arrival

    @property
    def sample_rate_hz(self) -> int:
        """Of the voice."""
        return self._voice.pack.sample_rate_hz

    @property
    def speakers(self) -> tuple[str, ...]:
        """Of the pack."""
        return tuple(speaker.name for speaker in self._voice.pack.speakers)

    @property
    def has_work(self) -> bool:
        """Whether a line waits."""
        return bool(self._waiting)

    def running(self) -> tuple[int, ...]:
        """The line that comes next, or the lines."""
        return tuple(spoken.task.job_id for spoken in self._batch()) if self._waiting else ()

    def add(self, task: Task) -> None:
        """Queue a line; ValueError if the voice has no such speaker."""
        self._voice.speaker(task.utterance.manner.speaker)
        self._waiting[task.job_id] = _Spoken(task)

    def cancel(self, job_id: int) -> None:
        """Forget it."""
        self._waiting.pop(job_id, None)

    def step(self) -> list[Piece | Broken]:
        """Speak the next line, or the next stretch of it, or a few short lines."""
        if not self._waiting:
            return []
        batch = self._batch()
        if batch[0].length > LONGEST_LINE_PHONES:
            return [self._broken(batch[0], Code.TOO_LONG, f"a sentence has more than {LONGEST_LINE_PHONES} phones")]
        try:
            pieces = self._speak_together(batch) if batch[0].short and len(batch) > 1 else [self._speak(batch)]
        except Exception as error:  # noqa: BLE001  onnxruntime's exceptions share no base; the other lines must go on
            if len(batch) == 1:
                return [self._broken(batch[0], Code.ENGINE, f"{type(error).__name__}: {error}")]
            for each in batch:
                each.alone = True
            return []
        for each, piece in zip(batch, pieces, strict=False):  # what was but planned has none yet
            if piece.last:
                del self._waiting[each.task.job_id]
        return list(pieces)

    def _broken(self, spoken: _Spoken, code: Code, message: str) -> Broken:
        del self._waiting[spoken.task.job_id]
        return Broken(spoken.task.job_id, code, message)

    def _batch(self) -> list[_Spoken]:
        """What the next step works on: the next line; with a short one others that are about as long, with another that
        nobody waits for at this moment those whose turn comes next, to be planned.
        """
        first = self._next()
        if first.short:
            length = first.length
            alike = (
                spoken
                for spoken in self._waiting.values()
                if spoken.short
                and spoken is not first
                and max(length, spoken.length) <= SPREAD * min(length, spoken.length)
            )
            return [first, *islice(alike, TOGETHER - 1)]
        if not first.plannable:
            return [first]
        least, most = first.length / PLANNED_SPREAD, first.length * PLANNED_SPREAD
        others = (
            spoken
            for spoken in self._waiting.values()
            if spoken.plannable and spoken is not first and least <= spoken.length <= most
        )
        return [first, *heapq.nsmallest(PLANNED_TOGETHER - 1, others, key=self._due_s)]

    def _next(self) -> _Spoken:
        """Whose turn it is. Who waits for an urgent line is in haste until he has heard of it."""
        return min(
            self._waiting.values(),
            key=lambda spoken: turn_s(self._due_s(spoken), hasty=spoken.task.urgent and not spoken.done_frames),
        )

    def _due_s(self, spoken: _Spoken) -> float:
        """Of an urgent line that was begun, the rest is due when half of what went out has been heard."""
        if not spoken.task.urgent:
            return spoken.task.due_s
        return spoken.task.due_s + HEARD * spoken.done_frames * self._voice.pack.hop_samples / self.sample_rate_hz

    def _speak_together(self, batch: list[_Spoken]) -> list[Piece]:
        """Each is as it would be alone (tests hold it), and too short to be cut into stretches."""
        started_s = time.perf_counter()
        speeches = self._voice.speak_batch([spoken.task.utterance for spoken in batch])
        infer_s = (time.perf_counter() - started_s) / len(batch)
        return [
            Piece(each.job_id, speech.audio[each.skip_samples :], True, infer_s, self._ends(speech.durations))  # noqa: FBT003
            for speech, each in zip(speeches, (spoken.task for spoken in batch), strict=True)
        ]

    def _ends(self, durations: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        return (np.cumsum(durations) * self._voice.pack.hop_samples).astype(np.int32)

    def _plan(self, batch: list[_Spoken]) -> Prosody:
        """All of them; the first one's is returned."""
        started_s = time.perf_counter()
        prosodies = self._voice.plan([each.task.utterance for each in batch])
        planning_s = (time.perf_counter() - started_s) / len(batch)
        for spoken, prosody in zip(batch, prosodies, strict=True):
            spoken.prosody, spoken.planning_s = prosody, planning_s
            first_s = FIRST_STRETCH_S if spoken.task.urgent else LONGEST_STRETCH_S
            spoken.stretch_frames = round(first_s * self.sample_rate_hz / self._voice.pack.hop_samples)
        return prosodies[0]

    def _speak(self, batch: list[_Spoken]) -> Piece:
        """The first of them; the others are planned on the way."""
        spoken = batch[0]
        hop, skip = self._voice.pack.hop_samples, spoken.task.skip_samples
        prosody = spoken.prosody or self._plan(batch)
        started_s = time.perf_counter()
        end = prosody.frame_count
        # What is known already is stepped over stretch by stretch: cut elsewhere, samples may round another way.
        while (last := _stretch_end(spoken, end)) * hop <= skip and last < end:
            self._advance(spoken, last)
        first = spoken.done_frames
        audio = self._voice.decode(prosody, first, last)
        self._advance(spoken, last)
        ends = None if spoken.told else self._ends(prosody.durations)
        infer_s = spoken.planning_s + time.perf_counter() - started_s
        spoken.told, spoken.planning_s = True, 0.0
        return Piece(spoken.task.job_id, audio[max(0, skip - first * hop) :], last == end, infer_s, ends)

    def _advance(self, spoken: _Spoken, last: int) -> None:
        longest = round(LONGEST_STRETCH_S * self.sample_rate_hz / self._voice.pack.hop_samples)
        spoken.done_frames = last
        spoken.stretch_frames = min(spoken.stretch_frames * STRETCH_GROWTH, longest)


def _stretch_end(spoken: _Spoken, frame_count: int) -> int:
    """Where the next stretch of a line of so many frames ends; a rest that is not much longer goes with it."""
    rest = frame_count - spoken.done_frames
    return spoken.done_frames + (rest if rest < 2 * spoken.stretch_frames else spoken.stretch_frames)

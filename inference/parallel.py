"""The parallel voices as an engine: a line is planned in one run and decoded in another, or in stretches.

Lines are spoken one after another, urgent beginnings first. Nothing is gained by a batch here: two lines in one run
take as long as one after the other (bench engine --batch), and the second would wait for the first.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from inference.engine import Broken, Piece, Task
from inference.protocol import Code
from inference.voice import Floats, Prosody, Voice

FIRST_STRETCH_S: Final = 0.3
"""Of an urgent line. Shorter ones would not come noticeably earlier, for planning takes as long as decoding them."""
STRETCH_GROWTH: Final = 3
"""Each stretch is so many times the one before: decoded some hundred times faster than it is heard, the next one is
there long before it is needed, and few stretches cost little context.
"""
LONGEST_LINE_PHONES: Final = 1200
"""More than a minute. The front end cuts lines far shorter; what comes longer is no line of its making."""


@dataclass(slots=True)
class _Spoken:
    """A task under way."""

    task: Task
    prosody: Prosody | None = None
    done_frames: int = 0
    stretch_frames: int = 0


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
        """The line that comes next."""
        return (self._next().task.job_id,) if self._waiting else ()

    def add(self, task: Task) -> None:
        """Queue a line; ValueError if the voice has no such speaker."""
        self._voice.speaker(task.utterance.manner.speaker)
        self._waiting[task.job_id] = _Spoken(task)

    def cancel(self, job_id: int) -> None:
        """Forget it."""
        self._waiting.pop(job_id, None)

    def step(self) -> list[Piece | Broken]:
        """Speak the next line, or the next stretch of it."""
        if not self._waiting:
            return []
        spoken = self._next()
        job_id = spoken.task.job_id
        if len(spoken.task.utterance.phones) > LONGEST_LINE_PHONES:
            del self._waiting[job_id]
            return [Broken(job_id, Code.TOO_LONG, f"a sentence has more than {LONGEST_LINE_PHONES} phones")]
        started = time.perf_counter()
        try:
            audio, last = self._speak(spoken)
        except Exception as error:  # noqa: BLE001  onnxruntime's exceptions share no base; the other lines must go on
            del self._waiting[job_id]
            return [Broken(job_id, Code.ENGINE, f"{type(error).__name__}: {error}")]
        if last:
            del self._waiting[job_id]
        return [Piece(job_id, audio, last, time.perf_counter() - started)]

    def _next(self) -> _Spoken:
        """Urgent lines that nothing was heard of yet, then the others, each in order of arrival."""
        return next(
            (s for s in self._waiting.values() if s.task.urgent and not s.done_frames),
            next(iter(self._waiting.values())),
        )

    def _speak(self, spoken: _Spoken) -> tuple[Floats, bool]:
        hop, skip = self._voice.pack.hop_samples, spoken.task.skip_samples
        if spoken.prosody is None:
            (spoken.prosody,) = self._voice.plan([spoken.task.utterance])
            spoken.stretch_frames = round(FIRST_STRETCH_S * self.sample_rate_hz / hop)
        end = spoken.prosody.frame_count
        # What is known already is stepped over stretch by stretch: cut elsewhere, samples may round another way.
        while (last := self._stretch_end(spoken)) * hop <= skip and last < end:
            self._advance(spoken, last)
        first = spoken.done_frames
        audio = self._voice.decode(spoken.prosody, first, last)
        self._advance(spoken, last)
        return audio[max(0, skip - first * hop) :], last == end

    @staticmethod
    def _stretch_end(spoken: _Spoken) -> int:
        """The whole line, unless its beginning is urgent; a rest not much longer than the stretch goes with it."""
        assert spoken.prosody is not None, "a line is planned first: this is a bug"  # noqa: S101
        end = spoken.prosody.frame_count
        whole = not spoken.task.urgent or end - spoken.done_frames < 2 * spoken.stretch_frames
        return end if whole else spoken.done_frames + spoken.stretch_frames

    @staticmethod
    def _advance(spoken: _Spoken, last: int) -> None:
        spoken.done_frames = last
        spoken.stretch_frames *= STRETCH_GROWTH

"""What is asked of the gateway and what it gives: the contract between HTTP and the engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]
"""(S,) mono samples at the voice's own rate."""
Reuse = Literal["HIT", "PARTIAL", "MISS"]
"""Whether audio was made for others before: all of it, some, none."""

AUDIO_S_PER_BYTE: Final = 0.075
"""Seconds of audio for a byte of UTF-8 text, about: a Chinese character has three and takes 0.22 s, an English letter
one and 0.07 s. For order and admission only."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice one can ask for, as one engine speaks it."""

    id: str
    engine: str
    gender: str
    languages: tuple[str, ...]
    description: str
    sample_rate_hz: int
    fingerprint: str = ""
    """A hash over what its sound depends on: the pack, and the code that reads and speaks."""

    def stands_in_for(self, other: Voice) -> bool:
        """Whether it may speak where the other cannot: it speaks all its languages, and is of the same gender."""
        return self.gender == other.gender and set(other.languages) <= set(self.languages)


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A text to be spoken; checked, all names known."""

    id: str
    text: str
    voice: Voice
    speed: float = 1.0
    """Times natural speed, 0.25 to 4."""
    volume: float = 1.0
    """Linear gain, 0.3 to 3; a limiter keeps it from clipping."""
    pitch_semitones: float = 0.0
    streamed: bool = False
    """Whether audio is wanted as it is made: the first piece early, the others in time to be played."""
    deadline_s: float = 60.0
    """Seconds from now until the whole answer is of no use any more."""
    promised: bool = False
    """Whether it belongs to what was accepted before, and is let in although the server shuts down."""
    priority: int = 0
    """0 is served first; a larger number is served as if it had come later."""
    may_reuse: bool = True
    """Whether audio made for others may be given, and this audio kept for others."""
    timestamps: bool = False
    """Whether it is to be told when each word is said."""
    others: tuple[Voice, ...] = ()
    """Voices of other engines to speak with if the first cannot, in this order."""

    @property
    def audio_s(self) -> float:
        """How long the audio will be, about."""
        return len(self.text.encode()) * AUDIO_S_PER_BYTE / self.speed


class SpokenWord(NamedTuple):
    """What is said together, when, and where it was written."""

    text: str
    """As it was written: a word, or a figure, which may be said in several."""
    start_s: float
    end_s: float
    """Seconds from the beginning of the audio."""
    start: int
    end: int
    """Characters (Unicode code points) of the request's text, from `start` to before `end`."""

    def content(self, *, later_s: float = 0.0, after: int = 0) -> dict[str, str | float]:
        """As callers are told of it, whose audio or text has that much before the request's."""
        return {
            "text": self.text,
            "start_s": round(self.start_s + later_s, 4),
            "end_s": round(self.end_s + later_s, 4),
            "start": self.start + after,
            "end": self.end + after,
        }


@dataclass(slots=True)
class Timings:
    """Where the time of a request went; grows while it is served. Seconds."""

    waiting: bool = False
    """Whether it still waits for its turn: what is not begun is not late."""
    suspected: bool = False
    """Whether it may be what workers have died of."""
    queue_s: float = 0.0
    """From acceptance until a worker took up the text."""
    read_s: float = 0.0
    """Text to phones."""
    infer_s: float = 0.0
    """Phones to audio, summed over sentences; sentences run side by side, so it may exceed the wall clock."""
    encode_s: float = 0.0
    """Audio to the format asked for; written by whoever encodes."""


class Speech(Protocol):
    """One accepted request. Iterate over it once for its audio, in order; it ends when all has been said."""

    @property
    def voice(self) -> Voice:
        """Who really speaks."""
        ...

    @property
    def timings(self) -> Timings:
        """So far."""
        ...

    @property
    def unspoken(self) -> tuple[str, ...]:
        """Characters without a reading that were left out; complete once the first piece of audio is there."""
        ...

    @property
    def reuse(self) -> Reuse:
        """How much of it was there already, as far as is known."""
        ...

    @property
    def words(self) -> Sequence[SpokenWord]:
        """Those of the audio so far, in the order of the text, if they are asked for and the engine knows them."""
        ...

    def __aiter__(self) -> AsyncIterator[Pcm]:
        """Pieces of audio, none empty, never one after another's place. TTSError if the rest cannot be had."""
        ...


class Gateway(Protocol):
    """Where requests become audio."""

    def voices(self) -> tuple[Voice, ...]:
        """Every voice of every engine, the default engine's first."""
        ...

    def speak(self, request: SpeechRequest) -> AbstractAsyncContextManager[Speech]:
        """Accept a request: `async with gateway.speak(request) as speech: async for pcm in speech: …`

        Entering it raises TTSError if it is refused (queue full, shutting down, no engine ready) and waits for nothing
        else. Leaving it before the end, for whatever reason, cancels what is not yet spoken.
        """
        ...

    def ready(self) -> dict[str, bool]:
        """Engine by engine: whether a worker of it is up and has really spoken."""
        ...

    @property
    def draining(self) -> bool:
        """Whether the server is shutting down."""
        ...

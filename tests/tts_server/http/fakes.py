"""What stands for the engines and the metrics in the tests of the HTTP side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from tts_server.errors import TTSError
from tts_server.speech import Pcm, Reuse, Speech, SpeechRequest, SpokenWord, Timings, Voice

RATE_HZ = 24_000
FEMALE = Voice("female", "standard", "female", ("zh", "en"), "A calm woman", RATE_HZ)
MALE = Voice("male", "standard", "male", ("zh", "en"), "A calm man", RATE_HZ)
LIGHT = Voice("female", "light", "female", ("zh", "en"), "A calm woman, twice as fast", RATE_HZ)
PIECE_SAMPLES = 2_400


def pieces_of(text: str) -> list[Pcm]:
    """A piece of audio for each character, told apart by its value."""
    return [np.full(PIECE_SAMPLES, ord(char) % 30_000, np.int16) for char in text]


def pcm_of(text: str) -> bytes:
    return b"".join(piece.tobytes() for piece in pieces_of(text))


@dataclass
class FakeSpeech:
    voice: Voice
    audio: Callable[[], AsyncIterator[Pcm]]
    timings: Timings = field(default_factory=lambda: Timings(queue_s=0.001, read_s=0.002, infer_s=0.003))
    unspoken: tuple[str, ...] = ()
    reuse: Reuse = "MISS"
    words: tuple[SpokenWord, ...] = ()

    def __aiter__(self) -> AsyncIterator[Pcm]:
        return self.audio()


@dataclass
class FakeGateway:
    """Speaks at once, unless a test says otherwise."""

    refusal: TTSError | None = None
    failure: Exception | None = None
    """Raised instead of the piece `fails_at`."""
    fails_at: int = 0
    holds_at: int | None = None
    """The piece before which every speech waits for `release`."""
    leaving_fails: bool = False
    speaker: Voice | None = None
    """Who speaks, if it is not the one that was asked for."""
    reuse: Reuse = "MISS"
    unspoken: tuple[str, ...] = ()
    words: tuple[SpokenWord, ...] = ()
    is_ready: dict[str, bool] = field(default_factory=lambda: {"standard": True, "light": True})
    draining: bool = False
    requests: list[SpeechRequest] = field(default_factory=list)
    speaking: list[str] = field(default_factory=list)
    """Texts of the speeches that were entered and not left."""
    most_at_once: int = 0
    cut_short: list[str] = field(default_factory=list)
    """Texts of those that were left before their end."""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def voices(self) -> tuple[Voice, ...]:
        return FEMALE, MALE, LIGHT

    def ready(self) -> dict[str, bool]:
        return self.is_ready

    @asynccontextmanager
    async def speak(self, request: SpeechRequest) -> AsyncIterator[Speech]:
        self.requests.append(request)
        if self.refusal is not None:
            raise self.refusal
        self.speaking.append(request.text)
        self.most_at_once = max(self.most_at_once, len(self.speaking))
        finished = False

        async def audio() -> AsyncIterator[Pcm]:
            nonlocal finished
            for number, piece in enumerate(pieces_of(request.text)):
                if number == self.holds_at:
                    self.held.set()
                    await self.release.wait()
                if self.failure is not None and number == self.fails_at:
                    raise self.failure
                yield piece
            finished = True

        try:
            yield FakeSpeech(
                self.speaker or request.voice, audio, unspoken=self.unspoken, reuse=self.reuse, words=self.words
            )
        finally:
            self.speaking.remove(request.text)
            if not finished:
                self.cut_short.append(request.text)
            self.left.set()
        if self.leaving_fails:
            raise RuntimeError("a bug")


@dataclass
class FakeMeter:
    requests: list[tuple[str, int]] = field(default_factory=list)
    firsts: int = 0
    calls: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    counted: asyncio.Event = field(default_factory=asyncio.Event)

    def request(self, route: str, status: int, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((route, status))
        self.counted.set()

    def outcome(self, outcome: str) -> None:
        self.outcomes.append(outcome)

    def first_audio(self, seconds: float) -> None:
        assert seconds >= 0
        self.firsts += 1

    def encoded(self, audio_format: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append(audio_format)

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        return f"counted for {accept}".encode(), "text/plain; version=0.0.4; charset=utf-8"

"""One request on its way through engines: asks one after another until one speaks, and then stays with that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from tts_server.breaker import Verdict
from tts_server.errors import (
    POISONOUS,
    DeadlineExceeded,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    QueueFull,
    TTSError,
)
from tts_server.speech import Pcm, Reuse, Speech, SpeechRequest, SpokenWord, Timings, Voice

if TYPE_CHECKING:
    from tts_server.metrics import Outcome
    from tts_server.router import Engine, Router

_ELSEWHERE: Final = (EngineFailed, EngineUnavailable, QueueFull)
"""What another engine may do better. All else is the caller's, the clock's or the server's."""


LEAST_LATE_S: Final = 0.5
"""No engine is called late sooner, however hurried a caller is: a worker may just be replaced."""


class Routed:
    """A request on its way: the `Speech` that its caller iterates over; behind it that of the engine that speaks."""

    def __init__(self, request: SpeechRequest, router: Router) -> None:
        self._request = request
        self._router = router
        self._voices: list[Voice] = []  # that were not asked yet
        self._engine: Engine
        self._speech: Speech
        self._context: AbstractAsyncContextManager[Speech] | None = None
        self._asked: Voice
        self._asked_s = 0.0
        self._ticket: int | None = None
        self._outcome: Outcome = "cancelled"

    @property
    def voice(self) -> Voice:
        """Who really speaks."""
        return self._speech.voice

    @property
    def timings(self) -> Timings:
        """Of the engine that speaks."""
        return self._speech.timings

    @property
    def unspoken(self) -> tuple[str, ...]:
        """Characters that were left out."""
        return self._speech.unspoken

    @property
    def reuse(self) -> Reuse:
        """How much was there already."""
        return self._speech.reuse

    @property
    def words(self) -> Sequence[SpokenWord]:
        """Of the engine that speaks."""
        return self._speech.words

    async def __aenter__(self) -> Self:
        router = self._router
        self._loop = asyncio.get_running_loop()
        self._until_s = self._loop.time() + self._request.deadline_s
        try:
            self._request, self._voices = router.accept(self._request)
            wanted, is_first = self._request.voice, self._voices[0] is self._request.voice
            why = await self._ask("" if is_first else "overload")
        except BaseException:
            router.metrics.outcome("rejected")
            raise
        if self._engine.name != wanted.engine:
            router.metrics.routing.fallback(wanted.engine, self._engine.name, why)
        router.entered()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        context, self._context = self._context, None
        try:
            if context is not None:
                await context.__aexit__(kind, error, trace)
        finally:
            self._settle(None)
            self._router.left(self._outcome)

    async def __aiter__(self) -> AsyncIterator[Pcm]:
        given = False
        try:
            pieces, first = await self._begin()
            if first is not None:
                given = True
                yield first
                async for pcm in pieces:
                    yield pcm
            self._outcome = "done"
        except DeadlineExceeded:
            self._outcome = "expired"
            raise
        except Exception as error:
            self._outcome = "failed"
            if given and isinstance(error, EngineFailed):
                if error.code == POISONOUS:
                    self._router.poisoned(self._request.text)
                else:
                    self._engine.breaker.broke_off(self._ticket, self._loop.time())
            raise

    # --- asking engines ---------------------------------------------------------------------------------------------

    async def _ask(self, why: str) -> str:
        """Have the first voice speak that can, of those not asked yet; why it is not the one before it, if it is not.

        If none can, the error of the one that was wanted is raised, or of the first that was asked. Breakers only put
        engines last: where all of them are open, or say no, they are asked all the same.
        """
        refused: dict[str, TTSError] = {}
        skipped: list[Voice] = []
        while self._voices:
            voice = self._voices.pop(0)
            engine = self._router.engine_of(voice)
            ticket = engine.admit(self._loop.time())
            if ticket is None:
                skipped.append(voice)
                why = why or "breaker_open"
            elif (error := await self._enter(engine, voice, ticket)) is None:
                self._voices = skipped + self._voices
                return why
            else:
                refused[engine.name] = error
                why = why or error.code
        for number, voice in enumerate(skipped):
            engine = self._router.engine_of(voice)
            if (error := await self._enter(engine, voice, None)) is None:
                self._voices = skipped[number + 1 :]
                return why
            refused[engine.name] = error
        raise refused.get(self._request.voice.engine) or next(iter(refused.values()))

    async def _enter(self, engine: Engine, voice: Voice, ticket: int | None) -> TTSError | None:
        """Have that engine speak it; the error, if it does not and another may."""
        request, now_s = self._request, self._loop.time()
        if voice is not request.voice or self._asked_s:
            request = replace(request, voice=voice, deadline_s=max(0.0, self._until_s - now_s))
        context = engine.backend.speak(request)
        try:
            speech = await context.__aenter__()
        except _ELSEWHERE as error:
            engine.breaker.settle(ticket, self._verdict(error), now_s)
            return error
        except BaseException as error:
            engine.breaker.settle(ticket, None, now_s)
            if isinstance(error, InvalidRequest) and voice is not self._request.voice:
                return error  # an engine that was not asked for does not speak everything
            raise
        self._engine, self._context, self._speech = engine, context, speech
        self._asked, self._asked_s, self._ticket = voice, now_s, ticket
        return None

    async def _begin(self) -> tuple[AsyncIterator[Pcm], Pcm | None]:
        """Its audio: the first piece, None if there is none at all, and the rest. From whichever engine gives it."""
        while True:
            pieces = aiter(self._speech)
            try:
                first = await self._first(pieces)
            except _Late as late:
                self._settle("late")
                before = self._asked
                self._voices.append(before)  # if nobody else takes it, it waits again where it was
                await self._move(late, "late")
                self._voices = [voice for voice in self._voices if voice is not before]
            except _ELSEWHERE as error:
                if error.code == POISONOUS:  # it would kill another engine's workers as well
                    self._router.poisoned(self._request.text)
                    raise
                self._settle(self._verdict(error))
                await self._move(error, error.code)
            except DeadlineExceeded:
                if self._late_in_s() <= 0:
                    self._settle("late")
                raise
            else:
                self._settle("ok" if self._late_in_s() > 0 else "late")
                return pieces, first

    async def _first(self, pieces: AsyncIterator[Pcm]) -> Pcm | None:
        """The first piece. _Late if there is none in time, and somebody else to ask."""
        if not self._voices:
            return await anext(pieces, None)
        try:
            async with asyncio.timeout(None) as patience:
                self._look_again(patience, self._late_s)
                try:
                    return await anext(pieces, None)
                finally:
                    self._looking.cancel()
        except TimeoutError:
            if not patience.expired():
                raise
            raise _Late(f"the engine gave no audio within {self._late_s:g} s") from None

    @property
    def _late_s(self) -> float:
        """How long the engine may take: half of a short deadline, so that another can still answer in the rest."""
        return min(self._router.settings.breaker_late_s, max(LEAST_LATE_S, self._request.deadline_s / 2))

    def _look_again(self, patience: asyncio.Timeout, after_s: float) -> None:
        self._looking = self._loop.call_later(after_s, self._look, patience)

    def _look(self, patience: asyncio.Timeout) -> None:
        """Whether it is late by now; no task and no cancelling until it is."""
        left_s = self._late_in_s()
        if left_s > 0:
            self._look_again(patience, left_s)
        elif any(self._router.engine_of(voice).well for voice in self._voices):
            patience.reschedule(self._loop.time())
        else:
            self._look_again(patience, self._late_s)

    def _late_in_s(self) -> float:
        """Seconds until its first audio is late. It is not while it waits for its turn: that is not the engine's. But
        where nobody is there to be waited for, it is; unless that is its own doing.
        """
        timings, late_s = self._speech.timings, self._late_s
        if timings.waiting and (self._engine.present or timings.suspected):
            return late_s
        return self._asked_s + timings.queue_s + late_s - self._loop.time()

    async def _move(self, failure: TTSError, why: str) -> None:
        """Have another engine speak it. The failure is raised if none does."""
        if not self._voices:
            raise failure
        before, context, self._context = self._engine, self._context, None
        assert context is not None, "what is asked of an engine was entered: this is a bug"  # noqa: S101
        await context.__aexit__(None, None, None)
        try:
            await self._ask(why)
        except TTSError:
            raise failure from None
        if self._engine is not before:
            self._router.metrics.routing.fallback(before.name, self._engine.name, why)

    def _verdict(self, error: TTSError) -> Verdict | None:
        if not isinstance(error, QueueFull):
            return "failed"
        # Where the caller's own haste made the queue too long, that says nothing about the engine.
        return "saturated" if self._request.deadline_s >= self._router.settings.max_queue_s else None

    def _settle(self, verdict: Verdict | None) -> None:
        """Tell the breaker how it went; it hears the first word only."""
        self._engine.breaker.settle(self._ticket, verdict, self._loop.time())


class _Late(EngineFailed):
    """No audio yet."""

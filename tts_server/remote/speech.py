"""One request spoken by the service: its text goes there piece by piece, and its audio waits here to be heard.

The service is listened to by a task of its own, at the service's pace: it cuts whoever makes it wait, and a slot that a
slow listener held would be denied to others.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from inference.limiter import limit
from tts_server.audio import to_pcm
from tts_server.errors import DeadlineExceeded, EngineFailed, EngineUnavailable, QueueFull, TTSError
from tts_server.jobs.pieces import next_piece
from tts_server.logs import get_logger
from tts_server.remote.messages import RemoteVoice, Task, characters_of, pitch
from tts_server.remote.slot import Slot
from tts_server.speech import Pcm, Reuse, SpeechRequest, SpokenWord, Timings, Voice

if TYPE_CHECKING:
    from tts_server.remote.dashscope import DashScope

AHEAD_S: Final = 10.0
"""The next piece of a text is asked for when less than this is left to be heard: many times what it takes to begin."""
AGAIN_S: Final = 30.0
"""What a piece after the first waits for a slot, if its listener was slow and let others go first."""
_PIECE_S: Final = 0.5
"""Longer frames are given out in parts: what is done with one at a time must not hold up the event loop."""
_SAMPLE_BYTES: Final = 2
_SILENT_S, _CHARACTER_S = 10.0, 2.0
"""The most audio that a piece may have, at natural speed: so much, and so much for each character that the service
counts. It is four times what is normal, and bounds memory should the service go wrong."""

log = get_logger(__name__)


class RemoteSpeech:
    """See `tts_server.speech.Speech`; accepted when it is entered."""

    reuse: Reuse = "MISS"
    unspoken: tuple[str, ...] = ()
    words: tuple[SpokenWord, ...] = ()

    def __init__(self, request: SpeechRequest, voice: RemoteVoice, gateway: DashScope) -> None:
        self.request = request
        self.timings = Timings()
        self._remote = voice
        self._gateway = gateway
        self.slot: Final = Slot(gateway.slots)
        self._speaking: asyncio.Task[None] | None = None
        self._audio: deque[Pcm] = deque()
        self._waiting_samples = 0  # in it
        self._rest = b""  # half a sample, of which the other half is still to come
        self._piece_samples = 0  # that came of the piece that is being spoken
        self._most_samples = 0  # that may come
        self._error: TTSError | None = None
        self._complete = False
        self._news = asyncio.Event()  # for the listener
        self._room = asyncio.Event()  # for who speaks
        self._deadline: asyncio.Timeout | None = None
        self._hour = 0

    @property
    def voice(self) -> Voice:
        """Who speaks."""
        return self.request.voice

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        came_s = loop.time()
        self._characters = characters_of(self.request.text)  # counted as sent, and not known to be otherwise
        self._hour = await self._gateway.admit(self, self._characters)
        self.timings.queue_s = loop.time() - came_s
        self._speaking = loop.create_task(self._speak(came_s + self.request.deadline_s))
        self._speaking.add_done_callback(self._spoken)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._speaking is not None  # noqa: S101  (it was entered)
        self._speaking.cancel()
        self._gateway.ended(self)

    async def __aiter__(self) -> AsyncIterator[Pcm]:
        """The audio as it came."""
        while not (self._complete and not self._audio):
            if self._error is not None and not (self.request.streamed and self._audio):
                raise self._error  # half of it is of no use to who wants it whole
            if self._audio:
                pcm = self._audio.popleft()
                self._waiting_samples -= len(pcm)
                self._room.set()
                yield self._as_loud_as_asked(pcm)
            else:
                self._news.clear()
                await self._news.wait()

    def fail(self, error: TTSError) -> bool:
        """End it by an error, which the listener meets after the audio that he has; False if it has ended already."""
        if self._error is not None or self._complete:
            return False
        self._error = error
        if self._speaking is not None:
            self._speaking.cancel()
        self._news.set()
        return True

    # --- speaking ---------------------------------------------------------------------------------------------------

    async def _speak(self, until_s: float) -> None:
        if self._error is not None:
            return  # it was ended while it waited to be let in
        try:
            async with asyncio.timeout_at(until_s) as self._deadline:
                for number, piece in enumerate(_pieces(self.request.text)):
                    if number and self._is_far_ahead:
                        self.slot.give_back()
                        await self._until_room()
                        await self.slot.take(AGAIN_S)
                    await self._speak_piece(piece)
                self._complete = True
        except TimeoutError:
            self.fail(DeadlineExceeded(f"the deadline of {self.request.deadline_s:g} s passed before all was spoken"))
        except TTSError as error:
            self._gateway.failed(error)
            self.fail(error)
        except Exception as error:  # whatever it is, the listener must not wait for ever
            log.error("remote speech failed", exc_info=error)  # noqa: TRY400  (ours has no `exception`)
            self.fail(EngineFailed("DashScope's answer could not be used; this is a bug"))

    def _spoken(self, _: asyncio.Task[None]) -> None:
        """It does not speak any more, or never began to."""
        self._gateway.settle(self._hour, -self._characters)
        self._gateway.spoken(self)
        self._news.set()

    async def _speak_piece(self, text: str) -> None:
        request, loop = self.request, asyncio.get_running_loop()
        expected = characters_of(text)
        self._piece_samples = 0
        most_s = _SILENT_S + _CHARACTER_S * expected / request.speed
        self._most_samples = round(most_s * self._remote.sample_rate_hz)
        began_s = loop.time()
        outcome, counted = "failed", None
        self._characters -= expected  # sent: it stays counted, whatever becomes of it
        task = Task(uuid.uuid4().hex, self._remote, text, request.speed, pitch(request))
        try:
            counted = await self._gateway.client.speak(task, self._heard)
            if self._rest:
                raise EngineFailed("DashScope's audio ends within a sample")
            if not self._piece_samples:
                raise EngineFailed("DashScope gave no audio for this text")
            outcome = "done"
            self._gateway.served()
        except TTSError as error:
            outcome = "throttled" if isinstance(error, QueueFull) else "failed"
            counted = 0 if isinstance(error, QueueFull | EngineUnavailable) else None  # who takes no text bills none
            log.info("remote task failed", request=request.id, task=task.id, problem=error.message)
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            sent = expected if counted is None else counted
            self._gateway.settle(self._hour, sent - expected)
            self.timings.infer_s += loop.time() - began_s
            self._gateway.metrics.remote_task(
                self.voice.engine, outcome, sent, self._piece_samples / self._remote.sample_rate_hz
            )

    def _heard(self, frame: bytes) -> None:
        data = self._rest + frame
        count = len(data) // _SAMPLE_BYTES
        self._rest = data[count * _SAMPLE_BYTES :]
        self._piece_samples += count
        if self._piece_samples > self._most_samples:
            raise EngineFailed("DashScope sent far more audio than this text can have")
        samples = np.frombuffer(data, "<i2", count)
        step = round(_PIECE_S * self._remote.sample_rate_hz)
        self._audio.extend(samples[start : start + step] for start in range(0, count, step))
        self._waiting_samples += count
        if self.request.streamed and count and self._deadline is not None:
            self._deadline.reschedule(None)  # who listens already may take his time; silence ends it sooner
        self._news.set()

    @property
    def _is_far_ahead(self) -> bool:
        return self._waiting_samples > AHEAD_S * self._remote.sample_rate_hz

    async def _until_room(self) -> None:
        while self._is_far_ahead:
            self._room.clear()
            await self._room.wait()

    def _as_loud_as_asked(self, pcm: Pcm) -> Pcm:
        if self.request.volume == 1.0:
            return pcm
        return to_pcm(limit(pcm.astype(np.float32) * np.float32(self.request.volume / 32767)))


def _pieces(text: str) -> Iterator[str]:
    """The text, in pieces of some sentences each, without those in which there is nothing to say.

    The service would take twenty times as much at once. But what is lost with a cut connection is a piece, and what a
    caller who left has paid for.
    """
    start = 0
    while start < len(text):
        end = next_piece(text, start).end
        if any(char.isalnum() for char in text[start:end]):
            yield text[start:end]
        start = end

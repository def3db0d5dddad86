"""GET /v1/audio/speech/stream: text comes in as it is being written, audio goes out sentence by sentence.

Messages are vLLM-omni's. The client sends session.config, input.text, input.done, input.cancel, session.close; for each
sentence it gets audio.start, the audio as binary messages, audio.done; audio.words before the audio that they are in,
if it asks for timestamps; and session.done when all that came before an input.done has been said. What it sent wrongly
is answered by `error`, and the session goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from tts_server.errors import InvalidRequest, TTSError
from tts_server.http.bodies import InputText, SessionConfig, SocketMessage, parse_message
from tts_server.http.cutter import Clause, Cutter
from tts_server.http.guard import allowed_voices, choose, permit, priority
from tts_server.http.kept import may_reuse
from tts_server.http.middlewares import CLIENT_GONE, note_failure, unexpected
from tts_server.http.rendering import Rendering
from tts_server.http.requests import (
    Delivery,
    parse_deadline_s,
    session,
)
from tts_server.http.sending import ClientGone, cut, send
from tts_server.http.services import OUTCOME, REQUEST_ID, SERVICES
from tts_server.speech import SpeechRequest, SpokenWord, Voice

FRAME_BYTES: Final = 1 << 15
"""Of audio in one message: clients' libraries refuse messages above 1 MiB, and small ones can be played sooner."""
SLICE_CHARACTERS: Final = 1_000
"""Of text, cut at once: at worst 5 ms, then others have their turn."""
PAUSE_S: Final = 0.25
"""Between two sentences at natural speed, as everywhere else (`inference.script.SENTENCE_PAUSE_S`)."""

_CLOSE_S: Final = 2.0  # for the client to confirm that the socket closes; then it is closed without
SOCKETS: Final = web.AppKey("sockets", set[web.WebSocketResponse])


@dataclass(frozen=True, slots=True)
class _Sentence:
    """One to be spoken."""

    utterance: int
    index: int
    request: SpeechRequest
    delivery: Delivery
    lead_silence_s: float
    since_s: float
    start: int
    """Characters of the utterance before it."""


@dataclass(frozen=True, slots=True)
class _End:
    """Of an utterance: all that was said before an input.done."""

    utterance: int
    sentences: int


@dataclass(slots=True)
class _Position:
    """What is being said; if nothing is, what will be next."""

    utterance: int = 0
    sentence: int = 0
    sent_bytes: int = 0

    def message(self, kind: str, **more: object) -> dict[str, object]:
        return {"type": kind, "utterance_index": self.utterance, "sentence_index": self.sentence, **more}


async def speak_as_written(request: web.Request) -> web.StreamResponse:
    """Serve one websocket, until either side closes it."""
    services = request.app[SERVICES]
    deadline_s = parse_deadline_s(request.headers.get("X-Deadline-Ms"), services.limits.deadline_s)
    own = priority(request)  # refused now, if it is wrong
    if services.load is not None:  # later its sentences are let in: what a session begins with, it ends with
        services.load.admit(own)
    first = _first_config(allowed_voices(request))
    manner = choose(request, lambda voices: session(first, voices, deadline_s=deadline_s))
    socket = web.WebSocketResponse(
        timeout=_CLOSE_S,
        max_msg_size=services.limits.socket_message_bytes,
        compress=False,  # audio does not get smaller
    )
    if not socket.can_prepare(request):
        raise InvalidRequest("this route is a websocket: the request must ask for an upgrade", code="upgrade_required")
    await socket.prepare(request)
    sockets = request.app[SOCKETS]
    sockets.add(socket)
    request[OUTCOME] = CLIENT_GONE  # unless it says goodbye
    try:
        await _Session(request, socket, manner).run()
    except* ClientGone:
        cut(request)
    except* Exception as error:  # noqa: BLE001  (it is past having an HTTP status)
        note_failure(request, unexpected(request, error))
        await socket.close(code=WSCloseCode.INTERNAL_ERROR)
    finally:
        sockets.discard(socket)
        if request[OUTCOME] == CLIENT_GONE and socket.close_code not in {None, WSCloseCode.ABNORMAL_CLOSURE}:
            request[OUTCOME] = socket.status
    return socket


async def close_sockets(app: web.Application) -> None:
    """Tell every client that the server goes; called on shutdown, when what was accepted has been said."""
    closing = (socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server shuts down") for socket in app[SOCKETS])
    await asyncio.gather(*closing, return_exceptions=True)


def _first_config(allowed: Sequence[Voice]) -> SessionConfig:
    """What holds until the client sends another: the default voice, or one that its key is for."""
    config = SessionConfig(type="session.config")
    if allowed and all(voice.id != config.voice for voice in allowed):
        return config.model_copy(update={"voice": allowed[0].id})
    return config


class _Session:
    """One client's. A task listens; another has the sentences spoken, some at once, and sends them in order."""

    def __init__(
        self, request: web.Request, socket: web.WebSocketResponse, manner: tuple[SpeechRequest, Delivery]
    ) -> None:
        self._request = request
        self._socket = socket
        self._services = request.app[SERVICES]
        self._limits = self._services.limits
        self._manner = manner
        self._cutter = Cutter()
        self._queue: asyncio.Queue[_Sentence | _End | None] = asyncio.Queue(self._limits.socket_pending_sentences)
        self._pending = 0  # in the queue or being said
        self._pending_characters = 0
        self._room = asyncio.Event()
        self._room.set()
        self._utterance = 0  # being written
        self._sentences = 0  # of it, so far
        self._pause_next = False
        self._position = _Position()

    async def run(self) -> None:
        """Until the socket is closed. A group with ClientGone if it is not, but might as well be."""
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(self._speak())
            while (message := await self._next_message()) is not None:
                if isinstance(message, SessionConfig):
                    await self._configure(message)
                elif isinstance(message, InputText):
                    await self._add(message.text)
                elif message.type == "input.cancel":
                    speaking.cancel()
                    await asyncio.wait({speaking})
                    await self._drop()
                    speaking = group.create_task(self._speak())
                elif message.type == "input.done":
                    await self._end_utterance()
                else:
                    if self._sentences or self._cutter.waiting:
                        await self._end_utterance()
                    await self._queue.put(None)
                    await speaking
                    await self._send(self._socket.close())
                    break
            speaking.cancel()

    # Listening

    async def _next_message(self) -> SocketMessage | None:
        """What the client says next, if it is right. None if there is nothing more to be said on either side."""
        while True:
            await self._room.wait()
            try:
                message = await self._socket.receive(self._limits.socket_idle_s)
            except TimeoutError:
                if self._pending:
                    continue
                idle_s = self._limits.socket_idle_s
                await self._tell_error(InvalidRequest(f"nothing came for {idle_s:g} s", code="idle_timeout"))
                await self._send(self._socket.close(message=b"idle"))
                return None
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:  # closing, closed, too large a message, broken
                return None
            try:
                return parse_message(message.data)
            except InvalidRequest as error:
                await self._tell_error(error)

    async def _configure(self, config: SessionConfig) -> None:
        try:
            self._manner = choose(
                self._request, lambda voices: session(config, voices, deadline_s=self._manner[0].deadline_s)
            )
        except TTSError as error:
            await self._tell_error(error)

    async def _add(self, text: str) -> None:
        for start in range(0, len(text), SLICE_CHARACTERS):
            await self._enqueue(self._cutter.add(text[start : start + SLICE_CHARACTERS]))
            await asyncio.sleep(0)

    async def _enqueue(self, clauses: list[Clause]) -> None:
        request, delivery = self._manner
        for clause in clauses:
            sentence = _Sentence(
                self._utterance,
                self._sentences,
                replace(
                    request,
                    id=f"{self._request[REQUEST_ID]}/{self._utterance}.{self._sentences}",
                    text=clause.text,
                    promised=not self._services.gateway.draining,  # what came before is said to its end
                ),
                delivery,
                PAUSE_S / request.speed if self._pause_next else 0.0,
                time.perf_counter(),
                clause.start,
            )
            self._sentences += 1
            self._pause_next = clause.ends_sentence
            await self._put(sentence, len(clause.text))

    async def _end_utterance(self) -> None:
        await self._enqueue(self._cutter.flush())
        await self._put(_End(self._utterance, self._sentences), 0)
        self._begin_utterance()

    def _begin_utterance(self) -> None:
        self._utterance += 1
        self._sentences = 0
        self._pause_next = False

    async def _put(self, item: _Sentence | _End, characters: int) -> None:
        await self._queue.put(item)
        self._count(1, characters)

    def _count(self, items: int, characters: int) -> None:
        self._pending += items
        self._pending_characters += characters
        if self._pending_characters < self._limits.socket_pending_characters:
            self._room.set()
        else:
            self._room.clear()

    async def _drop(self) -> None:
        """Forget what is unspoken, when nobody is speaking."""
        self._cutter.clear()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._count(-self._pending, -self._pending_characters)
        self._begin_utterance()
        dropped = self._position
        self._position = _Position(self._utterance)
        await self._tell(dropped.message("audio.done", total_bytes=dropped.sent_bytes, error=None, cancelled=True))

    # Speaking

    async def _speak(self) -> None:
        """Have what is in the queue spoken, a few sentences at once; send it in order."""
        slots = asyncio.Semaphore(self._limits.socket_run_ahead)
        turn = asyncio.Event()
        turn.set()
        async with asyncio.TaskGroup() as group:
            while (item := await self._queue.get()) is not None:
                await slots.acquire()
                following = asyncio.Event()
                group.create_task(self._say(item, slots, turn, following))
                turn = following

    async def _say(
        self, item: _Sentence | _End, slots: asyncio.Semaphore, turn: asyncio.Event, following: asyncio.Event
    ) -> None:
        if isinstance(item, _Sentence):
            await self._say_sentence(item, turn)
        else:
            await turn.wait()
            self._position = _Position(item.utterance + 1)
            await self._tell(
                {"type": "session.done", "utterance_index": item.utterance, "total_sentences": item.sentences}
            )
        slots.release()
        following.set()
        self._count(-1, -len(item.request.text) if isinstance(item, _Sentence) else 0)

    async def _say_sentence(self, sentence: _Sentence, turn: asyncio.Event) -> None:
        failure: TTSError | None = None
        try:
            wanted = await permit(self._request, sentence.request)
            wanted = replace(wanted, may_reuse=may_reuse(self._request))
            async with self._services.gateway.speak(wanted) as speech:
                rendering = Rendering(
                    self._services,
                    speech,
                    sentence.delivery,
                    text_s=wanted.audio_s,
                    since_s=sentence.since_s,
                    lead_silence_s=sentence.lead_silence_s,
                )
                await turn.wait()
                self._position = _Position(sentence.utterance, sentence.index)
                async with aclosing(rendering.pieces()) as pieces:
                    told = 0
                    async for piece in pieces:
                        if not self._position.sent_bytes:
                            await self._tell_start(sentence, speech.voice, rendering.sample_rate_hz)
                        if words := speech.words[told:]:
                            told += len(words)
                            await self._tell_words(sentence, words)
                        await self._send_audio(piece)
        except ClientGone:
            raise
        except TTSError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  (this sentence is lost; the next one need not be)
            failure = unexpected(self._request, error)
        await turn.wait()
        done = _Position(sentence.utterance, sentence.index).message(
            "audio.done", total_bytes=self._position.sent_bytes, error=failure and failure.body()["error"]
        )
        self._position = _Position(sentence.utterance, sentence.index + 1)
        await self._tell(done)

    # Sending. A message is out before the first wait, so a cancelled one was sent as well.

    async def _tell_start(self, sentence: _Sentence, voice: Voice, sample_rate_hz: int) -> None:
        what = {"format": sentence.delivery.audio_format, "sample_rate": sample_rate_hz}
        await self._tell(self._position.message("audio.start", **what, voice=voice.id, engine=voice.engine))

    async def _tell_words(self, sentence: _Sentence, words: Sequence[SpokenWord]) -> None:
        told = [word.content(later_s=sentence.lead_silence_s, after=sentence.start) for word in words]
        await self._tell(self._position.message("audio.words", words=told))

    async def _send_audio(self, data: bytes) -> None:
        for start in range(0, len(data), FRAME_BYTES):
            frame = data[start : start + FRAME_BYTES]
            self._position.sent_bytes += len(frame)
            await self._send(self._socket.send_bytes(frame))

    async def _tell_error(self, error: TTSError) -> None:
        await self._tell({"type": "error", "message": error.message, **error.body()})

    async def _tell(self, message: dict[str, object]) -> None:
        await self._send(self._socket.send_str(orjson.dumps(message).decode()))

    async def _send(self, sending: Coroutine[Any, Any, object]) -> None:
        await send(sending, self._limits.write_timeout_s)

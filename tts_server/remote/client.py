"""One task of DashScope's over one websocket.

Each task has a connection of its own: what comes late of one can never be heard in another, and to give a task up is to
close it. The handshake it costs is paid while the audio before it is heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from pydantic import SecretStr

from tts_server.errors import EngineFailed, EngineUnavailable, TTSError
from tts_server.remote.messages import Event, Task, denial, failure, read_event

LARGEST_FRAME_BYTES: Final = 4 << 20
"""Twenty seconds or more; the service's own frames are a fraction of a second."""
_CLOSE_S: Final = 0.5
"""What the service has to agree to a connection's end; then it is ended without."""
_AGAIN_S: Final = 1.0
"""When to ask again, if it cannot be reached."""

Socket = aiohttp.ClientWebSocketResponse[bool]


class Client:
    """Speaks tasks. Made within the event loop, and closed there."""

    def __init__(self, url: str, key: SecretStr, *, connect_s: float, first_audio_s: float, silence_s: float) -> None:
        self._url = url
        self._key = key
        self._connect_s = connect_s
        self._first_audio_s = first_audio_s
        self._silence_s = silence_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),  # whoever asks has a slot
            timeout=aiohttp.ClientTimeout(total=None),  # each step has its own
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Cut all connections."""
        await self._session.close()

    async def speak(self, task: Task, heard: Callable[[bytes], None]) -> int | None:
        """Have it spoken: `heard` is given each frame of audio as it comes.

        Returns the characters that the service counted, None if it did not say. TTSError if it does not speak, cuts the
        connection, falls silent, or does not say that this was all.
        """
        async with self._connected() as socket:
            problem: TTSError
            try:
                async with asyncio.timeout(self._first_audio_s) as patience:
                    return await self._converse(socket, task, heard, patience)
            except TimeoutError:
                problem = EngineFailed("DashScope fell silent before all was spoken")
            except (aiohttp.ClientError, OSError):
                problem = _cut()
            raise problem

    async def _converse(
        self, socket: Socket, task: Task, heard: Callable[[bytes], None], patience: asyncio.Timeout
    ) -> int | None:
        loop = asyncio.get_running_loop()
        started, characters = False, None
        await socket.send_str(task.run())
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                if not started:
                    raise EngineFailed("DashScope sent audio before it was asked for any")
                if message.data:
                    heard(message.data)
                    patience.reschedule(loop.time() + self._silence_s)  # words without audio are no sign of life
                continue
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise _cut()
            event = _event(message.data, task)
            characters = characters if event.characters is None else event.characters
            match event.name:
                case "task-started" if not started:
                    started = True
                    for command in task.rest():
                        await socket.send_str(command)
                case "task-finished":
                    return characters
                case "task-failed":
                    raise failure(event.error_code)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Socket]:
        socket = await self._connect()
        try:
            yield socket
        finally:
            await socket.close()

    async def _connect(self) -> Socket:
        # Nothing is raised within `except`: aiohttp's exceptions carry the request's headers, and so the key.
        problem: TTSError
        try:
            async with asyncio.timeout(self._connect_s):
                return await self._session.ws_connect(
                    self._url,
                    headers={"Authorization": f"bearer {self._key.get_secret_value()}", "User-Agent": "tts-server"},
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                    max_msg_size=LARGEST_FRAME_BYTES,
                )
        except aiohttp.WSServerHandshakeError as error:
            problem = denial(error.status)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError, too
            reason = type(error).__name__
            problem = EngineUnavailable(f"DashScope cannot be reached ({reason})", retry_after_s=_AGAIN_S)
        raise problem


def _event(text: str, task: Task) -> Event:
    try:
        event = read_event(text)
    except ValueError:
        raise EngineFailed("DashScope answered with what is no event of its protocol") from None
    if event.task_id != task.id:
        raise EngineFailed("DashScope answered with another task than was asked for")
    return event


def _cut() -> EngineFailed:
    return EngineFailed("DashScope cut the connection before all was spoken")

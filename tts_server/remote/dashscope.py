"""DashScope as an engine: Sambert and CosyVoice voices of Alibaba's service behind the same contract as our own.

The key is in the environment alone (DASHSCOPE_API_KEY): not a setting, for those are listed and may be flags.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from tts_server.cache import key as cache_key
from tts_server.errors import EngineUnavailable, QueueFull, ShuttingDown, TTSError
from tts_server.logs import get_logger
from tts_server.pool import StartError
from tts_server.remote.client import Client
from tts_server.remote.messages import Refused, RemoteVoice, check
from tts_server.remote.speech import RemoteSpeech
from tts_server.remote.spending import Spending
from tts_server.speech import SpeechRequest, Voice

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.metrics import Metrics

ENGINE: Final = "dashscope"
KEY_VARIABLE: Final = "DASHSCOPE_API_KEY"
REFUSED_S: Final = 60.0
"""After the service has refused the account, nobody asks it for so long: it is to be mended by a person."""
HELD_PER_SLOT: Final = 16
"""Speeches that may be held for each slot: most of them have come and are being listened to."""
_AGAIN_S: Final = 2.0
"""When to come back if too many are held: a sentence or two later."""

log = get_logger(__name__)


class DashScope:
    """The service; `tts_server.speech.Gateway`, and what starts and stops one.

    It counts neither acceptance nor outcomes: that is for whoever routes requests to it.
    """

    def __init__(self, settings: Settings, metrics: Metrics, key: str) -> None:
        self._settings = settings
        self._key = SecretStr(key.strip())
        self.metrics = metrics
        remotes = [RemoteVoice.parse(one, settings.dashscope_sample_rate_hz) for one in settings.dashscope_models]
        self._remotes = {remote.name: remote for remote in remotes}
        self._voices = tuple(_voice(remote) for remote in remotes)
        self.slots: Final = asyncio.Semaphore(settings.dashscope_concurrency)
        self._live: set[RemoteSpeech] = set()
        self._busy: set[RemoteSpeech] = set()
        """Those that wait for a slot or have one. Some have no listener any more, and close their connection."""
        self._ended = asyncio.Event()
        self._draining = False
        self._refused_until_s = 0.0  # by the event loop's clock; 0 while the service serves
        self._spending: Spending | None = None
        self._client: Client | None = None

    @classmethod
    def of(cls, settings: Settings, metrics: Metrics, environ: Mapping[str, str]) -> DashScope | None:
        """With the key of the environment; None if no models are set."""
        return cls(settings, metrics, environ.get(KEY_VARIABLE, "")) if settings.dashscope_models else None

    async def start(self) -> None:
        """Be ready to connect; whether the service can be reached is not asked. StartError without a key."""
        settings, key = self._settings, self._key.get_secret_value()
        if not key:
            raise StartError(f"dashscope_models are set and {KEY_VARIABLE} is not; set it in the server's environment")
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise StartError(f"{KEY_VARIABLE} is no key: it has blanks or other characters that no key has")
        if settings.dashscope_chars_per_day is not None:
            file = settings.state_dir / "dashscope.db"
            try:
                self._spending = await asyncio.to_thread(Spending, file, settings.dashscope_chars_per_day)
            except (OSError, sqlite3.Error) as error:
                raise StartError(f"{file}, where characters are counted, cannot be had: {error}") from error
        self._client = Client(
            settings.dashscope_url,
            self._key,
            connect_s=settings.dashscope_connect_s,
            first_audio_s=settings.dashscope_first_audio_s,
            silence_s=settings.dashscope_silence_s,
        )

    async def drain(self, timeout_s: float) -> int:
        """Take nothing new, let what is accepted finish, then cancel the rest: how many that were."""
        self._draining = True
        try:
            async with asyncio.timeout(timeout_s):
                while self._live:
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            error = ShuttingDown("the server shut down before this was finished", retry_after_s=1.0)
            return sum(speech.fail(error) for speech in list(self._live))
        return 0

    async def stop(self) -> None:
        """Cut what is left."""
        self._draining = True
        error = ShuttingDown("the server shut down before this was finished", retry_after_s=1.0)
        for speech in self._live:
            speech.fail(error)
        while self._busy:
            self._ended.clear()
            await self._ended.wait()
        if self._client is not None:
            await self._client.close()
        if self._spending is not None:
            await self._spending.close()

    # --- the contract -----------------------------------------------------------------------------------------------

    def voices(self) -> tuple[Voice, ...]:
        """Those of the settings, by the names they have there."""
        return self._voices

    def speak(self, request: SpeechRequest) -> RemoteSpeech:
        """A request, accepted when it is entered, which may wait dashscope_wait_s for a slot: see `speech.Gateway`.

        Before there is audio it may fail by EngineFailed, EngineUnavailable or QueueFull, and be given to another
        engine; InvalidRequest says that this one cannot speak as it is wanted, and another perhaps can.
        """
        return RemoteSpeech(request, self._remotes[request.voice.id], self)

    def ready(self) -> dict[str, bool]:
        """Whether it is worth asking: not if it has just refused this account."""
        return {ENGINE: not self._is_refused}

    @property
    def draining(self) -> bool:
        """Whether the server is shutting down."""
        return self._draining

    # --- for speeches -----------------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """What speaks tasks."""
        assert self._client is not None, "it is started before anybody speaks. This is a bug."  # noqa: S101
        return self._client

    async def admit(self, speech: RemoteSpeech, characters: int) -> int:
        """Let it in with a slot and so many characters, or refuse it by a TTSError: the hour they are counted under."""
        request = speech.request
        if self._draining and not request.promised:
            raise ShuttingDown("the server is shutting down; another instance may serve this", retry_after_s=1.0)
        check(request)
        if self._is_refused:
            wait_s = self._refused_until_s - asyncio.get_running_loop().time()
            raise EngineUnavailable("DashScope refuses this server's account; ask its operator", retry_after_s=wait_s)
        held = self._settings.dashscope_concurrency * HELD_PER_SLOT
        if len(self._live) >= held:
            raise QueueFull(f"{held} texts are held that DashScope speaks; come back later", retry_after_s=_AGAIN_S)
        self._live.add(speech)
        self._busy.add(speech)
        try:
            await speech.slot.take(min(self._settings.dashscope_wait_s, request.deadline_s))
            hour = 0 if self._spending is None else await self._spending.reserve(characters, time.time())
        except BaseException:
            self.spoken(speech)
            self.ended(speech)
            raise
        return hour

    def spoken(self, speech: RemoteSpeech) -> None:
        """Nothing is sent or comes for it any more, or it was never let in."""
        speech.slot.give_back()
        self._busy.discard(speech)
        self._ended.set()

    def ended(self, speech: RemoteSpeech) -> None:
        """Nobody listens to it any more."""
        self._live.discard(speech)
        self._ended.set()

    def settle(self, hour: int, difference: int) -> None:
        """So many characters more, or fewer, were sent than were counted."""
        if self._spending is not None:
            self._spending.settle(hour, difference)

    def served(self) -> None:
        """A task was spoken."""
        if self._refused_until_s:
            self._refused_until_s = 0.0
            log.info("DashScope serves this account again")

    def failed(self, error: TTSError) -> None:
        """A task was not."""
        if isinstance(error, Refused):
            if not self._refused_until_s:  # once, until it serves again
                log.error("DashScope refuses this account", problem=error.message, check=KEY_VARIABLE)
            self._refused_until_s = asyncio.get_running_loop().time() + REFUSED_S

    @property
    def _is_refused(self) -> bool:
        return bool(self._refused_until_s) and asyncio.get_running_loop().time() < self._refused_until_s


def _voice(remote: RemoteVoice) -> Voice:
    return Voice(
        id=remote.name,
        engine=ENGINE,
        gender=remote.gender,
        languages=remote.languages,
        description=f"{remote.name} of Alibaba's DashScope; the text is sent there",
        sample_rate_hz=remote.sample_rate_hz,
        fingerprint=cache_key("voice", ENGINE, remote.name, remote.sample_rate_hz),
    )

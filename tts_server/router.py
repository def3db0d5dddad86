"""Which engine speaks a request, and what happens when it does not.

    request ─► refused, or put behind others, when there is too much to do      overload.py
            ─► the first of its voices whose engine is worth asking             breaker.py
            ─► that engine's own door; closed, the next voice's
            ─► first audio; failed or late, the next voice's                    no other engine once there was audio

What a request asks for is one voice, and others to speak with if need be. Whoever names an engine has no others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from tts_server.breaker import ABSENT_S, Bounds, Breaker, BreakerState
from tts_server.cache import Cache
from tts_server.degradation import Level
from tts_server.errors import ShuttingDown
from tts_server.logs import get_logger
from tts_server.overload import Overload
from tts_server.pool import POISON_S, REMEMBERED_TEXTS, StartError
from tts_server.routed import Routed
from tts_server.speech import Gateway, SpeechRequest, Voice

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.metrics import Metrics, Outcome

BEHIND: Final = 3
"""Steps of priority that ordinary requests are put behind by, from VIP_FIRST on: as if they had come six seconds later
(`batcher.PRIORITY_STEP_S`). They age all the same, so none of them waits for ever."""

log = get_logger(__name__)


class Backend(Gateway, Protocol):
    """Engines behind one door, that can be started and stopped."""

    async def start(self) -> None:
        """Have every engine ready. StartError says why that cannot be."""
        ...

    async def drain(self, timeout_s: float) -> int:
        """Refuse what is new, wait for what is accepted, cancel the rest: how many that were."""
        ...

    async def stop(self) -> None:
        """End what runs."""
        ...


class Local(Backend, Protocol):
    """The engines of this machine: `gateway.SpeechGateway`."""

    @property
    def cache(self) -> Cache | None:
        """Where they keep what was said."""
        ...

    @property
    def wait_s(self) -> float:
        """How long a new request would wait to be taken up, about, by the engine with most to do."""
        ...

    @property
    def depth(self) -> int:
        """Jobs that wait for a worker."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """One of them all."""

    name: str
    backend: Backend
    breaker: Breaker

    @property
    def present(self) -> bool:
        """Whether there is somebody who can speak."""
        return self.backend.ready().get(self.name, False)

    def admit(self, now_s: float) -> int | None:
        """A ticket, if it is worth asking."""
        self.breaker.attend(now_s, present=self.present)
        return self.breaker.admit(now_s)

    @property
    def well(self) -> bool:
        """Whether others' requests may be moved here."""
        return self.breaker.state is BreakerState.CLOSED and self.present


class Router:
    """All engines, of this machine and of others, as one gateway. It counts requests, each of them once."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        local: Local,
        remotes: Sequence[Backend] = (),
        *,
        cpu_share: Callable[[], float] | None = None,
    ) -> None:
        self.metrics = metrics
        self.settings = settings
        self.overload: Final = Overload(settings, metrics, lambda: local.wait_s, self.status, cpu_share)
        self._local = local
        self._backends: tuple[Backend, ...] = (local, *remotes)
        self._engines: dict[str, Engine] = {}
        self._voices: tuple[Voice, ...] = ()
        self._poisonous: OrderedDict[int, float] = OrderedDict()  # texts, and until when they are held to be
        self._live = 0
        self._idle = asyncio.Event()
        self._draining = False
        self._watching: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start every engine. StartError says why that cannot be."""
        for backend in reversed(self._backends):  # others' engines say at once what is missing
            await backend.start()
        for backend in self._backends:
            self._add(backend)
        self._voices = tuple(voice for backend in self._backends for voice in backend.voices())
        self._watching = [asyncio.create_task(self.overload.watch()), asyncio.create_task(self._attend())]

    async def drain(self, timeout_s: float) -> int:
        """Take nothing new, let what is accepted finish, then cancel the rest: how many that were."""
        self._draining = True
        self.overload.tell()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._live:
                    self._idle.clear()
                    await self._idle.wait()
        return sum(await asyncio.gather(*(backend.drain(0) for backend in self._backends)))

    async def stop(self) -> None:
        """End what runs."""
        for task in self._watching:
            task.cancel()
        if self._watching:
            await asyncio.wait(self._watching)
        await asyncio.gather(*(backend.stop() for backend in self._backends))

    async def _attend(self) -> None:
        """Look whether engines are there, also when nobody asks for them."""
        while True:
            await asyncio.sleep(ABSENT_S / 2)
            now_s = asyncio.get_running_loop().time()
            for engine in self._engines.values():
                engine.breaker.attend(now_s, present=engine.present)

    # --- the contract -----------------------------------------------------------------------------------------------

    @property
    def cache(self) -> Cache | None:
        """Where what was said is kept."""
        return self._local.cache

    def voices(self) -> tuple[Voice, ...]:
        """Every voice of every engine, this machine's first."""
        return self._voices

    def speak(self, request: SpeechRequest) -> Routed:
        """A request, accepted when it is entered: see `speech.Gateway`."""
        return Routed(request, self)

    def ready(self) -> dict[str, bool]:
        """Engine by engine of this machine, whether somebody can speak: others' are nothing to wait or restart for."""
        return self._local.ready()

    @property
    def draining(self) -> bool:
        """Whether the server is shutting down."""
        return self._draining

    def status(self) -> dict[str, object]:
        """How busy it is and how its engines do, for people and programs."""
        return {
            **self.overload.content(),
            "draining": self._draining,
            "queue_depth": self._local.depth,
            "breakers": {engine.name: engine.breaker.state.name.lower() for engine in self._engines.values()},
        }

    # --- for requests -----------------------------------------------------------------------------------------------

    def accept(self, request: SpeechRequest) -> tuple[SpeechRequest, list[Voice]]:
        """The request as it is to be served now, and its voices in the order to try. TTSError if it is refused."""
        if self._draining and not request.promised:
            raise ShuttingDown("the server is shutting down; another instance may serve this", retry_after_s=1.0)
        if request.others and self._poisonous and self._is_poisonous(request.text):
            request = replace(request, others=())  # who lost a worker by it must not pass it on
        level, voices = self.overload.level, [request.voice, *request.others]
        if level >= Level.VIP_FIRST and request.priority:
            if not request.promised:
                self.overload.admit(request.priority)
                if level >= Level.FALLBACK:
                    voices = [*request.others, request.voice]
            request = replace(request, priority=request.priority + BEHIND)
        return request, voices

    def engine_of(self, voice: Voice) -> Engine:
        """Who speaks with it."""
        return self._engines[voice.engine]

    def poisoned(self, text: str) -> None:
        """Workers died of it."""
        self._poisonous.pop(hash(text), None)
        self._poisonous[hash(text)] = asyncio.get_running_loop().time() + POISON_S
        if len(self._poisonous) > REMEMBERED_TEXTS:
            self._poisonous.popitem(last=False)

    def _is_poisonous(self, text: str) -> bool:
        return asyncio.get_running_loop().time() < self._poisonous.get(hash(text), 0.0)

    def entered(self) -> None:
        """One more is being served."""
        self._live += 1
        self.metrics.accepted()

    def left(self, outcome: Outcome) -> None:
        """One less."""
        self._live -= 1
        self._idle.set()
        self.metrics.outcome(outcome)

    def _add(self, backend: Backend) -> None:
        settings = self.settings
        bounds = Bounds(
            settings.breaker_window_s, settings.breaker_min_requests, settings.breaker_ratio, settings.breaker_open_s
        )
        names = dict.fromkeys(voice.engine for voice in backend.voices())
        if twice := names.keys() & self._engines.keys():
            raise StartError(f"there are two engines of the name {min(twice)}; give the voice pack another one")
        for name in names:
            self._engines[name] = Engine(name, backend, Breaker(bounds, self._teller(name)))
            self.metrics.routing.breaker(name, BreakerState.CLOSED)

    def _teller(self, engine: str) -> Callable[[BreakerState, str], None]:
        def tell(state: BreakerState, why: str) -> None:
            self.metrics.routing.breaker(engine, state)
            say = log.warning if state is BreakerState.OPEN else log.info
            say("engine's breaker", engine=engine, state=state.name.lower(), why=why)
            self.overload.tell()

        return tell

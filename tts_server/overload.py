"""How busy the server is, looked at once a second: decides on the level, and tells it to whoever wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from tts_server.cpu import CpuMeter
from tts_server.degradation import Bounds, Degradation, Level
from tts_server.errors import Overloaded, PreviewOff, QueueFull
from tts_server.logs import get_logger

if TYPE_CHECKING:
    from tts_server.config import Settings
    from tts_server.metrics import Metrics

LOOK_S: Final = 1.0
"""Between two looks: a tenth of the time after which a step is taken."""
TELL_S: Final = 2.0
"""Between two tellings of what changes all the time."""
LISTENERS: Final = 64
"""Who may listen at once. Each is told a few hundred bytes every two seconds; more pages than that watch no server."""

log = get_logger(__name__)


class Overload:
    """The level of one server. `wait_s` is how long a new request would wait, `status` all that listeners are told.

    `cpu_share` is asked in a thread, once in a while, for the part of the CPU that was used since.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        wait_s: Callable[[], float],
        status: Callable[[], Mapping[str, object]],
        cpu_share: Callable[[], float] | None = None,
    ) -> None:
        self.level = Level.NORMAL
        self._metrics = metrics
        self._recover_s = settings.degrade_recover_s
        self._short_s = settings.degrade_fallback_wait_s
        self._degradation = Degradation(
            Bounds(
                settings.degrade_cpu,
                settings.degrade_recover_cpu,
                settings.degrade_after_s,
                settings.degrade_recover_s,
                settings.degrade_fallback_wait_s,
                settings.degrade_refuse_wait_s,
            )
        )
        self._wait_s = wait_s
        self._status = status
        self._cpu_share = cpu_share
        self._cpu = 0.0
        self._listeners: set[asyncio.Event] = set()
        self._ended = False
        metrics.routing.degradation(self.level)

    async def watch(self) -> None:
        """Look once a second, until cancelled."""
        loop = asyncio.get_running_loop()
        share = self._cpu_share
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                share = share or (await asyncio.to_thread(CpuMeter)).share
                self._cpu = await asyncio.to_thread(share)
                self.observe(loop.time())
            except Exception as error:  # whatever it is, the watch goes on
                log.error("the watch over the load failed", exc_info=error)  # noqa: TRY400  (our logger has no other)

    def observe(self, now_s: float) -> None:
        """Decide on the level by what there is to do now."""
        before, self.level = self.level, self._degradation.observe(self._cpu, self._wait_s(), now_s)
        if self.level is not before:
            say = log.warning if self.level > before else log.info
            say(
                "level of service",
                level=int(self.level),
                name=self.level.name.lower(),
                cpu=round(self._cpu, 2),
                wait_s=round(self._wait_s(), 2),
            )
            self._metrics.routing.degradation(self.level)
            self.tell()

    def admit(self, priority: int) -> None:
        """Overloaded, if a new request of that priority is refused now.

        When the queue has become short it is not, at any level: the cores would stand idle until the level falls.
        """
        if priority and self.level is Level.REFUSE and self._wait_s() > self._short_s:
            raise Overloaded("the server has more to do than it can; come back later", retry_after_s=self._recover_s)

    def admit_preview(self) -> None:
        """PreviewOff, if there is too much to do for it."""
        if self.level >= Level.NO_PREVIEW:
            raise PreviewOff(
                "the CPU that this server may use is used up, by its other callers or by other programs, and the "
                "preview is off until there is some to spare; requests to /api/tts are served",
                retry_after_s=self._recover_s,
            )

    @property
    def status(self) -> Mapping[str, object]:
        """All that listeners are told."""
        return self._status()

    def content(self) -> dict[str, object]:
        """What of that is known here."""
        per_s, first_audio_s = self._metrics.lately.tell()
        return {
            "level": int(self.level),
            "level_name": self.level.name.lower(),
            "preview": self.level < Level.NO_PREVIEW,
            "cpu": round(self._cpu, 3),
            "wait_s": round(self._wait_s(), 3),
            "requests_per_s": round(per_s, 2),
            "first_audio_p95_s": None if first_audio_s is None else round(first_audio_s, 4),
        }

    def tell(self) -> None:
        """Something has changed."""
        for changed in self._listeners:
            changed.set()

    def end_listening(self) -> None:
        """Everybody who listens is shown out: the server ends."""
        self._ended = True
        self.tell()

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncGenerator[Mapping[str, object], None]]:
        """The status now, whenever it has changed, and every two seconds. Ends with the server. QueueFull if too many
        listen already.
        """
        if len(self._listeners) >= LISTENERS:
            raise QueueFull(
                "too many listen to the server's status; ask GET /api/tts/status instead",
                code="too_many_listeners",
                retry_after_s=TELL_S,
            )
        changed = asyncio.Event()
        self._listeners.add(changed)
        try:
            yield self._statuses(changed)
        finally:
            self._listeners.discard(changed)

    async def _statuses(self, changed: asyncio.Event) -> AsyncGenerator[Mapping[str, object], None]:
        while not self._ended:
            changed.clear()
            yield self._status()
            with suppress(TimeoutError):
                async with asyncio.timeout(TELL_S):
                    await changed.wait()

"""The threads that encode, and what they still have to do.

They take a piece of one answer and then a piece of another, so an answer shares them with all that are under way: it
waits for the longer ones only as long as it takes itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, ParamSpec, TypeVar

from tts_server.errors import QueueFull

P = ParamSpec("P")
T = TypeVar("T")

_FIRST_COSTS: Final = {"opus": 1 / 55, "aac": 1 / 60, "mp3": 1 / 120, "flac": 1 / 500}
"""Seconds of a thread for a second of audio, until more is known: rounded from measurements on a Zen 4 core."""
_OTHER_COST: Final = 1 / 4000  # soxr's: of wav and pcm, at another rate than the voice's
_STREAM_AHEAD_S: Final = 10.0
"""Audio of a stream that is waited for at most: the rest is encoded while it is heard."""


class Encoders:
    """Threads for encoding. All but what they are given to do runs on the event loop."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, "encoder")
        self._count = threads
        self._costs = dict(_FIRST_COSTS)
        self._shares: set[Share] = set()
        self._owed_s = 0.0  # of a thread, for all of them

    def admit(self, audio_format: str, audio_s: float, deadline_s: float, *, streamed: bool) -> None:
        """QueueFull, if an answer of about that much audio could not be encoded in time."""
        own_s = audio_s * self._cost(audio_format)
        if not self._shares and (streamed or own_s <= deadline_s):
            return
        if streamed:
            own_s = min(own_s, _STREAM_AHEAD_S * self._cost(audio_format))
        if own_s + self._owed_s / self._count <= deadline_s:  # nobody is asked how much of that comes first
            return
        ready_s = own_s + sum(min(share.owed_s, own_s) for share in self._shares) / self._count
        if ready_s > deadline_s:
            raise QueueFull(
                f"{len(self._shares)} answers are being encoded, and yours as {audio_format} would take "
                f"{ready_s:.0f} s; come back later, ask for a stream, or for wav",
                retry_after_s=max(0.5, ready_s - deadline_s),
            )

    @contextmanager
    def share(self, audio_format: str, audio_s: float, *, streamed: bool) -> Iterator[Share]:
        """Count an answer of about that much audio, while it is being made."""
        ahead_s = min(audio_s, _STREAM_AHEAD_S) if streamed else audio_s
        share = Share(audio_format, ahead_s, self._cost(audio_format))
        self._shares.add(share)
        self._owed_s += share.owed_s
        try:
            yield share
        finally:
            self._shares.discard(share)
            self._owed_s = self._owed_s - share.owed_s if self._shares else 0.0  # sums of floats drift

    def encoded(self, share: Share, audio_s: float, seconds: float) -> None:
        """So much of it has been encoded, and took a thread so long."""
        before_s = share.owed_s
        share.left_s = max(0.0, share.left_s - audio_s)
        if share in self._shares:
            self._owed_s += share.owed_s - before_s
        if audio_s > 0.2 and share.audio_format in self._costs:  # shorter ones say more about overhead
            cost = self._costs[share.audio_format]
            # one that was interrupted by the rest of the machine says little about the next
            self._costs[share.audio_format] += 0.05 * (min(seconds / audio_s, 4 * cost) - cost)

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run it in a thread."""
        return self._threads.submit(call, *args, **kwargs)

    def close(self) -> None:
        """Let go of what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _cost(self, audio_format: str) -> float:
        return self._costs.get(audio_format, _OTHER_COST)


class Share:
    """One answer's part in the work."""

    __slots__ = ("audio_format", "cost", "left_s")

    def __init__(self, audio_format: str, left_s: float, cost: float) -> None:
        self.audio_format = audio_format
        self.left_s = left_s
        """Audio still to be encoded, about."""
        self.cost = cost

    @property
    def owed_s(self) -> float:
        """Seconds of a thread."""
        return self.left_s * self.cost


def timed(call: Callable[[], bytes]) -> tuple[bytes, float]:
    """What it returns, and the seconds that it took."""
    started_s = time.perf_counter()
    data = call()
    return data, time.perf_counter() - started_s

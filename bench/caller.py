"""One request as its caller meets it: when each of its bytes came, and whether they were right."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import aiohttp
import orjson

from bench.check import Bounds, WrongAnswer, check
from bench.figures import play
from bench.texts import Text

CUSHIONS_S: Final = (0.0, 0.1)
"""How long listeners wait after the first audio before they begin to play it."""
STAGES: Final = ("queue", "read", "infer", "encode")
"""What a server tells in Server-Timing."""
_STAGE: Final = re.compile(r"(\w+);dur=([\d.]+)")
_WAV_HEADER_BYTES: Final = 44


@dataclass(frozen=True, slots=True)
class Ask:
    """What all requests of a run have in common."""

    url: str
    key: str | None = None
    voice: str = "female"
    engine: str | None = None
    audio_format: str = "wav"
    streamed: bool = False
    timeout_s: float = 60.0
    """An answer that is not there by then is an error."""
    bounds: Bounds = field(default_factory=Bounds)
    deadline_ms: int | None = None
    """Sent as X-Deadline-Ms: an answer that comes later is of no use, and a server need not begin it."""


@dataclass(slots=True)
class Heard:
    """What became of one request. Moments are of the system's monotonic clock, which all processes share."""

    intended_s: float
    """When it should have been sent: what its latency is counted from."""
    sent_s: float
    ended_s: float = 0.0
    first_s: float = 0.0
    """When its first audio came; 0 if none did."""
    error: str = ""
    """What was wrong; empty if nothing."""
    audio_s: float = 0.0
    cache: str = ""
    """HIT, PARTIAL or MISS, if the server says so."""
    stages_ms: tuple[float, ...] = ()
    longest_gap_s: float = 0.0
    """Between two pieces of a streamed answer."""
    underruns: tuple[float, ...] = ()
    """Silence in mid-speech, in seconds, for each of the cushions; of streamed answers alone."""
    check_s: float = 0.0
    """Processor time that it took to check it; no latency of its own contains that."""


class Caller:
    """Asks and listens. One session for all users of a client."""

    def __init__(self, ask: Ask, session: aiohttp.ClientSession) -> None:
        self._ask = ask
        self._session = session
        self._fixed = {"voice": ask.voice, "format": ask.audio_format, "stream": ask.streamed}
        self._header_bytes = _WAV_HEADER_BYTES if ask.audio_format == "wav" else 0
        if ask.engine is not None:
            self._fixed["engine"] = ask.engine
        self._headers = {"Content-Type": "application/json"}
        if ask.deadline_ms is not None:
            self._headers["X-Deadline-Ms"] = str(ask.deadline_ms)
        if ask.key is not None:
            self._headers["Authorization"] = f"Bearer {ask.key}"

    async def call(self, text: Text, intended_s: float) -> Heard:
        """Ask for it now; whatever happens is in what is returned."""
        heard = Heard(intended_s, time.monotonic())
        pieces: list[tuple[float, bytes]] = []
        rate_hz = 0
        try:
            async with asyncio.timeout(self._ask.timeout_s):
                rate_hz = await self._listen(text, heard, pieces)
        except TimeoutError:
            heard.error = "timeout"
        except aiohttp.ClientPayloadError:
            heard.error = "cut"  # the length that was promised did not come
        except aiohttp.ClientError:
            heard.error = "connection"
        heard.ended_s = time.monotonic()
        if not heard.error:
            before_s = time.thread_time()
            try:
                self._judge(text.text, heard, pieces, rate_hz)
            except WrongAnswer as wrong:
                heard.error = wrong.kind
            heard.check_s = time.thread_time() - before_s
        return heard

    async def _listen(self, text: Text, heard: Heard, pieces: list[tuple[float, bytes]]) -> int:
        body = orjson.dumps({"text": text.text, **self._fixed})
        async with self._session.post("/api/tts", data=body, headers=self._headers) as response:
            if response.status != 200:
                heard.error = f"status {response.status}"
                await response.read()
                return 0
            header_bytes = self._header_bytes
            async for piece in response.content.iter_any():
                pieces.append((time.monotonic(), piece))
                header_bytes -= len(piece)
                if header_bytes < 0 and not heard.first_s:
                    heard.first_s = pieces[-1][0]
        heard.cache = response.headers.get("X-Cache", "")
        stages = dict(_STAGE.findall(response.headers.get("Server-Timing", "")))
        heard.stages_ms = tuple(float(stages.get(stage, 0)) for stage in STAGES)
        rate = response.headers.get("X-Sample-Rate", "")
        return int(rate) if rate.isdecimal() else 0

    def _judge(self, text: str, heard: Heard, pieces: list[tuple[float, bytes]], rate_hz: int) -> None:
        """Check the audio, and play it as it came. WrongAnswer if it is none."""
        data = b"".join(piece for _, piece in pieces)
        if not data:
            raise WrongAnswer("empty")
        if self._ask.audio_format == "pcm" and not rate_hz:
            raise WrongAnswer("no sample rate")
        heard.audio_s = check(text, self._ask.audio_format, data, rate_hz, self._ask.bounds)
        if not self._ask.streamed:
            return
        # Of a compressed answer each byte is taken for the same length of audio: within a sentence it nearly is.
        seconds_of_byte = heard.audio_s / max(1, len(data) - self._header_bytes)
        arrivals, header_bytes = [], self._header_bytes
        for at_s, piece in pieces:
            audio_bytes = max(0, len(piece) - header_bytes)
            header_bytes -= len(piece) - audio_bytes
            if audio_bytes:
                arrivals.append((at_s, audio_bytes * seconds_of_byte))
        heard.longest_gap_s = max((after - at for (at, _), (after, _) in pairwise(arrivals)), default=0.0)
        heard.underruns = tuple(play(arrivals, cushion_s).silent_s for cushion_s in CUSHIONS_S)

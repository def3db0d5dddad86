"""One request as its caller meets it: when each of its bytes came, and whether they were right."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import orjson

from bench.check import Bounds, WrongAnswer, check
from bench.figures import play
from bench.texts import Text
from bench.wire import Answer, CutError, Wire, WireError

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
    told_when: bool = False
    """Whether it said when to come again."""


class Caller:
    """Asks and listens, for all users of a client."""

    def __init__(self, ask: Ask, wire: Wire, write: Callable[[str], bytes] | None = None) -> None:
        """`write` makes the body that asks for a text; without it, as our server wants it."""
        self._ask = ask
        self._wire = wire
        self._fixed = {"voice": ask.voice, "format": ask.audio_format, "stream": ask.streamed}
        self._header_bytes = _WAV_HEADER_BYTES if ask.audio_format == "wav" else 0
        if ask.engine is not None:
            self._fixed["engine"] = ask.engine
        self._write = write or self._written
        self._headers = "Content-Type: application/json\r\n"
        if ask.deadline_ms is not None:
            self._headers += f"X-Deadline-Ms: {ask.deadline_ms}\r\n"
        if ask.key is not None:
            self._headers += f"Authorization: Bearer {ask.key}\r\n"

    async def call(self, text: Text, intended_s: float) -> Heard:
        """Ask for it now; whatever happens is in what is returned."""
        heard = Heard(intended_s, time.monotonic())
        answer = Answer()
        try:
            async with asyncio.timeout(self._ask.timeout_s):
                answer = await self._wire.post("/api/tts", self._headers, self._write(text.text))
        except TimeoutError:
            heard.error = "timeout"
        except CutError:
            heard.error = "cut"  # the length that was promised did not come
        except WireError:
            heard.error = "connection"
        heard.ended_s = time.monotonic()
        if answer.status:
            self._listen(answer, heard)
        if not heard.error:
            before_s = time.thread_time()
            try:
                self._judge(text.text, heard, answer)
            except WrongAnswer as wrong:
                heard.error = wrong.kind
            heard.check_s = time.thread_time() - before_s
        return heard

    def _written(self, text: str) -> bytes:
        return orjson.dumps({"text": text, **self._fixed})

    def _listen(self, answer: Answer, heard: Heard) -> None:
        if answer.pieces:  # it was all there then; this turn of the loop may have begun later
            heard.ended_s = answer.pieces[-1][0]
        heard.told_when = "retry-after" in answer.headers
        if answer.status != 200:
            heard.error = f"status {answer.status}"
            return
        header_bytes = self._header_bytes
        for at_s, count in answer.pieces:
            header_bytes -= count
            if header_bytes < 0:
                heard.first_s = at_s
                break
        heard.cache = answer.headers.get("x-cache", "")
        stages = dict(_STAGE.findall(answer.headers.get("server-timing", "")))
        heard.stages_ms = tuple(float(stages.get(stage, 0)) for stage in STAGES)

    def _judge(self, text: str, heard: Heard, answer: Answer) -> None:
        """Check the audio, and play it as it came. WrongAnswer if it is none."""
        data, rate = answer.body, answer.headers.get("x-sample-rate", "")
        rate_hz = int(rate) if rate.isdecimal() else 0
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
        for at_s, count in answer.pieces:
            audio_bytes = max(0, count - header_bytes)
            header_bytes -= count - audio_bytes
            if audio_bytes:
                arrivals.append((at_s, audio_bytes * seconds_of_byte))
        heard.longest_gap_s = max((after - at for (at, _), (after, _) in pairwise(arrivals)), default=0.0)
        heard.underruns = tuple(play(arrivals, cushion_s).silent_s for cushion_s in CUSHIONS_S)

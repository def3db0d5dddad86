"""What is noted of one request while it is served, for its span tree. Where nobody collects traces, nothing is.

    request ─┬─ queue     accepted, until a worker took it up
             ├─ worker ─┬─ read
             │          └─ infer, one for each piece of audio
             └─ encode

Whoever serves asks `current()` once. Times are by the machine's monotonic clock, which workers have too. Numbers and
names alone are noted: nothing of what users write.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tts_server.logs import get_logger

if TYPE_CHECKING:
    from tts_server.metrics import Metrics
    from tts_server.speech import SpeechRequest
    from tts_server.tracing import Tracing

Fact = str | int | float | bool

MOST_WORKS: Final = 64
"""Texts of one request: a websocket brings one after another, for hours. Of those beyond it, the number is told."""
MOST_PIECES: Final = 128
"""Of audio, of one text: a quarter of an hour has some 250, and nobody looks at the last of them."""

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

log = get_logger(__name__)


@dataclass(slots=True)
class Piece:
    """Audio that a worker made."""

    ended_s: float
    """When the server heard of it."""
    infer_s: float
    """Of the worker's time; of lines that it spoke together, its share."""


@dataclass(slots=True)
class Work:
    """One text on its way through an engine."""

    facts: dict[str, Fact]
    accepted_s: float
    taken_s: float | None = None
    read_s: float = 0.0
    pieces: list[Piece] = field(default_factory=list)
    more_pieces: int = 0
    given_up_s: float | None = None
    """When its caller went away, if there had been no audio by then."""

    def read(self, taken_s: float, read_s: float) -> None:
        """A worker took up the text then, and needed so long to read it."""
        self.taken_s, self.read_s = taken_s, read_s

    def heard(self, infer_s: float) -> None:
        """A worker needed so long for a piece that has come now. 0: it was there before."""
        if not infer_s:
            return
        now_s = time.monotonic()
        if self.taken_s is None:  # it was read before
            self.taken_s = max(self.accepted_s, now_s - infer_s)
        if len(self.pieces) < MOST_PIECES:
            self.pieces.append(Piece(now_s, infer_s))
        else:
            self.more_pieces += 1

    def given_up(self) -> None:
        """Nobody waits for it any more, and there was no audio."""
        self.given_up_s = time.monotonic()

    @property
    def made_s(self) -> float:
        """When the last of it was there."""
        read_at_s = self.accepted_s if self.taken_s is None else self.taken_s + self.read_s
        return self.pieces[-1].ended_s if self.pieces else read_at_s


@dataclass(slots=True)
class Encode:
    """What encoders did of it, in one format."""

    audio_format: str
    began_s: float
    ended_s: float
    calls: int = 0
    busy_s: float = 0.0

    def called(self, seconds: float) -> None:
        """An encoder was called once, until now, and it took so long."""
        self.ended_s = time.monotonic()
        self.calls += 1
        self.busy_s += seconds


class Trace:
    """One request's."""

    def __init__(self) -> None:
        self.began_s: Final = time.monotonic()
        self.facts: dict[str, Fact] = {}
        self.works: list[Work] = []
        self.more_works = 0
        self.encodes: list[Encode] = []
        self.ended = False

    def work(self, request: SpeechRequest) -> Work | None:
        """An engine has accepted that; None if enough is noted."""
        if len(self.works) >= MOST_WORKS:
            self.more_works += 1
            return None
        work = Work(facts_of(request), time.monotonic())
        self.works.append(work)
        return work

    def encode(self, audio_format: str) -> Encode | None:
        """An encoder was opened; None if enough is noted."""
        if len(self.encodes) >= MOST_WORKS:
            return None
        now_s = time.monotonic()
        encode = Encode(audio_format, now_s, now_s)
        self.encodes.append(encode)
        return encode


def facts_of(request: SpeechRequest) -> dict[str, Fact]:
    """What may be told of it."""
    return {
        "tts.characters": len(request.text),
        "tts.engine": request.voice.engine,
        "tts.voice": request.voice.id,
        "tts.priority": request.priority,
        "tts.streamed": request.streamed,
    }


TRACE: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
"""Of the request that is being served. Set where requests come in, if anybody collects traces."""


def current() -> Trace | None:
    """The trace to note things in. What a request leaves running behind it has none."""
    trace = TRACE.get()
    return None if trace is None or trace.ended else trace


def collector_of(endpoint: str | None, environ: Mapping[str, str]) -> str | None:
    """Where traces are to go: by the setting, or by OpenTelemetry's own variables. None: nobody wants them."""
    given = {name: environ.get(name, "").strip().lower() for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER")}
    if given["OTEL_SDK_DISABLED"] == "true" or given["OTEL_TRACES_EXPORTER"] == "none":
        return None
    return endpoint or next((environ[name] for name in _ENDPOINTS if environ.get(name)), None)


def open_tracing(endpoint: str | None, metrics: Metrics, environ: Mapping[str, str]) -> Tracing | None:
    """What collects traces, if somebody wants them; else OpenTelemetry is not even loaded.

    Where it is not installed, that is told and the server goes on without: its variables are often set for a whole
    cluster.
    """
    if collector_of(endpoint, environ) is None:
        return None
    if any(environ.get(name) == "grpc" for name in _PROTOCOLS):
        log.warning("traces go by OTLP over HTTP, not gRPC; a collector takes that at port 4318")
    try:
        from tts_server.tracing import Tracing
    except ImportError as error:
        log.warning("no traces: install OpenTelemetry by pip install 'tts-server[otel]'", why=str(error))
        return None
    return Tracing(metrics, endpoint or "")

"""What the HTTP side is given to work with. Whoever starts the server fills it in; tests fill in fakes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from tts_server.cache import Cache
from tts_server.caller import Caller
from tts_server.encoding import Encoder, open_encoder
from tts_server.http.encoders import Encoders
from tts_server.jobs.service import Jobs
from tts_server.metrics import Outcome
from tts_server.speech import Gateway


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask for, and how long it may keep the server waiting."""

    tts_characters: int = 5_000
    body_bytes: int = 1 << 20
    """The longest text allowed takes 60 kB as escapes. Ten times that is still told what is wrong with it."""
    body_s: float = 30.0
    """For the body to arrive."""
    deadline_s: float = 60.0
    """For the whole answer. A caller may set an earlier one (X-Deadline-Ms), no later one."""
    write_timeout_s: float = 30.0
    """How long a client may take nothing of what is sent: a player's buffer is seconds long."""
    ping_s: float = 15.0
    """Between two signs of life on a stream of events: proxies close what is silent for 30 to 60 seconds."""
    socket_message_bytes: int = 1 << 16
    """Far more than a language model writes at once."""
    socket_pending_characters: int = 20_000
    """Received and not yet spoken; while there is more, the socket is not read. DashScope takes as much at once."""
    socket_pending_sentences: int = 1_000
    """The same, for sentences of a word or two."""
    socket_run_ahead: int = 2
    """Sentences in the works at once: one being sent, one being made."""
    socket_idle_s: float = 60.0
    """Without a word from the client and with nothing to say to it."""

    job_characters: int = 200_000
    """A book of twelve hours."""

    @property
    def openai_characters(self) -> int:
        """Never more than OpenAI's own API takes."""
        return min(4_096, self.tts_characters)


class Meter(Protocol):
    """Who counts: `metrics.Metrics`."""

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered; or not: 499 is a client that went away."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """An accepted request has come to its end, or one was refused."""
        ...

    def first_audio(self, seconds: float) -> None:
        """The first bytes of audio were there to be sent, so long after the request came."""
        ...

    def encoded(self, audio_format: str, seconds: float) -> None:
        """An encoder was called once."""
        ...

    async def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Everything counted, as Prometheus reads it, and its content type."""
        ...


class Load(Protocol):
    """How busy the server is: `overload.Overload`."""

    @property
    def status(self) -> Mapping[str, object]:
        """For people and programs."""
        ...

    def admit(self, priority: int) -> None:
        """Overloaded, if new requests of that priority are refused now."""
        ...

    def admit_preview(self) -> None:
        """PreviewOff, if there is too much to do for it."""
        ...

    def listen(self) -> AbstractAsyncContextManager[AsyncGenerator[Mapping[str, object], None]]:
        """The status now, and as it changes, until the server ends. QueueFull if too many listen already."""
        ...

    def end_listening(self) -> None:
        """Show everybody out who listens."""
        ...


class OpenEncoder(Protocol):
    """`encoding.open_encoder`, or what stands for it in a test."""

    def __call__(self, audio_format: str, source_rate_hz: int, sample_rate_hz: int, *, streamed: bool) -> Encoder:
        """An encoder for one answer. May block."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What requests are served with."""

    gateway: Gateway
    meter: Meter
    encoders: Encoders
    """Where audio is encoded; closed by their owner, after the application's clean-up."""
    limits: Limits = field(default_factory=Limits)
    open_encoder: OpenEncoder = open_encoder
    cache: Cache | None = None
    """Where whole answers are kept."""
    jobs: Jobs | None = None
    """None: there are none here."""
    load: Load | None = None
    """None: nobody looks."""


SERVICES: Final = web.AppKey("services", Services)
REQUEST_ID: Final = web.RequestKey("request_id", str)
CALLER: Final = web.RequestKey("caller", Caller)
"""Who was let in; not on routes that are open to all."""
BODY: Final = web.RequestKey("body", bytes)
"""If it has been read already."""
BEGUN: Final = web.RequestKey("begun", web.StreamResponse)
"""The answer, once its headers are on their way."""
OUTCOME: Final = web.RequestKey("outcome", int)
"""The status to log and to count, where the one that was sent is not the whole truth."""
TRACE_ID: Final = web.RequestKey("trace_id", str)
"""Of the trace that the request is part of, if traces are collected."""
FAILURE_CODE: Final = web.RequestKey("failure_code", str)
"""Of the TTSError that the request ended with."""

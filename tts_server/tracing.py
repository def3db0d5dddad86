"""Traces for OpenTelemetry: a request's notes as spans, sent by OTLP over HTTP. The extra `otel`; loaded if it is used.

A request that is sampled costs the event loop some 30 µs for each of its spans. They are sent by a thread, in batches.
What a collector does not take is dropped and counted; requests never wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter

from tts_server.logs import get_logger
from tts_server.release import version
from tts_server.trace import Encode, Fact, Trace, Work

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from tts_server.metrics import Metrics

WAITING_SPANS: Final = 4096
"""That wait to be sent, some 2 kB each: four seconds of the busiest server, so that a collector may be restarted."""
SEND_EVERY_S: Final = 1.0
"""Whoever looks for a trace has just made the request; a batch is full sooner on a busy server."""
LAST_WORDS_S: Final = 2.0
"""What the end of the server waits for the spans that are left."""
_PATH: Final = "/v1/traces"
_EXPORTER_LOGS: Final = "opentelemetry"

log = get_logger(__name__)


class Tracing:
    """Collects traces, until it is closed. `endpoint` is the collector's base URL; empty: what OTEL_… variables say."""

    def __init__(self, metrics: Metrics, endpoint: str = "") -> None:
        self._dropped = Counter(
            "tts_spans_dropped",
            "Spans that no collector has: queue_full, too many waited; refused, the collector did not take them",
            ["reason"],
            registry=metrics.registry,
        )
        self._full = self._dropped.labels("queue_full")
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}{_PATH}" if endpoint else None)
        self._exporter = _Exporter(exporter, self._dropped.labels("refused"))
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=WAITING_SPANS,  # never met: `end` keeps count
                schedule_delay_millis=SEND_EVERY_S * 1000,
            )
        )
        self._tracer = self._provider.get_tracer("tts_server", version())
        self._propagator = TraceContextTextMapPropagator()
        self._given = 0
        self._is_full = False

    def begin(self, method: str, route: str, headers: Mapping[str, str]) -> Span:
        """A request has come; its caller's trace goes on, if he has one."""
        parent = self._propagator.extract(headers)
        facts = {"http.request.method": method, "http.route": route}
        return self._tracer.start_span(f"{method} {route}", parent, SpanKind.SERVER, facts)

    def end(self, span: Span, trace: Trace, status: int, failure: str) -> None:
        """It has ended so; `failure` is the code of the error, if it was one. The whole tree goes out, or nothing."""
        trace.ended = True
        if not span.is_recording():  # the sampler does not want it
            return
        count = 1 + sum(3 + len(work.pieces) for work in trace.works) + len(trace.encodes)
        if self._given - self._exporter.settled + count > WAITING_SPANS:
            self._full.inc(count)
            if not self._is_full:
                log.warning("traces are dropped", why="more wait to be sent than there is room for")
            self._is_full = True
            return  # a span that does not end is not sent
        self._is_full = False
        span.set_attributes(trace.facts)
        span.set_attribute("http.response.status_code", status)
        if trace.more_works:
            span.set_attribute("tts.texts_not_shown", trace.more_works)
        if failure:
            span.set_attribute("error.type", failure)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR, failure or None))
        tree = _Tree(self._tracer, span)
        for work in trace.works:
            tree.add_work(work)
        for encode in trace.encodes:
            tree.add_encode(encode)
        span.end()
        self._given += tree.count + 1

    async def close(self) -> None:
        """Send what is left, if that can be done soon."""
        # In a thread of its own: the end of the loop would wait for one of the loop's, and the collector may be gone.
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, LAST_WORDS_S)
        if ending.is_alive():
            self._exporter.shutdown()  # what waits to try again gives up
            await asyncio.to_thread(ending.join, LAST_WORDS_S)


class _Tree:
    """The spans below a request's."""

    def __init__(self, tracer: api.Tracer, root: Span) -> None:
        self._tracer = tracer
        self._root = api.set_span_in_context(root)
        self._epoch_ns = time.time_ns() - time.monotonic_ns()
        self.count = 0

    def add_work(self, work: Work) -> None:
        """A text: its wait, and what workers did for it. What was there before needs neither."""
        if work.taken_s is None:
            if work.given_up_s is not None:
                self._add("queue", self._root, work.accepted_s, work.given_up_s, work.facts)
            return
        self._add("queue", self._root, work.accepted_s, work.taken_s, {})
        more: dict[str, Fact] = {"tts.pieces_not_shown": work.more_pieces} if work.more_pieces else {}
        worker = api.set_span_in_context(self._add("worker", self._root, work.taken_s, work.made_s, work.facts | more))
        if work.read_s:
            self._add("read", worker, work.taken_s, work.taken_s + work.read_s, {})
        for number, piece in enumerate(work.pieces):
            self._add("infer", worker, piece.ended_s - piece.infer_s, piece.ended_s, {"tts.piece": number})

    def add_encode(self, encode: Encode) -> None:
        """An answer's encoder, from its first call to its last."""
        facts: dict[str, Fact] = {
            "tts.format": encode.audio_format,
            "tts.encoder_calls": encode.calls,
            "tts.encoder_ms": round(encode.busy_s * 1000, 3),
        }
        self._add("encode", self._root, encode.began_s, encode.ended_s, facts)

    def _add(self, name: str, parent: Context, began_s: float, ended_s: float, facts: Mapping[str, Fact]) -> Span:
        span = self._tracer.start_span(name, parent, attributes=facts, start_time=self._ns(began_s))
        span.end(self._ns(ended_s))
        self.count += 1
        return span

    def _ns(self, monotonic_s: float) -> int:
        return self._epoch_ns + round(monotonic_s * 1e9)


class _Exporter(SpanExporter):
    """Sends, and tells once when that does not work, and once when it does again. Runs in the processor's thread."""

    def __init__(self, exporter: SpanExporter, refused: Counter) -> None:
        self._exporter = exporter
        self._refused = refused
        self._why = _Why()
        self._failing = False
        self.settled = 0
        """Spans that do not wait any more."""
        logs = logging.getLogger(_EXPORTER_LOGS)  # it has a line for every attempt
        logs.propagate = False
        logs.addHandler(self._why)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        self._why.text = ""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001  (of an URL, of a certificate: the thread must go on)
            result, self._why.text = SpanExportResult.FAILURE, f"{type(error).__name__}: {error}"
        self.settled += len(spans)
        if result is SpanExportResult.SUCCESS:
            if self._failing:
                log.info("traces are taken again")
            self._failing = False
        else:
            self._refused.inc(len(spans))
            if not self._failing:
                log.warning("traces are dropped", why=self._why.text or "the collector does not take them")
            self._failing = True
        return result

    def shutdown(self) -> None:
        """Send no more."""
        self._exporter.shutdown()


class _Why(logging.Handler):
    """Keeps the first that was said: what came of it says less."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = self.text or record.getMessage()


def traceresponse(span: Span) -> str:
    """The trace as the W3C's header for answers has it."""
    context = span.get_span_context()
    return f"00-{trace_id(span)}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_id(span: Span) -> str:
    """As it is written everywhere."""
    return f"{span.get_span_context().trace_id:032x}"


def _resource() -> Resource:
    """Who sends: what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say, else our own name."""
    found = Resource.create({SERVICE_VERSION: version()})
    named = str(found.attributes[SERVICE_NAME])
    return found.merge(Resource({SERVICE_NAME: "tts-server"})) if named.startswith("unknown_service") else found

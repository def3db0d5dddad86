"""Traces, as a collector gets them: a real server, and a receiver of OTLP over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.test_service import Server, serving
from tts_server.http.traced import outcome_of
from tts_server.metrics import Metrics
from tts_server.trace import MOST_PIECES, Trace, Work, open_tracing

ROOT = Path(__file__).resolve().parent.parent
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TEXT = "第一句话。第二句话，长一点。The third one."
SERVER, ERROR = 2, 2  # of the protocol's enumerations


class Span:
    def __init__(self, span: Any) -> None:
        self.name: str = span.name
        self.id, self.parent, self.trace = span.span_id.hex(), span.parent_span_id.hex(), span.trace_id.hex()
        self.kind, self.status = span.kind, span.status.code
        self.start_ns, self.end_ns = span.start_time_unix_nano, span.end_time_unix_nano
        self.facts = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


class Collector:
    """A receiver of OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, str] = {}
        self.raw = b""
        self._news = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        data = await request.read()
        self.raw += data
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            self.resource = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.spans += [Span(span) for scope in resource.scope_spans for span in scope.spans]
        self._news.set()
        return web.Response(content_type="application/x-protobuf")

    async def tree(self, trace: str) -> tuple[Span, list[Span]]:
        """The request's span of that trace, and those below it: a request's go out together."""
        while True:
            self._news.clear()
            spans = [span for span in self.spans if span.trace == trace]
            for root in spans:
                if root.kind == SERVER:
                    return root, [span for span in spans if span is not root]
            async with asyncio.timeout(30):
                await self._news.wait()


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Collector, TestServer]]:
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    server = TestServer(app)
    await server.start_server()
    yield collector, server
    await server.close()


@pytest.fixture
def traced(
    voices_dir: Path, tmp_path: Path, collector: tuple[Collector, TestServer], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", str(collector[1].make_url("")))
    with serving(voices_dir, tmp_path, "--hang-s", "1") as server:
        yield server


def trace_of(response: aiohttp.ClientResponse) -> str:
    return response.headers["traceresponse"].split("-")[1]


def outline(root: Span, spans: list[Span]) -> dict[str, Any]:
    """The tree by names; each span lies within the one above it, to the microsecond."""
    below: dict[str, Any] = {}
    for span in sorted((span for span in spans if span.parent == root.id), key=lambda span: span.start_ns):
        assert span.start_ns >= root.start_ns - 1_000
        assert span.end_ns <= root.end_ns + 1_000
        below.setdefault(span.name, {}).update(outline(span, spans))
    return below


WHOLE_TREE: Final[dict[str, Any]] = {"queue": {}, "worker": {"read": {}, "infer": {}}, "encode": {}}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_answer_is_a_tree_of_its_wait_its_worker_and_its_encoder(
    traced: Server, collector: tuple[Collector, TestServer], streamed: bool
) -> None:
    body = {"text": TEXT, "format": "mp3", "stream": streamed}
    async with (
        aiohttp.ClientSession(traced.url) as session,
        session.post("/api/tts", json=body, headers={"traceparent": CALLER}) as response,
    ):
        assert response.status == 200
        await response.read()
        assert trace_of(response) == CALLER.split("-")[1]
    root, spans = await collector[0].tree(trace_of(response))
    assert root.name == "POST /api/tts"
    assert root.parent == CALLER.split("-")[2]
    assert root.facts == {
        "http.request.method": "POST",
        "http.route": "/api/tts",
        "http.response.status_code": 200,
        "tts.characters": len(TEXT),
        "tts.engine": "standard",
        "tts.voice": "female",
        "tts.priority": 1,
        "tts.streamed": streamed,
        "tts.format": "mp3",
        "tts.cache": "MISS",
        "tts.outcome": "done",
    }
    assert outline(root, spans) == WHOLE_TREE
    pieces = [span for span in spans if span.name == "infer"]
    assert len(pieces) >= 3  # a line has one at least
    assert {span.facts["tts.format"] for span in spans if span.name == "encode"} == {"mp3"}
    assert collector[0].resource["service.name"] == "tts-server"
    assert "句".encode() not in collector[0].raw


async def test_what_was_kept_needs_no_worker(traced: Server, collector: tuple[Collector, TestServer]) -> None:
    async with aiohttp.ClientSession(traced.url) as session:
        traces = []
        for audio_format in ("wav", "wav", "flac"):
            async with session.post("/api/tts", json={"text": TEXT, "format": audio_format}) as response:
                await response.read()
                traces.append(trace_of(response))
    assert len(set(traces)) == 3
    outlines = [outline(*await collector[0].tree(trace)) for trace in traces]
    assert outlines == [WHOLE_TREE, {}, {"encode": {}}]  # made; the answer was kept; its lines were
    assert [(await collector[0].tree(trace))[0].facts["tts.cache"] for trace in traces] == ["MISS", "HIT", "HIT"]


async def test_a_websocket_is_one_tree_with_the_work_of_each_sentence(
    traced: Server, collector: tuple[Collector, TestServer]
) -> None:
    async with (
        aiohttp.ClientSession(traced.url) as session,
        session.ws_connect("/v1/audio/speech/stream", headers={"traceparent": CALLER}) as socket,
    ):
        await socket.send_json({"type": "input.text", "text": "第一句。第二句。"})
        await socket.send_json({"type": "input.done"})
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT and message.json()["type"] == "session.done":
                break
    root, spans = await collector[0].tree(CALLER.split("-")[1])
    assert outline(root, spans) == WHOLE_TREE
    assert [span.facts["tts.characters"] for span in spans if span.name == "worker"] == [4, 4]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": ""}, 400, "empty_input"),
        ({"text": "好。", "voice": "nobody"}, 404, "voice_not_found"),
        ({"text": "，。"}, 400, "nothing_to_say"),
    ],
)
async def test_what_is_refused_says_so(
    traced: Server, collector: tuple[Collector, TestServer], body: dict[str, str], status: int, code: str
) -> None:
    async with aiohttp.ClientSession(traced.url) as session, session.post("/api/tts", json=body) as response:
        said = await response.json()
    assert (response.status, said["error"]["code"]) == (status, code)
    root, _ = await collector[0].tree(trace_of(response))
    assert (root.facts["tts.outcome"], root.facts["error.type"], root.status) == ("rejected", code, 0)
    assert root.facts["http.response.status_code"] == status


async def test_what_nobody_took_up_shows_its_wait(traced: Server, collector: tuple[Collector, TestServer]) -> None:
    for worker in traced.workers():
        worker.send_signal(signal.SIGSTOP)
    async with aiohttp.ClientSession(traced.url) as session:
        async with session.post("/api/tts", json={"text": "好。"}, headers={"X-Deadline-Ms": "200"}) as response:
            assert response.status == 504
        with pytest.raises(TimeoutError):
            await session.post(
                "/api/tts",
                json={"text": TEXT},
                headers={"traceparent": CALLER},
                timeout=aiohttp.ClientTimeout(total=0.2),
            )
        late, below_late = await collector[0].tree(trace_of(response))
        gone, below_gone = await collector[0].tree(CALLER.split("-")[1])
    assert (late.facts["tts.outcome"], late.facts["error.type"], late.status) == ("expired", "deadline_exceeded", ERROR)
    assert outline(late, below_late) == {"queue": {}}
    assert (gone.facts["tts.outcome"], gone.facts["http.response.status_code"], gone.status) == ("cancelled", 499, 0)
    assert outline(gone, below_gone) == {"queue": {}}


async def test_probes_are_not_traced(traced: Server) -> None:
    async with aiohttp.ClientSession(traced.url) as session:
        for path in ("/healthz", "/readyz", "/metrics", "/web/app.js"):
            async with session.get(path) as response:
                assert "traceresponse" not in response.headers, path


async def test_who_is_not_to_be_sampled_has_a_trace_id_and_no_spans(
    traced: Server, collector: tuple[Collector, TestServer]
) -> None:
    async with aiohttp.ClientSession(traced.url) as session:
        for last, number in (("00", 1), ("01", 2)):
            given = f"00-{number:032x}-b7ad6b7169203331-{last}"
            async with session.post("/api/tts", json={"text": TEXT}, headers={"traceparent": given}) as response:
                assert response.headers["traceresponse"].startswith(f"00-{number:032x}-")
    await collector[0].tree(f"{2:032x}")
    assert {span.trace for span in collector[0].spans} == {f"{2:032x}"}


def test_a_collector_that_is_gone_costs_a_counted_drop_and_one_line(voices_dir: Path, tmp_path: Path) -> None:
    command = [sys.executable, "run.py", "serve", "--port", "0", "--engines", "standard", "--workers", "1"]
    command += ["--voices-dir", str(voices_dir), "--state-dir", str(tmp_path), "--log-format", "text"]
    command += ["--otlp-endpoint", "http://127.0.0.1:1"]
    environ = os.environ | {"OTEL_EXPORTER_OTLP_TIMEOUT": "3"}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    try:
        for line in process.stderr or ():
            said.append(line)
            if found := re.search(r"serving url=(\S+)", line):
                break
        else:
            raise AssertionError("the server did not start: " + "".join(said))
        for batch in (1, 2):
            assert post(f"{found[1]}/api/tts", b'{"text": "\xe5\xa5\xbd"}')[:4] == b"RIFF"
            while refused(found[1]) < batch:
                time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
    told = [line for line in [*said, *rest.splitlines()] if "traces are dropped" in line]
    assert len(told) == 1
    assert "Connection refused" in told[0]
    assert process.returncode == 0


def post(url: str, body: bytes) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  (of ours)
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return bytes(answer.read())


def refused(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics") as answer:  # noqa: S310
        found = re.search(rb'^tts_spans_dropped_total\{reason="refused"\} (\S+)$', answer.read(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_nobody_who_does_not_want_traces_loads_opentelemetry() -> None:
    check = """
import sys
unwanted = {"tts_server.tracing", "opentelemetry.sdk.trace", "opentelemetry.exporter"}  # redis-py takes its metrics
from tts_server.server import open_tracing
from tts_server.http.app import create_app
from tts_server.metrics import Metrics
assert open_tracing(None, Metrics(), {}) is None
assert open_tracing("http://127.0.0.1:1", Metrics(), {"OTEL_SDK_DISABLED": "true"}) is None
sys.exit(", ".join(name for name in sys.modules if name in unwanted) or 0)
"""
    result = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_where_opentelemetry_is_not_installed_the_server_goes_on_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "tts_server.tracing", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert open_tracing(None, Metrics(), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}) is None
    assert "pip install 'tts-server[otel]'" in caplog.text


def test_notes_are_bounded() -> None:
    work = Work({}, 0.0)
    for _ in range(MOST_PIECES + 5):
        work.heard(0.01)
    assert (len(work.pieces), work.more_pieces) == (MOST_PIECES, 5)


async def test_when_too_many_wait_whole_trees_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tts_server import tracing

    monkeypatch.setattr(tracing, "WAITING_SPANS", 512)
    monkeypatch.setattr(tracing, "SEND_EVERY_S", 3600.0)
    found = Metrics()
    traces = tracing.Tracing(found, "http://127.0.0.1:1")
    for _ in range(514):
        traces.end(traces.begin("GET", "/", {}), Trace(), 200, "")
    assert found.registry.get_sample_value("tts_spans_dropped_total", {"reason": "queue_full"}) == 2
    assert caplog.text.count("traces are dropped") == 1
    traces._exporter.shutdown()
    await traces.close()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((200, "done"), (206, "done"), (400, "rejected"), (429, "rejected"), (499, "cancelled"), (500, "failed")),
        *((503, "rejected"), (504, "expired"), (507, "failed")),
    ],
)
def test_a_status_has_an_outcome(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome

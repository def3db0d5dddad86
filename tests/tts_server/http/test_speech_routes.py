"""POST /api/tts and POST /v1/audio/speech, over a socket."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
import wave
from collections.abc import Callable
from contextlib import closing
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
import pytest
import uvloop
from aiohttp.test_utils import BaseTestServer, TestClient, TestServer

from tests.tts_server.http.conftest import Serve
from tests.tts_server.http.fakes import MALE, PIECE_SAMPLES, RATE_HZ, FakeGateway, FakeMeter, pcm_of
from tts_server.encoding import CONTENT_TYPES, FORMATS, available, open_encoder
from tts_server.errors import (
    DeadlineExceeded,
    EngineFailed,
    EngineUnavailable,
    QueueFull,
    ShuttingDown,
    TTSError,
)
from tts_server.http.app import create_app
from tts_server.http.encoders import Encoders
from tts_server.http.services import Limits, Services

Client = TestClient[Any, Any]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

TEXT = "你好。"
OPENAI = {"model": "tts-1", "input": TEXT, "voice": "onyx", "response_format": "pcm"}


async def test_a_whole_answer_says_its_length_and_is_complete(client: Client, meter: FakeMeter) -> None:
    async with client.post("/api/tts", json={"text": TEXT}) as answer:
        body = await answer.read()
    assert answer.status == 200
    assert answer.content_type == "audio/wav"
    assert int(answer.headers["Content-Length"]) == len(body)
    assert answer.headers["X-Audio-Seconds"] == f"{len(TEXT) * PIECE_SAMPLES / RATE_HZ:.3f}"
    assert (answer.headers["X-Engine"], answer.headers["X-Voice"]) == ("standard", "female")
    assert answer.headers["X-Sample-Rate"] == str(RATE_HZ)
    assert answer.headers["Server-Timing"].startswith("queue;dur=1.0, read;dur=2.0, infer;dur=3.0, encode;dur=")
    assert "Cache-Control" not in answer.headers
    assert "X-Unspoken-Characters" not in answer.headers
    with wave.open(io.BytesIO(body)) as heard:
        assert (heard.getframerate(), heard.readframes(heard.getnframes())) == (RATE_HZ, pcm_of(TEXT))
    assert meter.requests == [("/api/tts", 200)]
    assert meter.firsts == 1
    assert set(meter.calls) == {"wav"}


@pytest.mark.parametrize("audio_format", [name for name in FORMATS if available(name) is None])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_what_its_encoder_makes(client: Client, audio_format: str, *, stream: bool) -> None:
    async with client.post("/api/tts", json={"text": TEXT, "format": audio_format, "stream": stream}) as answer:
        body = await answer.read()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == CONTENT_TYPES[audio_format]
    assert ("Content-Length" in answer.headers) is not stream
    if audio_format not in {"opus", "flac"}:  # these have a serial number, or depend on how the pieces are cut
        encoder = open_encoder(audio_format, RATE_HZ, RATE_HZ, streamed=stream)
        assert body == encoder.encode(np.frombuffer(pcm_of(TEXT), np.int16)) + encoder.finish()


async def test_audio_is_sent_while_the_rest_is_being_made(client: Client, gateway: FakeGateway) -> None:
    gateway.holds_at = 1
    for path, body in (("/api/tts", {"text": TEXT, "format": "pcm", "stream": True}), ("/v1/audio/speech", OPENAI)):
        gateway.release.clear()
        async with client.post(path, json=body) as answer:
            assert answer.headers["Transfer-Encoding"] == "chunked"
            assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-cache", "no")
            assert "X-Audio-Seconds" not in answer.headers
            first = await answer.content.readexactly(2 * PIECE_SAMPLES)
            gateway.release.set()
            assert first + await answer.read() == pcm_of(TEXT)
    assert all(request.streamed for request in gateway.requests)


async def test_the_rate_that_is_told_is_the_rate_that_is_sent(client: Client) -> None:
    for sample_rate, sent in ((8_000, "8000"), (9_000, "11025")):
        async with client.post("/api/tts", json={"text": TEXT, "format": "mp3", "sample_rate": sample_rate}) as answer:
            assert answer.headers["X-Sample-Rate"] == sent


async def test_openais_pcm_is_at_24_khz_whatever_the_voice(client: Client, gateway: FakeGateway) -> None:
    async with client.post("/v1/audio/speech", json=OPENAI | {"sample_rate": 12_000}) as answer:
        assert len(await answer.read()) == len(pcm_of(TEXT)) // 2
    assert gateway.requests[0].voice is MALE


async def test_http_1_0_ends_with_its_connection(client: Client) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    body = b'{"text":"a","format":"pcm","stream":true}'
    writer.write(b"POST /api/tts HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
    writer.write(body)
    head, _, audio = (await reader.read()).partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert audio == pcm_of("a")
    writer.close()


async def test_what_was_left_out_is_counted(client: Client, gateway: FakeGateway) -> None:
    gateway.unspoken = ("☃", "𒀀")
    async with client.post("/api/tts", json={"text": TEXT}) as answer:
        assert answer.headers["X-Unspoken-Characters"] == "2"


@pytest.mark.parametrize(
    ("refusal", "status", "headers"),
    [
        (QueueFull("full", retry_after_s=1.25), 503, {"Retry-After": "2", "retry-after-ms": "1250"}),
        (ShuttingDown("going", retry_after_s=1), 503, {"Retry-After": "1", "retry-after-ms": "1000"}),
        (EngineUnavailable("none"), 503, {}),
        (DeadlineExceeded("late"), 504, {"x-should-retry": "false"}),
        (EngineFailed("broken"), 500, {"x-should-retry": "false"}),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_failure_before_the_first_audio_has_its_own_status(
    client: Client, gateway: FakeGateway, refusal: TTSError, status: int, headers: dict[str, str], *, at_once: bool
) -> None:
    if at_once:
        gateway.refusal = refusal
    else:
        gateway.failure = refusal
    for path, body in (("/api/tts", {"text": TEXT}), ("/v1/audio/speech", OPENAI | {"stream_format": "sse"})):
        async with client.post(path, json=body) as answer:
            assert answer.status == status
            assert await answer.json() == refusal.body()
            assert answer.headers.items() >= headers.items()


@pytest.mark.parametrize("failure", [EngineFailed("broken"), RuntimeError("a bug"), BrokenPipeError(), TimeoutError()])
async def test_a_failure_after_the_first_audio_never_looks_like_the_end(
    client: Client, gateway: FakeGateway, meter: FakeMeter, failure: Exception
) -> None:
    gateway.failure, gateway.fails_at = failure, 2
    async with client.post("/v1/audio/speech", json=OPENAI) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    await meter.counted.wait()
    assert meter.requests == [("/v1/audio/speech", 500)]


async def test_a_bug_is_told_to_the_log_and_not_to_the_caller(
    client: Client, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.failure = RuntimeError("the secret of the house")
    async with client.post("/api/tts", json={"text": TEXT}, headers={"X-Request-Id": "abc-1"}) as answer:
        body = await answer.text()
    assert answer.status == 500
    assert answer.headers["x-should-retry"] == "false"
    assert "abc-1" in body
    assert "secret" not in body
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "secret" in str(record.exc_info[1])


async def test_an_engine_that_says_nothing_has_failed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.tts_server.http.fakes.pieces_of", lambda text: [])
    async with client.post("/api/tts", json={"text": TEXT}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (500, "engine_failed")


async def test_the_log_has_a_line_for_a_request_and_none_of_its_text(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "tts_server"):
        await (await client.post("/api/tts", json={"text": "geheim"}, headers={"X-Request-Id": "r:1"})).read()
        await (await client.get("/geheim?geheim")).read()
    lines = [(record.getMessage(), vars(record)["tts_fields"]) for record in caplog.records]
    assert [(event, fields["route"], fields["status"]) for event, fields in lines] == [
        ("request done", "/api/tts", 200),
        ("request done", "unmatched", 404),
    ]
    assert lines[0][1]["request"] == "r:1"
    assert "geheim" not in str(lines)


async def test_a_refusals_code_is_in_the_log(
    client: Client, gateway: FakeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.refusal = QueueFull("full")
    with caplog.at_level(logging.INFO, "tts_server"):
        await client.post("/api/tts", json={"text": TEXT})
    assert vars(caplog.records[0])["tts_fields"]["code"] == "queue_full"


async def test_a_failure_behind_the_end_is_no_second_answer(
    client: Client, gateway: FakeGateway, meter: FakeMeter
) -> None:
    gateway.leaving_fails = True
    async with client.post("/api/tts", json={"text": TEXT, "stream": True, "format": "pcm"}) as answer:
        assert await answer.read() == pcm_of(TEXT)
    await meter.counted.wait()
    assert meter.requests == [("/api/tts", 500)]


# --- who goes away --------------------------------------------------------------------------------------------------


class SlowEncoder:
    """Encodes nothing until it may, and remembers what was done to it."""

    light = False
    sample_rate_hz = RATE_HZ

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.may_go_on = threading.Event()
        self.aborted = threading.Event()
        self.busy = False

    def encode(self, pcm: npt.NDArray[np.int16]) -> bytes:
        self.busy = True
        self.entered.set()
        self.may_go_on.wait()
        self.busy = False
        return pcm.tobytes()

    def finish(self) -> bytes:
        return b""

    def abort(self) -> None:
        assert not self.busy
        self.aborted.set()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_away_while_it_waits_stops_its_work(
    client: Client, gateway: FakeGateway, meter: FakeMeter, *, stream: bool
) -> None:
    gateway.holds_at = 0
    asking = asyncio.create_task(client.post("/api/tts", json={"text": TEXT, "stream": stream}))
    await gateway.held.wait()
    asking.cancel()
    await gateway.left.wait()
    assert gateway.cut_short == [TEXT]
    await meter.counted.wait()
    assert meter.requests == [("/api/tts", 499)]


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_a_client_that_goes_away_while_it_listens_stops_its_work(
    client: Client, gateway: FakeGateway, stream_format: str
) -> None:
    gateway.holds_at = 1
    answer = await client.post("/v1/audio/speech", json=OPENAI | {"stream_format": stream_format})
    await answer.content.readany()
    answer.close()
    await gateway.left.wait()
    assert gateway.cut_short == [TEXT]


async def test_an_encoder_is_given_up_after_the_call_that_it_is_in(serve: Serve, gateway: FakeGateway) -> None:
    encoder = SlowEncoder()
    client = await serve(open_encoder=lambda *_, **__: encoder)
    asking = asyncio.create_task(client.post("/api/tts", json={"text": TEXT}))
    assert await asyncio.to_thread(encoder.entered.wait, 10)
    asking.cancel()
    await gateway.left.wait()
    assert not encoder.aborted.is_set()
    encoder.may_go_on.set()
    assert await asyncio.to_thread(encoder.aborted.wait, 10)


async def test_an_encoder_is_given_up_when_the_engine_fails(serve: Serve, gateway: FakeGateway) -> None:
    encoder = SlowEncoder()
    encoder.may_go_on.set()
    client = await serve(open_encoder=lambda *_, **__: encoder)
    gateway.failure, gateway.fails_at = EngineFailed("broken"), 1
    async with client.post("/v1/audio/speech", json=OPENAI) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    assert await asyncio.to_thread(encoder.aborted.wait, 10)


async def _ask_for_more_than_sockets_hold(server: Client | BaseTestServer, stream: bytes) -> Connection:
    """24 MB, by a client that buffers next to nothing."""
    reader, writer = await asyncio.open_connection(server.host, server.port, limit=2048)
    body = b'{"text":"%b","format":"pcm","stream":%b}' % (b"a" * 5_000, stream)
    writer.write(b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    return reader, writer


@pytest.mark.parametrize("stream", [b"false", b"true"], ids=["whole", "streamed"])
async def test_a_client_that_takes_nothing_is_cut_off(
    serve: Serve, gateway: FakeGateway, meter: FakeMeter, stream: bytes
) -> None:
    client = await serve(Limits(write_timeout_s=0.05))
    reader, writer = await _ask_for_more_than_sockets_hold(client, stream)
    await gateway.left.wait()
    await meter.counted.wait()
    assert meter.requests == [("/api/tts", 499)]
    writer.transport.abort()
    del reader


async def _reads_slowly_but_steadily() -> None:
    meter = FakeMeter()
    with closing(Encoders(1)) as encoders:
        services = Services(FakeGateway(), meter, encoders, Limits(write_timeout_s=0.5))
        async with TestServer(create_app(services, version="1")) as server:
            reader, writer = await _ask_for_more_than_sockets_hold(server, b"false")
            head = await reader.readuntil(b"\r\n\r\n")
            left = 2 * PIECE_SAMPLES * 5_000
            assert b"Content-Length: %d\r\n" % left in head
            while left:
                part = await reader.read(min(left, 1 << 16))
                assert part, "the connection was cut"
                left -= len(part)
                if left % 16 == 0:
                    await asyncio.sleep(0.001)  # all of them together take longer than it may take nothing
            await meter.counted.wait()
            writer.transport.abort()
    assert meter.requests == [("/api/tts", 200)]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_client_that_is_slow_but_steady_gets_all_of_it(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_reads_slowly_but_steadily())


async def test_a_body_that_does_not_arrive_is_not_waited_for(serve: Serve) -> None:
    client = await serve(Limits(body_s=0.05))
    reader, writer = await asyncio.open_connection(client.host, client.port)
    head = b"POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
    writer.write(head + b"{")
    assert b"400" in await reader.readline()
    assert b'"code":"body_timeout"' in await reader.readuntil(b"}}")
    writer.transport.abort()


# --- what the door refuses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/tts", "/v1/audio/speech", "/audio/speech"])
@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
        ({"Content-Type": "application/json"}, b"", 400, "invalid_json"),
        ({"Content-Type": "application/json; charset=utf-8"}, b"{", 400, "invalid_json"),
        ({"Content-Type": "application/json"}, b" " * 2_000_000, 413, "body_too_large"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"not gzip", 400, "invalid_body"),
        ({"Content-Type": "application/json", "X-Deadline-Ms": "0"}, b"{}", 400, "invalid_value"),
        ({"Content-Type": "application/json"}, b"{}", 400, "missing_required_parameter"),
    ],
)
async def test_a_request_that_is_none_is_refused(
    client: Client, path: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    async with client.post(path, data=io.BytesIO(body), headers=headers, skip_auto_headers=["Content-Type"]) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["code"], error["type"]) == (status, code, "invalid_request_error")
    assert answer.headers["X-Request-Id"]


async def test_the_deadline_is_handed_on(client: Client, gateway: FakeGateway) -> None:
    await client.post("/api/tts", json={"text": TEXT}, headers={"X-Deadline-Ms": "1500"})
    await client.post("/api/tts", json={"text": TEXT})
    assert [request.deadline_s for request in gateway.requests] == [1.5, Limits().deadline_s]


@pytest.mark.parametrize("given", ["a", "Z9._:-", "x" * 128])
async def test_a_request_id_is_taken(client: Client, gateway: FakeGateway, given: str) -> None:
    async with client.post("/api/tts", json={"text": TEXT}, headers={"X-Request-Id": given}) as answer:
        assert answer.headers["X-Request-Id"] == given
    assert gateway.requests[0].id == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "é", "<script>"])
async def test_a_request_id_is_made_where_there_is_none(client: Client, given: str) -> None:
    made = set()
    for _ in range(2):
        async with client.post("/api/tts", json={"text": TEXT}, headers={"X-Request-Id": given}) as answer:
            made.add(answer.headers["X-Request-Id"])
    assert len(made) == 2
    assert given not in made


async def test_more_encoding_than_can_be_done_in_time_is_refused_at_the_door(
    client: Client, gateway: FakeGateway, meter: FakeMeter
) -> None:
    long, headers = "好" * 5000, {"X-Deadline-Ms": "1000"}
    async with client.post("/api/tts", json={"text": long, "format": "opus"}, headers=headers) as answer:
        assert answer.status == 503
        assert (await answer.json())["error"]["code"] == "queue_full"
        assert int(answer.headers["retry-after-ms"]) > 1000
    assert gateway.requests == []
    assert meter.outcomes == ["rejected"]

"""The websocket: text as it is written, audio sentence by sentence."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestClient

from inference.script import SENTENCE_PAUSE_S
from tests.tts_server.http.conftest import Serve
from tests.tts_server.http.fakes import RATE_HZ, FakeGateway, FakeMeter, pcm_of
from tts_server.errors import EngineFailed, QueueFull
from tts_server.http.services import Limits
from tts_server.http.websocket import PAUSE_S, SOCKETS
from tts_server.speech import SpokenWord

Client = TestClient[Any, Any]
Socket = ClientWebSocketResponse[bool]

PATH = "/v1/audio/speech/stream"
PAUSE = bytes(2 * round(PAUSE_S * RATE_HZ))


async def say(socket: Socket, *texts: str) -> None:
    for text in texts:
        await socket.send_json({"type": "input.text", "text": text})


async def done(socket: Socket) -> None:
    await socket.send_json({"type": "input.done"})


async def until(socket: Socket, kind: str) -> list[dict[str, Any]]:
    """Messages up to the first of that kind. The audio of a sentence is put into its audio.done."""
    messages: list[dict[str, Any]] = []
    audio = b""
    while not messages or messages[-1]["type"] != kind:
        message = await socket.receive()
        if message.type is WSMsgType.BINARY:
            audio += message.data
            continue
        assert message.type is WSMsgType.TEXT, message
        messages.append(json.loads(message.data))
        if messages[-1]["type"] == "audio.done":
            messages[-1]["audio"], audio = audio, b""
    return messages


async def test_sentences_are_spoken_one_after_another(client: Client, meter: FakeMeter) -> None:
    async with client.ws_connect(PATH) as socket:
        await say(socket, "你", "好。今", "天好！", "再")
        await done(socket)
        messages = await until(socket, "session.done")
        expected: list[dict[str, Any]] = []
        for index, text in enumerate(("你好。", "今天好！", "再")):
            where = {"utterance_index": 0, "sentence_index": index}
            audio = (PAUSE if index else b"") + pcm_of(text)
            who = {"voice": "female", "engine": "standard"}
            expected.append({"type": "audio.start", **where, "format": "pcm", "sample_rate": RATE_HZ, **who})
            expected.append({"type": "audio.done", **where, "total_bytes": len(audio), "error": None, "audio": audio})
        assert messages == [*expected, {"type": "session.done", "utterance_index": 0, "total_sentences": 3}]
        await say(socket, "好")
        await done(socket)
        messages = await until(socket, "session.done")
        assert [message["utterance_index"] for message in messages] == [1, 1, 1]
        assert messages[1]["audio"] == pcm_of("好")
        assert len(client.app[SOCKETS]) == 1
    await meter.counted.wait()
    assert meter.requests == [(PATH, 101)]
    assert client.app[SOCKETS] == set()


def test_the_pause_between_sentences_is_the_one_of_other_texts() -> None:
    assert PAUSE_S == SENTENCE_PAUSE_S


async def test_a_sentence_is_spoken_before_there_is_more(client: Client) -> None:
    async with client.ws_connect(PATH) as socket:
        await say(socket, "你好。今")
        assert (await until(socket, "audio.done"))[-1]["audio"] == pcm_of("你好。")


async def test_the_manner_can_be_changed_on_the_way(client: Client, gateway: FakeGateway) -> None:
    async with client.ws_connect(PATH, headers={"X-Request-Id": "r", "X-Deadline-Ms": "2000"}) as socket:
        await socket.send_json({"type": "session.config", "voice": "male", "speed": 2, "format": "wav", "pitch": 1})
        await say(socket, "好。")
        start, end = await until(socket, "audio.done")
        assert start["format"] == "wav"
        assert end["audio"].startswith(b"RIFF")
        await socket.send_json({"type": "session.config", "sample_rate": 12_000})
        await say(socket, "好。")
        start, end = await until(socket, "audio.done")
        assert (start["format"], start["sample_rate"]) == ("pcm", 12_000)
        assert len(end["audio"]) == (len(pcm_of("好。")) + len(PAUSE)) // 2
    male, female = gateway.requests
    assert (male.id, male.voice.id, male.speed, male.pitch_semitones, male.streamed) == (
        "r/0.0",
        "male",
        2.0,
        1.0,
        True,
    )
    assert (female.id, female.voice.id, female.speed, female.deadline_s) == ("r/0.1", "female", 1.0, 2.0)


async def test_each_sentence_is_a_file_of_its_own(client: Client) -> None:
    async with client.ws_connect(PATH) as socket:
        await socket.send_json({"type": "session.config", "format": "wav"})
        await say(socket, "好。", "是。")
        for _ in range(2):
            assert (await until(socket, "audio.done"))[-1]["audio"].startswith(b"RIFF")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_json"),
        (b"{", "invalid_json"),
        ('{"type":"input.sing"}', "unknown_type"),
        ('{"type":"session.config","voice":"nobody"}', "voice_not_found"),
        ('{"type":"session.config","format":"ogg"}', "unsupported_format"),
        ('{"type":"session.config","speed":NaN}', "invalid_json"),
        ('{"type":"input.text","text":7}', "invalid_value"),
        ('{"type":"input.text","text":"\\ud83d"}', "invalid_json"),
    ],
)
async def test_a_wrong_message_is_told_and_changes_nothing(client: Client, message: str | bytes, code: str) -> None:
    async with client.ws_connect(PATH) as socket:
        await say(socket, "你")
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_str(message)
        (error,) = await until(socket, "error")
        assert error["error"]["code"] == code
        assert error["message"] == error["error"]["message"]
        await done(socket)
        assert (await until(socket, "session.done"))[1]["audio"] == pcm_of("你")


async def test_a_sentence_that_fails_is_told_and_the_next_is_spoken(client: Client, gateway: FakeGateway) -> None:
    async with client.ws_connect(PATH) as socket:
        for failure in (EngineFailed("the worker died"), RuntimeError("a bug")):
            gateway.failure, gateway.fails_at = failure, 2
            await say(socket, "你好。")
            start, end = await until(socket, "audio.done")
            assert start["type"] == "audio.start"
            assert end["audio"].endswith(pcm_of("你好"))
            assert end["total_bytes"] == len(end["audio"])
            assert end["error"].keys() == {"message", "type", "param", "code"}
            assert "bug" not in end["error"]["message"]
        gateway.refusal = QueueFull("full", retry_after_s=1)
        await say(socket, "你好。")
        (end,) = await until(socket, "audio.done")
        assert (end["sentence_index"], end["total_bytes"], end["error"]["code"]) == (2, 0, "queue_full")
        gateway.refusal = gateway.failure = None
        await say(socket, "你好。")
        assert (await until(socket, "audio.done"))[-1]["error"] is None


async def test_no_more_sentences_are_in_the_works_than_allowed(serve: Serve, gateway: FakeGateway) -> None:
    client = await serve(Limits(socket_run_ahead=2))
    gateway.holds_at = 1
    async with client.ws_connect(PATH) as socket:
        await say(socket, "一二。三四。五六。七八。")
        await done(socket)
        await gateway.held.wait()
        await until(socket, "audio.start")
        assert gateway.speaking == ["一二。", "三四。"]
        gateway.release.set()
        assert [m["sentence_index"] for m in await until(socket, "session.done") if "sentence_index" in m] == [
            *(0, 1, 1, 2, 2, 3, 3)
        ]
    assert gateway.most_at_once == 2


async def test_what_is_unspoken_can_be_dropped(client: Client, gateway: FakeGateway) -> None:
    gateway.holds_at = 1
    async with client.ws_connect(PATH) as socket:
        await say(socket, "一二。三四。五六。七")
        await done(socket)
        await until(socket, "audio.start")
        assert (await socket.receive()).data == pcm_of("一")
        await socket.send_json({"type": "input.cancel"})
        assert await until(socket, "audio.done") == [
            {
                "type": "audio.done",
                "utterance_index": 0,
                "sentence_index": 0,
                "total_bytes": len(pcm_of("一")),
                "error": None,
                "cancelled": True,
                "audio": b"",
            }
        ]
        assert sorted(gateway.cut_short) == ["一二。", "三四。"]
        gateway.release.set()
        await say(socket, "好")
        await done(socket)
        start, end, _ = await until(socket, "session.done")
        assert (start["utterance_index"], start["sentence_index"], end["audio"]) == (2, 0, pcm_of("好"))
    assert [request.text for request in gateway.requests] == ["一二。", "三四。", "好"]


async def test_dropping_nothing_is_answered_too(client: Client) -> None:
    async with client.ws_connect(PATH) as socket:
        await say(socket, "half a")
        await socket.send_json({"type": "input.cancel"})
        (end,) = await until(socket, "audio.done")
        assert (end["cancelled"], end["total_bytes"], end["utterance_index"], end["sentence_index"]) == (True, 0, 0, 0)
        await done(socket)
        (end,) = await until(socket, "session.done")
        assert end["total_sentences"] == 0


async def test_closing_speaks_what_is_left(client: Client) -> None:
    async with client.ws_connect(PATH) as socket:
        await say(socket, "一二。三")
        await socket.send_json({"type": "session.close"})
        messages = await until(socket, "session.done")
        assert [m["audio"] for m in messages if m["type"] == "audio.done"] == [pcm_of("一二。"), PAUSE + pcm_of("三")]
        closing = await socket.receive()
        assert (closing.type, closing.data) == (WSMsgType.CLOSE, 1000)


async def test_closing_when_all_is_said_adds_nothing(client: Client) -> None:
    async with client.ws_connect(PATH) as socket:
        await say(socket, "好。")
        await done(socket)
        await socket.send_json({"type": "session.close"})
        assert (await until(socket, "session.done"))[-1]["total_sentences"] == 1
        assert (await socket.receive()).type is WSMsgType.CLOSE


async def test_the_socket_is_not_read_while_too_much_waits(serve: Serve, gateway: FakeGateway) -> None:
    client = await serve(Limits(socket_pending_characters=8))
    gateway.holds_at = 1
    async with client.ws_connect(PATH) as socket:
        await say(socket, "一二三。四五六。")
        await socket.send_str("{")  # would be answered at once, were it read
        messages = await until(socket, "audio.start")
        gateway.release.set()
        messages += await until(socket, "error")
        assert [message["type"] for message in messages[:2]] == ["audio.start", "audio.done"]


async def test_many_short_sentences_are_bounded_as_well(serve: Serve) -> None:
    client = await serve(Limits(socket_pending_sentences=1))
    async with client.ws_connect(PATH) as socket:
        await say(socket, "一。" * 50)
        await done(socket)
        assert (await until(socket, "session.done"))[-1]["total_sentences"] == 50


async def test_a_socket_without_a_word_is_closed(serve: Serve) -> None:
    client = await serve(Limits(socket_idle_s=0.05))
    async with client.ws_connect(PATH) as socket:
        (error,) = await until(socket, "error")
        assert error["error"]["code"] == "idle_timeout"
        assert (await socket.receive()).type is WSMsgType.CLOSE


async def test_a_socket_that_is_being_spoken_to_is_not_idle(serve: Serve, gateway: FakeGateway) -> None:
    client = await serve(Limits(socket_idle_s=0.01))
    gateway.holds_at = 0
    async with client.ws_connect(PATH) as socket:
        await say(socket, "好。")
        await gateway.held.wait()
        await asyncio.sleep(0.1)  # ten times as long as it may be idle
        gateway.release.set()
        assert (await until(socket, "audio.done"))[-1]["audio"] == pcm_of("好。")


async def test_too_long_a_message_ends_the_session(serve: Serve) -> None:
    client = await serve(Limits(socket_message_bytes=100))
    async with client.ws_connect(PATH) as socket:
        await say(socket, "好" * 100)
        closing = await socket.receive()
        assert (closing.type, closing.data) == (WSMsgType.CLOSE, 1009)


@pytest.mark.parametrize("politely", [True, False])
async def test_a_client_that_goes_away_stops_its_work(
    client: Client, gateway: FakeGateway, meter: FakeMeter, *, politely: bool
) -> None:
    gateway.holds_at = 1
    socket = await client.ws_connect(PATH)
    await say(socket, "一二。三四。")
    await until(socket, "audio.start")
    if politely:
        await socket.close()
    else:
        transport = socket.get_extra_info("socket")
        assert transport is not None
        socket._writer.transport.abort()
    await meter.counted.wait()
    assert gateway.speaking == []
    assert sorted(gateway.cut_short) == ["一二。", "三四。"]


async def test_a_client_that_takes_nothing_is_cut_off(serve: Serve, gateway: FakeGateway, meter: FakeMeter) -> None:
    client = await serve(Limits(write_timeout_s=0.05))
    socket = await client.ws_connect(PATH)
    connection = socket._response.connection
    assert connection is not None
    assert connection.transport is not None
    connection.transport.pause_reading()
    await say(socket, "a" * 3_000)
    await done(socket)
    await meter.counted.wait()
    assert meter.requests == [(PATH, 499)]
    assert gateway.speaking == []
    connection.transport.abort()


async def test_a_server_that_shuts_down_says_so(client: Client) -> None:
    socket = await client.ws_connect(PATH)
    await client.app.shutdown()
    closing = await socket.receive()
    assert (closing.type, closing.data) == (WSMsgType.CLOSE, 1001)
    await socket.close()


async def test_a_wrong_deadline_is_refused_before_the_upgrade(client: Client) -> None:
    with pytest.raises(WSServerHandshakeError) as caught:
        await client.ws_connect(PATH, headers={"X-Deadline-Ms": "soon"})
    assert caught.value.status == 400


async def test_words_are_told_before_their_audio_with_their_place_in_the_utterance(
    client: Client, gateway: FakeGateway
) -> None:
    gateway.words = (SpokenWord("好", 0.1, 0.2, 0, 1),)
    async with client.ws_connect(PATH) as socket:
        await socket.send_json({"type": "session.config", "timestamps": True, "speed": 0.5})
        for _ in range(2):
            await say(socket, "好。」", "\n\n好！ ", "好")
            await done(socket)
            messages = await until(socket, "session.done")
            told = [message for message in messages if message["type"] == "audio.words"]
            assert [message["type"] for message in messages[:3]] == ["audio.start", "audio.words", "audio.done"]
            assert [message["sentence_index"] for message in told] == [0, 1, 2]
            (first,), (second,), (third,) = (message["words"] for message in told)
            assert first == {"text": "好", "start_s": 0.1, "end_s": 0.2, "start": 0, "end": 1}
            assert (second["start"], third["start"]) == (5, 7)
            assert second["start_s"] == 0.1 + PAUSE_S / 0.5
    assert all(request.timestamps for request in gateway.requests)

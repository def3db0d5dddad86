"""Words and their times in the events of an answer."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.tts_server.http.fakes import FakeGateway, pcm_of
from tests.tts_server.http.test_events import events_of
from tts_server.speech import SpokenWord

TEXT = "好8:30"
OPENAI = {"model": "tts-1", "input": TEXT, "voice": "nova", "response_format": "pcm", "stream_format": "sse"}
OURS = {"text": TEXT, "format": "pcm", "stream": True}


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/audio/speech", OPENAI), ("/api/tts", OURS), ("/api/tts/preview", OURS)]
)
async def test_words_come_before_their_audio(
    client: TestClient[Any, Any], gateway: FakeGateway, path: str, body: dict[str, Any]
) -> None:
    gateway.words = (SpokenWord("好", 0.0, 0.2, 0, 1), SpokenWord("8:30", 0.2, 0.5123456, 1, 5))
    async with client.post(path, json={**body, "timestamps": True}) as answer:
        words, *deltas, done = await events_of(answer)
    assert answer.content_type == "text/event-stream"
    assert words == {
        "type": "speech.audio.words",
        "words": [
            {"text": "好", "start_s": 0.0, "end_s": 0.2, "start": 0, "end": 1},
            {"text": "8:30", "start_s": 0.2, "end_s": 0.5123, "start": 1, "end": 5},
        ],
    }
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == pcm_of(TEXT)
    assert done["type"] == "speech.audio.done"
    assert gateway.requests[0].timestamps


@pytest.mark.parametrize(
    ("path", "body", "remedy"),
    [
        ("/v1/audio/speech", {**OPENAI, "stream_format": "audio"}, "stream_format"),
        ("/api/tts", {**OURS, "stream": False}, "set stream"),
        ("/api/tts", {**OURS, "timestamps": "yes"}, ""),
    ],
)
async def test_without_events_there_is_no_place_for_them(
    client: TestClient[Any, Any], path: str, body: dict[str, Any], remedy: str
) -> None:
    async with client.post(path, json={"timestamps": True, **body}) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["param"]) == (400, "timestamps")
    assert remedy in error["message"]

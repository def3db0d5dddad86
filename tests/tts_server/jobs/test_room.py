"""The room that a job is promised: enough for the longest that its text can last."""

from __future__ import annotations

import pytest

from inference.frontend.reading import read
from inference.pack import VOICES
from inference.script import write_script
from inference.utterance import Manner as HowToSpeak
from inference.voice import Voice
from tts_server.jobs.record import Manner
from tts_server.jobs.room import estimate_bytes, longest_s
from tts_server.narration import narrate


@pytest.fixture(scope="module")
def spoken() -> Voice:
    return Voice.load(VOICES / "light")


@pytest.mark.parametrize(
    "text",
    [
        "2" * 200,
        "7 " * 100,
        "1%" * 100,
        "²½" * 60,
        "好% " * 80,
        "wwww " * 40,
        "W.W.W. " * 40,
        "1\n\n" * 80,
        "3.14159 2026-11-22 10:30 ￥3.50 " * 10,
        "imo afaik asap btw " * 20,
        "http://www.example.com/a_b?c=d&e=1#2 " * 10,
        "5km/h 20kg 3m² 8GB " * 15,
        "零〇一二三！" * 40,
        "A。B！C？" * 40,
        "今天天气很好，我们去公园散步吧。" * 15,
        "The quick brown fox jumps over the lazy dog. " * 10,
    ],
)
def test_no_text_lasts_longer_than_it_is_promised_room(spoken: Voice, text: str) -> None:
    samples = sum(len(part) for part in narrate(write_script(text, read), spoken, HowToSpeak("female", 1.0)))
    assert samples / spoken.pack.sample_rate_hz <= longest_s(text)


@pytest.mark.parametrize(
    ("text", "most"),
    [("今天天气很好，我们去公园散步吧。", 0.4), ("The quick brown fox jumps over the lazy dog. ", 0.32)],
)
def test_an_ordinary_text_is_promised_not_far_more(text: str, most: float) -> None:
    assert longest_s(text * 100) / len(text * 100) <= most


def test_the_format_and_the_speed_are_counted() -> None:
    sizes = {
        (audio_format, speed): estimate_bytes("你好。", Manner("v", "e", speed, 1.0, 0.0, audio_format, 24_000))
        for audio_format in ("wav", "flac", "mp3")
        for speed in (1.0, 2.0)
    }
    assert sizes["wav", 2.0] * 2 == pytest.approx(sizes["wav", 1.0], abs=2)
    assert sizes["flac", 1.0] > 2 * sizes["wav", 1.0], "noise makes a flac that is longer than the samples"
    assert sizes["wav", 1.0] < sizes["mp3", 1.0] < sizes["flac", 1.0]

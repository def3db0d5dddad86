"""When each word is said: true to the sample, wherever the audio comes from, and told before it is heard."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from inference.frontend.reading import read
from inference.script import write_script
from inference.utterance import Manner, Utterance
from inference.voice import Voice
from tests.engines import load_tone
from tests.tts_server.test_gateway import ask, pids, running
from tts_server.gateway import SpeechGateway
from tts_server.speech import Pcm, SpeechRequest, SpokenWord

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEXT = "早上好！现在是8:30，花了￥3.50元。😀 Don't worry, Dr. Smith.\n\n第二段：12.5%的人。好！好！"
WORDS = "早上好 现在 是 8:30 花 了 ￥3.50元 Don't worry Dr Smith 第二段 12.5% 的 人 好 好".split()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(voices_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SpeechGateway]:
    async with running(voices_dir, tmp_path_factory.mktemp("cache"), None, cache_bytes=1 << 26) as gateway:
        yield gateway


async def told(gateway: SpeechGateway, request: SpeechRequest) -> tuple[list[SpokenWord], Pcm]:
    """The words and the audio. No word is told after the audio that it is in."""
    pieces: list[Pcm] = []
    known, given = 0, 0
    async with gateway.speak(request) as speech:
        async for pcm in speech:
            assert all(word.start_s >= given / request.voice.sample_rate_hz for word in speech.words[known:])
            known, given = len(speech.words), given + len(pcm)
            pieces.append(pcm)
        return list(speech.words), np.concatenate(pieces)


def true_words(voice: Voice, text: str, manner: Manner) -> list[tuple[str, float, float]]:
    """What the voice itself says of it, speaking each line whole."""
    at, found, rate_hz = 0, [], voice.pack.sample_rate_hz
    for line in write_script(text, read, marked=True).lines:
        speech = voice.speak_batch([Utterance(line.phones, manner)])[0]
        ends = [0.0, *speech.phone_ends_s]
        found += [
            (text[m.start : m.end], at / rate_hz + ends[m.first], at / rate_hz + ends[m.last]) for m in line.marks
        ]
        at += len(speech.audio) + round(line.pause_after_s / manner.speed * rate_hz)
    return found


@pytest.mark.parametrize("speed", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("streamed", [True, False])
async def test_times_are_those_of_the_phones(
    gateway: SpeechGateway, voice: Voice, speed: float, streamed: bool
) -> None:
    text = f"{TEXT}{streamed}."
    words, audio = await told(gateway, ask(gateway, text, speed=speed, streamed=streamed, timestamps=True))
    assert [word.text for word in words] == [*WORDS, str(streamed)]
    expected = true_words(voice, text, Manner("female", speed))
    assert [word.text for word in words] == [word for word, *_ in expected]
    np.testing.assert_allclose([word[1:3] for word in words], [times for _, *times in expected], atol=1e-6)
    assert words[-1].end_s <= len(audio) / 24_000
    for one, other in itertools.pairwise(words):
        assert one.start_s < one.end_s <= other.start_s
        assert one.end <= other.start
    assert all(text[word.start : word.end] == word.text for word in words)


async def test_speech_from_the_cache_has_the_same_times(gateway: SpeechGateway) -> None:
    def wanted(**more: Any) -> SpeechRequest:
        return ask(gateway, "先说一次。Then say it again.", streamed=True, **more)

    assert (await told(gateway, wanted()))[0] == [], "nobody has asked"
    first, audio = await told(gateway, wanted(timestamps=True))
    async with gateway.speak(wanted(timestamps=True)) as speech:
        again = np.concatenate([pcm async for pcm in speech])
        assert speech.reuse == "HIT"
        assert list(speech.words) == first
    np.testing.assert_array_equal(again, audio)
    assert len(first) >= 5
    fresh, _ = await told(gateway, wanted(timestamps=True, may_reuse=False))
    assert fresh == first


async def test_who_asks_and_who_does_not_share_their_lines(gateway: SpeechGateway) -> None:
    text = "两个人同时要听。一个要看字。"
    asked = [ask(gateway, text, streamed=True, timestamps=number % 2 == 0) for number in range(6)]
    heard = await asyncio.gather(*(told(gateway, request) for request in asked))
    for words, audio in heard:
        np.testing.assert_array_equal(audio, heard[0][1])
        assert words in ([], heard[0][0])
    assert [bool(words) for words, _ in heard] == [True, False] * 3


async def test_a_worker_that_dies_changes_no_time(gateway: SpeechGateway) -> None:
    text = "".join(f"这是第{number}句，它要说完。" for number in range(60))
    expected, audio = await told(gateway, ask(gateway, text, streamed=True, timestamps=True, may_reuse=False))
    words: list[SpokenWord] = []
    pieces: list[Pcm] = []
    async with gateway.speak(ask(gateway, text, streamed=True, timestamps=True, may_reuse=False)) as speech:
        async for pcm in speech:
            if not pieces:
                os.kill(pids(gateway)[0], signal.SIGKILL)
            pieces.append(pcm)
        words = list(speech.words)
    np.testing.assert_array_equal(np.concatenate(pieces), audio)
    assert words == expected


async def test_an_engine_that_knows_no_times_tells_none(voices_dir: Path, tmp_path: Path) -> None:
    async with running(voices_dir, tmp_path, load_tone, cache_bytes=1 << 20) as gateway:
        for _ in range(2):  # the second is from the cache
            words, audio = await told(gateway, ask(gateway, "你好。再见。", streamed=True, timestamps=True))
            assert (words, len(audio) > 0) == ([], True)

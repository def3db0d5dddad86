"""`make stress`: random text, minutes of it, through the front end and a voice. Nothing may break or go silent."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from inference.limiter import CEILING
from inference.pack import find_packs
from inference.script import write_script
from inference.utterance import Manner
from inference.voice import Voice
from tts_server.narration import narrate

SECONDS = float(os.environ.get("STRESS_SECONDS", "60"))
POOLS = (
    "的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事",
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'",
    "0123456789.,:%/-+$€¥℃",
    "，。！？；：、…—“”《》（）",
    " ,.!?;:()\"'\n\t",
    "☃✂é ü ñ Ω я か 한 \u200b\u0301\ufe0f👋🏽",
)
WORDS = (
    "hello",
    "the",
    "meeting",
    "3.14",
    "2026-11-22",
    "GPT-4",
    "don't",
    "¥128.5",
    "重庆",
    "银行",
    "一会儿",
    "WiFi",
    "10:30",
)


def _random_text(source: random.Random) -> str:
    pieces = []
    for _ in range(source.randint(1, 40)):
        if source.random() < 0.3:
            pieces.append(source.choice(WORDS))
        else:
            pool = source.choice(POOLS)
            pieces.append("".join(source.choice(pool) for _ in range(source.randint(1, 8))))
        pieces.append(source.choice(("", "", " ")))
    return "".join(pieces).strip() or "空"


@pytest.mark.stress
def test_random_text_is_spoken_or_refused(tiny_pack: Path) -> None:
    from inference.frontend.reading import NothingToSay, read

    seed = 0
    voices = [Voice.load(folder) for folder in find_packs() or [tiny_pack]]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        source = random.Random(seed)
        text = _random_text(source)
        voice = voices[seed % len(voices)]
        speaker = source.choice(voice.pack.speakers).name
        speed, pitch, energy = source.uniform(0.5, 2), source.uniform(-12, 12), source.uniform(-12, 12)
        try:
            for audio in narrate(write_script(text, read), voice, Manner(speaker, speed, pitch, energy)):
                assert np.isfinite(audio).all(), (seed, text)
                assert 0 < np.abs(audio).max() <= CEILING, (seed, text)
        except NothingToSay:
            pass
        except Exception as error:
            raise AssertionError(f"seed {seed}: {text!r}") from error
        seed += 1
    print(f"{seed} texts")

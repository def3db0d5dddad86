"""Every pack in voices/ keeps its promises. What it sounds like is measured by training/, and told in its REPORT.md."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from inference.frontend.phones import Phone, is_pause
from inference.limiter import CEILING
from inference.pack import find_packs, load_pack
from inference.utterance import Manner, Utterance
from inference.voice import Voice

PACKS = find_packs()

TEXTS = {
    "zh": "今天天气很好，我们一起去公园散步吧。",
    "en": "She opened the window and listened to the rain.",
    "mixed": "我下午要开一个 meeting，你来吗？",
}


def test_both_voices_ship() -> None:
    assert [folder.name for folder in PACKS] == ["light", "standard"]


@pytest.fixture(params=PACKS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.param
    return folder


@pytest.fixture
def shipped(folder: Path) -> Voice:
    return Voice.load(folder)


def _phones(text: str) -> tuple[Phone, ...]:
    from inference.frontend.reading import read

    (sentence,) = read(text).sentences
    return sentence.phones


def test_a_pack_is_small_and_tells_of_itself(folder: Path) -> None:
    pack = load_pack(folder)
    assert pack.name == folder.name
    assert pack.prosody.stat().st_size + pack.decoder.stat().st_size < 8_000_000
    assert "unknown" not in json.loads(pack.manifest.read_text(encoding="utf-8"))["training"].values()
    assert (folder / "REPORT.md").stat().st_size > 1000
    assert {"female", "male"} <= {speaker.name for speaker in pack.speakers}


@pytest.mark.parametrize("text", TEXTS)
def test_every_speaker_says_every_language(shipped: Voice, text: str) -> None:
    phones = _phones(TEXTS[text])
    sounding = sum(not is_pause(phone.name) for phone in phones)
    for speaker in shipped.pack.speakers:
        speech = shipped.speak(phones, speaker=speaker.name)
        assert np.isfinite(speech.audio).all()
        assert 0.05 < np.abs(speech.audio).max() <= CEILING
        assert 0.04 < speech.seconds / sounding < 0.2  # people take 0.06 to 0.12 s for a phone
        assert (speech.durations > 0).all()


def test_speed_and_pitch_are_obeyed(shipped: Voice) -> None:
    phones, speaker = _phones(TEXTS["zh"]), shipped.pack.speakers[0].name
    natural = shipped.speak(phones, speaker=speaker)
    for speed in (0.5, 2.0):
        assert shipped.speak(phones, speaker=speaker, speed=speed).seconds == pytest.approx(
            natural.seconds / speed, rel=0.1
        )
    low, high = shipped.plan([Utterance(phones, Manner(speaker, pitch_semitones=p)) for p in (-12.0, 12.0)])
    np.testing.assert_allclose(high.log_f0 - low.log_f0, np.log(4), atol=1e-4)


def test_the_same_utterance_gives_the_same_samples(folder: Path) -> None:
    phones = _phones(TEXTS["mixed"])
    first, second = (Voice.load(folder).speak(phones, speaker="female").audio for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_batch_says_what_each_would_say_alone(shipped: Voice) -> None:
    utterances = [Utterance(_phones(text), Manner(shipped.pack.speakers[-1].name)) for text in TEXTS.values()]
    for together, utterance in zip(shipped.speak_batch(utterances), utterances, strict=True):
        (alone,) = shipped.speak_batch([utterance])
        np.testing.assert_array_equal(together.durations, alone.durations)
        assert np.abs(together.audio - alone.audio).max() < 1e-3


def test_stretches_are_the_whole(shipped: Voice) -> None:
    phones, speaker = _phones(TEXTS["en"]), shipped.pack.speakers[0].name
    (prosody,) = shipped.plan([Utterance(phones, Manner(speaker))])
    whole = shipped.speak(phones, speaker=speaker).audio
    bounds = [*range(0, prosody.frame_count, 40), prosody.frame_count]
    pieces = np.concatenate([shipped.decode(prosody, first, last) for first, last in itertools.pairwise(bounds)])
    error = np.sqrt(np.mean((pieces - whole) ** 2) / np.mean(whole**2))
    assert error < 1e-3  # 0 where kernels round alike whatever the length; int8 may flip a step where they do not

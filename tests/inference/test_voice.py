from __future__ import annotations

import itertools

import numpy as np
import pytest

from inference.frontend.phones import Phone
from inference.limiter import CEILING, KNEE, limit
from inference.utterance import Manner, Utterance
from inference.voice import Voice, _phase
from tests.tiny_pack import HOP, RATE_HZ, SPEAKERS

Phones = tuple[Phone, ...]


def _pitch_hz(audio: np.ndarray[tuple[int], np.dtype[np.float32]]) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
    return float(np.argmax(spectrum) * RATE_HZ / (1 << 18))


def test_speech_is_as_long_as_its_phones(voice: Voice, ni_hao: Phones) -> None:
    speech = voice.speak(ni_hao, speaker="female")
    assert len(speech.durations) == len(ni_hao)
    assert len(speech.audio) == speech.durations.sum() * HOP
    assert speech.phone_ends_s[-1] == pytest.approx(speech.seconds)
    assert np.abs(speech.audio).max() > 0.1


def test_the_same_utterance_gives_the_same_samples(voice: Voice, hello: Phones) -> None:
    first, second = (voice.speak(hello, speaker="male", speed=1.1).audio for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_speed_changes_length_and_not_pitch(voice: Voice, hello: Phones, speed: float) -> None:
    natural, changed = (voice.speak(hello, speaker="female", speed=s) for s in (1.0, speed))
    assert changed.seconds == pytest.approx(natural.seconds / speed, rel=0.1)
    assert _pitch_hz(changed.audio) == pytest.approx(_pitch_hz(natural.audio), rel=0.03)


@pytest.mark.parametrize("semitones", [-12, -3.5, 4, 12])
def test_pitch_moves_by_semitones_and_length_stays(voice: Voice, ni_hao: Phones, semitones: float) -> None:
    natural, changed = (voice.speak(ni_hao, speaker="female", pitch_semitones=p) for p in (0.0, semitones))
    assert len(changed.audio) == len(natural.audio)
    assert _pitch_hz(changed.audio) == pytest.approx(_pitch_hz(natural.audio) * 2 ** (semitones / 12), rel=0.02)


def test_energy_is_decibels(voice: Voice, ni_hao: Phones) -> None:
    natural, softer = (voice.speak(ni_hao, speaker="female", energy_db=e).audio for e in (0.0, -6.0))
    np.testing.assert_allclose(softer, natural * 10 ** (-6 / 20), rtol=1e-5)


def test_nothing_passes_the_ceiling(voice: Voice, ni_hao: Phones) -> None:
    loud = voice.speak(ni_hao, speaker="female", energy_db=12.0).audio
    assert KNEE < np.abs(loud).max() <= CEILING


def test_the_limiter_is_smooth_and_leaves_soft_samples_alone() -> None:
    samples = np.linspace(-3, 3, 6001, dtype=np.float32)
    limited = limit(samples.copy())
    soft = np.abs(samples) <= KNEE
    np.testing.assert_array_equal(limited[soft], samples[soft])
    assert (np.diff(limited) >= 0).all()
    assert np.diff(limited).max() <= 0.0011
    assert np.abs(limited).max() <= CEILING


def test_speakers_differ(voice: Voice, ni_hao: Phones) -> None:
    for name, _, f0 in SPEAKERS:
        assert _pitch_hz(voice.speak(ni_hao, speaker=name).audio) == pytest.approx(f0, rel=0.1)


def test_the_source_runs_on_without_a_jump_from_frame_to_frame(voice: Voice, ni_hao: Phones) -> None:
    audio = voice.speak(ni_hao, speaker="female").audio
    steepest = 2 * np.pi * 230 / RATE_HZ * 0.35 + 0.08 + 0.04  # of the sine, of the loudness steps, of the noise
    assert np.abs(np.diff(audio)).max() < steepest


def test_phase_follows_the_frequency() -> None:
    log_f0 = np.log(np.full(2000, 123.4)).astype(np.float32)
    expected = np.arange(2000) * float(np.exp(np.float64(log_f0[0]))) * HOP / RATE_HZ % 1
    apart = np.abs(_phase(log_f0, HOP / RATE_HZ) - expected)
    assert np.minimum(apart, 1 - apart).max() < 1e-6
    assert len(_phase(log_f0[:0], 0.01)) == 0


@pytest.mark.parametrize("size", [1, 5, 16, 1000])
def test_stretches_are_the_whole(voice: Voice, hello: Phones, size: int) -> None:
    (prosody,) = voice.plan([Utterance(hello, Manner("female", pitch_semitones=2.0, energy_db=9.0))])
    whole = voice.speak(hello, speaker="female", pitch_semitones=2.0, energy_db=9.0).audio
    bounds = [*range(0, prosody.frame_count, size), prosody.frame_count]
    pieces = [voice.decode(prosody, first, last) for first, last in itertools.pairwise(bounds)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=2e-6)


def test_an_empty_stretch_is_empty(voice: Voice, hello: Phones) -> None:
    (prosody,) = voice.plan([Utterance(hello, Manner("female"))])
    assert len(voice.decode(prosody, 3, 3)) == 0


def test_a_batch_says_what_each_would_say_alone(voice: Voice, ni_hao: Phones, hello: Phones) -> None:
    utterances = [
        Utterance(ni_hao, Manner("female")),
        Utterance(hello, Manner("male", speed=0.7, pitch_semitones=-2)),
        Utterance(ni_hao[1:3], Manner("male", speed=2.0, energy_db=3)),
    ]
    for together, utterance in zip(voice.speak_batch(utterances), utterances, strict=True):
        (alone,) = voice.speak_batch([utterance])
        np.testing.assert_array_equal(together.durations, alone.durations)
        np.testing.assert_allclose(together.audio, alone.audio, atol=2e-6)


def test_an_empty_batch_is_empty(voice: Voice) -> None:
    assert voice.speak_batch([]) == []


def test_an_unknown_speaker_is_named_with_those_there_are(voice: Voice, ni_hao: Phones) -> None:
    with pytest.raises(ValueError, match="voice 'alto' is not in the pack 'standard'; it has: female, male"):
        voice.speak(ni_hao, speaker="alto")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("speed", 0.24), ("speed", 4.01), ("speed", float("nan")), ("pitch_semitones", 12.1), ("energy_db", -12.1)],
)
def test_settings_have_bounds(voice: Voice, ni_hao: Phones, setting: str, value: float) -> None:
    with pytest.raises(ValueError, match="it must be from"):
        voice.speak(ni_hao, speaker="female", **{setting: value})


def test_nothing_cannot_be_said(voice: Voice) -> None:
    with pytest.raises(ValueError, match="no phones"):
        voice.speak((), speaker="female")

"""The evaluation's measures on signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from inference.frontend.phones import PHONES, Tone
from training import measures, tones
from training.espeak import SAMPLE_RATE_HZ
from training.recogniser import best_path, errors, said
from training.sphinx import words_of


def _noise(seconds: float = 0.5, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(1).normal(0, level, round(seconds * SAMPLE_RATE_HZ) // 256 * 256)


def _sine(hz: float, amplitude: float, seconds: float = 1.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)


def _pulses(hz: float = 110.0, seconds: float = 1.0) -> np.ndarray:
    """A voice of a sort: a decaying burst at every period."""
    period = round(SAMPLE_RATE_HZ / hz)
    burst = 0.5 * np.exp(-np.arange(period) / 40) * np.cos(np.arange(period) * 0.2)
    return np.tile(burst, round(seconds * hz))


def test_a_wave_is_no_distance_from_itself() -> None:
    mel = measures.log_mel(_noise())
    assert mel.shape == (80, len(_noise()) // 256)
    assert measures.mel_distance(mel, mel) == 0
    assert measures.cepstral_distortion(mel, mel) == 0


def test_twice_the_amplitude_is_a_mel_distance_of_log_two_and_no_cepstral_distortion() -> None:
    quiet, loud = measures.log_mel(_noise()), measures.log_mel(2 * _noise())
    assert measures.mel_distance(quiet, loud) == pytest.approx(np.log(2), abs=0.01)
    assert measures.cepstral_distortion(quiet, loud) < 0.1  # level is c₀, which is left out


def test_cepstral_distortion_is_the_rms_distance_of_the_spectra_in_db() -> None:
    a = np.zeros((80, 5))
    ripple = np.cos(np.pi * 3 * (np.arange(80) + 0.5) / 80)[:, None]  # c₃ alone
    in_db = 20 / np.log(10) * np.sqrt(np.mean((0.3 * ripple) ** 2))
    assert measures.cepstral_distortion(a, a + 0.3 * ripple) == pytest.approx(in_db)


def test_pitch_is_compared_where_both_are_voiced() -> None:
    real = np.log(np.linspace(100, 200, 50))
    made = real.copy()
    made[:10] = 0.0
    voiced = np.ones(50, bool)
    half = voiced.copy()
    half[:10] = False
    result = measures.compare_pitch(made, half, real, voiced)
    assert result.correlation == pytest.approx(1)
    assert result.rmse_hz == pytest.approx(0)
    assert result.voicing_error == pytest.approx(0.2)
    assert measures.compare_pitch(-real, voiced, real, voiced).correlation == pytest.approx(-1)


def test_pitch_a_hertz_too_high_is_an_error_of_a_hertz() -> None:
    real = np.linspace(100, 200, 50)
    voiced = np.ones(50, bool)
    assert measures.compare_pitch(np.log(real + 1), voiced, np.log(real), voiced).rmse_hz == pytest.approx(1)


def test_a_full_scale_sine_of_997_hz_is_as_loud_as_bs_1770_says() -> None:
    assert measures.loudness_lufs(_sine(997, 1.0, 3)) == pytest.approx(-3.01, abs=0.1)
    assert measures.loudness_lufs(_sine(997, 0.5, 3)) == pytest.approx(-9.03, abs=0.1)


def test_the_true_peak_lies_between_samples() -> None:
    quarter = np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4)  # every sample is ±0.707, the wave reaches 1
    inside = quarter * np.hanning(4000)  # no edge to overshoot
    assert np.abs(inside).max() == pytest.approx(0.707, abs=0.01)
    assert measures.true_peak_db(inside) == pytest.approx(0, abs=0.1)


def test_the_largest_jump_is_the_step() -> None:
    wave = np.zeros(100)
    wave[50:] = 0.25
    assert measures.jumps(wave).max() == 0.25
    assert measures.jumps(wave).argmax() == 49


def test_a_click_is_found_among_glottal_pulses_and_pulses_are_none() -> None:
    voice = _pulses()
    assert measures.clicks(voice) == 0
    silence = np.zeros(2000)
    clicked = np.concatenate([voice, silence, silence, voice])
    assert measures.clicks(clicked) == 0, "the voice begins and ends"
    clicked[len(voice) + 2000] = 0.2
    assert measures.clicks(clicked) == 1


def test_a_loud_step_in_the_middle_of_speech_is_a_click() -> None:
    vowel = _sine(150, 0.3)
    vowel[10_000] += 0.3
    assert measures.clicks(_sine(150, 0.3)) == 0
    assert measures.clicks(vowel) == 1


@pytest.mark.parametrize(
    ("spoken", "heard", "edits"),
    [("abc", "abc", 0), ("abc", "", 3), ("", "ab", 2), ("abc", "axc", 1), ("abc", "bc", 1), ("kitten", "sitting", 3)],
)
def test_edit_distance(spoken: str, heard: str, edits: int) -> None:
    assert measures.edit_distance(list(spoken), list(heard)) == edits


def test_frames_match_by_their_place_in_the_phone() -> None:
    place = measures.matching_frames(np.array([2, 4]), np.array([4, 2]))
    assert place.tolist() == [1, 3, 4, 4, 5, 5]


def test_the_best_path_does_not_change_for_a_single_doubtful_frame() -> None:
    scores = np.log(np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.9, 0.1]], np.float32))
    assert best_path(scores, 0.0).tolist() == [0, 0, 1, 0]
    assert best_path(scores, 2.0).tolist() == [0, 0, 0, 0]


def test_the_best_path_pays_for_a_change_that_is_worth_it() -> None:
    scores = np.log(np.array([[0.99, 0.01]] * 3 + [[0.01, 0.99]] * 3, np.float32))
    assert best_path(scores, 5.0).tolist() == [0, 0, 0, 1, 1, 1]


def test_pauses_and_repeated_phones_are_not_asked_of_the_recogniser() -> None:
    ids = np.zeros((6, 4), np.int64)
    ids[:, 0] = [PHONES.index(name) for name in ("^", "n", "i", ",", "i", ".")]
    assert said(ids) == ["n", "i", "i"]
    assert errors(ids, ["n", "i"]) == (1, 3)
    ids[3, 0] = ids[2, 0]
    assert said(ids) == ["n", "i"]


def test_a_word_has_no_punctuation_for_pocketsphinx() -> None:
    assert words_of("Why don't we meet, at eight?") == ["why", "don't", "we", "meet", "at", "eight"]


def _clause(contours: dict[Tone, np.ndarray], order: list[Tone], fall: float) -> tones.Curve:
    ids = np.array([[PHONES.index("a"), int(tone), 0, 0] for tone in order] + [[PHONES.index("."), 0, 0, 0]])
    curve = np.concatenate([contours[tone] for tone in order] + [np.zeros(4)])
    speech = np.arange(len(curve)) < len(curve) - 4
    curve = curve + 5.0 - fall * np.arange(len(curve)) / len(curve)
    durations = np.array([20] * len(order) + [4])
    return tones.Curve(ids, durations, curve.astype(np.float32), speech)


def test_tones_are_read_back_under_another_declination_than_that_they_were_learnt_with() -> None:
    ramp = np.linspace(0, 1, 20)
    shapes = [0.2 + 0 * ramp, 0.3 * ramp - 0.1, 0.6 * np.abs(ramp - 0.5) - 0.3, 0.3 - 0.5 * ramp, 0 * ramp]
    contours = dict(zip(tones.TONES, shapes, strict=True))
    rng = np.random.default_rng(1)
    orders = [[tones.TONES[index] for index in rng.integers(5, size=8)] for _ in range(60)]
    reader = tones.build(tones.syllables_of(_clause(contours, order, 0.0) for order in orders[:40]))
    falling = reader.confusion(tones.syllables_of(_clause(contours, order, 0.25) for order in orders[40:]))
    assert tones.accuracy(falling) > 0.9
    swapped = dict(zip(tones.TONES, shapes[::-1], strict=True))
    wrong = reader.confusion(tones.syllables_of(_clause(swapped, order, 0.0) for order in orders[40:]))
    assert tones.accuracy(wrong) < 0.5

"""The ONNX graphs say what the torch net says, alone, in a batch and in pieces."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.frontend.phones import Phone, Position, split_syllable
from inference.utterance import Manner, Utterance
from inference.voice import Floats, _phase
from inference.voice import Voice as Pack
from training import net
from training.beginning import begin
from training.data import Utterance as Taught
from training.data import utterance
from training.export import Precision, Record, export
from training.teacher import SPEAKERS, speak

SIZE = net.Size("tiny", width=32, blocks=2, encoder_width=24, encoder_dilations=(2,), manner_dilations=(3,))
SIZES = {"a frame at a time": SIZE, "two frames at a time": replace(SIZE, stride=2, kernel=5)}
RECORD = Record("0" * 40, 1, 0.0, 0, {})


def sentence(text: str, mark: str = ".") -> tuple[Phone, ...]:
    phones = [Phone("^")]
    for syllable in text.split():
        names, tone = split_syllable(syllable)
        phones += [Phone(name, tone, Position.SINGLE) for name in names]
    return (*phones, Phone(mark))


SENTENCES = (sentence("ni3 hao3"), sentence("jin1 tian1 tian1 qi4 hen3 hao3", "!"), sentence("zai4 jian4", "?"))


@pytest.fixture(scope="module", params=SIZES)
def voice(request: pytest.FixtureRequest) -> net.Voice:
    torch.manual_seed(7)
    made = net.Voice(SIZES[request.param]).eval()
    with torch.no_grad():
        made.duration[2].bias.fill_(1.6)  # type: ignore[operator]
        made.head.bias.view(-1, 3, net.BINS)[:, :2] += 1.0
    return made


@pytest.fixture(scope="module")
def calibration() -> list[Taught]:
    return [utterance(phones, 0, speak(phones, SPEAKERS[0]), plain=True, number=0) for phones in SENTENCES]


@pytest.fixture(scope="module", params=["fp32", "int8"])
def pack(
    request: pytest.FixtureRequest,
    voice: net.Voice,
    calibration: list[Taught],
    tmp_path_factory: pytest.TempPathFactory,
) -> Pack:
    precision: Precision = request.param
    folder: Path = tmp_path_factory.mktemp(precision) / "tiny"
    return Pack.load(export(voice, folder, RECORD, calibration, precision))


@torch.no_grad()
def torch_speech(voice: net.Voice, phones: tuple[Phone, ...], speaker: int) -> tuple[np.ndarray, np.ndarray]:
    ids = torch.tensor([[phone.ids for phone in phones]])
    encoded = voice.encode(ids, torch.ones(1, len(phones), 1), torch.tensor([speaker]))
    ends = (voice.log_durations(encoded).exp() - 1).clamp(min=1).cumsum(1).add(0.5).floor().long()
    durations = torch.diff(ends, prepend=torch.zeros(1, 1, dtype=torch.int64))
    phone, place, position, mask = net.expand(durations, int(ends[0, -1]))
    log_f0, voicing = voice.contour(encoded, phone, place)
    audio = voice.decode(
        voice.frames(encoded, phone, position),
        log_f0,
        (voicing > 0).float(),
        net.phase_of(log_f0),
        torch.zeros(1, dtype=torch.int64),
        mask,
    )
    return durations[0].numpy(), audio[0].numpy()


@pytest.mark.parametrize("speaker", ["female", "male"])
@pytest.mark.parametrize("phones", SENTENCES, ids=len)
def test_the_graphs_say_what_the_net_says(
    pack: Pack, voice: net.Voice, phones: tuple[Phone, ...], speaker: str
) -> None:
    durations, audio = torch_speech(voice, phones, ["female", "male"].index(speaker))
    speech = pack.speak(phones, speaker=speaker, energy_db=-12.0)  # far from the limiter
    if pack.pack.precision == "fp32":
        assert speech.durations.tolist() == durations.tolist()
        np.testing.assert_allclose(speech.audio, audio * 10 ** (-12 / 20), atol=2e-3)  # float32 cosines of large angles
    else:
        assert abs(int(speech.durations.sum()) - int(durations.sum())) <= 2


@torch.no_grad()
def test_a_burst_of_noise_is_bounded_as_in_the_net(voice: net.Voice, calibration: list[Taught], tmp_path: Path) -> None:
    """What a voice says of noise far from what it was taught may be anything."""
    loud = copy.deepcopy(voice)
    loud.head.bias.view(-1, 3, net.BINS)[:, 2] += 10.0
    pack = Pack.load(export(loud, tmp_path / "tiny", RECORD, calibration, "fp32"))
    _, audio = torch_speech(loud, SENTENCES[0], 0)
    (prosody,) = pack.plan([Utterance(SENTENCES[0], Manner("female"))])
    gain = 0.5 / float(np.abs(audio).max())  # far from the limiter
    said = pack.decode(replace(prosody, gain=gain), 0, prosody.frame_count)
    assert gain < 0.5
    np.testing.assert_allclose(said, audio * gain, atol=2e-3)


def test_a_batch_is_its_sentences_one_by_one(pack: Pack) -> None:
    batch = pack.speak_batch([Utterance(phones, Manner("male")) for phones in SENTENCES])
    for phones, together in zip(SENTENCES, batch, strict=True):
        alone = pack.speak(phones, speaker="male")
        assert together.durations.tolist() == alone.durations.tolist()
        np.testing.assert_allclose(together.audio, alone.audio, atol=1e-5)


def test_what_a_sentence_is_told_does_not_depend_on_its_company(pack: Pack) -> None:
    """To the last bit: it is planned with others and decoded alone, and must be as if it had been alone all along."""
    for together, phones in zip(
        pack.plan([Utterance(phones, Manner("female")) for phones in SENTENCES]), SENTENCES, strict=True
    ):
        (alone,) = pack.plan([Utterance(phones, Manner("female"))])
        for name in ("durations", "frames", "log_f0", "voicing", "phase"):
            np.testing.assert_array_equal(getattr(together, name), getattr(alone, name), name)


def test_pieces_are_the_whole(pack: Pack) -> None:
    (prosody,) = pack.plan([Utterance(SENTENCES[1], Manner("female"))])
    whole = pack.decode(prosody, 0, prosody.frame_count)
    middle = prosody.frame_count // 2
    assert middle > pack.pack.context_frames + 2  # or all would begin with the sentence
    edges = [0, 1, 7, middle, middle + 1, middle + 4, prosody.frame_count]  # at odd frames and even ones
    pieces = [pack.decode(prosody, first, last) for first, last in pairwise(edges)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


def test_pulses_that_fall_on_samples_are_as_loud_as_others(pack: Pack) -> None:
    (prosody,) = pack.plan([Utterance(SENTENCES[0], Manner("female", energy_db=-12.0))])

    def power(hz: float) -> float:
        log_f0: Floats = np.full_like(prosody.log_f0, np.log(hz))
        phase = _phase(log_f0, net.HOP / 22_050)
        audio = pack.decode(replace(prosody, log_f0=log_f0, phase=phase), 0, prosody.frame_count)
        return float(np.mean(audio**2))  # NaN if any sample is

    assert power(22_050 / 128) == pytest.approx(power(22_050 / 128.01), rel=0.05)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.0, 1.3, 2.0])
def test_speed_divides_the_length_and_no_phone_vanishes(pack: Pack, speed: float) -> None:
    natural = pack.speak(SENTENCES[1], speaker="female")
    fast = pack.speak(SENTENCES[1], speaker="female", speed=speed)
    assert fast.durations.min() >= 1
    assert fast.durations.sum() == pytest.approx(natural.durations.sum() / speed, abs=1 + 0.2 * len(SENTENCES[1]))


@torch.no_grad()
def source(log_f0: torch.Tensor) -> np.ndarray:
    """What a decoder says that lets the harmonics pass as they are. (1, T) → (T * HOP,)"""
    lobe, turns = net.harmonics(log_f0, net.phase_of(log_f0))
    angle = 2 * torch.pi * turns
    return net.Voice(SIZE)._wave(lobe * angle.cos(), lobe * angle.sin()).flatten().numpy()


@pytest.mark.parametrize("hz", [75.0, 100.0, 220.0, 400.0])
def test_the_source_has_every_harmonic_equally_and_unit_power(hz: float) -> None:
    train = source(torch.full((1, 172), float(np.log(hz))))
    spectrum = np.abs(np.fft.rfft(train * np.hanning(len(train))))
    bins = (np.arange(1, int(9000 / hz)) * hz * len(train) / 22_050).round().astype(int)
    peaks = np.array([spectrum[max(0, b - 2) : b + 3].max() for b in bins])
    assert np.mean(train[2000:-2000] ** 2) == pytest.approx(1.0, rel=0.2)
    assert peaks.max() / peaks.min() < 1.5
    between = spectrum[((bins[:-1] + bins[1:]) / 2).astype(int)]
    assert np.median(between) < 0.05 * np.median(peaks)


def test_the_source_follows_a_rising_pitch() -> None:
    log_f0 = torch.linspace(float(np.log(100.0)), float(np.log(200.0)), 172).unsqueeze(0)
    train = source(log_f0)
    for second, hz in ((0.5, 141 * 2 ** ((0.5 - 1) / 2)), (1.0, 141), (1.5, 141 * 2 ** ((1.5 - 1) / 2))):
        piece = train[int(second * 22_050) - 512 : int(second * 22_050) + 512]
        same = np.correlate(piece, piece, "full")[1023:]
        period = np.argmax(same[90:260]) + 90
        assert 22_050 / period == pytest.approx(hz, rel=0.03)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_net_begins_with_what_a_pack_knows(
    voice: net.Voice, calibration: list[Taught], tmp_path: Path, precision: Precision
) -> None:
    pack = export(voice, tmp_path / "tiny", RECORD, calibration, precision)
    begun = net.Voice(voice.size).eval()
    unfit = begin(begun, pack)
    assert unfit == []
    for phones in SENTENCES:
        durations, audio = torch_speech(voice, phones, 0)
        again, likewise = torch_speech(begun, phones, 0)
        assert abs(int(durations.sum()) - int(again.sum())) <= 1
        if precision == "fp32":
            np.testing.assert_allclose(likewise, audio, atol=2e-3)


def test_a_larger_net_takes_what_fits(voice: net.Voice, calibration: list[Taught], tmp_path: Path) -> None:
    pack = export(voice, tmp_path / "tiny", RECORD, calibration, "int8")
    larger = net.Voice(replace(voice.size, width=48))
    before = larger.head.weight.clone()
    unfit = begin(larger, pack)
    assert "head" in unfit
    assert "blocks.0.up" in unfit
    assert "encoder.blocks.0.up" not in unfit
    assert torch.equal(larger.head.weight, before)

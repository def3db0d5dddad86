from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from bench.check import CHECKED_FORMATS, Bounds, WrongAnswer, check, longest_quiet_s, syllables
from tts_server.encoding import open_encoder

RATE_HZ = 24_000
TEXT = "今天天气很好，我们一起去公园散步吧。"  # 16 syllables: some 4.8 s


def sound(seconds: float) -> npt.NDArray[np.int16]:
    return np.asarray(8_000 * np.sin(np.arange(round(seconds * RATE_HZ)) * 0.05), np.int16)


def silence(seconds: float) -> npt.NDArray[np.int16]:
    return np.zeros(round(seconds * RATE_HZ), np.int16)


def wav(samples: npt.NDArray[np.int16]) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    return written.getvalue()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("audio_format", CHECKED_FORMATS)
def test_the_servers_own_encoders_pass(audio_format: str, streamed: bool) -> None:
    encoder = open_encoder(audio_format, RATE_HZ, RATE_HZ, streamed=streamed)
    data = encoder.encode(sound(2)) + encoder.encode(sound(2.8)) + encoder.finish()
    assert check(TEXT, audio_format, data, RATE_HZ, Bounds()) == pytest.approx(4.8, abs=0.15)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (wav(silence(4.8)), "silent"),
        (wav(np.concatenate([sound(2), silence(2.8)])), "silent"),  # it gave up in the middle
        (wav(np.concatenate([sound(1), silence(2), sound(1.8)])), "silent"),
        (wav(sound(4.8) // 2000), "silent"),  # nobody hears that
        (wav(sound(1)), "too short"),
        (wav(silence(0)), "too short"),
        (wav(sound(30)), "too long"),
        (b"RIFF and then nothing", "does not decode"),
        (b'{"error": "it is status 200 all the same"}', "does not decode"),
        (wav(sound(4.8)).replace(b"WAVE", b"EVAW", 1), "does not decode"),
    ],
)
def test_what_is_not_that_texts_speech_is_an_error(data: bytes, kind: str) -> None:
    with pytest.raises(WrongAnswer) as wrong:
        check(TEXT, "wav", data, RATE_HZ, Bounds())
    assert wrong.value.kind == kind


def test_another_format_than_asked_for_is_an_error() -> None:
    with pytest.raises(WrongAnswer) as wrong:
        check(TEXT, "flac", wav(sound(4.8)), RATE_HZ, Bounds())
    assert wrong.value.kind == "another format"


def test_half_a_sample_is_an_error() -> None:
    with pytest.raises(WrongAnswer):
        check(TEXT, "pcm", sound(4.8).tobytes()[:-1], RATE_HZ, Bounds())


def test_a_pause_between_paragraphs_is_none() -> None:
    spoken = np.concatenate([sound(2), silence(0.9), sound(2)])
    assert check(TEXT, "wav", wav(spoken), RATE_HZ, Bounds()) == pytest.approx(4.9)


@pytest.mark.parametrize(
    ("text", "count"), [("你好。", 2), ("Hello there", 2.5), ("第3名", 3.5), ("", 0), ("我的 report 发了", 4 + 1.5)]
)
def test_syllables_are_counted_roughly(text: str, count: float) -> None:
    assert syllables(text) == count


@pytest.mark.parametrize(
    ("samples", "seconds"),
    [
        (sound(1), 0),
        (silence(1), 1),
        (np.concatenate([silence(0.5), sound(1)]), 0.5),
        (np.concatenate([sound(1), silence(0.7)]), 0.7),
        (np.concatenate([sound(1), silence(0.3), sound(1)]), 0.3),
        (silence(0), float("inf")),
    ],
)
def test_the_longest_quiet_is_found(samples: npt.NDArray[np.int16], seconds: float) -> None:
    assert longest_quiet_s(samples, RATE_HZ) == pytest.approx(seconds, abs=0.101)


@pytest.mark.parametrize("bounds", [(0, 1), (1, 0.5), (-1, 1)])
def test_bounds_rise(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="that rise"):
        Bounds(*bounds)

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tts_server.audio import FORMATS, AudioError, open_audio, to_pcm, with_silence

RATE = 24_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


def test_samples_past_full_scale_are_clamped() -> None:
    pcm = to_pcm(np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 1.5], np.float32))
    assert pcm.tolist() == [-32767, -32767, 0, 16384, 32767, 32767]


def test_silence_follows() -> None:
    joined = with_silence(TONE, 0.25, RATE)
    assert len(joined) == RATE * 1.25
    assert not joined[RATE:].any()


@pytest.mark.parametrize("audio_format", FORMATS)
def test_what_is_written_is_heard(audio_format: str, tmp_path: Path) -> None:
    file = tmp_path / f"tone.{audio_format}"
    with open_audio(file, audio_format, RATE) as write:
        write(TONE[:1000])
        write(TONE[1000:])
    heard, rate = soundfile.read(file, dtype="float32")
    assert rate == RATE
    assert len(heard) == len(TONE)
    assert np.abs(heard[2000:-2000] - TONE[2000:-2000]).max() < (0.05 if audio_format == "mp3" else 1e-4)
    assert soundfile.info(file).format == audio_format.upper()


def test_mp3_is_small_enough_to_send(tmp_path: Path) -> None:
    with open_audio(tmp_path / "tone.mp3", "mp3", RATE) as write:
        for _ in range(10):
            write(TONE)
    assert 6_000 < (tmp_path / "tone.mp3").stat().st_size / 10 < 10_000  # 64 kbit/s


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "speech.wav"
    file.write_bytes(b"old")

    def fail_halfway() -> None:
        with open_audio(file, "wav", RATE) as write:
            write(TONE)
            raise RuntimeError("the voice fell silent")

    with pytest.raises(RuntimeError, match="fell silent"):
        fail_halfway()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.wav").symlink_to(tmp_path / "real.wav")
    with open_audio(tmp_path / "link.wav", "wav", RATE) as write:
        write(TONE)
    assert (tmp_path / "link.wav").is_symlink()
    assert soundfile.info(tmp_path / "real.wav").frames == RATE


def test_a_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    listener = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    listener.start()
    with open_audio(pipe, "wav", RATE) as write:
        write(TONE)
    listener.join()
    assert pipe.is_fifo()
    assert len(heard[0]) == 44 + 2 * RATE


def test_the_encoder_names_the_file_it_could_not_make(tmp_path: Path) -> None:
    def ask_for_an_absurd_rate() -> None:
        with open_audio(tmp_path / "x.mp3", "mp3", 23_999):
            pass

    with pytest.raises(AudioError, match=r"x\.mp3 could not be encoded as mp3"):
        ask_for_an_absurd_rate()
    assert list(tmp_path.iterdir()) == []

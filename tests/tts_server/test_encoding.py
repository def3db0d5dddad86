from __future__ import annotations

import io
import os
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decoding import EXACT, MOST_PADDING, decode
from tts_server import ffmpeg
from tts_server.audio import AudioError
from tts_server.encoding import CONTENT_TYPES, FORMATS, available, open_encoder
from tts_server.errors import QueueFull

Floats = npt.NDArray[np.float32]
Pcm = npt.NDArray[np.int16]

VOICE_HZ = 22_050
needs_ffmpeg = pytest.mark.skipif(available("aac") is not None, reason=str(available("aac")))
EVERY_FORMAT = [pytest.param(name, marks=needs_ffmpeg) if name == "aac" else name for name in FORMATS]


def sound(seconds: float) -> Pcm:
    """Syllables of a gliding voice, and in the last 50 ms a tone that nothing before it resembles."""
    time_s = np.arange(int(seconds * VOICE_HZ)) / VOICE_HZ
    glide = np.sin(2 * np.pi * (180 * time_s + 400 * time_s**2)) + 0.5 * np.sin(2 * np.pi * (700 * time_s))
    wave = 0.4 * glide * np.abs(np.sin(2 * np.pi * 2 * time_s))
    last = time_s > time_s[-1] - 0.05
    wave[last] = 0.5 * np.sin(2 * np.pi * 1100 * time_s[last])
    return (wave * 32767).astype(np.int16)


SOUND = sound(1.3007)


def cut(pcm: Pcm, how: str) -> list[Pcm]:
    match how:
        case "1 piece":
            return [pcm]
        case "2 pieces":
            return [pcm[:12_345], pcm[12_345:]]
        case "odd pieces":
            return [pcm[start : start + 997] for start in range(0, len(pcm), 997)]
        case "single samples and nothings":
            return [pcm[:0], pcm[:1], pcm[1:2], pcm[2:2], pcm[2:3], pcm[3:-1], pcm[:0], pcm[-1:], pcm[:0]]
    raise AssertionError(how)


def encode(name: str, pieces: list[Pcm], rate_hz: int, *, streamed: bool) -> tuple[list[bytes], int]:
    encoder = open_encoder(name, VOICE_HZ, rate_hz, streamed=streamed)
    try:
        return [*(encoder.encode(piece) for piece in pieces), encoder.finish()], encoder.sample_rate_hz
    finally:
        encoder.abort()


def source(pcm: Pcm, rate_hz: int) -> Floats:
    wave: Floats = pcm.astype(np.float32) / np.float32(32768)
    return wave if rate_hz == VOICE_HZ else np.asarray(soxr.resample(wave, VOICE_HZ, rate_hz, "VHQ"), np.float32)


def aligned(heard: Floats, said: Floats) -> Floats:
    """What was heard, without the codec's delay, padded with silence to the length of what was said."""
    size = 1 << (len(heard) + len(said)).bit_length()
    match = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    delay = int(np.argmax(match[:4000]))
    heard = heard[delay : delay + len(said)]
    return np.pad(heard, (0, len(said) - len(heard)))


def loudness(wave: Floats) -> float:
    return float(np.sqrt(np.mean(wave**2)))


def same(one: Floats, other: Floats) -> float:
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]
WAYS = [(how, 24_000) for how in ("1 piece", "2 pieces", "single samples and nothings")]
WAYS += [("odd pieces", rate_hz) for rate_hz in RATES]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("how", "rate_hz"), WAYS)
@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_what_is_encoded_is_heard_to_its_end(name: str, how: str, rate_hz: int, streamed: bool) -> None:
    parts, real_hz = encode(name, cut(SOUND, how), rate_hz, streamed=streamed)
    heard, said = decode(name, b"".join(parts), real_hz), source(SOUND, real_hz)
    length = round(len(SOUND) * real_hz / VOICE_HZ)
    if name in EXACT:
        assert abs(len(heard) - length) <= 1
    else:
        assert length <= len(heard) <= length + MOST_PADDING[name]
    heard = aligned(heard, said)
    assert same(heard, said) > 0.9
    tail = real_hz // 25
    assert loudness(heard[-tail:]) > 0.7 * loudness(said[-tail:])
    if not streamed:
        assert not any(parts[:-1])


@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_a_stream_does_not_wait_for_its_end(name: str) -> None:
    parts, _ = encode(
        name, [SOUND[start : start + 2205] for start in range(0, len(SOUND), 2205)], 24_000, streamed=True
    )
    so_far = np.cumsum([len(part) for part in parts]) / sum(map(len, parts))
    assert so_far[5] > 0.15  # 0.6 s of 1.3 are in. FLAC cuts blocks of 4,096 samples, Opus pages of 0.1 s
    assert so_far[-2] > 0.65


@pytest.mark.parametrize(
    ("name", "asked_hz", "real_hz"),
    [
        ("wav", 8_001, 8_001),
        ("pcm", 47_999, 47_999),
        ("flac", 12_345, 12_345),
        ("mp3", 22_050, 22_050),
        ("mp3", 22_051, 24_000),
        ("mp3", 9_000, 11_025),
        ("opus", 22_050, 24_000),
        ("opus", 8_000, 8_000),
        ("opus", 44_100, 48_000),
        pytest.param("aac", 30_000, 32_000, marks=needs_ffmpeg),
    ],
)
def test_a_rate_that_the_format_does_not_know_becomes_the_next_above(name: str, asked_hz: int, real_hz: int) -> None:
    parts, rate_hz = encode(name, [SOUND], asked_hz, streamed=False)
    assert rate_hz == real_hz
    assert same(aligned(decode(name, parts[-1], real_hz), source(SOUND, real_hz)), source(SOUND, real_hz)) > 0.9


@pytest.mark.parametrize("rate_hz", [7_999, 48_001, 0, -22_050])
def test_a_rate_out_of_range_is_refused(rate_hz: int) -> None:
    with pytest.raises(ValueError, match="8000 to 48000 Hz"):
        open_encoder("wav", VOICE_HZ, rate_hz, streamed=False)


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="one of wav, pcm, mp3, opus, aac, flac, not 'ogg'"):
        open_encoder("ogg", VOICE_HZ, VOICE_HZ, streamed=False)
    with pytest.raises(ValueError, match="not 'ogg'"):
        available("ogg")


def test_every_format_has_its_media_type() -> None:
    assert dict(CONTENT_TYPES) == {
        "wav": "audio/wav",
        "pcm": "audio/pcm",
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "aac": "audio/aac",
        "flac": "audio/flac",
    }
    assert tuple(CONTENT_TYPES) == FORMATS


@pytest.mark.parametrize(("streamed", "riff_bytes", "data_bytes"), [(False, 36 + 6, 6), (True, 0xFFFFFFFF, 0xFFFFFFFF)])
def test_the_header_of_a_wav(streamed: bool, riff_bytes: int, data_bytes: int) -> None:
    parts, _ = encode("wav", [np.array([1, -2], np.int16), np.array([3], np.int16)], VOICE_HZ, streamed=streamed)
    data = b"".join(parts)
    assert data[:4] + data[8:16] + data[36:40] == b"RIFFWAVEfmt data"
    assert struct.unpack("<I", data[4:8]) == (riff_bytes,)
    assert struct.unpack("<IHHIIHH", data[16:36]) == (16, 1, 1, VOICE_HZ, 2 * VOICE_HZ, 2, 16)
    assert struct.unpack("<I3h", data[40:]) == (data_bytes, 1, -2, 3)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_no_audio_is_a_file_without_audio(name: str, streamed: bool) -> None:
    parts, rate_hz = encode(name, [], 24_000, streamed=streamed)
    data = b"".join(parts)
    if name == "opus":
        assert data.startswith(b"OggS")  # headers, by which libsndfile knows no file
    elif data:
        assert not decode(name, data, rate_hz).any()


def test_a_whole_flac_knows_its_length() -> None:
    parts, _ = encode("flac", cut(SOUND, "odd pieces"), VOICE_HZ, streamed=False)
    heard, _ = soundfile.read(io.BytesIO(parts[-1]), dtype="int16")
    np.testing.assert_array_equal(heard, SOUND)


@pytest.mark.parametrize(("name", "kbits"), [("mp3", 64), ("opus", 56), pytest.param("aac", 64, marks=needs_ffmpeg)])
def test_the_bit_rate(name: str, kbits: int) -> None:
    parts, _ = encode(name, [sound(4)], 24_000, streamed=False)
    assert 0.6 * kbits < len(parts[-1]) * 8 / 4 / 1000 < 1.15 * kbits


@pytest.mark.parametrize("rate_hz", [8_000, VOICE_HZ, 48_000])
@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_full_scale_stays_on_its_side(name: str, rate_hz: int) -> None:
    square = np.where(np.arange(VOICE_HZ) // 55 % 2, 32767, -32768).astype(np.int16)
    parts, real_hz = encode(name, cut(square, "odd pieces"), rate_hz, streamed=False)
    heard = decode(name, parts[-1], real_hz)
    said = source(square, real_hz)
    assert same(aligned(heard, said), said) > 0.97


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("name", "rate_hz"), [("wav", VOICE_HZ), ("wav", 24_000), ("pcm", 8_000), ("flac", 24_000), ("mp3", 24_000)]
)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 6_000), max_size=12))
def test_where_the_pieces_are_cut_changes_no_byte(name: str, rate_hz: int, streamed: bool, cuts: list[int]) -> None:
    speech = SOUND[:6_000]
    pieces = np.split(speech, sorted(cuts))
    assert b"".join(encode(name, pieces, rate_hz, streamed=streamed)[0]) == whole(name, rate_hz, streamed=streamed)


_whole: dict[tuple[str, int, bool], bytes] = {}


def whole(name: str, rate_hz: int, *, streamed: bool) -> bytes:
    key = (name, rate_hz, streamed)
    if key not in _whole:
        _whole[key] = b"".join(encode(name, [SOUND[:6_000]], rate_hz, streamed=streamed)[0])
    return _whole[key]


@pytest.mark.parametrize("name", ["opus", pytest.param("aac", marks=needs_ffmpeg)])
def test_where_the_pieces_are_cut_changes_nothing_heard(name: str) -> None:
    waves = []
    for how in ("1 piece", "odd pieces", "single samples and nothings"):
        parts, rate_hz = encode(name, cut(SOUND, how), 24_000, streamed=True)
        waves.append(decode(name, b"".join(parts), rate_hz))
    np.testing.assert_array_equal(waves[0], waves[1])
    np.testing.assert_array_equal(waves[0], waves[2])


@pytest.mark.parametrize(
    ("name", "rate_hz", "light"),
    [("wav", VOICE_HZ, True), ("pcm", VOICE_HZ, True), ("wav", 24_000, False), ("mp3", VOICE_HZ, False)],
)
def test_only_what_computes_nothing_is_light(name: str, rate_hz: int, light: bool) -> None:
    assert open_encoder(name, VOICE_HZ, rate_hz, streamed=True).light is light


def left_behind() -> tuple[int, int]:
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@pytest.mark.parametrize("moment", ["at once", "while it speaks", "at the end", "twice"])
@pytest.mark.parametrize("name", EVERY_FORMAT)
def test_abort_leaves_nothing_behind(name: str, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[subprocess.Popen[bytes]] = []

    class Seen(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Seen)
    before = left_behind()
    encoder = open_encoder(name, VOICE_HZ, 24_000, streamed=True)
    if moment != "at once":
        encoder.encode(SOUND)
    if moment == "at the end":
        encoder.finish()
    encoder.abort()
    if moment == "twice":
        encoder.abort()
    with pytest.raises(AudioError, match="has ended"):
        encoder.encode(SOUND)
    assert left_behind() == before
    assert len(processes) == (name == "aac")
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_the_codec_s_error_is_an_audio_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise soundfile.LibsndfileError(2, "no room: ")

    encoder = open_encoder("flac", VOICE_HZ, VOICE_HZ, streamed=True)
    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with pytest.raises(AudioError, match="could not be encoded as flac: no room"):
        encoder.encode(SOUND)
    encoder.abort()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that is run instead of ffmpeg."""
    file = tmp_path / "ffmpeg"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    ffmpeg.find_ffmpeg.cache_clear()
    assert ffmpeg.find_ffmpeg() == str(file)
    monkeypatch.setattr(ffmpeg, "_STALLED_S", 0.2)
    monkeypatch.setattr(ffmpeg, "_LAG_S", 0.0)
    yield file
    ffmpeg.find_ffmpeg.cache_clear()


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo 'no such codec' >&2; exit 3", "no such codec"),
        ("exit 0", "ended"),
        ("cat >/dev/null", "ended with status 0 after 0 frames"),
        ("yes complaint | head -c 300000 >&2; cat >/dev/null; exit 1", "status 1 .*complaint$"),
        ("exec sleep 60", "stopped answering"),
        ("cat >/dev/null; exec sleep 60", "stopped answering"),
        ("cat >/dev/null; exec >&- 2>&-; exec sleep 60", "did not end"),
        ("head -c 50000 /dev/zero; cat >/dev/null", "wrote what is not AAC"),
    ],
)
def test_an_ffmpeg_that_fails_is_an_audio_error(program: Path, script: str, complaint: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    before = left_behind()
    encoder = open_encoder("aac", VOICE_HZ, VOICE_HZ, streamed=True)
    with pytest.raises(AudioError, match=f"(?s)ffmpeg .*{complaint}"):  # noqa: PT012  (sooner or later)
        for _ in range(5):
            encoder.encode(SOUND)
        encoder.finish()
    encoder.abort()
    assert left_behind() == before


def test_a_frame_leaves_when_all_of_it_is_there(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "_LAG_S", 30.0)
    header = bytes([0xFF, 0xF1, 0x50, 0x40, 200 >> 3, (200 & 7) << 5 | 0x1F, 0xFC])
    frames = b"".join(header + bytes([number]) * (200 - len(header)) for number in range(10))
    program.with_name("frames").write_bytes(frames)
    program.write_text('#!/bin/sh\ncd "${0%/*}"; head -c 500 frames; cat >/dev/null; tail -c +501 frames\n')
    parts, _ = encode("aac", [SOUND[:4410]], VOICE_HZ, streamed=True)
    assert [len(part) for part in parts] == [400, 1600]
    assert b"".join(parts) == frames


def test_an_ffmpeg_that_cannot_be_run_is_an_audio_error(program: Path) -> None:
    program.write_text("#!/no/such/shell\n")
    for _ in range(2 * ffmpeg._MOST_AT_ONCE):  # each gives its place back
        with pytest.raises(AudioError, match="could not be started"):
            open_encoder("aac", VOICE_HZ, VOICE_HZ, streamed=True)


def test_without_ffmpeg_aac_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts_server.ffmpeg.find_ffmpeg", lambda: None)
    assert available("wav") is None
    assert "pip install 'tts-server[aac]'" in (available("aac") or "")
    with pytest.raises(AudioError, match="needs the ffmpeg program"):
        open_encoder("aac", VOICE_HZ, VOICE_HZ, streamed=False)


@needs_ffmpeg
def test_one_ffmpeg_too_many_is_refused_until_another_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "_places", threading.BoundedSemaphore(1))
    first = open_encoder("aac", VOICE_HZ, VOICE_HZ, streamed=True)
    with pytest.raises(QueueFull):
        open_encoder("aac", VOICE_HZ, VOICE_HZ, streamed=True)
    first.abort()
    open_encoder("aac", VOICE_HZ, VOICE_HZ, streamed=True).abort()


@needs_ffmpeg
def test_a_piece_longer_than_all_pipes_passes_through() -> None:
    book = np.tile(SOUND, 20)
    parts, rate_hz = encode("aac", [book], VOICE_HZ, streamed=True)
    assert sum(map(len, parts)) > 2 * 65_536
    assert len(decode("aac", b"".join(parts), rate_hz)) >= len(book)

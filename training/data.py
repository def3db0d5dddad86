"""The teacher's speech as training data: made once into shards, read as arrays. Generated, never committed.

Frames are HOP samples long and centred on (t + 0.5) · HOP. Pitch by WORLD's DIO and StoneMask (Morise et al. 2016,
doi:10.1587/transinf.2015EDP7457), on the same centres.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyloudnorm
import pyworld
from numpy.typing import NDArray
from tqdm import tqdm

from inference.frontend.phones import PHONES, Phone, is_pause
from training import corpus
from training.espeak import SAMPLE_RATE_HZ
from training.teacher import SPEAKERS, Speaker, Spoken, Unspeakable, speak

HOP: Final = 256
LOUDNESS_LUFS: Final = -22.0  # leaves the loudest peak of the teacher under −2 dB
_PITCH_RANGE_HZ: Final = {"female": (85.0, 520.0), "male": (50.0, 230.0)}
_SHARD: Final = 200
_IS_ENGLISH: Final = np.array([name.isupper() for name in PHONES])


@dataclass(frozen=True, slots=True)
class Utterance:
    """One sentence as the net sees it. N phones, T frames, T * HOP samples."""

    ids: NDArray[np.int64]  # (N, 4)
    durations: NDArray[np.int64]  # (N,) frames, each at least 1
    log_f0: NDArray[np.float32]  # (T,) natural log of Hz, drawn straight through what is unvoiced
    voiced: NDArray[np.bool_]  # (T,)
    audio: NDArray[np.int16]  # (T * HOP,)
    speaker: int
    plain: bool  # the teacher's own rate and pitch: only such sentences teach durations and pitch
    number: int

    @property
    def wave(self) -> NDArray[np.float32]:
        """The audio in −1..1, (T * HOP,)."""
        return (self.audio / 32768).astype(np.float32)

    @property
    def english(self) -> float:
        """The share of English among its phones."""
        return float(_IS_ENGLISH[self.ids[:, 0]].mean())


def utterance(phones: tuple[Phone, ...], speaker: int, spoken: Spoken, *, plain: bool, number: int) -> Utterance:
    """Cut what the teacher said into frames and find its pitch."""
    edges = np.round(spoken.bounds / HOP).astype(np.int64)
    for index in range(1, len(edges)):  # no phone may vanish
        edges[index] = max(edges[index], edges[index - 1] + 1)
    frames = int(edges[-1])
    audio = np.zeros(frames * HOP, np.float64)
    length = min(len(audio), len(spoken.audio))
    audio[:length] = spoken.audio[:length]
    log_f0, voiced = pitch_of(audio, SPEAKERS[speaker].gender)
    silent = np.repeat([is_pause(phone.name) for phone in phones], np.diff(edges))
    voiced &= ~silent
    samples = np.round(audio.clip(-1, 1) * 32767).astype(np.int16)
    ids = np.array([phone.ids for phone in phones], np.int64)
    return Utterance(ids, np.diff(edges), log_f0, voiced, samples, speaker, plain, number)


def pitch_of(audio: NDArray[np.float64], gender: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """log F0 (T,) and voicing (T,) of T * HOP samples. The range is the gender's: a low third tone else reads an
    octave up.
    """
    floor, ceiling = _PITCH_RANGE_HZ[gender]
    period_ms = 1000.0 * HOP / SAMPLE_RATE_HZ
    half = np.zeros(HOP // 2)
    shifted = np.concatenate([audio[HOP // 2 :], half])  # WORLD's frames start at sample 0
    f0, times = pyworld.dio(shifted, SAMPLE_RATE_HZ, f0_floor=floor, f0_ceil=ceiling, frame_period=period_ms)
    f0 = pyworld.stonemask(shifted, f0, times, SAMPLE_RATE_HZ)[: len(audio) // HOP]
    f0 = np.pad(f0, (0, len(audio) // HOP - len(f0)))
    voiced = f0 > 0
    if not voiced.any():
        return np.full(len(f0), 5.0, np.float32), voiced
    where = np.flatnonzero(voiced)
    return np.interp(np.arange(len(f0)), where, np.log(f0[where])).astype(np.float32), voiced


def teach(
    number: int, speaker: int, gains: dict[str, dict[Any, float]], *, mandarin_pace: float = 1.0
) -> Utterance | None:
    """Sentence `number` of the corpus by one speaker, its Mandarin so many times as fast, or None where the teacher
    cannot say it. A third is said at another rate and pitch, so that the decoder hears more than one of each.
    """
    rng = np.random.default_rng((number, speaker))
    plain = bool(rng.random() < 0.66)
    rate = 1.0 if plain else float(np.exp(rng.uniform(np.log(0.6), np.log(1.8))))
    pitch = 0 if plain else int(rng.integers(-22, 23))
    pitch_range = 0 if plain else int(rng.integers(-25, 26))
    phones = corpus.line(number).phones
    voice = replace(SPEAKERS[speaker], gain_db=gains[SPEAKERS[speaker].name]).at(mandarin_pace)
    try:
        spoken = speak(phones, voice, rate=rate, pitch=pitch, pitch_range=pitch_range)
    except Unspeakable:
        return None
    return utterance(phones, speaker, spoken, plain=plain, number=number)


def loudness_gains(sentences: int = 40) -> dict[str, dict[Any, float]]:
    """Gain in dB of each speaker and language, so that all are equally loud (ITU-R BS.1770)."""
    return {speaker.name: {lang: _gain(speaker, lang, sentences) for lang in ("zh", "en")} for speaker in SPEAKERS}


def _gain(speaker: Speaker, language: str, sentences: int) -> float:
    silent = replace(speaker, gain_db={"zh": 0.0, "en": 0.0})
    audio: list[NDArray[np.float32]] = []
    number = 10_000_000
    while len(audio) < sentences:
        number += 1
        line = corpus.line(number)
        if line.kind == language:
            try:
                audio.append(speak(line.phones, silent).audio)
            except Unspeakable:
                continue
    level = pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(np.concatenate(audio).astype(np.float64))
    return float(LOUDNESS_LUFS - level)


def _make_shard(path: Path, jobs: list[tuple[int, int]], gains: dict[str, dict[Any, float]]) -> int:
    made = [one for number, speaker in jobs if (one := teach(number, speaker, gains)) is not None]
    arrays = {name.name: [getattr(one, name.name) for one in made] for name in fields(Utterance)}
    columns: dict[str, Any] = {
        name: np.concatenate(arrays[name]) for name in ("ids", "durations", "log_f0", "voiced", "audio")
    } | {name: np.array(arrays[name]) for name in ("speaker", "plain", "number")}
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        counts=np.array([[len(one.ids), len(one.log_f0)] for one in made]),
        **columns,
    )
    temporary.replace(path)
    return len(made)


def make(folder: Path, sentences: int, *, first: int = 0, processes: int = 2) -> None:
    """Let every speaker say sentences first..first + sentences; shards that exist already are kept (resume)."""
    folder.mkdir(parents=True, exist_ok=True)
    gains = loudness_gains()
    jobs = [(number, speaker) for number in range(first, first + sentences) for speaker in range(len(SPEAKERS))]
    shards = [
        (folder / f"{first:08d}-{start:06d}.npz", jobs[start : start + _SHARD]) for start in range(0, len(jobs), _SHARD)
    ]
    missing = [(path, part) for path, part in shards if not path.exists()]
    # A fresh process for each shard: espeak's noise runs on from sentence to sentence, and a shard shall not depend on
    # what was said before it.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = [pool.submit(_make_shard, path, part, gains) for path, part in missing]
        for future in tqdm(running, desc="teacher", unit="shard"):
            future.result()


def load(paths: Iterable[Path]) -> list[Utterance]:
    """Read shards back, in the order of their names."""
    utterances: list[Utterance] = []
    for path in sorted(paths):
        with np.load(path) as shard:
            arrays = {name: shard[name] for name in shard.files}
        phones = np.concatenate([[0], np.cumsum(arrays["counts"][:, 0])])
        frames = np.concatenate([[0], np.cumsum(arrays["counts"][:, 1])])
        for index in range(len(arrays["counts"])):
            n, t = slice(phones[index], phones[index + 1]), slice(frames[index], frames[index + 1])
            utterances.append(
                Utterance(
                    arrays["ids"][n], arrays["durations"][n], arrays["log_f0"][t], arrays["voiced"][t],
                    arrays["audio"][t.start * HOP : t.stop * HOP], int(arrays["speaker"][index]),
                    bool(arrays["plain"][index]), int(arrays["number"][index]),
                )
            )  # fmt: skip
    return utterances

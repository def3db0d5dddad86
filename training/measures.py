"""How near one wave, pitch curve or phone string is to another: pure functions of arrays, for the evaluation.

Waves are float arrays (S,) in −1..1 at `SAMPLE_RATE_HZ`, log-mels (MEL_BANDS, T), curves (T,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyloudnorm
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from training import losses
from training.espeak import SAMPLE_RATE_HZ

Floats = NDArray[np.floating]

CEPSTRA: Final = 13
_CLICK_RATIO: Final = 6.0  # of a lone pulse to all that lies within 25 ms of it
_CLICK_FLOOR: Final = 0.01  # −40 dB: a smaller step is no click, whatever the silence around it
_BIN_S: Final = 0.001
_AROUND_BINS, _ITSELF_BINS = 25, 1  # 25 ms hold a period of 40 Hz: a glottal pulse has its like nearby, a click has not


def log_mel(audio: Floats) -> NDArray[np.float32]:
    """Log-mel of the training losses (1024-point FFT, hop 256, natural log of magnitudes), (MEL_BANDS, S // 256)."""
    mel = losses.log_mel(torch.from_numpy(np.asarray(audio, np.float32))[None])[0]
    return np.asarray(mel[:, : len(audio) // 256].numpy(), np.float32)


def mel_distance(a: Floats, b: Floats) -> float:
    """Mean absolute difference of two log-mels of the same frames."""
    return float(np.abs(a - b).mean())


def cepstral_distortion(a: Floats, b: Floats) -> float:
    """Mel-cepstral distortion in dB: 10/ln 10 · √(2 Σ d²) over c₁…c₁₃, mean over frames.

    Cepstra are (2/M) Σ log-mel · cos, the cosine series of the log spectrum itself, so that the result is the RMS
    distance of the two smoothed spectra in dB (Kubichek 1993, doi:10.1109/PACRIM.1993.407206).
    """
    difference = fft.dct(np.asarray(a - b, np.float64), type=2, axis=0)[1 : CEPSTRA + 1] / len(a)
    return float(10 / np.log(10) * np.sqrt(2 * np.square(difference).sum(0)).mean())


@dataclass(frozen=True, slots=True)
class PitchErrors:
    """One log F0 curve against another, over the frames looked at."""

    correlation: float
    rmse_hz: float
    voicing_error: float
    """Share of frames where only one of the two is voiced."""


def compare_pitch(
    made: Floats, made_voiced: NDArray[np.bool_], real: Floats, real_voiced: NDArray[np.bool_]
) -> PitchErrors:
    """Correlation and RMSE where both are voiced."""
    both = made_voiced & real_voiced
    a, b = np.asarray(made, np.float64)[both], np.asarray(real, np.float64)[both]
    correlation = float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and a.std() > 0 and b.std() > 0 else float("nan")
    rmse = float(np.sqrt(np.square(np.exp(a) - np.exp(b)).mean())) if len(a) else float("nan")
    return PitchErrors(correlation, rmse, float((made_voiced != real_voiced).mean()))


def loudness_lufs(audio: Floats) -> float:
    """Integrated loudness (ITU-R BS.1770)."""
    return float(pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(np.asarray(audio, np.float64)))


def true_peak_db(audio: Floats) -> float:
    """The highest point of the wave between its samples too: 4 times oversampled (ITU-R BS.1770 annex 2), in dB."""
    peak = float(np.abs(signal.resample_poly(np.asarray(audio, np.float64), 4, 1)).max(initial=0.0))
    return float(20 * np.log10(max(peak, 1e-9)))


def jumps(audio: Floats) -> NDArray[np.float64]:
    """|x[n] − x[n−1]|, (S − 1,)."""
    return np.abs(np.diff(np.asarray(audio, np.float64)))


def clicks(audio: Floats) -> int:
    """How many lone pulses there are.

    Second differences are taken (a click is white, speech falls towards the top) and their peaks in bins of 1 ms: a bin
    is a click if it is loud in itself and 6 times all the bins within 25 ms before it and all within 25 ms after it.
    Glottal pulses repeat and the burst of a plosive is followed by its noise, so neither counts.
    """
    size = round(_BIN_S * SAMPLE_RATE_HZ)
    bend = np.abs(np.diff(np.asarray(audio, np.float64), 2))
    bins = np.pad(bend, (0, -len(bend) % size)).reshape(-1, size).max(1, initial=0.0)
    reach, itself = _AROUND_BINS, _ITSELF_BINS
    padded = np.pad(bins, reach + itself)
    highest = ndimage.maximum_filter1d(padded, reach)  # [n] is of reach bins about n
    middle = np.arange(len(bins)) + reach + itself
    before = highest[middle - itself - 1 - (reach - 1) // 2]
    after = highest[middle + itself + 1 + reach // 2]
    lone = (bins > _CLICK_FLOOR) & (bins > _CLICK_RATIO * before) & (bins > _CLICK_RATIO * after)
    return int(np.count_nonzero(lone & (bins == ndimage.maximum_filter1d(bins, 2 * itself + 1))))


def edit_distance(said: Sequence[str], heard: Sequence[str]) -> int:
    """Insertions, deletions and substitutions that make one of the other."""
    row = np.arange(len(heard) + 1)
    for count, one in enumerate(said, 1):
        above = row
        row = np.empty_like(above)
        row[0] = count
        for column, other in enumerate(heard, 1):
            row[column] = min(above[column] + 1, row[column - 1] + 1, above[column - 1] + (one != other))
    return int(row[-1])


def matching_frames(of: NDArray[np.int64], to: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each frame of a sentence with phone lengths `of` (N,), its like in one with lengths `to`."""
    phone = np.repeat(np.arange(len(of)), of)
    place = (np.arange(len(phone)) - (np.cumsum(of) - of)[phone] + 0.5) / of[phone]
    return ((np.cumsum(to) - to)[phone] + np.floor(place * to[phone])).astype(np.int64)

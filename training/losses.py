"""How far a wave is from the teacher's: spectra at several resolutions and a log-mel distance. No discriminator."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.espeak import SAMPLE_RATE_HZ

OTHER_RESOLUTIONS: Final = (2048, 512, 256, 128, 512)
"""Taken in turn; 512 twice, for there the net itself works."""
MEL_BANDS: Final = 80
MEL_FFT: Final = 1024
_FLOOR: Final = 1e-5  # −100 dB: below it a difference is not heard


def wave_loss(made: Tensor, real: Tensor, other: int) -> tuple[Tensor, Tensor]:
    """(spectral loss, log-mel L1) of two waves (B, S), at the mel's own resolution and at `other`.

    Magnitudes are compared as logs and linearly (Yamamoto et al. 2020, arXiv:1910.11480). Spectra cost as much as the
    net itself, so a step looks through two windows and the next one through another pair.
    """
    a, b = magnitude(made, MEL_FFT), magnitude(real, MEL_FFT)
    mel = (_to_mel(a) - _to_mel(b)).abs().mean()
    spectral = _distance(a, b) + _distance(magnitude(made, other), magnitude(real, other))
    return spectral, mel


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a.log() - b.log()).abs().mean() + 2.0 * (a - b).abs().mean() / b.mean()


def _to_mel(magnitudes: Tensor) -> Tensor:
    return (_mel_matrix().to(magnitudes) @ magnitudes).clamp(min=_FLOOR).log()


def log_mel(audio: Tensor) -> Tensor:
    """(B, S) → (B, MEL_BANDS, T) natural log of mel magnitudes."""
    return _to_mel(magnitude(audio, MEL_FFT))


def magnitude(audio: Tensor, size: int) -> Tensor:
    """(B, S) → (B, size / 2 + 1, T) at a hop of a quarter window, scaled so that a full-scale sine is about 0.5."""
    window = torch.hann_window(size, device=audio.device)
    spectrum = torch.stft(audio, size, size // 4, window=window, center=True, pad_mode="constant", return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1)
    return (power + (_FLOOR * size / 4) ** 2).sqrt() * (2.0 / size)


@cache
def _mel_matrix() -> Tensor:
    return torch.from_numpy(mel_matrix(SAMPLE_RATE_HZ, MEL_FFT, MEL_BANDS))


def mel_matrix(rate_hz: int, size: int, bands: int) -> NDArray[np.float32]:
    """Triangular mel filters of unit area, (bands, size / 2 + 1), from 0 Hz to half the rate (HTK mel scale)."""

    def mel(hz: float) -> float:
        return 2595.0 * float(np.log10(1.0 + hz / 700.0))

    edges = 700.0 * (10.0 ** (np.linspace(0.0, mel(rate_hz / 2), bands + 2) / 2595.0) - 1.0)
    bins = np.arange(size // 2 + 1) * rate_hz / size
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0.0, np.minimum(rise, fall))
    total = filters.sum(1, keepdims=True)
    return (filters / np.where(total > 0, total, 1.0)).astype(np.float32)

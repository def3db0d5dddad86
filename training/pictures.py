"""The report's pictures: spectrograms of the teacher over those of the voice, with the pitch drawn in."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from training.data import HOP, pitch_of
from training.espeak import SAMPLE_RATE_HZ
from training.losses import MEL_FFT, magnitude

_TOP_HZ: Final = 8000
_RANGE_DB: Final = (-90.0, -15.0)
_SECONDS: Final = 4.0
_COLOURS: Final = 96  # of the palette: three of these pictures are under 250 kB


@dataclass(frozen=True, slots=True)
class Panel:
    """One spectrogram: a wave and what to write over it."""

    title: str
    audio: NDArray[np.floating[Any]]
    gender: str


def draw(pairs: Sequence[tuple[Panel, Panel]], path: Path) -> None:
    """One column a pair, the first panel of each above the second; the pitch is WORLD's reading of the audio itself."""
    figure = Figure(figsize=(5.2 * len(pairs), 6.4))
    axes = figure.subplots(2, len(pairs), sharex="col", sharey=True, squeeze=False)
    for column, pair in enumerate(pairs):
        for row, panel in enumerate(pair):
            _draw_panel(axes[row][column], panel)
        axes[1][column].set_xlabel("s")
    for row in range(2):
        axes[row][0].set_ylabel("kHz")
        axes[row][-1].twinx().set(ylim=(0, 400), ylabel="F0 in Hz (white line)")
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80)
    with Image.open(buffer) as picture:  # a palette is a third of the size
        picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _draw_panel(axis: Axes, panel: Panel) -> None:
    frames = min(len(panel.audio) // HOP, round(_SECONDS * SAMPLE_RATE_HZ / HOP))
    audio = np.asarray(panel.audio[: frames * HOP], np.float32)
    level = 20 * np.log10(magnitude(torch.from_numpy(audio)[None], MEL_FFT)[0].numpy())  # (BINS, T)
    seconds = frames * HOP / SAMPLE_RATE_HZ
    axis.imshow(
        level[: round(_TOP_HZ / SAMPLE_RATE_HZ * MEL_FFT)], origin="lower", aspect="auto", cmap="magma",
        vmin=_RANGE_DB[0], vmax=_RANGE_DB[1], extent=(0, seconds, 0, _TOP_HZ / 1000), interpolation="nearest",
    )  # fmt: skip
    log_f0, voiced = pitch_of(audio.astype(np.float64), panel.gender)
    hz = np.where(voiced, np.exp(log_f0), np.nan)
    axis.plot((np.arange(frames) + 0.5) * HOP / SAMPLE_RATE_HZ, hz / 400 * _TOP_HZ / 1000, color="white", linewidth=1.4)
    axis.set_title(panel.title, fontsize=10)

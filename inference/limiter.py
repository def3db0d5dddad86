"""What keeps loud audio from clipping. Not part of a voice, for audio made elsewhere is made louder too."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

CEILING: Final = 10 ** (-1 / 20)
"""No sample passes −1 dBFS: lossy encoders overshoot, and some converters clip what lies between two samples."""
KNEE: Final = 10 ** (-3 / 20)
"""Samples below −3 dBFS are left alone; above, they bend towards the ceiling."""


def limit(audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Bend what is louder than the knee towards the ceiling, in place. Without memory, so that stretches equal the
    whole.
    """
    if audio.max(initial=0) > KNEE or audio.min(initial=0) < -KNEE:  # half the time of abs, and most are quiet
        loud = np.flatnonzero(np.abs(audio) > KNEE)
        over = (np.abs(audio[loud]) - KNEE) / (CEILING - KNEE)
        audio[loud] = np.copysign(KNEE + (CEILING - KNEE) * np.tanh(over), audio[loud])
    return audio

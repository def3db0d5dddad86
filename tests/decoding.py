"""Encoded audio back to samples, by other programs than those that encode it where there are any."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import numpy.typing as npt
import soundfile

from tts_server import ffmpeg

Floats = npt.NDArray[np.float32]

LONGEST_S = 60
EXACT = {"wav", "pcm", "flac", "opus"}
"""Of what is decoded, the length is the source's; mp3 and aac come in frames."""
MOST_PADDING = {"mp3": 1105 + 2 * 1152, "aac": 3 * 1024}
"""Samples: LAME's and ffmpeg's delay, and the last frame filled up."""


def decode(name: str, data: bytes, rate_hz: int) -> Floats:
    """All of it, which must be at that rate."""
    if name == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    if name == "aac":
        program = ffmpeg.find_ffmpeg()
        assert program
        command = [program, "-v", "error", "-xerror", "-f", "aac", "-i", "-", "-f", "f32le", "-"]
        return np.frombuffer(subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout, "<f4")
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert file.samplerate == rate_hz
        file._info.seekable = 0  # a streamed FLAC does not know its length, for which soundfile would look otherwise
        heard = np.zeros(LONGEST_S * rate_hz, np.float32)
        return heard[: file.buffer_read_into(heard, "float32")]

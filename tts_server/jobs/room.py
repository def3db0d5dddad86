"""The room on the disk that a job may need: never less than it will, and not far more for ordinary texts. Pure."""

from __future__ import annotations

import math
import re
from typing import Final

from tts_server.jobs.files import SAMPLE_BYTES
from tts_server.jobs.record import Manner

_SECONDS: Final = (
    # A word, for each letter: 0.07 on average; but some are short for several (imo).
    (re.compile(r"(?<![A-Za-z])(?=[A-Z]?[a-z]*[aeiou])[A-Za-z][a-z]{2,}(?![A-Za-z])"), 0.3),
    (re.compile(r"[A-Za-z]"), 0.6),  # one that is spelled: double-u
    (re.compile(r"[\u3400-\u9fff]"), 0.4),  # 0.22 on average; at the end of a sentence it is drawn out
    (re.compile(r"[0-9]"), 0.6),
    (re.compile(r"[ \t]"), 0.1),
    (re.compile(r"\n"), 0.3),  # two of them are a pause of half a second
    (re.compile(r"[，。、！？；：“”‘’（）,.!?;:\"'()]"), 0.4),
)
"""The longest that characters were found to last in any company, at natural speed; a word counts as its letters."""
_LONGEST_S: Final = 1.2
"""Of any other: signs, of which one may be four words long (², %, ½)."""
_ENCODED_SHARE: Final = {"wav": 0.0, "pcm": 0.0, "flac": 1.05}
"""Of the samples' size, for the file beside them; noise makes a flac that is longer than they are."""
_LOSSY_SHARE: Final = 0.5  # 64 kbit/s of 128 kbit/s, at 8 kHz; less at any other rate


def longest_s(text: str) -> float:
    """How long a text may last at natural speed, at most, about. Takes 30 ms for a book."""
    seconds = 0.0
    for kind, each_s in _SECONDS:
        rest = kind.sub("", text)
        seconds += (len(text) - len(rest)) * each_s
        text = rest
    return seconds + len(text) * _LONGEST_S


def estimate_bytes(text: str, manner: Manner) -> int:
    """The room that a job may need at most, about."""
    share = 1.0 + _ENCODED_SHARE.get(manner.audio_format, _LOSSY_SHARE)
    return math.ceil(longest_s(text) / manner.speed * manner.sample_rate_hz * SAMPLE_BYTES * share)

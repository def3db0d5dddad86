from __future__ import annotations

from inference.utterance import Manner, Utterance
from tests.engines import phones_of, tone


def test_the_tones_of_different_wishes_differ() -> None:
    lines = {
        tone(Utterance(tuple(phones_of(text)), Manner(speaker, speed))).tobytes()
        for text in ("好。", "号。")
        for speaker in ("female", "male")
        for speed in (1.0, 1.1)
    }
    assert len(lines) == 8

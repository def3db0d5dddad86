"""A script spoken by a voice in this process: what `say` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from inference.script import Script
from inference.utterance import Manner, Utterance
from tts_server.audio import Floats, with_silence

if TYPE_CHECKING:  # the voice brings onnxruntime along
    from inference.voice import Voice


def narrate(script: Script, voice: Voice, manner: Manner) -> Iterator[Floats]:
    """The audio of each line, with the silence that follows it; none after the last."""
    for number, line in enumerate(script.lines, start=1):
        (speech,) = voice.speak_batch([Utterance(line.phones, manner)])
        pause_s = line.pause_after_s / manner.speed if number < len(script.lines) else 0.0
        yield with_silence(speech.audio, pause_s, speech.sample_rate_hz)

"""A text as what is said, sentence by sentence, with the silences between; pure but for the voice it is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inference.utterance import Manner, Utterance
from tts_server.audio import Floats, with_silence

if TYPE_CHECKING:  # the voice brings onnxruntime along
    from inference.frontend.phones import Phone
    from inference.frontend.reading import Reading
    from inference.voice import Voice

SENTENCE_PAUSE_S: Final = 0.25
PARAGRAPH_PAUSE_S: Final = 0.5

_PARAGRAPH_END: Final = re.compile(
    r"\n\s*\n"  # a blank line
    r"|\n(?=[ \t]*\u3000)"  # an indented line, as Chinese paragraphs begin
    r"|(?<=[。！？…”』」])[ \t]*\n"  # a line that ends as Chinese sentences do: Chinese is not wrapped by hand
)


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence to say."""

    text: str
    phones: tuple[Phone, ...]
    pause_after_s: float


@dataclass(frozen=True, slots=True)
class Script:
    """A whole text, read."""

    lines: tuple[Line, ...]
    unspoken: tuple[str, ...]
    """What has no reading and is left out."""


def write_script(text: str, read: Callable[[str], Reading]) -> Script:
    """Read `text`, a paragraph at a time. A paragraph without anything to say is passed over; ValueError if all are."""
    lines: list[Line] = []
    unspoken: list[str] = []
    refusal: ValueError | None = None
    for paragraph in filter(str.strip, _PARAGRAPH_END.split(text)):
        try:
            reading = read(paragraph)
        except ValueError as error:  # NothingToSay: a line of asterisks between two chapters
            refusal = error
            continue
        unspoken.extend(reading.unspoken)
        pauses = [SENTENCE_PAUSE_S] * (len(reading.sentences) - 1) + [PARAGRAPH_PAUSE_S]
        lines.extend(Line(s.text, s.phones, pause) for s, pause in zip(reading.sentences, pauses, strict=True))
    if not lines:
        raise refusal or ValueError("the text is empty")
    return Script(tuple(lines), tuple(dict.fromkeys(unspoken)))


def narrate(script: Script, voice: Voice, manner: Manner) -> Iterator[Floats]:
    """The audio of each line, with the silence that follows it; none after the last."""
    for number, line in enumerate(script.lines, start=1):
        (speech,) = voice.speak_batch([Utterance(line.phones, manner)])
        pause_s = line.pause_after_s / manner.speed if number < len(script.lines) else 0.0
        yield with_silence(speech.audio, pause_s, speech.sample_rate_hz)

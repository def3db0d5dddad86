"""What a request asks for: a text to be spoken by a voice there is, and how the audio is wanted. Checked here, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tts_server.encoding import FORMATS, available
from tts_server.errors import InvalidRequest, NotFound
from tts_server.http.bodies import VOICE_ALIASES, OpenAISpeechBody, SessionConfig, TtsBody, load, validate
from tts_server.http.services import Limits
from tts_server.speech import SpeechRequest, Voice

MODEL_ALIASES: Final = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15")
"""OpenAI's models. Programs have their names built in; here they mean the default engine."""

_DEADLINE_DIGITS: Final = 9  # 11 days; the server's own deadline is shorter anyway


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the audio is wanted."""

    audio_format: str
    sample_rate_hz: int
    streamed: bool
    """While it is being made; otherwise whole, with its length said before."""
    events: bool = False
    """As server-sent events rather than as the bytes themselves."""


def parse_tts(
    data: bytes, voices: Sequence[Voice], limits: Limits, *, request_id: str, deadline_s: float
) -> tuple[SpeechRequest, Delivery]:
    """What a body of POST /api/tts asks for. InvalidRequest or NotFound if it cannot be had."""
    body = validate(TtsBody, load(data))
    _check_text(body.text, "text", limits.tts_characters)
    _check_format(body.format, "format")
    voice = find_voice(voices, body.voice, body.engine)
    request = SpeechRequest(
        id=request_id,
        others=() if body.engine else stand_ins(voices, voice),
        text=body.text,
        voice=voice,
        speed=body.speed,
        volume=body.volume,
        pitch_semitones=body.pitch,
        streamed=body.stream,
        timestamps=body.timestamps,
        deadline_s=deadline_s,
    )
    if body.timestamps and not body.stream:
        raise InvalidRequest("timestamps are told while audio is sent: set stream to true", param="timestamps")
    rate_hz = body.sample_rate or voice.sample_rate_hz
    return request, Delivery(body.format, rate_hz, body.stream, events=body.timestamps)


def parse_openai(
    data: bytes, voices: Sequence[Voice], limits: Limits, *, request_id: str, deadline_s: float
) -> tuple[SpeechRequest, Delivery]:
    """What a body of POST /v1/audio/speech asks for. InvalidRequest or NotFound if it cannot be had."""
    body = validate(OpenAISpeechBody, load(data))
    _check_text(body.input, "input", limits.openai_characters)
    _check_format(body.response_format, "response_format")
    name = body.voice if isinstance(body.voice, str) else body.voice.id
    voice = find_voice(voices, name, engine_of_model(voices, body.model))
    request = SpeechRequest(
        id=request_id,
        text=body.input,
        voice=voice,
        others=stand_ins(voices, voice) if body.model in MODEL_ALIASES else (),
        speed=body.speed,
        volume=body.volume,
        pitch_semitones=body.pitch,
        streamed=True,  # as OpenAI does
        timestamps=body.timestamps,
        deadline_s=deadline_s,
    )
    events = body.stream_format == "sse"
    if body.timestamps and not events:
        raise InvalidRequest("timestamps are told by events: set stream_format to sse", param="timestamps")
    return request, Delivery(body.response_format, body.sample_rate, streamed=True, events=events)


def session(config: SessionConfig, voices: Sequence[Voice], *, deadline_s: float) -> tuple[SpeechRequest, Delivery]:
    """What each sentence of a websocket is to be spoken like; its id and text are still to be set."""
    _check_format(config.format, "format")
    voice = find_voice(voices, config.voice, config.engine)
    request = SpeechRequest(
        id="",
        text="",
        voice=voice,
        others=() if config.engine else stand_ins(voices, voice),
        speed=config.speed,
        volume=config.volume,
        pitch_semitones=config.pitch,
        streamed=True,
        timestamps=config.timestamps,
        deadline_s=deadline_s,
    )
    return request, Delivery(config.format, config.sample_rate or voice.sample_rate_hz, streamed=True)


def parse_deadline_s(header: str | None, longest_s: float) -> float:
    """Seconds that X-Deadline-Ms leaves. It may only shorten the server's own deadline."""
    if header is None:
        return longest_s
    if not (header.isascii() and header.isdigit() and len(header) <= _DEADLINE_DIGITS and int(header) > 0):
        raise InvalidRequest("X-Deadline-Ms must be a positive whole number of milliseconds", param="X-Deadline-Ms")
    return min(longest_s, int(header) / 1000)


def engines(voices: Sequence[Voice]) -> tuple[str, ...]:
    """The engines there are, the default one first."""
    return tuple(dict.fromkeys(voice.engine for voice in voices))


def engine_of_model(voices: Sequence[Voice], model: str) -> str:
    """The engine that a model's name means. NotFound if it means none."""
    known = engines(voices)
    if model in known:
        return model
    if model in MODEL_ALIASES and known:
        return known[0]
    raise NotFound(
        f"there is no such model; there are: {', '.join((*known, *MODEL_ALIASES))}",
        param="model",
        code="model_not_found",
    )


def find_voice(voices: Sequence[Voice], name: str, engine: str | None) -> Voice:
    """The voice of that name; OpenAI's names mean one of ours of the same gender. NotFound if there is none."""
    if engine is not None and engine not in engines(voices):
        raise NotFound(
            f"there is no such engine; there are: {', '.join(engines(voices))}", param="engine", code="engine_not_found"
        )
    there = [voice for voice in voices if engine in {None, voice.engine}]
    named = [voice for voice in there if voice.id == name]
    alike = [voice for voice in there if voice.gender == VOICE_ALIASES.get(name)]
    for voice in (*named, *alike):
        return voice
    names = ", ".join(dict.fromkeys(voice.id for voice in there))
    raise NotFound(f"there is no such voice; there are: {names}", param="voice", code="voice_not_found")


def stand_ins(voices: Sequence[Voice], voice: Voice) -> tuple[Voice, ...]:
    """Who may speak where that voice cannot: of each other engine the voice of the same name, else one like it."""
    found: dict[str, Voice] = {}
    for other in voices:
        if other.engine != voice.engine and (other.id == voice.id or other.stands_in_for(voice)):
            known = found.setdefault(other.engine, other)
            if other.id == voice.id and known.id != voice.id:
                found[other.engine] = other
    return tuple(found.values())


def _check_text(text: str, param: str, longest: int) -> None:
    if len(text) > longest:
        raise InvalidRequest(
            f"{param} has {len(text)} characters; it may have up to {longest}. Longer texts are for POST /api/tts/jobs",
            param=param,
            code="input_too_long",
        )
    if not text.strip():
        raise InvalidRequest(f"{param} is empty; it must have something to speak", param=param, code="empty_input")


def _check_format(audio_format: str, param: str) -> None:
    if audio_format not in FORMATS:
        reason = f"{param} must be one of: {', '.join(FORMATS)}"
    elif why_not := available(audio_format):
        reason = f"{param} {audio_format} cannot be had here: {why_not}"
    else:
        return
    raise InvalidRequest(reason, param=param, code="unsupported_format")

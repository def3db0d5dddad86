"""The bodies and messages that clients send: their fields, and whether they are what they must be."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from inference.utterance import PITCH_RANGE, SPEED_RANGE
from tts_server.encoding import FORMATS
from tts_server.errors import InvalidRequest

OPENAI_RATE_HZ: Final = 24_000
"""What OpenAI's `pcm` is, and what its clients play at."""
VOICE_ALIASES: Final = {
    **dict.fromkeys(("alloy", "coral", "nova", "sage", "shimmer", "marin"), "female"),
    **dict.fromkeys(("ash", "ballad", "cedar", "echo", "fable", "onyx", "verse"), "male"),
}
"""OpenAI's voices, and the gender of ours that speaks for them."""

Format = Annotated[str, WithJsonSchema({"type": "string", "enum": list(FORMATS)})]
Speed = Annotated[float, Field(ge=SPEED_RANGE[0], le=SPEED_RANGE[1], description="Times natural speed")]
Volume = Annotated[float, Field(ge=0.3, le=3.0, description="Linear gain; a limiter keeps loud speech from clipping")]
Pitch = Annotated[float, Field(ge=PITCH_RANGE[0], le=PITCH_RANGE[1], description="Semitones higher or lower")]
Timestamps = Annotated[
    bool,
    Field(
        description="Whether events speech.audio.words tell when each word is said: text, start_s, end_s, and start "
        "and end, its place among the code points of the text. Of /api/tts with stream, it makes the answer events"
    ),
]
SampleRate = Annotated[int, Field(ge=8_000, le=48_000, description="Of the answer, in Hz")]


class _Body(BaseModel):
    """Strict: "1" and true are no numbers. What is unknown is ignored: clients send more than we know."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class TtsBody(_Body):
    """Body of POST /api/tts. A field that is null counts as not given."""

    text: str = Field(description="What is to be spoken: Chinese, English, or both")
    voice: str = Field("female", description="One of GET /v1/audio/voices")
    format: Format = "wav"
    speed: Speed = 1.0
    volume: Volume = 1.0
    pitch: Pitch = 0.0
    sample_rate: SampleRate | None = Field(None, description="In Hz; without it, the voice's own")
    stream: bool = Field(default=False, description="Whether to send the audio while it is being made")
    timestamps: Timestamps = False
    engine: str | None = Field(None, description="One of GET /v1/models; without it, the first that has the voice")


class JobBody(TtsBody):
    """Body of POST /api/tts/jobs. A field that is null counts as not given; `stream` has no effect."""

    callback_url: str | None = Field(None, max_length=2_048, description="Is sent a POST when the job has ended")
    idempotency_key: str | None = Field(
        None, max_length=255, description="A second job with the same key and body is the first one"
    )


class VoiceObject(_Body):
    """A voice, as OpenAI's API writes custom ones."""

    id: str


class OpenAISpeechBody(_Body):
    """Body of POST /v1/audio/speech. A field that is null counts as not given."""

    model: str = Field(description="One of GET /v1/models")
    input: str = Field(description="What is to be spoken: Chinese, English, or both")
    voice: str | VoiceObject = Field(
        description=f"One of GET /v1/audio/voices, or of OpenAI's: {', '.join(VOICE_ALIASES)}"
    )
    response_format: Format = "mp3"
    speed: Speed = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    timestamps: Timestamps = False
    instructions: str | None = Field(None, max_length=4_096, description="Accepted, and without effect")
    volume: Volume = 1.0
    pitch: Pitch = 0.0
    sample_rate: SampleRate = OPENAI_RATE_HZ


class SessionConfig(_Body):
    """How to speak from here on. Whatever it does not name is as at the beginning."""

    type: Literal["session.config"]
    voice: str = "female"
    engine: str | None = None
    format: Format = "pcm"
    speed: Speed = 1.0
    volume: Volume = 1.0
    pitch: Pitch = 0.0
    sample_rate: SampleRate | None = None
    timestamps: bool = Field(
        default=False,
        description="Whether messages audio.words tell when each word is said: as the events of POST /api/tts, with "
        "seconds from the beginning of the sentence's audio and places in the utterance's text",
    )


class InputText(_Body):
    """More text, as it is written; it need not end where a word does."""

    type: Literal["input.text"]
    text: str


class Command(_Body):
    """`input.done`: speak what is left. `input.cancel`: drop what is unspoken. `session.close`: speak it and close."""

    type: Literal["input.done", "input.cancel", "session.close"]


SocketMessage = SessionConfig | InputText | Command
_SOCKET_MESSAGES: Final[Mapping[str, type[SessionConfig | InputText | Command]]] = {
    "session.config": SessionConfig,
    "input.text": InputText,
    "input.done": Command,
    "input.cancel": Command,
    "session.close": Command,
}


def parse_message(data: bytes | str) -> SocketMessage:
    """A message of the websocket. InvalidRequest if it is none."""
    message = load(data)
    if not isinstance(message, dict):
        raise InvalidRequest("this must be a JSON object", code="invalid_json")
    kind = message.get("type")
    body = _SOCKET_MESSAGES.get(kind) if isinstance(kind, str) else None
    if body is None:
        raise InvalidRequest(f"type must be one of: {', '.join(_SOCKET_MESSAGES)}", param="type", code="unknown_type")
    if body is SessionConfig and "format" not in message and "response_format" in message:
        message["format"] = message["response_format"]  # vLLM-omni's name for it
    return validate(body, message)


def load(data: bytes | str) -> object:
    """What the JSON holds. InvalidRequest if it is none; NaN, infinity and half a surrogate pair are none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:  # tells the place, and nothing of the content
        raise InvalidRequest(f"this is not JSON in UTF-8: {error}", code="invalid_json") from None


BodyT = TypeVar("BodyT", bound=_Body)


def validate(model: type[BodyT], body: object) -> BodyT:
    """The body, checked field by field. InvalidRequest tells of the first that is wrong, and what would be right."""
    if not isinstance(body, dict):
        raise InvalidRequest("this must be a JSON object", code="invalid_json")
    try:
        return model.model_validate({name: value for name, value in body.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    param = str(first["loc"][0])
    schema = _schema(model)
    right = wanted(schema["properties"][param], schema.get("$defs", {}))
    if first["type"] == "missing":
        raise InvalidRequest(f"{param} is missing; it must be {right}", param=param, code="missing_required_parameter")
    raise InvalidRequest(f"{param} must be {right}", param=param)


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()  # takes milliseconds: kept, or wrong requests would hold up the right ones


def wanted(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A field's JSON schema in words: what is documented is what an error says."""
    match schema:
        case {"$ref": str(reference)}:
            words = wanted(definitions[reference.rpartition("/")[2]], definitions)
        case {"anyOf": [*choices]}:
            words = " or ".join(wanted(choice, definitions) for choice in choices if choice != {"type": "null"})
        case {"enum": [*choices]}:
            words = f"one of: {', '.join(choices)}"
        case {"const": str(word)}:
            words = word
        case {"type": "object", "properties": properties}:
            words = f"an object with {', '.join(properties)}"
        case {"type": "boolean"}:
            words = "true or false"
        case {"type": "string", "maxLength": int(longest)}:
            words = f"a string of up to {longest} characters"
        case {"type": "string"}:
            words = "a string"
        case {"type": ("integer" | "number") as kind, "minimum": low, "maximum": high}:
            words = f"a{' whole' if kind == 'integer' else ''} number from {low:g} to {high:g}"
        case _:
            raise AssertionError(f"no words for {schema}; this is a bug, and a test meets it")
    return words

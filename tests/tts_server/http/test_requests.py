"""What bodies ask for, and what is said of those that are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.tts_server.http.fakes import FEMALE, LIGHT, MALE, RATE_HZ
from tts_server.encoding import FORMATS
from tts_server.errors import InvalidRequest, NotFound
from tts_server.http.bodies import VOICE_ALIASES, SessionConfig, parse_message
from tts_server.http.requests import (
    MODEL_ALIASES,
    Delivery,
    find_voice,
    parse_deadline_s,
    parse_openai,
    parse_tts,
    session,
    stand_ins,
)
from tts_server.http.services import Limits
from tts_server.speech import SpeechRequest, Voice

VOICES = (FEMALE, MALE, LIGHT)
OPENAI = {"model": "tts-1", "input": "你好", "voice": "alloy"}


def tts(**fields: Any) -> tuple[SpeechRequest, Delivery]:
    return parse_tts(orjson.dumps({"text": "你好"} | fields), VOICES, Limits(), request_id="r", deadline_s=9.0)


def openai(**fields: Any) -> tuple[SpeechRequest, Delivery]:
    return parse_openai(orjson.dumps(OPENAI | fields), VOICES, Limits(), request_id="r", deadline_s=9.0)


def test_a_text_alone_is_spoken_by_the_defaults() -> None:
    request = SpeechRequest("r", "你好", FEMALE, deadline_s=9.0, others=(LIGHT,))
    assert tts() == (request, Delivery("wav", RATE_HZ, streamed=False))


def test_every_field_of_ours_arrives() -> None:
    fields = {"voice": "male", "format": "pcm", "speed": 2, "volume": 0.5, "pitch": -3, "stream": True}
    request, delivery = tts(**fields, sample_rate=8000, unheard_of=[1])
    assert request == SpeechRequest("r", "你好", MALE, 2.0, 0.5, -3.0, streamed=True, deadline_s=9.0)
    assert delivery == Delivery("pcm", 8000, streamed=True)


def test_null_counts_as_not_given() -> None:
    names = ("voice", "format", "speed", "volume", "pitch", "stream", "sample_rate", "engine")
    assert tts(**dict.fromkeys(names)) == tts()


def test_an_engine_can_be_named() -> None:
    assert tts(engine="light")[0].voice is LIGHT


def test_openais_defaults_are_openais() -> None:
    request, delivery = openai()
    assert request == SpeechRequest("r", "你好", FEMALE, streamed=True, deadline_s=9.0, others=(LIGHT,))
    assert delivery == Delivery("mp3", 24_000, streamed=True)


def test_every_field_of_openais_arrives() -> None:
    fields = {"response_format": "pcm", "speed": 0.25, "stream_format": "sse", "instructions": "gently"}
    request, delivery = openai(**fields, sample_rate=16_000, volume=2, pitch=1.5)
    assert request == SpeechRequest("r", "你好", FEMALE, 0.25, 2.0, 1.5, streamed=True, deadline_s=9.0, others=(LIGHT,))
    assert delivery == Delivery("pcm", 16_000, streamed=True, events=True)


@pytest.mark.parametrize("model", MODEL_ALIASES)
def test_openais_models_are_the_default_engine(model: str) -> None:
    assert openai(model=model)[0].voice.engine == "standard"


def test_a_model_may_be_an_engine() -> None:
    assert openai(model="light")[0].voice is LIGHT


FAR = [
    Voice("zhimiao", "far", "female", ("zh",), "", 16_000),  # without English, it is none
    Voice("zhiqi", "far", "female", ("en", "zh"), "", 16_000),
    Voice("zhiyuan", "far", "female", ("zh", "en"), "", 16_000),
    Voice("zhida", "far", "male", ("zh", "en"), "", 16_000),
]
SECOND = [Voice("other", "second", "female", ("zh", "en"), "", RATE_HZ), replace(FEMALE, engine="second")]


@pytest.mark.parametrize(
    ("others", "voice", "found"),
    [
        ([], FEMALE, []),
        ([LIGHT], FEMALE, [LIGHT]),
        ([LIGHT], LIGHT, [FEMALE]),
        ([LIGHT], MALE, []),
        ([LIGHT, *FAR], FEMALE, [LIGHT, FAR[1]]),
        ([LIGHT, *FAR], MALE, [FAR[3]]),
        ([*SECOND, LIGHT], FEMALE, [SECOND[1], LIGHT]),
    ],
)
def test_of_each_other_engine_the_same_voice_or_one_like_it_stands_in(
    others: list[Voice], voice: Voice, found: list[Voice]
) -> None:
    assert stand_ins([FEMALE, MALE, *others], voice) == tuple(found)


def test_who_names_an_engine_has_no_other() -> None:
    assert tts()[0].others == openai(model="tts-1")[0].others == (LIGHT,)
    assert tts(engine="standard")[0].others == openai(model="standard")[0].others == ()
    config = SessionConfig(type="session.config")
    assert session(config, VOICES, deadline_s=9.0)[0].others == (LIGHT,)
    named = config.model_copy(update={"engine": "standard"})
    assert session(named, VOICES, deadline_s=9.0)[0].others == ()


@pytest.mark.parametrize("name", VOICE_ALIASES)
def test_openais_voices_are_voices_of_their_gender(name: str) -> None:
    assert openai(voice=name)[0].voice.gender == VOICE_ALIASES[name]
    assert openai(voice={"id": name}) == openai(voice=name)


def test_a_voice_of_our_own_goes_before_an_alias() -> None:
    own = (FEMALE, type(FEMALE)("alloy", "standard", "male", ("en",), "", RATE_HZ))
    assert find_voice(own, "alloy", None) is own[1]


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"speed": 9}, "speed", "speed must be a number from 0.25 to 4"),
        ({"speed": 0.2}, "speed", "speed must be a number from 0.25 to 4"),
        ({"speed": "1"}, "speed", "speed must be a number from 0.25 to 4"),
        ({"speed": True}, "speed", "speed must be a number from 0.25 to 4"),
        ({"volume": 0}, "volume", "volume must be a number from 0.3 to 3"),
        ({"pitch": 13}, "pitch", "pitch must be a number from -12 to 12"),
        ({"sample_rate": 7999}, "sample_rate", "sample_rate must be a whole number from 8000 to 48000"),
        ({"sample_rate": 24000.5}, "sample_rate", "sample_rate must be a whole number from 8000 to 48000"),
        ({"sample_rate": True}, "sample_rate", "sample_rate must be a whole number from 8000 to 48000"),
        ({"stream": 1}, "stream", "stream must be true or false"),
        ({"format": "ogg"}, "format", f"format must be one of: {', '.join(FORMATS)}"),
        ({"format": 1}, "format", f"format must be one of: {', '.join(FORMATS)}"),
        ({"text": None}, "text", "text is missing; it must be a string"),
        ({"text": 5}, "text", "text must be a string"),
        ({"text": ["你好"]}, "text", "text must be a string"),
        ({"text": " \n\u3000"}, "text", "text is empty; it must have something to speak"),
        (
            {"text": "好" * 5001},
            "text",
            "text has 5001 characters; it may have up to 5000. Longer texts are for POST /api/tts/jobs",
        ),
        ({"voice": 3}, "voice", "voice must be a string"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(fields: dict[str, Any], param: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tts(**fields)
    assert (caught.value.param, caught.value.message, caught.value.status) == (param, message, 400)


@pytest.mark.parametrize(
    ("fields", "param", "code", "message"),
    [
        ({"model": None}, "model", "missing_required_parameter", "model is missing; it must be a string"),
        ({"voice": 1}, "voice", "invalid_value", "voice must be a string or an object with id"),
        ({"voice": {"name": "x"}}, "voice", "invalid_value", "voice must be a string or an object with id"),
        ({"stream_format": "ws"}, "stream_format", "invalid_value", "stream_format must be one of: audio, sse"),
        (
            {"instructions": "x" * 4097},
            "instructions",
            "invalid_value",
            "instructions must be a string of up to 4096 c",
        ),
        ({"input": "x" * 4097}, "input", "input_too_long", "input has 4097 characters; it may have up to 4096"),
        ({"input": ""}, "input", "empty_input", "input is empty"),
        ({"response_format": "m4a"}, "response_format", "unsupported_format", "response_format must be one of: "),
    ],
)
def test_openais_route_tells_as_much(fields: dict[str, Any], param: str, code: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        openai(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("fields", "param", "code", "message"),
    [
        ({"voice": "nobody"}, "voice", "voice_not_found", "there is no such voice; there are: female, male"),
        ({"engine": "warp"}, "engine", "engine_not_found", "there is no such engine; there are: standard, light"),
        (
            {"engine": "light", "voice": "male"},
            "voice",
            "voice_not_found",
            "there is no such voice; there are: female",
        ),
    ],
)
def test_who_is_not_there_is_not_found(fields: dict[str, Any], param: str, code: str, message: str) -> None:
    with pytest.raises(NotFound) as caught:
        tts(**fields)
    assert (caught.value.param, caught.value.code, caught.value.message) == (param, code, message)


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFound, match="there are: standard, light, tts-1, ") as caught:
        openai(model="gpt-9")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")


def test_a_format_that_this_machine_lacks_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tts_server.http.requests.available", lambda name: "ffmpeg is missing" if name == "aac" else None
    )
    with pytest.raises(InvalidRequest, match="format aac cannot be had here: ffmpeg is missing") as caught:
        tts(format="aac")
    assert (caught.value.param, caught.value.code) == ("format", "unsupported_format")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"text":"\xff"}',
        b'{"text":"\\ud800"}',
        b'{"speed":NaN}',
        b'{"speed":1e999}',
        b"[" * 9999,
        b"[]",
        b"3",
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    for parse in (parse_tts, parse_openai):
        with pytest.raises(InvalidRequest) as caught:
            parse(body, VOICES, Limits(), request_id="r", deadline_s=9.0)
        assert (caught.value.code, caught.value.param) == ("invalid_json", None)


@pytest.mark.parametrize(("header", "deadline_s"), [(None, 60.0), ("1", 0.001), ("5000", 5.0), ("999999999", 60.0)])
def test_a_deadline_may_only_be_shortened(header: str | None, deadline_s: float) -> None:
    assert parse_deadline_s(header, 60.0) == deadline_s


@pytest.mark.parametrize("header", ["", "0", "-1", "1.5", "1e3", "soon", "٣", "9" * 5000])
def test_a_deadline_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest, match="positive whole number") as caught:
        parse_deadline_s(header, 60.0)
    assert caught.value.param == "X-Deadline-Ms"


def test_a_session_is_pcm_at_the_voices_own_rate_unless_told() -> None:
    _, delivery = session(SessionConfig(type="session.config"), VOICES, deadline_s=9.0)
    assert delivery == Delivery("pcm", RATE_HZ, streamed=True)
    message = parse_message('{"type":"session.config","response_format":"wav","sample_rate":8000,"voice":"onyx"}')
    assert isinstance(message, SessionConfig)
    request, delivery = session(message, VOICES, deadline_s=9.0)
    assert (request.voice, delivery) == (MALE, Delivery("wav", 8000, streamed=True))


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        ("{", None, "invalid_json"),
        ("[]", None, "invalid_json"),
        ("{}", "type", "unknown_type"),
        ('{"type":["input.text"]}', "type", "unknown_type"),
        ('{"type":"input.audio"}', "type", "unknown_type"),
        ('{"type":"input.text"}', "text", "missing_required_parameter"),
        ('{"type":"session.config","speed":9}', "speed", "invalid_value"),
    ],
)
def test_a_message_that_is_none_is_refused(message: str, param: str | None, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_message(message)
    assert (caught.value.param, caught.value.code) == (param, code)

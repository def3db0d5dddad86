"""What is said to DashScope and what it says. Pure.

A task is one text, named by an id of ours; commands and events are JSON in text frames, audio comes in binary ones:

    sambert-*     run-task with the text                                 ► task-started, audio and result-generated,
    cosyvoice-*   run-task; after task-started continue-task with the    ►   task-finished; or at any time task-failed
                  text, finish-task

Its messages for people (`error_message`) are left alone: they may quote the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tts_server.errors import EngineFailed, EngineUnavailable, InvalidRequest, QueueFull, TTSError
from tts_server.speech import SpeechRequest

SLOWEST, FASTEST = 0.5, 2.0
"""What `rate` may be; `pitch` too, so an octave either way."""
THROTTLED_S: Final = 5.0
"""When to come back if the service throttles: its limits are per second and per minute."""

_NATURAL_VOLUME: Final = 50
_HAN: Final = re.compile(r"[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_OWN_READING: Final = re.compile(r"<[^<>|\n]+\|[^<>|\n]+>")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_NOT_THE_ACCOUNT: Final = frozenset({"Model.AccessDenied", "ModelNotFound", "model_not_found"})
_THE_ACCOUNT: Final = re.compile(
    r"invalid_?api_?key|arrearage|access_?denied|.*\.accessdenied|accessdenied\..*|allocationquota\.freetieronly"
    r"|commoditynotpurchased|prepaidbilloverdue|postpaidbilloverdue|workspacenotfound",
    re.IGNORECASE,
)
_THROTTLED: Final = re.compile(r"throttling.*|limit_?requests|limit_burst_rate|insufficient_quota", re.IGNORECASE)


class Refused(EngineUnavailable):
    """The service does not serve this account, or not by this key: asking again soon is of no use."""


@dataclass(frozen=True, slots=True)
class RemoteVoice:
    """A voice of the service."""

    name: str
    """As the settings have it: the model, for CosyVoice with a voice of it."""
    model: str
    voice: str | None
    """None for Sambert, whose models are voices."""
    gender: str
    sample_rate_hz: int

    @classmethod
    def parse(cls, written: str, sample_rate_hz: int | None) -> RemoteVoice:
        """`sambert-zhichu-v1`, `cosyvoice-v2/longxiaochun_v2=female`; at the model's own rate if none is given."""
        name, _, gender = written.partition("=")
        model, _, voice = name.partition("/")
        own_rate_hz = 22_050 if voice else 16_000
        return cls(name, model, voice or None, gender or "unknown", sample_rate_hz or own_rate_hz)

    @property
    def languages(self) -> tuple[str, ...]:
        """What it speaks, as far as its name tells."""
        return ("zh", "en") if self.voice or self.model.startswith("sambert-zhi") else ()


@dataclass(frozen=True, slots=True)
class Task:
    """One text for the service to speak."""

    id: str
    """32 hexadecimal digits."""
    voice: RemoteVoice
    text: str = field(repr=False)
    rate: float
    """Times natural speed."""
    pitch: float
    """Times natural pitch."""

    def run(self) -> str:
        """The command that begins it."""
        parameters: dict[str, Any] = {
            "text_type": "PlainText",
            "format": "pcm",
            "sample_rate": self.voice.sample_rate_hz,
            "volume": _NATURAL_VOLUME,
            "rate": self.rate,
            "pitch": self.pitch,
        }
        if self.voice.voice is None:
            return self._command("run-task", {"text": self.text}, model=self.voice.model, parameters=parameters)
        parameters["voice"] = self.voice.voice
        return self._command("run-task", {}, model=self.voice.model, parameters=parameters)

    def rest(self) -> tuple[str, ...]:
        """The commands for once it has started."""
        if self.voice.voice is None:
            return ()
        return self._command("continue-task", {"text": self.text}), self._command("finish-task", {})

    def _command(self, action: str, given: dict[str, str], **more: Any) -> str:  # noqa: ANN401  (JSON)
        streaming = "out" if self.voice.voice is None else "duplex"
        payload: dict[str, Any] = {"input": given}
        if action != "finish-task":
            payload |= {"task_group": "audio", "task": "tts", "function": "SpeechSynthesizer"}
        header = {"action": action, "task_id": self.id, "streaming": streaming}
        return orjson.dumps({"header": header, "payload": payload | more}).decode()


@dataclass(frozen=True, slots=True)
class Event:
    """What the service tells."""

    name: str
    task_id: str
    error_code: str
    """Of task-failed: one of the service's words, such as InvalidParameter."""
    characters: int | None
    """So many were counted up to now, if it says."""


def read_event(text: str) -> Event:
    """ValueError if it is none."""
    message = orjson.loads(text)
    try:
        header, payload = message["header"], message.get("payload") or {}
        usage = payload.get("usage") or {}
        code, characters = header.get("error_code"), usage.get("characters")
        return Event(
            str(header["event"]),
            str(header["task_id"]),
            code if isinstance(code, str) and _CODE.fullmatch(code) else "unknown",
            characters if type(characters) is int and characters >= 0 else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("it is not an event") from error


def failure(code: str) -> TTSError:
    """What task-failed with that code means."""
    if _THROTTLED.fullmatch(code):
        return QueueFull(f"DashScope has too much to do for this account ({code})", retry_after_s=THROTTLED_S)
    if code in _NOT_THE_ACCOUNT:
        return EngineUnavailable(f"DashScope does not serve this model to this account ({code})")
    if _THE_ACCOUNT.fullmatch(code):
        return Refused(f"DashScope refuses this server's account ({code}); ask its operator")
    if code == "DataInspectionFailed":
        return InvalidRequest("DashScope's inspection refuses this text; have it spoken by another engine")
    return EngineFailed(f"DashScope could not speak this text ({code})")


def denial(status: int) -> TTSError:
    """What an HTTP status means in place of a connection."""
    if status in {401, 403}:
        return Refused(f"DashScope refuses this server's account (status {status}); ask its operator")
    if status == 429:
        return QueueFull("DashScope has too much to do for this account (status 429)", retry_after_s=THROTTLED_S)
    return EngineUnavailable(f"DashScope cannot be reached (status {status}); come back later", retry_after_s=1.0)


def check(request: SpeechRequest) -> None:
    """InvalidRequest if the service cannot speak it as it is wanted; volume is not its business."""
    if not SLOWEST <= request.speed <= FASTEST:
        raise InvalidRequest(
            f"{request.voice.engine} speaks at speeds from {SLOWEST:g} to {FASTEST:g}; ask for one of these, or for "
            "another engine",
            param="speed",
        )
    if not SLOWEST <= pitch(request) <= FASTEST:
        raise InvalidRequest(f"{request.voice.engine} moves the pitch by up to 12 semitones", param="pitch")
    if _OWN_READING.search(request.text):
        raise InvalidRequest(
            f"{request.voice.engine} takes no readings within the text (<…|…>); leave them out, or ask for another "
            "engine",
            param="text",
        )
    if not any(char.isalnum() for char in request.text):
        raise InvalidRequest("the text has nothing that can be spoken", param="text", code="nothing_to_say")


def pitch(request: SpeechRequest) -> float:
    """As the service takes it."""
    return float(2.0 ** (request.pitch_semitones / 12))


def characters_of(text: str) -> int:
    """As the service counts them, for its limits and its bill: a Chinese character is two, all else one."""
    return len(text) + len(_HAN.findall(text))

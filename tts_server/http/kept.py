"""Whole answers as they went out, kept for whoever asks for the same again: no engine and no encoder is needed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from aiohttp import web

from tts_server.cache import Cache, key
from tts_server.http.requests import Delivery
from tts_server.speech import SpeechRequest

LARGEST_BYTES: Final = 4 << 20
"""A minute and a half as wav. Longer ones are hardly asked for twice, and their lines are kept anyway."""

_HEAD_BYTES: Final = 4
"""In front of the headers, which are in front of the body, as they go over the wire: how long they are."""
_LINE_END: Final = "\r\n"


def may_reuse(request: web.Request) -> bool:
    """Whether the caller may be given what was made for others, and others what is made for him."""
    given = ",".join(request.headers.getall("Cache-Control", ()))
    return not given or "no-store" not in {word.strip().lower() for word in given.split(",")}


def name_of(wanted: SpeechRequest, delivery: Delivery) -> str:
    """The key of such an answer; empty if it is not kept."""
    if delivery.events:
        return ""
    voice = wanted.voice
    return key(
        "answer",
        *(voice.fingerprint, voice.engine, voice.id, wanted.speed, wanted.volume, wanted.pitch_semitones),
        *(delivery.audio_format, delivery.sample_rate_hz, delivery.streamed, wanted.text),
    )


def parts(value: bytes) -> tuple[bytes, memoryview]:
    """The headers, each with its line end, and the body of what is kept."""
    body_at = _HEAD_BYTES + int.from_bytes(value[:_HEAD_BYTES], "little")
    return value[_HEAD_BYTES:body_at], memoryview(value)[body_at:]  # not a copy: it is as long as all else takes


class Kept:
    """The place of one answer in the cache."""

    def __init__(self, cache: Cache, name: str) -> None:
        self._cache = cache
        self.key = name
        self._pieces: list[bytes] | None = []
        self._size = 0

    async def recall(self) -> tuple[dict[str, str], memoryview] | None:
        """Headers and body, if it was given before."""
        value = self._cache.recall(self.key)
        if value is None and (value := await self._cache.fetch(self.key)) is None:
            return None
        head, body = parts(value)
        lines = (line.partition(": ") for line in head.decode().split(_LINE_END)[:-1])
        return {name: text for name, _, text in lines}, body

    async def collect(self, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The same pieces; they are noted as they pass."""
        async with aclosing(pieces):
            async for piece in pieces:
                self._size += len(piece)
                if self._size > LARGEST_BYTES:
                    self._pieces = None
                if self._pieces is not None:
                    self._pieces.append(piece)
                yield piece

    def keep(self, headers: dict[str, str]) -> None:
        """All pieces have passed, and been sent; these are the headers for the next time."""
        if self._pieces is not None:
            head = "".join(f"{name}: {text}{_LINE_END}" for name, text in headers.items()).encode()
            self._cache.keep(self.key, b"".join((len(head).to_bytes(_HEAD_BYTES, "little"), head, *self._pieces)))

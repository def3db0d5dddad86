"""From a speech's samples to the bytes of a format, off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent import futures
from contextlib import aclosing
from functools import partial
from typing import Final, ParamSpec

import numpy as np

from tts_server.encoding import Encoder
from tts_server.errors import EngineFailed
from tts_server.http.encoders import timed
from tts_server.http.requests import Delivery
from tts_server.http.services import Services
from tts_server.speech import Pcm, Speech
from tts_server.trace import Encode, current

P = ParamSpec("P")

_OPENED_AT_ONCE: Final = frozenset({"wav", "pcm"})
"""A few objects are made; a turn in the threads would take longer than that."""


class Rendering:
    """One speech being encoded. Iterate over `pieces()` once, and close it.

    `text_s` is about how long the speech will be; `since_s` when it was asked for, by time.perf_counter();
    `lead_silence_s` comes before its audio.
    """

    def __init__(
        self,
        services: Services,
        speech: Speech,
        delivery: Delivery,
        *,
        text_s: float,
        since_s: float,
        lead_silence_s: float = 0.0,
    ) -> None:
        self._services = services
        self._speech = speech
        self._delivery = delivery
        self._text_s = text_s
        self._since_s = since_s
        self._rate_hz = 0  # of the voice; known with its first audio, for another one may come to speak
        self._samples = 0
        self.sample_rate_hz = delivery.sample_rate_hz
        """Of what is made; the format may not know the one that was asked for. Right once there is a piece."""
        self._lead_s = lead_silence_s
        self._opening: futures.Future[Encoder] | None = None
        self._call: futures.Future[tuple[bytes, float]] | None = None
        self._trace = current()
        self._noted: Encode | None = None

    @property
    def audio_s(self) -> float:
        """Seconds of speech encoded so far."""
        return self._samples / self._rate_hz if self._rate_hz else 0.0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The encoded audio, none of it empty; one piece if it is wanted whole. TTSError if there is no more."""
        heard, delivery, encoders = False, self._delivery, self._services.encoders
        with encoders.share(delivery.audio_format, self._text_s, streamed=delivery.streamed) as self._share:
            async with aclosing(self._encoded()) as encoded:
                async for data in encoded:
                    if not data:  # the encoder keeps it until there is more
                        continue
                    if not heard:
                        heard = True
                        self._services.meter.first_audio(time.perf_counter() - self._since_s)
                    yield data

    async def _encoded(self) -> AsyncGenerator[bytes, None]:
        encoder: Encoder | None = None
        finished = False
        try:
            async for pcm in self._speech:
                if encoder is None:  # only now: what waits in a queue holds no encoder
                    self._rate_hz = self._speech.voice.sample_rate_hz
                    if self._trace is not None:
                        self._noted = self._trace.encode(self._delivery.audio_format)
                    encoder = await self._open()
                    self.sample_rate_hz = encoder.sample_rate_hz
                    lead: Pcm = np.zeros(round(self._lead_s * self._rate_hz), np.int16)
                    if lead.size:
                        yield await self._encode(encoder, lead)
                self._samples += len(pcm)
                yield await self._encode(encoder, pcm)
            if encoder is None:
                raise EngineFailed("the engine gave no audio for this text")
            tail = await self._run(encoder, 0.0, encoder.finish)
            finished = True
            yield tail
        finally:
            if self._opening is not None and not finished:
                self._services.encoders.submit(_abort_in_turn, self._opening, self._call)

    async def _open(self) -> Encoder:
        delivery = self._delivery
        if delivery.audio_format in _OPENED_AT_ONCE:
            encoder = self._services.open_encoder(
                delivery.audio_format, self._rate_hz, delivery.sample_rate_hz, streamed=delivery.streamed
            )
            self._opening = futures.Future()
            self._opening.set_result(encoder)
            return encoder
        self._opening = self._services.encoders.submit(
            self._services.open_encoder,
            delivery.audio_format,
            self._rate_hz,
            delivery.sample_rate_hz,
            streamed=delivery.streamed,
        )
        return await asyncio.wrap_future(self._opening)

    async def _encode(self, encoder: Encoder, pcm: Pcm) -> bytes:
        return await self._run(encoder, len(pcm) / self._rate_hz, encoder.encode, pcm)

    async def _run(
        self, encoder: Encoder, audio_s: float, call: Callable[P, bytes], *args: P.args, **kwargs: P.kwargs
    ) -> bytes:
        started_s = time.perf_counter()
        if encoder.light:
            data = call(*args, **kwargs)
        else:
            self._call = self._services.encoders.submit(timed, partial(call, *args, **kwargs))
            data, thread_s = await asyncio.wrap_future(self._call)
            self._services.encoders.encoded(self._share, audio_s, thread_s)
        seconds = time.perf_counter() - started_s
        self._speech.timings.encode_s += seconds
        self._services.meter.encoded(self._delivery.audio_format, seconds)
        if self._noted is not None:
            self._noted.called(seconds)
        return data


def _abort_in_turn(opening: futures.Future[Encoder], call: futures.Future[tuple[bytes, float]] | None) -> None:
    """Give an encoder up after the call it may still be in: never two calls at once. Runs in the threads, behind it."""
    futures.wait([opening])
    if call is not None:
        futures.wait([call])
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()

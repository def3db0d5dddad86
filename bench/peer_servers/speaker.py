"""What every peer serves: a text given as phone ids, line by line, spoken by our voice and answered whole, as a wav.

No peer reads text: `write_request` makes its phones beforehand, and reading costs it nothing. A line is spoken by one
run of each graph, as our own workers do it, from the same prepared weights; samples are the same.
"""

from __future__ import annotations

import io
import os
import sys
import wave
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from inference.frontend.phones import PHONES, Break, Phone, Position, Tone
from inference.script import Script
from inference.voice import Voice
from tts_server.audio import to_pcm

ROUTE: Final = "/api/tts"
"""Where all of them are asked: where our server is."""
MEDIA_TYPE: Final = "audio/wav"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the program of a peer is told, as JSON in its first argument."""

    pack: str
    cache_dir: str
    """Of prepared models, shared by the peer's workers as ours share them."""
    port: int
    cores: tuple[int, ...]
    """A worker on each."""
    nice: int
    """Of the workers, as ours are."""
    folder: str
    """For what it writes; removed when it has ended."""
    timeout_s: float | None = None
    """What the peer is to give a request, if it has such a setting; None: its own default."""

    @classmethod
    def given(cls) -> Settings:
        """Those of this program, in its workers too."""
        told = orjson.loads(sys.argv[1])
        return cls(**{**told, "cores": tuple(told["cores"])})

    def written(self) -> str:
        """As the argument."""
        return orjson.dumps(asdict(self)).decode()


class Speaker:
    """Keeps no state but the voice: threads may share it."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice

    @classmethod
    def load(cls, settings: Settings) -> Speaker:
        """The pack's voice, one thread to a run."""
        return cls(Voice.load(Path(settings.pack), cache_dir=Path(settings.cache_dir)))

    @classmethod
    def in_process(cls, settings: Settings, number: int) -> Speaker:
        """Worker `number`'s, in a process of its own: pinned before the voice is loaded, nice from then on."""
        settle(settings.cores[number], 0, _threads())
        speaker = cls.load(settings)
        settle(settings.cores[number], settings.nice, _threads())
        return speaker

    def speak(self, request: Mapping[str, Any]) -> bytes:
        """What `write_request` has written, as a wav."""
        rate_hz = self._voice.pack.sample_rate_hz
        pieces = []
        for line in request["lines"]:
            phones = [_phone(*ids) for ids in line["phones"]]
            pieces.append(to_pcm(self._voice.speak(phones, speaker=request["voice"]).audio))
            pieces.append(np.zeros(round(line["pause_s"] * rate_hz), np.int16))
        file = io.BytesIO()
        with wave.open(file, "wb") as wav:
            wav.setnchannels(1)
            wav.setsampwidth(2)
            wav.setframerate(rate_hz)
            wav.writeframes(np.concatenate(pieces[:-1]).data)  # nothing comes after the last pause
        return file.getvalue()


def write_request(script: Script, voice: str) -> bytes:
    """The body of a request for a text that was read."""
    lines = [{"phones": [phone.ids for phone in line.phones], "pause_s": line.pause_after_s} for line in script.lines]
    return orjson.dumps({"voice": voice, "lines": lines})


def settle(core: int, nice: int, threads: Sequence[int] = (0,)) -> None:
    """Keep these threads (0: the one that calls) on a core, and have others go first by so much more."""
    for thread in threads:
        os.sched_setaffinity(thread, {core})
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + nice)


def _threads() -> tuple[int, ...]:
    """All of this process: a framework may have started some before it calls us."""
    return tuple(int(folder.name) for folder in Path("/proc/self/task").iterdir())


@lru_cache(maxsize=1 << 14)  # some 5,000 combinations are met in ordinary text
def _phone(name: int, tone: int, position: int, break_: int) -> Phone:
    return Phone(PHONES[name], Tone(tone), Position(position), Break(break_))

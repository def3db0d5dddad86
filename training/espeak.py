"""libespeak-ng through ctypes: phoneme mnemonics in, samples and phoneme times out. A build-time program, GPL-3.

One process holds one espeak: the library keeps global state, so `Espeak` is made once per process.
"""

from __future__ import annotations

import ctypes as c
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 22_050

_SYNCHRONOUS, _PHONEME_EVENTS = 2, 1
_EVENT_END, _EVENT_PHONEME = 0, 7
_PHONEME_INPUT, _UTF8 = 0x100, 1
_RATE, _PITCH, _RANGE = 1, 3, 4


class _Name(c.Union):
    _fields_ = (("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8))


class _Event(c.Structure):
    _fields_ = (
        ("type", c.c_int),
        ("unique_id", c.c_uint),
        ("text_position", c.c_int),
        ("length", c.c_int),
        ("audio_ms", c.c_int),
        ("sample", c.c_int),
        ("user_data", c.c_void_p),
        ("id", _Name),
    )


_Callback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Event:
    """A phoneme as espeak spoke it: its mnemonic without stress marks, and its first sample."""

    name: str
    sample: int


class Espeak:
    """The synthesiser. `speak` returns float32 audio in -1..1 at 22,050 Hz and the phoneme events in order."""

    def __init__(self) -> None:
        self._library: Any = c.CDLL(espeakng_loader.get_library_path())
        self._steady = _steady_data()  # kept: its folder goes with it
        rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, self._steady.name.encode(), _PHONEME_EVENTS)
        if rate != SAMPLE_RATE_HZ:
            raise RuntimeError(f"espeak-ng did not start (answer {rate}); reinstall espeakng-loader")
        self._samples: list[NDArray[np.int16]] = []
        self._events: list[Event] = []
        self._callback = _Callback(self._receive)  # kept: ctypes does not hold it
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice = ""

    def speak(
        self, text: str, voice: str, *, words_per_minute: int, pitch: int, pitch_range: int
    ) -> tuple[NDArray[np.float32], list[Event]]:
        """Speak text, in which `[[…]]` holds mnemonics. pitch and pitch_range are espeak's 0–100 scales."""
        if voice != self._voice:
            if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise RuntimeError(f"espeak-ng has no voice {voice!r}")
            self._voice = voice
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._samples.clear()
        self._events.clear()
        raw = text.encode() + b"\0"
        self._library.espeak_Synth(raw, len(raw), 0, 1, 0, _UTF8 | _PHONEME_INPUT, None, None)
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
        return samples.astype(np.float32) / 32768.0, list(self._events)

    def _receive(self, samples: Any, count: int, events: Any) -> int:  # noqa: ANN401 (ctypes pointers)
        if samples and count > 0:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END:
            if events[index].type == _EVENT_PHONEME:
                name = events[index].id.string.decode("utf-8", "replace").lstrip("',%=")
                self._events.append(Event(name, events[index].sample))
            index += 1
        return 0


def _steady_data() -> TemporaryDirectory[str]:
    """espeak's data with every variant's flutter off: it bends pitch and lengths by a table that runs on from call to
    call, so that the same phones sounded otherwise each time (0.2 to 0.6 semitones) and nothing could learn it.
    """
    folder = TemporaryDirectory(prefix="espeak-")
    installed, ours = Path(espeakng_loader.get_data_path()), Path(folder.name) / "espeak-ng-data"
    variants = ours / "voices" / "!v"
    variants.mkdir(parents=True)
    for path in installed.iterdir():
        if path.name != "voices":
            (ours / path.name).symlink_to(path)
    for path in (installed / "voices" / "!v").iterdir():
        (variants / path.name).write_bytes(path.read_bytes() + b"\nflutter 0\n")
    return folder

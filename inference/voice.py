"""A parallel voice: phones → prosody graph → (pitch, phase: ours) → decoder graph → limiter → audio.

Two graphs rather than one, because what lies between them is the host's: durations are timestamps before any audio
exists, pitch is an addition, and the decoder is local, so that any stretch of a sentence can be decoded by itself.
Arrays are (B, N) for phones, (B, T) for frames, (S,) for samples; one frame is `hop_samples` samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from inference.frontend.phones import Phone
from inference.limiter import limit
from inference.pack import Pack, PackError, Speaker, load_pack
from inference.prepared import open_prepared
from inference.session import open_session
from inference.utterance import Manner, Utterance

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_INT64, _FLOAT = "tensor(int64)", "tensor(float)"
_PROSODY_INPUTS: Final = {"phones": _INT64, "lengths": _INT64, "speaker": _INT64, "rate": _FLOAT}
_PROSODY_OUTPUTS: Final = {"durations": _INT64, "frames": _FLOAT, "log_f0": _FLOAT, "voicing": _FLOAT}
_DECODER_INPUTS: Final = {"frames": _FLOAT, "log_f0": _FLOAT, "voicing": _FLOAT, "phase": _FLOAT, "start": _INT64}
_DECODER_OUTPUTS: Final = {"audio": _FLOAT}


@dataclass(frozen=True, slots=True, eq=False)
class Prosody:
    """How one utterance will sound, frame by frame, before it is audio."""

    durations: Ints  # (N,) frames of each phone
    frames: Floats  # (T, D) what the decoder reads
    log_f0: Floats  # (T,) natural log of Hz, the asked-for pitch included
    voicing: Floats  # (T,) 0..1
    phase: Floats  # (T,) cycles, [0, 1): the source at each frame's first sample
    gain: float  # linear

    @property
    def frame_count(self) -> int:
        """T."""
        return len(self.log_f0)


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """One utterance, spoken."""

    audio: Floats  # (S,) within ±limiter.CEILING
    durations: Ints  # (N,) frames of each phone
    sample_rate_hz: int
    hop_samples: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.audio) / self.sample_rate_hz

    @property
    def phone_ends_s(self) -> npt.NDArray[np.float64]:
        """(N,) when each phone ends, in seconds; it begins where the one before it ends."""
        return np.cumsum(self.durations).astype(np.float64) * (self.hop_samples / self.sample_rate_hz)


class Voice:
    """A loaded pack. Speaks the same samples for the same utterance, always. Keeps no state: threads may share it."""

    def __init__(self, pack: Pack, prosody: ort.InferenceSession, decoder: ort.InferenceSession) -> None:
        self.pack = pack
        self._prosody = prosody
        self._decoder = decoder
        self._speakers = {speaker.name: speaker for speaker in pack.speakers}

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1, cache_dir: Path | None = None) -> Voice:
        """Check the pack in `folder` and open its graphs; PackError says what is wrong with it.

        Processes that name the same `cache_dir` share the weights (`inference.prepared`).
        """
        pack = load_pack(folder)

        def opened(graph: Path) -> ort.InferenceSession:
            return open_prepared(graph, cache_dir, threads) if cache_dir else open_session(graph, threads=threads)

        prosody = _open_graph(pack, "prosody", pack.prosody, _PROSODY_INPUTS, _PROSODY_OUTPUTS, opened)
        decoder = _open_graph(pack, "decoder", pack.decoder, _DECODER_INPUTS, _DECODER_OUTPUTS, opened)
        return cls(pack, prosody, decoder)

    def speaker(self, name: str) -> Speaker:
        """The speaker of that name; ValueError, with those there are, if there is none."""
        if name not in self._speakers:
            known = ", ".join(sorted(self._speakers))
            raise ValueError(f"voice {name!r} is not in the pack {self.pack.name!r}; it has: {known}")
        return self._speakers[name]

    def speak(
        self,
        phones: Sequence[Phone],
        *,
        speaker: str,
        speed: float = 1.0,
        pitch_semitones: float = 0.0,
        energy_db: float = 0.0,
    ) -> Speech:
        """Say one sentence; ValueError if a setting is out of range or there is no such speaker."""
        manner = Manner(speaker, speed, pitch_semitones, energy_db)
        return self.speak_batch([Utterance(tuple(phones), manner)])[0]

    def speak_batch(self, utterances: Sequence[Utterance]) -> list[Speech]:
        """Say several sentences in one run of each graph.

        Every sentence costs as much as the longest, and on a CPU core a batch is no faster than one after another: it
        is for hardware that gains by it. Nobody sounds different for being in a batch.
        """
        prosodies = self.plan(utterances)
        audios = self._decode([(prosody, 0, prosody.frame_count) for prosody in prosodies])
        return [
            Speech(audio, prosody.durations, self.pack.sample_rate_hz, self.pack.hop_samples)
            for audio, prosody in zip(audios, prosodies, strict=True)
        ]

    def plan(self, utterances: Sequence[Utterance]) -> list[Prosody]:
        """The first half of speaking: a small part of the work, and all that timestamps need."""
        lengths = np.array([len(utterance.phones) for utterance in utterances], np.int64)
        phones = np.zeros((len(utterances), lengths.max(initial=0), 4), np.int64)  # (B, N, 4)
        for row, utterance in zip(phones, utterances, strict=True):
            row[: len(utterance.phones)] = [phone.ids for phone in utterance.phones]
        durations, frames, log_f0, voicing = self._prosody.run(
            list(_PROSODY_OUTPUTS),
            {
                "phones": phones,
                "lengths": lengths,
                "speaker": np.array([self.speaker(utterance.manner.speaker).id for utterance in utterances], np.int64),
                "rate": np.array([utterance.manner.speed for utterance in utterances], np.float32),
            },
        )
        prosodies = []
        for b, utterance in enumerate(utterances):
            own_durations = durations[b, : lengths[b]]
            end = int(own_durations.sum())
            own_log_f0 = log_f0[b, :end] + np.float32(utterance.manner.pitch_semitones * np.log(2) / 12)
            phase = _phase(own_log_f0, self.pack.hop_samples / self.pack.sample_rate_hz)
            gain = 10 ** (utterance.manner.energy_db / 20)
            prosodies.append(Prosody(own_durations, frames[b, :end], own_log_f0, voicing[b, :end], phase, gain))
        return prosodies

    def decode(self, prosody: Prosody, first: int, last: int) -> Floats:
        """The audio of frames `first` to `last` (not included), as they sound within the whole sentence.

        So the first words can be heard before the last are decoded; joined, such stretches are what `speak` gives.
        """
        return self._decode([(prosody, first, last)])[0]

    def _decode(self, stretches: Sequence[tuple[Prosody, int, int]]) -> list[Floats]:
        context, hop, stride = self.pack.context_frames, self.pack.hop_samples, self.pack.stride_frames
        windows = [  # each stretch with what its sound depends on at both sides, from the first frame of a step
            (prosody, max(0, first - context) // stride * stride, min(prosody.frame_count, last + context))
            for prosody, first, last in stretches
        ]
        if not any(end > start for _, start, end in windows):
            return [np.zeros(0, np.float32) for _ in stretches]
        (audio,) = self._decoder.run(
            list(_DECODER_OUTPUTS),
            {
                "frames": _stack([prosody.frames[start:end] for prosody, start, end in windows], stride),  # (B, T, D)
                "log_f0": _stack([prosody.log_f0[start:end] for prosody, start, end in windows], stride),  # (B, T)
                "voicing": _stack([prosody.voicing[start:end] for prosody, start, end in windows], stride),
                "phase": _stack([prosody.phase[start:end] for prosody, start, end in windows], stride),
                "start": np.array([start for _, start, _ in windows], np.int64),
            },
        )
        return [
            limit(row[(first - start) * hop : (last - start) * hop] * np.float32(prosody.gain))
            for row, (prosody, first, last), (_, start, _) in zip(
                audio.reshape(len(windows), -1), stretches, windows, strict=True
            )
        ]


def _open_graph(
    pack: Pack,
    role: str,
    graph: Path,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    opened: Callable[[Path], ort.InferenceSession],
) -> ort.InferenceSession:
    field, remedy = f"$.graphs.{role}.file", "export the pack again with the training code of this release"
    try:
        session = opened(graph)
    except Exception as error:  # onnxruntime's exceptions share no other base
        raise PackError(graph, field, f"onnxruntime cannot load it ({error})", remedy) from error
    for what, nodes, expected in (
        ("inputs", session.get_inputs(), inputs),
        ("outputs", session.get_outputs(), outputs),
    ):
        found = {node.name: node.type for node in nodes}
        if found != expected:
            raise PackError(graph, field, f"its {what} are {found}, not {expected}", remedy)
    width = next(node.shape[2] for node in [*session.get_inputs(), *session.get_outputs()] if node.name == "frames")
    if isinstance(width, int) and width != pack.width:
        raise PackError(graph, "$.width", f"is {pack.width}, the graph has {width} features a frame", remedy)
    return session


def _phase(log_f0: Floats, hop_s: float) -> Floats:
    """Where in its cycle the source is as each frame begins. Summed in float64: the error grows along a sentence."""
    cycles = np.exp(log_f0[:-1].astype(np.float64)) * hop_s
    phase = (np.concatenate([np.zeros(1), np.cumsum(cycles)])[: len(log_f0)] % 1.0).astype(np.float32)
    return np.where(phase < 1, phase, np.float32(0))  # float32 rounds 0.99999999 up to a whole cycle


def _stack(rows: Sequence[Floats], stride: int) -> Floats:
    """(B, T, …) from B arrays of (T, …), zeros after the shorter ones, which the decoder takes for their end.

    T is a multiple of the stride.
    """
    longest = -(-max(len(row) for row in rows) // stride) * stride
    if len(rows) == 1 and len(rows[0]) == longest:
        return rows[0][np.newaxis]
    stacked = np.zeros((len(rows), longest, *rows[0].shape[1:]), np.float32)
    for target, row in zip(stacked, rows, strict=True):
        target[: len(row)] = row
    return stacked

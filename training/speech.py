"""A voice in training speaks: the torch net at full precision, whole sentences, no pack needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inference.frontend.phones import Phone
from training.data import Utterance
from training.net import Voice, expand, phase_of


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence spoken: audio (T * HOP,) float32 in −1..1 and the length of each phone in frames (N,)."""

    audio: NDArray[np.float32]
    durations: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the heads say of a sentence, the pitch on given durations."""

    lengths: NDArray[np.float32]  # (N,) frames, not rounded
    log_f0: NDArray[np.float32]  # (T,)
    voiced: NDArray[np.bool_]  # (T,)


@torch.no_grad()
def say(net: Voice, phones: Sequence[Phone], speaker: int) -> Said:
    """Speak with the net's own durations and pitch."""
    ids = torch.tensor([[phone.ids for phone in phones]])
    encoded = net.encode(ids, torch.ones(1, len(phones), 1), torch.tensor([speaker]))
    durations = whole_frames(net.log_durations(encoded)[0].expm1().numpy())
    lengths = torch.from_numpy(durations)[None]
    phone, place, position, mask = expand(lengths, int(durations.sum()))
    log_f0, voicing = net.contour(encoded, phone, place)
    frames = net.frames(encoded, phone, position)
    audio = net.decode(frames, log_f0, (voicing > 0).float(), phase_of(log_f0), torch.zeros(1).long(), mask)
    return Said(audio[0].numpy(), durations)


@torch.no_grad()
def say_as(net: Voice, one: Utterance, *, start: int = 0) -> NDArray[np.float32]:
    """Speak with the durations and pitch of `one`. Another `start` takes other rows of the noise."""
    log_f0, voiced = torch.from_numpy(one.log_f0)[None], torch.from_numpy(one.voiced)[None].float()
    encoded, phone, _, position, mask = _on_durations_of(net, one)
    frames = net.frames(encoded, phone, position)
    audio = net.decode(frames, log_f0, voiced, phase_of(log_f0), torch.tensor([start]), mask)
    return np.asarray(audio[0].numpy())


@torch.no_grad()
def predict(net: Voice, one: Utterance) -> Prediction:
    """Lengths, and pitch and voicing on the durations of `one`."""
    encoded, phone, place, _, _ = _on_durations_of(net, one)
    log_f0, voicing = net.contour(encoded, phone, place)
    lengths = net.log_durations(encoded)[0].expm1()
    return Prediction(lengths.numpy(), log_f0[0].numpy(), (voicing[0] > 0).numpy())


def whole_frames(lengths: NDArray[np.float32]) -> NDArray[np.int64]:
    """Lengths in whole frames, at least one each; the rounding of one is made good by the next, as the pack does it."""
    ends = np.floor(np.cumsum(np.maximum(lengths, 1.0)) + 0.5).astype(np.int64)
    return np.diff(ends, prepend=0)


def _on_durations_of(
    net: Voice, one: Utterance
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    durations = torch.from_numpy(one.durations)[None]
    encoded = net.encode(torch.from_numpy(one.ids)[None], torch.ones(1, len(one.ids), 1), torch.tensor([one.speaker]))
    return encoded, *expand(durations, len(one.log_f0))

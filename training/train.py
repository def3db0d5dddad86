"""Teaches one voice. Fixed seeds, a checkpoint every few hundred steps, resumes where it stopped.

A step hears `BATCH` random windows of `WINDOW` frames with the teacher's own durations and pitch; the heads learn
durations and pitch (`prosody.taught`) of the whole sentence beside it.
"""

from __future__ import annotations

import ctypes
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from training.beginning import begin
from training.data import HOP, Utterance
from training.losses import OTHER_RESOLUTIONS, wave_loss
from training.net import NOISE_ROWS, SIZES, Voice, expand, phase_of
from training.prosody import taught

BATCH: Final = 8
WINDOW: Final = 128  # frames: 1.5 s, so that a tenth of them at most see the window's edge
PEAK_RATE: Final = 3e-3
PEAK_RATE_BEGUN: Final = 1.5e-3
"""Where nothing is random any more at the start."""
PEAK_RATE_FINISH: Final = 8e-4
"""Of a last stretch, which begins with the average that the one before it came to."""
MEL_WEIGHT: Final = 4.0
MEL_WEIGHT_FINISH: Final = 6.0
"""In the last stretch, what the report measures counts half as much again."""
WARM_UP: Final = 300
AVERAGING: Final = 0.9985  # of the weights; half of the average is the last 460 steps
CHECKPOINT_EVERY: Final = 500
ENGLISH: Final = 2.0
"""How much oftener an English sentence is heard than a Mandarin one: its sounds follow each other more freely, and are
learnt more slowly.
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """B sentences with a window of each; N phones and T frames at most, padded with 0."""

    ids: Tensor  # (B, N, 4)
    durations: Tensor  # (B, N) int64, the teacher's
    lengths: Tensor  # (B, N) float, to be learnt
    speaker: Tensor  # (B,)
    plain: Tensor  # (B,) float: 1 where durations and pitch are to be learnt
    log_f0: Tensor  # (B, T) the teacher's
    curve: Tensor  # (B, T) to be learnt
    voiced: Tensor  # (B, T) float
    first: Tensor  # (B,) first frame of the window
    audio: Tensor  # (B, WINDOW * HOP)

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def collate(utterances: list[Utterance], first: list[int], window: int) -> Batch:
    """Pad to the longest; windows that pass a sentence's end are silent there."""
    count = len(utterances)
    phones = max(len(one.ids) for one in utterances)
    frames = max(window, *(len(one.log_f0) for one in utterances))
    ids = np.zeros((count, phones, 4), np.int64)
    durations = np.zeros((count, phones), np.int64)
    lengths = np.zeros((count, phones), np.float32)
    log_f0 = np.full((count, frames), 5.0, np.float32)
    curve = np.full((count, frames), 5.0, np.float32)
    voiced = np.zeros((count, frames), np.float32)
    audio = np.zeros((count, window * HOP), np.float32)
    for row, one in enumerate(utterances):
        n, t = len(one.ids), len(one.log_f0)
        ids[row, :n], durations[row, :n], log_f0[row, :t], voiced[row, :t] = (
            one.ids,
            one.durations,
            one.log_f0,
            one.voiced,
        )
        lengths[row, :n], curve[row, :t] = taught(one.ids, one.durations, one.log_f0, one.voiced)
        piece = one.audio[first[row] * HOP : (first[row] + window) * HOP]
        audio[row, : len(piece)] = piece.astype(np.float32) / 32768.0
    return Batch(
        torch.from_numpy(ids), torch.from_numpy(durations), torch.from_numpy(lengths),
        torch.tensor([one.speaker for one in utterances]), torch.tensor([float(one.plain) for one in utterances]),
        torch.from_numpy(log_f0), torch.from_numpy(curve), torch.from_numpy(voiced), torch.tensor(first),
        torch.from_numpy(audio),
    )  # fmt: skip


def batches(utterances: list[Utterance], seed: int, first_step: int, stride: int = 1) -> Iterator[Batch]:
    """Endless random windows, each from the first frame of a decoder's step.

    The batch of a training step depends on the seed and the step's number alone, so training can resume.
    """
    step = first_step
    shares = np.array([1 + one.english * (ENGLISH - 1) for one in utterances])
    shares /= shares.sum()
    while True:
        rng = np.random.default_rng((seed, step))
        chosen = [utterances[index] for index in rng.choice(len(utterances), size=BATCH, p=shares)]
        first = [int(rng.integers(max(1, len(one.log_f0) - WINDOW + 1))) // stride * stride for one in chosen]
        yield collate(chosen, first, WINDOW)
        step += 1


def losses(voice: Voice, batch: Batch, step: int, mel_weight: float = MEL_WEIGHT) -> dict[str, Tensor]:
    """All terms, weighted as they are summed."""
    n_mask = (batch.durations > 0).unsqueeze(-1).float()
    with torch.autocast(batch.ids.device.type, torch.bfloat16):
        encoded = voice.encode(batch.ids, n_mask, batch.speaker)
        phone, place, position, mask = expand(batch.durations, batch.log_f0.shape[1])
        curve, voicing = voice.contour(encoded, phone, place)
        inside = (batch.first.unsqueeze(1) + torch.arange(WINDOW, device=batch.ids.device)).clamp(
            max=phone.shape[1] - 1
        )

        def cut(x: Tensor) -> Tensor:
            return x.gather(1, inside)

        frames = voice.frames(
            encoded, cut(phone), position.gather(1, inside.unsqueeze(-1).expand(-1, -1, position.shape[-1]))
        )
        log_f0 = cut(batch.log_f0)
        audio = voice.decode(
            frames,
            log_f0,
            cut(batch.voiced),
            phase_of(log_f0),
            batch.first % NOISE_ROWS,
            cut(mask[..., 0]).unsqueeze(-1),
        )
    spectral, mel = wave_loss(audio.float(), batch.audio, OTHER_RESOLUTIONS[step % len(OTHER_RESOLUTIONS)])
    plain = batch.plain.unsqueeze(1)
    duration = (voice.log_durations(encoded).float() - batch.lengths.log1p()).abs() * n_mask[..., 0] * plain
    speech = mask[..., 0] * plain
    pitch = (curve.float() - batch.curve).abs() * batch.voiced * speech
    voiced = functional.binary_cross_entropy_with_logits(voicing.float(), batch.voiced, reduction="none") * speech
    return {
        "spectral": spectral,
        "mel": mel_weight * mel,
        "duration": 2.0 * duration.sum() / (n_mask[..., 0] * plain).sum().clamp(min=1),
        "pitch": 8.0 * pitch.sum() / (batch.voiced * speech).sum().clamp(min=1),
        "voicing": 0.5 * voiced.sum() / speech.sum().clamp(min=1),
    }


@torch.no_grad()
def validation_mel(voice: Voice, utterances: list[Utterance]) -> float:
    """Log-mel L1 of whole sentences with the teacher's durations and pitch."""
    total = 0.0
    for one in utterances:
        batch = collate([one], [0], len(one.log_f0))
        encoded = voice.encode(batch.ids, torch.ones(1, len(one.ids), 1), batch.speaker)
        phone, _, position, mask = expand(batch.durations, batch.log_f0.shape[1])
        frames = voice.frames(encoded, phone, position)
        audio = voice.decode(frames, batch.log_f0, batch.voiced, phase_of(batch.log_f0), torch.zeros(1).long(), mask)
        total += float(wave_loss(audio, batch.audio, 512)[1])
    return total / len(utterances)


def train(
    size: str,
    utterances: list[Utterance],
    held_out: list[Utterance],
    folder: Path,
    *,
    steps: int,
    seed: int = 1,
    minutes: float = math.inf,
    threads: int = 1,
    pack: Path | None = None,
    finish: bool = False,
) -> Path:
    """Train, or go on training, and return the checkpoint. `minutes` ends the schedule early where time is short.

    `pack`: begin with the weights of that one, as far as they fit. `finish`: train for a last stretch what the
    checkpoint has; FileNotFoundError if there is none.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    _keep_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"{size}.pt"
    voice = Voice(SIZES[size]).to(device)
    peak = PEAK_RATE if pack is None or begin(voice, pack) else PEAK_RATE_BEGUN
    peak, mel_weight = (PEAK_RATE_FINISH, MEL_WEIGHT_FINISH) if finish else (peak, MEL_WEIGHT)
    average = Voice(SIZES[size]).to(device).eval()
    average.load_state_dict(voice.state_dict())
    optimiser = torch.optim.AdamW(voice.parameters(), peak, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    step, spent_s = _go_on(checkpoint, voice, average, optimiser, finish=finish)
    started = time.monotonic() - spent_s
    progress = tqdm(total=steps, initial=step, desc=size, unit="step", mininterval=5.0)
    stream = batches(utterances, seed, step, voice.size.stride)
    log = (folder / f"{size}.jsonl").open("a")
    while step < steps:
        spent_s = time.monotonic() - started
        done = max(step / steps, spent_s / (60 * minutes))
        rate = _set_rate(optimiser, peak, step, done)
        terms = losses(voice, next(stream).to(device), step, mel_weight)
        loss = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(voice.parameters(), 5.0)
        optimiser.step()
        keep = min(AVERAGING, (1 + step) / (10 + step))
        with torch.no_grad():
            for mean, new in zip(average.parameters(), voice.parameters(), strict=True):
                mean.lerp_(new, 1 - keep)
        step += 1
        progress.update()
        if step % CHECKPOINT_EVERY == 0 or step == steps or done >= 1:
            record = {name: round(float(value.detach()), 4) for name, value in terms.items()}
            record |= {"step": step, "minutes": round(spent_s / 60, 1), "rate": rate}
            record["validation_mel"] = round(validation_mel(average.cpu(), held_out), 4)
            average.to(device)
            progress.set_postfix(validation_mel=record["validation_mel"])
            print(json.dumps(record), file=log, flush=True)
            _save(checkpoint, voice, average, optimiser, step, spent_s, finishing=finish)
        if done >= 1:
            break
    progress.close()
    log.close()
    return checkpoint


def _go_on(
    checkpoint: Path, voice: Voice, average: Voice, optimiser: torch.optim.Optimizer, *, finish: bool
) -> tuple[int, float]:
    """Take up what the checkpoint has, if there is one: the step and the seconds that it has come to."""
    if not checkpoint.exists():
        if finish:
            raise FileNotFoundError(f"{checkpoint} is not there to be finished: train first")
        return 0, 0.0
    device = next(voice.parameters()).device
    state: dict[str, Any] = torch.load(checkpoint, map_location=device, weights_only=True)
    begins = finish and not state.get("finishing", False)
    voice.load_state_dict(state["average" if begins else "voice"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return (0, 0.0) if begins else (int(state["step"]), float(state["spent_s"]))


def _set_rate(optimiser: torch.optim.Optimizer, peak: float, step: int, done: float) -> float:
    """A short rise, then a cosine down to a hundredth as `done` goes from 0 to 1."""
    rate = peak * min(1.0, (step + 1) / WARM_UP) * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2)
    for group in optimiser.param_groups:
        group["lr"] = rate
    return rate


def _keep_memory() -> None:
    """Let glibc keep freed blocks: giving megabytes back to the kernel at every step and faulting them in again took a
    third of a step (0.49 s to 0.29 s, one core).
    """
    try:
        libc = ctypes.CDLL(None)
        for option in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            libc.mallopt(option, 1 << 30)
    except (OSError, AttributeError):
        return  # another libc: slower, not wrong


def _save(
    path: Path,
    voice: Voice,
    average: Voice,
    optimiser: torch.optim.Optimizer,
    step: int,
    spent_s: float,
    *,
    finishing: bool,
) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "voice": voice.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "step": step,
            "spent_s": spent_s,
            "finishing": finishing,
        },
        temporary,
    )
    temporary.replace(path)

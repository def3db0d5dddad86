"""The parallel voice: phones → durations and pitch → frames → wave, small, local and without a discriminator.

    prosody   embeddings → 4 ConvNeXt blocks over phones → duration of each phone; pitch and voicing at `KNOTS` points
    decoder   frames → ConvNeXt blocks → per frame and FFT bin: gain and phase of harmonics, gain of noise → overlap-add

A source-filter vocoder in the STFT domain: since the source's phase is known, spectral losses alone teach the filter
(the idea of NSF, Wang et al. 2019, arXiv:1904.12088, with the head of Vocos, Siuzdak 2023, arXiv:2306.00814, and
blocks of ConvNeXt, Liu et al. 2022, arXiv:2201.03545). Pitch is a line through a few points of each phone: Mandarin
tones are contours over a syllable, so a frame-wise net has nothing to add, and phones are eight times fewer than
frames.

Shapes: B sentences, N phones, T frames, S samples, D width, F bins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.frontend.phones import PHONES, Break, Position, Tone
from training.espeak import SAMPLE_RATE_HZ

HOP: Final = 256
FFT: Final = 512
BINS: Final = FFT // 2
"""Without half the sample rate itself: no voice has anything there."""
KNOTS: Final = 6
NOISE_ROWS: Final = 512  # 6 s before the noise repeats
LOBE_BINS: Final = 1.5
"""How far a harmonic is heard at each side: a sine window's main lobe."""
LOBE_FLOOR: Final = 0.14
"""Of a lobe before it is squared: −34 dB of a harmonic reach every bin, for what lies between harmonics is made of them
too, of their glides and swells, and noise cannot stand for it.
"""
NOISE_MODULUS: Final = 1.2
CENTRE: Final = (HOP - 1) / 2
"""Where a window's centre lies, samples after its hop begins."""
LOUDNESS: Final = FFT / math.pi * math.sqrt(2 / 0.48)
"""A sine window's sum over two, for harmonics whose power together is 1."""
POSITION_FEATURES: Final = 6
LOG_F0_MEAN: Final = 5.0  # 148 Hz
LOG_F0_SCALE: Final = 0.4  # both speakers lie within ±2

Activation = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a voice is. The standard voice and the light one differ in nothing else."""

    name: str
    width: int
    blocks: int
    kernel: int = 7
    stride: int = 1
    """Frames that the decoder's blocks take in one step: what a frame of its own needs is left to the head."""
    encoder_width: int = 192
    # A phone must know how its clause ends, which may be thirty phones on: with all at 1, the correlation of pitch fell
    # from 0.9 at six phones before a pause to 0.5 at fifteen.
    encoder_dilations: tuple[int, ...] = (1, 1, 3, 6)
    manner_dilations: tuple[int, ...] = (1, 4, 9)
    speakers: int = 2

    @property
    def frame_width(self) -> int:
        """Features of a frame, between the two halves."""
        return self.width // self.stride

    @property
    def context_frames(self) -> int:
        """How far at each side a frame's samples depend on others: what the blocks reach, and the overlap."""
        return self.blocks * (self.kernel // 2) * self.stride + self.stride


SIZES: Final = {
    size.name: size
    for size in (Size("standard", 224, 6), Size("light", 160, 4, kernel=5, stride=2, encoder_width=128,
                                                encoder_dilations=(1, 3, 6)))
}  # fmt: skip


class Block(nn.Module):
    """ConvNeXt: depthwise convolution along time, then two matrix products per position. (B, T, C) → (B, T, C)."""

    def __init__(
        self, width: int, factor: int, dilation: int = 1, kernel: int = 7, activation: Activation = functional.gelu
    ) -> None:
        super().__init__()
        self.activation = activation
        reach = dilation * (kernel // 2)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=reach, dilation=dilation, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.up = nn.Linear(width, factor * width)
        self.down = nn.Linear(factor * width, width)
        nn.init.normal_(self.down.weight, std=0.02)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """mask (B, T, 1) is 1 inside the sentence: what lies beyond its end must not leak into it."""
        y: Tensor = self.depthwise((x * mask).transpose(1, 2)).transpose(1, 2)
        change: Tensor = self.down(self.activation(self.up(self.norm(y))))
        return x + change


class Encoder(nn.Module):
    """Phones in context. ids (B, N, 4) → (B, N, E)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.encoder_width
        counts = (len(PHONES), len(Tone), len(Position), len(Break))
        self.embeddings = nn.ModuleList(nn.Embedding(count, width) for count in counts)
        self.speaker = nn.Embedding(size.speakers, width)
        self.blocks = nn.ModuleList(Block(width, 3, dilation) for dilation in size.encoder_dilations)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        for embedding in (*self.embeddings, self.speaker):
            nn.init.normal_(embedding.weight, std=0.3)

    def forward(self, ids: Tensor, mask: Tensor, speaker: Tensor) -> Tensor:
        """(B, N, 4), (B, N, 1), (B,) → (B, N, E)."""
        x = self.speaker(speaker).unsqueeze(1).expand(-1, ids.shape[1], -1)
        for index, embedding in enumerate(self.embeddings):
            x = x + embedding(ids[..., index])
        for block in self.blocks:
            x = block(x, mask)
        out: Tensor = self.norm(x)
        return out


class Voice(nn.Module):
    """Both halves. What the decoder hears of the text comes from the encoder; the heads of durations and pitch look
    farther, through blocks of their own.
    """

    inverse: Tensor
    noise: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.encoder = Encoder(size)
        self.manner = nn.ModuleList(Block(size.encoder_width, 3, dilation) for dilation in size.manner_dilations)
        self.manner_norm = nn.LayerNorm(size.encoder_width, eps=1e-6)
        self.duration = nn.Sequential(nn.Linear(size.encoder_width, 96), nn.GELU(), nn.Linear(96, 1))
        self.pitch = nn.Sequential(nn.Linear(size.encoder_width, 192), nn.GELU(), nn.Linear(192, 2 * KNOTS))
        self.phone_to_frame = nn.Linear(size.encoder_width, size.frame_width)
        self.position_to_frame = nn.Linear(POSITION_FEATURES, size.frame_width)
        self.source_to_frame = nn.Linear(2, size.frame_width)
        # x σ(x), for which onnxruntime needs two thirds of Gelu's time
        self.blocks = nn.ModuleList(
            Block(size.width, 3, kernel=size.kernel, activation=functional.silu) for _ in range(size.blocks)
        )
        self.norm = nn.LayerNorm(size.width, eps=1e-6)
        self.head = nn.Linear(size.width, size.stride * 3 * BINS)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.view(size.stride, 3, BINS).copy_(torch.tensor([-3.0, 0.0, -4.0]).unsqueeze(1))
        self.register_buffer("inverse", inverse_fourier(), persistent=False)  # (2, BINS, HOP): even, odd
        self.register_buffer("noise", noise_table(), persistent=False)  # (NOISE_ROWS, 2 * BINS)

    def encode(self, ids: Tensor, mask: Tensor, speaker: Tensor) -> Tensor:
        """(B, N, 4), (B, N, 1), (B,) → (B, N, 2 E): what is said, then how."""
        said: Tensor = self.encoder(ids, mask, speaker)
        how = said
        for block in self.manner:
            how = block(how, mask)
        return torch.cat([said, self.manner_norm(how)], -1)

    def log_durations(self, encoded: Tensor) -> Tensor:
        """log(1 + frames) of each phone at the speaker's own rate, (B, N)."""
        out: Tensor = self.duration(encoded[..., self.size.encoder_width :]).squeeze(-1)
        return out

    def contour(self, encoded: Tensor, phone_of_frame: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """log F0 and voicing logit of each frame, (B, T), on the line through the knots of its phone.

        phone_of_frame (B, T) int64; place (B, T) in 0..1 is where in its phone the frame's centre lies.
        """
        knots = self.pitch(encoded[..., self.size.encoder_width :])  # (B, N, 2 * KNOTS)
        at = knots.gather(1, phone_of_frame.unsqueeze(-1).expand(-1, -1, 2 * KNOTS))
        weights = hat_weights(place)  # (B, T, KNOTS)
        log_f0 = LOG_F0_MEAN + LOG_F0_SCALE * (at[..., :KNOTS] * weights).sum(-1)
        return log_f0, (at[..., KNOTS:] * weights).sum(-1)

    def frames(self, encoded: Tensor, phone_of_frame: Tensor, position: Tensor) -> Tensor:
        """What the decoder hears of the text: (B, N, 2 E), (B, T), (B, T, 6) → (B, T, D)."""
        phones = self.phone_to_frame(encoded[..., : self.size.encoder_width])
        index = phone_of_frame.unsqueeze(-1).expand(-1, -1, phones.shape[-1])
        out: Tensor = phones.gather(1, index) + self.position_to_frame(position)
        return out

    def decode(
        self, frames: Tensor, log_f0: Tensor, voicing: Tensor, phase: Tensor, start: Tensor, mask: Tensor
    ) -> Tensor:
        """Frames to wave: (B, T, D), (B, T), (B, T), (B, T), (B,), (B, T, 1) → (B, T * HOP). See docs/voice-pack.md."""
        source = torch.stack([(log_f0 - LOG_F0_MEAN) / LOG_F0_SCALE, voicing], -1)
        x, steps = self._steps((frames + self.source_to_frame(source)) * mask, mask)
        for block in self.blocks:
            x = block(x, steps)
        said = self.head(self.norm(x)).float().reshape(len(x), -1, 3 * BINS)
        gain, angle, noise_gain = said[:, : frames.shape[1]].split(BINS, -1)
        # exp is bounded: e^4 is 35 dB above anything the teacher says
        gain, noise_gain = gain.clamp(max=4.0).exp() * mask, noise_gain.clamp(max=4.0).exp() * mask
        lobe, turns = harmonics(log_f0.float(), phase.float())
        gain, angle = gain * lobe, angle + 2 * torch.pi * turns
        row = (start.unsqueeze(1) + torch.arange(frames.shape[1], device=frames.device)) % NOISE_ROWS
        noise = self.noise[row]
        return self._wave(
            gain * angle.cos() + noise_gain * noise[..., :BINS], gain * angle.sin() + noise_gain * noise[..., BINS:]
        )

    def _steps(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Frames side by side, as the blocks take them: (B, T, D), (B, T, 1) → (B, T / stride, D * stride), and mask.

        What is missing of the last step is 0.
        """
        stride = self.size.stride
        missing = -x.shape[1] % stride
        return functional.pad(x, (0, 0, 0, missing)).reshape(len(x), -1, self.size.width), mask[:, ::stride]

    def _wave(self, real: Tensor, imaginary: Tensor) -> Tensor:
        even, odd = real @ self.inverse[0], imaginary @ self.inverse[1]
        window = torch.cat([even + odd, (even - odd).flip(-1)], -1)  # (B, T, FFT)
        before, middle, after = window[..., : HOP // 2], window[..., HOP // 2 : -HOP // 2], window[..., -HOP // 2 :]
        from_previous = functional.pad(after[:, :-1], (0, 0, 1, 0))
        from_next = functional.pad(before[:, 1:], (0, 0, 0, 1))
        return (middle + torch.cat([from_previous, from_next], -1)).flatten(1)


def inverse_fourier() -> Tensor:
    """Folded inverse DFT with a sine window, (2, BINS, HOP). Phase is zero at the window's centre.

    About its centre a window's even part comes of the real part of a spectrum, its odd part of the imaginary one. What
    the net multiplies has a lobe much like a sine window's already: with this one it is Hann's, which adds up to 1 at
    half overlap.
    """
    n = torch.arange(HOP, dtype=torch.float64)
    k = torch.arange(BINS, dtype=torch.float64)
    window = torch.sin(torch.pi * (n + 0.5) / FFT)
    angle = 2 * torch.pi * torch.outer(n - (FFT - 1) / 2, k) / FFT
    weight = torch.full((BINS,), 2.0 / FFT, dtype=torch.float64)
    weight[0] = 1.0 / FFT
    real, imaginary = window[:, None] * angle.cos() * weight, -window[:, None] * angle.sin() * weight
    return torch.stack([real.T, imaginary.T]).float()


def noise_table() -> Tensor:
    """Rows of complex noise, the same for ever: what a sentence sounds like does not depend on when it is said.

    Chance is in the angles alone: how loud each bin is says the net. (NOISE_ROWS, 2 * BINS), rounded to int8 steps of
    1/32, as the pack stores it.
    """
    generator = torch.Generator().manual_seed(20_261_122)
    angle = 2 * torch.pi * torch.rand(NOISE_ROWS, BINS, generator=generator)
    table = NOISE_MODULUS * torch.cat([angle.cos(), angle.sin()], 1)
    return (table * 32).round() / 32


def harmonics(log_f0: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
    """The source as a window about each frame's centre hears it: (B, T) log Hz and cycles → amount and angle of each
    bin, (B, T, BINS), the angle in turns.

    A pulse train's spectrum under a sine window, but that a bin hears the one harmonic next to it, and of that the main
    lobe, cos πx / (1 − 4x²), for which (1 − (x / 1.5)²)² stands. Its power is the same at any pitch. To make the pulses
    and transform them took a fifth of the decoder's time.
    """
    step = log_f0.exp().unsqueeze(-1) / SAMPLE_RATE_HZ  # cycles a sample
    bins = torch.arange(BINS, device=log_f0.device, dtype=log_f0.dtype)
    number = (bins / (step * FFT)).round().clamp(min=1)
    distance = (bins - number * step * FFT) / LOBE_BINS
    lobe = (1 - distance.square()).clamp(min=LOBE_FLOOR).square()
    return lobe * (LOUDNESS * step.sqrt()), number * (phase.unsqueeze(-1) + step * CENTRE)


def hat_weights(place: Tensor) -> Tensor:
    """Linear interpolation between KNOTS evenly spaced points: (B, T) in 0..1 → (B, T, KNOTS), rows adding up to 1."""
    knots = torch.arange(KNOTS, device=place.device, dtype=place.dtype)
    return (1 - (place.unsqueeze(-1) * (KNOTS - 1) - knots).abs()).clamp(min=0)


def expand(durations: Tensor, frames: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames of a sentence from its phones' lengths in frames: (B, N) int64, T → indices and positions.

    Returns phone_of_frame (B, T), place (B, T), position (B, T, 6) and mask (B, T, 1).
    """
    ends = durations.cumsum(1)
    t = torch.arange(frames, device=durations.device)
    phone = (t[None, :, None] >= ends[:, None, :]).sum(-1)
    mask = (t[None] < ends[:, -1:]).unsqueeze(-1).float()
    phone = phone.clamp(max=durations.shape[1] - 1)
    length = durations.gather(1, phone).float().clamp(min=1)
    before = (t[None] - (ends - durations).gather(1, phone)).float()
    place = ((before + 0.5) / length).clamp(0, 1)
    after = length - 1 - before
    position = torch.stack(
        [place, (torch.pi * place).sin(), 1 / (1 + before.clamp(min=0)), 1 / (1 + after.clamp(min=0)),
         length.log() * 0.5, length.reciprocal()], -1
    )  # fmt: skip
    return phone, place, position, mask


def phase_of(log_f0: Tensor) -> Tensor:
    """Cycles of the source at the first sample of each frame, in [0, 1): (B, T) → (B, T)."""
    turns = log_f0.double().exp() * (HOP / SAMPLE_RATE_HZ)
    total = turns.cumsum(-1) - turns
    return (total - total.floor()).float()

"""From a checkpoint to a pack: two ONNX graphs, int8 or float32, and voice.json.

The contract of the graphs is docs/voice-pack.md; they say the same as `net.Voice`, which tests hold them to.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from inference.frontend.phones import TABLE_VERSION
from training.data import Utterance
from training.espeak import SAMPLE_RATE_HZ
from training.graph import FLOAT, INT64, MICROSOFT, Graph, Range
from training.net import (
    BINS,
    FFT,
    HOP,
    KERNEL,
    KNOTS,
    LOG_F0_MEAN,
    LOG_F0_SCALE,
    NOISE_ROWS,
    SIZES,
    Block,
    Voice,
    expand,
    phase_of,
)
from training.teacher import SPEAKERS

Precision = Literal["int8", "fp32"]
_LICENSE: Final = "Apache-2.0"
_DESCRIPTION: Final = {
    "standard": "the standard voice: Mandarin and English, two speakers",
    "light": "the smaller and faster voice, for when the standard one is too slow",
}


@dataclass(frozen=True, slots=True)
class Record:
    """How a voice came to be, for voice.json."""

    commit: str
    seed: int
    hours: float
    steps: int
    losses: Mapping[str, float]


def load_checkpoint(path: Path) -> Voice:
    """The averaged weights of a checkpoint, ready to speak."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    voice = Voice(SIZES[path.stem])
    voice.load_state_dict(state["average"])
    return voice.eval()


def export(
    voice: Voice, folder: Path, record: Record, calibration: list[Utterance], precision: Precision = "int8"
) -> Path:
    """Write the pack and return its folder. calibration: sentences that show how large activations grow."""
    folder.mkdir(parents=True, exist_ok=True)
    if precision == "int8":
        voice = with_sigmoid(voice, calibration)
    ranges = activation_ranges(voice, calibration) if precision == "int8" else None
    graphs = {"prosody": prosody_graph(voice, ranges), "decoder": decoder_graph(voice, ranges)}
    files = {name: _write(folder / f"{name}.onnx", graph) for name, graph in graphs.items()}
    manifest = {
        "format": "1",
        "name": folder.name,
        "kind": "parallel",
        "description": _DESCRIPTION.get(folder.name, "a parallel voice"),
        "license": _LICENSE,
        "languages": ["zh", "en"],
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "hop_samples": HOP,
        "width": voice.size.width,
        "context_frames": voice.size.blocks * (KERNEL // 2) + 1,  # and one frame of overlap
        "phone_table_version": TABLE_VERSION,
        "precision": precision,
        "graphs": files,
        "speakers": [
            {
                "id": number,
                "name": speaker.name,
                "gender": speaker.gender,
                "languages": ["zh", "en"],
                "description": speaker.description,
                "base_f0_hz": _base_f0_hz(calibration, number),
            }
            for number, speaker in enumerate(SPEAKERS)
        ],
        "training": {
            "commit": record.commit,
            "seed": record.seed,
            "hours": round(record.hours, 2),
            "steps": record.steps,
            "losses": dict(record.losses),
            "teacher": "espeak-ng 1.52 (espeakng-loader), voices cmn-latn-pinyin and en-us, variants "
            + ", ".join(speaker.variant for speaker in SPEAKERS),
        },
    }
    (folder / "voice.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return folder


def _write(path: Path, model: onnx.ModelProto) -> dict[str, str | int]:
    content = model.SerializeToString(deterministic=True)
    path.write_bytes(content)
    return {"file": path.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _base_f0_hz(utterances: list[Utterance], speaker: int) -> float:
    heard = [one.log_f0[one.voiced] for one in utterances if one.speaker == speaker and one.plain]
    return round(float(np.exp(np.median(np.concatenate(heard)))), 1) if heard else 150.0


class SigmoidBlock(Block):
    """A block whose hidden values go through x σ(x) instead of Gelu. It is made from one that has learnt."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """As `Block` does it."""
        y: Tensor = self.depthwise((x * mask).transpose(1, 2)).transpose(1, 2)
        change: Tensor = self.down(functional.silu(self.up(self.norm(y))))
        return x + change


@torch.no_grad()
def with_sigmoid(voice: Voice, utterances: list[Utterance]) -> Voice:
    """The same net, but for what int8 rounds away anyhow, with `SigmoidBlock`s in its decoder.

    x σ(bx) is near Gelu, and the b that is best where a channel's values lie, and the mean of what is still missing, go
    into the weights at both sides. The decoder becomes 1.06 (light) to 1.1 (standard) times as fast. By log-mel L1 the
    nets are 0.01 apart, where int8 and float32 are 0.11.
    """
    blocks = [block for block in voice.blocks if isinstance(block, Block)]
    moments = [torch.zeros(3, block.up.out_features, dtype=torch.float64) for block in blocks]  # Σ1, Σx, Σx²

    def watch(sums: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(_: nn.Module, __: tuple[Tensor, ...], hidden: Tensor) -> None:
            rows = hidden.double().flatten(0, -2)
            sums.add_(torch.stack([torch.ones_like(rows), rows, rows.square()]).sum(1))

        return note

    hooks = [block.up.register_forward_hook(watch(sums)) for block, sums in zip(blocks, moments, strict=True)]
    _say(voice, utterances)
    for hook in hooks:
        hook.remove()
    fitted = copy.deepcopy(voice)
    for number, (block, (count, total, squares)) in enumerate(zip(blocks, moments, strict=True)):
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=1e-6).sqrt()
        fitted.blocks[number] = _sigmoid_block(block, mean, deviation)
    return fitted


def _sigmoid_block(block: Block, mean: Tensor, deviation: Tensor) -> SigmoidBlock:
    """mean, deviation (hidden): where the hidden values lie; they are taken for normal."""
    made = SigmoidBlock(block.norm.normalized_shape[0], block.up.out_features // block.up.in_features)
    made.load_state_dict(block.state_dict())
    places, shares = (torch.from_numpy(values) for values in np.polynomial.hermite_e.hermegauss(41))
    x = mean.unsqueeze(1) + deviation.unsqueeze(1) * places  # (hidden, places)
    slopes = torch.arange(1.4, 2.6, 0.02, dtype=torch.float64).view(-1, 1, 1)
    missing = functional.gelu(x) - x * torch.sigmoid(slopes * x)  # (slopes, hidden, places)
    missed = (missing * shares).sum(-1, keepdim=True) / shares.sum()
    best = ((missing - missed).square() * shares).sum(-1).argmin(0)  # (hidden)
    slope = slopes.flatten()[best].float()
    missed = missed.squeeze(-1).gather(0, best.unsqueeze(0)).squeeze(0).float()
    made.down.bias.add_(made.down.weight @ missed)
    made.down.weight.div_(slope)
    made.up.weight.mul_(slope.unsqueeze(1))
    made.up.bias.mul_(slope)
    return made.eval()


@torch.no_grad()
def activation_ranges(voice: Voice, utterances: list[Utterance]) -> dict[str, Range]:
    """Smallest and largest input of every large matrix product, by module name, over whole sentences."""
    ranges: dict[str, Range] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = float(inputs[0].min()), float(inputs[0].max())
            seen = ranges.get(name, (low, high))
            ranges[name] = (min(low, seen[0]), max(high, seen[1]))

        return note

    large = {
        name: module for name, module in voice.named_modules() if name.endswith((".up", ".down")) or name == "head"
    }
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in large.items()]
    _say(voice, utterances)
    for hook in hooks:
        hook.remove()
    return ranges


def _say(voice: Voice, utterances: list[Utterance]) -> None:
    """All of the net, once for each sentence, with the teacher's durations and pitch."""
    for one in utterances:
        ids = torch.from_numpy(one.ids).unsqueeze(0)
        durations = torch.from_numpy(one.durations).unsqueeze(0)
        log_f0 = torch.from_numpy(one.log_f0).unsqueeze(0)
        voiced = torch.from_numpy(one.voiced.astype(np.float32)).unsqueeze(0)
        encoded = voice.encode(ids, torch.ones(1, ids.shape[1], 1), torch.tensor([one.speaker]))
        phone, _, position, mask = expand(durations, log_f0.shape[1])
        frames = voice.frames(encoded, phone, position)
        voice.decode(frames, log_f0, voiced, phase_of(log_f0), torch.zeros(1, dtype=torch.int64), mask)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().numpy().astype(np.float32)


def _linear(g: Graph, x: str, module: nn.Module, name: str = "") -> str:
    assert isinstance(module, nn.Linear)
    return g.linear(x, _array(module.weight).T, _array(module.bias), name)


def _norm(g: Graph, x: str, module: nn.LayerNorm) -> str:
    return g.layer_norm(x, _array(module.weight), _array(module.bias))


def _block(g: Graph, x: str, mask: str, block: nn.Module, name: str) -> str:
    """(B, 1, T, C) → the same; mask (B, 1, T, 1)."""
    assert isinstance(block, Block)
    assert block.depthwise.bias is not None
    y = g.depthwise(
        g.op("Mul", x, mask), _array(block.depthwise.weight), _array(block.depthwise.bias), block.depthwise.dilation[0]
    )
    y = _linear(g, _norm(g, y, block.norm), block.up, f"{name}.up")
    sigmoid = isinstance(block, SigmoidBlock)
    hidden = g.op("QuickGelu", y, domain=MICROSOFT, alpha=1.0) if sigmoid else g.op("Gelu", y)
    return g.op("Add", x, _linear(g, hidden, block.down, f"{name}.down"))


def prosody_graph(voice: Voice, ranges: Mapping[str, Range] | None) -> onnx.ModelProto:
    """phones (B, N, 4), lengths (B,), speaker (B,), rate (B,) → durations, frames, log_f0, voicing."""
    g = Graph("prosody", ranges)
    encoder = voice.encoder
    tables = [_array(embedding.weight) for embedding in encoder.embeddings if isinstance(embedding, nn.Embedding)]
    firsts = np.cumsum([0, *(len(table) for table in tables[:-1])])  # all in one table, one after another
    of_phone = g.op("Gather", g.constant(np.concatenate(tables)), g.op("Add", "phones", g.ints(*firsts)))
    of_speaker = g.unsqueeze(g.op("Gather", g.constant(_array(encoder.speaker.weight)), "speaker"), 1)
    x = g.op("Add", g.op("ReduceSum", of_phone, g.ints(2), keepdims=0), of_speaker)  # (B, N, E)
    count = g.op("Gather", g.op("Shape", "phones"), g.constant(np.array(1, np.int64)))
    real = g.op("Cast", g.op("Less", _range(g, count), g.unsqueeze("lengths", 1)), to=FLOAT)  # (B, N)
    x, mask = g.unsqueeze(x, 1), g.op("Unsqueeze", real, g.ints(1, 3))  # (B, 1, N, E), as `Graph.depthwise` has it
    for number, block in enumerate(encoder.blocks):
        x = _block(g, x, mask, block, f"encoder.blocks.{number}")
    said = _norm(g, x, encoder.norm)
    how = said
    for number, block in enumerate(voice.manner):
        how = _block(g, how, mask, block, f"manner.{number}")
    said, how = (g.op("Squeeze", one, g.ints(1)) for one in (said, _norm(g, how, voice.manner_norm)))

    knots = _linear(g, g.op("Gelu", _linear(g, how, voice.pitch[0])), voice.pitch[2])  # (B, N, 2 KNOTS)
    ends = _ends(g, how, voice, real)
    starts = g.op("Pad", g.cut(ends, 1, 0, -1), g.ints(0, 1, 0, 0, 0, 0))
    lengths = g.op("Sub", ends, starts)
    g.op("Cast", g.op("Squeeze", lengths, g.ints(2)), name="durations", to=INT64)

    # A frame's phone is the one that as many others lie before as have ended by then.
    time = g.unsqueeze(g.op("Range", g.scalar(0.0), g.op("ReduceMax", ends, keepdims=0), g.scalar(1.0)), 1)  # (T, 1)
    ended = g.op("GreaterOrEqual", time, g.op("Transpose", ends, perm=[0, 2, 1]))  # (B, T, N)
    passed = g.op("ReduceSum", g.op("Cast", ended, to=FLOAT), g.ints(2))
    last = g.op("Unsqueeze", g.op("Sub", "lengths", g.constant(np.array(1, np.int64))), g.ints(1, 2))
    phone = g.op("Min", g.op("Cast", passed, to=INT64), last)  # (B, T, 1)
    own = g.op("GatherND", g.op("Concat", starts, lengths, knots, axis=2), phone, batch_dims=1)
    start, length, pitch, voicing = g.split(own, [1, 1, KNOTS, KNOTS])
    before = g.op("Sub", time, start)
    place = g.op("Div", g.op("Add", before, g.scalar(0.5)), length)  # (B, T, 1)

    to_frame = g.linear(said, _array(voice.phone_to_frame.weight).T, _frame_bias(voice))
    position = g.linear(_position(g, place, before, length), _array(voice.position_to_frame.weight).T, None)
    g.op("Add", g.op("GatherND", to_frame, phone, batch_dims=1), position, name="frames")

    # Pitch and voicing: on the line through the knots of the phone.
    at = g.op("Mul", place, g.scalar(KNOTS - 1))
    distance = g.op("Abs", g.op("Sub", at, g.constant(np.arange(KNOTS, dtype=np.float32))))
    weights = g.op("Relu", g.op("Sub", g.scalar(1.0), distance))
    height = g.op("ReduceSum", g.op("Mul", pitch, weights), g.ints(2), keepdims=0)
    g.op("Add", g.op("Mul", height, g.scalar(LOG_F0_SCALE)), g.scalar(LOG_F0_MEAN), name="log_f0")
    logit = g.op("ReduceSum", g.op("Mul", voicing, weights), g.ints(2), keepdims=0)
    g.op("Cast", g.op("Greater", logit, g.scalar(0.0)), name="voicing", to=FLOAT)
    return g.model(
        {
            "phones": (INT64, ["B", "N", 4]),
            "lengths": (INT64, ["B"]),
            "speaker": (INT64, ["B"]),
            "rate": (FLOAT, ["B"]),
        },
        {
            "durations": (INT64, ["B", "N"]),
            "frames": (FLOAT, ["B", "T", voice.size.width]),
            "log_f0": (FLOAT, ["B", "T"]),
            "voicing": (FLOAT, ["B", "T"]),
        },
    )


def _ends(g: Graph, how: str, voice: Voice, real: str) -> str:
    """The frame at which each phone ends, (B, N, 1), whole numbers.

    No phone is shorter than a frame, and the rounding of one is made good by the next.
    """
    log_duration = _linear(g, g.op("Gelu", _linear(g, how, voice.duration[0])), voice.duration[2])  # (B, N, 1)
    natural = g.op("Sub", g.op("Exp", log_duration), g.scalar(1.0))
    scaled = g.op("Max", g.op("Div", natural, g.op("Unsqueeze", "rate", g.ints(1, 2))), g.scalar(1.0))
    sums = g.op("CumSum", g.op("Mul", scaled, g.unsqueeze(real, 2)), g.constant(np.array(1, np.int64)))
    # not Round: it takes halves to even, and a phone between 1.5 and 2.5 would vanish
    return g.op("Floor", g.op("Add", sums, g.scalar(0.5)))


def _position(g: Graph, place: str, before: str, length: str) -> str:
    """Where in its phone a frame lies, as `net.expand` tells it: (B, T, 1) each → (B, T, POSITION_FEATURES)."""
    one = g.scalar(1.0)
    after = g.op("Max", g.op("Sub", g.op("Sub", length, one), before), g.scalar(0.0))
    return g.op(
        "Concat",
        place,
        g.op("Sin", g.op("Mul", place, g.scalar(np.pi))),
        g.op("Reciprocal", g.op("Add", before, one)),
        g.op("Reciprocal", g.op("Add", after, one)),
        g.op("Mul", g.op("Log", length), g.scalar(0.5)),
        g.op("Reciprocal", length),
        axis=2,
    )


def _frame_bias(voice: Voice) -> NDArray[np.float32]:
    """What is added to every frame alike. Phones, eight times fewer, bring it along, and the decoder adds nothing."""
    layers = voice.phone_to_frame, voice.position_to_frame, voice.source_to_frame
    bias = sum(_array(layer.bias) for layer in layers)
    return np.asarray(bias - _array(voice.source_to_frame.weight)[:, 0] * (LOG_F0_MEAN / LOG_F0_SCALE), np.float32)


def _range(g: Graph, end: str) -> str:
    return g.op("Range", g.constant(np.array(0, np.int64)), end, g.constant(np.array(1, np.int64)))


# Nearly all that is not a matrix product costs the same: a pass over an array in memory. So the decoder makes few of
# them. A factor or an order that is known at export is put into a weight or a table, and what will be folded is made in
# the order in which it is folded. Against operators that followed `net` line by line the decoder is 1.15 (standard) to
# 1.2 (light) times as fast.
#
# The Fourier transforms are those of `net`, folded once more: a folded window's angles at n and HOP − 1 − n add up
# to kπ, so even and odd bins each need half of it. Bins therefore come as 0, 2 … 254, 1, 3 … 255 throughout the graph.
# Bin 256, half the sample rate, is left out: pulses end below it, and no voice has noise there.
_BIN_ORDER: Final = np.concatenate([np.arange(0, BINS - 1, 2), np.arange(1, BINS - 1, 2)])
_BINS: Final = len(_BIN_ORDER)
_QUARTER: Final = np.arange(HOP // 2)
"""Samples of the first quarter of a window, from its start to halfway to its centre."""
_SAMPLE_ORDER: Final = np.concatenate([HOP // 2 + _QUARTER, _QUARTER[::-1]])
"""Samples of a hop of the source: its second half, and its first half backwards."""
_NOISE_STEPS: Final = 32
_LOUDEST: Final = 4.0
"""exp of gains is bounded: e^4 is 35 dB above anything the teacher says."""
_SILENT: Final = -200.0
"""exp of this is 0."""


def decoder_graph(voice: Voice, ranges: Mapping[str, Range] | None) -> onnx.ModelProto:
    """frames (B, T, D), log_f0, voicing, phase (B, T), start (B,) → audio (B, T * HOP). log_f0 is 0 beyond the end."""
    g = Graph("decoder", ranges)
    real = g.op("Greater", "log_f0", g.scalar(0.0))
    source = g.op("Concat", g.unsqueeze("log_f0", 2), g.unsqueeze("voicing", 2), axis=2)
    to_frame = _array(voice.source_to_frame.weight).T * np.array([[1 / LOG_F0_SCALE], [1]], np.float32)
    x = g.unsqueeze(g.op("Add", "frames", g.linear(source, to_frame, None)), 1)  # (B, 1, T, D)
    mask = g.op("Unsqueeze", g.op("Cast", real, to=FLOAT), g.ints(1, 3))
    for number, block in enumerate(voice.blocks):
        x = _block(g, x, mask, block, f"blocks.{number}")
    x = g.op("Squeeze", _norm(g, x, voice.norm), g.ints(1))
    gain = _gain(g, _head(g, x, voice, 0), real, _LOUDEST)
    cos, sin = _on_circle(g, _head(g, x, voice, 1, factor=1 / (2 * np.pi)))
    quieter = -float(np.log(_NOISE_STEPS))
    noise_gain = _gain(g, _head(g, x, voice, 2, shift=quieter), real, _LOUDEST + quieter)
    voiced = _turned(g, _spectrum(g, _pulses(g, real)), g.op("Mul", gain, cos), g.op("Mul", gain, sin))
    noise = g.op("Mul", _noise(g, voice), g.unsqueeze(noise_gain, 2))  # (B, T, 2, _BINS)
    wave = _wave(g, g.op("Add", voiced, g.op("Reshape", noise, g.ints(0, 0, 2 * _BINS))))
    g.op("Reshape", wave, g.ints(0, -1), name="audio")
    return g.model(
        {
            "frames": (FLOAT, ["B", "T", voice.size.width]),
            "log_f0": (FLOAT, ["B", "T"]),
            "voicing": (FLOAT, ["B", "T"]),
            "phase": (FLOAT, ["B", "T"]),
            "start": (INT64, ["B"]),
        },
        {"audio": (FLOAT, ["B", "S"])},
    )


def _head(g: Graph, x: str, voice: Voice, part: int, *, factor: float = 1.0, shift: float = 0.0) -> str:
    """A third of what the net says of the bins, times a factor and shifted; cutting it from a whole would be a pass."""
    columns = part * BINS + _BIN_ORDER
    weight, bias = _array(voice.head.weight).T[:, columns], _array(voice.head.bias)[columns]
    return g.linear(x, weight * np.float32(factor), bias * np.float32(factor) + np.float32(shift), "head")


def _gain(g: Graph, log_gain: str, real: str, highest: float) -> str:
    """exp, bounded, and 0 beyond the end."""
    limit = g.op("Where", real, g.scalar(highest), g.scalar(_SILENT))
    return g.op("Exp", g.op("Min", log_gain, g.unsqueeze(limit, 2)))


def _on_circle(g: Graph, turns: str) -> tuple[str, str]:
    """cos and sin of 2π turns, within 0.0003: as polynomials 0.7 of the time of the operators of these names."""
    part = g.op("Sub", turns, g.op("Round", turns))
    square = g.op("Mul", part, part)
    cos = _polynomial(g, square, np.cos(2 * np.pi * _ROOTS), np.ones_like(_ROOTS), 4)
    sin = _polynomial(g, square, np.sin(2 * np.pi * _ROOTS) / _ROOTS, _ROOTS, 3)
    return cos, g.op("Mul", sin, part)


_ROOTS: Final = np.sqrt(0.125 * (1 - np.cos(np.pi * (np.arange(400) + 0.5) / 400)))
"""Places in 0..½ whose squares lie as Chebyshev's, where a fit has its largest errors alike."""


def _polynomial(g: Graph, square: str, values: NDArray[np.float64], weights: NDArray[np.float64], degree: int) -> str:
    """The polynomial in `square` that comes nearest to `values` at the squares of `_ROOTS`."""
    first, *middle, last = np.polyfit(_ROOTS**2, values, degree, w=weights)
    y = g.op("Mul", square, g.scalar(first))
    for coefficient in middle:
        y = g.op("Mul", g.op("Add", y, g.scalar(coefficient)), square)
    return g.op("Add", y, g.scalar(last))


def _pulses(g: Graph, real: str) -> str:
    """`net.pulses`: (B, T) → (B, T, HOP) in `_SAMPLE_ORDER`, silent beyond the end: the last window reaches there."""
    step = g.op("Mul", g.op("Exp", "log_f0"), g.scalar(1 / SAMPLE_RATE_HZ))
    line = g.op("Concat", g.unsqueeze("phase", 2), g.unsqueeze(step, 2), axis=2)
    cycles = g.linear(line, np.stack([np.ones(HOP), _SAMPLE_ORDER]).astype(np.float32), None)
    # Either sine is exact however near to a pulse, but 0 / 0 is not. 1e-20 is lost in all that is not 0.
    part = g.op("Add", g.op("Sub", cycles, g.op("Round", cycles)), g.scalar(1e-20))
    harmonics = g.op("Floor", g.op("Div", g.scalar(0.48), step))
    odd = g.op("Add", g.op("Mul", harmonics, g.scalar(2 * np.pi)), g.scalar(np.pi))
    sine = np.sin(np.pi * _ROOTS) / _ROOTS
    slow = g.op("Mul", _polynomial(g, g.op("Mul", part, part), sine, 1 / sine, 2), part)  # within 0.0001 of itself
    kernel = g.op("Div", g.op("Sin", g.op("Mul", g.unsqueeze(odd, 2), part)), slow)
    half = g.op("Where", real, g.scalar(0.5), g.scalar(0.0))
    scale = g.op("Mul", g.op("Sqrt", g.op("Div", g.scalar(2.0), harmonics)), half)
    return g.op("Mul", g.op("Sub", kernel, g.scalar(1.0)), g.unsqueeze(scale, 2))


def _window(sample: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sqrt-Hann window."""
    return np.asarray(np.sin(np.pi * (sample + 0.5) / FFT), np.float64)


def _waves() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """cos and −sin of each bin's angle over the window's first quarter, windowed: (HOP / 2, _BINS)."""
    angle = 2 * np.pi * np.outer(_QUARTER - (FFT - 1) / 2, _BIN_ORDER) / FFT
    window = _window(_QUARTER)[:, np.newaxis]
    return (np.cos(angle) * window).astype(np.float32), (-np.sin(angle) * window).astype(np.float32)


def _windowed(g: Graph, second_quarter: str) -> str:
    """Brings the second quarter of a window, backwards, to where `_waves` have the window of the first."""
    ratio = _window(HOP - 1 - _QUARTER) / _window(_QUARTER)
    return g.op("Mul", second_quarter, g.constant(ratio.astype(np.float32)))


def _spectrum(g: Graph, source: str) -> str:
    """`net.Voice._spectrum`: (B, T, HOP) in `_SAMPLE_ORDER` → (B, T, 2 _BINS), real, then imaginary.

    A window is the second half of a hop, a whole hop, and the first half of the next. Folded about its centre and about
    the middle of what that gives, each of these four has its samples in the order in which the source comes.
    """
    second, first = g.split(source, [HOP // 2, HOP // 2])
    outer = g.shifted(second, 1), g.shifted(first, -1)
    inner = first, second
    half = _BINS // 2
    parts = []
    for fold, wave in zip(("Add", "Sub"), _waves(), strict=True):
        near, far = g.op(fold, *outer), _windowed(g, g.op(fold, *inner))
        sums = g.op("Add", near, far), g.op("Sub", near, far)
        even, odd = sums if fold == "Add" else sums[::-1]
        parts += [g.linear(even, wave[:, :half], None), g.linear(odd, wave[:, half:], None)]
    return g.op("Concat", *parts, axis=2)


def _turned(g: Graph, spectrum: str, cos: str, sin: str) -> str:
    """A spectrum (real, then imaginary) times cos + i sin, by one operator in place of six.

    It is made for places in a text, with a table of angles for each place: here each frame of the batch is a place.
    """
    frame = g.op("Reshape", _range(g, g.op("Size", "log_f0")), g.op("Shape", "log_f0"))
    tables = (g.op("Reshape", table, g.ints(-1, _BINS)) for table in (cos, sin))
    return g.op("RotaryEmbedding", spectrum, frame, *tables, domain=MICROSOFT, num_heads=1)


def _noise(g: Graph, voice: Voice) -> str:
    """Rows of the noise table, (B, T, 2, _BINS), in steps of 1 / _NOISE_STEPS."""
    table = np.round(_array(voice.noise) * _NOISE_STEPS).astype(np.int8).reshape(-1, 2, BINS)[..., _BIN_ORDER]
    count = g.op("Gather", g.op("Shape", "log_f0"), g.constant(np.array(1, np.int64)))
    row = g.op(
        "Mod", g.op("Add", g.unsqueeze("start", 1), _range(g, count)), g.constant(np.array(NOISE_ROWS, np.int64))
    )
    return g.op("Cast", g.op("Gather", g.constant(table), row), to=FLOAT)


def _wave(g: Graph, spectrum: str) -> str:
    """`net.Voice._wave`: (B, T, 2 _BINS) → (B, T, HOP), overlapping windows added up. `_spectrum` backwards."""
    half = _BINS // 2
    weight = np.where(_BIN_ORDER == 0, 1.0, 2.0).astype(np.float32) / FFT
    parts = g.split(spectrum, [half] * 4)
    quarters = []
    for fold, wave, (even, odd) in zip(("Add", "Sub"), _waves(), (parts[:2], parts[2:]), strict=True):
        back = (wave * weight).T.astype(np.float32)
        products = g.linear(even, back[:half], None), g.linear(odd, back[half:], None)
        near, far = g.op("Add", *products), g.op("Sub", *(products if fold == "Add" else products[::-1]))
        quarters.append((near, far))
    (cos_near, cos_far), (sin_near, sin_far) = quarters
    left_end, right_end = g.op("Add", cos_near, sin_near), g.op("Sub", cos_near, sin_near)
    left, right = (_windowed(g, g.op(fold, cos_far, sin_far)) for fold in ("Add", "Sub"))
    first = g.reversed(g.op("Add", left, g.shifted(right_end, 1)))
    second = g.op("Add", right, g.shifted(left_end, -1))
    return g.op("Concat", first, second, axis=2)

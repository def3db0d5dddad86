"""From a checkpoint to a pack: two ONNX graphs, int8 or float32, and voice.json.

The contract of the graphs is docs/voice-pack.md; they say the same as `net.Voice`, which tests hold them to.
"""

from __future__ import annotations

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
from torch import nn

from inference.frontend.phones import TABLE_VERSION
from training.data import Utterance
from training.espeak import SAMPLE_RATE_HZ
from training.graph import FLOAT, INT64, Graph, Range
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


@torch.no_grad()
def activation_ranges(voice: Voice, utterances: list[Utterance]) -> dict[str, Range]:
    """Smallest and largest input of every large matrix product, by module name, over whole sentences."""
    ranges: dict[str, Range] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
        def note(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            low, high = float(inputs[0].min()), float(inputs[0].max())
            seen = ranges.get(name, (low, high))
            ranges[name] = (min(low, seen[0]), max(high, seen[1]))

        return note

    large = {
        name: module for name, module in voice.named_modules() if name.endswith((".up", ".down")) or name == "head"
    }
    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in large.items()]
    for one in utterances:
        ids = torch.from_numpy(one.ids).unsqueeze(0)
        durations = torch.from_numpy(one.durations).unsqueeze(0)
        log_f0 = torch.from_numpy(one.log_f0).unsqueeze(0)
        voiced = torch.from_numpy(one.voiced.astype(np.float32)).unsqueeze(0)
        encoded = voice.encode(ids, torch.ones(1, ids.shape[1], 1), torch.tensor([one.speaker]))
        phone, _, position, mask = expand(durations, log_f0.shape[1])
        frames = voice.frames(encoded, phone, position)
        voice.decode(frames, log_f0, voiced, phase_of(log_f0), torch.zeros(1, dtype=torch.int64), mask)
    for hook in hooks:
        hook.remove()
    return ranges


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().numpy().astype(np.float32)


def _linear(g: Graph, x: str, module: nn.Module, name: str = "") -> str:
    assert isinstance(module, nn.Linear)
    return g.linear(x, _array(module.weight).T, _array(module.bias), name)


def _norm(g: Graph, x: str, module: nn.LayerNorm) -> str:
    return g.layer_norm(x, _array(module.weight), _array(module.bias))


def _block(g: Graph, x: str, mask: str, block: nn.Module, name: str) -> str:
    assert isinstance(block, Block)
    assert block.depthwise.bias is not None
    y = g.depthwise(
        g.op("Mul", x, mask), _array(block.depthwise.weight), _array(block.depthwise.bias), block.depthwise.dilation[0]
    )
    y = _linear(g, _norm(g, y, block.norm), block.up, f"{name}.up")
    return g.op("Add", x, _linear(g, g.op("Gelu", y), block.down, f"{name}.down"))


def prosody_graph(voice: Voice, ranges: Mapping[str, Range] | None) -> onnx.ModelProto:  # noqa: PLR0915
    """phones (B, N, 4), lengths (B,), speaker (B,), rate (B,) → durations, frames, log_f0, voicing."""
    g = Graph("prosody", ranges)
    encoder = voice.encoder
    x = g.unsqueeze(g.op("Gather", g.constant(_array(encoder.speaker.weight)), "speaker"), 1)
    for column, embedding in enumerate(encoder.embeddings):
        assert isinstance(embedding, nn.Embedding)
        ids = g.op("Gather", "phones", g.constant(np.array(column, np.int64)), axis=2)
        x = g.op("Add", x, g.op("Gather", g.constant(_array(embedding.weight)), ids))
    count = g.op("Gather", g.op("Shape", "phones"), g.constant(np.array(1, np.int64)))
    numbers = _range(g, count)
    real = g.op("Cast", g.op("Less", numbers, g.unsqueeze("lengths", 1)), to=FLOAT)  # (B, N)
    mask = g.unsqueeze(real, 2)
    for number, block in enumerate(encoder.blocks):
        x = _block(g, x, mask, block, f"encoder.blocks.{number}")
    encoded = _norm(g, x, encoder.norm)

    how = encoded
    for number, block in enumerate(voice.manner):
        how = _block(g, how, mask, block, f"manner.{number}")
    how = _norm(g, how, voice.manner_norm)

    # Lengths: no phone is shorter than a frame, and the rounding of one is made good by the next.
    hidden = g.op("Gelu", _linear(g, how, voice.duration[0]))
    log_duration = g.op("Squeeze", _linear(g, hidden, voice.duration[2]), g.ints(2))
    natural = g.op("Sub", g.op("Exp", log_duration), g.scalar(1.0))
    scaled = g.op("Max", g.op("Div", natural, g.unsqueeze("rate", 1)), g.scalar(1.0))
    sums = g.op("CumSum", g.op("Mul", scaled, real), g.constant(np.array(1, np.int64)))
    # not Round: it takes halves to even, and a phone between 1.5 and 2.5 would vanish
    ends = g.op("Cast", g.op("Floor", g.op("Add", sums, g.scalar(0.5))), to=INT64)  # (B, N)
    starts = g.op("Pad", g.cut(ends, 1, 0, -1), g.ints(0, 1, 0, 0))
    durations = g.op("Sub", ends, starts, name="durations")

    # Frames: a 1 where each phone ends, added up along time, says which phone a frame belongs to.
    frames = g.op("ReduceMax", ends, keepdims=0)
    time = _range(g, frames)
    batch = g.op("Gather", g.op("Shape", "phones"), g.ints(0))
    shape = g.op("Concat", batch, g.op("Add", g.unsqueeze(frames, 0), g.ints(1)), axis=0)
    zeros = g.op("Expand", g.constant(np.array(0, np.int64)), shape)
    ones = g.op("Expand", g.constant(np.array(1, np.int64)), g.op("Shape", ends))
    marks = g.op("ScatterElements", zeros, ends, ones, axis=1, reduction="add")
    passed = g.cut(g.op("CumSum", marks, g.constant(np.array(1, np.int64))), 1, 0, -1)
    last = g.unsqueeze(g.op("Sub", "lengths", g.constant(np.array(1, np.int64))), 1)
    phone = g.op("Min", passed, last)  # (B, T)

    length = g.op("Cast", g.op("GatherElements", durations, phone, axis=1), to=FLOAT)
    before = g.op("Cast", g.op("Sub", time, g.op("GatherElements", starts, phone, axis=1)), to=FLOAT)
    place = g.op("Div", g.op("Add", before, g.scalar(0.5)), length)
    place = g.op("Clip", place, g.scalar(0.0), g.scalar(1.0))
    after = g.op("Max", g.op("Sub", g.op("Sub", length, g.scalar(1.0)), before), g.scalar(0.0))
    one = g.scalar(1.0)
    features = [
        place,
        g.op("Sin", g.op("Mul", place, g.scalar(np.pi))),
        g.op("Reciprocal", g.op("Add", before, one)),
        g.op("Reciprocal", g.op("Add", after, one)),
        g.op("Mul", g.op("Log", length), g.scalar(0.5)),
        g.op("Reciprocal", length),
    ]
    position = g.op("Concat", *[g.unsqueeze(feature, 2) for feature in features], axis=2)
    index = g.unsqueeze(phone, 2)
    of_phone = g.op("GatherND", _linear(g, encoded, voice.phone_to_frame), index, batch_dims=1)
    g.op("Add", of_phone, _linear(g, position, voice.position_to_frame), name="frames")

    # Pitch and voicing: on the line through the knots of the phone.
    knots = _linear(g, g.op("Gelu", _linear(g, how, voice.pitch[0])), voice.pitch[2])
    pitch, voicing = g.split(g.op("GatherND", knots, index, batch_dims=1), [KNOTS, KNOTS])
    at = g.op("Mul", g.unsqueeze(place, 2), g.scalar(KNOTS - 1))
    distance = g.op("Abs", g.op("Sub", at, g.constant(np.arange(KNOTS, dtype=np.float32))))
    weights = g.op("Relu", g.op("Sub", one, distance))
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


def _range(g: Graph, end: str) -> str:
    return g.op("Range", g.constant(np.array(0, np.int64)), end, g.constant(np.array(1, np.int64)))


def decoder_graph(voice: Voice, ranges: Mapping[str, Range] | None) -> onnx.ModelProto:
    """frames (B, T, D), log_f0, voicing, phase (B, T), start (B,) → audio (B, T * HOP). log_f0 is 0 beyond the end."""
    g = Graph("decoder", ranges)
    mask = g.unsqueeze(g.op("Cast", g.op("Greater", "log_f0", g.scalar(0.0)), to=FLOAT), 2)
    height = g.op("Mul", g.op("Sub", "log_f0", g.scalar(LOG_F0_MEAN)), g.scalar(1 / LOG_F0_SCALE))
    source = g.op("Concat", g.unsqueeze(height, 2), g.unsqueeze("voicing", 2), axis=2)
    x = g.op("Add", "frames", _linear(g, source, voice.source_to_frame))
    for number, block in enumerate(voice.blocks):
        x = _block(g, x, mask, block, f"blocks.{number}")
    columns = np.concatenate([_BIN_ORDER, BINS + _BIN_ORDER, 2 * BINS + _BIN_ORDER])
    weight, bias = _array(voice.head.weight).T[:, columns], _array(voice.head.bias)[columns]
    head = g.linear(_norm(g, x, voice.norm), weight, bias, "head")
    log_gain, angle, log_noise = g.split(head, [BINS, BINS, BINS])
    gain = g.op("Mul", g.op("Exp", g.op("Min", log_gain, g.scalar(4.0))), mask)
    noise_gain = g.op("Mul", g.op("Exp", g.op("Min", log_noise, g.scalar(4.0))), mask)
    cos, sin = g.op("Mul", gain, g.op("Cos", angle)), g.op("Mul", gain, g.op("Sin", angle))
    real, imaginary = _spectrum(g, _pulses(g, mask))
    noise = _noise(g, voice)
    noise_real, noise_imaginary = g.split(noise, [BINS, BINS])
    out_real = g.op("Sub", g.op("Mul", real, cos), g.op("Mul", imaginary, sin))
    out_imaginary = g.op("Add", g.op("Mul", real, sin), g.op("Mul", imaginary, cos))
    audio = _wave(
        g,
        g.op("Add", out_real, g.op("Mul", noise_gain, noise_real)),
        g.op("Add", out_imaginary, g.op("Mul", noise_gain, noise_imaginary)),
    )
    g.op("Reshape", audio, g.ints(0, -1), name="audio")
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


def _pulses(g: Graph, mask: str) -> str:
    """`net.pulses`: (B, T) → (B, T, HOP), silent beyond the end: a window of the last frame reaches there."""
    step = g.op("Mul", g.op("Exp", "log_f0"), g.scalar(1 / SAMPLE_RATE_HZ))
    advance = g.op("Mul", g.unsqueeze(step, 2), g.constant(np.arange(HOP, dtype=np.float32)))
    cycles = g.op("Add", g.unsqueeze("phase", 2), advance)
    half = g.op("Mul", g.op("Sub", cycles, g.op("Round", cycles)), g.scalar(np.pi))
    tiny = g.op("Less", g.op("Abs", half), g.scalar(1e-4))
    half = g.op("Where", tiny, g.scalar(1e-4), half)
    harmonics = g.op("Floor", g.op("Div", g.scalar(0.48), step))
    odd = g.unsqueeze(g.op("Add", g.op("Mul", harmonics, g.scalar(2.0)), g.scalar(1.0)), 2)
    kernel = g.op("Div", g.op("Sin", g.op("Mul", odd, half)), g.op("Sin", half))
    scale = g.op("Mul", g.op("Sqrt", g.op("Div", g.scalar(2.0), harmonics)), g.scalar(0.5))
    return g.op("Mul", g.op("Sub", kernel, g.scalar(1.0)), g.op("Mul", g.unsqueeze(scale, 2), mask))


# The Fourier transforms are those of `net`, folded once more: a folded window's angles at n and HOP − 1 − n add up
# to kπ, so even and odd bins each need half of it. Bins therefore come as 0, 2 … 256, 1, 3 … 255 throughout the graph,
# and what is learnt or tabled by bin is brought into that order. Against folding once: 1.09 times as fast (light).
_BIN_ORDER: Final = np.concatenate([np.arange(0, BINS, 2), np.arange(1, BINS, 2)])
_HALF: Final = HOP // 2


def _window() -> NDArray[np.float32]:
    """First half of the sqrt-Hann window, (HOP,)."""
    return np.sin(np.pi * (np.arange(HOP) + 0.5) / FFT).astype(np.float32)


def _waves() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """cos and −sin of each bin's angle over the first quarter of the window, (HOP / 2, BINS), in the order of bins."""
    angle = 2 * np.pi * np.outer(np.arange(_HALF) - (FFT - 1) / 2, _BIN_ORDER) / FFT
    return np.cos(angle).astype(np.float32), -np.sin(angle).astype(np.float32)


def _spectrum(g: Graph, source: str) -> tuple[str, str]:
    """`net.Voice._spectrum`: (B, T, HOP) → real and imaginary (B, T, BINS)."""
    before, after = g.shifted(source, 1), g.shifted(source, -1)
    left = g.op("Concat", g.cut(before, 2, _HALF, HOP), g.cut(source, 2, 0, _HALF), axis=2)
    right = g.reversed(g.op("Concat", g.cut(source, 2, _HALF, HOP), g.cut(after, 2, 0, _HALF), axis=2))
    window = g.constant(_window())
    cos, sin = _waves()
    parts = []
    for folded, wave, sign in ((g.op("Add", left, right), cos, 1), (g.op("Sub", left, right), sin, -1)):
        shaped = g.op("Mul", folded, window)
        near, far = g.cut(shaped, 2, 0, _HALF), g.reversed(g.cut(shaped, 2, _HALF, HOP))
        sums = g.op("Add", near, far), g.op("Sub", near, far)
        even, odd = sums if sign > 0 else sums[::-1]
        parts.append(
            g.op(
                "Concat",
                g.linear(even, wave[:, : _HALF + 1], None),
                g.linear(odd, wave[:, _HALF + 1 :], None),
                axis=2,
            )
        )
    return parts[0], parts[1]


def _noise(g: Graph, voice: Voice) -> str:
    """Rows of the noise table, kept as int8."""
    columns = np.concatenate([_BIN_ORDER, BINS + _BIN_ORDER])
    table = np.round(_array(voice.noise) * 32).astype(np.int8)[:, columns]
    count = g.op("Gather", g.op("Shape", "log_f0"), g.constant(np.array(1, np.int64)))
    row = g.op(
        "Mod", g.op("Add", g.unsqueeze("start", 1), _range(g, count)), g.constant(np.array(NOISE_ROWS, np.int64))
    )
    return g.op("Mul", g.op("Cast", g.op("Gather", g.constant(table), row), to=FLOAT), g.scalar(1 / 32))


def _wave(g: Graph, real: str, imaginary: str) -> str:
    """`net.Voice._wave`: spectra (B, T, BINS) → (B, T, HOP), overlapping windows added up."""
    window = g.constant(_window())
    weight = np.where((_BIN_ORDER == 0) | (_BIN_ORDER == BINS - 1), 1.0, 2.0).astype(np.float32) / FFT
    halves = []
    for spectrum, wave, sign in zip((real, imaginary), _waves(), (1, -1), strict=True):
        of_even, of_odd = g.split(spectrum, [_HALF + 1, _HALF])
        back = (wave * weight).T.astype(np.float32)
        even, odd = g.linear(of_even, back[: _HALF + 1], None), g.linear(of_odd, back[_HALF + 1 :], None)
        near, far = g.op("Add", even, odd), g.op("Sub", *((even, odd) if sign > 0 else (odd, even)))
        halves.append(g.op("Concat", near, g.reversed(far), axis=2))
    left = g.op("Mul", g.op("Add", *halves), window)
    right = g.reversed(g.op("Mul", g.op("Sub", *halves), window))
    middle = g.op("Concat", g.cut(left, 2, _HALF, HOP), g.cut(right, 2, 0, _HALF), axis=2)
    from_previous = g.shifted(g.cut(right, 2, _HALF, HOP), 1)
    from_next = g.shifted(g.cut(left, 2, 0, _HALF), -1)
    return g.op("Add", middle, g.op("Concat", from_previous, from_next, axis=2))

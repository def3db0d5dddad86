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
from torch import Tensor, nn
from torch.nn import functional

from inference.frontend.phones import TABLE_VERSION
from training.data import Utterance
from training.espeak import SAMPLE_RATE_HZ
from training.graph import FLOAT, INT64, MICROSOFT, Graph, Range
from training.net import (
    BINS,
    CENTRE,
    FFT,
    HOP,
    KNOTS,
    LOBE_BINS,
    LOBE_FLOOR,
    LOG_F0_MEAN,
    LOG_F0_SCALE,
    LOUDNESS,
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
    begun_with: str = ""
    """The commit of the pack whose weights it began with, if it did."""


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
        "width": voice.size.frame_width,
        "stride_frames": voice.size.stride,
        "context_frames": voice.size.context_frames,
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
            **({"begun_with": record.begun_with} if record.begun_with else {}),
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
    sigmoid = block.activation is functional.silu
    hidden = g.op("QuickGelu", y, domain=MICROSOFT, alpha=1.0) if sigmoid else g.op("Gelu", y)
    return g.op("Add", x, _linear(g, hidden, block.down, f"{name}.down"))


_VECTOR: Final = 16
"""Frames are a multiple of it: what is left of whole vectors onnxruntime gives to the C library, whose sines differ in
the last bit, and a sentence must not depend on what lies behind it in a batch."""


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
    vectors = g.op("Ceil", g.op("Mul", g.op("ReduceMax", ends, keepdims=0), g.scalar(1 / _VECTOR)))
    time = g.op("Range", g.scalar(0.0), g.op("Mul", vectors, g.scalar(_VECTOR)), g.scalar(1.0))
    time = g.unsqueeze(time, 1)  # (T, 1)
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
            "frames": (FLOAT, ["B", "T", voice.size.frame_width]),
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
BIN_ORDER: Final = np.concatenate([np.arange(0, BINS, 2), np.arange(1, BINS, 2)])
_QUARTER: Final = np.arange(HOP // 2)
"""Samples of the first quarter of a window, from its start to halfway to its centre."""
NOISE_STEPS: Final = 32
_LOUDEST: Final = 4.0
"""exp of this is 35 dB above anything the teacher says."""


def decoder_graph(voice: Voice, ranges: Mapping[str, Range] | None) -> onnx.ModelProto:
    """frames (B, T, D), log_f0, voicing, phase (B, T), start (B,) → audio (B, T, HOP). log_f0 is 0 beyond the end.

    T is a multiple of the stride; the graphs of a stride of 1 have no node for it.
    """
    g = Graph("decoder", ranges)
    stride = voice.size.stride
    real = g.op("Greater", "log_f0", g.scalar(0.0))
    source = g.op("Concat", g.unsqueeze("log_f0", 2), g.unsqueeze("voicing", 2), axis=2)
    to_frame = _array(voice.source_to_frame.weight).T * np.array([[1 / LOG_F0_SCALE], [1]], np.float32)
    x = g.op("Add", "frames", g.linear(source, to_frame, None))
    mask = g.unsqueeze(g.op("Cast", real, to=FLOAT), 2)  # (B, T, 1)
    if stride > 1:
        x = g.op("Reshape", g.op("Mul", x, mask), g.ints(0, -1, voice.size.width))
        mask = g.op("Slice", mask, g.ints(0), g.ints(2**31), g.ints(1), g.ints(stride))
    x, mask = g.unsqueeze(x, 1), g.unsqueeze(mask, 1)  # (B, 1, T / stride, …)
    for number, block in enumerate(voice.blocks):
        x = _block(g, x, mask, block, f"blocks.{number}")
    x = g.op("Squeeze", _norm(g, x, voice.norm), g.ints(1))
    step = g.op(
        "Mul", g.op("Exp", g.unsqueeze("log_f0", 2)), g.scalar(1 / SAMPLE_RATE_HZ)
    )  # (B, T, 1), cycles a sample
    amount, turns = _harmonics(g, step, real)
    gain = g.op("Mul", g.op("Exp", _head(g, x, voice, 0)), amount)
    voiced = _turned(g, gain, g.op("Add", _head(g, x, voice, 1, factor=1 / (2 * np.pi)), turns))
    quieter = -float(np.log(NOISE_STEPS))
    # Noise is bounded as in `net`: at four times the pace and other pitches it would burst. Gains come to e^1 there.
    noise_gain = g.op("Exp", g.op("Clip", _head(g, x, voice, 2, shift=quieter), "", g.scalar(_LOUDEST + quieter)))
    noise = (g.op("Mul", part, noise_gain) for part in _noise(g, voice, real))
    _wave(g, *(g.op("Add", *parts) for parts in zip(voiced, noise, strict=True)))
    return g.model(
        {
            "frames": (FLOAT, ["B", "T", voice.size.frame_width]),
            "log_f0": (FLOAT, ["B", "T"]),
            "voicing": (FLOAT, ["B", "T"]),
            "phase": (FLOAT, ["B", "T"]),
            "start": (INT64, ["B"]),
        },
        {"audio": (FLOAT, ["B", "T", HOP])},
    )


def head_rows(voice: Voice, part: int) -> NDArray[np.int64]:
    """Which of the head's outputs are gain (0), turns (1) or noise (2), frame by frame, in the order of the bins."""
    return np.concatenate([(3 * frame + part) * BINS + BIN_ORDER for frame in range(voice.size.stride)])


def _head(g: Graph, x: str, voice: Voice, part: int, *, factor: float = 1.0, shift: float = 0.0) -> str:
    """A third of what the net says of the bins, times a factor and shifted; cutting it from a whole would be a pass."""
    stride = voice.size.stride
    rows = head_rows(voice, part)
    weight, bias = _array(voice.head.weight).T[:, rows], _array(voice.head.bias)[rows]
    said = g.linear(x, weight * np.float32(factor), bias * np.float32(factor) + np.float32(shift), "head")
    return said if stride == 1 else g.op("Reshape", said, g.ints(0, -1, BINS))


def _harmonics(g: Graph, step: str, real: str) -> tuple[str, str]:
    """`net.harmonics`: (B, T, 1) → amount, 0 beyond the end, and turns, (B, T, BINS)."""
    spacing = g.op("Mul", step, g.scalar(FFT))
    bins = g.constant(BIN_ORDER.astype(np.float32))
    exactly = g.op("Mul", g.op("Reciprocal", spacing), bins)
    number = g.op("Max", g.op("Round", exactly), g.scalar(1.0))
    # (√a − (√⁴a · distance)²)², where a is the loudness: so it costs no pass of its own
    loudness = g.op("Mul", g.op("Sqrt", step), g.scalar(LOUDNESS))
    root = g.op("Mul", g.op("Sqrt", loudness), g.unsqueeze(g.op("Cast", real, to=FLOAT), 2))
    scale = g.op("Mul", g.op("Mul", spacing, g.scalar(1 / LOBE_BINS)), g.op("Sqrt", root))
    distance = g.op("Mul", g.op("Sub", exactly, number), scale)
    lobe = g.op("Max", g.op("Sub", root, g.op("Mul", distance, distance)), g.op("Mul", root, g.scalar(LOBE_FLOOR)))
    centre = g.op("Add", g.unsqueeze("phase", 2), g.op("Mul", step, g.scalar(CENTRE)))
    return g.op("Mul", lobe, lobe), g.op("Mul", number, centre)


def _turned(g: Graph, gain: str, turns: str) -> tuple[str, str]:
    """gain · cos and gain · sin of 2π turns, within 0.0014 of the gain.

    By s = √2 sin and c = √2 cos of half the angle: 1 − s² is the cosine, s · c the sine. Polynomials take 0.7 of the
    time of the operators Sin and Cos, and half the angle saves a degree of each.
    """
    part = g.op("Sub", turns, g.op("Round", turns))
    square = g.op("Mul", part, part)
    s = g.op("Mul", _polynomial(g, square, np.sqrt(2) * np.sin(np.pi * _ROOTS) / _ROOTS, _ROOTS, 2), part)
    c = _polynomial(g, square, np.sqrt(2) * np.cos(np.pi * _ROOTS), np.ones_like(_ROOTS), 2)
    some = g.op("Mul", gain, s)
    return g.op("Sub", gain, g.op("Mul", some, s)), g.op("Mul", some, c)


_ROOTS: Final = np.sqrt(0.125 * (1 - np.cos(np.pi * (np.arange(400) + 0.5) / 400)))
"""Places in 0..½ whose squares lie as Chebyshev's, where a fit has its largest errors alike."""


def _polynomial(g: Graph, square: str, values: NDArray[np.float64], weights: NDArray[np.float64], degree: int) -> str:
    """The polynomial in `square` that comes nearest to `values` at the squares of `_ROOTS`."""
    first, *middle, last = np.polyfit(_ROOTS**2, values, degree, w=weights)
    y = g.op("Mul", square, g.scalar(first))
    for coefficient in middle:
        y = g.op("Mul", g.op("Add", y, g.scalar(coefficient)), square)
    return g.op("Add", y, g.scalar(last))


def _window(sample: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sqrt-Hann window."""
    return np.asarray(np.sin(np.pi * (sample + 0.5) / FFT), np.float64)


def _waves() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """cos and −sin of each bin's angle over the window's first quarter, windowed: (HOP / 2, BINS)."""
    angle = 2 * np.pi * np.outer(_QUARTER - (FFT - 1) / 2, BIN_ORDER) / FFT
    window = _window(_QUARTER)[:, np.newaxis]
    return (np.cos(angle) * window).astype(np.float32), (-np.sin(angle) * window).astype(np.float32)


def _windowed(g: Graph, second_quarter: str) -> str:
    """Brings the second quarter of a window, backwards, to where `_waves` have the window of the first."""
    ratio = _window(HOP - 1 - _QUARTER) / _window(_QUARTER)
    return g.op("Mul", second_quarter, g.constant(ratio.astype(np.float32)))


def _noise(g: Graph, voice: Voice, real: str) -> tuple[str, str]:
    """Rows of the noise table, real and imaginary (B, T, BINS), in steps of 1 / NOISE_STEPS; 0 beyond the end."""
    table = np.round(_array(voice.noise) * NOISE_STEPS).astype(np.int8).reshape(-1, 2, BINS)[..., BIN_ORDER]
    table = np.concatenate([table, np.zeros_like(table[:1])])  # silence is the last row
    count = g.op("Gather", g.op("Shape", "log_f0"), g.constant(np.array(1, np.int64)))
    rows = g.constant(np.array(NOISE_ROWS, np.int64))
    row = g.op("Where", real, g.op("Mod", g.op("Add", g.unsqueeze("start", 1), _range(g, count)), rows), rows)
    cosine, sine = (g.op("Cast", g.op("Gather", g.constant(table[:, part]), row), to=FLOAT) for part in range(2))
    return cosine, sine


def _wave(g: Graph, real: str, imaginary: str) -> None:
    """`net.Voice._wave`: twice (B, T, BINS) → audio (B, T, HOP), overlapping windows added up."""
    half = BINS // 2
    weight = np.where(BIN_ORDER == 0, 1.0, 2.0).astype(np.float32) / FFT
    quarters = []
    for fold, wave, spectrum in zip(("Add", "Sub"), _waves(), (real, imaginary), strict=True):
        even, odd = g.split(spectrum, [half, half])
        back = (wave * weight).T.astype(np.float32)
        products = g.linear(even, back[:half], None), g.linear(odd, back[half:], None)
        near, far = g.op("Add", *products), g.op("Sub", *(products if fold == "Add" else products[::-1]))
        quarters.append((near, far))
    (cos_near, cos_far), (sin_near, sin_far) = quarters
    left_end, right_end = g.op("Add", cos_near, sin_near), g.op("Sub", cos_near, sin_near)
    left, right = (_windowed(g, g.op(fold, cos_far, sin_far)) for fold in ("Add", "Sub"))
    first = g.reversed(g.op("Add", left, g.shifted(right_end, 1)))
    second = g.op("Add", right, g.shifted(left_end, -1))
    g.op("Concat", first, second, name="audio", axis=2)

"""Begins a net with the weights of a pack, read back from its graphs.

Who has a pack and no checkpoint can go on from it: int8 weights are within half a step of what they were, which the
first minutes of training make good. A module whose shape has changed since keeps its random weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from training.export import NOISE_STEPS, head_rows
from training.net import HOP, LOG_F0_MEAN, LOG_F0_SCALE, Voice

Floats = NDArray[np.float32]
_OF_TRANSFORMS: Final = {(HOP // 2, HOP // 2), (2, HOP)}
"""Products that are no part of the net: a quarter of a transform; the samples of pulses, in older packs."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What one node of a graph multiplies by and adds: weight (in, out), (C, K) of a convolution or (C,) of a norm."""

    weight: Floats
    bias: Floats | None


@torch.no_grad()
def begin(voice: Voice, pack: Path) -> list[str]:
    """Fill `voice` from the graphs in `pack`, and return the names of the modules that did not fit."""
    prosody, decoder = (list(_weights(pack / f"{name}.onnx")) for name in ("prosody", "decoder"))
    prosody[:1] = _cut(prosody[0], voice.encoder.embeddings)
    unfit = _fill(voice, _prosody_modules(voice), prosody)

    source, *blocks = decoder
    *blocks, gain, turns, noise = blocks
    source = Weights((source.weight * np.array([[LOG_F0_SCALE], [1]])).astype(np.float32), None)
    unfit += _fill(voice, [voice.source_to_frame], [source])
    if not unfit:  # phones brought along what is added to every frame
        voice.phone_to_frame.bias.add_(torch.from_numpy(source.weight[0]) * (LOG_F0_MEAN / LOG_F0_SCALE))
        voice.position_to_frame.bias.zero_()
        voice.source_to_frame.bias.zero_()
    modules = [*_blocks_modules(voice.blocks), voice.norm]
    if len(modules) != len(blocks):
        return [*unfit, "blocks", "norm", "head"]
    unfit += _fill(voice, modules, blocks)
    if "norm" in unfit or len(gain.weight.T) != len(head_rows(voice, 0)):
        return [*unfit, "head"]
    _fill_head(voice, [gain, turns, noise])
    return unfit


def _prosody_modules(voice: Voice) -> list[nn.Module]:
    """In the order of their nodes."""
    encoder = voice.encoder
    return [
        *encoder.embeddings, encoder.speaker, *_blocks_modules(encoder.blocks), encoder.norm,
        *_blocks_modules(voice.manner), voice.manner_norm, voice.pitch[0], voice.pitch[2], voice.duration[0],
        voice.duration[2], voice.phone_to_frame, voice.position_to_frame,
    ]  # fmt: skip


def _blocks_modules(blocks: nn.ModuleList) -> list[nn.Module]:
    return [block.get_submodule(name) for block in blocks for name in ("depthwise", "norm", "up", "down")]


def _cut(table: Weights, embeddings: nn.ModuleList) -> list[Weights]:
    """All embeddings are one table in the graph."""
    ends = np.cumsum([len(embedding.get_parameter("weight")) for embedding in embeddings])[:-1]
    return [Weights(part, None) for part in np.split(table.weight, ends)]


def _fill(voice: Voice, modules: list[nn.Module], given: list[Weights]) -> list[str]:
    """The names of those that did not fit."""
    names = {module: name for name, module in voice.named_modules()}
    unfit = []
    for module, one in zip(modules, given, strict=True):
        target = module.get_parameter("weight")
        weight = torch.from_numpy(one.weight.T if isinstance(module, nn.Linear) else one.weight)
        if weight.numel() != target.numel():
            unfit.append(names[module])
            continue
        target.copy_(weight.reshape(target.shape))
        if one.bias is not None:
            module.get_parameter("bias").copy_(torch.from_numpy(one.bias))
    return unfit


def _fill_head(voice: Voice, parts: list[Weights]) -> None:
    """Gain, turns and noise of every frame of a step, each with its bins in the graph's order."""
    factors, shifts = (1.0, 2 * np.pi, 1.0), (0.0, 0.0, float(np.log(NOISE_STEPS)))
    for part, (given, factor, shift) in enumerate(zip(parts, factors, shifts, strict=True)):
        rows = torch.from_numpy(head_rows(voice, part))
        assert given.bias is not None
        voice.head.weight[rows] = torch.from_numpy(given.weight.T * np.float32(factor))
        voice.head.bias[rows] = torch.from_numpy(given.bias * np.float32(factor) + np.float32(shift))


def _weights(path: Path) -> Iterator[Weights]:
    """In the order of the graph's nodes. The transforms at its end and what is no weight are left out."""
    model = onnx.load(path)
    constants = {one.name: numpy_helper.to_array(one).copy() for one in model.graph.initializer}
    added = {node.input[0]: constants[node.input[1]] for node in model.graph.node
             if node.op_type == "Add" and node.input[1] in constants}  # fmt: skip
    for node in model.graph.node:
        known = [constants[name] for name in node.input if name in constants]
        if node.op_type == "MatMulIntegerToFloat":
            quantised, columns, shift = (constants[node.input[place]] for place in (1, 3, 6))
            yield Weights(quantised.astype(np.float32) * columns, shift)
        elif node.op_type in {"Conv", "LayerNormalization"}:
            yield Weights(known[0].squeeze(), known[1])
        elif node.op_type == "Gather" and known[0].dtype == np.float32:
            yield Weights(known[0], None)
        elif node.op_type == "MatMul" and (bias := added.get(node.output[0])) is not None:
            yield Weights(known[0], bias)
        elif node.op_type == "MatMul" and known[0].shape not in _OF_TRANSFORMS:
            yield Weights(known[0], None)

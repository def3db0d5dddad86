"""A voice pack in 60 kB that keeps every promise of docs/voice-pack.md, so that tests need no trained weights.

A phone lasts as long as its id says, its tone moves the pitch, and the decoder is a sine with a little noise whose
loudness is smoothed over neighbouring frames, so that it really needs its context.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.frontend.phones import PHONES, TABLE_VERSION

RATE_HZ, HOP, WIDTH, CONTEXT = 24_000, 256, 4, 2
SPEAKERS = (("female", "female", 200.0), ("male", "male", 110.0))


def write_tiny_pack(folder: Path, **changes: Any) -> Path:
    """Make the pack in `folder`; `changes` replace keys of voice.json."""
    folder.mkdir(parents=True)
    graphs = {}
    for role, graph in (("prosody", _prosody()), ("decoder", _decoder())):
        content = graph.SerializeToString()
        (folder / f"{role}.onnx").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        graphs[role] = {"file": f"{role}.onnx", "sha256": digest, "bytes": len(content)}
    manifest = {
        "format": "1",
        "name": folder.name,
        "kind": "parallel",
        "description": "A sine that keeps time.",
        "license": "Apache-2.0",
        "languages": ["zh", "en"],
        "sample_rate_hz": RATE_HZ,
        "hop_samples": HOP,
        "width": WIDTH,
        "context_frames": CONTEXT,
        "phone_table_version": TABLE_VERSION,
        "precision": "fp32",
        "graphs": graphs,
        "speakers": [
            {
                "id": number,
                "name": name,
                "gender": gender,
                "languages": ["zh", "en"],
                "description": "A sine.",
                "base_f0_hz": f0,
            }
            for number, (name, gender, f0) in enumerate(SPEAKERS)
        ],
        "training": {"commit": "none", "seed": 0, "hours": 0, "steps": 0, "losses": {}, "teacher": "none"},
    }
    (folder / "voice.json").write_text(json.dumps(manifest | changes, indent=2), encoding="utf-8")
    return folder


def _prosody() -> onnx.ModelProto:
    base = np.array([0, *(6 + number % 5 for number in range(1, len(PHONES)))], np.float32)
    pitch = np.log(np.array([f0 for _, _, f0 in SPEAKERS], np.float32))
    node = helper.make_node
    nodes = [
        node("Gather", ["phones", "zero"], ["phone"], axis=2),
        node("Gather", ["phones", "one"], ["tone"], axis=2),
        # durations = max(1, round(base / rate)) where the phone is within its length
        node("Gather", ["base", "phone"], ["natural"]),
        node("Unsqueeze", ["rate", "axis1"], ["rate_column"]),
        node("Div", ["natural", "rate_column"], ["timed"]),
        node("Round", ["timed"], ["rounded"]),
        node("Max", ["rounded", "one_f"], ["at_least_one"]),
        node("Cast", ["at_least_one"], ["unmasked"], to=TensorProto.INT64),
        node("Shape", ["phone"], ["n"], start=1, end=2),
        node("Squeeze", ["n"], ["n_scalar"]),
        node("Range", ["zero", "n_scalar", "one"], ["places"]),
        node("Unsqueeze", ["lengths", "axis1"], ["length_column"]),
        node("Less", ["places", "length_column"], ["within"]),
        node("Cast", ["within"], ["within_int"], to=TensorProto.INT64),
        node("Mul", ["unmasked", "within_int"], ["durations"]),
        # the phone of frame t = how many phones have ended by then
        node("CumSum", ["durations", "one"], ["ends"]),
        node("ReduceMax", ["ends"], ["t_count"], keepdims=0),
        node("Range", ["zero", "t_count", "one"], ["times"]),
        node("Unsqueeze", ["ends", "axis1"], ["ends_rows"]),  # (B, 1, N)
        node("Unsqueeze", ["times", "axis1"], ["times_column"]),  # (T, 1)
        node("LessOrEqual", ["ends_rows", "times_column"], ["ended"]),  # (B, T, N)
        node("Cast", ["ended"], ["ended_int"], to=TensorProto.INT64),
        node("ReduceSum", ["ended_int", "axis2"], ["index_raw"], keepdims=0),
        node("Sub", ["n_scalar", "one"], ["last"]),
        node("Min", ["index_raw", "last"], ["index"]),
        node("GatherElements", ["phone", "index"], ["frame_phone"], axis=1),
        node("GatherElements", ["tone", "index"], ["frame_tone"], axis=1),
        # a pause (an id up to 10) is quiet, the rest sounds
        node("Greater", ["frame_phone", "last_pause"], ["sounding"]),
        node("Cast", ["sounding"], ["voicing"], to=TensorProto.FLOAT),
        node("Gather", ["pitch", "speaker"], ["speaker_pitch"]),
        node("Unsqueeze", ["speaker_pitch", "axis1"], ["speaker_column"]),
        node("Cast", ["frame_tone"], ["tone_f"], to=TensorProto.FLOAT),
        node("Mul", ["tone_f", "tone_step"], ["tone_shift"]),
        node("Add", ["speaker_column", "tone_shift"], ["log_f0"]),
        node("Unsqueeze", ["voicing", "axis2"], ["voicing_3d"]),
        node("Mul", ["voicing_3d", "spread"], ["frames"]),
    ]
    constants = {
        "zero": np.int64(0),
        "one": np.int64(1),
        "last_pause": np.int64(10),
        "one_f": np.float32(1),
        "axis1": np.array([1]),
        "axis2": np.array([2]),
        "base": base,
        "pitch": pitch,
        "tone_step": np.float32(0.02),
        "spread": np.linspace(0.2, 0.5, WIDTH, dtype=np.float32),
    }
    return _model(
        nodes,
        constants,
        inputs={"phones": ("i", ["B", "N", 4]), "lengths": ("i", ["B"]), "speaker": ("i", ["B"]), "rate": ("f", ["B"])},
        outputs={
            "durations": ("i", ["B", "N"]),
            "frames": ("f", ["B", "T", WIDTH]),
            "log_f0": ("f", ["B", "T"]),
            "voicing": ("f", ["B", "T"]),
        },
    )


def _decoder() -> onnx.ModelProto:
    noise = np.random.default_rng(0).uniform(-0.01, 0.01, (16, HOP)).astype(np.float32)
    node = helper.make_node
    nodes = [
        node("ReduceMean", ["frames", "axis2"], ["level"], keepdims=0),  # (B, T)
        node("Mul", ["level", "voicing"], ["loudness"]),
        node("Unsqueeze", ["loudness", "axis1"], ["loudness_3d"]),
        node("Conv", ["loudness_3d", "kernel"], ["smooth"], pads=[CONTEXT, CONTEXT]),
        node("Transpose", ["smooth"], ["amplitude"], perm=[0, 2, 1]),  # (B, T, 1)
        node("Exp", ["log_f0"], ["f0"]),
        node("Unsqueeze", ["f0", "axis2"], ["f0_3d"]),
        node("Mul", ["f0_3d", "sample_times"], ["advance"]),  # (B, T, hop)
        node("Unsqueeze", ["phase", "axis2"], ["phase_3d"]),
        node("Add", ["phase_3d", "advance"], ["cycles"]),
        node("Mul", ["cycles", "two_pi"], ["angle"]),
        node("Sin", ["angle"], ["sine"]),
        node("Mul", ["sine", "amplitude"], ["tonal"]),
        node("Shape", ["log_f0"], ["t"], start=1, end=2),
        node("Squeeze", ["t"], ["t_scalar"]),
        node("Range", ["zero", "t_scalar", "one"], ["times"]),
        node("Unsqueeze", ["start", "axis1"], ["start_column"]),
        node("Add", ["start_column", "times"], ["absolute"]),
        node("Mod", ["absolute", "noise_count"], ["noise_row"]),
        node("Gather", ["noise", "noise_row"], ["hiss"]),
        node("Add", ["tonal", "hiss"], ["shaped"]),
        node("Flatten", ["shaped"], ["audio"], axis=1),
    ]
    constants = {
        "zero": np.int64(0),
        "one": np.int64(1),
        "axis1": np.array([1]),
        "axis2": np.array([2]),
        "kernel": np.array([[[0.1, 0.2, 0.4, 0.2, 0.1]]], np.float32),
        "sample_times": (np.arange(HOP) / RATE_HZ).astype(np.float32),
        "two_pi": np.float32(2 * np.pi),
        "noise": noise,
        "noise_count": np.int64(len(noise)),
    }
    rows = ("f", ["B", "T"])
    return _model(
        nodes,
        constants,
        inputs={
            "frames": ("f", ["B", "T", WIDTH]),
            "log_f0": rows,
            "voicing": rows,
            "phase": rows,
            "start": ("i", ["B"]),
        },
        outputs={"audio": ("f", ["B", "S"])},
    )


def _model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any],
    inputs: dict[str, tuple[str, list[Any]]],
    outputs: dict[str, tuple[str, list[Any]]],
) -> onnx.ModelProto:
    types = {"i": TensorProto.INT64, "f": TensorProto.FLOAT}

    def values(described: dict[str, tuple[str, list[Any]]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, types[kind], shape) for name, (kind, shape) in described.items()]

    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", values(inputs), values(outputs), initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model

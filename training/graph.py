"""A small writer of ONNX graphs: the few operations our nets are made of, in float32 or with int8 matrix products.

Written by hand rather than traced, so that the graph is what this file says: shapes are dynamic, every matrix product
is one node, and int8 is a choice per product. Activations are quantised with scales fixed at export, not measured at
run time, so that a sentence sounds the same alone, in a batch and in pieces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 20
MICROSOFT: Final = "com.microsoft"
"""Operators that onnxruntime has beyond the standard."""
FLOAT: Final = TensorProto.FLOAT
INT64: Final = TensorProto.INT64

Range = tuple[float, float]


class Graph:
    """Nodes and constants as they are added; every method returns the name of what it makes."""

    def __init__(self, name: str, ranges: Mapping[str, Range] | None = None) -> None:
        """ranges: smallest and largest value met by each matrix product, by name; without it all stays float32."""
        self._name = name
        self._ranges = ranges
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._count = 0

    def op(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 (as onnx has it)
        """One node with one output."""
        self._count += 1
        out = name or f"{kind.lower()}_{self._count}"
        self._nodes.append(helper.make_node(kind, list(inputs), [out], domain=domain, **attributes))
        return out

    def split(self, x: str, sizes: Sequence[int]) -> list[str]:
        """Cut along the last axis."""
        self._count += 1
        names = [f"split_{self._count}_{part}" for part in range(len(sizes))]
        self._nodes.append(helper.make_node("Split", [x, self.ints(*sizes)], names, axis=-1))
        return names

    def constant(self, array: NDArray[Any]) -> str:
        """An initializer; equal ones are kept once."""
        array = np.asarray(array, order="C")  # ascontiguousarray would give scalars an axis
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"constant_{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def scalar(self, value: float) -> str:
        """A float32 constant without axes."""
        return self.constant(np.float32(value))  # type: ignore[arg-type]

    def ints(self, *values: int) -> str:
        """An int64 constant with one axis, as operators want axes, sizes and bounds."""
        return self.constant(np.array(values, np.int64))

    def unsqueeze(self, x: str, axis: int) -> str:
        """An axis of one more."""
        return self.op("Unsqueeze", x, self.ints(axis))

    def cut(self, x: str, axis: int, start: int, end: int) -> str:
        """x[start:end] along an axis."""
        return self.op("Slice", x, self.ints(start), self.ints(end), self.ints(axis))

    def reversed(self, x: str) -> str:
        """The last axis backwards."""
        return self.op("Slice", x, self.ints(-1), self.ints(-(2**31)), self.ints(-1), self.ints(-1))

    def shifted(self, x: str, frames: int) -> str:
        """(B, T, C) moved along T by one frame (+1 later, −1 earlier), zeros where nothing was."""
        return self.op("Pad", x, self.ints(0, frames, 0, 0, -frames, 0))  # what is padded less than nothing is cut off

    def linear(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32] | None, name: str = "") -> str:
        """x @ weight (in, out) + bias. In int8 where the range of x is known under `name`: unsigned activations with
        one scale, signed weights with one scale a column.
        """
        if self._ranges is None or name not in self._ranges:
            product = self.op("MatMul", x, self.constant(weight))
            return product if bias is None else self.op("Add", product, self.constant(bias))
        low, high = self._ranges[name]
        low, high = min(low, 0.0), max(high, 0.0)  # zero stays exact
        scale = max(high - low, 1e-6) / 255
        zero = int(np.clip(round(-low / scale), 0, 255))
        a_scale, a_zero = self.scalar(scale), self.constant(np.uint8(zero))  # type: ignore[arg-type]
        columns = np.maximum(np.abs(weight).max(0), 1e-8) / 127
        quantised = np.clip(np.round(weight / columns), -127, 127).astype(np.int8)
        return self.op(
            "MatMulIntegerToFloat",
            self.op("QuantizeLinear", x, a_scale, a_zero),
            self.constant(quantised),
            a_scale,
            self.constant(columns.astype(np.float32)),
            a_zero,
            self.constant(np.zeros(len(columns), np.int8)),
            "" if bias is None else self.constant(bias),
            domain=MICROSOFT,
        )

    def layer_norm(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """Normalise the last axis."""
        return self.op("LayerNormalization", x, self.constant(weight), self.constant(bias), axis=-1, epsilon=1e-6)

    def depthwise(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], dilation: int = 1) -> str:
        """(B, 1, T, C) convolved along T, channel by channel; weight (C, 1, K).

        An image one pixel high: for images alone onnxruntime keeps channels in blocks of a vector's length, and takes
        both transposes into that. 4 times as fast as a Conv over (B, C, T) between transposes, and the whole decoder
        1.05 (standard) to 1.08 (light).
        """
        channels, _, kernel = weight.shape
        reach = dilation * (kernel // 2)
        turned = self.op("Transpose", x, perm=[0, 3, 1, 2])
        y = self.op(
            "Conv", turned, self.constant(weight[:, :, None]), self.constant(bias),
            group=channels, kernel_shape=[1, kernel], dilations=[1, dilation], pads=[0, reach, 0, reach],
        )  # fmt: skip
        return self.op("Transpose", y, perm=[0, 2, 3, 1])

    def model(
        self,
        inputs: Mapping[str, tuple[int, Sequence[int | str]]],
        outputs: Mapping[str, tuple[int, Sequence[int | str]]],
    ) -> onnx.ModelProto:
        """The checked model. Outputs are nodes that were given these names."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in outputs.items()],
            self._initializers,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="tts-server")
        onnx.checker.check_model(model)
        return model

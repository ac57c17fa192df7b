"""The shapes of what operators give; those of quantised tensors as the operators of floats would give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Operator

FLOAT, BYTES, BIAS = np.dtype(np.float32), np.dtype(np.uint8), np.dtype(np.int32)
# Whose output has another shape than their first input.
OTHER_SHAPES = (
    "AveragePool", "Concat", "Conv", "ConvTranspose", "FC", "Flatten", "MaxPool", "Reshape", "ResizeNearest",
    "RoIAlign", "Slice", "Transpose",
)  # fmt: skip


def specs_of(op: Operator, inputs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The specs of the outputs. Raises as a run would."""
    if not op.type.startswith("Int8"):
        return op.infer_specs(inputs)
    held = (BYTES, BIAS) if op.type != "Int8Slice" else (BYTES,)  # it has whole numbers that are no bias
    found = of_floats(op).infer_specs([_as(x, FLOAT) if x.dtype in held else x for x in inputs])
    first = found[0] if op.type == "Int8Dequantize" else _as(found[0], BYTES)
    return (first, *found[1 : op.n_outputs])


def _as(x: TensorSpec, dtype: np.dtype[Any]) -> TensorSpec:
    return TensorSpec(x.shape if x.has_rank else None, dtype)


def of_floats(op: Operator) -> Operator:
    """The operator of floats that has the same shapes."""
    name = op.type.removeprefix("Int8").removesuffix("Relu")
    kind = name if name in OTHER_SHAPES else "Sum"
    args = {n: v for n, v in op.op_def.args.items() if n in registry.get(kind).arg_specs}
    if kind == "Concat":
        args = {"axis": op.arg_value("axis")}
    elif kind == "Slice" and op.has_arg("dim"):
        ahead = [0] * op.arg_value("dim")
        starts, ends = (*ahead, op.arg_value("start_idx")), (*(-1 for _ in ahead), op.arg_value("end_idx"))
        args = {"starts": starts, "ends": ends}
    elif "order" in registry.get(kind).arg_specs:
        args["order"] = "NHWC"
    outputs = ("first", "second")[: registry.get(kind).schema_of().max_output]
    return registry.create(op.op_def.replace(type=kind, output=outputs, args=args, engine=""))

"""Tensors made of a shape: constants, ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.text import literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer, dtype_name
from caffe2ops.port.values import NotPortable


def dims_of(op: Any, x: Tensor | None) -> str:
    """The shape that a filler fills, as source."""
    if x is None:
        return literal(tuple(op.shape))
    front = f"{x}.tolist()" if op.input_as_shape else f"{x}.shape"
    return f"(*{front}, {', '.join(map(str, op.extra_shape))})" if op.extra_shape else front


@rule("ConstantFill", "Float16ConstantFill")
def constant_fill(t: Writer, op: Any, x: Tensor | None = None, value: Tensor | None = None) -> str:
    if op.fills.kind == "O":
        raise NotPortable("fills with strings")
    if value is not None:
        return f"{value}.reshape(()).expand({dims_of(op, x)})"
    held = op._value if op.type == "ConstantFill" else op.value
    device = "" if x is None else f", device={x}.device"
    return f"torch.full({dims_of(op, x)}, {literal(held)}, dtype={dtype_name(op.fills)}{device})"


@rule("RangeFill")
def range_fill(t: Writer, op: Any, x: Tensor) -> str:
    dims = t.let("dims", dims_of(op, x))
    return f"torch.arange(math.prod({dims}), dtype=torch.float32, device={x}.device).reshape({dims})"


@rule("DiagonalFill")
def diagonal_fill(t: Writer, op: Any, x: Tensor) -> str:
    if op.input_as_shape or x.size is None:
        raise NotPortable("needs the shape as a number")
    dims = (*(x.static(i) for i in range(x.rank)), *op.extra_shape)
    return t.constant(f"{op.op_def.output[0]}_filled", op.fill(np.empty(dims, op.fills)))


@rule("Range")
def number_range(t: Writer, op: Any, *inputs: Tensor) -> str:
    start, stop, step = {1: ("", *inputs, ""), 2: (*inputs, "")}.get(len(inputs), inputs)
    like = f"{stop}.new_%s(1)"
    given = (start or like % "zeros", stop, step or like % "ones")
    return t.call("number_range", *given)


@rule("SinusoidPositionEncoding")
def position_waves(t: Writer, op: Any, positions: Tensor) -> str:
    return t.call("position_waves", positions, op.embedding_size, float(op.alpha), float(op.amplitude))

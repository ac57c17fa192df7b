"""Several blobs at once: scaled, or laid out in one vector."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import NotPortable, Value


@rule("ScaleBlobs")
def scale_blobs(g: Builder, op: Any, *inputs: Value) -> list[Value]:
    """One after the other: an output may be the blob of a later input, in the memory of which it is written."""
    now = dict(zip(op.op_def.input, inputs))
    made = []
    for name, x, output in zip(op.op_def.input, inputs, op.op_def.output):
        made.append(g.Mul(now[name] if now[name].shape == x.shape else x, op.scale))
        now[output] = made[-1]
    return made


@rule("UnsafeCoalesce")
def unsafe_coalesce(g: Builder, op: Any, *inputs: Value) -> list[Value]:
    """Outputs are parts of one memory; that goes unnoticed as long as nobody writes to them again."""
    if len({g.walker.last.get(name) for name in op.op_def.output}) > 1:
        raise NotPortable("an operator behind it writes to a part or to the whole, which changes the other, too")
    if not inputs:
        return [g.constant(np.zeros(0, np.float32))]
    return [*inputs, g.Concat(*(g.flat(x) for x in inputs), axis=0)]

"""Random numbers: of the same distribution, not the same numbers."""

from __future__ import annotations

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node, onnx
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.values import Value

FILLS = {
    "Normal": ("GaussianFill", ("mean", "mean"), ("std", "scale")),
    "Uniform": ("UniformFill", ("min", "low"), ("max", "high")),
}


@rule("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike")
def random(g: Builder, node: Node, like: Value | None = None) -> Value:
    fill, *names = FILLS[node.type.removeprefix("Random").removesuffix("Like")]
    args = {ours: node[theirs] for ours, theirs in names}
    if like is None:
        found = g.one(fill, shape=list(node["shape"]), **args)
    else:
        found = g.one(fill, g.dims(like), input_as_shape=1, **args) if like.rank else g.op(fill, **args)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(node["dtype"]) if node["dtype"] else like.dtype if like else np.float32
    return g.cast(found, dtype)

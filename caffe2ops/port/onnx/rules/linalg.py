"""Products of matrices, and of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import Value


@rule("FC", "FCTransposed")
def fully_connected(g: Builder, op: Any, x: Value, w: Value, b: Value) -> Value:
    axis = op.axis % x.rank
    made = g.Gemm(g.matrix(x, axis), g.matrix(w, op.axis_w), b, transB=int(not op.transposed))
    return made if axis == 1 else g.reshape(made, g.dims(x, slice(0, axis)), g.dims(made, [1]))


@rule("MatMul")
def matmul(g: Builder, op: Any, a: Value, b: Value, like: Value | None = None) -> Value:
    a, b = g.matrix(a, op.axis_a), g.matrix(b, op.axis_b)
    if op.trans_a or op.trans_b:
        made = g.Gemm(a, b, transA=int(op.trans_a), transB=int(op.trans_b))
    else:
        made = g.MatMul(a, b)
    return made if like is None else g.reshape(made, g.dims(like))


@rule("BatchMatMul")
def batch_matmul(g: Builder, op: Any, a: Value, b: Value) -> Value:
    a, b = (_flipped(g, x) if flip and x.rank > 1 else x for x, flip in ((a, op.trans_a), (b, op.trans_b)))
    if a.rank == b.rank == 1:
        return g.reshape(g.MatMul(a, b), [1])
    if 1 in (a.rank, b.rank):  # a vector becomes a matrix: onnxruntime errs where the other one is transposed
        axis = -2 if a.rank == 1 else -1
        a, b = (g.unsqueeze(x, 0 if axis == -2 else 1) if x.rank == 1 else x for x in (a, b))
        return g.Squeeze(g.MatMul(a, b), [axis])
    return g.MatMul(a, b)


def _flipped(g: Builder, x: Value) -> Value:
    return g.transpose(x, [*range(x.rank - 2), x.rank - 1, x.rank - 2])


@rule("ConcatBatchMatMulBatchGatherOp")
def chosen_products(g: Builder, op: Any, indices: Value, *inputs: Value) -> Value:
    """Dot products of the inputs of an example, all with all; those at indices."""
    parts = [g.unsqueeze(g.matrix(x), 1) for x in inputs]
    joined = g.Concat(*parts, axis=1) if len(parts) > 1 else parts[0]
    products = g.MatMul(joined, g.transpose(joined, [0, 2, 1]))
    return g.Gather(g.Flatten(products, axis=1), indices, axis=1)


def rows(g: Builder, x: Value) -> Value:
    """A matrix of the rows of x; a number counts as one row."""
    return g.matrix(x) if x.rank > 1 else g.reshape(x, -1, 1)


@rule("DotProduct")
def dot_product(g: Builder, op: Any, x: Value, y: Value) -> Value:
    return g.reduce("ReduceSum", g.Mul(rows(g, x), rows(g, y)), [1])


@rule("DotProductWithPadding")
def dot_product_with_padding(g: Builder, op: Any, x: Value, y: Value) -> Value:
    x, y = rows(g, x), rows(g, y)
    wide, narrow = x.static(1), y.static(1)
    if wide < narrow:
        x, y, wide, narrow = y, x, narrow, wide
    if wide != narrow:
        if op.replicate:
            y = g.Tile(y, [1, wide // narrow])
        else:
            y = g.Pad(y, [0, 0, 0, wide - narrow], np.asarray(op.pad_value, y.dtype))
    return g.reduce("ReduceSum", g.Mul(x, y), [1])


@rule("SquaredL2Distance")
def squared_distance(g: Builder, op: Any, x: Value, y: Value) -> Value:
    return g.Mul(g.reduce("ReduceSumSquare", rows(g, g.Sub(x, y)), [1]), 0.5)


@rule("L1Distance")
def l1_distance(g: Builder, op: Any, x: Value, y: Value) -> Value:
    return g.reduce("ReduceL1", rows(g, g.Sub(x, y)), [1])


@rule("CosineSimilarity")
def cosine_similarity(g: Builder, op: Any, x: Value, y: Value) -> Value:
    x, y = rows(g, x), rows(g, y)
    xx, yy = (g.Max(g.reduce("ReduceSumSquare", v, [1]), 1e-12) for v in (x, y))
    return g.Div(g.reduce("ReduceSum", g.Mul(x, y), [1]), g.Sqrt(g.Mul(xx, yy)))

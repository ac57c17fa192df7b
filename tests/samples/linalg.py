"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, normal

DOUBLE = "Caffe2 takes float32 only"
BEYOND = "Caffe2 computes something else here"


def _mm(a: np.ndarray, b: np.ndarray, note: str = "", **args: Any) -> Sample:
    return Sample("MatMul", [a, b], args, note=note)


def _bmm(a: np.ndarray, b: np.ndarray, note: str = "", **args: Any) -> Sample:
    whole = "broadcast" not in args
    reason = "" if whole else "the gradient does not add up over broadcast dims, in Caffe2 neither"
    return Sample("BatchMatMul", [a, b], args, note=note, differentiable=whole, reason=reason)


X, W, B = normal(3, 4), normal(5, 4, seed=1), normal(5, seed=2)
AXES = "Caffe2's gradient forgets the axes"

FEATURES = [normal(3, 2, 2, seed=seed) for seed in range(3)]

samples = [
    Sample("FC", [X, W, B]),
    Sample("FC", [normal(9, 4), W, B], note="more rows than outputs"),
    Sample("FC", [normal(1, 4), W, B], note="one row"),
    Sample("FC", [normal(0, 4), W, B], note="no rows", differentiable=False),
    Sample("FC", [normal(3, 2, 2), normal(5, 2, 2), B], note="joined dims"),
    Sample("FC", [normal(2, 3, 4), W, B], {"axis": 2}, note="axis"),
    Sample("FC", [normal(2, 3, 4), W, B], {"axis": -1}, note="axis from the end"),
    Sample("FC", [normal(3, 6), normal(5, 2, 6, seed=3)[:, 0], B], {"axis": 1}, note="sliced weights"),
    Sample("FC", [normal(3, 2), normal(5, 1, 2), B], {"axis_w": 2}, note="axis_w"),
    Sample("FC", [normal(4), W, B], {"axis": 0}, note="a vector"),
    Sample(
        "FC",
        [normal(2, 0), normal(5, 0), B],
        golden=False,
        expected=[np.tile(B, (2, 1))],
        reason="Caffe2 crashes",
        note="no columns",
    ),
    Sample("FC", [X.astype("f8"), W.astype("f8"), B.astype("f8")], golden=False, reason=DOUBLE, note="float64"),
    Sample("FC", [X, normal(5, 3), B], error=r"W: shape \[5, 3\].*wants K = 4", note="wrong width"),
    Sample("FC", [X, W, normal(4)], error=r"b: shape is \[4\], wants \[5\]", note="wrong bias"),
    Sample("FC", [normal(4), W, B], error="axis = 1, wants -1 to 0", note="axis too far"),
    Sample("FC", [X, W.astype("f8"), B], error="W: dtype is float64", note="mixed dtypes"),
    Sample("FCGradient", [X, W, normal(3, 5)], outputs=3),
    Sample("FCGradient", [normal(2, 3, 4), W, normal(2, 3, 5)], {"axis": 2}, outputs=2, note="no dX, axis"),
    Sample(
        "FCGradient", [X, W, normal(3, 4)], error="dY: shape is", note="shape of dY", golden=False, reason="unchecked"
    ),
    Sample("FCTransposed", [X, normal(4, 5), B]),
    Sample("FCTransposed", [normal(1, 4), normal(4, 5), B], note="one row"),
    Sample("FCTransposed", [normal(2, 3, 4), normal(4, 5), B], {"axis": 2}, note="axis"),
    Sample("FCTransposed", [X, W, B], error="wants K = 4", note="not transposed"),
    Sample("FCTransposedGradient", [X, normal(4, 5), normal(3, 5)], outputs=3),
    _mm(normal(2, 3), normal(3, 4)),
    _mm(normal(3, 2), normal(3, 4), "trans a", trans_a=1),
    _mm(normal(2, 3), normal(4, 3), "trans b", trans_b=1),
    _mm(normal(3, 2), normal(4, 3), "both", trans_a=1, trans_b=1),
    _mm(normal(3, 0), normal(0, 4), "empty inside"),
    Sample("MatMul", [normal(2, 3, 4), normal(4, 5)], {"axis_a": 2}, note="axis a", differentiable=False, reason=AXES),
    Sample(
        "MatMul", [normal(2, 3, 4), normal(4, 5)], {"axis_a": 2}, note="axis a, gradient", golden=False, reason=AXES
    ),
    Sample("MatMul", [normal(2, 6), normal(2, 3, 4)], {"axis_b": 2}, note="axis b", golden=False, reason=AXES),
    Sample(
        "MatMul",
        [normal(3, 4, 2), normal(5, 3, 4)],
        {"axis_a": 2, "trans_a": 1, "trans_b": 1},
        note="trans, axis a",
        golden=False,
        reason=AXES,
    ),
    Sample(
        "MatMul",
        [normal(2, 3), normal(3, 4), normal(4, 2)],
        note="shaped like",
        differentiable=False,
        reason="only the shape is read",
    ),
    Sample(
        "MatMul",
        [normal(2, 3), normal(3, 4), normal(4, 3)],
        error="shape_like: shape is",
        note="shaped unlike",
        golden=False,
        reason="unchecked",
    ),
    Sample("MatMul", [normal(2, 3), normal(2, 4)], error="wants 3 rows", note="sizes"),
    Sample("MatMul", [normal(3), normal(3, 4)], error="axis_a = 1", note="vector"),
    _bmm(normal(2, 3, 4), normal(2, 4, 5)),
    _bmm(normal(2, 4, 3), normal(2, 4, 5), "trans a", trans_a=1),
    _bmm(normal(2, 3, 4), normal(2, 5, 4), "trans b", trans_b=1),
    _bmm(normal(2, 4, 3), normal(2, 5, 4), "both", trans_a=1, trans_b=1),
    _bmm(normal(2, 3, 4, 5), normal(2, 3, 5, 2), "4-D"),
    _bmm(normal(3, 4), normal(4, 5), "matrices"),
    _bmm(normal(0, 3, 4), normal(0, 4, 5), "no matrices"),
    Sample(
        "BatchMatMul",
        [normal(4), normal(4)],
        note="vectors",
        differentiable=False,
        reason="Caffe2's gradient loses the dims",
    ),
    _bmm(normal(2, 3, 4), normal(4, 5), "broadcast", broadcast=1),
    _bmm(normal(1, 3, 4), normal(2, 4, 5), "broadcast 1", broadcast=1),
    _bmm(normal(2, 3, 4), normal(3, 1, 4, 5), "broadcast both", broadcast=1),
    _bmm(normal(4), normal(2, 4, 3), "vector on the left", broadcast=1),
    _bmm(normal(2, 3, 4), normal(4), "vector on the right", broadcast=1),
    Sample(
        "BatchMatMul",
        [normal(4, 2), normal(4)],
        {"broadcast": 1, "trans_a": 1},
        note="trans and a vector",
        golden=False,
        reason=BEYOND,
        differentiable=False,
        expected=[normal(4, 2).T @ normal(4)],
    ),
    Sample(
        "BatchMatMul",
        [normal(2, 3, 4), normal(2, 3, 4)],
        error="wants 4 rows",
        note="sizes",
        golden=False,
        reason="refused late",
    ),
    Sample("BatchMatMul", [normal(2, 3, 4), normal(4, 5)], error="broadcast = 0", note="no broadcast"),
    *(
        Sample("BatchMatMul", [a, b], note=note, differentiable=False, reason="Caffe2's gradient loses the dims")
        for a, b, note in (
            (normal(2, 3, 4), normal(1, 2, 4, 5), "ones in front"),
            (normal(1, 1, 3, 4), normal(4, 5), "a matrix, ones in front"),
            (normal(4), normal(2, 4, 3), "a row for all"),
            (normal(2, 3, 4), normal(4), "a column for all"),
        )
    ),
    Sample(
        "BatchMatMul",
        [normal(2, 3, 4), normal(3, 4, 5)],
        {"broadcast": 1},
        error="does not broadcast",
        note="unlike dims",
    ),
    Sample("DotProduct", [normal(3, 4), normal(3, 4, seed=1)]),
    Sample("DotProduct", [normal(4), normal(4, seed=1)], note="vectors"),
    Sample("DotProduct", [normal(2, 3, 4), normal(2, 3, 4, seed=1)], note="3-D"),
    Sample("DotProduct", [normal(0, 4), normal(0, 4)], note="no rows"),
    Sample("DotProduct", [normal(), normal(seed=1)], note="numbers"),
    Sample("DotProduct", [normal(3, 4), normal(4, 3)], error="Y: shape is", note="unlike shapes"),
    Sample("DotProductGradient", [normal(3, 4), normal(3, 4, seed=1), normal(3)]),
    Sample("DotProductGradient", [normal(3, 4), normal(3, 4), normal(2)], error="dZ: has 2", note="unlike rows"),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(0, 5, 1, 1), *FEATURES]),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(1, 2), normal(3), normal(3, seed=1)], note="scalars"),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(), *FEATURES], note="none taken"),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(3), *(x[:0] for x in FEATURES)], note="no example"),
    Sample(
        "ConcatBatchMatMulBatchGatherOp",
        [int32s(0, 9), *FEATURES],
        error="0 to 9, wants 0 to 8",
        golden=False,
        reason="Caffe2 reads out of bounds",
        note="index out of bounds",
    ),
    Sample(
        "ConcatBatchMatMulBatchGatherOp",
        [int32s(0), FEATURES[0], FEATURES[1][:2]],
        error="wants \\[B, ...\\]",
        note="other shape",
    ),
    Sample("ConcatBatchMatMulBatchGatherOp", [int32s(0)], error="inputs: there are none", note="no inputs"),
    Sample(
        "ConcatBatchMatMulBatchGatherOp",
        [np.array([[0], [1]], np.int32), *FEATURES],
        error="wants \\[K\\]",
        golden=False,
        reason="Caffe2 leaves most of the output unwritten",
        note="indices of two dims",
    ),
]

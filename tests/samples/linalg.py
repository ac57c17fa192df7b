"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, rng

DOUBLE = "Caffe2 takes float32 only"
BEYOND = "Caffe2 computes something else here"


def _f(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed + len(shape)).standard_normal(shape).astype(np.float32)


def _mm(a: np.ndarray, b: np.ndarray, note: str = "", **args: Any) -> Sample:
    return Sample("MatMul", [a, b], args, note=note)


def _bmm(a: np.ndarray, b: np.ndarray, note: str = "", **args: Any) -> Sample:
    whole = "broadcast" not in args
    reason = "" if whole else "the gradient does not add up over broadcast dims, in Caffe2 neither"
    return Sample("BatchMatMul", [a, b], args, note=note, differentiable=whole, reason=reason)


X, W, B = _f(3, 4), _f(5, 4, seed=1), _f(5, seed=2)
AXES = "Caffe2's gradient forgets the axes"

samples = [
    Sample("FC", [X, W, B]),
    Sample("FC", [_f(9, 4), W, B], note="more rows than outputs"),
    Sample("FC", [_f(1, 4), W, B], note="one row"),
    Sample("FC", [_f(0, 4), W, B], note="no rows", differentiable=False),
    Sample("FC", [_f(3, 2, 2), _f(5, 2, 2), B], note="joined dims"),
    Sample("FC", [_f(2, 3, 4), W, B], {"axis": 2}, note="axis"),
    Sample("FC", [_f(2, 3, 4), W, B], {"axis": -1}, note="axis from the end"),
    Sample("FC", [_f(3, 6), _f(5, 2, 6, seed=3)[:, 0], B], {"axis": 1}, note="sliced weights"),
    Sample("FC", [_f(3, 2), _f(5, 1, 2), B], {"axis_w": 2}, note="axis_w"),
    Sample("FC", [_f(4), W, B], {"axis": 0}, note="a vector"),
    Sample(
        "FC",
        [_f(2, 0), _f(5, 0), B],
        golden=False,
        expected=[np.tile(B, (2, 1))],
        reason="Caffe2 crashes",
        note="no columns",
    ),
    Sample("FC", [X.astype("f8"), W.astype("f8"), B.astype("f8")], golden=False, reason=DOUBLE, note="float64"),
    Sample("FC", [X, _f(5, 3), B], error=r"W: shape \[5, 3\].*wants K = 4", note="wrong width"),
    Sample("FC", [X, W, _f(4)], error=r"b: shape is \[4\], wants \[5\]", note="wrong bias"),
    Sample("FC", [_f(4), W, B], error="axis = 1, wants -1 to 0", note="axis too far"),
    Sample("FC", [X, W.astype("f8"), B], error="W: dtype is float64", note="mixed dtypes"),
    Sample("FCGradient", [X, W, _f(3, 5)], outputs=3),
    Sample("FCGradient", [_f(2, 3, 4), W, _f(2, 3, 5)], {"axis": 2}, outputs=2, note="no dX, axis"),
    Sample("FCGradient", [X, W, _f(3, 4)], error="dY: shape is", note="shape of dY", golden=False, reason="unchecked"),
    Sample("FCTransposed", [X, _f(4, 5), B]),
    Sample("FCTransposed", [_f(1, 4), _f(4, 5), B], note="one row"),
    Sample("FCTransposed", [_f(2, 3, 4), _f(4, 5), B], {"axis": 2}, note="axis"),
    Sample("FCTransposed", [X, W, B], error="wants K = 4", note="not transposed"),
    Sample("FCTransposedGradient", [X, _f(4, 5), _f(3, 5)], outputs=3),
    _mm(_f(2, 3), _f(3, 4)),
    _mm(_f(3, 2), _f(3, 4), "trans a", trans_a=1),
    _mm(_f(2, 3), _f(4, 3), "trans b", trans_b=1),
    _mm(_f(3, 2), _f(4, 3), "both", trans_a=1, trans_b=1),
    _mm(_f(3, 0), _f(0, 4), "empty inside"),
    Sample("MatMul", [_f(2, 3, 4), _f(4, 5)], {"axis_a": 2}, note="axis a", differentiable=False, reason=AXES),
    Sample("MatMul", [_f(2, 3, 4), _f(4, 5)], {"axis_a": 2}, note="axis a, gradient", golden=False, reason=AXES),
    Sample("MatMul", [_f(2, 6), _f(2, 3, 4)], {"axis_b": 2}, note="axis b", golden=False, reason=AXES),
    Sample(
        "MatMul",
        [_f(3, 4, 2), _f(5, 3, 4)],
        {"axis_a": 2, "trans_a": 1, "trans_b": 1},
        note="trans, axis a",
        golden=False,
        reason=AXES,
    ),
    Sample(
        "MatMul",
        [_f(2, 3), _f(3, 4), _f(4, 2)],
        note="shaped like",
        differentiable=False,
        reason="only the shape is read",
    ),
    Sample(
        "MatMul",
        [_f(2, 3), _f(3, 4), _f(4, 3)],
        error="shape_like: shape is",
        note="shaped unlike",
        golden=False,
        reason="unchecked",
    ),
    Sample("MatMul", [_f(2, 3), _f(2, 4)], error="wants 3 rows", note="sizes"),
    Sample("MatMul", [_f(3), _f(3, 4)], error="axis_a = 1", note="vector"),
    _bmm(_f(2, 3, 4), _f(2, 4, 5)),
    _bmm(_f(2, 4, 3), _f(2, 4, 5), "trans a", trans_a=1),
    _bmm(_f(2, 3, 4), _f(2, 5, 4), "trans b", trans_b=1),
    _bmm(_f(2, 4, 3), _f(2, 5, 4), "both", trans_a=1, trans_b=1),
    _bmm(_f(2, 3, 4, 5), _f(2, 3, 5, 2), "4-D"),
    _bmm(_f(3, 4), _f(4, 5), "matrices"),
    _bmm(_f(0, 3, 4), _f(0, 4, 5), "no matrices"),
    Sample(
        "BatchMatMul", [_f(4), _f(4)], note="vectors", differentiable=False, reason="Caffe2's gradient loses the dims"
    ),
    _bmm(_f(2, 3, 4), _f(4, 5), "broadcast", broadcast=1),
    _bmm(_f(1, 3, 4), _f(2, 4, 5), "broadcast 1", broadcast=1),
    _bmm(_f(2, 3, 4), _f(3, 1, 4, 5), "broadcast both", broadcast=1),
    _bmm(_f(4), _f(2, 4, 3), "vector on the left", broadcast=1),
    _bmm(_f(2, 3, 4), _f(4), "vector on the right", broadcast=1),
    Sample(
        "BatchMatMul",
        [_f(4, 2), _f(4)],
        {"broadcast": 1, "trans_a": 1},
        note="trans and a vector",
        golden=False,
        reason=BEYOND,
        differentiable=False,
        expected=[_f(4, 2).T @ _f(4)],
    ),
    Sample(
        "BatchMatMul",
        [_f(2, 3, 4), _f(2, 3, 4)],
        error="wants 4 rows",
        note="sizes",
        golden=False,
        reason="refused late",
    ),
    Sample("BatchMatMul", [_f(2, 3, 4), _f(4, 5)], error="broadcast = 0", note="no broadcast"),
    Sample("BatchMatMul", [_f(2, 3, 4), _f(3, 4, 5)], {"broadcast": 1}, error="does not broadcast", note="unlike dims"),
    Sample("DotProduct", [_f(3, 4), _f(3, 4, seed=1)]),
    Sample("DotProduct", [_f(4), _f(4, seed=1)], note="vectors"),
    Sample("DotProduct", [_f(2, 3, 4), _f(2, 3, 4, seed=1)], note="3-D"),
    Sample("DotProduct", [_f(0, 4), _f(0, 4)], note="no rows"),
    Sample("DotProduct", [_f(), _f(seed=1)], note="numbers"),
    Sample("DotProduct", [_f(3, 4), _f(4, 3)], error="Y: shape is", note="unlike shapes"),
    Sample("DotProductGradient", [_f(3, 4), _f(3, 4, seed=1), _f(3)]),
    Sample("DotProductGradient", [_f(3, 4), _f(3, 4), _f(2)], error="dZ: has 2", note="unlike rows"),
]

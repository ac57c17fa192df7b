"""Rows and columns of matrices scaled and transformed; Expand; half floats."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, rng

BOUNDS, SLOPES, INTERCEPTS = [0.0, 1.0, 2.0] * 3, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
PIECES = {"bounds": BOUNDS, "slopes": SLOPES, "intercepts": INTERCEPTS}
BINARY = {"bounds": BOUNDS[:3], "slopes": SLOPES[:2], "intercepts": INTERCEPTS[:2], "binary": 1}
SCORES = np.float32([[-1, 0, 0.5], [1, 2, 3], [1.5, 0.2, 1]])


def positive(*shape: int) -> np.ndarray:
    return rng(len(shape)).uniform(0.5, 3, shape).astype(np.float32)


samples = [
    Sample("RowMul", [normal(3, 4), normal(3)]),
    Sample("RowMul", [normal(3, 2, 4), normal(3, 1)], note="3-D"),
    Sample("RowMul", [normal(3, 4), normal(4)], note="too many", error="w: has 4 elements"),
    Sample("ReduceTailSum", [normal(3, 4)]),
    Sample("ReduceTailSum", [normal(3, 2, 4)], note="3-D"),
    Sample("SquareRootDivide", [normal(3, 4), np.float32([4, 0, 2])]),
    Sample("SquareRootDivide", [normal(2, 3, 2), int32s(3, 9)], note="int32"),
    Sample("SquareRootDivide", [normal(2), int64s(3, 9)], note="int64, vector"),
    Sample("SquareRootDivide", [normal(2, 3), positive(2, 1)], note="column"),
    Sample("SquareRootDivide", [normal(2), np.float32([-1, 9])], note="negative", error="scale: holds -1.0"),
    Sample("SquareRootDivide", [normal(2), positive(3)], note="too many", error="scale: has 3 elements"),
    Sample("ElementwiseLinear", [normal(3, 4), normal(4), normal(4, seed=1)]),
    Sample("ElementwiseLinear", [normal(2, 3, 4), normal(12), normal(12, seed=1)], note="3-D"),
    Sample("ElementwiseLinear", [normal(2, 3, 4), normal(4), normal(4, seed=1)], {"axis": 2}, note="axis 2"),
    Sample("ElementwiseLinear", [normal(2, 3), normal(6), normal(6, seed=1)], {"axis": 0}, note="axis 0"),
    Sample("ElementwiseLinear", [normal(2, 3), normal(2), normal(2)], note="width", error="w: has 2 elements"),
    Sample("ElementwiseLinearGradient", [normal(3, 4), normal(3, 4, seed=1), normal(4)]),
    Sample("BatchBoxCox", [np.float32([[1, 2, -3], [0.5, 0.1, 3]]), np.float32([0, 1, 0.5]), np.float32([0, 0.1, 1])]),
    Sample("BatchBoxCox", [positive(2, 3, 2), np.float32([0, 1, 0.5, 0, 2, -1]), positive(6)], note="3-D"),
    Sample("BatchBoxCox", [positive(2, 3).astype("f8"), np.float64([0, 3, -2]), np.float64([0, 1, 2])], note="float64"),
    Sample("BatchBoxCox", [positive(4), np.float32([0.5]), np.float32([1])], note="vector"),
    Sample("BatchBoxCox", [positive(0, 3), positive(3), positive(3)], note="no rows"),
    Sample("BatchBoxCox", [positive(2, 3), positive(2), positive(3)], note="width", error="lambda1: has 2 elements"),
    Sample("PiecewiseLinearTransform", [SCORES], PIECES),
    Sample("PiecewiseLinearTransform", [SCORES, *map(np.float32, (BOUNDS, SLOPES, INTERCEPTS))], note="inputs"),
    Sample("PiecewiseLinearTransform", [SCORES[:, :2].copy()], BINARY, note="binary"),
    Sample("PiecewiseLinearTransform", [SCORES[:, 0].copy()], BINARY, note="binary vector"),
    Sample("PiecewiseLinearTransform", [SCORES[:, :1].copy()], BINARY, note="binary column"),
    Sample("PiecewiseLinearTransform", [SCORES], BINARY, note="binary, three columns", error="wants .N., .N, 1."),
    Sample("PiecewiseLinearTransform", [SCORES], note="no pieces", error="want to be three arguments"),
    Sample("PiecewiseLinearTransform", [SCORES], PIECES | {"bounds": BOUNDS[::-1]}, note="unsorted", error="sorted"),
    Sample("PiecewiseLinearTransform", [SCORES], PIECES | {"slopes": [1.0]}, note="slopes", error="elements; 3 func"),
    Sample("StumpFunc", [np.float32([[1, 2], [3, np.nan]])], {"threshold": 2.0, "low_value": 5.0, "high_value": 6.0}),
    Sample("StumpFuncIndex", [np.float32([[1, 2], [3, np.nan]])], {"threshold": 2.0}),
    Sample("Expand", [normal(3, 1), int64s(2, 1, 4)]),
    Sample("Expand", [normal(3, 1), int64s(3, -1)], note="its own dims"),
    Sample("Expand", [normal(2, 3, 1), int64s(4)], note="fewer dims"),
    Sample("Expand", [np.int32([[1], [2]]), int64s(2, 3)], note="int32"),
    Sample("Expand", [np.int64([[1], [2]]), int64s(2, 3)], note="int64"),
    Sample("Expand", [normal(3, 2), int64s(4)], note="dims", error="shape: is .4., X has .3, 2."),
    Sample("Expand", [normal(3, 1), int32s(3, 2)], note="int32 shape", error="shape: dtype is int32"),
    Sample("ExpandGradient", [normal(2, 3, 4), normal(3, 1)]),
    Sample("FloatToHalf", [np.float32([[1e5, -1e6], [0.1, 1e-7]])], differentiable=False, reason="rounds"),
    Sample(
        "FloatToHalf", [np.float32([1e5, -1e6, 2])], {"clip": 1}, note="clip", differentiable=False, reason="rounds"
    ),
    Sample("HalfToFloat", [np.float16([[0.1, np.inf, 6e-8]])], differentiable=False, reason="rounds"),
]

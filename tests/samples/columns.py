"""Rows and columns of matrices scaled, transformed, reduced and counted."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, rng

TIES = np.float32([[[1, 3, 3], [2, 2, 0]], [[0, -1, 5], [5, 5, 5]]])
BOUNDS, SLOPES, INTERCEPTS = [0.0, 1.0, 2.0] * 3, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
PIECES = {"bounds": BOUNDS, "slopes": SLOPES, "intercepts": INTERCEPTS}
BINARY = {"bounds": BOUNDS[:3], "slopes": SLOPES[:2], "intercepts": INTERCEPTS[:2], "binary": 1}
SCORES = np.float32([[-1, 0, 0.5], [1, 2, 3], [1.5, 0.2, 1]])
POINTS = np.float32([[0.1, 0.2], [0.5, 0.6], [1.0, 0.9], [2.0, 0.3], [4.0, 0.8]])
COLUMNS = np.float32([[0.05, 1], [0.1, 2], [0.3, 3], [0.5, 4], [1.0, 5], [2, 2.5]])


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
    Sample("RowwiseMax", [TIES], differentiable=False, reason="ties"),
    Sample("RowwiseMax", [normal(2, 3, 4)], note="no ties"),
    Sample("RowwiseMax", [normal(3, 4)], note="2-D", error="X: "),
    Sample("RowwiseMax", [normal(2, 3, 0)], note="empty", error="wants matrices", golden=False, reason="it crashes"),
    Sample("RowwiseMaxGradient", [TIES, TIES.max(axis=2), normal(2, 2)]),
    Sample("ColwiseMax", [TIES], differentiable=False, reason="ties"),
    Sample("ColwiseMax", [normal(2, 3, 4)], note="no ties"),
    Sample("ColwiseMaxGradient", [TIES, TIES.max(axis=1), normal(2, 3)]),
    Sample(
        "Histogram", [np.float32([0, 1, 2, 3, 0.5, -1, 4]), np.float32([[2.5]])], {"bin_edges": [0.0, 1.0, 2.0, 3.0]}
    ),
    Sample("Histogram", [np.float32([1, 7])], {"bin_edges": [0.0, 1.5]}, note="one bin"),
    Sample("Histogram", [np.float64([1, 2])], {"bin_edges": [0.0, 3.0]}, note="float64"),
    Sample("Histogram", [normal(3)], {"bin_edges": [1.0]}, note="one edge", error="greater than or equal to 2"),
    Sample("Histogram", [normal(3)], {"bin_edges": [1.0, 1.0]}, note="equal", error="strictly increasing"),
    Sample("Percentile", [COLUMNS, POINTS, int32s(3, 2)]),
    Sample("Percentile", [COLUMNS, POINTS, int32s(3, 1)], note="too few", error="lengths: sum is 4"),
    Sample(
        "Percentile",
        [COLUMNS, POINTS, int32s(5, 0)],
        note="none",
        error="wants 1 or more",
        golden=False,
        reason="it reads beyond",
    ),
    Sample("ClipTensorByScaling", [normal(2, 3), np.float32([4])], {"threshold": 2.0}),
    Sample(
        "ClipTensorByScaling", [normal(2, 3), np.float32([4]), np.float32([3])], {"threshold": 2.0}, note="let pass"
    ),
    Sample(
        "ClipTensorByScaling", [normal(2, 3), np.float32([4]), np.float32([1.5])], {"threshold": 2.0}, note="factor"
    ),
    Sample("ClipTensorByScaling", [normal(2), np.float32([4, 5])], {"threshold": 2.0}, note="val", error="val: has 2"),
    Sample(
        "ClipTensorByScaling", [normal(2), np.float32([4])], {"threshold": -2.0}, note="negative", error="threshold"
    ),
    Sample("Expand", [normal(3, 1), int64s(2, 1, 4)]),
    Sample("Expand", [normal(3, 1), int64s(3, -1)], note="its own dims"),
    Sample("Expand", [normal(2, 3, 1), int64s(4)], note="fewer dims"),
    Sample("Expand", [np.int32([[1], [2]]), int64s(2, 3)], note="int32"),
    Sample("Expand", [np.int64([[1], [2]]), int64s(2, 3)], note="int64"),
    Sample("Expand", [normal(3, 2), int64s(4)], note="dims", error="shape: is .4., X has .3, 2."),
    Sample("Expand", [normal(3, 1), int32s(3, 2)], note="int32 shape", error="shape: dtype is int32"),
    Sample("ExpandGradient", [normal(2, 3, 4), normal(3, 1)]),
    Sample("Mish", [normal(3, 4)]),
    Sample("Mish", [np.float32([-30, 0, 12])], note="far out"),
    Sample("MishGradient", [normal(3), normal(3, seed=1), normal(3, seed=2)]),
    Sample("FloatToHalf", [np.float32([[1e5, -1e6], [0.1, 1e-7]])], differentiable=False, reason="rounds"),
    Sample(
        "FloatToHalf", [np.float32([1e5, -1e6, 2])], {"clip": 1}, note="clip", differentiable=False, reason="rounds"
    ),
    Sample("HalfToFloat", [np.float16([[0.1, np.inf, 6e-8]])], differentiable=False, reason="rounds"),
]

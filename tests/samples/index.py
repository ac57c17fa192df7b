"""Rows by index, and the largest values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, strings

CRASH = "Caffe2 reads or writes out of bounds"
DTYPE = "Caffe2 takes float32 only"


X = normal(4, 3)
RANGES = int32s(0, 1, 2, 2, 4, 1, 1, 0).reshape(2, 2, 2)
ONE, TWO, THREE = np.float32([1]), np.float32([2]), np.array(3, np.float32)


def _gather(note: str, data: np.ndarray, indices: np.ndarray, **args: Any) -> Sample:
    return Sample("Gather", [data, indices], args, note=note)


def _scatter(note: str, *inputs: np.ndarray, **more: Any) -> Sample:
    return Sample("ScatterWeightedSum", list(inputs), note=note, inplace={0: 0}, **more)


def _top(note: str, *inputs: np.ndarray, outputs: int = 3, more: dict[str, Any] | None = None, **args: Any) -> Sample:
    return Sample("TopK", list(inputs), args, note=note, outputs=outputs, **(more or {}))


ROWS = np.round(normal(3, 130), 1)  # with ties
ENDLESS = np.where(abs(ROWS) > 1, ROWS, -np.inf).astype(np.float32)
ENDLESS[1, 100:] = np.nan


samples = [
    _gather("", X, int32s(1, 3, 1)),
    _gather("int64", X, int64s(0, 3)),
    _gather("2-D indices", X, int32s(1, 3, 1, 0).reshape(2, 2)),
    _gather("a number", X, np.int32(2)),
    _gather("no indices", X, int32s()),
    _gather("no rows, no indices", normal(0, 2), int32s()),
    _gather("axis 1", normal(2, 3, 2), int32s(2, 0, 2), axis=1),
    _gather("last axis", normal(2, 3), int64s(2, 0), axis=-1),
    _gather("match outer", normal(2, 3), int32s(2, 0, 1, 1).reshape(2, 2), axis=1, match_outer=1),
    _gather("match outer, 3-D", normal(2, 3, 2), int32s(2, 0, 1, 1).reshape(2, 2), axis=1, match_outer=1),
    _gather("match outer, axis 2", normal(2, 3, 4), int32s(3, 0, 1, 1, 0, 1).reshape(2, 3), axis=2, match_outer=1),
    _gather("match outer, no rows", normal(0, 4, 2), int32s().reshape(0, 3), axis=1, match_outer=1),
    _gather("strings", strings("a", "b"), int32s(1, 1)),
    Sample(
        "Gather",
        [X, int32s(1, -1)],
        note="negative",
        differentiable=False,
        reason="a sparse gradient holds the index as it is",
    ),
    Sample("Gather", [X, int32s(1, 4)], error="INDICES: element 1 is 4, DATA has 4 rows", note="out of range"),
    Sample("Gather", [X, int32s(1, -5)], error="INDICES: element 1 is -5", note="too negative"),
    Sample(
        "Gather",
        [normal(0, 2), int32s(0)],
        error="DATA has 0 rows",
        note="no rows",
        golden=False,
        reason="Caffe2 gives no row",
    ),
    Sample("Gather", [X, normal(1)], error="INDICES: dtype", note="float indices"),
    Sample("Gather", [X, int32s(1)], {"match_outer": 1}, error="wants 1 or more", note="match outer, axis 0"),
    Sample(
        "Gather",
        [X, int32s(1, 2)],
        {"match_outer": 1, "axis": 1},
        error="wants to start as DATA",
        note="unlike outer dims",
        golden=False,
        reason="Caffe2 reads something",
    ),
    Sample("BatchGather", [normal(2, 3, 2), int32s(2, 0)]),
    Sample("BatchGather", [normal(2, 3), int64s(2, 0, 1, 1).reshape(2, 2)], note="2-D indices"),
    Sample("BatchGather", [normal(2, 3), int32s(3)], error="is 3, DATA has 3 rows", note="out of range"),
    Sample("BatchGatherGradient", [normal(2, 3), int32s(2, 0, 2), normal(2, 3, seed=1)]),
    Sample(
        "BatchGatherGradient",
        [normal(2, 3, 2), int32s(2, 0, 1, 1).reshape(2, 2), normal(2, 2, 2)],
        {"axis": 1, "match_outer": 1},
        note="match outer",
    ),
    Sample(
        "BatchGatherGradient",
        [normal(2, 3), int32s(2), normal(2, 2)],
        error="dOUTPUT: shape",
        note="shape",
        golden=False,
        reason="unchecked",
    ),
    _scatter("", X, TWO, int32s(0, 2), normal(2, 3), THREE),
    _scatter("twice", X, TWO, int32s(1, 1), normal(2, 3), THREE),
    _scatter("weight 1", X, ONE, int64s(0, 2, 0), normal(3, 3), THREE),
    _scatter("two tensors", X, TWO, int64s(0, 2), normal(2, 3), THREE, normal(2, 3, seed=1), ONE),
    _scatter("vector", normal(4), TWO, int32s(3, 1), normal(2), THREE),
    _scatter("no indices", X, TWO, int32s(), normal(0, 3), THREE),
    _scatter("2-D indices", X, TWO, int32s(0, 2).reshape(2, 1), normal(2, 3), THREE),
    _scatter(
        "out of range", X, TWO, int32s(0, 4), normal(2, 3), THREE, error="INDICES: element 1 is 4, X_0 has 4 rows"
    ),
    _scatter("negative", X, TWO, int32s(0, -1), normal(2, 3), THREE, error="INDICES: element 1 is -1"),
    _scatter("width", X, TWO, int32s(0, 2), normal(2, 4), THREE, error="X_1: shape is"),
    _scatter("two weights", X, normal(2), int32s(0, 2), normal(2, 3), THREE, error="Weight_0: has 2"),
    _scatter("no weight", X, TWO, int32s(0, 2), normal(2, 3), THREE, normal(2, 3), error="inputs % 2 == 1"),
    Sample("ScatterAssign", [X, int32s(0, 2), normal(2, 3, seed=1)], inplace={0: 0}),
    Sample("ScatterAssign", [X, int64s(1, 1), normal(2, 3, seed=1)], inplace={0: 0}, note="twice"),
    *(
        Sample("ScatterAssign", [X.astype(d), int64s(0, 2), normal(2, 3, seed=1).astype(d)], inplace={0: 0}, note=d)
        for d in ("int32", "int64", "float16", "float64")
    ),
    Sample(
        "ScatterAssign",
        [X, int32s(0, 4), normal(2, 3)],
        inplace={0: 0},
        error="is 4, DATA has 4",
        note="out of range",
        golden=False,
        reason=CRASH,
    ),
    _top("long rows", ROWS, k=4),
    _top("long rows, as many as are not -inf", ENDLESS[:, :128], k=16),
    _top("long rows, NaN", ENDLESS, k=4),
    _top("", normal(4, 5), k=2),
    _top("two outputs", normal(4, 5), k=2, outputs=2),
    _top("more than there are", normal(2, 3), k=5),
    _top("first axis", normal(4, 3), k=2, axis=0),
    _top("middle axis", normal(2, 4, 3), k=2, axis=1),
    _top("middle axis, too many", normal(2, 3, 2), k=4, axis=1),
    _top("k as input", normal(2, 5), int64s(2)),
    _top("k as input and as argument", normal(2, 5), int64s(2), k=3),
    _top("middle axis, nothing behind it", normal(2, 5, 0), k=2, axis=1),
    _top(
        "ties",
        np.float32([[1, 2, 2, 0, 2], [0, -0.0, 0, 0, 0]]),
        k=3,
        more=dict(differentiable=False, reason="ties: a kink"),
    ),
    _top("infinite", np.float32([[-np.inf, np.inf, 0, -np.inf]]), k=3, more=dict(differentiable=False)),
    _top("nan", np.float32([[3, 1, np.nan, np.nan, 2], [1, 2, 3, np.nan, 0]]), k=2, more=dict(differentiable=False)),
    _top(
        "early nan",
        np.float32([1, np.nan, 3]),
        k=2,
        more=dict(golden=False, reason="Caffe2's heap differs", differentiable=False),
    ),
    _top("no rows", normal(0, 3), k=2),
    _top("empty rows", normal(2, 0), k=2, more=dict(differentiable=False)),
    _top("long", normal(3, 700), k=10),
    _top(
        "int64",
        int64s(3, 9, -1, 9),
        k=3,
        more=dict(golden=False, reason=DTYPE, expected=[int64s(9, 9, 3), int64s(1, 3, 0), int64s(1, 3, 0)]),
    ),
    _top("float64", normal(2, 5).astype("f8"), k=2, more=dict(golden=False, reason=DTYPE)),
    _top("k 0", X, k=0, more=dict(error="k = 0, wants >= 1")),
    _top("no k", X, more=dict(error="missing")),
    _top("axis", X, k=1, axis=2, more=dict(error="axis = 2")),
    Sample("TopKGradient", [normal(2, 2), int64s(2, 0, 1, 2).reshape(2, 2), normal(2, 3)], {"k": 2}),
    Sample(
        "TopKGradient",
        [normal(1, 3), int64s(1, 0, 1).reshape(1, 3), normal(2, 3)],
        {"k": 1, "axis": 0},
        note="first axis",
    ),
    Sample("TopKGradient", [normal(2, 2), int64s(2, -1, 1, 2).reshape(2, 2), normal(2, 3)], note="padding"),
    Sample(
        "TopKGradient",
        [normal(2, 2), int64s(2, 3, 1, 2).reshape(2, 2), normal(2, 3)],
        error="Indices: element 1 is 3",
        note="out of range",
        golden=False,
        reason=CRASH,
    ),
    Sample("GatherRanges", [normal(6), RANGES]),
    Sample("GatherRanges", [normal(6), RANGES.astype("i8")], note="int64"),
    Sample("GatherRanges", [strings("a", "b", "c", "d", "e"), RANGES], note="strings"),
    Sample("GatherRanges", [normal(6), RANGES[:0]], note="no rows"),
    Sample("GatherRanges", [normal(4), RANGES], error="pair 2 is 4 and 1 from there, DATA has 4", note="beyond"),
    Sample("GatherRanges", [normal(4), RANGES - 1], error="pair 0 is -1", note="before", golden=False, reason=CRASH),
    Sample("GatherRanges", [normal(4), RANGES[:, :0]], error="at least 1", note="no ranges"),
]

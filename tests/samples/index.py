"""Rows by index, and the largest values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, rng, strings

CRASH = "Caffe2 reads or writes out of bounds"
DTYPE = "Caffe2 takes float32 only"


def _f(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed + len(shape)).standard_normal(shape).astype(np.float32)


def _i(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def _l(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


X = _f(4, 3)
RANGES = _i(0, 1, 2, 2, 4, 1, 1, 0).reshape(2, 2, 2)
ONE, TWO, THREE = np.float32([1]), np.float32([2]), np.array(3, np.float32)


def _gather(note: str, data: np.ndarray, indices: np.ndarray, **args: Any) -> Sample:
    return Sample("Gather", [data, indices], args, note=note)


def _scatter(note: str, *inputs: np.ndarray, **more: Any) -> Sample:
    return Sample("ScatterWeightedSum", list(inputs), note=note, inplace={0: 0}, **more)


def _top(note: str, *inputs: np.ndarray, outputs: int = 3, more: dict[str, Any] | None = None, **args: Any) -> Sample:
    return Sample("TopK", list(inputs), args, note=note, outputs=outputs, **(more or {}))


samples = [
    _gather("", X, _i(1, 3, 1)),
    _gather("int64", X, _l(0, 3)),
    _gather("2-D indices", X, _i(1, 3, 1, 0).reshape(2, 2)),
    _gather("a number", X, np.int32(2)),
    _gather("no indices", X, _i()),
    _gather("no rows, no indices", _f(0, 2), _i()),
    _gather("axis 1", _f(2, 3, 2), _i(2, 0, 2), axis=1),
    _gather("last axis", _f(2, 3), _l(2, 0), axis=-1),
    _gather("match outer", _f(2, 3), _i(2, 0, 1, 1).reshape(2, 2), axis=1, match_outer=1),
    _gather("match outer, 3-D", _f(2, 3, 2), _i(2, 0, 1, 1).reshape(2, 2), axis=1, match_outer=1),
    _gather("match outer, axis 2", _f(2, 3, 4), _i(3, 0, 1, 1, 0, 1).reshape(2, 3), axis=2, match_outer=1),
    _gather("strings", strings("a", "b"), _i(1, 1)),
    Sample(
        "Gather",
        [X, _i(1, -1)],
        note="negative",
        differentiable=False,
        reason="a sparse gradient holds the index as it is",
    ),
    Sample("Gather", [X, _i(1, 4)], error="INDICES: element 1 is 4, DATA has 4 rows", note="out of range"),
    Sample("Gather", [X, _i(1, -5)], error="INDICES: element 1 is -5", note="too negative"),
    Sample(
        "Gather", [_f(0, 2), _i(0)], error="DATA has 0 rows", note="no rows", golden=False, reason="Caffe2 gives no row"
    ),
    Sample("Gather", [X, _f(1)], error="INDICES: dtype", note="float indices"),
    Sample("Gather", [X, _i(1)], {"match_outer": 1}, error="wants 1 or more", note="match outer, axis 0"),
    Sample(
        "Gather",
        [X, _i(1, 2)],
        {"match_outer": 1, "axis": 1},
        error="wants to start as DATA",
        note="unlike outer dims",
        golden=False,
        reason="Caffe2 reads something",
    ),
    Sample("BatchGather", [_f(2, 3, 2), _i(2, 0)]),
    Sample("BatchGather", [_f(2, 3), _l(2, 0, 1, 1).reshape(2, 2)], note="2-D indices"),
    Sample("BatchGather", [_f(2, 3), _i(3)], error="is 3, DATA has 3 rows", note="out of range"),
    Sample("BatchGatherGradient", [_f(2, 3), _i(2, 0, 2), _f(2, 3, seed=1)]),
    Sample(
        "BatchGatherGradient",
        [_f(2, 3, 2), _i(2, 0, 1, 1).reshape(2, 2), _f(2, 2, 2)],
        {"axis": 1, "match_outer": 1},
        note="match outer",
    ),
    Sample(
        "BatchGatherGradient",
        [_f(2, 3), _i(2), _f(2, 2)],
        error="dOUTPUT: shape",
        note="shape",
        golden=False,
        reason="unchecked",
    ),
    _scatter("", X, TWO, _i(0, 2), _f(2, 3), THREE),
    _scatter("twice", X, TWO, _i(1, 1), _f(2, 3), THREE),
    _scatter("weight 1", X, ONE, _l(0, 2, 0), _f(3, 3), THREE),
    _scatter("two tensors", X, TWO, _l(0, 2), _f(2, 3), THREE, _f(2, 3, seed=1), ONE),
    _scatter("vector", _f(4), TWO, _i(3, 1), _f(2), THREE),
    _scatter("no indices", X, TWO, _i(), _f(0, 3), THREE),
    _scatter("2-D indices", X, TWO, _i(0, 2).reshape(2, 1), _f(2, 3), THREE),
    _scatter("out of range", X, TWO, _i(0, 4), _f(2, 3), THREE, error="INDICES: element 1 is 4, X_0 has 4 rows"),
    _scatter("negative", X, TWO, _i(0, -1), _f(2, 3), THREE, error="INDICES: element 1 is -1"),
    _scatter("width", X, TWO, _i(0, 2), _f(2, 4), THREE, error="X_1: shape is"),
    _scatter("two weights", X, _f(2), _i(0, 2), _f(2, 3), THREE, error="Weight_0: has 2"),
    _scatter("no weight", X, TWO, _i(0, 2), _f(2, 3), THREE, _f(2, 3), error="inputs % 2 == 1"),
    Sample("ScatterAssign", [X, _i(0, 2), _f(2, 3, seed=1)], inplace={0: 0}),
    Sample("ScatterAssign", [X, _l(1, 1), _f(2, 3, seed=1)], inplace={0: 0}, note="twice"),
    *(
        Sample("ScatterAssign", [X.astype(d), _l(0, 2), _f(2, 3, seed=1).astype(d)], inplace={0: 0}, note=d)
        for d in ("int32", "int64", "float16", "float64")
    ),
    Sample(
        "ScatterAssign",
        [X, _i(0, 4), _f(2, 3)],
        inplace={0: 0},
        error="is 4, DATA has 4",
        note="out of range",
        golden=False,
        reason=CRASH,
    ),
    _top("", _f(4, 5), k=2),
    _top("two outputs", _f(4, 5), k=2, outputs=2),
    _top("more than there are", _f(2, 3), k=5),
    _top("first axis", _f(4, 3), k=2, axis=0),
    _top("middle axis", _f(2, 4, 3), k=2, axis=1),
    _top("middle axis, too many", _f(2, 3, 2), k=4, axis=1),
    _top("k as input", _f(2, 5), _l(2)),
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
    _top("no rows", _f(0, 3), k=2),
    _top("empty rows", _f(2, 0), k=2, more=dict(differentiable=False)),
    _top("long", _f(3, 700), k=10),
    _top(
        "int64",
        _l(3, 9, -1, 9),
        k=3,
        more=dict(golden=False, reason=DTYPE, expected=[_l(9, 9, 3), _l(1, 3, 0), _l(1, 3, 0)]),
    ),
    _top("float64", _f(2, 5).astype("f8"), k=2, more=dict(golden=False, reason=DTYPE)),
    _top("k 0", X, k=0, more=dict(error="k = 0, wants >= 1")),
    _top("no k", X, more=dict(error="missing")),
    _top("axis", X, k=1, axis=2, more=dict(error="axis = 2")),
    Sample("TopKGradient", [_f(2, 2), _l(2, 0, 1, 2).reshape(2, 2), _f(2, 3)], {"k": 2}),
    Sample("TopKGradient", [_f(1, 3), _l(1, 0, 1).reshape(1, 3), _f(2, 3)], {"k": 1, "axis": 0}, note="first axis"),
    Sample("TopKGradient", [_f(2, 2), _l(2, -1, 1, 2).reshape(2, 2), _f(2, 3)], note="padding"),
    Sample(
        "TopKGradient",
        [_f(2, 2), _l(2, 3, 1, 2).reshape(2, 2), _f(2, 3)],
        error="Indices: element 1 is 3",
        note="out of range",
        golden=False,
        reason=CRASH,
    ),
    Sample("GatherRanges", [_f(6), RANGES]),
    Sample("GatherRanges", [_f(6), RANGES.astype("i8")], note="int64"),
    Sample("GatherRanges", [strings("a", "b", "c", "d", "e"), RANGES], note="strings"),
    Sample("GatherRanges", [_f(6), RANGES[:0]], note="no rows"),
    Sample("GatherRanges", [_f(4), RANGES], error="pair 2 is 4 and 1 from there, DATA has 4", note="beyond"),
    Sample("GatherRanges", [_f(4), RANGES - 1], error="pair 0 is -1", note="before", golden=False, reason=CRASH),
    Sample("GatherRanges", [_f(4), RANGES[:, :0]], error="at least 1", note="no ranges"),
]

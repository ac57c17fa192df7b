"""Rows and elements by truth value, membership, repeated and largest values, lists of ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, strings

CRASH = "Caffe2 reads or writes out of bounds"
DTYPE = "Caffe2 takes float32 only"
VECTOR = "Caffe2's gradient operator makes a vector of data"


def bools(*values: int) -> np.ndarray:
    return np.array(values, bool)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


X, MASK, GRID = normal(3, 4), bools(1, 0, 1), np.array([[1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]], bool)
RANGES = int32s(2, 4, 0, 2, 0, 0, 6, 2, 0, 4, 2, 2).reshape(3, 2, 2)
DATA, KEY = normal(8), int64s(3, 1, 4, 5, 2, 9, 8, 7)


def _bad(op: str, note: str, inputs: list[Any], error: str, args: Any = None, why: str = "", **more: Any) -> Sample:
    return Sample(op, inputs, args or {}, note=note, error=error, golden=not why, reason=why, **more)


def _ranges(note: str, *inputs: np.ndarray, **more: Any) -> Sample:
    args = {"lengths": [4, 2], **more.pop("args", {})}
    why = more.pop("why", "")
    return Sample("GatherRangesToDense", list(inputs), args, note, outputs=2, golden=not why, reason=why, **more)


samples = [
    Sample("BooleanMask", [normal(3), MASK], outputs=2),
    Sample("BooleanMask", [X, MASK], note="matrix", outputs=2, differentiable=False, reason=VECTOR),
    Sample("BooleanMask", [X.astype("f8"), MASK], note="gradient of a matrix", outputs=2, golden=False, reason=VECTOR),
    Sample("BooleanMask", [normal(3, 2, 2), MASK], note="3-D", differentiable=False, reason=VECTOR),
    Sample(
        "BooleanMask", [X, bools(0, 0, 0)], note="nothing", outputs=2, differentiable=False, reason="no row is read"
    ),
    Sample("BooleanMask", [X[:0], MASK[:0]], note="no rows", outputs=2, differentiable=False, reason=VECTOR),
    Sample("BooleanMask", [strings("a", "b", "c"), MASK], note="strings", outputs=2),
    Sample("BooleanMask", [int32s(1, 2, 3).astype("u1"), MASK], note="uint8", outputs=2),
    _bad("BooleanMask", "too few", [X, MASK[:2]], "mask: shape"),
    _bad("BooleanMask", "integers", [X, int32s(1, 0, 1)], "mask: dtype"),
    Sample("BooleanMaskGradient", [MASK, floats(1, 2)]),
    Sample("BooleanMaskGradient", [MASK, int64s(1, 2)], note="int64"),
    Sample("BooleanMaskGradient", [MASK, bools(1, 1)], note="bool"),
    _bad("BooleanMaskGradient", "too few", [MASK, floats(1)], "has 1 rows, mask has 2", why=CRASH),
    Sample("BooleanMaskLengths", [int32s(2, 0, 3), bools(1, 0, 1, 1, 0)]),
    Sample("BooleanMaskLengths", [int64s(2, 0, 3), bools(1, 0, 1, 1, 0)], note="int64"),
    Sample("BooleanMaskLengths", [int32s(), bools()], note="none"),
    _bad("BooleanMaskLengths", "too few", [int32s(2, 0, 2), bools(1, 0, 1, 1, 0)], "lengths: sum is 4, mask has 5"),
    _bad("BooleanMaskLengths", "negative", [int32s(6, -1), bools(1, 0, 1, 1, 0)], "element 1 is -1", why=CRASH),
    _bad("BooleanMaskLengths", "reals", [floats(2, 3), bools(1, 0, 1, 1, 0)], "lengths: dtype"),
    Sample("BooleanUnmask", [bools(1, 0, 0), floats(1), bools(0, 1, 0), floats(2), bools(0, 0, 1), floats(3)]),
    Sample("BooleanUnmask", [bools(1, 0, 1), int64s(5, 6), bools(0, 1, 1), int64s(7)], note="masks overlap"),
    Sample("BooleanUnmask", [bools(1, 1, 1), floats(1, 2, 3)], note="one mask"),
    Sample("BooleanUnmask", [bools(), floats()], note="nothing"),
    _bad("BooleanUnmask", "hole", [bools(1, 0, 0), floats(1), bools(0, 1, 0), floats(2)], "none is true at 2"),
    _bad("BooleanUnmask", "too many", [bools(1, 0), floats(1, 2), bools(0, 1), floats(2)], "values 0: has 2, wants 1"),
    _bad("BooleanUnmask", "too few", [bools(1, 1), floats(1)], "values 0: has 1, wants 2"),
    _bad("BooleanUnmask", "sizes", [bools(1, 0), floats(1), bools(0, 1, 1), floats(2, 3)], "mask 1: shape"),
    _bad(
        "BooleanUnmask", "dtypes", [bools(1, 0), floats(1), bools(0, 1), int32s(2)], "pair 1", why="Caffe2 copies bits"
    ),
    Sample("Where", [GRID, X, normal(3, 4, seed=1)]),
    Sample("Where", [MASK, X, normal(3, 4, seed=1)], {"broadcast_on_rows": 1}, note="rows"),
    *(Sample("Where", [GRID, X.astype(d), -X.astype(d)], note=d) for d in ("float64", "int32", "int64")),
    Sample("Where", [GRID, GRID.copy(), ~GRID], note="bool"),
    Sample("Where", [bools(1, 0), strings("a", "b"), strings("c", "d")], note="strings"),
    _bad("Where", "shapes", [GRID, X, X[0]], "Y: shape"),
    _bad("Where", "condition", [MASK, X, X], "C: shape"),
    _bad("Where", "few rows", [MASK[:2], X, X], "C: shape", {"broadcast_on_rows": 1}),
    _bad("Where", "grid by rows", [GRID, X, X], "C: shape", {"broadcast_on_rows": 1}),
    _bad("Where", "dtypes", [GRID, X, X.astype("i4")], "Y: dtype"),
    Sample("Find", [int32s(5, 7, 5), int32s(5, 6, 7)]),
    Sample("Find", [int64s(5, 7, 5, 5, 9), int64s(5, 6, 7)], {"missing_value": -9}, note="int64"),
    Sample("Find", [int32s(5, 7, 5, 8).reshape(2, 2), int32s(5, 6).reshape(2, 1)], note="matrices"),
    Sample("Find", [int32s(), int32s(1)], note="nothing to find"),
    Sample("Find", [int32s(3, 1), int32s()], note="no query"),
    _bad("Find", "dtypes", [int64s(5), int32s(5)], "query: dtype"),
    _bad("Find", "reals", [floats(5), floats(5)], "index: dtype"),
    Sample("FindDuplicateElements", [int32s(1, 2, 1, 3, 2, 1)]),
    Sample("FindDuplicateElements", [floats(1, np.nan, 0.0, -0.0, np.nan, 1)], note="reals"),
    Sample("FindDuplicateElements", [strings("a", "b", "a")], note="strings"),
    Sample("FindDuplicateElements", [int64s(3, 3)], note="int64"),
    Sample("FindDuplicateElements", [np.array([1.0, 1.0])], note="float64"),
    Sample("FindDuplicateElements", [int32s()], note="none"),
    _bad("FindDuplicateElements", "matrix", [X], "data: shape"),
    _bad("FindDuplicateElements", "bool", [MASK], "data: dtype"),
    Sample("IsMemberOf", [int32s(1, 2, 3, 1).reshape(2, 2)], {"value": [1, 3]}),
    Sample("IsMemberOf", [int64s(1, 2, 3)], {"value": [1, 3], "dtype": 10}, note="int64, dtype"),
    Sample("IsMemberOf", [strings("a", "b")], {"value": ["a", "c"]}, note="strings"),
    Sample("IsMemberOf", [bools(1, 0)], {"value": [0]}, note="bool"),
    Sample("IsMemberOf", [int64s(1, 2, 3)], note="of nothing"),
    Sample("IsMemberOf", [strings("a", "b")], {"value": [1]}, note="of other dtypes"),
    _bad("IsMemberOf", "reals", [floats(1)], "X: dtype", {"value": [1]}),
    _bad("IsMemberOf", "dtype", [int32s(1)], "dtype = 10", {"value": [1], "dtype": 10}, why="Caffe2 finds nothing"),
    Sample("MergeDim", [normal(2, 3, 4)]),
    Sample("MergeDim", [int64s(1, 2).reshape(1, 2)], note="matrix, int64"),
    _bad("MergeDim", "vector", [normal(2)], "wants at least 2"),
    Sample("PrependDim", [normal(4, 3)], {"dim_size": 2}),
    Sample("PrependDim", [normal(4)], {"dim_size": 1}, note="vector"),
    Sample("PrependDim", [normal(0, 3)], {"dim_size": 2}, note="empty"),
    _bad("PrependDim", "does not divide", [normal(4, 3)], "dim_size = 3 does not divide", {"dim_size": 3}),
    _bad("PrependDim", "zero", [normal(4, 3)], "dim_size = 0", {"dim_size": 0}),
    _bad("PrependDim", "missing", [normal(4, 3)], "dim_size"),
    _bad("PrependDim", "a number", [np.array(1, "f4")], "no dimensions", {"dim_size": 1}),
    Sample("NumpyTile", [X, int64s(2, 3)]),
    Sample("NumpyTile", [X, int64s(1, 0)], note="nothing"),
    Sample("NumpyTile", [strings("a", "b"), int64s(2)], note="strings"),
    Sample("NumpyTile", [normal(2, 1, 3).astype("f2"), int64s(1, 2, 2)], note="float16, 3-D"),
    _bad("NumpyTile", "negative", [X, int64s(-2, 1)], "repeats: has -2"),
    _bad("NumpyTile", "too few", [X, int64s(2)], "repeats: has 1 elements"),
    _bad("NumpyTile", "int32", [X, int32s(2, 1)], "repeats: dtype"),
    Sample("FlexibleTopK", [X, int64s(2, 1, 3)]),
    Sample("FlexibleTopK", [normal(2, 3, 4), int64s(2, 1, 3, 1, 1, 4).reshape(2, 3)], note="3-D"),
    Sample("FlexibleTopK", [normal(4), int64s(2)], note="vector"),
    Sample("FlexibleTopK", [floats(3, 1, 3, 2, 3), int64s(4)], note="ties", differentiable=False, reason="a kink"),
    Sample("FlexibleTopK", [normal(0, 4), int64s()], note="no rows"),
    Sample("FlexibleTopK", [X.astype("f8"), int64s(2, 1, 3)], note="float64", golden=False, reason=DTYPE),
    _bad("FlexibleTopK", "zero", [X, int64s(2, 0, 3)], "K: is 0 to 3"),
    _bad("FlexibleTopK", "too many", [X, int64s(2, 5, 3)], "K: is 2 to 5, wants 1 to 4"),
    _bad("FlexibleTopK", "too few K", [X, int64s(2, 2)], "K: has 2 elements"),
    _bad("FlexibleTopK", "int32", [X, int32s(2, 1, 3)], "K: dtype"),
    Sample("FlexibleTopKGradient", [X, int64s(2, 1, 3), normal(6), int64s(3, 2, 3, 3, 2, 1)]),
    _bad(
        "FlexibleTopKGradient",
        "too few",
        [X, int64s(2, 1, 3), normal(5), int64s(3, 2, 3, 3, 2)],
        "has 5 elements, K adds up to 6",
        why=CRASH,
    ),
    Sample("MergeIdLists", [int32s(2, 1), int64s(5, 6, 7), int32s(1, 2), int64s(6, 7, 8)]),
    Sample("MergeIdLists", [int32s(5, 0), int32s(9, -3, 1000, 4, 9), int32s(2, 1), int32s(-100, 9, 2)], note="int32"),
    Sample("MergeIdLists", [int32s(2, 1), int64s(6, 5, 7)], note="one list"),
    Sample("MergeIdLists", [int32s(), int64s()], note="no rows"),
    _bad("MergeIdLists", "rows", [int32s(2, 1), int64s(5, 6, 7), int32s(1), int64s(6)], "lengths_1: has 1 elements"),
    _bad("MergeIdLists", "dtypes", [int32s(1), int32s(5), int32s(1), int64s(6)], "list 1: lengths and values are"),
    _bad("MergeIdLists", "too few ids", [int32s(2, 2), int64s(5, 6, 7)], "sum is 4, values_0 has 3", why=CRASH),
    Sample("DenseVectorToIdList", [floats(1, 0, 0, 1, 1, 0).reshape(2, 3)]),
    Sample("DenseVectorToIdList", [floats(-2, 0.5, 0.49, -1.6, -1.4, 1e9, -0.6, np.nan)[None]], note="other values"),
    Sample("DenseVectorToIdList", [np.zeros((0, 3), "f4")], note="no rows"),
    _bad("DenseVectorToIdList", "vector", [floats(1, 0)], "values: shape"),
    _bad("DenseVectorToIdList", "integers", [int32s(1, 0)[None]], "values: dtype"),
    _ranges("", DATA, RANGES),
    _ranges("keys", DATA, RANGES.astype("i8"), KEY),
    _ranges("int64 data", np.arange(8), RANGES),
    _ranges("wrong lengths", DATA, RANGES, args={"lengths": [4, 3]}),
    _ranges("no rows", DATA, RANGES[:0]),
    _ranges(
        "too many wrong",
        DATA,
        RANGES,
        args={"lengths": [4, 3], "max_mismatched_ratio": 0.9, "min_observation": 1},
        error="3 of 3 lengths of feature 1 are wrong, max_mismatched_ratio = 0.9",
    ),
    _ranges(
        "too many empty",
        DATA,
        RANGES,
        args={"max_empty_ratio": 0.1, "min_observation": 1},
        error="1 of 3 lengths of feature 0 are wrong, max_empty_ratio",
    ),
    _ranges("out of range", DATA, RANGES + int32s(5, 0), error="RANGES: row 0, feature 0 is .7, 4.", why=CRASH),
    _ranges("one length", DATA, RANGES, args={"lengths": [4]}, error="lengths: has 1 elements"),
    _ranges("length 0", DATA, RANGES, args={"lengths": [4, 0]}, error="lengths"),
    _ranges("int32 keys", DATA, RANGES, KEY.astype("i4"), error="KEY: dtype"),
    _ranges("few keys", DATA, RANGES, KEY[:3], error="KEY: has 3 elements", why=CRASH),
    Sample("HasElements", [X]),
    Sample("HasElements", [X[:0], int32s(), strings("a")], note="the last"),
    Sample("HasElements", [X[:0], int32s()], note="none"),
]

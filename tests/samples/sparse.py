"""Sparse rows and cells put into dense tensors, one-hot rows, buckets."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, strings

CRASH = "Caffe2 reads or writes out of bounds"
DTYPE = "Caffe2 takes float32 only"

V, WIDE = normal(3, 2), normal(2, 5)
IDS, LENGTHS = int32s(2, 0, 2), int64s(1, 2)
MASK = {"mask": [5, 2, 9]}
DEFAULT = np.float32([-1, -2])
BOTH = {**MASK, "return_presence_mask": 1}
DATA = int64s(5, 6, 7, 8).reshape(2, 2)
REALS = np.float32([[1, 2], [3, 0.5], [1.5, 9]])


def _cells(note: str, *inputs: Any, **more: Any) -> Sample:
    return Sample("BatchSparseToDense", list(inputs), {"dense_last_dim": 5, **more.pop("args", {})}, note=note, **more)


def _bad(op: str, note: str, inputs: list[Any], error: str, args: Any = None, crash: bool = False) -> Sample:
    return Sample(op, inputs, args or {}, note=note, error=error, golden=not crash, reason=CRASH if crash else "")


samples = [
    Sample("SparseToDense", [IDS, V]),
    Sample("SparseToDense", [IDS.astype("i8"), V, np.zeros((5, 1), "f4")], note="rows inferred, int64"),
    Sample("SparseToDense", [int32s(2, 0, 1), normal(3)], note="vector"),
    Sample("SparseToDense", [IDS, normal(3, 2, 2), strings("a", "b", "c", "d")], note="3-D, any data to infer"),
    Sample("SparseToDense", [IDS, np.arange(6, dtype="i4").reshape(3, 2)], note="int32 values"),
    Sample("SparseToDense", [IDS, np.arange(6, dtype="i8").reshape(3, 2)], note="int64 values"),
    Sample("SparseToDense", [IDS, V.astype("f8")], note="float64", golden=False, reason=DTYPE),
    Sample("SparseToDense", [int32s(), normal(0, 2)], note="nothing"),
    Sample("SparseToDense", [int32s(), normal(0, 2), int32s(0, 0, 0)], note="no values, three rows"),
    _bad(
        "SparseToDense", "out of range", [IDS, V, np.zeros((2, 1), "f4")], "indices: element 0 is 2, output has 2 rows"
    ),
    _bad("SparseToDense", "negative", [int32s(2, 0, -1), V], "indices: element 2 is -1"),
    _bad("SparseToDense", "too few", [int32s(2, 0), V], "values: shape is"),
    _bad("SparseToDense", "a number to infer", [IDS, V, np.float32(3)], "has no dimensions"),
    _bad("SparseToDense", "uint8 indices", [IDS.astype("u1"), V], "indices: dtype"),
    Sample("SparseToDenseMask", [int32s(2, 5, 7), V, DEFAULT], MASK),
    Sample("SparseToDenseMask", [int64s(2, 5, 7), V, DEFAULT], BOTH, note="presence", outputs=2),
    Sample("SparseToDenseMask", [int32s(2, 5, 7), V, DEFAULT, int32s(1, 2)], BOTH, note="lengths, presence", outputs=2),
    Sample("SparseToDenseMask", [int32s(2, 5, 7), V, DEFAULT, int32s(1, 0, 2)], MASK, note="an empty row"),
    Sample("SparseToDenseMask", [int32s(2, 5, 7), normal(3), np.array(-1, "f4")], MASK, note="numbers"),
    Sample("SparseToDenseMask", [int32s(2, 5, 2), V, DEFAULT], MASK, note="an id twice"),
    Sample("SparseToDenseMask", [int32s(2, -5, 2), V, DEFAULT], MASK, note="negative id"),
    Sample("SparseToDenseMask", [int64s(2, 2**31, 7), V, DEFAULT], {"mask": [2, 2**31]}, note="large ids"),
    Sample("SparseToDenseMask", [int32s(2, 5, 7), normal(3, 2, 2), normal(2, 2)], MASK, note="3-D"),
    Sample(
        "SparseToDenseMask", [int32s(2, 5, 7), strings("a", "b", "c"), strings("z")[0:1].reshape(())], MASK, "strings"
    ),
    Sample(
        "SparseToDenseMask",
        [int32s(2, 5, 7), V.astype("f2"), DEFAULT.astype("f2")],
        MASK,
        "float16",
        differentiable=False,
        reason="the checker compares float32",
    ),
    Sample("SparseToDenseMask", [int32s(), normal(0, 2), DEFAULT], MASK, note="no ids"),
    Sample("SparseToDenseMask", [int32s(), normal(0, 2), DEFAULT, int32s()], MASK, note="no rows"),
    _bad(
        "SparseToDenseMask",
        "too many skipped",
        [int32s(2, -5, 2), V, DEFAULT],
        "1 rows had negative ids",
        {**MASK, "max_skipped_indices": 1},
    ),
    _bad("SparseToDenseMask", "no mask", [int32s(2, 5, 7), V, DEFAULT], "mask"),
    _bad("SparseToDenseMask", "empty mask", [int32s(2, 5, 7), V, DEFAULT], "mask: is empty", {"mask": []}),
    _bad(
        "SparseToDenseMask",
        "mask with an id twice",
        [int32s(2, 5, 7), V, DEFAULT],
        "mask: has 2 twice",
        {"mask": [2, 5, 2]},
    ),
    _bad("SparseToDenseMask", "negative mask", [int32s(2, 5, 7), V, DEFAULT], "mask: has -5", {"mask": [2, -5]}),
    _bad("SparseToDenseMask", "default of another size", [int32s(2, 5, 7), V, normal(3)], "default_value: shape", MASK),
    _bad(
        "SparseToDenseMask",
        "default of another dtype",
        [int32s(2, 5, 7), V, int32s(1, 2)],
        "default_value: dtype",
        MASK,
    ),
    _bad(
        "SparseToDenseMask",
        "too many lengths",
        [int32s(2, 5, 7), V, DEFAULT, int32s(1, 3)],
        "lengths: sum is 4",
        MASK,
        crash=True,
    ),
    _bad(
        "SparseToDenseMask", "presence without output", [int32s(2, 5, 7), V, DEFAULT], "return_presence_mask = 1", BOTH
    ),
    Sample(
        "SparseToDenseMask",
        [int32s(2, 5, 7), V, DEFAULT],
        MASK,
        "output without presence",
        outputs=2,
        expected=[np.stack([V[1], V[0], DEFAULT]), np.array([True, True, False])],
        golden=False,
        reason="Caffe2 leaves it unwritten",
    ),
    Sample("SparseToDenseMaskGradient", [int32s(2, 5, 7), normal(3, 2)], MASK),
    Sample("SparseToDenseMaskGradient", [int32s(2, 5, 7, 2), normal(2, 3, 2), int32s(1, 3)], MASK, note="lengths"),
    Sample("SparseToDenseMaskGradient", [int32s(2, 5, 5), normal(3)], MASK, note="an id twice, vector"),
    _bad("SparseToDenseMaskGradient", "other size", [int32s(2, 5, 5), normal(4, 2)], "wants to begin with", MASK),
    _cells("", LENGTHS, int64s(4, 0, 2), normal(3)),
    _cells("int32", int32s(1, 2), int32s(4, 0, 2), normal(3)),
    _cells("default", LENGTHS, int32s(4, 0, 2), normal(3), args={"default_value": 9.0}),
    _cells(
        "an index twice",
        LENGTHS,
        int64s(4, 0, 0),
        normal(3),
        differentiable=False,
        reason="Caffe2 gives the gradient to all values of a cell, though the last counts",
    ),
    _cells("no rows", int64s(), int64s(), normal(0)),
    _cells("no values", int64s(0, 0), int64s(), normal(0)),
    _cells("float64", LENGTHS, int64s(4, 0, 2), normal(3).astype("f8"), golden=False, reason=DTYPE),
    Sample("BatchSparseToDense", [LENGTHS, int64s(4, 0, 2), normal(3), WIDE], note="width of a tensor"),
    _cells("both widths", LENGTHS, int64s(4, 0, 2), normal(3), WIDE),
    _cells("widths differ", LENGTHS, int64s(4, 0, 2), normal(3), WIDE[:, :4], error="dense_last_dim = 5, output_shape"),
    _bad("BatchSparseToDense", "no width", [LENGTHS, int64s(4, 0, 2), normal(3)], "dense_last_dim = -1"),
    _cells("out of range", LENGTHS, int64s(5, 0, 2), normal(3), error="indices: element 0 is 5"),
    _cells(
        "negative", LENGTHS, int64s(-1, 0, 2), normal(3), error="indices: element 0 is -1", golden=False, reason=CRASH
    ),
    _cells("too few", int64s(1, 1), int64s(4, 0, 2), normal(3), error="sum is 2"),
    _cells("negative length", int64s(4, -1), int64s(4, 0, 2), normal(3), error="lengths: element 1 is -1"),
    _cells("integers", LENGTHS, int64s(4, 0, 2), int64s(1, 2, 3), error="values: dtype"),
    Sample("BatchDenseToSparse", [LENGTHS, int64s(4, 0, 2), WIDE]),
    Sample("BatchDenseToSparse", [int32s(1, 2), int32s(4, 0, 2), WIDE], note="int32"),
    Sample("BatchDenseToSparse", [int32s(0, 0), int32s(), WIDE], note="nothing"),
    Sample(
        "BatchDenseToSparse", [LENGTHS, int32s(4, 0, 2), WIDE.astype("f8")], note="float64", golden=False, reason=DTYPE
    ),
    _bad("BatchDenseToSparse", "out of range", [LENGTHS, int64s(5, 0, 2), WIDE], "indices: element 0 is 5"),
    _bad("BatchDenseToSparse", "negative", [LENGTHS, int64s(-1, 0, 2), WIDE], "indices: element 0 is -1", crash=True),
    _bad("BatchDenseToSparse", "too few indices", [LENGTHS, int64s(1, 0), WIDE], "lengths: sum is 3"),
    _bad("BatchDenseToSparse", "too many rows", [int64s(1, 2, 0), int64s(1, 0, 3), WIDE], "dense: shape"),
    Sample("OneHot", [int64s(1, 0, 3), int64s(4)]),
    Sample("OneHot", [int64s(1, 1), np.array(3, "i8")], note="a number"),
    Sample("OneHot", [int64s(), int64s(4)], note="none", golden=False, reason="Caffe2 writes no output"),
    _bad("OneHot", "out of range", [int64s(1, 4), int64s(4)], "indices: element 1 is 4", crash=True),
    _bad("OneHot", "int32", [int32s(1, 3), int64s(4)], "indices: dtype"),
    _bad("OneHot", "two sizes", [int64s(1, 3), int64s(4, 4)], "index_size_tensor: is"),
    _bad("OneHot", "matrix", [int64s(1, 3).reshape(2, 1), int64s(4)], "indices: shape"),
    Sample("SegmentOneHot", [int32s(1, 0, 2), int64s(1, 0, 0), int64s(3)]),
    Sample("SegmentOneHot", [int32s(1, 2), int64s(1, 2, 0), np.array(3, "i8")], note="a number"),
    Sample("SegmentOneHot", [int32s(), int64s(), int64s(3)], note="none"),
    _bad(
        "SegmentOneHot", "out of range", [int32s(1, 1), int64s(1, 3), int64s(3)], "indices: element 1 is 3", crash=True
    ),
    _bad("SegmentOneHot", "too few indices", [int32s(1, 2), int64s(1, 2), int64s(3)], "sum is 3", crash=True),
    _bad("SegmentOneHot", "int64 lengths", [int64s(1, 1), int64s(1, 2), int64s(3)], "lengths: dtype"),
    Sample("BatchOneHot", [DATA, int32s(2, 3), int64s(5, 7, 6, 8, 8)]),
    Sample("BatchOneHot", [DATA.astype("i4"), int32s(2, 0), int32s(5, 7)], note="int32, a column without values"),
    Sample("BatchOneHot", [int64s(5, 6), int32s(3), int64s(5, 6, 7).reshape(1, 3)], note="vector"),
    Sample("BatchOneHot", [np.zeros((0, 2), "i8"), int32s(2, 1), int64s(5, 7, 6)], note="no rows"),
    Sample("BatchOneHot", [np.zeros((2, 0), "i8"), int32s(), int64s()], note="no columns"),
    _bad("BatchOneHot", "too few lengths", [DATA, int32s(2), int64s(5, 7)], "lengths: has 1 elements, data has 2"),
    _bad("BatchOneHot", "sum", [DATA, int32s(2, 1), int64s(5, 7)], "lengths: sum is 3"),
    _bad("BatchOneHot", "negative", [DATA, int32s(3, -1), int64s(5, 7)], "lengths: element 1 is -1"),
    _bad("BatchOneHot", "reals", [REALS, int32s(1, 1), np.float32([1, 2])], "data: dtype"),
    Sample("BatchBucketOneHot", [REALS, int32s(2, 1), np.float32([1, 2, 1.5])]),
    Sample(
        "BatchBucketOneHot", [np.float32([[1], [0], [2]]), int32s(4), np.float32([1, 1, 1, 2])], note="equal boundaries"
    ),
    Sample("BatchBucketOneHot", [REALS[0], int32s(2), np.float32([1, 2])], note="vector"),
    Sample("BatchBucketOneHot", [REALS * np.float32(np.nan), int32s(2, 1), np.float32([1, 2, 1.5])], note="nan"),
    Sample("BatchBucketOneHot", [REALS[:0], int32s(2, 1), np.float32([1, 2, 1.5])], note="no rows"),
    Sample(
        "BatchBucketOneHot",
        [REALS.astype("f8"), int32s(2, 1), np.float64([1, 2, 1.5])],
        note="float64",
        golden=False,
        reason=DTYPE,
    ),
    _bad("BatchBucketOneHot", "no boundary", [REALS, int32s(2, 0), np.float32([1, 2])], "lengths: has 0"),
    _bad("BatchBucketOneHot", "sum", [REALS, int32s(2, 2), np.float32([1, 2, 1.5])], "lengths: sum is 4"),
    _bad("BatchBucketOneHot", "too many lengths", [REALS, int32s(1, 1, 1), np.float32([1, 2, 1.5])], "lengths: has 3"),
    Sample(
        "BatchBucketOneHot",
        [REALS, int32s(2, 1), np.float32([2, 1, 1.5])],
        note="not ascending",
        error="boundaries: 1.0 comes after 2.0",
        golden=False,
        reason="Caffe2 gives some bucket",
    ),
    Sample("Unique", [int32s(3, 1, 3, 2, 1)], outputs=2),
    Sample("Unique", [int64s(3, 1, 3, 2, -1)], note="int64", outputs=2),
    Sample("Unique", [int64s(3, 1, 3)], note="without remapping"),
    Sample("Unique", [int32s()], note="none", outputs=2),
    _bad("Unique", "matrix", [DATA], "indices: shape"),
    _bad("Unique", "reals", [normal(2)], "indices: dtype"),
    Sample("Bucketize", [REALS], {"boundaries": [1.0, 2.0]}),
    Sample("Bucketize", [REALS], {"boundaries": [0.1, 1.0, 1.0, 2.0]}, note="equal boundaries"),
    Sample("Bucketize", [REALS[0] * np.float32(np.nan)], {"boundaries": [1.0, 2.0]}, note="nan"),
    Sample("Bucketize", [REALS], note="no boundaries"),
    Sample("Bucketize", [REALS.astype("f8")], {"boundaries": [1.0, 2.0]}, note="float64", golden=False, reason=DTYPE),
    _bad("Bucketize", "not ascending", [REALS], "wants them ascending", {"boundaries": [2.0, 1.0]}),
    _bad("Bucketize", "a number", [np.array(1, "f4")], "no dimensions", {"boundaries": [1.0]}),
    _bad("Bucketize", "integers", [int32s(1)], "data: dtype", {"boundaries": [1.0]}),
]

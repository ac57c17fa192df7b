"""Rows split by key, removed, overwritten; bucketized columns; scattered elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, rng, strings

K = int32s(0, 1, 2, 3, -1, 7, -5)
L = int32s(3, 0, 2, 2)
ROWS = normal(7, 2)
BOUNDS = np.array([0.5, 1.5, 4], np.float32)
X = np.array([[1.42, 2.07, 3.19], [0.5, 4.32, 5.0], [-1, 4, np.nan]], np.float32)
D = normal(2, 3)
OUT_OF_BOUNDS: dict[str, Any] = {"golden": False, "reason": "Caffe2 reads or writes out of bounds"}
UNCHECKED: dict[str, Any] = {"golden": False, "reason": "Caffe2 takes rows of another size for those wanted"}


def halves(x: np.ndarray, keys: np.ndarray = K, count: int = 2) -> list[np.ndarray]:
    return [x[keys % count == i] for i in range(count)]


def f(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


CPU: dict[str, Any] = {"devices": ("cpu",)}
UNBOUNDED: dict[str, Any] = {"devices": ("cpu",), "golden": False, "reason": "Caffe2 writes out of bounds"}
TABLE = normal(5, 3)


def copied(note: str, dtype: Any) -> Sample:
    matrix, row = TABLE.astype(dtype), np.array([7, -1, 3], dtype)
    return Sample(
        "CopyRowsToTensor",
        [matrix, int64s(3, 0, 3), row],
        note=note,
        inplace={0: 0},
        differentiable=False,
        reason="Caffe2's gradient is that of a copy; see tests/test_gradient.py",
        **CPU,
    )


samples = [
    *(
        Sample("Partition", [x.astype(dtype)], {"pack_first_input": pack}, outputs=3, note=f"{dtype} pack {pack}")
        for x in (K,)
        for dtype in ("int32", "int64")
        for pack in (0, 1)
    ),
    Sample("Partition", [K, ROWS, strings(*"abcdefg")], outputs=6, note="rows and strings"),
    Sample("Partition", [int64s(2**40 + 1, -(2**40) - 1, 2**33)], {"pack_first_input": 1}, outputs=3, note="large"),
    Sample("Partition", [K[:6].reshape(3, 2), normal(3, 2, 2)], outputs=4, note="2-D keys"),
    Sample("Partition", [K], outputs=1, note="one partition"),
    Sample("Partition", [K[:0], ROWS[:0]], outputs=4, note="empty"),
    Sample("Partition", [K, ROWS[:6]], outputs=4, note="fewer rows", error="more 0: shape is"),
    Sample("Partition", [K[:6], ROWS], outputs=4, note="more rows", error="more 0: shape is", **UNCHECKED),
    Sample("Partition", [ROWS], outputs=2, note="floats", error="dtype is float32"),
    Sample("Partition", [K, ROWS], outputs=3, note="counts", error="outputs % inputs"),
    Sample("LengthsPartition", [L, K], outputs=4),
    Sample("LengthsPartition", [L, K.astype(np.int64), ROWS], {"pack_first_input": 1}, outputs=9, note="pack"),
    Sample("LengthsPartition", [L[:0], K[:0]], outputs=4, note="empty"),
    Sample("LengthsPartition", [L[:3], K], outputs=4, note="sum", error="input: sum is 5, keys has 7"),
    Sample(
        "LengthsPartition",
        [int32s(8, -1), K],
        outputs=4,
        note="negative",
        error="input: element 1 is -1",
        **OUT_OF_BOUNDS,
    ),
    Sample("LengthsPartition", [L.astype(np.int64), K], outputs=4, note="int64", error="dtype is int64"),
    Sample("LengthsPartition", [L, K.reshape(1, 7)], outputs=4, note="2-D keys", error="keys: shape is"),
    Sample("GatherByKey", [K, *halves(ROWS)]),
    Sample("GatherByKey", [K.astype(np.int64), *halves(ROWS[:, 0], count=3)], note="three partitions"),
    Sample("GatherByKey", [K, *halves(strings(*"abcdefg"))], note="strings"),
    Sample("GatherByKey", [K, ROWS], note="one partition"),
    Sample("GatherByKey", [K[:0], *[ROWS[:0]] * 2], note="empty"),
    Sample("GatherByKey", [K, ROWS[:4], ROWS[:2]], note="too few rows", error="sharded_values 0: shape is"),
    Sample("GatherByKey", [K, ROWS[:4], ROWS[:3]], note="rows elsewhere", error="sharded_values 0", **OUT_OF_BOUNDS),
    Sample("GatherByKey", [K, ROWS[:2], ROWS[:5].astype(np.float64)], note="dtypes", error="dtype is float64"),
    Sample("GatherByKey", [K.reshape(7, 1), *halves(ROWS)], note="2-D keys", error="keys: shape is"),
    Sample("BatchBucketize", [X, int32s(0, 2), BOUNDS, int32s(2, 1)]),
    Sample("BatchBucketize", [X, int32s(2, 0, 1), BOUNDS[::-1].copy(), int32s(0, 3, 0)], note="falling and none"),
    Sample("BatchBucketize", [X, int32s(1), f(1, np.nan, 0.25, 4), int32s(4)], note="not a number"),
    Sample("BatchBucketize", [X, int32s(), f(), int32s()], note="no columns"),
    Sample("BatchBucketize", [X[:0], int32s(1), BOUNDS, int32s(3)], note="no rows"),
    Sample("BatchBucketize", [X, int32s(4), BOUNDS, int32s(3)], note="column", error="indices: element 0 is 4"),
    Sample(
        "BatchBucketize", [X, int32s(3), BOUNDS, int32s(3)], note="end", error="indices: element 0", **OUT_OF_BOUNDS
    ),
    Sample(
        "BatchBucketize", [X, int32s(-1), BOUNDS, int32s(3)], note="below", error="indices: element", **OUT_OF_BOUNDS
    ),
    Sample("BatchBucketize", [X, int32s(0, 1), BOUNDS, int32s(2, 2)], note="sum", error="lengths: sum is 4"),
    Sample("BatchBucketize", [X, int32s(0), BOUNDS, int32s(2, 1)], note="lengths", error="lengths: shape is"),
    Sample(
        "BatchBucketize",
        [X, int32s(0, 1), BOUNDS, int32s(4, -1)],
        note="negative",
        error="lengths: element 1 is -1",
        **OUT_OF_BOUNDS,
    ),
    Sample("Scatter", [D, int64s(0, 1, 0).reshape(1, 3), f(7, 8, 9).reshape(1, 3)], {"axis": 0}),
    Sample("Scatter", [D, int32s(0, 1, 1).reshape(1, 3), f(7, 8, 9).reshape(1, 3)], note="twice"),
    Sample("Scatter", [D, int32s(2, 1).reshape(2, 1), f(7, 8).reshape(2, 1)], {"axis": -1}, note="from behind"),
    Sample("Scatter", [D, int32s(2, 1).reshape(2, 1), f(7, 8).reshape(2, 1)], inplace={0: 0}, note="in place"),
    *(
        Sample(
            "Scatter", [rng(i).integers(0, 9, 3).astype(d), int32s(2, 0), np.arange(2).astype(d)], {"axis": 0}, note=d
        )
        for i, d in enumerate(("int32", "int64", "float64", "float16", "bool", "uint8"))
    ),
    Sample("Scatter", [strings("a", "b"), int32s(1), strings("c")], {"axis": 0}, note="strings"),
    Sample("Scatter", [normal(2, 3, 2), int32s(2, 1, 0, 1).reshape(2, 1, 2), normal(2, 1, 2)], note="three dims"),
    Sample("Scatter", [normal(2, 3, 2), int32s(2, 1).reshape(1, 2, 1), normal(1, 2, 1)], note="smaller"),
    Sample("Scatter", [D, int32s(0, 1), f(7, 8)], {"axis": 0}, note="first column"),
    Sample("Scatter", [f(1, 2), int32s(), f()], {"axis": 0}, note="no indices"),
    Sample(
        "Scatter",
        [D, int32s(0, -1).reshape(2, 1), f(7, 8).reshape(2, 1)],
        note="negative",
        error="element 1 is -1",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        "Scatter", [D, int32s(3, 1).reshape(2, 1), f(7, 8).reshape(2, 1)], note="end", error="element 0 is 3, axis 1"
    ),
    Sample("Scatter", [D, int32s(0, 1), f(7, 8)], note="no axis", error="INDICES: shape is"),
    Sample(
        "Scatter", [D, int32s(0, 0).reshape(1, 2), f(7, 8).reshape(1, 2)], {"axis": 2}, note="axis", error="axis = 2"
    ),
    Sample(
        "Scatter",
        [f(1, 2, 3), int32s(0, 1), f(7)],
        {"axis": 0},
        note="updates",
        error="UPDATES: has 1",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        "Scatter",
        [f(1, 2, 3), int32s(0, 1), int32s(7, 8)],
        {"axis": 0},
        note="dtypes",
        error="UPDATES: dtype is int32",
        golden=False,
        reason="Caffe2 copies the bits",
    ),
    Sample(
        "Scatter",
        [D, int32s(0, 0, 0, 0).reshape(1, 4), f(1, 2, 3, 4).reshape(1, 4)],
        {"axis": 0},
        note="wide",
        error="larger than DATA",
        **OUT_OF_BOUNDS,
    ),
    *[
        Sample("RemoveDataBlocks", [TABLE, i], note=note, **CPU)
        for note, i in (
            ("", int32s(3, 0, 3)),
            ("int64", int64s(4)),
            ("none", int32s()),
            ("none of floats", np.zeros(0, np.float32)),
            ("all", int64s(4, 3, 2, 1, 0)),
        )
    ],
    Sample("RemoveDataBlocks", [strings("a", "b", "c"), int32s(1)], note="strings", **CPU),
    Sample("RemoveDataBlocks", [TABLE, int32s(5)], note="behind", error="data has 5 rows", **CPU),
    Sample("RemoveDataBlocks", [TABLE, int32s(-1)], note="before", error="data has 5 rows", **CPU),
    Sample(
        "RemoveDataBlocks", [TABLE, np.zeros(2, np.float32)], note="floats", error="indices: dtype is float32", **CPU
    ),
    Sample("KeySplit", [int64s(2, 0, 2, 3, 0)], {"categorical_limit": 4}, outputs=4, **CPU),
    Sample("KeySplit", [int64s(1, 0, 1, 1).reshape(2, 2)], {"categorical_limit": 2}, outputs=2, note="matrix", **CPU),
    Sample("KeySplit", [int64s()], {"categorical_limit": 2}, outputs=2, note="empty", **CPU),
    Sample(
        "KeySplit",
        [int64s(0, 2)],
        {"categorical_limit": 2},
        outputs=2,
        note="too large",
        error="keys: are 0 to 2, wants 0 to 1",
        **CPU,
    ),
    Sample(
        "KeySplit",
        [int64s(0, -1)],
        {"categorical_limit": 2},
        outputs=2,
        note="negative",
        error="keys: are -1 to 0",
        **CPU,
    ),
    Sample(
        "KeySplit",
        [int64s(0)],
        {"categorical_limit": 2},
        outputs=1,
        note="too few outputs",
        error="categorical_limit: 2, there are 1",
        **CPU,
    ),
    Sample("KeySplit", [int64s(0)], outputs=1, note="no limit", error="categorical_limit is missing", **CPU),
    copied("", np.float32),
    copied("double", np.float64),
    copied("half", np.float16),
    copied("int32", np.int32),
    copied("int64", np.int64),
    Sample(
        "CopyRowsToTensor",
        [TABLE, int64s(), TABLE[0]],
        note="nowhere",
        inplace={0: 0},
        differentiable=False,
        reason="Caffe2's gradient is that of a copy",
        **CPU,
    ),
    Sample(
        "CopyRowsToTensor",
        [TABLE, int64s(0), TABLE[0, :2]],
        note="too narrow",
        inplace={0: 0},
        error="width of input tensor should match lengths of row",
        **CPU,
    ),
    Sample(
        "CopyRowsToTensor",
        [TABLE, int64s(5), TABLE[0]],
        note="behind",
        inplace={0: 0},
        error="input_tensor has 5 rows",
        **UNBOUNDED,
    ),
    Sample(
        "CopyRowsToTensor",
        [TABLE, int64s(-1), TABLE[0]],
        note="before",
        inplace={0: 0},
        error="input_tensor has 5 rows",
        **UNBOUNDED,
    ),
    Sample("CopyRowsToTensorGradient", [TABLE[:, 0].copy()], note="vector", **CPU),
    Sample(
        "CopyRowsToTensorGradient",
        [TABLE],
        note="matrix",
        golden=False,
        reason="Caffe2 copies as many elements as there are rows",
        expected=[TABLE],
        **CPU,
    ),
]

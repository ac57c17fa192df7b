"""Rows: windows, padding, keys, rows written and taken out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, int32s, int64s, normal, strings

CPU: dict[str, Any] = {"devices": ("cpu",)}
OUT_OF_BOUNDS: dict[str, Any] = {"devices": ("cpu",), "golden": False, "reason": "Caffe2 writes out of bounds"}
X = normal(5, 3)
ROWS = np.arange(1, 9, dtype=np.float32).reshape(4, 2)
START = np.array(0, np.int32)
MUTEX = [("CreateMutex", [], ["m"], {})]


def window(note: str, last: Any, at: int, data: np.ndarray, n: int, more: Any = (), **other: Any) -> Sample:
    inplace = {0: 0, 1: 1, **({2: 4} if len(more) > 1 else {})}
    inputs = [last, np.array(at, np.int32), data, *more]
    return Sample(
        "LastNWindowCollector",
        inputs,
        {"num_to_collect": n},
        note=note,
        outputs=len(inplace),
        inplace=inplace,
        **CPU,
        **other,
    )


def copied(note: str, dtype: Any) -> Sample:
    matrix, row = X.astype(dtype), np.array([7, -1, 3], dtype)
    return Sample(
        "CopyRowsToTensor",
        [matrix, int64s(3, 0, 3), row],
        note=note,
        inplace={0: 0},
        differentiable=False,
        reason="Caffe2's gradient is that of a copy; see tests/test_dataset.py",
        **CPU,
    )


samples = [
    window("full at once", ROWS[:0], 0, ROWS, 3),
    window("exactly full", ROWS[:0], 0, ROWS, 4),
    window("fills up", ROWS[:3] + 10, 3, ROWS[:2], 4),
    window("goes round", ROWS + 10, 2, ROWS[:3], 4),
    window("more than it holds", ROWS[:2] + 10, 1, ROWS[:3], 2),
    window("no new rows", ROWS + 10, 2, ROWS[:0], 4),
    window("integers", int64s(1, 2, 3), 1, int64s(8, 9), 3),
    window(
        "strings",
        strings("a", "b", "c"),
        1,
        strings("x", "y"),
        3,
        golden=False,
        reason="Caffe2 reads the first string as a pointer",
        expected=[strings("a", "x", "y"), START],
    ),
    window("under a mutex", ROWS + 10, 2, ROWS[:3], 4, [Blob("m")], before=MUTEX),
    window("counted", ROWS + 10, 2, ROWS[:3], 4, [Blob("m"), int64s(9)], before=MUTEX),
    window("counted from 0", ROWS[:0], 2, ROWS, 4, [Blob("m"), int64s(9)], before=MUTEX),
    window("place behind", ROWS, 9, ROWS, 4, error="next: is 9"),
    window("place before", ROWS, -1, ROWS, 4, error="next: is -1", golden=False, reason="Caffe2 writes out of bounds"),
    window(
        "a hole",
        ROWS[:3],
        0,
        ROWS[:2],
        5,
        error="next: is 0, the window has 3 of 5 rows",
        golden=False,
        reason="Caffe2 leaves rows unwritten",
    ),
    window(
        "too large",
        ROWS,
        0,
        ROWS[:2],
        3,
        error="last_n: shape is",
        golden=False,
        reason="Caffe2 keeps the surplus rows",
    ),
    window("other rows", ROWS, 0, X, 4, error="last_n: shape is"),
    window(
        "other dtype",
        ROWS,
        0,
        ROWS.astype(np.float64),
        4,
        error="last_n: holds float32",
        golden=False,
        reason="Caffe2 forgets the window",
    ),
    window("scalar", ROWS, 0, START, 4, error="DATA: is a scalar"),
    Sample(
        "LastNWindowCollector",
        [ROWS, START, ROWS],
        outputs=2,
        inplace={0: 0, 1: 1},
        error="num_to_collect is missing",
        **CPU,
    ),
    *[
        Sample("RemoveDataBlocks", [X, i], note=note, **CPU)
        for note, i in (
            ("", int32s(3, 0, 3)),
            ("int64", int64s(4)),
            ("none", int32s()),
            ("none of floats", np.zeros(0, np.float32)),
            ("all", int64s(4, 3, 2, 1, 0)),
        )
    ],
    Sample("RemoveDataBlocks", [strings("a", "b", "c"), int32s(1)], note="strings", **CPU),
    Sample("RemoveDataBlocks", [X, int32s(5)], note="behind", error="data has 5 rows", **CPU),
    Sample("RemoveDataBlocks", [X, int32s(-1)], note="before", error="data has 5 rows", **CPU),
    Sample("RemoveDataBlocks", [X, np.zeros(2, np.float32)], note="floats", error="indices: dtype is float32", **CPU),
    Sample(
        "PadEmptySamples",
        [int32s(0, 2, 0, 3, 0), X, int64s(1, 2, 3, 4, 5), strings("a", "b", "c", "d", "e")],
        outputs=4,
        **CPU,
    ),
    Sample("PadEmptySamples", [int32s(1, 2), X[:3]], outputs=2, note="nothing to pad", **CPU),
    Sample("PadEmptySamples", [int32s(0, 0), X[:0]], outputs=2, note="all to pad", **CPU),
    Sample("PadEmptySamples", [int32s(), X[:0]], outputs=2, note="no samples", **CPU),
    Sample("PadEmptySamples", [int32s(0, 2)], outputs=1, note="lengths only", **CPU),
    Sample("PadEmptySamples", [int32s(1, 2), X], outputs=2, note="too many rows", error="lengths want 3 rows", **CPU),
    Sample(
        "PadEmptySamples", [int32s(3, -1), X[:2]], outputs=2, note="negative", error="the least is -1", **OUT_OF_BOUNDS
    ),
    Sample("PadEmptySamples", [int32s(5), X], outputs=1, note="too few outputs", error="1 outputs for 2 inputs", **CPU),
    Sample("KeySplit", [int64s(2, 0, 2, 3, 0)], {"categorical_limit": 4}, outputs=4, **CPU),
    Sample("KeySplit", [int64s(1, 0, 1, 1).reshape(2, 2)], {"categorical_limit": 2}, outputs=2, note="matrix", **CPU),
    Sample("KeySplit", [int64s()], {"categorical_limit": 2}, outputs=2, note="empty", **CPU),
    Sample(
        "KeySplit", [int64s(0, 2)], {"categorical_limit": 2}, outputs=2, note="too large", error="keys: 0 to 2", **CPU
    ),
    Sample(
        "KeySplit", [int64s(0, -1)], {"categorical_limit": 2}, outputs=2, note="negative", error="keys: -1 to 0", **CPU
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
        [X, int64s(), X[0]],
        note="nowhere",
        inplace={0: 0},
        differentiable=False,
        reason="Caffe2's gradient is that of a copy",
        **CPU,
    ),
    Sample(
        "CopyRowsToTensor",
        [X, int64s(0), X[0, :2]],
        note="too narrow",
        inplace={0: 0},
        error="width of input tensor should match lengths of row",
        **CPU,
    ),
    Sample(
        "CopyRowsToTensor",
        [X, int64s(5), X[0]],
        note="behind",
        inplace={0: 0},
        error="input_tensor has 5 rows",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        "CopyRowsToTensor",
        [X, int64s(-1), X[0]],
        note="before",
        inplace={0: 0},
        error="input_tensor has 5 rows",
        **OUT_OF_BOUNDS,
    ),
    Sample("CopyRowsToTensorGradient", [X[:, 0].copy()], note="vector", **CPU),
    Sample(
        "CopyRowsToTensorGradient",
        [X],
        note="matrix",
        golden=False,
        reason="Caffe2 copies as many elements as there are rows",
        expected=[X],
        **CPU,
    ),
]

"""What a net sees over several runs: the last rows, a running sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, int64s, normal, strings

CPU: dict[str, Any] = {"devices": ("cpu",)}
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


Step = tuple[str, list[str], list[str], dict[str, Any]]
BEFORE: Step = ("GivenTensorFill", [], ["out0"], {"shape": [2, 3], "values": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
A, B = normal(2, 3), normal(4, seed=1)

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
    Sample("Accumulate", [A], {"gamma": 0.5}, before=[BEFORE], **CPU),
    Sample("Accumulate", [A], before=[BEFORE], note="gamma 1", **CPU),
    Sample(
        "Accumulate",
        [B],
        {"gamma": 0.5},
        note="another shape",
        before=[BEFORE],
        expected=[B],
        golden=False,
        reason="Caffe2 adds what the memory of the new output holds",
    ),
]

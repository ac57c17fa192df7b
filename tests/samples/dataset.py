"""Datasets of nested columns: cursors, batches in order and at random, appending.

Two records with lists and lists of lists, and a cursor for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, int32s, int64s, normal, strings

CPU: dict[str, Any] = {"devices": ("cpu",)}
NOTHING: dict[str, Any] = {"golden": False, "reason": "there is no output to compare", "expected": []}
Step = tuple[str, list[str], list[str], dict[str, Any]]

FIELDS = ["a", "b:lengths", "b:values:lengths", "b:values:items", "b:name"]
COLUMNS = [
    np.float32([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]),
    int32s(1, 0, 3, 0, 2),
    int32s(2, 0, 1, 3, 1, 0),
    int64s(10, 11, 12, 13, 14, 15, 16),
    strings("p", "q", "r", "s", "t", "u"),
]
PLAIN = [np.float32([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]), int32s(4, 1, 3, 1, 2)]
ORDER = int64s(3, 0, 4, 2, 1)
OFFSETS = np.int64([[0, 0, 0], [1, 1, 2], [2, 1, 2], [3, 4, 6], [4, 4, 6], [5, 6, 7]])
# The columns and the order as blobs of `before`, for operators that read on from where they are.
FED: list[Step] = [
    ("GivenTensorFill", [], ["x0"], {"shape": [5, 2], "values": COLUMNS[0].ravel().tolist()}),
    ("GivenTensorIntFill", [], ["x1"], {"shape": [5], "values": COLUMNS[1].tolist()}),
    ("GivenTensorIntFill", [], ["x2"], {"shape": [6], "values": COLUMNS[2].tolist()}),
    ("GivenTensorInt64Fill", [], ["x3"], {"shape": [7], "values": COLUMNS[3].tolist()}),
    ("GivenTensorStringFill", [], ["x4"], {"shape": [6], "values": ["p", "q", "r", "s", "t", "u"]}),
]
NAMES, READ = ["x0", "x1", "x2", "x3", "x4"], ["y0", "y1", "y2", "y3", "y4"]


def cursor(*fields: str) -> Step:
    return ("CreateTreeCursor", [], ["c"], {"fields": list(fields or FIELDS)})


def read(size: int) -> Step:
    return ("ReadNextBatch", ["c", *NAMES], READ, {"batch_size": size})


def batch(note: str, args: dict[str, Any], *before: Step, op: str = "ReadNextBatch", **more: Any) -> Sample:
    given = [Blob("c"), *([ORDER, OFFSETS] if op == "ReadRandomBatch" else []), *COLUMNS]
    return Sample(op, given, args, note=note, outputs=5, before=[cursor(), *FED, *before], **CPU, **more)


def refused(
    note: str, fields: list[str], columns: list[Any], error: str, outputs: int | None = None, **more: Any
) -> Sample:
    return Sample(
        "ReadNextBatch",
        [Blob("c"), *columns],
        {"batch_size": 9},
        note=note,
        outputs=outputs or len(columns),
        before=[cursor(*fields)],
        error=error,
        **CPU,
        **more,
    )


def sorted_(note: str, size: int, batch_size: int, shuffle_size: int, by: int = 0) -> Sample:
    keys = np.random.default_rng(size).permutation(size).astype(np.int32)
    args = {"sort_by_field_idx": by, "batch_size": batch_size, "shuffle_size": shuffle_size}
    return Sample("SortAndShuffle", [Blob("c"), keys], args, note=note, before=[cursor("k")], **CPU)


MUTEX: Step = ("CreateMutex", [], ["m"], {})
X, Y = normal(3, 2), normal(2, 2, seed=1)
LENGTHS = {"fields": ["a:lengths", "a:values"]}

samples = [
    Sample("CreateTreeCursor", args={"fields": FIELDS}, **CPU),
    Sample("CreateTreeCursor", note="no fields", **CPU),
    Sample(
        "CreateTreeCursor",
        args={"fields": ["a:values", "a:lengths"]},
        note="not in order",
        error=r"field 0 \(a:values\) depends on a field defined afterwards: 1 \(a:lengths\)",
        **CPU,
    ),
    Sample("ResetCursor", [Blob("c")], before=[cursor()], **CPU, **NOTHING),
    Sample("ResetCursor", [X], note="no cursor", error="cursor: holds", **CPU),
    Sample("GetCursorOffset", [Blob("c")], before=[cursor()], note="not begun", **CPU),
    Sample("GetCursorOffset", [Blob("c")], before=[cursor(), *FED, read(3)], note="amidst", **CPU),
    Sample("GetCursorOffset", [Blob("c")], before=[cursor(), *FED, read(9)], note="at the end", **CPU),
    Sample(
        "GetCursorOffset",
        [Blob("c")],
        before=[cursor(), *FED, read(3), ("ResetCursor", ["c"], [], {})],
        note="reset",
        **CPU,
    ),
    Sample("GetCursorOffset", [X], note="no cursor", error="cursor: holds", **CPU),
    batch("one", {}),
    batch("two", {"batch_size": 2}),
    batch("next two", {"batch_size": 2}, read(2)),
    batch("the last one", {"batch_size": 2}, read(4)),
    batch("at the end", {"batch_size": 2}, read(5)),
    batch("all and more", {"batch_size": 9}),
    batch("none", {"batch_size": 0}, read(2)),
    batch("enough", {"batch_size": 3, "enforce_batch_size": 1}, read(2)),
    batch("not enough", {"batch_size": 3, "enforce_batch_size": 1}, read(3)),
    Sample(
        "ReadNextBatch",
        [Blob("c"), *PLAIN],
        {"batch_size": 3},
        outputs=2,
        before=[cursor("a", "lengths")],
        note="a length of nothing",
        **CPU,
    ),
    Sample(
        "ReadNextBatch",
        [Blob("c"), X[:0], int32s(), X[:0]],
        {"batch_size": 3},
        outputs=3,
        before=[cursor("a", "b:lengths", "b:c")],
        note="empty",
        **CPU,
    ),
    refused("too few columns", ["a", "b"], [X], "has 1 columns, there are 2 fields", 2),
    refused("too few outputs", ["a", "b"], [X, X], "1 outputs for 2 fields", 1),
    refused("too few rows", LENGTHS["fields"], [int32s(2, 2), X], "a:lengths says 4 rows, there are 3"),
    refused(
        "negative length",
        LENGTHS["fields"],
        [int32s(2, -1), X],
        "has the length -1",
        golden=False,
        reason="Caffe2 reads backwards",
    ),
    refused("long lengths", LENGTHS["fields"], [int64s(2, 1), X], "is int64.*wants int32 lengths"),
    refused("scalar", ["a"], [np.array(1, np.int32)], "is a scalar"),
    refused(
        "matrix of lengths",
        LENGTHS["fields"],
        [int32s(1, 2, 0, 0).reshape(2, 2), X],
        "wants int32 lengths",
        golden=False,
        reason="Caffe2 reads the first elements as they lie in memory",
    ),
    Sample("ReadNextBatch", [X, X], outputs=1, note="no cursor", error="cursor: holds", **CPU),
    Sample(
        "ReadNextBatch",
        [Blob("c"), X],
        {"batch_size": -1},
        outputs=1,
        before=[cursor("a")],
        note="negative",
        error="batch_size = -1",
        **CPU,
    ),
    Sample("ComputeOffset", [Blob("c"), *COLUMNS], before=[cursor()], **CPU),
    Sample("ComputeOffset", [Blob("c"), *COLUMNS], before=[cursor(), *FED, read(3)], note="from amidst", **CPU),
    Sample("ComputeOffset", [Blob("c"), X[:0]], before=[cursor("a")], note="empty", **CPU),
    Sample(
        "ComputeOffset",
        [Blob("c"), int32s(2, 2), X],
        before=[cursor(*LENGTHS["fields"])],
        note="too few rows",
        error="says 4 rows, there are 3",
        **CPU,
    ),
    sorted_("batches of 2", 12, 2, 3),
    sorted_("single", 12, 1, 1),
    sorted_("no key", 13, 3, 2, -1),
    sorted_("less than a batch", 5, 7, 2),
    sorted_("one run", 16, 4, 9),
    sorted_("one record", 1, 1, 1),
    sorted_("no record", 0, 1, 1),
    sorted_("runs", 40, 2, 7, -1),
    sorted_("one long run", 40, 1, 39, -1),
    Sample(
        "SortAndShuffle",
        [Blob("c"), *COLUMNS],
        {"sort_by_field_idx": 1, "batch_size": 2},
        before=[cursor()],
        note="ties",
        **CPU,
    ),
    Sample(
        "SortAndShuffle",
        [Blob("c"), *COLUMNS],
        {"sort_by_field_idx": 2},
        before=[cursor()],
        note="not of the records",
        error="sort_by_field_idx: field 2",
        **CPU,
    ),
    Sample(
        "SortAndShuffle",
        [Blob("c"), *COLUMNS],
        {"sort_by_field_idx": 0},
        before=[cursor()],
        note="by floats",
        error="float32 of domain 0",
        **CPU,
    ),
    Sample(
        "SortAndShuffle",
        [Blob("c"), X],
        {"sort_by_field_idx": 1},
        before=[cursor("a")],
        note="no such field",
        error="sort_by_field_idx: 1, there are 1",
        **CPU,
    ),
    batch("one", {}, read(1), op="ReadRandomBatch"),
    batch("two", {"batch_size": 2}, op="ReadRandomBatch"),
    batch("not enough", {"batch_size": 9, "enforce_batch_size": 1, "loop_over": 1}, op="ReadRandomBatch"),
    batch("again from the start", {"batch_size": 2, "loop_over": 1}, read(5), op="ReadRandomBatch"),
    batch("amidst", {"batch_size": 2}, read(1), op="ReadRandomBatch"),
    batch("all and more", {"batch_size": 9}, op="ReadRandomBatch"),
    batch(
        "at the end",
        {"batch_size": 2},
        read(5),
        op="ReadRandomBatch",
        golden=False,
        reason="Caffe2 leaves outputs without rows as they are",
        expected=[c[:0] for c in COLUMNS],
    ),
    *[
        Sample(
            "ReadRandomBatch",
            [Blob("c"), order, offsets, X],
            {"batch_size": 3},
            outputs=1,
            before=[cursor("a")],
            note=note,
            error=error,
            **CPU,
            **more,
        )
        for note, order, offsets, error, more in (
            ("no such record", int64s(0, 3), int64s(0, 1, 2, 3).reshape(4, 1), "idx: has 0 to 3, there are 3", {}),
            (
                "a record before",
                int64s(0, -1),
                int64s(0, 1, 2, 3).reshape(4, 1),
                "idx: has -1 to 0",
                {"golden": False, "reason": "Caffe2 reads out of bounds"},
            ),
            (
                "no such row",
                int64s(0, 2),
                int64s(0, 1, 2, 4).reshape(4, 1),
                "a column has 3",
                {"golden": False, "reason": "Caffe2 reads out of bounds"},
            ),
            ("32 bits", int32s(0, 2), int64s(0, 1, 2, 3).reshape(4, 1), "idx: dtype is int32", {}),
        )
    ],
    Sample(
        "ReadRandomBatch",
        [Blob("c"), ORDER, X],
        outputs=1,
        before=[cursor("a")],
        note="no columns",
        error="3 inputs|wants",
        **CPU,
    ),
    Sample("Append", [X, Y], inplace={0: 0}, **CPU),
    Sample("Append", [strings("a"), strings("b", "c")], inplace={0: 0}, note="strings", **CPU),
    Sample("Append", [X, Y[:0]], inplace={0: 0}, note="nothing", **CPU),
    Sample("Append", [X[:0], int32s(1, 2)], inplace={0: 0}, note="to nothing", **CPU),
    Sample("Append", [X, Y.astype(np.float64)], inplace={0: 0}, note="other dtype", error="dtype is float64", **CPU),
    Sample("Append", [X, normal(2, 3)], inplace={0: 0}, note="other rows", error=r"rows are \[3\], wants \[2\]", **CPU),
    Sample("Append", [X, np.array(1, np.float32)], inplace={0: 0}, note="scalar", error="a scalar", **CPU),
    Sample("Append", [X, Y], note="elsewhere", error="must be input 0", **CPU),
    Sample(
        "AtomicAppend",
        [Blob("m"), X, int32s(4), Y, int32s(5, 6)],
        outputs=2,
        inplace={0: 1, 1: 2},
        before=[MUTEX],
        **CPU,
    ),
    Sample(
        "AtomicAppend", [Blob("m"), X[:0], int32s(5, 6)], outputs=1, before=[MUTEX], note="to nothing elsewhere", **CPU
    ),
    Sample(
        "AtomicAppend",
        [Blob("m"), X, Y],
        outputs=1,
        before=[MUTEX],
        note="elsewhere",
        error="is not updated in place",
        **CPU,
    ),
    Sample(
        "AtomicAppend",
        [Blob("m"), X, Y, X],
        outputs=1,
        inplace={0: 1},
        before=[MUTEX],
        note="uneven",
        error="4 inputs for 1 outputs",
        **CPU,
        golden=False,
        reason="Caffe2 passes the last input over",
    ),
    Sample(
        "AtomicAppend",
        [Blob("m"), X, int32s(1), Y, Y],
        outputs=2,
        inplace={0: 1, 1: 2},
        before=[MUTEX],
        note="one does not fit",
        error="dtype is float32, wants int32",
        **CPU,
    ),
    Sample("AtomicAppend", [X, X, Y], outputs=1, inplace={0: 1}, note="no mutex", error="mutex: holds", **CPU),
]

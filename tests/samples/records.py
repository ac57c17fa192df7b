"""Datasets as records and back, trimmed and checked; vectors of tensors."""

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
FED: list[Step] = [
    ("GivenTensorFill", [], ["x0"], {"shape": [5, 2], "values": COLUMNS[0].ravel().tolist()}),
    ("GivenTensorIntFill", [], ["x1"], {"shape": [5], "values": COLUMNS[1].tolist()}),
    ("GivenTensorIntFill", [], ["x2"], {"shape": [6], "values": COLUMNS[2].tolist()}),
    ("GivenTensorInt64Fill", [], ["x3"], {"shape": [7], "values": COLUMNS[3].tolist()}),
    ("GivenTensorStringFill", [], ["x4"], {"shape": [6], "values": ["p", "q", "r", "s", "t", "u"]}),
]
NAMES = ["x0", "x1", "x2", "x3", "x4"]
PACKED: Step = ("PackRecords", NAMES, ["p"], {"fields": FIELDS})
BATCHED: Step = ("PackRecords", NAMES, ["p"], {"fields": FIELDS, "pack_to_single_shared_ptr": 1})
X, Y = normal(3, 2), normal(2, 2, seed=1)
VECTOR: Step = ("CreateTensorVector", [], ["v"], {})
COLLECTED: list[Step] = [
    VECTOR,
    *FED[:1],
    ("CollectTensor", ["v", "x0"], ["v"], {"num_to_collect": 2}),
    ("CollectTensor", ["v", "x0"], ["v"], {"num_to_collect": 2}),
]
LENGTHS = {"fields": ["a:lengths", "a:values"]}

samples = [
    Sample("CheckDatasetConsistency", COLUMNS, {"fields": FIELDS}, **CPU, **NOTHING),
    Sample(
        "CheckDatasetConsistency", [int32s(2, 2), X], LENGTHS, note="too few", error="says 4 rows, there are 3", **CPU
    ),
    Sample(
        "CheckDatasetConsistency", [int32s(1, 1), X], LENGTHS, note="too many", error="says 2 rows, there are 3", **CPU
    ),
    Sample(
        "CheckDatasetConsistency",
        [X, Y],
        {"fields": ["a", "b"]},
        note="uneven",
        error=r"field 0 \(a\): has 3 rows, another field of its domain has 2",
        **CPU,
    ),
    Sample(
        "CheckDatasetConsistency", [X], {"fields": ["a", "b"]}, note="too few columns", error="has 1 columns", **CPU
    ),
    Sample("CreateTensorVector", **CPU),
    Sample("TensorVectorSize", [Blob("v")], before=[VECTOR], note="none", **CPU),
    Sample("TensorVectorSize", [Blob("v")], before=COLLECTED, note="two", **CPU),
    Sample("TensorVectorSize", [X], note="no vector", error="tensor_vector: holds", **CPU),
    Sample("ConcatTensorVector", [Blob("v")], before=COLLECTED, **CPU),
    Sample("ConcatTensorVector", [Blob("v")], before=[VECTOR], note="empty", error="tensor_vector: is empty", **CPU),
    Sample("CollectTensor", [Blob("v"), X], {"num_to_collect": 1}, before=[VECTOR], outputs=1, inplace={0: 0}, **CPU),
    Sample(
        "CollectTensor",
        [Blob("v"), X, Y],
        {"num_to_collect": 1},
        before=[VECTOR],
        outputs=1,
        inplace={0: 0},
        note="odd",
        error="wants inputs == 2",
        **CPU,
    ),
    Sample(
        "CollectTensor",
        [X, X],
        {"num_to_collect": 1},
        outputs=1,
        inplace={0: 0},
        note="no vector",
        error="input 0: holds",
        **CPU,
    ),
    Sample(
        "CollectTensor",
        [Blob("v"), X],
        {"num_to_collect": 0},
        before=[VECTOR],
        outputs=1,
        inplace={0: 0},
        note="none",
        error="num_to_collect = 0",
        **CPU,
    ),
    *[
        Sample(
            "PackRecords",
            COLUMNS,
            {"fields": FIELDS, **args},
            note=note,
            golden=False,
            reason="Caffe2 does not show records; UnPackRecords shows them",
            **CPU,
        )
        for note, args in (("", {}), ("one value", {"pack_to_single_shared_ptr": 1}))
    ],
    Sample("PackRecords", [int32s(2, 2), X], LENGTHS, note="too few rows", error="says 4 rows, there are 3", **CPU),
    Sample("PackRecords", [X], LENGTHS, note="too few columns", error="has 1 columns", **CPU),
    Sample("UnPackRecords", [Blob("p")], {"fields": FIELDS}, outputs=5, before=[*FED, PACKED], **CPU),
    Sample(
        "UnPackRecords", [Blob("p")], {"fields": FIELDS}, outputs=5, before=[*FED, BATCHED], note="one value", **CPU
    ),
    Sample(
        "UnPackRecords",
        [Blob("p"), *COLUMNS],
        {"fields": FIELDS},
        outputs=5,
        before=[*FED, PACKED],
        note="prototypes",
        **CPU,
    ),
    *[
        Sample(
            "UnPackRecords",
            [Blob("p"), *more],
            {"fields": ["a"]},
            note=note,
            outputs=1,
            before=[
                ("GivenTensorFill", [], ["e"], {"shape": [0, 2], "values": []}),
                ("PackRecords", ["e"], ["p"], {"fields": ["a"]}),
            ],
            **CPU,
            **error,
        )
        for note, more, error in (
            ("no records", [X], {}),
            ("nothing known", [], {"error": "has no record, and there is no prototype"}),
        )
    ],
    Sample(
        "UnPackRecords",
        [Blob("p"), *COLUMNS[:-1], X],
        {"fields": FIELDS},
        outputs=5,
        before=[*FED, PACKED],
        note="other prototype",
        error=r"field 4 \(b:name\) is object",
        **CPU,
    ),
    Sample(
        "UnPackRecords",
        [Blob("p"), X],
        {"fields": FIELDS},
        outputs=5,
        before=[*FED, PACKED],
        note="one prototype",
        error="prototype: has 1",
        **CPU,
    ),
    Sample(
        "UnPackRecords",
        [Blob("p")],
        {"fields": FIELDS},
        outputs=4,
        before=[*FED, PACKED],
        note="too few outputs",
        error="dataset: has 4",
        **CPU,
    ),
    Sample(
        "UnPackRecords",
        [Blob("p")],
        {"fields": FIELDS[:4]},
        outputs=4,
        before=[*FED, PACKED],
        note="too few fields",
        error="packed_tensor: has 5",
        **CPU,
    ),
    Sample(
        "UnPackRecords",
        [strings("a")],
        {"fields": ["a"]},
        outputs=1,
        note="strings",
        error="has bytes in it",
        golden=False,
        reason="Caffe2 takes the string for a record",
        **CPU,
    ),
    Sample(
        "TrimDataset", COLUMNS, {"fields": FIELDS, "multiple_of": 2}, outputs=5, inplace={i: i for i in range(5)}, **CPU
    ),
    Sample(
        "TrimDataset",
        COLUMNS,
        {"fields": FIELDS, "multiple_of": 5},
        outputs=5,
        inplace={i: i for i in range(5)},
        note="nothing to do",
        **CPU,
    ),
    Sample(
        "TrimDataset",
        COLUMNS,
        {"fields": FIELDS, "multiple_of": 9},
        outputs=5,
        inplace={i: i for i in range(5)},
        note="all",
        **CPU,
    ),
    Sample(
        "TrimDataset",
        [int32s(2, 2, 1), X],
        {**LENGTHS, "multiple_of": 2},
        outputs=2,
        inplace={0: 0, 1: 1},
        note="too few rows",
        error="says 4 rows, there are 3",
        **CPU,
    ),
    Sample(
        "TrimDataset",
        [X],
        {"fields": ["a"], "multiple_of": 0},
        outputs=1,
        inplace={0: 0},
        note="of zero",
        error="multiple_of = 0",
        **CPU,
    ),
]

"""Counters, atomic values, blobs as such, and stores that share them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, int32s, int64s, normal, strings

CPU: dict[str, Any] = {"devices": ("cpu",)}
ENDS: dict[str, Any] = {"devices": ("cpu",), "golden": False, "reason": "Caffe2 ends the process"}
NOTHING: dict[str, Any] = {"golden": False, "reason": "there is no output to compare", "expected": []}
Step = tuple[str, list[str], list[str], dict[str, Any]]


def counter(count: int, *more: Step) -> list[Step]:
    return [("CreateCounter", [], ["c"], {"init_count": count}), *more]


DOWN: Step = ("CountDown", ["c"], ["d"], {})
MUTEX: Step = ("CreateMutex", [], ["m"], {})
BOOL: Step = ("CreateAtomicBool", [], ["b"], {})
SET: Step = ("ConditionalSetAtomicBool", ["b", "yes"], [], {})
YES: Step = ("ConstantFill", [], ["yes"], {"shape": [1], "value": 1, "dtype": 5})
NO: Step = ("ConstantFill", [], ["yes"], {"shape": [1], "value": 0, "dtype": 5})
BEFORE: Step = ("GivenTensorFill", [], ["out0"], {"shape": [2, 3], "values": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
STORE: Step = ("FileStoreHandlerCreate", [], ["h"], {"path": "."})
TEXT: Step = ("GivenTensorStringFill", [], ["t"], {"shape": [2], "values": ["ab", "c"]})
PUT: Step = ("StoreSet", ["h", "t"], [], {"blob_name": "k"})
X, Y = normal(2, 3), normal(4, seed=1)

samples = [
    Sample("CreateCounter", args={"init_count": 3}),
    Sample("CreateCounter", args={"init_count": -1}, error="init_count = -1"),
    Sample("ResetCounter", [Blob("c")], {"init_count": 2}, before=counter(7), outputs=1),
    Sample("ResetCounter", [Blob("c")], before=counter(7), outputs=0, note="no output", **NOTHING),
    Sample("ResetCounter", [X], note="no counter", error="counter: holds .*, wants what CreateCounter makes"),
    *[
        Sample(op, [Blob("c")], before=before, note=note)
        for op in ("CountDown", "CountUp", "CheckCounterDone", "RetrieveCount")
        for note, before in (
            ("one left", counter(1)),
            ("none left", counter(1, DOWN)),
            ("below", counter(0, DOWN, DOWN)),
        )
    ],
    *[Sample(op, [X], note="no counter", error="counter: holds") for op in ("CountDown", "CheckCounterDone")],
    Sample("CreateAtomicBool", **CPU),
    Sample("CheckAtomicBool", [Blob("b")], before=[BOOL], **CPU),
    Sample("CheckAtomicBool", [Blob("b")], before=[BOOL, YES, SET, NO, SET], note="set once", **CPU),
    Sample("CheckAtomicBool", [Blob("b")], before=[BOOL, NO, SET], note="not set", **CPU),
    Sample("CheckAtomicBool", [X], note="no truth value", error="atomic_bool: holds", **CPU),
    Sample("ConditionalSetAtomicBool", [Blob("b"), np.array([True])], before=[BOOL], **CPU, **NOTHING),
    Sample(
        "ConditionalSetAtomicBool",
        [Blob("b"), np.array([], np.bool_)],
        before=[BOOL],
        note="empty",
        error="condition: is empty",
        golden=False,
        reason="Caffe2 reads out of bounds",
        **CPU,
    ),
    *[
        Sample(op, [Blob("m"), a, b], outputs=2, before=[MUTEX], note=note, inplace=inplace, **CPU)
        for op, of in (("AtomicFetchAdd", int32s), ("AtomicFetchAdd64", int64s))
        for note, a, b, inplace in (
            ("", of(5, 6), of(2), {}),
            ("in place", of(5).reshape(()), of(-2), {0: 1}),
        )
    ],
    Sample("AtomicFetchAdd", [Blob("m"), int32s(2**31 - 1), int32s(2)], before=[MUTEX], note="wraps around", **CPU),
    Sample("AtomicFetchAdd", [X, int32s(1), int32s(2)], note="no mutex", error="mutex_ptr: holds", **CPU),
    Sample("AtomicFetchAdd", [Blob("m"), int64s(1), int64s(2)], before=[MUTEX], error="dtype is int64", **CPU),
    Sample("FeedBlob", args={"value": "hello"}, **CPU),
    Sample("FeedBlob", note="no value", error="value is missing", **CPU),
    Sample("Free", [X, Y], outputs=1, note="elsewhere", error="must be input 0"),
    Sample("ScaleBlobs", [X, Y], {"scale": -0.5}, outputs=2),
    Sample("ScaleBlobs", [X], outputs=1, note="scale 1"),
    Sample("ScaleBlobs", [X[:0], Y], {"scale": 3.0}, outputs=2, note="empty"),
    Sample("ScaleBlobs", [X, X[::-1].copy()], {"scale": 2.0}, outputs=2, inplace={0: 1, 1: 0}, note="crosswise"),
    Sample(
        "ScaleBlobs",
        [X],
        outputs=2,
        note="too many",
        error="2 outputs for 1 inputs",
        golden=False,
        reason="Caffe2 leaves the other output unwritten",
    ),
    Sample("ScaleBlobs", [int32s(1)], outputs=1, note="integers", error="dtype is int32"),
    Sample("UnsafeCoalesce", [X, Y], outputs=3, **CPU),
    Sample("UnsafeCoalesce", [X, Y[:0], Y], outputs=4, note="an empty one", **CPU),
    Sample("UnsafeCoalesce", [], outputs=1, note="none", **CPU),
    Sample("UnsafeCoalesce", [int32s(1)], outputs=2, note="integers", error="dtype is int32", **CPU),
    Sample("GetAllBlobNames", args={"include_shared": 0}, **CPU),
    Sample(
        "EstimateAllBlobSizes",
        outputs=2,
        expected=[strings("out0", "out1"), int64s(154, 70)],
        golden=False,
        reason="Caffe2's order is none; see tests/test_blobs.py",
        **CPU,
    ),
    Sample("Snapshot", [int64s(4), X], {"db": "s.db", "db_type": "minidb", "every": 2}, outputs=0, **CPU, **NOTHING),
    Sample("FileStoreHandlerCreate", args={"path": "."}, **CPU),
    Sample("FileStoreHandlerCreate", args={"path": ".", "prefix": "a/b"}, note="prefix", **CPU),
    Sample("FileStoreHandlerCreate", args={"path": "absent"}, note="no folder", error="no folder 'absent'", **ENDS),
    Sample(
        "FileStoreHandlerCreate",
        args={"path": ".."},
        note="outside",
        error="outside",
        golden=False,
        reason="Caffe2 goes anywhere",
        **CPU,
    ),
    Sample("StoreSet", [Blob("h"), X], before=[STORE], **CPU, **NOTHING),
    Sample(
        "StoreSet",
        [Blob("h"), Blob("s")],
        before=[STORE, ("CreateScope", [], ["s"], {})],
        note="no form",
        error="data: holds WorkspaceStack",
        golden=False,
        reason="Caffe2 puts an empty value there",
        **CPU,
    ),
    Sample("StoreSet", [X, X], note="no store", error="handler: holds", **CPU),
    Sample("StoreGet", [Blob("h")], before=[STORE, BEFORE, ("StoreSet", ["h", "out0"], [], {})], **CPU),
    Sample("StoreGet", [Blob("h")], {"blob_name": "k"}, before=[STORE, TEXT, PUT], note="strings", **CPU),
    Sample("StoreWait", [Blob("h")], {"blob_names": ["k"]}, before=[STORE, TEXT, PUT], **CPU, **NOTHING),
    Sample("StoreWait", [Blob("h"), strings("k")], before=[STORE, TEXT, PUT], note="tensor", **CPU, **NOTHING),
    Sample(
        "StoreWait",
        [Blob("h"), strings("k")],
        {"blob_name": ["k"]},
        before=[STORE],
        note="both",
        error="cannot specify both",
        **CPU,
    ),
    Sample(
        "StoreAdd",
        [Blob("h")],
        {"blob_name": "n", "add_value": 5},
        before=[STORE, ("StoreAdd", ["h"], ["n"], {"blob_name": "n"})],
        expected=[int64s(6)],
        **ENDS,
    ),
    Sample("StoreAdd", [Blob("h")], before=[STORE], note="no key", error="blob_name is missing", **CPU),
]

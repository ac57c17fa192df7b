"""Control without nets: scopes, choices, what fails, what only orders a net, IsEmpty."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Blob, Sample, int32s, int64s, normal, strings

CPU: dict[str, Any] = {"devices": ("cpu",)}
ENDS: dict[str, Any] = {"devices": ("cpu",), "golden": False, "reason": "Caffe2 ends the process"}
NOTHING: dict[str, Any] = {"golden": False, "reason": "there is no output to compare", "expected": []}
Step = tuple[str, list[str], list[str], dict[str, Any]]
SCOPE: Step = ("CreateScope", [], ["s"], {})
X, Y = normal(2, 3), normal(4, seed=1)

samples = [
    Sample("IsEmpty", [X]),
    Sample("IsEmpty", [X[:0]], note="empty"),
    Sample("CreateScope", **CPU),
    Sample("HasScope", [Blob("s")], before=[SCOPE], **CPU),
    Sample("HasScope", [X], note="no scope", error="scope: holds", **CPU),
    Sample("DataCouple", [X, Y, int32s(1)], outputs=2, inplace={0: 0, 1: 1}),
    Sample("DataCouple", [X, Y], outputs=0, note="no outputs", **NOTHING),
    Sample("DataCouple", [X, Y], outputs=1, error="must be input 0"),
    Sample("AsyncNetBarrier", [X, Y], {"cross_device": 1}, outputs=2, inplace={0: 0, 1: 1}),
    Sample("Conditional", [np.array([True, False]), X, X[::-1].copy()]),
    Sample("Conditional", [np.array([True, False]), strings("a", "b"), strings("c", "d")], note="strings", **CPU),
    Sample("Conditional", [np.array([False]), normal(1, 2, 3), normal(1, 2, 3, seed=4)], note="three dims"),
    Sample("Conditional", [np.array([], np.bool_), X[:0], X[:0]], note="empty"),
    Sample("Conditional", [np.array([True]), X, X], note="too short", error="wants .* with N = 1"),
    Sample("Conditional", [np.array([True, True]), X, X[:, :2]], note="other shape", error="DataF: shape"),
    Sample(
        "Conditional",
        [np.array([True]), X[:1], int32s(1, 2, 3).reshape(1, 3)],
        note="other dtype",
        error="DataF: dtype is int32",
        golden=False,
        reason="Caffe2 takes the bits of one for the other",
    ),
    *[
        Sample("Assert", [x], note=note, outputs=0, **NOTHING)
        for note, x in (("", int32s(1, -2)), ("int64", int64s(5)), ("bool", np.array([[True]])), ("empty", int32s()))
    ],
    Sample(
        "Assert",
        [int64s(1, 0)],
        {"error_msg": "why"},
        note="zero",
        error="Assert failed for element 1 in tensor, value: 0\nError message: why",
    ),
    Sample("Assert", [np.array([[True, False]])], note="false", error="Assert failed for element 1"),
    Sample("Assert", [X], note="floats", error="dtype is float32"),
    Sample("Fail", error="the operator Fail fails", **CPU),
    Sample("ThrowException", error="Exception from ThrowExceptionOp", **CPU),
    Sample("ThrowException", args={"message": "hey"}, note="message", error="hey", **CPU),
    Sample("ThrowChildThreadException", error="Exception from ThrowChildThread", **ENDS),
    Sample("LogFatal", args={"message": "hey"}, error="hey", **ENDS),
    Sample("Crash", error="the operator Crash fails", **ENDS),
]

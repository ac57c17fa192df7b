"""Features of examples merged: scalars, lists and maps, single ones and sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, rng, strings

OUT_OF_BOUNDS: dict[str, Any] = {"golden": False, "reason": "Caffe2 reads or writes out of bounds"}
LEFT_OVER: dict[str, Any] = {"golden": False, "reason": "Caffe2 leaves values out, or outputs unwritten"}
UNTYPED = "Caffe2 gives a gradient without a dtype"
IDS = {"feature_ids": [11, 12, 13]}


def bools(*values: int) -> np.ndarray:
    return np.array(values, bool)


P1, P2 = bools(1, 0, 1, 1), bools(0, 0, 1, 0)  # which of four examples have the feature
L1, L2 = int32s(2, 0, 1, 0), int32s(0, 0, 3, 0)  # elements of lists and maps, or features of sets
FEATURES1, FEATURES2 = int64s(5, 3, 9), int64s(2, 7, 1)
SIZES1, SIZES2 = int32s(1, 0, 2), int32s(2, 1, 0)
VALUES: dict[str, Any] = {
    "float32": lambda n: normal(n),
    "int64": lambda n: rng(n).integers(-(2**40), 2**40, n),
    "string": lambda n: strings(*(f"v{i}" for i in range(n))),
    "bool": lambda n: rng(n).integers(0, 2, n).astype(bool),
    "int32": lambda n: rng(n).integers(-9, 9, n).astype(np.int32),
    "float64": lambda n: rng(n).standard_normal(n),
}


def scalars(v: Any) -> list[np.ndarray]:
    return [v(4), P1, v(4)[::-1].copy(), P2, v(4), P1]


def lists(v: Any) -> list[np.ndarray]:
    return [L1, v(3), P1, L2, v(3)[::-1].copy(), P2]


def maps(v: Any, k: Any) -> list[np.ndarray]:
    return [L1, k(3), v(3), P1, L2, k(3)[::-1].copy(), v(3)[::-1].copy(), P2]


def sets(v: Any) -> list[np.ndarray]:
    return [L1, FEATURES1, v(3), L2, FEATURES2, v(3)[::-1].copy()]


def sets_of_lists(v: Any) -> list[np.ndarray]:
    return [L1, FEATURES1, SIZES1, v(3), L2, FEATURES2, SIZES2, v(3)[::-1].copy()]


def sets_of_maps(v: Any, k: Any) -> list[np.ndarray]:
    return [L1, FEATURES1, SIZES1, k(3), v(3), L2, FEATURES2, SIZES2, k(3)[::-1].copy(), v(3)[::-1].copy()]


def each(op: str, group: int, make: Any, args: dict[str, Any]) -> list[Sample]:
    """All dtypes of the values, one group alone, no examples."""
    some = make(VALUES["float32"])
    return [
        *(Sample(op, make(v), args, note=dtype) for dtype, v in VALUES.items()),
        Sample(op, some[:group], args, note="alone"),
        Sample(op, [x[:0] for x in some], args, note="empty", differentiable=False, reason=UNTYPED),
        Sample(
            op,
            [*some[:group], *make(VALUES["int64"])[group:]],
            args,
            note="dtypes",
            error="dtype is int64, wants float32",
        ),
        Sample(op, some[1:], args, note="a tensor missing", error=f"inputs % {group}"),
    ]


def merge(kind: str) -> str:
    return f"Merge{kind}FeatureTensors"


F = VALUES["float32"]
samples = [
    *each(merge("SingleScalar"), 2, scalars, IDS),
    *each(merge("SingleList"), 3, lists, IDS),
    *each(merge("SingleMap"), 4, lambda v: maps(v, VALUES["int64"]), IDS),
    *each(merge("MultiScalar"), 3, sets, {}),
    *each(merge("MultiList"), 4, sets_of_lists, {}),
    *each(merge("MultiMap"), 5, lambda v: sets_of_maps(v, VALUES["string"]), {}),
    Sample(
        merge("SingleMap"),
        maps(VALUES["string"], VALUES["float32"]),
        IDS,
        note="keys of floats",
        differentiable=False,
        reason="only keys are floats",
    ),
    Sample(merge("MultiMap"), sets_of_maps(F, VALUES["int32"]), note="keys of whole numbers"),
    Sample(merge("SingleScalar"), [F(4).reshape(2, 2), P1.reshape(2, 2)], IDS, note="matrix"),
    Sample(
        merge("SingleScalar"),
        [F(4), P1, F(4), P2],
        {"feature_ids": [1]},
        note="ids",
        error="feature_ids: are 1",
        **OUT_OF_BOUNDS,
    ),
    Sample(merge("SingleScalar"), [F(4), P1[:3]], IDS, note="presence", error="in1_presence: has 3", **OUT_OF_BOUNDS),
    Sample(merge("SingleScalar"), [F(4), P1, F(3), P1], IDS, note="values", error="in2: has 3", **OUT_OF_BOUNDS),
    Sample(
        merge("SingleList"),
        [L1, F(2), P1],
        IDS,
        note="few values",
        error="in1_values: has 2 elements, wants 3",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        merge("SingleList"),
        [L1, F(4), P1],
        IDS,
        note="many values",
        error="in1_values: has 4 elements, wants 3",
        **LEFT_OVER,
    ),
    Sample(merge("SingleList"), [int32s(2, 5, 1, 0), F(3), P1], IDS, note="length of an absent one"),
    Sample(
        merge("SingleList"),
        [int32s(2, 0, -1, 0), F(1), P1],
        IDS,
        note="negative",
        error="in1_lengths: has -1, wants 0 or more",
        **OUT_OF_BOUNDS,
    ),
    Sample(merge("MultiScalar"), [L1, FEATURES1[:2], F(2)], note="few keys", error="in1_keys: has 2 elements, wants 3"),
    Sample(
        merge("MultiScalar"), [L1, int64s(1, 2, 3, 4), F(4)], note="many keys", error="in1_keys: has 4", **LEFT_OVER
    ),
    Sample(
        merge("MultiScalar"),
        [L1, FEATURES1, F(3), L1[:2], FEATURES1, F(3)],
        note="lengths",
        error="in2_lengths: has 2",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        merge("MultiList"),
        [L1, FEATURES1, SIZES1[:2], F(3)],
        note="few sizes",
        error="in1_values_lengths: has 2",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        merge("MultiList"),
        [L1, FEATURES1, SIZES1, F(2)],
        note="few values",
        error="in1_values_values: has 2",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        merge("MultiMap"),
        [L1, FEATURES1, SIZES1, F(2), F(3)],
        note="few keys of maps",
        error="in1_values_keys: has 2",
        **OUT_OF_BOUNDS,
    ),
    *(Sample(merge("SingleScalar") + "Gradient", [P1, P2, v(4)], outputs=2, note=dtype) for dtype, v in VALUES.items()),
    *(Sample(merge(f"Single{kind}") + "Gradient", [L1, P1, L2, P2, F(6)], outputs=2) for kind in ("List", "Map")),
    Sample(merge("MultiScalar") + "Gradient", [L1, L2, F(6)], outputs=2),
    *(
        Sample(merge(f"Multi{kind}") + "Gradient", [L1, SIZES1, L2, SIZES2, F(6)], outputs=2)
        for kind in ("List", "Map")
    ),
    Sample(
        merge("MultiScalar") + "Gradient",
        [L1, L2, F(5)],
        outputs=2,
        note="short",
        error="has 5 elements, wants 6",
        **OUT_OF_BOUNDS,
    ),
    *(
        Sample("MergeDenseFeatureTensors", [v(6).reshape(2, 3), bools(1, 0, 1, 0, 0, 1).reshape(2, 3)], IDS, note=dtype)
        for dtype, v in VALUES.items()
    ),
    Sample("MergeDenseFeatureTensors", [normal(0, 3), bools().reshape(0, 3)], IDS, note="empty"),
    Sample(
        "MergeDenseFeatureTensors",
        [normal(2, 3), bools(1, 0).reshape(2, 1)],
        IDS,
        note="presence",
        error="in1_presence: shape is",
        **OUT_OF_BOUNDS,
    ),
    Sample(
        "MergeDenseFeatureTensors",
        [normal(1, 4), bools(1, 0, 0, 1).reshape(1, 4)],
        IDS,
        note="ids",
        error="feature_ids: are 3",
        **OUT_OF_BOUNDS,
    ),
]

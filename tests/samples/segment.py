"""Segments: reductions over lengths with their gradients, and lengths turned into other things."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal, strings

DOUBLE = "Caffe2 takes float32 only"
CRASH = "Caffe2 reads or writes out of bounds"


L, PICKED, X, TABLE, WEIGHTS = (
    int32s(2, 0, 3, 1),
    int32s(1, 3, 0, 0, 2, 1),
    normal(6, 3),
    normal(4, 3, seed=1),
    normal(6),
)
DY = normal(4, 3, seed=2)


def _dense(op: str) -> list[Sample]:
    return [
        Sample(op, [X, L]),
        Sample(op, [normal(6), L], note="vector"),
        Sample(op, [normal(6, 2, 2), L], note="3-D"),
        Sample(op, [normal(0, 2), int32s(0, 0)], note="all empty", differentiable=False),
        Sample(op, [normal(0, 2), int32s()], note="no segments", differentiable=False),
        Sample(op, [X.astype("f8"), L], note="float64", golden=False, reason=DOUBLE),
        Sample(op, [X, int32s(2, 0, 3)], error="LENGTHS: sum is 5, DATA has 6 elements", note="too few"),
        Sample(op, [X, int32s(2, 0, 5)], error="LENGTHS: sum is 7", note="too many"),
        Sample(op, [X, int32s(7, -1)], error="LENGTHS: element 1 is -1", note="negative"),
        Sample(op, [X, L.astype("i8")], error="LENGTHS: dtype", note="int64 lengths"),
    ]


def _sparse(op: str) -> list[Sample]:
    return [
        Sample(op, [TABLE, PICKED, L]),
        Sample(op, [TABLE, PICKED.astype("i8"), L], note="int64"),
        Sample(op, [normal(4), PICKED, L], note="vector"),
        Sample(op, [normal(4, 2, 2), PICKED, L], note="3-D"),
        Sample(op, [TABLE.astype("f2"), PICKED, L], note="float16", differentiable=False),
        Sample(op, [normal(9, 3).astype("f2"), PICKED, L], note="float16, large table", differentiable=False),
        Sample(op, [TABLE, int32s(), int32s(0, 0)], note="all empty", differentiable=False, reason="no row is read"),
        Sample(op, [TABLE.astype("f8"), PICKED, L], note="float64", golden=False, reason=DOUBLE),
        Sample(
            op,
            [TABLE, int32s(1, 4, 0, 0, 2, 1), L],
            error="INDICES: element 1 is 4, DATA has 4 rows",
            note="out of range",
        ),
        Sample(op, [TABLE, int32s(1, -1, 0, 0, 2, 1), L], error="INDICES: element 1 is -1", note="negative index"),
        Sample(op, [TABLE, PICKED, int32s(2, 0, 3)], error="LENGTHS: sum is 5, INDICES has 6 elements", note="too few"),
        Sample(
            op,
            [TABLE, PICKED, int32s(7, -1)],
            error="LENGTHS: element 1 is -1",
            note="negative",
            golden=False,
            reason=CRASH,
        ),
    ]


samples = [
    *(s for kind in ("Sum", "Mean", "Max") for s in _dense(f"Lengths{kind}")),
    *(s for kind in ("Sum", "Mean") for s in _sparse(f"SparseLengths{kind}")),
    Sample("LengthsMax", [-np.abs(X), L], note="all negative"),
    Sample(
        "LengthsMax",
        [np.float32([[1, 2], [1, 3], [0, 3]]), int32s(3)],
        note="ties",
        differentiable=False,
        reason="ties: a kink",
    ),
    Sample("LengthsWeightedSum", [X, WEIGHTS, L]),
    Sample("LengthsWeightedSum", [X, WEIGHTS, L], {"grad_on_weights": 1}, note="gradient on weights"),
    Sample("LengthsWeightedSum", [X, normal(5), L], error="SCALARS|K", note="too few weights"),
    Sample("SparseLengthsWeightedSum", [TABLE, WEIGHTS, PICKED, L]),
    Sample(
        "SparseLengthsWeightedSum",
        [TABLE, WEIGHTS, PICKED.astype("i8"), L],
        {"grad_on_weights": 1},
        note="gradient on weights",
    ),
    Sample(
        "SparseLengthsWeightedSum",
        [TABLE.astype("f2"), WEIGHTS, PICKED, L],
        note="float16",
        differentiable=False,
        reason="float16",
    ),
    Sample(
        "SparseLengthsWeightedSum", [TABLE, normal(5), PICKED, L], error="INDICES: shape is", note="too few weights"
    ),
    Sample("SparseLengthsPositionalWeightedSum", [TABLE, normal(3), PICKED, L]),
    Sample(
        "SparseLengthsPositionalWeightedSum",
        [TABLE, normal(2), PICKED, L],
        error="WEIGHT: has 2",
        note="too few",
        golden=False,
        reason=CRASH,
    ),
    *(
        sample
        for kind in ("Sum", "Mean")
        for sample in (
            Sample(f"Lengths{kind}Gradient", [DY, L]),
            Sample(f"Lengths{kind}Gradient", [normal(4), L], note="vector"),
            Sample(f"Lengths{kind}Gradient", [normal(3, 3), L], error="dOUTPUT: shape is", note="rows"),
            Sample(f"SparseLengths{kind}Gradient", [DY, L]),
            Sample(f"LengthsIndicesInGradient{kind}Gradient", [DY, L, X]),
            Sample(
                f"LengthsIndicesInGradient{kind}Gradient",
                [DY, L, normal(5, 3)],
                error="DATA has 5",
                note="rows of DATA",
                golden=False,
                reason="Caffe2 does not look at it",
            ),
            Sample(f"SparseLengthsIndicesInGradient{kind}Gradient", [DY, L, PICKED]),
        )
    ),
    Sample("LengthsWeightedSumGradient", [WEIGHTS, DY, L]),
    Sample(
        "LengthsWeightedSumGradient",
        [normal(5), DY, L],
        error="SCALARS has 5",
        note="weights",
        golden=False,
        reason=CRASH,
    ),
    Sample("SparseLengthsWeightedSumGradient", [WEIGHTS, DY, L]),
    Sample("SparseLengthsIndicesInGradientWeightedSumGradient", [WEIGHTS, DY, L, PICKED]),
    Sample("LengthsWeightedSumWithMainInputGradient", [WEIGHTS, DY, L, X]),
    Sample("SparseLengthsWeightedSumWithMainInputGradient", [WEIGHTS, DY, L, TABLE, PICKED]),
    Sample("SparseLengthsIndicesInGradientWeightedSumWithMainInputGradient", [WEIGHTS, DY, L, TABLE, PICKED]),
    Sample("LengthsMaxWithMainInputAndForwardOutputGradient", [X[[0, 1, 2, 5]], DY, L, X]),
    Sample("LengthsToSegmentIds", [L]),
    Sample("LengthsToSegmentIds", [int32s()], note="no segments"),
    Sample(
        "LengthsToSegmentIds",
        [int32s(1, -1)],
        error="lengths: element 1 is -1",
        note="negative",
        golden=False,
        reason=CRASH,
    ),
    Sample("LengthsToRanges", [L]),
    Sample("LengthsToRanges", [int32s()], note="no segments"),
    Sample("LengthsToOffsets", [L]),
    Sample("LengthsToOffsets", [L], {"include_last_offset": 1}, note="with the end"),
    Sample("LengthsToWeights", [L]),
    Sample("LengthsToWeights", [L.astype("i8")], {"power": 1.0}, note="power 1"),
    Sample("LengthsToShape", [int32s(3, 3)]),
    Sample("LengthsToShape", [int32s(3, 2)], error="wants equal lengths", note="unequal"),
    Sample("LengthsToShape", [int32s()], error="is empty", note="none", golden=False, reason=CRASH),
    *(
        sample
        for op in ("SegmentIdsToLengths", "SegmentIdsToRanges")
        for sample in (
            Sample(op, [int32s(0, 0, 2)]),
            Sample(op, [int64s(1, 3, 3)], note="int64"),
            Sample(op, [int32s(0, 0, 2), normal(5)], note="data"),
            Sample(op, [int32s()], note="none"),
            Sample(op, [int32s(0, 2, 1)], error="wants them sorted", note="not sorted"),
            Sample(op, [int32s(-1, 2)], error="the first is -1", note="negative", golden=False, reason=CRASH),
            Sample(op, [int32s(0, 7), normal(5)], error="data has 5 rows", note="beyond data"),
        )
    ),
    Sample("LengthsTile", [normal(4, 2), L]),
    Sample("LengthsTile", [strings("a", "b"), int32s(2, 1)], note="strings"),
    Sample("LengthsTile", [normal(3, 2), L], error="LENGTHS: has 4 elements, DATA has 3 rows", note="rows"),
    Sample("LengthsTile", [normal(2, 2), int32s(2, -1)], error="is -1, wants 0", note="negative"),
    Sample("LengthsGather", [X, L, int32s(2, 0)]),
    Sample("LengthsGather", [X, L, int64s(3, 3, 1)], note="twice"),
    Sample("LengthsGather", [X, L, int32s(2, 4)], error="is 4, LENGTHS has 4 rows", note="out of range"),
    Sample(
        "LengthsGather",
        [X, int32s(2, 1), int32s(0)],
        error="ITEMS has 6",
        note="sum",
        golden=False,
        reason="Caffe2 does not look at it",
    ),
]

"""Normalisation and dropout, also of sparse features."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, int64s, normal

ROUNDING = "Caffe2 adds up in float32, here in pairs"


X, XL, MATRIX = normal(2, 5, 3, 4), normal(2, 3, 4, 5), normal(7, 5)
LRN = {"size": 3, "alpha": 0.5, "beta": 0.75}
SCALE, BIAS, MEAN, VAR = normal(5, seed=1), normal(5, seed=2), normal(5, seed=3), np.abs(normal(5, seed=4)) + 0.1
PARAMETERS = [SCALE, BIAS, MEAN, VAR]
RUNNING = {1: 3, 2: 4}
TEST_GRADIENT = "Caffe2's gradient takes the variance for 1 / sqrt(variance + epsilon) here"
UNCHECKED = "Caffe2 does not check this and reads out of bounds"


def _train(x: np.ndarray, note: str, **args: Any) -> Sample:
    return Sample(
        "SpatialBN",
        [x, *PARAMETERS],
        {"is_test": 0, **args},
        note=note,
        outputs=5,
        inplace=RUNNING,
        tolerance=(1e-4, 1e-5),
        reason=ROUNDING,
    )


VALUES, LENGTHS = np.arange(1, 12), int32s(3, 0, 4, 1, 2, 1)


def dropping(op: str) -> list[Sample]:
    return [
        Sample(op, [VALUES, LENGTHS], {"ratio": 0.6, "replacement_value": -7}, outputs=2, seed=11),
        Sample(op, [VALUES, LENGTHS], {"ratio": 0.4}, outputs=2, seed=5, note="value 0"),
        Sample(op, [VALUES, LENGTHS], outputs=2, note="no ratio"),
        Sample(op, [VALUES, LENGTHS], {"ratio": 1.0}, outputs=2, note="all"),
        Sample(op, [int64s(), int32s(0, 0)], {"ratio": 1.0}, outputs=2, note="empty examples"),
        Sample(op, [int64s(), int32s()], {"ratio": 0.5}, outputs=2, note="no examples"),
        Sample(op, [VALUES, int32s(3, 4)], outputs=2, note="short", error="sum is 7, X has 11 elements"),
        Sample(
            op,
            [VALUES, int32s(12, -1)],
            outputs=2,
            note="negative",
            error="element 1 is -1",
            golden=False,
            reason="Caffe2 writes out of bounds",
        ),
        Sample(op, [VALUES, LENGTHS], {"ratio": 1.5}, outputs=2, note="ratio", error="ratio = 1.5"),
    ]


samples = [
    Sample("LRN", [X], LRN, outputs=2),
    Sample("LRN", [X], {**LRN, "size": 5, "bias": 2.0}, note="wider"),
    Sample("LRN", [XL], {**LRN, "order": "NHWC"}, note="nhwc", outputs=2),
    Sample("LRN", [X], {**LRN, "size": 13, "beta": 0.5}, note="wider than the channels"),
    Sample("LRN", [X], {**LRN, "size": 4}, note="even"),
    Sample("LRN", [X], {**LRN, "size": 1}, note="alone"),
    Sample("LRN", [X[:0]], LRN, note="empty batch"),
    Sample("LRN", [MATRIX], LRN, note="matrix", golden=False, reason="Caffe2 wants four axes"),
    Sample("LRN", [X], {**LRN, "size": 0}, error="size = 0, wants >= 1", note="size 0", golden=False, reason=UNCHECKED),
    Sample("LRNGradient", [X, normal(2, 5, 3, 4, seed=1), normal(2, 5, 3, 4, seed=2)], LRN),
    Sample("LRNGradient", [X, normal(2, 5, 3, 4, seed=1), normal(2, 5, 3, 4, seed=2)], {**LRN, "size": 4}, note="even"),
    Sample(
        "LRNGradient",
        [XL, normal(2, 3, 4, 5, seed=1), normal(2, 3, 4, 5, seed=2)],
        {**LRN, "order": "NHWC"},
        note="nhwc",
    ),
    Sample("LRNGradient", [X, X, XL], LRN, error="dY: shape is", note="shape of dY", golden=False, reason=UNCHECKED),
    Sample("SpatialBN", [X, *PARAMETERS], {"is_test": 1}, note="test", differentiable=False, reason=TEST_GRADIENT),
    Sample("SpatialBN", [X, *PARAMETERS], {"is_test": 1}, note="test, gradient", golden=False, reason=TEST_GRADIENT),
    Sample(
        "SpatialBN",
        [XL, *PARAMETERS],
        {"is_test": 1, "epsilon": 0.1, "order": "NHWC"},
        note="test nhwc",
        differentiable=False,
        reason=TEST_GRADIENT,
    ),
    Sample(
        "SpatialBN",
        [XL, *PARAMETERS],
        {"is_test": 1, "order": "NHWC"},
        note="test nhwc, gradient",
        golden=False,
        reason=TEST_GRADIENT,
    ),
    Sample(
        "SpatialBN",
        [MATRIX, *PARAMETERS],
        {"is_test": 1},
        note="test matrix",
        differentiable=False,
        reason=TEST_GRADIENT,
    ),
    Sample("SpatialBN", [X, *PARAMETERS], {"is_test": 1}, note="test in place", inplace={0: 0}),
    Sample("SpatialBN", [X[:0], *PARAMETERS], {"is_test": 1}, note="test, empty batch"),
    _train(X, "training"),
    _train(XL, "training nhwc", order="NHWC", momentum=0.3, epsilon=0.01),
    _train(MATRIX, "training, matrix"),
    _train(normal(2, 5, 3, 2, 4), "training, three spatial axes"),
    _train(X[:0], "training, empty batch"),
    _train(normal(1, 5, 1, 1), "training, a single element"),
    Sample(
        "SpatialBN",
        [X, SCALE, BIAS, normal(0), normal(1)],
        {"is_test": 0},
        note="running values begin",
        outputs=5,
        inplace=RUNNING,
    ),
    Sample(
        "SpatialBN",
        [X, *PARAMETERS, normal(5, seed=5), np.abs(normal(5, seed=6)) * 99],
        {"is_test": 0, "num_batches": 3},
        note="three batches",
        outputs=5,
        inplace=RUNNING,
        tolerance=(1e-4, 1e-5),
        reason=ROUNDING,
    ),
    Sample("SpatialBN", [X, *PARAMETERS], {}, error="argument is_test is missing", note="is_test"),
    Sample("SpatialBN", [X, *PARAMETERS], {"is_test": 0}, error="1 outputs with is_test = 0, wants 5", note="outputs"),
    Sample("SpatialBN", [X, *PARAMETERS], {"is_test": 0}, outputs=5, error="must be input 3", note="not in place"),
    Sample(
        "SpatialBN",
        [X, SCALE, BIAS, normal(4), VAR],
        {"is_test": 1},
        error="mean: has 4 elements, X has 5 channels",
        note="mean",
    ),
    Sample(
        "SpatialBN",
        [X, normal(4), BIAS, MEAN, VAR],
        {"is_test": 1},
        error="scale: has 4 elements, X has 5 channels",
        note="scale",
    ),
    Sample(
        "SpatialBNGradient",
        [X, SCALE, normal(2, 5, 3, 4, seed=1), MEAN, VAR],
        {},
        outputs=3,
        tolerance=(1e-4, 1e-5),
        reason=ROUNDING,
    ),
    Sample(
        "SpatialBNGradient",
        [XL, SCALE, normal(2, 3, 4, 5, seed=1), MEAN, VAR],
        {"order": "NHWC"},
        note="nhwc",
        outputs=3,
        tolerance=(1e-4, 1e-5),
        reason=ROUNDING,
    ),
    Sample(
        "SpatialBNGradient",
        [X, SCALE, normal(2, 5, 3, 4, seed=1), MEAN, VAR, normal(5, seed=8), normal(5, seed=9)],
        {"num_batches": 3},
        note="three batches",
        outputs=3,
        tolerance=(1e-4, 1e-5),
        reason=ROUNDING,
    ),
    Sample("SpatialBNGradient", [X[:0], SCALE, X[:0], MEAN, VAR], {}, note="empty batch", outputs=3),
    Sample(
        "SpatialBNGradient",
        [X, SCALE, XL, MEAN, VAR],
        {},
        outputs=3,
        error="dY: shape is",
        note="shape of dY",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("Dropout", [MATRIX], {"is_test": 1}, note="test"),
    Sample("Dropout", [MATRIX], {"is_test": 1}, note="test in place", inplace={0: 0}),
    Sample(
        "Dropout",
        [MATRIX],
        {"is_test": 0, "ratio": 0.3},
        note="training",
        outputs=2,
        seed=7,
        differentiable=False,
        reason="random",
    ),
    Sample("Dropout", [MATRIX], {"is_test": 0}, note="training in place", outputs=2, seed=7, inplace={0: 0}),
    Sample("Dropout", [MATRIX], {"is_test": 0, "ratio": 0.0}, note="nothing dropped", outputs=2),
    Sample(
        "Dropout",
        [MATRIX[:0]],
        {"is_test": 0},
        note="empty",
        outputs=2,
        differentiable=False,
        reason="nothing to differentiate",
    ),
    Sample("Dropout", [MATRIX], {"is_test": 0}, error="mask: is missing", note="no mask"),
    Sample("Dropout", [MATRIX], {"is_test": 0, "ratio": 1.0}, outputs=2, error="ratio = 1.0, wants < 1", note="all"),
    Sample("DropoutGrad", [MATRIX, MATRIX > 0], {"ratio": 0.25}),
    Sample("DropoutGrad", [MATRIX, MATRIX > 0], {"ratio": 0.25}, note="in place", inplace={0: 0}),
    Sample("DropoutGrad", [MATRIX], {"is_test": 1}, note="test"),
    Sample("DropoutGrad", [MATRIX], {}, error="mask: is missing", note="no mask"),
    Sample("DropoutGrad", [MATRIX, np.ones(3, bool)], {}, error="mask: has 3 elements, dY has 35", note="mask"),
    *dropping("SparseDropoutWithReplacement"),
    *dropping("SparseItemwiseDropoutWithReplacement"),
]

"""Losses and accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, normal, rng


def _p(*shape: int, seed: int = 0) -> np.ndarray:
    x = rng(seed + len(shape)).uniform(0.1, 1, shape)
    return (x / x.sum(axis=-1, keepdims=True)).astype(np.float32)


UNCHECKED = "Caffe2 does not check this"
NEGATIVE = "Caffe2 leaves the gradient undivided where the weights add up to less than 0"


def _softmax(note: str, logits: np.ndarray, labels: np.ndarray, *weights: np.ndarray, **more: Any) -> Sample:
    args = {k: v for k, v in more.items() if k in ("label_prob", "axis", "scale", "order", "average_by_batch_size")}
    rest = {k: v for k, v in more.items() if k not in args}
    return Sample("SoftmaxWithLoss", [logits, labels, *weights], args, note=note, outputs=2, **rest)


LOGITS, LABELS, WEIGHTS = normal(3, 4), int32s(0, 3, 2), np.float32([0.5, 2, 0])

samples = [
    Sample("LabelCrossEntropy", [_p(3, 4), LABELS]),
    Sample("LabelCrossEntropy", [_p(3, 4), LABELS.reshape(3, 1)], note="labels in a column"),
    Sample("LabelCrossEntropy", [_p(2, 3, 2), int32s(5, 0)], note="3-D"),
    Sample("LabelCrossEntropy", [_p(4), int32s(2)], note="one row"),
    Sample(
        "LabelCrossEntropy",
        [np.zeros((2, 3), "f4"), int32s(0, 1)],
        note="probability 0",
        differentiable=False,
        reason="clipped there: a kink",
    ),
    Sample("LabelCrossEntropy", [_p(0, 3), int32s()], note="no rows"),
    Sample("LabelCrossEntropy", [_p(0), int32s(0)], error="there are 0 classes", note="an empty row"),
    Sample(
        "LabelCrossEntropy",
        [_p(3, 4), int32s(0, 4, 2)],
        error="label: element 1 is 4, wants 0 to 3",
        note="label too large",
    ),
    Sample("LabelCrossEntropy", [_p(3, 4), int32s(0, -1, 2)], error="label: element 1 is -1", note="negative label"),
    Sample("LabelCrossEntropy", [_p(3, 4), int32s(0, 1)], error="label: has 2 elements", note="too few labels"),
    Sample("LabelCrossEntropy", [_p(3, 4), LABELS.astype("i8")], error="label: dtype", note="int64 labels"),
    Sample("LabelCrossEntropyGradient", [_p(3, 4), LABELS, normal(3)]),
    Sample("LabelCrossEntropyGradient", [_p(3, 4), LABELS, normal(2)], error="dY: has 2", note="rows of dY"),
    Sample(
        "LabelCrossEntropyGradient",
        [_p(3, 4), int32s(0, 4, 2), normal(3)],
        error="is 4",
        note="label",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("CrossEntropy", [_p(3, 4), _p(3, 4, seed=1)]),
    Sample("CrossEntropy", [_p(0, 4), _p(0, 4)], note="no rows"),
    Sample("CrossEntropy", [_p(3, 4), _p(3, 4) + 1], error="wants a probability", note="no probabilities"),
    Sample("CrossEntropy", [_p(3, 4), _p(3, 5)], error="label: shape is", note="unlike shapes"),
    Sample("CrossEntropyGradient", [_p(3, 4), _p(3, 4, seed=1), normal(3)]),
    Sample("MakeTwoClass", [_p(3)]),
    Sample("MakeTwoClass", [_p(3, 2)], note="2-D"),
    Sample("MakeTwoClassGradient", [normal(3, 2)]),
    Sample("MakeTwoClassGradient", [normal(3, 4)], error="dY: shape is", note="four classes"),
    Sample("SigmoidCrossEntropyWithLogits", [normal(3, 4), _p(3, 4)]),
    Sample("SigmoidCrossEntropyWithLogits", [normal(3, 4), _p(3, 4)], {"log_D_trick": 1}, note="log d"),
    Sample("SigmoidCrossEntropyWithLogits", [normal(3, 4), _p(3, 4)], {"unjoined_lr_loss": 1}, note="unjoined"),
    Sample("SigmoidCrossEntropyWithLogits", [normal(4), _p(4)], note="vector"),
    Sample("SigmoidCrossEntropyWithLogits", [normal(2, 3, 4) * 50, _p(2, 3, 4)], note="3-D, large"),
    Sample("SigmoidCrossEntropyWithLogits", [normal(), np.array(0.3, np.float32)], note="number"),
    Sample("SigmoidCrossEntropyWithLogits", [normal(0, 4), _p(0, 4)], note="no rows"),
    Sample("SigmoidCrossEntropyWithLogits", [normal(3, 4), _p(4, 3)], error="targets: shape", note="unlike shapes"),
    Sample(
        "SigmoidCrossEntropyWithLogits",
        [normal(3, 4), _p(3, 4)],
        {"log_D_trick": 1, "unjoined_lr_loss": 1},
        error="only one of them",
        note="both",
    ),
    Sample("SigmoidCrossEntropyWithLogitsGradient", [normal(3), normal(3, 4), _p(3, 4)]),
    Sample(
        "SigmoidCrossEntropyWithLogitsGradient", [normal(3), normal(3, 4), _p(3, 4)], {"log_D_trick": 1}, note="log d"
    ),
    Sample(
        "SigmoidCrossEntropyWithLogitsGradient",
        [normal(3), normal(3, 4), _p(3, 4)],
        {"unjoined_lr_loss": 1},
        note="unjoined",
    ),
    Sample(
        "SigmoidCrossEntropyWithLogitsGradient",
        [normal(2), normal(3, 4), _p(3, 4)],
        error="dxentropy: shape",
        note="shape of dY",
    ),
    Sample("WeightedSigmoidCrossEntropyWithLogits", [normal(3, 4), _p(3, 4), _p(3, 4, seed=1)]),
    Sample("WeightedSigmoidCrossEntropyWithLogitsGradient", [normal(3), normal(3, 4), _p(3, 4), _p(3, 4, seed=1)]),
    Sample("SquaredL2Distance", [normal(3, 4), normal(3, 4, seed=1)]),
    Sample("SquaredL2Distance", [normal(4), normal(4, seed=1)], note="vectors"),
    Sample("SquaredL2Distance", [normal(2, 3, 4), normal(2, 3, 4, seed=1)], note="3-D"),
    Sample("SquaredL2Distance", [normal(), normal(seed=1)], note="numbers"),
    Sample("SquaredL2Distance", [normal(2, 0), normal(2, 0)], note="empty rows", differentiable=False),
    Sample("SquaredL2Distance", [normal(3, 4), normal(12)], error="Y: shape is", note="unlike shapes"),
    Sample("SquaredL2DistanceGradient", [normal(3, 4), normal(3, 4, seed=1), normal(3)]),
    Sample("Accuracy", [normal(5, 4), int32s(0, 3, 2, 1, 1)]),
    Sample("Accuracy", [normal(5, 4), int32s(0, 3, 2, 1, 1)], {"top_k": 2}, note="top 2"),
    Sample("Accuracy", [np.zeros((3, 4), "f4"), int32s(0, 1, 2)], {"top_k": 2}, note="ties"),
    Sample("Accuracy", [np.float32([[np.nan, 1, 2], [np.nan, 1, 2]]), int32s(2, 0)], note="nan"),
    Sample("Accuracy", [normal(0, 4), int32s()], note="no rows"),
    Sample(
        "Accuracy",
        [normal(3, 4), int32s(4, 1, 2)],
        error="labels: element 0 is 4",
        note="label",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("Accuracy", [normal(3, 4), LABELS.reshape(3, 1)], error="labels: shape is", note="shape of labels"),
    _softmax("", LOGITS, LABELS),
    _softmax("labels in a column", LOGITS, LABELS.reshape(3, 1)),
    _softmax("weights", LOGITS, LABELS, WEIGHTS),
    _softmax("weights of 0", LOGITS, LABELS, WEIGHTS * 0, differentiable=False, reason="0 whatever the logits"),
    _softmax("negative weights", LOGITS, LABELS, -WEIGHTS, differentiable=False, reason=NEGATIVE),
    _softmax("negative weights, gradient", LOGITS, LABELS, -WEIGHTS, golden=False, reason=NEGATIVE),
    _softmax("scale", LOGITS, LABELS, scale=2.5),
    _softmax("by batch size", LOGITS, LABELS, WEIGHTS, scale=2.5, average_by_batch_size=1),
    _softmax("probabilities", LOGITS, _p(3, 4), label_prob=1),
    _softmax("probabilities and weights", LOGITS, _p(3, 4), WEIGHTS, label_prob=1),
    _softmax("axis 2", normal(2, 3, 4), int32s(0, 1, 3, 0, 1, 2).reshape(2, 3), axis=2),
    _softmax("joined dims", normal(2, 3, 2), int32s(0, 5)),
    _softmax("large", LOGITS * 100, LABELS),
    _softmax("no rows", normal(0, 3), int32s(), differentiable=False),
    _softmax("label", LOGITS, int32s(0, 4, 2), error="labels: element 1 is 4, wants 0 to 3"),
    _softmax("int64", LOGITS, LABELS.astype("i8"), error="labels: dtype"),
    _softmax("labels", LOGITS, int32s(0, 1), error="labels: has 2 elements"),
    _softmax("no sum of 1", LOGITS, _p(3, 4) * 2, label_prob=1, error="adds up to (2|1.99)"),
    _softmax("negative", LOGITS, _p(3, 4) - 0.5, label_prob=1, error="wants 0 or more"),
    _softmax("nhwc", LOGITS, LABELS, order="NHWC", error="order = 'NHWC', wants 'NCHW'"),
    _softmax(
        "number of weights", LOGITS, LABELS, normal(4), error="weight_tensor: has 4", golden=False, reason=UNCHECKED
    ),
    Sample("SoftmaxWithLossGradient", [LOGITS, LABELS, _p(3, 4), np.array(2, np.float32)]),
    Sample("SoftmaxWithLossGradient", [LOGITS, LABELS, WEIGHTS, _p(3, 4), np.float32([2])], note="weights"),
    Sample(
        "SoftmaxWithLossGradient",
        [LOGITS, _p(3, 4, seed=1), _p(3, 4), np.array(2, np.float32)],
        {"label_prob": 1, "scale": 3.0},
        note="probabilities",
    ),
]

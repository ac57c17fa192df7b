"""Losses of rankings and of images."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, int32s, normal, rng

SCORES = normal(9)
LABELS = rng(1).integers(0, 3, 9).astype(np.float32)
SESSIONS = int32s(4, 0, 1, 3, 1)
PULLS = "the pulls are no derivative of the loss"
BEYOND = "Caffe2 reads beyond them"
NDCG = {
    "": {},
    "dcg": {"use_idcg_normalization": 0},
    "ndcg": {"use_ndcg_as_loss": 1},
    "ndcg linear": {"use_ndcg_as_loss": 1, "use_exp_gain": 0},
    "short of the best": {"use_ndcg_as_loss": 1, "use_idcg_normalization": 0},
}
PLACES = rng(3).integers(-1, 3, (2, 4, 5)).astype(np.int32)
LOGITS = normal(2, 3, 4, 5)
WEIGHTS = rng(5).uniform(0, 2, (2, 4, 5)).astype(np.float32)

samples = [
    Sample("PairWiseLoss", [SCORES, LABELS]),
    Sample("PairWiseLoss", [SCORES[:, None], LABELS[:, None], SESSIONS], note="sessions"),
    Sample("PairWiseLoss", [SCORES, LABELS * 0, SESSIONS], note="equal labels"),
    Sample("PairWiseLoss", [SCORES * 100, LABELS], note="far apart"),
    Sample("PairWiseLoss", [SCORES[:0], LABELS[:0], int32s(0, 0)], note="empty"),
    Sample("PairWiseLoss", [SCORES, LABELS, int32s(4, 4)], note="sum", error="lengths: sum is 8"),
    Sample(
        "PairWiseLoss",
        [SCORES, LABELS, int32s(10, -1)],
        note="negative",
        error="element 1 is -1",
        golden=False,
        reason=BEYOND,
    ),
    Sample("PairWiseLoss", [normal(9, 2), LABELS], note="columns", error="X: shape is"),
    Sample("PairWiseLoss", [SCORES, LABELS[None]], note="a row of labels", error="label: shape is"),
    Sample("PairWiseLossGradient", [SCORES, LABELS, normal(1)]),
    Sample("PairWiseLossGradient", [SCORES[:, None], LABELS, normal(5), SESSIONS], note="sessions"),
    Sample("PairWiseLossGradient", [SCORES[:0], LABELS[:0], normal(1)], note="empty"),
    Sample("PairWiseLossGradient", [SCORES, LABELS, normal(2)], note="dY", error="dY: shape is"),
    *(
        Sample("LambdaRankNdcg", [SCORES, LABELS, SESSIONS], args, note=note, differentiable=False, reason=PULLS)
        for note, args in NDCG.items()
    ),
    Sample("LambdaRankNdcg", [SCORES.round(), LABELS, SESSIONS], note="ties", differentiable=False, reason=PULLS),
    Sample("LambdaRankNdcg", [SCORES * 90, LABELS - 1, SESSIONS], note="far apart", differentiable=False, reason=PULLS),
    Sample("LambdaRankNdcg", [SCORES, LABELS * 0, SESSIONS], note="unrated", differentiable=False, reason=PULLS),
    Sample(
        "LambdaRankNdcg",
        [SCORES[:0], LABELS[:0], int32s()],
        note="empty",
        differentiable=False,
        golden=False,
        reason="Caffe2 leaves the second output without a dtype",
        expected=[SCORES[:0], SCORES[:0]],
    ),
    Sample(
        "LambdaRankNdcg",
        [SCORES, LABELS, int32s(3, 3)],
        note="sum",
        error="session_lengths: sum is 6",
        golden=False,
        reason="Caffe2 leaves the rest unwritten",
    ),
    Sample("LambdaRankNdcg", [SCORES, LABELS[1:], SESSIONS], note="labels", error="r: has 8"),
    Sample("LambdaRankNdcgGradient", [SCORES, SESSIONS, LABELS, normal(5)]),
    Sample("LambdaRankNdcgGradient", [SCORES, SESSIONS, LABELS, normal(4)], note="losses", error="dloss: has 4"),
    Sample("SpatialSoftmaxWithLoss", [LOGITS, PLACES], outputs=2),
    Sample("SpatialSoftmaxWithLoss", [LOGITS, PLACES, WEIGHTS], outputs=2, note="weights"),
    Sample(
        "SpatialSoftmaxWithLoss",
        [LOGITS, PLACES],
        {"scale": 0.5},
        outputs=2,
        note="scale",
        differentiable=False,
        reason="scale multiplies the gradient only",
    ),
    Sample("SpatialSoftmaxWithLoss", [LOGITS, PLACES * 0 - 1], outputs=2, note="no place counts"),
    Sample(
        "SpatialSoftmaxWithLoss", [LOGITS * 90, PLACES], outputs=2, note="great", differentiable=False, reason="cut"
    ),
    Sample("SpatialSoftmaxWithLoss", [LOGITS[:0], PLACES[:0]], outputs=2, note="empty"),
    Sample("SpatialSoftmaxWithLoss", [LOGITS, PLACES + 2], outputs=2, note="label", error="wants -1 to 2"),
    Sample("SpatialSoftmaxWithLoss", [LOGITS, PLACES], {"scale": -1.0}, outputs=2, note="scale", error="scale = -1"),
    Sample("SpatialSoftmaxWithLoss", [LOGITS, PLACES], {"order": "NHWC"}, outputs=2, note="order", error="order ="),
    Sample(
        "SpatialSoftmaxWithLoss",
        [LOGITS, PLACES[:, :3]],
        outputs=2,
        note="shapes",
        error="labels: shape is",
        golden=False,
        reason=BEYOND,
    ),
    Sample(
        "SpatialSoftmaxWithLoss",
        [LOGITS, PLACES, normal(7)],
        outputs=2,
        note="few weights",
        error="weight_tensor: shape is",
        golden=False,
        reason=BEYOND,
    ),
    Sample("SpatialSoftmaxWithLossGradient", [LOGITS, PLACES, normal(2, 3, 4, 5, seed=2), normal(1)], {"scale": 0.5}),
    Sample(
        "SpatialSoftmaxWithLossGradient", [LOGITS, PLACES, WEIGHTS, normal(2, 3, 4, 5, seed=2), normal(1)], note="w"
    ),
]

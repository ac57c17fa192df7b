"""Criteria, distances and similarities."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, int32s, normal, rng

A, B = normal(3, 4), normal(3, 4, seed=1)
SIGNS = int32s(1, -1, -1, 1, -1)


def probabilities(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).uniform(0.05, 0.95, shape).astype(np.float32)


samples = [
    *(
        Sample(name, pair, note=note)
        for name in ("CosineSimilarity", "L1Distance")
        for note, pair in {
            "": [A, B],
            "vectors": [normal(4), normal(4, seed=1)],
            "3-D": [normal(2, 3, 4), normal(2, 3, 4, seed=1)],
        }.items()
    ),
    Sample("CosineSimilarity", [A * 0, B], note="zero", differentiable=False, reason="a kink"),
    Sample("L1Distance", [A, A], note="equal", differentiable=False, reason="a kink"),
    Sample("L1Distance", [A, normal(12)], note="shapes", error="Y: shape is"),
    Sample("CosineSimilarity", [A, normal(3, 5)], note="shapes", error="Y: shape is"),
    Sample("CosineSimilarityGradient", [A, B, normal(3)]),
    Sample("L1DistanceGradient", [A, B, normal(3)]),
    Sample("DotProductWithPadding", [A, B]),
    Sample("DotProductWithPadding", [A, normal(3, 7)], {"pad_value": 0.5}, note="wider"),
    Sample("DotProductWithPadding", [normal(3, 7), A], {"pad_value": 0.5}, note="narrower"),
    Sample("DotProductWithPadding", [normal(3, 8), A], {"replicate": 1}, note="repeated"),
    Sample("DotProductWithPadding", [A, normal(3, 8)], {"replicate": 1}, note="repeated X"),
    Sample(
        "DotProductWithPadding",
        [A, normal(3, 7)],
        {"replicate": 1},
        note="multiple",
        error="wants a multiple",
        golden=False,
        reason="Caffe2 leaves out what is over",
    ),
    Sample("DotProductWithPadding", [A, normal(2, 4)], note="rows", error="Y: "),
    Sample("DotProductWithPadding", [normal(3), normal(3, seed=1)], note="vectors"),
    Sample("DotProductWithPadding", [normal(2, 3, 2), normal(2, 2, 2)], note="3-D"),
    Sample("DotProductWithPadding", [A, normal(3)], note="ranks", error="Y: shape is"),
    Sample("DotProductWithPaddingGradient", [A, normal(3, 7), normal(3)], {"pad_value": 0.5}),
    Sample("DotProductWithPaddingGradient", [normal(2, 3, 2), normal(2, 2, 2), normal(2)], note="3-D"),
    Sample("MarginRankingCriterion", [normal(5), normal(5, seed=1), SIGNS]),
    Sample("MarginRankingCriterion", [normal(5), normal(5, seed=1), SIGNS], {"margin": 0.2}, note="margin"),
    Sample("MarginRankingCriterionGradient", [normal(5), normal(5, seed=1), SIGNS, normal(5, seed=2)]),
    Sample("CosineEmbeddingCriterion", [np.tanh(normal(5)), SIGNS]),
    Sample("CosineEmbeddingCriterion", [np.tanh(normal(5)), SIGNS], {"margin": 0.3}, note="margin"),
    Sample("CosineEmbeddingCriterionGradient", [np.tanh(normal(5)), SIGNS, normal(5, seed=2)]),
    Sample("BernoulliJSD", [probabilities(3, 4), probabilities(3, 4, seed=1)]),
    Sample("BernoulliJSDGradient", [normal(3), probabilities(3), probabilities(3, seed=1)]),
]

"""Decoders of sequences."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, int32s, normal, rng


def scores(*shape: int, seed: int = 0) -> np.ndarray:
    """Probabilities of symbols, high for the blank."""
    x = rng(seed).standard_normal(shape).astype(np.float32)
    x[..., 0] += 1
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


X = scores(7, 3, 4)
TIES = np.round(X * 4) / 4
STEPS = int32s(5, 0, 7)
BEYOND = "Caffe2 reads beyond them"
NO_OUTPUT = "Caffe2 wants the last output, which its schema does not"

samples = [
    Sample("CTCGreedyDecoder", [X]),
    Sample("CTCGreedyDecoder", [X, STEPS], note="lengths"),
    Sample("CTCGreedyDecoder", [X, STEPS], {"merge_repeated": 0}, note="repeats"),
    Sample("CTCGreedyDecoder", [TIES], note="ties"),
    Sample("CTCGreedyDecoder", [X[:0]], note="empty"),
    Sample("CTCGreedyDecoder", [X[:, :0]], note="no sequences"),
    Sample("CTCGreedyDecoder", [X, int32s(5, 0, 8)], note="too long", error="SEQ_LEN: element 2 is 8"),
    Sample("CTCGreedyDecoder", [X, int32s(5)], note="one", error="SEQ_LEN: shape", golden=False, reason=BEYOND),
    *(
        Sample("CTCBeamSearchDecoder", list(inputs), args, note=f"{note} {more}", outputs=3)
        for note, inputs in {
            "": (X,),
            "lengths": (X, STEPS),
            "ties": (TIES,),
            "long": (scores(20, 2, 6, seed=2),),
        }.items()
        for more, args in {
            "": {},
            "narrow": {"beam_width": 2, "num_candidates": 4},
            "pruned": {"prune_threshold": 0.2, "num_candidates": 3},
            "wide": {"beam_width": 40, "num_candidates": 30},
            "all pruned": {"prune_threshold": 2.0},
        }.items()
    ),
    Sample("CTCBeamSearchDecoder", [X[:1]], {"num_candidates": 6}, note="few", outputs=3),
    Sample("CTCBeamSearchDecoder", [X[:0]], note="empty", outputs=3),
    Sample("CTCBeamSearchDecoder", [X[:, :0]], note="no sequences", outputs=3),
    Sample(
        "CTCBeamSearchDecoder",
        [X[:2, :1]],
        note="two outputs",
        golden=False,
        reason=NO_OUTPUT,
        expected=[int32s(1), int32s(1)],
    ),
    Sample("CTCBeamSearchDecoder", [X, int32s(5, 0, 8)], note="too long", outputs=3, error="SEQ_LEN: element 2 is 8"),
    Sample("CTCBeamSearchDecoder", [X[..., :0]], note="no symbols", outputs=3, error="INPUTS: has no symbols"),
    Sample(
        "CTCBeamSearchDecoder",
        [X, int32s(5, -1, 3)],
        note="negative",
        outputs=3,
        error="SEQ_LEN: element 1 is -1",
        golden=False,
        reason="Caffe2 crashes",
    ),
    Sample("ViterbiPath", [normal(7, 4), normal(4, 4)]),
    Sample("ViterbiPath", [normal(7, 4).round(), normal(4, 4).round()], note="ties"),
    Sample("ViterbiPath", [normal(1, 4), normal(4, 4)], note="one step"),
    Sample("ViterbiPath", [normal(3, 1), normal(1, 1)], note="one class"),
    Sample(
        "ViterbiPath",
        [normal(0, 4), normal(4, 4)],
        note="empty",
        error="predictions: shape is",
        golden=False,
        reason="Caffe2 divides by zero",
    ),
    Sample("ViterbiPath", [normal(3, 4), normal(3, 4)], note="transitions", error="transitions: shape is"),
    Sample("SwapBestPath", [normal(5, 3), int32s(0, 2, 1, 1, 0)]),
    Sample("SwapBestPath", [normal(5, 3).round(), int32s(0, 2, 1, 1, 0)], note="ties"),
    Sample(
        "SwapBestPath",
        [normal(2, 3), int32s(0, 3)],
        note="class",
        error="bestPath: element 1 is 3",
        golden=False,
        reason=BEYOND,
    ),
    Sample("SwapBestPath", [normal(2, 3), int32s(0)], note="steps", error="bestPath: shape is"),
]

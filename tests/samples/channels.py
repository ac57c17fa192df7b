"""Channels of images scaled, shifted, summed up."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, normal

UNCHECKED = "Caffe2 does not check this and reads out of bounds"
X, LAST = normal(2, 3, 6, 7), normal(2, 4, 5, 3)
SCALE, BIAS = normal(3, seed=5), normal(3, seed=6)
LEARN = {"is_learnable": 1}
STATS = normal(3, seed=1), np.abs(normal(3, seed=2))

samples = [
    Sample("AffineChannel", [X, SCALE, BIAS]),
    Sample("AffineChannel", [X, SCALE, BIAS], note="in place", inplace={0: 0}),
    Sample("AffineChannel", [X[:, :, 0, 0], SCALE, BIAS], note="no spatial axes"),
    Sample("AffineChannel", [LAST, SCALE, BIAS], {"order": "NHWC"}, note="nhwc"),
    Sample("AffineChannel", [X, SCALE, BIAS], LEARN, note="learnable"),
    Sample("AffineChannel", [LAST, SCALE, BIAS], {**LEARN, "order": "NHWC"}, note="learnable, nhwc"),
    Sample("AffineChannel", [X[:0], SCALE, BIAS], note="no images", golden=False, reason="Caffe2 ends the process"),
    Sample(
        "AffineChannel", [X, SCALE[:2], BIAS], error="scale: shape is", note="scale", golden=False, reason=UNCHECKED
    ),
    Sample("AffineChannelGradient", [X, SCALE]),
    Sample("AffineChannelGradient", [X, SCALE], note="in place", inplace={0: 0}),
    Sample("AffineChannelGradient", [X, X[::-1].copy(), SCALE], LEARN, outputs=3, note="learnable"),
    Sample("AffineChannelGradient", [X, SCALE], LEARN, error="2 inputs and 1 outputs", note="learnable, inputs"),
    Sample("ChannelBackpropStats", [X, *STATS, X[::-1].copy()]),
    Sample("ChannelBackpropStats", [X[..., 0], *STATS, X[..., 1].copy()], note="one axis"),
    Sample("ChannelBackpropStats", [X[:0], *STATS, X[:0]], note="no images"),
    Sample("ChannelBackpropStats", [X[:, :, 0, 0], *STATS, X[:, :, 0, 0]], error="wants 3 to 5", note="no axes"),
    Sample(
        "ChannelBackpropStats",
        [X, *STATS, X[:1]],
        error="output_grad: shape is",
        note="dY",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("NormalizePlanarYUV", [X, SCALE[None], BIAS[None]]),
    Sample("NormalizePlanarYUV", [X, SCALE[None], BIAS[None]], note="in place", inplace={0: 0}),
    Sample("NormalizePlanarYUV", [X, normal(2, 3), normal(2, 3, seed=1)], note="more rows"),
    Sample("NormalizePlanarYUV", [X[:0], SCALE[None], BIAS[None]], note="no images"),
    Sample("NormalizePlanarYUV", [X, SCALE, BIAS[None]], error="mean: shape is", note="mean"),
    Sample(
        "NormalizePlanarYUV",
        [X, SCALE[None][:0], BIAS[None]],
        error="mean: has no rows",
        note="no mean",
        golden=False,
        reason=UNCHECKED,
    ),
]

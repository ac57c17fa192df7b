"""Locally connected layers and deformable convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, normal, rng

GPU = "Caffe2 has it on the GPU alone"
GROUPS = "Caffe2 writes past its buffers for more groups"

X, LAST = normal(2, 3, 4, 5), normal(2, 4, 5, 3)
FILTER, BIAS = normal(3, 4, 2, 3, 2, 2), normal(3, 4, 2)
K = {"kernel": 2}
STRIDED = {"kernel_h": 2, "kernel_w": 3, "stride": 2, "pads": [1, 0, 0, 1], "dilation_h": 2, "dilation_w": 1}
SMALL = normal(2, 2, 4, 5)
WEIGHTS = normal(3, 2, 2, 3)


def offsets(*shape: int) -> np.ndarray:
    """Ways of taps that end between elements, some of them outside the image."""
    return (rng(7).integers(-2, 3, shape) + rng(8).uniform(0.2, 0.8, shape)).astype(np.float32)


def deformed(X: Any, offset: Any, filter: Any, stride: int, pad: int, dilation: int, groups: int) -> Any:
    """The output of DeformConv, element by element."""
    N, C, H, W = X.shape
    M, _, kernel_h, kernel_w = filter.shape
    rows, columns = offset.shape[2:]
    Y = np.zeros((N, M, rows, columns))
    for n, c, i, j, r, s in np.ndindex(N, C, kernel_h, kernel_w, rows, columns):
        at = 2 * (c * groups // C * kernel_h * kernel_w + i * kernel_w + j)
        y = r * stride - pad + i * dilation + float(offset[n, at, r, s])
        x = s * stride - pad + j * dilation + float(offset[n, at + 1, r, s])
        if 0 <= y < H and 0 <= x < W:
            y, x = min(y, H - 1), min(x, W - 1)
            for p, q in ((0, 0), (0, 1), (1, 0), (1, 1)):
                row, column = min(int(y) + p, H - 1), min(int(x) + q, W - 1)
                share = (1 - abs(y - int(y) - p)) * (1 - abs(x - int(x) - q))
                Y[n, :, r, s] += filter[:, c, i, j] * share * X[n, c, row, column]
    return Y.astype(np.float32)


PLAIN, MOVED = offsets(2, 12, 3, 3), offsets(2, 24, 3, 3)
STEPS = {"stride": 2, "pad": 1, "dilation": 1}

samples = [
    Sample("LC", [X, FILTER, BIAS], K),
    Sample("LC", [X, FILTER], K, note="no bias"),
    Sample("LC", [X, normal(2, 2, 4, 3, 2, 3), normal(2, 2, 4)], STRIDED, note="strides, pads, dilation"),
    Sample("LC", [LAST, normal(3, 4, 2, 2, 2, 3), BIAS], {**K, "order": "NHWC"}, note="nhwc"),
    Sample("LC", [X, normal(1, 1, 2, 3, 4, 5)], {"global_pooling": 1}, note="whole image"),
    Sample("LC", [X[:0], FILTER, BIAS], K, note="no images", golden=False, reason="Caffe2 refuses it by accident"),
    Sample("LC", [X, FILTER[:2], BIAS], K, error="filter: shape is", note="filter"),
    Sample("LC", [X, FILTER[0], BIAS], K, error="filter: has 5 axes, wants 6", note="filter axes"),
    Sample("LC", [X, FILTER, BIAS[0, 0]], K, error="bias: shape is", note="bias"),
    Sample("LC", [X, FILTER], {**K, "group": 3}, error="group = 3", note="groups", golden=False, reason=GROUPS),
    Sample(
        "LC",
        [normal(2, 5, 3), normal(4, 2, 2, 3)],
        {"kernels": [2], "order": "NHWC"},
        error="1 spatial axes",
        note="nhwc, one axis",
    ),
    Sample("LC1D", [normal(2, 3, 6), normal(4, 2, 3, 3), normal(4, 2)], {"kernels": [3]}),
    Sample("LC2D", [X, FILTER, BIAS], K),
    Sample("LC3D", [normal(2, 3, 3, 2, 3), normal(2, 1, 2, 4, 3, 2, 2, 2), normal(2, 1, 2, 4)], {"kernels": [2, 2, 2]}),
    Sample("LCGradient", [X, FILTER, normal(2, 2, 3, 4)], K, outputs=3),
    Sample("LCGradient", [X, FILTER, normal(2, 2, 3, 4)], {**K, "no_bias": 1}, outputs=2, note="no bias"),
    Sample(
        "LCGradient",
        [LAST, normal(3, 4, 2, 2, 2, 3), normal(2, 3, 4, 2)],
        {**K, "order": "NHWC"},
        outputs=3,
        note="nhwc",
    ),
    Sample(
        "LCGradient",
        [X, FILTER, normal(2, 2, 3, 4)],
        {**K, "no_bias": 1},
        outputs=3,
        note="outputs",
        error="3 outputs with no_bias = 1, wants 1 or 2",
    ),
    Sample(
        "LCGradient",
        [X, FILTER, X],
        K,
        outputs=3,
        error="dY: shape is",
        note="dY",
        golden=False,
        reason="Caffe2 does not check this and reads out of bounds",
    ),
    Sample("LC1DGradient", [normal(2, 3, 6), normal(4, 2, 3, 3), normal(2, 2, 4)], {"kernels": [3]}, outputs=3),
    Sample("LC2DGradient", [X, FILTER, normal(2, 2, 3, 4)], K, outputs=3),
    Sample(
        "LC3DGradient",
        [normal(2, 3, 3, 2, 3), normal(2, 1, 2, 4, 3, 2, 2, 2), normal(2, 4, 2, 1, 2)],
        {"kernels": [2, 2, 2]},
        outputs=3,
    ),
    Sample(
        "DeformConv",
        [SMALL, PLAIN, WEIGHTS],
        {"kernel_h": 2, "kernel_w": 3, **STEPS},
        expected=[deformed(SMALL, PLAIN, WEIGHTS, 2, 1, 1, 1)],
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConv",
        [SMALL, MOVED, normal(4, 2, 2, 3), normal(4)],
        {"kernels": [2, 3], "stride": 2, "pad": 2, "dilation": 2, "deformable_group": 2},
        expected=[deformed(SMALL, MOVED, normal(4, 2, 2, 3), 2, 2, 2, 2) + normal(4)[:, None, None]],
        note="groups, bias",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConv",
        [SMALL[:0], PLAIN[:0], WEIGHTS],
        {"kernels": [2, 3], **STEPS},
        note="no images",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConv",
        [SMALL, PLAIN[:, :10], WEIGHTS],
        {"kernels": [2, 3], **STEPS},
        error="offset: shape is",
        note="offset",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConv",
        [SMALL, PLAIN, WEIGHTS],
        {"kernels": [2, 2], **STEPS},
        error="filter: shape is",
        note="filter",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConv",
        [SMALL, PLAIN, WEIGHTS],
        {"kernels": [2, 3], "pads": [1, 0, 0, 0]},
        note="pads",
        error="as much before as after",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConv",
        [SMALL, PLAIN, WEIGHTS],
        {"kernels": [2, 3], **STEPS, "deformable_group": 3},
        note="three",
        error="does not divide the 2 channels",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConvGradient",
        [SMALL, PLAIN, WEIGHTS, normal(2, 3, 3, 3)],
        {"kernels": [2, 3], **STEPS},
        outputs=2,
        error="2 outputs with no_bias = 0, wants 3 or 4",
        note="outputs",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConvGradient",
        [SMALL, PLAIN, WEIGHTS, SMALL],
        {"kernels": [2, 3], **STEPS},
        outputs=4,
        error="dY: shape is",
        note="dY",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "DeformConvGradient",
        [SMALL, PLAIN, WEIGHTS, normal(2, 3, 3, 3)],
        {"kernels": [2, 3], **STEPS},
        outputs=4,
        note="all",
        golden=False,
        reason=GPU,
    ),
]

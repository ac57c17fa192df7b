"""Pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.kit.sample import Sample, int32s, normal, rng

X, XL = normal(2, 3, 6, 7), normal(2, 6, 7, 3)
UNEVEN = {"kernels": [3, 2], "strides": [2, 1], "pads": [1, 0, 2, 1]}
TIES = rng(5).integers(0, 2, (1, 2, 5, 6)).astype(np.float32)
LOWEST = np.where(TIES > 0, np.float32(-np.inf), TIES)
UNCHECKED = "Caffe2 does not check this and reads out of bounds"
NANS = np.where(TIES > 0, np.float32(np.nan), TIES)


def _shared(op: str, **extra: Any) -> list[Sample]:
    """What every pooling is asked."""
    return [
        Sample(op, [X], {"kernel": 3, "stride": 2, "pad": 1, **extra}),
        Sample(op, [X], {**UNEVEN, **extra}, note="uneven"),
        Sample(op, [XL], {**UNEVEN, "order": "NHWC", **extra}, note="nhwc"),
        Sample(op, [X], {"kernel_h": 2, "kernel_w": 3, "stride_h": 1, "stride_w": 3, **extra}, note="one by one"),
        Sample(op, [X], {"kernel": 1, "stride": 3, **extra}, note="stride beyond the kernel"),
        Sample(op, [X], {"kernel": 3, "stride": 2, "legacy_pad": 1, **extra}, note="VALID"),
        Sample(op, [X], {"kernel": 3, "stride": 2, "legacy_pad": 2, **extra}, note="SAME"),
        Sample(op, [X], {"kernel": 3, "stride": 2, "legacy_pad": 3, **extra}, note="Caffe's rounding"),
        Sample(
            op,
            [XL],
            {"kernel": 3, "stride": 2, "pad": 1, "legacy_pad": 3, "order": "NHWC", **extra},
            note="Caffe's rounding nhwc",
        ),
        Sample(op, [X], {"global_pooling": 1, **extra}, note="global"),
        Sample(
            op, [XL], {"global_pooling": 1, "kernel": 2, "order": "NHWC", **extra}, note="global nhwc, kernel unused"
        ),
        Sample(op, [X[:0]], {"kernel": 2, **extra}, note="empty batch"),
        Sample(op, [normal(1, 3, 150, 148)], {"kernel": 5, "stride": 5, **extra}, note="several blocks"),
        Sample(
            op,
            [X.astype(np.float64)],
            {"kernel": 2, **extra},
            note="float64",
            golden=False,
            reason="Caffe2 has float32 only",
        ),
        Sample(op, [X], {"kernel": 2, "pad": 2, **extra}, error="wants less than the kernel 2", note="padding"),
        Sample(op, [X], {"kernel": 2, "dilation": 2, **extra}, error="dilation = 2, pooling takes 1", note="dilation"),
        Sample(op, [X], {"kernel": 9, **extra}, error="spans 9 elements", note="window beyond the image"),
        Sample(
            op,
            [X],
            {"global_pooling": 1, "stride": 2, **extra},
            error="global_pooling allows no stride",
            note="global with stride",
        ),
        Sample(
            op,
            [X],
            {"kernel": 1, "stride": 4, "legacy_pad": 3, **extra},
            error="lies in the padding",
            note="window outside",
            golden=False,
            reason=UNCHECKED,
        ),
        Sample(op, [X[:, :0]], {"kernel": 2, **extra}, error="only the batch", note="no channels"),
        Sample(op, [normal(2, 3)], {"kernel": 1, **extra}, error="wants a spatial axis", note="no spatial axis"),
    ]


def _ranks(op: str) -> list[Sample]:
    """The forms named for one, two and three axes, and their gradients."""
    made = []
    for rank, shape in ((1, (2, 3, 7)), (2, (2, 3, 6, 7)), (3, (1, 2, 4, 5, 6))):
        args = {"kernels": [3, 2, 2][:rank], "strides": [2, 1, 2][:rank], "pads": [1] * rank + [0] * rank}
        x = normal(*shape)
        out = (*shape[:2], *((s + 1 - k) // t + 1 for s, k, t in zip(shape[2:], args["kernels"], args["strides"])))
        made += [
            Sample(f"{op}{rank}D", [x], args),
            Sample(f"{op}{rank}D", [np.moveaxis(x, 1, -1).copy()], {**args, "order": "NHWC"}, note="nhwc"),
            Sample(f"{op}{rank}DGradient", [x, normal(*out, seed=1), normal(*out, seed=2)], args),
        ]
    return made


GPU = "Caffe2 has it on the GPU alone"
PLACES = np.array([[4, 1, 2], [9, 9, 3], [0, 7, 7]], np.float32)[None, None]
POOL = {"kernel": 2, "stride": 1}

samples = [
    *_shared("MaxPool"),
    Sample("MaxPool", [TIES], {"kernel": 2}, note="ties", differentiable=False, reason="kinks everywhere"),
    Sample("MaxPool", [LOWEST], {"kernel": 2}, note="lowest values", differentiable=False, reason="infinite values"),
    Sample(
        "MaxPool",
        [NANS],
        {"kernel": 2},
        note="nan spreads",
        differentiable=False,
        golden=False,
        reason="with NaN Caffe2's answer depends on the order of comparisons",
    ),
    *_ranks("MaxPool"),
    Sample(
        "MaxPoolGradient",
        [TIES, np.ones((1, 2, 4, 5), np.float32), normal(1, 2, 4, 5)],
        {"kernel": 2},
        note="ties each get all",
    ),
    Sample(
        "MaxPoolGradient",
        [X, normal(2, 3, 2, 2), normal(2, 3, 2, 2)],
        {"kernel": 2},
        error="Y: shape is",
        note="shape of Y",
        golden=False,
        reason=UNCHECKED,
    ),
    *_shared("AveragePool"),
    *_shared("AveragePool", count_include_pad=1)[:9],
    *_ranks("AveragePool"),
    Sample(
        "AveragePool",
        [normal(2, 3)],
        {"global_pooling": 1},
        note="a matrix",
        golden=False,
        reason="Caffe2 returns another value each time",
    ),
    Sample("AveragePoolGradient", [X, normal(2, 3, 5, 6), normal(2, 3, 5, 6)], {"kernel": 2, "count_include_pad": 1}),
    Sample(
        "AveragePoolGradient",
        [X, normal(2, 3, 5, 6), normal(2, 3, 5, 5)],
        {"kernel": 2},
        error="dY: shape is",
        note="shape of dY",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample(
        "MaxPoolWithIndex",
        [PLACES],
        POOL,
        expected=[np.array([[9, 9], [9, 9]], np.float32)[None, None], int32s(3, 4, 3, 4)],
        outputs=2,
        golden=False,
        reason=GPU,
        differentiable=False,
    ),
    Sample(
        "MaxPoolWithIndex",
        [PLACES.astype(np.float16)],
        {"kernel": 3, "stride": 2, "pad": 1},
        expected=[np.array([[9, 9], [9, 9]], np.float16)[None, None], int32s(3, 4, 3, 4)],
        outputs=2,
        note="half, padded",
        golden=False,
        reason=GPU,
        differentiable=False,
    ),
    Sample(
        "MaxPoolWithIndex",
        [rng(3).permutation(84).reshape(2, 2, 3, 7).astype(np.float32)],
        {"kernel_h": 2, "kernel_w": 3, "stride": 2, "pads": [0, 1, 1, 1]},
        outputs=2,
        note="gradient",
        golden=False,
        reason=GPU,
    ),
    Sample("MaxPoolWithIndex", [X[:0]], POOL, outputs=2, note="no images", golden=False, reason=GPU),
    Sample("MaxPoolWithIndex", [X[0]], POOL, outputs=2, error="X: shape is", note="axes", golden=False, reason=GPU),
    Sample(
        "MaxPoolWithIndex",
        [X],
        {**POOL, "order": "NHWC"},
        outputs=2,
        error="order = 'NHWC'",
        note="nhwc",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "MaxPoolWithIndexGradient",
        [PLACES, np.array([[1, 2], [3, 4]], np.float32)[None, None], int32s(3, 4, 3, 4)],
        POOL,
        expected=[np.array([[0, 0, 0], [4, 6, 0], [0, 0, 0]], np.float32)[None, None]],
        golden=False,
        reason=GPU,
    ),
    Sample(
        "MaxPoolWithIndexGradient",
        [PLACES, PLACES[..., 1:, 1:].copy(), int32s(3, 4, 3, 9)],
        POOL,
        error="index 9 at 3",
        note="index",
        golden=False,
        reason=GPU,
    ),
    Sample(
        "MaxPoolWithIndexGradient",
        [PLACES, PLACES[..., 1:, 1:].copy(), int32s(3, 4)],
        POOL,
        error="Index: has 2 elements, dY has 4",
        note="count",
        golden=False,
        reason=GPU,
    ),
]

"""Convolution, transposed convolution, channel order."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, normal

UNCHECKED = "Caffe2 does not check this and reads out of bounds"
NHWC_3D = "Caffe2's channels-last gradient of X is wrong for three spatial axes"


X, W, B = normal(2, 4, 5, 6), normal(6, 4, 3, 2), normal(6)
XL, WL = normal(2, 5, 6, 4), normal(6, 3, 2, 4)
KERNEL = {"kernel_h": 3, "kernel_w": 2}
MORE = {"kernels": [3, 2], "strides": [2, 1], "dilations": [1, 2], "pads": [1, 0, 2, 1]}
XT, WT = normal(2, 4, 3, 5), normal(4, 3, 2, 3)
XTL, WTL = normal(2, 3, 5, 4), normal(4, 2, 3, 3)

samples = [
    Sample("Conv", [X, W, B], {"kernels": [3, 2]}, note="bias"),
    Sample("Conv", [X, W], KERNEL, note="no bias, kernel_h and kernel_w"),
    Sample("Conv", [X, W, B], MORE, note="stride, dilation, uneven padding"),
    Sample("Conv", [XL, WL, B], {**MORE, "order": "NHWC"}, note="nhwc"),
    Sample("Conv", [X, normal(6, 4, 3, 3)], {"kernel": 3, "stride": 2, "pad": 1}, note="one number for both axes"),
    Sample(
        "Conv",
        [X, W],
        {**KERNEL, "stride_h": 2, "stride_w": 3, "pad_t": 1, "pad_l": 0, "pad_b": 0, "pad_r": 2},
        note="one by one",
    ),
    Sample("Conv", [X, W], {**KERNEL, "dilation_h": 2, "dilation_w": 3}, note="dilation_h, dilation_w"),
    Sample("Conv", [X, normal(6, 2, 3, 2), B], {"kernels": [3, 2], "group": 2}, note="group"),
    Sample("Conv", [XL, normal(6, 3, 2, 2), B], {"kernels": [3, 2], "group": 2, "order": "NHWC"}, note="group nhwc"),
    Sample(
        "Conv",
        [X, normal(4, 1, 3, 2), normal(4)],
        {"kernels": [3, 2], "group": 4, "stride": 2, "pad": 1},
        note="depthwise",
    ),
    Sample(
        "Conv",
        [normal(1, 2, 23, 24), normal(2, 1, 3, 2)],
        {"kernels": [3, 2], "group": 2},
        note="depthwise, many positions",
    ),
    Sample(
        "Conv",
        [XL, normal(4, 3, 2, 1)],
        {"kernels": [3, 2], "group": 4, "pad": 1, "order": "NHWC"},
        note="depthwise nhwc",
    ),
    Sample("Conv", [X, normal(8, 1, 3, 2)], {"kernels": [3, 2], "group": 4}, note="two filters a channel"),
    Sample("Conv", [X, normal(6, 4, 1, 1), B], {"kernel": 1}, note="1x1"),
    Sample("Conv", [XL, normal(6, 1, 1, 4), B], {"kernel": 1, "order": "NHWC"}, note="1x1 nhwc"),
    Sample("Conv", [X, normal(6, 4, 1, 1)], {"kernel": 1, "stride": 2}, note="1x1 stride"),
    Sample("Conv", [X, W], {**KERNEL, "stride": 2, "legacy_pad": 1}, note="VALID"),
    Sample("Conv", [X, W], {**KERNEL, "stride": 2, "legacy_pad": 2}, note="SAME"),
    Sample("Conv", [X, W], {**KERNEL, "stride": 4, "legacy_pad": 2}, note="SAME, stride beyond the kernel crops"),
    Sample("Conv", [X, W], {**KERNEL, "stride": 2, "pad": 1, "legacy_pad": 3}, note="Caffe's rounding"),
    Sample("Conv", [X, W], {**KERNEL, "pads": [-1, 0, 1, 1]}, note="negative padding"),
    Sample(
        "Conv", [X, normal(6, 4, 5, 6)], {"kernels": [5, 6], "global_pooling": 1}, note="window as large as the image"
    ),
    Sample("Conv", [X[:0], W, B], KERNEL, note="empty batch"),
    Sample(
        "Conv",
        [normal(1, 8, 130, 64), normal(2, 8, 3, 3)],
        {"kernel": 3, "pad": 1},
        note="several blocks of rows",
        tolerance=(1e-4, 1e-4),
        reason="sums of thousands of products, in another order",
    ),
    Sample(
        "Conv",
        [X.astype(np.float64), W.astype(np.float64)],
        KERNEL,
        note="float64",
        golden=False,
        reason="Caffe2 has float32 only",
    ),
    Sample(
        "Conv",
        [normal(1, 2, 3, 4, 3, 2), normal(3, 2, 2, 2, 2, 2)],
        {"kernels": [2, 2, 2, 2]},
        note="four spatial axes",
    ),
    Sample(
        "Conv",
        [X, W],
        {"kernels": [3, 2], "kernel": 3},
        error="kernels = .* and kernel = .* disagree",
        note="two kernels",
        golden=False,
        reason="Caffe2 silently takes kernels",
    ),
    Sample("Conv", [X, W], {"kernel_h": 3}, error="kernel_h is given without kernel_w", note="half a kernel"),
    Sample("Conv", [X, W], {}, error="kernel.* is missing", note="no kernel"),
    Sample(
        "Conv", [X, W], {"kernels": [3]}, error="1 numbers for 2 spatial axes, wants 2", note="kernel of another rank"
    ),
    Sample(
        "Conv",
        [X, W],
        {"kernels": [3, 3]},
        error=r"filter: spatial dims are \[3, 2\], the kernel is \[3, 3\]",
        note="filter of another size",
    ),
    Sample(
        "Conv", [X[:, :, :2], W], KERNEL, error="spans 3 elements, spatial axis 0 has 2", note="window beyond the image"
    ),
    Sample(
        "Conv",
        [X, W],
        {**KERNEL, "pad": 0, "legacy_pad": 1},
        error="pad is given, legacy_pad = 1",
        note="VALID with padding",
    ),
    Sample(
        "Conv", [X, W], {**KERNEL, "pads": [1, 1]}, error="2 numbers for 2 spatial axes, wants 4", note="too few pads"
    ),
    Sample(
        "Conv",
        [X, W],
        {**KERNEL, "group": 3},
        error="X: has 4 channels, filter takes 4 in each of 3 groups",
        note="channels",
    ),
    Sample(
        "Conv",
        [X, normal(5, 2, 3, 2)],
        {**KERNEL, "group": 2},
        error="5 output channels are not divisible",
        note="outputs and groups",
    ),
    Sample("Conv", [X, W, normal(5)], KERNEL, error="bias: shape is .5., wants", note="bias"),
    Sample("Conv", [X, W[:, :, 0]], KERNEL, error="filter: has 3 axes, X has 4", note="filter axes"),
    Sample(
        "Conv",
        [normal(2, 4), normal(6, 4)],
        {"kernel": 1},
        error="wants one spatial axis at least",
        note="no spatial axis",
    ),
    Sample(
        "Conv",
        [X, W],
        {**KERNEL, "dilation": 2, "legacy_pad": 3},
        error="dilation = 2 with legacy_pad CAFFE",
        note="Caffe's rounding, dilated",
        golden=False,
        reason="Caffe2 reads beyond the image",
    ),
    Sample("Conv", [X[:, :, :0], W], KERNEL, error="only the batch .* may be empty", note="no rows"),
    Sample(
        "Conv",
        [X, W],
        {**KERNEL, "stride": 0},
        error="stride = 0, wants >= 1",
        note="stride 0",
        golden=False,
        reason="Caffe2 divides by zero and aborts",
    ),
    Sample(
        "Conv",
        [X, W],
        {**KERNEL, "pads": [-9, 0, 9, 0]},
        error="takes away more than the 5 elements",
        note="everything cropped",
        golden=False,
        reason="Caffe2 computes on nothing but padding",
    ),
    Sample(
        "Conv1D",
        [normal(2, 4, 7), normal(6, 4, 3), B],
        {"kernels": [3], "strides": [2], "pads": [1, 0], "dilations": [2]},
    ),
    Sample("Conv1D", [normal(2, 7, 4), normal(6, 3, 4)], {"kernels": [3], "order": "NHWC"}, note="nhwc"),
    Sample("Conv2D", [X, W, B], {"kernels": [3, 2], "pad": 1}),
    Sample(
        "Conv3D",
        [normal(1, 2, 3, 4, 5), normal(3, 2, 2, 3, 2), normal(3)],
        {"kernels": [2, 3, 2], "strides": [1, 2, 1], "pads": [1, 0, 0, 0, 1, 1]},
    ),
    Sample(
        "Conv3D",
        [normal(1, 3, 4, 5, 2), normal(3, 2, 3, 2, 2)],
        {"kernels": [2, 3, 2], "order": "NHWC"},
        note="nhwc",
        differentiable=False,
        reason=NHWC_3D,
    ),
    Sample(
        "Conv3D",
        [normal(1, 4, 3, 5, 2), normal(4, 2, 3, 2, 1)],
        {"kernels": [2, 3, 2], "order": "NHWC", "group": 2},
        note="nhwc group",
        golden=False,
        reason=NHWC_3D,
    ),
    Sample("ConvGradient", [X, W, normal(2, 6, 3, 5)], {"kernels": [3, 2]}, outputs=3, note="all three"),
    Sample("ConvGradient", [X, W, normal(2, 6, 3, 5)], {"kernels": [3, 2]}, outputs=2, note="not of X"),
    Sample("ConvGradient", [X, W, normal(2, 6, 3, 5)], {"kernels": [3, 2], "no_bias": 1}, outputs=2, note="no bias"),
    Sample("ConvGradient", [X, W, normal(2, 6, 3, 5)], {"kernels": [3, 2], "no_bias": 1}, note="of the filter alone"),
    Sample("ConvGradient", [X[:0], W, normal(0, 6, 3, 5)], {"kernels": [3, 2]}, outputs=3, note="empty batch"),
    Sample(
        "ConvGradient",
        [X, W, normal(2, 6, 3, 4)],
        {"kernels": [3, 2]},
        outputs=3,
        error=r"dY: shape is \[2, 6, 3, 4\], the output has \[2, 6, 3, 5\]",
        note="shape of dY",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample(
        "ConvGradient",
        [X, W, normal(2, 6, 3, 5)],
        {"kernels": [3, 2], "no_bias": 1},
        outputs=3,
        error="3 outputs with no_bias = 1, wants 1 or 2",
        note="bias all the same",
    ),
    Sample("ConvGradient", [X, W], {"kernels": [3, 2]}, outputs=3, error="dY: is missing", note="no dY"),
    Sample("Conv1DGradient", [normal(2, 4, 7), normal(6, 4, 3), normal(2, 6, 5)], {"kernels": [3]}, outputs=3),
    Sample("Conv2DGradient", [X, W, normal(2, 6, 3, 5)], {"kernels": [3, 2]}, outputs=3),
    Sample(
        "Conv3DGradient",
        [normal(1, 2, 3, 4, 5), normal(3, 2, 2, 3, 2), normal(1, 3, 2, 2, 4)],
        {"kernels": [2, 3, 2]},
        outputs=3,
    ),
    Sample("ConvTranspose", [XT, WT, normal(3)], {"kernels": [2, 3]}, note="bias"),
    Sample(
        "ConvTranspose",
        [XT, WT],
        {"kernels": [2, 3], "strides": [2, 3], "pads": [1, 0, 0, 1], "adjs": [1, 2]},
        note="stride, padding, adj",
    ),
    Sample(
        "ConvTranspose",
        [XTL, WTL, normal(3)],
        {"kernels": [2, 3], "stride": 2, "pad": 1, "adj": 1, "order": "NHWC"},
        note="nhwc",
    ),
    Sample(
        "ConvTranspose",
        [XT, WT, normal(6)],
        {"kernels": [2, 3], "group": 2, "stride_h": 1, "stride_w": 2, "adj_h": 0, "adj_w": 1},
        note="group",
    ),
    Sample("ConvTranspose", [XTL, WTL], {"kernel_h": 2, "kernel_w": 3, "group": 2, "order": "NHWC"}, note="group nhwc"),
    Sample("ConvTranspose", [XT, normal(4, 3, 1, 1)], {"kernel": 1}, note="1x1"),
    Sample("ConvTranspose", [XT, WT], {"kernels": [2, 3], "stride": 3, "legacy_pad": 2}, note="SAME pads nothing"),
    Sample("ConvTranspose", [XT[:0], WT], {"kernels": [2, 3]}, note="empty batch"),
    Sample(
        "ConvTranspose",
        [XT, WT],
        {"kernels": [2, 3], "adj": 2},
        error="adj = 2 on spatial axis 0, wants at most the stride 1",
        note="adj",
    ),
    Sample(
        "ConvTranspose",
        [XT, WT],
        {"kernels": [2, 3], "pad": 5},
        error="leaves nothing of 4 elements",
        note="padding",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample(
        "ConvTranspose",
        [XT, WT],
        {"kernels": [2, 3], "legacy_pad": 3},
        error="takes 0, 1 or 2",
        note="Caffe's rounding",
    ),
    Sample(
        "ConvTranspose",
        [XT, WT, normal(4)],
        {"kernels": [2, 3]},
        error=r"bias: shape is \[4\], wants \[3\]",
        note="bias",
    ),
    Sample(
        "ConvTranspose", [XT, WT[:3]], {"kernels": [2, 3]}, error="X: has 4 channels, filter takes 3", note="channels"
    ),
    Sample(
        "ConvTranspose",
        [normal(2, 4, 5), normal(4, 3, 2)],
        {"kernels": [2]},
        error="wants two spatial axes",
        note="rank",
    ),
    Sample("ConvTransposeGradient", [XT, WT, normal(2, 3, 4, 7)], {"kernels": [2, 3]}, outputs=3, note="all three"),
    Sample("ConvTransposeGradient", [XT, WT, normal(2, 3, 4, 7)], {"kernels": [2, 3]}, outputs=2, note="not of X"),
    Sample(
        "ConvTransposeGradient",
        [XT, WT, normal(2, 3, 4, 7)],
        {"kernels": [2, 3], "no_bias": 1},
        outputs=2,
        note="no bias",
    ),
    Sample(
        "ConvTransposeGradient",
        [XT, WT, normal(2, 3, 4, 6)],
        {"kernels": [2, 3]},
        outputs=3,
        error="dY: shape is",
        note="shape of dY",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("NCHW2NHWC", [X]),
    Sample("NCHW2NHWC", [normal(2, 3, 4, 5, 6)], note="three spatial axes"),
    Sample("NCHW2NHWC", [X[:, :, :0]], note="empty"),
    Sample("NCHW2NHWC", [normal(2, 3)], error="wants a batch, channels and one spatial axis", note="matrix"),
    Sample("NHWC2NCHW", [XL]),
    Sample("NHWC2NCHW", [normal(2, 3, 4)], note="one spatial axis"),
    Sample("NHWC2NCHW", [normal(2, 3)], error="wants a batch, channels and one spatial axis", note="matrix"),
]

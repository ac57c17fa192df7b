"""Images: padding, resizing, shuffling, patches, pictures, sums."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, normal, rng

UNCHECKED = "Caffe2 does not check this and reads out of bounds"
CRASHES = "Caffe2 divides by zero here"
X, LAST = normal(2, 3, 4, 5), normal(2, 4, 5, 3)
SCALES = np.array([1.5, 2.2], np.float32)
PICTURES = rng(5).integers(0, 256, (2, 13, 41, 4)).astype(np.uint8)
MEANS = np.array([10, 20.5, 30], np.float32)
LEVELS = np.array([-1e9, -5, 0, 0.99, 3.5, 100, 254.6, 255, 300, 1e9, -11, 244.5], np.float32).reshape(1, 3, 2, 2)

GENERAL = "Caffe2's CPU kernel takes 2 along rows and columns alone, 1 or 2 along frames; its GPU kernel any"
RECURSIVE = "Caffe2 subtracts sums from sums in float32"
BATCH = normal(2, 3, 6, 7)
FILM = normal(1, 2, 2, 3, 4)
TWICE = {"height_scale": 2.0, "width_scale": 2.0}

samples = [
    *(
        Sample("PadImage", [images], {"mode": mode, "order": order, **pads}, note=f"{mode} {order} {note}")
        for mode in ("constant", "reflect", "edge")
        for images, order in ((X, "NCHW"), (LAST, "NHWC"))
        for note, pads in (("even", {"pad": 2}), ("uneven", {"pad_t": 1, "pad_l": 0, "pad_b": 2, "pad_r": 3}))
    ),
    Sample("PadImage", [X], {"pads": [1, 2, 0, 1], "value": 1.5}, note="value"),
    Sample("PadImage", [X], {"pads": [-1, 2, 1, -2]}, note="negative"),
    Sample("PadImage", [X], {}, note="no padding"),
    Sample(
        "PadImage",
        [X],
        {"pad": 4, "mode": "reflect"},
        error="mode reflect wants less than the 4",
        note="too far",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("PadImage", [X], {"pad": -2}, error="leaves nothing", note="nothing left", golden=False, reason=UNCHECKED),
    Sample("PadImage", [X], {"pad": 1, "mode": "wrap"}, error="mode = 'wrap'", note="mode"),
    Sample("PadImage", [X], {"pad": 1, "stride": 2}, error="have no meaning here", note="stride"),
    Sample("PadImageGradient", [X], {"pad": 1, "mode": "edge"}, note="alone"),
    Sample("ChannelShuffle", [normal(2, 6, 2, 3)], {"group": 3}),
    Sample("ChannelShuffle", [normal(2, 2, 3, 6)], {"group": 2, "order": "NHWC"}, note="nhwc"),
    Sample("ChannelShuffle", [normal(4, 6)], {"group": 2}, note="matrix"),
    Sample("ChannelShuffle", [normal(2, 6, 2, 3)], {}, note="one group"),
    Sample("ChannelShuffle", [normal(2, 6, 2, 3)[:0]], {"group": 3}, note="empty batch"),
    Sample("ChannelShuffle", [normal(2, 6, 2, 3)], {"group": 4}, error="group = 4 does not divide the 6", note="group"),
    Sample("ChannelStats", [X], outputs=2),
    Sample("ChannelStats", [LAST], {"order": "NHWC"}, note="nhwc"),
    *(
        sample
        for op in ("ResizeNearest", "UpsampleBilinear")
        for sample in (
            Sample(op, [X], {"height_scale": 2.0, "width_scale": 2.0}, note="doubled"),
            Sample(op, [X], {"height_scale": 1.7, "width_scale": 0.6}, note="odd scales"),
            Sample(op, [X], {"height_scale": 0.25, "width_scale": 0.4}, note="one row"),
            Sample(op, [X], {}, note="same size"),
            Sample(op, [X, SCALES], {}, note="scales as input"),
            Sample(op, [X[0]], {}, error="wants 4 dimensions", note="three dimensions", golden=False, reason=UNCHECKED),
            Sample(
                op,
                [X, -SCALES],
                {},
                error="wants two positive numbers",
                note="negative",
                golden=False,
                reason=UNCHECKED,
            ),
            Sample(op, [X, MEANS], {}, error="wants two positive numbers", note="three scales"),
            Sample(
                f"{op}Gradient",
                [X, X],
                {"width_scale": 2.0},
                error="dY: shape is",
                note="dY",
                golden=False,
                reason=UNCHECKED,
            ),
        )
    ),
    Sample(
        "ResizeNearest",
        [LAST],
        {"height_scale": 1.7, "width_scale": 0.6, "order": "NHWC"},
        note="nhwc",
        differentiable=False,
        reason="Caffe2's gradient takes NCHW alone",
    ),
    Sample(
        "ResizeNearest",
        [LAST],
        {"height_scale": 1.7, "width_scale": 0.6, "order": "NHWC"},
        note="nhwc, gradient",
        golden=False,
        reason="Caffe2's gradient takes NCHW alone",
    ),
    Sample("SpaceToBatch", [normal(2, 3, 4, 6)]),
    Sample("SpaceToBatch", [normal(2, 3, 6, 5)], {"block_size": 3, "pad": 2, "pad_t": 1}, note="padding"),
    Sample(
        "SpaceToBatch",
        [X],
        {"block_size": 3},
        error="padded height is 4, wants a multiple of block_size = 3",
        note="no multiple",
    ),
    Sample("SpaceToBatch", [X], {"order": "NHWC"}, error="order = 'NHWC'", note="order"),
    Sample("BatchToSpace", [normal(8, 3, 2, 3)]),
    Sample("BatchToSpace", [normal(9, 2, 2, 3)], {"block_size": 3, "pad": 1, "pad_t": 2}, note="padding"),
    Sample(
        "BatchToSpace",
        [X],
        {"block_size": 3},
        error="batch is 2, wants a multiple of 9",
        note="batch",
        golden=False,
        reason=CRASHES,
    ),
    Sample("Im2Col", [X], {"kernel": 2}),
    Sample("Im2Col", [X], {"kernel_h": 3, "kernel_w": 2, "stride": 2, "pad": 1}, note="stride and padding"),
    Sample("Im2Col", [normal(1, 2, 7, 6)], {"kernel": 2, "dilation": 3, "stride_h": 1, "stride_w": 2}, note="dilation"),
    Sample("Im2Col", [LAST], {"kernel_h": 3, "kernel_w": 2, "stride": 2, "pad": 1, "order": "NHWC"}, note="nhwc"),
    Sample("Im2Col", [X], {"kernel": 5}, error="the window spans 5 elements", note="kernel"),
    Sample("Im2Col", [X], {}, error="kernel", note="no kernel"),
    Sample("Col2Im", [normal(2, 12, 3, 4), X], {"kernel": 2}),
    Sample("Col2Im", [normal(2, 3, 4, 12), LAST], {"kernel": 2, "order": "NHWC"}, note="nhwc"),
    Sample(
        "Col2Im",
        [normal(2, 12, 3, 3), X],
        {"kernel": 2},
        error="columns: shape is",
        note="columns",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("PackedInt8BGRANHWCToNCHWCStylizerPreprocess", [PICTURES, MEANS], {}, seed=7),
    Sample(
        "PackedInt8BGRANHWCToNCHWCStylizerPreprocess",
        [PICTURES[:, :3], MEANS],
        {"noise_std": 2.0, "noise_size": 50},
        note="little noise",
        seed=8,
    ),
    Sample(
        "PackedInt8BGRANHWCToNCHWCStylizerPreprocess",
        [PICTURES[..., :3], MEANS],
        {},
        error="X: shape is",
        note="no alpha",
    ),
    Sample("BRGNCHWCToPackedInt8BGRAStylizerDeprocess", [LEVELS, MEANS]),
    Sample("BRGNCHWCToPackedInt8BGRAStylizerDeprocess", [normal(2, 3, 3, 5) * 200, MEANS], {}, note="two"),
    Sample("BRGNCHWCToPackedInt8BGRAStylizerDeprocess", [LEVELS, MEANS[:2]], {}, error="mean: shape is", note="mean"),
    Sample("LpPool", [X], {"kernel": 2}),
    Sample("LpPool", [X], {"kernel": 3, "stride": 2, "pad": 1, "p": 3.0}, note="p 3"),
    Sample("LpPool", [LAST], {"kernel_h": 2, "kernel_w": 3, "order": "NHWC"}, note="nhwc"),
    Sample("LpPool", [X], {"global_pooling": 1, "p": 1.5}, note="global"),
    Sample("LpPool", [X], {"kernel": 2, "dilation": 2}, error="dilation", note="dilation"),
    Sample("IntegralImage", [BATCH], tolerance=(1e-5, 1e-5), reason=RECURSIVE, differentiable=False),
    Sample("IntegralImage", [BATCH[:0]], note="no images"),
    Sample("IntegralImage", [BATCH[:, :, :0]], note="no rows"),
    Sample("IntegralImage", [BATCH[0]], error="X: shape is", note="three axes"),
    Sample("IntegralImageGradient", [BATCH, normal(2, 3, 7, 8)], tolerance=(1e-5, 1e-5), reason=RECURSIVE),
    Sample("IntegralImageGradient", [BATCH, BATCH], error="dY: shape is", note="dY", golden=False, reason=UNCHECKED),
    Sample("ResizeNearest3D", [FILM], TWICE),
    Sample("ResizeNearest3D", [FILM], {**TWICE, "temporal_scale": 2.0}, note="frames"),
    Sample("ResizeNearest3D", [FILM[:0]], TWICE, note="no films"),
    Sample(
        "ResizeNearest3D",
        [FILM],
        {"height_scale": 0.7, "width_scale": 1.5},
        expected=[FILM[:, :, :, [0, 1]][..., [0, 0, 1, 2, 2, 3]]],
        note="other scales",
        golden=False,
        reason=GENERAL,
    ),
    Sample("ResizeNearest3D", [BATCH], TWICE, error="wants 5 dimensions", note="four axes"),
    Sample("ResizeNearest3D", [FILM], {**TWICE, "order": "NHWC"}, error="order = 'NHWC'", note="nhwc"),
    Sample("ResizeNearest3DGradient", [normal(1, 2, 4, 6, 8), FILM], {**TWICE, "temporal_scale": 2.0}),
    Sample(
        "ResizeNearest3DGradient",
        [FILM, FILM],
        TWICE,
        error="dY: shape is",
        note="dY",
        golden=False,
        reason="Caffe2 takes what there is",
    ),
]

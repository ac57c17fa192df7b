"""Regions, channels, sums and sizes of images."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, int32s, normal, rng

GPU = "Caffe2 has it on the GPU alone"
UNCHECKED = "Caffe2 does not check this and reads out of bounds"
GENERAL = "Caffe2's CPU kernel takes 2 along rows and columns alone, 1 or 2 along frames; its GPU kernel any"
RECURSIVE = "Caffe2 subtracts sums from sums in float32"

X, LAST = normal(2, 3, 6, 7), normal(2, 4, 5, 3)
ROIS = np.array([[0, 1, 1, 5, 3], [1, -3, -1, 9, 9], [1, 4, 4, 2, 2], [0, 40, 40, 60, 60], [0, 0, 2, 2, 2]], np.float32)
BINS = {"pooled_h": 3, "pooled_w": 2}
SMALL = [X, ROIS, int32s(*range(30)).reshape(5, 3, 1, 2) - 1, normal(5, 3, 1, 2)]
MAPS = normal(2, 3, 5, 5)
BOXES = np.array([[0, 0, 10, 20], [5, 5, 5, 5]], np.float32)
CORNERS = np.zeros((4, 1, 3, 3), np.float32) + np.eye(9, dtype=np.float32)[[0, 2, 6, 8]].reshape(4, 1, 3, 3)
ROUND = np.maximum(0, 9 - ((np.indices((5, 5)) - [[[2.2]], [[1.7]]]) ** 2).sum(0)).astype(np.float32)[None, None]
SCALE, BIAS = normal(3, seed=5), normal(3, seed=6)
FILM = normal(1, 2, 2, 3, 4)
TWICE = {"height_scale": 2.0, "width_scale": 2.0}
LEARN = {"is_learnable": 1}
PLACES = np.array([[4, 1, 2], [9, 9, 3], [0, 7, 7]], np.float32)[None, None]
POOL = {"kernel": 2, "stride": 1}
STATS = normal(3, seed=1), np.abs(normal(3, seed=2))

samples = [
    Sample("RoIPool", [X, ROIS], BINS, outputs=2, note="train", differentiable=False, reason="maxima outside images"),
    Sample("RoIPool", [X, ROIS[[0, 2, 4]]], {**BINS, "spatial_scale": 0.5}, outputs=2, note="scaled"),
    Sample("RoIPool", [X, ROIS], {**BINS, "is_test": 1}, note="test", differentiable=False, reason="no argmaxes"),
    Sample(
        "RoIPool", [np.round(X), ROIS], {"pooled_w": 2}, outputs=2, note="ties", differentiable=False, reason="ties"
    ),
    Sample(
        "RoIPool",
        [np.where(X > 0, X, -np.inf).astype(np.float32), ROIS],
        BINS,
        outputs=2,
        note="infinity",
        differentiable=False,
        reason="infinite",
    ),
    Sample("RoIPool", [np.full_like(X, np.nan), ROIS], BINS, outputs=2, note="nan", differentiable=False, reason="nan"),
    Sample("RoIPool", [X, ROIS[:0]], BINS, outputs=2, note="no regions"),
    Sample("RoIPool", [X, ROIS], BINS, error="1 outputs with is_test = 0, wants 2", note="no argmaxes"),
    Sample("RoIPool", [X, ROIS + 1], BINS, outputs=2, error="batch index 2 in row 1, there are 2 images", note="index"),
    Sample("RoIPool", [X, ROIS[:, :4]], BINS, outputs=2, error="rois: shape is", note="columns"),
    Sample("RoIPool", [X, ROIS], {"order": "NHWC"}, outputs=2, error="order = 'NHWC'", note="nhwc"),
    Sample(
        "RoIPoolGradient",
        [
            np.zeros((2, 1, 2, 3), np.float32),
            ROIS[[1, 4]],
            int32s(4, 4, 2, -1).reshape(2, 1, 2, 1),
            np.array([1, 2, 3, 4], np.float32).reshape(2, 1, 2, 1),
        ],
        {"pooled_h": 2},
        expected=[np.array([0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0], np.float32).reshape(2, 1, 2, 3)],
        golden=False,
        reason=GPU,
    ),
    Sample(
        "RoIPoolGradient",
        [SMALL[0], SMALL[1], SMALL[2] + 20, SMALL[3]],
        {"pooled_w": 2},
        error="index 42 at 23",
        note="index",
        golden=False,
        reason=GPU,
    ),
    Sample("HeatmapMaxKeypoint", [MAPS, BOXES]),
    Sample("HeatmapMaxKeypoint", [MAPS, np.pad(BOXES, ((0, 0), (0, 1)))], {"should_output_softmax": 1}, note="softmax"),
    Sample("HeatmapMaxKeypoint", [CORNERS, np.tile(BOXES, (2, 1))], note="corners"),
    Sample("HeatmapMaxKeypoint", [ROUND, BOXES[:1]], note="round"),
    Sample("HeatmapMaxKeypoint", [np.ones((2, 1, 3, 3), np.float32), BOXES], note="flat"),
    Sample("HeatmapMaxKeypoint", [MAPS[:0], BOXES[:0]], note="no boxes"),
    Sample("HeatmapMaxKeypoint", [MAPS, BOXES[:, :3]], error="bboxes: 3 numbers", note="boxes"),
    Sample("HeatmapMaxKeypoint", [MAPS[:, :, :4], BOXES], error="heatmaps: shape is", note="not square"),
    Sample("HeatmapMaxKeypoint", [MAPS[:, :, :1, :1], BOXES], error="wants maps of 2 x 2", note="one element"),
    Sample(
        "HeatmapMaxKeypoint",
        [MAPS * np.float32(np.nan), BOXES],
        error="holds NaN",
        note="nan",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample("RMACRegions", [X]),
    Sample("RMACRegions", [np.zeros((1, 1, 9, 4), np.float32)], {"scales": 5, "overlap": 0.2}, note="high"),
    Sample("RMACRegions", [np.zeros((3, 1, 4, 4), np.float32)], {"scales": 2}, note="square"),
    Sample("RMACRegions", [np.zeros((1, 1, 1, 2), np.float32)], note="tiny"),
    Sample("RMACRegions", [X], {"scales": 0}, note="no scales"),
    Sample("RMACRegions", [X[:0]], note="no images"),
    Sample("RMACRegions", [X[0, 0]], error="X: shape is", note="two axes", golden=False, reason=UNCHECKED),
    Sample("IntegralImage", [X], tolerance=(1e-5, 1e-5), reason=RECURSIVE, differentiable=False),
    Sample("IntegralImage", [X[:0]], note="no images"),
    Sample("IntegralImage", [X[:, :, :0]], note="no rows"),
    Sample("IntegralImage", [X[0]], error="X: shape is", note="three axes"),
    Sample("IntegralImageGradient", [X, normal(2, 3, 7, 8)], tolerance=(1e-5, 1e-5), reason=RECURSIVE),
    Sample("IntegralImageGradient", [X, X], error="dY: shape is", note="dY", golden=False, reason=UNCHECKED),
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
    Sample("ResizeNearest3D", [X], TWICE, error="wants 5 dimensions", note="four axes"),
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

"""Features of regions, keypoints in boxes, fixed regions of images."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, int32s, normal

GPU = "Caffe2 has it on the GPU alone"
UNCHECKED = "Caffe2 does not check this and reads out of bounds"
X = normal(2, 3, 6, 7)
ROIS = np.array([[0, 1, 1, 5, 3], [1, -3, -1, 9, 9], [1, 4, 4, 2, 2], [0, 40, 40, 60, 60], [0, 0, 2, 2, 2]], np.float32)
BINS = {"pooled_h": 3, "pooled_w": 2}
SMALL = [X, ROIS, int32s(*range(30)).reshape(5, 3, 1, 2) - 1, normal(5, 3, 1, 2)]
MAPS = normal(2, 3, 5, 5)
BOXES = np.array([[0, 0, 10, 20], [5, 5, 5, 5]], np.float32)
CORNERS = np.zeros((4, 1, 3, 3), np.float32) + np.eye(9, dtype=np.float32)[[0, 2, 6, 8]].reshape(4, 1, 3, 3)
ROUND = np.maximum(0, 9 - ((np.indices((5, 5)) - [[[2.2]], [[1.7]]]) ** 2).sum(0)).astype(np.float32)[None, None]

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
]

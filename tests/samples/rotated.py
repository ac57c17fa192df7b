"""Boxes and regions with an angle."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, normal, rng

ROUNDING = (1e-4, 1e-4)
WHY = "coordinates in the hundreds, moved in float32"
CPU = "Caffe2 has this gradient on the GPU alone"


def turned(count: int, seed: int = 0, size: float = 80, angle: float = 90) -> np.ndarray:
    """Boxes [centre x, centre y, width, height, degrees]."""
    draw = rng(seed)
    parts = [draw.uniform(0, size, (count, 2)), draw.uniform(4, size * 0.6, (count, 2))]
    return np.hstack([*parts, draw.uniform(-angle, angle, (count, 1))]).astype(np.float32)


def indexed(rows: np.ndarray, *index: int) -> np.ndarray:
    return np.hstack([np.array(index, np.float32)[:, None], rows])


def scores(*shape: int, levels: int = 1000, seed: int = 0) -> np.ndarray:
    return (rng(seed).integers(1, levels, shape) / levels).astype(np.float32)


INFO, INFOS = np.array([[101, 123, 2]], np.float32), np.array([[101, 123, 2], [80, 90, 1.5]], np.float32)
BOXES, DELTAS = turned(5), normal(5, 10) * np.float32(0.6)
NEARLY = turned(5, seed=4, angle=2)
CLASSES = np.hstack([turned(14, seed=k) for k in range(3)])
SAME = np.repeat(turned(4, seed=8), 3, axis=0)
APART = np.array([[0, 0, 5, 5, 30], [100, 0, 5, 5, 30], [0, 100, 5, 5, 0], [3, 0, 2, 2, 0]], np.float32)
RPN = [scores(2, 3, 4, 5), normal(2, 15, 4, 5) * np.float32(0.2), np.array([[64, 80, 1], [60, 70, 2]], np.float32)]
ANCHORS = np.array([[4, 5, 32, 30, 0], [8, 8, 50, 14, 40], [2, 3, 20, 40, -70]], np.float32)
X, LAST = normal(2, 3, 9, 11), normal(2, 9, 11, 3)
ROIS = indexed(turned(5, seed=3, size=20, angle=180), 1, 0, 0, 1, 1)
BINS = {"pooled_h": 2, "pooled_w": 3, "spatial_scale": 0.5}
TURNED = {"rotated": 1}

samples = [
    Sample("BBoxTransform", [BOXES, DELTAS, INFO], TURNED, tolerance=ROUNDING, reason=WHY),
    Sample(
        "BBoxTransform",
        [indexed(NEARLY, 0, 0, 1, 1, 1), DELTAS * np.float32(0.05), INFOS],
        TURNED,
        note="nearly upright, two pictures",
        outputs=2,
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "BBoxTransform",
        [indexed(NEARLY, 0, 0, 1, 1, 1), DELTAS * np.float32(0.05), INFOS],
        {**TURNED, "legacy_plus_one": 0, "apply_scale": 0, "clip_angle_thresh": 5.0, "weights": [1.0, 2.0, 3.0, 4.0]},
        note="plain widths, weights",
        outputs=2,
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "BBoxTransform",
        [BOXES, DELTAS * 3, INFO],
        {**TURNED, "angle_bound_lo": 0, "angle_bound_hi": 180},
        note="bounds",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "BBoxTransform",
        [BOXES, DELTAS * 3, INFO],
        {**TURNED, "angle_bound_on": 0},
        note="no bounds",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample("BBoxTransform", [BOXES[:0], DELTAS[:0], INFO], TURNED, note="no regions"),
    Sample(
        "BBoxTransform",
        [BOXES, DELTAS, INFO],
        {**TURNED, "angle_bound_lo": 0},
        error="angle_bound_lo = 0, angle_bound_hi = 90: want a multiple of 180",
        note="period",
    ),
    Sample("BBoxTransform", [BOXES[:, :4], DELTAS, INFO], TURNED, error="rois: 4 numbers", note="upright rois"),
    Sample("BBoxTransform", [BOXES, DELTAS[:, :8], INFO], TURNED, error="deltas: 8 numbers", note="upright deltas"),
    Sample("BoxWithNMSLimit", [scores(14, 3), CLASSES], TURNED, outputs=6),
    Sample(
        "BoxWithNMSLimit",
        [scores(14, 3, levels=5), CLASSES, np.array([6, 8], np.float32)],
        {**TURNED, "nms": 0.2, "detections_per_im": 5, "score_thresh": 0.2},
        note="ties, two pictures",
        outputs=6,
    ),
    Sample(
        "BoxWithNMSLimit",
        [scores(14, 3), CLASSES],
        {**TURNED, "soft_nms_enabled": 1},
        note="soft",
        outputs=6,
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample("BoxWithNMSLimit", [scores(12, 2, levels=4), np.hstack([SAME] * 2)], TURNED, note="the same", outputs=6),
    Sample("BoxWithNMSLimit", [scores(4, 2), np.hstack([APART] * 2)], TURNED, note="apart and inside", outputs=6),
    Sample("BoxWithNMSLimit", [scores(14, 3), CLASSES[:, :12]], TURNED, error="boxes: 12 numbers", note="upright"),
    Sample("GenerateProposals", [*RPN, ANCHORS], {"min_size": 4.0}, tolerance=ROUNDING, reason=WHY),
    Sample(
        "GenerateProposals",
        [scores(2, 3, 4, 5, levels=6), *RPN[1:], ANCHORS],
        {"min_size": 2.0, "pre_nms_topN": 30, "post_nms_topN": 8, "nms_thresh": 0.4, "clip_angle_thresh": 50.0},
        note="few, ties",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "GenerateProposals",
        [*RPN, ANCHORS],
        {"angle_bound_lo": 0, "angle_bound_hi": 180, "legacy_plus_one": 0, "spatial_scale": 0.1},
        note="bounds",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample("GenerateProposals", [RPN[0], RPN[1][:, :12], RPN[2], ANCHORS], error="want D A numbers", note="deltas"),
    Sample("GenerateProposals", [*RPN, ANCHORS], {"angle_bound_hi": 10}, error="want a multiple of 180", note="period"),
    Sample("RoIAlignRotated", [X, ROIS], BINS, tolerance=ROUNDING, reason=WHY),
    Sample(
        "RoIAlignRotated", [X, ROIS], {**BINS, "sampling_ratio": 2}, note="two samples", tolerance=ROUNDING, reason=WHY
    ),
    Sample(
        "RoIAlignRotated",
        [X, ROIS],
        {**BINS, "aligned": 1, "spatial_scale": 0.9},
        note="aligned, over the border",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample("RoIAlignRotated", [X[:1], ROIS[:, 1:]], BINS, note="no index", tolerance=ROUNDING, reason=WHY),
    Sample("RoIAlignRotated", [LAST, ROIS], {**BINS, "order": "NHWC"}, note="nhwc", tolerance=ROUNDING, reason=WHY),
    Sample("RoIAlignRotated", [X, ROIS[:0]], BINS, note="no regions"),
    Sample(
        "RoIAlignRotated",
        [X, ROIS * np.array([1, 1, 1, 0, 1, 1], np.float32)],
        {**BINS, "aligned": 1},
        note="no width",
        differentiable=False,
        reason="the mean of no samples",
    ),
    Sample(
        "RoIAlignRotated",
        [X, ROIS * np.array([1, 1, 1, 1, -1, 1], np.float32)],
        {**BINS, "aligned": 1},
        error="row 0 has a side of -",
        note="negative side",
        golden=False,
        reason="Caffe2 ends the process",
    ),
    Sample(
        "RoIAlignRotated",
        [X, ROIS + 1],
        BINS,
        error="batch index 2 in row 0, there are 2 images",
        note="index",
        golden=False,
        reason="Caffe2 does not check this and reads out of bounds",
    ),
    Sample("RoIAlignRotated", [X, ROIS[:, :4]], BINS, error="RoIs: 4 numbers", note="columns"),
    Sample(
        "RoIAlignRotatedGradient",
        [X[:1], np.array([[5.0, 4.0, 4.0, 2.0, 90.0]], np.float32), np.ones((1, 3, 1, 1), np.float32)],
        {"sampling_ratio": 1},
        expected=[np.pad(np.ones((1, 3, 1, 1), np.float32), ((0, 0), (0, 0), (4, 4), (5, 5)))],
        golden=False,
        reason=CPU,
    ),
    Sample("RoIAlignRotatedGradient", [X, ROIS, X], BINS, error="dY: shape is", note="dY", golden=False, reason=CPU),
]

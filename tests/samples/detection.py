"""Object detection."""

from __future__ import annotations

import numpy as np

from tests.kit.sample import Sample, normal, rng

ROUNDING = (1e-4, 1e-4)
WHY = "coordinates in the hundreds, moved in float32"
UNCHECKED = "Caffe2 does not check this and reads out of bounds"


def boxes(count: int, seed: int = 0, size: float = 90) -> np.ndarray:
    corner = rng(seed).uniform(0, size * 0.6, (count, 2))
    return np.hstack([corner, corner + rng(seed + 1).uniform(4, size * 0.5, (count, 2))]).astype(np.float32)


def indexed(rows: np.ndarray, *index: int) -> np.ndarray:
    return np.hstack([np.array(index, np.float32)[:, None], rows])


def shares(*shape: int, seed: int = 0) -> np.ndarray:
    """Distinct scores between 0 and 1."""
    count = int(np.prod(shape))
    return ((rng(seed).permutation(count) + 1) / (count + 1)).astype(np.float32).reshape(shape)


INFO, INFOS = np.array([[100, 120, 2]], np.float32), np.array([[100, 120, 2], [80, 90, 1.5]], np.float32)
BOXES, DELTAS = boxes(5), normal(5, 8) * np.float32(0.3)
PAIR = indexed(BOXES, 0, 0, 1, 1, 1)
CLASSES = np.hstack([boxes(12, seed=k, size=60) for k in range(3)])
TIED = (rng(5).integers(0, 4, (30, 3)) / np.float32(4)).astype(np.float32)
MANY = np.hstack([boxes(30, seed=k, size=90) for k in range(3)])
RPN = [shares(2, 3, 4, 5), normal(2, 12, 4, 5) * np.float32(0.2), np.array([[64, 80, 1], [60, 70, 2]], np.float32)]
ANCHORS = np.array([[-8, -8, 23, 23], [-20, -4, 35, 19], [-2, -12, 17, 27]], np.float32)
X, LAST = normal(2, 3, 9, 11), normal(2, 9, 11, 3)
ROIS = indexed(boxes(4, seed=3, size=20), 1, 0, 0, 1)
BINS = {"pooled_h": 2, "pooled_w": 3, "spatial_scale": 0.5}

FINE = {"rpn_min_level": 2, "rpn_max_level": 3}
LEVELS = [indexed(boxes(6, size=500), *[0] * 6), indexed(boxes(4, 9, 900), *[0] * 4), shares(10)[:6], shares(10)[6:]]

samples = [
    Sample("BBoxTransform", [BOXES, DELTAS, INFO], {}, tolerance=ROUNDING, reason=WHY),
    Sample(
        "BBoxTransform",
        [PAIR, DELTAS, INFOS],
        {"apply_scale": 0},
        note="two pictures",
        outputs=2,
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "BBoxTransform",
        [PAIR, DELTAS * 30, INFOS],
        {"weights": [10.0, 10.0, 5.0, 5.0], "legacy_plus_one": 0},
        note="weights",
        outputs=2,
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "BBoxTransform",
        [PAIR[2:], DELTAS[2:], INFOS],
        {},
        note="a picture without regions",
        outputs=2,
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample("BBoxTransform", [PAIR[:0], DELTAS[:0], INFOS], {}, note="no regions", outputs=2),
    Sample("BBoxTransform", [BOXES, DELTAS, INFOS], {}, error="regions without batch index want 1", note="no index"),
    Sample("BBoxTransform", [BOXES, DELTAS[:, :7], INFO], {}, error="deltas: 7 numbers", note="deltas"),
    Sample("BBoxTransform", [BOXES[:, :3], DELTAS, INFO], {}, error="rois: 3 numbers", note="rois"),
    Sample(
        "BBoxTransform",
        [indexed(BOXES, 0, 1, 2, 2, 2), DELTAS, INFOS],
        {},
        error="batch index 2 in row 2",
        note="index",
    ),
    Sample("BoxWithNMSLimit", [shares(12, 3), CLASSES], {}),
    Sample(
        "BoxWithNMSLimit",
        [shares(12, 3), CLASSES],
        {"nms": 0.1, "detections_per_im": 5, "score_thresh": 0.2},
        note="limit",
        outputs=6,
    ),
    Sample(
        "BoxWithNMSLimit",
        [shares(12, 3), CLASSES, np.array([5, 7], np.float32)],
        {"detections_per_im": 4},
        note="two pictures",
        outputs=6,
    ),
    Sample("BoxWithNMSLimit", [shares(12, 3), CLASSES], {"soft_nms_enabled": 1}, note="soft", outputs=6),
    Sample(
        "BoxWithNMSLimit",
        [shares(12, 3), CLASSES],
        {"soft_nms_enabled": 1, "soft_nms_method": "gaussian", "soft_nms_sigma": 0.2, "soft_nms_min_score_thres": 0.2},
        note="soft, gaussian",
        outputs=6,
    ),
    Sample(
        "BoxWithNMSLimit",
        [shares(12, 3), CLASSES[:, :4]],
        {"cls_agnostic_bbox_reg": 1},
        note="class agnostic",
        outputs=6,
    ),
    Sample(
        "BoxWithNMSLimit",
        [shares(12, 4), CLASSES],
        {"input_boxes_include_bg_cls": 0, "output_classes_include_bg_cls": 0},
        note="background last",
        outputs=6,
    ),
    Sample(
        "BoxWithNMSLimit", [shares(12, 3), CLASSES], {"legacy_plus_one": 0, "nms": 0.05}, note="plain widths", outputs=6
    ),
    Sample("BoxWithNMSLimit", [shares(12, 3), CLASSES], {"score_thresh": 2.0}, note="nothing", outputs=6),
    Sample(
        "BoxWithNMSLimit", [shares(12, 3), CLASSES[:, :8]], {}, error="boxes: 8 numbers a row, wants 12", note="boxes"
    ),
    Sample("BoxWithNMSLimit", [TIED, MANY], {"detections_per_im": 9, "nms": 0.6}, note="ties", outputs=6),
    Sample("BoxWithNMSLimit", [TIED, MANY], {"detections_per_im": 0}, note="ties, no limit", outputs=6),
    Sample("BoxWithNMSLimit", [TIED, MANY], {"soft_nms_enabled": 1, "nms": 0.5}, note="ties, soft", outputs=6),
    Sample(
        "BoxWithNMSLimit",
        [shares(12, 3)[:, :, None, None], CLASSES, np.array([5, 7], np.int32)],
        {},
        note="four axes, integer splits",
        outputs=6,
    ),
    Sample("BoxWithNMSLimit", [shares(12, 3)[:, :, None], CLASSES], {}, error="scores: shape is", note="three axes"),
    Sample("BoxWithNMSLimit", [shares(12, 3)[:9], CLASSES], {}, error="boxes: 12 rows, scores has 9", note="rows"),
    Sample(
        "BoxWithNMSLimit",
        [shares(12, 3), CLASSES, np.array([5, 5], np.float32)],
        {},
        error="batch_splits: is",
        note="splits",
    ),
    Sample("GenerateProposals", [*RPN, ANCHORS], {"min_size": 4.0}, tolerance=ROUNDING, reason=WHY),
    Sample(
        "GenerateProposals",
        [*RPN, ANCHORS],
        {"min_size": 2.0, "pre_nms_topN": 20, "post_nms_topN": 6, "nms_thresh": 0.4},
        note="few",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "GenerateProposals",
        [*RPN, ANCHORS],
        {"spatial_scale": 0.1, "legacy_plus_one": 0},
        note="plain widths",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "GenerateProposals",
        [np.round(RPN[0] * 8) / np.float32(8), RPN[1], RPN[2] + np.float32(0.7), ANCHORS],
        {"min_size": 2.0, "pre_nms_topN": 25},
        note="ties, sizes with fractions",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample(
        "GenerateProposals",
        [np.round(RPN[0] * 8) / np.float32(8), *RPN[1:], ANCHORS],
        {"min_size": 2.0, "pre_nms_topN": 0, "post_nms_topN": 0, "nms_thresh": 0.9},
        note="ties, all",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample("GenerateProposals", [*RPN, ANCHORS], {"min_size": 999.0}, note="nothing"),
    Sample("GenerateProposals", [*RPN, ANCHORS[:, :3]], {}, error="want D A numbers", note="anchors"),
    Sample("GenerateProposalsCPP", [*RPN, ANCHORS], {"min_size": 4.0}, tolerance=ROUNDING, reason=WHY),
    Sample("RoIAlign", [X, ROIS], BINS, tolerance=ROUNDING, reason=WHY),
    Sample("RoIAlign", [X, ROIS], {**BINS, "sampling_ratio": 2}, note="two samples", tolerance=ROUNDING, reason=WHY),
    Sample(
        "RoIAlign",
        [X, ROIS - np.float32(1) * (np.arange(5) > 0)],
        {**BINS, "aligned": 1, "spatial_scale": 0.9},
        note="aligned, over the border",
        tolerance=ROUNDING,
        reason=WHY,
    ),
    Sample("RoIAlign", [X[:1], ROIS[:, 1:]], BINS, note="no index", tolerance=ROUNDING, reason=WHY),
    Sample(
        "RoIAlign",
        [LAST, ROIS],
        {**BINS, "order": "NHWC"},
        note="nhwc",
        tolerance=ROUNDING,
        differentiable=False,
        reason="Caffe2's gradient takes NCHW alone",
    ),
    Sample(
        "RoIAlign",
        [LAST, ROIS],
        {**BINS, "order": "NHWC"},
        note="nhwc, gradient",
        golden=False,
        reason="Caffe2's gradient takes NCHW alone",
    ),
    Sample("RoIAlign", [X, ROIS[:0]], BINS, note="no regions"),
    Sample(
        "RoIAlign",
        [X, ROIS + 1],
        BINS,
        error="batch index 2 in row 0, there are 2 images",
        note="index",
        golden=False,
        reason=UNCHECKED,
    ),
    Sample(
        "RoIAlign",
        [X, indexed(BOXES[:2], 0, 1)[:, [0, 3, 2, 1, 4]]],
        {**BINS, "aligned": 1},
        error="row 0 has a side of -",
        note="negative side",
        golden=False,
        reason="Caffe2 ends the process",
    ),
    Sample(
        "RoIAlign",
        [X, indexed(BOXES[:2], 0, 1)[:, [0, 1, 2, 1, 4]]],
        {**BINS, "aligned": 1},
        note="no width",
        differentiable=False,
        reason="the mean of no samples",
    ),
    Sample("RoIAlign", [X, ROIS[:, :3]], BINS, error="RoIs: 3 numbers", note="columns"),
    Sample("RoIAlignGradient", [X, ROIS, X], BINS, error="dY: shape is", note="dY", golden=False, reason=UNCHECKED),
    Sample("CollectRpnProposals", LEVELS, FINE),
    Sample("CollectRpnProposals", LEVELS, {**FINE, "rpn_post_nms_topN": 4}, note="few"),
    Sample("CollectRpnProposals", LEVELS, {}, error="4 inputs, wants 10", note="levels"),
    Sample("DistributeFpnProposals", [indexed(boxes(9, size=700), *[0] * 9)], {}, outputs=5),
    Sample(
        "DistributeFpnProposals",
        [boxes(9, size=700)],
        {"roi_min_level": 3, "roi_max_level": 4, "roi_canonical_scale": 150},
        note="two levels",
        outputs=3,
    ),
    Sample("DistributeFpnProposals", [PAIR[:0]], {}, note="no regions", outputs=5),
    Sample("DistributeFpnProposals", [PAIR], {}, note="outputs", outputs=4, error="4 outputs, wants 5"),
    Sample("CollectAndDistributeFpnRpnProposals", LEVELS, {**FINE, "rpn_post_nms_topN": 7}, outputs=6),
    Sample("CollectAndDistributeFpnRpnProposals", LEVELS, FINE, note="outputs", outputs=4, error="4 outputs, wants 6"),
    Sample("BatchPermutation", [normal(4, 2, 3), np.array([2, 0, 3, 1], np.int32)]),
    Sample("BatchPermutation", [normal(4, 2, 3)[:0], np.array([], np.int32)], note="empty"),
    Sample(
        "BatchPermutation",
        [normal(4, 2), np.array([2, 0, 3, 3], np.int32)],
        error="wants each of 0 to 3 once",
        note="twice",
        golden=False,
        reason="Caffe2 does not check it",
    ),
]

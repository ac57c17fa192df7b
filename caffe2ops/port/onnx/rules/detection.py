"""Boxes: regions proposed, moved, cut out, and kept where they do not overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.detection.boxes import LARGEST_GROWTH
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import count_up
from caffe2ops.port.onnx.rules.shape import to_first, to_last
from caffe2ops.port.values import NotPortable, Value


def regions(g: Builder, rois: Value) -> tuple[Value, Value]:
    """Picture, int64 [R], and box [R, 4] of each region, which may be of the only picture."""
    if rois.static(1, "RoIs") == 4:
        return g.full(g.dims(rois, [0]), 0, np.int64), rois
    index, boxes = g.split(rois, [1, 4], 1)
    return g.cast(g.Squeeze(index, [1]), np.int64), boxes


@rule("RoIAlign")
def roi_align(g: Builder, op: Any, X: Value, rois: Value) -> Value:
    """Caffe2 takes as many samples as a bin has elements where the ratio is not positive, as ONNX does."""
    x = to_first(g, X) if op.channels_last else X
    index, boxes = regions(g, rois)
    made = g.RoiAlign(
        x, boxes, index, output_height=op.pooled_h, output_width=op.pooled_w, spatial_scale=op.spatial_scale,
        sampling_ratio=max(op.sampling_ratio, 0), mode="avg",
        coordinate_transformation_mode="half_pixel" if op.aligned else "output_half_pixel",
    )  # fmt: skip
    return to_last(g, made) if op.channels_last else made


@rule("RoIPool")
def roi_pool(g: Builder, op: Any, X: Value, rois: Value) -> tuple[Value]:
    if not op.is_test:
        raise NotPortable("tells where the greatest elements stand (is_test = 0), which ONNX does not; set is_test = 1")
    return (g.MaxRoiPool(X, rois, pooled_shape=[op.pooled_h, op.pooled_w], spatial_scale=op.spatial_scale),)


def upright(op: Any, numbers: int) -> None:
    if numbers != 4:
        raise NotPortable("boxes with an angle: ONNX's NonMaxSuppression knows upright ones only")


def moved(g: Builder, boxes: Value, deltas: Value, weights: Any, plus_one: bool) -> Value:
    """Boxes [..., 4] moved and scaled by deltas [..., 4]."""
    last = boxes.rank - 1
    one = np.asarray(plus_one, boxes.dtype)
    corner, end = g.split(boxes, [2, 2], last)
    sides = g.Add(g.Sub(end, corner), one) if plus_one else g.Sub(end, corner)
    if tuple(weights) != (1, 1, 1, 1):
        deltas = g.Div(deltas, np.asarray(weights, boxes.dtype))
    shift, growth = g.split(deltas, [2, 2], deltas.rank - 1)
    centre = g.Add(g.Mul(shift, sides), g.Add(corner, g.Mul(sides, 0.5)))
    half = g.Mul(g.Mul(g.Exp(g.Min(growth, LARGEST_GROWTH)), sides), 0.5)
    tail = g.Add(centre, half)
    return g.Concat(g.Sub(centre, half), g.Sub(tail, one) if plus_one else tail, axis=-1)


def clipped(g: Builder, boxes: Value, height: Value, width: Value, plus_one: bool) -> Value:
    """Boxes cut off at the borders; height and width broadcast with [..., 1]."""
    limits = g.Concat(width, height, width, height, axis=-1)
    return g.Max(g.Min(boxes, g.Sub(limits, 1.0) if plus_one else limits), 0.0)


@rule("BBoxTransform")
def bbox_transform(g: Builder, op: Any, rois: Value, deltas: Value, im_info: Value) -> tuple[Value, Value]:
    upright(op, 5 if op.rotated else 4)
    index, boxes = regions(g, rois)
    height, width, scale = g.split(g.Gather(im_info, index, axis=0), [1, 1, 1], 1)
    classes = deltas.static(1, "deltas") // 4
    boxes, by_class = g.Div(boxes, scale), g.reshape(deltas, -1, classes, 4)
    found = moved(g, g.unsqueeze(boxes, 1), by_class, op.weights, op.legacy_plus_one)
    high, broad = (g.unsqueeze(g.Floor(g.Add(g.Div(side, scale), 0.5)), 1) for side in (height, width))
    found = clipped(g, found, high, broad, op.legacy_plus_one)
    if op.apply_scale:
        found = g.Mul(found, g.unsqueeze(scale, 1))
    pictures = g.unsqueeze(count_up(g, g.dim(im_info, 0)), 1)
    splits = g.reduce("ReduceSum", g.cast(g.Equal(pictures, index), rois.dtype), [1])
    return g.reshape(found, -1, classes * 4), splits


def without_overlap(
    g: Builder, boxes: Value, scores: Value, threshold: float, most: int, plus_one: bool, least: float | None = None
) -> Value:
    """Rows (batch, 0, box) of boxes [B, M, 4] kept, scores [B, 1, M], of each batch by falling score."""
    if plus_one:  # the last pixel counts in: an overlap of the boxes made one larger at the end
        boxes = g.Add(boxes, np.asarray([0, 0, 1, 1], np.float32))
    # ONNX keeps none where the number is 0
    count = np.int64(most) if most > 0 else np.iinfo(np.int64).max
    limits = [np.asarray([threshold], np.float32), None if least is None else np.asarray([least], np.float32)]
    made: Value = g.NonMaxSuppression(boxes, scores, np.asarray([count], np.int64), *limits)
    return made


@rule("GenerateProposals", "GenerateProposalsCPP")
def generate_proposals(
    g: Builder, op: Any, scores: Value, deltas: Value, im_info: Value, anchors: Value
) -> tuple[Value, Value]:
    upright(op, anchors.static(1, "anchors"))
    A = anchors.static(0, "anchors")
    pictures = scores.static(0, "scores")
    n = g.dims(scores, [2, 3])
    height, width = g.dim(scores, 2), g.dim(scores, 3)
    places = g.reduce("ReduceProd", n, [0])
    row = g.unsqueeze(count_up(g, height), 1)
    column = g.unsqueeze(count_up(g, width), 0)
    like = g.Add(g.Mul(row, np.int64(0)), column), g.Add(row, g.Mul(column, np.int64(0)))
    x, y = (g.Mul(g.cast(g.flat(v), np.float32), 1 / op.spatial_scale) for v in like)
    shift = g.Concat(*(g.unsqueeze(v, 1) for v in (x, y, x, y)), axis=1)  # [H W, 4]
    whole = g.reshape(g.Add(g.unsqueeze(anchors, 1), g.unsqueeze(shift, 0)), [-1, 4])  # [A H W, 4]
    total = g.Mul(places, np.int64(A))
    found = []
    for i in range(pictures):
        of = [g.slice(v, 0, i, i + 1) if pictures > 1 else v for v in (scores, deltas, im_info)]
        flat = g.flat(of[0])
        each = g.reshape(g.transpose(g.reshape(of[1], [A, 4, -1]), [0, 2, 1]), [-1, 4])
        if op.pre_nms_topN > 0:
            k = g.reshape(g.Min(total, np.int64(op.pre_nms_topN)), [1])
            flat, order = g.TopK(flat, k, out=2, axis=0)
            boxes, each = g.Gather(whole, order, axis=0), g.Gather(each, order, axis=0)
        else:
            boxes = whole
        info = of[2]
        high, broad, scale = g.split(info, [1, 1, 1], 1)
        boxes = moved(g, boxes, each, (1, 1, 1, 1), op.legacy_plus_one)
        boxes = clipped(g, boxes, _cut_off(g, high), _cut_off(g, broad), op.legacy_plus_one)
        good = _large_and_inside(g, op, boxes, high, broad, scale)
        boxes, flat = g.Compress(boxes, good, axis=0), g.Compress(flat, good, axis=0)
        kept = without_overlap(
            g, g.unsqueeze(boxes, 0), g.unsqueeze(flat, 0, 1), op.nms_thresh, op.post_nms_topN, op.legacy_plus_one
        )
        rows = g.flat(g.slice(kept, 1, 2, 3))
        boxes, flat = g.Gather(boxes, rows, axis=0), g.Gather(flat, rows)
        batch = g.Expand(np.float32(i), g.vector(g.dims(rows), 1))
        found.append((g.Concat(batch, boxes, axis=1), flat))
    rois, probs = zip(*found)
    return tuple(g.Concat(*v, axis=0) if len(v) > 1 else v[0] for v in (rois, probs))


def _cut_off(g: Builder, x: Value) -> Value:
    return g.Mul(g.Sign(x), g.Floor(g.Abs(x)))


def _large_and_inside(g: Builder, op: Any, boxes: Value, height: Value, width: Value, scale: Value) -> Value:
    corner, end = g.split(boxes, [2, 2], 1)
    sides = g.Sub(end, corner)
    sides = g.Add(sides, 1.0) if op.legacy_plus_one else sides
    least = g.Mul(scale, op.min_size)
    centre = g.Add(corner, g.Mul(sides, 0.5))
    inside = g.Less(centre, g.Concat(width, height, axis=1))
    both = g.And(g.GreaterOrEqual(sides, least), inside)
    good = g.cast(g.reduce("ReduceMin", g.cast(both, np.int32), [1]), bool)
    if op.min_size > 0 or op.pre_nms_topN <= 0:
        return good
    # of boxes without area, which overlap each other by 0 / 0, Caffe2 keeps the best; ONNX would keep all
    none = g.And(good, g.Equal(g.reduce("ReduceProd", sides, [1]), 0.0))
    first = g.Equal(g.CumSum(g.cast(none, np.int32), np.int64(0)), 1)
    return g.And(good, g.Or(g.Not(none), first))


@rule("CollectRpnProposals")
def collect(g: Builder, op: Any, *inputs: Value) -> Value:
    levels = op.check_levels()
    rois = g.Concat(*inputs[:levels], axis=0) if levels > 1 else inputs[0]
    probs = [g.flat(v) for v in inputs[levels:]]
    scores = g.Concat(*probs, axis=0) if levels > 1 else probs[0]
    k = g.Min(g.dims(scores, [0]), np.asarray([op.rpn_post_nms_topN], np.int64))
    _, order = g.TopK(scores, k, out=2, axis=0)
    return g.Gather(rois, order, axis=0)


@rule("DistributeFpnProposals")
def distribute(g: Builder, op: Any, rois: Value) -> tuple[Value, ...]:
    """Regions of each level, and where each region stands when these are joined."""
    if rois.static(1, "rois") == 4:
        rois = g.Pad(rois, [0, 1, 0, 0])
    corner, end = g.split(g.slice(rois, 1, 1, 5), [2, 2], 1)
    sides = g.Add(g.Sub(end, corner), np.asarray(op.legacy_plus_one, rois.dtype))
    side = g.Sqrt(g.Max(g.reduce("ReduceProd", sides, [1]), 0.0))
    octave = g.Div(g.Log(g.Add(g.Div(side, float(op.roi_canonical_scale)), 1e-6)), float(np.log(2)))
    level = g.Floor(g.Add(octave, float(op.roi_canonical_level)))
    level = g.Min(g.Max(level, float(op.roi_min_level)), float(op.roi_max_level))
    rows = count_up(g, g.dim(rois, 0))
    parts = [g.Compress(rows, g.Equal(level, float(k)), axis=0) for k in range(op.roi_min_level, op.roi_max_level + 1)]
    joined = g.Concat(*parts, axis=0) if len(parts) > 1 else parts[0]
    _, restore = g.TopK(joined, g.dims(rois, [0]), out=2, axis=0, largest=0)
    return *(g.Gather(rois, part, axis=0) for part in parts), g.cast(restore, np.int32)


@rule("CollectAndDistributeFpnRpnProposals")
def collect_and_distribute(g: Builder, op: Any, *inputs: Value) -> tuple[Value, ...]:
    rois = collect(g, op, *inputs)
    return rois, *distribute(g, op, rois)


@rule("BoxWithNMSLimit")
def box_with_nms_limit(
    g: Builder, op: Any, scores: Value, boxes: Value, splits: Value | None = None
) -> tuple[Value, ...]:
    upright(op, 5 if op.rotated else 4)
    pictures = 1 if splits is None else splits.static(0, "batch_splits")
    classes = scores.static(1, "scores")
    scores, boxes = g.reshape(scores, -1, classes), g.reshape(boxes, -1, boxes.static(1, "boxes") // 4, 4)
    ends = None if splits is None or pictures == 1 else g.CumSum(g.cast(splits, np.int64), np.int64(0))
    found = []
    for i in range(pictures):
        s, b = scores, boxes
        if ends is not None:
            first = g.slice(ends, 0, i - 1, i) if i else g.value([0])
            last = g.slice(ends, 0, i, i + 1)
            s, b = (g.slice(v, 0, first, last) for v in (s, b))
        found.append(_of_picture(g, op, s, b, classes))
    columns = [g.Concat(*parts, axis=0) if pictures > 1 else parts[0] for parts in zip(*found)]
    s, b, c, rows, sizes = columns
    counts = g.reduce("ReduceSum", sizes, [1])
    return s, b, c, g.cast(counts, s.dtype), g.cast(rows, np.int32), g.cast(sizes, np.int32)


def _of_picture(g: Builder, op: Any, scores: Value, boxes: Value, classes: int) -> tuple[Value, ...]:
    """Scores, boxes, classes and rows of the detections, and [1, classes] how many each class has."""
    first = 1 if op.input_boxes_include_bg_cls else 0
    foreground = g.slice(scores, 1, first, classes - 1 + first)  # [M, K]
    by_class = g.unsqueeze(g.transpose(foreground, [1, 0]), 1)  # [K, 1, M]
    K = classes - 1
    if op.cls_agnostic_bbox_reg:
        each = g.transpose(g.Tile(g.slice(boxes, 1, 0, 1), [1, K, 1]), [1, 0, 2])
    else:
        each = g.transpose(g.slice(boxes, 1, first, K + first), [1, 0, 2])  # [K, M, 4]
    if op.soft_nms_enabled:
        kept, found = _softly(g, op, each, g.Squeeze(by_class, [1]))
    else:
        kept = without_overlap(g, each, by_class, op.nms, op.detections_per_im, op.legacy_plus_one, op.score_thresh)
        found = g.GatherND(by_class, kept)
    if op.detections_per_im > 0:  # the best over all classes, which stay in their order
        k = g.Min(g.dims(kept, [0]), np.asarray([op.detections_per_im], np.int64))
        _, best = g.TopK(found, k, out=2, axis=0)
        best, _ = g.TopK(best, k, out=2, axis=0, largest=0)
        kept, found = g.Gather(kept, best, axis=0), g.Gather(found, best)
    kind, _, row = (g.flat(v) for v in g.split(kept, [1, 1, 1], 1))
    pair = g.Concat(g.unsqueeze(kind, 1), g.unsqueeze(row, 1), axis=1)
    offset = 1 if op.output_classes_include_bg_cls else 0
    of_class = g.Equal(np.arange(-1, K)[:, None], kind)  # the background, which has none, goes first
    sizes = g.reduce("ReduceSum", g.cast(of_class, np.int64), [1])
    return (
        found, g.GatherND(each, pair), g.cast(g.Add(kind, np.int64(offset)), scores.dtype), row,
        g.unsqueeze(sizes, 0),
    )  # fmt: skip


def _softly(g: Builder, op: Any, boxes: Value, scores: Value) -> tuple[Value, Value]:
    """Rows (class, 0, box) kept by soft suppression of boxes [K, M, 4] by scores [K, M], and their lowered scores.

    A loop takes the best box of every class at a time, and lowers the scores of those that overlap it.
    """
    one = np.float32(op.legacy_plus_one)
    corner, end = g.split(boxes, [2, 2], 2)
    sides = g.Add(g.Sub(end, corner), one)
    areas = g.reduce("ReduceProd", sides, [2])  # [K, M]
    alive = g.Greater(scores, op.score_thresh)
    numbers = count_up(g, g.dim(scores, 1))

    def step(b: Builder, iteration: Value, scores: Value, alive: Value) -> Any:
        at = b.ArgMax(b.Where(alive, scores, -np.inf), axis=1, keepdims=1)  # [K, 1]
        valid = b.GatherElements(alive, at, axis=1)
        best = b.GatherElements(scores, at, axis=1)
        three = b.unsqueeze(at, 2)
        box = b.GatherElements(boxes, b.Expand(three, b.vector(b.dims(at), 4)), axis=1)  # [K, 1, 4]
        box_corner, box_end = b.split(box, [2, 2], 2)
        both = b.Max(b.Add(b.Sub(b.Min(box_end, end), b.Max(box_corner, corner)), one), 0.0)
        shared = b.reduce("ReduceProd", both, [2])
        overlap = b.Div(shared, b.Sub(b.Add(b.GatherElements(areas, at, axis=1), areas), shared))
        if op.soft_nms_method == "gaussian":
            weight = b.Exp(b.Neg(b.Div(b.Mul(overlap, overlap), op.soft_nms_sigma)))
        else:
            weight = b.Where(b.Greater(overlap, op.nms), b.Sub(np.float32(1), overlap), 1.0)
        others = b.And(alive, b.Not(b.Equal(numbers, at)))
        lowered = b.Where(b.And(others, valid), b.Mul(scores, weight), scores)
        left = b.And(others, b.GreaterOrEqual(lowered, op.soft_nms_min_score_thres))
        return _any(b, left), (lowered, left), (at, valid, best)

    _, _, at, valid, best = g.loop((scores, alive), step, _any(g, alive))
    valid, at, best = (g.flat(g.transpose(g.Squeeze(v, [2]), [1, 0])) for v in (valid, at, best))  # class by class
    K = boxes.static(0)
    rounds = g.Div(g.length(at), np.int64(K))
    kind = g.flat(g.Add(np.arange(K)[:, None], g.Mul(g.unsqueeze(count_up(g, rounds), 0), np.int64(0))))
    kind, at, best = (g.Compress(v, valid, axis=0) for v in (kind, at, best))
    return g.Concat(*(g.unsqueeze(v, 1) for v in (kind, g.Mul(kind, np.int64(0)), at)), axis=1), best


def _any(g: Builder, x: Value) -> Value:
    """Whether any element holds."""
    return g.Greater(g.reduce("ReduceSum", g.cast(g.flat(x), np.int64), [0]), 0)

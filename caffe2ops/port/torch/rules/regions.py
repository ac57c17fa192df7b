"""Regions: features of them, which level of a pyramid they are of, keypoints in them."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.rules.image import back, first
from caffe2ops.port.torch.text import listed
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer


@rule("RoIAlign", "RoIAlignRotated")
def roi_align(t: Writer, op: Any, X: Tensor, rois: Tensor) -> str:
    name, size = "roi_align_rotated" if "Rotated" in op.type else "roi_align", (op.pooled_h, op.pooled_w)
    text = t.call(name, first(t, op, X), rois, size, op.spatial_scale, op.sampling_ratio, bool(op.aligned))
    return back(op, str(t.let("pooled", text)), 4) if op.channels_last else text


@rule("RoIPool")
def roi_pool(t: Writer, op: Any, X: Tensor, rois: Tensor) -> Any:
    call = t.call("roi_pool", X, rois, (op.pooled_h, op.pooled_w), op.spatial_scale)
    return Several(call) if op.n_outputs > 1 else f"{call}[0]"


@rule("CollectRpnProposals")
def collect(t: Writer, op: Any, *inputs: Tensor) -> str:
    levels = op.check_levels()
    rois, scores = map(listed, (inputs[:levels], inputs[levels:]))
    return t.call("best_regions", rois, scores, op.rpn_post_nms_topN)


def by_level(t: Writer, op: Any, rois: Any) -> str:
    """The regions of each level, and where each stands when these are joined."""
    levels, one = (op.roi_min_level, op.roi_max_level), float(op.legacy_plus_one)
    return t.call("regions_by_level", rois, float(op.roi_canonical_scale), op.roi_canonical_level, levels, one)


@rule("DistributeFpnProposals")
def distribute(t: Writer, op: Any, rois: Tensor) -> Several:
    return Several(by_level(t, op, rois))


@rule("CollectAndDistributeFpnRpnProposals")
def collect_and_distribute(t: Writer, op: Any, *inputs: Tensor) -> Several:
    rois = t.let("rois", collect(t, op, *inputs))
    return Several(f"({rois}, *{by_level(t, op, rois)})")


@rule("RMACRegions")
def square_regions(t: Writer, op: Any, X: Tensor) -> str:
    return t.call("square_regions", X, op.scales, op.overlap)


@rule("HeatmapMaxKeypoint")
def keypoints(t: Writer, op: Any, heatmaps: Tensor, boxes: Tensor) -> str:
    return t.call("heatmap_keypoints", heatmaps, boxes, bool(op.should_output_softmax))

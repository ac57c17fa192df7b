"""Boxes: regions proposed, moved, and kept where they do not overlap."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.text import literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer
from caffe2ops.port.values import NotPortable


def upright(numbers: int) -> None:
    if numbers != 4:
        raise NotPortable("boxes with an angle; keep this part in caffe2ops")


@rule("BBoxTransform")
def bbox_transform(t: Writer, op: Any, rois: Tensor, deltas: Tensor, im_info: Tensor) -> Any:
    upright(5 if op.rotated else 4)
    one, scale = literal(float(op.legacy_plus_one)), literal(bool(op.apply_scale))
    call = t.call("bbox_transform", rois, deltas, im_info, list(map(float, op.weights)), one, scale)
    return Several(call) if op.n_outputs > 1 else f"{call}[0]"


@rule("GenerateProposals", "GenerateProposalsCPP")
def generate_proposals(t: Writer, op: Any, scores: Tensor, deltas: Tensor, im_info: Tensor, anchors: Tensor) -> Several:
    upright(anchors.static(1))
    return Several(
        t.call(
            "generate_proposals", scores, deltas, im_info, anchors, spatial_scale=op.spatial_scale,
            before=op.pre_nms_topN, after=op.post_nms_topN, overlap=op.nms_thresh, least=op.min_size,
            one=float(op.legacy_plus_one),
        )
    )  # fmt: skip


@rule("BoxWithNMSLimit")
def box_with_nms_limit(t: Writer, op: Any, scores: Tensor, boxes: Tensor, splits: Tensor | None = None) -> Any:
    upright(5 if op.rotated else 4)
    soft = {}
    if op.soft_nms_enabled:
        sigma = op.soft_nms_sigma if op.soft_nms_method == "gaussian" else 0.0
        soft["soft"] = (sigma, op.soft_nms_min_score_thres)
    call = t.call(
        "box_with_nms_limit", scores, boxes, "None" if splits is None else splits, threshold=op.score_thresh,
        overlap=op.nms, most=op.detections_per_im, one=float(op.legacy_plus_one),
        background=int(op.input_boxes_include_bg_cls), counted=int(op.output_classes_include_bg_cls),
        agnostic=bool(op.cls_agnostic_bbox_reg), **soft,
    )  # fmt: skip
    return Several(call) if op.n_outputs == 6 else Several(f"{call}[:{op.n_outputs}]")

"""GenerateProposals: the regions that a region proposal network finds."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, row
from caffe2ops.ops.detection.bbox_transform import MovedBoxArgs
from caffe2ops.ops.detection.boxes import suppressed
from caffe2ops.ops.detection.by_score import by_score


class GenerateProposals(MovedBoxArgs):
    """Moves anchors at every position by their deltas and keeps the best that do not overlap, picture by picture.

    Of each picture: the pre_nms_topN best anchors, moved and clipped; those at least min_size (times the scale) wide
    and high with their centre inside; of these post_nms_topN after suppression. Anchors are boxes of D = 4 numbers, or
    of 5, with an angle. Raises ValueError where shapes or bounds of angles do not fit.
    Caffe2: operators/generate_proposals_op.
    """

    contract = """scores: float[N, A, H, W], bbox_deltas: scores[N, ?, H, W], im_info: scores[N, 3],
        anchors: scores[A, ?] -> rois: scores[?], rois_probs: scores[?]"""
    docs = {
        "scores": "score of every anchor at every position",
        "bbox_deltas": "(dx, dy, dw, dh, and da) of every anchor at every position, [N, D A, H, W]",
        "im_info": "height, width and scale of each picture",
        "anchors": "boxes around the first position, [A, D]: x1, y1, x2, y2; or centre, width, height, degrees",
        "rois": "[R, 1 + D]: batch index, box",
        "rois_probs": "their scores, [R]",
    }
    gradient = FORBIDDEN
    spatial_scale: float = Arg(1 / 16, gt=0, doc="size of the feature map over that of the picture")
    pre_nms_topN: int = Arg(6000, doc="how many anchors of a picture are looked at, the best; all if <= 0")  # noqa: N815
    post_nms_topN: int = Arg(300, doc="how many regions of a picture are kept, the best; all if <= 0")  # noqa: N815
    nms_thresh: float = Arg(0.7, doc="the greatest overlap with a better region")
    min_size: float = Arg(16.0, doc="least width and height, in pixels of the unscaled picture")

    def infer(self, scores: Any, bbox_deltas: Any, im_info: Any, anchors: Any) -> tuple[TensorSpec, ...]:
        A, D = anchors.shape
        if D not in (4, 5) or bbox_deltas.shape[1] != D * A:
            raise ValueError(
                f"bbox_deltas, anchors: shapes {list(bbox_deltas.shape)}, {list(anchors.shape)}, want D A numbers "
                f"a place and [A, D] with D = 4, or 5 for rotated boxes"
            )
        self.boxes(rotated=D == 5)
        return TensorSpec((UNKNOWN, D + 1), scores.dtype), TensorSpec((UNKNOWN,), scores.dtype)

    def run_cpu(self, scores: np.ndarray, bbox_deltas: np.ndarray, im_info: np.ndarray, anchors: np.ndarray) -> Any:
        self.infer(scores, bbox_deltas, im_info, anchors)
        N, A, H, W = scores.shape
        D = anchors.shape[1]
        deltas = bbox_deltas.reshape(N, A, D, H * W).swapaxes(2, 3)
        found = [self._of_picture(scores[i], deltas[i], im_info[i], anchors) for i in range(N)]
        rois = [np.insert(boxes, 0, i, axis=1) for i, (boxes, _) in enumerate(found)]
        empty = np.empty((0, D + 1), scores.dtype)
        return np.concatenate([empty, *rois]), np.concatenate([empty[:, 0], *(probs for _, probs in found)])

    def _of_picture(self, scores: Any, deltas: Any, info: Any, anchors: Any) -> tuple[np.ndarray, np.ndarray]:
        kind, dtype = self.boxes(rotated=anchors.shape[1] == 5), scores.dtype.type
        order = by_score(scores.reshape(-1), self.pre_nms_topN)
        anchor, y, x = np.unravel_index(order, scores.shape)
        shift = np.stack([x, y, np.zeros_like(x)], axis=1).astype(scores.dtype)[:, kind.anchored]
        boxes = shift * dtype(1 / self.spatial_scale) + anchors[anchor]
        boxes = kind.moved(boxes, deltas[anchor, y * scores.shape[2] + x], (1, 1, 1, 1))
        boxes = kind.clipped(boxes, *np.trunc(info[:2]))
        width, height, centre_x, centre_y = kind.measures(boxes)
        least = dtype(self.min_size) * info[2]
        good = (width >= least) & (height >= least) & (centre_x < info[1]) & (centre_y < info[0])
        most = self.post_nms_topN if self.post_nms_topN > 0 else -1
        kept = suppressed(kind.overlaps(boxes), np.flatnonzero(good), self.nms_thresh, most)
        return boxes[kept], scores.reshape(-1)[order[kept]]


row(
    "GenerateProposalsCPP",
    "GenerateProposals under the name that older nets give it. Caffe2: operators/generate_proposals_op.",
    GenerateProposals,
)

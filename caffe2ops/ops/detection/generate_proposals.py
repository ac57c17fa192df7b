"""GenerateProposals: the regions that a region proposal network finds."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, row
from caffe2ops.ops.detection.bbox_transform import ROTATED, LegacyBoxes
from caffe2ops.ops.detection.boxes import by_score, clipped, moved, sizes, suppressed


class GenerateProposals(LegacyBoxes):
    """Moves anchors at every position by their deltas and keeps the best that do not overlap, picture by picture.

    Of each picture: the pre_nms_topN best anchors, moved and clipped; those at least min_size (times the scale) wide
    and high with their centre inside; of these post_nms_topN after suppression. Raises ValueError for rotated anchors.
    Caffe2: operators/generate_proposals_op.
    """

    contract = """scores: float[N, A, H, W], bbox_deltas: scores[N, ?, H, W], im_info: scores[N, 3],
        anchors: scores[A, ?] -> rois: scores[?], rois_probs: scores[?]"""
    docs = {
        "scores": "score of every anchor at every position",
        "bbox_deltas": "(dx, dy, dw, dh) of every anchor at every position, [N, 4 A, H, W]",
        "im_info": "height, width and scale of each picture",
        "anchors": "boxes around the first position, [A, 4]",
        "rois": "[R, 5]: batch index, x1, y1, x2, y2",
        "rois_probs": "their scores, [R]",
    }
    gradient = FORBIDDEN
    spatial_scale: float = Arg(1 / 16, gt=0, doc="size of the feature map over that of the picture")
    pre_nms_topN: int = Arg(6000, doc="how many anchors of a picture are looked at, the best; all if <= 0")  # noqa: N815
    post_nms_topN: int = Arg(300, doc="how many regions of a picture are kept, the best; all if <= 0")  # noqa: N815
    nms_thresh: float = Arg(0.7, doc="the greatest overlap with a better region")
    min_size: float = Arg(16.0, doc="least width and height, in pixels of the unscaled picture")

    def infer(self, scores: Any, bbox_deltas: Any, im_info: Any, anchors: Any) -> tuple[TensorSpec, ...]:
        if anchors.shape[1] == 5:
            raise ValueError(f"anchors: {ROTATED}")
        if anchors.shape[1] != 4 or bbox_deltas.shape[1] != 4 * anchors.shape[0]:
            raise ValueError(
                f"bbox_deltas, anchors: shapes {list(bbox_deltas.shape)}, {list(anchors.shape)}, want 4 A and 4"
            )
        return TensorSpec((UNKNOWN, 5), scores.dtype), TensorSpec((UNKNOWN,), scores.dtype)

    def run_cpu(self, scores: np.ndarray, bbox_deltas: np.ndarray, im_info: np.ndarray, anchors: np.ndarray) -> Any:
        self.infer(scores, bbox_deltas, im_info, anchors)
        N, A, H, W = scores.shape
        by_place = scores.transpose(0, 2, 3, 1).reshape(N, H * W * A)
        deltas = bbox_deltas.reshape(N, A, 4, H, W).transpose(0, 3, 4, 1, 2).reshape(N, H * W * A, 4)
        found = [self._of_picture(by_place[i], deltas[i], im_info[i], anchors, W) for i in range(N)]
        rois = [np.insert(boxes, 0, i, axis=1) for i, (boxes, _) in enumerate(found)]
        empty = np.empty((0, 5), scores.dtype)
        return np.concatenate([empty, *rois]), np.concatenate([empty[:, 0], *(probs for _, probs in found)])

    def _of_picture(self, scores: Any, deltas: Any, info: Any, anchors: Any, W: int) -> tuple[np.ndarray, np.ndarray]:
        A, dtype, plus_one = len(anchors), scores.dtype.type, self.legacy_plus_one
        order = by_score(scores, self.pre_nms_topN)
        place, anchor = np.divmod(order, max(A, 1))
        shift = np.stack([place % max(W, 1), place // max(W, 1)] * 2, axis=1).astype(scores.dtype)
        boxes = shift * dtype(1 / self.spatial_scale) + anchors[anchor]
        boxes = clipped(moved(boxes, deltas[order], (1, 1, 1, 1), plus_one), info[0], info[1], plus_one)
        widths, heights = sizes(boxes, plus_one)
        least = dtype(self.min_size) * info[2]
        large = (widths >= least) & (heights >= least)
        inside = (boxes[:, 0] + widths / 2 < info[1]) & (boxes[:, 1] + heights / 2 < info[0])
        most = self.post_nms_topN if self.post_nms_topN > 0 else -1
        kept = suppressed(boxes, np.flatnonzero(large & inside), self.nms_thresh, most, plus_one)
        return boxes[kept], scores[order[kept]]


row(
    "GenerateProposalsCPP",
    "GenerateProposals under the name that older nets give it. Caffe2: operators/generate_proposals_op.",
    GenerateProposals,
)

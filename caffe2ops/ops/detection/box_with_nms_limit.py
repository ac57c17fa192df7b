"""BoxWithNMSLimit: the detections of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.conv.geometry import differ
from caffe2ops.ops.detection.bbox_transform import ROTATED
from caffe2ops.ops.detection.boxes import by_score, softly_suppressed, suppressed


class BoxWithNMSLimit(Operator):
    """Suppresses overlapping boxes of each class, and keeps the best detections over all classes of a picture.

    Class 0 is the background. Of the others, boxes with a score above score_thresh that overlap no better one of the
    class by more than `nms`; with soft_nms_enabled scores are lowered instead. Of more than detections_per_im, those
    that score at least as much as the last of so many. Raises ValueError where shapes do not fit, and for rotated
    boxes. Caffe2: operators/box_with_nms_limit_op.
    """

    contract = """scores: float[M, K], boxes: scores[M, ?], batch_splits?: scores
        -> scores: scores[?], boxes: scores[?], classes: scores[?], batch_splits?: scores[?], keeps?: int32[?],
        keeps_size?: int32[?]"""
    docs = {
        "scores": "scores of every box for every class; of every detection",
        "boxes": "boxes for every class, [M, 4 K] (or [M, 4] with cls_agnostic_bbox_reg); of every detection, [D, 4]",
        "batch_splits": "how many boxes, then detections, each picture has; all are of one without it",
        "classes": "class of every detection, [D]",
        "keeps": "row of the input that every detection is of, counted in its picture, [D]",
        "keeps_size": "how many detections each class of each picture has, [pictures, K]",
    }
    gradient = FORBIDDEN
    score_thresh: float = Arg(0.05, doc="scores above this count")
    nms: float = Arg(0.3, doc="the greatest overlap with a better box of the class")
    detections_per_im: int = Arg(100, doc="how many detections of a picture are kept; all if <= 0")
    soft_nms_enabled: bool = Arg(False, doc="lower the scores of boxes that overlap, instead of dropping them")
    soft_nms_method: str = Arg("linear", choices=("linear", "gaussian"), doc="how overlap lowers a score")
    soft_nms_sigma: float = Arg(0.5, gt=0, doc="width of the gaussian")
    soft_nms_min_score_thres: float = Arg(0.001, doc="a box lowered below this is dropped")
    rotated: bool = Arg(False, doc="boxes with an angle; not supported")
    cls_agnostic_bbox_reg: bool = Arg(False, doc="one box for all classes")
    input_boxes_include_bg_cls: bool = Arg(True, doc="whether the background comes first among the inputs, else last")
    output_classes_include_bg_cls: bool = Arg(True, doc="whether classes are counted from 1, else from 0")
    legacy_plus_one: bool = Arg(
        True, doc="whether x2 and y2 name the last pixel inside, so that widths are x2 - x1 + 1"
    )

    def infer(self, scores: Any, boxes: Any, batch_splits: Any = None) -> tuple[TensorSpec, ...]:
        if self.rotated:
            raise ValueError(f"rotated = 1: {ROTATED}")
        classes = scores.shape[1]
        count = 1 if self.cls_agnostic_bbox_reg else classes if self.input_boxes_include_bg_cls else classes - 1
        if differ(boxes.shape[1], 4 * count):
            raise ValueError(f"boxes: {boxes.shape[1]} numbers a row, wants {4 * count}")
        pictures = 1 if batch_splits is None else batch_splits.size
        dtype = scores.dtype
        found = TensorSpec((UNKNOWN,), dtype)
        return (
            found,
            TensorSpec((UNKNOWN, 4), dtype),
            found,
            TensorSpec((pictures,), dtype),
            TensorSpec((UNKNOWN,), np.int32),
            TensorSpec((pictures, classes), np.int32),
        )

    def run_cpu(self, scores: np.ndarray, boxes: np.ndarray, batch_splits: np.ndarray | None = None) -> Any:
        self.infer(scores, boxes, batch_splits)
        splits = np.array([len(scores)]) if batch_splits is None else batch_splits.reshape(-1).astype(np.int64)
        if (splits < 0).any() or splits.sum() != len(scores):
            raise ValueError(f"batch_splits: is {splits.tolist()}, wants numbers that add up to {len(scores)}")
        ends = np.cumsum(splits)[:-1]
        pictures = [
            self._of_picture(s, b)
            for s, b in zip(np.split(scores, ends), np.split(boxes.reshape(len(boxes), boxes.shape[1] // 4, 4), ends))
        ]
        kept, sizes = [p[0] for p in pictures], [p[1] for p in pictures]
        columns = [np.concatenate(parts) for parts in zip(*kept)]
        detected = np.array([sum(size) for size in sizes], scores.dtype)
        return (*columns[:3], detected, columns[3], np.array(sizes, np.int32).reshape(len(sizes), scores.shape[1]))

    def _of_picture(self, scores: np.ndarray, boxes: np.ndarray) -> tuple[tuple[np.ndarray, ...], list[int]]:
        """(scores, boxes, classes, rows) of the detections, and how many each class has."""
        found = []
        first = 1 if self.input_boxes_include_bg_cls else 0
        for k in range(scores.shape[1] - 1):
            s, b = scores[:, k + first], boxes[:, 0 if self.cls_agnostic_bbox_reg else k + first]
            rows, s = self._of_class(s, b)
            found.append((s[rows], b[rows], rows))
        every = np.concatenate([s for s, _, _ in found]) if found else scores[:0].reshape(-1)
        if 0 < self.detections_per_im < every.size:
            least = np.sort(every)[-self.detections_per_im]
            found = [(s[s >= least], b[s >= least], rows[s >= least]) for s, b, rows in found]
        sizes = [0, *(len(rows) for _, _, rows in found)]
        names = np.arange(len(sizes)) - (not self.output_classes_include_bg_cls)
        classes = np.repeat(names, sizes).astype(scores.dtype)
        s, b, rows = (np.concatenate(parts) for parts in zip(*found, (scores[:0, 0], boxes[:0, 0], classes[:0])))
        return (s, b, classes, rows.astype(np.int32)), sizes

    def _of_class(self, scores: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows kept, and scores."""
        order = by_score(scores)
        order = order[scores[order] > self.score_thresh]
        if not self.soft_nms_enabled:
            return suppressed(boxes, order, self.nms, -1, self.legacy_plus_one), scores
        return softly_suppressed(boxes, scores, order, self._weigh, self.soft_nms_min_score_thres, self.legacy_plus_one)

    def _weigh(self, overlap: Any) -> Any:
        if self.soft_nms_method == "gaussian":
            return np.exp(-overlap * overlap / overlap.dtype.type(self.soft_nms_sigma))
        return np.where(overlap > self.nms, 1 - overlap, 1)

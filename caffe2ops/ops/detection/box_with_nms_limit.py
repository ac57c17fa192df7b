"""BoxWithNMSLimit: the detections of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg
from caffe2ops.ops.detection.bbox_transform import BoxArgs
from caffe2ops.ops.detection.boxes import softly_suppressed, suppressed
from caffe2ops.ops.detection.by_score import by_score
from caffe2ops.ops.shape.axes import differ


class BoxWithNMSLimit(BoxArgs):
    """Suppresses overlapping boxes of each class, and keeps the best detections over all classes of a picture.

    Class 0 is the background. Of the others, boxes with a score above score_thresh that overlap no better one of the
    class by more than `nms`; with soft_nms_enabled scores are lowered instead. Of these the detections_per_im best of
    each picture. A box is D = 4 numbers, or 5 when `rotated`. Scores and boxes may have two more axes of one element.
    Raises ValueError where shapes do not fit. Caffe2: operators/box_with_nms_limit_op.
    """

    contract = """scores: float, boxes: scores, batch_splits?: scores|int32[?]
        -> scores: scores[?], boxes: scores[?], classes: scores[?], batch_splits?: scores[?], keeps?: int32[?],
        keeps_size?: int32[?]"""
    docs = {
        "scores": "scores of every box for every class, [M, K]; of every detection, [detections]",
        "boxes": "boxes for every class, [M, K D] (or [M, D] with cls_agnostic_bbox_reg); of every detection, "
        "[detections, D]",
        "batch_splits": "how many boxes, then detections, each picture has; all are of one without it",
        "classes": "class of every detection, [detections]",
        "keeps": "row of the input that every detection is of, counted in its picture, [detections]",
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
    rotated: bool = Arg(False, doc="boxes are [centre x, centre y, width, height, degrees]")
    cls_agnostic_bbox_reg: bool = Arg(False, doc="one box for all classes")
    input_boxes_include_bg_cls: bool = Arg(True, doc="whether the background comes first among the inputs, else last")
    output_classes_include_bg_cls: bool = Arg(True, doc="whether classes are counted from 1, else from 0")

    def infer(self, scores: Any, boxes: Any, batch_splits: Any = None) -> tuple[TensorSpec, ...]:
        numbers = self.boxes(self.rotated).numbers
        for name, spec in (("scores", scores), ("boxes", boxes)):
            if len(spec.shape) not in (2, 4) or any(differ(dim, 1) for dim in spec.shape[2:]):
                raise ValueError(f"{name}: shape is {list(spec.shape)}, wants two axes, or two more of one element")
        classes = scores.shape[1]
        if differ(boxes.shape[0], scores.shape[0]):
            raise ValueError(f"boxes: {boxes.shape[0]} rows, scores has {scores.shape[0]}")
        count = 1 if self.cls_agnostic_bbox_reg else classes if self.input_boxes_include_bg_cls else classes - 1
        if differ(boxes.shape[1], numbers * count):
            raise ValueError(f"boxes: {boxes.shape[1]} numbers a row, wants {numbers * count}")
        pictures = 1 if batch_splits is None else batch_splits.shape[0]
        dtype = scores.dtype
        found = TensorSpec((UNKNOWN,), dtype)
        return (
            found,
            TensorSpec((UNKNOWN, numbers), dtype),
            found,
            TensorSpec((pictures,), dtype),
            TensorSpec((UNKNOWN,), np.int32),
            TensorSpec((pictures, classes), np.int32),
        )

    def run_cpu(self, scores: np.ndarray, boxes: np.ndarray, batch_splits: np.ndarray | None = None) -> Any:
        self.infer(scores, boxes, batch_splits)
        splits = np.array([len(scores)]) if batch_splits is None else batch_splits.astype(np.int64)
        if (splits < 0).any() or splits.sum() != len(scores):
            raise ValueError(f"batch_splits: is {splits.tolist()}, wants numbers that add up to {len(scores)}")
        ends, numbers = np.cumsum(splits)[:-1], self.boxes(self.rotated).numbers
        rows, classes = scores.shape[:2]
        s, b = scores.reshape(rows, classes), boxes.reshape(rows, boxes.shape[1] // numbers, numbers)
        pictures = [self._of_picture(*parts) for parts in zip(np.split(s, ends), np.split(b, ends))]
        kept, sizes = [p[0] for p in pictures], [p[1] for p in pictures][: len(splits)]
        columns = [np.concatenate(parts) for parts in zip(*kept)]
        detected = np.array([sum(size) for size in sizes], scores.dtype)
        return (*columns[:3], detected, columns[3], np.array(sizes, np.int32).reshape(len(sizes), classes))

    def _of_picture(self, scores: np.ndarray, boxes: np.ndarray) -> tuple[tuple[np.ndarray, ...], list[int]]:
        """(scores, boxes, classes, rows) of the detections, and how many each class has."""
        first = 1 if self.input_boxes_include_bg_cls else 0
        found = []
        for k in range(first, scores.shape[1] - 1 + first):
            b = boxes[:, 0 if self.cls_agnostic_bbox_reg else k]
            rows, s = self._of_class(scores[:, k], b)
            found.append((s[rows], b[rows], rows))
        sizes = [len(rows) for _, _, rows in found]
        s, b, rows = (np.concatenate(parts) for parts in zip(*found, (scores[:0, 0], boxes[:0, 0], [])))
        classes = np.repeat(np.arange(len(found)), sizes)
        if 0 < self.detections_per_im < len(s):
            best = by_score(s)[: self.detections_per_im]
            best = best[np.argsort(classes[best], kind="stable")]
            s, b, rows, classes = s[best], b[best], rows[best], classes[best]
        sizes = [0, *np.bincount(classes, minlength=len(found)).tolist()]
        return (s, b, (classes + self.output_classes_include_bg_cls).astype(s.dtype), rows.astype(np.int32)), sizes

    def _of_class(self, scores: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows kept, and scores."""
        rows = np.flatnonzero(scores > self.score_thresh)
        overlaps = self.boxes(self.rotated).overlaps(boxes)
        if self.soft_nms_enabled:
            return softly_suppressed(overlaps, scores, rows, self._weigh, self.soft_nms_min_score_thres)
        most = self.detections_per_im if self.detections_per_im > 0 else -1
        return suppressed(overlaps, rows[by_score(scores[rows])], self.nms, most), scores

    def _weigh(self, overlap: Any) -> Any:
        if self.soft_nms_method == "gaussian":
            return np.exp(-overlap * overlap / overlap.dtype.type(self.soft_nms_sigma))
        return np.where(overlap > self.nms, 1 - overlap, 1)

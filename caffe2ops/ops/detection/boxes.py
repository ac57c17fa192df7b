"""Boxes [x1, y1, x2, y2]: moving them by deltas, clipping, how far they overlap; suppressing those that do."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np

from caffe2ops.ops.detection.by_score import without

LARGEST_GROWTH = log(1000 / 16)  # of the logarithm of a width or height
Overlaps = Callable[[Any, np.ndarray], np.ndarray]  # (box, others) -> intersection over union, boxes by their rows


def sizes(boxes: np.ndarray, plus_one: bool) -> tuple[Any, Any]:
    """Widths and heights; the last pixel counts in with `plus_one`."""
    one = boxes.dtype.type(plus_one)
    return boxes[..., 2] - boxes[..., 0] + one, boxes[..., 3] - boxes[..., 1] + one


def images_of(rois: np.ndarray, numbers: int, images: int) -> np.ndarray:
    """The image of each region [batch index, `numbers` of the box]; the first where there is no index.

    Raises ValueError for an index of no image.
    """
    given = np.zeros(len(rois)) if rois.shape[1] == numbers else rois[:, 0]
    index = np.trunc(given)
    bad = np.flatnonzero(~((index >= 0) & (index < images)))
    if bad.size:
        raise ValueError(f"RoIs: batch index {given[bad[0]]:g} in row {bad[0]}, there are {images} images")
    return index.astype(np.int64)


def finite(rois: np.ndarray) -> np.ndarray:
    """The regions. Raises ValueError for NaN and infinity."""
    if not np.isfinite(rois).all():
        raise ValueError("RoIs: holds a number that is not finite")
    return rois


def grown(sides: np.ndarray, deltas: np.ndarray) -> Any:
    """Widths or heights multiplied by exp(deltas), within limits."""
    return np.exp(np.minimum(deltas, sides.dtype.type(LARGEST_GROWTH))) * sides


class Upright:
    """Boxes of four numbers; `plus_one`: x2 and y2 name the last pixel inside."""

    numbers = 4
    anchored = (0, 1, 0, 1)  # what is added to each number where a box is shifted: 0 for x, 1 for y, 2 for nothing

    def __init__(self, plus_one: bool):
        self.plus_one = plus_one

    def moved(self, boxes: np.ndarray, deltas: np.ndarray, weights: Any) -> np.ndarray:
        """Boxes [..., 4] with centres moved by (dx, dy) of their sizes, and sizes multiplied by exp(dw, dh)."""
        dtype = boxes.dtype.type
        widths, heights = sizes(boxes, self.plus_one)
        dx, dy, dw, dh = (deltas[..., i] / dtype(weights[i]) for i in range(4))
        x = dx * widths + (boxes[..., 0] + dtype(0.5) * widths)
        y = dy * heights + (boxes[..., 1] + dtype(0.5) * heights)
        half_w, half_h = grown(widths, dw) * dtype(0.5), grown(heights, dh) * dtype(0.5)
        one = dtype(self.plus_one)
        return np.stack([x - half_w, y - half_h, x + half_w - one, y + half_h - one], axis=-1)

    def clipped(self, boxes: np.ndarray, height: Any, width: Any) -> np.ndarray:
        """Boxes cut off at the borders of the picture."""
        right, bottom = (size - boxes.dtype.type(self.plus_one) for size in (width, height))
        limits = np.stack(np.broadcast_arrays(right, bottom, right, bottom), axis=-1)
        return np.maximum(np.minimum(boxes, limits), 0).astype(boxes.dtype)

    def measures(self, boxes: np.ndarray) -> tuple[Any, Any, Any, Any]:
        """Widths, heights, and the coordinates of the centres."""
        widths, heights = sizes(boxes, self.plus_one)
        return widths, heights, boxes[..., 0] + widths / 2, boxes[..., 1] + heights / 2

    def overlaps(self, boxes: np.ndarray) -> Overlaps:
        """Intersection over union of one of the boxes with others of them."""
        one = boxes.dtype.type(self.plus_one)
        widths, heights = sizes(boxes, self.plus_one)
        areas = widths * heights

        def of(best: Any, rest: np.ndarray) -> np.ndarray:
            box, others = boxes[best], boxes[rest]
            width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0]) + one
            height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1]) + one
            return shares(np.maximum(width, 0) * np.maximum(height, 0), areas[best], areas[rest])

        return of


def shares(shared: np.ndarray, area: Any, areas: np.ndarray) -> Any:
    """Intersection over union of these areas; NaN for two boxes without area."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return shared / (area + areas - shared)


def suppressed(overlaps: Overlaps, order: np.ndarray, threshold: float, most: int) -> np.ndarray:
    """Of boxes in this order those that overlap no earlier one kept by more than `threshold`; `most` at most (all if
    < 0).
    """
    kept: list[Any] = []
    while order.size and len(kept) != most:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlaps(best, order) <= threshold]
    return np.array(kept, np.int64)


def softly_suppressed(
    overlaps: Overlaps, scores: np.ndarray, rows: np.ndarray, weigh: Any, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """(kept, scores): the best of the rows each time; the scores of the others multiplied by `weigh(overlap)`, dropped
    below `least`.
    """
    scores = scores.copy()
    kept: list[Any] = []
    while rows.size:
        at = int(np.argmax(scores[rows]))
        best, rows = rows[at], without(rows, at)
        kept.append(best)
        scores[rows] *= weigh(overlaps(best, rows))
        rows = rows[scores[rows] >= least]
    return np.array(kept, np.int64), scores

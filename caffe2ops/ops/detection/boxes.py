"""Boxes [x1, y1, x2, y2]: moving them by deltas, clipping, suppressing those that overlap."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

LARGEST_GROWTH = log(1000 / 16)  # of the logarithm of a width or height


def sizes(boxes: np.ndarray, plus_one: bool) -> tuple[Any, Any]:
    """Widths and heights; the last pixel counts in with `plus_one`."""
    one = boxes.dtype.type(plus_one)
    return boxes[..., 2] - boxes[..., 0] + one, boxes[..., 3] - boxes[..., 1] + one


def moved(boxes: np.ndarray, deltas: np.ndarray, weights: Any, plus_one: bool) -> np.ndarray:
    """Boxes [..., 4] with centres moved by (dx, dy) of their sizes, and sizes multiplied by exp(dw, dh)."""
    dtype = boxes.dtype.type
    widths, heights = sizes(boxes, plus_one)
    dx, dy, dw, dh = (deltas[..., i] / dtype(weights[i]) for i in range(4))
    x = dx * widths + (boxes[..., 0] + dtype(0.5) * widths)
    y = dy * heights + (boxes[..., 1] + dtype(0.5) * heights)
    half_w = np.exp(np.minimum(dw, dtype(LARGEST_GROWTH))) * widths * dtype(0.5)
    half_h = np.exp(np.minimum(dh, dtype(LARGEST_GROWTH))) * heights * dtype(0.5)
    one = dtype(plus_one)
    return np.stack([x - half_w, y - half_h, x + half_w - one, y + half_h - one], axis=-1)


def clipped(boxes: np.ndarray, height: Any, width: Any, plus_one: bool) -> np.ndarray:
    """Boxes cut off at the borders of the picture."""
    right, bottom = (np.maximum(size - boxes.dtype.type(plus_one), 0) for size in (width, height))
    limits = np.stack(np.broadcast_arrays(right, bottom, right, bottom), axis=-1)
    return np.maximum(np.minimum(boxes, limits), 0).astype(boxes.dtype)


def overlaps(box: np.ndarray, others: np.ndarray, area: Any, areas: np.ndarray, plus_one: bool) -> Any:
    """Intersection over union of a box with others."""
    one = others.dtype.type(plus_one)
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0]) + one
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1]) + one
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    return shared / (area + areas - shared)


def suppressed(boxes: np.ndarray, order: np.ndarray, threshold: float, most: int, plus_one: bool) -> np.ndarray:
    """Those of `order`, best first, that overlap none kept before by more than the threshold; `most` at most (all
    if < 0).
    """
    widths, heights = sizes(boxes, plus_one)
    areas = widths * heights
    kept: list[Any] = []
    while order.size and len(kept) != most:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[overlaps(boxes[best], boxes[order], areas[best], areas[order], plus_one) <= threshold]
    return np.array(kept, np.int64)


def softly_suppressed(
    boxes: np.ndarray,
    scores: np.ndarray,
    order: np.ndarray,
    weigh: Any,
    least: float,
    plus_one: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """(kept, scores): the best each time; the scores of the others multiplied by `weigh(overlap)`, dropped below
    `least`.
    """
    widths, heights = sizes(boxes, plus_one)
    areas, scores = widths * heights, scores.copy()
    kept: list[Any] = []
    while order.size:
        at = int(np.argmax(scores[order]))
        best, order = order[at], np.delete(order, at)
        kept.append(best)
        scores[order] *= weigh(overlaps(boxes[best], boxes[order], areas[best], areas[order], plus_one))
        order = order[scores[order] >= least]
    return np.array(kept, np.int64), scores


def by_score(scores: np.ndarray, most: int = 0) -> np.ndarray:
    """Indices from the greatest score on, the first of equals first; `most` at most (all if 0)."""
    order = np.argsort(-scores, kind="stable")
    return order[:most] if most > 0 else order

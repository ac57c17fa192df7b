"""Boxes with an angle, [centre x, centre y, width, height, degrees counter-clockwise]."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.detection.boxes import Overlaps, Upright, grown, shares

SAME = 1e-5  # corners that differ by no more are those of one box
PARALLEL = 1e-14
NEXT = [1, 2, 3, 0]


class Rotated:
    """Boxes of five numbers. Angles are brought within `bounds` unless None; boxes within `upright` degrees of
    standing upright are clipped, no others.
    """

    numbers = 5
    anchored = (0, 1, 2, 2, 2)

    def __init__(self, plus_one: bool, bounds: tuple[int, int] | None, upright: float):
        self.plain, self.bounds, self.upright = Upright(plus_one), bounds, upright

    def moved(self, boxes: np.ndarray, deltas: np.ndarray, weights: Any) -> np.ndarray:
        """Boxes [..., 5] with centres moved by (dx, dy) of their sizes, sizes multiplied by exp(dw, dh), turned by da
        radians.
        """
        dtype = boxes.dtype.type
        dx, dy, dw, dh = (deltas[..., i] / dtype(weights[i]) for i in range(4))
        x, y, widths, heights, angles = np.moveaxis(boxes, -1, 0)
        angles = deltas[..., 4] * dtype(180) / dtype(np.pi) + angles
        if self.bounds is not None:
            low, high = self.bounds
            period = dtype(high - low)
            angles = angles + period * (angles < low) - period * (angles > high)
        return np.stack([dx * widths + x, dy * heights + y, grown(widths, dw), grown(heights, dh), angles], axis=-1)

    def clipped(self, boxes: np.ndarray, height: Any, width: Any) -> np.ndarray:
        """Boxes that stand nearly upright cut off at the borders of the picture; their angles stay."""
        x, y, widths, heights, angles = np.moveaxis(boxes, -1, 0)
        one, two = boxes.dtype.type(self.plain.plus_one), boxes.dtype.type(2)
        half_w, half_h = (widths - one) / two, (heights - one) / two
        cut = self.plain.clipped(np.stack([x - half_w, y - half_h, x + half_w, y + half_h], axis=-1), height, width)
        x1, y1, x2, y2 = np.moveaxis(cut, -1, 0)
        found = np.stack([(x1 + x2) / two, (y1 + y2) / two, x2 - x1 + one, y2 - y1 + one, angles], axis=-1)
        return np.where(np.abs(angles)[..., None] <= self.upright, found, boxes)

    def measures(self, boxes: np.ndarray) -> tuple[Any, Any, Any, Any]:
        """Widths, heights, and the coordinates of the centres."""
        return boxes[..., 2], boxes[..., 3], boxes[..., 0], boxes[..., 1]

    def overlaps(self, boxes: np.ndarray) -> Overlaps:
        """Intersection over union of one of the boxes with others of them."""
        corners, areas = corners_of(boxes), boxes[:, 2] * boxes[:, 3]
        reach = np.where(areas > 0, np.hypot(boxes[:, 2], boxes[:, 3]) / 2, np.inf)  # Caffe2 stretches a mere line

        def of(best: Any, rest: np.ndarray) -> np.ndarray:
            shared = np.zeros(len(rest), boxes.dtype)
            apart = np.hypot(*(boxes[rest, :2] - boxes[best, :2]).T)
            near = np.flatnonzero(~(apart > 1.001 * (reach[best] + reach[rest])))
            mine, theirs = corners[best], corners[rest[near]]
            same = (np.abs(mine - theirs) <= SAME).all(axis=(1, 2))
            shared[near] = np.where(same, np.minimum(areas[best], areas[rest[near]]), intersections(mine, theirs))
            return shares(shared, areas[best], areas[rest])

        return of


def corners_of(boxes: np.ndarray) -> np.ndarray:
    """The corners of boxes [N, 5] in turn, [N, 4, 2]."""
    angle = -boxes[:, 4].astype(np.float64) * 0.01745329251
    across = (np.cos(angle).astype(boxes.dtype) / 2 * boxes[:, 2:4].T).T
    down = (np.sin(angle).astype(boxes.dtype) / 2 * boxes[:, 2:4].T).T
    (bw, bh), (aw, ah) = across.T, down.T
    centre = boxes[:, :2]
    first = centre + np.stack([-ah - bw, bh - aw], axis=1)
    second = centre + np.stack([ah - bw, -bh - aw], axis=1)
    return np.stack([first, second, 2 * centre - first, 2 * centre - second], axis=1)


def intersections(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The areas that a box [4, 2] shares with others [N, 4, 2].

    What two boxes share is convex; its corners are crossings of sides, and corners of one box inside the other.
    """
    sides, theirs = box[NEXT] - box, others[:, NEXT] - others
    between = others[:, None] - box[:, None]  # [N, side of the box, side of the other]
    slope = cross(theirs[:, None], sides[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        t, u = cross(theirs[:, None], between) / slope, cross(sides[:, None], between) / slope
    met = (np.abs(slope) > PARALLEL) & (t >= 0) & (t <= 1) & (u >= 0) & (u <= 1)
    crossings = box[:, None] + np.where(met, t, 0)[..., None] * sides[:, None]
    points = np.concatenate([crossings.reshape(len(others), 16, 2), np.broadcast_to(box, others.shape), others], axis=1)
    counts = np.concatenate([met.reshape(-1, 16), inside(box[None], others), inside(others, box[None])], axis=1)
    return areas_around(points.astype(np.float64), counts)


def cross(a: np.ndarray, b: np.ndarray) -> Any:
    return a[..., 0] * b[..., 1] - b[..., 0] * a[..., 1]


def inside(points: np.ndarray, boxes: np.ndarray) -> Any:
    """Whether each of four points [N, 4, 2] lies in the box [N, 4, 2]."""
    along, back = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 0]
    at = points - boxes[:, :1]
    on = [((at * side[:, None]).sum(-1), (side * side).sum(-1)[:, None]) for side in (along, back)]
    return np.logical_and.reduce([(part >= 0) & (part <= whole) for part, whole in on])


def areas_around(points: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The areas of convex polygons whose corners are the points [N, P, 2] that count, in any order."""
    number = counts.sum(axis=1)
    centre = (points * counts[..., None]).sum(axis=1) / np.maximum(number, 1)[:, None]
    rays = np.where(counts[..., None], points - centre[:, None], 0)
    turn = np.where(counts, np.arctan2(rays[..., 1], rays[..., 0]), np.inf)
    rays = np.take_along_axis(rays, np.argsort(turn, axis=1)[..., None], axis=1)
    last = rays[np.arange(len(rays)), np.maximum(number - 1, 0)]
    doubled = cross(rays[:, :-1], rays[:, 1:]).sum(axis=1) + cross(last, rays[:, 0])
    return np.where(number > 2, np.abs(doubled) / 2, 0)

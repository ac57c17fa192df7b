"""HeatmapMaxKeypoint: where keypoints lie in boxes, from heat maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator

FLAT = 1e-4  # a surface with a determinant below this has no summit worth looking for
FARTHEST = 1.5  # elements that a summit may lie away from the largest element


class HeatmapMaxKeypoint(Operator):
    """The largest element of each heat map, made finer by the summit of a quadratic surface through its neighbours.

    Beyond the border neighbours are mirrored. Heat maps are stretched over their boxes. Raises ValueError for heat maps
    that are not square or smaller than 2 x 2, for boxes of less than four numbers, and for NaN.
    Caffe2: operators/heatmap_max_keypoint_op.
    """

    contract = "heatmaps: float[N, K, S, S], bboxes: heatmaps[N, ?] -> keypoints: heatmaps[N, 4, K]"
    docs = {
        "heatmaps": "a map for each keypoint of each box",
        "bboxes": "boxes [x1, y1, x2, y2, ...]",
        "keypoints": "x, y, height of the summit, and probability of each keypoint",
    }
    gradient = FORBIDDEN
    should_output_softmax: bool = Arg(
        False, doc="whether the fourth number is the softmax of the map at its largest element, else 0"
    )

    def run_cpu(self, heatmaps: np.ndarray, bboxes: np.ndarray) -> Any:
        N, K, S, _ = heatmaps.shape
        if S < 2:
            raise ValueError(f"heatmaps: shape is {list(heatmaps.shape)}, wants maps of 2 x 2 at least")
        if bboxes.shape[1] < 4:
            raise ValueError(f"bboxes: {bboxes.shape[1]} numbers a box, wants 4 at least")
        if np.isnan(heatmaps).any():
            raise ValueError("heatmaps: holds NaN, which has no largest element")
        maps = heatmaps.reshape(N, K, S * S)
        largest = maps.argmax(axis=2)
        at = np.stack(np.divmod(largest, S), axis=-1)  # [N, K, 2]: row, column
        delta, summit = summits(neighbours(heatmaps, at).astype(np.float64))
        corner, opposite = bboxes[:, None, :2], bboxes[:, None, 2:4]
        places = corner + (0.5 + at[..., ::-1] + delta) * np.maximum(opposite - corner, 1) / S
        keypoints = self.out(0, (N, 4, K), heatmaps.dtype)
        keypoints[:, :2] = places.swapaxes(1, 2)
        keypoints[:, 2], keypoints[:, 3] = summit, 0
        if self.should_output_softmax:
            powers = np.exp(maps)
            keypoints[:, 3] = np.take_along_axis(powers, largest[..., None], axis=2)[..., 0] / powers.sum(axis=2)
        return keypoints


def neighbours(heatmaps: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The 3 x 3 elements around places [N, K, 2] of maps [N, K, S, S]; mirrored at the border."""
    size = heatmaps.shape[-1]
    near = at[..., None] + np.array([-1, 0, 1])
    near = np.where((near < 0) | (near >= size), 2 * at[..., None] - near, near)
    n, k = (np.arange(count) for count in at.shape[:2])
    found: np.ndarray = heatmaps[
        n[:, None, None, None], k[:, None, None], near[:, :, 0, :, None], near[:, :, 1, None, :]
    ]
    return found


def summits(f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of the summits seen from the centres of f [..., 3, 3], and heights; on flat surfaces the centres."""
    centre = f[..., 1, 1]
    slope = np.stack([f[..., 1, 2] - f[..., 1, 0], f[..., 2, 1] - f[..., 0, 1]], axis=-1) / 2
    xx, yy = f[..., 1, 0] - 2 * centre + f[..., 1, 2], f[..., 0, 1] - 2 * centre + f[..., 2, 1]
    xy = (f[..., 2, 2] - f[..., 2, 0] - f[..., 0, 2] + f[..., 0, 0]) / 4
    determinant = xx * yy - xy * xy
    flat = np.abs(determinant) < FLAT
    solved = np.stack([xy * slope[..., 1] - yy * slope[..., 0], xy * slope[..., 0] - xx * slope[..., 1]], axis=-1)
    delta = np.where(flat[..., None], 0, solved / np.where(flat, 1, determinant)[..., None])
    delta *= (FARTHEST / np.maximum(np.abs(delta).max(axis=-1), FARTHEST))[..., None]
    x, y = delta[..., 0], delta[..., 1]
    return delta, centre + (slope * delta).sum(axis=-1) + (xx * x * x + 2 * xy * x * y + yy * y * y) / 2

"""RMACRegions: a fixed grid of square regions in several sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator

STEPS = np.arange(1, 7)  # regions more that may lie along the longer side


class RMACRegions(Operator):
    """Square regions of every image: of scale l, 2 / (l + 1) of the shorter side large, l along the shorter side.

    Along the longer side as many more as make neighbours of the first scale overlap by about `overlap`. Raises
    ValueError for less than four dimensions. Caffe2: operators/rmac_regions_op.
    """

    contract = "X: any[N, C, H, W, ...] -> RMAC_REGIONS: float32[?]"
    docs = {"X": "images; their size alone counts", "RMAC_REGIONS": "[batch index, x1, y1, x2, y2], [R, 5]"}
    gradient = FORBIDDEN
    scales: int = Arg(3, doc="how many sizes of regions there are; none if <= 0")
    overlap: float = Arg(0.4, doc="how much neighbours overlap")

    def infer(self, X: Any) -> TensorSpec:
        return TensorSpec((UNKNOWN, 5), np.float32)

    def run_cpu(self, X: np.ndarray) -> Any:
        images, _, H, W = X.shape[:4]
        found = [np.zeros((0, 4))]
        if X.size:
            more = self._more(H, W)
            found += [self._of_scale(H, W, scale, more) for scale in range(1, self.scales + 1)]
        regions = np.concatenate(found)
        index = np.repeat(np.arange(images), len(regions))
        return np.column_stack([index, np.tile(regions, (images, 1))]).astype(np.float32)

    def run_cuda(self, X: Any) -> Any:
        import cupy

        return cupy.asarray(self.run_cpu(X))

    def _more(self, H: int, W: int) -> int:
        """How many regions more there are along the longer side."""
        if H == W:
            return 0
        least = min(H, W)
        apart = ((max(H, W) - least) / STEPS).astype(np.float32)
        shared = (np.float32(least * least) - np.float32(least) * apart) / np.float32(least * least)
        return int(STEPS[np.abs(shared - np.float32(self.overlap)).argmin()])

    @staticmethod
    def _of_scale(H: int, W: int, scale: int, more: int) -> np.ndarray:
        """[x1, y1, x2, y2] of the regions of a scale."""
        side = 2 * min(H, W) // (scale + 1)
        if side == 0:
            return np.zeros((0, 4))
        starts = []
        for size, other in ((W, H), (H, W)):
            count = scale + more * (size > other)
            apart = np.float32((size - side) / (count - 1) if count > 1 else 0)
            starts.append(np.minimum((apart * np.arange(count, dtype=np.float32)).astype(int), size - side))
        x, y = (grid.reshape(-1) for grid in np.meshgrid(*starts, indexing="ij"))
        return np.stack([x, y, x + side - 1, y + side - 1], axis=1)

"""RoIAlign: features of regions, by bilinear interpolation, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.conv.geometry import Image, differ

Part = tuple[slice, np.ndarray]


class Regions(Image):
    """Base: the features of a region are rows of weights times its part of the image times columns of weights."""

    bind = Operator.bind  # which part of an image a region covers follows from values
    spatial_scale: float = Arg(1.0, gt=0, doc="size of X over that of the picture the regions are in")
    pooled_h: int = Arg(1, ge=1, doc="height of the features")
    pooled_w: int = Arg(1, ge=1, doc="width of the features")
    sampling_ratio: int = Arg(
        -1, doc="samples along each side of a bin; as many as it has elements, rounded up, if <= 0"
    )
    aligned: bool = Arg(False, doc="pixel centres lie at halves; else a region is one element large at least")

    def features(self, X: Any, rois: Any) -> TensorSpec:
        """The spec of the features."""
        if len(X.shape) != 4:
            raise ValueError(f"X: shape is {list(X.shape)}, wants 4 dimensions")
        if differ(rois.shape[1], 4) and differ(rois.shape[1], 5):
            raise ValueError(f"RoIs: {rois.shape[1]} numbers a region, wants 4 or 5")
        channels = self.split("X", X.shape)[1]
        return TensorSpec(self.joined(rois.shape[0], channels, (self.pooled_h, self.pooled_w)), X.dtype)

    def parts(self, X: np.ndarray, rois: np.ndarray) -> Iterator[tuple[int, Part, Part]]:
        """The image of each region, the rows and columns it covers, and their weights [pooled, covered]."""
        _, _, (height, width) = self.split("X", X.shape)
        image = rois[:, 0].astype(np.int64) if rois.shape[1] == 5 else np.zeros(len(rois), np.int64)
        bad = np.flatnonzero((image < 0) | (image >= len(X)))
        if bad.size:
            raise ValueError(f"RoIs: batch index {image[bad[0]]} in row {bad[0]}, X has {len(X)} images")
        if not np.isfinite(rois).all():
            raise ValueError("RoIs: holds a number that is not finite")
        boxes = rois[:, -4:] * X.dtype.type(self.spatial_scale) - X.dtype.type(0.5 * self.aligned)
        for index, (x1, y1, x2, y2) in zip(image, boxes):
            yield index, self._side(y1, y2, height, self.pooled_h), self._side(x1, x2, width, self.pooled_w)

    def _side(self, start: Any, end: Any, size: int, bins: int) -> Part:
        """Elements along a side and the weight of each in each bin: the mean of the samples of the bin."""
        length = end - start
        if not self.aligned:
            length = np.maximum(length, 1)
        step = length / start.dtype.type(bins)
        samples = self.sampling_ratio if self.sampling_ratio > 0 else int(np.ceil(step))
        at = (
            start
            + np.arange(bins)[:, None] * step
            + (np.arange(samples) + start.dtype.type(0.5)) * (step / max(samples, 1))
        )
        at = at.astype(start.dtype)
        counts = (at >= -1) & (at <= size)
        at = np.clip(at, 0, size - 1)
        low = at.astype(np.int64)
        high = np.minimum(low + 1, size - 1)
        part = at - low
        if not at.size:
            return slice(0, 0), np.zeros((bins, 0), start.dtype)
        first, last = int(low.min()), int(high.max()) + 1
        weights = np.zeros((bins, last - first), start.dtype)
        rows = np.broadcast_to(np.arange(bins)[:, None], at.shape)
        np.add.at(weights, (rows, low - first), (1 - part) * counts)
        np.add.at(weights, (rows, high - first), part * counts)
        return slice(first, last), weights / start.dtype.type(max(samples, 1))


class RoIAlign(Regions):
    """Features of regions: each is cut into pooled_h x pooled_w bins, a bin is the mean of samples in it.

    A sample is interpolated between the four elements around it; one more than an element outside counts as 0. Raises
    ValueError for regions of other than 4 or 5 numbers, and of no image. Caffe2: operators/roi_align_op.
    """

    contract = "X: float, RoIs: X[R, ?] -> Y: X[?]"
    docs = {
        "X": "images, in the order that `order` names",
        "RoIs": "regions [x1, y1, x2, y2], or with the batch index ahead",
        "Y": "features [R, C, pooled_h, pooled_w], or [R, pooled_h, pooled_w, C] with NHWC",
    }
    gradient = "RoIAlignGradient(X, RoIs, dY) -> dX"

    def infer(self, X: Any, rois: Any) -> TensorSpec:
        return self.features(X, rois)

    def run_cpu(self, X: np.ndarray, rois: np.ndarray) -> Any:
        Y = self.out(0, self.infer(X, rois).shape, X.dtype)
        for y, (image, (rows, down), (columns, across)) in zip(Y, self.parts(X, rois)):
            if self.channels_last:
                part = X[image, rows, columns]
                lines = (down @ part.reshape(len(part), -1)).reshape(len(down), *part.shape[1:])
                np.matmul(across, lines, out=y)
            else:
                np.matmul(down, X[image, :, rows, columns] @ across.T, out=y)
        return Y


class RoIAlignGradient(Regions):
    """Gradient of RoIAlign: each bin gives its gradient to the elements around its samples.

    Raises ValueError where shapes do not fit. Caffe2: operators/roi_align_gradient_op.
    """

    contract = "X: float, RoIs: X[R, ?], dY: X -> dX: X"

    def infer(self, X: Any, rois: Any, dY: Any) -> TensorSpec:
        shape = self.features(X, rois).shape
        if len(dY.shape) != 4 or any(map(differ, dY.shape, shape)):
            raise ValueError(f"dY: shape is {list(dY.shape)}, wants {list(shape)}")
        return TensorSpec(X.shape, X.dtype)

    def run_cpu(self, X: np.ndarray, rois: np.ndarray, dY: np.ndarray) -> Any:
        self.infer(X, rois, dY)
        dX = self.out(0, X.shape, X.dtype)
        dX[...] = 0
        for dy, (image, (rows, down), (columns, across)) in zip(dY, self.parts(X, rois)):
            if self.channels_last:
                dX[image, rows, columns] += np.einsum("pr,pqc,qs->rsc", down, dy, across, optimize=True)
            else:
                dX[image, :, rows, columns] += down.T @ (dy @ across)
        return dX

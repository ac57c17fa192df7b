"""RoIAlignRotated: features of regions with an angle, by bilinear interpolation, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.ops.conv.bilinear import corners
from caffe2ops.ops.detection.boxes import finite, images_of
from caffe2ops.ops.detection.roi_align import Regions

Part = tuple[int, slice, slice, np.ndarray]


class RotatedRegions(Regions):
    """Base: the features of a region are weights times the elements of a rectangle around it."""

    numbers = 5

    def parts(self, X: np.ndarray, rois: np.ndarray) -> Iterator[Part]:
        """The image, rows and columns around each region, and the weights [bins, rows x columns]."""
        _, _, size = self.split("X", X.shape)
        dtype = X.dtype.type
        images = images_of(finite(rois), 5, len(X))
        x, y, widths, heights = rois[:, -5:-1].T * dtype(self.spatial_scale)
        centres = np.stack([y, x], axis=1) - dtype(0.5 * self.aligned)
        sides = np.stack([self.sides(heights), self.sides(widths)], axis=1)
        angles = (rois[:, -1] * np.pi / 180).astype(X.dtype)
        for image, centre, side, angle in zip(images, centres, sides, angles):
            down, right = (self._samples(length, bins) for length, bins in zip(side, (self.pooled_h, self.pooled_w)))
            yy, xx = (part.astype(X.dtype) for part in np.meshgrid(down, right, indexing="ij"))
            sin, cos = np.sin(angle), np.cos(angle)
            yield image, *self._weights(yy * cos - xx * sin + centre[0], xx * cos + yy * sin + centre[1], size)

    def _samples(self, length: Any, bins: int) -> np.ndarray:
        """Where the samples of all bins lie along a side, seen from the centre."""
        step = length / length.dtype.type(bins)
        count = int(self.samples(step))
        within = (np.arange(count) + length.dtype.type(0.5)) * step / max(count, 1)
        places: np.ndarray = -length / 2 + np.arange(bins)[:, None] * step + within
        return places.reshape(-1)

    def _weights(self, y: np.ndarray, x: np.ndarray, size: Any) -> tuple[slice, slice, np.ndarray]:
        """Rows, columns and weights of their elements in each bin: the mean of the samples of the bin."""
        bins, (height, width) = self.pooled_h * self.pooled_w, size
        if not y.size:
            return slice(0, 0), slice(0, 0), np.zeros((bins, 0), y.dtype)
        counts = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
        found = corners(np.maximum(y, 0), np.maximum(x, 0), height, width)
        rows, columns = (slice(int(at.min()), int(at.max()) + 1) for at in (found.rows, found.columns))
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        at = (found.rows - rows.start) * (columns.stop - columns.start) + found.columns - columns.start
        down, right = y.shape[0] // self.pooled_h, y.shape[1] // self.pooled_w
        bin_of = np.arange(y.shape[0])[:, None] // down * self.pooled_w + np.arange(y.shape[1]) // right
        weights = np.bincount((bin_of * area + at).reshape(-1), (found.weights * counts).reshape(-1), bins * area)
        return rows, columns, (weights.reshape(bins, area) / (down * right)).astype(y.dtype)


class RoIAlignRotated(RotatedRegions):
    """Features of regions: each is cut into pooled_h x pooled_w bins, a bin is the mean of samples in it.

    A sample is interpolated between the four elements around it; one more than an element outside counts as 0. Raises
    ValueError for regions of other than 5 or 6 numbers, of no image, and of negative size when `aligned`. Caffe2:
    operators/roi_align_rotated_op.
    """

    contract = "X: float, RoIs: X[R, ?] -> Y: X[?]"
    docs = {
        "X": "images, in the order that `order` names",
        "RoIs": "regions [centre x, centre y, width, height, degrees counter-clockwise], or with the batch index ahead",
        "Y": "features [R, C, pooled_h, pooled_w], or [R, pooled_h, pooled_w, C] with NHWC",
    }
    gradient = "RoIAlignRotatedGradient(X, RoIs, dY) -> dX"

    def infer(self, X: Any, rois: Any) -> TensorSpec:
        return self.features(X, rois)

    def run_cpu(self, X: np.ndarray, rois: np.ndarray) -> Any:
        Y = self.out(0, self.infer(X, rois).shape, X.dtype)
        for y, (image, rows, columns, weights) in zip(Y, self.parts(X, rois)):
            if not weights.size:
                y[...] = np.nan  # the mean of no samples
            elif self.channels_last:
                part = X[image, rows, columns]
                np.matmul(weights, part.reshape(-1, part.shape[-1]), out=y.reshape(len(weights), -1))
            else:
                part = X[image, :, rows, columns]
                np.matmul(part.reshape(len(part), -1), weights.T, out=y.reshape(len(part), -1))
        return Y

    def run_cuda(self, X: Any, rois: Any) -> Any:
        from caffe2ops.ops.detection import roi_align_cuda

        return roi_align_cuda.align(self, X, rois)


class RoIAlignRotatedGradient(RotatedRegions):
    """Gradient of RoIAlignRotated: each bin gives its gradient to the elements around its samples.

    Raises ValueError where shapes do not fit. Caffe2 has it on the GPU alone, for NCHW:
    operators/roi_align_rotated_gradient_op.
    """

    contract = "X: float, RoIs: X[R, ?], dY: X -> dX: X"
    docs = {
        "X": "the images that went in",
        "RoIs": "the regions",
        "dY": "gradient of the features",
        "dX": "gradient of X",
    }

    def infer(self, X: Any, rois: Any, dY: Any) -> TensorSpec:
        return self.gradient_of_x(X, rois, dY)

    def run_cpu(self, X: np.ndarray, rois: np.ndarray, dY: np.ndarray) -> Any:
        self.infer(X, rois, dY)
        dX = self.out(0, X.shape, X.dtype)
        dX[...] = 0
        for dy, (image, rows, columns, weights) in zip(dY, self.parts(X, rois)):
            if self.channels_last:
                part = dX[image, rows, columns]
                part += (weights.T @ dy.reshape(len(weights), -1)).reshape(part.shape)
            else:
                part = dX[image, :, rows, columns]
                part += (dy.reshape(len(dy), -1) @ weights).reshape(part.shape)
        return dX

    def run_cuda(self, X: Any, rois: Any, dY: Any) -> Any:
        from caffe2ops.ops.detection import roi_align_cuda

        return roi_align_cuda.align_back(self, X, rois, dY)

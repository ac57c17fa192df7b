"""RoIAlign: features of regions, by bilinear interpolation, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.detection.boxes import finite, images_of
from caffe2ops.ops.shape.axes import differ

Part = tuple[slice, np.ndarray]
WEIGHTS = 1 << 20  # numbers that the weights of the regions worked on at once take


class Regions(Image):
    """Base: regions, boxes of `numbers`, and how they are cut into bins."""

    numbers: ClassVar[int] = 4
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
        if differ(rois.shape[1], self.numbers) and differ(rois.shape[1], self.numbers + 1):
            raise ValueError(f"RoIs: {rois.shape[1]} numbers a region, wants {self.numbers} or {self.numbers + 1}")
        channels = self.split("X", X.shape)[1]
        return TensorSpec(self.joined(rois.shape[0], channels, (self.pooled_h, self.pooled_w)), X.dtype)

    def gradient_of_x(self, X: Any, rois: Any, dY: Any) -> TensorSpec:
        """The spec of dX. Raises ValueError where dY has not the shape of the features."""
        shape = self.features(X, rois).shape
        if len(dY.shape) != 4 or any(map(differ, dY.shape, shape)):
            raise ValueError(f"dY: shape is {list(dY.shape)}, wants {list(shape)}")
        return TensorSpec(X.shape, X.dtype)

    def sides(self, lengths: Any) -> Any:
        """Widths or heights of regions as they count. Raises ValueError for negative ones when `aligned`."""
        if not self.aligned:
            return np.maximum(lengths, 1)
        bad = np.flatnonzero(lengths < 0)
        if bad.size:
            raise ValueError(f"RoIs: row {bad[0]} has a side of {lengths[bad[0]]}, wants >= 0 when aligned")
        return lengths

    def samples(self, steps: np.ndarray) -> np.ndarray:
        """How many samples there are along a side of bins that are `steps` long."""
        if self.sampling_ratio > 0:
            return np.full(steps.shape, self.sampling_ratio)
        return np.ceil(steps).astype(np.int64)


class UprightRegions(Regions):
    """Base: the features of a region are rows of weights times its part of the image times columns of weights."""

    def parts(self, X: np.ndarray, rois: np.ndarray) -> Iterator[tuple[int, Part, Part]]:
        """The image of each region, the rows and columns it covers, and their weights [pooled, covered]."""
        _, _, (height, width) = self.split("X", X.shape)
        image = images_of(finite(rois), 4, len(X))
        boxes = rois[:, -4:] * X.dtype.type(self.spatial_scale) - X.dtype.type(0.5 * self.aligned)
        widths, heights = (self.sides(boxes[:, i + 2] - boxes[:, i]) for i in (0, 1))
        down = self._sides(boxes[:, 1], heights, height, self.pooled_h)
        return zip(image, down, self._sides(boxes[:, 0], widths, width, self.pooled_w))

    def _sides(self, starts: np.ndarray, lengths: np.ndarray, size: int, bins: int) -> Iterator[Part]:
        """For each region the elements along a side and the weight of each in each bin: the mean of the samples of the
        bin. Many regions are worked on at once.
        """
        many = max(1, WEIGHTS // max(bins * size, 1))
        for at in range(0, len(starts), many):
            yield from self._weights(starts[at : at + many], lengths[at : at + many], size, bins)

    def _weights(self, starts: np.ndarray, lengths: np.ndarray, size: int, bins: int) -> Iterator[Part]:
        dtype, region = starts.dtype, np.arange(len(starts))
        steps = lengths / dtype.type(bins)
        counts = self.samples(steps)
        within = np.maximum(counts, 1).astype(dtype)
        corners = starts[:, None] + np.arange(bins) * steps[:, None]
        weights = np.zeros((len(starts), bins, size), dtype)
        first, last = np.full(len(starts), size), np.zeros(len(starts), np.int64)
        for sample in range(int(counts.max(initial=0))):
            of = region[counts > sample]
            at = (corners[of] + np.float64(sample + 0.5) * (steps[of] / within[of])[:, None]).astype(dtype)
            inside = (at >= -1) & (at <= size)
            at = np.clip(at, 0, size - 1)
            low = at.astype(np.int64)
            high = np.minimum(low + 1, size - 1)
            part = at - low
            bin_of = np.arange(bins)
            weights[of[:, None], bin_of, low] += (1 - part) * inside
            weights[of[:, None], bin_of, high] += part * inside
            first[of] = np.minimum(first[of], low[:, 0])
            last[of] = np.maximum(last[of], high[:, -1] + 1)
        weights /= within[:, None, None]
        for begin, end, of_region in zip(np.minimum(first, last).tolist(), last.tolist(), weights):
            yield slice(begin, end), of_region[:, begin:end]


class RoIAlign(UprightRegions):
    """Features of regions: each is cut into pooled_h x pooled_w bins, a bin is the mean of samples in it.

    A sample is interpolated between the four elements around it; one more than an element outside counts as 0. Raises
    ValueError for regions of other than 4 or 5 numbers, of no image, and of negative size when `aligned`. Caffe2:
    operators/roi_align_op.
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
            if not down.size or not across.size:
                y[...] = np.nan  # the mean of no samples
            elif self.channels_last:
                part = X[image, rows, columns]
                lines = (down @ part.reshape(len(part), -1)).reshape(len(down), *part.shape[1:])
                np.matmul(across, lines, out=y)
            else:
                np.matmul(down, X[image, :, rows, columns] @ across.T, out=y)
        return Y

    def run_cuda(self, X: Any, rois: Any) -> Any:
        from caffe2ops.ops.detection import roi_align_cuda

        return roi_align_cuda.align(self, X, rois)


class RoIAlignGradient(UprightRegions):
    """Gradient of RoIAlign: each bin gives its gradient to the elements around its samples.

    Raises ValueError where shapes do not fit. Caffe2: operators/roi_align_gradient_op.
    """

    contract = "X: float, RoIs: X[R, ?], dY: X -> dX: X"

    def infer(self, X: Any, rois: Any, dY: Any) -> TensorSpec:
        return self.gradient_of_x(X, rois, dY)

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

    def run_cuda(self, X: Any, rois: Any, dY: Any) -> Any:
        from caffe2ops.ops.detection import roi_align_cuda

        return roi_align_cuda.align_back(self, X, rois, dY)

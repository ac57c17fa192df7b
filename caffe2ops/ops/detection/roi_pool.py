"""RoIPool: the largest elements of the bins of regions, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.detection.boxes import finite, images_of
from caffe2ops.ops.pool.max_pool_with_index import LEAST, sent_back


class Pooled(Operator):
    """Base of RoIPool and its gradient."""

    is_test: bool = Arg(False, doc="leave out the second output")
    order: str = Arg("NCHW", choices=("NCHW",), doc="where the channels stand: axis 1")
    pooled_h: int = Arg(1, ge=1, doc="height of the features")
    pooled_w: int = Arg(1, ge=1, doc="width of the features")
    spatial_scale: float = Arg(1.0, gt=0, doc="size of X over that of the picture the regions are in")

    def bins(self, starts: np.ndarray, ends: np.ndarray, size: int, bins: int) -> np.ndarray:
        """First and last element (excluded) of each bin along a side, [R, 2, bins]."""
        scaled = [at * at.dtype.type(self.spatial_scale) for at in (starts, ends)]
        first, last = (np.trunc(at + np.copysign(np.float64(0.5), at))[:, None] for at in scaled)
        step = np.maximum(last - first + 1, 1).astype(starts.dtype) / starts.dtype.type(bins)
        place = np.arange(bins, dtype=starts.dtype)
        edges = np.stack([np.floor(place * step) + first, np.ceil((place + 1) * step) + first], axis=1)
        return np.clip(edges, 0, size).astype(np.int64)


class RoIPool(Pooled):
    """Features of regions: each is rounded to elements and cut into bins, which overlap by an element at most; a bin
    is its largest element, 0 where it lies outside the image.

    NaN does not count. Raises ValueError for regions of no image, and for outputs that are not those of the mode.
    Caffe2: operators/roi_pool_op.
    """

    contract = "X: float[N, C, H, W], rois: X[R, 5] -> Y: X[R, C, pooled_h, pooled_w], argmaxes?: int32[?]"
    docs = {
        "X": "images",
        "rois": "regions [batch index, x1, y1, x2, y2]; x2 and y2 are inside",
        "Y": "features",
        "argmaxes": "row * W + column of the element that each is, -1 for none; not with is_test",
    }
    gradient = "RoIPoolGradient(X, rois, argmaxes, dY) -> dX"

    def infer(self, X: Any, rois: Any) -> tuple[TensorSpec, ...]:
        if self.n_outputs != 2 - self.is_test:
            raise ValueError(f"{self.n_outputs} outputs with is_test = {int(self.is_test)}, wants {2 - self.is_test}")
        shape = (rois.shape[0], X.shape[1], self.pooled_h, self.pooled_w)
        return TensorSpec(shape, X.dtype), TensorSpec(shape, np.int32)

    def run_cpu(self, X: np.ndarray, rois: np.ndarray) -> Any:
        shape = self.infer(X, rois)[0].shape
        height, width = X.shape[2:]
        rois = finite(rois)
        down = self.bins(rois[:, 2], rois[:, 4], height, self.pooled_h)
        right = self.bins(rois[:, 1], rois[:, 3], width, self.pooled_w)
        Y, index = self.out(0, shape, X.dtype), self.out(1, shape, np.int32)
        images = images_of(rois, 4, len(X))
        for y, chosen, image, rows, columns in zip(Y, index, images, down, right):
            self._pool(X[image], rows, columns, y, chosen)
        return (Y,) if self.is_test else (Y, index)

    def run_cuda(self, X: Any, rois: Any) -> Any:
        from caffe2ops.ops.detection import roi_pool_cuda

        shape = self.infer(X, rois)[0].shape
        Y, index = self.out(0, shape, X.dtype), self.out(1, shape, np.int32)
        roi_pool_cuda.pool(self, X, rois, Y, index)
        return (Y,) if self.is_test else (Y, index)

    @staticmethod
    def _pool(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, y: np.ndarray, chosen: np.ndarray) -> None:
        """Writes the maxima of one region and where they are; along the rows first, then down."""
        empty = (rows[0] >= rows[1])[:, None] | (columns[0] >= columns[1])
        if empty.all():
            y[...], chosen[...] = 0, -1
            return
        first, last = rows[0].min(), rows[1].max()
        across, column = maxima(image[:, first:last], columns)
        best, row = maxima(across.swapaxes(1, 2), rows - first)
        where = np.take_along_axis(column.swapaxes(1, 2), row, axis=2) + (row + first) * image.shape[2]
        y[...] = np.where(empty, 0, best.swapaxes(1, 2))
        chosen[...] = np.where(empty | (y == LEAST), -1, where.swapaxes(1, 2))


def maxima(values: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest of values [..., S] in each bin of the last axis, and where it is, the first of equals; `edges` [2,
    bins] are the first element of each bin and the one after the last.
    """
    first, last = edges
    best = np.full((*values.shape[:-1], len(first)), LEAST, values.dtype)
    place = np.zeros(best.shape, np.int64)
    for step in range((last - first).max(initial=0)):
        at = np.minimum(first + step, values.shape[-1] - 1)
        part = values[..., at]
        better = (part > best) & (first + step < last)
        np.copyto(best, part, where=better)
        np.copyto(place, at, where=better)
    return best, place


class RoIPoolGradient(Pooled):
    """Gradient of RoIPool: each element that was chosen gets the gradients of the bins that chose it.

    Raises ValueError where shapes do not fit or a region is of no image, and IndexError for an index outside the image.
    Caffe2 has it on the GPU alone: operators/roi_pool_op.
    """

    contract = """X: float[N, C, H, W], rois: X[R, 5], argmaxes: int32[R, C, pooled_h, pooled_w],
        dY: X[R, C, pooled_h, pooled_w] -> dX: X[N, C, H, W]"""
    docs = {
        "X": "the images that went in",
        "rois": "the regions",
        "argmaxes": "which element each bin chose",
        "dY": "gradient of the features",
        "dX": "gradient of X",
    }

    def run_cpu(self, X: np.ndarray, rois: np.ndarray, argmaxes: np.ndarray, dY: np.ndarray) -> Any:
        dX = self.out(0, X.shape, X.dtype)
        dX.reshape(-1)[...] = sent_back(dY, argmaxes, X.shape, images_of(rois, 4, len(X)))
        return dX

    def run_cuda(self, X: Any, rois: Any, argmaxes: Any, dY: Any) -> Any:
        from caffe2ops.ops.detection import roi_pool_cuda

        return roi_pool_cuda.pool_back(X, rois, argmaxes, dY, self.out(0, X.shape, X.dtype))

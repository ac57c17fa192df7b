"""Histogram, and Percentile, which looks values up in given distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Arg, Operator


class Histogram(Operator):
    """How many elements of all inputs lie in each bin; bin i takes edges[i] <= x < edges[i + 1].

    Elements in no bin, and NaN, count nowhere. Raises ValueError for less than two edges or edges that do not ascend.
    Caffe2: operators/histogram_op.
    """

    contract = "*X: float -> histogram: int64[?]"
    docs = {"X": "any tensors", "histogram": "the number of elements in each bin"}
    gradient = FORBIDDEN
    bin_edges: list[float] = Arg((), doc="the bounds of the bins, ascending, at least two")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.edges = np.array(self.bin_edges, np.float32)
        if self.edges.size < 2:
            raise ValueError(f"{list(self.bin_edges)}: Number of bin edges must be greater than or equal to 2")
        if not (np.diff(self.edges) > 0).all():
            raise ValueError(f"{list(self.bin_edges)}: bin_edges must be a strictly increasing sequence of values")

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return TensorSpec((self.edges.size - 1,), np.dtype(np.int64))

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        counts = self.out(0, (self.edges.size - 1,), np.int64)
        counts[...] = 0
        for x in inputs:
            bins = np.searchsorted(self.edges, x[~np.isnan(x)], side="right")
            counts += np.bincount(bins, minlength=self.edges.size + 1)[1:-1]
        return counts

    def run_cuda(self, *inputs: Any) -> Any:
        from caffe2ops.ops.reduce import histogram_cuda

        return histogram_cuda.histogram(inputs, self.edges, self.out(0, (self.edges.size - 1,), np.int64))


class Percentile(Operator):
    """The percentile of each value in the distribution of its column, between given points linearly.

    A column's distribution is `lengths[column]` rows (value, percentile) of value_to_pct, values ascending. Below its
    least value the percentile is 0, above its greatest 1. Raises ValueError for a column without a distribution, which
    Caffe2 reads beyond. Caffe2: operators/percentile_op.
    """

    contract = (
        "original_values: float32[N, D], value_to_pct: float32[S, 2], lengths: int32[D] "
        "-> percentile_values: float32[N, D]"
    )
    docs = {
        "original_values": "values, a column for each distribution",
        "value_to_pct": "points (value, percentile) of the distributions, one after another",
        "lengths": "how many points each distribution has",
        "percentile_values": "the percentiles",
    }
    gradient = NO_GRADIENT

    def run_cpu(self, values: np.ndarray, points: np.ndarray, lengths: np.ndarray) -> Any:
        _check_lengths(lengths, len(points))
        out = self.out(0, values.shape, values.dtype)
        for j, some in enumerate(np.split(points, np.cumsum(lengths)[:-1]) if lengths.size else ()):
            out[:, j] = _percentiles(values[:, j], some[:, 0], some[:, 1])
        return out

    def run_cuda(self, values: Any, points: Any, lengths: Any) -> Any:
        from caffe2ops.ops.reduce import histogram_cuda

        out = self.out(0, values.shape, values.dtype)
        if not histogram_cuda.percentiles(values, points, lengths, out):
            _check_lengths(lengths.get(), len(points))
        return out


def _check_lengths(lengths: np.ndarray, count: int) -> None:
    if lengths.size and lengths.min() <= 0:
        raise ValueError(f"lengths: is {lengths.tolist()}, wants 1 or more points for each column")
    if lengths.sum() != count:
        raise ValueError(f"lengths: sum is {lengths.sum()}, value_to_pct has {count} rows")


def _percentiles(x: np.ndarray, at: np.ndarray, percentiles: np.ndarray) -> np.ndarray:
    high = np.minimum(np.searchsorted(at, x), at.size - 1)
    low = np.maximum(high - 1, 0)
    width = at[high] - at[low]
    slope = np.divide(percentiles[high] - percentiles[low], width, out=np.zeros_like(x), where=width > 0)
    found = np.where(at[high] == x, percentiles[high], slope * (x - at[low]) + percentiles[low])
    return np.where(x < at[0], np.float32(0), np.where(x > at[-1], np.float32(1), found))

"""Histograms whose bins follow from the data, or whose counts add up from run to run."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Operator


class SelfBinningHistogram(Operator):
    """How many elements of all inputs lie in each of `num_bins` bins between their least and their greatest value.

    Edge i is the lower bound of bin i; the last one lies above all elements and counts none. Where the elements are all
    alike the first bin has them. Without elements edges and counts are 0. Raises ValueError for NaN (Caffe2's bounds
    then depend on the order of the elements). Caffe2: operators/self_binning_histogram_op.
    """

    contract = "*X: float -> histogram_values: X[?], histogram_counts: int64[?]"
    docs = {
        "X": "any tensors",
        "histogram_values": "num_bins + 1 edges, ascending",
        "histogram_counts": "the number of elements from each edge up to the next, 0 for the last",
    }
    gradient = FORBIDDEN
    num_bins: int = Arg(doc="number of bins, at least 1")
    bin_spacing: str = Arg(
        "linear", choices=("linear", "logarithmic"), doc="whether bins have equal width or equal ratio of edges"
    )
    logspace_start: float = Arg(1e-24, gt=0, doc="logarithmic: the least lower bound; smaller elements are in bin 0")
    abs: bool = Arg(False, doc="take absolute values")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.num_bins < 1:
            raise ValueError(f"num_bins = {self.num_bins}: Number of bins must be greater than or equal to 1.")

    def infer(self, *inputs: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec((self.num_bins + 1,), inputs[0].dtype), TensorSpec((self.num_bins + 1,), np.dtype(np.int64))

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        edges = self.out(0, (self.num_bins + 1,), inputs[0].dtype)
        counts = self.out(1, edges.shape, np.int64)
        edges[...], counts[...] = 0, 0
        x = np.concatenate([np.abs(x.reshape(-1)) if self.abs else x.reshape(-1) for x in inputs])
        if not x.size:
            return edges, counts
        if np.isnan(x).any():
            raise ValueError("X: holds NaN, which lies in no bin")
        high, top = self._fill(edges, x.min(), x.max())
        if edges[-1] <= high:
            edges[-1], counts[0] = top, x.size
        elif edges[-1] > high:  # not for an endless range, whose edges are NaN
            bins = np.maximum(np.searchsorted(edges, x, side="right") - 1, 0)
            counts += np.bincount(bins, minlength=edges.size)[: edges.size]
            counts[-1] = 0
        return edges, counts

    def _fill(self, edges: np.ndarray, low: Any, high: Any) -> tuple[Any, Any]:
        """Writes the edges for elements from `low` to `high`; gives what the last must exceed, and what it is meant
        to be."""
        ratios = np.arange(edges.size, dtype=edges.dtype) / edges.dtype.type(self.num_bins)
        widen = edges.dtype.type(1.0001)  # so that the greatest element lies below the last edge
        with np.errstate(all="ignore"):
            if self.bin_spacing == "linear":
                top = low + (high - low) * widen
                edges[...] = low + ratios * (top - low)
            else:
                start = edges.dtype.type(np.float32(self.logspace_start))
                low, high = max(low, start), max(high, start)
                top = low + (high - low) * widen
                edges[...] = low * np.exp((np.log(top) - np.log(low)) * ratios)
        return high, top


class AccumulateHistogram(Operator):
    """Counts elements in `num_buckets` equal parts of [lower_bound, upper_bound), and in all runs together.

    The first bucket takes what lies below, the last what lies above. The operator keeps the counts. Raises ValueError
    for NaN (Caffe2 counts it outside its memory). Caffe2: operators/utility_ops.
    """

    contract = "X: float -> CurHist: int64[?], AccHist: int64[?]"
    docs = {"X": "any tensor", "CurHist": "num_buckets + 2 counts of this run", "AccHist": "counts of all runs"}
    gradient = FORBIDDEN
    lower_bound: float = Arg(0.0, doc="where the second bucket begins")
    upper_bound: float = Arg(1.0, doc="where the last bucket begins")
    num_buckets: int = Arg(1, ge=1, doc="into how many parts the range is split")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.total = np.zeros(self.num_buckets + 2, np.int64)

    def infer(self, x: TensorSpec) -> tuple[TensorSpec, ...]:
        return (TensorSpec(self.total.shape, self.total.dtype),) * 2

    def run_cpu(self, x: np.ndarray) -> Any:
        if np.isnan(x).any():
            raise ValueError("X: holds NaN, which lies in no bucket")
        low, high = np.float32(self.lower_bound), np.float32(self.upper_bound)
        inside = x[(x >= low) & (x < high)]
        width = (high - low) / np.float32(self.num_buckets)
        current, total = (self.out(i, self.total.shape, np.int64) for i in range(2))
        current[...] = np.bincount(((inside - low) / width).astype(np.int64) + 1, minlength=current.size)
        current[0] = np.count_nonzero(x < low)
        current[-1] += x.size - inside.size - current[0]
        self.total += current
        total[...] = self.total
        return current, total

"""Quantiles of data, and percentiles in given distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Arg, Operator


class Quantile(Operator):
    """A value that about the share `quantile` of all elements do not exceed, found by bisection.

    NaN counts as an element that exceeds everything. Raises ValueError where there are no elements, and where no number
    lies between the bounds although they differ by more than `tol` allows. Caffe2: operators/quantile_op.
    """

    contract = "*X: float -> quantile_value: X[1]"
    docs = {"X": "any tensors", "quantile_value": "the value"}
    gradient = FORBIDDEN
    quantile: float = Arg(ge=0, le=1, doc="the share of elements, 0 to 1")
    abs: bool = Arg(True, doc="take absolute values")
    tol: float = Arg(1e-3, gt=0, doc="the width, relative to the bounds, at which bisection ends")

    def run_cpu(self, *inputs: np.ndarray) -> Any:
        value = self.out(0, (1,), inputs[0].dtype)
        x = np.concatenate([np.abs(x.reshape(-1)) if self.abs else x.reshape(-1) for x in inputs])
        if not x.size:
            raise ValueError("X: has no elements, wants at least 1")
        x.sort()
        with np.errstate(all="ignore"):
            value[0] = self._bisect(x[: np.searchsorted(x, np.nan)], x.size)
        return value

    def _bisect(self, x: np.ndarray, size: int) -> Any:
        """The quantile of `size` elements, of which those that are numbers are x, ascending."""
        wanted = int(np.ceil(np.float32(size) * np.float32(self.quantile)))
        limits = np.finfo(x.dtype)
        low, high = (x[0], x[-1]) if x.size else (limits.max, limits.min)
        if wanted == 0:
            return low
        if wanted == size:
            return high
        if np.searchsorted(x, low, side="right") >= wanted:
            return low
        tolerance = x.dtype.type(np.float32(self.tol))
        while abs(high - low) > tolerance * (abs(high) + abs(low)):
            middle = x.dtype.type(np.float64(low) + np.float64(high - low) / 2)
            count = np.searchsorted(x, middle, side="right")
            if count == wanted:
                return middle
            if middle == (high if count > wanted else low):
                raise ValueError(f"tol = {self.tol}: no {x.dtype} lies between {low} and {high}")
            low, high = (low, middle) if count > wanted else (middle, high)
        return high


class BisectPercentile(Operator):
    """The percentile of each value in the distribution of its feature, which arguments give.

    Feature j has `lengths[j]` points. A value that is one of `percentile_raw` has its `percentile_mapping`; one between
    points i and i + 1 lies between `percentile_upper[i]` and `percentile_lower[i + 1]`, linearly; below the first point
    it is 0, above the last 1. Raises ValueError for lists of different lengths, for a feature without points or whose
    points descend (Caffe2 reads beyond them). Caffe2: operators/bisect_percentile_op.
    """

    contract = "raw_values: float[N, D] -> percentile: raw_values[N, D]"
    docs = {"raw_values": "values, a column for each feature", "percentile": "their percentiles"}
    gradient = NO_GRADIENT
    percentile_raw: list[float] = Arg((), doc="the points of all features, one after another, ascending in each")
    percentile_mapping: list[float] = Arg((), doc="the percentile at each point")
    percentile_lower: list[float] = Arg((), doc="the percentile just below each point")
    percentile_upper: list[float] = Arg((), doc="the percentile just above each point")
    lengths: list[int] = Arg((), doc="how many points each feature has")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        names = ("percentile_raw", "percentile_mapping", "percentile_lower", "percentile_upper")
        lists = [np.array(getattr(self, name), np.float32) for name in names]
        for name, values in zip(names, lists):
            if values.size != sum(self.lengths):
                raise ValueError(f"{name}: has {values.size} numbers, lengths add up to {sum(self.lengths)}")
        if any(length < 1 for length in self.lengths):
            raise ValueError(f"lengths = {list(self.lengths)}: wants 1 or more points for each feature")
        ends = np.cumsum(self.lengths, dtype=np.int64)
        self.features = [[values[end - length : end] for values in lists] for end, length in zip(ends, self.lengths)]
        for j, (raw, *_) in enumerate(self.features):
            if not (np.diff(raw) >= 0).all():
                raise ValueError(f"percentile_raw: the points of feature {j} are {raw.tolist()}, wants them ascending")

    def run_cpu(self, values: np.ndarray) -> Any:
        if values.shape[1] != len(self.features):
            raise ValueError(f"raw_values: has {values.shape[1]} columns, lengths says {len(self.features)}")
        out = self.out(0, values.shape, values.dtype)
        for j, feature in enumerate(self.features):
            out[:, j] = _percentiles(values[:, j], *feature)
        return out


def _percentiles(x: np.ndarray, raw: np.ndarray, exact: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    at = np.clip(np.searchsorted(raw, x, side="right") - 1, 0, raw.size - 1)
    following = np.minimum(at + 1, raw.size - 1)
    weight = (x - raw[at]) / (raw[following] - raw[at] + np.float32(1e-10))
    between = (1 - weight) * upper[at] + weight * lower[following]
    found = np.where(raw[at] == x, exact[at], between)
    return np.where(x < raw[0], np.float32(0), np.where(x > raw[-1], np.float32(1), found))

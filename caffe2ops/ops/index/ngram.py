"""NGramFromCategorical: categories of several columns as one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import NO_GRADIENT, Arg, Operator


class NGramFromCategorical(Operator):
    """The number of the combination of categories in some columns of each row.

    Column col_ids[k] has categorical_limits[k] categories, the next so many of `vals`; a value, rounded half away from
    zero, counts as the place where it stands among these, 0 where it does not. The first column counts least.
    ValueError where the arguments do not fit together or there is no such column. Caffe2: operators/ngram_ops.
    """

    contract = "floats: float32[N, ...] -> ngrams: int64[N]"
    docs = {"floats": "a row for each example", "ngrams": "a number for each example"}
    gradient = NO_GRADIENT
    col_ids: list[int] = Arg(ge=0, doc="columns")
    categorical_limits: list[int] = Arg(gt=0, doc="for each of them, how many categories it has")
    vals: list[int] = Arg(doc="the values that are categories, column by column; of repeated ones the last counts")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if len(self.categorical_limits) != len(self.col_ids):
            raise ValueError(f"categorical_limits: are {len(self.categorical_limits)}, col_ids {len(self.col_ids)}")
        if len(self.vals) != sum(self.categorical_limits):
            raise ValueError(f"vals: are {len(self.vals)}, categorical_limits add up to {sum(self.categorical_limits)}")
        starts, bases = np.cumsum([0, *self.categorical_limits]), np.cumprod([1, *self.categorical_limits])
        self._columns = [
            (column, *_sorted(self.vals[start:end], int(base)))
            for column, start, end, base in zip(self.col_ids, starts[:-1], starts[1:], bases)
        ]

    def run_cpu(self, floats: np.ndarray) -> np.ndarray:
        width = floats[:1].size if len(floats) else int(np.prod(floats.shape[1:]))
        if max(self.col_ids, default=-1) >= width:
            raise ValueError(f"col_ids: {max(self.col_ids)}, floats has {width} columns")
        rows = floats.reshape(len(floats), width)
        ngrams = self.out(0, (len(floats),), np.int64)
        ngrams[...] = 0
        for column, values, numbers in self._columns:
            rounded = _rounded(rows[:, column])
            at = np.minimum(np.searchsorted(values, rounded), len(values) - 1)
            ngrams += np.where(values[at] == rounded, numbers[at], 0)
        return ngrams


def _sorted(values: list[int], base: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values in order, and for each the last place where it stands, times base."""
    found, last = np.unique(np.asarray(values[::-1], np.int64), return_index=True)
    return found, (len(values) - 1 - last) * base


def _rounded(x: np.ndarray) -> np.ndarray:
    """Half away from zero, as int32; what that cannot hold becomes its least, as a conversion in C has it."""
    wide = x.astype(np.float64)
    wide = np.trunc(wide + np.copysign(0.5, wide))
    return np.where(np.abs(wide) < 2**31, wide, -(2**31)).astype(np.int64)

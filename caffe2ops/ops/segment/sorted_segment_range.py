"""SortedSegmentRange with Sum, Mean, Max, LogSumExp and LogMeanExp of rows that stand together, and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Operator, row
from caffe2ops.ops.index.rows import sum_rows
from caffe2ops.ops.segment.lengths_reduce import as_matrix, greatest_of_runs
from caffe2ops.ops.segment.sorted_segment import sorted_segments


def _sum(rows: np.ndarray, ids: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> np.ndarray:
    return sum_rows(rows, np.arange(len(rows)), lengths, None, out)


def _mean(rows: np.ndarray, ids: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> np.ndarray:
    return np.divide(_sum(rows, ids, lengths, out), lengths.astype(out.dtype)[:, None], out=out)


def _max(rows: np.ndarray, ids: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> np.ndarray:
    if out.size:
        out[...] = greatest_of_runs(rows, lengths)
    return out


def _log_sum_exp(rows: np.ndarray, ids: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> np.ndarray:
    if out.size:
        greatest = np.maximum(greatest_of_runs(rows, lengths), np.finfo(out.dtype).min)
        np.log(_sum(np.exp(rows - greatest[ids]), ids, lengths, out), out=out)
        out += greatest
    return out


def _log_mean_exp(rows: np.ndarray, ids: np.ndarray, lengths: np.ndarray, out: np.ndarray) -> np.ndarray:
    return np.subtract(_log_sum_exp(rows, ids, lengths, out), np.log(lengths).astype(out.dtype)[:, None], out=out)


class RangeReduce(Operator):
    """Base of the reductions; `fold(rows, ids, lengths, out)`."""

    contract = ""
    fold: ClassVar[Callable[..., Any]]
    kind: ClassVar[str] = ""

    def infer(self, data: TensorSpec, ids: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN, *data.shape[1:]), data.dtype)

    def run_cpu(self, data: np.ndarray, ids: np.ndarray) -> Any:
        lengths = sorted_segments(ids, None)
        out = self.out(0, (len(lengths), *data.shape[1:]), data.dtype)
        with np.errstate(divide="ignore", invalid="ignore"):  # infinite elements
            type(self).fold(as_matrix(data), ids, lengths, as_matrix(out))
        return out

    def run_cuda(self, data: Any, ids: Any) -> Any:
        from caffe2ops.ops.segment import segment_ids_cuda

        return segment_ids_cuda.reduce_ranges(self.kind, self, data, ids, sorted_segments)


class RangeSpread(Operator):
    """Base of the gradients: dOUTPUT of its segment for each row, times `slope(x, y, n)` of what the row, its segment's
    OUTPUT and number of rows are.
    """

    slope: ClassVar[Callable[..., Any]]
    kind: ClassVar[str] = ""

    @staticmethod
    def wants_rows(count: int, width: int, **given: Any) -> None:
        """OUTPUT and its gradient may have any dims, as recurrent nets hand them over."""
        for name, value in given.items():
            if value.size != count * width:
                raise ValueError(f"{name}: shape is {list(value.shape)}, wants {count} rows like those of DATA")

    def run_cpu(self, data: np.ndarray, y: np.ndarray, dy: np.ndarray, ids: np.ndarray) -> Any:
        lengths, rows = sorted_segments(ids, None), as_matrix(data)
        self.wants_rows(len(lengths), rows.shape[1], OUTPUT=y, dOUTPUT=dy)
        y, dy = (value.reshape(len(lengths), rows.shape[1])[ids] for value in (y, dy))
        dx = self.out(0, data.shape, data.dtype)
        with np.errstate(invalid="ignore"):
            slope = type(self).slope(rows, y, lengths[ids].astype(data.dtype)[:, None])
            np.multiply(dy, slope, out=as_matrix(dx))
        return dx

    def run_cuda(self, data: Any, y: Any, dy: Any, ids: Any) -> Any:
        from caffe2ops.ops.segment import segment_ids_cuda

        return segment_ids_cuda.spread_ranges(self.kind, self, data, y, dy, ids, sorted_segments)


def _range(kind: str, what: str, fold: Callable[..., Any], slope: Callable[..., Any]) -> None:
    name = f"SortedSegmentRange{kind}"
    row(
        name,
        f"The {what} of the rows of each segment, column by column. Raises ValueError for ids that don't begin with 0, "
        "aren't sorted or have gaps. Caffe2: operators/segment_reduction_op.",
        RangeReduce,
        2,
        contract="DATA: float[K, ...], SEGMENT_IDS: int32[K] -> OUTPUT: DATA[?]",
        docs={
            "DATA": "rows, any dims after the first",
            "SEGMENT_IDS": "to which segment each row belongs: 0, 0, 1, 2, 2",
            "OUTPUT": "a row for each segment",
        },
        gradient=f"{name}Gradient(DATA, OUTPUT, dOUTPUT, SEGMENT_IDS) -> dDATA",
        fold=staticmethod(fold),
        kind=kind,
    )
    row(
        f"{name}Gradient",
        f"The gradient of {name}.",
        RangeSpread,
        2,
        contract="DATA: float[K, ...], OUTPUT: DATA, dOUTPUT: DATA, SEGMENT_IDS: int32[K] -> dDATA: DATA[K, ...]",
        docs={
            "DATA": "the input",
            "OUTPUT": "the output",
            "dOUTPUT": "its gradient",
            "SEGMENT_IDS": "the ids",
            "dDATA": "gradient of DATA",
        },
        slope=staticmethod(slope),
        kind=kind,
    )


_range("Sum", "sum", _sum, lambda x, y, n: 1)
_range("Mean", "mean", _mean, lambda x, y, n: 1 / n)
_range("Max", "greatest", _max, lambda x, y, n: x == y)
_range("LogSumExp", "logarithm of the sum of the exponentials", _log_sum_exp, lambda x, y, n: np.exp(x - y))
_range("LogMeanExp", "logarithm of the mean of the exponentials", _log_mean_exp, lambda x, y, n: np.exp(x - y) / n)

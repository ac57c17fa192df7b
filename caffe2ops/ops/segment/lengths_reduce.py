"""Segments folded to one row each: Lengths and SparseLengths with Sum, Mean, Max and WeightedSum.

Their gradients: lengths_spread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator, row
from caffe2ops.ops.index.rows import checked_indices, offsets_of, sum_rows
from caffe2ops.ops.shape.axes import Shape

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


def checked_lengths(lengths: np.ndarray, total: int | None, of: str = "DATA", name: str = "LENGTHS") -> np.ndarray:
    """The lengths, input `name`, which must be 0 or more and add up to the `total` rows of input `of`.

    Raises ValueError naming what is wrong.
    """
    if lengths.size and int(lengths.min()) < 0:
        bad = np.flatnonzero(lengths < 0)[0]
        raise ValueError(f"{name}: element {bad} is {lengths[bad]}, wants 0 or more")
    if total is not None and (found := int(lengths.sum(dtype=np.int64))) != total:
        raise ValueError(f"{name}: sum is {found}, {of} has {total} elements")
    return lengths


def as_matrix(x: np.ndarray) -> np.ndarray:
    """A tensor as a matrix of its rows along dim 0."""
    width = 1
    for dim in x.shape[1:]:
        width *= dim
    return x.reshape(x.shape[0], width)


def _folded(data: TensorSpec, lengths: TensorSpec) -> TensorSpec:
    """One row of DATA's kind for each segment, of float32 where DATA is float16."""
    shape: Shape = (*lengths.shape, *data.shape[1:])
    return TensorSpec(shape, np.float32 if data.dtype == np.float16 else data.dtype)


class LengthsReduce(Operator):
    """Base. Inputs: DATA, then SCALARS where `weighted`, then INDICES (rows of DATA) where `sparse`, then LENGTHS."""

    fold: ClassVar[Callable[..., Any]]
    kind: ClassVar[str] = ""
    weighted: ClassVar[bool] = False
    sparse: ClassVar[bool] = False

    def infer(self, data: TensorSpec, *rest: TensorSpec) -> TensorSpec:
        return _folded(data, rest[-1])

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        data, picked = inputs[0], inputs[-2].shape[0] if self.sparse else inputs[0].shape[0]
        touched = picked * (outputs[0].size // max(outputs[0].shape[0], 1))
        read = touched * data.dtype.itemsize + sum(s.nbytes for s in inputs[1:])
        return Cost(touched * (1 + self.weighted), read, outputs[0].nbytes)

    def _inputs(self, data: Any, rest: Any) -> tuple[Any, Any, Any, int]:
        """Weights and indices (None where there are none), lengths, and how many rows they are to add up to."""
        if not data.ndim:
            raise ValueError("DATA: has no dimensions, wants rows")
        weights, indices = rest[0] if self.weighted else None, rest[-2] if self.sparse else None
        count = len(data) if indices is None else len(indices)
        if weights is not None and len(weights) != count:
            raise ValueError(f"SCALARS: has {len(weights)} elements, wants {count}, as many as are summed")
        return weights, indices, rest[-1], count

    def run_cpu(self, data: np.ndarray, *rest: np.ndarray) -> Any:
        weights, indices, lengths, count = self._inputs(data, rest)
        checked_lengths(lengths, count, "INDICES" if self.sparse else "DATA")
        if indices is not None:
            checked_indices(indices, len(data))
        table, indices = _widened(as_matrix(data), indices)
        out = self.out(0, (len(lengths), *data.shape[1:]), table.dtype)
        type(self).fold(table, indices, lengths, weights, as_matrix(out))
        return out

    def run_cuda(self, data: Any, *rest: Any) -> Any:
        from caffe2ops.ops.segment import lengths_cuda

        weights, indices, lengths, count = self._inputs(data, rest)
        out = self.out(0, (len(lengths), *data.shape[1:]), _folded(data, lengths).dtype)
        of = "INDICES" if self.sparse else "DATA"
        return lengths_cuda.lengths_reduce(
            self.kind, data, indices, lengths, weights, out, lambda host: checked_lengths(host, count, of)
        )

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        kind, names = cls.kind, list(g.def_.input)
        data, lengths, dy = names[0], names[-1], g.GO(0)
        on_weights = cls.weighted and bool(g.def_.args.get("grad_on_weights", 0))
        scalars, indices = names[1:2] * cls.weighted, names[-2:-1] * cls.sparse
        if cls.sparse:
            g.set_sparse(0, indices[0], f"{data}_grad_values")
        out = [f"{data}_grad_values" if cls.sparse else g.GI(0), *((g.GI(1),) if on_weights else ())]
        if kind == "Max":
            return [g.op("LengthsMaxWithMainInputAndForwardOutputGradient", (g.O(0), dy, lengths, data), out)]
        if on_weights:
            kind, indices = f"{kind}WithMainInput", [data, *indices]
        elif not cls.sparse and not cls.weighted:
            indices = [data]
        prefix = (
            "SparseLengthsIndicesInGradient"
            if cls.sparse
            else "Lengths"
            if cls.weighted
            else "LengthsIndicesInGradient"
        )
        return [g.op(f"{prefix}{kind}Gradient", (*scalars, dy, lengths, *indices), out)]


def _widened(table: np.ndarray, indices: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """float16 rows as float32: the whole table or the rows in use, whichever is less."""
    if table.dtype != np.float16:
        return table, indices
    if indices is None or len(table) <= len(indices):
        return table.astype(np.float32), indices
    return table[indices].astype(np.float32), None


def _all(table: np.ndarray, indices: np.ndarray | None) -> np.ndarray:
    return np.arange(len(table)) if indices is None else indices


def _sum(
    table: np.ndarray, indices: np.ndarray | None, lengths: np.ndarray, weights: np.ndarray | None, out: np.ndarray
) -> None:
    sum_rows(table, _all(table, indices), lengths, weights, out)


def _mean(
    table: np.ndarray, indices: np.ndarray | None, lengths: np.ndarray, weights: np.ndarray | None, out: np.ndarray
) -> None:
    _sum(table, indices, lengths, weights, out)
    np.divide(out, np.maximum(lengths, 1).astype(out.dtype)[:, None], out=out)


def _max(
    table: np.ndarray, indices: np.ndarray | None, lengths: np.ndarray, weights: np.ndarray | None, out: np.ndarray
) -> None:
    rows = table if indices is None else table[indices]
    full = np.flatnonzero(lengths)
    out[...] = 0
    if full.size and out.size:
        out[full] = greatest_of_runs(rows, lengths[full].astype(np.int64))


def greatest_of_runs(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The greatest of each run of rows, none of them empty: neighbours are folded in pairs until one row a run is left.

    NumPy's own fold over runs is fast for single columns only.
    """
    if rows.shape[1] == 1:
        return np.maximum.reduceat(rows, offsets_of(lengths)[:-1], axis=0)
    while lengths.max() > 1:
        half = (lengths + 1) // 2
        start, end = offsets_of(lengths)[:-1], offsets_of(half)
        left = np.repeat(start - 2 * end[:-1], half) + 2 * np.arange(end[-1])
        right = left + 1
        right[end[1:][lengths % 2 == 1] - 1] -= 1  # the last of an odd run is its own partner
        rows = np.maximum(rows.take(left, axis=0), rows.take(right, axis=0))
        lengths = half
    return rows


_DOCS = {
    "DATA": "rows, any dims after the first",
    "SCALARS": "a weight for each row that is summed",
    "INDICES": "which rows of DATA, K of them",
    "LENGTHS": "how many rows each segment has; they add up to K",
    "OUTPUT": "a row for each segment",
}


def lengths_reduction(
    name: str, what: str, fold: Callable[..., Any], *, sparse: bool = False, weighted: bool = False
) -> None:
    """Declares one operator; its name ends in what it computes."""
    kind = name.removeprefix("Sparse").removeprefix("Lengths")
    inputs = ["DATA: floating" if sparse else "DATA: float"]
    inputs += ["SCALARS: float[K]"] * weighted + ["INDICES: integer[K]"] * sparse + ["LENGTHS: int32[N]"]
    of = "the rows of DATA that INDICES picks" if sparse else "the rows of DATA"
    errors, source = "Raises ValueError where LENGTHS does not add up.", "segment_reduction_op"
    if sparse:
        errors = f"float16 rows count as float32. {errors[:-1]}, IndexError for an index that is no row."
        source = "lengths_reducer_ops"
    members: dict[str, Any] = {}
    if weighted:
        members["grad_on_weights"] = Arg(False, doc="whether SCALARS gets a gradient too")
        members["__annotations__"] = {"grad_on_weights": "bool"}
    row(
        name,
        f"The {what} over each segment of {of}, 0 for an empty one. {errors} Caffe2: operators/{source}.",
        LengthsReduce,
        2,
        contract=f"{', '.join(inputs)} -> OUTPUT: DATA[?]",
        docs={key: text for key, text in _DOCS.items() if key in "".join(inputs) or key == "OUTPUT"},
        fold=staticmethod(fold),
        kind=kind,
        sparse=sparse,
        weighted=weighted,
        **members,
    )


lengths_reduction("LengthsSum", "sum", _sum)
lengths_reduction("LengthsMean", "mean", _mean)
lengths_reduction("LengthsMax", "greatest value, column by column,", _max)
lengths_reduction("LengthsWeightedSum", "weighted sum", _sum, weighted=True)
lengths_reduction("SparseLengthsSum", "sum", _sum, sparse=True)
lengths_reduction("SparseLengthsMean", "mean", _mean, sparse=True)
lengths_reduction("SparseLengthsWeightedSum", "weighted sum", _sum, sparse=True, weighted=True)


class SparseLengthsPositionalWeightedSum(Operator):
    """SparseLengthsWeightedSum whose weights go by the place in the segment: the j-th row of each is weighted with
    WEIGHT[j].

    Raises ValueError where a segment is longer than WEIGHT (Caffe2 reads beyond it). Caffe2:
    operators/lengths_reducer_ops.
    """

    contract = "DATA: floating, WEIGHT: float[P], INDICES: integer[K], LENGTHS: int32[N] -> output: DATA[?]"
    docs = {
        **{k: v for k, v in _DOCS.items() if k not in ("SCALARS", "OUTPUT")},
        "WEIGHT": "weights by place",
        "output": _DOCS["OUTPUT"],
    }

    def infer(self, data: TensorSpec, *rest: TensorSpec) -> TensorSpec:
        return _folded(data, rest[-1])

    @staticmethod
    def _check(lengths: np.ndarray, weight: Any, count: int) -> None:
        checked_lengths(lengths, count, "INDICES")
        if lengths.size and int(lengths.max()) > len(weight):
            raise ValueError(f"WEIGHT: has {len(weight)} elements, the longest segment has {lengths.max()}")

    def run_cpu(self, data: np.ndarray, weight: np.ndarray, indices: np.ndarray, lengths: np.ndarray) -> Any:
        self._check(lengths, weight, len(indices))
        table, picked = _widened(as_matrix(data), checked_indices(indices, len(data)))
        out = self.out(0, (len(lengths), *data.shape[1:]), table.dtype)
        place = np.arange(len(indices)) - np.repeat(offsets_of(lengths)[:-1], lengths)
        _sum(table, picked, lengths, weight[place], as_matrix(out))
        return out

    def run_cuda(self, data: Any, weight: Any, indices: Any, lengths: Any) -> Any:
        from caffe2ops.ops.segment import lengths_cuda

        out = self.out(0, (len(lengths), *data.shape[1:]), _folded(data, lengths).dtype)
        return lengths_cuda.lengths_reduce(
            "Sum", data, indices, lengths, weight, out, lambda host: self._check(host, weight, len(indices)), True
        )

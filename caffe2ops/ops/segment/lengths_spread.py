"""The gradients of Lengths and SparseLengths with Sum, Mean, WeightedSum and Max: a row for each element of each
segment.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.operator import Arg, Operator, row
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.segment.lengths_reduce import as_matrix, checked_lengths
from caffe2ops.ops.shape.axes import Shape, show


def _wants_segments(dy: Any, lengths: Any) -> None:
    if not dy.ndim or len(dy) != len(lengths):
        raise ValueError(f"dOUTPUT: shape is {show(dy.shape)}, LENGTHS has {len(lengths)} elements")


def spread(dy: np.ndarray, lengths: np.ndarray, total: int | None, of: str) -> np.ndarray:
    """Row s of dy as often as segment s is long, as a matrix."""
    _wants_segments(dy, lengths)
    return np.repeat(as_matrix(dy), checked_lengths(lengths, total, of), axis=0)


def _spread_cuda(
    op: Operator, kind: str, dy: Any, lengths: Any, total: int | None, of: str, weights: Any = None
) -> tuple[Any, Any]:
    """The gradient of DATA as output 0 on CUDA, and the segment of each of its rows."""
    from caffe2ops.ops.segment import lengths_cuda

    _wants_segments(dy, lengths)
    ids, offsets = lengths_cuda.segment_ids(lengths, total, lambda host: checked_lengths(host, total, of))
    dx = op.out(0, (ids.size, *dy.shape[1:]), dy.dtype)
    return lengths_cuda.spread(kind, dy, ids, offsets, weights, dx), ids


class LengthsSpread(Operator):
    """Base of the gradients by DATA of sums and means; an input after LENGTHS, DATA or INDICES, says how many rows
    there are.
    """

    mean: ClassVar[bool] = False

    def infer(self, dy: TensorSpec, lengths: TensorSpec, *rest: TensorSpec) -> TensorSpec:
        count = rest[0].shape[0] if rest and rest[0].has_rank else UNKNOWN
        return TensorSpec((count, *dy.shape[1:]), dy.dtype)

    def run_cpu(self, dy: np.ndarray, lengths: np.ndarray, *rest: np.ndarray) -> Any:
        if self.mean and dy.ndim and len(dy) == len(lengths):
            dy = dy / np.maximum(lengths, 1).astype(dy.dtype).reshape(-1, *(1,) * (dy.ndim - 1))
        rows = spread(dy, lengths, len(rest[0]) if rest else None, self.parsed.inputs[-1].name)
        return rows.reshape(len(rows), *dy.shape[1:])

    def run_cuda(self, dy: Any, lengths: Any, *rest: Any) -> Any:
        total, of = len(rest[0]) if rest else None, self.parsed.inputs[-1].name
        return _spread_cuda(self, "Mean" if self.mean else "Sum", dy, lengths, total, of)[0]


class WeightedSpread(Operator):
    """Base of the gradients of weighted sums: by DATA, and with DATA as an input by SCALARS too."""

    main_input: ClassVar[bool] = False
    grad_on_weights: bool = Arg(False, doc="as in the forward operator")

    def infer(self, scalars: TensorSpec, dy: TensorSpec, *rest: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec((*scalars.shape, *dy.shape[1:]), dy.dtype), scalars

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(outputs[0].size * (1 + 2 * self.main_input), moved.bytes_read, moved.bytes_written)

    def run_cpu(self, scalars: np.ndarray, dy: np.ndarray, lengths: np.ndarray, *rest: np.ndarray) -> Any:
        grown = spread(dy, lengths, len(scalars), "SCALARS")
        ddata = self.out(0, (len(scalars), *dy.shape[1:]), dy.dtype)
        np.multiply(grown, scalars[:, None], out=as_matrix(ddata))
        if not self.main_input:
            return ddata
        rows = self._rows(len(scalars), *rest)
        _check_width(rows.shape[1], grown.shape[1])
        return ddata, np.einsum("kd,kd->k", rows, grown, out=self.out(1, scalars.shape, scalars.dtype))

    def run_cuda(self, scalars: Any, dy: Any, lengths: Any, *rest: Any) -> Any:
        from caffe2ops.ops.segment import lengths_cuda

        if self.main_input:
            self._check_count(len(scalars), *rest)
        ddata, ids = _spread_cuda(self, "WeightedSum", dy, lengths, len(scalars), "SCALARS", scalars)
        if not self.main_input:
            return ddata
        data, indices = (*rest, None)[:2]
        _check_width(lengths_cuda.width_of(data), lengths_cuda.width_of(dy))
        dscalars = self.out(1, scalars.shape, scalars.dtype)
        return ddata, lengths_cuda.products(dy, ids, data, indices, dscalars)

    @staticmethod
    def _check_count(count: int, data: Any, indices: Any = None) -> None:
        if len(data) != count if indices is None else len(indices) != count:
            raise ValueError(f"{'DATA' if indices is None else 'INDICES'}: has another length than SCALARS, {count}")

    def _rows(self, count: int, data: np.ndarray, indices: np.ndarray | None = None) -> np.ndarray:
        """The rows that were summed."""
        self._check_count(count, data, indices)
        matrix = as_matrix(data)
        return matrix if indices is None else matrix[checked_indices(indices, len(data))]


def _check_width(rows: int, dy: int) -> None:
    if rows != dy:
        raise ValueError(f"DATA: has rows of {rows} elements, dOUTPUT of {dy}")


class LengthsMaxWithMainInputAndForwardOutputGradient(Operator):
    """The gradient of LengthsMax: dOUTPUT for every element of the segment that equals its greatest, 0 elsewhere."""

    contract = "OUTPUT: float, dOUTPUT: OUTPUT, LENGTHS: int32[N], DATA: OUTPUT -> dDATA: DATA"
    docs = {
        "OUTPUT": "output of LengthsMax",
        "dOUTPUT": "its gradient",
        "LENGTHS": "of the segments",
        "DATA": "the input",
    }

    @staticmethod
    def _check(lengths: Any, data: Any, **given: Any) -> None:
        wanted: Shape = (len(lengths), *data.shape[1:])
        for name, value in given.items():
            if value.shape != wanted:
                raise ValueError(f"{name}: shape is {show(value.shape)}, wants {show(wanted)}")

    def run_cpu(self, y: np.ndarray, dy: np.ndarray, lengths: np.ndarray, data: np.ndarray) -> Any:
        self._check(lengths, data, OUTPUT=y, dOUTPUT=dy)
        greatest, grown = spread(y, lengths, len(data), "DATA"), spread(dy, lengths, len(data), "DATA")
        dx = self.out(0, data.shape, data.dtype)
        np.multiply(grown, as_matrix(data) == greatest, out=as_matrix(dx))
        return dx

    def run_cuda(self, y: Any, dy: Any, lengths: Any, data: Any) -> Any:
        from caffe2ops.ops.segment import lengths_cuda

        self._check(lengths, data, OUTPUT=y, dOUTPUT=dy)
        count = len(data)
        ids, _ = lengths_cuda.segment_ids(lengths, count, lambda host: checked_lengths(host, count))
        return lengths_cuda.spread_max(y, dy, ids, data, self.out(0, data.shape, data.dtype))


_DOCS = {
    "SCALARS": "the weights",
    "dOUTPUT": "gradient of OUTPUT, a row for each segment",
    "LENGTHS": "of the segments",
    "DATA": "input of the forward operator",
    "INDICES": "its indices",
    "dDATA": "gradient of the rows that were summed, one for each",
    "dSCALARS": "gradient of SCALARS",
}
_INPUTS = {
    "SCALARS": "SCALARS: float[K]",
    "dOUTPUT": "dOUTPUT: float",
    "LENGTHS": "LENGTHS: int32[N]",
    "DATA": "DATA: floating",
    "INDICES": "INDICES: integer[K]",
}


def _gradient(name: str, of: str, inputs: str, base: type[Operator], **members: Any) -> None:
    outputs = ["dDATA: dOUTPUT[?]"] + ["dSCALARS: SCALARS"] * members.get("main_input", False)
    row(
        name,
        f"The gradient of {of}.",
        base,
        2,
        contract=f"{', '.join(_INPUTS[i] for i in inputs.split())} -> {', '.join(outputs)}",
        docs={port: _DOCS[port] for port in (*inputs.split(), *(out.split(":")[0] for out in outputs))},
        **members,
    )


for _kind in ("Sum", "Mean"):
    for _name, _of, _inputs in (
        (f"Lengths{_kind}Gradient", f"Lengths{_kind}", "dOUTPUT LENGTHS"),
        (f"LengthsIndicesInGradient{_kind}Gradient", f"Lengths{_kind}", "dOUTPUT LENGTHS DATA"),
        (f"SparseLengths{_kind}Gradient", f"SparseLengths{_kind} by the rows it sums", "dOUTPUT LENGTHS"),
        (
            f"SparseLengthsIndicesInGradient{_kind}Gradient",
            f"SparseLengths{_kind} by the rows it sums",
            "dOUTPUT LENGTHS INDICES",
        ),
    ):
        _gradient(_name, _of, _inputs, LengthsSpread, mean=_kind == "Mean")
for _name, _of, _inputs in (
    ("LengthsWeightedSumGradient", "LengthsWeightedSum", "SCALARS dOUTPUT LENGTHS"),
    ("SparseLengthsWeightedSumGradient", "SparseLengthsWeightedSum", "SCALARS dOUTPUT LENGTHS"),
    (
        "SparseLengthsIndicesInGradientWeightedSumGradient",
        "SparseLengthsWeightedSum",
        "SCALARS dOUTPUT LENGTHS INDICES",
    ),
):
    _gradient(_name, f"{_of} by the rows it sums", _inputs, WeightedSpread)
for _name, _of, _inputs in (
    ("LengthsWeightedSumWithMainInputGradient", "LengthsWeightedSum", "SCALARS dOUTPUT LENGTHS DATA"),
    (
        "SparseLengthsWeightedSumWithMainInputGradient",
        "SparseLengthsWeightedSum",
        "SCALARS dOUTPUT LENGTHS DATA INDICES",
    ),
    (
        "SparseLengthsIndicesInGradientWeightedSumWithMainInputGradient",
        "SparseLengthsWeightedSum",
        "SCALARS dOUTPUT LENGTHS DATA INDICES",
    ),
):
    _gradient(_name, f"{_of} by the rows it sums and by SCALARS", _inputs, WeightedSpread, main_input=True)

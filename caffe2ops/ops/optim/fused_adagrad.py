"""Adagrad steps fused with the gradient of SparseLengthsSum, Mean and WeightedSum: one row of a table each."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import Arg, Array, row
from caffe2ops.ops.index.rows import checked_indices, offsets_of
from caffe2ops.ops.optim.rows import F, Optimizer, matrix, one, rounds
from caffe2ops.ops.segment.lengths_reduce import checked_lengths

DOCS = {
    "param": "parameters, the table that was summed",
    "moment": "sum of the squared gradients so far",
    "aux_param": "the weights by place in a segment, as many as the longest has indices, or more",
    "indices": "the rows that were summed, one segment after the other",
    "grad": "gradient of the sums, a row for each segment",
    "lr": "learning rate, one element; negative to descend",
    "lengths": "how many indices each segment has; they add up to K",
    "output_param": "new parameters",
    "output_moment": "new sum of the squared gradients",
    "aux_grad": "the gradient of the weight of each index",
}


class FusedAdagrad(Optimizer):
    """Base: updates the rows that `indices` names, occurrence after occurrence, with the gradient of their segment."""

    gradient = None  # type: ignore[assignment]  # Caffe2 registers none
    docs = DOCS
    inplace = inplace_enforced = ((0, 0), (1, 1))
    row_wise: ClassVar[bool] = False
    kind: ClassVar[str] = ""
    approximate: ClassVar[bool] = False
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")
    decay: float = Arg(1.0, choices=(1.0,), doc="must be 1")
    weight_decay: float = Arg(0.0, doc="share of the parameter that is added to its gradient")
    round_option: int = Arg(0, doc="how Caffe2's CUDA operator rounds to float16; not heeded on the CPU")

    def run_cpu(self, param: np.ndarray, moment: np.ndarray, *rest: np.ndarray) -> Any:
        indices, grad, lr, lengths = rest[-4:]
        _check(indices, lengths, len(param), len(rest[0]) if self.kind == "WeightedSum" else None)
        table, history, rate = matrix(param), matrix(moment), one("lr", lr)
        segments = matrix(grad)
        if self.kind == "Mean":
            segments = segments / np.maximum(lengths, 1).astype(grad.dtype)[:, None]
        rows = np.repeat(segments, lengths, axis=0)
        weights = of_weights = None
        if self.kind == "WeightedSum":
            places = np.arange(len(indices)) - np.repeat(offsets_of(lengths)[:-1], lengths)
            weights = rest[0][places, None]
            of_weights = np.einsum("kd,kd->k", rows, table[indices])
        for index, at in rounds(indices):
            old, g = table[index], rows[at]
            if weights is not None and of_weights is not None:
                if self.approximate:
                    of_weights[at] = np.einsum("kd,kd->k", g, old)
                g = g * weights[at]
            if self.weight_decay:
                g = g + F(self.weight_decay) * old
            history[index] += (g * g).mean(axis=1, keepdims=True) if self.row_wise else g * g
            table[index] = old + rate * g / (np.sqrt(history[index]) + F(self.epsilon))
        return (param, moment) if weights is None else (param, moment, of_weights)

    def run_cuda(self, param: Array, moment: Array, *rest: Array) -> Any:
        from caffe2ops.ops.optim import fused_adagrad_cuda

        (indices, grad, lr, lengths), weights = rest[-4:], rest[0] if self.kind == "WeightedSum" else None
        check = partial(_check, rows=len(param), weights=None if weights is None else len(weights))
        aux = None if weights is None else self.out(2, indices.shape, param.dtype)
        rate = one("lr", lr).reshape(1)
        fused_adagrad_cuda.step(self, param, moment, weights, indices, grad, rate, lengths, aux, check)
        return (param, moment) if weights is None else (param, moment, aux)


def _check(indices: np.ndarray, lengths: np.ndarray, rows: int, weights: int | None) -> None:
    """Raises an error where an index is no row, lengths don't add up or are more than there are weights."""
    checked_lengths(lengths, len(indices), "indices", name="lengths")
    checked_indices(indices, rows, "indices", "param")
    if weights is not None and (longest := lengths.max(initial=0)) > weights:
        raise ValueError(f"aux_param: has {weights} elements, the longest segment has {longest} indices")


_KINDS = {
    "Sum": "the gradient of SparseLengthsSum",
    "Mean": "the gradient of SparseLengthsMean",
    "WeightedSum": "the gradient of SparseLengthsWeightedSum with weights by place, whose gradient is aux_grad",
}
_SAME = "It does what the operator without Approx does"
_EARLIER = "aux_grad is that of the parameters as earlier occurrences of a row have left them"


def _declare(kind: str, row_wise: bool, approximate: bool) -> None:
    weighted, name = kind == "WeightedSum", f"{'RowWise' * row_wise}SparseAdagrad"
    note = f" {_EARLIER if weighted else _SAME}." * approximate
    row(
        f"{name}FusedWithSparseLengths{kind}Gradient{'Approx' * approximate}",
        f"A step of {name}, fused with {_KINDS[kind]}; in place.{note} Raises IndexError for an index that is no row, "
        "ValueError where lengths do not add up to the number of indices. "
        f"Caffe2: sgd/{'rowwise_' * row_wise}adagrad_fused.",
        FusedAdagrad,
        2,
        contract=f"param: float[R, ...], moment: param[{'R' if row_wise else 'R, ...'}], "
        f"{'aux_param: param[A], ' * weighted}indices: integer[K], grad: param[N, ...], lr: param, lengths: int32[N] "
        f"-> output_param: param, output_moment: moment{', aux_grad: param[K]' * weighted}",
        docs={port: text for port, text in DOCS.items() if weighted or not port.startswith("aux")},
        row_wise=row_wise,
        kind=kind,
        approximate=approximate,
    )


for _kind in _KINDS:
    for _row_wise in (False, True):
        for _approximate in (False, True):
            _declare(_kind, _row_wise, _approximate)

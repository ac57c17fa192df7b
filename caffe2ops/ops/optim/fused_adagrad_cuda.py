"""The fused Adagrad steps on CUDA arrays: rows that repeat are updated in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.cuda import Reduction, RowUpdate
from caffe2ops.ops.index.places_cuda import rows_of
from caffe2ops.ops.optim.rows import F
from caffe2ops.ops.segment.lengths_cuda import offsets_of, on_host, products, spread, width_of

_FLOATS = ("float32", "float64")
_STEP = "p += lr[0] * g / (sqrt(m) + T(epsilon))"
# (row-wise, whether the products of u, the gradient without its weight, and the parameter are wanted) -> the step
_STEPS = {
    (row_wise, dots): RowUpdate(
        f"{'dot = u * p; ' * dots}{'m += g * g; ' * (not row_wise)}{_STEP}",
        states="p" if row_wise else "p m", inputs="g u" if dots else "g", outputs="dot" * dots, tables="lr",
        scalars="epsilon weight_decay", prepare="if (weight_decay != 0) g += T(weight_decay) * p",
        row_states="m" * row_wise, fold="g * g" if row_wise else "T(0)", row="m += mean" * row_wise,
        name=f"{'row_wise_' * row_wise}fused_adagrad{'_dots' * dots}",
    )
    for row_wise in (False, True)
    for dots in (False, True)
}  # fmt: skip
_TOTALS = Reduction(combine="a + b", identity="A(0)", dtypes=_FLOATS, name="totals_of_dots")


def step(
    op: Any, param: Any, moment: Any, weights: Any, indices: Any, grad: Any, lr: Any, lengths: Any, aux: Any,
    check: Callable[..., Any],
) -> None:  # fmt: skip
    """A FusedAdagrad, in place; the gradient of the weights goes to `aux`. `check(indices, lengths)` is the CPU's."""
    import cupy

    offsets, bad = offsets_of(lengths, indices.size)
    bad = bad | ((indices < 0) | (indices >= len(param))).any()
    if weights is not None:
        bad = bad | (lengths > weights.size).any()
    if int(bad[0]):
        on_host(check, indices, lengths)
    ids, width, dtype = rows_of(offsets, indices.size), width_of(param), param.dtype
    of_index = weights if weights is None else weights.take(cupy.arange(ids.size) - offsets[ids])
    named = {"p": param, "m": moment, "lr": lr, "g": _rows(op.kind, grad, ids, offsets, of_index)}
    dots = weights is not None and op.approximate
    if dots:
        named |= {"u": _rows("Sum", grad, ids, offsets, None), "dot": cupy.empty((ids.size, width), dtype)}
    elif weights is not None:
        products(grad, ids, param, indices, aux)
    numbers = {"epsilon": float(F(op.epsilon)), "weight_decay": float(F(op.weight_decay))}
    _STEPS[op.row_wise, dots](indices, width, **named, **numbers)
    if dots:
        _TOTALS(named["dot"], aux, axes=(1,))


def _rows(kind: str, grad: Any, ids: Any, offsets: Any, weights: Any) -> Any:
    """The gradient of each index, [K, D]."""
    import cupy

    return spread(kind, grad, ids, offsets, weights, cupy.empty((ids.size, width_of(grad)), np.dtype(grad.dtype)))

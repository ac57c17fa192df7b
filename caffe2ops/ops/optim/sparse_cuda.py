"""The steps of sparse optimizers on CUDA arrays: one expression each; rows that repeat are updated in order."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Reduction, RowUpdate
from caffe2ops.ops.optim.rows import F

ADAGRAD = RowUpdate(
    "m += g * g; p += lr[0] * g / (sqrt(m) + T(epsilon))",
    states="p m", tables="lr", scalars="epsilon weight_decay", prepare="g += T(weight_decay) * p",
    name="sparse_adagrad",
)  # fmt: skip
ROW_WISE_ADAGRAD = RowUpdate(
    "p += lr[0] / (sqrt(m) + T(epsilon)) * g",
    states="p", row_states="m", tables="lr counter:float64", scalars="epsilon weight_decay halflife",
    prepare="g += T(halflife > 0 && counter[row] > 0 ? weight_decay * halflife / counter[row] : weight_decay) * p",
    fold="g * g", row="m += mean", name="row_wise_sparse_adagrad",
)  # fmt: skip
ADAM = RowUpdate(
    "m1 = m1 * T(beta1) + g * T(rest1); m2 = m2 * T(beta2) + g * g * T(rest2); "
    "step = T(c) * m1 / (plain ? T(1) : sqrt(m2) + T(epsilon)); p += lr[0] * step",
    states="p m1 m2", outputs="step", tables="lr", scalars="beta1 rest1 beta2 rest2 epsilon c", int_scalars="plain",
    name="sparse_adam",
)  # fmt: skip
ROW_WISE_ADAM = RowUpdate(
    "m1 = m1 * T(beta1) + g * T(rest1); step = T(c) * m1 / (sqrt(m2) + T(epsilon)); p += lr[0] * step",
    states="p m1", row_states="m2", outputs="step", tables="lr", scalars="beta1 rest1 beta2 rest2 epsilon c",
    fold="g * g", row="m2 = m2 * T(beta2) + mean * T(rest2)", name="row_wise_sparse_adam",
)  # fmt: skip
SMART_DECAY_ADAM = RowUpdate(
    "const T old = m1; m1 = m1 * T(pow(beta1, k)) + g * T(rest1); m2 = m2 * T(pow(beta2, k)) + g * g * T(rest2); "
    "p += lr[0] * (m1 + old * T(k > 1 ? beta1 * (1 - pow(beta1, k - 1)) / (1 - beta1) : 0)) / (sqrt(m2) + T(epsilon))",
    states="p m1 m2", row_states="seen:int64", tables="lr", scalars="beta1 rest1 beta2 rest2 epsilon", int_scalars="t",
    row="const double k = double(t - seen); seen = t", name="smart_decay_sparse_adam",
)  # fmt: skip
MOMENTUM = RowUpdate(
    "const T old = m; m = g * lr[0] + m * T(momentum); "
    "step = nesterov ? m * (T(1) + T(momentum)) - old * T(momentum) : m; p -= step",
    states="p m", outputs="step", tables="lr", scalars="momentum", int_scalars="nesterov", name="sparse_momentum",
)  # fmt: skip
ADADELTA = RowUpdate(
    "m = T(decay) * m + T(rest) * g * g; const T s = sqrt(d + T(epsilon)) / sqrt(m + T(epsilon)) * g; "
    "p += lr[0] * s; d = T(decay) * d + T(rest) * s * s",
    states="p m d", tables="lr", scalars="decay rest epsilon", name="sparse_adadelta",
)  # fmt: skip
FTRL = RowUpdate(
    "const T n = nz[0] + g * g, root = sqrt(n), z = nz[1] + g - (root - sqrt(nz[0])) * inverse[0] * p; "
    "const T away = z < T(0) ? -z : z; "
    "p = away > T(lambda1) ? ((z > T(0) ? T(lambda1) : -T(lambda1)) - z) / "
    "((T(beta) + root) * inverse[0] + T(lambda2)) : z * T(0); nz[0] = n; nz[1] = z",
    states="p nz:2", tables="inverse", scalars="beta lambda1 lambda2", name="sparse_ftrl",
)  # fmt: skip
ADD = RowUpdate("p += rate[0] * g", states="p", tables="rate", name="sparse_add")
STORM = RowUpdate("m = g + keep[0] * (m - g); p += rate[0] * m", states="p m", tables="rate keep", name="sparse_storm")
COUNTER = RowUpdate(
    "count = T(1) + count * exp2(-T(now > last ? now - last : 0) / T(halflife)); last = now > last ? now : last",
    states="count", row_states="last:int64", inputs="", int_scalars="now", scalars="halflife", dtypes=("float64",),
    name="row_wise_counter",
)  # fmt: skip
_SQUARES = Reduction(
    map="x * x", combine="a + b", identity="A(0)", dtypes=("float32", "float64"), name="sum_of_gradient_squares"
)


def betas(op: Any) -> dict[str, float]:
    """What Adam multiplies its moments and their increments with, rounded as on the CPU."""
    return {
        "beta1": float(F(op.beta1)), "rest1": float(F(1) - F(op.beta1)), "beta2": float(F(op.beta2)),
        "rest2": float(F(1) - F(op.beta2)), "epsilon": float(F(op.epsilon)),
    }  # fmt: skip


def squares(grad: Any) -> Any:
    """The sum of the squares of a gradient, [1] on the device."""
    import cupy

    return _SQUARES(grad, cupy.empty(1, grad.dtype))


def width_of(rows: Any) -> int:
    """How many elements a row has."""
    return int(np.prod(rows.shape[1:], dtype=np.int64))

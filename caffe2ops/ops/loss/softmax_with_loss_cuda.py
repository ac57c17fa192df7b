"""SoftmaxWithLoss on CUDA arrays, on the kernels of Softmax. Nothing waits for the divisor: it stays on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction
from caffe2ops.ops.activation.softmax import EXP, LARGEST, OVER, TOTAL
from caffe2ops.ops.reduce.sums_cuda import sum_rows

_FLOATS = ("float32", "float64")
_LABEL = "long long c = labels[{row}]; if (c < 0 || c >= classes) {{ atomicExch(bad, 1); c = 0; }} "
_LABEL_LOSS = Elementwise(
    f"{_LABEL.format(row='i')}loss = log(sums) - (x[i * classes + c] - largest);",
    "sums largest", "loss", tables="x labels:int32", int_scalars="classes", flags="bad", dtypes=_FLOATS,
    name="softmax_label_loss",
)  # fmt: skip
_LOSS = Elementwise(
    "if (!(label >= T_label(0))) atomicExch(bad, 1); loss = -log(p > T(1e-20) ? p : T(1e-20)) * T(label);",
    "p label", "loss", flags="bad", dtypes=_FLOATS, name="softmax_loss",
)  # fmt: skip
_OFF = Elementwise(
    "const T_sums away = sums - T_sums(1); if (!(away < T_sums(1e-5) && away > T_sums(-1e-5))) atomicExch(bad, 1); "
    "y = sums;",
    "sums", "y", flags="bad", dtypes=_FLOATS, name="sums_of_labels",
)  # fmt: skip
_WEIGHTED = Elementwise("loss * weight", "loss weight", "y", dtypes=_FLOATS, name="weighted_loss")
_IN_DOUBLE = Reduction(combine="a + b", identity="A(0)", accumulator="float64", dtypes=_FLOATS, name="sum_in_double")
_QUOTIENT = Elementwise(
    "total != 0 ? summed * scale / total : 0", "summed total", "loss:float64", scalars="scale", dtypes=("float64",),
    name="scaled_loss",
)  # fmt: skip
_SLOPE = "total[0] != 0 ? double(dloss[0]) * scale / total[0] : 0"
_BACK = {
    True: Elementwise(
        f"dx = (p - T(label)) * weight * T({_SLOPE});",
        "p label weight", "dx", tables="dloss total:float64", scalars="scale", dtypes=_FLOATS, name="softmax_loss_back",
    ),
    False: Elementwise(
        f"{_LABEL.format(row='i / classes')}dx = (p - T(i % classes == c)) * weight * T({_SLOPE});",
        "p weight", "dx", tables="labels:int32 dloss total:float64", int_scalars="classes", scalars="scale",
        flags="bad", dtypes=_FLOATS, name="softmax_label_back",
    ),
}  # fmt: skip


def _divisor(op: Any, weights: Any, n: int) -> Any:
    """What the summed loss is divided by, float64 [] on the device."""
    import cupy

    if weights is None or op.average_by_batch_size:
        return cupy.full((), n, np.float64)
    return _IN_DOUBLE(weights, cupy.empty((), np.float64))


def forward(op: Any, logits: Any, labels: Any, weights: Any, softmax: Any, loss: Any) -> None:
    """The softmax of each row [N, D] and the loss []; labels and weights have passed the checks of their shapes."""
    import cupy

    (n, d), bad = logits.shape, cupy.zeros(1, np.int32)
    largest, sums, losses = (cupy.empty((n, 1), logits.dtype) for _ in range(3))
    LARGEST(logits, largest, axes=(1,))
    EXP(logits, largest, out=softmax)
    OVER(softmax, TOTAL(softmax, sums, axes=(1,)), out=softmax)
    if op.label_prob:
        each = _LOSS(softmax, labels, out=cupy.empty((n, d), logits.dtype), bad=bad)
        sum_rows(each, losses.reshape(n))
        total = _IN_DOUBLE(labels, cupy.empty(n, np.float64), axes=(1,))
        _OFF(total, out=total, bad=bad)
    else:
        _LABEL_LOSS(sums, largest, out=losses, x=logits, labels=labels, classes=d, bad=bad)
    if weights is not None:
        _WEIGHTED(losses, weights.reshape(n, 1), out=losses)
    summed = _IN_DOUBLE(losses, cupy.empty((), np.float64))
    loss[...] = _QUOTIENT(summed, _divisor(op, weights, n), out=summed, scale=op.scale)
    if int(bad[0]):
        op.refuse(labels.get(), softmax.get())


def backward(op: Any, p: Any, labels: Any, weights: Any, dloss: Any, dx: Any) -> None:
    """The gradient of the logits [N, D]."""
    import cupy

    (n, d), bad = dx.shape, cupy.zeros(1, np.int32)
    weight = cupy.ones((1, 1), dx.dtype) if weights is None else weights.reshape(n, 1)
    named = {"dloss": dloss.reshape(-1), "total": _divisor(op, weights, n).reshape(1), "scale": op.scale}
    if op.label_prob:
        _BACK[True](p, labels, weight, out=dx, **named)
    else:
        _BACK[False](p, weight, out=dx, labels=labels, classes=d, bad=bad, **named)
        if int(bad[0]) or not dx.size:
            op.refuse(labels.get(), p.get())

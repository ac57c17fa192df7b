"""Losses of probabilities and of logits on CUDA arrays: what each element or row gives, before it is summed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction
from caffe2ops.ops.reduce.sums_cuda import sum_of

_FLOATS = ("float32", "float64")
_SMALLEST = "T(1e-20)"
_LABEL = "long long c = label[{row}]; if (c < 0 || c >= classes) {{ atomicExch(bad, 1); c = 0; }} "
LABEL_LOSS = Elementwise(
    f"{_LABEL.format(row='i')}const T p = X[i * classes + c]; Y = -log(p > {_SMALLEST} ? p : {_SMALLEST});",
    tables="X label:int32", int_scalars="classes", flags="bad", dtypes=_FLOATS, name="label_loss",
)  # fmt: skip
LABEL_BACK = Elementwise(
    f"{_LABEL.format(row='i / classes')}"
    f"dX = i % classes == c ? -dY[i / classes] / (X > {_SMALLEST} ? X : {_SMALLEST}) : T(0);",
    "X", "dX", tables="dY label:int32", int_scalars="classes", flags="bad", dtypes=_FLOATS, name="label_loss_back",
)  # fmt: skip
_LOSS = Elementwise(
    f"if (!(label >= T(0) && label <= T(1))) atomicExch(bad, 1); Y = -log(X > {_SMALLEST} ? X : {_SMALLEST}) * label;",
    "X label", flags="bad", dtypes=_FLOATS, name="cross_entropy",
)  # fmt: skip
BACK = Elementwise(
    f"-dY * label / (X > {_SMALLEST} ? X : {_SMALLEST})", "X label dY", "dX", dtypes=_FLOATS, name="cross_entropy_back"
)
TWO_CLASSES = Elementwise(
    "i % 2 ? X[i / 2] : T(1) - X[i / 2]", tables="X", dtypes=_FLOATS, name="make_two_class"
)  # fmt: skip
TWO_CLASSES_BACK = Elementwise(
    "dY[2 * i + 1] - dY[2 * i]", outputs="dX", tables="dY", dtypes=_FLOATS, name="make_two_class_back"
)

_LOGITS = """
template <typename F> __device__ __forceinline__ F softplus(F x) {
  return (x > F(0) ? x : F(0)) + log1p(exp(x > F(0) ? -x : x));
}
template <typename F> __device__ __forceinline__ F logistic(F x) {
  const F small = exp(x > F(0) ? -x : x);
  return (x >= F(0) ? F(1) : small) / (F(1) + small);
}
"""
# form -> (the loss of a logit x with target t, its derivative by x), as in sigmoid_cross_entropy
_FORMS = {
    "plain": ("softplus(x) - x * t", "logistic(x) - t"),
    "log_D_trick": ("(T(2) * t - T(1)) * softplus(-x)", "(T(1) - T(2) * t) * (T(1) - logistic(x))"),
    "unjoined_lr_loss": ("(T(1) - t) * softplus(x) - x * t", "(T(1) - t) * logistic(x) - t"),
}
_MEAN = Reduction(combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)", dtypes=_FLOATS, name="mean_of_losses")
OF_LOGITS = {
    (form, weighted): tuple(
        Elementwise(expression, inputs, "y", int_scalars=sizes, dtypes=_FLOATS, preamble=_LOGITS, name=name)
        for expression, inputs, sizes, name in (
            (f"({loss}){weight}", f"x t{w}", "", "logit_loss"),
            (f"({slope}){weight} * dy / T(n)", f"x t{w} dy", "n", "logit_loss_back"),
        )
    )
    for form, (loss, slope) in _FORMS.items()
    for weighted, weight, w in ((False, "", ""), (True, " * w", " w"))
}


def flagged(kernel: Elementwise, *arrays: Any, out: Any, check: Callable[[], Any], **named: Any) -> Any:
    """Runs a kernel with a flag; where it is raised, or nothing ran, `check` says what is wrong."""
    import cupy

    bad = cupy.zeros(1, np.int32)
    kernel(*arrays, out=out, bad=bad, **named)
    if int(bad[0]) or not out.size:
        check()
    return out


def cross_entropy(x: Any, label: Any, y: Any, check: Callable[[], Any]) -> Any:
    """y [N] = the sums of -label log x over the rows of x [N, D]."""
    import cupy

    bad = cupy.zeros(1, np.int32)
    sum_of(_LOSS, x, label, out=y, bad=bad)
    if int(bad[0]):
        check()
    return y


def logit_losses(form: str, inputs: tuple[Any, ...], y: Any) -> Any:
    """The mean over the last dim of the losses of logits, targets and maybe weights."""
    import cupy

    logits = inputs[0]
    each = OF_LOGITS[form, len(inputs) == 3][0](*inputs, out=cupy.empty(logits.shape, logits.dtype))
    return _MEAN(each, y, axes=(logits.ndim - 1,) if logits.ndim else ())


def logit_gradients(form: str, inputs: tuple[Any, ...], dy: Any, dx: Any) -> Any:
    """The gradient by the logits."""
    shape = dx.shape
    dy = dy.reshape((*shape[:-1], 1) if shape else ())
    return OF_LOGITS[form, len(inputs) == 3][1](*inputs, dy, out=dx, n=shape[-1] if shape else 1)

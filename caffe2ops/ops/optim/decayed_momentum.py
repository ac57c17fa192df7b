"""FP32MomentumSGDUpdate and FP16MomentumSGDUpdate: momentum SGD with weight decay in one step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.optim.momentum_sgd import DOCS, Momentum
from caffe2ops.ops.optim.rows import F, one


class DecayedMomentum(Momentum):
    """Base: g = grad + weight_decay param, then the step of MomentumSGDUpdate with g."""

    gradient = None  # type: ignore[assignment]  # Caffe2 registers none
    docs = DOCS
    inplace = ((0, 0), (1, 1), (3, 2))
    weight_decay: float = Arg(0.0, doc="share of the parameter that is added to its gradient")

    def update(
        self, given: tuple[Array, ...], lr: Array, number: type[np.floating], rounded: Callable[[Array], Array]
    ) -> tuple[Array, ...]:
        """The three outputs, computed with numbers of one type, `rounded` after each operation."""
        grad, moment, param = (value.astype(number) for value in given)
        rate, share, decay = (rounded(number(v)) for v in (one("lr", lr), F(self.momentum), F(self.weight_decay)))
        g = rounded(decay * param + grad)
        kept = rounded(share * moment)
        new = rounded(rate * g + kept)
        g = rounded(rounded(new * share + new) - kept) if self.nesterov else new
        outputs = tuple(self.out(i, value.shape, value.dtype) for i, value in enumerate(given))
        for out, value in zip(outputs, (g, new, rounded(param - g))):
            out[...] = value
        return outputs


class FP32MomentumSGDUpdate(DecayedMomentum):
    """MomentumSGDUpdate of grad + weight_decay param. Caffe2: sgd/fp32_momentum_sgd_op, for CUDA only."""

    contract = (
        "grad: float[...], moment: grad[...], lr: grad, param: grad[...] "
        "-> output_grad: grad, output_moment: moment, output_param: param"
    )

    def run_cpu(self, grad: Array, moment: Array, lr: Array, param: Array) -> tuple[Array, ...]:
        return self.update((grad, moment, param), lr, grad.dtype.type, lambda value: value)

    run_cuda = run_cpu


def _half(value: Array) -> Array:
    """Rounded to float16, held as float64, in which products and sums of float16 numbers are exact."""
    return value.astype(np.float16).astype(np.float64)


class FP16MomentumSGDUpdate(DecayedMomentum):
    """FP32MomentumSGDUpdate of float16 tensors; each operation is rounded to float16, or with fp32_update only the
    results.

    Caffe2: sgd/fp16_momentum_sgd_op, for CUDA only.
    """

    contract = (
        "grad: float16[...], moment: grad[...], lr: float32, param: grad[...] "
        "-> output_grad: grad, output_moment: moment, output_param: param"
    )
    fp32_update: bool = Arg(False, doc="whether to compute in float32")

    def run_cpu(self, grad: Array, moment: Array, lr: Array, param: Array) -> tuple[Array, ...]:
        if self.fp32_update:
            return self.update((grad, moment, param), lr, np.float32, lambda value: value)
        return self.update((grad, moment, param), lr, np.float64, _half)

    run_cuda = run_cpu

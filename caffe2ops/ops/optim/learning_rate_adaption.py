"""A learning rate that learns: from how the gradients of two steps agree."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import NO_GRADIENT, Arg, Array, Operator
from caffe2ops.ops.optim.rows import F, one


class LearningRateAdaption(Operator):
    """lr' = lr (1 - lr_alpha cos(grad, effgrad)), or with normalized_lr_adaption = 0: lr' = lr - lr_alpha <grad,
    effgrad>.

    lr: float[1]; grad and effgrad: equally many elements. Caffe2: sgd/learning_rate_adaption_op.
    """

    contract = "lr: float, grad: lr, effgrad: lr -> output_lr: lr"
    docs = {
        "lr": "learning rate, one element",
        "grad": "gradient of this step",
        "effgrad": "what the parameters moved by in the step before",
        "output_lr": "new learning rate",
    }
    gradient = NO_GRADIENT
    inplace = ((0, 0),)
    lr_alpha: float = Arg(0.01, doc="learning rate of the learning rate")
    normalized_lr_adaption: bool = Arg(True, doc="whether only the angle of the two counts")

    def run_cpu(self, lr: Array, grad: Array, effgrad: Array) -> Array:
        if grad.size != effgrad.size:
            raise ValueError(f"effgrad: has {effgrad.size} elements, grad has {grad.size}")
        rate, g, e = one("lr", lr), grad.reshape(-1), effgrad.reshape(-1)
        change = g @ e
        if self.normalized_lr_adaption:
            least = F(1e-12)
            change = rate * change / (np.maximum(np.sqrt(g @ g), least) * np.maximum(np.sqrt(e @ e), least))
        out = self.out(0, lr.shape, lr.dtype)
        out[...] = rate - F(self.lr_alpha) * change
        return out

    run_cuda = run_cpu

"""RmsProp: steps divided by a running mean of the gradient's size."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.optim.rows import F, Optimizer, one


class RmsProp(Optimizer):
    """ms' = ms + (1 - decay) (g^2 - ms), mom' = momentum mom + lr g / sqrt(epsilon + ms'), and g' = mom'.

    Caffe2: sgd/rmsprop_op.
    """

    contract = (
        "grad: float[...], mean_squares: grad[...], moment: grad[...], lr: grad "
        "-> output_grad: grad, output_mean_squares: grad, output_moment: grad"
    )
    docs = {
        "grad": "gradient",
        "mean_squares": "running mean of its square",
        "moment": "momentum so far",
        "lr": "learning rate, one element",
        "output_grad": "what is subtracted from the parameters",
        "output_mean_squares": "new mean of the square",
        "output_moment": "new momentum",
    }
    inplace = ((0, 0), (1, 1), (2, 2))
    decay: float = Arg(0.9, doc="share of the mean square that is kept")
    momentum: float = Arg(0.0, doc="share of the momentum that is kept")
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")

    def run_cpu(self, grad: Array, mean_squares: Array, moment: Array, lr: Array) -> tuple[Array, ...]:
        out, squares, new = (self.out(i, grad.shape, grad.dtype) for i in range(3))
        np.add(mean_squares, (F(1) - F(self.decay)) * (grad * grad - mean_squares), out=squares)
        np.add(moment * F(self.momentum), one("lr", lr) * grad / np.sqrt(squares + F(self.epsilon)), out=new)
        out[...] = new
        return out, squares, new

    run_cuda = run_cpu

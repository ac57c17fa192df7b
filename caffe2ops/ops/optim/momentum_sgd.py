"""Gradient descent with momentum."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.optim.rows import F, Optimizer, one, rounds, sparse_rows

DOCS = {
    "grad": "gradient",
    "moment": "momentum so far",
    "lr": "learning rate, one element",
    "param": "parameters",
    "indices": "rows of param and moment that grad belongs to",
    "output_grad": "what is subtracted from the parameters",
    "output_moment": "new momentum",
    "output_param": "new parameters",
}


class Momentum(Optimizer):
    """Base: the step of one run."""

    docs = DOCS
    momentum: float = Arg(0.0, doc="share of the momentum that is kept")
    nesterov: bool = Arg(False, doc="whether to look ahead as Nesterov does")

    def step(self, grad: Array, moment: Array, lr: Array) -> tuple[Array, Array]:
        """(what is subtracted, new momentum), both fresh."""
        new = grad * lr
        new += moment * F(self.momentum)
        if not self.nesterov:
            return new, new
        return new * (F(1) + F(self.momentum)) - moment * F(self.momentum), new


class MomentumSGD(Momentum):
    """The step of gradient descent with momentum: m' = momentum m + lr g, and g' = m'.

    With nesterov g' = (1 + momentum) m' - momentum m. Caffe2: sgd/momentum_sgd_op.
    """

    contract = "grad: float[...], moment: grad[...], lr: grad -> output_grad: grad, output_moment: moment"
    inplace = ((0, 0), (1, 1))

    def run_cpu(self, grad: Array, moment: Array, lr: Array) -> tuple[Array, ...]:
        outs = self.out(0, grad.shape, grad.dtype), self.out(1, moment.shape, moment.dtype)
        for out, value in zip(outs, self.step(grad, moment, one("lr", lr))):
            out[...] = value
        return outs

    run_cuda = run_cpu


class MomentumSGDUpdate(Momentum):
    """A step of gradient descent with momentum: MomentumSGD, and param' = param - g'. Caffe2: sgd/momentum_sgd_op."""

    contract = (
        "grad: float[...], moment: grad[...], lr: grad, param: grad[...] "
        "-> output_grad: grad, output_moment: moment, output_param: param"
    )
    inplace = ((0, 0), (1, 1), (3, 2))

    def run_cpu(self, grad: Array, moment: Array, lr: Array, param: Array) -> tuple[Array, ...]:
        outs = tuple(self.out(i, grad.shape, grad.dtype) for i in range(3))
        step, new = self.step(grad, moment, one("lr", lr))
        np.subtract(param, step, out=outs[2])
        outs[0][...], outs[1][...] = step, new
        return outs

    run_cuda = run_cpu


class SparseMomentumSGDUpdate(Momentum):
    """MomentumSGDUpdate of the rows that a sparse gradient has, in place; an index that occurs twice is updated twice.

    IndexError for an index that is no row. Caffe2: sgd/momentum_sgd_op.
    """

    contract = (
        "grad: float, moment: grad[...], lr: grad, param: grad[...], indices: integer "
        "-> output_grad: grad, output_moment: moment, output_param: param"
    )
    inplace = ((0, 0), (1, 1), (3, 2))
    inplace_enforced = ((1, 1), (3, 2))

    def run_cpu(
        self, grad: np.ndarray, moment: np.ndarray, lr: np.ndarray, param: np.ndarray, indices: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        flat, rows = sparse_rows(param, indices, grad)
        rate = one("lr", lr)
        out = self.out(0, grad.shape, grad.dtype)
        steps = out.reshape(rows.shape)
        for index, at in rounds(flat):
            steps[at], moment[index] = self.step(rows[at], moment[index], rate)
            param[index] -= steps[at]
        return out, moment, param

    def run_cuda(self, grad: Array, moment: Array, lr: Array, param: Array, indices: Array) -> tuple[Array, ...]:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(param, indices, grad)
        out = self.out(0, grad.shape, grad.dtype)
        states = {"p": param, "m": moment, "step": out, "g": rows, "lr": one("lr", lr).reshape(1)}
        numbers = {"momentum": float(F(self.momentum)), "nesterov": self.nesterov}
        cuda.MOMENTUM(flat, cuda.width_of(param), **states, **numbers)
        return out, moment, param

"""Adadelta: steps as large as the recent ones, by the size of recent gradients."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.optim.rows import F, Optimizer, one, rounds, sparse_rows


class AdadeltaBase(Optimizer):
    """Base: the step of one run."""

    docs = {
        "param": "parameters",
        "moment": "running mean of the squared gradient",
        "moment_delta": "running mean of the squared step",
        "indices": "rows of param that grad belongs to",
        "grad": "gradient",
        "lr": "learning rate, one element; negative to descend",
        "output_param": "new parameters",
        "output_moment": "new mean of the squared gradient",
        "output_moment_delta": "new mean of the squared step",
    }
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")
    decay: float = Arg(0.95, doc="share of the means that is kept")

    def step(self, param: Array, moment: Array, delta: Array, grad: Array, lr: Array) -> tuple[Array, Array, Array]:
        """New param, moment and moment_delta."""
        keep, rest, epsilon = F(self.decay), F(1) - F(self.decay), F(self.epsilon)
        squares = keep * moment + rest * grad * grad
        step = np.sqrt(delta + epsilon) / np.sqrt(squares + epsilon) * grad
        return param + lr * step, squares, keep * delta + rest * step * step


class Adadelta(AdadeltaBase):
    """m' = decay m + (1 - decay) g^2, s = g sqrt(d + epsilon) / sqrt(m' + epsilon), d' = decay d + (1 - decay) s^2,
    param' = param + lr s, with m for moment and d for moment_delta.

    Caffe2: sgd/adadelta_op.
    """

    contract = (
        "param: float[...], moment: param[...], moment_delta: param[...], grad: param[...], lr: param "
        "-> output_param: param, output_moment: param, output_moment_delta: param"
    )
    inplace = ((0, 0), (1, 1), (2, 2))

    def run_cpu(self, param: Array, moment: Array, delta: Array, grad: Array, lr: Array) -> tuple[Array, ...]:
        outs = tuple(self.out(i, param.shape, param.dtype) for i in range(3))
        for out, value in zip(outs, self.step(param, moment, delta, grad, one("lr", lr))):
            out[...] = value
        return outs

    run_cuda = run_cpu


class SparseAdadelta(AdadeltaBase):
    """Adadelta of the rows that a sparse gradient has, in place; an index that occurs twice is updated twice.

    IndexError for an index that is no row. Caffe2: sgd/adadelta_op.
    """

    contract = (
        "param: float[R, ...], moment: param[R, ...], moment_delta: param[R, ...], indices: integer, grad: param, "
        "lr: param -> output_param: param, output_moment: param, output_moment_delta: param"
    )
    inplace = inplace_enforced = ((0, 0), (1, 1), (2, 2))

    def run_cpu(
        self,
        param: np.ndarray,
        moment: np.ndarray,
        delta: np.ndarray,
        indices: np.ndarray,
        grad: np.ndarray,
        lr: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        flat, rows = sparse_rows(param, indices, grad)
        rate = one("lr", lr)
        for index, at in rounds(flat):
            param[index], moment[index], delta[index] = self.step(
                param[index], moment[index], delta[index], rows[at], rate
            )
        return param, moment, delta

    def run_cuda(
        self, param: Array, moment: Array, delta: Array, indices: Array, grad: Array, lr: Array
    ) -> tuple[Array, ...]:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(param, indices, grad)
        states = {"p": param, "m": moment, "d": delta, "g": rows, "lr": one("lr", lr).reshape(1)}
        decay = {"decay": float(F(self.decay)), "rest": float(F(1) - F(self.decay)), "epsilon": float(F(self.epsilon))}
        cuda.ADADELTA(flat, cuda.width_of(param), **states, **decay)
        return param, moment, delta

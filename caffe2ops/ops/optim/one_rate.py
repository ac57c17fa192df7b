"""Optimizers whose learning rate falls with the gradients of all parameters: Wngrad and Storm."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.optim.rows import F, Optimizer, one, rounds, sparse_rows

DOCS = {
    "param": "parameters",
    "seq_b": "divisor of the learning rate, one element",
    "moment": "mean of the gradients",
    "grad_sq_sum": "sum of all squared gradients so far, one element",
    "indices": "rows of param that grad belongs to",
    "grad": "gradient",
    "lr": "learning rate, one element; negative to descend",
    "output_param": "new parameters",
    "output_seq_b": "new divisor",
    "output_effective_lr": "the learning rate divided by seq_b",
    "output_update": "what is added to the parameters",
    "output_moment": "new mean of the gradients",
    "output_grad_sq_sum": "new sum of squares",
}


def _squares(grad: Array) -> Array:
    return (grad * grad).sum()


class Wngrad(Optimizer):
    """param' = param + lr g / (b + epsilon), b' = b + sum of g^2 / (b + epsilon), with b for seq_b.

    Caffe2: sgd/wngrad_op.
    """

    contract = (
        "param: float[...], seq_b: param, grad: param[...], lr: param "
        "-> output_param: param, output_seq_b: param[1], output_effective_lr?: param[1], output_update?: param"
    )
    docs = DOCS
    inplace = ((0, 0), (1, 1))
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")

    def run_cpu(self, param: Array, seq_b: Array, grad: Array, lr: Array) -> tuple[Array, ...]:
        b = one("seq_b", seq_b)
        rate = one("lr", lr) / (b + F(self.epsilon))
        new = self.out(1, (1,), param.dtype)
        new[...] = b + _squares(grad) / (b + F(self.epsilon))
        update = rate * grad
        return np.add(param, update, out=self.out(0, param.shape, param.dtype)), new, rate.reshape(1), update

    run_cuda = run_cpu


class SparseWngrad(Optimizer):
    """Wngrad of the rows that a sparse gradient has, in place; b' = b + sum of g^2 / b.

    IndexError for an index that is no row. Caffe2: sgd/wngrad_op.
    """

    contract = (
        "param: float[R, ...], seq_b: param[1], indices: integer, grad: param, lr: param "
        "-> output_param: param, output_seq_b: seq_b"
    )
    docs = DOCS
    inplace = inplace_enforced = ((0, 0), (1, 1))
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")

    def run_cpu(self, param: np.ndarray, seq_b: np.ndarray, indices: np.ndarray, grad: np.ndarray, lr: Any) -> Any:
        flat, rows = sparse_rows(param, indices, grad)
        rate = one("lr", lr) / (seq_b[0] + F(self.epsilon))
        for index, at in rounds(flat):
            param[index] += rate * rows[at]
        if flat.size:
            seq_b += _squares(grad) / seq_b
        return param, seq_b

    def run_cuda(self, param: Any, seq_b: Any, indices: Any, grad: Any, lr: Any) -> Any:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(param, indices, grad)
        rate = one("lr", lr).reshape(1) / (seq_b + F(self.epsilon))
        cuda.ADD(flat, cuda.width_of(param), p=param, g=rows, rate=rate)
        if flat.size:
            seq_b += cuda.squares(grad) / seq_b
        return param, seq_b


class StormBase(Optimizer):
    """Base: rate and share of the new gradient."""

    docs = DOCS
    momentum: float = Arg(10.0, doc="share of the new gradient by the squared rate")
    beta: float = Arg(0.1, doc="what is added to the sum of squares")

    def rates(self, total: Array, lr: Array) -> tuple[Array, Array]:
        """(the learning rate, the share of the old mean that is kept)."""
        rate = one("lr", lr) * (F(self.beta) + total) ** F(-1 / 3)
        return rate, F(1) - F(self.momentum) * rate * rate


class Storm(StormBase):
    """s' = s + sum of g^2, rate = lr (beta + s')^(-1/3), m' = g + (1 - momentum rate^2) (m - g), param' = param + rate
    m', with s for grad_sq_sum and m for moment.

    Caffe2: sgd/storm_op.
    """

    contract = (
        "param: float[...], moment: param[...], grad_sq_sum: param[1], grad: param[...], lr: param "
        "-> output_param: param, output_moment: param, output_grad_sq_sum: grad_sq_sum"
    )
    inplace = ((0, 0), (1, 1), (2, 2))

    def run_cpu(self, param: Array, moment: Array, squares: Array, grad: Array, lr: Array) -> tuple[Array, ...]:
        total = np.add(squares, _squares(grad), out=self.out(2, squares.shape, squares.dtype))
        rate, keep = self.rates(total[0], lr)
        new = self.out(1, moment.shape, moment.dtype)
        new[...] = grad + keep * (moment - grad)
        return np.add(param, rate * new, out=self.out(0, param.shape, param.dtype)), new, total

    run_cuda = run_cpu


class SparseStorm(StormBase):
    """Storm of the rows that a sparse gradient has, in place; an index that occurs twice is updated twice.

    IndexError for an index that is no row. Caffe2: sgd/storm_op.
    """

    contract = (
        "param: float[R, ...], moment: param[R, ...], grad_sq_sum: param[1], grad: param, indices: integer, lr: param "
        "-> output_param: param, output_moment: param, output_grad_sq_sum: grad_sq_sum"
    )
    inplace = inplace_enforced = ((0, 0), (1, 1), (2, 2))

    def run_cpu(
        self,
        param: np.ndarray,
        moment: np.ndarray,
        squares: np.ndarray,
        grad: np.ndarray,
        indices: np.ndarray,
        lr: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        flat, rows = sparse_rows(param, indices, grad)
        squares += _squares(grad)
        rate, keep = self.rates(squares[0], lr)
        for index, at in rounds(flat):
            moment[index] = rows[at] + keep * (moment[index] - rows[at])
            param[index] += rate * moment[index]
        return param, moment, squares

    def run_cuda(self, param: Array, moment: Array, squares: Array, grad: Array, indices: Array, lr: Array) -> Any:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(param, indices, grad)
        squares += cuda.squares(grad)
        rate, keep = self.rates(squares, lr)
        cuda.STORM(flat, cuda.width_of(param), p=param, m=moment, g=rows, rate=rate, keep=keep)
        return param, moment, squares

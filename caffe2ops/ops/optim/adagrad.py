"""Adagrad: a learning rate for each parameter, smaller the more it has moved."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.optim.rows import F, Optimizer, matrix, one, rounds, sparse_rows

DOCS = {
    "param": "parameters",
    "moment": "sum of the squared gradients so far",
    "indices": "rows of param that grad belongs to",
    "grad": "gradient",
    "lr": "learning rate, one element; negative to descend",
    "counter": "how often each row has been seen, for counter_halflife",
    "output_param": "new parameters",
    "output_moment": "new sum of the squared gradients",
    "output_moment_1": "new sum of the squared gradients",
    "output_effective_lr": "the rate of each parameter",
    "output_update": "what is added to the parameters",
}


class Adagrad(Optimizer):
    """moment' = decay moment + g^2, param' = param + lr g / (sqrt(moment') + epsilon); g = grad + weight_decay param.

    Caffe2: sgd/adagrad_op.
    """

    contract = (
        "param: float[...], moment: param[...], grad: param[...], lr: param "
        "-> output_param: param, output_moment: param, output_effective_lr?: param, output_update?: param"
    )
    docs = DOCS
    inplace = ((0, 0), (1, 1))
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")
    decay: float = Arg(1.0, doc="share of the old moment that is kept")
    weight_decay: float = Arg(0.0, doc="share of the parameter that is added to its gradient")

    def run_cpu(self, param: Array, moment: Array, grad: Array, lr: Array) -> tuple[Array, ...]:
        if self.weight_decay:
            grad = grad + F(self.weight_decay) * param
        new = np.multiply(moment, F(self.decay), out=self.out(1, param.shape, param.dtype))
        new += grad * grad
        root = np.sqrt(new)
        root += F(self.epsilon)
        lr = one("lr", lr)
        rate = lr / root if self.n_outputs > 2 else None
        update = lr * grad / root if rate is None else rate * grad  # the last bits are Caffe2's, either way
        return np.add(param, update, out=self.out(0, param.shape, param.dtype)), new, rate, update

    run_cuda = run_cpu


class SparseAdagrad(Optimizer):
    """Adagrad of the rows that a sparse gradient has, in place; an index that occurs twice is updated twice.

    IndexError for an index that is no row. Caffe2: sgd/adagrad_op.
    """

    contract = (
        "param: float[R, ...], moment: param[R, ...], indices: integer, grad: param, lr: param "
        "-> output_param: param, output_moment_1: moment"
    )
    docs = DOCS
    inplace = inplace_enforced = ((0, 0), (1, 1))
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")
    decay: float = Arg(1.0, choices=(1.0,), doc="must be 1")
    weight_decay: float = Arg(0.0, doc="share of the parameter that is added to its gradient")

    def run_cpu(
        self, param: np.ndarray, moment: np.ndarray, indices: np.ndarray, grad: np.ndarray, lr: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        flat, rows = sparse_rows(param, indices, grad)
        rate = one("lr", lr)
        for index, at in rounds(flat):
            old = param.take(index, axis=0)
            g = rows[at] + F(self.weight_decay) * old if self.weight_decay else rows[at]
            squares = g * g
            squares += moment.take(index, axis=0)
            moment[index] = squares
            np.sqrt(squares, out=squares)
            squares += F(self.epsilon)
            step = rate * g
            step /= squares
            old += step
            param[index] = old
        return param, moment

    def run_cuda(self, param: Array, moment: Array, indices: Array, grad: Array, lr: Array) -> tuple[Array, Array]:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(param, indices, grad)
        numbers = {"epsilon": float(F(self.epsilon)), "weight_decay": float(F(self.weight_decay))}
        cuda.ADAGRAD(flat, cuda.width_of(param), p=param, m=moment, g=rows, lr=one("lr", lr).reshape(1), **numbers)
        return param, moment


class RowWiseSparseAdagrad(Optimizer):
    """SparseAdagrad with one moment for each row: the mean of its squared gradients is added.

    With counter_halflife > 0 and a counter, weight_decay is multiplied with counter_halflife / counter of the row where
    that is not 0. IndexError for an index that is no row. Caffe2: sgd/adagrad_op.
    """

    contract = (
        "param: float[R, ...], moment: param[R], indices: integer, grad: param, lr: param, counter?: float64[R] "
        "-> output_param: param, output_moment_1: moment"
    )
    docs = DOCS
    inplace = inplace_enforced = ((0, 0), (1, 1))
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")
    weight_decay: float = Arg(0.0, doc="share of the parameter that is added to its gradient")
    counter_halflife: int = Arg(-1, doc="count from which on a row's weight_decay shrinks; none for -1")

    def run_cpu(
        self,
        param: np.ndarray,
        moment: np.ndarray,
        indices: np.ndarray,
        grad: np.ndarray,
        lr: np.ndarray,
        counter: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        flat, rows = sparse_rows(param, indices, grad)
        table, rows = matrix(param), matrix(rows)
        rate = one("lr", lr)
        for index, at in rounds(flat):
            old = table[index]
            g = rows[at] + self._decay(index, counter) * old if self.weight_decay else rows[at]
            moment[index] += (g * g).mean(axis=1)
            table[index] = old + rate / (np.sqrt(moment[index]) + F(self.epsilon))[:, None] * g
        return param, moment

    def run_cuda(
        self, param: Array, moment: Array, indices: Array, grad: Array, lr: Array, counter: Array | None = None
    ) -> tuple[Array, Array]:
        import cupy

        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(param, indices, grad)
        halflife = 0 if counter is None else self.counter_halflife
        numbers = {"epsilon": float(F(self.epsilon)), "weight_decay": float(F(self.weight_decay)), "halflife": halflife}
        counts = cupy.empty(0, np.float64) if counter is None else counter
        tables = {"lr": one("lr", lr).reshape(1), "counter": counts}
        cuda.ROW_WISE_ADAGRAD(flat, cuda.width_of(param), p=param, m=moment, g=rows, **tables, **numbers)
        return param, moment

    def _decay(self, index: np.ndarray, counter: np.ndarray | None) -> np.ndarray:
        decay = np.full((index.size, 1), self.weight_decay, np.float32)
        if counter is not None and self.counter_halflife > 0:
            count = counter[index][:, None]
            np.divide(decay * self.counter_halflife, count, out=decay, where=count > 0, casting="same_kind")
        return decay

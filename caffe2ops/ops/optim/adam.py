"""Adam: steps by running means of the gradient and of its square."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.optim.rows import F, Optimizer, matrix, one, rounds, sparse_rows

DOCS = {
    "param": "parameters",
    "moment_1": "running mean of the gradient",
    "moment_2": "running mean of its square",
    "indices": "rows of param that grad belongs to",
    "grad": "gradient",
    "lr": "learning rate, one element; negative to descend",
    "iter": "number of steps done before this one, its first element",
    "output_param": "new parameters",
    "output_moment_1": "new mean of the gradient",
    "output_moment_2": "new mean of its square",
    "output_grad": "the step, without the learning rate",
}


class AdamBase(Optimizer):
    """Base: the bias correction of an iteration."""

    input_devices: ClassVar[Any] = {"iter": "any"}

    docs = DOCS
    beta1: float = Arg(0.9, doc="share of moment_1 that is kept")
    beta2: float = Arg(0.999, doc="share of moment_2 that is kept")
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")

    def correction(self, iteration: Array) -> np.float32:
        """sqrt(1 - beta2^t) / (1 - beta1^t) for t = iteration + 1."""
        t = step_of(iteration)
        return F(np.sqrt(1 - power(self.beta2, t)) / (1 - power(self.beta1, t)))

    def step(self, m1: Array, root: Array, c: np.float32, lr: Array) -> tuple[Array, Array | None]:
        """(lr c m1 / root, c m1 / root), multiplied as Caffe2 does; the second only where it is an output."""
        if self.n_outputs == 3:
            return lr * c * m1 / root, None
        step = c * m1 / root
        return lr * step, step

    def sparse_cuda(
        self,
        kernel: Any,
        c: np.float32,
        param: Array,
        moment_1: Array,
        moment_2: Array,
        indices: Array,
        grad: Array,
        lr: Array,
        iteration: Array,
        **more: Any,
    ) -> tuple[Array, ...]:
        """The step of a sparse gradient, by a kernel of sparse_cuda and with the bias correction `c`."""
        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(param, indices, grad)
        out = self.out(3, grad.shape, grad.dtype)
        states = {"p": param, "m1": moment_1, "m2": moment_2, "step": out, "g": rows}
        numbers = {"lr": one("lr", lr).reshape(1), "c": float(c), **cuda.betas(self), **more}
        kernel(flat, cuda.width_of(param), **states, **numbers)
        return param, moment_1, moment_2, out


def power(beta: float, t: int) -> np.float64:
    return np.float64(F(beta)) ** t


def step_of(iteration: Array) -> int:
    """The number of this step, from 1."""
    if not iteration.size:
        raise ValueError("iter: is empty, wants a number")
    return int(iteration.reshape(-1)[0]) + 1


class Adam(AdamBase):
    """m1' = beta1 m1 + (1 - beta1) g, m2' = beta2 m2 + (1 - beta2) g^2, param' = param + lr c m1' / (sqrt(m2') +
    epsilon).

    c = sqrt(1 - beta2^t) / (1 - beta1^t) with t = iter + 1. Caffe2: sgd/adam_op.
    """

    contract = (
        "param: float[...], moment_1: param[...], moment_2: param[...], grad: param[...], lr: param, iter: int64 "
        "-> output_param: param, output_moment_1: param, output_moment_2: param, output_grad?: param"
    )
    inplace = ((0, 0), (1, 1), (2, 2))

    def run_cpu(
        self, param: Array, moment_1: Array, moment_2: Array, grad: Array, lr: Array, iteration: Array
    ) -> tuple[Array, ...]:
        c = self.correction(iteration)
        out, m1, m2 = (self.out(i, param.shape, param.dtype) for i in range(3))
        np.multiply(moment_1, F(self.beta1), out=m1)
        m1 += grad * (F(1) - F(self.beta1))
        np.multiply(moment_2, F(self.beta2), out=m2)
        m2 += grad * grad * (F(1) - F(self.beta2))
        root = np.sqrt(m2)
        root += F(self.epsilon)
        change, step = self.step(m1, root, c, one("lr", lr))
        return np.add(param, change, out=out), m1, m2, step

    run_cuda = run_cpu


class SparseAdam(AdamBase):
    """Adam of the rows that a sparse gradient has, in place; an index that occurs twice is updated twice.

    enableRAdam: rectified Adam: for the first steps, while r_t = rho - 2 t beta2^t / (1 - beta2^t) with rho = 2 / (1 -
    beta2) - 1 is below 5, the mean of the gradient alone, afterwards Adam's step times the rectification. IndexError
    for an index that is no row. Caffe2: sgd/adam_op.
    """

    contract = (
        "param: float[R, ...], moment_1: param[R, ...], moment_2: param[R, ...], indices: integer, grad: param, "
        "lr: param, iter: int64 "
        "-> output_param: param, output_moment_1: param, output_moment_2: param, output_grad?: grad"
    )
    inplace = inplace_enforced = ((0, 0), (1, 1), (2, 2))
    enableRAdam: bool = Arg(False, doc="whether to rectify the first steps")  # noqa: N815

    def run_cpu(
        self,
        param: np.ndarray,
        moment_1: np.ndarray,
        moment_2: np.ndarray,
        indices: np.ndarray,
        grad: np.ndarray,
        lr: np.ndarray,
        iteration: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        flat, rows = sparse_rows(param, indices, grad)
        rate, c, rectify = one("lr", lr), self.correction(iteration), self._rectification(iteration)
        out = self.out(3, grad.shape, grad.dtype)
        steps = out.reshape(rows.shape)
        for index, at in rounds(flat):
            g = rows[at]
            m1 = moment_1[index] * F(self.beta1) + g * (F(1) - F(self.beta1))
            m2 = moment_2[index] * F(self.beta2) + g * g * (F(1) - F(self.beta2))
            moment_1[index], moment_2[index] = m1, m2
            if rectify == 0:
                change, step = self.step(m1, F(1), F(1 / (1 - power(self.beta1, step_of(iteration)))), rate)
            else:
                change, step = self.step(m1, np.sqrt(m2) + F(self.epsilon), c * rectify, rate)
            param[index] += change
            if step is not None:
                steps[at] = step
        return param, moment_1, moment_2, out

    def run_cuda(self, *inputs: Array) -> tuple[Array, ...]:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        rectify = self._rectification(inputs[-1])
        c = self.correction(inputs[-1]) * rectify
        if not rectify:
            c = F(1 / (1 - power(self.beta1, step_of(inputs[-1]))))
        return self.sparse_cuda(cuda.ADAM, c, *inputs, plain=not rectify)

    def _rectification(self, iteration: np.ndarray) -> np.float32:
        """The factor on Adam's step; 0 where the mean of the gradient is taken instead."""
        if not self.enableRAdam:
            return F(1)
        t, beta2 = step_of(iteration), np.float64(F(self.beta2))
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * t * beta2**t / (1 - beta2**t)
        if length < 5:
            return F(0)
        return F(np.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)))


class RowWiseSparseAdam(AdamBase):
    """SparseAdam with one second moment for each row: the mean of its squared gradients.

    IndexError for an index that is no row. Caffe2: sgd/adam_op.
    """

    contract = (
        "param: float[R, ...], moment_1: param[R, ...], moment_2: param[R], indices: integer, grad: param, "
        "lr: param, iter: int64 "
        "-> output_param: param, output_moment_1: param, output_moment_2: moment_2, output_grad?: grad"
    )
    inplace = inplace_enforced = ((0, 0), (1, 1), (2, 2))

    def run_cpu(
        self,
        param: np.ndarray,
        moment_1: np.ndarray,
        moment_2: np.ndarray,
        indices: np.ndarray,
        grad: np.ndarray,
        lr: np.ndarray,
        iteration: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        flat, rows = sparse_rows(param, indices, grad)
        rate, c = one("lr", lr), self.correction(iteration)
        out = self.out(3, grad.shape, grad.dtype)
        table, means = matrix(param), matrix(moment_1)
        rows = matrix(rows)
        steps = out.reshape(rows.shape)
        for index, at in rounds(flat):
            g = rows[at]
            m1 = means[index] * F(self.beta1) + g * (F(1) - F(self.beta1))
            m2 = moment_2[index] * F(self.beta2) + (g * g).mean(axis=1) * (F(1) - F(self.beta2))
            means[index], moment_2[index] = m1, m2
            change, step = self.step(m1, (np.sqrt(m2) + F(self.epsilon))[:, None], c, rate)
            table[index] += change
            if step is not None:
                steps[at] = step
        return param, moment_1, moment_2, out

    def run_cuda(self, *inputs: Array) -> tuple[Array, ...]:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        return self.sparse_cuda(cuda.ROW_WISE_ADAM, self.correction(inputs[-1]), *inputs)

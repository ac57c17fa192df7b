"""Lars, DecayAdagrad, WeightScale, RowWiseCounter and SmartDecaySparseAdam: steps that depend on norms and on time."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import Arg, Array
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.optim.adam import power, step_of
from caffe2ops.ops.optim.rows import F, Optimizer, one, rounds, sparse_rows

FOREVER = (1 << 63) - 1


class Lars(Optimizer):
    """A learning rate for a layer: trust / (|dX| / |X| + wd + offset), or 1 where X is 0; at least lr_min, at most
    lr_max.

    Caffe2: sgd/lars_op.
    """

    contract = "X: float[...], dX: X[...], wd: X, trust: X, lr_max: X -> lr_rescaled: X[1]"
    docs = {
        "X": "parameters",
        "dX": "their gradient",
        "wd": "weight decay, one element",
        "trust": "share of the norm that a step may have, one element",
        "lr_max": "the greatest learning rate, one element",
        "lr_rescaled": "the learning rate",
    }
    offset: float = Arg(0.5, ge=0, doc="keeps the divisor from 0")
    lr_min: float = Arg(0.02, ge=0, doc="the least learning rate")

    def run_cpu(self, x: Array, dx: Array, wd: Array, trust: Array, most: Array) -> Array:
        norm, of_gradient = (np.sqrt((v * v).sum()) for v in (x, dx))
        wd, trust, most = one("wd", wd), one("trust", trust), one("lr_max", most)
        rate = trust / (of_gradient / norm + wd + F(self.offset)) if norm > 0 else norm * 0 + 1
        out = self.out(0, (1,), x.dtype)
        out[...] = np.maximum(F(self.lr_min), np.minimum(rate, most))
        return out

    run_cuda = run_cpu


class DecayAdagrad(Optimizer):
    """m1' = beta1 m1 + (1 - beta1) g, m2' = m2 + g^2, param' = param + lr (c m1' / (sqrt(m2') + epsilon) + weight_decay
    param), where c = 1 / (1 - beta1^(iter + 1)) with bias_correction_first, else 1.

    Caffe2: sgd/decay_adagrad_op.
    """

    contract = (
        "param: float[...], moment_1: param[...], moment_2: param[...], grad: param[...], lr: param, iter: int64 "
        "-> output_param: param, output_moment_1: param, output_moment_2: param"
    )
    docs = {
        "param": "parameters",
        "moment_1": "running mean of the gradient",
        "moment_2": "sum of its squares",
        "grad": "gradient",
        "lr": "learning rate, one element; negative to descend",
        "iter": "number of steps done before this one",
        "output_param": "new parameters",
        "output_moment_1": "new mean",
        "output_moment_2": "new sum",
    }
    input_devices = {"iter": "any"}
    inplace = ((0, 0), (1, 1), (2, 2))
    beta1: float = Arg(0.9, doc="share of moment_1 that is kept")
    beta2: float = Arg(0.999, doc="not heeded, as in Caffe2")
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")
    weight_decay: float = Arg(0.0, doc="share of the parameters that is added to the step")
    bias_correction_first: bool = Arg(True, doc="whether the mean is corrected for having begun with 0")

    def run_cpu(
        self, param: Array, moment_1: Array, moment_2: Array, grad: Array, lr: Array, iteration: Array
    ) -> tuple[Array, ...]:
        t = step_of(iteration)
        c = F(1 / (1 - power(self.beta1, t))) if self.bias_correction_first else F(1)
        out, m1, m2 = (self.out(i, param.shape, param.dtype) for i in range(3))
        m1[...] = moment_1 * F(self.beta1) + grad * (F(1) - F(self.beta1))
        m2[...] = moment_2 + grad * grad
        rate = one("lr", lr)
        step = rate * (c * m1 / (np.sqrt(m2) + F(self.epsilon)) + F(self.weight_decay) * param)
        return np.add(param, step, out=out), m1, m2

    run_cuda = run_cpu


class WeightScale(Optimizer):
    """nw = w scale in every `stepsize`-th step before step upper_bound_iter, else w; the step is iter + 1.

    Caffe2: sgd/weight_scale_op.
    """

    contract = "w: float[...], iter: int64 -> nw: w[...]"
    docs = {"w": "parameters", "iter": "number of steps done before this one", "nw": "new parameters"}
    input_devices = {"iter": "any"}
    inplace = ((0, 0),)
    stepsize: int = Arg(FOREVER, ge=1, doc="number of steps between two scalings")
    upper_bound_iter: int = Arg(FOREVER, doc="the step before which it is done")
    scale: float = Arg(1.0, doc="the factor")

    def run_cpu(self, w: Array, iteration: Array) -> Array:
        step = step_of(iteration)
        due = step % self.stepsize == 0 and step < self.upper_bound_iter
        return np.multiply(w, F(self.scale) if due else F(1), out=self.out(0, w.shape, w.dtype))

    run_cuda = run_cpu


class RowWiseCounter(Optimizer):
    """How often rows were updated, old times counting less: counter' = 1 + counter 2^(-steps since then / halflife).

    In place; without counter_halflife > 0 nothing changes. Raises IndexError for an index that is no row, ValueError
    where prev_iter and update_counter have not equally many elements. Caffe2: sgd/rowwise_counter.
    """

    contract = (
        "prev_iter: int64, update_counter: float64, indices: integer, iter: int64 "
        "-> output_prev_iter: prev_iter, output_update_counter: update_counter"
    )
    docs = {
        "prev_iter": "the step in which each row was updated last, one element a row in any shape",
        "update_counter": "how often each was",
        "indices": "rows that are updated",
        "iter": "the step, one element",
        "output_prev_iter": "prev_iter",
        "output_update_counter": "update_counter",
    }
    inplace = inplace_enforced = ((0, 0), (1, 1))
    counter_halflife: int = Arg(-1, doc="number of steps after which an update counts half")

    def run_cpu(self, before: np.ndarray, counter: np.ndarray, indices: np.ndarray, iteration: np.ndarray) -> tuple:
        self._wants_same(before, counter)
        flat = checked_indices(indices.reshape(-1), before.size, "indices", "prev_iter")
        now = one("iter", iteration)
        last, count = before.reshape(-1), counter.reshape(-1)
        if self.counter_halflife > 0:
            for index, _ in rounds(flat):
                steps = np.maximum(now - last[index], 0)
                count[index] = 1 + count[index] * np.exp2(-steps / self.counter_halflife)
                last[index] = np.maximum(last[index], now)
        return before, counter

    @staticmethod
    def _wants_same(before: Array, counter: Array) -> None:
        if before.size != counter.size:
            raise ValueError(f"update_counter: has {counter.size} elements, prev_iter has {before.size}")

    def run_cuda(self, before: Array, counter: Array, indices: Array, iteration: Array) -> tuple:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        self._wants_same(before, counter)
        flat = indices.reshape(-1)
        if flat.size and int((flat < 0).any() | (flat >= before.size).any()):
            checked_indices(flat.get(), before.size, "indices", "prev_iter")
        states = {"last": before, "count": counter}
        if self.counter_halflife > 0:
            cuda.COUNTER(flat, 1, **states, now=int(one("iter", iteration)), halflife=self.counter_halflife)
        return before, counter


class SmartDecaySparseAdam(Optimizer):
    """Adam without bias correction of the rows that a sparse gradient has, which first catches up on what Adam would
    have done with gradients of 0 since step last_seen of that row.

    In place. With k = iter + 1 - last_seen: m1' = beta1^k m1 + (1 - beta1) g, m2' = beta2^k m2 + (1 - beta2) g^2, and
    param' = param + lr (m1' + m1 beta1 (1 - beta1^(k - 1)) / (1 - beta1)) / (sqrt(m2') + epsilon). Raises IndexError
    for an index that is no row. Caffe2: sgd/adam_op.
    """

    gradient = None  # type: ignore[assignment]  # Caffe2 registers none
    contract = (
        "param: float[R, ...], moment_1: param[R, ...], moment_2: param[R, ...], last_seen: int64[R], "
        "indices: integer, grad: param, lr: param, iter: int64 "
        "-> output_param: param, output_moment_1: param, output_moment_2: param, output_last_seen: last_seen"
    )
    docs = {
        "param": "parameters",
        "moment_1": "running mean of the gradient",
        "moment_2": "running mean of its square",
        "last_seen": "the step in which each row was updated last",
        "indices": "rows of param that grad belongs to",
        "grad": "gradient",
        "lr": "learning rate, one element; negative to descend",
        "iter": "number of steps done before this one",
        "output_param": "new parameters",
        "output_moment_1": "new mean",
        "output_moment_2": "new mean of the square",
        "output_last_seen": "last_seen",
    }
    inplace = inplace_enforced = ((0, 0), (1, 1), (2, 2), (3, 3))
    beta1: float = Arg(0.9, doc="share of moment_1 that is kept, a step")
    beta2: float = Arg(0.999, doc="share of moment_2 that is kept, a step")
    epsilon: float = Arg(1e-5, doc="keeps the divisor from 0")

    def run_cpu(
        self,
        param: np.ndarray,
        moment_1: np.ndarray,
        moment_2: np.ndarray,
        last_seen: np.ndarray,
        indices: np.ndarray,
        grad: np.ndarray,
        lr: np.ndarray,
        iteration: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        flat, rows = sparse_rows(param, indices, grad)
        rate, t = one("lr", lr), step_of(iteration)
        beta1, beta2 = np.float64(F(self.beta1)), np.float64(F(self.beta2))
        for index, at in rounds(flat):
            k = (t - last_seen[index]).reshape(-1, *(1,) * (param.ndim - 1))
            old, g = moment_1[index], rows[at]
            missed = np.where(k > 1, beta1 * (1 - beta1 ** (k - 1)) / (1 - beta1), 0).astype(param.dtype)
            m1 = old * (beta1**k).astype(param.dtype) + g * (F(1) - F(beta1))
            m2 = moment_2[index] * (beta2**k).astype(param.dtype) + g * g * (F(1) - F(beta2))
            param[index] += rate * (m1 + old * missed) / (np.sqrt(m2) + F(self.epsilon))
            moment_1[index], moment_2[index], last_seen[index] = m1, m2, t
        return param, moment_1, moment_2, last_seen

    def run_cuda(
        self,
        param: Array,
        moment_1: Array,
        moment_2: Array,
        last_seen: Array,
        indices: Array,
        grad: Array,
        lr: Array,
        iteration: Array,
    ) -> tuple[Array, ...]:
        from caffe2ops.ops.optim import sparse_cuda as cuda

        flat, rows = sparse_rows(param, indices, grad)
        states = {"p": param, "m1": moment_1, "m2": moment_2, "seen": last_seen, "g": rows}
        numbers = {"lr": one("lr", lr).reshape(1), "t": step_of(iteration), **cuda.betas(self)}
        cuda.SMART_DECAY_ADAM(flat, cuda.width_of(param), **states, **numbers)
        return param, moment_1, moment_2, last_seen

"""Steps of optimizers: one element of the parameters for each of the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import Value

# A step: what is kept from step to step, the gradient, and what else there is for each of its rows -> the new values
# of what is kept, and further outputs.
Step = Callable[..., tuple[list[Value], list[Value]]]
# Makes a step out of the inputs that are numbers: rates, the number of the step.
Maker = Callable[..., Step]


def one(g: Builder, x: Value) -> Value:
    """The only element of an input."""
    return g.reshape(x, [])


def single(x: float) -> float:
    """A number as float32 holds it, in which Caffe2 computes with arguments."""
    return float(np.float32(x))


def rest(x: float) -> float:
    return float(np.float32(1) - np.float32(x))


def halved(g: Builder, x: Value) -> Value:
    """Rounded to float16, held as float64: a cast back to float32 onnxruntime would leave out with the rounding."""
    return g.cast(g.cast(x, np.float16), np.float64)


def squared(g: Builder, x: Value) -> Value:
    return g.Mul(x, x)


def running(g: Builder, share: float, old: Value, new: Value) -> Value:
    """The running mean of which `share` is kept."""
    return g.Add(g.Mul(old, single(share)), g.Mul(new, rest(share)))


def count_of(g: Builder, iteration: Value) -> Value:
    """The number of this step, from 1, float64."""
    first = g.reshape(g.slice(g.flat(iteration), 0, 0, 1), [])
    return g.Add(g.cast(first, np.float64), np.float64(1))


def unbiased(g: Builder, share: float, t: Value) -> Value:
    """1 - share^t, float64: how much of a running mean that began with 0 is filled."""
    return g.Sub(np.float64(1), g.Pow(np.float64(single(share)), t))


def rooted(g: Builder, op: Any, squares: Value) -> Value:
    return g.Add(g.Sqrt(squares), single(op.epsilon))


def row_mean(g: Builder, squares: Value) -> Value:
    """A number for each row."""
    return g.reduce("ReduceMean", squares, range(1, squares.rank))


def spread(g: Builder, x: Value, like: Value) -> Value:
    """A number for each row, to be multiplied with rows."""
    return g.unsqueeze(x, *range(x.rank, like.rank))


# --- formulas ---


def adagrad(g: Builder, op: Any, lr: Value) -> Step:
    """Also with one moment for each row, where the moment has fewer dims."""
    rate = one(g, lr)

    def step(
        g: Builder, kept: Sequence[Value], grad: Value, factor: Value | None = None
    ) -> tuple[list[Value], list[Value]]:
        param, moment = kept
        if op.weight_decay:
            decayed = g.Mul(param, single(op.weight_decay))
            grad = g.Add(grad, decayed if factor is None else g.Mul(decayed, factor))
        squares = squared(g, grad)
        if moment.rank < param.rank:
            squares = row_mean(g, squares)
        decay = getattr(op, "decay", 1.0)
        new = g.Add(moment if decay == 1 else g.Mul(moment, single(decay)), squares)
        effective = spread(g, g.Div(rate, rooted(g, op, new)), param)
        update = g.Mul(effective, grad)
        return [g.Add(param, update), new], [effective, update]

    return step


def adadelta(g: Builder, op: Any, lr: Value) -> Step:
    rate, epsilon = one(g, lr), single(op.epsilon)

    def step(g: Builder, kept: Sequence[Value], grad: Value) -> tuple[list[Value], list[Value]]:
        param, moment, delta = kept
        squares = running(g, op.decay, moment, squared(g, grad))
        change = g.Mul(g.Sqrt(g.Div(g.Add(delta, epsilon), g.Add(squares, epsilon))), grad)
        return [g.Add(param, g.Mul(rate, change)), squares, running(g, op.decay, delta, squared(g, change))], []

    return step


def adam(g: Builder, op: Any, lr: Value, iteration: Value) -> Step:
    """Also with one second moment for each row, and rectified."""
    t, rate = count_of(g, iteration), one(g, lr)
    mean = g.Div(np.float64(1), unbiased(g, op.beta1, t))
    correction = g.Mul(g.Sqrt(unbiased(g, op.beta2, t)), mean)
    plain = None
    if getattr(op, "enableRAdam", False):
        beta2 = np.float64(single(op.beta2))
        limit = 2 / (1 - beta2) - 1
        filled = unbiased(g, op.beta2, t)
        gone = g.Div(g.Mul(g.Mul(t, np.float64(2)), g.Sub(np.float64(1), filled)), filled)
        length = g.Sub(np.float64(limit), gone)
        plain = g.Less(length, np.float64(5))
        share = g.Div(g.Mul(g.Sub(length, np.float64(4)), g.Sub(length, np.float64(2))), length)
        rectified = g.Mul(correction, g.Sqrt(g.Mul(share, np.float64(limit / ((limit - 4) * (limit - 2))))))
        correction = g.Where(plain, mean, rectified)
    c = g.cast(correction, lr.dtype)

    def step(g: Builder, kept: Sequence[Value], grad: Value) -> tuple[list[Value], list[Value]]:
        param, moment_1, moment_2 = kept
        squares = squared(g, grad)
        if moment_2.rank < param.rank:
            squares = row_mean(g, squares)
        m1, m2 = running(g, op.beta1, moment_1, grad), running(g, op.beta2, moment_2, squares)
        root = spread(g, rooted(g, op, m2), param)
        if plain is not None:
            root = g.Where(plain, np.ones((), root.dtype), root)
        change = g.Div(g.Mul(c, m1), root)
        return [g.Add(param, g.Mul(rate, change)), m1, m2], [change]

    return step


def decay_adagrad(g: Builder, op: Any, lr: Value, iteration: Value) -> Step:
    rate = one(g, lr)
    filled = g.cast(unbiased(g, op.beta1, count_of(g, iteration)), lr.dtype) if op.bias_correction_first else None

    def step(g: Builder, kept: Sequence[Value], grad: Value) -> tuple[list[Value], list[Value]]:
        param, moment_1, moment_2 = kept
        m1, m2 = running(g, op.beta1, moment_1, grad), g.Add(moment_2, squared(g, grad))
        change = g.Div(m1 if filled is None else g.Div(m1, filled), rooted(g, op, m2))
        if op.weight_decay:
            change = g.Add(change, g.Mul(param, single(op.weight_decay)))
        return [g.Add(param, g.Mul(rate, change)), m1, m2], []

    return step


def ftrl(g: Builder, op: Any, alpha: Value | None = None) -> Step:
    """GFtrl judges columns by their norms."""
    limit = single(op.lambda1)

    def step(g: Builder, kept: Sequence[Value], grad: Value) -> tuple[list[Value], list[Value]]:
        var, n_z = kept
        rate = g.value(single(op.alpha), var.dtype) if alpha is None else one(g, alpha)
        before, sums = (g.Gather(n_z, np.int64(i), axis=n_z.rank - 1) for i in (0, 1))
        n = g.Add(before, squared(g, grad))
        root = g.Sqrt(n)
        z = g.Sub(g.Add(sums, grad), g.Mul(g.Div(g.Sub(root, g.Sqrt(before)), rate), var))
        divisor = g.Add(g.Div(g.Add(root, single(op.beta)), rate), single(op.lambda2))
        if op.type == "GFtrl":
            norm = g.reduce("ReduceL2", z, [0])
            most = g.Mul(g.Sqrt(g.cast(g.dim(var, 0), var.dtype)), limit)
            inside = g.LessOrEqual(norm, most)
            share = g.Where(inside, 0.0, g.Sub(g.Div(most, norm), 1.0))
            new = g.Div(g.Mul(z, share), divisor)
        else:
            shrunk = g.Sub(g.Mul(g.Sign(z), limit), z)
            new = g.Where(g.Greater(g.Abs(z), limit), g.Div(shrunk, divisor), 0.0)
        pairs = g.Concat(*(g.unsqueeze(x, var.rank) for x in (n, z)), axis=var.rank)
        return [new, pairs], []

    return step


def dense(maker: Maker, kept: int) -> Callable[..., list[Value]]:
    """A rule: inputs are what is kept, the gradient, then numbers."""

    def of(g: Builder, op: Any, *inputs: Value) -> list[Value]:
        new, more = maker(g, op, *inputs[kept + 1 :])(g, inputs[:kept], inputs[kept])
        return [*new, *more]

    return of


for _type, _maker, _kept in (
    ("Adagrad", adagrad, 2), ("Adadelta", adadelta, 3), ("Adam", adam, 3), ("DecayAdagrad", decay_adagrad, 3),
    ("Ftrl", ftrl, 2), ("GFtrl", ftrl, 2),
):  # fmt: skip
    rule(_type)(dense(_maker, _kept))


# --- momentum ---


def momentum(g: Builder, op: Any, grad: Value, moment: Value, lr: Value) -> tuple[Value, Value]:
    """What is subtracted, and the new momentum."""
    share = single(op.momentum)
    old = g.Mul(moment, share)
    new = g.Add(g.Mul(grad, one(g, lr)), old)
    return (g.Sub(g.Add(g.Mul(new, share), new), old) if op.nesterov else new), new


@rule("MomentumSGD", "MomentumSGDUpdate", "FP32MomentumSGDUpdate")
def momentum_sgd(
    g: Builder, op: Any, grad: Value, moment: Value, lr: Value, param: Value | None = None
) -> tuple[Value, ...]:
    if param is not None and getattr(op, "weight_decay", False):
        grad = g.Add(grad, g.Mul(param, single(op.weight_decay)))
    change, new = momentum(g, op, grad, moment, lr)
    return (change, new) if param is None else (change, new, g.Sub(param, change))


@rule("FP16MomentumSGDUpdate")
def half_momentum_sgd(g: Builder, op: Any, grad: Value, moment: Value, lr: Value, param: Value) -> tuple[Value, ...]:
    """Each operation is rounded to float16, unless the operator says float32."""
    given = grad, moment, param
    number = np.float32 if op.fp32_update else np.float64

    def rounded(x: Value) -> Value:
        return x if op.fp32_update else halved(g, x)

    grad, moment, param = (g.cast(x, number) for x in given)
    share, decay = (rounded(g.value(single(x), number)) for x in (op.momentum, op.weight_decay))
    rate = rounded(g.cast(one(g, lr), number))
    if op.weight_decay:
        grad = rounded(g.Add(g.Mul(param, decay), grad))
    old = rounded(g.Mul(moment, share))
    new = rounded(g.Add(g.Mul(grad, rate), old))
    change = rounded(g.Sub(rounded(g.Add(g.Mul(new, share), new)), old)) if op.nesterov else new
    return tuple(g.cast(x, np.float16) for x in (change, new, g.Sub(param, change)))


@rule("RmsProp")
def rms_prop(g: Builder, op: Any, grad: Value, squares: Value, moment: Value, lr: Value) -> tuple[Value, ...]:
    new = g.Add(squares, g.Mul(g.Sub(squared(g, grad), squares), rest(op.decay)))
    step = g.Div(g.Mul(grad, one(g, lr)), g.Sqrt(g.Add(new, single(op.epsilon))))
    moved = g.Add(g.Mul(moment, single(op.momentum)), step)
    return moved, new, moved

"""YellowFin: a step of momentum SGD, and the learning rate and momentum of the next one."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.optim.yellowfin import MEMORY
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.optim import one, running, single, squared, unbiased
from caffe2ops.port.onnx.rules.optim_rate import sum_of_squares
from caffe2ops.port.values import Value


@rule("YellowFin")
def yellow_fin(
    g: Builder, op: Any, param: Value, moment: Value, lr: Value, mu: Value, curv_win: Value, g_avg: Value,
    g2_avg: Value, memory: Value, grad: Value, iteration: Value,
) -> tuple[Value, ...]:  # fmt: skip
    rate, share, step = (one(g, x) for x in (lr, mu, iteration))
    old = g.Mul(moment, share)
    moved = g.Add(old, g.Mul(grad, rate))
    change = g.Sub(g.Add(moved, g.Mul(moved, share)), old) if op.nesterov else moved
    mean, square = running(g, op.beta, g_avg, grad), running(g, op.beta, g2_avg, squared(g, grad))
    norm2 = g.reshape(g.Max(sum_of_squares(g, grad), single(op.epsilon)), 1)

    width = op.curv_win_width
    place = g.reshape(g.Mod(g.Sub(step, 1), width), 1)
    window = g.ScatterElements(curv_win, place, g.Log(norm2), axis=0)
    valid = g.slice(window, 0, 0, g.reshape(g.Min(step, width), 1))
    low, high = (g.reduce(kind, valid, [0], keepdims=True) for kind in ("ReduceMin", "ReduceMax"))
    fresh = g.Concat(g.Sqrt(norm2), norm2, low, high, axis=0)
    means = running(g, op.beta, g.slice(memory, 0, 0, MEMORY - 1), fresh)
    norm = g.Div(g.slice(means, 0, 0, 1), g.slice(means, 0, 1, 2))
    distance = running(g, op.beta, g.slice(memory, 0, MEMORY - 1, MEMORY), norm)
    means = g.Concat(means, distance, axis=0)
    kept = [] if memory.shape[0] == MEMORY else [g.slice(memory, 0, MEMORY, np.iinfo(np.int64).max)]

    wanted = tuned(g, op, mean, means, step)
    later = g.Greater(step, 1)
    new = [g.Where(later, running(g, op.beta, x, y), x) for x, y in zip((rate, share), wanted)]
    rates = (g.reshape(x, g.dims(like)) for x, like in zip(new, (lr, mu)))
    return g.Sub(param, change), moved, *rates, window, mean, square, g.Concat(means, *kept, axis=0)


def tuned(g: Builder, op: Any, mean: Value, means: Value, step: Value) -> tuple[Value, Value]:
    """Learning rate and momentum that fit a quadratic model: the root of a cubic."""
    if op.zero_debias:
        filled = g.cast(unbiased(g, op.beta, g.cast(step, np.float64)), mean.dtype)
        mean, means = g.Div(mean, filled), g.Div(means, filled)
    least, one = single(op.epsilon), np.ones((), mean.dtype)
    norm2, low, high, distance = (g.Gather(means, np.int64(i)) for i in range(1, MEMORY))
    low, high = (g.Max(g.Exp(x), least) for x in (low, high))
    variance = g.Max(g.Sub(norm2, sum_of_squares(g, mean)), least)
    ratio = g.Sqrt(g.Div(high, low))
    limit = g.Div(g.Sub(ratio, one), g.Add(ratio, one))
    p = g.Div(squared(g, g.Mul(distance, low)), g.Mul(variance, 2.0))
    p2 = squared(g, p)
    w3 = g.Mul(g.Add(g.Sqrt(g.Add(p2, g.Mul(g.Mul(p2, p), 4 / 27))), p), 0.5)
    w = g.Neg(g.Pow(w3, 1 / 3))
    root = g.Add(g.Sub(w, g.Div(g.Div(p, 3.0), w)), one)
    share = g.Max(squared(g, root), squared(g, limit))
    return g.Div(squared(g, g.Sub(one, g.Sqrt(share))), low), share

"""Steps of optimizers that depend on norms of whole tensors, on angles, or on the number of the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.optim import count_of, one, single
from caffe2ops.port.onnx.rules.optim_sparse import in_turn, rows_of
from caffe2ops.port.values import Value


def sum_of_squares(g: Builder, x: Value) -> Value:
    return g.reduce("ReduceSumSquare", g.flat(x), [0])


def norm(g: Builder, x: Value) -> Value:
    return g.Sqrt(sum_of_squares(g, x))


@rule("Wngrad")
def wngrad(g: Builder, op: Any, param: Value, seq_b: Value, grad: Value, lr: Value) -> tuple[Value, ...]:
    b = g.reshape(seq_b, 1)
    divisor = g.Add(b, single(op.epsilon))
    rate = g.Div(one(g, lr), divisor)
    update = g.Mul(grad, one(g, rate))
    return g.Add(param, update), g.Add(b, g.Div(sum_of_squares(g, grad), divisor)), rate, update


@rule("SparseWngrad")
def sparse_wngrad(
    g: Builder, op: Any, param: Value, seq_b: Value, indices: Value, grad: Value, lr: Value
) -> tuple[Value, Value]:
    rate = g.Div(one(g, lr), g.Add(one(g, seq_b), single(op.epsilon)))

    def step(g: Builder, kept: Sequence[Value], grad: Value) -> tuple[list[Value], list[Value]]:
        return [g.Add(kept[0], g.Mul(grad, rate))], []

    (new,) = in_turn(g, step, [param], indices, [rows_of(g, grad, param)])
    return new, g.Add(seq_b, g.Div(sum_of_squares(g, grad), seq_b))


def storm_rates(g: Builder, op: Any, total: Value, lr: Value) -> tuple[Value, Value]:
    """The learning rate, and the share of the old mean that is kept."""
    rate = g.Mul(one(g, lr), g.Pow(g.Add(one(g, total), single(op.beta)), single(-1 / 3)))
    return rate, g.Sub(np.ones((), rate.dtype), g.Mul(g.Mul(rate, rate), single(op.momentum)))


@rule("Storm")
def storm(
    g: Builder, op: Any, param: Value, moment: Value, squares: Value, grad: Value, lr: Value
) -> tuple[Value, ...]:
    total = g.Add(squares, sum_of_squares(g, grad))
    rate, keep = storm_rates(g, op, total, lr)
    new = g.Add(grad, g.Mul(g.Sub(moment, grad), keep))
    return g.Add(param, g.Mul(new, rate)), new, total


@rule("SparseStorm")
def sparse_storm(
    g: Builder, op: Any, param: Value, moment: Value, squares: Value, grad: Value, indices: Value, lr: Value
) -> tuple[Value, ...]:
    total = g.Add(squares, sum_of_squares(g, grad))
    rate, keep = storm_rates(g, op, total, lr)

    def step(g: Builder, kept: Sequence[Value], grad: Value) -> tuple[list[Value], list[Value]]:
        new = g.Add(grad, g.Mul(g.Sub(kept[1], grad), keep))
        return [g.Add(kept[0], g.Mul(new, rate)), new], []

    return *in_turn(g, step, [param, moment], indices, [rows_of(g, grad, param)]), total


@rule("Lars")
def lars(g: Builder, op: Any, x: Value, dx: Value, wd: Value, trust: Value, most: Value) -> Value:
    size = norm(g, x)
    slope = g.Add(g.Add(g.Div(norm(g, dx), size), one(g, wd)), single(op.offset))
    rate = g.Where(g.Greater(size, 0.0), g.Div(one(g, trust), slope), 1.0)
    return g.reshape(g.Max(g.Min(rate, one(g, most)), single(op.lr_min)), 1)


@rule("LearningRateAdaption")
def rate_adaption(g: Builder, op: Any, lr: Value, grad: Value, moved: Value) -> Value:
    grad, moved = g.flat(grad), g.flat(moved)
    change = g.reduce("ReduceSum", g.Mul(grad, moved), [0])
    if op.normalized_lr_adaption:
        sizes = [g.Max(norm(g, x), single(1e-12)) for x in (grad, moved)]
        change = g.Div(g.Mul(lr, change), g.Mul(*sizes))
    return g.Sub(lr, g.Mul(change, single(op.lr_alpha)))


@rule("ClipTensorByScaling")
def clip_by_scaling(g: Builder, op: Any, x: Value, val: Value, factor: Value | None = None) -> Value:
    size = one(g, val)
    limit = g.value(op.threshold, x.dtype)
    if factor is not None:
        limit = g.Mul(limit, one(g, factor))
    return g.Mul(x, g.Where(g.Greater(size, limit), g.Div(limit, size), 1.0))


@rule("WeightScale")
def weight_scale(g: Builder, op: Any, w: Value, iteration: Value) -> Value:
    step = g.cast(count_of(g, iteration), np.int64)
    due = g.And(g.Equal(g.Mod(step, op.stepsize), 0), g.Less(step, op.upper_bound_iter))
    return g.Mul(w, g.Where(due, np.asarray(single(op.scale), w.dtype), np.ones((), w.dtype)))

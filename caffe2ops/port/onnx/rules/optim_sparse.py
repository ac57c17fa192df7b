"""Steps of optimizers for the rows that a sparse gradient has.

Caffe2 goes row by row, so that a row that is named twice is changed twice. Here a loop takes the first occurrences of
all rows at once, then the second ones, and so on: mostly it runs once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.optim import (
    Maker,
    Step,
    adadelta,
    adagrad,
    adam,
    count_of,
    ftrl,
    momentum,
    one,
    rest,
    rooted,
    single,
    spread,
    squared,
)
from caffe2ops.port.onnx.rules.segment import Ragged, averaged, count_up, per_row, row_dims, wide
from caffe2ops.port.values import Value


def in_turn(
    g: Builder, step: Step, kept: Sequence[Value], indices: Value, given: Sequence[Value], like: Sequence[Value] = ()
) -> list[Value]:
    """The tables `kept` after the step of the rows that indices name, occurrence by occurrence; behind them what else
    the step gives, each `like` a tensor with a row for each index. The tensors of `given` have such rows, too."""
    flat = g.flat(wide(g, indices))
    size = flat.shape[0]
    if size == 1 or (flat.array is not None and len(np.unique(flat.array)) == flat.array.size):
        new, more = step(g, [g.Gather(x, flat) for x in kept], *given)
        return [*(g.ScatterND(x, g.unsqueeze(flat, 1), y) for x, y in zip(kept, new)), *more[: len(like)]]
    made = [g.full(g.dims(x), 0, x.dtype) for x in like]

    def turn(b: Builder, _: Value, left: Value, *tables: Value) -> tuple[Value, list[Value], list[Value]]:
        rows, first = b.Unique(b.Gather(flat, left), out=2)
        at = b.Gather(left, first)
        new, more = step(b, [b.Gather(x, rows) for x in tables[: len(kept)]], *(b.Gather(x, at) for x in given))
        places = [rows] * len(kept) + [at] * len(like)
        changed = [b.ScatterND(x, b.unsqueeze(p, 1), y) for x, p, y in zip(tables, places, [*new, *more])]
        later = b.ScatterND(b.Expand(np.True_, b.dims(left)), b.unsqueeze(first, 1), b.Expand(np.False_, b.dims(first)))
        left = b.Compress(left, later, axis=0)
        return b.Greater(b.Size(left), 0), [left, *changed], []

    left = g.own(count_up(g, g.dim(flat, 0)))
    left.shape = [None]  # it gets shorter from turn to turn
    return g.loop([left, *kept, *made], turn, g.Greater(g.Size(flat), 0))[1:]


def rows_of(g: Builder, grad: Value, param: Value) -> Value:
    """The gradient as a row for each index."""
    return g.reshape(grad, -1, *row_dims(g, param))


def sparse(maker: Maker, kept: int) -> Callable[..., list[Value]]:
    """A rule: inputs are the tables that are kept, indices, the gradient, then numbers."""

    def of(g: Builder, op: Any, *inputs: Value) -> list[Value]:
        tables, (indices, grad, *numbers) = inputs[:kept], inputs[kept:]
        rows = rows_of(g, grad, tables[0])
        made = in_turn(g, maker(g, op, *numbers), tables, indices, [rows], [rows] * (op.n_outputs - kept))
        return [*made[:kept], *(g.reshape(x, g.dims(grad)) for x in made[kept:])]

    return of


def smart_decay_adam(g: Builder, op: Any, lr: Value, iteration: Value) -> Step:
    t, rate = count_of(g, iteration), one(g, lr)

    def step(g: Builder, kept: Sequence[Value], grad: Value) -> tuple[list[Value], list[Value]]:
        param, moment_1, moment_2, seen = kept
        gone = g.Sub(t, g.cast(seen, np.float64))

        def kept_of(share: float, steps: Value) -> Value:
            return spread(g, g.cast(g.Pow(np.float64(single(share)), steps), param.dtype), param)

        m1 = g.Add(g.Mul(moment_1, kept_of(op.beta1, gone)), g.Mul(grad, rest(op.beta1)))
        m2 = g.Add(g.Mul(moment_2, kept_of(op.beta2, gone)), g.Mul(squared(g, grad), rest(op.beta2)))
        beta = np.float64(single(op.beta1))
        missed = g.Mul(
            g.Sub(np.float64(1), g.Pow(beta, g.Max(g.Sub(gone, np.float64(1)), np.float64(0)))),
            np.float64(beta / (1 - beta)),
        )
        moved = g.Add(m1, g.Mul(moment_1, spread(g, g.cast(missed, param.dtype), param)))
        now = g.Expand(g.cast(t, np.int64), g.dims(seen))
        return [g.Add(param, g.Mul(rate, g.Div(moved, rooted(g, op, m2)))), m1, m2, now], []

    return step


for _type, _maker, _kept in (
    ("SparseAdagrad", adagrad, 2), ("SparseAdadelta", adadelta, 3), ("SparseAdam", adam, 3),
    ("RowWiseSparseAdam", adam, 3), ("SparseFtrl", ftrl, 2), ("SmartDecaySparseAdam", smart_decay_adam, 4),
):  # fmt: skip
    rule(_type)(sparse(_maker, _kept))


@rule("RowWiseSparseAdagrad")
def row_wise_adagrad(
    g: Builder, op: Any, param: Value, moment: Value, indices: Value, grad: Value, lr: Value,
    counter: Value | None = None,
) -> list[Value]:  # fmt: skip
    given = [rows_of(g, grad, param)]
    if counter is not None and op.counter_halflife > 0 and op.weight_decay:
        count = g.Gather(counter, g.flat(indices))
        share = g.Where(g.Greater(count, 0.0), g.Div(float(op.counter_halflife), count), 1.0)
        given.append(spread(g, g.cast(share, param.dtype), param))
    return in_turn(g, adagrad(g, op, lr), [param, moment], indices, given)


@rule("SparseMomentumSGDUpdate")
def sparse_momentum(
    g: Builder, op: Any, grad: Value, moment: Value, lr: Value, param: Value, indices: Value
) -> tuple[Value, ...]:
    def step(g: Builder, kept: Sequence[Value], grad: Value) -> tuple[list[Value], list[Value]]:
        change, new = momentum(g, op, grad, kept[0], lr)
        return [new, g.Sub(kept[1], change)], [change]

    rows = rows_of(g, grad, param)
    new, changed, made = in_turn(g, step, [moment, param], indices, [rows], [rows])
    return g.reshape(made, g.dims(grad)), new, changed


@rule(*(
    f"{kind}SparseAdagradFusedWithSparseLengths{fold}Gradient{approx}"
    for kind in ("", "RowWise") for fold in ("Sum", "Mean", "WeightedSum") for approx in ("", "Approx")
))  # fmt: skip
def fused_adagrad(g: Builder, op: Any, param: Value, moment: Value, *more: Value) -> list[Value]:
    """With the gradient of the sums over segments."""
    *weights, indices, grad, lr, lengths = more
    ragged = Ragged(g, lengths, g.dim(indices, 0))
    grads = averaged(g, grad, ragged.lengths) if op.kind == "Mean" else grad
    rows = g.Gather(grads, ragged.segments)
    update = adagrad(g, op, lr)
    if not weights:
        return in_turn(g, update, [param, moment], indices, [rows])

    def along(g: Builder, rows: Value, table: Value) -> Value:
        return g.reduce("ReduceSum", g.Mul(rows, table), range(1, param.rank))

    def step(g: Builder, kept: Sequence[Value], rows: Value, weight: Value) -> tuple[list[Value], list[Value]]:
        return update(g, kept, g.Mul(rows, per_row(g, weight, rows)))[0], [along(g, rows, kept[0])]

    weight = g.Gather(weights[0], ragged.places)
    kept = [param, moment]
    if op.approximate:
        return in_turn(g, step, kept, indices, [rows, weight], [weight])
    return [*in_turn(g, step, kept, indices, [rows, weight]), along(g, rows, g.Gather(param, indices))]

"""Rankings: losses over the pairs of a session's items; and meters of classifiers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import ONE, Ragged, count_up, summed, wide
from caffe2ops.port.values import Value


class Pairs:
    """All pairs of items of one session, the later one first: items `i` and `j`, and the `session` of each."""

    def __init__(self, g: Builder, lengths: Value, n: Value):
        self.g, self.n = g, n
        self.items = Ragged(g, lengths, n)
        self.count = g.dim(self.items.lengths, 0)
        before = Ragged(g, self.items.places)
        self.i = before.segments
        first = g.Sub(count_up(g, n), self.items.places)  # of each item's session
        self.j = g.Add(g.Gather(first, self.i), before.places)
        self.session = g.Gather(self.items.segments, self.i)

    def both(self, x: Value) -> tuple[Value, Value]:
        """What a vector has for the items of each pair."""
        return self.g.Gather(x, self.i), self.g.Gather(x, self.j)

    def lead(self, x: Value, label: Value) -> tuple[Value, Value]:
        """1 or -1 as the later item should rank higher or lower, and by how much x says so."""
        g = self.g
        (xi, xj), (li, lj) = self.both(x), self.both(label)
        sign = g.Where(g.Greater(li, lj), np.ones((), x.dtype), np.asarray(-1, x.dtype))
        return sign, g.Mul(sign, g.Sub(xi, xj))

    def per_session(self, x: Value) -> Value:
        return summed(self.g, x, self.session, self.count)

    def by_item(self, x: Value) -> Value:
        """The numbers of items added up for each session."""
        return summed(self.g, x, self.items.segments, self.count)

    def discounts(self, x: Value) -> Value:
        """1 / log2(2 + rank) of each item, ranks counted from the highest; of equal ones the earlier is higher."""
        g = self.g
        xi, xj = self.both(x)
        lower = g.Where(g.Greater(xi, xj), self.j, self.i)
        rank = summed(g, g.Expand(ONE, g.dims(lower)), lower, self.n)
        return g.Div(np.asarray(math.log(2), x.dtype), g.Log(g.cast(g.Add(rank, np.int64(2)), x.dtype)))


@rule("PairWiseLoss")
def pair_wise_loss(g: Builder, op: Any, x: Value, label: Value, lengths: Value | None = None) -> Value:
    n = g.dim(x, 0)
    pairs = Pairs(g, g.dims(x, [0]) if lengths is None else lengths, n)
    x, label = g.flat(x), g.flat(label)
    li, lj = pairs.both(label)
    differ = g.Not(g.Less(g.Abs(g.Sub(li, lj)), float(np.finfo(x.dtype).eps)))
    _, lead = pairs.lead(x, label)
    loss = pairs.per_session(g.Where(differ, g.Softplus(g.Neg(lead)), 0.0))
    mean = g.Div(loss, g.Max(pairs.per_session(g.cast(differ, x.dtype)), 1.0))
    return mean if x.size else g.slice(mean, 0, 0, g.reshape(g.Mul(pairs.count, g.Min(n, ONE)), [1]))


@rule("LambdaRankNdcg")
def lambda_rank_ndcg(g: Builder, op: Any, y: Value, r: Value, lengths: Value) -> tuple[Value, Value]:
    r = g.flat(r)
    pairs = Pairs(g, g.flat(lengths), g.dim(y, 0))
    gain = r if op.use_ndcg_as_loss and not op.use_exp_gain else g.Exp(g.Mul(r, math.log(2)))
    discount, best_discount = pairs.discounts(y), pairs.discounts(r)
    best = pairs.by_item(g.Mul(gain, best_discount))
    rated = g.GreaterOrEqual(pairs.by_item(g.Abs(r)), 1e-6)
    sign, lead = pairs.lead(y, r)
    (di, dj), (gi, gj) = pairs.both(discount), pairs.both(gain)
    swap = g.Abs(g.Mul(g.Sub(di, dj), g.Sub(gi, gj)))
    if op.use_ndcg_as_loss:
        loss = g.Sub(best, pairs.by_item(g.Mul(gain, discount)))
    else:  # each pair both ways round
        loss = g.Mul(pairs.per_session(g.Mul(swap, g.Softplus(g.Neg(lead)))), 2.0)
    force = g.Mul(g.Mul(swap, sign), g.Sigmoid(g.Neg(lead)))
    pull = g.Sub(summed(g, force, pairs.j, pairs.n), summed(g, force, pairs.i, pairs.n))
    share = g.cast(rated, y.dtype)
    if op.use_idcg_normalization:
        share = g.Div(share, g.Max(best, 1e-5))
    return g.Mul(loss, share), g.Mul(pull, g.Gather(share, pairs.items.segments))


# --- meters ---


@rule("MultiClassAccuracy")
def multi_class_accuracy(g: Builder, op: Any, prediction: Value, labels: Value) -> tuple[Value, Value]:
    least = float(np.finfo(prediction.dtype).min)
    best = g.ArgMax(g.Max(g.Where(g.IsNaN(prediction), least, prediction), least), axis=1, keepdims=0)
    labels, classes = wide(g, labels), g.dim(prediction, 1)
    amounts = summed(g, g.Expand(ONE, g.dims(labels)), labels, classes)
    hits = summed(g, g.cast(g.Equal(best, labels), np.float32), labels, classes)
    return g.Div(hits, g.cast(g.Max(amounts, ONE), np.float32)), g.cast(amounts, np.int32)


@rule("Perplexity")
def perplexity(g: Builder, op: Any, probabilities: Value) -> Value:
    p = g.cast(probabilities, np.float64)
    total = g.reduce("ReduceSum", g.Log(p), [0])
    mean = g.Div(total, g.cast(g.Max(g.length(p), ONE), np.float64))
    return g.cast(g.Exp(g.Neg(mean)), probabilities.dtype)

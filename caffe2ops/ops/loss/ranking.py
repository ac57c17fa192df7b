"""Losses of rankings: they compare all pairs of a session's items."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.activation.sigmoid import sigmoid
from caffe2ops.ops.index.rows import offsets_of
from caffe2ops.ops.segment.lengths_reduce import checked_lengths
from caffe2ops.ops.shape.axes import known, show


class Pairs:
    """All pairs of items of one session, the later one first: indices `i` > `j`, and the `session` of each."""

    def __init__(self, lengths: np.ndarray):
        self.count = len(lengths)
        begins = np.repeat(offsets_of(lengths)[:-1], lengths)  # of each item's session
        before = np.arange(len(begins)) - begins
        self.session_of_item, self.place = np.repeat(np.arange(self.count), lengths), before
        self.i = np.repeat(np.arange(len(begins)), before)
        self.j = np.arange(len(self.i)) - np.repeat(offsets_of(before)[:-1] - begins, before)
        self.session = self.session_of_item[self.i]

    def keep(self, wanted: np.ndarray) -> None:
        """Forgets the pairs that are not wanted."""
        self.i, self.j, self.session = self.i[wanted], self.j[wanted], self.session[wanted]

    def per_session(self, weights: np.ndarray | None = None) -> np.ndarray:
        """The number of pairs of each session, or the sum of their weights (float64)."""
        return np.bincount(self.session, weights, minlength=self.count)

    def pull(self, force: np.ndarray) -> np.ndarray:
        """For each item the sum over its pairs: the force where it is the later one, less the force where it is not."""
        n = len(self.place)
        return np.bincount(self.i, force, minlength=n) - np.bincount(self.j, force, minlength=n)


class PairWise(Operator):
    """Base: the pairs of a session whose labels differ, and which of them ranks higher."""

    docs = {
        "X": "a score for each item, [N] or [N, 1]",
        "label": "items with a greater label should rank higher, [N] or [N, 1]",
        "lengths": "how many items each session has; without it all are of one session",
        "dY": "gradient of Y",
        "dX": "gradient of X",
        "Y": "the mean loss of each session's pairs, 0 where it has none; empty where there are no items",
    }

    def _pairs(
        self, x: np.ndarray, label: np.ndarray, lengths: np.ndarray | None
    ) -> tuple[Pairs, np.ndarray, np.ndarray]:
        """The pairs, 1 or -1 for each as the later one should rank higher or lower, and its lead."""
        n = x.shape[0] if x.ndim else 0
        if n and x.size != n:
            raise ValueError(f"X: shape is {show(x.shape)}, wants one score a row")
        if n and label.shape not in ((n,), (n, 1)):
            raise ValueError(f"label: shape is {show(label.shape)}, wants [{n}] or [{n}, 1]")
        sizes = np.array([n]) if lengths is None else checked_lengths(lengths, n, "X", name="lengths")
        pairs = Pairs(sizes)
        x, label = x.reshape(-1)[:n], label.reshape(-1)[:n]
        pairs.keep(~(np.abs(label[pairs.i] - label[pairs.j]) < np.finfo(x.dtype).eps))
        sign = np.where(label[pairs.i] > label[pairs.j], x.dtype.type(1), x.dtype.type(-1))
        return pairs, sign, sign * (x[pairs.i] - x[pairs.j])


class PairWiseLoss(PairWise):
    """log(1 + exp(X[low] - X[high])) of all pairs of a session whose labels say which item is the higher, on average.

    Raises ValueError for lengths that don't add up to the rows of X. Caffe2: operators/rank_loss_op.
    """

    contract = "X: float, label: X, lengths?: int32[S] -> Y: X[?]"
    gradient = "PairWiseLossGradient(X, label, dY, lengths?) -> dX"

    def infer(self, x: TensorSpec, label: TensorSpec, lengths: TensorSpec | None = None) -> TensorSpec:
        n = x.shape[0] if x.shape else 0
        sessions = lengths.shape[0] if lengths else 1
        return TensorSpec((sessions if known(n) and n else UNKNOWN if n else 0,), x.dtype)

    def run_cpu(self, x: np.ndarray, label: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        pairs, _, lead = self._pairs(x, label, lengths)
        y = self.out(0, (pairs.count if x.ndim and len(x) else 0,), x.dtype)
        y[...] = (pairs.per_session(np.logaddexp(-lead, 0)) / np.maximum(pairs.per_session(), 1))[: y.size]
        return y


class PairWiseLossGradient(PairWise):
    """The gradient of PairWiseLoss by the scores. Caffe2: operators/rank_loss_op."""

    contract = "X: float, label: X, dY: X[?], lengths?: int32[S] -> dX: X"

    def run_cpu(self, x: np.ndarray, label: np.ndarray, dy: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        pairs, sign, lead = self._pairs(x, label, lengths)
        dx = self.out(0, x.shape, x.dtype)
        if x.size and dy.shape != (pairs.count,):
            raise ValueError(f"dY: shape is {show(dy.shape)}, wants [{pairs.count}], one a session")
        if x.size:
            force = -sign * dy[pairs.session] * sigmoid(-lead) / pairs.per_session()[pairs.session]
            dx[...] = pairs.pull(force).reshape(x.shape)
        return dx


class LambdaRankNdcg(Operator):
    """LambdaRank: the loss of each session's ranking by scores y, and what its items should move by.

    The pull between two items is that of log(1 + exp(y_low - y_high)), times the change of the discounted cumulative
    gain (DCG) if they changed places; r says which should be higher. The loss is the sum of these losses over ordered
    pairs, or how much DCG is short of that of the best ranking; a session whose r are all 0 has none. dy_cache is what
    the gradient operator multiplies; it is no derivative of the loss.

    Equal scores rank in the order they stand (in Caffe2 too, up to 16 items). Raises ValueError for session_lengths
    that don't add up to the scores (Caffe2 reads beyond them). Caffe2: operators/listwise_l2r_op.
    """

    contract = "y: float[N], r: y, session_lengths: int32 -> loss: y[?], dy_cache: y[N]"
    docs = {
        "y": "a score for each item",
        "r": "how relevant each item is, of as many elements",
        "session_lengths": "how many items each session has",
        "loss": "one for each session",
        "dy_cache": "the pull on each item",
    }
    gradient = "LambdaRankNdcgGradient(y, session_lengths, dy_cache, dloss) -> dy"
    use_ndcg_as_loss: bool = Arg(False, doc="whether the loss is what DCG is short of the best")
    use_idcg_normalization: bool = Arg(True, doc="whether loss and pulls are divided by the DCG of the best ranking")
    use_exp_gain: bool = Arg(True, doc="with use_ndcg_as_loss: whether an item's gain is 2^r, else r")

    def infer(self, y: TensorSpec, r: TensorSpec, lengths: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec((lengths.size,), y.dtype), y

    def run_cpu(self, y: np.ndarray, r: np.ndarray, lengths: np.ndarray) -> Any:
        if r.size != y.size:
            raise ValueError(f"r: has {r.size} elements, y has {y.size}")
        r = r.reshape(-1)
        pairs = Pairs(checked_lengths(lengths.reshape(-1), y.size, "y", name="session_lengths"))
        loss, pull = self.out(0, (pairs.count,), y.dtype), self.out(1, y.shape, y.dtype)
        gain = r if self.use_ndcg_as_loss and not self.use_exp_gain else np.exp2(r)
        discount, best_discount = self._discounts(pairs, y), self._discounts(pairs, r)
        best = np.bincount(pairs.session_of_item, gain * best_discount, pairs.count)
        rated = np.bincount(pairs.session_of_item, np.abs(r), pairs.count) >= 1e-6
        divisor = np.maximum(best, 1e-5) if self.use_idcg_normalization else np.ones(pairs.count)
        i, j = pairs.i, pairs.j
        swap = np.abs((discount[i] - discount[j]) * (gain[i] - gain[j]))
        sign = np.where(r[i] > r[j], y.dtype.type(1), y.dtype.type(-1))
        lead = sign * (y[i] - y[j])
        total = 2 * pairs.per_session(swap * np.logaddexp(-lead, 0))  # each pair both ways round
        if self.use_ndcg_as_loss:
            total = best - np.bincount(pairs.session_of_item, gain * discount, pairs.count)
        loss[...] = np.where(rated, total / divisor, 0)
        pull[...] = pairs.pull(-swap * sign * sigmoid(-lead))
        pull *= np.where(rated, 1 / divisor, 0)[pairs.session_of_item]
        return loss, pull

    @staticmethod
    def _discounts(pairs: Pairs, scores: np.ndarray) -> np.ndarray:
        """1 / log2(2 + rank) of each item, ranks counted from the highest score of its session."""
        order = np.lexsort((-scores, pairs.session_of_item))
        discounts = np.empty_like(scores)
        discounts[order] = (1 / np.log2(2.0 + pairs.place)).astype(scores.dtype)
        return discounts


class LambdaRankNdcgGradient(Operator):
    """The pulls of LambdaRankNdcg times the gradient of their session's loss. Caffe2: operators/listwise_l2r_op."""

    contract = "y: float[N], session_lengths: int32, dy_cache: y[N], dloss: y -> dy: y"
    docs = {
        "y": "input of LambdaRankNdcg",
        "session_lengths": "how many items each session has",
        "dy_cache": "output of LambdaRankNdcg",
        "dloss": "gradient of the losses",
        "dy": "gradient of y",
    }

    def run_cpu(self, y: np.ndarray, lengths: np.ndarray, pull: np.ndarray, dloss: np.ndarray) -> Any:
        if dloss.size != lengths.size:
            raise ValueError(f"dloss: has {dloss.size} elements, wants {lengths.size}, one a session")
        lengths = checked_lengths(lengths.reshape(-1), y.size, "y", name="session_lengths")
        return np.multiply(pull, np.repeat(dloss.reshape(-1), lengths), out=self.out(0, y.shape, y.dtype))

"""Criteria, a loss for each element: MarginRankingCriterion, CosineEmbeddingCriterion, BernoulliJSD."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.elementwise.rows import elementwise

SMALLEST = 1e-20  # probabilities below it count as it in logarithms


class MarginRankingCriterion(Operator):
    """loss = max(0, margin - Y (X1 - X2)): Y = 1 wants X1 to be greater by margin, Y = -1 X2.

    Caffe2: operators/margin_ranking_criterion_op.
    """

    contract = "X1: float[...], X2: X1[...], Y: int32[...] -> loss: X1[...]"
    docs = {"X1": "scores", "X2": "other scores", "Y": "1 or -1", "loss": "a tensor like X1"}
    gradient = "MarginRankingCriterionGradient(X1, X2, Y, dloss) -> dX1, dX2"
    margin: float = Arg(1.0, doc="by how much the one should be greater")

    def run_cpu(self, x1: Any, x2: Any, y: Any) -> Any:
        out = self.out(0, x1.shape, x1.dtype)
        out[...] = np.maximum(x1.dtype.type(self.margin) - y * (x1 - x2), 0)
        return out

    run_cuda = run_cpu


class MarginRankingCriterionGradient(Operator):
    """The gradients of MarginRankingCriterion: dX1 = -Y dloss where the loss is not 0, and dX2 = -dX1."""

    contract = "X1: float[...], X2: X1[...], Y: int32[...], dloss: X1[...] -> dX1: X1[...], dX2: X1[...]"
    docs = {"X1": "scores", "X2": "other scores", "Y": "1 or -1", "dloss": "gradient of loss"}
    margin: float = Arg(1.0, doc="by how much the one should be greater")

    def run_cpu(self, x1: Any, x2: Any, y: Any, dloss: Any) -> Any:
        met = x1.dtype.type(self.margin) - y * (x1 - x2) < 0
        dx1, dx2 = self.out(0, x1.shape, x1.dtype), self.out(1, x1.shape, x1.dtype)
        dx2[...] = np.where(met, 0, y * dloss)
        dx1[...] = -dx2
        return dx1, dx2

    run_cuda = run_cpu


class CosineEmbeddingCriterion(Operator):
    """loss = 1 - S where Y is 1, else max(0, S - margin), of similarities S.

    Caffe2: operators/cosine_embedding_criterion_op.
    """

    contract = "S: float[...], Y: int32[...] -> loss: S[...]"
    docs = {"S": "similarities, -1 to 1", "Y": "1 for what should be alike, -1 for others", "loss": "a tensor like S"}
    gradient = "CosineEmbeddingCriterionGradient(S, Y, dloss) -> dS"
    margin: float = Arg(0.0, doc="how alike others may be")

    def run_cpu(self, s: Any, y: Any) -> Any:
        out = self.out(0, s.shape, s.dtype)
        out[...] = np.where(y == 1, 1 - s, np.maximum(s - s.dtype.type(self.margin), 0))
        return out

    run_cuda = run_cpu


class CosineEmbeddingCriterionGradient(Operator):
    """The gradient of CosineEmbeddingCriterion: -dloss where Y is 1, else dloss where S is at least margin."""

    contract = "S: float[...], Y: int32[...], dloss: S[...] -> dS: S[...]"
    docs = {"S": "similarities", "Y": "1 or -1", "dloss": "gradient of loss", "dS": "gradient of S"}
    margin: float = Arg(0.0, doc="how alike others may be")

    def run_cpu(self, s: Any, y: Any, dloss: Any) -> Any:
        out = self.out(0, s.shape, s.dtype)
        out[...] = np.where(y == 1, -dloss, np.where(s >= s.dtype.type(self.margin), dloss, 0))
        return out

    run_cuda = run_cpu


def _log(p: Any) -> Any:
    return np.log(np.maximum(p, SMALLEST))


def _entropy(p: Any) -> Any:
    """Of a coin that shows heads with probability p."""
    return -p * _log(p) - (1 - p) * _log(1 - p)


def _divergence(T: Any, X: Any, out: Any) -> None:
    np.subtract(_entropy((T + X) / 2), (_entropy(T) + _entropy(X)) / 2, out=out)


def _divergence_gradient(dL: Any, T: Any, X: Any, out: Any) -> None:
    middle = (T + X) / 2
    np.multiply(dL / 2, _log(1 - middle) - _log(middle) - _log(1 - T) + _log(T), out=out)


# Their input T hides the type T here; T_X is the same.
_LOG = "const auto log_of = [](T_X p) { return log(p > T_X(1e-20) || p != p ? p : T_X(1e-20)); }; "
elementwise(
    "BernoulliJSD",
    "L = the Jensen-Shannon divergence of coins that show heads with probability T and X. Gradient: of T only. Caffe2: "
    "operators/jsd_op.",
    "T: float[...], X: T[...] -> L: T[...]",
    cpu=_divergence,
    cuda=f"{_LOG}const auto entropy = [&](T_X p) {{ return -p * log_of(p) - (T_X(1) - p) * log_of(T_X(1) - p); }}; "
    "L = entropy((T + X) / T_X(2)) - (entropy(T) + entropy(X)) / T_X(2);",
    gradient="BernoulliJSDGradient(dL, T, X) -> dT",
    docs={"T": "probabilities", "X": "probabilities to compare with", "L": "divergences, 0 to log 2"},
    flops=12,
)
elementwise(
    "BernoulliJSDGradient",
    "The gradient of BernoulliJSD by its first input.",
    "dL: float[...], T: dL[...], X: dL[...] -> dT: dL[...]",
    cpu=_divergence_gradient,
    cuda=f"{_LOG}const T_X middle = (T + X) / T_X(2); "
    "dT = dL / T_X(2) * (log_of(T_X(1) - middle) - log_of(middle) - log_of(T_X(1) - T) + log_of(T));",
    docs={"dL": "gradient of L", "T": "probabilities", "X": "probabilities", "dT": "gradient of T"},
    flops=8,
)

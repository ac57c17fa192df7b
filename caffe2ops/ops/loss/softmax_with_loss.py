"""SoftmaxWithLoss: softmax and cross entropy in one, with its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.loss.cross_entropy import SMALLEST, checked_labels, wants_labels
from caffe2ops.ops.shape.axes import flat2d, show

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class SoftmaxLoss(Operator):
    """Base: logits as a matrix [N, D], its labels, and what the losses of its rows are divided by."""

    label_prob: bool = Arg(False, doc="whether labels are probabilities like the logits instead of class numbers")
    axis: int = Arg(1, doc="dims from this one on are joined to D classes, those before to N rows")
    scale: float = Arg(1.0, doc="what the loss is multiplied by")
    order: str = Arg("NCHW", choices=("NCHW",), doc="only NCHW is supported, as in Caffe2")
    average_by_batch_size: bool = Arg(False, doc="divide by N instead of by the sum of the weights")

    def _labels(self, labels: np.ndarray, n: int, d: int) -> np.ndarray:
        labels = self._shaped(labels, n, d)
        return labels if self.label_prob else checked_labels(labels, n, d, "labels")

    def _shaped(self, labels: Any, n: int, d: int) -> Any:
        """The labels as a vector or matrix. Raises TypeError for another dtype, ValueError for another size."""
        if not self.label_prob:
            if labels.dtype != np.int32:
                raise TypeError(f"labels: dtype is {labels.dtype}, wants int32 (label_prob = 0)")
            wants_labels(labels, n, "labels")
            return labels.reshape(-1)
        if labels.dtype.kind != "f":
            raise TypeError(f"labels: dtype is {labels.dtype}, wants float32 (label_prob = 1)")
        if labels.size != n * d:
            raise ValueError(f"labels: shape is {show(labels.shape)}, wants {n} rows of {d} probabilities")
        return labels.reshape(n, d)

    @staticmethod
    def _wants_weights(weights: Any, n: int) -> None:
        if weights is not None and weights.size != n:
            raise ValueError(f"weight_tensor: has {weights.size} elements, wants {n}, one a row")

    def refuse(self, labels: np.ndarray, p: np.ndarray) -> None:
        """Says which label is wrong, where a kernel has found that one is; labels and probabilities [N, D]."""
        if self.label_prob:
            self._losses_of_probabilities(p, labels)
        else:
            checked_labels(labels, p.shape[0], p.shape[1], "labels")

    def _weights(self, weights: np.ndarray | None, n: int, dtype: Any) -> tuple[np.ndarray | None, float]:
        """The weights as a vector, and the divisor of the summed loss, 0 where there is none."""
        self._wants_weights(weights, n)
        total = float(n if weights is None or self.average_by_batch_size else weights.sum(dtype=np.float64))
        return None if weights is None else weights.reshape(-1), total

    @staticmethod
    def _losses_of_probabilities(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
        if labels.size and labels.min() < 0:
            row, column = divmod(int(labels.argmin()), labels.shape[1])
            raise ValueError(
                f"labels: row {row} gives class {column} the probability {labels[row, column]}, wants 0 or more"
            )
        sums = labels.sum(axis=1, dtype=np.float64)
        bad = np.flatnonzero(~(np.abs(sums - 1) < 1e-5))
        if bad.size:
            raise ValueError(f"labels: row {bad[0]} adds up to {sums[bad[0]]}, wants 1 (label_prob = 1)")
        return -np.einsum("nd,nd->n", np.log(np.maximum(p, SMALLEST)), labels)


class SoftmaxWithLoss(SoftmaxLoss):
    """The softmax of each row of logits, and the mean cross entropy of the rows with their labels.

    The rows' losses are weighted, added up, divided by the sum of the weights (or by N) and multiplied by `scale`;
    the loss is 0 where the weights add up to 0. Raises IndexError for a label that is no class, ValueError for label
    probabilities that are negative or don't add up to 1. Caffe2: operators/softmax_with_loss_op.
    """

    contract = "logits: float, labels: int32|float32|float64, weight_tensor?: logits -> softmax: logits, loss: logits[]"
    docs = {
        "logits": "a matrix [N, D] from axis on",
        "labels": "a class for each row, [N] or [N, 1]; with label_prob probabilities like the logits",
        "weight_tensor": "a weight for each row",
        "softmax": "the probabilities, like the logits",
        "loss": "a number",
    }

    def infer(
        self, logits: TensorSpec, labels: TensorSpec, weights: TensorSpec | None = None
    ) -> tuple[TensorSpec, ...]:
        flat2d(logits.shape, self.axis)
        return logits, TensorSpec((), logits.dtype)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(5 * inputs[0].size, moved.bytes_read, moved.bytes_written)

    def run_cpu(self, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Any:
        n, d = flat2d(logits.shape, self.axis)
        labels = self._labels(labels, n, d)
        weights, total = self._weights(weights, n, logits.dtype)
        softmax = self.out(0, logits.shape, logits.dtype)
        p, x = softmax.reshape(n, d), logits.reshape(n, d)
        np.subtract(x, x.max(axis=1, keepdims=True, initial=-np.inf), out=p)
        at = None if self.label_prob else p[np.arange(n), labels]
        np.exp(p, out=p)
        sums = p @ np.ones(d, p.dtype)
        np.divide(p, sums[:, None], out=p)
        losses = self._losses_of_probabilities(p, labels) if at is None else np.log(sums) - at
        summed = losses.sum(dtype=np.float64) if weights is None else np.dot(losses.astype(np.float64), weights)
        loss = self.out(1, (), logits.dtype)
        loss[...] = summed * self.scale / total if total else 0
        return softmax, loss

    def run_cuda(self, logits: Any, labels: Any, weights: Any = None) -> Any:
        from caffe2ops.ops.loss import softmax_with_loss_cuda

        n, d = flat2d(logits.shape, self.axis)
        labels = self._shaped(labels, n, d)
        self._wants_weights(weights, n)
        softmax, loss = self.out(0, logits.shape, logits.dtype), self.out(1, (), logits.dtype)
        matrices = logits.reshape(n, d), labels, weights, softmax.reshape(n, d)
        softmax_with_loss_cuda.forward(self, *matrices, loss)
        return softmax, loss

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        return [g.op("SoftmaxWithLossGradient", (*g.def_.input, g.O(0), g.GO(1)), (g.GI(0),))]


class SoftmaxWithLossGradient(SoftmaxLoss):
    """The gradient of SoftmaxWithLoss by the logits: dloss * scale * weight * (softmax - label) / divisor.

    The last inputs are softmax and the gradient of the loss; before them stands weight_tensor where there was one.
    Weights whose sum is negative divide as they do forward (Caffe2 leaves the gradient undivided).
    """

    contract = "logits: float, labels: int32|float32|float64, *rest: logits -> dlogits: logits"
    docs = {
        "logits": "input of SoftmaxWithLoss",
        "labels": "its labels",
        "rest": "weight_tensor where there was one, softmax, gradient of loss",
        "dlogits": "gradient of logits",
    }
    arity = ((4, 1), (5, 1))

    def run_cpu(self, logits: np.ndarray, labels: np.ndarray, *rest: np.ndarray) -> Any:
        *given, softmax, dloss = rest
        n, d = flat2d(logits.shape, self.axis)
        labels = self._labels(labels, n, d)
        weights, total = self._weights(given[0] if given else None, n, logits.dtype)
        self._check_softmax(logits, softmax, dloss)
        dx = self.out(0, logits.shape, logits.dtype)
        grad = dx.reshape(n, d)
        if self.label_prob:
            np.subtract(softmax.reshape(n, d), labels, out=grad)
        else:
            grad[...] = softmax.reshape(n, d)
            grad[np.arange(n), labels] -= 1
        factor = float(dloss.reshape(-1)[0]) * self.scale / total if total else 0.0
        grad *= factor if weights is None else weights[:, None] * logits.dtype.type(factor)
        return dx

    @staticmethod
    def _check_softmax(logits: Any, softmax: Any, dloss: Any) -> None:
        if softmax.shape != logits.shape or dloss.size != 1:
            raise ValueError(
                f"softmax: shape is {show(softmax.shape)}, dloss: {show(dloss.shape)}, "
                f"wants {show(logits.shape)} and one number"
            )

    def run_cuda(self, logits: Any, labels: Any, *rest: Any) -> Any:
        from caffe2ops.ops.loss import softmax_with_loss_cuda

        *given, softmax, dloss = rest
        n, d = flat2d(logits.shape, self.axis)
        weights = given[0] if given else None
        self._wants_weights(weights, n)
        self._check_softmax(logits, softmax, dloss)
        dx = self.out(0, logits.shape, logits.dtype)
        matrices = softmax.reshape(n, d), self._shaped(labels, n, d), weights, dloss, dx.reshape(n, d)
        softmax_with_loss_cuda.backward(self, *matrices)
        return dx

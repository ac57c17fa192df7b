"""SpatialSoftmaxWithLoss: softmax and cross entropy at every place of images, with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import Cost
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.loss.cross_entropy import SMALLEST
from caffe2ops.ops.shape.axes import show

IGNORED = -1  # the label of a place that does not count


class SpatialSoftmax(Operator):
    """Base: labels and weights of the places of images [N, D, H, W]."""

    scale: float = Arg(1.0, ge=0, doc="what the gradient is multiplied by; the loss is not, as in Caffe2")
    order: str = Arg("NCHW", choices=("NCHW",), doc="only NCHW is supported, as in Caffe2")

    def _weights(self, labels: np.ndarray, weights: np.ndarray | None, d: int) -> tuple[np.ndarray, np.ndarray]:
        """The weight of each place, 0 where it does not count, and labels with class 0 there.

        Raises IndexError for a label that is no class, ValueError unless there is a weight for each label.
        """
        counts = labels != IGNORED
        bad = np.flatnonzero(counts & ((labels < 0) | (labels >= d)))
        if bad.size:
            raise IndexError(f"labels: element {bad[0]} is {labels.flat[bad[0]]}, wants -1 to {d - 1}")
        if weights is None:
            return counts.astype(np.float64), np.where(counts, labels, 0)
        if weights.size != labels.size:
            raise ValueError(f"weight_tensor: shape is {show(weights.shape)}, wants {show(labels.shape)}")
        return np.where(counts, weights.reshape(labels.shape), 0), np.where(counts, labels, 0)


class SpatialSoftmaxWithLoss(SpatialSoftmax):
    """The softmax over the channels at every place, and the mean cross entropy of the places with their labels.

    The mean is weighted by weight_tensor, and 0 where the weights add up to 0. Raises IndexError for a label that is no
    class. Caffe2: operators/spatial_softmax_with_loss_op.
    """

    contract = (
        "logits: float[N, D, H, W], labels: int32[N, H, W], weight_tensor?: logits -> "
        "softmax: logits[N, D, H, W], loss: logits[]"
    )
    docs = {
        "logits": "a score for each class at each place",
        "labels": "the class of each place, -1 where it does not count",
        "weight_tensor": "a weight for each place",
        "softmax": "the probabilities",
        "loss": "a number",
    }
    gradient = "SpatialSoftmaxWithLossGradient(logits, labels, weight_tensor?, softmax, dloss) -> dlogits"

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(5 * inputs[0].size, moved.bytes_read, moved.bytes_written)

    def run_cpu(self, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> Any:
        weights, labels = self._weights(labels, weights, logits.shape[1])
        softmax, loss = self.out(0, logits.shape, logits.dtype), self.out(1, (), logits.dtype)
        np.subtract(logits, logits.max(axis=1, keepdims=True, initial=-1e20), out=softmax)
        np.exp(softmax, out=softmax)
        softmax /= softmax.sum(axis=1, keepdims=True)
        total = weights.sum(dtype=np.float64)
        loss[...] = 0
        if total:
            found = np.take_along_axis(softmax, labels[:, None], 1)[:, 0]
            loss[...] = np.sum(-np.log(np.maximum(found, SMALLEST)) * weights, dtype=np.float64) / total
        return softmax, loss


class SpatialSoftmaxWithLossGradient(SpatialSoftmax):
    """The gradient of SpatialSoftmaxWithLoss by the logits: dloss * scale * weight * (softmax - label) / total weight.

    The last inputs are softmax and the gradient of the loss; before them stands weight_tensor where there was one.
    Weights whose sum is negative divide as they do forward (Caffe2 leaves the gradient undivided).
    """

    contract = "logits: float[N, D, H, W], labels: int32[N, H, W], *rest: logits -> dlogits: logits"
    docs = {
        "logits": "input of SpatialSoftmaxWithLoss",
        "labels": "its labels",
        "rest": "weight_tensor where there was one, softmax, gradient of loss",
        "dlogits": "gradient of logits",
    }
    arity = ((4, 1), (5, 1))

    def run_cpu(self, logits: np.ndarray, labels: np.ndarray, *rest: np.ndarray) -> Any:
        *given, softmax, dloss = rest
        weights, labels = self._weights(labels, given[0] if given else None, logits.shape[1])
        if softmax.shape != logits.shape or dloss.size != 1:
            raise ValueError(
                f"softmax: shape is {show(softmax.shape)}, dloss: {show(dloss.shape)}, "
                f"wants {show(logits.shape)} and one number"
            )
        dx = self.out(0, logits.shape, logits.dtype)
        total = weights.sum(dtype=np.float64)
        factor = float(dloss.reshape(-1)[0]) * self.scale / total if total else 0.0
        np.equal(np.arange(logits.shape[1])[:, None, None], labels[:, None], out=dx, casting="unsafe")
        np.subtract(softmax, dx, out=dx)
        dx *= (weights * factor)[:, None].astype(dx.dtype)
        return dx

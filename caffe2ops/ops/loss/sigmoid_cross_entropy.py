"""SigmoidCrossEntropyWithLogits and its weighted form: losses of logits, averaged over the last dim, with their
gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.shape.axes import wants_same


def _softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


# form -> (the loss of a logit x with target t, its derivative by x)
FORMS = {
    "plain": (lambda x, t: _softplus(x) - x * t, lambda x, t: _sigmoid(x) - t),
    "log_D_trick": (lambda x, t: (2 * t - 1) * _softplus(-x), lambda x, t: (1 - 2 * t) * (1 - _sigmoid(x))),
    "unjoined_lr_loss": (lambda x, t: (1 - t) * _softplus(x) - x * t, lambda x, t: (1 - t) * _sigmoid(x) - t),
}


class OfLogits(Operator):
    """Base: the mean over the last dim of a loss of logits, targets and maybe weights, all of one shape; a number is
    one logit.
    """

    form = "plain"

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        if all(spec.has_rank for spec in inputs):
            self._check(*inputs)
        return TensorSpec(inputs[0].shape[:-1], inputs[0].dtype)

    @staticmethod
    def _check(logits: Any, targets: Any, weights: Any = None) -> None:
        wants_same("logits", logits.shape, "targets", targets.shape)
        if weights is not None:
            wants_same("logits", logits.shape, "weights", weights.shape)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(8 * inputs[1].size, moved.bytes_read, moved.bytes_written)

    def _mean(self, logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> Any:
        self._check(logits, targets, weights)
        loss = FORMS[self.form][0](logits, targets)
        if weights is not None:
            loss = loss * weights
        y = self.out(0, logits.shape[:-1], logits.dtype)
        if not logits.ndim:
            y[...] = loss
            return y
        np.add.reduce(loss, axis=-1, out=y)
        return np.divide(y, max(logits.shape[-1], 1), out=y)

    def _check_dy(self, dy: Any, logits: Any) -> None:
        if dy.shape != logits.shape[:-1]:
            raise ValueError(
                f"dxentropy: shape is {dy.shape}, wants that of logits without the last dim, {logits.shape[:-1]}"
            )

    def _mean_cuda(self, *inputs: Any) -> Any:
        from caffe2ops.ops.loss import cross_entropy_cuda

        self._check(*inputs)
        y = self.out(0, inputs[0].shape[:-1], inputs[0].dtype)
        return cross_entropy_cuda.logit_losses(self.form, inputs, y)

    def _gradient_cuda(self, dy: Any, *inputs: Any) -> Any:
        from caffe2ops.ops.loss import cross_entropy_cuda

        self._check(*inputs)
        self._check_dy(dy, inputs[0])
        dx = self.out(0, inputs[0].shape, inputs[0].dtype)
        return cross_entropy_cuda.logit_gradients(self.form, inputs, dy, dx)

    def _gradient(
        self, dy: np.ndarray, logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
    ) -> Any:
        self._check(logits, targets, weights)
        self._check_dy(dy, logits)
        dx = self.out(0, logits.shape, logits.dtype)
        np.multiply(FORMS[self.form][1](logits, targets), 1 if weights is None else weights, out=dx)
        return np.multiply(dx, (dy / logits.shape[-1])[..., None] if logits.ndim else dy, out=dx)


class Formed(OfLogits):
    """Base: which loss it is."""

    log_D_trick: bool = Arg(False, doc="maximise log D(x) instead of minimising log(1 - D(x)) for targets below 1/2")  # noqa: N815
    unjoined_lr_loss: bool = Arg(False, doc="targets stand for clicks that arrive apart from their impressions")

    @property
    def form(self) -> str:
        if self.log_D_trick and self.unjoined_lr_loss:
            raise ValueError("log_D_trick = 1 and unjoined_lr_loss = 1, wants only one of them")
        return "log_D_trick" if self.log_D_trick else "unjoined_lr_loss" if self.unjoined_lr_loss else "plain"


class SigmoidCrossEntropyWithLogits(Formed):
    """The cross entropy of sigmoid(logits) with targets, averaged over the last dim.

    For a logit x and a target t: log(1 + e^x) - x t; with log_D_trick (2t - 1) log(1 + e^-x); with unjoined_lr_loss
    (1 - t) log(1 + e^x) - x t. Caffe2: operators/cross_entropy_op.
    """

    contract = "logits: float[...], targets: logits[...] -> xentropy: logits[?]"
    docs = {"logits": "[..., D]", "targets": "like logits, usually 0 to 1", "xentropy": "[...]"}
    gradient = "SigmoidCrossEntropyWithLogitsGradient(dxentropy, logits, targets) -> dlogits"

    def run_cpu(self, logits: np.ndarray, targets: np.ndarray) -> Any:
        return self._mean(logits, targets)

    def run_cuda(self, logits: Any, targets: Any) -> Any:
        return self._mean_cuda(logits, targets)


class SigmoidCrossEntropyWithLogitsGradient(Formed):
    """The gradient of SigmoidCrossEntropyWithLogits by the logits."""

    contract = "dxentropy: float, logits: dxentropy, targets: dxentropy -> dlogits: logits"
    docs = {
        "dxentropy": "gradient of xentropy",
        "logits": "[..., D]",
        "targets": "[..., D]",
        "dlogits": "gradient of logits",
    }

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return inputs[1]

    def run_cpu(self, dy: np.ndarray, logits: np.ndarray, targets: np.ndarray) -> Any:
        return self._gradient(dy, logits, targets)

    def run_cuda(self, dy: Any, logits: Any, targets: Any) -> Any:
        return self._gradient_cuda(dy, logits, targets)


class WeightedSigmoidCrossEntropyWithLogits(OfLogits):
    """SigmoidCrossEntropyWithLogits with a weight for each logit; divided by the number of logits, not by the sum of
    weights.

    Caffe2: operators/cross_entropy_op.
    """

    contract = "logits: float[...], targets: logits[...], weights: logits[...] -> xentropy: logits[?]"
    docs = {"logits": "[..., D]", "targets": "like logits", "weights": "like logits", "xentropy": "[...]"}
    gradient = "WeightedSigmoidCrossEntropyWithLogitsGradient(dxentropy, logits, targets, weights) -> dlogits"

    def run_cpu(self, logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Any:
        return self._mean(logits, targets, weights)

    def run_cuda(self, logits: Any, targets: Any, weights: Any) -> Any:
        return self._mean_cuda(logits, targets, weights)


class WeightedSigmoidCrossEntropyWithLogitsGradient(OfLogits):
    """The gradient of WeightedSigmoidCrossEntropyWithLogits by the logits."""

    contract = "dxentropy: float, logits: dxentropy, targets: dxentropy, weights: dxentropy -> dlogits: logits"
    docs = {**SigmoidCrossEntropyWithLogitsGradient.docs, "weights": "[..., D]"}

    def infer(self, *inputs: TensorSpec) -> TensorSpec:
        return inputs[1]

    def run_cpu(self, dy: np.ndarray, logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Any:
        return self._gradient(dy, logits, targets, weights)

    def run_cuda(self, dy: Any, logits: Any, targets: Any, weights: Any) -> Any:
        return self._gradient_cuda(dy, logits, targets, weights)

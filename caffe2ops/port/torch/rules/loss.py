"""Losses and what nets that are trained report."""

from __future__ import annotations

from typing import Any

from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.rules.shape import matrix
from caffe2ops.port.torch.text import literal, operand
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer


def _rows(x: Tensor) -> str:
    return matrix(x) if x.rank > 1 else f"{x}.reshape(1, -1)"


@rule("LabelCrossEntropy")
def label_cross_entropy(t: Writer, op: Any, x: Tensor, label: Tensor) -> str:
    return t.call("label_cross_entropy", _rows(x), label)


@rule("CrossEntropy")
def cross_entropy(t: Writer, op: Any, x: Tensor, label: Tensor) -> str:
    return f"-({_rows(label)} * {_rows(x)}.clamp(min=1e-20).log()).sum(1)"


@rule("MakeTwoClass")
def two_class(t: Writer, op: Any, x: Tensor) -> str:
    return f"torch.stack((1 - {x}, {x}), -1)"


@rule("Accuracy")
def accuracy(t: Writer, op: Any, x: Tensor, label: Tensor) -> str:
    return t.call("accuracy", x, label, op.top_k)


@rule("SigmoidCrossEntropyWithLogits", "WeightedSigmoidCrossEntropyWithLogits")
def sigmoid_cross_entropy(t: Writer, op: Any, x: Tensor, y: Tensor, weights: Tensor | None = None) -> str:
    form = getattr(op, "form", "")
    if form == "log_D_trick":
        loss = f"(2 * {y} - 1) * F.softplus(-{x})"
    elif form == "unjoined_lr_loss":
        loss = f"(1 - {y}) * F.softplus({x}) - {x} * {y}"
    else:
        loss = f'F.binary_cross_entropy_with_logits({x}, {y}, reduction="none")'
    loss = loss if weights is None else f"{operand(loss)} * {weights}"
    return f"{operand(loss)}.mean(-1)" if x.rank else loss


@rule("SoftmaxWithLoss")
def softmax_with_loss(t: Writer, op: Any, x: Tensor, labels: Tensor, weight: Tensor | None = None) -> tuple[str, str]:
    axis = op.axis % x.rank
    rows = matrix(x, axis)
    softmax = f"F.softmax({x}, {axis})" if axis == x.rank - 1 else f"F.softmax({rows}, 1).reshape({x}.shape)"
    given = "" if weight is None else f", {weight}, by_rows={literal(bool(op.average_by_batch_size))}"
    scale = "" if op.scale == 1 else f", scale={literal(op.scale)}"
    t.use("softmax_loss")
    return softmax, f"softmax_loss({rows}, {labels}{given}{scale})"


@rule("SpatialSoftmaxWithLoss")
def spatial_softmax_with_loss(
    t: Writer, op: Any, x: Tensor, labels: Tensor, weight: Tensor | None = None
) -> tuple[str, str]:
    if op.scale != 1:
        t.note(f"{op.type}: scale = {literal(op.scale)} multiplies Caffe2's gradient, but not the loss; here neither")
    given = () if weight is None else (weight,)
    return f"F.softmax({x}, 1)", t.call("spatial_softmax_loss", x, labels, *given)

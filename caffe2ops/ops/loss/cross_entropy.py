"""LabelCrossEntropy, CrossEntropy and MakeTwoClass: losses of probabilities, with their gradients."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Operator
from caffe2ops.ops.shape.axes import Shape, differ, show, size

SMALLEST = 1e-20  # probabilities below it count as it


def rows_of(shape: Shape) -> Any:
    """How many rows of probabilities a tensor has: its first dim; a vector is one row."""
    return shape[0] if len(shape) > 1 else 1


def as_rows(x: np.ndarray) -> np.ndarray:
    n = rows_of(x.shape)
    return x.reshape(n, x.size // n if n else size(x.shape[1:]))


def wants_labels(label: Any, n: int, name: str = "label") -> None:
    if label.size != n:
        raise ValueError(f"{name}: has {label.size} elements (shape {show(label.shape)}), wants {n}, one a row")


def checked_labels(label: np.ndarray, n: int, classes: int, name: str = "label") -> np.ndarray:
    """The labels as a vector of n. Raises ValueError for another number of them, IndexError for one out of range."""
    wants_labels(label, n, name)
    label = label.reshape(-1)
    bad = np.flatnonzero((label < 0) | (label >= classes))
    if bad.size:
        raise IndexError(
            f"{name}: element {bad[0]} is {label[bad[0]]}, wants 0 to {classes - 1}: there are {classes} classes"
        )
    return label


def _refuse_labels(label: Any, n: int, classes: int) -> None:
    """Has the check of the CPU name a label of the device that is none."""
    checked_labels(label.get(), n, classes)


def _check_label_shape(label: Shape) -> None:
    if not (len(label) == 1 or (len(label) == 2 and not differ(label[1], 1))):
        raise ValueError(f"label: shape is {show(label)}, wants [N] or [N, 1]")


class LabelCrossEntropy(Operator):
    """Y[i] = -log(max(X[i, label[i]], 1e-20)): the loss of the probability that each row gives to its label.

    Raises IndexError for a label that is no class. Caffe2: operators/cross_entropy_op.
    """

    contract = "X: float, label: int32 -> Y: X[?]"
    docs = {"X": "[N, ...], N rows of probabilities", "label": "[N] or [N, 1]", "Y": "[N]"}
    gradient = "LabelCrossEntropyGradient(X, label, dY) -> dX"

    def infer(self, x: TensorSpec, label: TensorSpec) -> TensorSpec:
        if label.has_rank:
            _check_label_shape(label.shape)
        return TensorSpec((rows_of(x.shape),), x.dtype)

    def run_cpu(self, x: np.ndarray, label: np.ndarray) -> Any:
        _check_label_shape(label.shape)
        rows = as_rows(x)
        label = checked_labels(label, *rows.shape)
        y = self.out(0, (len(rows),), x.dtype)
        np.maximum(rows[np.arange(len(rows)), label], SMALLEST, out=y)
        np.log(y, out=y)
        return np.negative(y, out=y)

    def run_cuda(self, x: Any, label: Any) -> Any:
        from caffe2ops.ops.loss import cross_entropy_cuda as cuda

        _check_label_shape(label.shape)
        rows = as_rows(x)
        wants_labels(label, len(rows))
        y = self.out(0, (len(rows),), x.dtype)
        check = partial(_refuse_labels, label, *rows.shape)
        return cuda.flagged(cuda.LABEL_LOSS, out=y, check=check, X=x, label=label, classes=rows.shape[1])


class LabelCrossEntropyGradient(Operator):
    """The gradient of LabelCrossEntropy: -dY[i] / max(X[i, label[i]], 1e-20) at the label of each row, 0 elsewhere."""

    contract = "X: float, label: int32, dY: X[N] -> dX: X"
    docs = {"X": "input of LabelCrossEntropy", "label": "its labels", "dY": "gradient of Y", "dX": "gradient of X"}

    def run_cpu(self, x: np.ndarray, label: np.ndarray, dy: np.ndarray) -> Any:
        _check_label_shape(label.shape)
        rows = as_rows(x)
        label = checked_labels(label, *rows.shape)
        _check_dy(dy, len(rows))
        dx = self.out(0, x.shape, x.dtype)
        dx[...] = 0
        each = np.arange(len(rows))
        as_rows(dx)[each, label] = -dy / np.maximum(rows[each, label], SMALLEST)
        return dx

    def run_cuda(self, x: Any, label: Any, dy: Any) -> Any:
        from caffe2ops.ops.loss import cross_entropy_cuda as cuda

        _check_label_shape(label.shape)
        rows = as_rows(x)
        wants_labels(label, len(rows))
        _check_dy(dy, len(rows))
        dx, check = self.out(0, x.shape, x.dtype), partial(_refuse_labels, label, *rows.shape)
        return cuda.flagged(cuda.LABEL_BACK, x, out=dx, check=check, dY=dy, label=label, classes=rows.shape[1])


class CrossEntropy(Operator):
    """Y[i] = - sum over j of label[i, j] * log(max(X[i, j], 1e-20)), with labels that are probabilities.

    Raises ValueError for a label below 0 or above 1. Caffe2: operators/cross_entropy_op.
    """

    contract = "X: float, label: X -> Y: X[?]"
    docs = {"X": "[N, D], N rows of probabilities", "label": "probabilities like X", "Y": "[N]"}
    gradient = "CrossEntropyGradient(X, label, dY) -> dX"

    def infer(self, x: TensorSpec, label: TensorSpec) -> TensorSpec:
        _check_alike(x.shape, label.shape)
        return TensorSpec((rows_of(x.shape),), x.dtype)

    def run_cpu(self, x: np.ndarray, label: np.ndarray) -> Any:
        _check_alike(x.shape, label.shape)
        _wants_probabilities(label)
        rows = as_rows(x)
        logs = np.log(np.maximum(rows, SMALLEST))
        y = np.einsum("nd,nd->n", logs, label.reshape(rows.shape), out=self.out(0, (len(rows),), x.dtype))
        return np.negative(y, out=y)

    def run_cuda(self, x: Any, label: Any) -> Any:
        from caffe2ops.ops.loss import cross_entropy_cuda as cuda

        _check_alike(x.shape, label.shape)
        rows = as_rows(x)
        y = self.out(0, (len(rows),), x.dtype)
        return cuda.cross_entropy(rows, label.reshape(rows.shape), y, lambda: _wants_probabilities(label.get()))


def _wants_probabilities(label: np.ndarray) -> None:
    bad = np.flatnonzero(~((label >= 0) & (label <= 1)))
    if bad.size:
        raise ValueError(f"label: element {bad[0]} is {label.flat[bad[0]]}, wants a probability, 0 to 1")


class CrossEntropyGradient(Operator):
    """The gradient of CrossEntropy: dX[i, j] = -dY[i] * label[i, j] / max(X[i, j], 1e-20)."""

    contract = "X: float, label: X, dY: X[N] -> dX: X"
    docs = {"X": "input of CrossEntropy", "label": "its labels", "dY": "gradient of Y", "dX": "gradient of X"}

    def run_cpu(self, x: np.ndarray, label: np.ndarray, dy: np.ndarray) -> Any:
        _check_alike(x.shape, label.shape)
        rows = as_rows(x)
        _check_dy(dy, len(rows))
        dx = self.out(0, x.shape, x.dtype)
        np.divide(label.reshape(rows.shape), np.maximum(rows, SMALLEST), out=dx.reshape(rows.shape))
        np.multiply(dx.reshape(rows.shape), -dy[:, None], out=dx.reshape(rows.shape))
        return dx

    def run_cuda(self, x: Any, label: Any, dy: Any) -> Any:
        from caffe2ops.ops.loss import cross_entropy_cuda as cuda

        _check_alike(x.shape, label.shape)
        rows = as_rows(x)
        _check_dy(dy, len(rows))
        dx = self.out(0, x.shape, x.dtype)
        cuda.BACK(rows, label.reshape(rows.shape), dy[:, None], out=dx.reshape(rows.shape))
        return dx


def _check_alike(x: Shape, label: Shape) -> None:
    n = rows_of(x)
    if len(x) > 2 or len(label) not in (1, 2) or differ(label[0], n) or differ(size(label), size(x)):
        raise ValueError(f"label: shape is {show(label)}, wants [N, D] as X has, {show(x)}")


def _check_dy(dy: np.ndarray, n: int) -> None:
    if len(dy) != n:
        raise ValueError(f"dY: has {len(dy)} elements, wants {n}, one a row of X")


class MakeTwoClass(Operator):
    """Y[..., 0] = 1 - X and Y[..., 1] = X: both probabilities of a two-class decision.

    Caffe2: operators/cross_entropy_op.
    """

    contract = "X: float[...] -> Y: X[..., 2]"
    docs = {"X": "probabilities of class 1", "Y": "probabilities of both classes"}
    gradient = "MakeTwoClassGradient(dY) -> dX"

    def run_cpu(self, x: np.ndarray) -> Any:
        y = self.out(0, (*x.shape, 2), x.dtype)
        np.subtract(1, x, out=y[..., 0])
        y[..., 1] = x
        return y

    def run_cuda(self, x: Any) -> Any:
        from caffe2ops.ops.loss import cross_entropy_cuda as cuda

        return cuda.TWO_CLASSES(out=self.out(0, (*x.shape, 2), x.dtype), X=x)


class MakeTwoClassGradient(Operator):
    """The gradient of MakeTwoClass: dX = dY[..., 1] - dY[..., 0]."""

    contract = "dY: float[..., 2] -> dX: dY[...]"
    docs = {"dY": "gradient of Y", "dX": "gradient of X"}

    def run_cpu(self, dy: np.ndarray) -> Any:
        return np.subtract(dy[..., 1], dy[..., 0], out=self.out(0, dy.shape[:-1], dy.dtype))

    def run_cuda(self, dy: Any) -> Any:
        from caffe2ops.ops.loss import cross_entropy_cuda as cuda

        return cuda.TWO_CLASSES_BACK(out=self.out(0, dy.shape[:-1], dy.dtype), dY=dy)

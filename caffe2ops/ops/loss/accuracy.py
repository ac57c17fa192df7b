"""Accuracy: how often a label is among the highest scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction
from caffe2ops.infer import Cost
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.loss.cross_entropy import checked_labels, wants_labels

# Whether fewer than top_k classes of a row are ahead of its label.
_FOUND = Elementwise(
    "long long c = labels[i], ahead = 0; if (c < 0 || c >= classes) { atomicExch(bad, 1); c = 0; } "
    "const T* row = x + i * classes; const T mine = classes ? row[c] : T(0); "
    "for (long long j = 0; j < classes; ++j) ahead += row[j] > mine || (row[j] == mine && j < c); "
    "found = ahead < top_k;",
    outputs="found:float32", tables="x labels:int32", int_scalars="classes top_k", flags="bad",
    dtypes=("float32", "float64"), name="label_found",
)  # fmt: skip
_SHARE = Reduction(combine="a + b", identity="A(0)", finish="a / A(n)", accumulator="float64", name="share_found")


class Accuracy(Operator):
    """The share of rows whose label is among the `top_k` highest predictions; of equal ones the lower class counts as
    higher.

    NaN where there are no rows. Raises IndexError for a label that is no class (Caffe2 reads beyond the row). Caffe2:
    operators/accuracy_op.
    """

    contract = "predictions: float[N, D], labels: int32[N] -> accuracy: float32[]"
    docs = {"predictions": "a score for each class", "labels": "the true classes", "accuracy": "a number, 0 to 1"}
    gradient = FORBIDDEN
    top_k: int = Arg(1, ge=0, doc="among how many highest predictions a label counts as found")

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(2 * inputs[0].size, moved.bytes_read, moved.bytes_written)

    def run_cpu(self, predictions: np.ndarray, labels: np.ndarray) -> Any:
        n, d = predictions.shape
        labels = checked_labels(labels, n, d, "labels")
        of_label = predictions[np.arange(n), labels]
        rank = np.count_nonzero(predictions > of_label[:, None], axis=1)
        close = np.flatnonzero(rank < self.top_k)  # ties matter for these only
        tied = (predictions[close] == of_label[close, None]) & (np.arange(d) < labels[close, None])
        rank[close] += np.count_nonzero(tied, axis=1)
        accuracy = self.out(0, (), np.float32)
        accuracy[...] = np.count_nonzero(rank < self.top_k) / n if n else np.nan
        return accuracy

    def run_cuda(self, predictions: Any, labels: Any) -> Any:
        import cupy

        n, d = predictions.shape
        wants_labels(labels, n, "labels")
        found, bad = cupy.empty(n, np.float32), cupy.zeros(1, np.int32)
        _FOUND(out=found, x=predictions, labels=labels, classes=d, top_k=self.top_k, bad=bad)
        _SHARE(found, accuracy := self.out(0, (), np.float32))
        if int(bad[0]):
            checked_labels(labels.get(), n, d, "labels")
        return accuracy

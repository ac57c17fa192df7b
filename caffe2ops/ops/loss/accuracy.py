"""Accuracy: how often a label is among the highest scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import Cost
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.loss.cross_entropy import checked_labels


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

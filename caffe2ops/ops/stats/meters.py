"""Meters of classifiers: average precision, accuracy of each class, perplexity."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.loss.cross_entropy import checked_labels, wants_labels


class APMeter(Operator):
    """The average precision of each class over the last predictions, of which the operator keeps `buffer_size`.

    Precision is taken at each label 1, predictions in descending order. As in Caffe2 the operator keeps them in that
    order, so that those with the highest scores make room for new ones. Raises ValueError where the number of classes
    changes. Caffe2: operators/apmeter_op.
    """

    contract = "predictions: float[N, D], labels: int32[N, D] -> AP: float32[D]"
    docs = {"predictions": "a score for each class", "labels": "1 where it is of the class", "AP": "one for each class"}
    gradient = FORBIDDEN
    buffer_size: int = Arg(1000, ge=0, doc="how many rows are kept at most")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.kept: tuple[np.ndarray, np.ndarray] | None = None  # scores and labels, [used, D]

    def run_cpu(self, predictions: np.ndarray, labels: np.ndarray) -> Any:
        n, d = predictions.shape
        scores, truth = self.kept or (predictions[:0], labels[:0])
        if scores.shape[1] != d:
            raise ValueError(f"predictions: has {d} classes, the runs before had {scores.shape[1]}")
        n = min(n, self.buffer_size)
        gone = max(len(scores) + n - self.buffer_size, 0)
        scores = np.concatenate((scores[gone:], predictions[len(predictions) - n :]))
        truth = np.concatenate((truth[gone:], labels[len(labels) - n :]))
        order = np.argsort(-scores, axis=0, kind="stable")
        scores, truth = np.take_along_axis(scores, order, 0), np.take_along_axis(truth, order, 0)
        self.kept = scores, truth
        found = np.cumsum(truth, axis=0, dtype=np.float32)
        precision = found / np.arange(1, len(truth) + 1, dtype=np.float32)[:, None]
        ap = self.out(0, (d,), np.float32)
        ap[...] = np.where(truth == 1, precision, np.float32(0)).sum(axis=0)
        ap /= np.maximum(np.count_nonzero(truth == 1, axis=0), 1)
        return ap


class MultiClassAccuracy(Operator):
    """For each class the share of its rows whose highest prediction it is, the first of equal ones, and their number.

    A class without rows has accuracy 0. Raises IndexError for a label that is no class (Caffe2 reads and writes beyond
    its memory). Caffe2: operators/multi_class_accuracy_op.
    """

    contract = "prediction: float[N, D], labels: int32[N] -> accuracies: float32[D], amounts: int32[D]"
    docs = {
        "prediction": "a score for each class",
        "labels": "the true classes",
        "accuracies": "0 to 1, for each class",
        "amounts": "the number of rows of each class",
    }
    gradient = FORBIDDEN

    def run_cpu(self, prediction: np.ndarray, labels: np.ndarray) -> Any:
        n, d = prediction.shape
        labels = checked_labels(labels, n, d, "labels")
        accuracies, amounts = self.out(0, (d,), np.float32), self.out(1, (d,), np.int32)
        least = np.finfo(prediction.dtype).min
        best = np.nan_to_num(prediction, nan=least, neginf=least, posinf=np.inf).argmax(axis=1) if n else labels
        amounts[...] = np.bincount(labels, minlength=d)
        accuracies[...] = np.bincount(labels[best == labels], minlength=d)
        accuracies /= np.maximum(amounts, 1).astype(np.float32)
        return accuracies, amounts

    def run_cuda(self, prediction: Any, labels: Any) -> Any:
        from caffe2ops.ops.stats import meters_cuda

        n, d = prediction.shape
        wants_labels(labels, n, "labels")
        accuracies, amounts = self.out(0, (d,), np.float32), self.out(1, (d,), np.int32)
        if not meters_cuda.class_accuracies(prediction, labels, accuracies, amounts):
            checked_labels(labels.get(), n, d, "labels")
        return accuracies, amounts


class Perplexity(Operator):
    """The inverse of the geometric mean of probabilities; 1 where there are none. Caffe2: operators/perplexity_op."""

    contract = "probabilities: float[N] -> output: probabilities[]"
    docs = {"probabilities": "that the model gives to the true labels", "output": "a number, 1 or more"}
    gradient = FORBIDDEN

    def run_cpu(self, probabilities: np.ndarray) -> Any:
        output = self.out(0, (), probabilities.dtype)
        with np.errstate(all="ignore"):
            output[...] = np.prod(probabilities.astype(np.float64) ** (-1 / max(probabilities.size, 1)))
        return output

    def run_cuda(self, probabilities: Any) -> Any:
        from caffe2ops.ops.stats import meters_cuda

        return meters_cuda.perplexity(probabilities, self.out(0, (), probabilities.dtype))

"""Dropout of sparse features: whole examples of a batch, or single values, become a replacement value."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.fill.mt19937 import Generator, generator_of
from caffe2ops.ops.segment.lengths_reduce import checked_lengths


class SparseDropping(Operator):
    """Base: what is kept, drawn from the operator's own generator; the same random_seed keeps what Caffe2 keeps."""

    gradient = NO_GRADIENT
    docs = {
        "X": "the values of all examples, one after the other",
        "Lengths": "how many values each example has; they add up to K",
        "Y": "the values that are left, and the replacements",
        "OutputLengths": "how many values each example has in Y",
    }
    ratio: float = Arg(0.0, ge=0, le=1, doc="the probability to be replaced")
    replacement_value: int = Arg(0, doc="what is put instead")

    _generator: Generator | None = None

    def kept(self, count: int) -> Any:
        if self._generator is None:
            self._generator = generator_of(self)
        return self._generator.bernoulli(count, 1.0 - float(np.float32(self.ratio)))


class SparseDropoutWithReplacement(SparseDropping):
    """Each example, with probability `ratio`, becomes the one value `replacement_value`, an empty one too.

    Raises ValueError where Lengths do not add up to the size of X. Caffe2:
    operators/sparse_dropout_with_replacement_op.
    """

    contract = "X: int64[K], Lengths: int32[N] -> Y: X[?], OutputLengths: Lengths[N]"

    def infer(self, X: TensorSpec, Lengths: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
        return TensorSpec((UNKNOWN,), X.dtype), Lengths

    def run_cpu(self, X: np.ndarray, Lengths: np.ndarray) -> Any:
        kept = self.kept(checked_lengths(Lengths, len(X), "X", name="Lengths").size)
        lengths = np.where(kept, Lengths, 1).astype(np.int32)
        Y = np.full(lengths.sum(dtype=np.int64), self.replacement_value, np.int64)
        Y[np.repeat(kept, lengths)] = X[np.repeat(kept, Lengths)]
        return Y, lengths


class SparseItemwiseDropoutWithReplacement(SparseDropping):
    """Each value, with probability `ratio`, becomes `replacement_value`.

    Raises ValueError where Lengths do not add up to the size of X. Caffe2:
    operators/sparse_itemwise_dropout_with_replacement_op.
    """

    contract = "X: int64[K], Lengths: int32[N] -> Y: X[K], OutputLengths: Lengths[N]"

    def run_cpu(self, X: np.ndarray, Lengths: np.ndarray) -> Any:
        checked_lengths(Lengths, len(X), "X", name="Lengths")
        lengths = self.out(1, Lengths.shape, Lengths.dtype)
        lengths[...] = Lengths
        return np.where(self.kept(X.size), X, np.int64(self.replacement_value)), lengths

"""Pooling of quantised images, channels last."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import row
from caffe2ops.ops.int8.arithmetic import F, Int8, averaged, clamped, quantised, ratio
from caffe2ops.ops.int8.conv import wants_channels_last
from caffe2ops.ops.pool.pooling import Pooling
from caffe2ops.qtensor import QTensor


class ExactPooling(Pooling):
    """Base of poolings of bytes."""

    def reduced(self, X: np.ndarray) -> np.ndarray:
        """Sums or maxima over all windows of float images; the padding is left out."""
        Y = np.empty(self.shape_of(X), X.dtype)
        separable = self.separable(X)
        for block, out in separable.blocks(self.flat(X), self.flat(Y)):
            separable.reduce(block, out)
        return Y


class Int8Pooling(Int8, ExactPooling):
    """Base; with `relu` values below 0 become 0."""

    relu: ClassVar[bool] = False

    def images(self, X: Any) -> QTensor:
        wants_channels_last(self)
        return quantised("X", X)


class Average(Int8Pooling):
    """Base: the padding counts as 0."""

    def run_cpu(self, X: Any) -> QTensor:
        X = self.images(X)
        sums = self.reduced(np.subtract(X.data, X.zero_point, dtype=np.float32))
        area = prod(w.kernel for w in self.windows(X.shape[1:-1]))
        by = ratio(F(X.scale) / (F(self.Y_scale) * F(area)), 2.0**-32, 2.0**8, "scale of X / (Y_scale * window)")
        return self.made(clamped(averaged(sums.astype(np.int64), by), self.Y_zero_point, self.relu))


class Max(Int8Pooling):
    """Base: scale and zero point stay."""

    ufunc = np.maximum

    def run_cpu(self, X: Any) -> QTensor:
        X = self.images(X)
        greatest = self.reduced(X.data.astype(np.float32))
        return self.like(X, np.maximum(greatest, X.zero_point if self.relu else 0).astype(np.uint8))


for _base, _name, _what, _source in (
    (Average, "AveragePool", "The mean over windows", "average"),
    (Max, "MaxPool", "The greatest of windows", "max"),
):
    for _relu in (False, True):
        row(
            f"Int8{_name}{'Relu' * _relu}",
            f"{_what} of quantised images (order NHWC){', values below 0 as 0' * _relu}. Caffe2: "
            f"operators/quantized/int8_{_source}_pool_op.",
            _base,
            contract="X: blob -> Y: blob",
            docs={"X": "quantised images [N, H, W, C]", "Y": "quantised images"},
            relu=_relu,
        )

"""Functions of quantised tensors: a table of 256 values each, and Softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.int8.arithmetic import MOST, F, Int8, quantised
from caffe2ops.qtensor import QTensor

BYTES = np.arange(MOST + 1)
OUT_OF_256 = (1 / 256, 0)  # scale and zero point of values below 1


class Int8Relu(Int8):
    """Y = max(X, 0); scale and zero point stay. Caffe2: operators/quantized/int8_relu_op."""

    contract = "X: blob -> Y: blob"
    docs = {"X": "a quantised tensor", "Y": "a tensor like X"}
    inplace = ((0, 0),)

    def run_cpu(self, x: Any) -> QTensor:
        x = quantised("X", x)
        return self.like(x, np.maximum(x.data, np.uint8(x.zero_point)))


class Int8LeakyRelu(Int8):
    """Y = X where X >= 0, else alpha X. Caffe2: operators/quantized/int8_leaky_relu_op."""

    contract = "X: blob -> Y: blob"
    docs = {"X": "a quantised tensor", "Y": "a tensor of X's shape"}
    inplace = ((0, 0),)
    alpha: float = Arg(0.01, gt=0, le=1, doc="slope left of 0")

    def run_cpu(self, x: Any) -> QTensor:
        x = quantised("X", x)
        values = F(x.scale) / F(self.Y_scale) * (BYTES - x.zero_point).astype(F)
        values = np.where(values < 0, values * F(self.alpha), values)
        return self.made(_table(values, self.Y_zero_point)[x.data])


class Int8Sigmoid(Int8):
    """Y = 1 / (1 + exp(-X)), always with scale 1/256 and zero point 0.

    Raises ValueError where Y_scale and Y_zero_point are others. Caffe2: operators/quantized/int8_sigmoid_op.
    """

    contract = "input: blob -> output: blob"
    docs = {"input": "a quantised tensor", "output": "a tensor of its shape"}

    def run_cpu(self, x: Any) -> QTensor:
        x = quantised("input", x)
        self.wants_scale(*OUT_OF_256)
        values = F(256) / (1 + np.exp(-F(x.scale) * (BYTES - x.zero_point).astype(F)))
        return self.made(_table(values, 0)[x.data])


def _table(values: np.ndarray, zero_point: int) -> np.ndarray:
    """Bytes nearest to values, which are in units of the output's scale."""
    return (np.rint(values.clip(-zero_point, MOST - zero_point)) + zero_point).astype(np.uint8)


class Int8Softmax(Int8):
    """Softmax over all dims but the first, always with scale 1/256 and zero point 0.

    Raises ValueError where Y_scale and Y_zero_point are others. Caffe2: operators/quantized/int8_softmax_op.
    """

    contract = "input: blob -> output: blob"
    docs = {"input": "a quantised tensor", "output": "probabilities, a tensor of its shape"}
    axis: int = Arg(1, doc="not heeded, as in Caffe2: rows are along the first dim")

    def run_cpu(self, x: Any) -> QTensor:
        x = quantised("input", x)
        self.wants_scale(*OUT_OF_256)
        if not x.data.size:
            return self.made(x.data.copy())
        rows = x.data.reshape(x.shape[0], -1)
        powers = self.powers(x.scale, rows.shape[1])[rows + (MOST - rows.max(axis=1, keepdims=True))]
        total = powers.sum(axis=1, keepdims=True)
        found = np.minimum((powers * 256 + (total >> 1)) // total, MOST)
        return self.made(found.astype(np.uint8).reshape(x.shape))

    @staticmethod
    def powers(scale: float, width: int) -> np.ndarray:
        """exp of the 256 bytes, the last one the greatest in a row of that width, as whole numbers, int64."""
        unit = min((2.0**32 - 1) / width, 2.0**23 - 1)
        return np.rint(unit * np.exp((BYTES - MOST) * float(F(scale)))).astype(np.int64)

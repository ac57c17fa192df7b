"""Quantised tensors from floats and back, and elements moved or looked up, as Caffe2's engine DNNLOWP has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Operator
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.int8.arithmetic import quantised
from caffe2ops.ops.int8.fbgemm import BY_ROW, ENGINE, Dnnlowp, engine, floats
from caffe2ops.qtensor import QTensor


class Quantize(Dnnlowp):
    """Y = X / scale plus the zero point, to the nearest whole number (halves to the even one), cut to 0 ... 255.

    Without Y_scale the range of X, with 0 in it, is spread over all elements. Raises ValueError for the second input.
    Caffe2: quantization/server/quantize_dnnlowp_op.
    """

    contract = "X: float32, Qparam?: blob -> Y: blob"
    docs = {"X": "any tensor", "Qparam": "scale and zero point; not supported", "Y": "the quantised tensor"}

    def run_cpu(self, x: np.ndarray, qparam: Any = None) -> QTensor:
        if qparam is not None:
            raise ValueError("Qparam: is given, Y_scale and Y_zero_point are wanted as arguments")
        scale = self.given_scale() or self.scale_of(x)
        return scale.tensor(scale.quantise(x))


class Dequantize(Operator):
    """Y = scale (X - zero point). Caffe2: quantization/server/dequantize_dnnlowp_op."""

    contract = "X: blob -> Y: float32"
    docs = {"X": "a quantised tensor", "Y": "its real values"}

    def run_cpu(self, x: Any) -> np.ndarray:
        return quantised("X", x).dequantize()


class Int8DequantizeRowWise(Dequantize):
    """Y = scale (X - zero point), in spite of its name. Caffe2: quantization/server/dequantize_dnnlowp_op."""


class Int8Gather(Dnnlowp):
    """Rows of a quantised tensor picked by index; floats are quantised first.

    Raises IndexError for an index that is no row. Caffe2: quantization/server/gather_dnnlowp_op.
    """

    contract = "DATA: blob, INDICES: integer -> OUTPUT: blob"
    docs = {
        "DATA": "[R, ...], quantised or float32",
        "INDICES": "which rows, any shape",
        "OUTPUT": "[dims of INDICES, ...], quantised",
    }

    def run_cpu(self, data: Any, indices: np.ndarray) -> QTensor:
        values = data.data if isinstance(data, QTensor) else floats("DATA", data)
        picked = values[checked_indices(indices, len(values))]
        if isinstance(data, QTensor):
            return QTensor(picked, data.scale, data.zero_point)
        scale = self.given_scale() or self.scale_of(picked)
        return scale.tensor(scale.quantise(picked))


for _engine in (ENGINE, BY_ROW):
    engine("Int8Quantize", Quantize, _engine)
    engine("Int8Dequantize", Dequantize, _engine)

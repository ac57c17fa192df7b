"""Quantised tensors from floats and from arguments, and back to floats."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.int8.arithmetic import Int8, clamped, quantised
from caffe2ops.qtensor import QTensor


class Int8Quantize(Int8):
    """Y = X / Y_scale to the nearest whole number, halves to the even one, plus Y_zero_point, cut to 0 ... 255.

    Raises ValueError for the second input, which only DNNLOWP's kernels take. Caffe2:
    operators/quantized/int8_quantize_op.
    """

    contract = "X: float32, Qparam?: blob -> Y: blob"
    docs = {"X": "any tensor", "Qparam": "scale and zero point; not supported", "Y": "the quantised tensor"}

    def run_cpu(self, x: np.ndarray, qparam: Any = None) -> QTensor:
        if qparam is not None:
            raise ValueError("Qparam: is given, Y_scale and Y_zero_point are wanted as arguments")
        scaled = np.rint(x * (np.float32(1) / np.float32(self.Y_scale)))
        return self.made(clamped(np.nan_to_num(scaled).clip(-512, 512), self.Y_zero_point))


class Int8Dequantize(Operator):
    """Y = scale (X - zero point). Caffe2: operators/quantized/int8_dequantize_op."""

    contract = "qX: blob -> Y: float32"
    docs = {"qX": "a quantised tensor", "Y": "its real values"}

    def run_cpu(self, x: Any) -> Any:
        x = quantised("qX", x)
        y = self.out(0, x.shape, np.float32)
        np.subtract(x.data, np.float32(x.zero_point), out=y)
        y *= np.float32(x.scale)
        return y


class GivenInt8(Int8):
    """Base: a quantised tensor of given elements."""

    shape: list[int] = Arg((), doc="shape of the tensor")

    def filled(self, values: np.ndarray) -> QTensor:
        if values.size != prod(self.shape):
            raise ValueError(f"values: has {values.size} elements, shape = {list(self.shape)} wants {prod(self.shape)}")
        return self.made(values.reshape(self.shape))


class Int8GivenTensorFill(GivenInt8):
    """A quantised tensor of given bytes.

    Raises ValueError where `values` and `shape` differ in size. Caffe2: operators/quantized/int8_given_tensor_fill_op.
    """

    contract = "-> Tensor: blob"
    docs = {"Tensor": "the tensor, elements of 8 bits"}
    values: bytes = Arg(doc="its elements, a byte each")

    def run_cpu(self) -> QTensor:
        return self.filled(np.frombuffer(self.values, np.uint8).copy())


class Int8GivenIntTensorFill(GivenInt8):
    """A quantised tensor of given int32, as a bias wants it.

    Raises ValueError where `values` and `shape` differ in size. Caffe2: operators/quantized/int8_given_tensor_fill_op.
    """

    contract = "-> Tensor: blob"
    docs = {"Tensor": "the tensor, elements of 32 bits"}
    values: np.ndarray = Arg(doc="its elements")

    def run_cpu(self) -> QTensor:
        return self.filled(self.values.astype(np.int32))

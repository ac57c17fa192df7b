"""Convolution, transposed convolution and matrix product of quantised images and weights.

Sums of products of bytes are exact in float32 up to 258 products, in float64 ever: BLAS computes them.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import row
from caffe2ops.ops.conv.conv import Conv, Convolution
from caffe2ops.ops.conv.conv_transpose import TransposedConvolution
from caffe2ops.ops.conv.geometry import Image, grouped, stacked
from caffe2ops.ops.int8.arithmetic import F, Int8, of_floats, quantised, ratio, requantise
from caffe2ops.qtensor import QTensor

EXACT = (1 << 24) // (255 * 255)  # products of bytes that float32 adds up exactly
DOCS = {
    "X": "quantised images [N, H, W, C]",
    "filter": "quantised weights [M, kernel..., C / group]",
    "bias": "[M], elements of 32 bits whose scale is that of X times that of the weights",
    "Y": "quantised images",
}


class Product(Int8):
    """Base of the operators that multiply with weights; with `relu` values below 0 become 0."""

    relu: ClassVar[bool] = False
    _kept: tuple[Any, Any] = (None, None)  # weights, and what `elements` says of them

    def elements(self, weights: QTensor, products: int) -> np.ndarray:
        """`centred` weights, kept from run to run."""
        if self._kept[0] is not weights:
            self._kept = weights, centred(weights, products)
        kept: np.ndarray = self._kept[1]
        return kept

    def scaled(self, sums: np.ndarray, x: QTensor, weights: QTensor, bias: Any, name: str) -> QTensor:
        """The output of sums of products [..., M]."""
        offsets = np.zeros(sums.shape[-1], np.int32) if bias is None else quantised(name, bias, np.int32).data
        if offsets.shape != sums.shape[-1:]:
            raise ValueError(f"{name}: shape is {list(offsets.shape)}, wants [{sums.shape[-1]}]")
        scale = F(x.scale) * F(weights.scale) / F(self.Y_scale)
        by = ratio(scale, 2.0**-32, 1.0, "scale of X * scale of the weights / Y_scale")
        y = np.empty(sums.shape, np.uint8)
        rows, out = (of.reshape(prod(sums.shape[:-1]), len(offsets)) for of in (sums, y))
        requantise(rows, offsets.astype(np.int64), by, self.Y_zero_point, self.relu, out)
        return self.made(y)


def centred(x: QTensor, products: int) -> np.ndarray:
    """The elements less the zero point, in a dtype in which so many products add up exactly."""
    return np.subtract(x.data, x.zero_point, dtype=exact_dtype(products))


def exact_dtype(products: int) -> Any:
    """A dtype in which so many products of bytes add up exactly."""
    return np.float32 if products <= EXACT else np.float64


def wants_channels_last(op: Image) -> None:
    if not op.channels_last:
        raise ValueError(f"order = {op.order!r}, wants 'NHWC'")


class ExactConvolution(Convolution):
    """Base of convolutions of bytes."""

    _outputs: tuple[Any, Any] = (None, None)  # for which images and weights; the shape of their output

    @cached_property
    def real(self) -> Conv:
        return of_floats(self, Conv)

    def checked(self, X: Any, filter: Any) -> tuple[int, ...]:
        """`outputs_of`, kept from run to run."""
        key = (X.shape, filter.shape)
        if self._outputs[0] != key:
            self._outputs = key, self.outputs_of(X, filter)
        shape: tuple[int, ...] = self._outputs[1]
        return shape

    def sums(self, x: np.ndarray, filter: np.ndarray) -> np.ndarray:
        """Sums of products of elements less their zero points, both in a dtype in which they are exact."""
        sums = np.empty(self.checked(x, filter), x.dtype)
        self.real.bind((x, filter), (sums,))()
        return sums


class Int8Convolution(Product, ExactConvolution):
    """Base of the convolutions."""

    def run_cpu(self, X: Any, filter: Any, bias: Any = None) -> QTensor:
        wants_channels_last(self)
        X, filter = quantised("X", X), quantised("filter", filter)
        self.checked(X, filter)
        depth = prod(filter.shape[1:])
        return self.scaled(self.sums(centred(X, depth), self.elements(filter, depth)), X, filter, bias, "bias")


for _relu in (False, True):
    row(
        "Int8ConvRelu" if _relu else "Int8Conv",
        f"Convolution of quantised images (order NHWC){', values below 0 as 0' * _relu}. Raises ValueError where scale "
        "of X * scale of filter / Y_scale is not below 1, and where Conv does. Caffe2: "
        "operators/quantized/int8_conv_op.",
        Int8Convolution,
        contract="X: blob, filter: blob, bias?: blob -> Y: blob",
        docs=DOCS,
        relu=_relu,
    )


class Int8ConvTranspose(Product, TransposedConvolution):
    """Transposed convolution of quantised images (order NHWC), weights [M, kernel..., C / group].

    Raises ValueError where scale of X * scale of filter / Y_scale is not below 1, and where ConvTranspose does. Caffe2:
    operators/quantized/int8_conv_transpose_op.
    """

    contract = "X: blob, filter: blob, bias?: blob -> Y: blob"
    docs = DOCS

    def run_cpu(self, X: Any, filter: Any, bias: Any = None) -> QTensor:
        wants_channels_last(self)
        X, filter = quantised("X", X), quantised("filter", filter)
        shape = self.outputs_of(X, filter)
        depth = X.shape[-1] * prod(filter.shape[1:-1])  # all that can meet in an element of the output
        x, W = centred(X, depth), stacked(self.elements(filter, depth), self.group).transpose(0, 2, 1)
        sums = np.empty(shape, x.dtype)
        self.columns(x, shape).spread(W, grouped(x, self.group, True), sums)
        return self.scaled(sums, X, filter, bias, "bias")


class Int8FC(Product):
    """Y = X W^T + b of quantised matrices, X [M, ...] with its last dims joined.

    Raises ValueError where the widths differ, for a fourth input, which only DNNLOWP's kernels take, and where scale of
    X * scale of W / Y_scale is not below 1. Caffe2: operators/quantized/int8_fc_op.
    """

    contract = "X: blob, W: blob, b: blob, Qparam?: blob -> Y: blob"
    docs = {
        "X": "[M, ...], quantised",
        "W": "[N, ...], quantised",
        "b": "[N], elements of 32 bits whose scale is that of X times that of W",
        "Qparam": "scale and zero point; not supported",
        "Y": "[M, N], quantised",
    }

    def run_cpu(self, X: Any, W: Any, b: Any, qparam: Any = None) -> QTensor:
        if qparam is not None:
            raise ValueError("Qparam: is given, Y_scale and Y_zero_point are wanted as arguments")
        X, W = quantised("X", X), quantised("W", W)
        depth = prod(W.shape[1:])
        if prod(X.shape[1:]) != depth:
            raise ValueError(f"X: has {prod(X.shape[1:])} columns, W {depth}")
        x, w = (of.reshape(len(of), depth) for of in (centred(X, depth), self.elements(W, depth)))
        return self.scaled(x @ w.T, X, W, b, "b")

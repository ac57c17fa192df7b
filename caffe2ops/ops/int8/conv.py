"""Convolution, transposed convolution and matrix product of quantised images and weights.

Sums of products of bytes are exact in float32 up to 258 products, in float64 ever: BLAS computes them.
"""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.operator import row
from caffe2ops.ops.conv.conv import Convolution
from caffe2ops.ops.conv.conv_transpose import TransposedConvolution
from caffe2ops.ops.conv.geometry import Image, grouped, stacked
from caffe2ops.ops.int8.arithmetic import F, Int8, clamped, quantised, ratio, requantised
from caffe2ops.ops.linalg.dot_product import as_rows
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

    def scaled(self, sums: np.ndarray, x: QTensor, weights: QTensor, bias: Any, name: str) -> QTensor:
        """The output of sums of products [..., M]."""
        whole = sums.astype(np.int64)
        if bias is not None:
            offsets = quantised(name, bias, np.int32).data
            if offsets.shape != sums.shape[-1:]:
                raise ValueError(f"{name}: shape is {list(offsets.shape)}, wants [{sums.shape[-1]}]")
            whole += offsets
        scale = F(x.scale) * F(weights.scale) / F(self.Y_scale)
        by = ratio(scale, 2.0**-32, 1.0, "scale of X * scale of the weights / Y_scale")
        return self.made(clamped(requantised(whole, by), self.Y_zero_point, self.relu))


def centred(x: QTensor, products: int) -> np.ndarray:
    """The elements less the zero point, in a dtype in which so many products add up exactly."""
    dtype = np.float32 if products <= EXACT else np.float64
    return np.subtract(x.data, x.zero_point, dtype=dtype)


def wants_channels_last(op: Image) -> None:
    if not op.channels_last:
        raise ValueError(f"order = {op.order!r}, wants 'NHWC'")


class Int8Convolution(Product, Convolution):
    """Base of the convolutions."""

    def run_cpu(self, X: Any, filter: Any, bias: Any = None) -> QTensor:
        wants_channels_last(self)
        X, filter = quantised("X", X), quantised("filter", filter)
        shape = self.outputs_of(X, filter)
        depth = prod(filter.shape[1:])
        x, W = centred(X, depth), stacked(centred(filter, depth), self.group)
        sums = np.empty(shape, x.dtype)
        outs = grouped(sums, self.group, True)
        for images, positions, matrix in self.columns(x).matrices(x):
            np.matmul(W, matrix, out=outs[images][..., positions])
        return self.scaled(sums, X, filter, bias, "bias")


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
        x, W = centred(X, depth), stacked(centred(filter, depth), self.group).transpose(0, 2, 1)
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
        x, w = (as_rows(centred(of, prod(W.shape[1:]))) for of in (X, W))
        if x.shape[1] != w.shape[1]:
            raise ValueError(f"X: has {x.shape[1]} columns, W {w.shape[1]}")
        return self.scaled(x @ w.T, X, W, b, "b")

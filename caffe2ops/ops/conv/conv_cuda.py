"""Convolution, transposed convolution and their gradients on CUDA arrays, by columns and cuBLAS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe2ops.ops.conv.columns_cuda import Columns
from caffe2ops.ops.conv.geometry import stacked
from caffe2ops.ops.reduce.sums_cuda import sum_over


def _add_bias(op: Any, bias: Sequence[Any], Y: Any) -> None:
    import cupy

    for b in bias:
        cupy.add(Y, b if op.channels_last else b.reshape(-1, *(1,) * (Y.ndim - 2)), out=Y)


def _sum_bias(op: Any, dY: Any, dbias: Any) -> None:
    sum_over(dY, tuple(range(dY.ndim - 1)) if op.channels_last else (0, *range(2, dY.ndim)), dbias)


def _split(op: Any, outputs: Sequence[Any]) -> tuple[Any, list[Any], list[Any]]:
    """dfilter; dbias, if any; dX, if any."""
    biases = 1 - op.no_bias
    return outputs[0], list(outputs[1 : 1 + biases]), list(outputs[1 + biases :])


def convolve(op: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Conv."""
    (X, filter, *bias), Y = inputs, outputs[0]
    columns, W = Columns(op, X.shape, op.windows_over(X), X.itemsize), stacked(filter, op.group)
    for block in columns.blocks():
        columns.weighed(W, columns.of(X, block), out=columns.lying(Y, block.images, block.places))
    _add_bias(op, bias, Y)


def convolve_back(op: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """ConvGradient."""
    X, filter, dY = inputs
    dfilter, dbias, dX = _split(op, outputs)
    columns = Columns(op, X.shape, op.windows_over(X), X.itemsize)
    W, dW = stacked(filter, op.group), stacked(dfilter, op.group)
    dW[...] = 0
    for block in columns.blocks():
        incoming = columns.matrix(columns.lying(dY, block.images, block.places))
        dW += columns.paired(incoming, columns.of(X, block))
    for images in dX:
        columns.spread(W.swapaxes(1, 2), dY, images)
    for sums in dbias:
        _sum_bias(op, dY, sums)


def transposed(op: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """ConvTranspose."""
    (X, filter, *bias), Y = inputs, outputs[0]
    columns = Columns(op, Y.shape, op.windows_over(X), X.itemsize)
    columns.spread(stacked(filter, op.group).swapaxes(1, 2), X, Y)
    _add_bias(op, bias, Y)


def transposed_back(op: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """ConvTransposeGradient."""
    X, filter, dY = inputs
    dfilter, dbias, dX = _split(op, outputs)
    columns = Columns(op, dY.shape, op.windows_over(X), X.itemsize)
    W, dW = stacked(filter, op.group), stacked(dfilter, op.group)
    dW[...] = 0
    for block in columns.blocks():
        matrix = columns.of(dY, block)
        dW += columns.paired(columns.matrix(columns.lying(X, block.images, block.places)), matrix)
        for images in dX:
            columns.weighed(W, matrix, out=columns.lying(images, block.images, block.places))
    for sums in dbias:
        _sum_bias(op, dY, sums)

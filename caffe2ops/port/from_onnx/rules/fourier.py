"""Fourier transforms, as products with a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.linalg import product
from caffe2ops.port.from_onnx.values import FLOAT, fixed
from caffe2ops.port.values import Value


def _transformed(g: Builder, x: Value, length: int, inverse: bool, onesided: bool) -> Value:
    """x [..., n, 1 or 2] (real and imaginary parts) transformed along n, cut or filled up with zeros to a length."""
    n, parts = x.static(-2), x.static(-1)
    units = np.stack([np.eye(n), 1j * np.eye(n)][:parts], 1).reshape(n * parts, n)
    matrix: Any
    if inverse:
        matrix = np.fft.irfft(units, length) if onesided else np.fft.ifft(units, length)
    else:
        matrix = np.fft.fft(units, length)[:, : length // 2 + 1 if onesided else length]
    sides = [matrix] if inverse and onesided else [matrix.real, matrix.imag]
    (a,) = g.accepted(FLOAT, x)
    flat = g.reshape(a, [*[0] * (x.rank - 2), n * parts])
    found = product(g, flat, g.constant(np.stack(sides, -1).reshape(n * parts, -1).astype(a.dtype)))
    return g.cast(g.reshape(found, [*[0] * (x.rank - 2), matrix.shape[1], len(sides)]), x.dtype)


@rule("DFT")
def dft(g: Builder, node: Node, x: Value, length: Value | None = None, axis: Value | None = None) -> Value:
    along = node["axis"] if node.opset < 20 else -2 if axis is None else int(fixed(axis, "axis"))
    back, half = bool(node["inverse"]), bool(node["onesided"])
    y = g.moved(x, along % x.rank, -2)
    n = y.static(-2)
    count = (2 * (n - 1) if back and half else n) if length is None else int(fixed(length, "dft_length"))
    return g.moved(_transformed(g, y, count, back, half), -2, along % x.rank)


@rule("STFT")
def stft(
    g: Builder, node: Node, x: Value, step: Value, shape: Value | None = None, length: Value | None = None
) -> Value:
    """Frames of the signal, times the window."""
    assert shape is not None or length is not None
    wide = int(fixed(length, "frame_length")) if length is not None else shape.static(0)  # type: ignore[union-attr]
    apart = int(fixed(step, "frame_step"))
    starts = np.arange(0, x.static(1) - wide + 1, apart, dtype=np.int64)
    frames = g.one("Gather", x, starts[:, None] + np.arange(wide), axis=1)
    if shape is not None:
        frames = g.Mul(frames, g.reshape(g.cast(shape, x.dtype), [wide, 1]))
    return _transformed(g, frames, wide, False, bool(node["onesided"]))

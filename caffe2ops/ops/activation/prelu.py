"""PRelu: a slope per channel left of 0."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise as Kernel
from caffe2ops.infer import Cost
from caffe2ops.operator import Arg, Operator, Step
from caffe2ops.ops.activation.relu import gently_leaky, leaky, one
from caffe2ops.ops.elementwise.broadcast import sum_cuda
from caffe2ops.ops.elementwise.rows import BLOCK, extreme, select

FLOATS = ("float32", "float64")
FORWARD = Kernel("X > T(0) ? X : slope * X", "X slope", dtypes=FLOATS, name="PRelu")
TO_X = Kernel("X > T(0) ? dY : slope * dY", "dY X slope", dtypes=FLOATS, name="PRelu_dX")
TO_SLOPE = Kernel("X > T(0) ? T(0) : dY * X", "dY X", dtypes=FLOATS, name="PRelu_dSlope")


class _Channels(Operator):
    """Which dim the slopes lie along."""

    order: str = Arg("NCHW", choices=("NCHW", "NHWC"), doc="whether the channels are dim 1 or the last")

    def channel(self, shape: tuple[int, ...], slopes: int) -> int:
        """The channel dim. Raises ValueError where the slopes are neither one nor as many as the channels."""
        axis = len(shape) - 1 if self.order == "NHWC" else 1
        if slopes != 1 and not (len(shape) > axis >= 0 and shape[axis] == slopes):
            wanted = f"1 or as many as X of shape {list(shape)} has channels ({self.order})"
            raise ValueError(f"Slope: has {slopes} elements, wants {wanted}")
        return axis

    def spread(self, shape: tuple[int, ...], slope: Any) -> Any:
        """The slopes, viewed to broadcast with X."""
        axis = self.channel(shape, slope.size)
        return slope.reshape(slope.shape + (1,) * (len(shape) - 1 - axis)) if slope.size != 1 else slope.reshape(())

    def rows(self, shape: tuple[int, ...], slope: Any) -> tuple[tuple[int, int], Any]:
        """X as a matrix and the slopes as one that broadcasts with it, so that blocks of rows can be worked on."""
        axis = self.channel(shape, slope.size)
        if slope.size == 1:
            return (-1, shape[-1] if shape and shape[-1] else 1), slope.reshape(1, 1)
        if axis == len(shape) - 1:
            return (-1, shape[axis]), slope.reshape(1, -1)
        inner = int(np.prod(shape[axis + 1 :]))
        return (shape[0] * shape[1], inner), np.tile(slope, shape[0]).reshape(-1, 1)

    def cost(self, inputs: Any, outputs: Any) -> Cost:
        moved = super().cost(inputs, outputs)
        return Cost(3 * inputs[0].size, moved.bytes_read, moved.bytes_written)


def _blocks(shape: tuple[int, int], slope: Any) -> Any:
    """(rows, slopes of these rows) of a matrix, in blocks that stay in the cache."""
    step = max(1, BLOCK // max(1, shape[1]))
    for at in range(0, shape[0], step):
        yield slice(at, at + step), slope if len(slope) == 1 else slope[at : at + step]


class PRelu(_Channels):
    """Y = X where X > 0, else Slope * X, with a slope for each channel or one for all. Caffe2: operators/prelu_op."""

    contract = "X: float, Slope: X[C] -> Y: X"
    docs = {
        "X": "N, C, ... (NCHW) or N, ..., C (NHWC)",
        "Slope": "one for each channel, or one alone",
        "Y": "a tensor like X",
    }
    gradient = "PReluGradient(Y, dY, X, Slope) -> dX, dSlope"
    inplace = ((0, 0),)

    def run_cpu(self, X: Any, Slope: Any) -> Any:
        out = self.out(0, X.shape, X.dtype)
        shape, slope = self.rows(X.shape, Slope)
        if X.size:
            x, y = X.reshape(shape), out.reshape(shape)
            leaks = gently_leaky if slope.min() > 0 and slope.max() <= 1 else leaky
            for rows, part in _blocks(x.shape, slope):
                leaks(x[rows], part, y[rows])
        return out

    def run_cuda(self, X: Any, Slope: Any) -> Any:
        return FORWARD(X, self.spread(X.shape, Slope), out=self.out(0, X.shape, X.dtype))

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)


class PReluGradient(_Channels):
    """The gradient of PRelu: dX = dY where X > 0, else Slope * dY; dSlope sums dY * X where X <= 0.

    Caffe2: operators/prelu_op.
    """

    contract = "Y: float[...], dY: Y[...], X: Y[...], Slope: Y[C] -> dX: Y[...], dSlope: Slope[C]"
    docs = {
        "Y": "output of PRelu; not looked at",
        "dY": "its gradient",
        "X": "input of PRelu",
        "Slope": "its slopes",
    } | {
        "dX": "gradient of X",
        "dSlope": "gradient of Slope",
    }

    def run_cpu(self, Y: Any, dY: Any, X: Any, Slope: Any) -> Any:
        dX, dSlope = self.out(0, X.shape, X.dtype), self.out(1, Slope.shape, Slope.dtype)
        shape, slope = self.rows(X.shape, Slope)
        dSlope[...] = 0
        if X.size:
            total = np.zeros(slope.shape, X.dtype)
            x, dy, dx = X.reshape(shape), dY.reshape(shape), dX.reshape(shape)
            axis = 1 if slope.shape[0] > 1 else 0 if slope.shape[1] > 1 else None
            for rows, part in _blocks(x.shape, slope):
                np.multiply(dy[rows], select(x[rows] > 0, one(X), part), out=dx[rows])
                low = extreme(np.minimum, x[rows], 0)
                low *= dy[rows]
                low = low.sum(axis, keepdims=True)
                if axis == 1:
                    total[rows] = low
                else:
                    total += low
            np.copyto(dSlope, total.reshape(-1, Slope.size).sum(0))
        return dX, dSlope

    def run_cuda(self, Y: Any, dY: Any, X: Any, Slope: Any) -> Any:
        import cupy

        dX, dSlope = self.out(0, X.shape, X.dtype), self.out(1, Slope.shape, Slope.dtype)
        axis = self.channel(X.shape, Slope.size)
        TO_X(dY, X, self.spread(X.shape, Slope), out=dX)
        each = TO_SLOPE(dY, X, out=cupy.empty(X.shape, X.dtype))
        sum_cuda(each, tuple(i for i in range(X.ndim) if i != axis or Slope.size == 1), dSlope)
        return dX, dSlope

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Step:
        return partial(self.run_cpu, *inputs)

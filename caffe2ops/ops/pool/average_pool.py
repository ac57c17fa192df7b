"""Averages of sliding windows and their gradient, for any number of spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from caffe2ops.operator import Arg, Step, row
from caffe2ops.ops.conv.geometry import Window
from caffe2ops.ops.pool.pooling import Pooling, PoolingForward, PoolingGradient


class Averaging(Pooling):
    """What AveragePool and its gradient share."""

    count_include_pad: bool = Arg(False, doc="divide by the size of the window even where it reaches into the padding")

    def weights(self, X: np.ndarray) -> np.ndarray:
        """One over the number of elements averaged at each place: a scalar, or shaped to multiply the flat output."""
        windows = self.windows(self.split("X", X.shape)[2])
        counts = [np.full(w.out, w.kernel) if self.count_include_pad else _inside(w) for w in windows]
        if all((c == c[0]).all() for c in counts):
            return np.asarray(1 / prod(int(c[0]) for c in counts), X.dtype)
        weights = np.ones(())
        for count in counts:
            weights = np.multiply.outer(weights, 1 / count)
        return weights.astype(X.dtype)[..., None] if self.channels_last else weights.astype(X.dtype)


def _inside(w: Window) -> np.ndarray:
    """How many taps of the window lie inside the axis, at each position."""
    starts = np.arange(w.out) * w.stride - w.head
    return np.minimum(starts + w.kernel, w.size) - np.maximum(starts, 0)


class AveragePool(Averaging, PoolingForward):
    """The mean of each place of a window that slides over the images.

    Padding counts neither in the sum nor, unless `count_include_pad`, in the number of elements. Raises ValueError for
    padding that is not smaller than the kernel, for dilation, and for a window larger than the padded image.
    Caffe2: operators/pool_op.
    """

    contract = "X: float -> Y: X[?]"
    gradient = "AveragePoolGradient(X, Y, dY) -> dX"

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        separable, weights = self.separable(inputs[0]), self.weights(inputs[0])
        blocks = list(separable.blocks(self.flat(inputs[0]), self.flat(outputs[0])))

        def run() -> None:
            for block, out in blocks:
                separable.reduce(block, out)
                np.multiply(out, weights, out=out)

        return run

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.pool import pooling_cuda

        return self.fold_cuda(pooling_cuda.AVERAGE, X, whole=self.whole(X) if self.count_include_pad else 0)


class AveragePoolGradient(Averaging, PoolingGradient):
    """Gradient of AveragePool: every element of a window gets an equal share of the gradient of that window.

    Raises ValueError where Y or dY has not the shape of the output. Caffe2: operators/pool_gradient_op.
    """

    contract = "X: float, Y: X, dY: X -> dX: X"

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, _, dY = inputs
        separable, weights = self.separable(X), self.weights(X)
        blocks = list(separable.blocks(self.flat(dY), self.flat(outputs[0])))

        def run() -> None:
            for dy, dx in blocks:
                separable.spread(dy * weights, dx)

        return run

    def run_cuda(self, X: Any, Y: Any, dY: Any) -> Any:
        from caffe2ops.ops.pool import pooling_cuda

        return self.back_cuda(pooling_cuda.AVERAGE_BACK, X, Y, dY, padding=self.count_include_pad)


for _rank in (1, 2, 3):
    row(
        f"AveragePool{_rank}D",
        f"AveragePool, named for windows of {_rank} spatial axes; it takes any number. Caffe2: operators/pool_op.",
        AveragePool,
        gradient=f"AveragePool{_rank}DGradient(X, Y, dY) -> dX",
    )
    row(
        f"AveragePool{_rank}DGradient",
        f"Gradient of AveragePool{_rank}D, as AveragePoolGradient. Caffe2: operators/pool_gradient_op.",
        AveragePoolGradient,
    )

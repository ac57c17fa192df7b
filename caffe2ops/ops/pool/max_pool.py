"""Maxima of sliding windows and their gradient, for any number of spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from caffe2ops.operator import Step, row
from caffe2ops.ops.pool.pooling import PoolingForward, PoolingGradient


class MaxPool(PoolingForward):
    """The largest element of each place of a window that slides over the images; padding does not count.

    A NaN in the window makes the output NaN. Raises ValueError for padding that is not smaller than the kernel, for
    dilation, and for a window larger than the padded image. Caffe2: operators/pool_op.
    """

    contract = "X: float -> Y: X[?]"
    gradient = "MaxPoolGradient(X, Y, dY) -> dX"
    ufunc = np.maximum

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        separable = self.separable(inputs[0])
        blocks = list(separable.blocks(self.flat(inputs[0]), self.flat(outputs[0])))

        def run() -> None:
            for block, out in blocks:
                separable.reduce(block, out)

        return run

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.pool import pooling_cuda

        return self.fold_cuda(pooling_cuda.MAX, X)


class MaxPoolGradient(PoolingGradient):
    """Gradient of MaxPool: every element equal to the maximum of a window gets the whole gradient of that window.

    Raises ValueError where Y or dY has not the shape of the output. Caffe2: operators/pool_gradient_op.
    """

    contract = "X: float, Y: X, dY: X -> dX: X"

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        windows = self.windows(self.split("X", inputs[0].shape)[2])
        taps = list(product(*([w.span(tap) for tap in range(w.kernel)] for w in windows)))
        blocks = list(self.separable(inputs[0]).blocks(*map(self.flat, (*inputs, *outputs))))

        def run() -> None:
            for x, y, dy, dx in blocks:
                dx[...] = 0
                for tap in taps:
                    positions, elements = ((slice(None), *(span[i] for span in tap)) for i in (0, 1))
                    dx[elements] += dy[positions] * (x[elements] == y[positions])

        return run

    def run_cuda(self, X: Any, Y: Any, dY: Any) -> Any:
        from caffe2ops.ops.pool import pooling_cuda

        return self.back_cuda(pooling_cuda.MAX_BACK, X, Y, dY)


for _rank in (1, 2, 3):
    row(
        f"MaxPool{_rank}D",
        f"MaxPool, named for windows of {_rank} spatial axes; it takes any number. Caffe2: operators/pool_op.",
        MaxPool,
        gradient=f"MaxPool{_rank}DGradient(X, Y, dY) -> dX",
    )
    row(
        f"MaxPool{_rank}DGradient",
        f"Gradient of MaxPool{_rank}D, as MaxPoolGradient. Caffe2: operators/pool_gradient_op.",
        MaxPoolGradient,
    )

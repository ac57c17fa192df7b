"""Lp norms of sliding windows and their gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.operator import Arg, Step
from caffe2ops.ops.pool.pooling import Pooling, PoolingForward, PoolingGradient


class LpNormOfWindow(Pooling):
    """What LpPool and its gradient share."""

    p: float = Arg(2.0, gt=0, doc="the exponent of the norm")


class LpPool(LpNormOfWindow, PoolingForward):
    """The Lp norm of each place of a window: (sum of |x|^p)^(1/p); padding counts as 0.

    Raises ValueError as MaxPool does. Caffe2: operators/lp_pool_op.
    """

    contract = "X: float -> Y: X[?]"
    gradient = "LpPoolGradient(X, Y, dY) -> dX"

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        separable = self.separable(inputs[0])
        blocks = list(separable.blocks(self.flat(inputs[0]), self.flat(outputs[0])))
        p = inputs[0].dtype.type(self.p)

        def run() -> None:
            for block, out in blocks:
                separable.reduce(np.abs(block) ** p, out)
                np.power(out, 1 / p, out=out)

        return run

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.pool import pooling_cuda

        return self.fold_cuda(pooling_cuda.LP, X, p=self.p)


class LpPoolGradient(LpNormOfWindow, PoolingGradient):
    """Gradient of LpPool: x |x|^(p - 2) times the sum of dY / Y^(p - 1) over the windows that cover x.

    A window of zeros sends nothing back. Raises ValueError where Y or dY has not the shape of the output. Caffe2:
    operators/lp_pool_op.
    """

    contract = "X: float, Y: X, dY: X -> dX: X"

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        separable = self.separable(inputs[0])
        blocks = list(separable.blocks(*map(self.flat, (*inputs, *outputs))))
        power = inputs[0].dtype.type(self.p - 1)

        def run() -> None:
            for x, y, dy, dx in blocks:
                norm = y**power
                separable.spread(np.divide(dy, norm, out=np.zeros_like(dy), where=norm != 0), dx)
                dx *= np.sign(x) * np.abs(x) ** power

        return run

    def run_cuda(self, X: Any, Y: Any, dY: Any) -> Any:
        from caffe2ops.ops.pool import pooling_cuda

        return self.back_cuda(pooling_cuda.LP_BACK, X, Y, dY, p=self.p)

"""IntegralImage: sums over everything above and to the left, and its gradient as Caffe2 has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec, Unknown
from caffe2ops.operator import Step
from caffe2ops.ops.shape.axes import differ
from caffe2ops.settled import Settled


def grown(X: Any) -> tuple[Any, ...]:
    """The shape of the sums over images of this spec."""
    return (*X.shape[:2], *(d if isinstance(d, Unknown) else d + 1 for d in X.shape[2:]))


class IntegralImage(Settled):
    """Y[i, j] = the sum of X over all rows before i and columns before j, in each channel of each image.

    Sums are added up in float64. Caffe2: operators/integral_image_op.
    """

    contract = "X: float[N, C, H, W] -> Y: X[?]"
    docs = {"X": "images", "Y": "sums, [N, C, H + 1, W + 1]; the first row and column are zeros"}
    gradient = "IntegralImageGradient(X, dY) -> dX"

    def infer(self, X: Any) -> TensorSpec:
        return TensorSpec(grown(X), X.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, Y = inputs[0], outputs[0]

        def run() -> None:
            Y[:, :, 0] = Y[:, :, :, 0] = 0
            Y[:, :, 1:, 1:] = X.cumsum(axis=2, dtype=np.float64).cumsum(axis=3)

        return run

    run_cuda = Settled.run_cpu


class IntegralImageGradient(Settled):
    """What Caffe2 takes for the gradient of IntegralImage: the sums of dY over rows to i and columns to j.

    An element of X goes into the sums below and to the right of it, so these are not its derivatives. Raises ValueError
    where dY has not the shape of the output. Caffe2: operators/integral_image_op.
    """

    contract = "X: float[N, C, H, W], dY: X -> dX: X[N, C, H, W]"
    docs = {"X": "the images that went in", "dY": "gradient of the output", "dX": "sums like X"}

    def infer(self, X: Any, dY: Any) -> TensorSpec:
        shape = grown(X)
        if len(dY.shape) != len(shape) or any(map(differ, dY.shape, shape)):
            raise ValueError(f"dY: shape is {list(dY.shape)}, the output has {list(shape)}")
        return TensorSpec(X.shape, X.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        dY, dX = inputs[1][:, :, :-1, :-1], outputs[0]

        def run() -> None:
            dX[...] = dY.cumsum(axis=2, dtype=np.float64).cumsum(axis=3)

        return run

    run_cuda = Settled.run_cpu

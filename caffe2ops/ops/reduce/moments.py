"""Mean and variance: Moments over any axes, BatchMoments of each channel, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Step
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.reduce.axes import OverAxes
from caffe2ops.ops.shape.axes import differ, show, size


class Moments(OverAxes):
    """Mean and variance over the axes; the variance is the mean of squared differences from the mean.

    Caffe2: operators/moments_op.
    """

    contract = "data: float -> mean: data[?], variance: data[?]"
    docs = {
        "data": "any tensor",
        "mean": "without the axes, or with 1 in their place",
        "variance": "a tensor like mean",
    }
    gradient = "MomentsGradient(dmean, dvariance, data, mean) -> ddata"

    def infer(self, data: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
        spec = TensorSpec(self._shape(data.shape, self.keepdims), data.dtype)
        return spec, spec

    def run_cpu(self, data: np.ndarray) -> Any:
        axes, kept = self._axes(data.ndim), self._shape(data.shape, True)
        mean, variance = (self.out(i, self._shape(data.shape, self.keepdims), data.dtype) for i in (0, 1))
        count = data.dtype.type(max(data.size // max(mean.size, 1), 1))
        mean.reshape(kept)[...] = np.add.reduce(data, axis=axes, keepdims=True) / count
        squares = np.square(data - mean.reshape(kept))
        variance.reshape(kept)[...] = np.add.reduce(squares, axis=axes, keepdims=True) / count
        return mean, variance


class MomentsGradient(OverAxes):
    """Gradient of Moments: dX = (dmean + 2 (X - mean) dvariance) / how many were folded.

    Raises ValueError where shapes do not fit. Caffe2: operators/moments_op.
    """

    contract = "dmean: float, dvariance: dmean, X: dmean, mean: dmean -> dX: X"

    def infer(self, dmean: Any, dvariance: Any, X: Any, mean: Any) -> TensorSpec:
        shape = self._shape(X.shape, self.keepdims)
        for name, value in (("dmean", dmean), ("dvariance", dvariance), ("mean", mean)):
            if differ(value.size, size(shape)):
                raise ValueError(f"{name}: shape is {show(value.shape)}, wants {show(shape)}")
        return TensorSpec(X.shape, X.dtype)

    def run_cpu(self, dmean: np.ndarray, dvariance: np.ndarray, X: np.ndarray, mean: np.ndarray) -> Any:
        self.infer(dmean, dvariance, X, mean)
        dX, kept = self.out(0, X.shape, X.dtype), self._shape(X.shape, True)
        np.subtract(X, mean.reshape(kept), out=dX)
        dX *= 2 * dvariance.reshape(kept)
        dX += dmean.reshape(kept)
        dX /= X.dtype.type(max(X.size // max(mean.size, 1), 1))
        return dX


class BatchMoments(Image):
    """Mean of each channel and mean of its squares, over batch and positions.

    Caffe2: operators/batch_moments_op.
    """

    contract = "X: float -> mean: X[?], variance: X[?]"
    docs = {
        "X": "images, in the order that `order` names",
        "mean": "mean of each channel, [C]",
        "variance": "mean of the squares of each channel, [C]; the square of the mean is not taken off",
    }
    gradient = "BatchMomentsGradient(dmean, dvariance, X) -> dX"

    def infer(self, X: Any) -> tuple[TensorSpec, TensorSpec]:
        spec = TensorSpec((self.split("X", X.shape)[1],), X.dtype)
        return spec, spec

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        x = self.planes(inputs[0])
        axes = (0, 1) if self.channels_last else (0, 2)
        count = max(x.size // outputs[0].size, 1)

        def run() -> None:
            np.divide(np.add.reduce(x, axis=axes), count, out=outputs[0])
            np.divide(np.add.reduce(np.square(x), axis=axes), count, out=outputs[1])

        return run


class BatchMomentsGradient(Image):
    """Gradient of BatchMoments: dX = (dmean + 2 X dvariance) / how many elements a channel has.

    Raises ValueError where dmean or dvariance have not one number for each channel. Caffe2:
    operators/batch_moments_op.
    """

    contract = "dmean: float, dvariance: dmean, X: dmean -> dX: X"

    def infer(self, dmean: Any, dvariance: Any, X: Any) -> TensorSpec:
        channels = self.split("X", X.shape)[1]
        for name, value in (("dmean", dmean), ("dvariance", dvariance)):
            if differ(value.size, channels):
                raise ValueError(f"{name}: has {value.size} elements, X has {channels} channels")
        return TensorSpec(X.shape, X.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        x, dx = self.planes(inputs[2]), self.planes(outputs[0])
        dmean, dvariance = (a.reshape(-1) if self.channels_last else a.reshape(-1, 1) for a in inputs[:2])
        count = max(x.size // dmean.size, 1)

        def run() -> None:
            np.multiply(x, 2 * dvariance, out=dx)
            np.add(dx, dmean, out=dx)
            np.divide(dx, count, out=dx)

        return run

"""Mean and variance: Moments over any axes, BatchMoments of each channel, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Step
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.reduce.axes import OverAxes
from caffe2ops.ops.reduce.sums import squares_over, sum_over
from caffe2ops.ops.shape.axes import differ, show, size

_FLOATS = ("float32", "float64")
MEAN = Reduction(combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)", dtypes=_FLOATS, name="mean_of_moments")
MEAN_SQUARE = Reduction(
    map="x * x", combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)", dtypes=_FLOATS, name="mean_square"
)
_CENTRED = Elementwise("x - mean", "x mean", dtypes=_FLOATS, name="centred")
_MOMENTS_BACK = Elementwise(
    "(dmean + T(2) * (X - mean) * dvariance) / T(n)", "dmean dvariance X mean", "dX", int_scalars="n", dtypes=_FLOATS,
    name="moments_back",
)  # fmt: skip
_BATCH_MOMENTS_BACK = Elementwise(
    "(dmean + T(2) * X * dvariance) / T(n)", "dmean dvariance X", "dX", int_scalars="n", dtypes=_FLOATS,
    name="batch_moments_back",
)  # fmt: skip


def moments_cuda(x: Any, axes: tuple[int, ...], mean: Any, variance: Any) -> None:
    """Mean and variance of a device array over axes; the others stay, as dims of mean and variance or not."""
    import cupy

    rest = [axis for axis in range(x.ndim) if axis not in axes]
    if list(axes) != list(range(axes[0], axes[0] + len(axes)) if axes else []):
        x = cupy.ascontiguousarray(x.transpose(*rest, *axes))
        axes = tuple(range(len(rest), x.ndim))
    MEAN(x, mean, axes=axes)
    kept = [1 if axis in axes else n for axis, n in enumerate(x.shape)]
    MEAN_SQUARE(_CENTRED(x, mean.reshape(kept), out=cupy.empty(x.shape, x.dtype)), variance, axes=axes)


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
        np.divide(sum_over(data, axes), count, out=mean.reshape(kept))
        np.divide(squares_over(data, axes, mean.reshape(kept)), count, out=variance.reshape(kept))
        return mean, variance

    def run_cuda(self, data: Any) -> Any:
        mean, variance = (self.out(i, self._shape(data.shape, self.keepdims), data.dtype) for i in (0, 1))
        moments_cuda(data, self._axes(data.ndim), mean, variance)
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

    def run_cuda(self, dmean: Any, dvariance: Any, X: Any, mean: Any) -> Any:
        self.infer(dmean, dvariance, X, mean)
        kept = self._shape(X.shape, True)
        dmean, dvariance, mean = (a.reshape(kept) for a in (dmean, dvariance, mean))
        n = max(X.size // max(mean.size, 1), 1)
        return _MOMENTS_BACK(dmean, dvariance, X, mean, out=self.out(0, X.shape, X.dtype), n=n)


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
            for fold, output in zip((sum_over, squares_over), outputs):
                np.divide(fold(x, axes).reshape(-1), count, out=output)

        return run

    def run_cuda(self, X: Any) -> Any:
        import cupy

        channels = self.infer(X)[0].shape
        x, mean, variance = self.planes(X), self.out(0, channels, X.dtype), self.out(1, channels, X.dtype)
        if not self.channels_last:
            x = cupy.ascontiguousarray(x.transpose(0, 2, 1))
        return MEAN(x, mean, axes=(0, 1)), MEAN_SQUARE(x, variance, axes=(0, 1))


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

    def run_cuda(self, dmean: Any, dvariance: Any, X: Any) -> Any:
        self.infer(dmean, dvariance, X)
        dX = self.out(0, X.shape, X.dtype)
        by_channel = (1, 1, -1) if self.channels_last else (1, -1, 1)
        parts = (a.reshape(by_channel) for a in (dmean, dvariance))
        _BATCH_MOMENTS_BACK(*parts, self.planes(X), out=self.planes(dX), n=max(X.size // dmean.size, 1))
        return dX

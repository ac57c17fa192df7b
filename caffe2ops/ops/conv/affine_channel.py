"""Channels of images multiplied and shifted: AffineChannel, its gradient, and the normalisation of planar images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Step
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.shape.axes import differ, known
from caffe2ops.settled import Settled


class Affine(Image):
    """Base of AffineChannel and its gradient."""

    is_learnable: bool = Arg(False, doc="scale and bias get gradients too")

    def channels(self, X: Any, **numbers: Any) -> Any:
        """How many channels X has. Raises ValueError where the others do not have a number for each."""
        count = self.split("X", X.shape)[1]
        for name, given in numbers.items():
            if differ(given.size, count):
                raise ValueError(f"{name}: shape is {list(given.shape)}, wants a number for each of {count} channels")
        return count

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of `planes` that are no channels."""
        return (0, 1) if self.channels_last else (0, 2)

    def along(self, numbers: Any) -> Any:
        """Numbers for each channel, to go with `planes`."""
        return numbers.reshape(-1) if self.channels_last else numbers.reshape(-1, 1)


class AffineChannel(Affine):
    """Y = scale X + bias, a scale and a bias for each channel.

    Raises ValueError where there is not a number for each channel. Caffe2: operators/affine_channel_op.
    """

    contract = "X: float, scale: X, bias: X -> Y: X"
    docs = {
        "X": "images, in the order that `order` names",
        "scale": "what each channel is multiplied by, [C]",
        "bias": "what is added to each, [C]",
        "Y": "images like X",
    }
    inplace = [(0, 0)]

    @classmethod
    def make_gradient(cls, g: Any) -> list[Any]:
        if g.def_.args.get("is_learnable"):
            return [g.op("AffineChannelGradient", [g.GO(0), g.I(0), g.I(1)], [g.GI(0), g.GI(1), g.GI(2)])]
        return [g.op("AffineChannelGradient", [g.GO(0), g.I(1)], [g.GI(0)])]

    def infer(self, X: Any, scale: Any, bias: Any) -> TensorSpec:
        self.channels(X, scale=scale, bias=bias)
        return TensorSpec(X.shape, X.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        x, y = self.planes(inputs[0]), self.planes(outputs[0])
        scale, bias = map(self.along, inputs[1:])

        def run() -> None:
            np.multiply(x, scale, out=y)
            np.add(y, bias, out=y)

        return run

    def run_cuda(self, X: Any, scale: Any, bias: Any) -> Any:
        from caffe2ops.ops.elementwise.row_scaling_cuda import LINEAR

        self.infer(X, scale, bias)
        Y = self.out(0, X.shape, X.dtype)
        LINEAR(self.planes(X), self.along(scale), self.along(bias), out=self.planes(Y))
        return Y


class AffineChannelGradient(Affine):
    """Gradients of AffineChannel: of X; with is_learnable of scale and bias too, which takes X as second input.

    Raises ValueError for inputs and outputs other than these. Caffe2: operators/affine_channel_op.
    """

    contract = "dY: float, X_or_scale: dY, scale?: dY -> dX: dY, dscale?: dY[?], dbias?: dY[?]"
    docs = {
        "dY": "gradient of the output",
        "X_or_scale": "the scales; with is_learnable the images that went in",
        "scale": "the scales, with is_learnable",
        "dX": "gradient of X",
        "dscale": "gradient of the scales",
        "dbias": "gradient of the bias",
    }
    inplace = [(0, 0)]
    arity = "outputs in (1, 3)"

    def infer(self, dY: Any, other: Any, scale: Any = None) -> tuple[TensorSpec, ...]:
        wanted = (3, 3) if self.is_learnable else (2, 1)
        if (self.n_inputs, self.n_outputs) != wanted:
            raise ValueError(
                f"{self.n_inputs} inputs and {self.n_outputs} outputs with is_learnable = {int(self.is_learnable)}, "
                f"wants {wanted[0]} and {wanted[1]}"
            )
        if scale is not None and (len(other.shape) != len(dY.shape) or any(map(differ, other.shape, dY.shape))):
            raise ValueError(f"X: shape is {list(other.shape)}, dY has {list(dY.shape)}")
        scale = other if scale is None else scale
        self.channels(dY, scale=scale)
        spec = TensorSpec(scale.shape, dY.dtype)
        return TensorSpec(dY.shape, dY.dtype), spec, spec

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        dY, *images, scale = inputs
        dy, dx, factors = self.planes(dY), self.planes(outputs[0]), self.along(scale)
        axes = self.axes

        def run() -> None:
            for X in images:
                np.sum(dy * self.planes(X), axis=axes, out=outputs[1].reshape(-1))
                np.sum(dy, axis=axes, out=outputs[2].reshape(-1))
            np.multiply(dy, factors, out=dx)

        return run

    def run_cuda(self, dY: Any, *rest: Any) -> Any:
        from caffe2ops.ops.elementwise.row_scaling_cuda import linear_gradient
        from caffe2ops.ops.reduce.sums_cuda import PRODUCT

        specs = self.infer(dY, *rest)[: self.n_outputs]
        outs = tuple(self.out(i, spec.shape, spec.dtype) for i, spec in enumerate(specs))
        dy, dx, factors = self.planes(dY), self.planes(outs[0]), self.along(rest[-1])
        if self.is_learnable:
            linear_gradient(dy, self.planes(rest[0]), factors, self.axes, dx, *outs[1:])
        else:
            PRODUCT(dy, factors, out=dx)
        return outs


class NormalizePlanarYUV(Settled):
    """Y = (X - mean) / deviation, a mean and a deviation for each channel of images [N, C, H, W].

    Raises ValueError where there is not a number for each channel. Caffe2: operators/norm_planar_yuv_op.
    """

    contract = "X: float[N, C, H, W], mean: X[?, C], deviation: X[?, C] -> Y: X[N, C, H, W]"
    docs = {
        "X": "images",
        "mean": "mean of each channel, in its first row",
        "deviation": "standard deviation of each channel, in its first row",
        "Y": "images like X",
    }
    inplace = [(0, 0)]

    def infer(self, X: Any, mean: Any, deviation: Any) -> TensorSpec:
        for name, given in (("mean", mean), ("deviation", deviation)):
            if known(given.shape[0]) and not given.shape[0]:
                raise ValueError(f"{name}: has no rows, wants one")
        return TensorSpec(X.shape, X.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, mean, deviation = inputs
        return partial(_normalise, X, mean[0, :, None, None], deviation[0, :, None, None], outputs[0])


def _normalise(X: np.ndarray, mean: np.ndarray, deviation: np.ndarray, Y: np.ndarray) -> None:
    np.subtract(X, mean, out=Y)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(Y, deviation, out=Y)

"""Local response normalisation across channels, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.infer import Cost, TensorSpec
from caffe2ops.operator import Arg, Step
from caffe2ops.ops.conv.geometry import Image


class LocalResponse(Image):
    """Base of LRN and its gradient: scale = bias + alpha / size * (sum of squares of the channels around)."""

    size: int = Arg(ge=1, doc="how many channels around each one count: (size - 1) / 2 before it, the rest from it on")
    alpha: float = Arg(0.0, doc="factor of the mean square")
    beta: float = Arg(0.0, doc="exponent of the scale")
    bias: float = Arg(1.0, doc="added to the scaled mean square")

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        per_element = self.size + 4 if len(inputs) == 1 else 2 * self.size + 9
        return Cost(per_element * inputs[0].size, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))

    def add_around(self, x: np.ndarray, out: np.ndarray, before: int) -> None:
        """Adds to every channel of `out` the channels of x from `before` ahead of it on, `size` of them."""
        if self.channels_last:
            x, out = x.T, out.T
        count = len(x)
        for shift in range(max(-before, 1 - count), min(self.size - before, count)):
            low, high = max(0, -shift), min(count, count - shift)
            out[low:high] += x[low + shift : high + shift]

    def scale_of(self, x: np.ndarray, out: np.ndarray) -> None:
        """Writes the scale of one image."""
        squares = np.multiply(x, x)
        squares *= squares.dtype.type(self.alpha / self.size)
        out[...] = self.bias
        self.add_around(squares, out, (self.size - 1) // 2)

    def inverse_power(self, scale: np.ndarray, out: np.ndarray) -> None:
        """Writes scale ** -beta; with the usual beta by square roots, which are faster."""
        if self.beta == 0.75:
            root = np.sqrt(scale)
            np.sqrt(root, out=out)
            np.multiply(out, root, out=out)
            np.divide(1, out, out=out)
        else:
            np.power(scale, scale.dtype.type(-self.beta), out=out)


class LRN(LocalResponse):
    """Divides every element by a power of the mean square of the channels around it: Y = X * scale ** -beta.

    scale = bias + alpha / size * (sum of X^2 over `size` channels around); channels beyond the ends count as 0.
    Caffe2: operators/local_response_normalization_op.
    """

    contract = "X: float -> Y: X, Y_scale?: X"
    docs = {"X": "images, in the order that `order` names", "Y": "X normalised", "Y_scale": "the scale, as above"}
    gradient = "LRNGradient(X, Y, dY) -> dX"

    def infer(self, X: TensorSpec) -> tuple[TensorSpec, TensorSpec]:
        self.split("X", X.shape)
        return X, X

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, Y = self.planes(inputs[0]), self.planes(outputs[0])
        scales = self.planes(outputs[1]) if len(outputs) > 1 else [np.empty(X.shape[1:], X.dtype)] * len(X)
        images = list(zip(X, Y, scales))

        def run() -> None:
            for x, y, scale in images:
                self.scale_of(x, scale)
                self.inverse_power(scale, y)
                np.multiply(y, x, out=y)

        return run

    def run_cuda(self, X: Any) -> Any:
        import cupy

        from caffe2ops.ops.norm import lrn_cuda

        self.split("X", X.shape)
        Y = self.out(0, X.shape, X.dtype)
        scale = self.out(1, X.shape, X.dtype) if self.n_outputs > 1 else cupy.empty(X.shape, X.dtype)
        return (lrn_cuda.forward(self, X, Y, scale), scale)[: self.n_outputs]


class LRNGradient(LocalResponse):
    """Gradient of LRN: dX = dY scale^-beta - 2 alpha beta / size * X * (sum of dY Y / scale around).

    The sum is over the channels that have this one around them.

    Raises ValueError where shapes differ. Caffe2: operators/local_response_normalization_op.
    """

    contract = "X: float[...], Y: X[...], dY: X[...] -> dX: X"
    docs = {"X": "the images that went in", "Y": "the output", "dY": "gradient of the output", "dX": "gradient of X"}

    def infer(self, X: TensorSpec, Y: TensorSpec, dY: TensorSpec) -> TensorSpec:
        self.split("X", X.shape)
        return X

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        images = list(zip(*map(self.planes, (*inputs, *outputs))))
        behind = self.size - 1 - (self.size - 1) // 2
        factor: Any = outputs[0].dtype.type(-2 * self.alpha * self.beta / self.size)

        def run() -> None:
            for x, y, dy, dx in images:
                scale = np.empty_like(x)
                self.scale_of(x, scale)
                ratio = dy * y
                ratio /= scale
                dx[...] = 0
                self.add_around(ratio, dx, behind)
                dx *= x
                dx *= factor
                self.inverse_power(scale, scale)
                scale *= dy
                dx += scale

        return run

    def run_cuda(self, X: Any, Y: Any, dY: Any) -> Any:
        from caffe2ops.ops.norm import lrn_cuda

        self.split("X", X.shape)
        return lrn_cuda.backward(self, X, Y, dY, self.out(0, X.shape, X.dtype))

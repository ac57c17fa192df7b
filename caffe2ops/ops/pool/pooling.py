"""What all poolings share: arguments, shapes, and the way from images to blocks."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.ops.conv.geometry import ConvPoolArgs, Window
from caffe2ops.ops.pool.separable import Separable
from caffe2ops.ops.shape.axes import differ

FORWARD_DOCS = {
    "X": "images [N, C, spatial...] (NCHW) or [N, spatial..., C] (NHWC)",
    "Y": "images of as many channels, one element for each place of the window",
}
GRADIENT_DOCS = {
    "X": "the images that went in",
    "Y": "the output",
    "dY": "gradient of the output",
    "dX": "gradient of X",
}


class Pooling(ConvPoolArgs):
    """Base of poolings and their gradients; `ufunc` is what a window is reduced by."""

    ufunc: ClassVar[np.ufunc] = np.add
    _plan: tuple[Any, Any] = (None, None)  # for which images; their Separable
    _table: tuple[Any, Any] = (None, None)  # for which images; their windows on the device

    def _window(self, axis: int, spatial: tuple[Any, ...]) -> Window:
        """As for a convolution, but without dilation, and every window must meet the image."""
        w = super()._window(axis, spatial)
        if w.dilation != 1:
            raise ValueError(f"dilation = {w.dilation}, pooling takes 1 only")
        head, tail = (self.explicit_pads(len(spatial))[i] for i in (axis, axis + len(spatial)))
        if max(head, tail) >= w.kernel and not self.global_pooling:
            raise ValueError(f"padding {head} and {tail} on spatial axis {axis}, wants less than the kernel {w.kernel}")
        if (w.out - 1) * w.stride - w.head >= w.size or w.kernel <= w.head:
            raise ValueError(
                f"a window of {w.kernel} (stride {w.stride}) lies in the padding of spatial axis {axis} altogether"
            )
        return w

    def shape_of(self, X: Any) -> tuple[Any, ...]:
        """The shape of the output for this input (array or spec)."""
        batch, channels, spatial = self.split("X", X.shape)
        if not spatial and not self.global_pooling:
            raise ValueError(f"X: shape is {list(X.shape)}, wants a spatial axis")
        return self.joined(batch, channels, self.out_dims(spatial))

    def flat(self, images: np.ndarray) -> np.ndarray:
        """Images with the spatial axes from 1 on: channels first as [N * C, spatial...]; a view."""
        return images if self.channels_last else images.reshape(prod(images.shape[:2]), *images.shape[2:])

    def separable(self, X: np.ndarray) -> Separable:
        """The reduction over windows for images like X, kept from run to run."""
        key = (X.shape[1:], X.dtype)
        if self._plan[0] != key:
            _, channels, spatial = self.split("X", X.shape)
            trailing = (channels,) if self.channels_last else ()
            self._plan = key, Separable(self.ufunc, self.windows(spatial), trailing, X.dtype)
        return self._plan[1]

    def on_cuda(self, X: Any) -> dict[str, Any]:
        """The windows over images like X as the CUDA kernels want them; the table is kept from run to run."""
        from caffe2ops.ops.pool import pooling_cuda

        _, channels, spatial = self.split("X", X.shape)
        if self._table[0] != spatial:
            self._table = spatial, pooling_cuda.table_of(self.windows(spatial))
        return {"g": self._table[1], "rank": len(spatial), "inner": channels if self.channels_last else 1}

    def whole(self, X: Any) -> int:
        """How many elements a window over X has, padding counted."""
        return prod(w.kernel for w in self.windows(self.split("X", X.shape)[2]))

    def taps_of(self, X: TensorSpec, Y: TensorSpec) -> Any:
        """How many elements all windows meet, padding counted."""
        if not X.known or not Y.known:
            return UNKNOWN
        return Y.size * self.whole(X)


class PoolingForward(Pooling):
    """Base of the poolings."""

    docs = FORWARD_DOCS

    def fold_cuda(self, kernel: Any, X: Any, **named: Any) -> Any:
        """The output, by a kernel of pooling_cuda."""
        return kernel(out=self.out(0, self.shape_of(X), X.dtype), X=X, **self.on_cuda(X), **named)

    def infer(self, X: TensorSpec) -> TensorSpec:
        return TensorSpec(self.shape_of(X), X.dtype)

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        return Cost(self.taps_of(inputs[0], outputs[0]), inputs[0].nbytes, outputs[0].nbytes)


class PoolingGradient(Pooling):
    """Base of the gradients of poolings."""

    docs = GRADIENT_DOCS

    def back_cuda(self, kernel: Any, X: Any, Y: Any, dY: Any, **named: Any) -> Any:
        """The gradient, by a kernel of pooling_cuda."""
        self.infer(X, Y, dY)
        return kernel(X, out=self.out(0, X.shape, X.dtype), Y=Y, dY=dY, **self.on_cuda(X), **named)

    def infer(self, X: TensorSpec, Y: TensorSpec, dY: TensorSpec) -> TensorSpec:
        shape = self.shape_of(X)
        for name, given in (("Y", Y.shape), ("dY", dY.shape)):
            if len(given) != len(shape) or any(map(differ, given, shape)):
                raise ValueError(f"{name}: shape is {list(given)}, the output has {list(shape)}")
        return TensorSpec(X.shape, X.dtype)

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        return Cost(self.taps_of(inputs[0], inputs[2]), sum(s.nbytes for s in inputs), outputs[0].nbytes)

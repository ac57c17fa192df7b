"""Convolution and its gradient: one n-dimensional kernel for Conv, Conv1D, Conv2D and Conv3D."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, Cost, TensorSpec, Unknown
from caffe2ops.operator import Arg, Step, row
from caffe2ops.ops.conv.columns import Columns
from caffe2ops.ops.conv.depthwise import FEW, Depthwise
from caffe2ops.ops.conv.filtered import Filtered, FilteredForward, FilteredGradient
from caffe2ops.ops.conv.geometry import ConvPoolArgs, Window, grouped, stacked
from caffe2ops.ops.shape.axes import differ

# fmt: off
FORWARD_DOCS = {
    "X": "images [N, C, spatial...] (NCHW) or [N, spatial..., C] (NHWC)",
    "filter": "weights [M, C / group, kernel...] (NCHW) or [M, kernel..., C / group] (NHWC)",
    "bias": "one number for each of the M output channels",
    "Y": "images of M channels",
}
# fmt: on


class Convolution(Filtered, ConvPoolArgs):
    """Base of convolution and its gradient."""

    group: int = Arg(1, ge=1, doc="channels are cut into this many groups, each with filters of its own")
    float16_compute: bool = Arg(False, doc="a hint to Caffe2's GPU kernels; nothing changes here")

    _plan: tuple[Any, Any] = (None, None)  # for which images; their Columns

    def outputs_of(self, X: Any, filter: Any) -> tuple[Any, ...]:
        """The shape of the output for these inputs. Raises ValueError where channels or kernel do not fit."""
        batch, channels, spatial = self.split("X", X.shape)
        if not spatial:
            raise ValueError(f"X: shape is {list(X.shape)}, wants one spatial axis at least")
        if len(filter.shape) != len(X.shape):
            raise ValueError(f"filter: has {len(filter.shape)} axes, X has {len(X.shape)}")
        depth, kernel = (
            (filter.shape[-1], filter.shape[1:-1]) if self.channels_last else (filter.shape[1], filter.shape[2:])
        )
        if differ(channels, depth * self.group):
            raise ValueError(f"X: has {channels} channels, filter takes {depth} in each of {self.group} groups")
        if not isinstance(filter.shape[0], Unknown) and filter.shape[0] % self.group:
            raise ValueError(f"filter: {filter.shape[0]} output channels are not divisible by group = {self.group}")
        wanted = spatial if self.global_pooling else tuple(self.spelled("kernels", len(spatial), 0))
        dims = self.out_dims(spatial)
        if any(map(differ, kernel, wanted)):
            raise ValueError(f"filter: spatial dims are {list(kernel)}, the kernel is {list(wanted)}")
        return self.joined(batch, filter.shape[0], dims)

    def windows_over(self, X: Any) -> tuple[Window, ...]:
        """The windows over images like X."""
        return self.windows(self.split("X", X.shape)[2])

    def columns(self, X: np.ndarray) -> Columns:
        """The columns for images like X, kept from run to run."""
        key = (X.shape, X.dtype)
        if self._plan[0] != key:
            self._plan = key, Columns(X.shape, self.group, self.windows_over(X), self.channels_last, X.dtype)
        return self._plan[1]


class Conv(Convolution, FilteredForward):
    """Convolution of images: Y[m] = bias[m] + the sum over channels c and taps t of filter[m, c, t] X[c, place + t].

    Any number of spatial axes. With `group`, output channel m sees only the channels of its group. Raises ValueError
    for a window larger than the padded image and for channels that do not fit. All engines run this kernel. Caffe2:
    operators/conv_op.
    """

    contract = "X: float, filter: X[M, ...], bias?: X[M] -> Y: X[?]"
    docs = FORWARD_DOCS

    _depthwise: tuple[Any, Any] = (None, None)  # for which images; their Depthwise

    def infer(self, X: TensorSpec, filter: TensorSpec, bias: TensorSpec | None = None) -> TensorSpec:
        return TensorSpec(self.outputs_of(X, filter), X.dtype)

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        flops: Any = 2 * outputs[0].size * prod(inputs[1].shape[1:]) if inputs[1].known else UNKNOWN
        return Cost(flops, sum(s.nbytes for s in inputs), outputs[0].nbytes)

    run_cuda = FilteredForward.run_cpu

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        if self.device == "cuda":
            from caffe2ops.ops.conv import conv_cuda

            return partial(conv_cuda.convolve, self, inputs, outputs)
        X, filter, *bias = inputs
        if self._is_depthwise(X, filter, outputs[0]):
            return partial(self._depthwise_of(X).run, X, filter, bias[0] if bias else None, outputs[0])
        columns, W = self.columns(X), stacked(filter, self.group)
        offsets = bias[0].reshape(self.group, -1, 1) if bias else None
        outs = grouped(outputs[0], self.group, self.channels_last)

        def run() -> None:
            for images, positions, matrix in columns.matrices(X):
                out = outs[images][..., positions]
                np.matmul(W, matrix, out=out)
                if offsets is not None:
                    np.add(out, offsets, out=out)

        return run

    def _is_depthwise(self, X: np.ndarray, filter: np.ndarray, Y: np.ndarray) -> bool:
        """Whether there is one filter a channel, and the kernel for that is the faster one."""
        channels = X.shape[-1 if self.channels_last else 1]
        return self.group == channels == filter.shape[0] and (self.channels_last or prod(Y.shape[2:]) <= FEW)

    def _depthwise_of(self, X: np.ndarray) -> Depthwise:
        key = (X.shape[1:], X.dtype)
        if self._depthwise[0] != key:
            _, channels, spatial = self.split("X", X.shape)
            self._depthwise = key, Depthwise(channels, self.windows(spatial), self.channels_last, X.dtype)
        return self._depthwise[1]


class ConvGradient(Convolution, FilteredGradient):
    """Gradients of a convolution: of filter, bias (unless `no_bias`), and X where one more output is asked for.

    Raises ValueError where dY has not the shape of the output. Caffe2: operators/conv_gradient_op.
    """

    contract = "X: float, filter: X[M, ...], dY?: X -> dfilter: filter, dbias_or_dX?: X[?], dX?: X"

    def infer(self, X: TensorSpec, filter: TensorSpec, dY: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        if dY is None:
            raise ValueError("dY: is missing, wants the gradient of the output as third input")
        return super().infer(X, filter, dY)

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        products = len(outputs) - (not self.no_bias)
        flops: Any = 2 * products * inputs[2].size * prod(inputs[1].shape[1:]) if inputs[1].known else UNKNOWN
        return Cost(flops, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))

    run_cuda = FilteredGradient.run_cpu

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        if self.device == "cuda":
            from caffe2ops.ops.conv import conv_cuda

            return partial(conv_cuda.convolve_back, self, inputs, outputs)
        X, filter, dY = inputs
        dfilter, *rest = outputs
        dbias = None if self.no_bias else rest.pop(0)
        columns, W, dW = self.columns(X), stacked(filter, self.group).transpose(0, 2, 1), stacked(dfilter, self.group)
        incoming = grouped(dY, self.group, self.channels_last)

        def run() -> None:
            dW[...] = 0
            for images, positions, matrix in columns.matrices(X):
                np.add(dW, (incoming[images][..., positions] @ matrix.swapaxes(2, 3)).sum(axis=0), out=dW)
            for dX in rest:
                columns.spread(W, incoming, dX)
            if dbias is not None:
                np.sum(incoming, axis=(0, 3), out=dbias.reshape(self.group, -1))

        return run


for _rank in (1, 2, 3):
    row(
        f"Conv{_rank}D",
        f"Conv, named for windows of {_rank} spatial axes; it takes any number. Caffe2: operators/conv_op.",
        Conv,
    )
    row(
        f"Conv{_rank}DGradient",
        f"Gradients of Conv{_rank}D, as ConvGradient. Caffe2: operators/conv_gradient_op.",
        ConvGradient,
    )

"""Transposed convolution (deconvolution) and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, Cost, TensorSpec, Unknown
from caffe2ops.operator import Arg, Step
from caffe2ops.ops.conv.columns import Columns
from caffe2ops.ops.conv.filtered import Filtered, FilteredForward, FilteredGradient
from caffe2ops.ops.conv.geometry import CAFFE_LEGACY_POOLING, SAME, VALID, Window, grouped, stacked
from caffe2ops.ops.shape.axes import differ


class TransposedConvolution(Filtered):
    """Base of transposed convolution and its gradient: X lies where a convolution of Y would put its output."""

    adj: int = Arg(0, ge=0, doc="elements added at the tail of every spatial axis of the output, at most the stride")
    adj_h: int = Arg(0, ge=0, doc="rows added at the bottom (with adj_w)")
    adj_w: int = Arg(0, ge=0, doc="columns added at the right (with adj_h)")
    adjs: list[int] = Arg((), ge=0, doc="elements added at the tail of each spatial axis")
    group: int = Arg(1, ge=1, doc="channels are cut into this many groups, each with filters of its own")
    shared_buffer: int = Arg(0, doc="a hint to Caffe2 to share scratch memory; nothing changes here")

    _plan: tuple[Any, Any] = (None, None)  # for which images; their Columns

    def outputs_of(self, X: Any, filter: Any) -> tuple[Any, ...]:
        """The shape of the output for these inputs. Raises ValueError where channels or kernel do not fit."""
        batch, channels, spatial = self.split("X", X.shape)
        if len(spatial) != 2:
            raise ValueError(f"X: shape is {list(X.shape)}, wants two spatial axes")
        if len(filter.shape) != 4:
            raise ValueError(f"filter: has {len(filter.shape)} axes, wants 4")
        if differ(channels, filter.shape[0]):
            raise ValueError(f"X: has {channels} channels, filter takes {filter.shape[0]}")
        if not isinstance(channels, Unknown) and channels % self.group:
            raise ValueError(f"X: {channels} channels are not divisible by group = {self.group}")
        dims = [UNKNOWN if isinstance(d, Unknown) else self._window(axis, d).size for axis, d in enumerate(spatial)]
        depth, kernel = (
            (filter.shape[-1], filter.shape[1:-1]) if self.channels_last else (filter.shape[1], filter.shape[2:])
        )
        wanted = self.spelled("kernels", 2, 0)
        if any(map(differ, kernel, wanted)):
            raise ValueError(f"filter: spatial dims are {list(kernel)}, the kernel is {wanted}")
        return self.joined(batch, depth * self.group, dims)

    def _window(self, axis: int, positions: int) -> Window:
        """The window over the output that makes this many positions."""
        kernel, stride = self.spelled("kernels", 2, 0)[axis], self.spelled("strides", 2, 1)[axis]
        adj, pads = self.spelled("adjs", 2, 0)[axis], self.explicit_pads(2)
        head, tail = pads[axis], pads[axis + 2]
        if self.legacy_pad == CAFFE_LEGACY_POOLING:
            raise ValueError("legacy_pad = 3 (CAFFE_LEGACY_POOLING), a transposed convolution takes 0, 1 or 2")
        if kernel < 1:
            raise ValueError("kernel, kernel_h and kernel_w, or kernels is missing (or 0)")
        if adj > stride:
            raise ValueError(f"adj = {adj} on spatial axis {axis}, wants at most the stride {stride}")
        if self.legacy_pad in (VALID, SAME):
            head = tail = 0
        if min(head, tail) < 0:
            raise ValueError(f"padding {head} and {tail} on spatial axis {axis}, wants >= 0")
        size = (positions - 1) * stride + kernel + adj - head - tail
        if size < 1:
            raise ValueError(
                f"padding {head} and {tail} leaves nothing of {size + head + tail} elements along spatial axis {axis}"
            )
        return Window(size, kernel, stride, 1, head, tail, positions)

    def windows_over(self, X: Any) -> tuple[Window, ...]:
        """The windows over the output for inputs like X."""
        return tuple(self._window(axis, d) for axis, d in enumerate(self.split("X", X.shape)[2]))

    def columns(self, X: np.ndarray, outputs: tuple[int, ...]) -> Columns:
        """The columns of output images of that shape for inputs like X, kept from run to run."""
        key = (X.shape, outputs, X.dtype)
        if self._plan[0] != key:
            self._plan = key, Columns(outputs, self.group, self.windows_over(X), self.channels_last, X.dtype)
        return self._plan[1]


class ConvTranspose(TransposedConvolution, FilteredForward):
    """Transposed convolution: every element of X adds its multiple of a filter to Y, `stride` apart; plus a bias.

    Two spatial axes of (X - 1) * stride + kernel + adj - padding elements. Raises ValueError for channels that do not
    fit and where padding leaves nothing. Caffe2: operators/conv_transpose_op.
    """

    contract = "X: float, filter: X[M, ...], bias?: X -> Y: X[?]"
    docs = {
        "X": "images [N, M, H, W] (NCHW) or [N, H, W, M] (NHWC)",
        "filter": "weights [M, C / group, kernel...] (NCHW) or [M, kernel..., C / group] (NHWC)",
        "bias": "one number for each of the C output channels",
        "Y": "images of C channels",
    }

    def infer(self, X: TensorSpec, filter: TensorSpec, bias: TensorSpec | None = None) -> TensorSpec:
        shape = self.outputs_of(X, filter)
        channels = shape[-1 if self.channels_last else 1]
        if bias is not None and (len(bias.shape) != 1 or differ(bias.shape[0], channels)):
            raise ValueError(f"bias: shape is {list(bias.shape)}, wants [{channels}], one for each output channel")
        return TensorSpec(shape, X.dtype)

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        flops: Any = 2 * inputs[0].size * prod(inputs[1].shape[1:]) if inputs[1].known else UNKNOWN
        return Cost(flops, sum(s.nbytes for s in inputs), outputs[0].nbytes)

    run_cuda = FilteredForward.run_cpu

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        if self.device == "cuda":
            from caffe2ops.ops.conv import conv_cuda

            return partial(conv_cuda.transposed, self, inputs, outputs)
        X, filter, *bias = inputs
        Y = outputs[0]
        columns, W = self.columns(X, Y.shape), stacked(filter, self.group).transpose(0, 2, 1)
        x = grouped(X, self.group, self.channels_last)
        offsets = [b if self.channels_last else b[:, None, None] for b in bias]

        def run() -> None:
            columns.spread(W, x, Y)
            for offset in offsets:
                np.add(Y, offset, out=Y)

        return run


class ConvTransposeGradient(TransposedConvolution, FilteredGradient):
    """Gradients of a transposed convolution: of the filter, the bias (unless `no_bias`), and X.

    That of X is computed where one more output is asked for. Raises ValueError where dY has not the shape of the
    output. Caffe2: operators/conv_transpose_gradient_op.
    """

    contract = "X: float, filter: X[M, ...], dY: X -> dfilter: filter, dbias_or_dX?: X[?], dX?: X"

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        products = len(outputs) - (not self.no_bias)
        flops: Any = 2 * products * inputs[0].size * prod(inputs[1].shape[1:]) if inputs[1].known else UNKNOWN
        return Cost(flops, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))

    run_cuda = FilteredGradient.run_cpu

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        if self.device == "cuda":
            from caffe2ops.ops.conv import conv_cuda

            return partial(conv_cuda.transposed_back, self, inputs, outputs)
        X, filter, dY = inputs
        dfilter, *rest = outputs
        dbias = None if self.no_bias else rest.pop(0)
        columns = self.columns(X, dY.shape)
        W, dW = stacked(filter, self.group), stacked(dfilter, self.group)
        x, *dx = (grouped(array, self.group, self.channels_last) for array in (X, *rest))
        axes = tuple(range(dY.ndim - 1)) if self.channels_last else (0, *range(2, dY.ndim))

        def run() -> None:
            dW[...] = 0
            for images, positions, matrix in columns.matrices(dY):
                np.add(dW, (x[images][..., positions] @ matrix.swapaxes(2, 3)).sum(axis=0), out=dW)
                for out in dx:
                    np.matmul(W, matrix, out=out[images][..., positions])
            if dbias is not None:
                np.sum(dY, axis=axes, out=dbias)

        return run

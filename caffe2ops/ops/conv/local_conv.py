"""Locally connected layers, convolution with filters of its own at every position, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, Cost, TensorSpec
from caffe2ops.operator import Arg, Step, row
from caffe2ops.ops.conv.columns import Columns
from caffe2ops.ops.conv.filtered import Filtered, FilteredForward, FilteredGradient
from caffe2ops.ops.conv.geometry import ConvPoolArgs, grouped
from caffe2ops.ops.shape.axes import differ


class LocallyConnected(Filtered, ConvPoolArgs):
    """Base of the layer and its gradient."""

    group: int = Arg(1, choices=(1,), doc="1; Caffe2 writes past its buffers for more groups")

    _plan: tuple[Any, Any] = (None, None)  # for which images; their Columns

    def outputs_of(self, X: Any, filter: Any) -> tuple[Any, ...]:
        batch, channels, spatial = self.split("X", X.shape)
        rank = len(spatial)
        if not rank or (self.channels_last and rank != 2):
            raise ValueError(f"X: {rank} spatial axes with order {self.order}, wants {'2' if rank else '1 at least'}")
        if len(filter.shape) != 2 * rank + 2:
            raise ValueError(f"filter: has {len(filter.shape)} axes, wants {2 * rank + 2} for {rank} spatial axes")
        dims, filters = self.out_dims(spatial), filter.shape[rank]
        kernel = spatial if self.global_pooling else tuple(self.spelled("kernels", rank, 0))
        wanted = (*dims, *self.joined(filters, channels, kernel))
        if any(map(differ, filter.shape, wanted)):
            raise ValueError(f"filter: shape is {list(filter.shape)}, wants {list(wanted)}: positions, then a filter")
        return self.joined(batch, filters, dims)

    def columns(self, X: np.ndarray) -> Columns:
        """The columns for images like X, kept from run to run."""
        key = (X.shape, X.dtype)
        if self._plan[0] != key:
            windows = self.windows(self.split("X", X.shape)[2])
            self._plan = key, Columns(X.shape, 1, windows, self.channels_last, X.dtype)
        return self._plan[1]

    def by_position(self, filter: np.ndarray) -> np.ndarray:
        """Filters as matrices [positions, M, K]; a view."""
        rank = filter.ndim // 2 - 1
        return filter.reshape(prod(filter.shape[:rank]), filter.shape[rank], prod(filter.shape[rank + 1 :]))

    def outputs_by_position(self, Y: np.ndarray) -> np.ndarray:
        """Outputs as matrices [positions, M, N]; a view."""
        return grouped(Y, 1, self.channels_last)[:, 0].transpose(2, 1, 0)


class LC(LocallyConnected, FilteredForward):
    """Locally connected layer: Y[m] at a place = bias[place, m] + the sum over c, t of filter[place, m, c, t] X[c, t].

    A convolution whose filters differ from place to place. Raises ValueError for filters and bias that do not fit,
    groups, and channels last with other than two spatial axes. Caffe2: operators/locally_connected_op.
    """

    contract = "X: float, filter: X, bias?: X -> Y: X[?]"
    docs = {
        "X": "images [N, C, spatial...] (NCHW) or [N, H, W, C] (NHWC)",
        "filter": "weights [places..., M, C, kernel...] (NCHW) or [places..., M, kernel..., C] (NHWC)",
        "bias": "[places..., M]",
        "Y": "images of M channels",
    }

    def infer(self, X: TensorSpec, filter: TensorSpec, bias: TensorSpec | None = None) -> TensorSpec:
        shape = self.outputs_of(X, filter)
        wanted = filter.shape[: len(filter.shape) // 2]
        if bias is not None and (len(bias.shape) != len(wanted) or any(map(differ, bias.shape, wanted))):
            raise ValueError(f"bias: shape is {list(bias.shape)}, wants {list(wanted)}")
        return TensorSpec(shape, X.dtype)

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        flops: Any = 2 * inputs[1].size * inputs[0].shape[0] if inputs[0].known and inputs[1].known else UNKNOWN
        return Cost(flops, sum(s.nbytes for s in inputs), outputs[0].nbytes)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, filter, *bias = inputs
        columns, W, out = self.columns(X), self.by_position(filter), self.outputs_by_position(outputs[0])
        offsets = [b.reshape(*W.shape[:2], 1) for b in bias]

        def run() -> None:
            for images, places, matrix in columns.matrices(X):
                out[places, :, images] = W[places] @ matrix[:, 0].transpose(2, 1, 0)
            for offset in offsets:
                np.add(out, offset, out=out)

        return run


class LCGradient(LocallyConnected, FilteredGradient):
    """Gradients of LC: of filter, bias (unless `no_bias`), and X where one more output is asked for.

    Raises ValueError where dY has not the shape of the output. Caffe2: operators/locally_connected_op.
    """

    contract = "X: float, filter: X, dY?: X -> dfilter: filter, dbias_or_dX?: X[?], dX?: X"

    def bias_of(self, filter: Any, outputs: tuple[Any, ...]) -> tuple[Any, ...]:
        bias: tuple[Any, ...] = filter.shape[: len(filter.shape) // 2]
        return bias

    def cost(self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Cost:
        products = len(outputs) - (not self.no_bias)
        flops: Any = 2 * products * inputs[1].size * inputs[0].shape[0] if inputs[0].known else UNKNOWN
        return Cost(flops, sum(s.nbytes for s in inputs), sum(s.nbytes for s in outputs))

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, filter, dY = inputs
        dfilter, *rest = outputs
        dbias = None if self.no_bias else rest.pop(0)
        columns, W, dW = self.columns(X), self.by_position(filter), self.by_position(dfilter)
        incoming = self.outputs_by_position(dY)
        identity = np.eye(W.shape[2], dtype=X.dtype)[None]

        def run() -> None:
            dW[...] = 0
            for images, places, matrix in columns.matrices(X):
                dW[places] += incoming[places, :, images] @ matrix[:, 0].transpose(2, 0, 1)
            for dX in rest:
                sent = W.transpose(0, 2, 1) @ incoming
                columns.spread(identity, sent.transpose(2, 1, 0)[:, None], dX)
            if dbias is not None:
                np.sum(incoming, axis=2, out=dbias.reshape(W.shape[:2]))

        return run


for _rank in (1, 2, 3):
    row(
        f"LC{_rank}D",
        f"LC, named for windows of {_rank} spatial axes; it takes any number. Caffe2: operators/locally_connected_op.",
        LC,
    )
    row(
        f"LC{_rank}DGradient",
        f"Gradients of LC{_rank}D, as LCGradient. Caffe2: operators/locally_connected_op.",
        LCGradient,
    )

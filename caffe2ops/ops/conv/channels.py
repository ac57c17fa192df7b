"""Channels of images: shuffling them between groups, statistics of each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import FORBIDDEN, Arg, Step
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.reduce.sums import squares_over, sum_over
from caffe2ops.ops.shape.axes import differ
from caffe2ops.settled import Settled


class Shuffle(Image):
    """Base of the shuffle and its gradient: channels as a matrix, transposed; `rows` of it."""

    group: int = Arg(1, ge=1, doc="how many groups the channels are cut into")

    def rows(self, channels: Any) -> Any:
        return self.group

    def infer(self, X: Any) -> TensorSpec:
        channels = self.split("X", X.shape)[1]
        if differ(channels % self.group, 0):
            raise ValueError(f"group = {self.group} does not divide the {channels} channels of X")
        return TensorSpec(X.shape, X.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        x, y = self.planes(inputs[0]), self.planes(outputs[0])
        axis = 2 if self.channels_last else 1
        rows = self.rows(x.shape[axis])
        tail = x.shape[axis + 1 :]
        columns = x.shape[axis] // rows
        matrix = x.reshape(*x.shape[:axis], rows, columns, *tail).swapaxes(axis, axis + 1)
        return partial(np.copyto, y.reshape(*x.shape[:axis], columns, rows, *tail), matrix)

    run_cuda = Settled.run_cpu


class ChannelShuffle(Shuffle):
    """Deals the channels of each group out over the output: channel k of group g becomes channel k * group + g.

    Raises ValueError where `group` does not divide the channels. Caffe2: operators/channel_shuffle_op.
    """

    contract = "X: float -> Y: X"
    docs = {"X": "images, in the order that `order` names", "Y": "the same channels in another order"}
    gradient = "ChannelShuffleGradient(dY) -> dX"


class ChannelShuffleGradient(Shuffle):
    """Gradient of ChannelShuffle: puts the channels back. Caffe2: operators/channel_shuffle_op."""

    contract = "dY: float -> dX: dY"

    def rows(self, channels: Any) -> Any:
        return channels // self.group


class ChannelStats(Image):
    """The sum of each channel and of its squares, over batch and positions.

    Caffe2: operators/channel_stats_op.
    """

    contract = "X: float -> sum: X[?], sumsq: X[?]"
    docs = {
        "X": "images, in the order that `order` names",
        "sum": "sum of each channel, [C]",
        "sumsq": "sum of the squares of each channel, [C]",
    }
    gradient = FORBIDDEN

    def infer(self, X: Any) -> tuple[TensorSpec, TensorSpec]:
        spec = TensorSpec((self.split("X", X.shape)[1],), X.dtype)
        return spec, spec

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        x = self.planes(inputs[0])
        axes = (0, 1) if self.channels_last else (0, 2)

        def run() -> None:
            for fold, output in zip((sum_over, squares_over), outputs):
                output[...] = fold(x, axes).reshape(-1)

        return run

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.reduce.sums_cuda import PRODUCT, sum_over

        shape = self.infer(X)[0].shape
        x, total, squares = self.planes(X), self.out(0, shape, X.dtype), self.out(1, shape, X.dtype)
        axes = (0, 1) if self.channels_last else (0, 2)
        sum_over(PRODUCT(x, x, out=np.empty_like(x)), axes, squares)
        return sum_over(x, axes, total), squares


class ChannelBackpropStats(Image):
    """What SpatialBN's gradient needs of each channel, over batch and positions: the sums of dY (X - mean) inv_std and
    of dY.

    Raises ValueError for other than one to three spatial axes, and where shapes do not fit. Caffe2:
    operators/channel_backprop_stats_op.
    """

    contract = """X: float[N, C, ...], mean: X[C], inv_std: X[C], output_grad: X[N, C, ...]
        -> scale_grad: X[C], bias_grad: X[C]"""
    docs = {
        "X": "images [N, C, spatial...]",
        "mean": "mean of each channel",
        "inv_std": "1 / standard deviation of each channel",
        "output_grad": "gradient dY of the output of SpatialBN",
        "scale_grad": "gradient of the scale",
        "bias_grad": "gradient of the bias",
    }
    gradient = FORBIDDEN
    order: str = Arg("NCHW", choices=("NCHW",), doc="where the channels stand: axis 1")

    def infer(self, X: Any, mean: Any, inv_std: Any, output_grad: Any) -> tuple[TensorSpec, TensorSpec]:
        if not 3 <= len(X.shape) <= 5:
            raise ValueError(f"X: shape is {list(X.shape)}, wants 3 to 5 dimensions")
        spec = TensorSpec(mean.shape, X.dtype)
        return spec, spec

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        x, dy = self.planes(inputs[0]), self.planes(inputs[3])
        mean, inv_std = (numbers[:, None] for numbers in inputs[1:3])

        def run() -> None:
            np.add.reduce((x - mean) * inv_std * dy, axis=(0, 2), out=outputs[0])
            np.add.reduce(dy, axis=(0, 2), out=outputs[1])

        return run

    def run_cuda(self, X: Any, mean: Any, inv_std: Any, output_grad: Any) -> Any:
        from caffe2ops.ops.conv.channels_cuda import backprop_stats

        outs = tuple(self.out(i, spec.shape, spec.dtype) for i, spec in enumerate(self.infer(X, mean, inv_std, None)))
        return backprop_stats(self.planes(X), mean[:, None], inv_std[:, None], self.planes(output_grad), outs)

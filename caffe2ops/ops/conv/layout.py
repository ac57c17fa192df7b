"""Switching images between channels first and channels last."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Step
from caffe2ops.settled import Settled


class ChannelMove(Settled):
    """Base of the two switches: moves the channels from axis `source` to axis `target`."""

    source = target = 0

    def _shape(self, data: TensorSpec | np.ndarray) -> tuple[int, ...]:
        if len(data.shape) < 3:
            raise ValueError(
                f"data: shape is {list(data.shape)}, wants a batch, channels and one spatial axis at least"
            )
        order = list(range(len(data.shape)))
        order.insert(self.target % len(order), order.pop(self.source))
        return tuple(data.shape[axis] for axis in order)

    def infer(self, data: TensorSpec) -> TensorSpec:
        return TensorSpec(self._shape(data), data.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        return partial(np.copyto, outputs[0], np.moveaxis(inputs[0], self.source, self.target))

    run_cuda = Settled.run_cpu


class NCHW2NHWC(ChannelMove):
    """Moves the channels from axis 1 to the last axis. Raises ValueError for less than three axes.

    Caffe2: operators/order_switch_ops.
    """

    contract = "data: float -> output: data[?]"
    docs = {"data": "images [N, C, spatial...]", "output": "images [N, spatial..., C]"}
    gradient = "NHWC2NCHW(doutput) -> ddata"
    source, target = 1, -1


class NHWC2NCHW(ChannelMove):
    """Moves the channels from the last axis to axis 1. Raises ValueError for less than three axes.

    Caffe2: operators/order_switch_ops.
    """

    contract = "data: float -> output: data[?]"
    docs = {"data": "images [N, spatial..., C]", "output": "images [N, C, spatial...]"}
    gradient = "NCHW2NHWC(doutput) -> ddata"
    source, target = -1, 1

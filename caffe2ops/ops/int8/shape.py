"""Elements of quantised tensors moved about; scale and zero point stay."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.int8.arithmetic import Int8, quantised
from caffe2ops.ops.int8.conv import wants_channels_last
from caffe2ops.ops.shape.axes import canonical_axis, flat2d
from caffe2ops.ops.shape.reshape import Reshape
from caffe2ops.ops.shape.slice import Box
from caffe2ops.qtensor import QTensor

CHANNELS_LAST = {"X": "quantised images [N, H, W, C]", "Y": "quantised images"}


class Int8Flatten(Int8):
    """A quantised tensor as a matrix of the dims before and from `axis`.

    Caffe2: operators/quantized/int8_flatten_op.
    """

    contract = "input: blob -> output: blob"
    docs = {"input": "a quantised tensor", "output": "a matrix"}
    axis: int = Arg(1, ge=0, doc="the first dim of the second part")

    def run_cpu(self, x: Any) -> QTensor:
        x = quantised("input", x)
        shape = (prod(x.shape), 1) if self.axis == len(x.shape) else flat2d(x.shape, self.axis)
        return self.like(x, x.data.reshape(shape).copy())


class Int8Transpose(Int8):
    """The axes of a quantised tensor in another order, in reverse if none is given.

    Raises ValueError where `axes` is no order of them. Caffe2: operators/quantized/int8_transpose_op.
    """

    contract = "X: blob -> Y: blob"
    docs = {"X": "a quantised tensor", "Y": "the tensor transposed"}
    axes: list[int] = Arg((), doc="which axis of X each axis of Y is")

    def run_cpu(self, x: Any) -> QTensor:
        x = quantised("X", x)
        axes = list(self.axes) or list(range(len(x.shape)))[::-1]
        if sorted(axes) != list(range(len(x.shape))):
            raise ValueError(f"axes = {axes}, wants an order of the {len(x.shape)} axes of X")
        return self.like(x, np.ascontiguousarray(x.data.transpose(axes)))


class Int8ChannelShuffle(Int8, Image):
    """Channel i * (C / group) + j moved to j * group + i, order NHWC.

    Raises ValueError where `group` does not divide the channels. Caffe2: operators/quantized/int8_channel_shuffle_op.
    """

    contract = "X: blob -> Y: blob"
    docs = CHANNELS_LAST
    group: int = Arg(1, ge=1, doc="channels are cut into this many groups")
    kernel: int = Arg(0, doc="Caffe2 wants one as of a convolution; nothing depends on it")

    def run_cpu(self, x: Any) -> QTensor:
        wants_channels_last(self)
        x = quantised("X", x)
        channels = x.shape[-1] if x.shape else 0
        if channels % self.group:
            raise ValueError(f"X: {channels} channels are not divisible by group = {self.group}")
        parts = x.data.reshape(-1, self.group, channels // self.group)
        return self.like(x, parts.swapaxes(1, 2).reshape(x.shape).copy())


class Int8ResizeNearest(Int8):
    """Images scaled up or down, each element that of the nearest place above and left of it in X, order NHWC.

    Caffe2 does not heed output_size. Caffe2: operators/quantized/int8_resize_nearest_op.
    """

    contract = "X: blob -> Y: blob"
    docs = CHANNELS_LAST
    width_scale: float = Arg(1.0, gt=0, doc="factor on the width")
    height_scale: float = Arg(1.0, gt=0, doc="factor on the height")
    output_size: list[int] = Arg((), ge=1, doc="height and width, instead of the factors")

    def run_cpu(self, x: Any) -> QTensor:
        x = quantised("X", x)
        if len(x.shape) != 4:
            raise ValueError(f"X: shape is {list(x.shape)}, wants [N, H, W, C]")
        if self.output_size and len(self.output_size) != 2:
            raise ValueError(f"output_size = {list(self.output_size)}, wants height and width")
        picked = x.data
        for axis, given in ((1, self.height_scale), (2, self.width_scale)):
            size, factor = x.shape[axis], np.float32(given)
            count = self.output_size[axis - 1] if self.output_size else int(size * factor)
            if self.output_size:
                factor = np.float32(count) / np.float32(size)
            at = (np.arange(count, dtype=np.float32) / factor).astype(np.int64)
            picked = picked.take(np.minimum(at, size - 1), axis=axis)
        return self.like(x, picked)


class Int8Concat(Int8):
    """Quantised tensors of one scale and zero point joined along an axis, the channels (last) if not given.

    Raises ValueError where they differ in anything but that dim. Caffe2: operators/quantized/int8_concat_op.
    """

    contract = "*inputs: blob -> concat_result: blob, split_info?: int32[?]"
    docs = {
        "inputs": "quantised tensors",
        "concat_result": "the tensors in one",
        "split_info": "how much of the axis each has",
    }
    axis: int = Arg(3, doc="the axis along which they are joined; Caffe2 wants it, or order")
    add_axis: bool = Arg(False, choices=(0,), doc="whether to join them along a new axis; not supported")
    order: str = Arg("NHWC", choices=("NHWC",), doc="where the channels stand")

    def run_cpu(self, *inputs: Any) -> Any:
        tensors = [quantised(f"input {i}", x) for i, x in enumerate(inputs)]
        axis = canonical_axis(self.axis, len(tensors[0].shape))
        rest = [x.shape[:axis] + x.shape[axis + 1 :] for x in tensors]
        for i, x in enumerate(tensors):
            if rest[i] != rest[0] or len(x.shape) != len(tensors[0].shape):
                raise ValueError(f"input {i}: shape is {list(x.shape)}, input 0 has {list(tensors[0].shape)}")
            self.wants_scale(x.scale, x.zero_point)
        sizes = np.array([x.shape[axis] for x in tensors], np.int32)
        return self.made(np.concatenate([x.data for x in tensors], axis=axis)), sizes


class Int8Slice(Int8, Box):
    """A box cut out of a quantised tensor: `starts` to `ends`, or `start_idx` to `end_idx` of one dim.

    Raises ValueError where a range ends before it begins. Caffe2: operators/quantized/int8_slice_op.
    """

    contract = "data: blob, starts?: integer[D], ends?: starts[D] -> output: blob"
    docs = {
        "data": "a quantised tensor",
        "starts": "instead of the argument",
        "ends": "instead of the argument",
        "output": "the box",
    }
    dim: int = Arg(0, ge=0, doc="the dim that start_idx and end_idx are of")
    start_idx: int = Arg(0, doc="where the box begins in that dim")
    end_idx: int = Arg(-1, doc="where it ends; -1 is the end of the dim, -2 one before it")

    def run_cpu(self, data: Any, starts: Any = None, ends: Any = None) -> QTensor:
        x = quantised("data", data)
        if (starts is None) != (ends is None):
            raise ValueError("ends: is missing, wants to be there as starts is")
        if self.has_arg("dim"):
            starts = np.array([0] * self.dim + [self.start_idx])
            ends = np.array([-1] * self.dim + [self.end_idx])
        return self.like(x, np.ascontiguousarray(x.data[self._box(x.shape, starts, ends)]))


class Int8Reshape(Int8):
    """The same elements in another shape, and the old shape; see Reshape.

    Raises ValueError where the sizes differ. Caffe2: operators/quantized/int8_reshape_op.
    """

    contract = "data: blob, new_shape?: int64[R] -> reshaped: blob, old_shape: int64[?]"
    docs = {
        "data": "a quantised tensor",
        "new_shape": "the wanted shape, instead of the argument",
        "reshaped": "the tensor in the wanted shape",
        "old_shape": "the shape of data",
    }
    inplace = ((0, 0),)
    shape: list[int] = Arg((), doc="the wanted shape; 0 keeps a dim, -1 is what is left over")

    def run_cpu(self, data: Any, new_shape: Any = None) -> Any:
        x = quantised("data", data)
        if self.has_arg("shape") == (new_shape is not None):
            raise ValueError("shape: wants to be an argument, or the input new_shape")
        wanted = list(self.shape) if new_shape is None else new_shape.tolist()
        shape = Reshape._new_shape(x.shape, wanted)
        return self.like(x, x.data.reshape(shape).copy()), np.array(x.shape, np.int64)

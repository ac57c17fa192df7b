"""Pooling, normalisation, concatenation and shuffling of quantised tensors with the arithmetic of engine DNNLOWP."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg, row
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.int8.arithmetic import MOST, F
from caffe2ops.ops.int8.fbgemm import Dnnlowp, Output, QuantisedOutput, engine, floats, rescaled
from caffe2ops.ops.int8.pool import ExactPooling
from caffe2ops.ops.shape.axes import canonical_axis
from caffe2ops.qtensor import QTensor


class MaxPool(QuantisedOutput, ExactPooling):
    """The greatest of windows; scale and zero point stay. Caffe2: quantization/server/pool_dnnlowp_op."""

    ufunc = np.maximum

    def run_cpu(self, X: Any) -> QTensor:
        x = self.activation("X", X)
        return QTensor(self.reduced(x.data.astype(F)).astype(np.uint8), x.scale, x.zero_point)


class AveragePool(QuantisedOutput, ExactPooling):
    """The mean over what of each window lies in the image. Caffe2: quantization/server/pool_dnnlowp_op."""

    def run_cpu(self, X: Any) -> QTensor:
        x = self.activation("X", X)
        _, channels, spatial = self.split("X", x.shape)
        counts = self.reduced(np.ones(self.joined(1, channels, spatial), F))
        to = self.scale_for(lambda: self.reduced(floats("X", X)) / counts)
        sums = self.reduced(np.subtract(x.data, x.zero_point, dtype=F))
        elements = np.rint(sums * (F(x.scale) / to.scale / counts) + F(to.zero_point))
        return to.tensor(elements.clip(0, MOST))


class SpatialBN(Output, Image):
    """Y = (X - mean) / sqrt(var + epsilon) * scale + bias, channel by channel.

    Raises ValueError unless `is_test`. Caffe2: quantization/server/spatial_batch_norm_dnnlowp_op.
    """

    is_test: bool = Arg(False, choices=(True,), doc="must be given: mean and var are inputs")
    epsilon: float = Arg(1e-5, gt=0, doc="is added to var")

    def run_cpu(self, X: Any, scale: np.ndarray, bias: np.ndarray, mean: np.ndarray, var: np.ndarray) -> Any:
        if not self.has_arg("is_test"):
            raise ValueError("is_test: is missing, wants 1")
        x = self.activation("X", X)
        channels = self.split("X", x.shape)[1]
        if channels != len(scale):
            raise ValueError(f"scale: has {len(scale)} elements, X {channels} channels")
        alpha = scale * (F(1) / np.sqrt(var + F(self.epsilon)))
        beta = bias - alpha * mean
        along = [1] * len(x.shape)
        along[-1 if self.channels_last else 1] = channels
        alpha, beta = alpha.reshape(along), beta.reshape(along)
        to = self.scale_for(lambda: alpha * floats("X", X) + beta)
        steps = alpha * (F(x.scale) / to.scale) * np.subtract(x.data, x.zero_point, dtype=F) + beta / to.scale
        return self.made(to.tensor((np.rint(steps) + to.zero_point).clip(to.zero_point if self.relu else 0, MOST)))


class Concat(Output):
    """Tensors joined along an axis, the channels if not given, in one scale. Caffe2:
    quantization/server/concat_dnnlowp_op."""

    axis: int = Arg(-1, doc="the axis along which they are joined")
    add_axis: bool = Arg(False, doc="they are joined along a new axis")
    order: str = Arg("NCHW", choices=("NCHW", "NHWC"), doc="where the channels stand, if axis is not given")

    def run_cpu(self, *inputs: Any) -> Any:
        tensors = [self.activation(f"input {i}", x) for i, x in enumerate(inputs)]
        rank = len(tensors[0].shape) + self.add_axis
        axis = canonical_axis(self.axis if self.has_arg("axis") else 1 if self.order == "NCHW" else 3, rank)
        if self.add_axis:
            tensors = [QTensor(np.expand_dims(x.data, axis), x.scale, x.zero_point) for x in tensors]
        rest = [x.shape[:axis] + x.shape[axis + 1 :] for x in tensors]
        for i, x in enumerate(tensors):
            if rest[i] != rest[0] or len(x.shape) != rank:
                raise ValueError(f"input {i}: shape is {list(x.shape)}, input 0 has {list(tensors[0].shape)}")
        to = self.scale_for(lambda: np.concatenate([floats("input", x).ravel() for x in inputs]))
        parts = [
            rescaled(np.subtract(x.data, x.zero_point, dtype=F), F(x.scale) / to.scale, to).data
            if isinstance(given, QTensor)
            else to.quantise(given).astype(np.uint8).reshape(x.shape)
            for given, x in zip(inputs, tensors)
        ]
        sizes = np.array([x.shape[axis] for x in tensors], np.int32)
        return self.made(to.tensor(np.concatenate(parts, axis=axis))), sizes


class ChannelShuffle(Dnnlowp, Image):
    """Channel i * (C / group) + j moved to j * group + i; scale and zero point stay.

    Raises ValueError where `group` does not divide the channels. Caffe2:
    quantization/server/channel_shuffle_dnnlowp_op.
    """

    group: int = Arg(1, ge=1, doc="channels are cut into this many groups")
    kernel: int = Arg(0, doc="Caffe2 wants one as of a convolution; nothing depends on it")

    def run_cpu(self, X: Any) -> QTensor:
        x = self.activation("X", X)
        channels, axis = self.split("X", x.shape)[1], len(x.shape) - 1 if self.channels_last else 1
        if channels % self.group:
            raise ValueError(f"X: {channels} channels are not divisible by group = {self.group}")
        order = np.arange(channels).reshape(self.group, -1).T.ravel()
        return QTensor(x.data.take(order, axis=axis), x.scale, x.zero_point)


ONE: dict[str, Any] = {
    "contract": "X: blob -> Y: blob",
    "docs": {"X": "images, quantised or float32", "Y": "quantised images"},
}
BN: dict[str, Any] = {
    "contract": "X: blob, scale: float32[C], bias: scale[C], mean: scale[C], var: scale[C] -> Y: blob",
    "docs": {
        "X": "images, quantised or float32",
        "scale": "a factor for each channel",
        "bias": "what is added to each channel",
        "mean": "mean of each channel",
        "var": "variance of each channel",
        "Y": "quantised images",
    },
}
JOIN: dict[str, Any] = {
    "contract": "*inputs: blob -> concat_result: blob, split_info?: int32[?]",
    "docs": {
        "inputs": "quantised tensors, or float32",
        "concat_result": "the tensors in one",
        "split_info": "how much of the axis each has",
    },
}
for _prefix in ("", "Int8"):
    for _base in (MaxPool, AveragePool, ChannelShuffle):
        engine(f"{_prefix}{_base.__name__}", _base, **ONE)
    engine(f"{_prefix}Concat", Concat, **JOIN)
engine("SpatialBN", SpatialBN, **BN)
row("Int8SpatialBN", str(SpatialBN.__doc__), SpatialBN, **BN)
row("Int8SpatialBNRelu", f"{SpatialBN.__doc__} Values below 0 become 0.", SpatialBN, **BN, relu=True)

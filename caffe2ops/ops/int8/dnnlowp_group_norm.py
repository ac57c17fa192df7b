"""GroupNorm of quantised images with the arithmetic of engine DNNLOWP."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import Arg, row
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.int8.arithmetic import F
from caffe2ops.ops.int8.fbgemm import Output, ScaledWeights, engine, floats, rescaled


class Normalisation(Output, ScaledWeights, Image):
    """Each group of channels of an image brought to mean 0 and variance 1, times gamma, plus beta, by channel.

    The mean is rounded to a whole element; factors are quantised to 8 bits. Raises ValueError where `group` does not
    divide the channels. Caffe2: quantization/server/group_norm_dnnlowp_op.
    """

    group: int = Arg(32, ge=1, doc="how many groups the channels are cut into")
    epsilon: float = Arg(1e-5, gt=0, doc="is added to variances")
    is_test: bool = Arg(True, doc="nothing depends on it")
    is_param_constant: bool = Arg(True, doc="a hint that gamma and beta stay as they are; nothing changes here")

    def run_cpu(self, X: Any, gamma: np.ndarray, beta: np.ndarray) -> Any:
        x = self.activation("X", X)
        batch, channels, spatial = self.split("X", x.shape)
        if channels % self.group or len(gamma) != channels:
            raise ValueError(f"X: {channels} channels, group = {self.group}, gamma has {len(gamma)} elements")
        split = self.group, channels // self.group
        shape = (batch, *spatial, *split) if self.channels_last else (batch, *split, *spatial)
        axes, along = self._axes(len(shape))
        gamma, beta = gamma.reshape(along), beta.reshape(along)
        if self.dequantize_output:
            return self._real(x.dequantize().reshape(shape), gamma, beta, axes).reshape(x.shape)
        to = self.scale_for(lambda: self._real(floats("X", X).reshape(shape), gamma, beta, axes))
        data = x.data.reshape(shape).astype(np.int64)
        size = F(data[:1].size // self.group)
        mean = data.sum(axis=axes, keepdims=True).astype(F) / size
        variance = (data * data).sum(axis=axes, keepdims=True).astype(F) / size - mean * mean
        inverse = F(1) / np.sqrt(variance * (F(x.scale) * F(x.scale)) + F(self.epsilon))
        factors, inverses = (self.weight_scale(v).scale for v in (gamma, inverse))
        scale = _steps(gamma, factors) * _steps(inverse, inverses)
        offset = np.rint(_steps(beta, F(x.scale) * factors) / float(inverses)).astype(np.int64)
        offset = offset - scale * np.floor(mean + F(0.5)).astype(np.int64)
        unit = inverses * factors * F(x.scale)
        return rescaled((data * scale + offset).reshape(x.shape), unit / to.scale, to)

    def _axes(self, rank: int) -> tuple[tuple[int, ...], list[int]]:
        """The axes of a group's elements in images whose channels are split, and the shape of a number a channel."""
        at = rank - 2 if self.channels_last else 1
        along = [1] * rank
        along[at : at + 2] = self.group, -1
        return tuple(axis for axis in range(1, rank) if axis != at), along

    def _real(self, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
        scale = gamma * (F(1) / np.sqrt(variance + F(self.epsilon)))
        y: np.ndarray = x * scale + (beta - scale * mean)
        return y


def _steps(values: np.ndarray, scale: Any) -> np.ndarray:
    whole: np.ndarray = np.rint(values / scale).astype(np.int64)
    return whole


PORTS: dict[str, Any] = {
    "contract": "X: blob, gamma: float32[C], beta: float32[C] -> Y: blob",
    "docs": {
        "X": "images, quantised or float32",
        "gamma": "a factor for each channel",
        "beta": "what is added to each channel",
        "Y": "quantised images, or float32",
    },
}
engine("GroupNorm", Normalisation, **PORTS)
row("Int8GroupNorm", str(Normalisation.__doc__), Normalisation, **PORTS)

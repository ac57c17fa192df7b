"""Convolution of engine DNNLOWP: quantised or float images, weights quantised per tensor or per group, or packed."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.conv.conv import FORWARD_DOCS, Convolution
from caffe2ops.ops.int8.conv import ExactConvolution, centred, exact_dtype
from caffe2ops.ops.int8.fbgemm import ENGINE, SHORT_SUMS, QuantisedOutput, engine, floats, rescaled
from caffe2ops.ops.int8.packed import PackedWeights, Weights, packed_bias
from caffe2ops.qtensor import QTensor


class Int8ConvPackWeight(Weights, Convolution):
    """Weights of Conv quantised once, ahead of all runs, and their bias where `in_scale` says the scale of X.

    Raises ValueError where there is a bias and no in_scale. Caffe2: quantization/server/fbgemm_pack_op.
    """

    contract = "W: blob, b?: blob -> W_q: blob"
    docs = {
        "W": "weights [M, kernel..., C / group], float32 or quantised",
        "b": "bias [M], float32, or elements of 32 bits",
        "W_q": "weights for Conv with engine DNNLOWP",
    }
    quantize_groupwise: bool = Arg(False, doc="each group has a scale of its own")
    save_unpacked_weights: bool = Arg(False, doc="a hint for accelerators; nothing changes here")
    in_scale: float = Arg(0.0, ge=0, doc="scale of X; wanted where there is a bias")

    def run_cpu(self, W: Any, b: Any = None) -> PackedWeights:
        packed = self.packed("W", W, self.group if self.quantize_groupwise and not isinstance(W, QTensor) else 1)
        if b is None:
            return packed
        if not self.in_scale:
            raise ValueError("in_scale: is missing, wants the scale of X, as there is a bias")
        return PackedWeights(packed.elements, packed.scales, packed_bias("b", b, self.in_scale, packed))


class DnnlowpConvolution(QuantisedOutput, Weights, ExactConvolution):
    """Base."""

    quantize_groupwise: bool = Arg(False, doc="the weights of each group have a scale of their own")

    def run_cpu(self, X: Any, filter: Any, bias: Any = None) -> QTensor:
        x = self.activation("X", X)
        by_group = self.quantize_groupwise and not isinstance(filter, QTensor)
        self.checked(x, filter)
        depth = prod(filter.shape[1:])
        elements, weights = self.multipliers("filter", filter, self.group if by_group else 1, exact_dtype(depth))
        whole = self.sums(centred(x, depth), elements).astype(np.int64)
        channels = whole.swapaxes(1, -1) if not self.channels_last else whole  # channels last, or exchanged with them
        if weights.bias is not None:
            channels += weights.bias
        elif bias is not None:
            channels += packed_bias("bias", bias, x.scale, weights)
        to = self.scale_for(lambda: self._real(X, filter, bias))
        by = np.repeat(np.float32(x.scale) * weights.scales / to.scale, len(weights.elements) // len(weights.scales))
        y = rescaled(channels, by, to, self.relu)
        return y if self.channels_last else QTensor(np.ascontiguousarray(y.data.swapaxes(1, -1)), y.scale, y.zero_point)

    def _real(self, X: Any, filter: Any, bias: Any) -> np.ndarray:
        """What Conv of the real values gives."""
        if isinstance(filter, PackedWeights):
            raise ValueError("Y_scale: is missing, wanted where the weights were packed")
        y = self.sums(floats("X", X), floats("filter", filter))
        if bias is not None:
            offsets = floats("bias", bias)
            y += offsets if self.channels_last else offsets.reshape(-1, *[1] * (y.ndim - 2))
        return y


for _type in ("Conv", "ConvRelu", "Int8Conv", "Int8ConvRelu"):
    for _engine in (ENGINE, SHORT_SUMS):
        engine(
            _type,
            DnnlowpConvolution,
            _engine,
            contract="X: blob, filter: blob, bias?: blob -> Y: blob",
            docs=FORWARD_DOCS,
            relu=_type.endswith("Relu"),
        )

"""Weights and biases as engine DNNLOWP multiplies with them: quantised once, or when an operator runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe2ops.ops.int8.arithmetic import F, quantised
from caffe2ops.ops.int8.fbgemm import Scale, ScaledWeights, floats
from caffe2ops.qtensor import QTensor


@dataclass(frozen=True)
class PackedWeights:
    """What Int8FCPackWeight and Int8ConvPackWeight make: elements less their zero points, a scale for all or each."""

    elements: np.ndarray
    scales: np.ndarray  # float32 [1] or [outputs]
    bias: np.ndarray | None = None  # int64 [outputs], in units of in_scale * scales

    @property
    def shape(self) -> tuple[int, ...]:
        return self.elements.shape

    def as_matrix(self, rows: int) -> PackedWeights:
        return PackedWeights(self.elements.reshape(rows, -1), self.scales, self.bias)


class Weights(ScaledWeights):
    """Base of what takes weights: how they are quantised."""

    _kept: tuple[Any, Any] = (None, None)  # weights that cannot change, and what `multipliers` says of them

    def multipliers(self, name: str, W: Any, groups: int, dtype: Any) -> tuple[np.ndarray, PackedWeights]:
        """The elements of `packed` weights in a dtype, and these; kept from run to run unless W is an array."""
        if self._kept[0] is not W or isinstance(W, np.ndarray):
            packed = self.packed(name, W, groups)
            self._kept = W, (packed.elements.astype(dtype), packed)
        kept: tuple[np.ndarray, PackedWeights] = self._kept[1]
        return kept

    def packed(self, name: str, W: Any, groups: int) -> PackedWeights:
        """Weights as they are, or quantised in so many groups along the first dim."""
        if isinstance(W, PackedWeights):
            return W
        if isinstance(W, QTensor):
            elements = quantised(name, W).data.astype(np.int16) - np.int16(W.zero_point)
            return PackedWeights(elements, np.full(groups, W.scale, F))
        elements, scales = np.empty(floats(name, W).shape, np.int16), np.empty(groups, F)
        for i, (part, out) in enumerate(zip(W.reshape(groups, -1), elements.reshape(groups, -1))):
            scale = self.weight_scale(part)
            signed = Scale(scale.scale, scale.zero_point - 128)
            out[...] = signed.quantise(part, -128) - signed.zero_point
            scales[i] = scale.scale
        return PackedWeights(elements, scales)


def packed_bias(name: str, bias: Any, in_scale: Any, weights: PackedWeights) -> np.ndarray:
    """A bias in units of the products, int64.

    Raises TypeError where it is neither int32 quantised nor float32, ValueError for another shape or scale.
    """
    unit = F(in_scale) * np.repeat(weights.scales, len(weights.elements) // len(weights.scales))
    if bias.shape != unit.shape:
        raise ValueError(f"{name}: shape is {list(bias.shape)}, wants [{len(unit)}]")
    if isinstance(bias, QTensor):
        if bias.zero_point or abs(bias.scale - unit[0]) > 1e-4:
            raise ValueError(
                f"{name}: scale is {bias.scale:.6g}, zero point {bias.zero_point}, wants {unit[0]:.6g} and 0, the "
                "scale of X times that of the weights"
            )
        return quantised(name, bias, np.int32).data.astype(np.int64)
    floats(name, bias)
    whole: np.ndarray = np.rint(bias / unit).astype(np.int64)
    return whole

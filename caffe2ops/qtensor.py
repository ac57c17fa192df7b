"""Quantised tensors as blobs hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class QTensor:
    """A quantised tensor (Caffe2's Int8TensorCPU): real value = scale * (data - zero_point)."""

    data: np.ndarray
    scale: float = 1.0
    zero_point: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def dequantize(self) -> np.ndarray:
        """The real values, float32."""
        real = (self.data.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)
        return np.asarray(real, np.float32)

"""How style transfer nets take and give pictures: bytes BGRA to float images, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops import registry
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.fill.mt19937 import generator_of

NOISE_BLOB = "__CAFFE2_STYLIZER_NOISE__"  # where Caffe2 keeps the noise of a workspace, too


class PackedInt8BGRANHWCToNCHWCStylizerPreprocess(Operator):
    """Bytes BGRA as images of three channels: less a mean, plus noise; alpha is dropped.

    Y[n, c, p] = X[n, p, c] - mean[c] + noise[(3 p + c) % noise_size], p counting positions row by row. The noise is
    drawn once for a workspace and kept in its blob __CAFFE2_STYLIZER_NOISE__, anew where noise_size or the device
    differs. The same random_seed gives the noise of Caffe2's CPU operator. Caffe2: operators/stylizer_ops.
    """

    contract = "X: uint8[N, H, W, 4], mean: float32[3] -> Y: float32[N, 3, H, W]"
    docs = {"X": "pictures", "mean": "the mean of each channel", "Y": "images"}
    noise_std: float = Arg(10.0, ge=0, doc="standard deviation of the noise")
    noise_size: int = Arg(491, ge=1, doc="how many numbers the noise has")

    def _noise(self) -> Any:
        blob, wanted = self.workspace.blob(NOISE_BLOB), registry.array_type(self.device)
        if getattr(blob.value, "shape", None) != (self.noise_size,) or not isinstance(blob.value, wanted):
            noise = generator_of(self).normal(self.noise_size, 0.0, self.noise_std)
            blob.set(registry.array_module(self.device).asarray(noise))
        return blob.value

    def run_cpu(self, X: np.ndarray, mean: np.ndarray) -> Any:
        N, H, W, _ = X.shape
        Y = self.out(0, (N, 3, H, W), np.float32)
        noise = np.resize(self._noise(), (H, W, 3)) if H * W else np.empty((H, W, 3), np.float32)
        np.subtract(X[..., :3].transpose(0, 3, 1, 2), mean.reshape(3, 1, 1), out=Y)
        Y += noise.transpose(2, 0, 1)
        return Y

    def run_cuda(self, X: Any, mean: Any) -> Any:
        from caffe2ops.ops.conv import stylizer_cuda

        Y = self.out(0, (X.shape[0], 3, *X.shape[1:3]), np.float32)
        return stylizer_cuda.preprocess(X, mean, self._noise(), Y)


class BRGNCHWCToPackedInt8BGRAStylizerDeprocess(Operator):
    """Images of three channels as bytes BGRA: plus a mean, cut to 0 to 255, cut off to whole numbers; alpha is 255.

    NaN becomes 0. Caffe2: operators/stylizer_ops.
    """

    contract = "X: float32[N, 3, H, W], mean: float32[3] -> Y: uint8[N, H, W, 4]"
    docs = {"X": "images", "mean": "the mean of each channel", "Y": "pictures"}

    def run_cpu(self, X: np.ndarray, mean: np.ndarray) -> Any:
        N, _, H, W = X.shape
        Y = self.out(0, (N, H, W, 4), np.uint8)
        levels = np.fmin(np.fmax(X + mean.reshape(3, 1, 1), np.float32(0)), np.float32(255))
        Y[..., :3] = levels.transpose(0, 2, 3, 1)
        Y[..., 3] = 255
        return Y

    def run_cuda(self, X: Any, mean: Any) -> Any:
        from caffe2ops.ops.conv import stylizer_cuda

        return stylizer_cuda.deprocess(X, mean, self.out(0, (X.shape[0], *X.shape[2:], 4), np.uint8))

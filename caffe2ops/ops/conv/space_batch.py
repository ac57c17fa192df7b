"""SpaceToBatch and BatchToSpace: blocks of an image as images of a batch, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.shape.axes import differ


class SpaceBatch(Operator):
    """Base of both: block size and padding."""

    block_size: int = Arg(2, ge=1, doc="height and width of a block")
    pad: int = Arg(0, ge=0, doc="padding on all four sides")
    pad_t: int = Arg(0, ge=0, doc="padding above, in place of pad; Caffe2 has no such argument for the other sides")
    order: str = Arg("NCHW", choices=("NCHW",), doc="where the channels stand: NCHW alone")

    def pads(self) -> list[int]:
        """Top, left, bottom, right."""
        return [self.pad_t if self.has_arg("pad_t") else self.pad, self.pad, self.pad, self.pad]


class SpaceToBatch(SpaceBatch):
    """Takes every block_size-th row and column, at each offset: one image for each offset, one after the other.

    The image at offset (h, w) of image n stands at n + N * (h * block_size + w). The images are padded with zeros
    first. Raises ValueError where the padded height or width is no multiple of block_size. Caffe2:
    operators/space_batch_op.
    """

    contract = "X: float[N, C, H, W] -> Y: X[?]"
    docs = {"X": "images", "Y": "images [N * block_size^2, C, H / block_size, W / block_size] (H, W padded)"}
    gradient = "BatchToSpace(dY) -> dX"

    def infer(self, X: Any) -> TensorSpec:
        N, C, H, W = X.shape
        top, left, bottom, right = self.pads()
        for what, size in (("height", H + top + bottom), ("width", W + left + right)):
            if differ(size % self.block_size, 0):
                raise ValueError(f"X: padded {what} is {size}, wants a multiple of block_size = {self.block_size}")
        b = self.block_size
        return TensorSpec((N * b * b, C, (H + top + bottom) // b, (W + left + right) // b), X.dtype)

    def run_cpu(self, X: Any) -> Any:
        spec, b = self.infer(X), self.block_size
        top, left, bottom, right = self.pads()
        Y = self.out(0, spec.shape, X.dtype)
        N, C = X.shape[:2]
        padded = np.pad(X, ((0, 0), (0, 0), (top, bottom), (left, right)))
        blocks = padded.reshape(N, C, spec.shape[2], b, spec.shape[3], b).transpose(3, 5, 0, 1, 2, 4)
        Y.reshape(blocks.shape)[...] = blocks
        return Y

    run_cuda = run_cpu


class BatchToSpace(SpaceBatch):
    """Puts together what SpaceToBatch took apart, and takes its padding off.

    Raises ValueError where the batch is no multiple of block_size^2 or the padding leaves nothing. Caffe2:
    operators/space_batch_op.
    """

    contract = "X: float[N, C, H, W] -> Y: X[?]"
    docs = {"X": "images", "Y": "images [N / block_size^2, C, H * block_size - padding, W * block_size - padding]"}
    gradient = "SpaceToBatch(dY) -> dX"

    def infer(self, X: Any) -> TensorSpec:
        N, C, H, W = X.shape
        b = self.block_size
        top, left, bottom, right = self.pads()
        if differ(N % (b * b), 0):
            raise ValueError(f"X: batch is {N}, wants a multiple of {b * b} with block_size = {b}")
        height, width = H * b - top - bottom, W * b - left - right
        for what, size in (("height", height), ("width", width)):
            if isinstance(size, int) and size < 0:
                raise ValueError(f"X: {what} without padding would be {size}")
        return TensorSpec((N // (b * b), C, height, width), X.dtype)

    def run_cpu(self, X: Any) -> Any:
        spec, b = self.infer(X), self.block_size
        top, left, _, _ = self.pads()
        Y = self.out(0, spec.shape, X.dtype)
        N, C, H, W = X.shape
        blocks = X.reshape(b, b, N // (b * b), C, H, W).transpose(2, 3, 4, 0, 5, 1)
        whole = blocks.reshape(N // (b * b), C, H * b, W * b)
        Y[...] = whole[:, :, top : top + Y.shape[2], left : left + Y.shape[3]]
        return Y

    run_cuda = run_cpu

"""Im2Col and Col2Im: the patches of images as columns, and their sum back into images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Step
from caffe2ops.ops.conv.geometry import ConvPoolArgs
from caffe2ops.ops.shape.axes import differ


class Patches(ConvPoolArgs):
    """Base of both: channels and taps of a patch share an axis, channels outermost (NCHW) or innermost (NHWC)."""

    def columns_shape(self, X: Any) -> tuple[Any, ...]:
        """The shape of the columns of such images."""
        if len(X.shape) != 4:
            raise ValueError(f"X: shape is {list(X.shape)}, wants 4 dimensions")
        batch, channels, spatial = self.split("X", X.shape)
        kernel = self.spelled("kernels", 2, 0)
        return self.joined(batch, channels * kernel[0] * kernel[1], self.out_dims(spatial))

    def on_cuda(self, images: Any) -> list[Any]:
        """The steps from such images to their columns, and back, on CUDA arrays."""
        from caffe2ops.ops.conv import im2col_cuda

        batch, channels, spatial = self.split("X", images.shape)
        outer, inner = (batch, channels) if self.channels_last else (batch * channels, 1)
        return im2col_cuda.steps_of(self.windows(spatial), outer, 1, inner, self.channels_last)

    def pairs(self, images: np.ndarray, columns: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """(elements, their places in the columns) of each tap, views; what a tap misses in the padding is left out."""
        windows = self.windows(self.split("X", images.shape)[2])
        kernel = tuple(w.kernel for w in windows)
        outs = tuple(w.out for w in windows)
        if self.channels_last:
            by_tap = columns.reshape(len(images), *outs, *kernel, images.shape[-1])
        else:
            by_tap = columns.reshape(len(images), images.shape[1], *kernel, *outs)
        found = []
        for taps in product(*map(range, kernel)):
            (rows, row_elements), (cols, col_elements) = (w.span(tap) for w, tap in zip(windows, taps))
            if self.channels_last:
                found.append((images[:, row_elements, col_elements], by_tap[:, rows, cols, taps[0], taps[1]]))
            else:
                found.append((images[..., row_elements, col_elements], by_tap[:, :, taps[0], taps[1], rows, cols]))
        return found


class Im2Col(Patches):
    """Lays the patch under each place of a window out as a column.

    Padding counts as 0. Raises ValueError for images of other than four dimensions and for a window that does not fit.
    Caffe2: operators/im2col_op.
    """

    contract = "X: float -> Y: X[?]"
    docs = {
        "X": "images, in the order that `order` names",
        "Y": "[N, C * kernel_h * kernel_w, out_h, out_w], or [N, out_h, out_w, kernel_h * kernel_w * C] with NHWC",
    }
    gradient = "Col2Im(dY, X) -> dX"

    def infer(self, X: Any) -> TensorSpec:
        return TensorSpec(self.columns_shape(X), X.dtype)

    run_cuda = Patches.run_cpu

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        if self.device == "cuda":
            from caffe2ops.ops.conv import im2col_cuda

            return partial(im2col_cuda.gather, inputs[0], self.on_cuda(inputs[0]), outputs[0])
        pairs = self.pairs(inputs[0], outputs[0])

        def run() -> None:
            outputs[0][...] = 0
            for elements, places in pairs:
                places[...] = elements

        return run


class Col2Im(Patches):
    """Adds columns, as Im2Col lays them out, up into images.

    Raises ValueError where the columns are not those of such images. Caffe2: operators/im2col_op.
    """

    contract = "columns: float, X: columns -> Y: X"
    docs = {"columns": "columns as Im2Col writes them", "X": "images; only the shape counts", "Y": "images like X"}
    gradient = "Im2Col(dY) -> dcolumns"

    def infer(self, columns: Any, X: Any) -> TensorSpec:
        shape = self.columns_shape(X)
        if len(columns.shape) != 4 or any(map(differ, columns.shape, shape)):
            raise ValueError(f"columns: shape is {list(columns.shape)}, wants {list(shape)}")
        return TensorSpec(X.shape, X.dtype)

    run_cuda = Patches.run_cpu

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        if self.device == "cuda":
            from caffe2ops.ops.conv import im2col_cuda

            return partial(im2col_cuda.fold, inputs[0], self.on_cuda(outputs[0]), outputs[0])
        pairs = self.pairs(outputs[0], inputs[0])

        def run() -> None:
            outputs[0][...] = 0
            for elements, places in pairs:
                elements += places

        return run

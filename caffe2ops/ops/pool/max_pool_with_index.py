"""Maxima of sliding windows and where they are, and the gradient that goes there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Operator, Step
from caffe2ops.ops.pool.pooling import Pooling, PoolingForward
from caffe2ops.ops.shape.axes import differ

LEAST = float(np.finfo(np.float32).min)  # only what is greater counts


class MaxPoolWithIndex(PoolingForward):
    """The largest element of each place of a window and which of its channel it is, the first of equals.

    Raises ValueError as MaxPool does. Caffe2 has it on the GPU alone: operators/max_pool_with_index.
    """

    contract = "X: floating[N, C, H, W] -> Y: X[?], Index: int32[?]"
    docs = {
        "X": "images [N, C, H, W]",
        "Y": "images of as many channels, one element for each place of the window",
        "Index": "row * W + column of each element of Y, one after the other; -1 where nothing counts",
    }
    gradient = "MaxPoolWithIndexGradient(X, dY, Index) -> dX"
    order: str = Arg("NCHW", choices=("NCHW",), doc="where the channels stand: axis 1")

    def infer(self, X: Any) -> tuple[TensorSpec, ...]:
        shape = self.shape_of(X)
        spec = TensorSpec(shape, X.dtype)
        return spec, TensorSpec((spec.size,), np.int32)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        x, y = self.flat(inputs[0]), self.flat(outputs[0])
        index = outputs[1].reshape(y.shape)
        elements = np.arange(prod(x.shape[1:]), dtype=np.int32).reshape(x.shape[1:])
        windows = self.windows(x.shape[1:])
        taps = [tuple(zip(*tap)) for tap in product(*([w.span(k) for k in range(w.kernel)] for w in windows))]
        best = np.empty(y.shape, np.promote_types(x.dtype, np.float32))

        def run() -> None:
            best[...], index[...] = LEAST, -1
            for places, met in taps:
                inside, here = (slice(None), *met), (slice(None), *places)
                values = x[inside]
                better = values > best[here]
                np.copyto(best[here], values, where=better)
                np.copyto(index[here], elements[met], where=better)
            with np.errstate(over="ignore"):
                y[...] = best

        return run

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.pool.max_pool_with_index_cuda import POOL

        spec, places = self.infer(X)
        Y, index = self.out(0, spec.shape, X.dtype), self.out(1, places.shape, np.int32)
        windows = self.on_cuda(X)
        POOL(out=(Y, index.reshape(Y.shape)), X=X, g=windows["g"], rank=windows["rank"], least=LEAST)
        return Y, index


class MaxPoolWithIndexGradient(Pooling):
    """Gradient of MaxPoolWithIndex: each element that was chosen gets the gradients of the windows that chose it.

    Raises ValueError where shapes do not fit, and IndexError for an index outside the image. Caffe2:
    operators/max_pool_with_index.
    """

    contract = "X: floating[N, C, H, W], dY: X[N, C, ?, ?], Index: int32 -> dX: X[N, C, H, W]"
    docs = {
        "X": "the images that went in",
        "dY": "gradient of the output",
        "Index": "which element each place chose",
        "dX": "gradient of X",
    }
    order: str = Arg("NCHW", choices=("NCHW",), doc="where the channels stand: axis 1")
    bind = Operator.bind  # what is added where follows from values

    def infer(self, X: Any, dY: Any, index: Any) -> TensorSpec:
        shape = self.shape_of(X)
        if any(map(differ, dY.shape, shape)):
            raise ValueError(f"dY: shape is {list(dY.shape)}, the output has {list(shape)}")
        if differ(index.size, dY.size):
            raise ValueError(f"Index: has {index.size} elements, dY has {dY.size}")
        return TensorSpec(X.shape, X.dtype)

    def run_cpu(self, X: np.ndarray, dY: np.ndarray, index: np.ndarray) -> Any:
        self.infer(X, dY, index)
        dX = self.out(0, X.shape, X.dtype)
        dX.reshape(-1)[...] = sent_back(dY, index, X.shape)
        return dX

    def run_cuda(self, X: Any, dY: Any, index: Any) -> Any:
        from caffe2ops.ops.pool.max_pool_with_index_cuda import send_back

        self.infer(X, dY, index)
        return send_back(dY, index, self.out(0, X.shape, X.dtype))


def sent_back(
    dY: np.ndarray, index: np.ndarray, shape: tuple[int, ...], images: np.ndarray | None = None
) -> np.ndarray:
    """Gradients [R, C, places...] added up where their indices say, in images of a shape [N, C, spatial...], flat.

    `images` says which image each of R is of; they are the images in turn without it. An index < 0 is nowhere.
    """
    size = prod(shape[2:])
    bad = np.flatnonzero(index >= size)
    if bad.size:
        raise IndexError(f"index {index.reshape(-1)[bad[0]]} at {bad[0]}, an image has {size} elements")
    first = np.arange(len(dY)) if images is None else images
    planes = (first[:, None] * shape[1] + np.arange(shape[1])) * size
    at = planes[..., None] + index.reshape(*planes.shape, prod(dY.shape[2:]))
    kept = index.reshape(-1) >= 0
    return np.bincount(at.reshape(-1)[kept], dY.reshape(-1)[kept], prod(shape))

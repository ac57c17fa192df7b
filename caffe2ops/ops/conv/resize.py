"""Images made larger or smaller: by the nearest element, or by bilinear interpolation; and the gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec, Unknown
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.conv.geometry import Image
from caffe2ops.ops.shape.axes import differ


class Resize(Image):
    """Base: scales, sizes, and the interpolation along one axis as two sources and the weight of the second."""

    width_scale: float = Arg(1.0, gt=0, doc="width of the output over that of the input")
    height_scale: float = Arg(1.0, gt=0, doc="height of the output over that of the input")
    reads_order: ClassVar[bool] = True
    bind = Operator.bind  # the shape of the output follows from the values of scales

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that change: height and width."""
        return (1, 2) if self.channels_last and self.reads_order else (2, 3)

    def scales(self, scales: np.ndarray | None) -> tuple[Any, ...]:
        """The scale along each axis in float32. Raises ValueError for other than two positive numbers."""
        if scales is None:
            return np.float32(self.height_scale), np.float32(self.width_scale)
        if scales.shape != (2,) or not (scales > 0).all():
            raise ValueError(f"scales: is {scales.tolist()}, wants two positive numbers, for height and width")
        return np.float32(scales[0]), np.float32(scales[1])

    def out_shape(self, shape: tuple[Any, ...], scales: Any) -> tuple[Any, ...]:
        """The shape of the output; its image is unknown where scales are given by an input's spec."""
        self.split("X", shape)
        if len(shape) != len(self.axes) + 2:
            raise ValueError(f"X: shape is {list(shape)}, wants {len(self.axes) + 2} dimensions")
        dims = list(shape)
        by_axis = (UNKNOWN,) * len(self.axes) if isinstance(scales, TensorSpec) else self.scales(scales)
        for axis, scale in zip(self.axes, by_axis):
            dims[axis] = (
                UNKNOWN
                if isinstance(scale, Unknown) or isinstance(dims[axis], Unknown)
                else int(np.float32(dims[axis]) * scale)
            )
        return tuple(dims)

    def interpolation(self, size: int, out: int, scale: Any) -> tuple[np.ndarray, np.ndarray | None, Any]:
        """(first source, second source or None, weight of the second) of each place along an axis."""
        raise NotImplementedError

    def plan(self, shape: tuple[int, ...], scales: np.ndarray | None) -> list[tuple[int, Any]]:
        """(axis, interpolation) of each axis."""
        out = self.out_shape(shape, scales)
        return [
            (axis, self.interpolation(shape[axis], out[axis], scale))
            for axis, scale in zip(self.axes, self.scales(scales))
        ]


class ResizeForward(Resize):
    """Base of the operators."""

    docs = {
        "X": "images [N, C, H, W], or as `order` says where that is read",
        "scales": "height scale and width scale, float[2]; they replace the arguments",
        "Y": "images of int(H * height scale) rows and int(W * width scale) columns",
    }

    def infer(self, X: Any, scales: Any = None) -> TensorSpec:
        return TensorSpec(self.out_shape(X.shape, scales), X.dtype)

    def run_cpu(self, X: np.ndarray, scales: np.ndarray | None = None) -> Any:
        plan = self.plan(X.shape, scales)
        Y = self.out(0, self.out_shape(X.shape, scales), X.dtype)
        found = X
        for axis, (first, second, weight) in reversed(plan):
            found, source = found.take(first, axis=axis), found
            if second is not None:
                w = weight.astype(X.dtype).reshape(-1, *(1,) * (X.ndim - axis - 1))
                found *= 1 - w
                found += w * source.take(second, axis=axis)
        Y[...] = found
        return Y

    def run_cuda(self, X: Any, scales: Any = None) -> Any:
        from caffe2ops.ops.conv import resize_cuda

        for axis, sources in reversed(self.plan(X.shape, None if scales is None else scales.get())):
            X = resize_cuda.resized(X, axis, *sources)
        return X


class ResizeGradient(Resize):
    """Base of the gradients: every place gives its gradient to its sources, by their weights."""

    def infer(self, dY: Any, X: Any, scales: Any = None) -> TensorSpec:
        shape = self.out_shape(X.shape, scales)
        if len(dY.shape) != len(shape) or any(map(differ, dY.shape, shape)):
            raise ValueError(f"dY: shape is {list(dY.shape)}, the output has {list(shape)}")
        return TensorSpec(X.shape, X.dtype)

    def run_cpu(self, dY: np.ndarray, X: np.ndarray, scales: np.ndarray | None = None) -> Any:
        self.infer(dY, X, scales)
        found = dY
        for axis, (first, second, weight) in self.plan(X.shape, scales):
            size, moved = X.shape[axis], np.moveaxis(found, axis, 0)
            if second is None:
                folded = gathered_back(moved, first, size)
            else:
                w = weight.astype(X.dtype).reshape(-1, *(1,) * (X.ndim - 1))
                folded = gathered_back(moved * (1 - w), first, size) + gathered_back(moved * w, second, size)
            found = np.moveaxis(folded, 0, axis)
        dX = self.out(0, X.shape, X.dtype)
        dX[...] = found
        return dX

    def run_cuda(self, dY: Any, X: Any, scales: Any = None) -> Any:
        from caffe2ops.ops.conv import resize_cuda

        scales = None if scales is None else scales.get()
        self.infer(dY, X, scales)
        for axis, sources in self.plan(X.shape, scales):
            dY = resize_cuda.folded(dY, axis, X.shape[axis], *sources)
        return dY


def gathered_back(rows: np.ndarray, source: np.ndarray, size: int) -> np.ndarray:
    """The sum of the rows of each source; `source` never falls."""
    out = np.zeros((size, *rows.shape[1:]), rows.dtype)
    if source.size:
        starts = np.flatnonzero(np.diff(source, prepend=-1))
        out[source[starts]] = np.add.reduceat(rows, starts, axis=0)
    return out


class Nearest(Resize):
    """Place y takes element int(y / scale), computed in float32 as Caffe2 does."""

    def interpolation(self, size: int, out: int, scale: Any) -> tuple[np.ndarray, np.ndarray | None, Any]:
        return np.minimum((np.arange(out, dtype=np.float32) / scale).astype(np.int64), size - 1), None, None


class Bilinear(Resize):
    """The corners of both images lie on each other; what lies between two elements is their weighted mean."""

    reads_order = False

    def interpolation(self, size: int, out: int, scale: Any) -> tuple[np.ndarray, np.ndarray | None, Any]:
        step = np.float32((size - 1) / (out - 1)) if out > 1 else np.float32(0)
        at = step * np.arange(out, dtype=np.float32)
        first = np.minimum(at.astype(np.int64), size - 1)
        return first, np.minimum(first + 1, size - 1), at - first.astype(np.float32)


class ResizeNearest(Nearest, ResizeForward):
    """Images of another size: each place takes the element that its position, divided by the scale, falls on.

    Raises ValueError for images of other than four dimensions and for scales that are not two positive numbers.
    Caffe2: operators/resize_op.
    """

    contract = "X: float, scales?: float -> Y: X[?]"
    gradient = "ResizeNearestGradient(dY, X, scales?) -> dX"


class ResizeNearestGradient(Nearest, ResizeGradient):
    """Gradient of ResizeNearest: an element gets the sum over the places that took it.

    Raises ValueError where dY is not like the output. Caffe2: operators/resize_op.
    """

    contract = "dY: float, X: dY, scales?: float -> dX: X"


class Nearest3D(Nearest):
    """Frames, rows and columns are scaled."""

    temporal_scale: float = Arg(1.0, gt=0, doc="frames of the output over those of the input")
    order: str = Arg("NCHW", choices=("NCHW",), doc="where the channels stand: axis 1")

    @property
    def axes(self) -> tuple[int, ...]:
        return (2, 3, 4)

    def scales(self, scales: np.ndarray | None) -> tuple[Any, ...]:
        return np.float32(self.temporal_scale), np.float32(self.height_scale), np.float32(self.width_scale)


class ResizeNearest3D(Nearest3D, ResizeForward):
    """Films of another size: as ResizeNearest, along frames, rows and columns.

    Raises ValueError for films of other than five dimensions. Caffe2: operators/resize_3d_op.
    """

    contract = "X: float -> Y: X[?]"
    docs = {
        "X": "films [N, C, T, H, W]",
        "Y": "films of int(T * temporal_scale) frames, int(H * height_scale) rows and int(W * width_scale) columns",
    }
    gradient = "ResizeNearest3DGradient(dY, X) -> dX"


class ResizeNearest3DGradient(Nearest3D, ResizeGradient):
    """Gradient of ResizeNearest3D: an element gets the sum over the places that took it.

    Raises ValueError where dY is not like the output. Caffe2: operators/resize_3d_op.
    """

    contract = "dY: float, X: dY -> dX: X"


class UpsampleBilinear(Bilinear, ResizeForward):
    """Images of another size by bilinear interpolation, corner on corner; images [N, C, H, W] whatever `order` says.

    Raises ValueError for images of other than four dimensions and for scales that are not two positive numbers.
    Caffe2: operators/upsample_op.
    """

    contract = "X: float, scales?: float -> Y: X[?]"
    gradient = "UpsampleBilinearGradient(dY, X, scales?) -> dX"


class UpsampleBilinearGradient(Bilinear, ResizeGradient):
    """Gradient of UpsampleBilinear: an element gets the gradients of the places that used it, by their weights.

    Raises ValueError where dY is not like the output. Caffe2: operators/upsample_op.
    """

    contract = "dY: float, X: dY, scales?: float -> dX: X"

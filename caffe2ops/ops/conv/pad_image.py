"""Padding of images at their borders, and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec, Unknown
from caffe2ops.operator import Arg, Step
from caffe2ops.ops.conv.geometry import WindowArgs


class Padding(WindowArgs):
    """Base of PadImage and its gradient."""

    mode: str = Arg(
        "constant",
        choices=("constant", "reflect", "edge"),
        doc="what stands in the padding: `value`, the image mirrored at its border elements, or these repeated",
    )
    value: float = Arg(0.0, doc="the number in the padding with mode constant")

    def padding(self, shape: Sequence[Any]) -> list[tuple[int, int]]:
        """(head, tail) of each spatial axis."""
        rank = len(shape) - 2
        if self.legacy_pad or self.spelled("strides", rank, 1) != [1] * rank:
            raise ValueError("legacy_pad and stride have no meaning here, wants none of them")
        pads = self.explicit_pads(rank)
        return list(zip(pads[:rank], pads[rank:]))

    def axes(self, shape: Sequence[Any]) -> range:
        """The spatial axes."""
        return range(1, len(shape) - 1) if self.channels_last else range(2, len(shape))

    def resized(self, shape: Sequence[Any], sign: int) -> tuple[Any, ...]:
        """The shape with padding added (sign 1) or taken off (-1)."""
        self.split("X", shape)
        if len(shape) != 4:
            raise ValueError(f"X: shape is {list(shape)}, wants 4 dimensions")
        dims = list(shape)
        for axis, (head, tail) in zip(self.axes(shape), self.padding(shape)):
            if isinstance(dims[axis], Unknown):
                continue
            dims[axis] += sign * (head + tail)
            image = dims[axis] if sign < 0 else dims[axis] - head - tail
            if min(dims[axis], image) < 1:
                raise ValueError(f"padding {head} and {tail} on axis {axis} of {image} elements leaves nothing")
            if self.mode == "reflect" and max(head, tail) >= image:
                raise ValueError(f"padding {head} and {tail}, mode reflect wants less than the {image} of axis {axis}")
        return tuple(dims)

    def sources(self, size: int, head: int, tail: int) -> np.ndarray:
        """Which element of an axis stands at each place of the padded axis; -1 for none."""
        at = np.arange(-head, size + tail)
        if self.mode == "edge":
            return np.clip(at, 0, size - 1)
        if self.mode == "reflect":
            at = np.abs(at)
            return np.minimum(at, 2 * size - 2 - at)
        return np.where((at < 0) | (at >= size), -1, at)


class PadImage(Padding):
    """Adds elements around images; negative padding takes them off.

    Raises ValueError for images that are not [N, C, H, W] or [N, H, W, C], for padding that leaves nothing, and for
    mirrored padding that is not smaller than the image. Caffe2: operators/pad_op.
    """

    contract = "X: float -> Y: X[?]"
    docs = {"X": "images, in the order that `order` names", "Y": "the images with padding"}
    gradient = "PadImageGradient(dY) -> dX"

    def infer(self, X: Any) -> TensorSpec:
        return TensorSpec(self.resized(X.shape, 1), X.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        X, Y = inputs[0], outputs[0]
        pads = self.padding(X.shape)
        indices: list[Any] = [slice(None)] * X.ndim
        borders: list[tuple[Any, ...]] = []
        for axis, (head, tail) in zip(self.axes(X.shape), pads):
            source = self.sources(X.shape[axis], head, tail)
            indices[axis] = np.maximum(source, 0)
            borders.append((*(slice(None),) * axis, source < 0))
        rows, columns = self.axes(X.shape)

        def run() -> None:
            np.copyto(Y, X.take(indices[rows], axis=rows).take(indices[columns], axis=columns))
            for border in borders:
                Y[border] = self.value

        return run

    def run_cuda(self, X: Any) -> Any:
        from caffe2ops.ops.conv import pad_image_cuda

        return pad_image_cuda.pad(self, X, self.out(0, self.resized(X.shape, 1), X.dtype))


class PadImageGradient(Padding):
    """Gradient of PadImage: what came from an element of the image is added up; what stands in a constant is lost.

    Raises ValueError where the padding does not fit into dY. Caffe2: operators/pad_op.
    """

    contract = "dY: float -> dX: dY[?]"

    def infer(self, dY: Any) -> TensorSpec:
        return TensorSpec(self.resized(dY.shape, -1), dY.dtype)

    def bind(self, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> Step:
        dX = outputs[0]

        def run() -> None:
            found = inputs[0]
            for axis, (head, tail) in zip(self.axes(dX.shape), self.padding(dX.shape)):
                found = self._folded(found, axis, dX.shape[axis], head, tail)
            np.copyto(dX, found)

        return run

    def run_cuda(self, dY: Any) -> Any:
        from caffe2ops.ops.conv import pad_image_cuda

        return pad_image_cuda.fold(self, dY, self.out(0, self.resized(dY.shape, -1), dY.dtype))

    def _folded(self, dy: np.ndarray, axis: int, size: int, head: int, tail: int) -> np.ndarray:
        """Adds what stands at each place of a padded axis to the element it came from."""
        moved = np.moveaxis(dy, axis, 0)
        source = self.sources(size, head, tail)
        out = np.zeros((size, *moved.shape[1:]), dy.dtype)
        first, last = max(head, 0), len(source) - max(tail, 0)
        out[source[first:last]] = moved[first:last]
        for place in (*range(first), *range(last, len(source))):
            if source[place] >= 0:
                out[source[place]] += moved[place]
        return np.moveaxis(out, 0, axis)

"""Rows and elements by truth value: BooleanMask, BooleanMaskLengths, BooleanUnmask, Where."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Arg, Operator
from caffe2ops.ops.index.rows import offsets_of
from caffe2ops.ops.segment.lengths_reduce import checked_lengths
from caffe2ops.ops.shape.axes import Shape, differ, show, wants_same


class BooleanMask(Operator):
    """The rows of data where mask is true, and their numbers. Caffe2: operators/boolean_mask_ops."""

    contract = "data: any[K, ...], mask: bool[K] -> masked_data: data[?], masked_indices?: int64[?]"
    docs = {
        "data": "rows",
        "mask": "which rows are wanted",
        "masked_data": "these rows",
        "masked_indices": "where they stood",
    }
    gradient = "BooleanMaskGradient(mask, dmasked_data) -> ddata"

    def infer(self, data: TensorSpec, mask: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec((UNKNOWN, *data.shape[1:]), data.dtype), TensorSpec((UNKNOWN,), np.int64)

    def run_cpu(self, data: np.ndarray, mask: np.ndarray) -> Any:
        indices = np.flatnonzero(mask)
        return data[indices], indices

    run_cuda = run_cpu


class BooleanMaskGradient(Operator):
    """The gradient of BooleanMask: the rows of dmasked_data where they were taken from, 0 elsewhere.

    Raises ValueError where there are not as many rows as true elements, and keeps the dims of a row (Caffe2 takes data
    as a vector).
    """

    contract = "mask: bool[K], dmasked_data: number|bool[M, ...] -> ddata: dmasked_data[K, ...]"
    docs = {"mask": "as forward", "dmasked_data": "gradient of masked_data", "ddata": "gradient of data"}

    def run_cpu(self, mask: np.ndarray, dy: np.ndarray) -> Any:
        wanted = int(np.count_nonzero(mask))
        if len(dy) != wanted:
            raise ValueError(f"dmasked_data: has {len(dy)} rows, mask has {wanted} true elements")
        dx = self.out(0, (len(mask), *dy.shape[1:]), dy.dtype)
        dx[...] = 0
        dx[np.flatnonzero(mask)] = dy
        return dx

    run_cuda = run_cpu


class BooleanMaskLengths(Operator):
    """How many elements of each segment mask keeps. Raises ValueError where lengths don't add up or are negative.

    Caffe2: operators/boolean_mask_ops.
    """

    contract = "lengths: integer[N], mask: bool[K] -> masked_lengths: lengths[N]"
    docs = {"lengths": "of the segments", "mask": "which elements are kept", "masked_lengths": "of what is kept"}
    gradient = NO_GRADIENT

    def run_cpu(self, lengths: np.ndarray, mask: np.ndarray) -> Any:
        offsets = offsets_of(checked_lengths(lengths, len(mask), "mask", name="lengths"))
        kept = offsets_of(mask)[offsets]
        return np.subtract(kept[1:], kept[:-1], out=self.out(0, lengths.shape, lengths.dtype), casting="unsafe")

    def run_cuda(self, lengths: Any, mask: Any) -> Any:
        import cupy

        from caffe2ops.ops.segment import lengths_cuda

        offsets, bad = lengths_cuda.offsets_of(lengths, len(mask))
        if int(bad[0]):
            lengths_cuda.on_host(lambda host: checked_lengths(host, len(mask), "mask", name="lengths"), lengths)
        kept, _ = lengths_cuda.offsets_of(mask, None)
        found = kept[offsets]
        out = self.out(0, lengths.shape, lengths.dtype)
        return cupy.subtract(found[1:], found[:-1], out=out, casting="unsafe")


class BooleanUnmask(Operator):
    """A vector put together from pieces: each element is the next value of the first mask that is true there.

    Values that belong to an element which an earlier mask has taken must not be given. Raises ValueError where no mask
    is true or a mask has more or fewer values. Caffe2: operators/boolean_unmask_ops.
    """

    contract = "data: bool[N], mask: any[?], *more?: any[?] -> unmasked_data: mask[N]"
    arity = "inputs % 2 == 0"
    docs = {
        "data": "the first mask",
        "mask": "its values, in order",
        "more": "further masks and their values",
        "unmasked_data": "the vector",
    }
    gradient = NO_GRADIENT

    def infer(self, first: TensorSpec, values: TensorSpec, *more: TensorSpec) -> TensorSpec:
        return TensorSpec(first.shape, values.dtype)

    def run_cpu(self, first: np.ndarray, values: np.ndarray, *more: np.ndarray) -> Any:
        masks, pieces = (first, *more[::2]), (values, *more[1::2])
        out = self.out(0, first.shape, values.dtype)
        free = np.ones_like(first)
        for i, (mask, piece) in enumerate(zip(masks, pieces)):
            if mask.dtype != np.bool_ or piece.dtype != values.dtype:
                raise TypeError(f"pair {i}: is {mask.dtype} and {piece.dtype}, wants bool and {values.dtype}")
            if mask.shape != first.shape:
                raise ValueError(f"mask {i}: shape is {show(mask.shape)}, wants {show(first.shape)}")
            taken = mask & free
            wanted = int(np.count_nonzero(taken))
            if len(piece) != wanted:
                raise ValueError(f"values {i}: has {len(piece)}, wants {wanted}")
            out[np.flatnonzero(taken)] = piece
            free &= ~mask
        if free.any():
            raise ValueError(f"masks: none is true at {np.flatnonzero(free)[0]}")
        return out

    run_cuda = run_cpu


class Where(Operator):
    """X where C is true, Y elsewhere; with broadcast_on_rows C has an element for each row.

    Caffe2: operators/elementwise_logical_ops.
    """

    contract = "C: bool, X: number|bool|string, Y: X -> Z: X"
    docs = {"C": "like X, or a vector", "X": "any tensor", "Y": "like X", "Z": "like X"}
    gradient = FORBIDDEN
    broadcast_on_rows: bool = Arg(False, doc="whether C is a vector with an element for each row of X")

    def _check(self, c: Shape, x: Shape, y: Shape) -> None:
        wants_same("X", x, "Y", y)
        if not self.broadcast_on_rows:
            wants_same("X", x, "C", c)
        elif len(c) != 1 or not x or differ(c[0], x[0]):
            raise ValueError(f"C: shape is {show(c)}, wants an element for each row of X, {show(x)}")

    def infer(self, c: TensorSpec, x: TensorSpec, y: TensorSpec) -> TensorSpec:
        self._check(c.shape, x.shape, y.shape)
        return x

    def run_cpu(self, c: np.ndarray, x: np.ndarray, y: np.ndarray) -> Any:
        self._check(c.shape, x.shape, y.shape)
        if self.broadcast_on_rows:
            c = c.reshape(-1, *(1,) * (x.ndim - 1))
        z = self.out(0, x.shape, x.dtype)
        z[...] = np.where(c, x, y)
        return z

    run_cuda = run_cpu

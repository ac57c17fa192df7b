"""Segments side by side: PackSegments and UnpackSegments, ReversePackedSegs, LengthsPad, LengthsSplit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, NOT_YET, Arg, Operator
from caffe2ops.ops.index.rows import offsets_of
from caffe2ops.ops.segment.lengths_reduce import checked_lengths
from caffe2ops.ops.shape.axes import Shape, differ


def slots_of(lengths: np.ndarray, width: int) -> np.ndarray:
    """For each row of the segments where it stands once each segment has `width` rows."""
    slots = np.repeat(np.arange(len(lengths)) * width - offsets_of(lengths)[:-1], lengths)
    slots += np.arange(len(slots))
    return slots


def put_rows(packed: np.ndarray, slots: np.ndarray, rows: np.ndarray) -> None:
    """packed[slot] = row; a row moves as one item, which is faster than its elements."""
    if rows.size and not rows.dtype.hasobject:
        item = np.dtype((np.void, rows.nbytes // len(rows)))
        packed.reshape(-1).view(item)[slots] = rows.reshape(-1).view(item)
    else:
        packed[slots] = rows


class PackSegments(Operator):
    """Each segment as a row of its own, filled up with 0 (or -inf) to the longest, or to `max_length`, where it is cut.

    Raises ValueError where lengths don't add up or are negative, and for `return_presence_mask` without a second
    output. The gradient has no rows for those that were cut off. Caffe2: operators/pack_segments.
    """

    contract = "lengths: integer[N], tensor: number|string[K, ...] -> packed_tensor: tensor[?], presence_mask?: bool[?]"
    docs = {
        "lengths": "of the segments",
        "tensor": "their rows",
        "packed_tensor": "[N, longest, ...]",
        "presence_mask": "[N, longest]: what is no filling",
    }
    gradient = "UnpackSegments(lengths, dpacked_tensor) -> dtensor"
    max_length: int = Arg(-1, doc="how many rows each segment gets; negative: as many as the longest has")
    pad_minf: bool = Arg(False, doc="whether floats are filled up with -inf")
    return_presence_mask: bool = Arg(False, doc="whether there must be a second output; it is written in any case")

    def infer(self, lengths: TensorSpec, tensor: TensorSpec) -> tuple[TensorSpec, ...]:
        front: Shape = (*lengths.shape, self.max_length if self.max_length >= 0 else UNKNOWN)
        return TensorSpec((*front, *tensor.shape[1:]), tensor.dtype), TensorSpec(front, np.bool_)

    def run_cpu(self, lengths: np.ndarray, tensor: np.ndarray) -> Any:
        return self._pack(lengths, tensor, self.out)

    def _pack(self, lengths: np.ndarray, tensor: np.ndarray, buffer: Callable[..., Any]) -> Any:
        if self.return_presence_mask and self.n_outputs == 1:
            raise ValueError("return_presence_mask = 1, but outputs: 1")
        checked_lengths(lengths, len(tensor), "tensor", name="lengths")
        longest = self.max_length if self.max_length >= 0 else int(lengths.max(initial=0))
        fit = np.minimum(lengths, longest)
        slots = slots_of(fit, longest)
        if len(slots) < len(tensor):  # some segments are cut
            tensor = tensor[slots_of(fit, 0) + np.repeat(offsets_of(lengths)[:-1], fit)]
        packed = buffer(0, (len(lengths), longest, *tensor.shape[1:]), tensor.dtype)
        packed[...] = self._filling(tensor.dtype)
        put_rows(packed.reshape(len(lengths) * longest, *tensor.shape[1:]), slots, tensor)
        if self.n_outputs == 1:
            return packed
        present = buffer(1, (len(lengths), longest), np.bool_)
        return packed, np.less(np.arange(longest), lengths[:, None], out=present)

    def run_cuda(self, lengths: Any, tensor: Any) -> Any:
        from caffe2ops.ops.segment import pack_cuda

        if tensor.dtype.hasobject:  # strings stay on the CPU
            return self._pack(lengths.get(), tensor, lambda i, shape, dtype: np.empty(shape, dtype))
        if self.return_presence_mask and self.n_outputs == 1:
            raise ValueError("return_presence_mask = 1, but outputs: 1")
        longest = self.max_length if self.max_length >= 0 else int(lengths.max()) if lengths.size else 0
        packed = self.out(0, (len(lengths), max(longest, 0), *tensor.shape[1:]), tensor.dtype)
        count, filling = len(tensor), float(self._filling(tensor.dtype))
        check = partial(checked_lengths, total=count, of="tensor", name="lengths")
        pack_cuda.pack(tensor, lengths, max(longest, 0), filling, packed, check)
        if self.n_outputs == 1:
            return packed
        return packed, pack_cuda.present(lengths, longest, self.out(1, (len(lengths), longest), np.bool_))

    def _filling(self, dtype: np.dtype) -> Any:
        if dtype.hasobject:
            return b""
        return -np.inf if self.pad_minf and dtype.kind == "f" else 0


class UnpackSegments(Operator):
    """The first rows of each segment of a packed tensor, one segment after the other.

    With `max_length`, which is what dim 1 of the tensor must be, longer segments are cut to it. Raises ValueError for
    lengths that are negative or, without it, longer than that (Caffe2 reads beyond). Caffe2: operators/pack_segments.
    """

    contract = "lengths: integer[N], tensor: number|string[N, M, ...] -> packed_tensor: tensor[?]"
    docs = {"lengths": "of the segments", "tensor": "[N, M, ...]", "packed_tensor": "the rows"}
    gradient = "PackSegments(lengths, dpacked_tensor) -> dtensor"
    max_length: int = Arg(-1, doc="dim 1 of the tensor; negative: any")

    def infer(self, lengths: TensorSpec, tensor: TensorSpec) -> TensorSpec:
        self._check(tensor.shape)
        return TensorSpec((UNKNOWN, *tensor.shape[2:]), tensor.dtype)

    def _check(self, shape: Shape) -> None:
        if self.max_length >= 0 and differ(self.max_length, shape[1]):
            raise ValueError(f"max_length = {self.max_length}, tensor has {shape[1]} rows in a segment")

    @staticmethod
    def _check_lengths(lengths: np.ndarray, most: int) -> None:
        if lengths.size and lengths.max() > most:
            raise ValueError(f"lengths: has {lengths.max()}, tensor has {most} rows in a segment")

    def run_cuda(self, lengths: Any, tensor: Any) -> Any:
        from caffe2ops.ops.segment import pack_cuda

        self._check(tensor.shape)
        most = tensor.shape[1]
        fit = lengths.clip(None, most)
        if self.max_length < 0 and int((fit != lengths).any()):
            self._check_lengths(lengths.get(), most)
        tail = tensor.shape[2:]
        return pack_cuda.unpack(
            tensor,
            fit,
            lambda count: self.out(0, (count, *tail), tensor.dtype),
            partial(checked_lengths, total=None, name="lengths"),
        )

    def run_cpu(self, lengths: np.ndarray, tensor: np.ndarray) -> Any:
        self._check(tensor.shape)
        lengths, most = checked_lengths(lengths, None, name="lengths"), tensor.shape[1]
        if self.max_length >= 0:
            lengths = np.minimum(lengths, lengths.dtype.type(most))
        else:
            self._check_lengths(lengths, most)
        slots = slots_of(lengths, most)
        out = self.out(0, (len(slots), *tensor.shape[2:]), tensor.dtype)
        rows = tensor.reshape(len(lengths) * most, *tensor.shape[2:])
        return rows.take(slots, axis=0, out=out, mode="clip") if out.size else out


class ReversePackedSegs(Operator):
    """The first lengths[b] steps of each column b in reverse order, the others as they are.

    Raises ValueError for lengths that are negative or more than there are steps (Caffe2 reads elsewhere). Caffe2:
    operators/reverse_packed_segs_op.
    """

    contract = "data: number|bool[T, B, E], lengths: integer[B] -> reversed_data: data[T, B, E]"
    docs = {"data": "steps, segments, elements", "lengths": "of the segments", "reversed_data": "like data"}
    gradient = "ReversePackedSegs(dreversed_data, lengths) -> ddata"

    @staticmethod
    def _check(lengths: np.ndarray, steps: int) -> None:
        if lengths.size and (lengths.min() < 0 or lengths.max() > steps):
            raise ValueError(f"lengths: are {lengths.min()} to {lengths.max()}, wants 0 to {steps}")

    def run_cuda(self, data: Any, lengths: Any) -> Any:
        from caffe2ops.ops.segment import pack_cuda

        out = self.out(0, data.shape, data.dtype)
        return pack_cuda.reverse(data, lengths, out, partial(self._check, steps=len(data)))

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray) -> Any:
        steps, segments, _ = data.shape
        self._check(lengths, steps)
        step = np.arange(steps)[:, None]
        out = self.out(0, data.shape, data.dtype)
        out[...] = data[np.where(step < lengths, lengths - 1 - step, step), np.arange(segments)]
        return out


class LengthsPad(Operator):
    """Each segment filled up with padding_value to target_length rows.

    Raises ValueError where lengths don't add up, are negative, or more than target_length. Caffe2:
    operators/lengths_pad_op.
    """

    contract = "DATA: number[K, ...], LENGTHS: int32[N] -> OUTPUT: DATA[?]"
    docs = {"DATA": "rows", "LENGTHS": "of the segments", "OUTPUT": "N times target_length rows"}
    gradient = NO_GRADIENT
    padding_value: float = Arg(-1.0, doc="what the segments are filled up with")
    target_length: int = Arg(ge=1, doc="how many rows each segment gets")

    def infer(self, data: TensorSpec, lengths: TensorSpec) -> TensorSpec:
        return TensorSpec((lengths.shape[0] * self.target_length, *data.shape[1:]), data.dtype)

    def _check(self, lengths: np.ndarray, total: int) -> None:
        checked_lengths(lengths, total)
        if lengths.size and lengths.max() > self.target_length:
            raise ValueError(f"LENGTHS: has {lengths.max()}, target_length = {self.target_length}")

    def run_cuda(self, data: Any, lengths: Any) -> Any:
        from caffe2ops.ops.segment import pack_cuda

        if int((lengths > self.target_length).any()):
            self._check(lengths.get(), len(data))
        out = self.out(0, (len(lengths) * self.target_length, *data.shape[1:]), data.dtype)
        filling = float(data.dtype.type(self.padding_value))
        return pack_cuda.pack(data, lengths, self.target_length, filling, out, partial(self._check, total=len(data)))

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray) -> Any:
        self._check(lengths, len(data))
        out = self.out(0, (len(lengths) * self.target_length, *data.shape[1:]), data.dtype)
        out[...] = data.dtype.type(self.padding_value)
        put_rows(out, slots_of(lengths, self.target_length), data)
        return out


class LengthsSplit(Operator):
    """Each length as n_split lengths that add up to it: as even as may be, the larger ones first.

    n_split is an argument, or an input of one element, which goes first. Raises ValueError for negative lengths (Caffe2
    makes lengths that add up to something else). Caffe2: operators/length_split_op.
    """

    contract = "LENGTHS: int32[N], n_split?: int32[1] -> Y: int32[?]"
    docs = {"LENGTHS": "lengths", "n_split": "how many parts", "Y": "the parts of each length"}
    gradient = NOT_YET
    n_split: int = Arg(None, ge=1, doc="how many parts; wanted unless it is an input")

    def infer(self, lengths: TensorSpec, n_split: TensorSpec | None = None) -> TensorSpec:
        parts: Any = UNKNOWN if n_split is not None else self._parts(None)
        return TensorSpec((lengths.shape[0] * parts,), np.int32)

    def _parts(self, given: np.ndarray | None) -> int:
        parts = self.n_split if given is None else int(given[0])
        if parts is None:
            raise ValueError("n_split: missing, wants an argument or an input")
        if parts < 1:
            raise ValueError(f"n_split = {parts}, wants 1 or more")
        return parts

    def run_cpu(self, lengths: np.ndarray, n_split: np.ndarray | None = None) -> Any:
        parts = self._parts(n_split)
        each, more = np.divmod(checked_lengths(lengths, None), np.int32(parts))
        out = self.out(0, (len(lengths) * parts,), np.int32)
        np.add(each[:, None], np.arange(parts) < more[:, None], out=out.reshape(-1, parts), casting="unsafe")
        return out

    def run_cuda(self, lengths: Any, n_split: Any = None) -> Any:
        from caffe2ops.ops.segment import pack_cuda

        parts = self._parts(n_split)
        out = self.out(0, (len(lengths) * parts,), np.int32)
        return pack_cuda.split(lengths, parts, out, partial(checked_lengths, total=None))

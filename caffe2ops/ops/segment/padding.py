"""Rows put before and behind each segment, and taken away again: AddPadding, RemovePadding, GatherPadding."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.defs import OperatorDef
from caffe2ops.errors import GradientError
from caffe2ops.infer import TensorSpec
from caffe2ops.operator import Arg, Array, Operator
from caffe2ops.ops.index.rows import offsets_of
from caffe2ops.ops.segment.lengths_reduce import checked_lengths

if TYPE_CHECKING:
    from caffe2ops.gradient_rules import GradientMaker


class Padded(Operator):
    """Base: how many rows of padding there are; without lengths all rows are one segment."""

    padding_width: int = Arg(1, ge=0, doc="how many rows stand before each segment")
    end_padding_width: int = Arg(-1, doc="how many stand behind it; negative: as many as before")

    @property
    def widths(self) -> tuple[int, int]:
        """How many rows of padding stand before and behind each segment."""
        return self.padding_width, self.end_padding_width if self.end_padding_width >= 0 else self.padding_width

    @staticmethod
    def _lengths(count: int, lengths: np.ndarray | None) -> np.ndarray:
        given = np.array([count], np.int32) if lengths is None else lengths
        return checked_lengths(given, count, "data_in", name="lengths")

    def _changed(self, data: TensorSpec, lengths: TensorSpec | None, by: int) -> tuple[TensorSpec, TensorSpec]:
        """The specs of data and lengths when each segment is so many rows longer."""
        count: Any = 1 if lengths is None else lengths.shape[0]
        rows = data.shape[0] + count * by
        return TensorSpec((rows, *data.shape[1:]), data.dtype), TensorSpec((count,), np.int32)


def _edges(starts: np.ndarray, width: int) -> np.ndarray:
    """The `width` rows from each of the starts on."""
    return (starts[:, None] + np.arange(width)).reshape(-1)


def _backward_inputs(g: GradientMaker) -> tuple[str, ...]:
    """The gradient that comes in, and the lengths that belong to it."""
    if len(g.def_.input) == 1:
        return (g.GO(0),)
    if len(g.def_.output) == 1:
        raise GradientError(f"{g.def_.type}: the gradient wants the output lengths_out")
    return g.GO(0), g.O(1)


class AddPadding(Padded):
    """Each segment with rows of padding before and behind it.

    They are 0, or start_padding and end_padding (start_padding too where it is the only one). Raises ValueError where
    lengths don't add up (Caffe2 leaves rows unwritten). Caffe2: operators/sequence_ops.
    """

    contract = (
        "data_in: number|bool[K, ...], lengths?: int32[N], start_padding?: data_in, end_padding?: data_in "
        "-> data_out: data_in[?], lengths_out?: int32[?]"
    )
    docs = {
        "data_in": "rows",
        "lengths": "of the segments",
        "start_padding": "a row to stand before each segment",
        "end_padding": "a row to stand behind each segment",
        "data_out": "the rows and the padding",
        "lengths_out": "of the padded segments",
    }

    def infer(
        self, data: TensorSpec, lengths: TensorSpec | None = None, *padding: TensorSpec
    ) -> tuple[TensorSpec, ...]:
        return self._changed(data, lengths, sum(self.widths))

    def run_cpu(
        self,
        data: np.ndarray,
        lengths: np.ndarray | None = None,
        start_padding: np.ndarray | None = None,
        end_padding: np.ndarray | None = None,
    ) -> Any:
        lengths, (start, end) = self._lengths(len(data), lengths), self.widths
        longer = self.out(1, lengths.shape, np.int32)
        longer[...] = lengths + (start + end)
        offsets = offsets_of(longer)
        out = self.out(0, (int(offsets[-1]), *data.shape[1:]), data.dtype)
        moved = np.repeat(offsets[:-1] + start - offsets_of(lengths)[:-1], lengths)
        out[np.arange(len(data)) + moved] = data
        out[_edges(offsets[:-1], start)] = self._row("start_padding", start_padding, data)
        behind = start_padding if end_padding is None else end_padding
        out[_edges(offsets[1:] - end, end)] = self._row("end_padding", behind, data)
        return out, longer

    def run_cuda(
        self,
        data: Array,
        lengths: Array | None = None,
        start_padding: Array | None = None,
        end_padding: Array | None = None,
    ) -> Any:
        from caffe2ops.ops.segment import padding_cuda as cuda

        lengths = cuda.all_rows(data) if lengths is None else lengths
        for name, padding in (("start_padding", start_padding), ("end_padding", end_padding)):
            self._row(name, padding, data)
        behind = start_padding if end_padding is None else end_padding
        rows = cuda.of_rows(data, start_padding), cuda.of_rows(data, behind)
        longer = self.out(1, lengths.shape, np.int32)
        longer[...] = lengths + sum(self.widths)
        out = self.out(0, (len(data) + lengths.size * sum(self.widths), *data.shape[1:]), data.dtype)
        return cuda.add(data, lengths, self.widths, rows, out, partial(self._lengths, len(data))), longer

    @staticmethod
    def _row(name: str, padding: np.ndarray | None, data: np.ndarray) -> Any:
        if padding is None:
            return data.dtype.type(0)
        if padding.size != prod(data.shape[1:]):
            raise ValueError(f"{name}: has {padding.size} elements, a row of data_in has {prod(data.shape[1:])}")
        return padding.reshape(data.shape[1:])

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        given, inputs = len(g.def_.input), _backward_inputs(g)
        ops = [g.op("RemovePadding", inputs, (g.GI(0),))]
        if given > 2:
            ops.append(g.op("GatherPadding", inputs, [g.GI(i) for i in range(2, given)]))
        return ops


class RemovePadding(Padded):
    """Each segment without its first and last rows.

    Raises ValueError where lengths don't add up or a segment is shorter than what goes (Caffe2 reads elsewhere).
    Caffe2: operators/sequence_ops.
    """

    contract = "data_in: number|bool[K, ...], lengths?: int32[N] -> data_out: data_in[?], lengths_out?: int32[?]"
    docs = {
        "data_in": "rows",
        "lengths": "of the padded segments",
        "data_out": "the rows that stay",
        "lengths_out": "of what is left of the segments",
    }

    def infer(self, data: TensorSpec, lengths: TensorSpec | None = None) -> tuple[TensorSpec, ...]:
        return self._changed(data, lengths, -sum(self.widths))

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray | None = None) -> Any:
        lengths, (start, end) = self._checked(len(data), lengths), self.widths
        shorter = self.out(1, lengths.shape, np.int32)
        shorter[...] = lengths - (start + end)
        first = np.repeat(offsets_of(lengths)[:-1] + start - offsets_of(shorter)[:-1], shorter)
        return data[np.arange(len(first)) + first], shorter

    def _checked(self, count: int, lengths: np.ndarray | None) -> np.ndarray:
        lengths = self._lengths(count, lengths)
        _check_width(lengths, sum(self.widths))
        return lengths

    def run_cuda(self, data: Array, lengths: Array | None = None) -> Any:
        from caffe2ops.ops.segment import padding_cuda as cuda

        lengths = cuda.all_rows(data) if lengths is None else lengths
        rows = cuda.remove(data, lengths, self.widths, partial(self._checked, len(data)))
        shorter = self.out(1, lengths.shape, np.int32)
        shorter[...] = lengths - sum(self.widths)
        return rows, shorter

    @classmethod
    def make_gradient(cls, g: GradientMaker) -> list[OperatorDef]:
        return [g.op("AddPadding", _backward_inputs(g), (g.GI(0),))]


def _check_width(lengths: np.ndarray, width: int) -> None:
    if lengths.size and lengths.min() < width:
        raise ValueError(f"lengths: has {lengths.min()}, wants {width} or more, as many rows as the padding has")


class GatherPadding(Padded):
    """The sum of the rows of padding before all segments and of those behind; with one output both together.

    Raises ValueError where lengths don't add up or a segment is shorter than the padding on one side. Caffe2:
    operators/sequence_ops.
    """

    contract = "data_in: number[K, ...], lengths: int32[N] -> padding_sum: data_in[...], end_padding_sum?: data_in[...]"
    docs = {
        "data_in": "rows",
        "lengths": "of the padded segments",
        "padding_sum": "the sum of the rows before segments, and of those behind if it is the only output",
        "end_padding_sum": "the sum of the rows behind",
    }

    def run_cpu(self, data: np.ndarray, lengths: np.ndarray) -> Any:
        offsets, (start, end) = offsets_of(self._checked(len(data), lengths)), self.widths
        before, behind = _edges(offsets[:-1], start), _edges(offsets[1:] - end, end)
        groups = (before, behind) if self.n_outputs == 2 else (np.concatenate((before, behind)),)
        return tuple(
            np.add.reduce(data[rows], axis=0, dtype=data.dtype, out=self.out(i, data.shape[1:], data.dtype))
            for i, rows in enumerate(groups)
        )

    def _checked(self, count: int, lengths: np.ndarray) -> np.ndarray:
        lengths = self._lengths(count, lengths)
        _check_width(lengths, max(self.widths))
        return lengths

    def run_cuda(self, data: Array, lengths: Array) -> Any:
        from caffe2ops.ops.segment import padding_cuda as cuda

        outs = tuple(self.out(i, data.shape[1:], data.dtype) for i in range(self.n_outputs))
        return cuda.gather(data, lengths, self.widths, outs, partial(self._checked, len(data)))

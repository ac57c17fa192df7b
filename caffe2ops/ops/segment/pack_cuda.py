"""Segments of one length on CUDA arrays: packed and unpacked, padded, reversed. A thread writes one element."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.segment.lengths_cuda import offsets_of, on_host, segment_ids

_NUMBERS = ("float32", "float64", "int32", "int64")
_PACK = Elementwise(
    "const long long s = i / width / most, place = i / width % most, row = offsets[s] + place; "
    "y = row < offsets[s + 1] && row < count ? tensor[row * width + i % width] : T(filling);",
    outputs="y", tables="tensor offsets:int64", int_scalars="width most count", scalars="filling", dtypes=_NUMBERS,
    name="pack",
)  # fmt: skip
_UNPACK = Elementwise(
    "const long long s = ids[i / width], place = i / width - offsets[s]; "
    "y = tensor[(s * most + place) * width + i % width];",
    outputs="y", tables="tensor ids:int64 offsets:int64", int_scalars="width most", dtypes=_NUMBERS, name="unpack",
)  # fmt: skip
_REVERSE = Elementwise(
    "const long long b = i / width % segments, t = i / width / segments; long long n = lengths[b]; "
    "if (n < 0 || n > steps) { atomicExch(bad, 1); n = 0; } "
    "y = data[((t < n ? n - 1 - t : t) * segments + b) * width + i % width];",
    outputs="y", tables="data lengths:int32", int_scalars="width segments steps", flags="bad",
    dtypes=(*_NUMBERS, "bool"), name="reverse_packed",
)  # fmt: skip
_PRESENT = Elementwise(
    "i % most < lengths[i / most]", outputs="y:bool", tables="lengths", int_scalars="most", dtypes=("int32", "int64"),
    name="present",
)  # fmt: skip

_SPLIT = Elementwise(
    "const long long n = lengths[i / parts]; if (n < 0) atomicExch(bad, 1); y = n / parts + (i % parts < n % parts);",
    outputs="y:int32", tables="lengths:int32", int_scalars="parts", flags="bad", dtypes=("int32",),
    name="split_lengths",
)  # fmt: skip


def pack(tensor: Any, lengths: Any, most: int, filling: float, out: Any, check: Callable[..., Any]) -> Any:
    """Each segment filled up or cut to `most` rows; `check(lengths)` is the CPU's."""
    offsets, bad = offsets_of(lengths, len(tensor))
    width = prod(tensor.shape[1:])
    _PACK(out=out, tensor=tensor, offsets=offsets, width=width, most=most, count=len(tensor), filling=filling)
    if int(bad[0]):
        on_host(check, lengths)
    return out


def present(lengths: Any, most: int, out: Any) -> Any:
    """Which rows of packed segments are no filling."""
    return _PRESENT(out=out, lengths=lengths, most=most)


def unpack(tensor: Any, lengths: Any, out: Callable[[int], Any], check: Callable[..., Any]) -> Any:
    """The first rows of each segment; `out(count)` gives the buffer for so many rows, `check(lengths)` is the CPU's."""
    ids, offsets = segment_ids(lengths, None, check)
    width = prod(tensor.shape[2:])
    return _UNPACK(out=out(ids.size), tensor=tensor, ids=ids, offsets=offsets, width=width, most=tensor.shape[1])


def reverse(data: Any, lengths: Any, out: Any, check: Callable[..., Any]) -> Any:
    """The first steps of each segment in reverse order; `check(lengths)` is the CPU's."""
    import cupy

    steps, segments, width = data.shape
    bad = cupy.zeros(1, np.int32)
    _REVERSE(out=out, data=data, lengths=lengths, width=width, segments=segments, steps=steps, bad=bad)
    if int(bad[0]) or not out.size:
        on_host(check, lengths)
    return out


def split(lengths: Any, parts: int, out: Any, check: Callable[..., Any]) -> Any:
    """Each length as `parts` lengths, the larger ones first; `check(lengths)` is the CPU's."""
    import cupy

    bad = cupy.zeros(1, np.int32)
    _SPLIT(out=out, lengths=lengths, parts=parts, bad=bad)
    if int(bad[0]):
        on_host(check, lengths)
    return out

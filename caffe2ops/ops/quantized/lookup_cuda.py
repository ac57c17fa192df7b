"""Rows of quantised matrices on CUDA arrays: read, picked by index, added up segment by segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.segment.lengths_cuda import offsets_of, on_host

if TYPE_CHECKING:
    from .codec import Codec

# Scale and bias of row r stand at tails + r * pitch + first, in `size` bytes each; an element has `bits`.
_NUMBERS = r"""
__device__ __forceinline__ float number(const unsigned char* p, long long size) {
  const unsigned low = p[0] | p[1] << 8;
  if (size == 4) return __uint_as_float(low | (unsigned)p[2] << 16 | (unsigned)p[3] << 24);
  const unsigned e = low >> 10 & 31, m = low & 1023;
  const float a = e ? __uint_as_float((e == 31 ? 255 : e + 112) << 23 | m << 13) : m * 5.9604644775390625e-8f;
  return low >> 15 ? -a : a;
}
"""
_VALUE = (
    "const int shift = int(c % per_byte * bits), code = data[r * bytes + c / per_byte] >> shift & ((1 << bits) - 1); "
    "const unsigned char* tail = tails + r * pitch + first; "
    "const float value = __fadd_rn(__fmul_rn(float(code), number(tail, size)), number(tail + size, size)); "
)
_LAYOUT = "width bytes pitch first size bits per_byte"
_DECODE = Elementwise(
    f"const long long r = i / width, c = i % width; {_VALUE}y = value;",
    outputs="y", tables="data:uint8 tails:uint8", int_scalars=_LAYOUT, dtypes=("float32", "float16"),
    preamble=_NUMBERS, name="restored_rows",
)  # fmt: skip
# The row that an index stands for; nothing is added for one that was pruned.
_MAPPED = (
    "if (mapping_size != 1 || mapping[0] != 0) { "
    "if (r < 0 || r >= mapping_size) { atomicExch(bad, 1); continue; } r = mapping[r]; } if (r < 0) continue; "
)
# A thread owns a column of a segment.
_LOOKUPS = {
    (weighted, mapped): Elementwise(
        "const long long s = i / width, c = i % width, last = offsets[s + 1], end = last < count ? last : count; "
        "float a = 0; for (long long j = offsets[s]; j < end; ++j) { long long r = indices[j]; "
        f"{_MAPPED if mapped else ''}if (r < 0 || r >= n) {{ atomicExch(bad, 1); continue; }} "
        f"{_VALUE}a += {'value * weights[j]' if weighted else 'value'}; }} "
        "y = mean && last > offsets[s] ? a / float(last - offsets[s]) : a;",
        outputs="y:float32",
        tables="data:uint8 tails:uint8 indices:int64 offsets:int64" + " weights:float32" * weighted
        + " mapping:int32" * mapped,
        int_scalars=f"{_LAYOUT} count n mean" + " mapping_size" * mapped,
        flags="bad",
        dtypes=("uint8",),
        preamble=_NUMBERS,
        name="quantized_lookup",
    )
    for weighted in (False, True)
    for mapped in (False, True)
}  # fmt: skip


def layout(codec: Codec, coded: Any) -> dict[str, Any]:
    """What _VALUE needs to know of fused rows [..., W]."""
    width, tail = coded.shape[-1], codec.tail
    return {
        "data": coded, "tails": coded, "width": codec.width(width), "bytes": width, "pitch": width,
        "first": width - tail, "size": tail // 2, "bits": codec.bits, "per_byte": codec.per_byte,
    }  # fmt: skip


def separate_layout(data: Any, scale_bias: Any) -> dict[str, Any]:
    """The same of rows [N, ...] of 8 bits whose scales and biases [N, 2] are a tensor of their own."""
    width = int(np.prod(data.shape[1:], dtype=np.int64))
    return {
        "data": data, "tails": scale_bias.view(np.uint8), "width": width, "bytes": width, "pitch": 8, "first": 0,
        "size": 4, "bits": 8, "per_byte": 1,
    }  # fmt: skip


def decode(rows: dict[str, Any], out: Any) -> Any:
    """The floats of all rows of a layout."""
    return _DECODE(out=out, **rows)


def lookup(
    rows: dict[str, Any],
    indices: Any,
    lengths: Any,
    weights: Any,
    mapping: Any,
    mean: bool,
    out: Any,
    check: Callable[..., Any],
) -> Any:
    """The rows of a layout that indices pick, folded segment by segment; weights and mapping may be None.

    `check(lengths, indices, *mapping)` is the CPU's, called where something is wrong.
    """
    offsets, bad = offsets_of(lengths, indices.size)
    named = {} if weights is None else {"weights": weights}
    if mapping is not None:
        named |= {"mapping": mapping, "mapping_size": mapping.size}
    _LOOKUPS[weights is not None, mapping is not None](
        out=out, **rows, indices=indices, offsets=offsets, count=indices.size, n=len(rows["data"]), mean=mean, bad=bad,
        **named,
    )  # fmt: skip
    if int(bad[0]) or not out.size:
        on_host(check, lengths, indices, *(() if mapping is None else (mapping,)))
    return out


def gather(codec: Codec, data: Any, indices: Any, out: Any, check: Callable[..., Any]) -> Any:
    """The rows that indices pick; `check(indices)` is the CPU's."""
    if int(((indices < 0) | (indices >= len(data))).any()):
        on_host(check, indices)
    return decode(layout(codec, data[indices]), out)

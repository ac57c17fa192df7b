"""The OneHot family on CUDA arrays: a thread for each element of the output."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.segment.lengths_cuda import segment_ids
from caffe2ops.ops.segment.lengths_reduce import checked_lengths

_ONE_HOT = Elementwise(
    "const long long at = indices[i / width]; if (at < 0 || at >= width) atomicExch(bad, 1); y = at == i % width;",
    outputs="y:float32", tables="indices:int64", int_scalars="width", flags="bad", dtypes=("int64",), name="one_hot",
)  # fmt: skip
_EQUALS = Elementwise(
    "data[i / count * columns + ids[i % count]] == values[i % count]",
    outputs="y", tables="data ids:int64 values", int_scalars="count columns", dtypes=("int32", "int64"),
    name="batch_one_hot",
)  # fmt: skip
_BUCKET = Elementwise(
    "const long long slot = i % slots, d = ids[slot], begin = offsets[d] - d, n = offsets[d + 1] - offsets[d] - 1; "
    "const T x = data[i / slots * columns + d]; const T* b = boundaries + begin; "
    "long long below = 0, upto = 0; "
    "for (long long left = 0, right = n; left < right;) { const long long m = (left + right) / 2; "
    "if (b[m] < x) left = m + 1; else right = m; below = left; } "
    "for (long long left = 0, right = n; left < right;) { const long long m = (left + right) / 2; "
    "if (b[m] > x) right = m; else left = m + 1; upto = left; } "
    "y = (below + upto) / 2 == slot - offsets[d];",
    outputs="y", tables="data ids:int64 offsets:int64 boundaries", int_scalars="slots columns",
    dtypes=("float32", "float64"), name="bucket_one_hot",
)  # fmt: skip


def one_hot(indices: Any, width: int, out: Any) -> Any:
    """A row for each index."""
    import cupy

    bad = cupy.zeros(1, np.int32)
    _ONE_HOT(out=out, indices=indices, width=width, bad=bad)
    if int(bad[0]) or not out.size:
        checked_indices(cupy.asnumpy(indices), width, "indices", "index_size_tensor")
    return out


def segment_one_hot(lengths: Any, indices: Any, width: int, out: Any) -> Any:
    """A row for each segment."""
    import cupy

    ids, _ = segment_ids(
        lengths, indices.size, lambda host: checked_lengths(host, indices.size, "indices", name="lengths")
    )
    if int(((indices < 0) | (indices >= width)).any()):
        checked_indices(cupy.asnumpy(indices), width, "indices", "index_size_tensor")
    out[...] = 0
    out[ids, indices] = 1
    return out


def batch_one_hot(data: Any, columns: int, lengths: Any, values: Any, out: Any) -> Any:
    """A column for each value."""
    ids, _ = segment_ids(
        lengths, values.size, lambda host: checked_lengths(host, values.size, "values", name="lengths")
    )
    return _EQUALS(out=out, data=data, ids=ids, values=values, count=values.size, columns=columns)


def bucket_one_hot(data: Any, columns: int, lengths: Any, boundaries: Any, out: Any, check: Any) -> Any:
    """A column for each bucket; `check(lengths, boundaries)` is the CPU's."""
    import cupy

    ids, _ = segment_ids(lengths, boundaries.size, lambda host: check(host, cupy.asnumpy(boundaries)))
    falls = (boundaries[1:] < boundaries[:-1]) & (ids[1:] == ids[:-1])
    if int(cupy.logical_or(falls.any(), (lengths < 1).any())):
        check(cupy.asnumpy(lengths), cupy.asnumpy(boundaries))
    slots, offsets = segment_ids(lengths + 1, None, lambda host: checked_lengths(host, None, name="lengths"))
    return _BUCKET(
        out=out, data=data, ids=slots, offsets=offsets, boundaries=boundaries, slots=slots.size, columns=columns
    )

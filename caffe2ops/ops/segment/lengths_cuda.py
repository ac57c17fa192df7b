"""Segments by their lengths on CUDA arrays: the reductions of Lengths and SparseLengths, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction, SegmentFold
from caffe2ops.ops.index.rows import checked_indices

FLOATS = ("float32", "float64")
SUM = SegmentFold(combine="a + b", identity="A(0)", dtypes=(*FLOATS, "float16", "int32", "int64"), name="segment_sum")
FOLDS = {
    "Sum": SUM,
    "WeightedSum": SUM,
    "Mean": SegmentFold(combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)", name="segment_mean"),
    "Max": SegmentFold(
        combine="a > b || a != a ? a : b", identity="-A(1) / A(0)", finish="n ? a : A(0)", name="segment_max"
    ),
}
# Row i / width of the output is row ids[i / width] of dy, as the fold wants it back.
_SPREADS = {
    kind: Elementwise(
        f"const long long s = ids[i / width]; dx = T(dy[s * width + i % width]){factor};",
        outputs="dx",
        tables=f"dy ids:int64{tables}",
        int_scalars="width",
        dtypes=FLOATS,
        name=f"spread_{kind.lower()}",
    )
    for kind, factor, tables in (
        ("Sum", "", ""),
        ("Mean", " / T(offsets[s + 1] - offsets[s])", " offsets:int64"),
        ("WeightedSum", " * T(weights[i / width])", " weights"),
    )
}
_SPREAD_MAX = Elementwise(
    "const long long at = ids[i / width] * width + i % width; dx = dy[at] * T(x == y[at]);",
    "x", "dx", tables="y dy ids:int64", int_scalars="width", dtypes=FLOATS, name="spread_max",
)  # fmt: skip
_PRODUCTS = Elementwise(
    "long long row = indices[i / width]; if (row < 0 || row >= rows) { atomicExch(bad, 1); row = 0; } "
    "p = T(dy[ids[i / width] * width + i % width]) * T(data[row * width + i % width]);",
    outputs="p", tables="dy ids:int64 data indices:int64", int_scalars="width rows", flags="bad", dtypes=FLOATS,
    name="products_of_rows",
)  # fmt: skip
_TOTALS = Reduction(combine="a + b", identity="A(0)", dtypes=FLOATS, name="totals_of_rows")


def width_of(rows: Any) -> int:
    """How many elements a row has."""
    return int(np.prod(rows.shape[1:], dtype=np.int64))


def running_sums(lengths: Any) -> Any:
    """Running sums with a leading 0, int64; a negative length counts as 0, so that segments never overlap."""
    import cupy

    offsets = cupy.zeros(lengths.size + 1, np.int64)
    if lengths.size:
        cupy.cumsum(cupy.maximum(lengths, 0), dtype=np.int64, out=offsets[1:])
    return offsets


def offsets_of(lengths: Any, count: int | None) -> tuple[Any, Any]:
    """Where segments begin, int64 [N + 1], never falling; and a flag int32 [1]: a negative length, or another sum than
    `count`. Nothing is read from the device.
    """
    import cupy

    offsets = running_sums(lengths)
    wrong = (lengths < 0).any()
    if count is not None:
        wrong = cupy.logical_or(wrong, offsets[-1] != count)
    return offsets, wrong.astype(np.int32).reshape(1)


def on_host(check: Callable[..., Any], *arrays: Any) -> None:
    """Has the check of the CPU say what is wrong with arrays of the device."""
    import cupy

    check(*(cupy.asnumpy(array) for array in arrays))


def lengths_reduce(
    kind: str,
    data: Any,
    indices: Any,
    lengths: Any,
    weights: Any,
    out: Any,
    check: Callable[..., Any],
    by_place: bool = False,
) -> Any:
    """Rows of data, or those that indices pick, folded segment by segment into `out`.

    `check(lengths)` is the CPU's, called where something is wrong. One flag is read after the last launch.
    """
    import cupy

    offsets, bad = offsets_of(lengths, len(data) if indices is None else indices.size)
    FOLDS[kind](data, offsets, out, bad, indices=indices, weights=weights, by_place=by_place)
    if int(bad[0]) or (indices is not None and not out.size):
        on_host(check, lengths)
        if indices is not None:
            checked_indices(cupy.asnumpy(indices), len(data))
    return out


def segment_ids(lengths: Any, count: int | None, check: Callable[..., Any]) -> tuple[Any, Any]:
    """The segment of each element, int64 [sum of lengths], and the offsets. Reads two numbers of the device first."""
    import cupy

    offsets, bad = offsets_of(lengths, count)
    wrong, total = (int(v) for v in cupy.asnumpy(cupy.stack([bad[0].astype(np.int64), offsets[-1]])))
    if wrong:
        on_host(check, lengths)
    return cupy.searchsorted(offsets[1:], cupy.arange(total), side="right"), offsets


def spread(kind: str, dy: Any, ids: Any, offsets: Any, weights: Any, dx: Any) -> Any:
    """dx[j] = dy[ids[j]], divided by the length of its segment or weighted, as `kind` says."""
    named = {"Sum": {}, "Mean": {"offsets": offsets}, "WeightedSum": {"weights": weights}}[kind]
    return _SPREADS[kind](out=dx, dy=dy, ids=ids, width=width_of(dy), **named)


def spread_max(y: Any, dy: Any, ids: Any, x: Any, dx: Any) -> Any:
    """dx = dy where x equals its segment's greatest, 0 elsewhere."""
    return _SPREAD_MAX(x, out=dx, y=y, dy=dy, ids=ids, width=width_of(x))


def products(dy: Any, ids: Any, data: Any, indices: Any, out: Any) -> Any:
    """out[j] = dy[ids[j]] . data[indices[j]], or data[j] where there are no indices."""
    import cupy

    bad, each = cupy.zeros(1, np.int32), cupy.empty((ids.size, width_of(dy)), dy.dtype)
    picked = cupy.arange(ids.size) if indices is None else indices
    _PRODUCTS(out=each, dy=dy, ids=ids, data=data, indices=picked, width=width_of(dy), rows=len(data), bad=bad)
    _TOTALS(each, out, axes=(1,))
    if int(bad[0]) or not each.size:
        on_host(lambda at: checked_indices(at, len(data)), picked)
    return out

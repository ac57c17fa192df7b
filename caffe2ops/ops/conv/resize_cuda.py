"""Resizing on CUDA arrays, one axis after the other; an image is seen as [outer, n, inner] around it."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise

_FLOATS = ("float32", "float64")
_AT = "const long long p = i / inner % places, row = i / inner / places * n, c = i % inner; "
_FORWARD = {
    False: Elementwise(
        f"{_AT}y = x[(row + first[p]) * inner + c];",
        outputs="y", tables="x first:int64", int_scalars="n places inner", dtypes=_FLOATS, name="resize_nearest",
    ),
    True: Elementwise(
        f"{_AT}const T w = weight[p], left = x[(row + first[p]) * inner + c]; "
        "y = left * (T(1) - w) + x[(row + second[p]) * inner + c] * w;",
        outputs="y", tables="x first:int64 second:int64 weight", int_scalars="n places inner", dtypes=_FLOATS,
        name="resize_linear",
    ),
}  # fmt: skip
# first_from[s] to first_from[s + 1] are the places whose first source is element s.
_BACK_AT = "const long long s = i / inner % n, row = i / inner / n * places, c = i % inner; T a = 0; "
_EACH = "for (long long p = {which}_from[s]; p < {which}_from[s + 1]; ++p) "
_BACK = {
    False: Elementwise(
        f"{_BACK_AT}{_EACH.format(which='first')}a += dy[(row + p) * inner + c]; dx = a;",
        outputs="dx", tables="dy first_from:int64", int_scalars="n places inner", dtypes=_FLOATS,
        name="resize_nearest_back",
    ),
    True: Elementwise(
        f"{_BACK_AT}{_EACH.format(which='first')}a += dy[(row + p) * inner + c] * (T(1) - weight[p]); "
        f"{_EACH.format(which='second')}a += dy[(row + p) * inner + c] * weight[p]; dx = a;",
        outputs="dx", tables="dy first_from:int64 second_from:int64 weight", int_scalars="n places inner",
        dtypes=_FLOATS, name="resize_linear_back",
    ),
}  # fmt: skip


def resized(x: Any, axis: int, first: np.ndarray, second: np.ndarray | None, weight: Any) -> Any:
    """Each place of an axis from its one or two sources."""
    import cupy

    named: dict[str, Any] = {"first": cupy.asarray(first)}
    if second is not None:
        named |= {"second": cupy.asarray(second), "weight": cupy.asarray(weight.astype(x.dtype))}
    y = cupy.empty((*x.shape[:axis], len(first), *x.shape[axis + 1 :]), x.dtype)
    sizes = {"n": x.shape[axis], "places": len(first), "inner": prod(x.shape[axis + 1 :])}
    return _FORWARD[second is not None](out=y, x=x, **named, **sizes)


def folded(dy: Any, axis: int, size: int, first: np.ndarray, second: np.ndarray | None, weight: Any) -> Any:
    """What each of `size` elements of an axis gets back from its places, in their order."""
    import cupy

    named: dict[str, Any] = {"first_from": _places(first, size)}
    if second is not None:
        named |= {"second_from": _places(second, size), "weight": cupy.asarray(weight.astype(dy.dtype))}
    dx = cupy.empty((*dy.shape[:axis], size, *dy.shape[axis + 1 :]), dy.dtype)
    sizes = {"n": size, "places": len(first), "inner": prod(dy.shape[axis + 1 :])}
    return _BACK[second is not None](out=dx, dy=dy, **named, **sizes)


def _places(source: np.ndarray, size: int) -> Any:
    """From which place on elements 0 to size are sources; `source` never falls."""
    import cupy

    return cupy.asarray(np.searchsorted(source, np.arange(size + 1)))

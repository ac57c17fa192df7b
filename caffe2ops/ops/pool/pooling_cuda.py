"""Pooling on CUDA arrays, for any number of spatial axes: a thread folds the window of its output; in a gradient it
adds up what the windows over its element send back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.conv.geometry import Window

MAX_RANK = 8
_FLOATS = ("float32", "float64")
_PREAMBLE = f"""
// Images are [outer, spatial..., inner]; g holds the window along each of the spatial axes.
struct Window {{ long long size, out, kernel, stride, head; }};

// A box of elements of an image, walked through in order; `offset` is where the current one stands.
struct Box {{
  long long low[{MAX_RANK}], high[{MAX_RANK}], at[{MAX_RANK}], dims[{MAX_RANK}], offset, volume;
  int rank;
  __device__ void locate() {{
    offset = 0;
    for (int d = 0; d < rank; ++d) offset = offset * dims[d] + at[d];
  }}
  __device__ void begin() {{
    volume = 1;
    for (int d = 0; d < rank; ++d) {{
      volume *= high[d] > low[d] ? high[d] - low[d] : 0;
      at[d] = low[d];
    }}
    locate();
  }}
  __device__ void next() {{
    int d = rank - 1;
    while (d > 0 && ++at[d] >= high[d]) {{
      at[d] = low[d];
      --d;
    }}
    if (d == 0) ++at[0];
    locate();
  }}
}};

// The elements that the window of output i meets; gives which image it is of, as an offset of elements of one channel.
__device__ long long elements_of(const long long* table, int rank, long long place, Box& box) {{
  const Window* g = (const Window*)table;
  long long whole = 1;
  box.rank = rank;
  for (int d = rank - 1; d >= 0; --d) {{
    const long long start = place % g[d].out * g[d].stride - g[d].head, end = start + g[d].kernel;
    place /= g[d].out;
    box.low[d] = start > 0 ? start : 0;
    box.high[d] = end < g[d].size ? end : g[d].size;
    box.dims[d] = g[d].size;
    whole *= g[d].size;
  }}
  box.begin();
  return place * whole;
}}

// The places of the windows that meet input i, likewise.
__device__ long long windows_over(const long long* table, int rank, long long element, Box& box) {{
  const Window* g = (const Window*)table;
  long long whole = 1;
  box.rank = rank;
  for (int d = rank - 1; d >= 0; --d) {{
    const long long last = element % g[d].size + g[d].head, first = last - g[d].kernel + 1;
    element /= g[d].size;
    box.low[d] = first > 0 ? (first + g[d].stride - 1) / g[d].stride : 0;
    box.high[d] = last < 0 ? 0 : last / g[d].stride + 1;
    if (box.high[d] > g[d].out) box.high[d] = g[d].out;
    box.dims[d] = g[d].out;
    whole *= g[d].out;
  }}
  box.begin();
  return element * whole;
}}

// How many elements the window at the current place of a box counts.
__device__ long long counted(const long long* table, const Box& box, bool padding) {{
  const Window* g = (const Window*)table;
  long long n = 1;
  for (int d = 0; d < box.rank; ++d) {{
    const long long start = box.at[d] * g[d].stride - g[d].head, end = start + g[d].kernel;
    n *= padding ? g[d].kernel : (end < g[d].size ? end : g[d].size) - (start > 0 ? start : 0);
  }}
  return n;
}}
"""
_FORWARD = (
    "Box box; const E_X* plane = X + elements_of(g, rank, i / inner, box) * inner + i % inner; T a = {start}; "
    "for (long long left = box.volume; left > 0; --left, box.next()) {{ const T b = plane[box.offset * inner]; "
    "a = {step}; }} Y = {finish};"
)
_BACKWARD = (
    "Box box; const long long from = windows_over(g, rank, i / inner, box); T a = 0; "
    "for (long long left = box.volume; left > 0; --left, box.next()) {{ "
    "const long long at = (from + box.offset) * inner + i % inner; a += {share}; }} dX = {finish};"
)


def _forward(name: str, start: str, step: str, finish: str, **more: str) -> Elementwise:
    return Elementwise(
        _FORWARD.format(start=start, step=step, finish=finish),
        outputs="Y", tables="X g:int64", int_scalars=f"rank inner {more.pop('int_scalars', '')}", dtypes=_FLOATS,
        preamble=_PREAMBLE, name=name, **more,
    )  # fmt: skip


def _backward(name: str, share: str, finish: str = "a", **more: str) -> Elementwise:
    return Elementwise(
        _BACKWARD.format(share=share, finish=finish),
        inputs="X", outputs="dX", tables="Y dY g:int64", int_scalars=f"rank inner {more.pop('int_scalars', '')}",
        dtypes=_FLOATS, preamble=_PREAMBLE, name=name, **more,
    )  # fmt: skip


MAX = _forward("max_pool", "-T(1) / T(0)", "a > b || a != a ? a : b", "a")
AVERAGE = _forward("average_pool", "0", "a + b", "a / T(whole ? whole : box.volume)", int_scalars="whole")
LP = _forward("lp_pool", "0", "a + pow(b < T(0) ? -b : b, T(p))", "pow(a, T(1) / T(p))", scalars="p")
MAX_BACK = _backward("max_pool_back", "X == Y[at] ? dY[at] : T(0)")
AVERAGE_BACK = _backward("average_pool_back", "dY[at] / T(counted(g, box, padding))", int_scalars="padding")
LP_BACK = _backward(
    "lp_pool_back",
    "pow((T)Y[at], T(p - 1)) != T(0) ? dY[at] / pow((T)Y[at], T(p - 1)) : T(0)",
    "X == T(0) ? T(0) : a * pow(X < T(0) ? -X : X, T(p - 1)) * (X < T(0) ? T(-1) : T(1))",
    scalars="p",
)


def table_of(windows: Sequence[Window]) -> Any:
    """The windows as the kernels read them, on the device."""
    import cupy

    if len(windows) > MAX_RANK:
        raise ValueError(f"X: has {len(windows)} spatial axes, CUDA takes {MAX_RANK} at most")
    rows = [(w.size, w.out, w.kernel, w.stride, w.head) for w in windows]
    return cupy.asarray(np.array(rows, np.int64).reshape(-1))

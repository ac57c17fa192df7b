"""Kernels made from a row (map, combine, finish, identity): the rows of each segment folded to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from numpy.typing import DTypeLike

from .launch import record
from .source import Source
from .types import compute_name

BLOCK = 256
LONG = 64  # rows a segment, on average, from which on a block of threads shares one
_CODE = """
using T = {T}; using A = T;
__device__ __forceinline__ A map_in(T x, T w) {{ return {map}; }}
__device__ __forceinline__ A combine(A a, A b) {{ return {combine}; }}
__device__ __forceinline__ A finish(A a, long long n) {{ return {finish}; }}

struct Segments {{
  const E0* x;
  const I* indices;
  const E1* weights;
  const long long* offsets;
  int* bad;
  long long n, width, rows, count, weighted;
  bool by_place;
}};

// The fold of rows first, first + step, ... of segment s in column c.
__device__ __forceinline__ A fold(const Segments& g, long long s, long long c, int first, int step,
                                  long long* length) {{
  long long begin = g.offsets[s], end = g.offsets[s + 1];
  begin = begin < 0 ? 0 : begin;
  end = end > g.count ? g.count : end;
  *length = end > begin ? end - begin : 0;
  A a = {identity};
  for (long long j = begin + first; j < end; j += step) {{
    const long long row = g.indices ? (long long)g.indices[j] : j, at = g.by_place ? j - begin : j;
    if (row < 0 || row >= g.rows || (g.weights && at >= g.weighted)) atomicExch(g.bad, 1);
    else a = combine(a, map_in((T)g.x[row * g.width + c], g.weights ? (T)g.weights[at] : T(1)));
  }}
  return a;
}}

// A thread owns one column of one segment.
extern "C" __global__ void {name}_columns(const Segments g, E2* y) {{
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long o = (long long)blockIdx.x * blockDim.x + threadIdx.x; o < g.n * g.width; o += stride) {{
    long long length;
    const A a = fold(g, o / g.width, o % g.width, 0, 1, &length);
    y[o] = (E2)finish(a, length);
  }}
}}

// A block owns a tile of columns of one segment: rows are dealt out to its lanes, whose folds are joined in a tree.
extern "C" __global__ void __launch_bounds__({block}) {name}_lanes(const Segments g, E2* y, int tile) {{
  __shared__ A part[{block}];
  const int lanes = {block} / tile, lane = threadIdx.x / tile;
  const long long tiles = (g.width + tile - 1) / tile;
  for (long long o = blockIdx.x; o < g.n * tiles; o += gridDim.x) {{
    const long long s = o / tiles, c = o % tiles * tile + threadIdx.x % tile;
    long long length = 0;
    part[threadIdx.x] = c < g.width ? fold(g, s, c, lane, lanes, &length) : {identity};
    for (int half = lanes / 2; half > 0; half /= 2) {{
      __syncthreads();
      if (lane < half) part[threadIdx.x] = combine(part[threadIdx.x], part[threadIdx.x + half * tile]);
    }}
    if (lane == 0 && c < g.width) y[s * g.width + c] = (E2)finish(part[threadIdx.x], length);
    __syncthreads();
  }}
}}
"""


class SegmentFold:
    """A family of kernels that fold the rows of each segment of a matrix, column by column, into one row.

    SegmentFold(combine="a + b", identity="A(0)")                                           # (weighted) sum
    SegmentFold(combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)")             # mean
    SegmentFold(combine="a > b ? a : b", identity="-A(1) / A(0)", finish="n ? a : A(0)")    # max

    `x` is the element as T (float for float16), `w` its weight (1 where there are none), `a` and `b` are accumulators
    of type A = T, `n` is the number of rows. The order of the folds depends on shapes and lengths alone, so answers
    repeat.
    """

    instances: ClassVar[WeakSet[SegmentFold]] = WeakSet()

    def __init__(
        self,
        *,
        combine: str,
        identity: str,
        map: str = "x * w",
        finish: str = "a",
        dtypes: Sequence[DTypeLike] = ("float32", "float64", "float16"),
        name: str = "segments",
    ) -> None:
        self.parts = {"map": map, "combine": combine, "finish": finish, "identity": identity}
        self.dtypes, self.name = dtypes, name
        self._sources: dict[tuple[np.dtype[Any], ...], Source] = {}
        SegmentFold.instances.add(self)

    def source(self, x: DTypeLike, weights: DTypeLike, y: DTypeLike, indices: DTypeLike = "int64") -> Source:
        """The Source for the dtypes of rows, weights, output and indices."""
        key = np.dtype(x), np.dtype(weights), np.dtype(y), np.dtype(indices)
        if key not in self._sources:
            code = _CODE.format(**self.parts, name=self.name, block=BLOCK, T=compute_name(key[0]))
            types = "; ".join(f"{alias} = {d.name}" for alias, d in zip(("E0", "E1", "E2", "I"), key, strict=True))
            self._sources[key] = Source(f"// compiled for: {types}\n{code}", self.name)
        return self._sources[key]

    def __call__(
        self,
        x: Any,
        offsets: Any,
        out: Any,
        bad: Any,
        *,
        indices: Any = None,
        weights: Any = None,
        by_place: bool = False,
    ) -> Any:
        """Fold rows offsets[s] to offsets[s + 1] of x [R, D] to out[s] [N, D].

        offsets is int64 [N + 1] and never falls. With `indices` [K] row j of the segments is x[indices[j]]; with
        `weights` it is weighted by weights[j], or where `by_place` by the weight of its place in its segment. `bad`
        int32 [1] is raised where an index is no row or a place has no weight; these rows are left out.
        """
        width = x.size // x.shape[0] if x.shape[0] else out.size // out.shape[0] if out.shape[0] else 0
        count = x.shape[0] if indices is None else indices.size
        n = offsets.size - 1
        if out.size != n * width:
            raise ValueError(f"{self.name}: out has {out.size} elements, wanted {n * width}")
        weight_dtype = x.dtype if weights is None else weights.dtype
        index_dtype = np.dtype(np.int64) if indices is None else indices.dtype
        types = {"E0": x.dtype, "E1": weight_dtype, "E2": out.dtype, "I": index_dtype}
        module = self.source(x.dtype, weight_dtype, out.dtype, index_dtype)(**types)
        segments = record(
            x=x, indices=indices, weights=weights, offsets=offsets, bad=bad, n=np.int64(n), width=np.int64(width),
            rows=np.int64(x.shape[0]), count=np.int64(count), weighted=np.int64(0 if weights is None else weights.size),
            by_place=np.bool_(by_place),
        )  # fmt: skip
        if count < LONG * n:
            getattr(module, f"{self.name}_columns").over(out.size, segments, out)
        else:
            tile = 1 << min(width - 1, 31).bit_length() if width else 1
            blocks = min(n * -(-width // tile), 1 << 16)
            getattr(module, f"{self.name}_lanes")((blocks,), (BLOCK,), segments, out, tile)
        return out

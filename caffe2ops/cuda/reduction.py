"""Kernels made from a row (map, combine, finish, identity): reductions over any run of neighbouring axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from numpy.typing import DTypeLike

from .source import Source
from .types import compute_name

BLOCK = 256
SPLIT = 1 << 14  # elements that one block folds before a long row is worth sharing out
_CODE = """
using T = {T}; using A = {A};
{preamble}
__device__ __forceinline__ A map_in(T x) {{ return {map}; }}
__device__ __forceinline__ A combine(A a, A b) {{ return {combine}; }}
__device__ __forceinline__ A finish(A a, long long n{scalar_parameters}) {{ return {finish}; }}

// A block owns one output: its threads fold every 256th element, then each other's results in a tree.
extern "C" __global__ void __launch_bounds__({block}) {name}_rows(
    const E0* x, E1* y, long long rows, long long n{scalar_parameters}) {{
  __shared__ A part[{block}];
  for (long long r = blockIdx.x; r < rows; r += gridDim.x) {{
    A a = {identity};
    for (long long i = threadIdx.x; i < n; i += {block}) a = combine(a, map_in((T)x[r * n + i]));
    part[threadIdx.x] = a;
    for (int half = {block} / 2; half > 0; half /= 2) {{
      __syncthreads();
      if (threadIdx.x < half) part[threadIdx.x] = combine(part[threadIdx.x], part[threadIdx.x + half]);
    }}
    if (threadIdx.x == 0) y[r] = (E1)finish(part[0], n{scalar_names});
    __syncthreads();
  }}
}}

// A block owns one stretch of a long row and leaves its fold, unfinished, in partial.
extern "C" __global__ void __launch_bounds__({block}) {name}_split(
    const E0* x, A* partial, long long n, int splits, long long total) {{
  __shared__ A part[{block}];
  for (long long s = blockIdx.x; s < total; s += gridDim.x) {{
    const long long row = s / splits, length = (n + splits - 1) / splits, begin = s % splits * length;
    const long long end = begin + length < n ? begin + length : n;
    A a = {identity};
    for (long long i = begin + threadIdx.x; i < end; i += {block}) a = combine(a, map_in((T)x[row * n + i]));
    part[threadIdx.x] = a;
    for (int half = {block} / 2; half > 0; half /= 2) {{
      __syncthreads();
      if (threadIdx.x < half) part[threadIdx.x] = combine(part[threadIdx.x], part[threadIdx.x + half]);
    }}
    if (threadIdx.x == 0) partial[s] = part[0];
    __syncthreads();
  }}
}}

// A thread owns one output of a long row: it folds the partial results in order.
extern "C" __global__ void {name}_join(
    const A* partial, E1* y, long long rows, long long n, int splits{scalar_parameters}) {{
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long r = (long long)blockIdx.x * blockDim.x + threadIdx.x; r < rows; r += stride) {{
    A a = {identity};
    for (int s = 0; s < splits; ++s) a = combine(a, partial[r * splits + s]);
    y[r] = (E1)finish(a, n{scalar_names});
  }}
}}

// A thread owns one output of a reduction over middle or leading axes: x is (outer, n, inner), y (outer, inner).
extern "C" __global__ void {name}_columns(
    const E0* x, E1* y, long long outer, long long n, long long inner{scalar_parameters}) {{
  const long long stride = (long long)gridDim.x * blockDim.x;
  for (long long o = (long long)blockIdx.x * blockDim.x + threadIdx.x; o < outer * inner; o += stride) {{
    const E0* column = x + o / inner * n * inner + o % inner;
    A a = {identity};
    for (long long i = 0; i < n; ++i) a = combine(a, map_in((T)column[i * inner]));
    y[o] = (E1)finish(a, n{scalar_names});
  }}
}}
"""


class Reduction:
    """A family of kernels that fold the elements of an axis (or of several neighbouring axes) into one.

    Reduction(combine="a + b", identity="A(0)", finish="a / A(n)")                              # mean
    Reduction(map="x * x", combine="a + b", identity="A(0)", finish="sqrt(a)")                  # L2 norm
    Reduction(combine="a > b ? a : b", identity="-A(1) / A(0)")                                 # max

    `x` is the element as T (float for float16), `a` and `b` are accumulators of type A (T unless `accumulator` names a
    dtype), `n` is how many were folded, `scalars` are doubles that `finish` may use. The order of the folds depends on
    the shape alone, so answers repeat. An empty row gives finish(identity).
    """

    instances: ClassVar[WeakSet[Reduction]] = WeakSet()

    def __init__(
        self,
        *,
        combine: str,
        identity: str,
        map: str = "A(x)",
        finish: str = "a",
        scalars: str = "",
        accumulator: DTypeLike | None = None,
        dtypes: Sequence[DTypeLike] = ("float32", "float64", "float16"),
        preamble: str = "",
        name: str = "reduction",
    ) -> None:
        self.parts = {"map": map, "combine": combine, "finish": finish, "identity": identity, "preamble": preamble}
        self.scalars, self.accumulator, self.dtypes, self.name = scalars.split(), accumulator, dtypes, name
        self._sources: dict[tuple[np.dtype[Any], np.dtype[Any]], Source] = {}
        Reduction.instances.add(self)

    def source(self, x: DTypeLike, y: DTypeLike) -> Source:
        """The Source for an input and an output dtype."""
        key = np.dtype(x), np.dtype(y)
        if key not in self._sources:
            code = _CODE.format(
                **self.parts, name=self.name, block=BLOCK,
                T=compute_name(key[0]), A=compute_name(self._accumulator(key[0])),
                scalar_parameters="".join(f", double {s}" for s in self.scalars),
                scalar_names="".join(f", {s}" for s in self.scalars),
            )  # fmt: skip
            header = f"// compiled for: E0 = {key[0].name}; E1 = {key[1].name}\n"
            self._sources[key] = Source(header + code, self.name)
        return self._sources[key]

    def _accumulator(self, x: np.dtype[Any]) -> np.dtype[Any]:
        dtype = np.dtype(self.accumulator or x)
        return np.dtype(np.float32) if dtype == np.float16 else dtype

    def __call__(self, x: Any, out: Any, *, axes: Sequence[int] | None = None, **scalars: float) -> Any:
        """Fold `x` over `axes` (neighbours; None means all) into `out`, whose size is that of the other axes."""
        import cupy

        axes = sorted(a % x.ndim for a in axes) if axes is not None else list(range(x.ndim))
        first, last = (axes[0], axes[-1] + 1) if axes else (x.ndim, x.ndim)
        if axes != list(range(first, last)):
            raise ValueError(f"{self.name}: axes {axes} are not neighbours")
        outer, n, inner = (
            int(np.prod(x.shape[a:b], dtype=np.int64)) for a, b in ((0, first), (first, last), (last, None))
        )
        if out.size != outer * inner:
            raise ValueError(f"{self.name}: out has {out.size} elements, wanted {outer * inner}")
        if scalars.keys() != set(self.scalars):
            raise TypeError(f"{self.name}: wanted the scalars {self.scalars}, got {sorted(scalars)}")
        if not out.size:
            return out
        module = self.source(x.dtype, out.dtype)(E0=x.dtype, E1=out.dtype)
        extra = [scalars[s] for s in self.scalars]
        rows = out.size
        if inner > 1:
            getattr(module, f"{self.name}_columns").over(rows, x, out, outer, n, inner, *extra)
        elif n <= 2 * SPLIT or rows >= 1024:
            getattr(module, f"{self.name}_rows")((min(rows, 1 << 16),), (BLOCK,), x, out, rows, n, *extra)
        else:
            splits = min(-(-n // SPLIT), max(1, 2048 // rows))
            partial = cupy.empty(rows * splits, self._accumulator(x.dtype))
            split = getattr(module, f"{self.name}_split")
            split((min(rows * splits, 1 << 16),), (BLOCK,), x, partial, n, splits, rows * splits)
            getattr(module, f"{self.name}_join").over(rows, partial, out, rows, n, splits, *extra)
        return out

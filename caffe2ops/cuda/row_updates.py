"""Kernels made from an expression: rows of tables updated in place by the rows of a sparse gradient, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from numpy.typing import DTypeLike

from .source import Source
from .types import compute_name

BLOCK = 128
_ELEMENTS = """
// order brings equal indices together and keeps their order otherwise. A thread owns one element of a row: the one at
// the first place of its index updates it by all of them.
extern "C" __global__ void {name}({parameters}, const I* indices, const long long* order_, long long count_,
                                  long long width_) {{
  const long long stride_ = (long long)gridDim.x * blockDim.x;
  for (long long i_ = (long long)blockIdx.x * blockDim.x + threadIdx.x; i_ < count_ * width_; i_ += stride_) {{
    const long long k_ = i_ / width_, c_ = i_ % width_, row = indices[order_[k_]], at_ = row * width_ + c_;
    if (k_ > 0 && indices[order_[k_ - 1]] == row) continue;
{load}
    for (long long j_ = k_; j_ < count_ && indices[order_[j_]] == row; ++j_) {{
      [[maybe_unused]] const long long from_ = order_[j_] * width_ + c_;
{update}
    }}
{store}
  }}
}}
"""
_ROWS = """
// order brings equal indices together and keeps their order otherwise. A block owns a row: the one at the first place
// of its index updates it by all of them; its threads share out the columns and all know the row's own numbers.
extern "C" __global__ void __launch_bounds__({block}) {name}({parameters}, const I* indices, const long long* order_,
                                                             long long count_, long long width_) {{
  __shared__ T part_[{block}];
  for (long long k_ = blockIdx.x; k_ < count_; k_ += gridDim.x) {{
    const long long row = indices[order_[k_]];
    if (k_ > 0 && indices[order_[k_ - 1]] == row) continue;
{load_row}
    for (long long j_ = k_; j_ < count_ && indices[order_[j_]] == row; ++j_) {{
      T sum_ = 0;
      for (long long c_ = threadIdx.x; c_ < width_; c_ += {block}) {{
        [[maybe_unused]] const long long at_ = row * width_ + c_, from_ = order_[j_] * width_ + c_;
{load}
{inputs}
        {prepare};
        sum_ += {fold};
      }}
      part_[threadIdx.x] = sum_;
      for (int half = {block} / 2; half > 0; half /= 2) {{
        __syncthreads();
        if (threadIdx.x < half) part_[threadIdx.x] += part_[threadIdx.x + half];
      }}
      __syncthreads();
      [[maybe_unused]] const T mean = width_ ? part_[0] / T(width_) : T(0);
      {row};
      for (long long c_ = threadIdx.x; c_ < width_; c_ += {block}) {{
        [[maybe_unused]] const long long at_ = row * width_ + c_, from_ = order_[j_] * width_ + c_;
{load}
{update}
{store}
      }}
      __syncthreads();
    }}
{store_row}
  }}
}}
"""


class RowUpdate:
    """A family of kernels that update, in place, the rows of tables that the indices of a sparse gradient name.

    RowUpdate("m += g * g; p += lr[0] * g / (sqrt(m) + T(epsilon));", states="p m", tables="lr", scalars="epsilon")
    RowUpdate("p += lr[0] / sqrt(m) * g", row="m += mean", fold="g * g", states="p", row_states="m", tables="lr")

    `states` [R, D] are read and written by name, of `s:2` [R, D, 2] `s[0]` and `s[1]`; `row_states` [R] have one number
    a row. `inputs` [K, D] ("g" unless named) are read at the place of the index, `outputs` [K, D] written there.
    `tables` are arrays that the expression indexes itself, `row` is the index. `prepare` comes first and may change
    inputs. Where there are row states, `row` updates them, and `mean` is the mean of `fold` over the columns. An index
    that occurs several times updates its row as often, each time from what the one before has left.
    """

    instances: ClassVar[WeakSet[RowUpdate]] = WeakSet()

    def __init__(
        self,
        update: str,
        *,
        states: str,
        row_states: str = "",
        inputs: str = "g",
        outputs: str = "",
        tables: str = "",
        scalars: str = "",
        int_scalars: str = "",
        prepare: str = "",
        fold: str = "T(0)",
        row: str = "",
        dtypes: Sequence[DTypeLike] = ("float32", "float64"),
        name: str = "row_update",
    ) -> None:
        self.own_dtypes: dict[str, str] = {}
        self.pairs = [word.removesuffix(":2") for word in states.split() if word.endswith(":2")]
        self.states = [word.removesuffix(":2") for word in states.split()]
        self.row_states, self.tables = self._names(row_states), self._names(tables)
        self.inputs, self.outputs = inputs.split(), outputs.split()
        self.scalars = dict.fromkeys(scalars.split(), "double") | dict.fromkeys(int_scalars.split(), "long long")
        self.parts = {"update": update.rstrip("; "), "prepare": prepare, "fold": fold, "row": row}
        self.dtypes, self.name = dtypes, name
        self._sources: dict[tuple[np.dtype[Any], ...], Source] = {}
        RowUpdate.instances.add(self)

    def _names(self, text: str) -> list[str]:
        pairs = [word.partition(":") for word in text.split()]
        self.own_dtypes |= {name: dtype for name, _, dtype in pairs if dtype}
        return [name for name, _, _ in pairs]

    @property
    def arrays(self) -> list[str]:
        """The names of all arrays but the indices, in the order of their types."""
        return self.states + self.row_states + self.inputs + self.outputs + self.tables

    def compiled_for(self, dtype: DTypeLike) -> list[DTypeLike]:
        """The dtypes of all arrays where `dtype` is that of those without one of their own, and of the indices."""
        return [*(self.own_dtypes.get(name, dtype) for name in self.arrays), np.dtype(np.int64)]

    def code(self, dtypes: Mapping[str, DTypeLike]) -> str:
        """The CUDA source for the dtypes of each array."""
        aliases = [f"using T = {compute_name(dtypes[self.arrays[0]])};"]
        aliases += [f"using T_{n} = {compute_name(dtypes[n])};" for n in self.arrays]
        number = {n: f"E{i}" for i, n in enumerate(self.arrays)}
        pointers = [f"{number[n]}* {n}_at" for n in (*self.states, *self.row_states, *self.outputs)]
        pointers += [f"const {number[n]}* {n}_in" for n in self.inputs]
        pointers += [f"const {number[n]}* {n}" for n in self.tables]
        inputs = [f"[[maybe_unused]] T_{n} {n} = {n}_in[from_];" for n in self.inputs]
        update = [*inputs, *(f"T_{n} {n};" for n in self.outputs)]
        update += [f"{self.parts['prepare']};", f"{self.parts['update']};"]
        update += [f"{n}_at[from_] = {n};" for n in self.outputs]
        text = _ROWS if self.row_states else _ELEMENTS
        lines = {
            "load": [self._load(n) for n in self.states],
            "store": [line for n in self.states for line in self._store(n)],
            "inputs": inputs,
            "update": update,
            "load_row": [f"T_{n} {n} = {n}_at[row];" for n in self.row_states],
            "store_row": [f"if (threadIdx.x == 0) {n}_at[row] = {n};" for n in self.row_states],
        }
        parts = self.parts | {name: "\n".join(f"      {line}" for line in some) for name, some in lines.items()}
        parameters = ", ".join(pointers + [f"{c} {n}" for n, c in self.scalars.items()])
        return "\n".join([" ".join(aliases), text.format(name=self.name, parameters=parameters, block=BLOCK, **parts)])

    def _load(self, n: str) -> str:
        if n in self.pairs:
            return f"[[maybe_unused]] T_{n} {n}[2] = {{{n}_at[2 * at_], {n}_at[2 * at_ + 1]}};"
        return f"[[maybe_unused]] T_{n} {n} = {n}_at[at_];"

    def _store(self, n: str) -> list[str]:
        return [f"{n}_at[2 * at_ + {h}] = {n}[{h}];" for h in (0, 1)] if n in self.pairs else [f"{n}_at[at_] = {n};"]

    def source(self, dtypes: Sequence[DTypeLike]) -> Source:
        """The Source for the dtypes of all arrays and of the indices."""
        key = tuple(np.dtype(d) for d in dtypes)
        if key not in self._sources:
            header = "; ".join([*(f"E{i} = {d.name}" for i, d in enumerate(key[:-1])), f"I = {key[-1].name}"])
            code = self.code(dict(zip(self.arrays, key, strict=False)))
            self._sources[key] = Source(f"// compiled for: {header}\n{code}", self.name)
        return self._sources[key]

    def __call__(self, indices: Any, width: int, **named: Any) -> None:
        """Updates rows of `width` elements; indices [K] are rows of all tables, which the caller has checked."""
        import cupy

        wanted = {*self.arrays, *self.scalars}
        if named.keys() != wanted:
            raise TypeError(f"{self.name}: wanted {sorted(wanted)}, got {sorted(named)}")
        dtypes = [*(named[n].dtype for n in self.arrays), indices.dtype]
        types = {f"E{i}": d for i, d in enumerate(dtypes[:-1])} | {"I": dtypes[-1]}
        kernel = getattr(self.source(dtypes)(**types), self.name)
        order = cupy.argsort(indices, kind="stable") if indices.size else cupy.empty(0, np.int64)
        pointers = [named[n] for n in (*self.states, *self.row_states, *self.outputs, *self.inputs, *self.tables)]
        arguments = (*pointers, *(named[n] for n in self.scalars), indices, order, indices.size, width)
        if self.row_states:
            kernel((min(indices.size, 1 << 16),), (BLOCK,), *arguments)
        else:
            kernel.over(indices.size * width, *arguments)

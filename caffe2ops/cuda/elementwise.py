"""Kernels made from an expression: one output element from the input elements at the same place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np
from numpy.typing import DTypeLike

from .source import Source
from .types import compute_name

MAX_DIMS = 8
_SAME_SHAPE = """
extern "C" __global__ void {name}({parameters}, long long n_) {{
  const long long stride_ = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n_; i += stride_) {{
{body}
  }}
}}
"""
_BROADCAST = """
struct Layout {{ long long shape[{dims}], strides[{inputs}][{dims}]; }};
extern "C" __global__ void {name}({parameters}, const Layout layout_, int rank_, long long n_) {{
  const long long stride_ = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n_; i += stride_) {{
    long long rest_ = i, at_[{inputs}] = {{}};
    for (int d_ = rank_ - 1; d_ >= 0; --d_) {{
      const long long position_ = rest_ % layout_.shape[d_];
      rest_ /= layout_.shape[d_];
      for (int a_ = 0; a_ < {inputs}; ++a_) at_[a_] += position_ * layout_.strides[a_][d_];
    }}
{body}
  }}
}}
"""


class Elementwise:
    """A family of kernels for one expression, compiled per dtypes at first use.

    Elementwise("x > T(0) ? x : T(0)", inputs="x")                          # one output, called Y unless named
    Elementwise("x > T(0) ? dy : T(alpha) * dy", inputs="x dy", scalars="alpha")
    Elementwise("s = x + y; d = x - y;", inputs="x y", outputs="s d")       # statements: more than one output
    Elementwise("table[at[i]]", tables="table at:int64")                    # arrays that the expression indexes itself

    In the expression inputs, outputs, tables and scalars go by their names, `T` is the type that the first input (else
    table, else output) is calculated in (float for float16), `T_x` that of `x`, `i` the flat index of the element as
    long long; other names of the kernel's own end in _. Scalars are doubles, `int_scalars` long long, `flags` int32
    arrays that it may raise (`atomicExch(bad, 1)`); each call gives them and the tables by keyword. `dtypes` says which
    dtypes the tests compile it for; a dtype after a name (`at:int64`) is what they compile that name for instead.

    Calling it takes device arrays that broadcast to the outputs' shape, by position, all else by keyword, and `out`, an
    array or a tuple of them, C-contiguous, in the dtypes wanted. An output may be one of the inputs (in place) if that
    input has the output's shape. It returns `out`. Sizes are int64 throughout; at most 8 dims remain to be broadcast.
    """

    instances: ClassVar[WeakSet[Elementwise]] = WeakSet()

    def __init__(
        self,
        expression: str,
        inputs: str = "",
        outputs: str = "Y",
        *,
        tables: str = "",
        scalars: str = "",
        int_scalars: str = "",
        flags: str = "",
        dtypes: Sequence[DTypeLike] = ("float32", "float64", "float16"),
        preamble: str = "",
        name: str = "elementwise",
    ) -> None:
        self.own_dtypes: dict[str, str] = {}
        self.inputs, self.tables, self.outputs = map(self._names, (inputs, tables, outputs))
        self.flags = flags.split()
        self.scalars = dict.fromkeys(scalars.split(), "double") | dict.fromkeys(int_scalars.split(), "long long")
        self.expression, self.preamble, self.name, self.dtypes = expression, preamble, name, dtypes
        if ";" not in expression:
            self.expression = f"{self.outputs[0]} = {expression};"
        self._sources: dict[tuple[np.dtype[Any], ...], Source] = {}
        Elementwise.instances.add(self)

    def _names(self, text: str) -> list[str]:
        pairs = [word.partition(":") for word in text.split()]
        self.own_dtypes |= {name: dtype for name, _, dtype in pairs if dtype}
        return [name for name, _, _ in pairs]

    @property
    def arrays(self) -> list[str]:
        """The names of inputs, tables and outputs, in the order of their types."""
        return self.inputs + self.tables + self.outputs

    def compiled_for(self, dtype: DTypeLike) -> list[DTypeLike]:
        """The dtypes of all arrays where `dtype` is that of those without one of their own."""
        return [self.own_dtypes.get(name, dtype) for name in self.arrays]

    def code(self, dtypes: Mapping[str, DTypeLike]) -> str:
        """The CUDA source for the dtypes of each input and output; the kernels are <name> and <name>_broadcast."""
        dtypes = {name: np.dtype(dtype) for name, dtype in dtypes.items()}
        names = self.arrays
        aliases = [f"using T = {compute_name(dtypes[names[0]])};"]
        aliases += [f"using T_{n} = {compute_name(dtypes[n])}; using E_{n} = E{i};" for i, n in enumerate(names)]
        pointers = [f"const E{i}* {n}_in" for i, n in enumerate(self.inputs)]
        pointers += [f"const E{i}* {n}" for i, n in enumerate(self.tables, len(self.inputs))]
        pointers += [f"E{i}* {n}_out" for i, n in enumerate(self.outputs, len(self.inputs + self.tables))]
        pointers += [f"int* {n}" for n in self.flags]
        parameters = ", ".join(pointers + [f"{c} {n}" for n, c in self.scalars.items()])
        forms = [_SAME_SHAPE.format(name=self.name, parameters=parameters, body=self._body(["i"] * len(self.inputs)))]
        if self.inputs:
            places = [f"at_[{a}]" for a in range(len(self.inputs))]
            forms.append(_BROADCAST.format(
                name=f"{self.name}_broadcast", parameters=parameters, body=self._body(places),
                dims=MAX_DIMS, inputs=len(self.inputs),
            ))  # fmt: skip
        return "\n".join([" ".join(aliases), self.preamble, *forms])

    def _body(self, places: Sequence[str]) -> str:
        lines = [
            f"[[maybe_unused]] const T_{n} {n} = (T_{n}){n}_in[{place}];"
            for n, place in zip(self.inputs, places, strict=True)
        ]
        lines += [f"T_{n} {n};" for n in self.outputs]
        lines += [self.expression]
        lines += [f"{n}_out[i] = (E_{n}){n};" for n in self.outputs]
        return "\n".join(f"    {line}" for line in lines)

    def source(self, dtypes: Sequence[DTypeLike]) -> Source:
        """The Source for the dtypes of inputs, tables and outputs."""
        key = tuple(np.dtype(d) for d in dtypes)
        if key not in self._sources:
            header = "; ".join(f"E{i} = {d.name}" for i, d in enumerate(key))
            code = self.code(dict(zip(self.arrays, key, strict=True)))
            self._sources[key] = Source(f"// compiled for: {header}\n{code}", self.name)
        return self._sources[key]

    def __call__(self, *arrays: Any, out: Any, **named: Any) -> Any:
        outs = out if isinstance(out, tuple) else (out,)
        if len(arrays) != len(self.inputs) or len(outs) != len(self.outputs):
            raise TypeError(
                f"{self.name}: takes {len(self.inputs)} inputs and {len(self.outputs)} outputs, "
                f"got {len(arrays)} and {len(outs)}"
            )
        wanted = {*self.scalars, *self.tables, *self.flags}
        if named.keys() != wanted:
            raise TypeError(f"{self.name}: wanted the scalars and tables {sorted(wanted)}, got {sorted(named)}")
        shape = outs[0].shape
        if any(o.shape != shape for o in outs):
            raise ValueError(f"{self.name}: outputs have shapes {[o.shape for o in outs]}, wanted one shape")
        tables = [named[n] for n in self.tables]
        dtypes = [a.dtype for a in (*arrays, *tables, *outs)]
        module = self.source(dtypes)(**{f"E{i}": d for i, d in enumerate(dtypes)})
        arguments = [*arrays, *tables, *outs, *(named[n] for n in (*self.flags, *self.scalars))]
        if all(a.shape == shape for a in arrays):
            getattr(module, self.name).over(outs[0].size, *arguments, outs[0].size)
        else:
            rank, layout = _layout(self.name, shape, [a.shape for a in arrays])
            getattr(module, f"{self.name}_broadcast").over(outs[0].size, *arguments, layout, rank, outs[0].size)
        return out


def _layout(name: str, shape: tuple[int, ...], shapes: Sequence[tuple[int, ...]]) -> tuple[int, np.ndarray[Any, Any]]:
    """How arrays of these shapes broadcast to `shape`: the rank left after merging dims, and the struct Layout."""
    strides = [_strides(name, shape, s) for s in shapes]
    dims: list[tuple[int, ...]] = []  # (size, stride of each input), innermost last
    for size, *steps in zip(shape, *strides, strict=True):
        if size == 1:
            continue
        if dims and all(outer == step * size for outer, step in zip(dims[-1][1:], steps, strict=True)):
            dims[-1] = (dims[-1][0] * size, *steps)
        else:
            dims.append((size, *steps))
    if len(dims) > MAX_DIMS:
        raise ValueError(f"{name}: {len(dims)} dims remain after merging, at most {MAX_DIMS} can be broadcast")
    record = np.zeros(1, [("shape", np.int64, MAX_DIMS), ("strides", np.int64, (len(shapes), MAX_DIMS))])
    for d, (size, *steps) in enumerate(dims):
        record["shape"][0, d] = size
        record["strides"][0, :, d] = steps
    return len(dims), record


def _strides(name: str, shape: tuple[int, ...], given: tuple[int, ...]) -> list[int]:
    """Element strides of a contiguous array of shape `given` seen in `shape`; 0 where it is repeated."""
    padded = (1,) * (len(shape) - len(given)) + given
    if len(padded) != len(shape) or any(g not in (1, s) for g, s in zip(padded, shape, strict=True)):
        raise ValueError(f"{name}: an input of shape {given} does not broadcast to {shape}")
    strides, step = [], 1
    for size in reversed(padded):
        strides.append(0 if size == 1 else step)
        step *= size
    return strides[::-1]

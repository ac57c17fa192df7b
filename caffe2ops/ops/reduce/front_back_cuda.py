"""ReduceFront and ReduceBack on CUDA arrays. X is seen as (outer, n, inner) around what is folded."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction

_NUMBERS = ("float32", "float64", "int32", "int64")
_FLOATS = ("float32", "float64")
_FOLDS = {
    "Sum": Reduction(combine="a + b", identity="A(0)", dtypes=_NUMBERS, name="front_back_sum"),
    "Mean": Reduction(
        combine="a + b", identity="A(0)", finish="n ? a / A(n) : A(0)", dtypes=_FLOATS, name="front_back_mean"
    ),
    "Max": Reduction(
        combine="a > b || a != a ? a : b", identity="-A(1) / A(0)", finish="n ? a : A(0)", dtypes=_FLOATS,
        name="front_back_max",
    ),
}  # fmt: skip
# A thread owns an output and folds what its length says.
_COUNTED = {
    kind: Elementwise(
        "long long n = lengths[i]; if (n < 0 || n > most) { atomicExch(bad, 1); n = 0; } "
        "const E_x* column = x + i / inner * most * inner + i % inner; "
        f"T a = {start}; for (long long j = 0; j < n; ++j) {{ const T b = column[j * inner]; a = {combine}; }} "
        f"Y = {finish};",
        tables="x lengths:int32",
        int_scalars="most inner",
        flags="bad",
        dtypes=dtypes,
        name=f"counted_{kind.lower()}",
    )
    for kind, start, combine, finish, dtypes in (
        ("Sum", "0", "a + b", "a", _NUMBERS),
        ("Mean", "0", "a + b", "n ? a / T(n) : T(0)", _FLOATS),
        ("Max", "-T(1) / T(0)", "a > b || a != a ? a : b", "n ? a : T(0)", _FLOATS),
    )
}
_PLACE = "const long long o = i / (most * inner) * inner + i % inner; "
_LENGTH = (
    "const long long j = i / inner % most; long long n = lengths[o]; "
    "if (n < 0 || n > most) { atomicExch(bad, 1); n = 0; } "
)
_BACK = {
    kind: Elementwise(
        f"{_PLACE}dx = {value};",
        outputs="dx",
        tables="dy",
        int_scalars="most inner",
        dtypes=dtypes,
        name=f"{name}_back",
    )
    for kind, value, dtypes, name in (
        ("Sum", "dy[o]", _NUMBERS, "front_back_sum"),
        ("Mean", "dy[o] / T(most)", _FLOATS, "front_back_mean"),
    )
}
_BACK_COUNTED = {
    kind: Elementwise(
        f"{_PLACE}{_LENGTH}dx = j < n ? {value} : T(0);",
        outputs="dx", tables="dy lengths:int32", int_scalars="most inner", flags="bad", dtypes=dtypes,
        name=f"counted_{kind.lower()}_back",
    )
    for kind, value, dtypes in (("Sum", "dy[o]", _NUMBERS), ("Mean", "dy[o] / T(n)", _FLOATS))
}  # fmt: skip
_BACK_MAX = Elementwise(
    f"{_PLACE}dx = x == y[o] ? dy[o] : T(0);",
    "x", "dx", tables="y dy", int_scalars="most inner", dtypes=_FLOATS, name="front_back_max_back",
)  # fmt: skip
_BACK_MAX_COUNTED = Elementwise(
    f"{_PLACE}{_LENGTH}dx = j < n && x == y[o] ? dy[o] : T(0);",
    "x", "dx", tables="y dy lengths:int32", int_scalars="most inner", flags="bad", dtypes=_FLOATS,
    name="counted_max_back",
)  # fmt: skip


def _flagged(op: Any, kernel: Elementwise, *arrays: Any, kept: int, lengths: Any, out: Any, **named: Any) -> Any:
    """Runs a kernel that reads lengths, of which there must be one for each output; the CPU says what is wrong."""
    import cupy

    op.wants_lengths(lengths.size, kept)
    bad = cupy.zeros(1, np.int32)
    kernel(*arrays, out=out, lengths=lengths, bad=bad, **named)
    if int(bad[0]) or not out.size:
        op.checked_lengths(cupy.asnumpy(lengths), named["most"])
    return out


def fold(op: Any, kind: str, x: Any, lengths: Any, y: Any) -> Any:
    """The fold of the first or last dims of x into y."""
    cut = op.cut(x.shape)
    folded = tuple(range(cut) if op.front else range(cut, x.ndim))
    most = int(np.prod(op.folded_dims(x.shape), dtype=np.int64))
    if lengths is None:
        return _FOLDS[kind](x, y, axes=folded)
    sizes = {"most": most, "inner": y.size if op.front else 1}
    return _flagged(op, _COUNTED[kind], kept=y.size, lengths=lengths, out=y, x=x, **sizes)


def unfold(op: Any, kind: str, dy: Any, lengths: Any, dx: Any, x: Any = None, y: Any = None) -> Any:
    """The gradient: dy for each element that was folded, as the kind of fold says."""
    kept = dy.size
    most = int(np.prod(op.folded_dims(dx.shape), dtype=np.int64))
    sizes = {"most": most, "inner": kept if op.front else 1}
    arrays, named = ((x,), {"y": y}) if kind == "Max" else ((), {})
    if lengths is None:
        kernel = _BACK_MAX if kind == "Max" else _BACK[kind]
        return kernel(*arrays, out=dx, dy=dy, **named, **sizes)
    kernel = _BACK_MAX_COUNTED if kind == "Max" else _BACK_COUNTED[kind]
    return _flagged(op, kernel, *arrays, kept=kept, lengths=lengths, out=dx, dy=dy, **named, **sizes)

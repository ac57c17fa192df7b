"""SequenceMask on CUDA arrays: a thread for each element."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise

_FLOATS = ("float32", "float64")
_SIZES = "rows columns repeat"
_AT = "const long long row = i / repeat / columns % rows, column = i / repeat % columns; "
_TRIANGLES = {
    mode: Elementwise(
        f"{_AT}y = column {off} row ? T(filling) : x;", "x", "y", int_scalars=_SIZES, scalars="filling",
        dtypes=_FLOATS, name=f"mask_{mode}",
    )
    for mode, off in {"upper": ">", "lower": "<", "upperdiag": ">=", "lowerdiag": "<="}.items()
}  # fmt: skip
_LENGTHS = {
    mode: Elementwise(
        f"{_AT}const long long n = lengths[row]; y = {masked} ? T(filling) : x;", "x", "y", tables="lengths:int32",
        int_scalars=f"{_SIZES}{extra}", scalars="filling", dtypes=_FLOATS, name=f"mask_{mode}",
    )
    for mode, masked, extra in (
        ("sequence", "column >= n", ""),
        ("window", "(column > n ? column - n : n - column) > radius", " radius"),
    )
}  # fmt: skip


def mask(
    mode: str, x: Any, lengths: Any, layout: tuple[int, int, int, int], radius: int, filling: float, out: Any
) -> Any:
    """x with `filling` for what `mode` masks; the layout is the sizes of batch, rows, columns and repetitions."""
    _, rows, columns, repeat = layout
    named: dict[str, Any] = {"rows": rows, "columns": columns, "repeat": repeat, "filling": filling}
    if mode in _TRIANGLES:
        return _TRIANGLES[mode](x, out=out, **named)
    extra = {"radius": radius} if mode == "window" else {}
    return _LENGTHS[mode](x, out=out, lengths=lengths, **named, **extra)

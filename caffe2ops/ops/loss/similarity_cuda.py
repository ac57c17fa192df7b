"""CosineSimilarity and L1Distance on CUDA arrays."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.reduce.sums_cuda import PRODUCT, sum_of, sum_rows

_FLOATS = ("float32", "float64")
_LEAST = "const T m = aa > T(1e-12) ? aa : T(1e-12), n = bb > T(1e-12) ? bb : T(1e-12); "
_COSINE = Elementwise(f"{_LEAST}Z = ab / sqrt(m * n);", "aa bb ab", "Z", dtypes=_FLOATS, name="cosine")
_COSINE_BACK = Elementwise(
    f"{_LEAST}const T scale = dZ / sqrt(m * n); dX = scale * (Y - ab / m * X); dY = scale * (X - ab / n * Y);",
    "X Y dZ aa bb ab", "dX dY", dtypes=_FLOATS, name="cosine_back",
)  # fmt: skip
_AWAY = Elementwise("X > Y ? X - Y : Y - X", "X Y", "Z", dtypes=_FLOATS, name="absolute_difference")
L1_BACK = Elementwise(
    "const T away = X - Y; "
    "dX = dZ * (away > T(smallest) ? T(1) : away < T(-smallest) ? T(-1) : away * T(0)); dY = -dX;",
    "X Y dZ", "dX dY", scalars="smallest", dtypes=_FLOATS, name="l1_back",
)  # fmt: skip
# A row of `narrow` columns seen as one of `wide`: repeated, or filled up with pad.
_AT = "(replicate ? row_{x}[c % of_{x}] : c < of_{x} ? row_{x}[c] : T(pad))"
_PADDED = Elementwise(
    "const long long c = i % wide, r = i / wide; const T *row_a = a + r * of_a, *row_b = b + r * of_b; "
    f"z = {_AT.format(x='a')} * {_AT.format(x='b')};",
    outputs="z", tables="a b", int_scalars="wide of_a of_b replicate", scalars="pad", dtypes=_FLOATS,
    name="padded_product",
)  # fmt: skip
_PADDED_BACK = Elementwise(
    "const long long r = i / of_x; const T* row_b = b + r * of_b; T sum = 0; "
    "const long long end = replicate && of_b > of_x ? of_b : of_x; "
    f"for (long long c = i % of_x; c < end; c += of_x) sum += {_AT.format(x='b')}; dx = dz[r] * sum;",
    outputs="dx", tables="b dz", int_scalars="of_x of_b replicate", scalars="pad", dtypes=_FLOATS,
    name="padded_product_back",
)  # fmt: skip


def padded_product(op: Any, a: Any, b: Any, z: Any) -> Any:
    """z [N] = the products of the rows of a [N, D] and b [N, E], the narrower ones widened as `op` says."""
    import cupy

    wide = max(a.shape[1], b.shape[1])
    sizes = {"wide": wide, "of_a": a.shape[1], "of_b": b.shape[1], "replicate": op.replicate, "pad": op.pad_value}
    return sum_rows(_PADDED(out=cupy.empty((len(a), wide), z.dtype), a=a, b=b, **sizes), z)


def padded_gradient(op: Any, other: Any, dz: Any, dx: Any) -> Any:
    """dx = dz times the other rows, cut, filled up or added up to the width of dx."""
    width = dx.size // max(len(other), 1)
    sizes = {"of_x": width, "of_b": other.shape[1], "replicate": op.replicate, "pad": op.pad_value}
    return _PADDED_BACK(out=dx, b=other, dz=dz, **sizes)


def _sums(a: Any, b: Any) -> tuple[Any, ...]:
    """a . a, b . b and a . b of each row."""
    import cupy

    return tuple(sum_of(PRODUCT, *pair, out=cupy.empty(len(a), a.dtype)) for pair in ((a, a), (b, b), (a, b)))


def cosine(a: Any, b: Any, out: Any) -> Any:
    """The cosine of each pair of rows."""
    return _COSINE(*_sums(a, b), out=out)


def cosine_gradient(a: Any, b: Any, dz: Any, da: Any, db: Any) -> None:
    """Gradients of both; dz is a column."""
    _COSINE_BACK(a, b, dz, *(total[:, None] for total in _sums(a, b)), out=(da, db))


def l1(x: Any, y: Any, out: Any) -> Any:
    """The sum of absolute differences of each pair of rows."""
    return sum_of(_AWAY, x, y, out=out)

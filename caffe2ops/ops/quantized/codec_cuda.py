"""Row-wise quantised matrices on CUDA arrays, made byte for byte as on the CPU.

Arithmetic of floats flushes denormals there, so the few numbers of a row are made in double and kept as bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe2ops.cuda import Elementwise, Reduction

if TYPE_CHECKING:
    from .codec import Codec

_LEAST, _MOST = "(int)0x80000000", "0x7fffffff"
# The bits of a float as an integer of the same order, and back; those of NaN are replaced.
_EXTREMES = {
    (fold, keeps_nan): Reduction(
        map=f"(x & 0x7fffffff) > 0x7f800000 ? {identity if not keeps_nan else other} : x ^ (x >> 31 & 0x7fffffff)",
        combine=f"a {sign} b ? a : b", identity=identity, finish="a ^ (a >> 31 & 0x7fffffff)", dtypes=("int32",),
        name=f"{fold}_bits",
    )
    for fold, sign, identity, other in (("least", "<", _MOST, _LEAST), ("most", ">", _LEAST, _MOST))
    for keeps_nan in (False, True)
}  # fmt: skip
_FORMATS = r"""
// A format of floats: bits of the significand with the leading one, and the exponent of the least normal number.
struct Format { int bits, least; };
__device__ __forceinline__ double unpack(unsigned b, Format f) {
  const unsigned low = (1u << (f.bits - 1)) - 1, ones = 3 - 2 * f.least, m = b & low, e = b >> (f.bits - 1) & ones;
  const double one = b >> (f.bits - 1) & (ones + 1) ? -1 : 1;
  if (e == ones) return one * __uint_as_float(m ? 0x7fc00000 : 0x7f800000);
  return one * ldexp((double)(e ? m + low + 1 : m), (e ? (int)e - 1 : 0) + f.least - f.bits + 1);
}
__device__ __forceinline__ unsigned pack(double d, Format f) {
  const unsigned ones = 3 - 2 * f.least, infinite = ones << (f.bits - 1);
  if (d != d) return infinite | 1u << (f.bits - 2);
  const double a = fabs(d);
  const unsigned sign = copysign(1.0, d) < 0 ? (ones + 1) << (f.bits - 1) : 0;
  const int top = ilogb(a), e = top < f.least ? f.least : top;
  if (e > 1 - f.least) return sign | infinite;
  return sign | (((unsigned)(e - f.least) << (f.bits - 1)) + (unsigned)rint(ldexp(a, f.bits - 1 - e)));
}
__device__ __forceinline__ double rounded(double d, Format f) { return unpack(pack(d, f), f); }
__device__ __forceinline__ Format halves() { return {11, -14}; }
__device__ __forceinline__ Format singles() { return {24, -126}; }
__device__ __forceinline__ double single(double d) { return rounded(d, singles()); }
__device__ __forceinline__ double wide(unsigned b) { return unpack(b, singles()); }

// Scale and bias of a range, as float16 holds them.
__device__ __forceinline__ void halved(double low, double high, double levels, double* scale, double* bias) {
  *bias = rounded(low, halves());
  const double extent = single(high - *bias);
  *scale = extent == 0 ? 1 : rounded(single(extent / levels), halves());
}
"""
# Of each row: scale and bias as they are stored, then what elements lose and are divided or multiplied by.
_SCALES = Elementwise(
    "double s, b = wide(low), factor; if (half) { halved(wide(low), wide(high), levels, &s, &b); "
    "if (packed && s == 0) s = 1; factor = divides ? s : s == 0 ? 0 : single(1 / s); } else { "
    "const double extent = single(wide(high) - b); s = single(extent / 255); "
    "factor = single(255 / single(extent + 1e-8f)); } "
    "const Format f = sizeof(scale) == 2 ? halves() : singles(); "
    "scale = pack(s, f); bias = pack(b, f); shift = pack(b, singles()); by = pack(factor, singles());",
    "low:uint32 high:uint32", "scale:uint32 bias:uint32 shift:uint32 by:uint32",
    int_scalars="half packed divides levels", dtypes=("uint8",), preamble=_FORMATS, name="quantized_scales",
)  # fmt: skip
_ENCODE = Elementwise(
    "const long long row = i / coded, at = i % coded, packed = coded - tail; y = 0; "
    "if (at >= packed) y = tails[row * tail + at - packed]; else for (long long k = 0; k < per_byte; ++k) { "
    "const float left = float(x[(row * packed + at) * per_byte + k]) - shift[row]; "
    "const float step = rintf(divides ? left / by[row] : left * by[row]); "
    "y |= (unsigned char)(step > 0 ? step < levels ? step : levels : 0) << k * bits; }",
    outputs="y:uint8", tables="x tails:uint8 shift:float32 by:float32",
    int_scalars="coded tail per_byte bits divides", scalars="levels", dtypes=("float32", "float16"),
    name="quantized_rows",
)  # fmt: skip
_LOSS = r"""
// What is lost of the n elements of a row that is quantised within a range, added up element by element.
__device__ __forceinline__ float lost(const E_x* x, long long n, double low, double high, float levels) {
  double scale, bias;
  halved(low, high, levels, &scale, &bias);
  const float s = float(scale), b = float(bias), inverse = 1 / s;
  float sum = 0;
  for (long long k = 0; k < n; ++k) {
    float found = rintf((float(x[k]) - b) * inverse);
    found = found < 0 ? 0 : found > levels ? levels : found;
    const float left = float(x[k]) - __fadd_rn(__fmul_rn(found, s), b);
    sum = __fadd_rn(sum, __fmul_rn(left, left));
  }
  return sqrtf(sum);
}
"""
# A thread narrows the range of one row, as codec.searched does.
_SEARCH = Elementwise(
    "double at_low = wide(least), at_high = wide(most), kept_low = at_low, kept_high = at_high; "
    "const double step = single(single(at_high - at_low) / bins), shortest = single(narrowest * step); "
    "const E_x* row = x + i * width; float at = lost(row, width, at_low, at_high, levels), best = at; "
    "bool moved = true; while (moved && single(at_low + shortest) < at_high) { "
    "const double up = single(at_low + step), down = single(at_high - step); "
    "const float left = lost(row, width, up, at_high, levels), right = lost(row, width, at_low, down, levels); "
    "if (at < left && at < right && at < best) { best = at; kept_low = at_low; kept_high = at_high; } "
    "if (left < right) { moved = up > at_low; at_low = up; at = left; } "
    "else { moved = down < at_high; at_high = down; at = right; } } "
    "low = pack(kept_low, singles()); high = pack(kept_high, singles());",
    "least:uint32 most:uint32", "low:uint32 high:uint32", tables="x", int_scalars="width bins narrowest",
    scalars="levels", dtypes=("float32", "float16"), preamble=_FORMATS + _LOSS, name="quantized_search",
)  # fmt: skip
# A scale that is denormal may make a step of more than 255, of which the low bits are kept.
_SEPARATE = Elementwise(
    "const long long row = i / width; const unsigned low = bits[2 * row + 1]; const double s = wide(bits[2 * row]); "
    "const double step = fabs(s) < 1e-30 ? single(single(wide(x[i]) - wide(low)) / s) "
    ": double((__uint_as_float(x[i]) - __uint_as_float(low)) / float(s)); y = step < 512 ? int(rint(step)) : 0;",
    outputs="y:uint8", tables="x:uint32 bits:uint32", int_scalars="width", dtypes=("uint8",), preamble=_FORMATS,
    name="quantized_apart",
)  # fmt: skip
_SEPARATE_SCALES = Elementwise(
    "const double extent = single(wide(high) - wide(low)); "
    "scale = pack(extent == 0 ? 1 : single(extent / 255), singles());",
    "low:uint32 high:uint32", "scale:uint32", dtypes=("uint8",), preamble=_FORMATS, name="quantized_apart_scales",
)  # fmt: skip


def _extremes(x: Any, keeps_nan: bool) -> list[Any]:
    """Least and greatest element of float32 rows, as bits uint32 [N]."""
    import cupy

    found = [cupy.empty(len(x), np.int32) for _ in range(2)]
    for fold, out in zip(("least", "most"), found, strict=True):
        _EXTREMES[fold, keeps_nan](x.view(np.int32), out, axes=(1,))
    return [bits.view(np.uint32) for bits in found]


def encode(codec: Codec, rows: Any, out: Any, search: bool) -> None:
    """Codec.encode."""
    import cupy

    from .codec import BINS, NARROWEST

    if not len(rows):
        return
    low, high = _extremes(rows.astype(np.float32, copy=False), False)
    if search:
        narrow = cupy.empty_like(low), cupy.empty_like(high)
        named = {"width": rows.shape[1], "bins": BINS, "narrowest": NARROWEST, "levels": codec.levels}
        low, high = _SEARCH(low, high, out=narrow, x=rows, **named)
    divides = codec.half and codec.packed and (search or rows.dtype == np.float16)
    bits = np.dtype(f"u{codec.tail // 2}")
    scale, bias, shift, by = _SCALES(
        low, high, out=tuple(cupy.empty(len(rows), dtype) for dtype in (bits, bits, np.uint32, np.uint32)),
        half=codec.half, packed=codec.packed, divides=divides, levels=codec.levels,
    )  # fmt: skip
    _ENCODE(
        out=out, x=rows, tails=cupy.stack([scale, bias], axis=1).view(np.uint8), shift=shift.view(np.float32),
        by=by.view(np.float32), coded=out.shape[1], tail=codec.tail, per_byte=codec.per_byte, bits=codec.bits,
        divides=divides, levels=codec.levels,
    )  # fmt: skip


def encode_apart(rows: Any, quantized: Any, scale_bias: Any) -> None:
    """Float rows as bytes, with scales and biases [N, 2] beside them."""
    import cupy

    low, high = _extremes(rows, True)
    bits = cupy.stack([_SEPARATE_SCALES(low, high, out=cupy.empty_like(low)), low], axis=1)
    scale_bias[...] = bits.view(np.float32)
    _SEPARATE(out=quantized, x=rows.view(np.uint32), bits=bits, width=rows.shape[1])

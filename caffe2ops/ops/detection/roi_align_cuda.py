"""RoIAlign, RoIAlignRotated and their gradients on CUDA arrays.

A thread for each region lays its samples out; they are tried for each element of the features, and for each element of
the images in the gradient: it goes through the regions of its image in order and finds the samples near it by turning
back, so that nothing is added atomically.
"""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.segment.lengths_cuda import on_host

_FLOATS = ("float32", "float64")
_SIZES = "height width pooled_h pooled_w channels last"
# Of each region: its image, -1 where the region is bad; in its own frame where the bins begin, how long they are, how
# far their samples are apart and how many lie along a side; the angle of the frame and where it is turned around; how
# far, in the frame, samples may lie from the elements that they are interpolated from.
_TABLES = (
    "image:float64 top:float64 left:float64 bin_y:float64 bin_x:float64 gap_y:float64 gap_x:float64 many_y:float64 "
    "many_x:float64 cosine:float64 sine:float64 mid_y:float64 mid_x:float64 reach:float64"
)
_LAY_OUT = Elementwise(
    "const E_rois *row = rois + i * columns, *box = row + columns - numbers; const bool turned = numbers == 5; "
    "image = columns == numbers ? 0 : trunc((double)row[0]); bool good = image >= 0 && image < images; "
    "for (long long k = 0; k < columns; ++k) good = good && row[k] - row[k] == T(0); "
    "const T half = aligned ? T(0.5) : T(0); T at[4]; "
    "for (int k = 0; k < 4; ++k) at[k] = T((double)box[k] * (double)T(scale)) - (turned && k > 1 ? T(0) : half); "
    "T tall = turned ? at[3] : at[3] - at[1], wide = turned ? at[2] : at[2] - at[0]; "
    "if (aligned) good = good && tall >= T(0) && wide >= T(0); "
    "else { tall = tall > T(1) ? tall : T(1); wide = wide > T(1) ? wide : T(1); } "
    "if (!good) { atomicExch(bad, 1); image = -1; } "
    "const T step_y = tall / T(pooled_h), step_x = wide / T(pooled_w); bin_y = step_y; bin_x = step_x; "
    "many_y = !good ? 0 : ratio > 0 ? (double)ratio : ceil(bin_y); "
    "many_x = !good ? 0 : ratio > 0 ? (double)ratio : ceil(bin_x); "
    "const double down = many_y > 1 ? many_y : 1, across = many_x > 1 ? many_x : 1; "
    "gap_y = turned ? bin_y / down : (double)(step_y / T(down)); "
    "gap_x = turned ? bin_x / across : (double)(step_x / T(across)); "
    "top = turned ? -tall / 2 : at[1]; left = turned ? -wide / 2 : at[0]; "
    "mid_y = turned ? at[1] : T(0); mid_x = turned ? at[0] : T(0); "
    "const T angle = turned ? T(box[numbers - 1] * T(pi)) / T(180) : T(0); cosine = cos(angle); sine = sin(angle); "
    "reach = fabs(cosine) + fabs(sine) + 0.01 + 1e-6 * (fabs(top) + fabs(left) + fabs(mid_y) + fabs(mid_x));",
    outputs=_TABLES, tables="rois", int_scalars="columns numbers images aligned ratio pooled_h pooled_w",
    scalars="scale pi", flags="bad", dtypes=_FLOATS, name="lay_out_regions",
)  # fmt: skip
_PREAMBLE = """
// Which elements of an axis a place lies between, and how far it is on the way; false where it does not count.
__device__ bool between(T at, long long size, long long& low, long long& high, T& part) {
  if (!(at >= T(-1) && at <= T(size))) return false;
  at = at < T(0) ? T(0) : at > T(size - 1) ? T(size - 1) : at;
  low = (long long)at;
  high = low + 1 < size ? low + 1 : low;
  part = at - T(low);
  return true;
}

// The weight of an element in what is interpolated at a place.
__device__ T share(T at, long long size, long long element) {
  long long low, high;
  T part;
  if (!between(at, size, low, high, part)) return T(0);
  return (low == element ? T(1) - part : T(0)) + (high == element ? part : T(0));
}

// Where a sample lies along a side, in the region's own frame.
__device__ T along(double start, double bin, double gap, long long of, long long sample) {
  return T(start + of * bin + (sample + 0.5) * gap);
}

// The first and last of `many` samples that lie within `reach` of a place.
__device__ bool near(double at, double reach, double start, double gap, long long many, long long& from,
                     long long& to) {
  const double low = ceil((at - reach - start) / gap - 0.5), high = floor((at + reach - start) / gap - 0.5);
  from = gap > 0 && low > 0 ? (low < many ? (long long)low : many) : 0;
  to = gap > 0 && high < many - 1 ? (high < 0 ? -1 : (long long)high) : many - 1;
  return from <= to;
}
"""
_PLACE = (
    "const T yy = along(top[r], bin_y[r], gap_y[r], v, p), xx = along(left[r], bin_x[r], gap_x[r], u, q); "
    "const T y = yy * T(cosine[r]) - xx * T(sine[r]) + T(mid_y[r]); "
    "const T x = xx * T(cosine[r]) + yy * T(sine[r]) + T(mid_x[r]); "
)
_ALIGN = Elementwise(
    "const long long bins = pooled_h * pooled_w, c = last ? i % channels : i / bins % channels; "
    "const long long bin = (last ? i / channels : i) % bins, r = i / bins / channels; "
    "const long long n = image[r], v = bin / pooled_w, u = bin % pooled_w, down = many_y[r], across = many_x[r]; "
    "const long long step = last ? channels : 1; "
    "const E_X* plane = X + (last ? n * height * width * channels + c : (n * channels + c) * height * width); T a = 0; "
    "if (n >= 0) for (long long p = 0; p < down; ++p) for (long long q = 0; q < across; ++q) { "
    f"{_PLACE} long long upper, lower, before, after; T fall, way; "
    "if (!between(y, height, upper, lower, fall) || !between(x, width, before, after, way)) continue; "
    "a += (T(1) - fall) * ((T(1) - way) * plane[(upper * width + before) * step] "
    "+ way * plane[(upper * width + after) * step]) "
    "+ fall * ((T(1) - way) * plane[(lower * width + before) * step] + way * plane[(lower * width + after) * step]); } "
    "Y = a / T(down * across);",
    outputs="Y", tables=f"X {_TABLES}", int_scalars=_SIZES, dtypes=_FLOATS, preamble=_PREAMBLE, name="roi_align",
)  # fmt: skip
_BACK = Elementwise(
    "const long long area = height * width, bins = pooled_h * pooled_w; "
    "const long long c = last ? i % channels : i / area % channels, at = (last ? i / channels : i) % area; "
    "const long long n = i / area / channels, row = at / width, column = at % width; T a = 0; "
    "for (long long r = 0; r < regions; ++r) { if (image[r] != n) continue; "
    "const double from_y = row - mid_y[r], from_x = column - mid_x[r]; "
    "const double own_y = from_y * cosine[r] + from_x * sine[r], own_x = from_x * cosine[r] - from_y * sine[r]; "
    "const long long down = many_y[r], across = many_x[r]; long long first, end, begin, stop; "
    "if (!near(own_y, reach[r], top[r], gap_y[r], down * pooled_h, first, end)) continue; "
    "if (!near(own_x, reach[r], left[r], gap_x[r], across * pooled_w, begin, stop)) continue; T sum = 0; "
    "for (long long k = first; k <= end; ++k) for (long long l = begin; l <= stop; ++l) { "
    f"const long long v = k / down, p = k % down, u = l / across, q = l % across; {_PLACE} "
    "const T weight = share(y, height, row) * share(x, width, column); const long long bin = v * pooled_w + u; "
    "if (weight != T(0)) "
    "sum += weight * dY[last ? (r * bins + bin) * channels + c : (r * channels + c) * bins + bin]; } "
    "a += sum / T(down * across); } dX = a;",
    outputs="dX", tables=f"dY {_TABLES}", int_scalars=f"regions {_SIZES}", dtypes=_FLOATS, preamble=_PREAMBLE,
    name="roi_align_back",
)  # fmt: skip


def _run(op: Any, kernel: Elementwise, images: Any, rois: Any, out: Any, **named: Any) -> Any:
    """Lays the regions out and runs the kernel; the CPU's check says what is wrong with them."""
    import cupy
    from numpy import pi

    bad, layout = cupy.zeros(1, cupy.int32), tuple(cupy.empty((len(_LAY_OUT.outputs), len(rois)), cupy.float64))
    bins = {"pooled_h": op.pooled_h, "pooled_w": op.pooled_w}
    _LAY_OUT(
        out=layout, rois=rois, columns=rois.shape[1], numbers=op.numbers, images=len(images), aligned=op.aligned,
        ratio=op.sampling_ratio, scale=op.spatial_scale, pi=pi, bad=bad, **bins,
    )  # fmt: skip
    _, channels, (height, width) = op.split("X", images.shape)
    kernel(
        out=out, height=height, width=width, channels=channels, last=op.channels_last, **bins,
        **dict(zip(_LAY_OUT.outputs, layout)), **named,
    )  # fmt: skip
    if int(bad[0]):
        on_host(lambda host: next(op.parts(images, host), None), rois)
    return out


def align(op: Any, X: Any, rois: Any) -> Any:
    """The features of the regions."""
    return _run(op, _ALIGN, X, rois, op.out(0, op.infer(X, rois).shape, X.dtype), X=X)


def align_back(op: Any, X: Any, rois: Any, dY: Any) -> Any:
    """What each element of the images gets back from the features of all regions, one after the other."""
    op.infer(X, rois, dY)
    return _run(op, _BACK, X, rois, op.out(0, X.shape, X.dtype), dY=dY, regions=len(rois))

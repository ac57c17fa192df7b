"""RoIPool on CUDA arrays: a thread goes through the elements of a bin."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.detection.boxes import finite, images_of
from caffe2ops.ops.detection.boxes_cuda import images_of as images_on_device
from caffe2ops.ops.pool.max_pool_with_index import LEAST
from caffe2ops.ops.pool.max_pool_with_index_cuda import send_back
from caffe2ops.ops.segment.lengths_cuda import on_host

_PREAMBLE = """
// The first element of a bin along a side, and the one after its last.
__device__ void edges(T from, T to, T scale, long long size, long long bins, long long bin, long long& low,
                      long long& high) {
  const double first = round((double)T(from * scale)), last = round((double)T(to * scale));
  const T step = T(last - first + 1 > 1 ? last - first + 1 : 1) / T(bins);
  const double start = floor(T(bin) * step) + first, end = ceil(T(bin + 1) * step) + first;
  low = start > 0 ? (start < size ? (long long)start : size) : 0;
  high = end > 0 ? (end < size ? (long long)end : size) : 0;
}
"""
_POOL = Elementwise(
    "const long long bin = i % (pooled_h * pooled_w), c = i / (pooled_h * pooled_w) % channels; "
    "const long long r = i / (pooled_h * pooled_w) / channels, n = image[r]; "
    "const E_X* plane = X + (n * channels + c) * height * width; const E_rois* box = rois + r * 5; "
    "long long top = 0, bottom = 0, left = 0, right = 0; "
    "if (n >= 0) { edges(box[2], box[4], T(scale), height, pooled_h, bin / pooled_w, top, bottom); "
    "edges(box[1], box[3], T(scale), width, pooled_w, bin % pooled_w, left, right); } "
    "Y = top < bottom && left < right ? T(least) : T(0); place = -1; "
    "for (long long row = top; row < bottom; ++row) for (long long column = left; column < right; ++column) "
    "{ const T x = plane[row * width + column]; if (x > Y) { Y = x; place = (int)(row * width + column); } }",
    outputs="Y place:int32", tables="X rois image:int64", int_scalars="height width channels pooled_h pooled_w",
    scalars="scale least", dtypes=("float32", "float64"), preamble=_PREAMBLE, name="roi_pool",
)  # fmt: skip


def pool(op: Any, X: Any, rois: Any, Y: Any, index: Any) -> None:
    """Writes the largest element of each bin and where it is."""
    image, bad = images_on_device(rois, 4, len(X), finite=True)
    _POOL(
        out=(Y, index), X=X, rois=rois, image=image, height=X.shape[2], width=X.shape[3], channels=X.shape[1],
        pooled_h=op.pooled_h, pooled_w=op.pooled_w, scale=op.spatial_scale, least=LEAST,
    )  # fmt: skip
    if int(bad[0]):
        on_host(lambda host: images_of(finite(host), 4, len(X)), rois)


def pool_back(X: Any, rois: Any, index: Any, dY: Any, dX: Any) -> Any:
    """Gradients added up where they came from."""
    image, bad = images_on_device(rois, 4, len(X))
    if int(bad[0]):
        on_host(lambda host: images_of(host, 4, len(X)), rois)
    return send_back(dY, index, dX, image)

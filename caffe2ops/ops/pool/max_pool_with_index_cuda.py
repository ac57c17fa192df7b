"""MaxPoolWithIndex on CUDA arrays, and gradients that go where indices say."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise
from caffe2ops.ops.pool.max_pool_with_index import sent_back
from caffe2ops.ops.pool.pooling_cuda import MAX
from caffe2ops.ops.segment.lengths_cuda import on_host
from caffe2ops.ops.segment.segment_ids_cuda import add_rows

POOL = Elementwise(
    "Box box; const E_X* plane = X + elements_of(g, rank, i, box); T a = T(least); index = -1; "
    "for (long long left = box.volume; left > 0; --left, box.next()) { const T b = plane[box.offset]; "
    "if (b > a) { a = b; index = (int)box.offset; } } Y = a;",
    outputs="Y index:int32", tables="X g:int64", int_scalars="rank", scalars="least",
    dtypes=("float32", "float64", "float16"), preamble=MAX.preamble, name="max_pool_with_index",
)  # fmt: skip
_PLACES = Elementwise(
    "const long long at = index[i], n = image[i / places / channels]; if (at >= size) atomicExch(bad, 1); "
    "place = at < 0 || at >= size || n < 0 ? -1 : (n * channels + i / places % channels) * size + at;",
    outputs="place:int64", tables="index:int32 image:int64", int_scalars="places channels size", flags="bad",
    dtypes=("int32",), name="chosen_places",
)  # fmt: skip


def send_back(dY: Any, index: Any, dX: Any, image: Any = None) -> Any:
    """dX = gradients [R, C, places...] added up, in order, where their indices say; as `sent_back` on the CPU.

    They are sorted by place, so that a thread has all of an element; an index < 0 comes first and belongs to none.
    """
    import cupy

    place, bad = cupy.empty(dY.size, np.int64), cupy.zeros(1, np.int32)
    image = cupy.arange(len(dY), dtype=np.int64) if image is None else image
    _PLACES(
        out=place, index=index, image=image, places=prod(dY.shape[2:]), channels=dX.shape[1],
        size=prod(dX.shape[2:]), bad=bad,
    )  # fmt: skip
    if int(bad[0]):
        on_host(lambda host: sent_back(np.zeros(dY.shape, np.float32), host, dX.shape), index)
    if dX.size:
        add_rows(dY.reshape(-1, 1), place, dX.reshape(-1, 1))
    return dX

"""The images of regions on CUDA arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.cuda import Elementwise

_IMAGES = Elementwise(
    "const double at = columns == numbers ? 0 : trunc((double)rois[i * columns]); bool good = at >= 0 && at < images; "
    "if (finite) for (long long k = i * columns; k < (i + 1) * columns; ++k) good = good && rois[k] - rois[k] == T(0); "
    "if (!good) atomicExch(bad, 1); image = good ? (long long)at : -1;",
    outputs="image:int64", tables="rois", int_scalars="columns numbers images finite", flags="bad",
    dtypes=("float32", "float64"), name="images_of_regions",
)  # fmt: skip


def images_of(rois: Any, numbers: int, images: int, finite: bool = False) -> tuple[Any, Any]:
    """The image of each region, int64, -1 where there is none; and a flag int32 [1]: there is a -1.

    With `finite` a region whose numbers are not all finite has none.
    """
    import cupy

    bad = cupy.zeros(1, np.int32)
    image = cupy.empty(len(rois), np.int64)
    _IMAGES(out=image, rois=rois, columns=rois.shape[1], numbers=numbers, images=images, finite=finite, bad=bad)
    return image, bad

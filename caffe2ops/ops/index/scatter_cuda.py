"""ScatterAssign and ScatterWeightedSum on CUDA arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.cuda import Source
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.index.rows_cuda import bits

kernels = Source.beside(__file__)


def _order(indices: Any) -> Any:
    import cupy

    return cupy.argsort(indices, kind="stable")


def _settle(indices: Any, bad: Any, rows: int, width: int, of: str) -> None:
    """Has the check of the CPU name an index that is no row; by then all other rows are changed."""
    import cupy

    if int(bad[0]) or not width:
        checked_indices(cupy.asnumpy(indices), rows, of=of)


def assign(data: Any, indices: Any, source: Any) -> Any:
    """data[indices[j]] = source[j], the last of those that repeat."""
    import cupy

    (count, width), bad = source.shape, cupy.zeros(1, np.int32)
    table, source, flat = bits(data), bits(source), indices.reshape(-1)
    kernels(T=table.dtype, I=flat.dtype).scatter_assign.over(
        source.size, table, flat, _order(flat), source, count, width, len(data), bad
    )
    _settle(flat, bad, len(data), width, "DATA")
    return data


def weighted_sum(data: Any, scale: Any, indices: Any, terms: Sequence[tuple[Any, Any]]) -> Any:
    """data[i] = scale * data[i] + the sum of weight * x over the terms (x, weight), in place."""
    import cupy

    flat, bad = indices.reshape(-1), cupy.zeros(1, np.int32)
    order, width = _order(flat), terms[0][0].shape[1]
    module, sizes = kernels(T=data.dtype, I=flat.dtype), (flat.size, width, len(data), bad)
    n = flat.size * width
    module.scatter_scale.over(n, data, flat, order, scale.astype(data.dtype).reshape(-1), *sizes)
    for x, weight in terms:
        module.scatter_add.over(n, data, flat, order, x, weight.astype(data.dtype).reshape(-1), *sizes)
    _settle(flat, bad, len(data), width, "X_0")
    return data

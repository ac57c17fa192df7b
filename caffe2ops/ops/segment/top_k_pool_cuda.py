"""TopKPool and its gradient on CUDA arrays: the selection of LengthsTopK over the rows of a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe2ops.cuda import Source

from .lengths_top_k_cuda import Segments, top_k_of_segments

kernels = Source.beside(__file__)


def _view(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """A shape as (outer, length, inner) around the axis that is ranked."""
    axis %= len(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def _replace(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    axis %= len(shape)
    return (*shape[:axis], size, *shape[axis + 1 :])


def top_k_pool(
    x: Any, lengths: Any, row_k: Any = None, k: int = 0, order: str = "value", axis: int = 1, mode: str = "gather"
) -> tuple[Any, Any]:
    """The k best of each row of x [N, L, ...] along `axis` -> (Y, indices), padded with 0 and -1; see TopKPool.

    axis 1 ranks the first lengths[i] steps, for each feature apart; another axis ranks features, at each of the first
    lengths[i] steps. `row_k` int32 [N] is a k for each row of the batch, else
    `k`. `mode` "gather": Y holds the selected; "mask": Y has the shape of x and is 0 elsewhere. Lengths outside 0..L
    and a negative row_k are refused (ValueError); both are read from the device for that, before anything runs.
    """
    import cupy

    kmax = _checked(x, lengths, row_k, k)
    n, steps = x.shape[:2]
    axis %= x.ndim
    outer, length, inner = _view(x.shape, axis)
    shape = _replace(x.shape, axis, kmax)
    per_row = (n, *x.shape[1:axis], inner)  # one selection each
    spread = (n, *(1,) * (len(per_row) - 1))
    if axis == 1:
        counts = cupy.broadcast_to(lengths.reshape(spread), per_row)
    else:
        within = cupy.arange(steps).reshape(1, steps, *(1,) * (len(per_row) - 2)) < lengths.reshape(spread)
        counts = cupy.broadcast_to(cupy.where(within, length, 0), per_row)
    rows = cupy.moveaxis(x.reshape(outer, length, inner), 1, 2)
    starts = cupy.arange(outer * inner + 1, dtype=np.int64) * length
    segments = Segments(starts, cupy.ascontiguousarray(counts, dtype=np.int32).reshape(-1))
    if kmax:
        _, selected = top_k_of_segments(cupy.ascontiguousarray(rows).reshape(-1), segments, kmax)
    else:
        selected = cupy.empty((outer * inner, 0), np.int32)
    if row_k is not None or order == "position":
        nowhere = np.int32(2**31 - 1)
        keep = selected >= 0
        if row_k is not None:
            limits = cupy.broadcast_to(row_k.reshape(spread), per_row).reshape(-1, 1)
            keep &= cupy.arange(kmax, dtype=np.int32) < limits
        selected = cupy.where(keep, selected, nowhere)
        if order == "position":
            selected = cupy.sort(selected, axis=1)
    bits = np.dtype(f"u{x.dtype.itemsize}")
    values, indices = cupy.empty(shape, x.dtype), cupy.empty(shape, np.int32)
    kernels(T=bits).pool_gather.over(
        values.size,
        x.view(bits),
        cupy.ascontiguousarray(selected),
        values.view(bits),
        indices,
        outer,
        length,
        inner,
        kmax,
    )
    if mode == "mask":
        return _scatter(indices, x, x.shape, axis, dense=True), indices
    return values, indices


def _checked(x: Any, lengths: Any, row_k: Any, k: int) -> int:
    """The number of columns of the output, after checking lengths and k on the host."""
    import cupy

    if x.ndim < 2:
        raise ValueError(f"DATA: has {x.ndim} dims, wants [N, L, ...]")
    count, steps = x.shape[:2]
    if row_k is None and k < 1:
        raise ValueError(f"k: is {k}, wants 1 or more where no input K is given")
    if lengths.shape != (count,):
        raise ValueError(f"LENGTHS: has {lengths.size} elements, DATA has {count} sequences")
    host = cupy.asnumpy(lengths)
    wrong = np.flatnonzero((host < 0) | (host > steps))
    if wrong.size:
        raise ValueError(f"LENGTHS: [{wrong[0]}] is {host[wrong[0]]}, wants 0 to {steps}, the steps of DATA")
    if row_k is None:
        return k
    if row_k.shape != (count,):
        raise ValueError(f"K: has {row_k.size} elements, DATA has {count} sequences")
    host = cupy.asnumpy(row_k)
    if (host < 0).any():
        raise ValueError(f"K: has {host.min()}, wants 0 or more")
    return int(host.max(initial=0))


def _scatter(indices: Any, source: Any, shape: tuple[int, ...], axis: int, *, dense: bool) -> Any:
    import cupy

    outer, length, inner = _view(shape, axis)
    if indices.shape != _replace(shape, axis, indices.shape[axis]):
        raise ValueError(f"indices: shape is {indices.shape}, does not go with DATA {shape}")
    if source.shape != (shape if dense else indices.shape):
        raise ValueError(f"dY: shape is {source.shape}, wants {shape if dense else indices.shape}")
    bits = np.dtype(f"u{source.dtype.itemsize}")
    result, bad = cupy.zeros(shape, source.dtype), cupy.zeros(1, np.int32)
    kernels(T=bits).pool_scatter.over(
        indices.size,
        indices,
        source.view(bits),
        result.view(bits),
        outer,
        length,
        inner,
        indices.shape[axis],
        dense,
        bad,
    )
    if int(bad[0]):
        raise IndexError(f"indices: has an index outside 0 to {length - 1} that is not -1")
    return result


def top_k_pool_gradient(indices: Any, dy: Any, shape: tuple[int, ...], axis: int = 1, mode: str = "gather") -> Any:
    """dx of `shape`: each element of dy where the value it belongs to was selected from, 0 elsewhere."""
    return _scatter(indices, dy, tuple(shape), axis % len(shape), dense=mode == "mask")

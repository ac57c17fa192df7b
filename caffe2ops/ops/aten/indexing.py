"""Functions that pick, place and move elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.aten.functions import axes, axis, declare, promoted
from caffe2ops.ops.index.rows import checked_indices
from caffe2ops.ops.shape.axes import canonical_axis, size


def _masks(indices: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Indices, with masks of uint8 (as old models have them) as bool."""
    return tuple(i.astype(np.bool_) if i.dtype == np.uint8 else i for i in indices)


def index_put(x: np.ndarray, *rest: np.ndarray, accumulate: bool = False) -> Any:
    *indices, values = rest
    out = x.copy()
    if accumulate:
        np.add.at(out, _masks(tuple(indices)), values)
    else:
        out[_masks(tuple(indices))] = values
    return out


def _along(index: np.ndarray, dim: int, x: np.ndarray) -> tuple[Any, ...]:
    """What picks x[.., index[i, j, ..], ..] for all i, j, .., the index standing at dim."""
    if index.ndim != x.ndim or any(a > b for d, (a, b) in enumerate(zip(index.shape, x.shape)) if d != axis(dim, x)):
        raise ValueError(f"index: shape is {list(index.shape)}, wants one within {list(x.shape)} but for dim {dim}")
    places: list[Any] = list(np.indices(index.shape, sparse=True))
    places[axis(dim, x)] = checked_indices(index, x.shape[axis(dim, x)], "index", "self")
    return tuple(places)


def scatter(x: np.ndarray, index: np.ndarray, source: np.ndarray, dim: int) -> Any:
    out = x.copy()
    out[_along(index, dim, x)] = source[tuple(map(slice, index.shape))]
    return out


def scatter_add(x: np.ndarray, index: np.ndarray, source: np.ndarray, dim: int) -> Any:
    out = x.copy()
    np.add.at(out, _along(index, dim, x), source[tuple(map(slice, index.shape))])
    return out


def index_select(x: np.ndarray, index: np.ndarray, dim: int) -> Any:
    return np.take(x, checked_indices(index.reshape(-1), x.shape[axis(dim, x)], "index", "self"), axis(dim, x))


def take(x: np.ndarray, index: np.ndarray) -> Any:
    return x.reshape(-1)[checked_indices(index, x.size, "index", "self", wrap=True)]


def masked_fill(x: np.ndarray, mask: np.ndarray, value: Any) -> Any:
    return np.where(mask.astype(np.bool_), np.asarray(value).astype(x.dtype), x)


def masked_select(x: np.ndarray, mask: np.ndarray) -> Any:
    x, mask = np.broadcast_arrays(x, mask.astype(np.bool_))
    return x[mask]


def expand(x: np.ndarray, size: Any) -> Any:
    kept = (1,) * (len(size) - x.ndim) + x.shape
    return np.broadcast_to(x, [have if want == -1 else want for want, have in zip(size, kept)])


def chunk(x: np.ndarray, chunks: int, dim: int = 0) -> Any:
    return split(x, max(1, -(-x.shape[axis(dim, x)] // max(1, chunks))), dim)


def split(x: np.ndarray, split_size: int, dim: int = 0) -> Any:
    if split_size < 1:
        raise ValueError(f"split_size = {split_size}, wants 1 or more")
    return np.split(x, np.arange(split_size, x.shape[axis(dim, x)], split_size), axis(dim, x))


def select(x: np.ndarray, dim: int, index: int) -> Any:
    return np.take(x, canonical_axis(index, x.shape[axis(dim, x)], "index"), axis(dim, x))


def narrow(x: np.ndarray, dim: int, start: int, length: int) -> Any:
    if not 0 <= start <= start + length <= x.shape[axis(dim, x)]:
        raise ValueError(f"start = {start}, length = {length}: self has {x.shape[axis(dim, x)]} along dim {dim}")
    return np.take(x, np.arange(start, start + length), axis(dim, x))


def squeeze(x: np.ndarray, dim: int) -> Any:
    return x.squeeze(axis(dim, x)) if x.ndim and x.shape[axis(dim, x)] == 1 else x


def flatten(x: np.ndarray, start_dim: int = 0, end_dim: int = -1) -> Any:
    first, last = axis(start_dim, x), axis(end_dim, x)
    return x.reshape(*x.shape[:first], size(x.shape[first : last + 1]), *x.shape[last + 1 :])


declare({
    "index *": lambda x, *indices: x[_masks(indices)],
    "index_put * accumulate=": index_put,
    "gather 2 dim": lambda x, index, dim: x[_along(index, dim, x)],
    "scatter 3 dim": scatter,
    "scatter_add 3 dim": scatter_add,
    "index_select 2 dim": index_select,
    "embedding 2": lambda x, index: x[checked_indices(index, len(x), "indices", "weight")],
    "take 2": take,
    "masked_fill 2 value": masked_fill,
    "masked_fill 3": lambda x, mask, value: masked_fill(x, mask, value),
    "masked_select 2": masked_select,
    "nonzero 1": lambda x: np.argwhere(x).astype(np.int64),
    "cat * dim=": lambda *tensors, dim=0: np.concatenate(promoted(*tensors), axis(dim, tensors[0])),
    "stack * dim=": lambda *tensors, dim=0: np.stack(promoted(*tensors), dim),
    "chunk 1 chunks dim=": chunk,
    "split 1 split_size dim=": split,
    "unbind 1 dim=": lambda x, dim=0: [select(x, dim, i) for i in range(x.shape[axis(dim, x)])],
    "select 1 dim index": select,
    "narrow 1 dim start length": narrow,
    "transpose 1 dim0 dim1": lambda x, dim0, dim1: np.swapaxes(x, axis(dim0, x), axis(dim1, x)),
    "permute 1 dims": lambda x, dims: x.transpose(axes(dims, x)),
    "t 1": np.transpose,
    "flip 1 dims": lambda x, dims: np.flip(x, axes(dims, x)),
    "reshape 1 shape": lambda x, shape: x.reshape(shape),
    "view 1 size": lambda x, size: x.reshape(size),
    "view_as 2": lambda x, like: x.reshape(like.shape),
    "flatten 1 start_dim= end_dim=": flatten,
    "squeeze 1": np.squeeze,
    "squeeze 1 dim": squeeze,
    "unsqueeze 1 dim": lambda x, dim: np.expand_dims(x, canonical_axis(dim, x.ndim + 1, "dim")),
    "expand 1 size": expand,
    "expand_as 2": lambda x, like: np.broadcast_to(x, like.shape),
    "repeat 1 repeats": lambda x, repeats: np.tile(x, repeats),
    "tril 1 diagonal=": lambda x, diagonal=0: np.tril(x, diagonal),
    "triu 1 diagonal=": lambda x, diagonal=0: np.triu(x, diagonal),
    "diag 1 diagonal=": lambda x, diagonal=0: np.diag(x, diagonal),
    "size 1 dim": lambda x, dim: np.int64(x.shape[axis(dim, x)]),
})  # fmt: skip

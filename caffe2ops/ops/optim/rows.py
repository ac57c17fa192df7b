"""What optimizers share: scalars that come as tensors, and the rows that a sparse gradient updates."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from caffe2ops.operator import FORBIDDEN, Array, Operator

F = np.float32


class Optimizer(Operator):
    """Base of the optimizers: no gradient can be asked of them."""

    gradient = FORBIDDEN


def one(name: str, value: Array) -> Array:
    """The only element of an input. Raises ValueError for more or fewer."""
    if value.size != 1:
        raise ValueError(f"{name}: has {value.size} elements, wants 1")
    return value.reshape(-1)[0]


def sparse_rows(param: np.ndarray, indices: np.ndarray, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices as a vector, and the gradient as one row of param's width for each.

    Raises IndexError for an index that is no row of param, ValueError where grad has not indices' shape and then
    param's after its first dim.
    """
    if not param.ndim:
        raise ValueError("param: is a scalar, wants rows")
    wanted = indices.shape + param.shape[1:]
    if grad.shape != wanted:
        raise ValueError(f"grad: shape is {list(grad.shape)}, indices and param want {list(wanted)}")
    flat = indices.reshape(-1)
    if flat.size and (flat.min() < 0 or flat.max() >= len(param)):
        bad = flat[(flat < 0) | (flat >= len(param))][0]
        raise IndexError(f"indices: {bad} is no row of param, which has {len(param)}")
    return flat, grad.reshape((flat.size, *param.shape[1:]))


def matrix(rows: np.ndarray) -> np.ndarray:
    """A view of rows of any shape as a matrix."""
    return rows.reshape(len(rows), prod(rows.shape[1:]))


def rounds(indices: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray | slice]]:
    """(indices, where they stand) such that no index is twice in a round, and a later occurrence comes in a later
    round.

    Caffe2 updates row by row: the second update of a row sees what the first has done. Rounds keep that and are as many
    as an index has occurrences at most.
    """
    if not indices.size:
        return
    order = np.argsort(indices, kind="stable")
    ordered = indices[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if starts.size == indices.size:
        yield indices, slice(None)
        return
    occurrence = np.arange(indices.size) - np.repeat(starts, np.diff(np.r_[starts, indices.size]))
    by_round = order[np.argsort(occurrence, kind="stable")]
    for at in np.split(by_round, np.cumsum(np.bincount(occurrence))[:-1]):
        yield indices[at], at

"""Functions that fold, scan or order along dims."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.aten.functions import Call, axes, axis, declare


def _whole(x: np.ndarray) -> Any:
    """The dtype of sums and products: int64 for whole numbers."""
    return x.dtype if x.dtype.kind == "f" else np.int64


def total(function: Call, x: np.ndarray, dims: Any = (), keepdim: bool = False) -> Any:
    return function(x, axis=axes(dims, x), dtype=_whole(x), keepdims=keepdim)


def mean(x: np.ndarray, dim: Any = (), keepdim: bool = False) -> Any:
    if x.dtype.kind != "f":
        raise TypeError(f"self: dtype is {x.dtype}, mean wants floating numbers")
    return np.mean(x, axis=axes(dim, x), keepdims=keepdim)


def spread(function: Call) -> dict[str, Call]:
    """The variance or deviation of all, or along dims."""

    def all_(x: np.ndarray, unbiased: bool = True) -> Any:
        return function(x, ddof=int(unbiased))

    def along(x: np.ndarray, dim: Any, unbiased: bool = True, keepdim: bool = False) -> Any:
        return function(x, axis=axes(dim, x), ddof=int(unbiased), keepdims=keepdim)

    return {f"{function.__name__} 1 unbiased=": all_, f"{function.__name__} 1 dim unbiased= keepdim=": along}


def extreme(name: str, value: Call, place: Call) -> dict[str, Call]:
    """The extreme of all, or along a dim with its place, the first of equal ones."""

    def along(x: np.ndarray, dim: int, keepdim: bool = False) -> Any:
        at = np.expand_dims(place(x, axis=axis(dim, x)), axis(dim, x)) if x.ndim else np.zeros((), np.int64)
        found = np.take_along_axis(x, at, axis(dim, x)) if x.ndim else x
        return (found, at) if keepdim or not x.ndim else (found.squeeze(axis(dim, x)), at.squeeze(axis(dim, x)))

    return {f"{name} 1": value, f"{name} 1 dim keepdim=": along, f"arg{name} 1": lambda x: np.int64(place(x))}


def order(x: np.ndarray, dim: int, descending: bool) -> Any:
    """Places in ascending or descending order, equal ones as they stand; nan counts as the greatest."""
    along = axis(dim, x)
    if not descending:
        return np.argsort(x, axis=along, kind="stable")
    return x.shape[along] - 1 - np.flip(np.argsort(np.flip(x, along), axis=along, kind="stable"), along)


def sort(x: np.ndarray, dim: int = -1, descending: bool = False) -> Any:
    at = order(x, dim, descending)
    return np.take_along_axis(x, at, axis(dim, x)), at


def topk(x: np.ndarray, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    along = axis(dim, x)
    if not 0 <= k <= x.shape[along]:
        raise ValueError(f"k = {k}, wants 0 to {x.shape[along]}, what self has along dim {along}")
    at = np.take(order(x, dim, largest), np.arange(k), axis=along)
    return np.take_along_axis(x, at, along), at


def unique(x: np.ndarray, sorted: bool = True, return_inverse: bool = False) -> Any:
    values, inverse = np.unique(x, return_inverse=True)
    return values, inverse.reshape(x.shape) if return_inverse else np.zeros(0, np.int64)


def unique2(x: np.ndarray, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False) -> Any:
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    none = np.zeros(0, np.int64)
    return values, inverse.reshape(x.shape) if return_inverse else none, counts if return_counts else none


def logsumexp(x: np.ndarray, dim: Any, keepdim: bool = False) -> Any:
    at = axes(dim, x)
    top = np.max(x, axis=at, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(x.dtype)
    found = np.log(np.sum(np.exp(x - top), axis=at, keepdims=True)) + top
    return found if keepdim else found.squeeze(at)


def softmax(x: np.ndarray, dim: int) -> Any:
    e = np.exp(x - np.max(x, axis=axis(dim, x), keepdims=True))
    return e / np.sum(e, axis=axis(dim, x), keepdims=True)


def log_softmax(x: np.ndarray, dim: int) -> Any:
    return x - logsumexp(x, (dim,), keepdim=True)


def prod_along(x: np.ndarray, dim: int, keepdim: bool = False) -> Any:
    return total(np.prod, x, (dim,), keepdim)


def test(function: Call) -> Call:
    return lambda x, dim, keepdim=False: function(x, axis=axis(dim, x), keepdims=keepdim)


declare(extreme("max", np.max, np.argmax) | extreme("min", np.min, np.argmin) | spread(np.var) | spread(np.std))
declare({
    "sum 1": lambda x: total(np.sum, x),
    "sum 1 dim keepdim=": lambda x, dim, keepdim=False: total(np.sum, x, dim, keepdim),
    "prod 1": lambda x: total(np.prod, x),
    "prod 1 dim keepdim=": prod_along,
    "mean 1": mean,
    "mean 1 dim keepdim=": mean,
    "all 1": np.all,
    "all 1 dim keepdim=": test(np.all),
    "any 1": np.any,
    "any 1 dim keepdim=": test(np.any),
    "norm 1 p=": lambda x, p=2: np.linalg.norm(x.reshape(-1), p),
    "logsumexp 1 dim keepdim=": logsumexp,
    "softmax 1 dim": softmax,
    "log_softmax 1 dim": log_softmax,
    "cumsum 1 dim": lambda x, dim: np.cumsum(x, axis(dim, x), dtype=_whole(x)),
    "cumprod 1 dim": lambda x, dim: np.cumprod(x, axis(dim, x), dtype=_whole(x)),
    "sort 1 dim= descending=": sort,
    "argsort 1 dim= descending=": lambda x, dim=-1, descending=False: order(x, dim, descending),
    "topk 1 k dim= largest= sorted=": topk,
    "_unique 1 sorted= return_inverse=": unique,
    "_unique2 1 sorted= return_inverse= return_counts=": unique2,
})  # fmt: skip

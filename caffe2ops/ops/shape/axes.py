"""Axes and shapes as arguments name them; everything here takes shapes with unknown dims too."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from caffe2ops.infer import UNKNOWN, Unknown

Shape = tuple[Any, ...]
ORDER_AXIS = {"NCHW": 1, "NHWC": 3}  # where the channels stand


def canonical_axis(axis: int, ndim: int, what: str = "axis") -> int:
    """The axis counted from the front. Raises ValueError where there is none such."""
    if not -ndim <= axis < ndim:
        raise ValueError(f"{what} = {axis}, wants -{ndim} to {ndim - 1} for a tensor of {ndim} dimensions")
    return axis % ndim


def known(dim: Any) -> bool:
    """Whether a dim or size is a number."""
    return not isinstance(dim, Unknown)


def differ(a: Any, b: Any) -> bool:
    """Whether two dims or sizes are known to differ."""
    return known(a) and known(b) and a != b


def size(shape: Sequence[Any]) -> Any:
    """The number of elements, UNKNOWN where a dim is."""
    return prod(shape) if all(map(known, shape)) else UNKNOWN


def flat2d(shape: Shape, axis: int, what: str = "axis") -> tuple[Any, Any]:
    """The sizes of the matrix that a tensor is when its dims before and from `axis` are joined."""
    axis = canonical_axis(axis, len(shape), what)
    return size(shape[:axis]), size(shape[axis:])


def same_shape(a: Shape, b: Shape) -> bool:
    """Whether two shapes may be the same."""
    return len(a) == len(b) and not any(map(differ, a, b))


def show(shape: Sequence[Any]) -> str:
    """A shape as messages show it."""
    return f"[{', '.join(map(str, shape))}]"


def wants_same(a: str, a_shape: Shape, b: str, b_shape: Shape) -> None:
    """Raises ValueError where input `a` and input `b` are known to differ in shape."""
    if not same_shape(a_shape, b_shape):
        raise ValueError(f"{b}: shape is {show(b_shape)}, wants that of {a}, {show(a_shape)}")

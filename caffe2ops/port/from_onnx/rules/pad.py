"""Padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.shape import sliced
from caffe2ops.port.from_onnx.values import fixed
from caffe2ops.port.values import Value


@rule("Pad")
def pad(
    g: Builder, node: Node, x: Value, pads: Value | None = None, value: Value | None = None, axes: Value | None = None
) -> Value:
    fill = (node["value"] or 0.0) if pads is None else 0 if value is None else fixed(value, "constant_value").item()
    places = [a % x.rank for a in fixed(axes, "axes").tolist()] if axes is not None else list(range(x.rank))
    if pads is not None and pads.array is None and node["mode"] == "constant":
        return _by_computed(g, x, g.cast(pads, np.int64), places, fill)
    given = node["pads"] if pads is None else fixed(pads, "pads").tolist()
    heads, tails = [0] * x.rank, [0] * x.rank
    for i, axis in enumerate(places):
        heads[axis], tails[axis] = given[i], given[i + len(places)]
    return padded(g, x, heads, tails, node["mode"], fill)


def padded(g: Builder, x: Value, heads: list[int], tails: list[int], mode: str, fill: Any) -> Value:
    """x with elements put before and behind each axis (or taken off, for negative numbers)."""
    if not any((*heads, *tails)):
        return x
    outside = x.dtype == np.float32 and not any((*heads[:2], *tails[:2])) and min(*heads, *tails) >= 0
    if outside and x.rank == 4 and mode in ("constant", "reflect", "edge"):
        return g.PadImage(x, pads=[*heads[2:], *tails[2:]], mode=mode, value=float(fill))
    if (
        outside and x.rank == 3 and mode in ("reflect", "edge") and not isinstance(x.shape[2], int)
    ):  # an image of one row
        return g.squeeze(padded(g, g.unsqueeze(x, 2), [0, 0, 0, heads[2]], [0, 0, 0, tails[2]], mode, fill), 2)
    for axis in [i for i, pair in enumerate(zip(heads, tails)) if any(pair)]:
        if mode == "constant":
            x = _put_around(g, x, axis, heads[axis], tails[axis], fill)
        else:
            size = x.static(axis)
            around: Any = (max(heads[axis], 0), max(tails[axis], 0))
            how: Any = mode
            order = np.pad(np.arange(size), around, how)
            order = order[max(-heads[axis], 0) : len(order) - max(-tails[axis], 0)]
            x = g.one("Gather", x, order.astype(np.int64), axis=axis)
    return x


def _put_around(g: Builder, x: Value, axis: int, head: int, tail: int, fill: Any) -> Value:
    if min(head, tail) < 0:
        x = sliced(g, x, axis, max(-head, 0), tail if tail < 0 else np.iinfo(np.int64).max, 1)
    ends = [filled(g, x, axis, count, fill) if count > 0 else None for count in (head, tail)]
    found = g.join([v for v in (ends[0], x, ends[1]) if v is not None], axis)
    size = x.shape[axis]
    whole = size + max(head, 0) + max(tail, 0) if isinstance(size, int) else None
    found.shape = [whole if i == axis else d for i, d in enumerate(x.shape)]
    return found


def _by_computed(g: Builder, x: Value, pads: Value, axes: list[int], fill: Any) -> Value:
    """With as many elements as computed numbers say."""
    g.note("a computed padding below 0, which takes elements off in ONNX, is an error in Caffe2")
    for i, axis in enumerate(axes):
        dims = [None if j == axis else d for j, d in enumerate(x.shape)]
        head, tail = (filled(g, x, axis, g.cut(pads, 0, at, at + 1), fill) for at in (i, i + len(axes)))
        x = g.join([head, x, tail], axis)
        x.shape = dims
    return x


def filled(g: Builder, x: Value, axis: int, count: int | Value, number: Any) -> Value:
    """A tensor of one number, like x but for the size of an axis."""
    dims = [(count if isinstance(count, int) else None) if i == axis else d for i, d in enumerate(x.shape)]
    if all(isinstance(d, int) for d in dims):
        return g.full(dims, number, x.dtype)
    sides = [g.dims(x, *axes) for axes in (range(axis), range(axis + 1, x.rank)) if axes]
    size = count if isinstance(count, Value) else np.asarray([count])
    found = g.full(g.join([*sides[: axis > 0], size, *sides[axis > 0 :]], 0), number, x.dtype)
    found.shape = dims
    return found

"""Choosing and placing elements: by index, by order, by condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import INTEGER, NUMBER, Builder, NotPortable, Value
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule


def from_front(g: Builder, indices: Value, size: int | None) -> Value:
    """Indices counted from the front; ONNX also counts from the end, below 0. `size` None: Caffe2 does so itself."""
    (found,) = g.accepted(INTEGER, indices)
    if found.array is not None:
        return found if size is None else g.constant(np.where(found.array < 0, found.array + size, found.array))
    if size is None:
        return found
    return g.where(g.LT(found, g.like(found, 0)), g.Add(found, g.like(found, size)), found)


@rule("Gather")
def gather(g: Builder, node: Node, x: Value, indices: Value) -> Value:
    axis = node["axis"]
    if axis < 0:
        axis %= x.rank
    dim = x.shape[axis] if x.has_rank else None
    places = from_front(g, indices, dim if isinstance(dim, int) else None)
    return g.op("Gather", x, places, axis=axis)  # type: ignore[no-any-return]


@rule("GatherElements")
def gather_elements(g: Builder, node: Node, x: Value, indices: Value) -> Value:
    axis = node["axis"] % x.rank
    places = g.cast(from_front(g, indices, x.static(axis)), np.int64)
    return g.aten("gather", x, places, dim=axis)  # type: ignore[no-any-return]


def flat_indices(g: Builder, indices: Value, dims: list[int]) -> Value:
    """Which row the last dim of `indices`, one number for each of `dims`, means when these dims are one."""
    places = g.cast(indices, np.int64)
    sizes = g.constant(np.asarray(dims, np.int64))
    if places.array is not None:
        places = g.constant(np.where(places.array < 0, places.array + sizes.array, places.array))
    else:
        places = g.where(g.LT(places, g.like(places, 0)), g.Add(places, sizes), places)
    strides = np.cumprod([1, *dims[:0:-1]])[::-1].astype(np.int64)
    return g.ReduceSum(g.Mul(places, g.constant(strides)), axes=[places.rank - 1], keepdims=0)  # type: ignore[no-any-return]


@rule("GatherND")
def gather_nd(g: Builder, node: Node, x: Value, indices: Value) -> Value:
    batch, count = node["batch_dims"] or 0, indices.static(-1)
    dims = [x.static(i) for i in range(batch + count)]
    rows = flat_indices(g, indices, dims[batch:])
    if batch:
        each = int(np.prod(dims[batch:]))
        front = np.arange(int(np.prod(dims[:batch])), dtype=np.int64).reshape(dims[:batch]) * each
        rows = g.Add(rows, g.constant(front.reshape(*dims[:batch], *[1] * (rows.rank - batch))))
    rest = [x.static(i) for i in range(batch + count, x.rank)]
    return g.op("Gather", g.reshape(x, [int(np.prod(dims)), *rest]), rows, axis=0)  # type: ignore[no-any-return]


@rule("ScatterElements", "Scatter")
def scatter_elements(g: Builder, node: Node, x: Value, indices: Value, updates: Value) -> Value:
    axis, how = node["axis"] % x.rank, node["reduction"] or "none"
    if how not in ("none", "add"):
        raise NotPortable(f"reduction = {how!r}, Caffe2 only adds")
    places = g.cast(from_front(g, indices, x.static(axis)), np.int64)
    return g.aten("scatter" if how == "none" else "scatter_add", x, places, updates, dim=axis)  # type: ignore[no-any-return]


@rule("ScatterND")
def scatter_nd(g: Builder, node: Node, x: Value, indices: Value, updates: Value) -> Value:
    how, count = node["reduction"] or "none", indices.static(-1)
    if how not in ("none", "add"):
        raise NotPortable(f"reduction = {how!r}, Caffe2 only adds")
    dims, rest = [x.static(i) for i in range(count)], [x.static(i) for i in range(count, x.rank)]
    rows = g.reshape(flat_indices(g, indices, dims), [-1])
    data, new = g.reshape(x, [int(np.prod(dims)), *rest]), g.reshape(updates, [-1, *rest])
    found = g.aten("index_put", data, rows, new, accumulate=int(how == "add"))
    found.shape = data.shape
    return g.reshape(found, [*dims, *rest])


@rule("OneHot")
def one_hot(g: Builder, node: Node, indices: Value, depth: Value, values: Value) -> Value:
    count = int(depth.constant("depth").reshape(-1)[0])
    axis = node["axis"] % (indices.rank + 1)
    (places,) = [g.cast(indices, np.int64)]
    places = g.unsqueeze(from_front(g, places, count), axis)
    shape = [count if i == axis else 1 for i in range(indices.rank + 1)]
    hit = g.EQ(places, g.constant(np.arange(count, dtype=np.int64).reshape(shape)))
    off, on = (g.op("Slice", values, starts=[i], ends=[i + 1]) for i in (0, 1))
    return g.where(hit, on, off)


@rule("TopK")
def top_k(g: Builder, node: Node, x: Value, k: Value | None = None) -> list[Value]:
    axis, (a,) = node["axis"] % x.rank, g.accepted(NUMBER, x)
    least = node["largest"] == 0
    a = g.Negative(a) if least else a
    if k is None or k.array is not None:
        number = node["k"] if k is None else int(k.constant("K").reshape(-1)[0])
        values, places = g.TopK(a, out=2, k=number, axis=axis)
    else:
        values, places = g.TopK(a, g.cast(k, np.int64), out=2, axis=axis)
    return [g.cast(g.Negative(values) if least else values, x.dtype), places]


def places_of(g: Builder, x: Value) -> Value:
    """Where x isn't 0, [count, rank]."""
    found: Value = g.aten("nonzero", x, like=np.int64)
    found.shape = [None, x.rank]
    return found


@rule("NonZero")
def nonzero(g: Builder, node: Node, x: Value) -> Value:
    return g.transpose(places_of(g, x), [1, 0])


@rule("Compress")
def compress(g: Builder, node: Node, x: Value, condition: Value) -> Value:
    rows = g.reshape(places_of(g, condition), [-1])
    if node["axis"] is None:
        return g.op("Gather", g.reshape(x, [-1]), rows, axis=0)  # type: ignore[no-any-return]
    return g.op("Gather", x, rows, axis=node["axis"] % x.rank)  # type: ignore[no-any-return]


@rule("CumSum", "CumProd")
def cumulative(g: Builder, node: Node, x: Value, axis: Value) -> Value:
    along = int(axis.constant("axis").reshape(-1)[0]) % x.rank
    name, start = ("cumsum", 0) if node.type == "CumSum" else ("cumprod", 1)

    def turned(v: Value) -> Value:
        if not node["reverse"]:
            return v
        return g.op("Gather", v, np.arange(x.static(along) - 1, -1, -1), axis=along)  # type: ignore[no-any-return]

    found = turned(x)
    if node["exclusive"]:
        first = g.full([1 if i == along else x.static(i) for i in range(x.rank)], start, x.dtype)
        found = g.join([first, g.cut(found, along, 0, x.static(along) - 1)], along)
    found = g.aten(name, found, dim=along, like=np.int64 if x.dtype.kind in "iub" else x)
    found.shape = x.shape
    return turned(g.cast(found, x.dtype))


@rule("ReverseSequence")
def reverse_sequence(g: Builder, node: Node, x: Value, lengths: Value) -> Value:
    time, batch = node["time_axis"], node["batch_axis"]
    y = x if time == 0 else g.transpose(x, [1, 0, *range(2, x.rank)])
    steps, count = y.static(0), y.static(1)
    at, lane = np.arange(steps, dtype=np.int64)[:, None], np.arange(count, dtype=np.int64)[None]
    long = g.reshape(g.cast(lengths, np.int64), [1, count])
    inside = g.LT(g.constant(np.broadcast_to(at, (steps, count)).copy()), long)
    turned = g.Sub(g.Sub(long, g.constant(np.int64(1))), g.constant(at))
    rows = g.Add(g.Mul(g.where(inside, turned, g.constant(at)), g.constant(np.int64(count))), g.constant(lane))
    flat = g.reshape(y, [steps * count, *y.shape[2:]])
    found = g.reshape(g.op("Gather", flat, g.reshape(rows, [-1]), axis=0), list(y.shape))
    return found if (time, batch) == (0, 1) else g.transpose(found, [1, 0, *range(2, x.rank)])


@rule("Unique")
def unique(g: Builder, node: Node, x: Value) -> Any:
    if node.has("axis") or node.wants(1) or not node["sorted"]:
        raise NotPortable("along an axis, in the order of appearance, or with the places of the first ones")
    found = g.aten("_unique2", x, out=3, sorted=1, return_inverse=1, return_counts=1)
    for value, dtype in zip(found, (x.dtype, np.int64, np.int64)):
        value.dtype, value.shape = np.dtype(dtype), [None]
    return [found[0], None, found[1], found[2]]


@rule("BitShift")
def shifted(g: Builder, node: Node, x: Value, by: Value) -> Value:
    """Times a power of 2, or over it and rounded down."""
    left = node["direction"] == "LEFT"
    if x.dtype.itemsize == 8 and not left:
        raise NotPortable(f"shifts {x.dtype} to the right, which float64 can't divide exactly")
    power = g.aten("pow", g.constant(np.float64(2)), g.cast(by, np.float64))
    if left:
        return g.cast(g.Mul(g.cast(x, np.int64), g.cast(power, np.int64)), x.dtype)
    return g.cast(g.Floor(g.Div(g.cast(x, np.float64), power)), x.dtype)

"""Choosing and placing elements: by index, by order, by condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.control import loop
from caffe2ops.port.from_onnx.values import INTEGER, NUMBER, fixed
from caffe2ops.port.values import Value


def size_of(g: Builder, x: Value, axis: int) -> Value:
    """A dim as a vector of one; a constant where it is known."""
    return g.dims(x, axis)


def from_front(g: Builder, indices: Value, size: Value) -> Value:
    """Indices counted from the front; ONNX also counts from the end, below 0."""
    (found,) = g.accepted(INTEGER, indices)
    if found.array is not None:
        if not (found.array < 0).any():
            return found
        if size.array is not None:
            sizes = size.array.astype(found.dtype) if found.rank else size.array.astype(found.dtype).reshape(())
            return g.constant(np.where(found.array < 0, found.array + sizes, found.array))
    return g.where(g.LT(found, g.like(found, 0)), g.Add(found, _wide(g, size, found)), found)


def _wide(g: Builder, size: Value, like: Value) -> Value:
    """A vector of one as it is added to `like`."""
    return g.cast(size if like.rank else g.reshape(size, []), like.dtype)


@rule("Gather")
def gather(g: Builder, node: Node, x: Value, indices: Value) -> Value:
    axis = node["axis"]
    if axis < 0:
        axis %= x.rank
    places = from_front(g, indices, size_of(g, x, axis))
    return g.one("Gather", x, places, axis=axis)


@rule("GatherElements")
def gather_elements(g: Builder, node: Node, x: Value, indices: Value) -> Value:
    axis = node["axis"] % x.rank
    places = g.cast(from_front(g, indices, size_of(g, x, axis)), np.int64)
    return g.aten("gather", x, places, dim=axis)


def flat_indices(g: Builder, indices: Value, sizes: Value, count: int) -> Value:
    """Which row the last dim of `indices`, one number for each of `sizes`, means when these dims are one."""
    places = from_front(g, g.cast(indices, np.int64), sizes)
    if count == 1:
        return g.squeeze(places, places.rank - 1)
    if sizes.array is not None:
        strides = g.constant(np.cumprod([1, *sizes.array[:0:-1]])[::-1].astype(np.int64))
    else:
        parts = [g.constant(np.ones(1, np.int64))]
        for i in range(count - 1, 0, -1):
            parts.append(g.Mul(parts[-1], g.op("Slice", sizes, starts=[i], ends=[i + 1])))
        strides = g.join(parts[::-1], 0)
    return g.ReduceSum(g.Mul(places, strides), axes=[places.rank - 1], keepdims=0)


def joined(g: Builder, x: Value, count: int) -> Value:
    """x with its first dims as one."""
    if count == 1:
        return x
    rest = g.dims(x, *range(count, x.rank)) if count < x.rank else None
    if rest is None or rest.array is not None:
        return g.reshape(x, [-1, *(() if rest is None or rest.array is None else rest.array.tolist())])
    found = g.reshape(x, g.join([np.asarray([-1]), rest], 0))
    found.shape = [None, *x.shape[count:]]
    return found


@rule("GatherND")
def gather_nd(g: Builder, node: Node, x: Value, indices: Value) -> Value:
    batch, count = node["batch_dims"] or 0, indices.static(-1)
    rows = flat_indices(g, indices, g.dims(x, *range(batch, batch + count)), count)
    if batch:
        dims = [x.static(i) for i in range(batch + count)]
        each = int(np.prod(dims[batch:]))
        front = np.arange(int(np.prod(dims[:batch])), dtype=np.int64).reshape(dims[:batch]) * each
        rows = g.Add(rows, g.constant(front.reshape(*dims[:batch], *[1] * (rows.rank - batch))))
    return g.one("Gather", joined(g, x, batch + count), rows, axis=0)


@rule("ScatterElements", "Scatter")
def scatter_elements(g: Builder, node: Node, x: Value, indices: Value, updates: Value) -> Value:
    axis, how = node["axis"] % x.rank, node["reduction"] or "none"
    places = g.cast(from_front(g, indices, size_of(g, x, axis)), np.int64)
    if how in ("none", "add"):
        return g.aten("scatter" if how == "none" else "scatter_add", x, places, updates, dim=axis)
    shape, sizes = [indices.static(i) for i in range(x.rank)], [x.static(i) for i in range(x.rank)]
    strides = np.cumprod([1, *sizes[:0:-1]])[::-1].astype(np.int64)
    others = sum(
        (n * s for i, (n, s) in enumerate(zip(np.indices(shape), strides)) if i != axis), np.zeros(shape, np.int64)
    )
    rows = g.Add(g.Mul(places, g.like(places, strides[axis])), g.constant(others))
    flat = _one_by_one(g, how, g.reshape(x, [-1]), g.reshape(rows, [-1]), g.reshape(updates, [-1]))
    return g.reshape(flat, sizes)


@rule("TensorScatter")
def cached(g: Builder, node: Node, x: Value, updates: Value, starts: Value | None = None) -> Value:
    """Rows put into a cache from a place on that each element of the batch has, in a circle where the mode says so."""
    axis = node["axis"] % x.rank
    shape, count = [1] * x.rank, updates.static(axis)
    shape[axis] = count
    rows = g.constant(np.arange(count, dtype=np.int64).reshape(shape))
    if starts is not None:
        rows = g.Add(rows, g.reshape(g.cast(starts, np.int64), [-1, *[1] * (x.rank - 1)]))
    if node["mode"] == "circular":
        size, around = g.cast(g.reshape(g.dims(x, axis), [1]), np.int64), rows
        rows = g.aten("remainder", around, size)
        rows.shape = around.shape
    found = g.aten("scatter", x, g.expand(rows, g.dims(updates)), updates, dim=axis)
    found.shape = x.shape
    return found


@rule("ScatterND")
def scatter_nd(g: Builder, node: Node, x: Value, indices: Value, updates: Value) -> Value:
    how, count = node["reduction"] or "none", indices.static(-1)
    rows = flat_indices(g, indices, g.dims(x, *range(count)), count)
    data, new = joined(g, x, count), updates if rows.rank == 1 else joined(g, updates, rows.rank)
    rows = rows if rows.rank == 1 else g.reshape(rows, [-1])
    if how in ("none", "add"):
        found = g.aten("index_put", data, rows, new, accumulate=int(how == "add"))
        found.shape = data.shape
    else:
        found = _one_by_one(g, how, data, rows, new)
    if count == 1:
        return found
    found = g.reshape(found, g.dims(x))
    found.shape = x.shape
    return found


def _one_by_one(g: Builder, how: str, data: Value, rows: Value, updates: Value) -> Value:
    """The greatest, the least or the product of what is there and what is put there, in a loop over the updates."""

    def step(inner: Builder, given: list[Value]) -> Any:
        turn, _, held = given
        row, new = inner.one("Gather", rows, turn, axis=0), inner.op("Gather", updates, turn, axis=0)
        old = inner.one("Gather", held, row, axis=0)
        both = inner.Mul(old, new) if how == "mul" else inner.aten({"max": "maximum", "min": "minimum"}[how], old, new)
        both.shape = old.shape
        found = inner.aten("index_put", held, inner.unsqueeze(row, 0), inner.unsqueeze(both, 0))
        found.shape = data.shape
        return None, [found], []

    (wide,), _ = loop(g, g.reshape(g.dims(rows, 0), []), None, g.accepted(NUMBER, data), step)
    return g.cast(wide, data.dtype)


@rule("OneHot")
def one_hot(g: Builder, node: Node, indices: Value, depth: Value, values: Value) -> Value:
    axis, count = node["axis"] % (indices.rank + 1), g.reshape(g.cast(depth, np.int64), [1])
    places = g.unsqueeze(from_front(g, g.cast(indices, np.int64), count), axis)
    turns = np.arange(count.array[0]) if count.array is not None else g.Range(g.reshape(count, []))
    hit = g.EQ(places, g.reshape(g.value(turns), [-1 if i == axis else 1 for i in range(indices.rank + 1)]))
    off, on = (g.op("Slice", values, starts=[i], ends=[i + 1]) for i in (0, 1))
    return g.where(hit, on, off)


@rule("TopK")
def top_k(g: Builder, node: Node, x: Value, k: Value | None = None) -> list[Value]:
    axis, (a,) = node["axis"] % x.rank, g.accepted(NUMBER, x)
    least = node["largest"] == 0
    a = g.Negative(a) if least else a
    if k is None or k.array is not None:
        number = node["k"] if k is None else int(fixed(k, "K").reshape(-1)[0])
        values, places = g.op("TopK", a, out=2, k=number, axis=axis)
    else:
        values, places = greatest(g, a, g.cast(k, np.int64), axis)
    return [g.cast(g.Negative(values) if least else values, x.dtype), places]


def greatest(g: Builder, x: Value, k: Value, axis: int) -> tuple[Value, Value]:
    """The k greatest along an axis and where they are, for a vector k of one that may hold 0.

    Caffe2's TopK wants 1 at least: it gets an element more, behind all others and not greater than any, and gives one
    more.
    """
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    sides = [g.dims(x, *range(*r)) for r in ((0, axis), (axis + 1, x.rank)) if r[0] < r[1]]
    one = g.constant(np.ones(1, np.int64))
    shape = g.join([*sides[: axis > 0], one, *sides[axis > 0 :]], 0) if x.rank > 1 else one
    wide = g.join([x, g.full(shape, least, x.dtype)], axis)
    found = g.op("TopK", wide, g.Add(g.reshape(k, [1]), one), out=2, axis=axis)
    starts, ends = (np.full(x.rank, n, np.int64) for n in (0, -1))
    end = g.join([v for v in (ends[:axis], k, ends[axis + 1 :]) if not isinstance(v, np.ndarray) or v.size], 0)
    values, places = (g.Slice(v, starts, end) for v in found)
    values.shape = places.shape = [None if i == axis else d for i, d in enumerate(x.shape)]
    return values, places


def places_of(g: Builder, x: Value) -> Value:
    """Where x isn't 0, [count, rank]."""
    found = g.aten("nonzero", x, like=np.int64)
    found.shape = [None, x.rank]
    return found


@rule("NonZero")
def nonzero(g: Builder, node: Node, x: Value) -> Value:
    return g.transpose(places_of(g, x), [1, 0])


@rule("Compress")
def compress(g: Builder, node: Node, x: Value, condition: Value) -> Value:
    rows = g.reshape(places_of(g, condition), [-1])
    if node["axis"] is None:
        return g.one("Gather", g.reshape(x, [-1]), rows, axis=0)
    return g.one("Gather", x, rows, axis=node["axis"] % x.rank)


@rule("CumSum", "CumProd")
def cumulative(g: Builder, node: Node, x: Value, axis: Value) -> Value:
    along = int(fixed(axis, "axis").reshape(-1)[0]) % x.rank
    name, start = ("cumsum", 0) if node.type == "CumSum" else ("cumprod", 1)

    def turned(v: Value) -> Value:
        if not node["reverse"]:
            return v
        return g.one("Gather", v, np.arange(x.static(along) - 1, -1, -1), axis=along)

    found = turned(x)
    whole = x.dtype.kind in "iu" and node.type == "CumSum"
    if node["exclusive"] and not whole:
        first = g.full([1 if i == along else x.static(i) for i in range(x.rank)], start, x.dtype)
        found = g.join([first, g.cut(found, along, 0, x.static(along) - 1)], along)
    found = g.aten(name, found, dim=along, like=np.int64 if x.dtype.kind in "iub" else x)
    found.shape = x.shape
    found = g.cast(found, x.dtype)
    return turned(g.Sub(found, turned(x)) if node["exclusive"] and whole else found)


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

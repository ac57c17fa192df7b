"""Shapes, and what moves elements without looking at them."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node, onnx
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.reduce import axes_of
from caffe2ops.port.from_onnx.values import NUMBER, fixed
from caffe2ops.port.values import NotPortable, Value


@rule("Constant")
def constant(g: Builder, node: Node) -> Value:
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64), ("value_floats", np.float32),
                        ("value_ints", np.int64), ("value", None), ("sparse_value", None)):  # fmt: skip
        if node.has(name):
            return g.constant(np.asarray(node[name], dtype), node.outputs[0] if not g.inside else "")
    texts = node["value_strings"] if node.has("value_strings") else node["value_string"]
    if texts is None:
        raise NotPortable("holds nothing")
    array = np.empty((len(texts),) if isinstance(texts, list) else (), object)
    array[...] = [t.encode() for t in texts] if isinstance(texts, list) else texts.encode()
    return g.constant(array)


@rule("ConstantOfShape")
def constant_of_shape(g: Builder, node: Node, shape: Value) -> Value:
    value = np.zeros(1, np.float32) if node["value"] is None else node["value"]
    return g.full(shape, value.reshape(-1)[0], value.dtype)


@rule("Shape")
def shape(g: Builder, node: Node, x: Value) -> Value:
    if node["start"] is None and node["end"] is None:
        return g.dims(x)
    axes = list(range(x.rank))[slice(node["start"], node["end"])]
    return g.dims(x, *axes) if axes else g.constant(np.zeros(0, np.int64))


@rule("Size")
def size(g: Builder, node: Node, x: Value) -> Value:
    return g.Size(x) if not x.has_rank or x.size is None else g.constant(np.int64(x.size))


@rule("Reshape")
def reshape(g: Builder, node: Node, x: Value, dims: Value) -> Value:
    if not node["allowzero"]:
        return g.reshape(x, dims)
    if dims.array is None:
        g.note("a computed dim of 0 is the dim as before in Caffe2, 0 elements in ONNX (allowzero = 1)")
        return g.reshape(x, dims)
    wanted = dims.array.tolist()
    if 0 in wanted and wanted != [x.shape[i] if i < x.rank else -1 for i in range(len(wanted))]:
        if x.known and x.size == 0 and -1 not in wanted:
            return g.full(wanted, 0, x.dtype)
        raise NotPortable(f"allowzero = 1 with the shape {wanted}: Caffe2's 0 is a dim as before")
    return g.reshape(x, wanted)


@rule("Flatten")
def flatten(g: Builder, node: Node, x: Value) -> Value:
    axis = node["axis"]
    return g.Flatten(x, axis=axis % x.rank if axis < 0 else axis)


@rule("Transpose")
def transpose(g: Builder, node: Node, x: Value) -> Value:
    if node.has("perm"):
        return g.transpose(x, node["perm"])
    return x if x.has_rank and x.rank < 2 else g.op("Transpose", x)


@rule("Squeeze")
def squeeze(g: Builder, node: Node, x: Value, axes: Value | None = None) -> Value:
    given = axes_of(node, axes) or [i for i in range(x.rank) if x.static(i) == 1]
    return g.squeeze(x, *(a % x.rank if a < 0 else a for a in given))


@rule("Unsqueeze")
def unsqueeze(g: Builder, node: Node, x: Value, axes: Value | None = None) -> Value:
    given = axes_of(node, axes)
    return g.unsqueeze(x, *(a % (x.rank + len(given)) if a < 0 else a for a in given))


@rule("Concat")
def concat(g: Builder, node: Node, *inputs: Value) -> Value:
    axis = node["axis"]
    return g.join(inputs, axis % inputs[0].rank if axis < 0 else axis)


@rule("Split")
def split(g: Builder, node: Node, x: Value, sizes: Value | None = None) -> list[Value]:
    axis, count = node["axis"] % x.rank, len(node.outputs)
    if node.has("split"):
        given = node["split"]
    elif sizes is not None and sizes.array is None:
        found = list(g.op("Split", x, g.cast(sizes, np.int32), out=count, axis=axis))
        for value in found:
            value.shape = [None if i == axis else d for i, d in enumerate(x.shape)]
        return found
    elif sizes is not None:
        given = fixed(sizes, "split").tolist()
    else:
        each = -(-x.static(axis) // count)
        given = [min(each, x.static(axis) - each * i) for i in range(count)]
    return g.split(x, given, axis)


@rule("Slice")
def cut(
    g: Builder, node: Node, x: Value, starts: Value | None = None, ends: Value | None = None, axes: Value | None = None,
    steps: Value | None = None,
) -> Value:  # fmt: skip
    def given(name: str, value: Value | None) -> Any:
        return node[name] if node.opset < 10 else None if value is None else fixed(value, name).tolist()

    try:
        begins, stops = given("starts", starts), given("ends", ends)
    except NotPortable:
        return _computed(g, x, starts, ends, axes, steps)
    along = given("axes", axes) or range(len(begins))
    by = (None if node.opset < 10 else given("steps", steps)) or [1] * len(begins)
    for start, stop, axis, step in zip(begins, stops, along, by):
        x = sliced(g, x, axis % x.rank, int(start), int(stop), int(step))
    return x


def sliced(g: Builder, x: Value, axis: int, start: int, stop: int, step: int) -> Value:
    dim = x.shape[axis]
    if isinstance(dim, int):
        start = max(start, -dim) if step < 0 else start  # in ONNX the first element, in Python nothing
        places = range(*slice(start, stop, step).indices(dim))
        if step == 1:
            return g.cut(x, axis, places.start, max(places.start, places.stop))
        return g.one("Gather", x, np.asarray(places, np.int64), axis=axis)
    if step != 1:
        first, end = (g.constant(np.array([n], np.int64)) for n in (start, stop))
        return _by_steps(g, x, axis, first, end, step)
    head = start if start >= 0 else start - 1  # Caffe2's -1 is the end itself
    last = -1 if stop >= np.iinfo(np.int32).max else stop if stop >= 0 else stop - 1
    if head >= 0:
        return g.cut(x, axis, head, last)
    starts, ends = [0] * x.rank, [-1] * x.rank
    starts[axis], ends[axis] = head, last
    return g.one("Slice", x, starts=starts, ends=ends)


def _computed(g: Builder, x: Value, starts: Any, ends: Any, axes: Value | None, steps: Value | None) -> Value:
    """Cut where computed numbers say; Caffe2 counts them from the front, or one further from the end."""
    by = [] if steps is None else fixed(steps, "steps").tolist()
    if any(step != 1 for step in by):
        for i, step in enumerate(by):
            axis = i if axes is None else int(fixed(axes, "axes")[i])
            start, end = (g.cast(g.cut(v, 0, i, i + 1), np.int64) for v in (starts, ends))
            x = _by_steps(g, x, axis % x.rank, start, end, step)
        return x
    along = list(range(starts.static(0))) if axes is None else [int(a) % x.rank for a in fixed(axes, "axes")]
    count = len(along)
    size = g.Gather(g.cast(g.dims(x), np.int64), np.asarray(along, np.int64))
    places = []
    for given in (starts, ends):
        given, zero = g.cast(given, np.int64), g.constant(np.zeros(count, np.int64))
        front = g.where(g.LT(given, zero), g.Add(given, size), given)
        inside = g.where(g.LT(front, zero), zero, front)
        places.append(g.where(g.GT(inside, size), size, inside))
    places[1] = g.where(g.LT(places[1], places[0]), places[0], places[1])
    for i, axis in enumerate(along):
        parts = []
        for value, rest in zip(places, (0, -1)):
            one = g.one("Slice", value, starts=[i], ends=[i + 1])
            around = [np.full(n, rest, np.int64) for n in (axis, x.rank - axis - 1)]
            parts.append(g.join([v for v in (around[0], one, around[1]) if not isinstance(v, np.ndarray) or v.size], 0))
        shape = x.shape
        x = g.one("Slice", x, *parts)
        x.shape = [None if j == axis else d for j, d in enumerate(shape)]
    return x


def _by_steps(g: Builder, x: Value, axis: int, start: Value, end: Value, step: int) -> Value:
    """Every so many elements of an axis, by their places."""
    size, shape = g.cast(g.dims(x, axis), np.int64), list(x.shape)
    least, most = (-1, g.Sub(size, g.like(size, 1))) if step < 0 else (0, size)

    def inside(place: Value, low: Any) -> Value:
        front = g.where(g.LT(place, g.like(place, 0)), g.Add(place, size), place)
        above = g.where(g.LT(front, g.like(front, low)), g.like(front, low), front)
        return g.where(g.GT(above, most), most, above)

    first, stop = inside(start, 0), inside(end, least)
    apart = g.Div(g.cast(g.Sub(stop, first), np.float64), g.constant(np.array([step], np.float64)))
    turns = g.Range(g.reshape(g.cast(g.aten("ceil", apart), np.int64), []))
    turns.shape = [None]
    places = g.Add(g.Mul(turns, g.constant(np.array([step], np.int64))), first)
    found = g.one("Gather", x, places, axis=axis)
    shape[axis] = None
    found.shape = shape
    return found


@rule("Expand")
def expand(g: Builder, node: Node, x: Value, dims: Value) -> Value:
    return g.expand(x, dims)


@rule("Tile")
def tile(g: Builder, node: Node, x: Value, repeats: Value, tiles: Value | None = None) -> Value:
    return g.NumpyTile(x, g.cast(repeats, np.int64))


@rule("Range")
def span(g: Builder, node: Node, start: Value, limit: Value, delta: Value) -> Value:
    """By the number of elements: Caffe2's Range counts wrong where it goes down."""
    first, end, step = g.accepted(NUMBER, start, limit, delta)
    if step.array is not None and step.array > 0:
        found = g.Range(first, end, step)
    else:
        apart, by = (g.cast(v, np.float64) for v in (g.Sub(end, first), step))
        turns = g.Range(g.cast(g.aten("ceil", g.Div(apart, by)), np.int64))
        found = g.Add(g.Mul(g.cast(turns, first.dtype), step), first)
    found.shape = [None]
    return g.cast(found, start.dtype)


@rule("EyeLike")
def eye(g: Builder, node: Node, x: Value) -> Value:
    dtype = x.dtype if node["dtype"] is None else onnx.helper.tensor_dtype_to_np_dtype(node["dtype"])
    return g.constant(np.eye(x.static(0), x.static(1), node["k"], dtype))


@rule("DepthToSpace", "SpaceToDepth")
def blocks(g: Builder, node: Node, x: Value) -> Value:
    block, c = node["blocksize"], x.static(1)
    n, h, w = (g.dim(x, axis) for axis in (0, 2, 3))

    def over(dim: Any) -> Any:
        return dim // block if isinstance(dim, int) else g.Div(dim, g.like(dim, block))

    if node.type == "SpaceToDepth":
        folded = g.reshape_to(x, [n, c, over(h), block, over(w), block])
        order = [0, 1, 3, 5, 2, 4] if node["mode"] == "CRD" else [0, 3, 5, 1, 2, 4]
        return g.reshape_to(g.transpose(folded, order), [n, c * block**2, over(h), over(w)])
    if node["mode"] == "CRD":
        folded = g.transpose(g.reshape_to(x, [n, c // block**2, block, block, h, w]), [0, 1, 4, 2, 5, 3])
    else:
        folded = g.transpose(g.reshape_to(x, [n, block, block, c // block**2, h, w]), [0, 3, 4, 1, 5, 2])
    return g.reshape_to(folded, [n, c // block**2, g.times(h, block), g.times(w, block)])


@rule("Trilu")
def triangle(g: Builder, node: Node, x: Value, k: Value | None = None) -> Value:
    """Elements on one side of the diagonal that lies k above the main one."""
    rows, columns = (g.dim(x, axis) for axis in (-2, -1))
    if isinstance(rows, int) and isinstance(columns, int):
        above = g.constant(np.arange(columns) - np.arange(rows)[:, None])
    else:
        down, along = (g.Range(g.reshape(g.dims(x, axis), [])) for axis in (-2, -1))
        above = g.Sub(along, g.unsqueeze(down, 1))
    offset = (
        g.reshape(g.cast(k, np.int64), [1])
        if k is not None and k.array is None
        else g.constant(np.full(1, 0 if k is None else fixed(k, "k").item(), np.int64))
    )
    if above.array is not None and offset.array is not None:
        kept = g.constant(above.array >= offset.array if node["upper"] else above.array <= offset.array)
    else:
        kept = g.one("GE" if node["upper"] else "LE", above, offset)
    return g.where(kept, x, g.like(x, 0))

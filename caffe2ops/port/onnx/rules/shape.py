"""The same elements in other places: reshaping, transposing, joining, cutting; and asking for shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import NotPortable, Value


@rule("Reshape")
def reshape(g: Builder, op: Any, x: Value, shape: Value | None = None) -> tuple[Value, Value | None]:
    old = g.dims(x) if g.is_wanted(op, 1) else None
    if shape is None:
        return g.reshape(x, op.shape), old
    known = shape.array
    made = g.Reshape(x, g.cast(shape, np.int64)) if known is None else g.reshape(x, known.tolist())
    return made, None if old is None else g.cast(old, shape.dtype)


@rule("Flatten")
def flatten(g: Builder, op: Any, x: Value) -> Value:
    return g.matrix(x, op.axis) if x.rank else g.reshape(x, [1, 1])


@rule("FlattenToVec")
def flatten_to_vector(g: Builder, op: Any, x: Value) -> Value:
    return g.flat(x)


@rule("ResizeLike")
def resize_like(g: Builder, op: Any, x: Value, like: Value) -> Value:
    return g.reshape(x, g.dims(like))


@rule("ExpandDims")
def expand_dims(g: Builder, op: Any, x: Value) -> Value:
    return g.unsqueeze(x, *sorted(set(op.dims)))


@rule("Squeeze")
def squeeze(g: Builder, op: Any, x: Value) -> Value:
    return g.Squeeze(x, sorted(set(op.dims))) if op.dims else x


@rule("MergeDim")
def merge_dim(g: Builder, op: Any, x: Value) -> Value:
    return g.reshape(x, -1, g.dims(x, slice(2, None))) if x.rank > 2 else g.flat(x)


@rule("PrependDim")
def prepend_dim(g: Builder, op: Any, x: Value) -> Value:
    return g.reshape(x, op.dim_size, -1, g.dims(x, slice(1, None))) if x.rank > 1 else g.reshape(x, op.dim_size, -1)


@rule("Transpose")
def transpose(g: Builder, op: Any, x: Value) -> Value:
    return g.transpose(x, op.axes or range(x.rank)[::-1])


@rule("NCHW2NHWC")
def channels_last(g: Builder, op: Any, x: Value) -> Value:
    return to_last(g, x)


@rule("NHWC2NCHW")
def channels_first(g: Builder, op: Any, x: Value) -> Value:
    return to_first(g, x)


def to_last(g: Builder, x: Value) -> Value:
    """Channels from axis 1 to the last axis."""
    return g.transpose(x, [0, *range(2, x.rank), 1])


def to_first(g: Builder, x: Value) -> Value:
    """Channels from the last axis to axis 1."""
    return g.transpose(x, [0, x.rank - 1, *range(1, x.rank - 1)])


@rule("Concat", "DepthConcat")
def concat(g: Builder, op: Any, *inputs: Value) -> tuple[Value, Value | None]:
    new = op._new_axis
    axis = op._axis(inputs[0].rank + new)
    if new:
        joined = g.Concat(*(g.unsqueeze(x, axis) for x in inputs), axis=axis)
        return joined, g.constant(np.ones(len(inputs), np.int32))
    joined = g.Concat(*inputs, axis=axis) if len(inputs) > 1 else inputs[0]
    if not g.is_wanted(op, 1):
        return joined, None
    return joined, g.cast(g.vector(*(g.dims(x, [axis]) for x in inputs)), np.int32)


@rule("Split", "DepthSplit")
def split(g: Builder, op: Any, x: Value, sizes: Value | None = None) -> tuple[Value, ...]:
    axis = op._axis(x.rank)
    if op.n_outputs == 1 and not op.add_axis:
        return (x,)
    if sizes is not None:
        at = g.cast(sizes, np.int64)
    elif op.split:
        at = g.value(op.split)
    else:
        part = x.static(axis) // op.n_outputs
        at = g.value([part] * op.n_outputs)
    parts = g.op("Split", x, at, out=op.n_outputs, axis=axis)
    parts = parts if isinstance(parts, tuple) else (parts,)
    return tuple(g.Squeeze(p, [axis]) for p in parts) if op.add_axis else parts


@rule("SplitByLengths")
def split_by_lengths(g: Builder, op: Any, x: Value, lengths: Value) -> tuple[Value, ...]:
    axis = op._axis(x.rank)
    sizes = g.reduce("ReduceSum", g.reshape(g.cast(lengths, np.int64), op.n_outputs, -1), [1])
    if op.use_scaling_lengths:
        sizes = g.Mul(sizes, g.Div(g.dim(x, axis), g.reduce("ReduceSum", sizes, [0])))
    made = g.op("Split", x, sizes, out=op.n_outputs, axis=axis)
    return made if isinstance(made, tuple) else (made,)


@rule("Slice")
def slice_(g: Builder, op: Any, x: Value, starts: Value | None = None, ends: Value | None = None) -> Value:
    if starts is not None and ends is not None:
        first, last = g.cast(starts, np.int64), g.cast(ends, np.int64)
        sizes = g.Add(g.Slice(g.dims(x), [0], g.dims(last, [0])), 1)
        first, last = (g.Where(g.Less(v, 0), g.Add(v, sizes), v) for v in (first, last))
        return g.Slice(x, first, last)
    return cut(g, x, op.starts, op.ends)


def cut(g: Builder, x: Value, starts: list[int], ends: list[int]) -> Value:
    """A box; of numbers below 0, -1 stands behind the last element, -2 before it."""
    axes = [i for i, (a, b) in enumerate(zip(starts, ends)) if (a, b) != (0, -1)]
    if not axes:
        return x
    behind = int(np.iinfo(np.int64).max)
    first, last = (
        [at if at >= 0 else behind if at == -1 else at + 1 for at in (v[i] for i in axes)] for v in (starts, ends)
    )
    return g.Slice(x, first, last, axes)


@rule("Tile")
def tile(g: Builder, op: Any, x: Value, tiles: Value | None = None, axis: Value | None = None) -> Value:
    if axis is None and op.axis is None:
        raise NotPortable("axis is missing")
    at = (op.axis if axis is None else int(axis.constant("axis").reshape(-1)[0])) % x.rank
    if axis is None and tiles is not None and tiles.dtype == np.int64:  # an axis that Caffe2 does not look at
        at = 0
    count = g.value([op.tiles]) if tiles is None else g.reshape(g.cast(tiles, np.int64), [1])
    before, behind = [1] * at, [1] * (x.rank - at - 1)
    return g.Tile(x, g.vector(*before, count, *behind))


@rule("NumpyTile")
def numpy_tile(g: Builder, op: Any, x: Value, repeats: Value) -> Value:
    return g.Tile(x, repeats)


@rule("Expand")
def expand(g: Builder, op: Any, x: Value, shape: Value) -> Value:
    return g.Expand(x, g.Max(shape, 1))  # 0 and less keep a dim, too


@rule("Shape")
def shape(g: Builder, op: Any, x: Value) -> Value:
    return g.dims(x, op.axes) if op.axes else g.dims(x)


@rule("Size")
def size(g: Builder, op: Any, x: Value) -> Value:
    return g.length(x)


@rule("IsEmpty")
def is_empty(g: Builder, op: Any, x: Value) -> Value:
    return g.Equal(g.length(x), 0)


@rule("HasElements")
def has_elements(g: Builder, op: Any, *inputs: Value) -> Value:
    count = g.length(inputs[0])
    for x in inputs[1:]:
        count = g.Add(count, g.length(x))
    return g.Greater(count, 0)


@rule("ChannelShuffle")
def channel_shuffle(g: Builder, op: Any, x: Value) -> Value:
    return shuffled(g, x, op.group, x.rank - 1 if op.channels_last else 1)


def shuffled(g: Builder, x: Value, group: int, axis: int) -> Value:
    """Channels along an axis, channel k of group i moved to k * group + i."""
    before = g.dims(x, slice(0, axis))
    behind = [g.dims(x, slice(axis + 1, None))] if axis + 1 < x.rank else []
    channels = x.shape[axis]
    rest = channels // group if isinstance(channels, int) else -1
    cut = g.reshape(x, before, group, rest, *behind)
    order = [*range(axis), axis + 1, axis, *range(axis + 2, x.rank + 1)]
    return g.reshape(g.transpose(cut, order), g.dims(x))


@rule("SpaceToBatch")
def space_to_batch(g: Builder, op: Any, x: Value) -> Value:
    b = op.block_size
    top, left, bottom, right = op.pads()
    padded = g.Pad(x, [0, 0, top, left, 0, 0, bottom, right]) if any(op.pads()) else x
    _, C, H, W = padded.shape
    if not isinstance(C, int) or not isinstance(H, int) or not isinstance(W, int):
        raise NotPortable("needs channels, height and width of X as numbers")
    blocks = g.transpose(g.reshape(padded, [-1, C, H // b, b, W // b, b]), [3, 5, 0, 1, 2, 4])
    return g.reshape(blocks, [-1, C, H // b, W // b])


@rule("BatchToSpace")
def batch_to_space(g: Builder, op: Any, x: Value) -> Value:
    b = op.block_size
    top, left, bottom, right = op.pads()
    C, H, W = (x.static(i, "X") for i in (1, 2, 3))
    blocks = g.transpose(g.reshape(x, [b, b, -1, C, H, W]), [2, 3, 4, 0, 5, 1])
    whole = g.reshape(blocks, [-1, C, H * b, W * b])
    return g.Slice(whole, [top, left], [H * b - bottom, W * b - right], [2, 3])

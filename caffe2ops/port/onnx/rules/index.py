"""Looking up and putting down by index: gathers, scatters, one-hot rows, masks, uniques."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import ONE, Ragged, count_up, row_dims, summed, wide
from caffe2ops.port.values import NotPortable, Value


@rule("Gather", "BatchGather")
def gather(g: Builder, op: Any, data: Value, indices: Value) -> Value:
    axis = op.axis % data.rank
    if not op.match_outer:
        return g.Gather(data, indices, axis=axis)
    outer = g.dims(data, slice(0, axis))
    flat = g.reshape(wide(g, indices), outer, -1)
    made = g.GatherND(data, g.unsqueeze(flat, axis + 1), batch_dims=axis)
    behind = [g.dims(data, slice(axis + 1, None))] if data.rank > axis + 1 else []
    return g.reshape(made, g.dims(indices), *behind)


@rule("BatchPermutation")
def batch_permutation(g: Builder, op: Any, x: Value, indices: Value) -> Value:
    return g.Gather(x, indices, axis=0)


@rule("OneHot")
def one_hot(g: Builder, op: Any, indices: Value, count: Value) -> Value:
    return g.OneHot(indices, g.reshape(count, [1]), np.array([0, 1], np.float32), axis=-1)


@rule("SegmentOneHot")
def segment_one_hot(g: Builder, op: Any, lengths: Value, indices: Value, count: Value) -> Value:
    ragged = Ragged(g, lengths, g.dim(indices, 0))
    width = g.reshape(count, [1])
    cells = g.Concat(g.unsqueeze(ragged.segments, 1), g.unsqueeze(indices, 1), axis=1)
    ones = g.Expand(np.float32(1), g.dims(indices))
    return g.ScatterND(g.full(g.vector(g.dims(lengths), width), 0, np.float32), cells, ones)


def columns(g: Builder, data: Value, lengths: Value) -> Value:
    """Column d of data as often as lengths[d] says."""
    return g.Gather(g.matrix(data), Ragged(g, lengths).segments, axis=1)


@rule("BatchOneHot")
def batch_one_hot(g: Builder, op: Any, data: Value, lengths: Value, values: Value) -> Value:
    return g.cast(g.Equal(columns(g, data, lengths), g.flat(values)), data.dtype)


@rule("BooleanMask")
def boolean_mask(g: Builder, op: Any, data: Value, mask: Value) -> tuple[Value, Value]:
    return g.Compress(data, mask, axis=0), g.Compress(count_up(g, g.dim(mask, 0)), mask, axis=0)


@rule("BooleanMaskLengths")
def boolean_mask_lengths(g: Builder, op: Any, lengths: Value, mask: Value) -> Value:
    ragged = Ragged(g, lengths, g.dim(mask, 0))
    return g.cast(summed(g, g.cast(mask, np.int64), ragged.segments, g.dim(lengths, 0)), lengths.dtype)


@rule("BooleanUnmask")
def boolean_unmask(g: Builder, op: Any, *inputs: Value) -> Value:
    masks, pieces = inputs[::2], inputs[1::2]
    made = g.full(g.dims(masks[0]), 0, pieces[0].dtype)
    free = None
    for mask, piece in zip(masks, pieces):
        taken = mask if free is None else g.And(mask, free)
        free = g.Not(mask) if free is None else g.And(free, g.Not(mask))
        made = g.ScatterND(made, g.transpose(g.NonZero(taken), [1, 0]), piece)
    return made


@rule("Find")
def find(g: Builder, op: Any, index: Value, query: Value) -> Value:
    flat = wide(g, g.flat(index))
    hit = g.Equal(g.unsqueeze(wide(g, query), query.rank), flat)
    places = g.Where(hit, count_up(g, g.length(index)), np.int64(-1))
    last = g.reduce(
        "ReduceMax", g.Concat(places, g.Expand(np.int64(-1), g.vector(g.dims(query), 1)), axis=-1), [query.rank]
    )
    return g.cast(g.Where(g.Less(last, 0), np.int64(op.missing_value), last), query.dtype)


@rule("Unique")
def unique(g: Builder, op: Any, indices: Value) -> tuple[Value, Value]:
    found, _, back, _ = g.Unique(wide(g, indices), out=4, sorted=1)
    return g.cast(found, indices.dtype), g.cast(back, np.int32)


@rule("FindDuplicateElements")
def duplicates(g: Builder, op: Any, data: Value) -> Value:
    if data.dtype.kind not in "i":
        raise NotPortable(f"of {data.dtype}; whole numbers can be")
    _, first, _, _ = g.Unique(wide(g, data), out=4, sorted=1)
    again = g.ScatterND(g.full(g.dims(data), True, bool), g.unsqueeze(first, 1), g.Expand(np.False_, g.dims(first)))
    return g.flat(g.NonZero(again))


@rule("FlexibleTopK")
def flexible_top_k(g: Builder, op: Any, x: Value, k: Value) -> tuple[Value, Value]:
    rows = g.reshape(x, -1, g.dims(x, [x.rank - 1]))
    values, indices = g.TopK(rows, g.dims(x, [x.rank - 1]), out=2, axis=1)
    kept = g.flat(g.Less(count_up(g, g.dim(x, x.rank - 1)), g.reshape(k, [-1, 1])))
    return g.Compress(g.flat(values), kept, axis=0), g.Compress(g.flat(indices), kept, axis=0)


@rule("SparseToDense")
def sparse_to_dense(g: Builder, op: Any, indices: Value, values: Value, like: Value | None = None) -> Value:
    rows = wide(g, indices)
    n = g.Add(g.reduce("ReduceMax", g.vector(rows, -1), [0]), ONE) if like is None else g.dim(like, 0)
    return summed(g, values, rows, n)


def _cells(g: Builder, lengths: Value, indices: Value) -> Value:
    """(row, column) of each index."""
    ragged = Ragged(g, lengths, g.dim(indices, 0))
    return g.Concat(g.unsqueeze(ragged.segments, 1), g.unsqueeze(wide(g, indices), 1), axis=1)


@rule("BatchSparseToDense")
def batch_sparse_to_dense(
    g: Builder, op: Any, lengths: Value, indices: Value, values: Value, like: Value | None = None
) -> Value:
    width = g.value([op.dense_last_dim]) if like is None else g.dims(like, [1])
    empty = g.full(g.vector(g.dims(lengths), width), op.default_value, values.dtype)
    return g.ScatterND(empty, _cells(g, lengths, indices), values)


@rule("BatchDenseToSparse")
def batch_dense_to_sparse(g: Builder, op: Any, lengths: Value, indices: Value, dense: Value) -> Value:
    return g.GatherND(dense, _cells(g, lengths, indices))


@rule("SparseToDenseMask")
def sparse_to_dense_mask(
    g: Builder, op: Any, indices: Value, values: Value, default: Value, lengths: Value | None = None
) -> tuple[Value, ...]:
    mask = np.asarray(op.mask, np.int64)
    hits = g.Equal(g.unsqueeze(wide(g, indices), 1), mask)
    place = g.reduce("ReduceMax", g.Where(hits, np.arange(len(mask)), np.int64(-1)), [1])
    if lengths is not None:
        row = Ragged(g, lengths, g.dim(indices, 0)).segments
        place, rows = g.Where(g.Less(place, 0), place, g.Add(g.Mul(row, np.int64(len(mask))), place)), g.dims(lengths)
    else:
        rows = g.value([])
    found = g.GreaterOrEqual(place, 0)
    slots, taken = g.unsqueeze(g.Compress(place, found, axis=0), 1), g.Compress(values, found, axis=0)
    cells = (
        g.Mul(g.reduce("ReduceProd", rows, [0], keepdims=True), np.asarray([len(mask)], np.int64))
        if lengths is not None
        else (g.value([len(mask)]))
    )
    behind = g.dims(default)
    filled = g.Expand(g.unsqueeze(default, 0), g.vector(cells, behind))
    made = g.reshape(g.ScatterND(filled, slots, taken), rows, len(mask), behind)
    if op.n_outputs == 1:
        return (made,)
    there = g.ScatterND(g.full(cells, False, bool), slots, g.Expand(np.True_, g.dims(slots, [0])))
    return made, g.reshape(there, rows, len(mask))


@rule("ScatterAssign")
def scatter_assign(g: Builder, op: Any, data: Value, indices: Value, slices: Value) -> Value:
    flat = g.flat(wide(g, indices))
    return g.ScatterND(data, g.unsqueeze(flat, 1), g.reshape(slices, g.dims(flat), *row_dims(g, data)))


@rule("Scatter")
def scatter(g: Builder, op: Any, data: Value, indices: Value, updates: Value) -> Value:
    axis = op.axis % data.rank
    if indices.rank != data.rank or any(
        a != b or a is None for i, (a, b) in enumerate(zip(data.shape, indices.shape)) if i != axis
    ):
        raise NotPortable("INDICES whose dims, but for the axis, are not known to be those of DATA")
    return g.ScatterElements(data, wide(g, indices), g.reshape(updates, g.dims(indices)), axis=axis)


def _shards(g: Builder, keys: Value, count: int) -> Value:
    return g.Mod(keys, count)  # with the sign of the divisor: 0 or more


@rule("Partition", "LengthsPartition")
def partition(g: Builder, op: Any, *inputs: Value) -> list[Value]:
    count = op.partitions
    lengths, (keys, *more) = (inputs[0], inputs[1:]) if op.type == "LengthsPartition" else (None, inputs)
    flat = g.flat(keys)
    shard = _shards(g, flat, count)
    rows = [g.Div(g.Sub(flat, shard), count) if op.pack_first_input else flat]
    rows += [g.reshape(x, -1, *([g.dims(x, slice(keys.rank, None))] if x.rank > keys.rank else [])) for x in more]
    segments = None if lengths is None else Ragged(g, g.flat(lengths), g.length(flat)).segments
    made = []
    for j in range(count):
        taken = g.Equal(shard, j)
        if lengths is not None and segments is not None:
            made.append(g.cast(summed(g, wide(g, taken), segments, g.length(lengths)), np.int32))
        made += [g.Compress(x, taken, axis=0) for x in rows]
    return made


@rule("GatherByKey")
def gather_by_key(g: Builder, op: Any, keys: Value, *values: Value) -> Value:
    shard = _shards(g, keys, len(values))
    places = [g.flat(g.NonZero(g.Equal(shard, j))) for j in range(len(values))]
    at, rows = ((g.Concat(*v, axis=0) if len(v) > 1 else v[0]) for v in (places, values))
    empty = g.full(g.vector(g.dims(keys), *row_dims(g, rows)), 0, rows.dtype)
    return g.ScatterND(empty, g.unsqueeze(at, 1), rows)


@rule("KeySplit")
def key_split(g: Builder, op: Any, keys: Value) -> list[Value]:
    flat = g.flat(keys)
    return [g.cast(g.flat(g.NonZero(g.Equal(flat, k))), np.int32) for k in range(op.categorical_limit)]


@rule("DenseVectorToIdList")
def dense_to_ids(g: Builder, op: Any, x: Value) -> tuple[Value, Value]:
    there = g.Not(g.Less(g.Abs(g.Add(x, 0.5)), 1.0))
    counts = g.reduce("ReduceSum", g.cast(there, np.int32), [1])
    return counts, g.cast(g.flat(g.slice(g.NonZero(there), 0, 1, 2)), np.int32)


@rule("MergeIdLists")
def merge_id_lists(g: Builder, op: Any, *inputs: Value) -> tuple[Value, Value]:
    lists = list(zip(inputs[::2], inputs[1::2]))
    rows = [Ragged(g, lengths, g.dim(values, 0)).segments for lengths, values in lists]
    pairs = [g.unsqueeze(g.Concat(*v, axis=0) if len(v) > 1 else v[0], 1)
             for v in (rows, [wide(g, values) for _, values in lists])]  # fmt: skip
    found, *_ = g.Unique(g.Concat(*pairs, axis=1), out=4, sorted=1, axis=0)
    row, ids = (g.flat(g.slice(found, 1, i, i + 1)) for i in (0, 1))
    counts = summed(g, g.Expand(ONE, g.dims(row)), row, g.dim(inputs[0], 0))
    return g.cast(counts, np.int32), g.cast(ids, inputs[1].dtype)

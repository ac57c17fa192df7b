"""Sparse features merged into one set: rows of several groups, gathered in the order of the examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.feature_map.merge import KINDS
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import Ragged, count_up, starts_of, wide
from caffe2ops.port.values import Value


def rows_of(g: Builder, lengths: Value, wanted: Value) -> Value:
    """The rows of these segments, one after the other, where rows of segments of these lengths lie."""
    taken = Ragged(g, g.Gather(lengths, wanted))
    shift = g.Sub(g.Gather(starts_of(g, lengths), wanted), starts_of(g, taken.lengths))
    rows: Value = g.Add(count_up(g, taken.count), g.Gather(shift, taken.segments))
    return rows


@rule(*(f"Merge{name}FeatureTensors" for name in KINDS))
def merge(g: Builder, op: Any, *inputs: Value) -> list[Value]:
    """First the features of all groups in the order of the examples, then, where there are several, their elements."""
    kind, width = op.kind, len(op.kind.tensors)
    groups = len(inputs) // width
    examples = g.length(inputs[0])
    joined = {name: g.Concat(*map(g.flat, inputs[i::width]), axis=0) for i, name in enumerate(kind.tensors)}
    table = g.vector(groups, g.reshape(examples, [1]))  # [group, example]
    count = g.Mul(examples, np.int64(groups))
    order = g.flat(g.transpose(g.reshape(count_up(g, count), table), [1, 0]))
    sizes = joined[kind.sizes] if kind.sizes else None
    if kind.single:
        there = joined["presence"]
        lengths = g.cast(there, np.int32)
        rows = g.Compress(order, g.Gather(there, order), axis=0)
        ids = np.asarray(op.feature_ids[:groups], np.int64)[:, None]
        keys = g.Gather(g.flat(g.Expand(ids, table)), rows)
        sizes = None if sizes is None else g.Where(there, sizes, 0)
    else:
        lengths = joined["lengths"]
        rows = rows_of(g, wide(g, lengths), order)
        keys = g.Gather(joined["keys"], rows)
    made = [g.reduce("ReduceSum", g.reshape(lengths, table), [0]), keys]
    if sizes is not None:
        made.append(g.Gather(sizes, rows))
        rows = rows_of(g, wide(g, sizes), rows)
    return made + [g.Gather(joined[name], rows) for name in kind.columns]


@rule("MergeDenseFeatureTensors")
def merge_dense(g: Builder, op: Any, data: Value, presence: Value) -> tuple[Value, ...]:
    counts = g.reduce("ReduceSum", g.cast(presence, np.int32), [1])
    column = g.Squeeze(g.slice(g.NonZero(presence), 0, 1, 2), [0])
    keys = g.Gather(np.asarray(op.feature_ids, np.int64), column)
    return counts, keys, g.Compress(g.flat(data), g.flat(presence), axis=0)

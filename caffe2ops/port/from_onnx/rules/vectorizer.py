"""TfIdfVectorizer: how often sequences of whole numbers occur."""

from __future__ import annotations

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.values import NotPortable, Value


@rule("TfIdfVectorizer")
def counted(g: Builder, node: Node, x: Value) -> Value:
    """Each sequence of the pool is compared with what stands in all places of a row."""
    if node["pool_strings"]:
        raise NotPortable("looks for text")
    pool, starts, indexes = node["pool_int64s"], node["ngram_counts"], node["ngram_indexes"]
    shortest, longest, width = node["min_gram_length"], node["max_gram_length"], x.static(-1)
    rows = g.cast(g.reshape(x, [-1, width]), np.int64)
    total: Value | None = None
    taken, size = 0, max(indexes) + 1
    for length, (start, end) in enumerate(zip(starts, [*starts[1:], len(pool)]), 1):
        grams = np.array(pool[start:end], np.int64).reshape(-1, length)
        columns, taken = indexes[taken : taken + len(grams)], taken + len(grams)
        places = [
            [first + i * skip for i in range(length)]
            for skip in range(1, 2 + (node["max_skip_count"] if length > 1 else 0))
            for first in range(width - skip * (length - 1))
        ]
        if not shortest <= length <= longest or not places or not len(grams):
            continue
        windows = g.one("Gather", rows, np.array(places, np.int64), axis=1)
        hits = g.cast(g.EQ(g.unsqueeze(windows, 2), g.constant(grams[None, None])), np.float32)
        hits = g.ReduceMin(hits, axes=[3], keepdims=0) if length > 1 else g.squeeze(hits, 3)
        where = np.zeros((len(grams), size), np.float32)
        where[np.arange(len(grams)), columns] = 1
        found = g.MatMul(g.ReduceSum(hits, axes=[1], keepdims=0), where)
        total = found if total is None else g.Add(total, found)
    if total is None:
        return g.full([*x.shape[:-1], size], 0, np.float32)
    if node["mode"] == "IDF":
        total = g.cast(g.GT(total, g.like(total, 0)), np.float32)
    if node["mode"] != "TF" and node["weights"]:
        total = g.Mul(total, np.array(node["weights"], np.float32))
    return total if x.rank == 2 else g.squeeze(total, 0)

"""Sequences: positions as waves, the best paths through scores, and the rows that came by last."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import ONE, ZERO, count_up, wide
from caffe2ops.port.values import NotPortable, Value


@rule("SinusoidPositionEncoding")
def sinusoid_encoding(g: Builder, op: Any, positions: Value) -> Value:
    """The logarithms of the angles lie evenly between two ends; they are counted from the end that is nearer to 0."""
    size = op.embedding_size
    shape = g.vector(g.dims(positions), size)
    if not size:
        return g.full(shape, 0, np.float32)
    first = g.Log(g.cast(g.slice(positions, 1, 0, 1), np.float32))
    logs = first
    if size > 1:
        last = g.Sub(first, float(np.log(np.float32(op.alpha)) * np.float32((size - 1) / size)))
        step = g.Div(g.Sub(last, first), float(size - 1))
        k = np.arange(size, dtype=np.float32)
        up = g.Concat(g.Add(first, g.Mul(step, k[:-1])), last, axis=1)
        down = g.Concat(first, g.Sub(last, g.Mul(step, k[-2::-1])), axis=1)
        logs = g.Where(g.Less(g.Abs(last), g.Abs(first)), down, up)
    odd = np.arange(size) % 2 * np.float32(math.pi / 2)
    waves = g.Mul(g.Sin(g.Add(g.Exp(logs), odd.astype(np.float32))), op.amplitude)
    return g.Expand(g.unsqueeze(waves, 1), shape)


@rule("CTCGreedyDecoder")
def ctc_greedy_decoder(g: Builder, op: Any, scores: Value, lengths: Value | None = None) -> tuple[Value, Value]:
    best = g.transpose(g.ArgMax(scores, axis=2, keepdims=0), [1, 0])  # [N, T]
    kept = g.Not(g.Equal(best, 0))
    if lengths is not None:
        kept = g.And(kept, g.Less(count_up(g, g.dim(scores, 0)), g.unsqueeze(wide(g, lengths), 1)))
    if op.merge_repeated:
        before = g.Pad(best, [0, 1, 0, -1])  # as if a blank stood before the first
        kept = g.And(kept, g.Not(g.Equal(best, before)))
    counts = g.reduce("ReduceSum", g.cast(kept, np.int32), [1])
    return counts, g.cast(g.Compress(g.flat(best), g.flat(kept), axis=0), np.int32)


@rule("ViterbiPath")
def viterbi_path(g: Builder, op: Any, predictions: Value, transitions: Value) -> Value:
    """One loop goes forth, and keeps for each class which one was best before it; the other goes back along these."""
    start = g.Gather(predictions, ZERO, axis=0)
    count = g.Sub(g.dim(predictions, 0), ONE)

    def forth(b: Builder, iteration: Value, score: Value) -> Any:
        sums = b.Add(b.unsqueeze(score, 1), transitions)
        row = b.Gather(predictions, b.Add(iteration, ONE), axis=0)
        return None, [b.Add(row, b.reduce("ReduceMax", sums, [0]))], [b.ArgMax(sums, axis=0, keepdims=0)]

    score, before = g.loop([start], forth, count=count)

    def back(b: Builder, iteration: Value, label: Value) -> Any:
        row = b.Gather(before, b.Sub(b.Sub(count, ONE), iteration), axis=0)
        earlier = b.Gather(row, label)
        return None, [earlier], [earlier]

    last = g.ArgMax(score, axis=0, keepdims=0)
    _, path = g.loop([last], back, count=count)
    turned = g.slice(path, 0, -1, np.iinfo(np.int64).min, -1)
    return g.cast(g.vector(turned, g.reshape(last, [1])), np.int32)


@rule("SwapBestPath")
def swap_best_path(g: Builder, op: Any, predictions: Value, path: Value) -> Value:
    best, given = g.ArgMax(predictions, axis=1, keepdims=1), g.unsqueeze(wide(g, path), 1)
    highest, score = (g.GatherElements(predictions, at, axis=1) for at in (best, given))
    return g.ScatterElements(g.ScatterElements(predictions, best, score, axis=1), given, highest, axis=1)


@rule("LastNWindowCollector")
def last_window(
    g: Builder,
    op: Any,
    window: Value,
    place: Value,
    data: Value,
    mutex: Value | None = None,
    visited: Value | None = None,
) -> tuple[Value | None, ...]:
    """Rows scattered into the window from its place on; it is full then, as ONNX's inputs do not grow."""
    size, there, new = op.num_to_collect, window.static(0, "last_n"), data.shape[0]
    if there < size and (not isinstance(new, int) or there + new < size):
        raise NotPortable(f"the window is not full after the run; give it the shape of a full one, {size} rows")
    count = g.dim(data, 0)
    rows = g.slice(data, 0, -size, np.iinfo(np.int64).max)
    at = wide(g, place) if there else g.constant(ZERO)
    if not isinstance(new, int) or new > size:
        at = g.Where(g.Greater(count, np.int64(size)), ZERO, at)
    slots = g.Mod(g.Add(count_up(g, g.dim(rows, 0)), at), np.int64(size))
    if there < size:
        window = g.Pad(window, [0] * window.rank + [size - there] + [0] * (window.rank - 1))
    made = g.ScatterND(window, g.unsqueeze(slots, 1), rows)
    following = g.cast(g.Mod(g.Add(at, g.dim(rows, 0)), np.int64(size)), np.int32)
    if visited is not None:
        visited = g.Add(visited, count) if there else g.reshape(count, g.dims(visited))
    return (made, following, visited)[: op.n_outputs]

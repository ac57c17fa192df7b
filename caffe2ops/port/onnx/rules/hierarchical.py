"""Softmaxes in a tree, which is an argument: all nodes are computed at once, as rows of one padded softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.loss import SMALLEST
from caffe2ops.port.onnx.rules.segment import Ragged
from caffe2ops.port.values import NotPortable, Value


def softmaxes(g: Builder, x: Value, w: Value, b: Value, nodes: Any) -> tuple[Value, Value, int]:
    """Scores and softmax of nodes (first row of W, branches), [M, nodes * width], and the width of a node."""
    first, branches = np.asarray(nodes, np.int64).reshape(-1, 2).T
    width = int(branches.max())
    there = np.arange(width) < branches[:, None]
    rows = np.where(there, first[:, None] + np.arange(width), 0)
    x = g.matrix(x) if x.rank > 1 else g.reshape(x, 1, -1)
    scores = g.Gather(g.Gemm(x, g.matrix(w), b, transB=1), rows, axis=1)
    found = scores if there.all() else g.Where(there, scores, -np.inf)
    return g.Flatten(scores, axis=1), g.Flatten(g.Softmax(found, axis=-1), axis=1), width


def losses(g: Builder, probability: Value) -> Value:
    return g.Neg(g.Log(g.Max(probability, SMALLEST)))


@rule("HSoftmax")
def hierarchical_softmax(
    g: Builder, op: Any, x: Value, w: Value, b: Value, labels: Value
) -> tuple[Value, Value | None]:
    """The paths of all words are constants: which nodes, and which branch of each."""
    if not len(op.nodes):
        raise NotPortable("a hierarchy without nodes")
    nodes, number = np.unique(op.nodes[:, :2], axis=0, return_inverse=True)
    scores, softmax, width = softmaxes(g, x, w, b, nodes)
    paths = np.split(np.arange(len(op.nodes)), np.cumsum(op.lengths)[:-1])
    cells = number.reshape(-1) * width + op.nodes[:, 2]
    there = np.arange(op.lengths.max()) < op.lengths[:, None]
    chosen = np.zeros(there.shape, np.int64)
    chosen[there] = cells
    hit = g.Equal(g.reshape(labels, -1, 1), op.words.astype(labels.dtype))
    word = g.ArgMax(g.cast(hit, np.int32), axis=1, keepdims=0)
    each = losses(g, g.GatherElements(softmax, g.Gather(chosen, word), axis=1))
    y = g.reduce("ReduceSum", each if there.all() else g.Where(g.Gather(there, word), each, 0.0), [1])
    if not g.is_wanted(op, 1):
        return y, None
    total = len(nodes) * width  # scores stand before probabilities
    of_step = [(n * width + np.arange(size), total + n * width + np.arange(size))
               for n, size in zip(number.reshape(-1), op.nodes[:, 1])]  # fmt: skip
    of_word = [np.concatenate([p for step in path for p in of_step[step]], dtype=np.int64) if len(path)
               else np.zeros(0, np.int64) for path in paths]  # fmt: skip
    counts = np.asarray([len(p) for p in of_word], np.int64)
    ragged = Ragged(g, g.Gather(counts, word))
    start = g.Gather(g.Gather(np.cumsum(counts) - counts, word), ragged.segments)
    place = g.Gather(np.concatenate(of_word), g.Add(start, ragged.places))
    at = g.Concat(g.unsqueeze(ragged.segments, 1), g.unsqueeze(place, 1), axis=1)
    return y, g.GatherND(g.Concat(scores, softmax, axis=1), at)


@rule("HSoftmaxSearch")
def search(g: Builder, op: Any, x: Value, w: Value, b: Value) -> tuple[None, Value]:
    """The scores only, level by level of the tree; names are strings."""
    nodes: list[tuple[int, int]] = []
    levels: list[tuple[Any, Any]] = []  # of branches: (node, branch), and which of the level above it hangs from
    here = [(op.root, -1)]
    while here:
        cells: list[tuple[int, int]] = []
        parents: list[int] = []
        below: list[tuple[Any, int]] = []
        for node, parent in here:
            if not node.HasField("offset"):
                raise NotPortable(f"node {node.name!r} has no offset")
            count = len(node.children) + len(node.word_ids)
            below += [(child, len(cells) + i) for i, child in enumerate(node.children)]
            cells += [(len(nodes), i) for i in range(count)]
            parents += [parent] * count
            nodes.append((node.offset, count))
        here = below
        if cells:
            levels.append((np.asarray(cells, np.int64), np.asarray(parents, np.int64)))
    if not levels:
        raise NotPortable("a tree without branches")
    _, softmax, width = softmaxes(g, x, w, b, nodes)
    loss, beam = losses(g, softmax), float(np.float32(op.beam))
    found: list[Value] = []
    score = alive = None
    for branches, above_them in levels:
        own = g.Gather(loss, branches @ [width, 1], axis=1)
        if score is None:
            score, alive = own, g.Less(own, beam)
        else:
            above = g.Gather(score, above_them, axis=1)
            score = g.Add(own, above)
            alive = g.And(g.Gather(alive, above_them, axis=1), g.Less(score, g.Add(above, beam)))
        found.append(g.Where(alive, score, np.inf))
    every = g.Concat(*found, axis=1) if len(found) > 1 else found[0]
    size = sum(len(parents) for _, parents in levels)
    best, _ = g.TopK(every, [min(op.topN, size)], out=2, axis=1, largest=0)
    best = g.Where(g.IsInf(best), 0.0, best)
    return None, best if op.topN <= size else g.Pad(best, [0, 0, 0, op.topN - size])

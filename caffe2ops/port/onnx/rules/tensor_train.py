"""Weights that are a train of cores."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.segment import folded, wide
from caffe2ops.port.values import Value


@rule("TT")
def tensor_train(g: Builder, op: Any, x: Value, b: Value, cores: Value) -> Value:
    y, at, ranks = x, 0, op.tt_ranks
    for k in reversed(range(len(op.inp_sizes))):
        rows, columns = op.inp_sizes[k] * ranks[k + 1], ranks[k] * op.out_sizes[k]
        core = g.reshape(g.slice(cores, 0, at, at + rows * columns), rows, columns)
        y = g.MatMul(g.reshape(y, -1, rows), core)
        y = g.transpose(g.reshape(y, -1, op.out_sizes[k]), [1, 0])
        at += rows * columns
    shape = g.dims(x, [0]), prod(op.out_sizes)
    return g.Add(g.reshape(g.transpose(g.reshape(y, *shape), [1, 0]), *shape), b)


@rule("TTSparseLengthsSum")
def tensor_train_lookup(g: Builder, op: Any, *inputs: Value) -> tuple[Value, ...]:
    *cores, index, lengths = inputs
    steps = np.cumprod([1, *op.factor_i[:2]])
    indices = g.Mod(g.Div(g.unsqueeze(wide(g, index), 1), steps), np.asarray(op.factor_i, np.int64))
    found: list[Value] = []
    for k, core in enumerate(cores):
        left, right = op.ranks[k], op.factor_j[k] * op.ranks[k + 1]
        taken = g.Gather(g.reshape(core, op.factor_i[k], left, right), g.Gather(indices, np.int64(k), axis=1))
        rows = g.MatMul(found[-1], taken) if found else taken
        found.append(g.reshape(rows, g.dims(index), prod(op.factor_j[: k + 1]), op.ranks[k + 1]))
    made = folded(g, "Sum", g.reshape(found[-1], g.dims(index), op.emb_size), lengths)
    return made, found[0], found[1], indices

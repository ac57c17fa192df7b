"""Sequences whose length is known when the model is ported: nothing of them is left in the net."""

from __future__ import annotations

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.values import Listed, fixed
from caffe2ops.port.values import NotPortable, Value


def tensors(value: Value) -> list[Value]:
    """Those of a sequence. Raises NotPortable for anything else."""
    if not isinstance(value, Listed):
        raise NotPortable(f"{value.name!r} is a sequence whose length isn't known, or none")
    return list(value.tensors)


def _place(position: Value | None, default: int) -> int:
    return default if position is None else int(fixed(position, "position").reshape(-1)[0])


@rule("SequenceEmpty", "SequenceConstruct")
def sequence(g: Builder, node: Node, *inputs: Value) -> Value:
    return Listed(list(inputs))


@rule("SequenceInsert")
def inserted(g: Builder, node: Node, listed: Value, x: Value, position: Value | None = None) -> Value:
    found = tensors(listed)
    found.insert(_place(position, len(found)), x)
    return Listed(found)


@rule("SequenceErase")
def erased(g: Builder, node: Node, listed: Value, position: Value | None = None) -> Value:
    found = tensors(listed)
    del found[_place(position, -1)]
    return Listed(found)


@rule("SequenceAt")
def chosen(g: Builder, node: Node, listed: Value, position: Value) -> Value:
    return tensors(listed)[_place(position, 0)]


@rule("SequenceLength")
def length(g: Builder, node: Node, listed: Value) -> Value:
    return g.constant(np.int64(len(tensors(listed))))


@rule("ConcatFromSequence")
def joined(g: Builder, node: Node, listed: Value) -> Value:
    parts, axis = tensors(listed), node["axis"]
    if node["new_axis"]:
        axis %= parts[0].rank + 1
        parts = [g.unsqueeze(v, axis) for v in parts]
    return g.join(parts, axis % parts[0].rank)


@rule("SplitToSequence")
def split(g: Builder, node: Node, x: Value, sizes: Value | None = None) -> Value:
    axis = node["axis"] % x.rank
    given = np.ones((), np.int64) if sizes is None else fixed(sizes, "split")
    if given.ndim == 0:
        each, whole = int(given), x.static(axis)
        given = np.array([min(each, whole - first) for first in range(0, whole, each)])
    parts = g.split(x, given.tolist(), axis)
    return Listed([g.squeeze(v, axis) for v in parts] if sizes is None and not node["keepdims"] else parts)

"""Values that occur, each once, with where and how often."""

from __future__ import annotations

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.values import shaped
from caffe2ops.port.values import NotPortable, Value

WIDEST = 52  # signs that float64 holds as digits of a number


@rule("Unique")
def unique(g: Builder, node: Node, x: Value) -> list[Value | None]:
    if not node.has("axis") or x.rank == 1:
        return _unique(g, x, bool(node["sorted"]), node.wants(1))
    axis = node["axis"] % x.rank
    _, first, *more = _unique(g, _ranked(g, g.moved(x, axis, 0)), bool(node["sorted"]), True)
    return [g.one("Gather", x, first, axis=axis), first, *more]


def _ranked(g: Builder, x: Value) -> Value:
    """How many rows of x stand before each, as text is ordered: for two rows the first sign that isn't 0 counts."""
    count, width = x.static(0), int(np.prod([x.static(i) for i in range(1, x.rank)]))
    if width > WIDEST:
        raise NotPortable(f"compares slices of {width} elements, at most {WIDEST} can be")
    rows = g.reshape(x, [count, width])
    (wide,) = g.accepted(("float32", "float64", "int64", "int32"), rows)
    one, other = g.unsqueeze(wide, 1), g.unsqueeze(wide, 0)
    signs = g.Sub(*(g.cast(test, np.float64) for test in (g.GT(one, other), g.LT(one, other))))
    digits = g.constant(2.0 ** np.arange(width)[::-1])
    total = g.ReduceSum(g.Mul(signs, digits), axes=[2], keepdims=0)
    return g.ReduceSum(g.cast(g.GT(total, g.like(total, 0)), np.int64), axes=[1], keepdims=0)


def _unique(g: Builder, x: Value, in_order: bool, places: bool) -> list[Value | None]:
    """Values, the places of their first ones (where wanted), which of them each element is, and how often each is."""
    values, inverse, counts = g.op(
        "ATen", g.reshape(x, [-1]), out=3, operator="_unique2", sorted=1, return_inverse=1, return_counts=1
    )
    for value, dtype, dims in ((values, x.dtype, [None]), (inverse, np.int64, [x.size]), (counts, np.int64, [None])):
        value.dtype, value.shape = np.dtype(dtype), dims
    if not places and in_order:
        return [values, None, inverse, counts]
    # the places of the first ones: of all places, sorted by what stands there, those where another value begins
    length = g.aten("maximum", g.reshape(g.Size(inverse), []), np.int64(1))
    length.shape = []
    keys = g.Add(g.Mul(inverse, length), g.Range(length))
    order = _sorted(g, keys)[0]
    begins = g.Sub(shaped(g.aten("cumsum", counts, dim=0), counts), counts)
    first = shaped(g.aten("remainder", g.op("Gather", order, begins, axis=0), length), counts)
    if in_order:
        return [values, first, inverse, counts]
    turn = _sorted(g, first)[1]
    back = _sorted(g, turn)[1]
    values, first, counts = (g.op("Gather", v, turn, axis=0) for v in (values, first, counts))
    return [values, first, g.op("Gather", back, inverse, axis=0), counts]


def _sorted(g: Builder, x: Value) -> list[Value]:
    """An int64 vector in rising order, and the places that its elements come from."""
    found = [shaped(v, x) for v in g.op("ATen", x, out=2, operator="sort")]
    for value in found:
        value.dtype = np.dtype(np.int64)
    return found

"""Folding axes: sums, means, extremes, norms; and where extremes are."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.values import FLOAT, NUMBER, fixed
from caffe2ops.port.values import NotPortable, Value

DIRECT = {
    "ReduceSum": NUMBER, "ReduceMean": FLOAT, "ReduceMax": NUMBER, "ReduceMin": NUMBER, "ReduceL1": FLOAT,
    "ReduceL2": FLOAT,
}  # fmt: skip


def axes_of(node: Node, axes: Value | None) -> list[int]:
    """The axes, an attribute in older versions and an input in newer ones."""
    if node.has("axes"):
        return list(node["axes"])
    return [] if axes is None else [int(a) for a in fixed(axes, "axes").reshape(-1)]


@rule(*DIRECT, "ReduceProd", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
def reduction(g: Builder, node: Node, x: Value, axes: Value | None = None) -> Value:
    given = axes_of(node, axes)
    if (not given and node["noop_with_empty_axes"]) or (x.has_rank and x.rank == 0):
        return _of_each(g, node, x)
    keep = bool(node["keepdims"])
    if x.has_rank and x.size == 0:
        return _of_none(g, node, x, given, keep)
    if node.type in DIRECT:
        if node.type == "ReduceMean" and x.dtype.kind != "f":
            total = g.cast(_direct(g, "ReduceSum", g.cast(x, np.int64), given, keep), np.float64)
            return g.cast(g.Div(total, g.like(total, _count(x, given))), x.dtype)
        if node.type in ("ReduceL1", "ReduceL2") and x.dtype.kind != "f":
            return g.cast(_direct(g, node.type, g.cast(x, np.float64), given, keep), x.dtype)
        return _direct(g, node.type, x, given, keep)
    if node.type == "ReduceProd":
        return _product(g, x, given, keep)
    if node.type == "ReduceSumSquare":
        (a,) = g.accepted(NUMBER, x)
        return g.cast(_direct(g, "ReduceSum", g.Mul(a, a), given, keep), x.dtype)
    (a,) = g.accepted(FLOAT, x) if x.dtype.kind == "f" else (g.cast(x, np.float64),)
    if node.type == "ReduceLogSum":
        return g.cast(g.Log(_direct(g, "ReduceSum", a, given, keep)), x.dtype)
    most = _direct(g, "ReduceMax", a, given, True)
    most = g.where(g.LT(g.Abs(most), g.like(most, np.inf)), most, g.like(most, 0))
    total = g.Log(_direct(g, "ReduceSum", g.Exp(g.Sub(a, most)), given, True))
    found = g.Add(total, most)
    return g.cast(found if keep else _dropped(g, found, given), x.dtype)


def _direct(g: Builder, type_name: str, x: Value, axes: list[int], keep: bool) -> Value:
    return g.over(DIRECT[type_name], type_name, x, axes=_counted(x, axes) or None, keepdims=int(keep))


def _counted(x: Value, axes: list[int]) -> list[int]:
    """Axes counted from the front, in order."""
    return sorted({a % x.rank for a in axes}) if min(axes, default=0) < 0 else sorted(set(axes))


def _count(x: Value, axes: list[int]) -> int:
    return int(np.prod([x.static(a) for a in (axes or range(x.rank))]))


def _dropped(g: Builder, x: Value, axes: list[int]) -> Value:
    return g.squeeze(x, *(_counted(x, axes) or range(x.rank)))


def _product(g: Builder, x: Value, axes: list[int], keep: bool) -> Value:
    (found,) = g.accepted(NUMBER, x)
    for axis in sorted(_counted(x, axes) or range(x.rank), reverse=True):
        shape = found.shape
        found = g.aten("prod", found, dim=axis, keepdim=1, like=np.int64 if found.dtype.kind == "i" else found)
        found.shape = [1 if i == axis else d for i, d in enumerate(shape)]
    return g.cast(found if keep else _dropped(g, found, axes), x.dtype)


def _of_each(g: Builder, node: Node, x: Value) -> Value:
    """Of no axes at all: each element stands for itself."""
    if node.type in ("ReduceL1", "ReduceL2"):
        return g.over(FLOAT, "Abs", x)
    if node.type == "ReduceSumSquare":
        return g.over(NUMBER, "Mul", x, x)
    return g.over(FLOAT, "Log", x) if node.type == "ReduceLogSum" else x


def _of_none(g: Builder, node: Node, x: Value, axes: list[int], keep: bool) -> Value:
    """Of no elements: what the reduction starts from."""
    least = {"b": (False, True), "i": (None, None), "u": (0, None), "f": (-np.inf, np.inf)}[x.dtype.kind]
    start: Any = {"ReduceProd": 1, "ReduceLogSum": -np.inf, "ReduceLogSumExp": -np.inf, "ReduceMax": least[0],
                  "ReduceMin": least[1], "ReduceMean": None}.get(node.type, 0)  # fmt: skip
    folded = _counted(x, axes) or list(range(x.rank))
    if not any(x.shape[a] == 0 for a in folded):  # nothing is folded, but there is nothing to fold either
        start = 0
    if start is None:
        raise NotPortable("folds a tensor without elements")
    return g.constant(np.full([1 if i in folded else x.static(i) for i in range(x.rank) if keep or i not in folded],
                              start, x.dtype))  # fmt: skip


@rule("ArgMax", "ArgMin")
def extreme(g: Builder, node: Node, x: Value) -> Value:
    axis, (a,) = node["axis"] % x.rank, g.accepted(NUMBER, x)
    if not node["select_last_index"]:
        return g.one(node.type, a, axis=axis, keepdims=node["keepdims"])
    turned = g.aten("flip", a, dims=[axis])
    turned.shape = a.shape
    found = g.one(node.type, turned, axis=axis, keepdims=node["keepdims"])
    return g.Sub(g.constant(np.int64(x.static(axis) - 1)), found)

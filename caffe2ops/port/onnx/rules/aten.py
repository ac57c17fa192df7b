"""ATen: functions of PyTorch's tensor library, a row or a few lines each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import NotPortable, Value

# functions that are one node, of floats; whole numbers become float32 first
FLOATING = {
    "acos": "Acos", "asin": "Asin", "atan": "Atan", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp",
    "log": "Log", "reciprocal": "Reciprocal", "sigmoid": "Sigmoid", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt",
    "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
# functions that are one node, of any dtype
SAME = {
    "abs": "Abs", "ceil": "Ceil", "floor": "Floor", "neg": "Neg", "relu": "Relu", "round": "Round",
    "clone": "Identity", "isnan": "IsNaN",
}  # fmt: skip
BINARY = {"mul": "Mul", "maximum": "Max", "minimum": "Min"} | dict.fromkeys(("matmul", "mm", "bmm", "mv"), "MatMul")
COMPARE = {"eq": "Equal", "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual", "lt": "Less"}
LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
FOLDS = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}
Function = Callable[..., Any]
_functions: dict[str, Function] = {}


def function(*names: str) -> Callable[[Function], Function]:
    """Registers what a function is in ONNX: `of(g, op, *tensors)`."""

    def register(of: Function) -> Function:
        _functions.update(dict.fromkeys(names, of))
        return of

    return register


@rule("ATen")
def aten(g: Builder, op: Any, *tensors: Value) -> Any:
    name = op.operator
    if name in FLOATING:
        return g.op(FLOATING[name], floats(g, tensors[0]))
    if name in SAME:
        return g.op(SAME[name], tensors[0])
    if name in _functions:
        return _functions[name](g, op, *tensors)
    known = ", ".join(sorted({*_functions, *FLOATING, *SAME, *BINARY, *COMPARE}))
    raise NotPortable(f"operator = {name!r}; {known} can be")


def floats(g: Builder, x: Value) -> Value:
    return x if x.dtype.kind == "f" else g.cast(x, np.float32)


def pair(g: Builder, op: Any, x: Value, *y: Value) -> tuple[Value, Any]:
    """Both operands in one dtype; the second may be the argument `other`."""
    if y:
        if y[0].dtype != x.dtype:
            raise NotPortable(f"of {x.dtype} and {y[0].dtype}; cast one of them")
        return x, y[0]
    if x.dtype.kind != "f" and isinstance(op.other, float):
        return g.cast(x, np.float32), np.float32(op.other)
    return x, np.asarray(op.other, x.dtype)


def axis_of(op: Any, x: Value) -> int:
    if not isinstance(op.dim, int):
        raise NotPortable("several dims at once")
    return op.dim % max(x.rank, 1)


@function(*BINARY)
def binary(g: Builder, op: Any, x: Value, *y: Value) -> Value:
    x, other = pair(g, op, x, *y)
    return g.op(BINARY[op.operator], x, other)


@function("add", "sub", "rsub")
def sums(g: Builder, op: Any, x: Value, *y: Value) -> Value:
    a, b = pair(g, op, x, *y)
    if a.dtype.kind != "f" and isinstance(op.alpha, float):
        raise NotPortable("alpha of whole numbers that is none")
    if op.operator == "rsub":
        a, b = (g.Mul(a, op.alpha) if op.alpha != 1 else a), b
        return g.Sub(b, a)
    scaled = b if op.alpha == 1 else g.Mul(g.value(b), np.asarray(op.alpha, a.dtype))
    return g.op("Add" if op.operator == "add" else "Sub", a, scaled)


@function("div")
def quotient(g: Builder, op: Any, x: Value, *y: Value) -> Value:
    x, other = pair(g, op, x, *y)
    return g.Div(floats(g, x), floats(g, g.value(other)))


@function("pow")
def power(g: Builder, op: Any, x: Value, *y: Value) -> Value:
    exponent = y[0] if y else op.exponent
    if x.dtype.kind != "f" and isinstance(exponent, float):
        x = g.cast(x, np.float32)
    return g.Pow(x, exponent if y else np.asarray(exponent, x.dtype))


@function(*COMPARE, "ne")
def compare(g: Builder, op: Any, x: Value, *y: Value) -> Value:
    x, other = pair(g, op, x, *y)
    return g.Not(g.Equal(x, other)) if op.operator == "ne" else g.op(COMPARE[op.operator], x, other)


@function(*LOGICAL)
def logical(g: Builder, op: Any, x: Value, y: Value) -> Value:
    return g.op(LOGICAL[op.operator], *(g.cast(v, bool) for v in (x, y)))


@function("logical_not")
def logical_not(g: Builder, op: Any, x: Value) -> Value:
    return g.Not(g.cast(x, bool))


@function("where", "_s_where")
def where(g: Builder, op: Any, c: Value, x: Value, y: Value) -> Value:
    pair(g, op, x, y)
    return g.Where(g.cast(c, bool), x, y)


@function("square")
def square(g: Builder, op: Any, x: Value) -> Value:
    return g.Mul(x, x)


@function("rsqrt")
def rsqrt(g: Builder, op: Any, x: Value) -> Value:
    return g.Reciprocal(g.Sqrt(floats(g, x)))


@function("clamp_min", "clamp_max", "hardtanh")
def clamp(g: Builder, op: Any, x: Value) -> Value:
    if op.operator == "hardtanh":
        return g.Clip(x, np.asarray(op.min_val, x.dtype), np.asarray(op.max_val, x.dtype))
    limit = op.min if op.operator == "clamp_min" else op.max
    return g.op("Max" if op.operator == "clamp_min" else "Min", x, np.asarray(limit, x.dtype))


@function("leaky_relu")
def leaky_relu(g: Builder, op: Any, x: Value) -> Value:
    return g.LeakyRelu(x, alpha=op.negative_slope)


@function("softmax", "log_softmax")
def softmax(g: Builder, op: Any, x: Value) -> Value:
    return g.op("Softmax" if op.operator == "softmax" else "LogSoftmax", floats(g, x), axis=axis_of(op, x))


@function(*FOLDS)
def fold(g: Builder, op: Any, x: Value, *y: Value) -> Any:
    """Over all elements, or a dim. The extremes of a dim come with their places, those of two tensors are of pairs."""
    name = op.operator
    if y:
        x, other = pair(g, op, x, *y)
        return g.op("Max" if name == "max" else "Min", x, other)
    if name in ("sum", "prod") and x.dtype.kind != "f":
        x = g.cast(x, np.int64)
    if not op.has_arg("dim"):
        return g.reduce(FOLDS[name], x)
    if name in ("max", "min"):
        axis = axis_of(op, x)
        at = g.op("ArgMax" if name == "max" else "ArgMin", x, axis=axis, keepdims=int(op.keepdim))
        return g.reduce(FOLDS[name], x, [axis], op.keepdim), at
    dims = op.dim if isinstance(op.dim, (list, tuple)) else [op.dim]
    return g.reduce(FOLDS[name], x, sorted(d % x.rank for d in dims), op.keepdim)


@function("argmax", "argmin")
def place(g: Builder, op: Any, x: Value) -> Value:
    return g.op("ArgMax" if op.operator == "argmax" else "ArgMin", g.flat(x), axis=0, keepdims=0)


@function("cumsum")
def running_sum(g: Builder, op: Any, x: Value) -> Value:
    x = x if x.dtype.kind == "f" else g.cast(x, np.int64)
    return g.CumSum(x, np.int64(axis_of(op, x)))


@function("topk")
def top_k(g: Builder, op: Any, x: Value) -> Any:
    axis = axis_of(op, x) if op.has_arg("dim") else x.rank - 1
    return g.TopK(x, [op.k], out=2, axis=axis, largest=int(op.largest))


@function("cat")
def cat(g: Builder, op: Any, *tensors: Value) -> Value:
    return g.Concat(*tensors, axis=axis_of(op, tensors[0]))


@function("stack")
def stack(g: Builder, op: Any, *tensors: Value) -> Value:
    axis = op.dim % (tensors[0].rank + 1)
    return g.Concat(*(g.unsqueeze(x, axis) for x in tensors), axis=axis)


@function("reshape", "view", "flatten", "view_as")
def reshape(g: Builder, op: Any, x: Value, *like: Value) -> Value:
    if like:
        return g.reshape(x, g.dims(like[0]))
    if op.operator == "flatten":
        first, last = op.start_dim % x.rank, op.end_dim % x.rank
        joined = g.reduce("ReduceProd", g.dims(x, slice(first, last + 1)), [0], keepdims=True)
        return g.reshape(x, g.dims(x, slice(0, first)), joined, g.dims(x, slice(last + 1, None)))
    shape = list(op.shape if op.operator == "reshape" else op.size)
    return g.Reshape(x, shape, allowzero=1 if 0 in shape else None)


@function("permute", "transpose", "t")
def permute(g: Builder, op: Any, x: Value) -> Value:
    order = list(range(x.rank))
    if op.operator == "permute":
        order = [d % x.rank for d in op.dims]
    elif op.operator == "t":
        order.reverse()
    else:
        a, b = op.dim0 % x.rank, op.dim1 % x.rank
        order[a], order[b] = order[b], order[a]
    return g.transpose(x, order)


@function("squeeze", "unsqueeze")
def squeeze(g: Builder, op: Any, x: Value) -> Value:
    if op.operator == "unsqueeze":
        return g.unsqueeze(x, op.dim % (x.rank + 1))
    if not op.has_arg("dim"):
        return g.Squeeze(x, [i for i in range(x.rank) if x.static(i) == 1])
    axis = axis_of(op, x)
    return g.Squeeze(x, [axis]) if x.rank and x.static(axis) == 1 else x


@function("select", "narrow")
def select(g: Builder, op: Any, x: Value) -> Value:
    axis = axis_of(op, x)
    if op.operator == "select":
        return g.Gather(x, np.int64(op.index), axis=axis)
    return g.slice(x, axis, op.start, op.start + op.length)


@function("index_select", "gather", "embedding")
def pick(g: Builder, op: Any, x: Value, index: Value) -> Value:
    if op.operator == "gather":
        return g.GatherElements(x, index, axis=axis_of(op, x))
    return g.Gather(x, index, axis=0 if op.operator == "embedding" else axis_of(op, x))


@function("expand", "expand_as", "repeat")
def expand(g: Builder, op: Any, x: Value, *like: Value) -> Value:
    if op.operator == "repeat":
        more = len(op.repeats) - x.rank
        return g.Tile(g.unsqueeze(x, *range(more)), list(op.repeats))
    return g.Expand(x, g.dims(like[0]) if like else [max(n, 1) for n in op.size])

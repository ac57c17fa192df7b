"""One element for each element: arithmetic, comparisons, logic, functions, casts."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node, onnx
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.values import FLOAT, INTEGER, NUMBER, broadcast, fixed, known
from caffe2ops.port.values import NotPortable, Value

# ONNX's name -> Caffe2's, and the dtypes that it takes; attributes have the same names.
UNARY = {
    "Neg": ("Negative", NUMBER), "Sign": ("Sign", NUMBER), "Relu": ("Relu", FLOAT), "Identity": ("Copy", ()),
    **{name: (name, FLOAT) for name in (
        "Acos", "Asin", "Atan", "Cos", "Cosh", "Sin", "Sinh", "Tan", "Tanh", "Ceil", "Floor", "Exp", "Log", "Sqrt",
        "Erf", "Reciprocal", "Sigmoid", "Softplus", "Softsign", "Mish",
    )},
    **{name: (name, FLOAT) for name in ("LeakyRelu", "Elu", "HardSigmoid", "ThresholdedRelu", "Selu")},
}  # fmt: skip
ATTRIBUTES = {"alpha": "alpha", "beta": "beta", "gamma": "scale"}
BINARY = {
    "Add": ("Add", NUMBER), "Sub": ("Sub", NUMBER), "Mul": ("Mul", NUMBER), "And": ("And", ("bool",)),
    "Or": ("Or", ("bool",)), "Xor": ("Xor", ("bool",)), "BitwiseAnd": ("BitwiseAnd", INTEGER),
    "BitwiseOr": ("BitwiseOr", INTEGER), "BitwiseXor": ("BitwiseXor", INTEGER),
}  # fmt: skip
COMPARE = {"Equal": "EQ", "Less": "LT", "Greater": "GT", "LessOrEqual": "LE", "GreaterOrEqual": "GE"}


@rule(*(name for name in UNARY if name != "Identity"))
def unary(g: Builder, node: Node, x: Value) -> Value:
    type_name, dtypes = UNARY[node.type]
    args = {ATTRIBUTES[name]: node[name] for name in node.schema.attributes if name in ATTRIBUTES}
    return g.over(dtypes, type_name, x, **args)


@rule("Identity")
def identity(g: Builder, node: Node, x: Value) -> Value:
    return x


def placing(node: Node) -> dict[str, Any]:
    """Before version 7: B is a part of A's dims, from `axis` on, where `broadcast` is given; Caffe2 has that, too."""
    return {"broadcast": 1, "axis": node["axis"]} if node.opset < 7 and node["broadcast"] else {}


@rule(*BINARY)
def binary(g: Builder, node: Node, A: Value, B: Value) -> Value:
    type_name, dtypes = BINARY[node.type]
    return g.over(dtypes, type_name, A, B, **placing(node))


@rule(*COMPARE)
def compare(g: Builder, node: Node, A: Value, B: Value) -> Value:
    if A.dtype == object:
        raise NotPortable("compares strings")
    return g.one(COMPARE[node.type], *g.accepted((*NUMBER, "bool"), A, B), **placing(node))


@rule("Not")
def negation(g: Builder, node: Node, x: Value) -> Value:
    return g.Not(x)


@rule("Div")
def divide(g: Builder, node: Node, A: Value, B: Value) -> Value:
    """Whole numbers are cut off towards 0, as in Caffe2."""
    return g.over(NUMBER, "Div", A, B, **placing(node))


@rule("Mod")
def modulo(g: Builder, node: Node, A: Value, B: Value) -> Value:
    dtypes = NUMBER if A.dtype.kind == "f" else ("int32", "int64")
    a, b = g.accepted(dtypes, A, B)
    return g.cast(g.aten("fmod" if node["fmod"] else "remainder", a, b), A.dtype)


@rule("Pow")
def power(g: Builder, node: Node, X: Value, Y: Value) -> Value:
    if X.dtype.kind == "f":
        (base,) = g.accepted(FLOAT, X)
        if Y.array is not None and Y.array.size == 1 and Y.rank <= X.rank:
            return g.cast(g.Pow(base, exponent=float(Y.array.reshape(-1)[0])), X.dtype)
        exponent = g.cast(Y, base.dtype)
        if old := placing(node):
            return g.cast(g.Pow(base, exponent, **old), X.dtype)
        alike = X.known and Y.known and X.shape == Y.shape
        return g.cast(g.Pow(base, exponent) if alike else g.aten("pow", base, exponent), X.dtype)
    if Y.dtype.kind == "f":
        return g.cast(g.Pow(g.cast(X, np.float64), g.cast(Y, np.float64)), X.dtype)
    return g.cast(g.aten("pow", *(g.cast(v, np.int64) for v in (X, Y))), X.dtype)


@rule("Sum", "Mean", "Max", "Min")
def several(g: Builder, node: Node, *inputs: Value) -> Value:
    x = inputs[0]
    if len(inputs) == 1:
        return x
    alike = all(v.known and v.shape == x.shape for v in inputs)
    if alike and (x.dtype.kind == "f" or node.type == "Sum"):
        return g.over(NUMBER if node.type == "Sum" else FLOAT, node.type, *inputs)
    name = {"Max": "maximum", "Min": "minimum"}.get(node.type)
    total = x
    for other in inputs[1:]:
        a, b = g.accepted(NUMBER, total, other)
        made = g.Add(a, b) if name is None else g.aten(name, a, b)
        if not made.has_rank:
            made.shape = broadcast(a, b)
        total = g.cast(made, x.dtype)
    return g.Div(total, g.like(total, len(inputs))) if node.type == "Mean" else total


@rule("Where")
def where(g: Builder, node: Node, condition: Value, X: Value, Y: Value) -> Value:
    return g.where(condition, X, Y)


@rule("Clip")
def clip(g: Builder, node: Node, x: Value, least: Value | None = None, most: Value | None = None) -> Value:
    if node.opset < 11:
        low, high = node["min"], node["max"]
    else:
        low, high = (None if v is None else fixed(v, name).item() for v, name in ((least, "min"), (most, "max")))
    if x.dtype.kind == "f" and x.dtype != np.float64 and (low is None or high is None or low <= high):
        return g.over(FLOAT, "Clip", x, min=low, max=high)
    (found,) = g.accepted(NUMBER, x)
    for name, bound in (("maximum", low), ("minimum", high)):
        if bound is not None:
            found = g.aten(name, found, g.like(found, bound))
    return g.cast(found, x.dtype)


@rule("Abs")
def absolute(g: Builder, node: Node, x: Value) -> Value:
    if x.dtype.kind in "ub":
        return x
    return g.over(FLOAT, "Abs", x) if x.dtype.kind == "f" else g.aten("abs", x)


@rule("Round")
def rounded(g: Builder, node: Node, x: Value) -> Value:
    """To the nearest whole number, halves to the even one."""
    (inner,) = g.accepted(FLOAT, x)
    return g.cast(g.aten("round", inner), x.dtype)


@rule("PRelu")
def prelu(g: Builder, node: Node, x: Value, slope: Value) -> Value:
    if node.opset < 7:
        return g.over(FLOAT, "PRelu", x, slope)
    if slope.known and x.has_rank and x.dtype.kind == "f":
        dims = [*[1] * (x.rank - slope.rank), *slope.shape] if slope.rank <= x.rank else []
        if x.rank > 1 and dims and all(d == 1 for i, d in enumerate(dims) if i != 1):
            return g.over(FLOAT, "PRelu", x, g.reshape(slope, [-1]))
    a, b = g.accepted(NUMBER, x, slope)
    scaled = g.Mul(a, b)
    return g.cast(g.where(g.LT(a, g.like(a, 0)), scaled, a), x.dtype)


@rule("Swish", "HardSwish", "Gelu")
def gated(g: Builder, node: Node, x: Value) -> Value:
    if node.type == "Gelu":
        exact = node["approximate"] == "none"
        return g.over(("float32",), "Gelu", x) if exact else _tanh_gelu(g, x)
    if node.type == "Swish" and (node["alpha"] or 1.0) == 1.0:
        return g.over(FLOAT, "Swish", x)
    raise NotPortable("Caffe2 lacks it")  # its function says it


def _tanh_gelu(g: Builder, x: Value) -> Value:
    (a,) = g.accepted(FLOAT, x)
    inner = g.Mul(g.Add(a, g.Mul(g.Mul(g.Mul(a, a), a), g.like(a, 0.044715))), g.like(a, np.sqrt(2 / np.pi)))
    return g.cast(g.Mul(g.Mul(a, g.like(a, 0.5)), g.Add(g.Tanh(inner), g.like(a, 1))), x.dtype)


@rule("Asinh", "Acosh", "Atanh")
def area(g: Builder, node: Node, x: Value) -> Value:
    """By logarithms: Caffe2 lacks them."""
    (a,) = g.accepted(FLOAT, x)
    one = g.like(a, 1)
    if node.type == "Atanh":
        found = g.Mul(g.Log(g.Div(g.Add(one, a), g.Sub(one, a))), g.like(a, 0.5))
    elif node.type == "Acosh":
        found = g.Log(g.Add(a, g.Sqrt(g.Sub(g.Mul(a, a), one))))
    else:  # of the absolute value, so that nothing cancels
        size = g.Abs(a)
        found = g.Mul(g.Sign(a), g.Log(g.Add(size, g.Sqrt(g.Add(g.Mul(a, a), one)))))
    return g.cast(found, x.dtype)


@rule("IsNaN")
def is_nan(g: Builder, node: Node, x: Value) -> Value:
    (a,) = g.accepted(FLOAT, x)
    return g.NE(a, a)


@rule("IsInf")
def is_infinite(g: Builder, node: Node, x: Value) -> Value:
    (a,) = g.accepted(FLOAT, x)
    signs = [s for s, name in ((np.inf, "detect_positive"), (-np.inf, "detect_negative")) if node[name]]
    tests = [g.EQ(a, g.like(a, s)) for s in signs] or [g.NE(a, a)]
    if not signs:
        return g.And(tests[0], g.Not(tests[0]))
    return g.Or(*tests) if len(tests) == 2 else tests[0]


@rule("Cast")
def cast(g: Builder, node: Node, x: Value) -> Value:
    return _cast(g, x, onnx.helper.tensor_dtype_to_np_dtype(node["to"]))


@rule("CastLike")
def cast_like(g: Builder, node: Node, x: Value, like: Value) -> Value:
    return _cast(g, x, like.dtype)


def _cast(g: Builder, x: Value, dtype: Any) -> Value:
    dtype = known(dtype)
    if x.dtype == dtype:
        return x
    if "O" in (x.dtype.kind, dtype.kind):
        raise NotPortable("turns text into numbers, or numbers into text")
    if dtype.kind == "b" and x.dtype.kind == "f":
        (x,) = g.accepted(FLOAT, x)
    if np.float16 in (x.dtype, dtype) and np.float32 not in (x.dtype, dtype):
        x = g.cast(x, np.float32)
    return g.cast(x, dtype)

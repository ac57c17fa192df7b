"""Functions that go element by element, and products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.ops.aten.functions import Call, declare, floats, promoted


def erf(x: np.ndarray) -> Any:
    from scipy.special import erf

    return erf(x)


FLOATING: dict[str, Call] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "log2": np.log2, "log10": np.log10,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "reciprocal": lambda x: 1 / x, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh,
    "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "erf": erf,
}  # fmt: skip
WHOLE: dict[str, Call] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "trunc": np.trunc,
}  # whole numbers stay as they are
SAME: dict[str, Call] = {
    "abs": np.abs, "neg": np.negative, "square": np.square, "relu": lambda x: np.maximum(x, 0), "isnan": np.isnan,
    "sign": lambda x: np.sign(x, where=x == x, out=np.zeros_like(x)),  # 0 for nan
    "logical_not": np.logical_not, "clone": np.copy,
}  # fmt: skip
COMPARE = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
BINARY = {
    "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum, "logical_and": np.logical_and,
    "logical_or": np.logical_or, "logical_xor": np.logical_xor, "pow": np.power, "max": np.maximum, "min": np.minimum,
}  # fmt: skip


def add(a: np.ndarray, b: Any, alpha: Any = 1) -> Any:
    a, b = promoted(a, b)
    return a + (b if alpha == 1 else (b * alpha).astype(b.dtype))


def sub(a: np.ndarray, b: Any, alpha: Any = 1) -> Any:
    a, b = promoted(a, b)
    return a - (b if alpha == 1 else (b * alpha).astype(b.dtype))


def divide(a: np.ndarray, b: Any) -> Any:
    a, b = promoted(a, b)
    return floats(a) / floats(b)


def remaining(function: Call) -> Call:
    def call(a: np.ndarray, b: Any) -> Any:
        a, b = promoted(a, b)
        if b.dtype.kind != "f" and not b.all():
            raise ValueError("other: has 0, wants whole numbers that divide")
        return function(a, b)

    return call


def of_two(function: Call) -> Call:
    return lambda a, b: function(*promoted(a, b))


def by_number(function: Call, name: str = "other") -> Call:
    """The function of a tensor and of the number in an attribute."""
    return lambda a, **attributes: function(a, attributes.pop(name), **attributes)


def where(condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> Any:
    return np.where(condition.astype(np.bool_), *promoted(a, b))


def leaky_relu(x: np.ndarray, negative_slope: float = 0.01) -> Any:
    return np.where(x > 0, x, x * x.dtype.type(negative_slope))


def addmm(a: np.ndarray, b: np.ndarray, c: np.ndarray, beta: Any = 1, alpha: Any = 1) -> Any:
    return beta * a + alpha * (b @ c)


def addcmul(a: np.ndarray, b: np.ndarray, c: np.ndarray, value: Any = 1) -> Any:
    return a + (b * c * value).astype(a.dtype)


def addcdiv(a: np.ndarray, b: np.ndarray, c: np.ndarray, value: Any = 1) -> Any:
    return a + (b / c * value).astype(a.dtype)


declare({f"{name} 1": lambda x, f=f: f(floats(x)) for name, f in FLOATING.items()})
declare({f"{name} 1": lambda x, f=f: f(x) if x.dtype.kind == "f" else x for name, f in WHOLE.items()})
declare({f"{name} 1": f for name, f in SAME.items()})
declare({f"{name} 2": of_two(f) for name, f in (BINARY | COMPARE).items()})
declare({f"{name} 1 other": by_number(of_two(f)) for name, f in ({"mul": np.multiply} | COMPARE).items()})
declare({
    "add 2 alpha=": add,
    "add 1 other alpha=": by_number(add),
    "sub 2 alpha=": sub,
    "sub 1 other alpha=": by_number(sub),
    "rsub 2 alpha=": lambda a, b, alpha=1: sub(b, a, alpha),
    "rsub 1 other alpha=": lambda a, other, alpha=1: sub(other, a, alpha),
    "div 2": divide,
    "div 1 other": by_number(divide),
    "fmod 2": remaining(np.fmod),
    "fmod 1 other": by_number(remaining(np.fmod)),
    "remainder 2": remaining(np.remainder),
    "remainder 1 other": by_number(remaining(np.remainder)),
    "pow 1 exponent": by_number(of_two(np.power), "exponent"),
    "clamp_min 1 min": by_number(of_two(np.maximum), "min"),
    "clamp_max 1 max": by_number(of_two(np.minimum), "max"),
    "atan2 2": of_two(np.arctan2),
    "frac 1": lambda x: x - np.trunc(x),
    "lerp 2 weight": lambda a, b, weight: a + weight * (b - a),
    "addcmul 3 value=": addcmul,
    "addcdiv 3 value=": addcdiv,
    "where 3": where,
    "_s_where 3": where,
    "leaky_relu 1 negative_slope=": leaky_relu,
    "type_as 2": lambda x, like: x.astype(like.dtype),
    "matmul 2": np.matmul,
    "mm 2": np.matmul,
    "bmm 2": np.matmul,
    "mv 2": np.matmul,
    "dot 2": np.dot,
    "addmm 3 beta= alpha=": addmm,
})  # fmt: skip

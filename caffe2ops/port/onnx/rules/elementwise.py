"""One element for each element: arithmetic, functions, comparisons, casts."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import dtype_of
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import nodes, rule
from caffe2ops.port.values import NotPortable, Value

nodes(
    Abs="Abs", Ceil="Ceil", Floor="Floor", Negative="Neg", Acos="Acos", Asin="Asin", Atan="Atan", Cos="Cos",
    Cosh="Cosh", Sin="Sin", Sinh="Sinh", Tan="Tan", Erf="Erf", Exp="Exp", Log="Log", Reciprocal="Reciprocal",
    Sqrt="Sqrt", Sigmoid="Sigmoid", Tanh="Tanh", Softsign="Softsign", Softplus="Softplus", Not="Not", Relu="Relu",
    Max="Max", Min="Min",
)  # fmt: skip


@rule(
    "Copy", "CopyFromCPUInput", "CopyCPUToGPU", "CopyGPUToCPU", "EnsureCPUOutput", "Alias", "AliasWithName",
    "StopGradient", "CopyOnDeviceLike", "EnsureDense",
)  # fmt: skip
def same(g: Builder, op: Any, x: Value, *_: Value) -> Value:
    return x


@rule("NanCheck", "EnforceFinite")
def checked(g: Builder, op: Any, x: Value, *_: Value) -> Value:
    g.note(f"{op.type} of {x.name!r} passes everything on: an ONNX model cannot raise for numbers that are not finite")
    return x


# --- two tensors ---


def placed(g: Builder, op: Any, A: Value, B: Value) -> Value:
    """B in a shape that NumPy's rule broadcasts as the older rule (`broadcast`, `axis`) does."""
    if not op.broadcast:
        return B
    if B.size == 1 or B.rank > A.rank:  # one element, of whatever rank
        return g.reshape(B, []) if B.rank else B
    axis = op.order.index(op.axis_str) if op.axis_str else op.axis
    behind = 0 if axis == -1 else A.rank - axis - B.rank
    return g.unsqueeze(B, *range(B.rank, B.rank + behind))


BINARY = {
    "Add": "Add", "Sub": "Sub", "Mul": "Mul", "And": "And", "Or": "Or", "Xor": "Xor", "EQ": "Equal",
    "GE": "GreaterOrEqual", "GT": "Greater", "LE": "LessOrEqual", "LT": "Less",
}  # fmt: skip
BITS = {"BitwiseAnd": "And", "BitwiseOr": "Or", "BitwiseXor": "Xor"}


@rule(*BINARY)
def binary(g: Builder, op: Any, A: Value, B: Value) -> Value:
    B, node = placed(g, op, A, B), BINARY[op.type]
    if A.dtype == bool and node not in ("And", "Or", "Xor", "Equal"):
        A, B = g.cast(A, np.int32), g.cast(B, np.int32)
    return g.op(node, A, B)


@rule("NE")
def unequal(g: Builder, op: Any, A: Value, B: Value) -> Value:
    return g.Not(g.Equal(A, placed(g, op, A, B)))


@rule(*BITS)
def bits(g: Builder, op: Any, A: Value, B: Value) -> Value:
    prefix = "" if A.dtype == bool else "Bitwise"
    return g.op(prefix + BITS[op.type], A, placed(g, op, A, B))


@rule("Div")
def divide(g: Builder, op: Any, A: Value, B: Value) -> Value:
    B = placed(g, op, A, B)
    if A.dtype.kind == "f" or (B.array is not None and not np.isin(B.array, (0, -1)).any()):
        return g.Div(A, B)
    # whole numbers: what is divided by 0 gives 0; and the least number over -1 ends the process in onnxruntime
    zero, turned = g.Equal(B, 0), g.Equal(B, -1)
    quotient = g.Div(A, g.Where(g.Or(zero, turned), 1, B))
    return g.Where(zero, 0, g.Where(turned, g.Neg(A), quotient))


@rule("Pow")
def power(g: Builder, op: Any, X: Value, exponent: Value | None = None) -> Value:
    return g.Pow(X, op.exponent if exponent is None else placed(g, op, X, exponent))


@rule("Sum", "SumInt", "Mean")
def several(g: Builder, op: Any, *inputs: Value) -> Value:
    if op.type == "Mean" or inputs[0].dtype.kind == "f":
        return g.op(op.type if op.type == "Mean" else "Sum", *inputs)
    total = inputs[0]
    for x in inputs[1:]:
        total = g.Add(total, x)
    return total


@rule("SumRelu")
def sum_relu(g: Builder, op: Any, *inputs: Value) -> Value:
    return g.Max(several(g, op, *inputs), 0)


# --- one tensor ---


@rule("Sqr")
def square(g: Builder, op: Any, x: Value) -> Value:
    return g.Mul(x, x)


@rule("Cube")
def cube(g: Builder, op: Any, x: Value) -> Value:
    return g.Mul(g.Mul(x, x), x)


@rule("Cbrt")
def cube_root(g: Builder, op: Any, x: Value) -> Value:
    return g.Mul(g.Sign(x), g.Pow(g.Abs(x), 1 / 3))


@rule("Rsqrt")
def reciprocal_root(g: Builder, op: Any, x: Value) -> Value:
    return g.Reciprocal(g.Sqrt(x))


@rule("Log1p")
def log_of_one_more(g: Builder, op: Any, x: Value) -> Value:
    """Exact near 0, where 1 + x has lost most of x: what is lost is put back as a factor."""
    more = g.Add(x, 1.0)
    plain = g.Log(more)
    near = g.Mul(plain, g.Div(x, g.Sub(more, np.ones((), x.dtype))))
    return g.Where(g.Equal(more, 1.0), x, g.Where(g.IsInf(more), plain, near))


@rule("PiecewiseLinearTransform")
def piecewise_linear(g: Builder, op: Any, x: Value, *given: Value) -> Value:
    columns = x if x.rank == 2 and not op.binary else g.slice(x, 1, -1, 2**31) if x.rank == 2 else g.unsqueeze(x, 1)
    count = columns.static(1, "predictions")
    pieces = [g.value(np.asarray(getattr(op, n), x.dtype)) for n in ("bounds", "slopes", "intercepts")]
    bounds, slopes, intercepts = (g.reshape(v, count, -1) for v in (given or pieces))
    n = slopes.static(1, "slopes")
    x_ = g.Min(g.Max(columns, g.flat(g.slice(bounds, 1, 0, 1))), g.flat(g.slice(bounds, 1, n, n + 1)))
    below = g.reduce("ReduceSum", g.cast(g.Less(bounds, g.unsqueeze(x_, 2)), np.int64), [2])
    at = g.Min(g.Max(g.Sub(below, 1), 0), n - 1)
    a, b = (g.GatherElements(g.transpose(v, [1, 0]), at, axis=0) for v in (slopes, intercepts))
    made = g.Add(g.Mul(a, x_), b)
    if op.binary and x.rank == 2 and x.static(1) == 2:
        return g.Concat(g.Sub(np.ones((), x.dtype), made), made, axis=1)
    return g.reshape(made, g.dims(x))


@rule("Sign")
def sign(g: Builder, op: Any, x: Value) -> Value:
    return g.Sign(g.Where(g.IsNaN(x), 0, x) if x.dtype.kind == "f" else x)


@rule("Scale")
def scale(g: Builder, op: Any, x: Value) -> Value:
    return g.Mul(x, op.scale)


@rule("Clip")
def clip(g: Builder, op: Any, x: Value) -> Value:
    least, most = (np.asarray(v, x.dtype) for v in (op.min, op.max))
    limits = np.finfo(x.dtype)
    return g.Clip(x, None if least <= limits.min else least, None if most >= limits.max else most)


@rule("Mod")
def modulo(g: Builder, op: Any, x: Value) -> Value:
    if abs(op.divisor) == 1:
        return g.Sub(x, x)
    if op.divisor > np.iinfo(x.dtype).max:
        raise NotPortable(f"divisor = {op.divisor} is no {x.dtype}")
    return g.Mod(x, op.divisor, fmod=0 if op.sign_follow_divisor else 1)


@rule("Logit")
def logit(g: Builder, op: Any, x: Value) -> Value:
    x = g.Min(g.Max(x, op.eps), 1 - op.eps)
    return g.Log(g.Div(x, g.Sub(np.ones((), x.dtype), x)))


@rule("Cast")
def cast(g: Builder, op: Any, x: Value) -> Value:
    to = dtype_of(op.to)
    if x.dtype.kind == "f" and to.kind in "iu" and to.itemsize < 4:
        x = g.cast(x, np.int32)
    return g.cast(x, to)


@rule("HalfToFloat")
def to_float(g: Builder, op: Any, x: Value) -> Value:
    return g.cast(x, np.float32)


@rule("FloatToHalf")
def to_half(g: Builder, op: Any, x: Value) -> Value:
    return g.cast(g.Clip(x, np.asarray(-65504, x.dtype), np.asarray(65504, x.dtype)) if op.clip else x, np.float16)


@rule("IsNaN")
def is_nan(g: Builder, op: Any, x: Value) -> Value:
    return g.cast(g.IsNaN(x), np.uint8)


@rule("ReplaceNaN")
def replace_nan(g: Builder, op: Any, x: Value) -> Value:
    return g.Where(g.IsNaN(x), op.value, x)


@rule("Where", "Conditional")
def where(g: Builder, op: Any, C: Value, X: Value, Y: Value) -> Value:
    if op.type == "Conditional" or op.broadcast_on_rows:
        C = g.unsqueeze(C, *range(1, X.rank))
    if X.dtype == bool:
        return g.Or(g.And(C, X), g.And(g.Not(C), Y))
    return g.Where(C, X, Y)


@rule("StumpFunc")
def stump(g: Builder, op: Any, x: Value) -> Value:
    low, high = (np.asarray(v, x.dtype) for v in (op.low_value, op.high_value))
    return g.Where(g.LessOrEqual(x, op.threshold), low, high)


@rule("StumpFuncIndex")
def stump_index(g: Builder, op: Any, x: Value) -> tuple[Value, ...]:
    low = g.LessOrEqual(g.flat(x), op.threshold)
    return tuple(g.Reshape(g.NonZero(which), [-1]) for which in (low, g.Not(low)))


@rule("IsMemberOf")
def member(g: Builder, op: Any, x: Value) -> Value:
    values = np.asarray([v for v in op.value if isinstance(v, int)], np.int64)
    values = values != 0 if x.dtype == bool else values
    if not values.size:
        return g.Less(x, x)
    wide = g.cast(x, np.int64)
    return g.cast(
        g.reduce("ReduceMax", g.cast(g.Equal(g.unsqueeze(wide, x.rank), values.astype(np.int64)), np.int32), [x.rank]),
        bool,
    )


@rule("Bucketize")
def bucketize(g: Builder, op: Any, x: Value) -> Value:
    edges = np.asarray(op.boundaries, x.dtype)
    below = g.cast(g.Greater(g.unsqueeze(x, x.rank), edges), np.int32)
    return g.reduce("ReduceSum", below, [x.rank])


@rule("BatchBoxCox")
def box_cox(g: Builder, op: Any, x: Value, lambda1: Value, lambda2: Value) -> Value:
    width = -1
    l1, l2 = (g.reshape(v, width) for v in (lambda1, lambda2))
    flat = g.matrix(x)
    base = g.Max(g.Add(flat, l2), 1e-6)
    zero = g.Equal(l1, 0.0)
    by_log = g.Log(base)
    by_power = g.Div(g.Sub(g.Pow(base, l1), 1.0), g.Where(zero, 1.0, l1))
    return g.reshape(g.Where(zero, by_log, by_power), g.dims(x))


@rule("ElementwiseLinear")
def elementwise_linear(g: Builder, op: Any, x: Value, w: Value, b: Value) -> Value:
    axis = op.axis % x.rank
    if axis == x.rank - 1:
        return g.Add(g.Mul(x, w), b)
    return g.reshape(g.Add(g.Mul(g.matrix(x, axis), w), b), g.dims(x))


@rule("RowMul", "SquareRootDivide")
def by_row(g: Builder, op: Any, x: Value, w: Value) -> Value:
    factor = g.reshape(w, -1, *[1] * (x.rank - 1))
    if op.type == "RowMul":
        return g.Mul(x, factor)
    root = g.Sqrt(g.cast(factor, x.dtype))
    return g.Div(x, g.Where(g.Equal(root, 0.0), 1.0, root))


@rule("Dropout")
def dropout(g: Builder, op: Any, x: Value) -> tuple[Value, ...]:
    if not op.is_test:
        raise NotPortable("draws random numbers (is_test = 0); set is_test = 1, as a net that answers has it")
    return (x, g.Equal(x, x))[: max(op.n_outputs, 1)]


@rule("BernoulliJSD")
def bernoulli_jsd(g: Builder, op: Any, T: Value, X: Value) -> Value:
    def part(p: Value) -> Value:  # p log p + (1 - p) log(1 - p), as logarithms not below 1e-20
        q = g.Sub(np.ones((), p.dtype), p)
        return g.Add(*(g.Mul(v, g.Log(g.Max(v, 1e-20))) for v in (p, q)))

    middle = g.Mul(g.Add(T, X), 0.5)
    return g.Sub(g.Mul(g.Add(part(T), part(X)), 0.5), part(middle))


@rule("CosineEmbeddingCriterion")
def cosine_criterion(g: Builder, op: Any, S: Value, Y: Value) -> Value:
    return g.Where(g.Equal(Y, 1), g.Sub(np.ones((), S.dtype), S), g.Max(g.Sub(S, op.margin), 0.0))


@rule("MarginRankingCriterion")
def margin_ranking(g: Builder, op: Any, X1: Value, X2: Value, Y: Value) -> Value:
    return g.Max(g.Add(g.Neg(g.Mul(g.cast(Y, X1.dtype), g.Sub(X1, X2))), op.margin), 0.0)

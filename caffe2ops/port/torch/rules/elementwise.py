"""One element for each element: arithmetic, functions, comparisons, casts."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import dtype_of
from caffe2ops.port.torch.rules import expressions, rule
from caffe2ops.port.torch.text import literal, raised
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer, dtype_name
from caffe2ops.port.values import NotPortable

expressions(
    Abs="{0}.abs()", Ceil="{0}.ceil()", Floor="{0}.floor()", Negative="-{0}", Acos="{0}.acos()", Asin="{0}.asin()",
    Atan="{0}.atan()", Cos="{0}.cos()", Cosh="{0}.cosh()", Sin="{0}.sin()", Sinh="{0}.sinh()", Tan="{0}.tan()",
    Erf="{0}.erf()", Exp="{0}.exp()", Log="{0}.log()", Log1p="{0}.log1p()", Reciprocal="1 / {0}", Sqrt="{0}.sqrt()",
    Rsqrt="{0}.rsqrt()", Sigmoid="{0}.sigmoid()", Tanh="{0}.tanh()", Softsign="F.softsign({0})",
    Softplus="F.softplus({0})", Not="~{0}", Relu="F.relu({0})", Sqr="{0} * {0}", Cube="{0} * {0} * {0}",
    Swish="F.silu({0})", Mish="F.mish({0})", Sign="{0}.sign()", Cbrt="{0}.sign() * {0}.abs() ** (1 / 3)",
    Copy="{0}", CopyFromCPUInput="{0}", CopyCPUToGPU="{0}", CopyGPUToCPU="{0}", EnsureCPUOutput="{0}", Alias="{0}",
    AliasWithName="{0}", EnsureDense="{0}", CopyOnDeviceLike="{0}", StopGradient="{0}.detach()",
    HalfToFloat="{0}.float()", IsNaN="{0}.isnan().to(torch.uint8)",
)  # fmt: skip


@rule("NanCheck")
def nan_check(t: Writer, op: Any, x: Tensor, *_: Tensor) -> str:
    return t.call("finite", x, literal(op.op_def.input[0]))


@rule("EnforceFinite")
def enforce_finite(t: Writer, op: Any, x: Tensor) -> None:
    t.line(t.call("finite", x, literal(op.op_def.input[0])))


# --- two tensors ---


def placed(op: Any, A: Tensor, B: Tensor) -> str:
    """B in a shape that PyTorch broadcasts as the older rule (`broadcast`, `axis`) does."""
    if not (op.broadcast and B.rank):
        return str(B)
    axis = op.order.index(op.axis_str) if op.axis_str else op.axis
    start = A.rank - B.rank if axis == -1 else axis
    computed = B.array is None and B.shape == A.shape[start : start + B.rank]  # with dims that are 1 in this batch
    if B.rank > A.rank or (B.size == 1 and not computed):  # one element, of whatever rank
        return f"{B}.reshape(())"
    behind = A.rank - start - B.rank
    return f"{B}[{', '.join(['...', *['None'] * behind])}]" if behind else str(B)


BINARY = {
    "Add": "+", "Sub": "-", "Mul": "*", "And": "&", "Or": "|", "Xor": "^", "EQ": "==", "NE": "!=", "GE": ">=",
    "GT": ">", "LE": "<=", "LT": "<", "BitwiseAnd": "&", "BitwiseOr": "|", "BitwiseXor": "^",
}  # fmt: skip


@rule(*BINARY)
def binary(t: Writer, op: Any, A: Tensor, B: Tensor) -> str:
    return f"{A} {BINARY[op.type]} {placed(op, A, B)}"


@rule("Div")
def divide(t: Writer, op: Any, A: Tensor, B: Tensor) -> str:
    right = placed(op, A, B)
    if A.is_float:
        return f"{A} / {right}"
    if B.array is not None and not np.isin(B.array, (0, -1)).any():
        return f'{A}.div({right}, rounding_mode="trunc")'
    return t.call("divide_whole", A, right)


@rule("Pow")
def power(t: Writer, op: Any, X: Tensor, exponent: Tensor | None = None) -> str:
    return raised(X, literal(op.exponent) if exponent is None else placed(op, X, exponent))


@rule("Sum", "SumInt")
def total(t: Writer, op: Any, *inputs: Tensor) -> str:
    return " + ".join(map(str, inputs))


@rule("SumRelu")
def sum_relu(t: Writer, op: Any, *inputs: Tensor) -> str:
    return f"F.relu({total(t, op, *inputs)})"


@rule("Mean")
def mean(t: Writer, op: Any, *inputs: Tensor) -> str:
    if len(inputs) == 1:
        return str(inputs[0])
    return f"({' + '.join(map(str, inputs))}) / {len(inputs)}"


@rule("Max", "Min")
def extreme(t: Writer, op: Any, *inputs: Tensor) -> str:
    text = str(inputs[0])
    for x in inputs[1:]:
        text = f"torch.{op.type.lower()}imum({text}, {x})"
    return text


@rule("WeightedSum")
def weighted_sum(t: Writer, op: Any, *inputs: Tensor) -> str:
    first = inputs[0]
    parts = [str(x) if x.shape == first.shape else f"{x}.reshape({first}.shape)" for x in inputs[::2]]
    return " + ".join(f"{x} * {w}" for x, w in zip(parts, inputs[1::2]))


# --- one tensor ---


@rule("Scale")
def scale(t: Writer, op: Any, x: Tensor) -> str:
    return f"{x} * {literal(op.scale)}"


@rule("Clip")
def clip(t: Writer, op: Any, x: Tensor) -> str:
    limits = np.finfo(x.dtype)
    given = [f"min={literal(op.min)}"] if op.min > limits.min else []
    given += [f"max={literal(op.max)}"] if op.max < limits.max else []
    return f"{x}.clamp({', '.join(given)})" if given else str(x)


@rule("Mod")
def modulo(t: Writer, op: Any, x: Tensor) -> str:
    if op.divisor > np.iinfo(x.dtype).max:
        raise NotPortable(f"divisor = {op.divisor} is no {x.dtype}")
    return f"{x}.{'remainder' if op.sign_follow_divisor else 'fmod'}({op.divisor})"


@rule("Logit")
def logit(t: Writer, op: Any, x: Tensor) -> str:
    return f"{x}.logit({literal(op.eps)})"


@rule("Elu")
def elu(t: Writer, op: Any, x: Tensor) -> str:
    return f"F.elu({x})" if op.alpha == 1 else f"F.elu({x}, alpha={literal(op.alpha)})"


@rule("LeakyRelu")
def leaky_relu(t: Writer, op: Any, x: Tensor) -> str:
    return f"F.leaky_relu({x}, {literal(op.alpha)})"


@rule("ThresholdedRelu")
def thresholded(t: Writer, op: Any, x: Tensor) -> str:
    return f"torch.where({x} > {literal(op.alpha)}, {x}, 0.0)"


@rule("Selu")
def selu(t: Writer, op: Any, x: Tensor) -> str:
    return f"{literal(op.scale)} * F.elu({x}, alpha={literal(op.alpha)})"


@rule("HardSigmoid")
def hard_sigmoid(t: Writer, op: Any, x: Tensor) -> str:
    return f"({literal(op.alpha)} * {x} + {literal(op.beta)}).clamp(0.0, 1.0)"


@rule("ReluN")
def relu_n(t: Writer, op: Any, x: Tensor) -> str:
    return f"{x}.clamp(0.0, {literal(op.n)})"


@rule("Gelu")
def gelu(t: Writer, op: Any, x: Tensor) -> str:
    return f'F.gelu({x}, approximate="tanh")' if op.fast_gelu else f"F.gelu({x})"


@rule("Glu")
def gated(t: Writer, op: Any, x: Tensor) -> str:
    return f"F.glu({x}, dim={op.dim})"


@rule("PRelu")
def prelu(t: Writer, op: Any, x: Tensor, slope: Tensor) -> str:
    """PyTorch takes the channels from axis 1."""
    last = op.order == "NHWC" and slope.size != 1 and x.rank > 2
    if slope.owned and slope.is_float and not last:
        n = slope.static(0) if slope.rank else 1
        made = t.module("nn.PReLU()" if n == 1 else f"nn.PReLU({n})", {"weight": (slope, lambda a: a.reshape(-1))})
        return f"{made}({x})"
    if last:
        return f"torch.where({x} > 0, {x}, {slope} * {x})"
    return f"F.prelu({x}, {slope})"


@rule("Cast")
def cast(t: Writer, op: Any, x: Tensor) -> str:
    to = dtype_of(op.to)
    if x.dtype.kind == "f" and to.kind in "iu" and to.itemsize < 4:
        return f"{x}.int().to({dtype_name(to)})"
    return f"{x}.to({dtype_name(to)})"


@rule("FloatToHalf")
def to_half(t: Writer, op: Any, x: Tensor) -> str:
    return f"{x}.clamp(-65504, 65504).half()" if op.clip else f"{x}.half()"


@rule("ReplaceNaN")
def replace_nan(t: Writer, op: Any, x: Tensor) -> str:
    return f"torch.where({x}.isnan(), {literal(op.value)}, {x})"


@rule("Where")
def where(t: Writer, op: Any, C: Tensor, X: Tensor, Y: Tensor) -> str:
    condition = f"{C}.reshape(-1, {', '.join(['1'] * (X.rank - 1))})" if op.broadcast_on_rows and X.rank > 1 else C
    return f"torch.where({condition}, {X}, {Y})"


@rule("StumpFunc")
def stump(t: Writer, op: Any, x: Tensor) -> str:
    return f"torch.where({x} <= {literal(op.threshold)}, {literal(op.low_value)}, {literal(op.high_value)})"


@rule("StumpFuncIndex")
def stump_index(t: Writer, op: Any, x: Tensor) -> tuple[str, str]:
    low = t.let("low", f"{x}.flatten() <= {literal(op.threshold)}")
    return f"{low}.nonzero().flatten()", f"(~{low}).nonzero().flatten()"


@rule("IsMemberOf")
def member(t: Writer, op: Any, x: Tensor) -> str:
    values = [v for v in op.value if isinstance(v, int)]
    if not values:
        return f"torch.zeros_like({x}, dtype=torch.bool)"
    return " | ".join(f"({x} == {literal(bool(v) if x.dtype == bool else v)})" for v in values)


@rule("Bucketize")
def bucketize(t: Writer, op: Any, x: Tensor) -> str:
    edges = f"torch.tensor({literal(list(op.boundaries))}, device={x}.device)"
    return f"torch.bucketize({x}.float(), {edges}, out_int32=True)"


@rule("ElementwiseLinear")
def elementwise_linear(t: Writer, op: Any, x: Tensor, w: Tensor, b: Tensor) -> str:
    behind = x.rank - op.axis % x.rank - 1
    if not behind:
        return f"{x} * {w} + {b}"
    if any(x.shape[i] != 1 for i in range(op.axis % x.rank + 1, x.rank)) and w.size != x.shape[op.axis % x.rank]:
        dims = ", ".join(x.dim(i) for i in range(op.axis % x.rank, x.rank))
        return f"{x} * {w}.reshape({dims}) + {b}.reshape({dims})"
    fit = ", ".join(["...", *["None"] * behind])
    return f"{x} * {w}[{fit}] + {b}[{fit}]"


@rule("RowMul")
def by_row(t: Writer, op: Any, x: Tensor, w: Tensor) -> str:
    return f"{x} * {t.call('per_row', w, x)}"


@rule("SquareRootDivide")
def root_divide(t: Writer, op: Any, x: Tensor, w: Tensor) -> str:
    return t.call("divide_by_root", x, w)


@rule("BatchBoxCox")
def box_cox(t: Writer, op: Any, x: Tensor, lambda1: Tensor, lambda2: Tensor) -> str:
    return t.call("box_cox", x, lambda1, lambda2)


@rule("Dropout")
def dropout(t: Writer, op: Any, x: Tensor) -> tuple[str, str | None]:
    """The module does nothing unless the net is put into training mode."""
    if not op.is_test:
        raise NotPortable("draws random numbers (is_test = 0); set is_test = 1, as a net that answers has it")
    made = t.module(f"nn.Dropout({literal(op.ratio)})", {}, name=f"{op.op_def.output[0]}_dropout")
    return f"{made}({x})", f"torch.ones_like({x}, dtype=torch.bool)"


@rule("BernoulliJSD")
def bernoulli_jsd(t: Writer, op: Any, T: Tensor, X: Tensor) -> str:
    return t.call("bernoulli_jsd", T, X)


@rule("CosineEmbeddingCriterion")
def cosine_criterion(t: Writer, op: Any, S: Tensor, Y: Tensor) -> str:
    return f"torch.where({Y} == 1, 1 - {S}, ({S} - {literal(op.margin)}).clamp(min=0.0))"


@rule("MarginRankingCriterion")
def margin_ranking(t: Writer, op: Any, X1: Tensor, X2: Tensor, Y: Tensor) -> str:
    return f"(-{Y} * ({X1} - {X2}) + {literal(op.margin)}).clamp(min=0.0)"

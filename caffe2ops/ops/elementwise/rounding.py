"""Sign, absolute value, rounding, remainder, and linear rows."""

from __future__ import annotations

import numpy as np

from caffe2ops.errors import SchemaError
from caffe2ops.operator import FORBIDDEN, NOT_YET, Arg
from caffe2ops.ops.elementwise.rows import Elementwise, extreme, unary

LARGEST = float(np.finfo(np.float32).max)


def _sign(X, out):
    np.subtract((X > 0).view(np.int8), (X < 0).view(np.int8), out=out)


def _clip_gradient(Y, dY, min, max, out):
    inside = min < Y
    inside &= max > Y
    np.multiply(dY, inside, out=out)


def _with_divisor(self, *args, **kwargs):
    Elementwise.__init__(self, *args, **kwargs)
    if self.divisor == 0:
        raise SchemaError("Mod: divisor = 0, wants not 0")


def _mod(X, divisor, sign_follow_divisor, out):
    remainder = np.remainder if sign_follow_divisor else np.fmod
    remainder(X, np.int64(divisor), out=out, casting="unsafe")


unary(
    "Abs",
    "Y = |X|; its gradient at 0 is 0. Caffe2: operators/abs_op.",
    cpu=np.abs,
    cuda="fabs(X)",
    gradient="AbsGradient(X, dY) -> dX",
    gradient_cpu=lambda X, dY, out: np.multiply(dY, np.sign(X), out=out),
    gradient_cuda="dY * (X > T(0) ? T(1) : X < T(0) ? T(-1) : X)",
    inplace=(),
)
unary(
    "Negative",
    "Y = -X. Caffe2: operators/negative_op.",
    dtype="number",
    cpu=np.negative,
    cuda="-X",
    gradient="Negative(dY) -> dX",
)
unary(
    "Sign",
    "Y = 1, 0 or -1 where X is greater than, equal to or less than 0; 0 for NaN. Caffe2: operators/elementwise_ops.",
    dtype="number",
    cpu=_sign,
    cuda="T(X > T(0)) - T(X < T(0))",
    gradient=FORBIDDEN,
    inplace=(),
)
unary(
    "Ceil",
    "The least whole number that is not less than X. Caffe2: operators/ceil_op.",
    cpu=np.ceil,
    cuda="ceil(X)",
    gradient=NOT_YET,
)
unary(
    "Floor",
    "The greatest whole number that is not greater than X. Caffe2: operators/floor_op.",
    cpu=np.floor,
    cuda="floor(X)",
    gradient=NOT_YET,
)
unary(
    "Mod",
    "The remainder of X by divisor, with the sign of X, or on demand that of the divisor. Caffe2: operators/mod_op.",
    dtype="integer",
    cpu=_mod,
    cuda="""
    const long long r = divisor == -1 ? 0 : X % divisor;
    Y = (T)(r != 0 && sign_follow_divisor && (r > 0) != (divisor > 0) ? r + divisor : r);
    """,
    __init__=_with_divisor,
    args={
        "divisor": ("int", Arg(doc="any whole number but 0")),
        "sign_follow_divisor": ("bool", Arg(False, doc="the remainder has the divisor's sign instead of X's")),
    },
)
unary(
    "Scale",
    "Y = scale * X. Caffe2: operators/scale_op.",
    cpu=np.multiply,
    cuda="X * T(scale)",
    gradient="Scale(dY) -> dX",
    args={"scale": ("float", Arg(1.0, doc="the factor"))},
)
unary(
    "Clip",
    """Y = min(max(X, min), max); NaN stays NaN. Where min > max, Y is max.

    An argument not given is the least or largest float32, so that infinities become finite. Where Y is at a bound the
    gradient is 0. Caffe2: operators/clip_op.
    """,
    cpu=lambda X, min, max, out: extreme(np.minimum, extreme(np.maximum, X, min, out), max, out),
    cuda="Y = X < T(min) ? T(min) : X; Y = Y > T(max) ? T(max) : Y;",
    gradient="ClipGradient(Y, dY) -> dX",
    gradient_cpu=_clip_gradient,
    gradient_cuda="dY * T(Y > T(min) && Y < T(max))",
    gradient_inplace=((1, 0),),
    args={
        "min": ("float", Arg(-LARGEST, doc="the least value that passes")),
        "max": ("float", Arg(LARGEST, doc="the largest one")),
    },
    flops=2,
)

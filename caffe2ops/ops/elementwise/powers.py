"""Exponentials, logarithms, powers and roots of one tensor, Erf and Logit."""

from __future__ import annotations

import math

import numpy as np

from caffe2ops.operator import Arg
from caffe2ops.ops.elementwise.rows import masked, unary


def _log1p_gradient(input, doutput, out):
    np.divide(doutput, input + 1, out=out)


def _rsqrt(X, out):
    np.sqrt(X, out=out)
    np.reciprocal(out, out=out)


def _rsqrt_gradient(dY, Y, out):
    slope = np.square(Y)
    slope *= Y
    slope *= -0.5
    np.multiply(dY, slope, out=out)


def _cube(X, out):
    np.multiply(np.square(X), X, out=out)


def _cube_gradient(dY, X, out):
    slope = np.square(X)
    slope *= 3
    np.multiply(dY, slope, out=out)


def _cbrt_gradient(dY, Y, out):
    steep = np.square(Y)
    steep *= 3
    np.divide(dY, steep, out=out)


def _reciprocal_gradient(Y, dY, out):
    slope = np.square(Y)
    np.negative(slope, out=slope)
    np.multiply(dY, slope, out=out)


def _erf(X, out):
    from scipy.special import erf

    erf(X, out=out)


def _erf_gradient(X, dY, out):
    slope = np.square(X)
    np.negative(slope, out=slope)
    np.exp(slope, out=slope)
    slope *= 2 / math.sqrt(math.pi)
    np.multiply(dY, slope, out=out)


def _logit(X, eps, out):
    inside = np.clip(X, eps, 1 - eps)
    np.subtract(1, inside, out=out)
    np.divide(inside, out, out=out)
    np.log(out, out=out)


def _logit_gradient(X, dY, eps, out):
    steep = 1 - X
    steep *= X
    masked(np.divide(dY, steep, out=steep), ~((eps > X) | (1 - eps < X)), out)


unary(
    "Exp",
    "Y = e to the power of X. Caffe2: operators/exp_op.",
    cpu=np.exp,
    cuda="exp(X)",
    gradient="Mul(Y, dY) -> dX",
    flops=10,
)
unary(
    "Log",
    "The natural logarithm; NaN for X < 0, -inf for 0. Caffe2: operators/log_op.",
    cpu=np.log,
    cuda="log(X)",
    gradient="Div(dY, X) -> dX",
    flops=10,
)
unary(
    "Log1p",
    "The natural logarithm of 1 + input, exact near 0; NaN for input < -1. Caffe2: operators/log1p_op.",
    ports=("input", "output"),
    cpu=np.log1p,
    cuda="log1p(input)",
    gradient="Log1pGradient(input, doutput) -> dinput",
    gradient_cpu=_log1p_gradient,
    gradient_cuda="doutput / (input + T(1))",
    inplace=(),
    flops=10,
)
unary(
    "Sqr",
    "Y = X squared. Caffe2: operators/sqr_op.",
    cpu=np.square,
    cuda="X * X",
    gradient="Scale(dY, scale=2.0) -> dY; Mul(dY, X) -> dX",
)
unary(
    "Sqrt",
    "The square root; NaN for X < 0. Caffe2: operators/sqrt_op.",
    cpu=np.sqrt,
    cuda="sqrt(X)",
    gradient="Scale(dY, scale=0.5) -> dX; Div(dX, Y) -> dX",
)
unary(
    "Rsqrt",
    "One over the square root; NaN for X < 0. Caffe2: operators/rsqrt_op.",
    cpu=_rsqrt,
    cuda="T(1) / sqrt(X)",
    gradient="RsqrtGradient(dY, Y) -> dX",
    gradient_cpu=_rsqrt_gradient,
    gradient_cuda="dY * (Y * Y * Y * T(-0.5))",
    gradient_inplace=((0, 0),),
    flops=2,
)
unary(
    "Cube",
    "Y = X to the power of 3. Caffe2: operators/cube_op.",
    dtype="number",
    cpu=_cube,
    cuda="X * X * X",
    gradient="CubeGradient(dY, X) -> dX",
    gradient_cpu=_cube_gradient,
    gradient_cuda="dY * X * X * T(3)",
    inplace=(),
    flops=2,
)
unary(
    "Cbrt",
    "The cube root, also of negative X. Caffe2: operators/cbrt_op.",
    cpu=np.cbrt,
    cuda="cbrt(X)",
    gradient="CbrtGradient(dY, Y) -> dX",
    gradient_cpu=_cbrt_gradient,
    gradient_cuda="dY / (Y * Y * T(3))",
    gradient_inplace=((0, 0),),
    flops=10,
)
unary(
    "Reciprocal",
    "Y = 1 / X. Caffe2: operators/reciprocal_op.",
    cpu=np.reciprocal,
    cuda="T(1) / X",
    gradient="ReciprocalGradient(Y, dY) -> dX",
    gradient_cpu=_reciprocal_gradient,
    gradient_cuda="-dY * Y * Y",
    gradient_inplace=((1, 0),),
)
unary(
    "Erf",
    "The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to X. Caffe2: operators/erf_op.",
    ports=("input", "output"),
    cpu=_erf,
    cuda="erf(input)",
    gradient="ErfGradient(input, doutput) -> dinput",
    gradient_cpu=_erf_gradient,
    gradient_cuda="doutput * T(1.1283791670955126) * exp(-input * input)",
    inplace=(),
    flops=10,
)
unary(
    "Logit",
    "Y = log(X / (1 - X)), X clipped to [eps, 1 - eps] before; outside the gradient is 0. Caffe2: operators/logit_op.",
    cpu=_logit,
    cuda="Y = X < T(eps) ? T(eps) : X > T(1) - T(eps) ? T(1) - T(eps) : X; Y = log(Y / (T(1) - Y));",
    gradient="LogitGradient(X, dY) -> dX",
    gradient_cpu=_logit_gradient,
    gradient_cuda="X < T(eps) || X > T(1) - T(eps) ? T(0) : dY / (X * (T(1) - X))",
    args={"eps": ("float", Arg(1e-6, doc="distance that X keeps from 0 and 1"))},
    flops=12,
)

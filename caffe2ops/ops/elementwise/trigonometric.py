"""Trigonometric functions and their inverses."""

from __future__ import annotations

import numpy as np

from caffe2ops.ops.elementwise.rows import unary


def _tan_gradient(X, dY, out):
    steep = np.cos(X)
    np.square(steep, out=steep)
    np.divide(dY, steep, out=out)


def _asin_gradient(X, dY, out):
    steep = np.square(X)
    np.subtract(1, steep, out=steep)
    np.sqrt(steep, out=steep)
    np.divide(dY, steep, out=out)


def _acos_gradient(X, dY, out):
    _asin_gradient(X, dY, out)
    np.negative(out, out=out)


def _atan_gradient(X, dY, out):
    steep = np.square(X)
    steep += 1
    np.divide(dY, steep, out=out)


def _times(slope):
    """The gradient of a function that has this derivative."""
    return lambda X, dY, out: np.multiply(dY, slope(X), out=out)


def _row(name, doc, cpu, cuda, gradient_cpu, gradient_cuda, ports=("input", "output"), flipped=False):
    x, y = ports
    names = (f"d{y}", x) if flipped else (x, f"d{y}")
    cpu_of = (lambda dY, X, out: gradient_cpu(X, dY, out)) if flipped else gradient_cpu
    unary(
        name, f"{doc} Caffe2: operators/{name.lower()}_op.", cpu, f"{cuda}({x})", ports=ports, inplace=(), flops=10,
        depth=2,
        gradient=f"{name}Gradient({', '.join(names)}) -> d{x}", gradient_cpu=cpu_of,
        gradient_cuda=gradient_cuda.replace("dY", f"d{y}").replace("X", x),
    )  # fmt: skip


XY = ("X", "Y")
_row("Sin", "The sine of an angle in radians.", np.sin, "sin", _times(np.cos), "dY * cos(X)", XY)
_row("Cos", "The cosine of an angle in radians.", np.cos, "cos", _times(lambda X: -np.sin(X)), "dY * -sin(X)", XY)
_row("Tan", "The tangent of an angle in radians.", np.tan, "tan", _tan_gradient, "dY / (cos(X) * cos(X))")
_row(
    "Asin",
    "The angle that has this sine; NaN outside [-1, 1].",
    np.arcsin,
    "asin",
    _asin_gradient,
    "dY / sqrt(T(1) - X * X)",
)
_row(
    "Acos", "The angle that has this cosine; NaN outside [-1, 1].", np.arccos, "acos", _acos_gradient,
    "-dY / sqrt(T(1) - X * X)",
)  # fmt: skip
_row("Atan", "The angle in radians that has this tangent.", np.arctan, "atan", _atan_gradient, "dY / (T(1) + X * X)")
_row("Sinh", "The hyperbolic sine.", np.sinh, "sinh", _times(np.cosh), "dY * cosh(X)", flipped=True)
_row("Cosh", "The hyperbolic cosine.", np.cosh, "cosh", _times(np.sinh), "dY * sinh(X)", flipped=True)

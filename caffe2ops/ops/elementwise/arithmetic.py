"""Add, Sub, Mul and Div with their gradients."""

from __future__ import annotations

import numpy as np

from caffe2ops.ops.elementwise.broadcast import BinaryGradient, binary, binary_gradient


def _quotient(a: str) -> str:
    """The CUDA expression of `divide`, safe for whole numbers (T(0.5) tells) over 0 and for the least over -1."""
    return f"T(0.5) != T(0) ? {a} / B : B == T(0) ? T(0) : B == T(-1) ? T(0) - {a} : {a} / B"


def divide(A, B, out):
    """The quotient; of whole numbers rounded towards 0, and 0 where B is 0."""
    if out.dtype.kind == "f":
        np.divide(A, B, out=out)
    else:
        np.floor_divide(A - np.fmod(A, B), B, out=out)


def _div_dB(dC, A, B, C, out):
    divide(-(dC * C), B, out)


binary(
    "Add",
    "C = A + B. Caffe2: operators/elementwise_add_op.",
    np.add,
    "A + B",
    gradient="AddGradient(dC, A, B) -> dA, dB",
    inplace=((0, 0), (1, 0)),
)
binary(
    "Sub",
    "C = A - B. Caffe2: operators/elementwise_sub_op.",
    np.subtract,
    "A - B",
    gradient="SubGradient(dC, A, B) -> dA, dB",
    inplace=((0, 0), (1, 0)),
)
binary(
    "Mul",
    "C = A * B. Caffe2: operators/elementwise_mul_op.",
    np.multiply,
    "A * B",
    gradient="MulGradient(dC, A, B) -> dA, dB",
    inplace=((0, 0), (1, 0)),
)
binary(
    "Div",
    """C = A / B.

    Whole numbers are divided with rounding towards 0; by 0 they give 0, where Caffe2's process ends.
    Caffe2: operators/elementwise_div_op.
    """,
    divide,
    _quotient("A"),
    gradient="DivGradient(dC, A, B, C) -> dA, dB",
    inplace=((0, 0),),
)

binary_gradient(
    "AddGradient",
    "The gradient of Add: dC, summed over the dims along which the input was repeated.",
    cpu=(None, None),
    cuda=(None, None),
    inplace=((0, 0), (0, 1)),
)
binary_gradient(
    "SubGradient",
    "The gradient of Sub: dC and -dC, summed over the dims along which the input was repeated.",
    cpu=(None, lambda dC, A, B, out: np.negative(dC, out=out)),
    cuda=(None, "-dC"),
    inplace=((0, 0), (0, 1)),
)
binary_gradient(
    "MulGradient",
    "The gradient of Mul: dC * B and dC * A, summed over the dims along which the input was repeated.",
    cpu=(lambda dC, A, B, out: np.multiply(dC, B, out=out), lambda dC, A, B, out: np.multiply(dC, A, out=out)),
    cuda=("dC * B", "dC * A"),
    inplace=((0, 0), (0, 1)),
)


class _DivGradient(BinaryGradient):
    """Takes the inputs of old nets, too: (B, C, dC), without A."""

    def infer(self, *inputs):
        _, A, B, *_ = self.operands(inputs)
        return A, B

    def operands(self, inputs):
        if len(inputs) == 4:
            return inputs
        B, C, dC = inputs
        return dC, C, B, C


binary_gradient(
    "DivGradient",
    """The gradient of Div: dC / B and -dC * C / B, summed over the dims along which the input was repeated.

    Old nets give B, C, dC alone.
    """,
    base=_DivGradient,
    contract="dC: number, A: dC, B: dC, C?: dC -> dA: dC[?], dB: dC[?]",
    cpu=(lambda dC, A, B, C, out: divide(dC, B, out), _div_dB),
    cuda=(_quotient("dC"), _quotient("(-dC * C)")),
    inplace=((0, 0),),
)

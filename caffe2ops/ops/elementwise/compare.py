"""Comparisons, and logic on booleans and on bits."""

from __future__ import annotations

import numpy as np

from caffe2ops.operator import FORBIDDEN
from caffe2ops.ops.elementwise.broadcast import binary
from caffe2ops.ops.elementwise.rows import unary


def _row(name, doc, cpu, sign, dtype, to="bool", inplace=((0, 0),)):
    binary(
        name, f"{doc} Caffe2: operators/elementwise_ops.", cpu, f"A {sign} B", dtype=dtype, to=to,
        gradient=FORBIDDEN, inplace=inplace, depth=3,
    )  # fmt: skip


_row("EQ", "Whether A = B; NaN equals nothing.", np.equal, "==", "number|bool", inplace=())
_row("NE", "Whether A and B differ; NaN differs from all.", np.not_equal, "!=", "number|bool", inplace=())
_row("LT", "Whether A < B.", np.less, "<", "number|bool", inplace=())
_row("LE", "Whether A <= B.", np.less_equal, "<=", "number|bool", inplace=())
_row("GT", "Whether A > B.", np.greater, ">", "number|bool", inplace=())
_row("GE", "Whether A >= B.", np.greater_equal, ">=", "number|bool", inplace=())
_row("And", "Whether A and B hold.", np.logical_and, "&&", "bool")
_row("Or", "Whether A or B or both hold.", np.logical_or, "||", "bool")
_row("Xor", "Whether one of A and B holds, and only one.", np.logical_xor, "!=", "bool")
_row("BitwiseAnd", "The bits that A and B share.", np.bitwise_and, "&", "integer|bool", "A")
_row("BitwiseOr", "The bits of A and of B.", np.bitwise_or, "|", "integer|bool", "A")
_row("BitwiseXor", "The bits in which A and B differ.", np.bitwise_xor, "^", "integer|bool", "A")

unary(
    "Not",
    "Whether X does not hold. Caffe2: operators/elementwise_ops.",
    np.logical_not,
    "!X",
    dtype="bool",
    gradient=FORBIDDEN,
    inplace=(),
)

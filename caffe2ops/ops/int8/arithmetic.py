"""Integers scaled as QNNPACK, Caffe2's library for 8 bits, scales them, and what all Int8 operators share."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from caffe2ops.operator import Arg, Operator
from caffe2ops.qtensor import QTensor

F = np.float32
LEAST, MOST = 0, 255
BLOCK = 1 << 14  # elements scaled at a time, which stay in the cache
T = TypeVar("T", bound=Operator)


class Int8(Operator):
    """Base of the operators that make a quantised tensor."""

    Y_scale: float = Arg(1.0, gt=0, doc="scale of the output")
    Y_zero_point: int = Arg(0, ge=LEAST, le=MOST, doc="the element that stands for 0 in the output")

    def made(self, data: np.ndarray) -> QTensor:
        """The output of these elements."""
        return QTensor(data, float(F(self.Y_scale)), self.Y_zero_point)

    def like(self, x: QTensor, data: np.ndarray) -> QTensor:
        """The output of elements that mean what they mean in x. Raises ValueError where the arguments say otherwise."""
        self.wants_scale(x.scale, x.zero_point)
        return self.made(data)

    def wants_scale(self, scale: float, zero_point: int) -> None:
        """Raises ValueError where the arguments give the output another scale or zero point."""
        if F(self.Y_scale) != F(scale) or self.Y_zero_point != zero_point:
            raise ValueError(
                f"Y_scale = {self.Y_scale:.9g}, Y_zero_point = {self.Y_zero_point}: wants {scale:.9g} and {zero_point}"
            )


def of_floats(op: Operator, cls: type[T]) -> T:
    """The operator of floats that does what a quantised one does, with the same arguments."""
    args = {name: value for name, value in op.op_def.args.items() if name in cls.arg_specs}
    return cls(op.op_def.replace(type=cls.type, engine="", args=args), op.workspace)


def quantised(name: str, value: Any, dtype: Any = np.uint8) -> QTensor:
    """The value of a blob that must hold a quantised tensor. Raises TypeError."""
    if not isinstance(value, QTensor):
        raise TypeError(f"{name}: holds {type(value).__name__}, wants a quantised tensor (Int8Quantize makes one)")
    if value.data.dtype != dtype:
        raise TypeError(f"{name}: holds {value.data.dtype}, wants {np.dtype(dtype)}")
    return value


def clamped(values: np.ndarray, zero_point: int, relu: bool = False) -> np.ndarray:
    """values + zero_point as bytes, at least the zero point with `relu`."""
    return np.clip(values + zero_point, zero_point if relu else LEAST, MOST).astype(np.uint8)


def ratio(scale: Any, least: float, below: float, what: str) -> np.float32:
    """A ratio of scales. Raises ValueError where it is out of the range that QNNPACK takes."""
    if not least <= scale < below:
        raise ValueError(f"Y_scale: makes {what} = {scale:.9g}, wants at least {least:.9g} and less than {below:.9g}")
    return F(scale)


def parts(scale: np.float32) -> tuple[int, int]:
    """(mantissa, exponent) with scale = mantissa / 2^23 * 2^exponent."""
    bits = int(scale.view(np.uint32))
    return (bits & 0x7FFFFF) | 0x800000, (bits >> 23) - 127


def _shifted(values: np.ndarray, shift: int) -> np.ndarray:
    """values / 2^shift, to the nearest, halves away from 0."""
    mask = (1 << shift) - 1
    return (values >> shift) + ((values & mask) - (values < 0) > mask >> 1)


def requantise(
    sums: np.ndarray, offsets: np.ndarray, scale: np.float32, zero_point: int, relu: bool, out: np.ndarray
) -> None:
    """Writes (sums + offsets) * scale + zero_point as bytes, at least the zero point with `relu`; scale below 1.

    The product is rounded, halves up, then divided by a power of two and rounded again, halves away from 0. `sums`
    [R, M] hold whole numbers of 32 bits, `offsets` is [M]. All of it is done in place, block by block.
    """
    mantissa, exponent = parts(scale)
    shift = -1 - exponent
    wide = np.float64 if shift <= 20 else np.longdouble  # where 53 bits do not hold a product it is cut off anyway
    factor = mantissa * 2.0**-24
    ahead = offsets * wide(factor) + 0.5
    again = 2.0**-shift * (1 + 2.0**-40) if shift else 1.0  # a half goes away from 0, and nothing else goes anywhere
    behind = zero_point + (0.5 if shift else 0.0)
    rows = max(1, BLOCK // max(len(offsets), 1))
    block = np.empty((rows, len(offsets)), wide)
    for at in range(0, len(sums), rows):
        part = sums[at : at + rows]
        x = block[: len(part)]
        np.copyto(x, part)
        x *= factor
        x += ahead
        np.floor(x, out=x)
        x *= again
        x += behind
        np.clip(x, zero_point if relu else LEAST, MOST, out=x)
        np.copyto(out[at : at + rows], x, casting="unsafe")


def multiplied(sums: np.ndarray, scale: float, what: str) -> np.ndarray:
    """sums * scale, rounded as by `requantise`, the scale a double of 31 bits.

    Raises ValueError where it is not below 1.
    """
    if not 0 <= scale < 1:
        raise ValueError(f"Y_scale: makes {what} = {scale:.9g}, wants less than 1")
    part, exponent = np.frexp(scale)
    return _shifted((sums * round(part * 2**31) + (1 << 30)) >> 31, -int(exponent))


def averaged(sums: np.ndarray, scale: np.float32) -> np.ndarray:
    """sums * scale, rounded once, halves away from 0."""
    mantissa, exponent = parts(scale)
    shift = 23 - exponent
    product = sums * mantissa
    return (product - (product < 0) + (1 << (shift - 1))) >> shift


def added(a: np.ndarray, b: np.ndarray, a_scale: np.float32, b_scale: np.float32) -> np.ndarray:
    """a * a_scale + b * b_scale with scales of 22 bits."""
    _, exponent = parts(max(a_scale, b_scale))
    shift = 21 - exponent
    of_a, of_b = (int(np.rint(scale * F(2.0**shift))) for scale in (a_scale, b_scale))
    return _shifted(a * of_a + b * of_b, shift)

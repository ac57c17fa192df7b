"""The code of fused row-wise quantised matrices: a row is its quantised elements, then its scale and its bias.

An element is `bits` bits wide, the lower ones of a byte first. Its value is quantised * scale + bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe2ops.infer import Unknown

BINS, NARROWEST = 200, 168  # steps of the greedy search
BLOCK = 1 << 15  # elements that are quantised at once, which stay in the cache
EPSILON = np.float32(1e-8)  # keeps the range of a row of 8 bits from 0


@dataclass(frozen=True)
class Codec:
    """How a row lies in bytes: bits an element, dtype of scale and bias, whether a byte has one element all the same.

    Scale and bias are rounded to float16 before elements are quantised (`half`); else they are the row's least element
    and its range / 255.
    """

    bits: int
    scale: str  # dtype of scale and bias
    half: bool = True
    packed: bool = True

    @property
    def levels(self) -> int:
        return (1 << self.bits) - 1

    @property
    def per_byte(self) -> int:
        return 8 // self.bits if self.packed else 1

    @property
    def tail(self) -> int:
        """Bytes of scale and bias."""
        return 2 * np.dtype(self.scale).itemsize

    def coded_width(self, width: Any) -> Any:
        """Bytes of a row of `width` elements. Raises ValueError where the last byte would not be full."""
        if not isinstance(width, Unknown) and width % self.per_byte:
            raise ValueError(
                f"input: has {width} columns, wants a multiple of {self.per_byte}, as each takes {self.bits} bits"
            )
        return width // self.per_byte + self.tail

    def width(self, coded: Any, name: str = "DATA") -> Any:
        """Elements of a row of `coded` bytes. Raises ValueError where there is no space for any."""
        if not isinstance(coded, Unknown) and coded <= self.tail:
            raise ValueError(f"{name}: rows have {coded} bytes, want more than the {self.tail} of scale and bias")
        return (coded - self.tail) * self.per_byte

    def encode(self, rows: np.ndarray, out: np.ndarray, search: bool = False) -> None:
        """Quantises float rows [N, D] into bytes [N, coded_width(D)]; `search`: of the range that `searched` finds."""
        x = np.asarray(rows, np.float32)
        low, high = _extremes(x)
        if search:
            low, high = searched(x, low, high, self.levels)
        scale, bias, inverse = self._half_scale(low, high) if self.half else _full_scale(low, high)
        divides = self.half and self.packed and (search or rows.dtype == np.float16)
        many = max(1, BLOCK // x.shape[1])
        for block in (slice(at, at + many) for at in range(0, len(x), many)):
            steps = x[block] - bias[block]
            steps = (
                np.divide(steps, scale[block], out=steps) if divides else np.multiply(steps, inverse[block], out=steps)
            )
            np.clip(np.rint(steps, out=steps), 0, self.levels, out=steps)
            np.copyto(steps, 0, where=np.isnan(steps))
            codes = steps.astype(np.uint8)
            packed = out[block, : -self.tail]
            packed[...] = codes[:, :: self.per_byte]
            for i in range(1, self.per_byte):
                packed |= codes[:, i :: self.per_byte] << (i * self.bits)
        out[:, -self.tail :] = np.hstack([scale, bias]).astype(self.scale).view(np.uint8)

    def _half_scale(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scale, bias = _rounded(low, high, self.levels)
        if self.packed:
            scale = np.where(scale == 0, np.float32(1), scale)
        inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)
        return scale, bias, inverse

    def decode(self, coded: np.ndarray) -> np.ndarray:
        """The float32 rows [N, D] of bytes."""
        scale, bias = np.split(
            np.ascontiguousarray(coded[:, -self.tail :]).view(self.scale).astype(np.float32), 2, axis=1
        )
        packed = coded[:, : -self.tail]
        codes = packed.astype(np.float32)
        if self.per_byte > 1:
            codes = np.empty((len(coded), packed.shape[1] * self.per_byte), np.float32)
            for i in range(self.per_byte):
                codes[:, i :: self.per_byte] = (packed >> (i * self.bits)) & self.levels
        codes *= scale
        codes += bias
        return codes


def _extremes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest element of each row, [N, 1]; NaN does not count."""
    flat, starts = x.reshape(-1), np.arange(0, x.size, x.shape[1])  # a fold of runs is faster than one of short rows
    low, high = (f.reduceat(flat, starts)[:, None] for f in (np.minimum, np.maximum))
    if np.isnan(low).any():  # the folds that leave NaN out are slow
        low, high = (f.reduceat(flat, starts)[:, None] for f in (np.fmin, np.fmax))
    return low, high


def _rounded(low: np.ndarray, high: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale and bias of ranges, as float16 holds them; the scale of an empty range is 1."""
    bias = low.astype(np.float16).astype(np.float32)
    extent = high - bias
    scale = (extent / np.float32(levels)).astype(np.float16).astype(np.float32)
    return np.where(extent == 0, np.float32(1), scale), bias


def searched(x: np.ndarray, low: np.ndarray, high: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """The ranges [N, 1] within low .. high that a greedy search finds to lose the least of rows [N, D].

    A range is narrowed by 1/BINS of its length a step, at the end where that loses less, until NARROWEST of them are
    left; of the ranges on the way the best local minimum wins. Caffe2: engine GREEDY.
    """
    low, high = low.copy(), high.copy()
    step = (high - low) / np.float32(BINS)
    shortest = np.float32(NARROWEST) * step
    at_low, at_high, at = low.copy(), high.copy(), _loss(x, low, high, levels)
    best = at.copy()
    moves = np.ones(low.shape, bool)  # a step may be too short to change an end
    while (rows := np.flatnonzero(moves & (at_low + shortest < at_high))).size:
        part, lows, highs, loss = x[rows], at_low[rows], at_high[rows], at[rows]
        left = _loss(part, lows + step[rows], highs, levels)
        right = _loss(part, lows, highs - step[rows], levels)
        better = (loss < left) & (loss < right) & (loss < best[rows])
        for kept, found in ((best, loss), (low, lows), (high, highs)):
            kept[rows] = np.where(better, found, kept[rows])
        at_low[rows] = np.where(left < right, lows + step[rows], lows)
        at_high[rows] = np.where(left < right, highs, highs - step[rows])
        moves[rows] = (at_low[rows] > lows) | (at_high[rows] < highs)
        at[rows] = np.where(left < right, left, right)
    return low, high


def _loss(x: np.ndarray, low: np.ndarray, high: np.ndarray, levels: int) -> np.ndarray:
    """The distance [N, 1] of rows to what is left of them, added up element by element as Caffe2 does."""
    scale, bias = _rounded(low, high, levels)
    found = (x - bias) * (np.float32(1) / scale)
    np.rint(found, out=found)
    np.clip(found, 0, levels, out=found)
    found *= scale
    found += bias
    np.subtract(x, found, out=found)
    np.multiply(found, found, out=found)
    return np.sqrt(np.add.accumulate(found, axis=1, out=found)[:, -1:])


def _full_scale(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    extent = high - low
    return extent / np.float32(255), low, np.float32(255) / (extent + EPSILON)


EIGHT, EIGHT_HALF = Codec(8, "float32", half=False), Codec(8, "float16")
FOUR, TWO = Codec(4, "float16"), Codec(2, "float16")
FAKE = {4: Codec(4, "float32", packed=False), 2: Codec(2, "float32", packed=False)}

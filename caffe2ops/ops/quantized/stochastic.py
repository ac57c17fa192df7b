"""Rows quantised to 1, 2, 4 or 8 bits by chance, so that the mean of many tries is what was quantised.

A coded row is [bits, unused, least, greatest, codes]: two bytes, two float32, and bytes that hold 8 / bits elements
each, the lower bits first. Byte i holds the elements i, i + B, i + 2 B, ... where B is the number of bytes; the highest
bits of the last `unused` bytes are not used.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.fill.mt19937 import Generator, generator_of

HEAD = 10  # bytes before the codes
EPSILON = 1e-8  # keeps the distance of two levels from 0
WIDTHS = (1, 2, 4, 8)


class FloatToFusedRandRowwiseQuantized(Operator):
    """Each element becomes one of the two nearest of 2^bitwidth levels from its row's least to its greatest element.

    Which one, chance says: the nearer a level, the more often. Without `random` it is the nearest. Caffe2 seeds its
    generator with the time, here device_option.random_seed is heeded. Caffe2:
    operators/fused_rowwise_random_quantization_ops.
    """

    contract = "input: float32[N, D] -> output: uint8[?]"
    docs = {"input": "rows", "output": "[N, 10 + bytes of a row]: width, unused, least, greatest and codes"}
    gradient = NO_GRADIENT
    bitwidth: int = Arg(8, choices=WIDTHS, doc="bits of an element")
    random: bool = Arg(True, doc="whether chance decides")

    def infer(self, x: TensorSpec) -> TensorSpec:
        return TensorSpec((x.shape[0], HEAD + self._bytes(x.shape[1])), np.dtype(np.uint8))

    def _bytes(self, width: int) -> int:
        return -(-width * self.bitwidth // 8)

    @cached_property
    def generator(self) -> Generator:
        return generator_of(self)

    def run_cpu(self, x: np.ndarray) -> np.ndarray:
        count, width = x.shape
        size, most = self._bytes(width), np.float32((1 << self.bitwidth) - 1)
        coded: np.ndarray = self.out(0, (count, HEAD + size), np.uint8)
        low = np.fmin.reduce(x, axis=1, keepdims=True, initial=np.float32(np.inf))
        high = np.fmax.reduce(x, axis=1, keepdims=True, initial=np.float32(-np.inf))
        gap = (high - low) / most
        steps = (x - low) * (1 / (gap + EPSILON)).astype(np.float32)
        if self.random:
            steps = np.floor(steps + self.generator.uniform(x.size).reshape(x.shape))
        shifts = np.arange(0, 8, self.bitwidth, dtype=np.uint8)[:, None]
        codes = np.zeros((count, len(shifts) * size), np.uint8)
        codes[:, :width] = np.fmax(np.fmin(np.rint(steps), most), 0)
        coded[:, 0], coded[:, 1] = self.bitwidth, codes.shape[1] - width
        coded[:, 2:HEAD] = np.hstack([low, high]).view(np.uint8)
        np.bitwise_or.reduce(codes.reshape(count, len(shifts), size) << shifts, axis=1, out=coded[:, HEAD:])
        return coded


class FusedRandRowwiseQuantizedToFloat(Operator):
    """The levels that coded rows name.

    Raises ValueError where rows have no codes, their width is none of 1, 2, 4, 8, or rows differ in it or in what they
    leave unused. Caffe2: operators/fused_rowwise_random_quantization_ops.
    """

    contract = "quantized_input: uint8[N, W] -> float_input: float32[?]"
    docs = {"quantized_input": "rows of FloatToFusedRandRowwiseQuantized", "float_input": "[N, D]"}
    gradient = NO_GRADIENT

    def infer(self, coded: TensorSpec) -> TensorSpec:
        return TensorSpec((coded.shape[0], UNKNOWN), np.dtype(np.float32))

    def run_cpu(self, coded: np.ndarray) -> np.ndarray:
        count, width = coded.shape
        if not count or width < HEAD:
            raise ValueError(f"quantized_input: shape is {list(coded.shape)}, wants rows of at least {HEAD} bytes")
        bits, unused = coded[0, :2].tolist()
        if bits not in WIDTHS:
            raise ValueError(f"quantized_input: bitwidth is {bits}, wants 1, 2, 4 or 8")
        if (coded[:, :2] != coded[0, :2]).any():
            raise ValueError(f"quantized_input: not all rows begin with {bits}, {unused} as the first does")
        size = (width - HEAD) * (8 // bits)
        if unused > size:
            raise ValueError(f"quantized_input: {unused} elements are unused, there are {size}")
        low, high = np.split(np.ascontiguousarray(coded[:, 2:HEAD]).view(np.float32), 2, axis=1)
        levels = (1 << bits) - 1
        gap = ((high - low) / np.float32(levels) + EPSILON).astype(np.float32)
        shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
        codes = ((coded[:, None, HEAD:] >> shifts) & np.uint8(levels)).reshape(count, size)[:, : size - unused]
        out: np.ndarray = self.out(0, codes.shape, np.float32)
        np.multiply(codes, gap, out=out)
        out += low
        return out

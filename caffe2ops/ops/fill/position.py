"""SinusoidPositionEncoding: positions as waves of many lengths."""

from __future__ import annotations

import math

import numpy as np

from caffe2ops.operator import Arg, Operator


class SinusoidPositionEncoding(Operator):
    """For a position p the sines of p / alpha^(k / embedding_size), for odd k the cosines, times amplitude.

    Only the first column of positions counts: all of a row get its encoding, NaN where it is negative and, but for the
    last number, where it is 0. In float32 as in Caffe2: large positions are coarse. Caffe2:
    operators/sinusoid_position_encoding_op.
    """

    contract = "positions: integer[M, K] -> output: float32[M, K, embedding_size]"
    docs = {"positions": "from 1 on, the same in all columns", "output": "an encoding for each"}
    embedding_size: int = Arg(100, ge=0, doc="numbers of an encoding")
    alpha: float = Arg(10000.0, gt=0, doc="how much longer the last wave is than the first, nearly")
    amplitude: float = Arg(1.0, doc="of the waves")

    def run_cpu(self, positions: np.ndarray) -> np.ndarray:
        size = self.embedding_size
        out = self.out(0, (*positions.shape, size), np.float32)
        if out.size:
            first = np.log(positions[:, :1].astype(np.float32))
            last = first - np.log(np.float32(self.alpha)) * np.float32((size - 1) / size)
            angles = np.exp(_even(first, last, size))
            angles[:, 1::2] += np.float32(math.pi / 2)
            out[...] = (np.float32(self.amplitude) * np.sin(angles))[:, None]
        return out


def _even(first: np.ndarray, last: np.ndarray, count: int) -> np.ndarray:
    """[M, count] numbers from first [M, 1] to last [M, 1], in even steps from the one that is nearer to 0."""
    k = np.arange(count, dtype=np.float32)
    step = (last - first) / np.float32(count - 1) if count > 1 else np.float32(0)
    up, down = first + k * step, last - k[::-1] * step
    if count > 1:
        up[:, -1:], down[:, :1] = last, first
    return np.where(np.abs(last) < np.abs(first), down, up)

"""Reductions over sliding windows, one axis after the other, and their adjoints."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

import numpy as np

from caffe2ops.ops.conv.geometry import Window

BLOCK = 1 << 18  # elements worked on at a time: they and what lies between two axes stay in the cache
Index = tuple[slice, ...]


class Pass(NamedTuple):
    """One axis: what all positions meet, an index a tap; (positions, elements) of taps that some positions miss."""

    whole: list[Index]
    part: list[tuple[Index, Index]]
    total: Index | None  # the elements of the only position, where there is one only
    axis: int


class Separable:
    """Sums or maxima (`ufunc`) over windows of images, [N * C, spatial...] or, channels last, [N, spatial..., C].

    Taps in the padding are left out. The spatial axes stand from axis 1 on.
    """

    def __init__(self, ufunc: np.ufunc, windows: tuple[Window, ...], trailing: tuple[int, ...], dtype: np.dtype):
        self.ufunc, self.trailing = ufunc, trailing
        self.identity = -np.inf if ufunc is np.maximum else 0
        self.lead = max(1, BLOCK // max(1, prod(w.size for w in windows) * prod(trailing)))
        self.passes = [_pass(window, axis) for axis, window in enumerate(windows, 1)]
        positions = prod(w.size for w in windows)
        covered = all(w.out == 1 and w.head >= 0 and w.kernel - w.head >= w.size for w in windows)
        self.ones = np.ones(positions, dtype) if covered else None  # where a single window covers everything
        sizes, outs = [w.size for w in windows], [w.out for w in windows]
        self.between = [
            np.empty((self.lead, *outs[:axis], *sizes[axis:], *trailing), dtype) for axis in range(1, len(windows))
        ]

    def blocks(self, *arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
        """The arrays cut along their common first axis."""
        for first in range(0, len(arrays[0]), self.lead):
            yield [array[first : first + self.lead] for array in arrays]

    def reduce(self, block: np.ndarray, out: np.ndarray) -> None:
        """Reduces a block to `out`."""
        if self.ones is not None:
            self._reduce_all(block.reshape(len(block), -1, *self.trailing), out.reshape(-1, *self.trailing), self.ones)
            return
        targets = [*(buffer[: len(block)] for buffer in self.between), out]
        for step, target in zip(self.passes, targets):
            self._reduce_axis(block, step, target)
            block = target

    def spread(self, block: np.ndarray, out: np.ndarray) -> None:
        """The adjoint of a sum: adds each number of a block to all elements of `out` that its window covers."""
        if not self.passes:
            out[...] = block
        targets = [out, *(buffer[: len(block)] for buffer in self.between)]
        for step, target in reversed(list(zip(self.passes, targets))):
            target[...] = 0
            for elements in step.whole:
                target[elements] += block
            for positions, elements in step.part:
                target[elements] += block[positions]
            block = target

    def _reduce_all(self, block: np.ndarray, out: np.ndarray, ones: np.ndarray) -> None:
        """Reduces all positions of every image to one."""
        if self.ufunc is not np.add:
            self.ufunc.reduce(block, axis=1, out=out)
        elif self.trailing:
            np.matmul(ones, block, out=out)
        else:
            np.matmul(block, ones, out=out)

    def _reduce_axis(self, source: np.ndarray, step: Pass, target: np.ndarray) -> None:
        if step.total is not None:
            self.ufunc.reduce(source[step.total], axis=step.axis, keepdims=True, out=target)
            return
        if len(step.whole) > 1:
            self.ufunc(source[step.whole[0]], source[step.whole[1]], out=target)
        else:
            target[...] = source[step.whole[0]] if step.whole else self.identity
        for elements in step.whole[2:]:
            self.ufunc(target, source[elements], out=target)
        for positions, elements in step.part:
            met = target[positions]
            self.ufunc(met, source[elements], out=met)


def _pass(window: Window, axis: int) -> Pass:
    before = (slice(None),) * axis
    spans = [window.span(tap) for tap in range(window.kernel)]
    whole = [(*before, elements) for positions, elements in spans if positions == slice(0, window.out)]
    part = [((*before, p), (*before, elements)) for p, elements in spans if p != slice(0, window.out)]
    ends = max(0, -window.head), min(window.size, window.kernel - window.head)
    return Pass(whole, part, (*before, slice(*ends)) if window.out == 1 else None, axis)

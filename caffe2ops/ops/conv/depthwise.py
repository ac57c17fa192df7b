"""Depthwise convolution (a filter per channel) as shifted products, channels last."""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from caffe2ops.ops.conv.geometry import Window

BLOCK = 32768  # elements of output rows worked on at a time
FEW = 400  # positions of an image up to which channels-first images are turned around for it


class Depthwise:
    """Convolution with one filter a channel: the images shifted to a tap times its weight, added up over the taps.

    Small images go several at a time, large ones some rows at a time. Channels-first images are turned around on the
    way in and out, which pays where they are small.
    """

    def __init__(self, channels: int, windows: tuple[Window, ...], channels_last: bool, dtype: np.dtype):
        self.windows, self.channels_last = windows, channels_last
        outs = tuple(w.out for w in windows)
        self.images = max(1, BLOCK // (prod(outs) * channels))
        self.rows = max(1, BLOCK // (prod(outs[1:]) * channels))
        self.padded = np.zeros((self.images, *(w.size + w.head + w.tail for w in windows), channels), dtype)
        inside = (slice(max(w.head, 0), w.size + w.head + min(w.tail, 0)) for w in windows)
        kept = (slice(max(-w.head, 0), w.size + min(w.tail, 0)) for w in windows)
        self.inside, self.kept = (slice(None), *inside), (slice(None), *kept)
        self.sum = np.empty((self.images, *outs, channels), dtype)
        self.product = np.empty((self.images, min(self.rows, outs[0]), *outs[1:], channels), dtype)
        self.weights = np.empty((prod(w.kernel for w in windows), outs[-1] if len(outs) > 1 else 1, channels), dtype)
        self.steps = [self._step(first, min(self.rows, outs[0] - first)) for first in range(0, outs[0], self.rows)]

    def _step(self, first: int, rows: int) -> tuple[slice, list[np.ndarray]]:
        """A slice of output rows and, for every tap, the elements that meet it there."""
        taps = []
        for tap in product(*(range(w.kernel) for w in self.windows)):
            starts = [t * w.dilation for t, w in zip(tap, self.windows)]
            starts[0] += first * self.windows[0].stride
            outs = (rows, *(w.out for w in self.windows[1:]))
            ends = [s + (o - 1) * w.stride + 1 for s, o, w in zip(starts, outs, self.windows)]
            places = (slice(None), *(slice(s, e, w.stride) for s, e, w in zip(starts, ends, self.windows)))
            taps.append(self.padded[places])
        return slice(first, first + rows), taps

    def run(self, X: np.ndarray, filter: np.ndarray, bias: np.ndarray | None, Y: np.ndarray) -> None:
        """Writes the convolution of images X with a filter, [C, taps] in either order, plus bias to Y."""
        self.weights[...] = filter.reshape(filter.shape[0], -1).T[:, None]
        if not self.channels_last:
            X, Y = np.moveaxis(X, 1, -1), np.moveaxis(Y, 1, -1)
        for at in range(0, len(X), self.images):
            self._run(X[at : at + self.images], bias, Y[at : at + self.images])

    def _run(self, X: np.ndarray, bias: np.ndarray | None, Y: np.ndarray) -> None:
        count = len(X)
        self.padded[:count][self.inside] = X[self.kept]
        total = Y if self.channels_last else self.sum[:count]
        for rows, taps in self.steps:
            part = total[:, rows]
            np.multiply(taps[0][:count], self.weights[0], out=part)
            product_ = self.product[:count, : part.shape[1]]
            for tap, weight in zip(taps[1:], self.weights[1:]):
                np.multiply(tap[:count], weight, out=product_)
                part += product_
            if bias is not None:
                part += bias
        if not self.channels_last:
            Y[...] = total

"""Patches of images as matrices (im2col) and back, for convolution as matrix products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from caffe2ops.ops.conv.geometry import Window

BLOCK_BYTES = 2 << 20  # what the columns of a block may take: about an L2 cache


class Block(NamedTuple):
    """Rows of output positions: the first, which of all positions they are, their columns, these as matrices."""

    row: int
    positions: slice
    columns: np.ndarray
    matrix: np.ndarray


class Columns:
    """The patches of images [N, C, spatial...] or, `channels_last`, [N, spatial..., C], block by block.

    A block is some images, or some rows of output positions of one. Its matrix is [n, group, K, P]: K = channels of a
    group times taps, ordered as in a filter; P = output positions.
    """

    def __init__(
        self, shape: tuple[int, ...], group: int, windows: tuple[Window, ...], channels_last: bool, dtype: Any
    ):
        self.channels = shape[-1 if channels_last else 1]
        self.group, self.windows, self.channels_last = group, windows, channels_last
        self.dtype = np.dtype(dtype)
        self.outs = tuple(w.out for w in windows)
        self.kernel = tuple(w.kernel for w in windows)
        self.depth = self.channels // group * prod(self.kernel)
        self.direct = all(w.plain for w in windows)  # the images are their own matrices
        self.exact = all(w.head == w.tail == 0 for w in windows)  # patches lie in the images themselves
        whole = (slice(None), slice(None))
        self.inside = whole + tuple(slice(max(w.head, 0), w.size + w.head + min(w.tail, 0)) for w in windows)
        self.kept = whole + tuple(slice(max(-w.head, 0), w.size + min(w.tail, 0)) for w in windows)
        row_bytes = max(1, group * self.depth * prod(self.outs[1:]) * self.dtype.itemsize)
        blocks = -(-self.outs[0] // max(1, BLOCK_BYTES // row_bytes))
        self.rows = -(-self.outs[0] // blocks)
        self.images = max(1, min(shape[0], BLOCK_BYTES // (row_bytes * self.outs[0])))
        self.padded = self._view(np.zeros(self._shape(w.size + w.head + w.tail for w in windows), self.dtype))
        self.blocks = [] if self.direct else self._blocks()

    def matrices(self, images: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Which images, which positions, and their matrix [n, group, K, P]; each is overwritten by the next."""
        for some in self._some(images):
            if self.direct:
                yield some, slice(None), self._as_matrix(images[some])
                continue
            loaded = self._load(images[some])
            for block in self.blocks:
                yield some, block.positions, self._gather(loaded, block)

    def spread(self, W: np.ndarray, outputs: np.ndarray, images: np.ndarray) -> None:
        """Writes to `images` what all positions send back: W [group, K, m] @ outputs [n, group, m, positions]."""
        for some in self._some(images):
            if self.direct:
                np.matmul(W, outputs[some], out=self._as_matrix(images[some]))
                continue
            self.padded[...] = 0
            for block in self.blocks:
                count = len(images[some])
                np.matmul(W, outputs[some][..., block.positions], out=block.matrix[:count])
                self._scatter(block, count)
            self._unload(images[some])
            self.padded[...] = 0

    def _shape(self, spatial: Iterable[int]) -> tuple[int, ...]:
        return (self.images, *spatial, self.channels) if self.channels_last else (self.images, self.channels, *spatial)

    def _some(self, images: np.ndarray) -> Iterator[slice]:
        for first in range(0, len(images), self.images):
            yield slice(first, first + self.images)

    def _view(self, images: np.ndarray) -> np.ndarray:
        """Spatial axes moved to 2 on: [n, C, spatial...] or, channels last, [n, group, spatial..., C / group]."""
        if not self.channels_last:
            return images
        return np.moveaxis(images.reshape(*images.shape[:-1], self.group, self.channels // self.group), -2, 1)

    def _blocks(self) -> list[Block]:
        buffer = np.empty(self.images * self.group * self.depth * self.rows * prod(self.outs[1:]), self.dtype)
        firsts = range(0, self.outs[0], self.rows)
        return [self._block(buffer, first, min(self.rows, self.outs[0] - first)) for first in firsts]

    def _block(self, buffer: np.ndarray, first: int, rows: int) -> Block:
        outs, per_row = (rows, *self.outs[1:]), prod(self.outs[1:])
        count = prod(outs)
        buffer = buffer[: self.images * self.group * self.depth * count]
        if self.channels_last:
            columns = buffer.reshape(self.images, self.group, *outs, *self.kernel, self.channels // self.group)
            matrix = buffer.reshape(self.images, self.group, count, self.depth).transpose(0, 1, 3, 2)
        else:
            columns = buffer.reshape(self.images, self.channels, *self.kernel, *outs)
            matrix = buffer.reshape(self.images, self.group, self.depth, count)
        return Block(first, slice(first * per_row, (first + rows) * per_row), columns, matrix)

    def _as_matrix(self, images: np.ndarray) -> np.ndarray:
        """Images as their own matrices, where `direct`."""
        positions = prod(self.outs)
        if self.channels_last:
            return images.reshape(len(images), positions, self.group, self.depth).transpose(0, 2, 3, 1)
        return images.reshape(len(images), self.group, self.depth, positions)

    def _load(self, images: np.ndarray) -> np.ndarray:
        """The images to take patches from: padded where need be."""
        view = self._view(images)
        if self.exact:
            return view
        padded = self.padded[: len(view)]
        padded[self.inside] = view[self.kept]
        return padded

    def _gather(self, images: np.ndarray, block: Block) -> np.ndarray:
        """The matrix of a block of loaded images."""
        strides, columns = images.strides, block.columns[: len(images)]
        places = [s * w.stride for s, w in zip(strides[2:], self.windows)]
        taps = [s * w.dilation for s, w in zip(strides[2:], self.windows)]
        inner = (*places, *taps, strides[-1]) if self.channels_last else (*taps, *places)
        start = images[:, :, block.row * self.windows[0].stride :]
        np.copyto(columns, np.lib.stride_tricks.as_strided(start, columns.shape, (*strides[:2], *inner)))
        return block.matrix[: len(images)]

    def _scatter(self, block: Block, count: int) -> None:
        """Adds the matrix of a block to the padded images."""
        rank = len(self.windows)
        outs = block.columns.shape[2 : rank + 2] if self.channels_last else block.columns.shape[rank + 2 :]
        before = (slice(count), *(slice(None),) * (rank + 1 if self.channels_last else 1))
        for tap in product(*map(range, self.kernel)):
            at = [slice(count), slice(None)]
            for axis, w in enumerate(self.windows):
                start = tap[axis] * w.dilation + (block.row * w.stride if axis == 0 else 0)
                at.append(slice(start, start + (outs[axis] - 1) * w.stride + 1, w.stride))
            self.padded[tuple(at)] += block.columns[before + tap]

    def _unload(self, images: np.ndarray) -> None:
        """Moves what was scattered to the images."""
        view = self._view(images)
        if view[self.kept].shape != view.shape:
            view[...] = 0
        view[self.kept] = self.padded[: len(view)][self.inside]

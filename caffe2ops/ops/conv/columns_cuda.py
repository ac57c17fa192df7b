"""Patches of images as matrices (columns) on CUDA arrays, block by block, and products with them by cuBLAS.

Images lie as [group, C / group, N, spatial...], channels last as [group, N, spatial..., C / group], so that one product
for each group covers many images. Columns are then [group, K, places], channels last [group, places, K].
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from caffe2ops.ops.conv.geometry import Window, grouped
from caffe2ops.ops.conv.im2col_cuda import Step, fold, gather, steps_of

BLOCK_BYTES = 256 << 20  # what the columns of a block may take


class Block(NamedTuple):
    """Some images, the first row of their places, all places of these rows, and the steps to the columns."""

    images: slice
    row: int
    places: slice
    steps: list[Step]


class Columns:
    """The columns of images of a shape, block by block: of many images, or of some rows of places of one."""

    def __init__(self, op: Any, shape: tuple[int, ...], windows: Sequence[Window], itemsize: int):
        self.group, self.channels_last, self.windows = op.group, op.channels_last, windows
        self.count, self.channels = shape[0], shape[-1 if op.channels_last else 1]
        self.per_row = prod(w.out for w in windows[1:])
        row_bytes = max(1, self.channels * prod(w.kernel for w in windows) * self.per_row * itemsize)
        self.rows = min(windows[0].out, max(1, BLOCK_BYTES // row_bytes))
        self.images = max(1, BLOCK_BYTES // (row_bytes * windows[0].out))

    def blocks(self) -> list[Block]:
        """All blocks, in order."""
        return [
            self._block(image, min(self.images, self.count - image), row, min(self.rows, self.windows[0].out - row))
            for image in range(0, self.count, self.images)
            for row in range(0, self.windows[0].out, self.rows)
        ]

    def _block(self, image: int, images: int, row: int, rows: int) -> Block:
        height = self.windows[0]
        windows = (height._replace(head=height.head - row * height.stride, out=rows), *self.windows[1:])
        sizes = (self.channels, images, 1)
        if self.channels_last:
            sizes = (self.group * images, 1, self.channels // self.group)
        steps = [step for step in steps_of(windows, *sizes, self.channels_last) if not step.idle]
        places = slice(row * self.per_row, (row + rows) * self.per_row)
        return Block(slice(image, image + images), row, places, steps)

    def lying(self, images: Any, some: slice, places: slice = slice(None)) -> Any:
        """Some images as they lie here, spatial axes as one: a view [group, channels, N, places] or with these last."""
        view = grouped(images, self.group, self.channels_last)
        if self.channels_last:
            return view.transpose(1, 0, 3, 2)[:, some, places]
        return view.transpose(1, 2, 0, 3)[:, :, some, places]

    def matrix(self, images: Any) -> Any:
        """What `lying` gives as a matrix for each group; a copy where it must be."""
        import cupy

        a, b, c, d = images.shape
        return cupy.ascontiguousarray(images).reshape((a, b * c, d) if self.channels_last else (a, b, c * d))

    def of(self, images: Any, block: Block) -> Any:
        """The columns of a block, a matrix for each group."""
        import cupy

        columns = gather(cupy.ascontiguousarray(self.lying(images, block.images)), block.steps)
        depth = self.channels // self.group * prod(w.kernel for w in self.windows)
        places = (block.images.stop - block.images.start) * (block.places.stop - block.places.start)
        return columns.reshape((self.group, places, depth) if self.channels_last else (self.group, depth, places))

    def spread(self, W: Any, outputs: Any, images: Any) -> None:
        """Writes to `images` what all places send back: W [group, K, m] times outputs of m channels a group."""
        for block in self.blocks():
            sent = self.weighed(W, self.matrix(self.lying(outputs, block.images, block.places)))
            target = self.lying(images, block.images)
            found = fold(sent, block.steps).reshape(target.shape)
            target[...] = target + found if block.row else found

    def weighed(self, W: Any, matrix: Any, out: Any | None = None) -> Any:
        """W times columns or images, laid out like these; `out` is a view as `lying` gives it."""
        return _matmul(matrix, W.swapaxes(1, 2), out) if self.channels_last else _matmul(W, matrix, out)

    def paired(self, outputs: Any, columns: Any) -> Any:
        """Products of outputs and columns, added up over all places: as the filters."""
        if self.channels_last:
            return _matmul(outputs.swapaxes(1, 2), columns)
        return _matmul(outputs, columns.swapaxes(1, 2))


def _matmul(a: Any, b: Any, out: Any | None = None) -> Any:
    """Products of stacks of matrices; one alone goes to cuBLAS as it is, even transposed. `out` has any strides."""
    import cupy

    if len(a) == 1:
        a, b = a[0], b[0]
    if out is None or not out.flags.c_contiguous:
        product = cupy.matmul(a, b)
        if out is not None:
            out[...] = product.reshape(out.shape)
        return product
    return cupy.matmul(a, b, out=out.reshape(*a.shape[:-1], b.shape[-1]))

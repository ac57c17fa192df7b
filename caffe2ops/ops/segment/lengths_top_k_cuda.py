"""LengthsTopK and its gradient on CUDA arrays: which kernels of lengths_top_k.cu run, with which grids and scratch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from caffe2ops.cuda import Module, Source, multiprocessors, record
from caffe2ops.ops.segment.lengths_cuda import running_sums
from caffe2ops.ops.segment.lengths_top_k import segment_starts
from caffe2ops.ops.segment.top_k_scatter import lengths_top_k_gradient as scatter_on_cpu

kernels = Source.beside(__file__)

# Segments up to WARP_MAX go to a warp if k allows, up to BLOCK_MAX to a block, longer ones are cut into chunks.
WARP_MAX, BLOCK_MAX, MIN_CHUNK = 1024, 16384, 16384
MAX_CHUNKS = 2048  # about as many as the data is cut into
WARP_K, SELECT_K = 32, 256  # the largest k of the select kernels, as in the .cu
WARPS, BINS, DIGIT_BITS = 8, 2048, 11
RADIX_WORDS = 4  # 64-bit words that hold a struct Radix; twice that for float64
COUNTS = 16  # counters on the device, see the enum in the .cu
NAN_ROWS, BAD = 6, 8
WARP, MEDIUM, LONG = 3, 4, 5


class Segments(NamedTuple):
    """Where each segment begins and how long it is; offsets has one entry more, the end of the last segment."""

    offsets: Any
    lengths: Any


def lengths_top_k(x: Any, lengths: Any, k: int) -> tuple[Any, Any]:
    """The k largest of each segment of x [S] -> values [N, k], indices int32 [N, k], sorted and padded as LengthsTopK.

    x is float16, float32 or float64, lengths int32 [N], both on the device. No launch waits for the host; one flag is
    read after the last, to refuse lengths that are negative or do not add up to S (ValueError).
    """
    if x.ndim != 1 or lengths.ndim != 1:
        raise ValueError(f"DATA and LENGTHS: have shapes {x.shape} and {lengths.shape}, want one dim each")
    return top_k_of_segments(x, Segments(_offsets(lengths), lengths), k)


def _offsets(lengths: Any) -> Any:
    if lengths.dtype != np.int32:
        raise TypeError(f"LENGTHS: dtype is {lengths.dtype}, wants int32")
    return running_sums(lengths)


def top_k_of_segments(x: Any, segments: Segments, k: int) -> tuple[Any, Any]:
    """As lengths_top_k, for segments that may stand anywhere in x; their end must be x.size."""
    import cupy

    offsets, lengths = segments
    if k < 1:
        raise ValueError(f"k: is {k}, wants 1 or more")
    if x.dtype.kind != "f" or x.dtype.itemsize > 8:
        raise TypeError(f"DATA: dtype is {x.dtype}, wants float16, float32 or float64")
    bits = np.dtype(f"u{x.dtype.itemsize}")
    n, size = lengths.size, x.size
    wanted = n * k * (x.dtype.itemsize + 4)
    if k >= 2**31 or wanted > cupy.cuda.runtime.memGetInfo()[1]:
        raise ValueError(f"k: is {k}, the outputs for {n} segments would take {wanted / 2**30:.0f} GiB")
    values, indices = cupy.empty((n, k), x.dtype), cupy.empty((n, k), np.int32)
    counts = cupy.zeros(COUNTS, np.int32)
    _TopK(kernels(T=bits), cupy.ascontiguousarray(x).view(bits), offsets, lengths, k).run(
        values.view(bits), indices, counts
    )
    if int(counts[BAD]):
        segment_starts(cupy.asnumpy(lengths), size)
    return values, indices


class _TopK:
    """One call: the numbers that bound how many segments of each kind there can be, and the launches they ask for."""

    def __init__(self, module: Module, x: Any, offsets: Any, lengths: Any, k: int) -> None:
        self.module, self.k, self.n, self.size = module, k, lengths.size, x.size
        self.itemsize, self.key_words = x.dtype.itemsize, 2 if x.dtype.itemsize == 8 else 1
        self.tile = 4096 // self.key_words
        self.warp_max = WARP_MAX if k <= WARP_K else 32
        self.block_max = BLOCK_MAX if k <= SELECT_K or k <= self.tile else self.tile
        self.chunk = max(MIN_CHUNK, -(-self.size // MAX_CHUNKS))
        self.keep = (x, offsets, lengths)
        self.segments = record(
            x=x, offsets=offsets, lengths=lengths, n=np.int64(self.n), size=np.int64(self.size), k=np.int32(k)
        )

    def at_most(self, length: int) -> int:
        """How many segments can be of this length or longer."""
        return min(self.n, self.size // length)

    def run(self, values: Any, indices: Any, counts: Any) -> None:
        import cupy

        module, n_long = self.module, self.at_most(self.block_max + 1)
        lists = cupy.empty((LONG + 1, self.n), np.int32)
        nan_rows = cupy.empty(self.n, np.int32)
        output = record(values=values, indices=indices, nan_rows=nan_rows, counts=counts)
        tables = {
            "first_tile": cupy.empty(n_long, np.int32),
            "tile_owner": cupy.empty(self.size // self.chunk + n_long if n_long else 0, np.int32),
            "base": cupy.empty(n_long, np.int64),
            "filled": cupy.zeros(n_long, np.int32),
            "tickets": cupy.zeros(n_long, np.int32),
            "radix": cupy.empty(n_long * RADIX_WORDS * self.key_words, np.uint64),
        }
        long = record(**tables, chunk=np.int32(min(self.chunk, 2**31 - 1)))
        wide = multiprocessors() * 16
        selected = cupy.zeros(1, np.uint64)
        module.bin_segments(
            (min(-(-max(self.n, 1) // 256), wide),), (256,),
            self.segments, self.warp_max, self.block_max, lists, counts, long, selected,
        )  # fmt: skip
        for bin_, (lanes, shortest) in enumerate(((8, 0), (16, 9), (32, 17))):
            rows = self.at_most(shortest) if shortest else self.n
            grid = min(-(-rows * lanes // 256), wide)
            module.sort_short((grid,), (256,), self.segments, lists[bin_], bin_, output)
        if self.warp_max > 32:
            grid = min(-(-self.at_most(33) // WARPS), wide)
            module.select_warp((grid,), (256,), self.segments, lists[WARP], output)
        block = module.select_block if self.k <= SELECT_K else module.radix_block
        grid = min(self.at_most(self.warp_max + 1), wide)
        block((grid,), (256,), self.segments, lists[MEDIUM], output)
        if n_long and self.k <= SELECT_K:
            self._select_long(lists[LONG], counts, long, output, tables["tile_owner"].size, n_long)
        elif n_long:
            self._radix_long(lists[LONG], counts, long, output, tables["tile_owner"].size, n_long)
        module.heap_rows((min(-(-self.n // WARPS), wide),), (256,), self.segments, output)

    def _select_long(self, rows: Any, counts: Any, long: Any, output: Any, tiles: int, n_long: int) -> None:
        import cupy

        wide = multiprocessors() * 16
        partial = cupy.empty(tiles * self.k * self.key_words, np.uint64)
        module, block = self.module, (256,)
        module.select_chunks((min(tiles, wide),), block, self.segments, rows, counts, long, partial)
        module.merge_chunks((min(n_long, wide),), block, self.segments, rows, long, partial, output)

    def _radix_long(self, rows: Any, counts: Any, long: Any, output: Any, tiles: int, n_long: int) -> None:
        import cupy

        module, block, wide = self.module, (256,), multiprocessors() * 16
        histograms = cupy.zeros(n_long * BINS, np.uint32)
        gathered = cupy.empty(min(self.size, n_long * self.k) * self.key_words, np.uint64)
        for digit in range(-(-(8 * self.itemsize + 32) // DIGIT_BITS)):
            module.radix_count((min(tiles, wide),), block, self.segments, rows, counts, long, histograms, digit)
        module.radix_gather((min(tiles, wide),), block, self.segments, rows, counts, long, gathered)
        arguments = (self.segments, rows, counts, long, gathered)
        take = min(self.k, self.size)
        tile_steps, steps = self.tile.bit_length() - 1, (take - 1).bit_length()
        grid = (min(-(-take // self.tile), wide), min(n_long, wide))
        pairs = (min(-(-take // 512), wide), min(n_long, wide))
        module.sort_tiles(grid, block, *arguments, 1, tile_steps)
        for step in range(tile_steps + 1, steps + 1):
            for half in range(step - 1, tile_steps - 1, -1):
                module.sort_step(pairs, block, *arguments, step, half)
            module.sort_tiles(grid, block, *arguments, step, step)
        module.radix_emit((min(-(-self.k // 256), wide), grid[1]), block, self.segments, rows, long, gathered, output)


def _least(lengths: Any) -> Any:
    import cupy

    return lengths.min().astype(np.int64) if lengths.size else cupy.zeros((), np.int64)


def lengths_top_k_gradient(lengths: Any, indices: Any, dvalue: Any, size: int | None = None) -> Any:
    """dDATA [sum(lengths)]: dvalue [N, k] put back to where indices [N, k] say each value stood, 0 elsewhere.

    As in Caffe2 only the first min(length, k) columns count. The sum of the lengths is read from the device before the
    launch (the result has that size; it must be `size` if that is given), and one flag after it. Refused with the
    errors of the CPU: negative lengths (ValueError), indices outside their segment (IndexError).
    """
    import cupy

    if indices.ndim != 2 or indices.shape[0] != lengths.size or dvalue.shape != indices.shape:
        raise ValueError(
            f"TopKIndices, dTopKValue: have shapes {indices.shape} and {dvalue.shape}, wants ({lengths.size}, k)"
        )
    offsets = _offsets(lengths)
    total, least = (int(v) for v in cupy.asnumpy(cupy.stack([offsets[-1], _least(lengths)])))
    if least < 0 or size not in (None, total):
        segment_starts(cupy.asnumpy(lengths), size)
    bits = np.dtype(f"u{dvalue.dtype.itemsize}")
    result = cupy.zeros(total, dvalue.dtype)
    bad = cupy.zeros(1, np.int32)
    n, k = indices.shape
    kernels(T=bits).lengths_top_k_gradient.over(
        n * k, offsets, lengths, cupy.ascontiguousarray(indices), cupy.ascontiguousarray(dvalue).view(bits),
        result.view(bits), n, k, bad,
    )  # fmt: skip
    if int(bad[0]):
        host = [cupy.asnumpy(array) for array in (lengths, indices, dvalue)]
        scatter_on_cpu(host[0], segment_starts(host[0])[0], host[1], host[2], np.empty(total, dvalue.dtype))
    return result

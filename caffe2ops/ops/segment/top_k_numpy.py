"""The k largest values of every segment, vectorised: no Python loop runs over short segments or over elements.

Four strategies, chosen by the length of a segment (`ROW_LENGTH` and the other limits below):

    tiny nets       Python lists and `sorted`; NumPy's fixed cost a call would be larger than the work
    short segments  sorted whole: segments of near lengths become the rows of one matrix       (`_sort_rows`)
    medium ones     folded to few columns first; the k-th largest column maximum is a value that at least k elements
                    reach, and only the elements that reach it are ranked                      (`_fold_rows`)
    long ones       one at a time, by the same threshold idea, without copying the segment      (`top_k_long`)

Ranking. Of equal values the lower index comes first, and -0 equals +0. For float32 both rules are one integer compare:
the bits of the value in ascending order as a signed number, then the inverted index. float16 is ranked as float32,
which holds all its values; float64 leaves no room for an index and is ranked by stable sorts.

NaN. One after a segment's first k elements ranks below everything, which is what the reference's heap makes of it. A
segment with a NaN among its first k is left to `top_k_heap`.

Memory. Work goes through buffers of a few hundred thousand elements whatever the size of the input. Only k itself can
enlarge them: a single segment that keeps m elements needs about 50 m bytes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caffe2ops.ops.segment.top_k_heap import heap_top_k
from caffe2ops.ops.segment.top_k_long import candidates
from caffe2ops.ops.segment.top_k_rows import BLOCK, RUN, blocks, copy_windows, ordered_bits, pad, put_rows, runs

TINY_ELEMENTS, TINY_SEGMENTS = 600, 64  # up to both of them: lists
ROW_LENGTH = 8192  # longer segments are taken one at a time
RANKED = 60_000  # candidates of long segments that are ranked together

_LOWEST = np.iinfo(np.int32).min  # below the key of -inf: padding and ignored NaNs
_DESCENDING = np.arange(BLOCK - 1, -1, -1, dtype=np.int64)  # the inverted index of a block's elements


def sorted_length(k: int) -> int:
    """Up to this length a segment is sorted whole."""
    return 128 if k < 12 else min(max(256, 4 * k), ROW_LENGTH)


def lengths_top_k(
    data: np.ndarray, lengths: np.ndarray, starts: np.ndarray, k: int, values: np.ndarray, indices: np.ndarray
) -> None:
    """Fill values[N, k] and indices int32 [N, k] for the segments data[starts[i] : starts[i] + lengths[i]].

    Segments lie within the data and ascend; the caller has checked that. `starts` are int64.
    """
    if data.shape[0] <= TINY_ELEMENTS and lengths.shape[0] <= TINY_SEGMENTS:
        _tiny(data, lengths.tolist(), starts.tolist(), k, values, indices)
    else:
        _Selection(data, lengths, starts, k, values, indices).run()


def _tiny(
    data: np.ndarray, lengths: list[int], starts: list[int], k: int, values: np.ndarray, indices: np.ndarray
) -> None:
    elements = data.tolist()
    finite_sum = sum(elements)
    has_nan = finite_sum != finite_sum and any(x != x for x in elements)  # inf - inf gives NaN too
    top: list[float] = []
    positions: list[int] = []
    for length, start in zip(lengths, starts, strict=True):
        segment = elements[start : start + length]
        if has_nan and any(x != x for x in segment):
            order = heap_top_k(data[start : start + length], k).tolist()
        else:
            order = sorted(range(length), key=segment.__getitem__, reverse=True)[:k]  # stable: lower index first
        top.extend(map(segment.__getitem__, order))
        positions += order
        if length < k:
            top += [0.0] * (k - length)
            positions += [-1] * (k - length)
    values.reshape(-1)[:] = top
    indices.reshape(-1)[:] = positions


class _Selection:
    """One call: the data, where its segments lie, and the outputs that the strategies fill row by row."""

    def __init__(
        self, data: np.ndarray, lengths: np.ndarray, starts: np.ndarray, k: int, values: np.ndarray, indices: np.ndarray
    ) -> None:
        self.data, self.lengths, self.starts, self.k = data, lengths, starts, k
        self.values, self.indices = values, indices
        self.rank_dtype = np.float64 if data.dtype == np.float64 else np.float32
        self.heap_segments: list[np.ndarray] = []  # segments with a NaN among their first k
        # Windows near the end of the data would reach over it: they are cut from a padded copy of the last stretch.
        self.tail_start = max(0, data.shape[0] - 2 * ROW_LENGTH)
        self.tail = np.concatenate([data[self.tail_start :], np.zeros(2 * ROW_LENGTH, data.dtype)])
        self.keys = np.empty(BLOCK, np.int64)
        self.waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # candidates not ranked yet
        self.waiting_size = 0

    def run(self) -> None:
        lengths, limit = self.lengths, sorted_length(self.k)
        if int(lengths.max()) <= limit:
            self._in_runs(None, RUN, self._sort_rows_by_width)
        else:
            self._in_runs(np.flatnonzero(lengths <= limit), RUN, self._sort_rows_by_width)
            self._in_runs(
                np.flatnonzero((lengths > limit) & (lengths <= ROW_LENGTH)), 4 * RUN, self._fold_rows_by_width
            )
            long = np.flatnonzero(lengths > ROW_LENGTH)
            self._take_long(long[np.argsort(lengths[long], kind="stable")])
        for segment in (int(segment) for some in self.heap_segments for segment in some):
            kept = heap_top_k(self._segment(segment), self.k)
            self._emit(np.array([segment]), kept[None, :], np.array([len(kept)]))

    def _segment(self, segment: int) -> np.ndarray:
        return self.data[self.starts[segment] : self.starts[segment] + self.lengths[segment]]

    # ---- rows: many segments at once ----

    def _in_runs(
        self, chosen: np.ndarray | None, size: int, strategy: Callable[[np.ndarray, np.ndarray], None]
    ) -> None:
        """Give `strategy` the chosen segments (None: all) run by run, each run sorted by length, without empty ones."""
        lengths = self.lengths if chosen is None else self.lengths[chosen]
        if not lengths.shape[0]:
            return
        for first, last in runs(lengths, size):
            ids = np.arange(first, last) if chosen is None else chosen[first:last]
            begin, end = int(self.starts[ids[0]]), int(self.starts[ids[-1]] + self.lengths[ids[-1]])
            if 0 < end - begin <= 3 * size:
                self.data[begin:end].max()  # read in order once: the windows then find their elements in the cache
            order = np.argsort(lengths[first:last].astype(np.uint16), kind="stable")  # a radix sort
            ids, sorted_lengths = ids[order], lengths[first:last][order]
            empty = int(np.searchsorted(sorted_lengths, 0, side="right"))
            self.values[ids[:empty]] = 0
            self.indices[ids[:empty]] = -1
            if empty < ids.shape[0]:
                strategy(ids[empty:], sorted_lengths[empty:])

    def _windows(self, starts: np.ndarray, width: int) -> np.ndarray:
        """A new matrix [len(starts), width] of the elements from each start on, as the dtype used for ranking."""
        last = self.data.shape[0] - width
        if last < 0:
            rows = copy_windows(self.tail, starts - self.tail_start, width)
        else:
            over = starts > last
            if over.any():
                rows = copy_windows(self.data, np.minimum(starts, last), width)
                rows[over] = copy_windows(self.tail, starts[over] - self.tail_start, width)
            else:
                rows = copy_windows(self.data, starts, width)
        return rows.astype(self.rank_dtype, copy=False)

    def _sort_rows_by_width(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        """Group segments (sorted by length) so that a group fills a quarter block or lengths differ by a quarter."""
        longest = int(lengths[-1])
        up_to = np.searchsorted(lengths, np.arange(longest + 1), side="right").tolist()
        first = 0
        while first < ids.shape[0]:
            width = shortest = int(lengths[first])
            widest = min(longest, shortest + max(2, shortest >> 2))
            while width < widest and (up_to[width] - first) * width < BLOCK >> 2:
                width += 1
            for rows in blocks(first, up_to[width], width):
                self._sort_rows(ids[rows], lengths[rows], width)
            first = up_to[width]

    def _sort_rows(self, ids: np.ndarray, lengths: np.ndarray, width: int) -> None:
        kept = min(self.k, width)
        rows = self._windows(self.starts[ids], width)
        greatest = rows.max()
        nan = np.isnan(rows) if greatest != greatest else None
        if nan is not None:
            in_first_k = nan[:, :kept] & (np.arange(kept) < lengths[:, None])
            self.heap_segments.append(ids[in_first_k.any(axis=1)])
        if self.rank_dtype == np.float64:
            pad(rows, lengths, np.nan)
            order = np.argsort(-rows, axis=1, kind="stable")[:, :kept]  # NaN, and padding behind it, come last
        else:
            order = self._order_by_keys(rows, nan, lengths, kept)
        self._emit(ids, order, lengths)

    def _order_by_keys(self, rows: np.ndarray, nan: np.ndarray | None, lengths: np.ndarray, kept: int) -> np.ndarray:
        """Positions of the `kept` best of each float32 row, which is overwritten."""
        count, width = rows.shape
        ordered = ordered_bits(rows)
        if nan is not None:
            ordered[nan] = _LOWEST
        pad(ordered, lengths, _LOWEST)
        keys = self.keys[: count * width].reshape(count, width)
        np.copyto(keys, ordered)
        keys <<= 32
        keys |= _DESCENDING[: count * width].reshape(count, width)
        if kept < width and width > 200:
            keys.partition(width - kept, axis=1)
            keys = keys[:, width - kept :].copy()
        keys.sort(axis=1)
        best = keys[:, : -kept - 1 : -1].astype(np.int32)  # the low half: BLOCK - 1 - position in the block
        return np.subtract(BLOCK - 1 - width * np.arange(count, dtype=np.int32)[:, None], best, out=best)

    def _fold_rows_by_width(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        first = 0
        while first < ids.shape[0]:
            shortest = int(lengths[first])
            last = int(np.searchsorted(lengths, shortest + (shortest >> 2), side="right"))
            columns = 16
            while columns < self.k or (columns < 4 * self.k and columns * 8 <= shortest):
                columns *= 2
            width = int(lengths[last - 1])
            for rows in blocks(first, last, width, 2 * BLOCK):
                self._fold_rows(ids[rows], lengths[rows], width, columns)
            first = last
        self._rank_waiting()

    def _fold_rows(self, ids: np.ndarray, lengths: np.ndarray, width: int, columns: int) -> None:
        rows = self._windows(self.starts[ids], width)
        depth = int(lengths[0]) // columns  # within every row's length, so that nothing needs padding
        maxima = rows[:, :columns].copy()
        for layer in range(1, depth):
            np.maximum(maxima, rows[:, layer * columns : (layer + 1) * columns], out=maxima)
        maxima.sort(axis=1)  # NaN last
        threshold = maxima[:, columns - self.k]
        hard = (threshold == -np.inf) | np.isnan(maxima[:, -1])  # too few numbers in sight to drop anything
        if hard.any():
            self._sort_hard_rows(ids[hard], lengths[hard])
            ids, lengths, rows, threshold = ids[~hard], lengths[~hard], rows[~hard], threshold[~hard]
        found = np.flatnonzero(rows >= threshold[:, None])
        row = found // width
        local = found - row * width
        inside = local < lengths[row]
        self._add_candidates(ids, row[inside], local[inside])

    def _sort_hard_rows(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        width = int(lengths[-1])
        for rows in blocks(0, ids.shape[0], width):
            self._sort_rows(ids[rows], lengths[rows], width)

    # ---- long segments ----

    def _take_long(self, ids: np.ndarray) -> None:
        for position, segment in enumerate(ids.tolist()):
            data = self._segment(segment)
            if np.isnan(data[: self.k]).any():
                self.heap_segments.append(ids[position : position + 1])
            else:
                local = candidates(data, self.k)
                self._add_candidates(ids[position : position + 1], np.zeros(local.size, np.int64), local)
        self._rank_waiting()

    # ---- candidates to outputs ----

    def _add_candidates(self, ids: np.ndarray, row: np.ndarray, local: np.ndarray) -> None:
        """Elements `local` of segments ids[row], by row and index: at least min(k, length) of each segment.

        Segments arrive in ascending order of length.
        """
        if ids.shape[0]:
            self.waiting.append((ids, row, local))
        self.waiting_size += max(local.size, self.k)
        if self.waiting_size > RANKED:
            self._rank_waiting()

    def _rank_waiting(self) -> None:
        """Sort the waiting candidates by (row, value descending, index) and hand on the best of each row."""
        if not self.waiting:
            return
        first_rows = np.cumsum([0] + [ids.shape[0] for ids, _, _ in self.waiting]).tolist()
        row = np.concatenate([row + first for first, (_, row, _) in zip(first_rows, self.waiting, strict=False)])
        ids, local = (np.concatenate([entry[part] for entry in self.waiting]) for part in (0, 2))
        self.waiting, self.waiting_size = [], 0
        values = self.data[local + self.starts[ids][row]].astype(self.rank_dtype, copy=False)
        lengths = self.lengths[ids]
        index_bits, row_bits = int(lengths.max()).bit_length(), ids.shape[0].bit_length()
        if values.dtype == np.float32 and index_bits + row_bits <= 30:
            keys = ordered_bits(values).astype(np.int64)
            np.negative(keys, out=keys)
            keys <<= index_bits
            keys |= local
            keys += (row + 1) << (33 + index_bits)
            keys.sort()
            keys &= (1 << index_bits) - 1
            best = keys
        else:
            best = local[np.lexsort((local, -values, row))]
        counts = np.bincount(row, minlength=ids.shape[0])
        kept = min(self.k, int(counts.max()))
        positions = (np.cumsum(counts) - counts)[:, None] + np.arange(kept)
        self._emit(ids, best.take(positions, mode="clip"), lengths)

    def _emit(self, ids: np.ndarray, local: np.ndarray, lengths: np.ndarray) -> None:
        """Write the rows `ids`: local[:, j] is the index of their j-th best element, where they have that many."""
        kept = local.shape[1]
        local = np.ascontiguousarray(local, np.int32)
        values = self.data.take(local + self.starts[ids][:, None], mode="clip")
        if int(lengths[0]) < kept:
            pad(values, lengths, 0)
            pad(local, lengths, -1)
        if kept == self.k:
            put_rows(self.values, ids, values)
            put_rows(self.indices, ids, local)
        else:
            self.values[ids, :kept], self.indices[ids, :kept] = values, local
            self.values[ids, kept:], self.indices[ids, kept:] = 0, -1

"""Runs of numbers on the wire <-> arrays, without a Python object per number.

A repeated number is packed (one tag, a length, then the values) or unpacked (a tag before every value). Fixed-size
unpacked runs are read as a strided view of the bytes and copied once; varints are split at their last bytes, which are
those below 128.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.formats.error import FormatError

Array = np.ndarray[Any, np.dtype[Any]]
WINDOW = 1 << 20  # bytes of varints decoded at a time
MAX_VARINT = 10


class Slabs:
    """Memory for arrays of one file: large blocks, because fresh pages cost more than the copy itself."""

    BLOCK = 16 << 20

    def __init__(self, most: int) -> None:
        """`most`: upper bound of the bytes that will be asked for."""
        self._size = min(most, self.BLOCK)
        self._block = np.empty(0, np.uint8)

    def empty(self, n: int, dtype: np.dtype[Any]) -> Array:
        size = n * dtype.itemsize
        if size > self.BLOCK // 4:
            return np.empty(n, dtype)
        if size > len(self._block):
            self._block = np.empty(max(self._size, size + 64), np.uint8)
        out: Array = self._block[:size].view(dtype)
        self._block = self._block[-(-size // 64) * 64 :]
        return out


def fixed_packed(data: Array, start: int, end: int, dtype: np.dtype[Any], slabs: Slabs) -> Array:
    n, rest = divmod(end - start, dtype.itemsize)
    if rest:
        raise FormatError(f"{end - start} bytes are no multiple of {dtype.itemsize}", at=start)
    out = slabs.empty(n, dtype)
    out.view(np.uint8)[:] = data[start:end]
    return out


def fixed_count(data: Array, start: int, end: int, itemsize: int) -> int:
    """How many records of the tag at `start` and `itemsize` bytes follow one another."""
    stride = itemsize + 1
    most = (end - start) // stride
    tags, tag = data[start : start + most * stride : stride], data[start]
    n, window = 0, 64
    while n < most:
        same = tags[n : n + window] == tag
        if not same.all():
            return n + int(same.argmin())
        n, window = n + len(same), window * 16
    return n


def fixed_unpacked(data: Array, start: int, n: int, dtype: np.dtype[Any], slabs: Slabs) -> Array:
    """The values of `n` records, each one byte of tag and one value."""
    out = slabs.empty(n, dtype)
    out[:] = np.frombuffer(data, np.dtype([("tag", "u1"), ("value", dtype)]), n, start)["value"]
    return out


def _lasts(data: Array, start: int) -> tuple[Array, Array]:
    """First and last positions of the complete varints in `data`; `start` is where data begins in its file."""
    last = np.flatnonzero(data < 128)
    first = np.empty_like(last)
    first[:1], first[1:] = 0, last[:-1] + 1
    length = last - first + 1
    if len(data) - (last[-1] + 1 if len(last) else 0) > MAX_VARINT or (length > MAX_VARINT).any():
        at = int(first[(length > MAX_VARINT).argmax()]) if (length > MAX_VARINT).any() else len(data)
        raise FormatError(f"a varint of more than {MAX_VARINT} bytes", at=start + at)
    return first, last


def _decode(data: Array, first: Array, last: Array, dtype: np.dtype[Any]) -> Array:
    """The varints that stand at data[first : last + 1]; bits beyond the dtype are dropped, as protobuf does."""
    value = (data[first] & 127).astype(np.uint64)
    length = last - first + 1
    for k in range(1, int(length.max(initial=0))):
        longer = np.flatnonzero(length > k)
        value[longer] |= (data[first[longer] + k] & 127).astype(np.uint64) << np.uint64(7 * k)
    return value.view(np.int64).astype(dtype)


def varints_packed(data: Array, start: int, end: int, dtype: np.dtype[Any]) -> Array:
    if end > start and data[end - 1] >= 128:
        raise FormatError("the last varint is cut off", at=end - 1)
    chunks = []
    while start < end:
        window = data[start : min(end, start + WINDOW)]
        first, last = _lasts(window, start)
        chunks.append(_decode(window, first, last, dtype))
        start += int(last[-1]) + 1
    return np.concatenate(chunks) if chunks else np.empty(0, dtype)


def varints_unpacked(data: Array, start: int, end: int, dtype: np.dtype[Any]) -> tuple[Array, int]:
    """The values of the records of one tag byte and one varint from `start` on, and where the next record stands."""
    tag, window, chunks = data[start], 256, []
    while start < end:
        seen = data[start : min(end, start + window)]
        last = np.flatnonzero(seen < 128)
        n = len(last) // 2
        first = np.concatenate(([0], last + 1))
        same = (seen[first[: 2 * n : 2]] == tag) & (last[: 2 * n : 2] == first[: 2 * n : 2])
        run = n if same.all() else int(same.argmin())
        first, last = first[1 : 2 * run : 2], last[1 : 2 * run : 2]
        long = last - first >= MAX_VARINT
        if long.any():
            raise FormatError(f"a varint of more than {MAX_VARINT} bytes", at=start + int(first[long.argmax()]))
        chunks.append(_decode(seen, first, last, dtype))
        if run == 0:
            break
        start += int(last[-1]) + 1
        if run < n:
            break
        window = min(window * 16, WINDOW)
    return np.concatenate(chunks), start


def encode_varints(values: Array, tag: bytes = b"") -> bytes:
    """Varints one after the other, each behind `tag` (one byte, or none)."""
    out = []
    for start in range(0, len(values), WINDOW):
        value = values[start : start + WINDOW].astype(np.int64).view(np.uint64)
        length = np.ones(len(value), np.int64)
        for k in range(1, MAX_VARINT):
            length += value >= np.uint64(1 << 7 * k)
        ends = np.cumsum(length + len(tag))
        first = ends - length
        data = np.empty(ends[-1], np.uint8)
        if tag:
            data[first - 1] = tag[0]
        for k in range(int(length.max())):
            longer = np.flatnonzero(length > k)
            bits = (value[longer] >> np.uint64(7 * k)).astype(np.uint8) & 127
            data[first[longer] + k] = bits | ((length[longer] > k + 1).astype(np.uint8) << 7)
        out.append(data.tobytes())
    return b"".join(out)


def encode_fixed(values: Array, tag: bytes = b"") -> bytes:
    """Fixed-size numbers one after the other, each behind `tag` (one byte, or none)."""
    if not tag:
        return values.tobytes()
    records = np.empty(len(values), np.dtype([("tag", "u1"), ("value", values.dtype)]))
    records["tag"], records["value"] = tag[0], values
    return records.tobytes()

"""Takes the bulk numbers out of a serialized message, so that protobuf parses the rest.

The walk steps from field to field and goes down only into messages long enough to hold bulk. What it finds comes back
as a tree that mirrors the message: {"floats": [array, ...], ("op", 12): {...}}. Every length is checked against the
message around it; a fault is a FormatError with the byte and the path of fields.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.defs import BULK, Def
from caffe2ops.formats import numbers
from caffe2ops.formats.error import FormatError
from caffe2ops.formats.messages import Field, fields

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
DEEPEST = 100  # levels of messages, as in protobuf
SHORT = 1024  # bytes of a message that is left to protobuf whole
MOST_RUNS = 10_000  # pieces that the numbers of one field may come in

Tree = dict[Any, Any]


def read_varint(data: Any, at: int, end: int) -> tuple[int, int]:
    """The varint at data[at], and the position behind it."""
    value = shift = 0
    for p in range(at, min(end, at + numbers.MAX_VARINT)):
        byte = data[p]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, p + 1
        shift += 7
    raise FormatError(
        "cut off within a varint" if end - at < numbers.MAX_VARINT else "a varint of more than 10 bytes", at=at
    )


def write_varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def skip(data: Any, at: int, end: int) -> tuple[int, int, int, int]:
    """The field at data[at]: its number, wire type, where its content starts, and where the next field stands."""
    tag, start = read_varint(data, at, end)
    number, kind = tag >> 3, tag & 7
    if kind == VARINT:
        _, stop = read_varint(data, start, end)
    elif kind == BYTES:
        length, start = read_varint(data, start, end)
        stop = start + length
    elif kind == FIXED32:
        stop = start + 4
    elif kind == FIXED64:
        stop = start + 8
    else:
        raise FormatError(f"wire type {kind} of field {number}, which Caffe2 never writes", at=at)
    if number == 0:
        raise FormatError("field number 0", at=at)
    if tag < 128 and data[at] >= 128:
        raise FormatError(f"the tag of field {number} in more bytes than it needs", at=at)
    if stop > end:
        raise FormatError(f"field {number} wants {stop - start} bytes, {end - start} are left", at=at)
    return number, kind, start, stop


class _Rest:
    """What is left of a message where pieces were taken out or replaced."""

    def __init__(self, view: memoryview, start: int) -> None:
        self._view, self._kept = view, start
        self._pieces: list[Any] = []

    def replace(self, start: int, stop: int, *instead: Any) -> None:
        self._pieces += self._view[self._kept : start], *instead
        self._kept = stop

    def joined(self, end: int) -> Any:
        tail = self._view[self._kept : end]
        return b"".join([*self._pieces, tail]) if self._pieces else tail


class Scan:
    """One walk over `data` (uint8 array), which holds a message."""

    def __init__(self, data: numbers.Array, short: int = SHORT) -> None:
        self.array, self.view, self.short = data, data.data, short
        self.slabs = numbers.Slabs(len(data))

    def message(self, model: type[Def], start: int, end: int, depth: int = 0) -> tuple[Any, Tree]:
        """The message of `model` in data[start:end]: its bytes without bulk numbers, and the tree of these."""
        if depth > DEEPEST:
            raise FormatError(f"messages nested more than {DEEPEST} deep", at=start)
        view, table = self.view, fields(model)
        rest, tree, seen = _Rest(view, start), Tree(), dict[int, int]()
        at, run_tag, run_start, run_length = start, -1, start, 0
        while at < end:
            field = None
            try:
                if view[at] != run_tag:
                    run_tag, run_start, run_length = view[at], at, 0
                run_length += 1
                number, kind, body, stop = skip(view, at, end)
                field = table.get(number)
                if field is None:
                    at = stop
                    continue
                if field.repeated:
                    seen[number] = seen.get(number, 0) + 1
                if field.model is not None:
                    if kind == BYTES and stop - body > self.short:
                        inner, subtree = self.message(field.model, body, stop, depth + 1)
                        if subtree:
                            tree[(field.name, seen[number] - 1) if field.repeated else field.name] = subtree
                            rest.replace(at, stop, bytes([run_tag]), write_varint(len(inner)), inner)
                elif field.bulk is not None and kind in (BYTES, field.wire):
                    runs: list[numbers.Array] = tree.get(field.name, [])
                    if kind == BYTES:
                        first, found = at, self._packed(field.bulk, body, stop)
                    elif runs or run_length > BULK or (run_length == 1 and self._far(field.bulk, at, end)):
                        first = at if runs else run_start
                        found, stop = self._unpacked(field.bulk, first, end)
                    else:
                        at = stop
                        continue
                    rest.replace(first, stop)
                    tree.setdefault(field.name, runs).append(found)
                    run_tag = -1
                    if len(runs) > MOST_RUNS:
                        raise FormatError(f"numbers in more than {MOST_RUNS} pieces", at=first)
            except FormatError as error:
                raise error.within(*_step(field, seen)) from None
            at = stop
        return rest.joined(end), tree

    def _far(self, dtype: np.dtype[Any], at: int, end: int) -> bool:
        """Whether the record of fixed size at `at` looks like the first of more than BULK."""
        far = at + BULK * (dtype.itemsize + 1)
        return dtype.kind == "f" and far < end and self.view[far] == self.view[at]

    def _packed(self, dtype: np.dtype[Any], start: int, end: int) -> numbers.Array:
        if dtype.kind == "f":
            return numbers.fixed_packed(self.array, start, end, dtype, self.slabs)
        return numbers.varints_packed(self.array, start, end, dtype)

    def _unpacked(self, dtype: np.dtype[Any], start: int, end: int) -> tuple[numbers.Array, int]:
        """The numbers of the run that starts with the record at `start`, and where it ends."""
        if dtype.kind != "f":
            return numbers.varints_unpacked(self.array, start, end, dtype)
        n = numbers.fixed_count(self.array, start, end, dtype.itemsize)
        return numbers.fixed_unpacked(self.array, start, n, dtype, self.slabs), start + n * (dtype.itemsize + 1)


def _step(field: Field | None, seen: dict[int, int]) -> tuple[str, ...]:
    if field is None:
        return ()
    return (f"{field.name}[{seen[field.number] - 1}]" if field.repeated and field.model else field.name,)

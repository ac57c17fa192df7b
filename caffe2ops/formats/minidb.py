"""minidb, Caffe2's own database: a file of records, each the lengths of key and value (int32, little endian), key and
value.

Keys may repeat. Caffe2: core/db.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from caffe2ops.formats.db import DB, Cursor, Transaction, key_bytes
from caffe2ops.formats.error import FormatError

LENGTHS = struct.Struct("<ii")


class MiniDB(DB):
    """A minidb file."""

    def __init__(self, path: Path, mode: str) -> None:
        self.mode = mode
        self._file = open(path, {"read": "rb", "write": "ab", "new": "wb"}[mode])  # noqa: SIM115

    def cursor(self) -> Cursor:
        if self.mode != "read":
            raise ValueError(f"the database was opened to {self.mode}, a cursor wants read")
        size = self._file.seek(0, 2)
        return MiniDBCursor(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")

    def transaction(self) -> Transaction:
        if self.mode == "read":
            raise ValueError("the database was opened to read, a transaction wants write or new")
        return _MiniDBTransaction(self._file)

    def close(self) -> None:
        self._file.close()


class MiniDBCursor(Cursor):
    """A cursor over the bytes of a minidb file. Raises FormatError where it steps on a record that does not fit."""

    def __init__(self, data: Any) -> None:
        self._data = memoryview(data)
        self.seek_to_first()

    def seek_to_first(self) -> None:
        self._stop = 0
        self.next()

    def next(self) -> None:
        at, left = self._stop, len(self._data) - self._stop
        self._valid = left >= 4  # fewer bytes hold no length: taken for the end, as Caffe2 does
        if not self._valid:
            return
        if left < LENGTHS.size:
            raise FormatError("cut off within the lengths of a record", at=at)
        key, value = LENGTHS.unpack_from(self._data, at)
        if key <= 0 or value <= 0 or key + value > left - LENGTHS.size:
            raise FormatError(
                f"a record of {key} bytes of key and {value} of value, where {left - LENGTHS.size} bytes are left",
                at=at,
            )
        self._key, self._value = at + LENGTHS.size, at + LENGTHS.size + key
        self._stop = self._value + value

    def valid(self) -> bool:
        return self._valid

    def key(self) -> bytes:
        return bytes(self._data[self._key : self._value])

    def value(self) -> memoryview:
        return self._data[self._value : self._stop]


class _MiniDBTransaction(Transaction):
    def __init__(self, file: Any) -> None:
        self._file = file

    def put(self, key: bytes | str, value: bytes) -> None:
        key = key_bytes(key)
        if not key or not value:
            raise ValueError(f"key {key!r}, {len(value)} bytes of value: a minidb holds no empty ones")
        self._file.write(LENGTHS.pack(len(key), len(value)))
        self._file.write(key)
        self._file.write(value)

    def commit(self) -> None:
        self._file.flush()

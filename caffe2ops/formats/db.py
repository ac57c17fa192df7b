"""Databases of keys and values, as Caffe2's operators and predictor files use them: minidb, and lmdb behind its extra.

    with open_db("minidb", "weights.db") as db:
        for key, value in db.cursor():
            ...

Caffe2: core/db.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

MODES = ("read", "write", "new")


class Cursor(ABC):
    """A place in a database; new ones stand at the first record. Iterating goes on from there."""

    supports_seek = False

    @abstractmethod
    def seek_to_first(self) -> None: ...

    @abstractmethod
    def next(self) -> None: ...

    @abstractmethod
    def valid(self) -> bool:
        """Whether the cursor stands at a record; False behind the last."""

    @abstractmethod
    def key(self) -> bytes: ...

    @abstractmethod
    def value(self) -> Any:
        """The value, as bytes or a memoryview of them that lives as long as the database is open."""

    def seek(self, key: bytes) -> None:
        """To the first record whose key is not less than `key`."""
        raise NotImplementedError(f"{type(self).__name__}: no seeking in this kind of database")

    def __iter__(self) -> Iterator[tuple[bytes, Any]]:
        while self.valid():
            yield self.key(), self.value()
            self.next()


class Transaction(ABC):
    """Records on their way into a database; leaving a `with` block commits, unless by an exception."""

    @abstractmethod
    def put(self, key: bytes | str, value: bytes) -> None: ...

    @abstractmethod
    def commit(self) -> None: ...

    def abort(self) -> None:
        """Drops what was put since the last commit, where the kind of database can."""
        return

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()


class DB(ABC):
    """An open database."""

    @abstractmethod
    def __init__(self, path: Path, mode: str) -> None: ...

    @abstractmethod
    def cursor(self) -> Cursor: ...

    @abstractmethod
    def transaction(self) -> Transaction: ...

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> DB:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_db(kind: str, path: str | Path, mode: str = "read") -> DB:
    """Opens a database: "read", "write" (adds to what is there) or "new" (empties it first).

    Raises ValueError for another kind than minidb and lmdb or another mode, OSError for a file that cannot be opened,
    FormatError for one that is no such database, ImportError for lmdb without the extra.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}, wants one of {', '.join(MODES)}")
    if kind == "minidb":
        from caffe2ops.formats.minidb import MiniDB

        return MiniDB(Path(path), mode)
    if kind == "lmdb":
        from caffe2ops.formats.lmdb import LMDB

        return LMDB(Path(path), mode)
    raise ValueError(
        f"database type {kind!r}: {_ELSEWHERE.get(kind, 'not known')}; caffe2ops reads and writes minidb and lmdb"
    )


def key_bytes(key: bytes | str) -> bytes:
    return key.encode() if isinstance(key, str) else key


_ELSEWHERE = {
    "leveldb": "a LevelDB folder, which only Caffe2 with leveldb opens",
    "rocksdb": "a RocksDB folder, which only Caffe2 with rocksdb opens",
    "zmqdb": "records over a ZeroMQ socket, not a file",
}

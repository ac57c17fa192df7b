"""lmdb databases, as Caffe2 makes them: a folder with data.mdb, keys in order. Caffe2: db/lmdb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caffe2ops.formats.db import DB, Cursor, Transaction, key_bytes
from caffe2ops.formats.error import FormatError


class LMDB(DB):
    """An lmdb folder."""

    MAP_SIZE = 1 << 40  # what a database may grow to; the file takes only what it holds

    def __init__(self, path: Path, mode: str) -> None:
        try:
            import lmdb
        except ImportError as error:
            raise ImportError("lmdb databases want the package lmdb: pip install caffe2ops[lmdb]") from error
        self.mode = mode
        read = mode == "read"
        if read and not (path / "data.mdb").exists():
            raise FileNotFoundError(f"{path} holds no lmdb database (data.mdb)")
        try:
            self._env = lmdb.open(
                str(path), readonly=read, lock=not read, create=not read, map_size=0 if read else self.MAP_SIZE
            )
            if mode == "new":
                with self._env.begin(write=True) as transaction:
                    transaction.drop(self._env.open_db(txn=transaction), delete=False)
        except lmdb.Error as error:
            raise FormatError(f"{path}: {error}") from error

    def cursor(self) -> Cursor:
        return _LMDBCursor(self._env)

    def transaction(self) -> Transaction:
        if self.mode == "read":
            raise ValueError("the database was opened to read, a transaction wants write or new")
        return _LMDBTransaction(self._env)

    def close(self) -> None:
        self._env.close()


class _LMDBCursor(Cursor):
    supports_seek = True

    def __init__(self, env: Any) -> None:
        self._cursor = env.begin().cursor()
        self.seek_to_first()

    def seek_to_first(self) -> None:
        self._valid = self._cursor.first()

    def next(self) -> None:
        self._valid = self._cursor.next()

    def seek(self, key: bytes) -> None:
        self._valid = self._cursor.set_range(key)

    def valid(self) -> bool:
        return bool(self._valid)

    def key(self) -> bytes:
        return bytes(self._cursor.key())

    def value(self) -> bytes:
        return bytes(self._cursor.value())


class _LMDBTransaction(Transaction):
    def __init__(self, env: Any) -> None:
        self._env = env
        self._begun: Any = None

    def put(self, key: bytes | str, value: bytes) -> None:
        self._begun = self._begun or self._env.begin(write=True)
        self._begun.put(key_bytes(key), value)

    def commit(self) -> None:
        if self._begun is not None:
            self._begun.commit()
            self._begun = None

    def abort(self) -> None:
        if self._begun is not None:
            self._begun.abort()
            self._begun = None

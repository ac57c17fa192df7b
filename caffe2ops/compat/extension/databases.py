"""Databases opened from Python."""

from __future__ import annotations

from enum import IntEnum

from caffe2ops import formats
from caffe2ops.compat.extension.errors import runtime_errors
from caffe2ops.formats import db as engine


class Mode(IntEnum):
    """How a database is opened."""

    read = 0
    write = 1
    new = 2


class Cursor:
    """A place in a database, which stays open as long as there is one."""

    def __init__(self, cursor: engine.Cursor, db: DB):
        self._cursor, self._db = cursor, db
        self.next, self.seek_to_first, self.valid = cursor.next, cursor.seek_to_first, cursor.valid

    def supports_seek(self) -> bool:
        return self._cursor.supports_seek

    def key(self) -> bytes:
        return bytes(self._cursor.key())

    def value(self) -> bytes:
        return bytes(self._cursor.value())


class Transaction:
    """Records on their way into a database; what is not committed is when the transaction goes."""

    def __init__(self, transaction: engine.Transaction, db: DB):
        self._transaction, self._db = transaction, db
        self.put, self.commit = transaction.put, transaction.commit

    def __del__(self) -> None:
        self._transaction.commit()


class DB:
    """An open database; it is closed when it goes."""

    def __init__(self, db: engine.DB):
        self._db = db

    def new_cursor(self) -> Cursor:
        return Cursor(self._db.cursor(), self)

    def new_transaction(self) -> Transaction:
        return Transaction(self._db.transaction(), self)

    def close(self) -> None:
        self._db.close()

    __del__ = close


@runtime_errors
def create_db(db_type: str, path: str, mode: Mode) -> DB:
    """Opens a minidb or lmdb database. Raises RuntimeError."""
    return DB(formats.open_db(db_type, path, Mode(mode).name))


def registered_dbs() -> list[str]:
    return ["lmdb", "minidb"]

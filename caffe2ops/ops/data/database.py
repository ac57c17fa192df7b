"""Databases of examples: a reader, and batches from it."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops import formats
from caffe2ops.defs import TensorProtos
from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Arg, Operator
from caffe2ops.ops.data.files import inside_root, on_device
from caffe2ops.ops.data.opaque import held


class DBReader:
    """A cursor over a database that starts again behind the last record; several operators may share it.

    Of `num_shards` readers each reads every num_shards-th record, from record `shard_id` on. Caffe2: core/db.
    """

    def __init__(self, db_type: str, path: Path, num_shards: int = 1, shard_id: int = 0):
        self.db_type, self.path, self.num_shards, self.shard_id = db_type, path, num_shards, shard_id
        self._db = formats.open_db(db_type, path)
        self._cursor = self._db.cursor()
        self._lock = threading.Lock()
        self._start()

    def __del__(self) -> None:
        if hasattr(self, "_db"):
            self._db.close()

    def _start(self) -> None:
        self._cursor.seek_to_first()
        for _ in range(self.shard_id):
            if self._cursor.valid():
                self._cursor.next()
        if not self._cursor.valid():
            raise ValueError(f"db: {self.path.name} has no record for shard_id {self.shard_id}")

    def read(self) -> tuple[bytes, Any]:
        """Key and value of the next record."""
        with self._lock:
            record = self._cursor.key(), self._cursor.value()
            for _ in range(self.num_shards):
                self._cursor.next()
                if not self._cursor.valid():
                    self._start()
                    break
            return record

    def records(self) -> Any:
        """(key, value) of all records, from the first; reading goes on where it was."""
        return iter(self._db.cursor())


def reader_of(name: str, value: Any) -> DBReader:
    """The reader that an input holds."""
    return held(name, value, DBReader, "CreateDB")


class CreateDB(Operator):
    """Opens a database in the workspace's root folder for reading.

    ValueError for a database without a record (for this shard), PermissionError for a file outside the root folder.
    Caffe2: db/create_db_op.
    """

    contract = "-> reader: blob"
    docs = {"reader": "the reader, for TensorProtosDBInput and Load"}
    gradient = NO_GRADIENT
    db_type: str = Arg("leveldb", doc="kind of database: minidb, or lmdb where that is installed")
    db: str = Arg(doc="file or folder, inside the root folder")
    num_shards: int = Arg(1, ge=1, doc="how many readers share the records")
    shard_id: int = Arg(0, ge=0, doc="which of them this is")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.shard_id >= self.num_shards:
            raise ValueError(f"shard_id: {self.shard_id} is not less than num_shards: {self.num_shards}")

    def run_cpu(self) -> DBReader:
        return DBReader(self.db_type, inside_root(self, self.db, absolute=True), self.num_shards, self.shard_id)

    run_cuda = run_cpu


class TensorProtosDBInput(Operator):
    """The next records of a database of TensorProtos: output i has tensor i of each, stacked.

    data: a reader from CreateDB. With batch_size = 0 one record, its tensors as they are. Behind the last record the
    first follows. ValueError where a record has not as many tensors as there are outputs, or its tensors differ in
    dtype or shape from the first of the batch. Caffe2: operators/tensor_protos_db_input; that one reads ahead, so that
    of several operators with one reader each gets other records than here.
    """

    contract = "data: blob -> *output: any[?]"
    docs = {"data": "the reader", "output": "batches [batch_size, ...], one for each tensor of a record"}
    gradient = NO_GRADIENT
    batch_size: int = Arg(0, ge=0, doc="records of a batch; 0: one record without a dim for the batch")
    no_prefetch: bool = Arg(False, doc="no meaning here: nothing is read ahead")

    def run_cpu(self, reader: Any) -> tuple[np.ndarray, ...]:
        reader = reader_of("data", reader)
        records = [self._record(*reader.read()) for _ in range(max(self.batch_size, 1))]
        if not self.batch_size:
            return tuple(on_device(self, value) for value in records[0])
        return tuple(on_device(self, self._stack(i, column)) for i, column in enumerate(zip(*records)))

    run_cuda = run_cpu

    def _record(self, key: bytes, value: Any) -> list[np.ndarray]:
        protos = formats.decode(value, TensorProtos).protos
        if len(protos) != self.n_outputs:
            raise ValueError(f"data: record {key!r} has {len(protos)} tensors, there are {self.n_outputs} outputs")
        return [formats.tensor_to_array(proto) for proto in protos]

    @staticmethod
    def _stack(i: int, column: tuple[np.ndarray, ...]) -> np.ndarray:
        kinds = {(value.dtype, value.shape) for value in column}
        if len(kinds) > 1:
            shown = " and ".join(sorted(f"{dtype}{list(shape)}" for dtype, shape in islice(kinds, 2)))
            raise ValueError(f"data: tensor {i} is {shown} in one batch")
        return np.stack(column)


class DBExists(Operator):
    """Whether there is a file of that name in the workspace's root folder: bool scalar.

    Caffe2: operators/load_save_op.
    """

    contract = "-> exists: bool[]"
    docs = {"exists": "whether it is there"}
    gradient = FORBIDDEN
    absolute_path: bool = Arg(False, doc="whether db_name is a whole path; it must lead into the root folder anyway")
    db_name: str = Arg(doc="file or folder")
    db_type: str = Arg("", doc="no meaning: any file counts")

    def run_cpu(self) -> np.ndarray:
        return on_device(self, np.asarray(inside_root(self, self.db_name, self.absolute_path).exists()))

    run_cuda = run_cpu

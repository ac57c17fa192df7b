"""CreateBlobsQueueDB: a queue read as if it were a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.database import DBReader
from caffe2ops.ops.queue.blobs_queue import BlobsQueue, Values, queue_of
from caffe2ops.ops.queue.transfer import take


class QueueReader(DBReader):
    """Reads the records of a queue: of each one blob is the value, another may be the key."""

    def __init__(self, queue: BlobsQueue, key: int, value: int, timeout: float):
        self._queue, self._key, self._value, self._timeout = queue, key, value, timeout

    def read(self) -> tuple[bytes, bytes]:
        """Key and value of the next record. Raises ValueError where the queue is closed and empty, TimeoutError where
        nothing comes in time."""
        record = take(self._queue, self._timeout)
        return _text(record, self._key) if self._key >= 0 else b"", _text(record, self._value)

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of what comes until the queue is closed and empty."""
        while not (self._queue.closed and self._queue.empty):
            yield self.read()


class CreateBlobsQueueDB(Operator):
    """A reader of a queue whose records are strings, for TensorProtosDBInput.

    A record's blobs are string blobs or tensors of strings, whose first element counts. Reading waits for a record;
    where none comes in time, or the queue is closed and empty, it raises (Caffe2 gives the last record again). Caffe2:
    queue/blobs_queue_db.
    """

    contract = "queue: blob -> reader: blob"
    docs = {"queue": "from CreateBlobsQueue", "reader": "the reader"}
    gradient = FORBIDDEN
    key_blob_index: int = Arg(-1, ge=-1, doc="which blob of a record is the key; -1: none, keys are empty")
    value_blob_index: int = Arg(0, ge=0, doc="which blob of a record is the value")
    timeout_secs: float = Arg(0.0, doc="how long reading waits, in seconds; 0: until something comes")

    def run_cpu(self, queue: Any) -> QueueReader:
        queue = queue_of(queue)
        for name in ("key_blob_index", "value_blob_index"):
            if (index := getattr(self, name)) >= queue.num_blobs:
                raise ValueError(f"{name}: {index}, records of the queue have {queue.num_blobs} blobs")
        return QueueReader(queue, self.key_blob_index, self.value_blob_index, self.timeout_secs)


def _text(record: Values, index: int) -> bytes:
    value = record[index]
    if isinstance(value, np.ndarray) and value.dtype == object and value.size:
        value = value.reshape(-1)[0]
    if not isinstance(value, bytes):
        raise TypeError(f"queue: blob {index} of the record is {type(value).__name__}, wants a string")
    return value

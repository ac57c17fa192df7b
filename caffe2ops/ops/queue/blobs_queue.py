"""A queue of blobs of any kind, and the operators that make and close it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import chain
from typing import Any

from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.data.opaque import held
from caffe2ops.workspace import Blob

Values = Sequence[Any]


class BlobsQueue:
    """Records of as many values as a slot has blobs, first in, first out; threads may share it.

    Values are swapped, not copied: who writes gets what the slot held before, who reads leaves something in it. Reading
    waits for a record, writing for a free slot, both until the queue is closed; what waits then can still be read.
    Caffe2: queue/blobs_queue.
    """

    def __init__(self, slots: Sequence[Sequence[Blob]]):
        self._slots = slots
        self._read = self._written = 0  # records so far
        self._closed = False
        self._changed = threading.Condition()

    @property
    def num_blobs(self) -> int:
        return len(self._slots[0])

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def empty(self) -> bool:
        return self._read == self._written

    def read(self, timeout: float = 0, instead: Values | None = None) -> Values | None:
        """The next record; None where the queue is closed and empty, or stays empty for `timeout` seconds (0: for
        ever). The slot gets the values `instead`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self.empty, timeout if timeout > 0 else None)
            if self.empty:
                return None
            self._read += 1
            return self._swapped(self._read - 1, instead or [None] * self.num_blobs)

    def write(self, record: Values) -> Values | None:
        """Appends a record, for what its slot held before; None where the queue is closed and full."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._written - self._read < len(self._slots))
            if self._written - self._read == len(self._slots):
                return None
            self._written += 1
            return self._swapped(self._written - 1, record)

    def _swapped(self, at: int, values: Values) -> Values:
        slot = self._slots[at % len(self._slots)]
        held = [blob.value for blob in slot]
        for blob, value in zip(slot, values):
            blob.set(value)
        self._changed.notify_all()
        return held

    def close(self) -> None:
        """Lets everybody go who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def queue_of(value: Any, num_blobs: int | None = None, name: str = "queue") -> BlobsQueue:
    """The queue that an input holds. Raises ValueError unless its records have `num_blobs`."""
    queue = held(name, value, BlobsQueue, "CreateBlobsQueue")
    if num_blobs is not None and queue.num_blobs != num_blobs:
        raise ValueError(f"{name}: its records have {queue.num_blobs} blobs, the operator has {num_blobs}")
    return queue


class CreateBlobsQueue(Operator):
    """Makes a queue of records of blobs.

    What waits lies in blobs of the workspace, `NAME_i_j` for blob j of slot i where NAME is the output. ValueError
    where `enforce_unique_name` and one of them is there already, or field_names are not num_blobs. Caffe2:
    queue/queue_ops.
    """

    contract = "-> queue: blob"
    docs = {"queue": "the queue"}
    gradient = NO_GRADIENT
    capacity: int = Arg(1, ge=1, doc="how many records may wait")
    num_blobs: int = Arg(1, ge=1, doc="blobs of a record")
    enforce_unique_name: bool = Arg(False, doc="whether blobs of the names for what waits must not be there yet")
    field_names: list[str] = Arg((), doc="names of the blobs of a record, for the reader of a net")

    def run_cpu(self) -> BlobsQueue:
        if self.field_names and len(self.field_names) != self.num_blobs:
            raise ValueError(f"field_names: are {len(self.field_names)}, wants num_blobs = {self.num_blobs}")
        queue = self.op_def.output[0]
        names = [[f"{queue}_{i}_{j}" for j in range(self.num_blobs)] for i in range(self.capacity)]
        if self.enforce_unique_name:
            for name in chain.from_iterable(names):
                if self.workspace.has(name):
                    raise ValueError(f"enforce_unique_name: there is a blob {name!r} already")
        return BlobsQueue([[self.workspace.blob(name) for name in slot] for slot in names])

    run_cuda = run_cpu


class CloseBlobsQueue(Operator):
    """Closes a queue: nobody waits for it any more. Caffe2: queue/queue_ops."""

    contract = "queue: blob ->"
    docs = {"queue": "from CreateBlobsQueue"}
    gradient = NO_GRADIENT

    def run_cpu(self, queue: BlobsQueue) -> None:
        queue_of(queue).close()

    run_cuda = run_cpu

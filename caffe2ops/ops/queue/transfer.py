"""The operators that put records into a queue of blobs and take them out."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.queue.blobs_queue import BlobsQueue, Values, queue_of
from caffe2ops.registry import array_module


class QueueOperator(Operator):
    """Base of what reads and writes: blobs may be on any device."""

    gradient = NO_GRADIENT
    input_devices = {"blobs": "any"}
    output_devices = {"blobs": "any", "blob": "any"}

    _cancelled = False

    def cancel(self) -> None:
        """For another thread: closes the queues, so that a run that waits for one of them ends, with an error."""
        self._cancelled = True
        for blob in self.inputs:
            if isinstance(blob.value, BlobsQueue):
                blob.value.close()

    def status(self, failed: bool) -> Any:
        """The last output, a bool scalar. Raises ValueError where the run has been cancelled."""
        if self._cancelled:
            self._cancelled = False
            raise ValueError("queue: the run has been cancelled")
        out = self.out(self.n_outputs - 1, (), bool)
        out[...] = failed
        return out

    def held(self, count: int) -> Values:
        """What the first outputs hold."""
        return [blob.value for blob in self.outputs[:count]]


class EnqueueBlobs(QueueOperator):
    """Moves values into a queue as one record; their blobs get what lay in its place, nothing at first.

    Waits while the queue is full. ValueError where it is closed then, or has records of another number of blobs.
    Caffe2: queue/queue_ops.
    """

    contract = "queue: blob, *blobs: blob -> *blobs: blob"
    docs = {"queue": "from CreateBlobsQueue", "blobs": "any values; afterwards others, or empty"}
    arity = "inputs == outputs + 1"
    inplace_enforced = "input == output + 1"

    def run_cpu(self, queue: BlobsQueue, *blobs: Any) -> Values:
        held = queue_of(queue, len(blobs)).write(blobs)
        if held is None:
            raise ValueError("queue: is closed and full")
        return held

    run_cuda = run_cpu


class SafeEnqueueBlobs(QueueOperator):
    """EnqueueBlobs that says in `status` whether it failed, True where the queue is closed and full; then the blobs
    keep their values. Caffe2: queue/queue_ops."""

    contract = "queue: blob, *blobs: blob -> *blobs: blob, status: bool[]"
    docs = {**EnqueueBlobs.docs, "status": "whether the record was not taken"}
    arity = "inputs == outputs"
    inplace_enforced = EnqueueBlobs.inplace_enforced

    def run_cpu(self, queue: BlobsQueue, *blobs: Any) -> Values:
        held = queue_of(queue, len(blobs)).write(blobs)
        return [*(blobs if held is None else held), self.status(held is None)]

    run_cuda = run_cpu


class DequeueBlobs(QueueOperator):
    """Takes the next record out of a queue, waiting for one where it is empty.

    ValueError where the queue is closed and empty or has records of another number of blobs, TimeoutError where nothing
    comes in time. Caffe2: queue/queue_ops.
    """

    contract = "queue: blob -> *blob: blob"
    docs = {"queue": "from CreateBlobsQueue", "blob": "the values of the record"}
    timeout_secs: float = Arg(0.0, doc="how long to wait, in seconds; 0: until something comes")

    def run_cpu(self, queue: BlobsQueue) -> Values:
        queue_of(queue, self.n_outputs)
        return take(queue, self.timeout_secs, self.held(self.n_outputs))

    run_cuda = run_cpu


def take(queue: BlobsQueue, timeout: float, instead: Values | None = None) -> Values:
    """The next record. Raises ValueError where the queue is closed and empty, TimeoutError where none comes in time."""
    record = queue.read(timeout, instead)
    if record is not None:
        return record
    if queue.closed:
        raise ValueError("queue: is closed and empty")
    raise TimeoutError(f"queue: nothing came within timeout_secs = {timeout:g}")


class SafeDequeueBlobs(QueueOperator):
    """DequeueBlobs that says in `status` whether it failed, True where the queue is closed and empty; then the blobs
    keep their values.

    With num_records > 1 it takes as many records, fewer where the queue is closed before, and joins their tensors along
    dim 0. ValueError where these do not fit together. Caffe2: queue/queue_ops.
    """

    contract = "queue: blob -> *blob: blob, status: bool[]"
    docs = {**DequeueBlobs.docs, "status": "whether there was no record"}
    num_records: int = Arg(1, ge=1, doc="how many records to join")

    def run_cpu(self, queue: BlobsQueue) -> Values:
        queue_of(queue, self.n_outputs - 1)
        held = self.held(self.n_outputs - 1)
        if self.num_records == 1:
            record = queue.read(instead=held)
            return [*(held if record is None else record), self.status(record is None)]
        records = list(islice(iter(queue.read, None), self.num_records))
        joined = [self._joined(i, column) for i, column in enumerate(zip(*records))]
        return [*(joined or held), self.status(not records)]

    run_cuda = run_cpu

    def _joined(self, i: int, column: Values) -> Any:
        first = column[0]
        if len(column) == 1:
            return first
        for value in column:
            if not hasattr(value, "dtype") or value.dtype != first.dtype or value.shape[1:] != first.shape[1:]:
                raise ValueError(f"blob {i}: {_shown(value)} does not fit behind {_shown(first)}")
            if not value.ndim:
                raise ValueError(f"blob {i}: is a scalar, wants rows to join those of {self.num_records} records")
        return (np if isinstance(first, np.ndarray) else array_module("cuda")).concatenate(column)


def _shown(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if hasattr(value, "dtype") else type(value).__name__

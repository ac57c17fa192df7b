"""A queue of examples that come in batches of one size and leave in batches of another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from caffe2ops.infer import TensorSpec
from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.data.opaque import held

Example = tuple[np.ndarray, ...]


class RebatchingQueue:
    """Examples of `num_blobs` tensors, first in, first out; threads may share it. Caffe2: queue/rebatching_queue."""

    def __init__(self, capacity: int, num_blobs: int):
        self.capacity, self.num_blobs = capacity, num_blobs
        self._examples: deque[Example] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, examples: Iterable[Example]) -> bool:
        """Appends examples one by one, waiting for room; False where the queue is closed before the last is in."""
        for example in examples:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._examples) < self.capacity)
                if self._closed:
                    return False
                self._examples.append(example)
                self._changed.notify_all()
        return True

    def take(self, count: int) -> list[Example]:
        """The next `count` examples, waiting for them; fewer where the queue is closed before."""
        found: list[Example] = []
        while len(found) < count:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._examples)
                if not self._examples:
                    break
                found += [self._examples.popleft() for _ in range(min(count - len(found), len(self._examples)))]
                self._changed.notify_all()
        return found

    def close(self) -> None:
        """Lets everybody go who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def queue_of(value: Any, num_blobs: int | None = None) -> RebatchingQueue:
    """The queue that an input holds. Raises ValueError unless its examples have `num_blobs`."""
    queue = held("queue", value, RebatchingQueue, "CreateRebatchingQueue")
    if num_blobs is not None and queue.num_blobs != num_blobs:
        raise ValueError(f"queue: its examples have {queue.num_blobs} tensors, the operator has {num_blobs}")
    return queue


class CreateRebatchingQueue(Operator):
    """Makes a queue of examples. Caffe2: queue/rebatching_queue_ops."""

    contract = "-> queue: blob"
    docs = {"queue": "the queue"}
    gradient = NO_GRADIENT
    capacity: int = Arg(1, ge=1, doc="how many examples may wait")
    num_blobs: int = Arg(1, ge=1, doc="tensors of an example")

    def run_cpu(self) -> RebatchingQueue:
        return RebatchingQueue(self.capacity, self.num_blobs)


class Waiting(Operator):
    """Base of what waits for a queue, its first input."""

    gradient = NO_GRADIENT

    def cancel(self) -> None:
        """For another thread: closes the queue, so that a run that waits ends, with an error."""
        queue_of(self.inputs[0].value).close()


class EnqueueRebatchingQueue(Waiting):
    """Puts copies of tensors into a queue as one example, or each of their rows as one; waits while the queue is full.

    ValueError where the queue is closed before all is in, or the tensors have not as many rows. Caffe2:
    queue/rebatching_queue_ops.
    """

    contract = "queue: blob, *tensor: any ->"
    docs = {"queue": "from CreateRebatchingQueue", "tensor": "the tensors of the example or, stacked, the examples"}
    enqueue_batch: bool = Arg(False, doc="whether the tensors are batches, of one example a row")

    def run_cpu(self, queue: RebatchingQueue, *tensors: np.ndarray) -> None:
        queue_of(queue, len(tensors))
        if self.enqueue_batch:
            for i, x in enumerate(tensors):
                if not x.ndim or len(x) != len(tensors[0]):
                    raise ValueError(f"tensor {i}: shape is {list(x.shape)}, wants as many rows as tensor 0 has")
        copies: Sequence[Any] = [x.copy() for x in tensors]
        if not queue.put(_rows(copies) if self.enqueue_batch else [tuple(copies)]):
            raise ValueError("queue: is closed")


def _rows(tensors: Sequence[np.ndarray]) -> Iterable[Example]:
    return (tuple(x[i : i + 1].reshape(x.shape[1:]) for x in tensors) for i in range(len(tensors[0])))


class DequeueRebatchingQueue(Waiting):
    """The next `num_elements` examples of a queue, stacked; fewer where it is closed before they are there.

    ValueError where it is closed and empty, or the examples differ in dtype or shape. Caffe2:
    queue/rebatching_queue_ops.
    """

    contract = "rebatching_queue: blob -> *tensor: any[?]"
    docs = {"rebatching_queue": "from CreateRebatchingQueue", "tensor": "a batch [num_elements, ...] of each tensor"}
    num_elements: int = Arg(1, ge=1, doc="examples of the batch")

    def infer(self, queue: TensorSpec) -> list[TensorSpec]:
        return [TensorSpec()] * self.n_outputs

    def run_cpu(self, queue: RebatchingQueue) -> list[np.ndarray]:
        examples = queue_of(queue, self.n_outputs).take(self.num_elements)
        if not examples:
            raise ValueError("rebatching_queue: is closed and empty")
        return [self._stacked(i, column) for i, column in enumerate(zip(*examples))]

    @staticmethod
    def _stacked(i: int, column: tuple[np.ndarray, ...]) -> np.ndarray:
        for x in column:
            if x.dtype != column[0].dtype or x.shape != column[0].shape:
                first = f"{column[0].dtype}{list(column[0].shape)}"
                raise ValueError(f"tensor {i}: an example is {x.dtype}{list(x.shape)}, an earlier one {first}")
        return np.stack(column)


class CloseRebatchingQueue(Operator):
    """Closes a queue: nobody waits for it any more. Caffe2: queue/rebatching_queue_ops."""

    contract = "queue: blob ->"
    docs = {"queue": "from CreateRebatchingQueue"}
    gradient = NO_GRADIENT

    def run_cpu(self, queue: RebatchingQueue) -> None:
        queue_of(queue).close()

"""Counters: int64 numbers that several nets may count up and down at the same time."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np

from caffe2ops.defs import BlobProto
from caffe2ops.formats.tensors import READERS, array_to_tensor, tensor_to_array
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.opaque import held


class Counter:
    """A number that threads may change; every change tells the number before. Caffe2: operators/counter_ops."""

    blob_type = "std::unique_ptr<Counter<int64_t>>"  # in a BlobProto

    def __init__(self, count: int = 0):
        self._count, self._lock = count, threading.Lock()

    def add(self, step: int) -> int:
        with self._lock:
            before, self._count = self._count, self._count + step
            return before

    def reset(self, count: int) -> int:
        with self._lock:
            before, self._count = self._count, count
            return before

    def to_blob(self, name: str) -> BlobProto:
        """The serialized form, Caffe2's."""
        tensor = array_to_tensor(np.array([self.add(0)], np.int64), name)
        plain = {"segment": None, "device_detail": None}
        return BlobProto(name=name, type=self.blob_type, tensor=tensor.replace(**plain))

    @classmethod
    def from_blob(cls, blob: BlobProto) -> Counter:
        if blob.tensor is None:
            raise ValueError(f"blob {blob.name!r}: is a counter without a tensor")
        return cls(int(tensor_to_array(blob.tensor).reshape(-1)[0]))


READERS[Counter.blob_type] = Counter.from_blob


class CreateCounter(Operator):
    """Makes a counter that starts at `init_count`. Caffe2: operators/counter_ops."""

    contract = "-> counter: blob"
    docs = {"counter": "the counter"}
    gradient = FORBIDDEN
    init_count: int = Arg(0, ge=0, doc="where the counter starts")

    def run_cpu(self) -> Counter:
        return Counter(self.init_count)

    run_cuda = run_cpu


class CounterOp(Operator):
    """Base: does something to a counter and says something of it, a scalar on the CPU."""

    docs = {"counter": "the counter, from CreateCounter"}
    gradient: ClassVar[Any] = FORBIDDEN

    def act(self, counter: Counter) -> int | bool:
        raise NotImplementedError

    def run_cpu(self, counter: Any) -> np.ndarray:
        answer = self.act(held("counter", counter, Counter, "CreateCounter"))
        return np.asarray(answer, np.bool_ if isinstance(answer, bool) else np.int64)

    run_cuda = run_cpu


class ResetCounter(CounterOp):
    """Sets a counter to `init_count`. Caffe2: operators/counter_ops."""

    contract = "counter: blob -> previous_value?: int64[]"
    docs = {**CounterOp.docs, "previous_value": "the count before"}
    output_devices = {"previous_value": "cpu"}
    init_count: int = Arg(0, ge=0, doc="what the counter is set to")

    def act(self, counter: Counter) -> int:
        return counter.reset(self.init_count)


class CountDown(CounterOp):
    """Takes 1 from a counter; also from one that has come to 0. Caffe2: operators/counter_ops."""

    contract = "counter: blob -> done: bool[]"
    docs = {**CounterOp.docs, "done": "whether the count was 0 or less before"}
    output_devices = {"done": "cpu"}

    def act(self, counter: Counter) -> bool:
        return counter.add(-1) <= 0


class CountUp(CounterOp):
    """Adds 1 to a counter. Caffe2: operators/counter_ops."""

    contract = "counter: blob -> previous_count: int64[]"
    docs = {**CounterOp.docs, "previous_count": "the count before"}
    output_devices = {"previous_count": "cpu"}

    def act(self, counter: Counter) -> int:
        return counter.add(1)


class CheckCounterDone(CounterOp):
    """Whether a counter has come to 0 or below. Caffe2: operators/counter_ops."""

    contract = "counter: blob -> done: bool[]"
    docs = {**CounterOp.docs, "done": "whether the count is 0 or less"}
    output_devices = {"done": "cpu"}
    gradient = None

    def act(self, counter: Counter) -> bool:
        return counter.add(0) <= 0


class RetrieveCount(CounterOp):
    """What a counter stands at. Caffe2: operators/counter_ops."""

    contract = "counter: blob -> count: int64[]"
    docs = {**CounterOp.docs, "count": "the count"}
    output_devices = {"count": "cpu"}

    def act(self, counter: Counter) -> int:
        return counter.add(0)

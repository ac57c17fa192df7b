"""What nets that run at the same time share: a mutex, numbers added to under it, a truth value."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np

from caffe2ops.defs import BlobProto
from caffe2ops.formats.tensors import READERS
from caffe2ops.operator import FORBIDDEN, Operator
from caffe2ops.ops.data.opaque import held


class Mutex:
    """A lock, to be held with `with`. Written to a file, or copied, it is a new one."""

    blob_type = "std::unique_ptr<std::mutex>"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.acquire, self.release = self._lock.acquire, self._lock.release

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def to_blob(self, name: str) -> BlobProto:
        return BlobProto(name=name, type=self.blob_type, content=b"")

    @classmethod
    def from_blob(cls, blob: BlobProto) -> Mutex:
        return cls()


READERS[Mutex.blob_type] = Mutex.from_blob


class CreateMutex(Operator):
    """Makes a mutex, for operators of nets that run at the same time. Caffe2: operators/atomic_ops."""

    contract = "-> mutex_ptr: blob"
    docs = {"mutex_ptr": "the mutex"}
    gradient = FORBIDDEN

    def run_cpu(self) -> Mutex:
        return Mutex()

    run_cuda = run_cpu


class AtomicBool:
    """A truth value that threads may set and read."""

    value = False


def bool_of(value: Any) -> AtomicBool:
    """The truth value that an input holds."""
    return held("atomic_bool", value, AtomicBool, "CreateAtomicBool")


class CreateAtomicBool(Operator):
    """Makes a truth value, False at first, for nets that run at the same time. Caffe2: operators/atomic_ops."""

    contract = "-> atomic_bool: blob"
    docs = {"atomic_bool": "the truth value"}
    gradient = FORBIDDEN

    def run_cpu(self) -> AtomicBool:
        return AtomicBool()


class ConditionalSetAtomicBool(Operator):
    """Sets a truth value to True where the condition, one bool, holds. Caffe2: operators/atomic_ops."""

    contract = "atomic_bool: blob, condition: bool ->"
    docs = {"atomic_bool": "from CreateAtomicBool", "condition": "whether to set it; the first element counts"}
    gradient = FORBIDDEN

    def run_cpu(self, atomic_bool: Any, condition: np.ndarray) -> None:
        if first("condition", condition):
            bool_of(atomic_bool).value = True


class CheckAtomicBool(Operator):
    """Reads a truth value: bool[1]. Caffe2: operators/atomic_ops."""

    contract = "atomic_bool: blob -> value: bool[1]"
    docs = {"atomic_bool": "from CreateAtomicBool", "value": "what it is"}
    gradient = FORBIDDEN

    def run_cpu(self, atomic_bool: Any) -> np.ndarray:
        return np.array([bool_of(atomic_bool).value])


class AtomicFetchAdd(Operator):
    """Adds to a number, holding a mutex meanwhile, and tells the number before.

    Of mut_value and increment the first element counts; both outputs are scalars. Raises ValueError for an empty one.
    Caffe2: operators/atomic_ops.
    """

    contract = "mutex_ptr: blob, mut_value: int32, increment: int32 -> mut_value: int32[], fetched_value: int32[]"
    docs = {
        "mutex_ptr": "held meanwhile, from CreateMutex",
        "mut_value": "the number, as output the sum",
        "increment": "what is added",
        "fetched_value": "the number before",
    }
    inplace = [(1, 0)]
    mutex = "mutex_ptr"
    gradient: ClassVar[Any] = FORBIDDEN

    def run_cpu(self, mutex: Any, value: np.ndarray, increment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        before, step = first("mut_value", value), first("increment", increment)
        total = self.out(0, (), value.dtype)
        total[...] = before + step
        return total, np.array(before)


class AtomicFetchAdd64(AtomicFetchAdd):
    """AtomicFetchAdd for int64. Caffe2: operators/atomic_ops."""

    contract = AtomicFetchAdd.contract.replace("int32", "int64")
    gradient = None


def first(name: str, values: np.ndarray) -> Any:
    """The first element. Raises ValueError where there is none."""
    if not values.size:
        raise ValueError(f"{name}: is empty, wants an element")
    return values.reshape(-1)[0]

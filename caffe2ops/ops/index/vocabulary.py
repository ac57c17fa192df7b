"""Vocabularies: keys numbered from 1 in the order they come, 0 for the unknown."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import repeat
from typing import Any, ClassVar

import numpy as np

from caffe2ops.defs import BlobProto
from caffe2ops.formats.error import FormatError
from caffe2ops.formats.tensors import READERS, array_to_tensor, tensor_to_array
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import FORBIDDEN, NO_GRADIENT, Arg, Operator
from caffe2ops.ops.data.opaque import held

KEYS = "int32|int64|object"
SERIALIZED = "std::unique_ptr<caffe2::IndexBase>"


class Vocabulary:
    """Keys of one dtype and their numbers; threads may share it. Caffe2: operators/index_ops."""

    def __init__(self, dtype: Any, max_elements: int):
        self.kind, self.max_elements, self.frozen = np.dtype(dtype), max_elements, False
        self._numbers: dict[Any, int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many numbers are in use, that of the unknown included."""
        return len(self._numbers) + 1

    def look_up(self, keys: np.ndarray) -> np.ndarray:
        """The numbers of keys. New ones are added, or 0 if it is frozen. Raises ValueError where there is no room."""
        flat = keys.reshape(-1).tolist()
        with self._lock:
            if not self.frozen:
                for key in flat:
                    if key not in self._numbers:
                        if len(self) >= self.max_elements:
                            raise ValueError(f"keys: {key!r} is new, all max_elements = {self.max_elements} are taken")
                        self._numbers[key] = len(self)
            return np.fromiter(map(self._numbers.get, flat, repeat(0)), np.int64, len(flat)).reshape(keys.shape)

    def load(self, keys: Iterable[Any]) -> None:
        """Replaces all keys. Raises ValueError for too many or repeated ones."""
        listed = list(keys)
        numbers = dict(zip(listed, range(1, len(listed) + 1)))
        if len(listed) > self.max_elements:
            raise ValueError(f"items: {len(listed)} are more than max_elements = {self.max_elements}")
        if len(numbers) < len(listed):
            again = next(key for i, key in enumerate(listed, 1) if numbers[key] != i)
            raise ValueError(f"items: {again!r} is repeated, wants each key once")
        with self._lock:
            self._numbers = numbers

    def keys(self) -> np.ndarray:
        """The keys in order of their numbers, from 1."""
        with self._lock:
            return np.fromiter(self._numbers, self.kind, len(self._numbers))

    def to_blob(self, name: str) -> BlobProto:
        """The serialized form: the keys, and max_elements and whether it is frozen as text."""
        content = f"{self.max_elements} {int(self.frozen)}".encode()
        return BlobProto(name=name, type=SERIALIZED, tensor=array_to_tensor(self.keys()), content=content)

    @classmethod
    def from_blob(cls, blob: BlobProto) -> Vocabulary:
        """The vocabulary of a serialized form. Raises FormatError."""
        most, _, frozen = (blob.content or b"").partition(b" ")
        if blob.tensor is None or not most.isdigit() or frozen not in (b"0", b"1"):
            raise FormatError(f"is no vocabulary: content is {blob.content!r}")
        keys = tensor_to_array(blob.tensor)
        found = cls(keys.dtype, int(most))
        found.load(keys.tolist())
        found.frozen = frozen == b"1"
        return found


READERS[SERIALIZED] = Vocabulary.from_blob


def vocabulary_of(value: Any, keys: np.ndarray | None = None) -> Vocabulary:
    """The vocabulary that an input holds. Raises TypeError where its keys are of another dtype."""
    vocabulary = held("handle", value, Vocabulary, "IntIndexCreate, LongIndexCreate or StringIndexCreate")
    if keys is not None and keys.dtype != vocabulary.kind:
        raise TypeError(f"handle: its keys are {vocabulary.kind}, those given {keys.dtype}")
    return vocabulary


class IndexCreate(Operator):
    """Base: an empty vocabulary."""

    gradient = NO_GRADIENT
    keys: ClassVar[Any]
    max_elements: int = Arg(2**31 - 1, doc="how many numbers there may be, 0 for the unknown included")

    def run_cpu(self) -> Vocabulary:
        return Vocabulary(self.keys, self.max_elements)


class IntIndexCreate(IndexCreate):
    """Makes an empty vocabulary of int32 keys. Caffe2: operators/index_ops."""

    contract = "-> handler: blob"
    docs = {"handler": "the vocabulary"}
    keys = np.int32


class LongIndexCreate(IndexCreate):
    """Makes an empty vocabulary of int64 keys. Caffe2: operators/index_ops."""

    contract = "-> handler: blob"
    docs = {"handler": "the vocabulary"}
    keys = np.int64


class StringIndexCreate(IndexCreate):
    """Makes an empty vocabulary of strings. Caffe2: operators/index_ops."""

    contract = "-> handle: blob"
    docs = {"handle": "the vocabulary"}
    keys = object


class IndexGet(Operator):
    """The numbers of keys. New keys get the next numbers, 0 once the vocabulary is frozen.

    ValueError where there is no room for a new key, TypeError for keys of another dtype. Caffe2: operators/index_ops.
    """

    contract = f"handle: blob, keys: {KEYS}[...] -> indices: int64[...]"
    docs = {"handle": "the vocabulary", "keys": "any shape", "indices": "their numbers"}

    def run_cpu(self, handle: Vocabulary, keys: np.ndarray) -> np.ndarray:
        return vocabulary_of(handle, keys).look_up(keys)


class IndexFreeze(Operator):
    """From now on a vocabulary gets no new keys from IndexGet. Caffe2: operators/index_ops."""

    contract = "handle: blob -> handle: blob"
    docs = {"handle": "the vocabulary"}
    gradient = FORBIDDEN
    inplace_enforced = ((0, 0),)

    def run_cpu(self, handle: Vocabulary) -> Vocabulary:
        vocabulary_of(handle).frozen = True
        return handle


class IndexLoad(Operator):
    """Makes keys those of a vocabulary, numbered from 1, instead of what it had, frozen or not.

    ValueError for repeated keys or more than max_elements, TypeError for keys of another dtype. Caffe2:
    operators/index_ops.
    """

    contract = f"handle: blob, items: {KEYS} -> handle: blob"
    docs = {"handle": "the vocabulary", "items": "the keys, each once"}
    gradient = FORBIDDEN
    inplace_enforced = ((0, 0),)
    skip_first_entry: bool = Arg(False, doc="whether the first item stands for the unknown, and is left out")

    def run_cpu(self, handle: Vocabulary, items: np.ndarray) -> Vocabulary:
        if self.skip_first_entry and not items.size:
            raise ValueError("items: has no elements, with skip_first_entry wants at least 1")
        vocabulary_of(handle, items).load(items.reshape(-1)[int(self.skip_first_entry) :].tolist())
        return handle


class IndexStore(Operator):
    """The keys of a vocabulary in order of their numbers, from 1. Caffe2: operators/index_ops."""

    contract = "handle: blob -> items: any[?]"
    docs = {"handle": "the vocabulary", "items": "its keys [size - 1]"}
    gradient = FORBIDDEN

    def infer(self, handle: TensorSpec) -> TensorSpec:
        return TensorSpec((UNKNOWN,))

    def run_cpu(self, handle: Vocabulary) -> np.ndarray:
        return vocabulary_of(handle).keys()


class IndexSize(Operator):
    """How many numbers a vocabulary uses, 0 for the unknown included. Caffe2: operators/index_ops."""

    contract = "handle: blob -> items: int64[]"
    docs = {"handle": "the vocabulary", "items": "the number of keys and 1"}
    gradient = FORBIDDEN

    def run_cpu(self, handle: Vocabulary) -> np.ndarray:
        return np.array(len(vocabulary_of(handle)), np.int64)

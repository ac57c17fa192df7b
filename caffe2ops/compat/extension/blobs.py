"""Blob and TensorCPU: handles on a blob of the engine."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from caffe2ops.compat.extension.definitions import device_of, encode
from caffe2ops.compat.extension.errors import runtime_errors
from caffe2ops.defs import BlobProto, DataType, TensorProto, dtype_of
from caffe2ops.formats.binary import decode
from caffe2ops.formats.tensors import blob_to_value, value_to_blobs
from caffe2ops.ops.data.records import Batch, Record
from caffe2ops.qtensor import QTensor
from caffe2ops.workspace import Blob as EngineBlob

Array = np.ndarray[Any, np.dtype[Any]]
RECORDS = (Record, Batch)


class Blob:
    """A blob of a workspace."""

    def __init__(self, blob: EngineBlob):
        self._blob = blob

    @runtime_errors
    def _feed(self, arg: Any, device_option: bytes | None = None) -> bool:
        """Takes a copy of an array, a str or bytes; other objects are refused."""
        if not isinstance(arg, (np.ndarray, str, bytes)):
            raise TypeError(
                f"Unexpected type of argument - only numpy array or string are supported for feeding, "
                f"got {type(arg).__name__}"
            )
        self._blob.feed(arg, None if device_option is None else device_of(device_option))
        return True

    feed = _feed

    def fetch(self) -> Any:
        """A copy of the array; (data, scale, zero_point) of a quantised tensor; bytes of a string. Anything else is
        described in bytes."""
        value = self._blob.value
        if isinstance(value, np.ndarray):
            return value.copy()
        if isinstance(value, bytes):
            return value
        if isinstance(value, QTensor):
            return value.data.copy(), value.scale, value.zero_point
        if hasattr(value, "__cuda_array_interface__"):
            return value.get()
        kind = "nullptr (uninitialized)" if value is None else type(value).__name__
        return f"{self._blob.name}, a C++ native class of type {kind}.".encode()

    def is_tensor(self) -> bool:
        return isinstance(self._blob.value, np.ndarray)

    def tensor(self) -> TensorCPU:
        """The tensor that the blob holds. Raises RuntimeError for anything else; an empty blob gets one."""
        if self._blob.value is not None and not self.is_tensor():
            raise RuntimeError(f"blob {self._blob.name!r} holds no tensor on the CPU")
        return TensorCPU(self._blob)

    as_tensor = tensor

    @runtime_errors
    def serialize(self, name: str) -> bytes:
        """A serialized BlobProto of that name. Of packed records only their number is kept, as in the original."""
        if self._blob.value is None:
            raise ValueError(f"blob {self._blob.name!r} is empty")
        if _holds_records(self._blob.value):
            warnings.warn(
                f"blob {self._blob.name!r}: packed records have no serialized form, they are lost", stacklevel=3
            )
            return encode(_without_records(name, self._blob.value.shape))
        (proto,) = value_to_blobs(name, self._blob.value)
        return encode(proto)

    @runtime_errors
    def deserialize(self, raw: bytes) -> None:
        """Takes what a serialized BlobProto holds."""
        proto = decode(raw, BlobProto)
        if proto.tensor is not None and proto.tensor.data_type == DataType.UNDEFINED:
            value: Any = np.full(proto.tensor.dims, None, object)
        else:
            value = blob_to_value(proto)
        self._blob.set(value.copy() if isinstance(value, np.ndarray) else value)


def _holds_records(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == object and isinstance(next(value.flat, None), RECORDS)


def _without_records(name: str, shape: tuple[int, ...]) -> BlobProto:
    """What the original writes for a tensor of packed records: null pointers."""
    null = encode(BlobProto(name="", type="std::shared_ptr<std::vector<TensorCPU>>", content=b""))
    tensor = TensorProto(name=name, dims=shape, data_type=DataType.UNDEFINED, string_data=(null,) * prod(shape))
    return BlobProto(name=name, type="Tensor", tensor=tensor)


class TensorCPU:
    """A tensor in a blob: `data` is the array itself, so that writing to it writes to the blob."""

    def __init__(self, blob: EngineBlob | None = None):
        self._blob = blob or EngineBlob("")

    @property
    def data(self) -> Any:
        """The array of the tensor; a tensor that has had no type so far becomes float32."""
        if self._blob.value is None:
            self._blob.set(np.zeros(0, np.float32))
        return self._blob.value

    @property
    def _shape(self) -> list[int]:
        return [] if self._blob.value is None else list(self._blob.value.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._shape)

    def _reshape(self, shape: Sequence[int]) -> None:
        """Gives the tensor this shape; its contents are kept where the number of elements stays."""
        held = self._blob.value
        dims = tuple(int(d) for d in shape)
        if held is None:
            self._blob.set(np.empty(dims, np.float32))
        elif held.shape != dims:
            self._blob.set(held.reshape(dims) if held.size == prod(dims) else np.empty(dims, held.dtype))

    def reshape(self, shape: Sequence[int]) -> None:
        self._reshape(list(shape))

    @runtime_errors
    def init(self, shape: Sequence[int], data_type: int) -> None:
        """Makes it a tensor of this shape and TensorProto.DataType, contents undefined; not one of strings."""
        dtype = dtype_of(int(data_type))
        if dtype.kind == "O":
            raise ValueError("data_type: is that of strings, wants one of numbers")
        self._blob.set(np.empty(tuple(int(d) for d in shape), dtype))

    @runtime_errors
    def feed(self, array: Any, device_option: bytes | None = None) -> None:
        self._blob.feed(np.asarray(array), None if device_option is None else device_of(device_option))

    def fetch(self) -> Array:
        return np.array(self._blob.value if self._blob.value is not None else np.zeros(0, np.float32))


class DLPackTensorCPU(TensorCPU):
    """A tensor whose `data` is a DLPack capsule over its memory, for another library to read and write."""

    @property
    def data(self) -> Any:
        return super().data.__dlpack__()

"""Maps from whole numbers to whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops import formats
from caffe2ops.defs import BlobProto, DataType, TensorProtos, dtype_of
from caffe2ops.formats.error import FormatError
from caffe2ops.formats.tensors import READERS, array_to_tensor, tensor_to_array
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.data.opaque import held

KINDS = int(DataType.INT32), int(DataType.INT64)


class Map:
    """Keys and values, each of one dtype. Caffe2: operators/map_ops."""

    def __init__(self, key: Any, value: Any):
        self.dtypes = np.dtype(key), np.dtype(value)
        self.entries: dict[int, int] = {}

    def add(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Adds keys that are not there yet, with their values."""
        for key, value in zip(keys.reshape(-1).tolist(), values.reshape(-1).tolist()):
            self.entries.setdefault(key, value)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The keys, in the order they came in, and the value of each."""
        key, value = self.dtypes
        count = len(self.entries)
        return np.fromiter(self.entries, key, count), np.fromiter(self.entries.values(), value, count)

    def to_blob(self, name: str) -> BlobProto:
        """The serialized form: keys and values as two tensors."""
        content = formats.encode(TensorProtos(protos=tuple(map(array_to_tensor, self.arrays()))))
        return BlobProto(name=name, type=_serialized(*self.dtypes), content=content)

    @classmethod
    def from_blob(cls, blob: BlobProto) -> Map:
        """The map of a serialized form. Raises FormatError."""
        tensors = [tensor_to_array(tensor) for tensor in formats.decode(blob.content or b"", TensorProtos).protos]
        if (
            len(tensors) != 2
            or _serialized(*(x.dtype for x in tensors)) != blob.type
            or len(set(map(len, tensors))) > 1
        ):
            raise FormatError(f"is no map {blob.type}")
        found = cls(*(x.dtype for x in tensors))
        found.add(*tensors)
        return found


def _serialized(key: np.dtype[Any], value: np.dtype[Any]) -> str:
    """Caffe2's name of the type of such maps."""
    return f"(std::unordered_map<{key.name}_t, {value.name}_t>)"


READERS.update({_serialized(np.dtype(k), np.dtype(v)): Map.from_blob for k in ("i4", "i8") for v in ("i4", "i8")})


class CreateMap(Operator):
    """Makes an empty map. Caffe2: operators/map_ops."""

    contract = "-> map_blob: blob"
    docs = {"map_blob": "the map"}
    key_dtype: int = Arg(KINDS[0], choices=KINDS, doc="TensorProto.DataType of the keys")
    value_dtype: int = Arg(KINDS[0], choices=KINDS, doc="TensorProto.DataType of the values")

    def run_cpu(self) -> Map:
        return Map(dtype_of(self.key_dtype), dtype_of(self.value_dtype))


class KeyValueToMap(Operator):
    """Adds keys with their values to the map in the output, to a new one where there is none of these dtypes.

    A key that is in the map keeps its value. ValueError unless there are as many values as keys. Caffe2:
    operators/map_ops.
    """

    contract = "key_blob: integer, value_blob: integer -> map_blob: blob"
    docs = {"key_blob": "keys", "value_blob": "a value for each", "map_blob": "the map"}

    def run_cpu(self, keys: np.ndarray, values: np.ndarray) -> Map:
        if keys.size != values.size:
            raise ValueError(f"value_blob: has {values.size} elements, key_blob has {keys.size}")
        found = self.outputs[0].value
        if not isinstance(found, Map) or found.dtypes != (keys.dtype, values.dtype):
            found = Map(keys.dtype, values.dtype)
        found.add(keys, values)
        return found


class MapToKeyValue(Operator):
    """Keys and values of a map, in the order they came in (Caffe2: in no order that means anything).

    Caffe2: operators/map_ops.
    """

    contract = "map_blob: blob -> key_blob: integer[?], value_blob: integer[?]"
    docs = {"map_blob": "the map", "key_blob": "its keys", "value_blob": "the value of each"}

    def infer(self, map_blob: TensorSpec) -> tuple[TensorSpec, ...]:
        return TensorSpec((UNKNOWN,)), TensorSpec((UNKNOWN,))

    def run_cpu(self, value: Any) -> tuple[np.ndarray, np.ndarray]:
        return held("map_blob", value, Map, "CreateMap or KeyValueToMap").arrays()

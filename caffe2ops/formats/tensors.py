"""TensorProto, QTensorProto and BlobProto <-> arrays and the other values of blobs.

Caffe2: core/blob_serialization, core/int8_serialization. What is written is what Caffe2 writes, byte for byte; read is
more: raw_data of every fixed-size type (Caffe2 takes it for FLOAT with the format bfloat16 only), byte_data of every
type of one byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from caffe2ops.defs import BlobProto, DataType, DeviceOption, QTensorProto, Segment, TensorProto, data_type_of, dtype_of
from caffe2ops.formats.error import FormatError
from caffe2ops.qtensor import QTensor

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 1_000_000  # elements in one chunk of a saved tensor
TENSOR, INT8_TENSOR, STRING = "Tensor", "Int8TensorCPU", "std::string"
# Types of blobs that operators define -> the value of a BlobProto; such a value has a method `to_blob`.
READERS: dict[str, Callable[[BlobProto], Any]] = {}

_BFLOAT16 = 1  # TensorProto.SerializationFormat.FMT_BFLOAT16
_FIELDS = {
    DataType.FLOAT: "float_data",
    DataType.DOUBLE: "double_data",
    DataType.INT64: "int64_data",
    DataType.STRING: "string_data",
}
_INT8_TYPES = (DataType.UINT8, DataType.INT32)


def tensor_to_array(tensor: TensorProto) -> Array:
    """The array that a TensorProto holds whole. Strings become an object array of bytes. Often a read-only view, not a
    copy.

    Raises FormatError where the elements are not as many as dims say, and for a chunk of a larger tensor (see
    tensors_to_array).
    """
    total, (begin, end) = _count(tensor.dims), _segment(tensor)
    if (begin, end) != (0, total):
        raise FormatError(
            f"holds elements {begin} to {end} of {total} only; put the chunks together with tensors_to_array"
        )
    return _shaped(_elements(tensor, total), tensor.dims)


def tensors_to_array(chunks: Iterable[TensorProto]) -> Array:
    """The array whose chunks these are, in any order.

    Raises FormatError for gaps, overlaps and chunks of different tensors.
    """
    ordered = sorted(chunks, key=lambda chunk: _segment(chunk))
    if not ordered:
        raise FormatError("no chunks")
    first = ordered[0]
    if len(ordered) == 1:
        return tensor_to_array(first)
    total, at = _count(first.dims), 0
    pieces = []
    for chunk in ordered:
        begin, end = _segment(chunk)
        if (chunk.dims, chunk.data_type) != (first.dims, first.data_type):
            raise FormatError(
                f"chunks of different tensors: dims {chunk.dims} and {first.dims}, "
                f"data types {chunk.data_type} and {first.data_type}"
            )
        if begin != at or end > total:
            raise FormatError(f"the chunk of elements {begin} to {end} follows element {at} of {total}")
        pieces.append(_elements(chunk, end - begin))
        at = end
    if at != total:
        raise FormatError(f"the chunks end at element {at} of {total}")
    return _shaped(np.concatenate(pieces), first.dims)


def _count(dims: Sequence[int]) -> int:
    if any(dim < 0 for dim in dims):
        raise FormatError(f"dims {tuple(dims)}: wants no negative one")
    return prod(dims)


def _shaped(elements: Array, dims: Sequence[int]) -> Array:
    try:
        return elements.reshape(dims)
    except ValueError as error:  # more dims than NumPy has, or, beside a 0, ones beyond memory
        raise FormatError(f"dims {tuple(dims)}: {error}") from None


def _segment(tensor: TensorProto) -> tuple[int, int]:
    if tensor.segment is None:
        return 0, _count(tensor.dims)
    return tensor.segment.begin, tensor.segment.end


def _elements(tensor: TensorProto, n: int) -> Array:
    """The elements of a tensor or chunk, flat; checked to be `n`."""
    try:
        dtype = dtype_of(tensor.data_type)
    except ValueError as error:
        raise FormatError(f"tensor {tensor.name!r}: {error}") from None
    name = _FIELDS.get(DataType(tensor.data_type), "int32_data")
    data: Any = getattr(tensor, name)
    if dtype.itemsize == 1 and tensor.byte_data:
        name, data = "byte_data", np.frombuffer(tensor.byte_data, dtype)
    elif tensor.raw_data and not len(data) and dtype.kind != "O":
        name, data = "raw_data", _raw(tensor, dtype)
    if len(data) != n:
        raise FormatError(f"tensor {tensor.name!r}: dims and segment say {n} elements, {name} has {len(data)}")
    if dtype.kind == "O":
        strings = np.empty(n, object)
        strings[:] = data
        return strings
    if dtype == np.float16 and name == "int32_data":
        return np.asarray(data).astype(np.uint16).view(np.float16)
    return np.asarray(data) if data.dtype == dtype else np.asarray(data).astype(dtype)


def _raw(tensor: TensorProto, dtype: np.dtype[Any]) -> Array:
    raw = tensor.raw_data
    stored = np.dtype(np.uint16) if tensor.data_format == _BFLOAT16 else dtype
    if tensor.data_format not in (0, _BFLOAT16) or (tensor.data_format and dtype != np.float32):
        raise FormatError(f"tensor {tensor.name!r}: data_format {tensor.data_format} of {dtype} is not known")
    if len(raw) % stored.itemsize:
        raise FormatError(f"tensor {tensor.name!r}: raw_data of {len(raw)} bytes is no multiple of {stored.itemsize}")
    array = np.frombuffer(raw, stored.newbyteorder("<"))
    if tensor.data_format == _BFLOAT16:
        return np.asarray(array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype == np.bool_:
        return np.asarray(np.frombuffer(raw, np.uint8) != 0)
    return np.asarray(array.astype(dtype, copy=False))


def array_to_tensor(
    array: Any, name: str = "", segment: tuple[int, int] | None = None, *, bfloat16: bool = False
) -> TensorProto:
    """The TensorProto of an array, or of its elements [begin, end). Raises TypeError for a dtype that Caffe2 has no
    tensors of, and for packed records.

    `bfloat16` keeps of float32 the upper 16 bits only.
    """
    array = np.asarray(array)
    begin, end = segment or (0, array.size)
    flat = array.ravel()[begin:end]
    if array.dtype.kind in "SU":
        flat = flat.astype(object)
    code = data_type_of(flat.dtype)
    field: dict[str, Any] = {_FIELDS.get(code, "int32_data"): flat}
    if code is DataType.STRING:
        strange = next((s for s in flat.tolist() if not isinstance(s, (str, bytes))), None)
        if strange is not None:
            raise TypeError(f"tensor {name!r}: elements are {type(strange).__name__}, which have no serialized form")
        field = {"string_data": tuple(s.encode() if isinstance(s, str) else s for s in flat.tolist())}
    elif code is DataType.FLOAT16:
        field = {"int32_data": flat.view(np.uint16)}
    elif bfloat16 and code is DataType.FLOAT:
        field = {"raw_data": (np.ascontiguousarray(flat).view(np.uint32) >> np.uint32(16)).astype("<u2").tobytes()}
    if code is DataType.FLOAT:
        field["data_format"] = _BFLOAT16 if bfloat16 else 0
    if name:
        field["name"] = name
    return TensorProto(
        dims=array.shape,
        data_type=code,
        device_detail=DeviceOption(device_type=0),
        segment=Segment(begin=begin, end=end),
        **field,
    )


def qtensor_to_value(tensor: QTensorProto) -> QTensor:
    """The quantised tensor, uint8 or int32 as its data_type says. Raises FormatError."""
    if tensor.data_type not in _INT8_TYPES:
        raise FormatError(
            f"quantised tensor {tensor.name!r}: data_type {tensor.data_type}, wants 6 (UINT8) or 2 (INT32)"
        )
    if len(tensor.data) != _count(tensor.dims):
        raise FormatError(
            f"quantised tensor {tensor.name!r}: dims say {_count(tensor.dims)} elements, data has {len(tensor.data)}"
        )
    if not np.isfinite(tensor.bias):
        raise FormatError(f"quantised tensor {tensor.name!r}: bias {tensor.bias}, wants a zero point")
    data = _shaped(np.asarray(tensor.data).astype(dtype_of(tensor.data_type)), tensor.dims)
    return QTensor(data, tensor.scale, int(tensor.bias))


def value_to_qtensor(value: QTensor, name: str = "") -> QTensorProto:
    """The QTensorProto of a quantised tensor of dtype uint8 or int32. Raises TypeError."""
    code = data_type_of(value.data.dtype)
    if code not in _INT8_TYPES:
        raise TypeError(f"a quantised tensor of {value.data.dtype}: Caffe2 has them of uint8 and int32")
    return QTensorProto(
        dims=value.data.shape,
        precision=8,
        scale=value.scale,
        bias=float(value.zero_point),
        is_signed=False,
        data=value.data.ravel(),
        name=name,
        data_type=code,
    )


def blob_to_value(*chunks: BlobProto) -> Any:
    """What a serialized blob holds: an array, a QTensor, bytes (of a std::string), a value of one of READERS, or the
    BlobProto itself for any other type.
    """
    blob = chunks[0]
    try:
        if blob.type == TENSOR:
            missing = [chunk for chunk in chunks if chunk.tensor is None]
            if missing:
                raise FormatError("is a Tensor without a tensor")
            return tensors_to_array([chunk.tensor for chunk in chunks if chunk.tensor is not None])
        if blob.type == INT8_TENSOR and blob.qtensor is not None:
            return qtensor_to_value(blob.qtensor)
        if blob.type in READERS:
            return READERS[blob.type](blob)
    except FormatError as error:
        raise FormatError(f"blob {blob.name!r}: {error}") from None
    return blob.content if blob.type == STRING else blob


def value_to_blobs(name: str, value: Any, chunk: int | None = None, *, bfloat16: bool = False) -> list[BlobProto]:
    """The serialized form of a blob's value; a tensor in chunks of `chunk` elements, or whole. Raises TypeError."""
    if isinstance(value, BlobProto):
        return [value]
    if hasattr(value, "to_blob"):
        return [value.to_blob(name)]
    if isinstance(value, (str, bytes)):
        return [BlobProto(name=name, type=STRING, content=value.encode() if isinstance(value, str) else value)]
    if isinstance(value, QTensor):
        return [BlobProto(name=name, type=INT8_TENSOR, qtensor=value_to_qtensor(value, name))]
    array = np.asarray(value)
    size = chunk or max(array.size, 1)
    starts = range(0, max(array.size, 1), size)
    segments = [(start, min(start + size, array.size)) for start in starts]
    tensors = [array_to_tensor(array, name, segment, bfloat16=bfloat16) for segment in segments]
    return [BlobProto(name=name, type=TENSOR, tensor=tensor) for tensor in tensors]

"""Serialized messages (.pb) <-> models; bulk numbers go between bytes and arrays without protobuf."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError, EncodeError

from caffe2ops.defs import BULK, Argument, Def
from caffe2ops.formats import convert, numbers, wire
from caffe2ops.formats.error import FormatError
from caffe2ops.formats.messages import Field, fields, message_class


def decode(data: Any, model: type[Def]) -> Any:
    """The model that `data` (bytes, a memoryview, an mmap) holds.

    Raises FormatError with the byte and the path of fields.
    """
    array = np.frombuffer(data, np.uint8)
    small, tree = wire.Scan(array).message(model, 0, len(array))
    try:
        message = message_class(model.__name__).FromString(bytes(small))
        known = message.ByteSize()
    except EncodeError as error:  # fields that Caffe2 demands are missing
        raise FormatError(str(error)) from None
    except (DecodeError, UnicodeDecodeError) as error:
        wire.Scan(array, short=0).message(model, 0, len(array))  # finds the place, if it can
        raise FormatError(str(error)) from None
    message.DiscardUnknownFields()
    unknown = known - message.ByteSize()
    if unknown:
        warnings.warn(
            f"{model.__name__}: {unknown} bytes of fields that Caffe2 1.10.2 does not know were dropped", stacklevel=2
        )
    try:
        return convert.from_message(message, model, tree)
    except UnicodeDecodeError as error:  # of protobuf without its C extension
        raise FormatError(str(error)) from None


def encode(model: Def) -> bytes:
    """The model's message, fields in the order of their numbers."""
    return _message(type(model), convert.set_fields(model))


def _message(model: type[Def], values: dict[str, Any]) -> bytes:
    if not any(map(_bulky, values.values())):
        message = message_class(model.__name__)()
        convert.fill(message, model, values)
        content: bytes = message.SerializePartialToString()
        return content
    table = fields(model).values()
    return b"".join(_field(model, field, values[field.attribute]) for field in table if field.attribute in values)


def _bulky(value: Any) -> bool:
    """Whether a value holds an array too long to be written number by number."""
    if isinstance(value, np.ndarray):
        return value.size > BULK
    if isinstance(value, Def):
        return any(map(_bulky, value.__dict__.values()))
    if isinstance(value, dict):
        return any(map(_bulky, value.values()))
    return isinstance(value, tuple) and any(map(_bulky, value))


def _field(model: type[Def], field: Field, value: Any) -> bytes:
    if field.model is Argument:
        out = []
        for name, content in convert.arguments(value):
            with convert.within(f"arg {name!r}"):
                out.append(_delimited(field, _message(Argument, content)))
        return b"".join(out)
    if field.model is not None and _bulky(value):
        out = []
        for index, item in enumerate(value if field.repeated else (value,)):
            with convert.within(f"{field.name}[{index}]" if field.repeated else field.name):
                out.append(_delimited(field, _message(field.model, convert.set_fields(item))))
        return b"".join(out)
    if field.bulk is not None and len(value):
        array = np.ascontiguousarray(value, field.bulk)
        write = numbers.encode_fixed if field.bulk.kind == "f" else numbers.encode_varints
        if field.packed:
            return _delimited(field, write(array))
        return write(array, bytes([field.number << 3 | field.wire]))
    return _message(model, {field.attribute: value})


def _delimited(field: Field, content: bytes) -> bytes:
    return bytes([field.number << 3 | wire.BYTES]) + wire.write_varint(len(content)) + content

"""The protobuf classes of schemas/caffe2.proto, and how their fields line up with the models of caffe2ops.defs.

The classes live in a descriptor pool of their own, so that a process may load another caffe2.proto beside them.
caffe2.desc is the compiled schema; `python -m caffe2ops.formats.compile_proto` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, get_origin

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from caffe2ops import defs

_DTYPES: dict[int, np.dtype[Any]] = {
    descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT: np.dtype("<f4"),
    descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE: np.dtype("<f8"),
    descriptor_pb2.FieldDescriptorProto.TYPE_INT32: np.dtype("<i4"),
    descriptor_pb2.FieldDescriptorProto.TYPE_INT64: np.dtype("<i8"),
}
_WIRE_TYPES = {
    descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT: 5,
    descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE: 1,
    descriptor_pb2.FieldDescriptorProto.TYPE_STRING: 2,
    descriptor_pb2.FieldDescriptorProto.TYPE_BYTES: 2,
    descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE: 2,
}  # 0, a varint, for all others


@dataclass(frozen=True)
class Field:
    """One field of a message: where it stands on the wire and in its model."""

    number: int
    name: str
    repeated: bool
    packed: bool
    text: bool
    wire: int  # wire type of a value
    bulk: np.dtype[Any] | None  # dtype of the array that its numbers become
    model: type[defs.Def] | None  # of a field that holds messages

    @property
    def attribute(self) -> str:
        return "args" if self.name == "arg" else self.name


@cache
def file_set() -> Any:
    """The compiled schema, a FileDescriptorSet."""
    return descriptor_pb2.FileDescriptorSet.FromString(files(__package__).joinpath("caffe2.desc").read_bytes())


@cache
def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for file in file_set().file:
        pool.Add(file)
    return pool


@cache
def message_class(name: str) -> type[Message]:
    """The protobuf class of a message of package caffe2, e.g. "NetDef"."""
    cls: type[Message] = message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"caffe2.{name}"))
    return cls


@cache
def fields(model: type[defs.Def]) -> dict[int, Field]:
    """The fields of a model's message by number, in order of their numbers."""
    (message,) = (m for file in file_set().file for m in _nested(file.message_type) if m.name == model.__name__)
    return {f.number: _field(f, model) for f in sorted(message.field, key=lambda f: f.number)}


def _nested(messages: Any) -> Any:
    for message in messages:
        yield message
        yield from _nested(message.nested_type)


def _field(f: Any, model: type[defs.Def]) -> Field:
    in_model = model.model_fields.get(f.name)
    is_array = in_model is not None and get_origin(in_model.annotation) is np.ndarray
    return Field(
        number=f.number,
        name=f.name,
        repeated=f.label == f.LABEL_REPEATED,
        packed=f.options.packed,
        text=f.type == f.TYPE_STRING,
        wire=_WIRE_TYPES.get(f.type, 0),
        bulk=_DTYPES[f.type] if is_array else None,
        model=getattr(defs, f.type_name.rpartition(".")[2]) if f.type == f.TYPE_MESSAGE else None,
    )

"""caffe2.proto.caffe2_pb2 and metanet_pb2: the message classes and enum values of schemas/caffe2.proto.

The classes are those that caffe2ops.formats reads and writes with, in a descriptor pool of their own. DeviceTypeProto's
values go by their short names (CPU, CUDA) as well.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from caffe2ops.formats.messages import file_set, message_class

_PREFIX = "PROTO_"


def _names() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in file_set().file:
        found |= {message.name: message_class(message.name) for message in file.message_type}
        descriptor: Any = message_class(file.message_type[0].name).DESCRIPTOR.file
        for name, enum in descriptor.enum_types_by_name.items():
            found[name] = EnumTypeWrapper(enum)
            found |= {value.name: value.number for value in enum.values}
        found["DESCRIPTOR"] = descriptor
    short = {name.removeprefix(_PREFIX): value for name, value in found.items() if name.startswith(_PREFIX)}
    return found | short


globals().update(_names())


def __getattr__(name: str) -> Any:
    raise AttributeError(f"caffe2.proto has no message and no enum value {name!r}")

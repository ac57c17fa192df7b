"""Serialized messages in arguments."""

from __future__ import annotations

from typing import Any


def message_of(kind: str, content: bytes, where: str) -> Any:
    """The message of that kind in an argument. Raises ValueError for what is none."""
    from google.protobuf.message import DecodeError

    from caffe2ops.formats.messages import message_class  # imports protobuf

    message: Any = message_class(kind)()
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        raise ValueError(f"{where}: is no serialized {kind}: {error}") from None
    return message

"""Text format (.pbtxt) <-> models, and the words that old files use."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import text_format

from caffe2ops.defs import Def, DeviceType
from caffe2ops.formats import convert
from caffe2ops.formats.error import FormatError
from caffe2ops.formats.messages import message_class

# Strings and comments first, so that the words inside them are left alone.
_OLD_WORDS = re.compile(
    r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*"""
    r"""|(?P<id>\bcuda_gpu_id\b)|(?P<type>\bdevice_type\s*:\s*)(?:PROTO_)?(?P<device>[A-Z]+)\b"""
)


def _modern(match: re.Match[str]) -> str:
    if match["id"]:
        return "device_id"
    if match["type"] and match["device"] in DeviceType.__members__:
        return f"{match['type']}{DeviceType[match['device']].value}"
    return match[0]


def parse(text: str, models: tuple[type[Def], ...]) -> Any:
    """The model that `text` is a message of: the first of `models` that takes it.

    Raises FormatError with line and column.
    """
    text = _OLD_WORDS.sub(_modern, text)
    furthest: tuple[int, int, str] = (-1, -1, "empty")
    for model in models:
        message = message_class(model.__name__)()
        try:
            text_format.Parse(text, message)
        except text_format.ParseError as error:
            at = error.GetLine() or 0, error.GetColumn() or 0
            if at > furthest[:2]:  # of those that come as far, the first
                furthest = (*at, f"as {model.__name__}: {error}")
        except (ValueError, RecursionError) as error:
            raise FormatError(f"as {model.__name__}: {error or type(error).__name__}") from None
        else:
            return convert.from_message(message, model)
    raise FormatError(furthest[2])


def write(model: Def) -> str:
    return str(text_format.MessageToString(convert.to_message(model), as_utf8=True))

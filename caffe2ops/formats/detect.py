"""What a file is, told from its content."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np

from caffe2ops.defs import (
    BlobProto,
    Def,
    MetaNetDef,
    NetDef,
    OperatorDef,
    PlanDef,
    QTensorProto,
    TensorProto,
    TensorProtos,
)
from caffe2ops.formats import wire
from caffe2ops.formats.error import FormatError
from caffe2ops.formats.messages import fields

# What a file may hold, the likelier first: where two fit equally well the earlier is taken.
KINDS: tuple[type[Def], ...] = (
    NetDef,
    PlanDef,
    MetaNetDef,
    TensorProtos,
    BlobProto,
    TensorProto,
    QTensorProto,
    OperatorDef,
)

_HEAD = 4096  # bytes that are looked at to tell text from binary
_SAMPLE = 32  # fields that are looked at in each message
_LEVELS = 2  # levels of messages below the top that are looked into
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f]")
_TEXT = re.compile(rb"\s*(#[^\n]*\n\s*)*([A-Za-z_]\w*\s*[:{<]|$)")


def file_format(data: Any) -> str:
    """ "minidb", "json", "text" or "binary"."""
    head = bytes(data[:_HEAD]).removeprefix(b"\xef\xbb\xbf")
    if _is_minidb(data):
        return "minidb"
    if _CONTROL.search(head):
        return "binary"
    if head.lstrip()[:1] == b"{":
        return "json"
    return "text" if _TEXT.match(head) else "binary"


def _is_minidb(data: Any) -> bool:
    """Whether the first records have lengths that fit."""
    at, size = 0, len(data)
    for _ in range(_SAMPLE):
        if at + 8 > size:
            break
        key, value = struct.unpack_from("<ii", data, at)
        at += 8 + key + value
        if key <= 0 or value <= 0 or at > size:
            return False
    return at > 0


def message_kind(data: Any) -> type[Def]:
    """The kind of message whose fields fit serialized `data` best. Raises FormatError where none does."""
    view = np.frombuffer(data, np.uint8).data
    best, (odd, known) = KINDS[0], (len(view) + 1, 0)
    for kind in KINDS:
        score = _odd_and_known(view, kind, 0, len(view), _LEVELS)
        if score[0] < odd:
            best, (odd, known) = kind, score
        if odd == 0:
            break
    if odd > known:
        raise FormatError("no message of Caffe2's: its fields are those of no net, plan, predictor, tensor or blob")
    return best


def _odd_and_known(view: memoryview, model: type[Def], at: int, end: int, levels: int) -> tuple[int, int]:
    """Of the first fields: how many do not belong into a message of `model`, or look wrong there, and how many do
    belong.
    """
    table, odd, known, seen = fields(model), 0, 0, set()
    for _ in range(_SAMPLE):
        if at >= end:
            break
        try:
            number, kind, body, stop = wire.skip(view, at, end)
        except FormatError:
            return odd + 1, known
        at = stop
        field = table.get(number)
        if field is None or (kind != field.wire and not (field.repeated and kind == wire.BYTES)):
            odd += 1
            continue
        known += 1
        seen.add(field.name)
        if field.text and _CONTROL.search(bytes(view[body : min(stop, body + 256)])):
            odd += 1
        elif field.model is not None and levels:
            inner_odd, inner_known = _odd_and_known(view, field.model, body, stop, levels - 1)
            odd, known = odd + inner_odd, known + inner_known
    else:
        return odd, known
    if not seen.issuperset(_NEEDED.get(model.__name__, ())):
        odd += 1
    return odd, known


# Fields without which a message is hardly one of its kind.
_NEEDED = {
    "OperatorDef": {"type"},
    "Argument": {"name"},
    "QTensorProto": {"precision", "scale"},
    "BlobProto": {"type"},
    "TensorProto": {"data_type"},
}

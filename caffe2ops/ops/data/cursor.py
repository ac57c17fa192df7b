"""Cursors: where in a dataset of nested columns reading goes on."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from caffe2ops.defs import BlobProto
from caffe2ops.formats.tensors import READERS, array_to_tensor, tensor_to_array
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.fields import Fields
from caffe2ops.ops.data.opaque import held


class TreeCursor:
    """Where in a dataset reading goes on; several operators may share it. Without offsets it stands at the start.

    Caffe2: operators/dataset_ops.
    """

    blob_type = "std::unique_ptr<TreeCursor>"  # in a BlobProto

    def __init__(self, fields: Fields):
        self.fields = fields
        self.offsets: list[int] = []
        self.lock = threading.Lock()

    def started(self) -> list[int]:
        """The offset in each domain."""
        return self.offsets or [0] * (len(self.fields.counters) + 1)

    def to_blob(self, name: str) -> BlobProto:
        """The serialized form, Caffe2's."""
        content = "".join(f"{field} " for field in self.fields.names).encode()
        tensor = array_to_tensor(np.array(self.offsets, np.int64)) if self.offsets else None
        return BlobProto(name=name, type=self.blob_type, content=content, tensor=tensor)

    @classmethod
    def from_blob(cls, blob: BlobProto) -> TreeCursor:
        made = cls(Fields((blob.content or b"").decode().split()))
        if blob.tensor is not None:
            made.offsets = tensor_to_array(blob.tensor).reshape(-1).tolist()
            if min(made.offsets, default=0) < 0:
                raise ValueError(f"blob {blob.name!r}: is a cursor at {made.offsets}, wants no negative offset")
        return made


READERS[TreeCursor.blob_type] = TreeCursor.from_blob


def cursor_of(value: Any) -> TreeCursor:
    """The cursor that an input holds."""
    return held("cursor", value, TreeCursor, "CreateTreeCursor")


CURSOR = {"cursor": "from CreateTreeCursor"}
COLUMNS = {**CURSOR, "dataset_field": "the columns, one for each field of the cursor"}


class CreateTreeCursor(Operator):
    """Makes a cursor for a dataset of these fields, at its start.

    See ops/data/fields.py for what the names say. Raises ValueError for a field that stands before the lengths of its
    domain. Caffe2: operators/dataset_ops.
    """

    contract = "-> cursor: blob"
    docs = {"cursor": "the cursor"}
    gradient = FORBIDDEN
    fields: list[str] = Arg((), doc="names of the fields, paths separated by colons")

    def run_cpu(self) -> TreeCursor:
        return TreeCursor(Fields(self.fields))


class ResetCursor(Operator):
    """Puts a cursor back to the start. Caffe2: operators/dataset_ops."""

    contract = "cursor: blob ->"
    docs = CURSOR
    gradient = FORBIDDEN

    def run_cpu(self, cursor: Any) -> None:
        cursor = cursor_of(cursor)
        with cursor.lock:
            cursor.offsets = []


class GetCursorOffset(Operator):
    """The offsets of a cursor in each domain: int32[domains], none where nothing has been read yet.

    Caffe2: operators/dataset_ops.
    """

    contract = "cursor: blob -> offsets: int32[D]"
    docs = {**CURSOR, "offsets": "the next row of each domain; the records first"}

    def run_cpu(self, cursor: Any) -> np.ndarray:
        return np.array(cursor_of(cursor).offsets, np.int32)

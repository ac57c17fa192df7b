"""Tables of text: a reader, and batches of rows from it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.defs import DataType
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.data.files import inside_root
from caffe2ops.ops.data.opaque import held
from caffe2ops.ops.text.strings import as_strings

CHUNK = 1 << 16  # bytes read at a time
FIELD = re.compile(rb"([^\0\t\n]*(?:\0.[^\0\t\n]*)*)([\t\n])", re.DOTALL)  # a byte 0 quotes the next
ESCAPED = re.compile(rb"\0(.)", re.DOTALL)
NUMBER = re.compile(rb"\s*([+-]?(?:inf(?:inity)?|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))", re.IGNORECASE)


class TextFileReader:
    """The rows of a file of fields ended by tabs and, the last of a row, by a newline; threads may share it.

    What stands behind the last tab or newline of the file is left out. Caffe2: operators/text_file_reader.
    """

    def __init__(self, path: Path, num_passes: int, field_types: list[int]):
        self.field_types = field_types
        self._file = path.open("rb")
        self._rows = self._all_rows(num_passes)
        self._lock = threading.Lock()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def read(self, count: int) -> list[list[bytes]]:
        """The next rows, fewer at the end. Raises ValueError for one of another number of fields."""
        with self._lock:
            return list(islice(self._rows, count))

    def _all_rows(self, num_passes: int) -> Iterator[list[bytes]]:
        number, row, wanted = 1, list[bytes](), len(self.field_types)
        for _ in range(num_passes):
            self._file.seek(0)
            for field, end in self._fields():
                row.append(field)
                if (end == b"\n") != (len(row) == wanted):
                    more = " or more" * (end == b"\t")
                    raise ValueError(f"handler: row {number} has {len(row)}{more} fields, wants {wanted}")
                if end == b"\n":
                    yield row
                    number, row = number + 1, []
            if row:
                raise ValueError(f"handler: the last row has {len(row)} whole fields, wants {wanted}")

    def _fields(self) -> Iterator[tuple[bytes, bytes]]:
        """Each field of the file and what ends it."""
        rest = b""
        while chunk := self._file.read(CHUNK):
            rest, at = rest + chunk, 0
            for found in FIELD.finditer(rest):
                yield (ESCAPED.sub(rb"\1", found[1]) if b"\0" in found[1] else found[1]), found[2]
                at = found.end()
            rest = rest[at:]


class CreateTextFileReader(Operator):
    """Opens a file of tab-separated text in the workspace's root folder for reading.

    OSError for a file that is not there, PermissionError for one outside the root folder. Caffe2:
    operators/text_file_reader.
    """

    contract = "-> handler: blob"
    docs = {"handler": "the reader, for TextFileReaderRead"}
    gradient = NO_GRADIENT
    filename: str = Arg(doc="file, inside the root folder")
    num_passes: int = Arg(1, ge=0, doc="how often to read it")
    field_types: list[int] = Arg(
        choices=(int(DataType.FLOAT), int(DataType.STRING)), doc="TensorProto.DataType of each field: FLOAT or STRING"
    )

    def run_cpu(self) -> TextFileReader:
        if not self.field_types:
            raise ValueError("field_types: is empty, wants a data type for each field")
        return TextFileReader(inside_root(self, self.filename, absolute=True), self.num_passes, self.field_types)


class TextFileReaderRead(Operator):
    """The next rows of a file, a vector for each field; behind the last row empty ones.

    ValueError for a row of another number of fields, a field that does not start as a number, or another number of
    outputs than fields. Caffe2: operators/text_file_reader.
    """

    contract = "handler: blob -> *fields: float32|object[?]"
    docs = {"handler": "from CreateTextFileReader", "fields": "a vector for each field, of at most batch_size elements"}
    gradient = NO_GRADIENT
    batch_size: int = Arg(1, ge=0, doc="how many rows to read at most")

    def infer(self, handler: TensorSpec) -> list[TensorSpec]:
        return [TensorSpec((UNKNOWN,))] * self.n_outputs

    def run_cpu(self, handler: Any) -> list[np.ndarray]:
        reader = held("handler", handler, TextFileReader, "CreateTextFileReader")
        if len(reader.field_types) != self.n_outputs:
            raise ValueError(f"handler: rows have {len(reader.field_types)} fields, there are {self.n_outputs} outputs")
        rows = reader.read(self.batch_size)
        columns: Any = zip(*rows) if rows else [()] * self.n_outputs
        return [
            np.array([_number(text) for text in column], np.float32)
            if kind == DataType.FLOAT
            else as_strings(column, (len(column),))
            for kind, column in zip(reader.field_types, columns)
        ]


def _number(text: bytes) -> float:
    found = NUMBER.match(text)
    if not found:
        raise ValueError(f"handler: field {text!r} does not start as a number")
    return float(found[1])

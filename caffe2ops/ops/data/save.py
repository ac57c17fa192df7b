"""Writing blobs into a database, once or every so many iterations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops import formats
from caffe2ops.defs import BlobProto
from caffe2ops.formats.tensors import CHUNK, TENSOR
from caffe2ops.operator import FORBIDDEN, Arg, Operator
from caffe2ops.ops.data.files import inside_root, on_host
from caffe2ops.ops.data.message import message_of
from caffe2ops.qtensor import QTensor

SERIALIZED = (np.ndarray, QTensor, str, bytes, BlobProto)
BFLOAT16 = 2  # BlobSerializationOptions.FLOAT_BFLOAT16
PATTERN = re.compile(r"%(0?\d*)(?:l*d|i|u)")


class Save(Operator):
    """Writes blobs into a new database in the workspace's root folder, for Load to read; Caffe2 reads it too, and
    writes the same.

    X: any number of blobs: tensors, quantised tensors, strings. Tensors come in chunks under `name#%0`, `name#%1`, ...
    TypeError for a blob that has no serialized form, ValueError for two of one name, PermissionError for a file outside
    the root folder. Caffe2: operators/load_save_op.
    """

    contract = "*X: blob ->"
    docs = {"X": "what is saved, under the names of these blobs"}
    gradient = FORBIDDEN
    absolute_path: bool = Arg(False, doc="whether db is a whole path; it must lead into the root folder anyway")
    strip_prefix: str = Arg("", doc="taken off the names, with all that stands before it")
    blob_name_overrides: list[str] = Arg((), doc="names to save under, one for each input")
    db: str = Arg(doc="file to write")
    db_type: str = Arg(doc="kind of database: minidb, or lmdb where that is installed")
    chunk_size: int = Arg(-1, ge=-1, doc=f"elements of a chunk; 0: one chunk, -1: {CHUNK}")
    options: bytes = Arg(b"", doc="a serialized SerializationOptions: other chunks or bfloat16 for some of the blobs")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not self.db:
            raise ValueError("db: is empty, wants a file name")
        if self.blob_name_overrides and self.strip_prefix:
            raise ValueError("strip_prefix: is given together with blob_name_overrides; one of them says the names")
        if self.blob_name_overrides and len(self.blob_name_overrides) != self.n_inputs:
            raise ValueError(
                f"blob_name_overrides: has {len(self.blob_name_overrides)}, there are {self.n_inputs} inputs"
            )
        names = self.blob_name_overrides or [stripped(name, self.strip_prefix) for name in self.op_def.input]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(f"input {i}: is saved as {name!r}, and so is an earlier one")
        self._names = names
        self._options = options_of(self.options)

    def run_cpu(self, *values: Any) -> None:
        self.write(inside_root(self, self.db, self.absolute_path), values)

    run_cuda = run_cpu

    def write(self, path: Path, values: tuple[Any, ...]) -> None:
        """Writes the blobs."""
        for i, value in enumerate(map(on_host, values)):
            check_serialized(f"input {i}", value)
        serialized = [self._serialized(name, on_host(value)) for name, value in zip(self._names, values)]
        with formats.open_db(self.db_type, path, "new") as db, db.transaction() as transaction:
            for name, blobs in zip(self._names, serialized):
                for i, blob in enumerate(blobs):
                    transaction.put(f"{name}#%{i}" if blob.type == TENSOR else name, formats.encode(blob))

    def _serialized(self, name: str, value: Any) -> list[BlobProto]:
        """The chunks of a blob."""
        option = option_of(name, self._options)
        size = option.chunk_size if option is not None and option.HasField("chunk_size") else self.chunk_size
        bfloat16 = option is not None and option.float_format == BFLOAT16
        return formats.value_to_blobs(name, value, {0: None, -1: CHUNK}.get(size, size), bfloat16=bfloat16)


class Checkpoint(Save):
    """Saves blobs every so many iterations, as Save does.

    X: the iteration, int64, then the blobs; the iteration is saved too. A %d in `db` stands for it. Caffe2:
    operators/load_save_op.
    """

    contract = "iter: int64, *X?: blob ->"
    docs = {"iter": "the iteration, its first element", **Save.docs}
    every: int = Arg(1, ge=1, doc="iterations from one checkpoint to the next")

    def run_cpu(self, iteration: Any, *values: Any) -> None:
        if not iteration.size:
            raise ValueError("iter: is empty, wants an iteration")
        it = int(iteration.reshape(-1)[0])
        if it % self.every == 0:
            name = PATTERN.sub(lambda found: f"{it:{found[1]}d}", self.db)
            self.write(inside_root(self, name, self.absolute_path), (iteration, *values))

    run_cuda = run_cpu


class Snapshot(Checkpoint):
    """Checkpoint under its former name. Caffe2: operators/load_save_op."""


def options_of(content: bytes) -> list[Any]:
    """The options of a serialized SerializationOptions, none for b"". Raises ValueError for other content."""
    options = list(message_of("SerializationOptions", content, "options").options) if content else []
    for option in options:
        if option.chunk_size < -1 or option.blob_name_regex == "":
            raise ValueError(f"options: {option} wants a pattern and chunk_size >= -1")
    return options


def option_of(name: str, options: list[Any]) -> Any:
    """The first option whose pattern matches the whole name of a blob, None where there is none."""
    return next((option for option in options if re.fullmatch(option.blob_name_regex, name)), None)


def check_serialized(name: str, value: Any) -> None:
    """Raises TypeError for a value that has no serialized form."""
    if not isinstance(value, SERIALIZED) and not hasattr(value, "to_blob"):
        raise TypeError(f"{name}: holds {type(value).__name__}, which has no serialized form")


def stripped(name: str, prefix: str) -> str:
    """What follows the first occurrence of `prefix` in a name, the whole name where there is none."""
    return name.partition(prefix)[2] if prefix and prefix in name else name

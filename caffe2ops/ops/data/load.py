"""Reading blobs that Save wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from caffe2ops import formats
from caffe2ops.defs import BlobProto
from caffe2ops.operator import NO_GRADIENT, Arg, Operator
from caffe2ops.ops.data.database import reader_of
from caffe2ops.ops.data.files import inside_root, on_device
from caffe2ops.ops.data.save import stripped


class Load(Operator):
    """Reads blobs from databases that Save wrote, here or in Caffe2.

    reader: any number of readers from CreateDB; without one `db` or `dbs` in the workspace's root folder are read. The
    outputs are found by their names, or by `source_blob_names`; with `load_all` every blob of the database becomes one
    of the workspace. A name in the database counts without `strip_prefix` and what stands before it, and with
    `add_prefix` in front. ValueError for a blob that is not there (unless `allow_incomplete`: then the output stays as
    it was) and for one that two databases hold. Caffe2: operators/load_save_op.
    """

    contract = "*reader?: blob -> *output?: blob"
    docs = {"reader": "readers to take instead of db and dbs", "output": "the blobs"}
    gradient = NO_GRADIENT
    absolute_path: bool = Arg(False, doc="whether db is a whole path; it must lead into the root folder anyway")
    add_prefix: str = Arg("", doc="put before the names of the database")
    strip_prefix: str = Arg("", doc="taken off the names of the database, with all that stands before it")
    db: str = Arg("", doc="file to read")
    dbs: list[str] = Arg((), doc="files to read, instead of db")
    db_type: str = Arg("", doc="kind of database: minidb, or lmdb where that is installed")
    db_options: str = Arg("", doc="no meaning here")
    keep_device: bool = Arg(False, doc="no meaning here: blobs go to the device of the operator")
    load_all: bool = Arg(False, doc="whether to load every blob")
    allow_incomplete: bool = Arg(False, doc="whether blobs may be missing")
    source_blob_names: list[str] = Arg((), doc="names in the database, one for each output")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        names = self.source_blob_names
        if not self.n_inputs and not (self.db or self.dbs):
            raise ValueError("db: is empty, wants a file name")
        if not self.n_inputs and not self.db_type:
            raise ValueError("db_type: is empty, wants a kind of database")
        for name, several in (("dbs", self.dbs), ("source_blob_names", names)):
            if len(set(several)) != len(several):
                raise ValueError(f"{name}: {several} has a name twice")
        if len(set(self.op_def.output)) != self.n_outputs:
            raise ValueError(f"outputs: {', '.join(self.op_def.output)} has a name twice")
        if names and len(names) != self.n_outputs:
            raise ValueError(f"source_blob_names: has {len(names)}, there are {self.n_outputs} outputs")
        for name, other in (("strip_prefix", self.strip_prefix), ("load_all", self.load_all)):
            if names and other:
                raise ValueError(f"{name}: is given together with source_blob_names")
        self._wanted = names or list(self.op_def.output)

    def run_cpu(self, *readers: Any) -> tuple[Any, ...]:
        found: dict[str, Any] = {}
        with ExitStack() as stack:
            for records in self._databases(readers, stack):
                for name, value in self._blobs(records).items():
                    if name in found:
                        raise ValueError(f"db: two databases hold a blob {name!r}")
                    found[name] = value
        missing = [name for name in self._wanted if name not in found]
        if missing and not (self.allow_incomplete and not self.load_all):
            has = ", ".join(sorted(found)[:8]) or "none of those wanted"
            raise ValueError(f"db: no blob {missing[0]!r} in it; found: {has}")
        if self.load_all:
            for name, value in found.items():
                self.workspace.blob(name).set(value)
        held = [blob.value for blob in self.outputs] or [None] * self.n_outputs
        return tuple(found.get(name, old) for name, old in zip(self._wanted, held))

    run_cuda = run_cpu

    def _databases(self, readers: tuple[Any, ...], stack: ExitStack) -> Iterator[Any]:
        """(key, value) of the records of each database."""
        for i, reader in enumerate(readers):
            yield reader_of(f"reader {i}", reader).records()
        for name in () if readers else self.dbs or [self.db]:
            db = stack.enter_context(formats.open_db(self.db_type, inside_root(self, name, self.absolute_path)))
            yield iter(db.cursor())

    def _blobs(self, records: Any) -> dict[str, Any]:
        """The wanted blobs of one database by the names they get; all of them with load_all."""
        chunks: dict[str, list[BlobProto]] = {}
        for key, value in records:
            name = self.add_prefix + stripped(key.decode(errors="replace").partition("#%")[0], self.strip_prefix)
            if self.load_all or name in self._wanted:
                chunks.setdefault(name, []).append(formats.decode(value, BlobProto))
        return {name: on_device(self, formats.blob_to_value(*several)) for name, several in chunks.items()}

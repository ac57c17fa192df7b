"""Databases, saved blobs, printing. Files are those of the workspace's root folder, a fresh one for each sample."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from caffe2ops.defs import TensorProtos
from caffe2ops.formats import array_to_tensor, binary, open_db
from caffe2ops.ops.data.database import DBReader
from tests.kit.sample import Blob, Sample, rng, strings

CPU: dict[str, Any] = {"devices": ("cpu",)}
F = rng(5).standard_normal((3, 7)).astype(np.float32)
DB = {"db": "blobs.db", "db_type": "minidb"}
ABSENT = {"db": "absent.db", "db_type": "minidb"}
MUTE: dict[str, Any] = {"devices": ("cpu",), "golden": False, "reason": "no output; see tests/test_data.py"}
ELSEWHERE = "Caffe2 writes anywhere"
Step = tuple[str, list[str], list[str], dict[str, Any]]


def given(name: str, kind: str, values: list[Any], shape: list[int]) -> Step:
    return (f"GivenTensor{kind}Fill", [], [name], {"shape": shape, "values": values})


A_X, A_S = given("a/x", "", [float(i) for i in range(6)], [2, 3]), given("s", "String", ["ab", "c"], [2])
A_I = given("a/i", "Int64", [5, -6], [2])


def saved(**args: Any) -> list[Step]:
    """What a Load finds: two tensors of numbers and one of strings."""
    return [A_X, A_I, A_S, ("Save", ["a/x", "a/i", "s"], [], {**DB, **args})]


def load(note: str, outputs: int, before: list[Step], args: dict[str, Any] | None = None, **more: Any) -> Sample:
    names = [f"out{i}" for i in range(outputs)]
    source = {} if more.get("error") else {"source_blob_names": ["a/x", "a/i", "s"][: len(names)]}
    return Sample(
        "Load", [], {**DB, **source, **(args or {})}, note=note, outputs=outputs, before=before, **CPU, **more
    )


def examples(*rows: list[np.ndarray]) -> DBReader:
    """A reader of a database with these records."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "examples.db"
        with open_db("minidb", path, "new") as db, db.transaction() as transaction:
            for i, row in enumerate(rows):
                record = TensorProtos(protos=tuple(array_to_tensor(value) for value in row))
                transaction.put(str(i), binary.encode(record))
        return DBReader("minidb", path)


def batch(size: int, note: str, *rows: list[np.ndarray]) -> Sample:
    """As many records as a batch takes, so that every run reads the same."""
    expected = [np.stack(column) if size else column[0] for column in zip(*rows, strict=True)]
    more: dict[str, Any] = {"expected": expected, "golden": False, "reason": "needs a database; see tests/test_data.py"}
    return Sample(
        "TensorProtosDBInput", [examples(*rows)], {"batch_size": size}, note=note, outputs=len(rows[0]), **CPU, **more
    )


ROWS = [[F[i : i + 1], np.int32([i]), strings(f"row {i}")] for i in range(3)]
samples = [
    Sample("Save", [F], DB, **MUTE),
    Sample("Save", [F, strings("a", "bc"), np.int64([1])], {**DB, "chunk_size": 4}, note="chunks", **MUTE),
    Sample("Save", [F, F], {**DB, "blob_name_overrides": ["p", "q"]}, note="names", **MUTE),
    Sample(
        "Save",
        [F],
        {**DB, "blob_name_overrides": ["p", "q"]},
        note="too many names",
        error="blob_name_overrides",
        **CPU,
    ),
    Sample(
        "Save",
        [Blob("x"), Blob("x")],
        DB,
        note="twice",
        before=[given("x", "", [1.0], [1])],
        error="is saved as 'x'",
        **CPU,
    ),
    Sample("Save", [F], {"db": "blobs.db"}, note="no kind", error="db_type is missing", **CPU),
    Sample("Save", [F], {**DB, "db_type": "other"}, note="unknown kind", error="database type 'other'", **CPU),
    Sample("Save", [F], {**DB, "db": "../x"}, note="outside", error="outside", golden=False, reason=ELSEWHERE, **CPU),
    Sample("Checkpoint", [np.int64([4]), F], {**DB, "every": 2}, **MUTE),
    Sample(
        "Checkpoint", [np.int64([4]), F], {"db": "at_%d.db", "db_type": "minidb", "every": 3}, note="not yet", **MUTE
    ),
    load("two of three", 2, saved()),
    load("all with strings", 3, saved()),
    load("chunks", 2, saved(chunk_size=4)),
    load("incomplete", 1, saved(), {"allow_incomplete": 1}),
    load("missing", 2, saved(), error="no blob 'out0' in it"),
    load("no file", 1, [], ABSENT, error="No such file"),
    load("no name", 1, [], {"db": ""}, error="db: is empty"),
    Sample(
        "Load",
        [Blob("r")],
        {"source_blob_names": ["a/x"]},
        note="a reader",
        outputs=1,
        before=[*saved(), ("CreateDB", [], ["r"], DB)],
        **CPU,
    ),
    Sample("Load", [F], outputs=1, note="no reader", error="reader 0: holds ndarray", **CPU),
    Sample("DBExists", args={"db_name": "absent.db", "db_type": "minidb"}, note="no", **CPU),
    Sample("DBExists", args={"db_name": "blobs.db", "db_type": "minidb"}, note="yes", before=saved(), **CPU),
    Sample("CreateDB", args=DB, before=saved(), **CPU),
    Sample(
        "CreateDB",
        args={**DB, "num_shards": 2, "shard_id": 2},
        note="shard",
        before=saved(),
        error="shard_id: 2",
        **CPU,
    ),
    Sample("CreateDB", args=ABSENT, note="no file", error="No such file", **CPU),
    batch(3, "batch", *ROWS),
    batch(0, "one record", ROWS[1]),
    Sample("TensorProtosDBInput", [F], {"batch_size": 2}, note="no reader", error="data: holds ndarray", **CPU),
    Sample("Print", [F], **MUTE),
    Sample("Print", [F], {"to_file": 1, "limit": 2, "every_n": 2}, note="to a file", **MUTE),
    Sample("Summarize", [F], outputs=1, **CPU),
    Sample("Summarize", [F[:1, :1]], {"to_file": 1}, note="one element to a file", outputs=1, **CPU),
    Sample("Summarize", [F], note="no output", outputs=0, **MUTE),
    Sample("Summarize", [F[:0]], note="empty", error="data: is empty", **CPU),
]

"""Operators on files: what they write, where they may write, and what they read back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops.defs import NetDef, OperatorDef, TensorProtos
from caffe2ops.errors import OperatorError
from caffe2ops.formats import array_to_tensor, binary, open_db
from caffe2ops.workspace import Workspace

BLOBS = {
    "a/x": np.float32([[1, 2, 3], [4, 5, 6]]),
    "a/i": np.int64([5, 6]),
    "s": np.array([b"ab", b"c"], dtype=object),
    "st": "hello",
    "e": np.zeros((0, 3), np.float32),
    "h": np.float16([1.5]),
    "b": np.array([True]),
    "u8": np.uint8([9]),
    "i8": np.int8([-9]),
    "u16": np.uint16([900]),
    "i16": np.int16([-900]),
    "i32": np.int32([-9]),
    "d": np.float64([1 / 3]),
}
MINIDB = {"db": "blobs.db", "db_type": "minidb"}


def op(type_: str, inputs: Any = (), outputs: Any = (), **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=args)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(root=tmp_path)
    for name, value in BLOBS.items():
        workspace.feed(name, value)
    return workspace


def records(path: Path) -> list[bytes]:
    with open_db("minidb", path) as db:
        return [key for key, _ in db.cursor()]


# What Caffe2's Save writes of the same blobs: sha256 of the file, and its keys.
SAVES: list[tuple[list[str], dict[str, Any], str, list[str]]] = [
    (
        list(BLOBS),
        {},
        "9dac99d10c94fda42fccbdfe8bad82af7f3fed8248d5a136c2d4e3b9ed9c472a",
        [
            "a/x#%0",
            "a/i#%0",
            "s#%0",
            "st",
            "e#%0",
            "h#%0",
            "b#%0",
            "u8#%0",
            "i8#%0",
            "u16#%0",
            "i16#%0",
            "i32#%0",
            "d#%0",
        ],
    ),
    (
        ["a/x", "a/i", "s"],
        {"strip_prefix": "a/"},
        "f294b020279a365abd5e41fa2336852b2bc589dde7ee1a2904723743c145472d",
        ["x#%0", "i#%0", "s#%0"],
    ),
    (
        ["a/x", "a/i"],
        {"blob_name_overrides": ["p", "q"]},
        "8d2b0384c41c5c7a5470bdaf48e93d3bdd391b1db2d250b8d314ae086bd95553",
        ["p#%0", "q#%0"],
    ),
    (
        ["a/x", "a/i", "e"],
        {"chunk_size": 4},
        "0663adab5ccd24b645c7d930b392f1f9b598b05109b52e33eeaf8006d9e2ef2e",
        ["a/x#%0", "a/x#%1", "a/i#%0", "e#%0"],
    ),
    (
        ["a/x", "a/i", "e"],
        {"chunk_size": 0},
        "654b73eb10299e93e07116f448ca9bd6607f8b50a750330b2ccf88b665f6683c",
        ["a/x#%0", "a/i#%0", "e#%0"],
    ),
]


@pytest.mark.parametrize(("names", "args", "digest", "keys"), SAVES, ids=[str(i) for i in range(len(SAVES))])
def test_save_writes_what_caffe2_writes(
    workspace: Workspace, tmp_path: Path, names: list[str], args: dict[str, Any], digest: str, keys: list[str]
) -> None:
    workspace.run(op("Save", names, **MINIDB, **args))
    assert records(tmp_path / "blobs.db") == [key.encode() for key in keys]
    assert hashlib.sha256((tmp_path / "blobs.db").read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("chunk", [-1, 0, 4])
def test_load_all(workspace: Workspace, tmp_path: Path, chunk: int) -> None:
    workspace.run(op("Save", BLOBS, **MINIDB, chunk_size=chunk))
    fresh = Workspace(root=tmp_path)
    fresh.run(op("Load", load_all=1, strip_prefix="a/", add_prefix="P", **MINIDB))
    assert sorted(fresh.blobs()) == sorted("P" + name.removeprefix("a/") for name in BLOBS)
    for name, value in BLOBS.items():
        found = fresh.fetch("P" + name.removeprefix("a/"))
        if isinstance(value, str):
            assert found == value.encode()
        else:
            assert found.dtype == value.dtype
            assert np.array_equal(found, value)


def test_loaded_blobs_can_be_written_to(workspace: Workspace, tmp_path: Path) -> None:
    workspace.run(op("Save", ["a/i"], **MINIDB, blob_name_overrides=["i"]))
    workspace.run(op("Load", (), ["i"], **MINIDB))
    found = workspace.find("i")
    assert found is not None
    assert found.value.flags.writeable


def test_load_several(workspace: Workspace) -> None:
    workspace.run(op("Save", ["a/x"], **MINIDB))
    workspace.run(op("Save", ["a/i"], db="more.db", db_type="minidb"))
    workspace.run(
        op("Load", (), ["p", "q"], source_blob_names=["a/i", "a/x"], dbs=["blobs.db", "more.db"], db_type="minidb")
    )
    assert np.array_equal(workspace.fetch("p"), BLOBS["a/i"])
    workspace.run(op("Save", ["a/x"], db="more.db", db_type="minidb"))
    with pytest.raises(OperatorError, match="two databases hold a blob 'a/x'"):
        workspace.run(op("Load", (), ["a/x"], dbs=["blobs.db", "more.db"], db_type="minidb"))


def test_incomplete_outputs_stay(workspace: Workspace) -> None:
    workspace.run(op("Save", ["a/x"], **MINIDB))
    workspace.run(op("Load", (), ["a/x", "h"], allow_incomplete=1, **MINIDB))
    assert np.array_equal(workspace.fetch("h"), BLOBS["h"])


@pytest.mark.parametrize("name", ["../out.db", "/../out.db", "a/../../out.db"])
@pytest.mark.parametrize("absolute", [0, 1])
def test_no_way_out_of_the_root_folder(workspace: Workspace, tmp_path: Path, name: str, absolute: int) -> None:
    for made in (
        op("Save", ["h"], db=name, db_type="minidb", absolute_path=absolute),
        op("Load", (), ["h"], db=name, db_type="minidb", absolute_path=absolute),
        op("DBExists", (), ["h"], db_name=name, absolute_path=absolute),
        op("CreateDB", (), ["h"], db=name, db_type="minidb"),
    ):
        with pytest.raises(OperatorError, match="outside the root folder"):
            workspace.run(made)
    assert not (tmp_path.parent / "out.db").exists()


def test_no_root_folder_no_files() -> None:
    workspace = Workspace()
    workspace.feed("X", np.float32([1]))
    for made in (op("Save", ["X"], **MINIDB), op("Print", ["X"], to_file=1), op("Summarize", ["X"], to_file=1)):
        with pytest.raises(OperatorError, match="root folder"):
            workspace.run(made)


def test_what_cannot_be_saved_leaves_the_file_alone(workspace: Workspace, tmp_path: Path) -> None:
    workspace.run(op("Save", ["a/x"], **MINIDB))
    before = (tmp_path / "blobs.db").read_bytes()
    workspace.run(op("CreateAtomicBool", (), ["b"]))
    with pytest.raises(OperatorError, match="input 1: holds AtomicBool"):
        workspace.run(op("Save", ["a/x", "b"], **MINIDB))
    assert (tmp_path / "blobs.db").read_bytes() == before


def test_checkpoint(workspace: Workspace, tmp_path: Path) -> None:
    net = workspace.create(
        NetDef(name="n", op=(op("Checkpoint", ["a/i", "h"], db="at_%03d.db", db_type="minidb", every=3),))
    )
    for it in range(7):
        workspace.feed("a/i", np.int64([it, 0]))
        net.run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["at_000.db", "at_003.db", "at_006.db"]
    assert records(tmp_path / "at_003.db") == [b"a/i#%0", b"h#%0"]


def write_examples(path: Path, rows: list[list[np.ndarray]]) -> None:
    with open_db("minidb", path, "new") as db, db.transaction() as transaction:
        for i, row in enumerate(rows):
            protos = TensorProtos(protos=tuple(array_to_tensor(value) for value in row))
            transaction.put(str(i), binary.encode(protos))


def batches(
    workspace: Workspace, runs: int, outputs: int = 2, batch_size: int = 3, **reader: Any
) -> list[list[np.ndarray]]:
    workspace.run(op("CreateDB", (), ["reader"], db="examples.db", db_type="minidb", **reader))
    names = [f"o{i}" for i in range(outputs)]
    net = workspace.create(NetDef(name="n", op=(op("TensorProtosDBInput", ["reader"], names, batch_size=batch_size),)))
    found = []
    for _ in range(runs):
        net.run()
        found.append([workspace.fetch(name) for name in names])
    return found


EXAMPLES = [[np.float32([[i, i + 0.5]]), np.int32(i)] for i in range(7)]


def test_batches_wrap_around(workspace: Workspace, tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.db", EXAMPLES)
    found = batches(workspace, 3)
    assert found[0][0].shape == (3, 1, 2)
    assert [batch[1].tolist() for batch in found] == [[0, 1, 2], [3, 4, 5], [6, 0, 1]]


def test_one_record_has_no_batch_dim(workspace: Workspace, tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.db", EXAMPLES)
    found = batches(workspace, 2, batch_size=0)
    assert [batch[0].tolist() for batch in found] == [[[0, 0.5]], [[1, 1.5]]]
    assert [batch[1].shape for batch in found] == [(), ()]


@pytest.mark.parametrize(
    ("shard", "expected"), [(0, [[0, 2, 4], [6, 0, 2], [4, 6, 0]]), (1, [[1, 3, 5], [1, 3, 5], [1, 3, 5]])]
)
def test_shards(workspace: Workspace, tmp_path: Path, shard: int, expected: list[list[int]]) -> None:
    write_examples(tmp_path / "examples.db", EXAMPLES)
    found = batches(workspace, 3, num_shards=2, shard_id=shard)
    assert [batch[1].tolist() for batch in found] == expected


def test_records_that_do_not_fit(workspace: Workspace, tmp_path: Path) -> None:
    write_examples(tmp_path / "examples.db", [[np.zeros(2, np.float32)], [np.zeros(3, np.float32)]])
    with pytest.raises(OperatorError, match=r"tensor 0 is float32\[2\] and float32\[3\] in one batch"):
        batches(workspace, 1, outputs=1, batch_size=2)
    workspace.delete_net("n")
    with pytest.raises(OperatorError, match="has 1 tensors, there are 2 outputs"):
        batches(workspace, 1, outputs=2)
    with pytest.raises(OperatorError, match="no record for shard_id 5"):
        workspace.run(op("CreateDB", (), ["r"], db="examples.db", db_type="minidb", num_shards=6, shard_id=5))


@pytest.mark.parametrize(
    ("model", "file"), [("minidb_data_adjoint", "adjoint_nn.db"), ("minidb_data_transixor", "eval.minidb")]
)
def test_databases_from_the_wild(shared: Path, model: str, file: str) -> None:
    expected = np.load(shared / "models" / model / "output.npz")
    workspace = Workspace(root=shared / "models" / model)
    workspace.run(op("CreateDB", (), ["reader"], db=file, db_type="minidb"))
    read = op("TensorProtosDBInput", ["reader"], ["o0", "o1", "o2"], batch_size=5)
    net = workspace.create(NetDef(name="n", op=(read,)))
    for it in range(2):
        net.run()
        for i in range(3):
            assert np.array_equal(workspace.fetch(f"o{i}"), expected[f"iter{it}/o{i}"])


def test_print(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path)
    workspace.feed("x", np.float32([[1.5, -2, 3e-8], [1e10, 0, 7]]))
    workspace.feed("s", np.array([b"ab", b"c d"], dtype=object))
    workspace.run(op("Print", ["x"]))
    workspace.run(op("Print", ["s"]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Tensor x of type float. Dims: (2,3,): 1.5,-2,3e-08,1e+10,0,7"
    assert lines[1] == "Tensor s of type std::basic_string<char>. Dims: (2,): ab,c d"
    workspace.feed("i", np.int64([0, 9]))
    net = workspace.create(NetDef(name="n", op=(op("Print", ["i"], to_file=1, every_n=3, limit=1),)))
    for i in range(8):
        workspace.feed("i", np.int64([i, 9]))
        net.run()
    wanted = "".join(f"Tensor i of type long int. Dims: (2,): {i}\n" for i in (0, 3, 6))
    assert (tmp_path / "i.log").read_text() == wanted


def test_summarize_to_a_file(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path)
    workspace.feed("x", np.arange(3000, dtype=np.float32))
    workspace.run(op("Summarize", ["x"], to_file=1))
    assert (tmp_path / "x.summary").read_text() == "0 2999 1499.5 866.17\n"

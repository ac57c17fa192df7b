"""Datasets over several runs and on threads: cursors, appending, records, vectors of tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import OperatorError
from caffe2ops.formats import encode
from caffe2ops.ops.data.counter import Counter
from caffe2ops.ops.data.cursor import TreeCursor
from caffe2ops.ops.data.fields import Fields
from caffe2ops.workspace import Workspace
from tests.kit.threads import together

FIELDS = ["a", "b:lengths", "b:values:lengths", "b:values:items", "b:name"]
COLUMNS = {
    "a": np.float32([[1, 2], [3, 4], [5, 6]]),
    "n": np.int32([1, 0, 3]),
    "m": np.int32([2, 0, 1, 3]),
    "i": np.int64([10, 11, 12, 13, 14, 15]),
    "s": np.array([b"p", b"q", b"r", b"s"], dtype=object),
}


def op(type_: str, inputs: Any = (), outputs: Any = (), **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=args)


def net(*ops: OperatorDef) -> NetDef:
    return NetDef(name="n", op=ops)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(root=tmp_path, seed=3)
    for name, value in COLUMNS.items():
        workspace.feed(name, value)
    return workspace


# --- fields ---


@pytest.mark.parametrize(
    ("names", "domains"),
    [
        (FIELDS, [0, 0, 1, 2, 1]),
        (["a:lengths", "b:lengths", "a:b:lengths", "a:b:c", "b:c"], [0, 0, 1, 3, 2]),
        (["lengths", "a"], [0, 0]),
        (["a:lengths:", "a:x"], [0, 1]),
        (["ab:lengths", "a"], [0, 0]),
    ],
)
def test_domains(names: list[str], domains: list[int]) -> None:
    """A field belongs to the innermost domain whose path its name begins with."""
    assert Fields(names).domains == domains


def test_bounds_are_sizes_summed_up() -> None:
    fields, columns = Fields(FIELDS), list(COLUMNS.values())
    bounds = fields.bounds(columns, [0, 0, 0], 3)
    assert bounds.tolist() == [[0, 0, 0], [1, 1, 2], [2, 1, 2], [3, 4, 6]]
    for start in range(4):
        sizes = fields.sizes(columns, bounds[start].tolist(), 1)
        assert sizes == (bounds[min(start + 1, 3)] - bounds[start]).tolist()


def test_batches_put_together_are_the_dataset(workspace: Workspace) -> None:
    workspace.run(op("CreateTreeCursor", (), ["c"], fields=FIELDS))
    names = [f"y{i}" for i in range(5)]
    bound = workspace.create(net(op("ReadNextBatch", ["c", *COLUMNS], names, batch_size=2)))
    batches = []
    for _ in range(3):
        bound.run()
        batches.append([workspace.fetch(name) for name in names])
    assert [len(batch[0]) for batch in batches] == [2, 1, 0]
    for column, pieces in zip(COLUMNS.values(), zip(*batches)):
        assert np.array_equal(np.concatenate(pieces), column)


def test_readers_on_threads_share_a_cursor(workspace: Workspace) -> None:
    """Every record is read once."""
    workspace.feed("x", np.arange(200, dtype=np.int64))
    workspace.run(op("CreateTreeCursor", (), ["c"], fields=["x"]))
    found: list[int] = []

    def reader() -> None:
        child = Workspace(workspace)
        child.local_blob("y")
        bound = child.create(net(op("ReadNextBatch", ["c", "x"], ["y"], batch_size=3)))
        while True:
            bound.run()
            rows = child.fetch("y").tolist()
            if not rows:
                return
            found.extend(rows)

    together(4, reader)
    assert sorted(found) == list(range(200))


def test_equal_keys_stay_in_order(workspace: Workspace) -> None:
    """Within a run of batches that is left as it is, equal records keep their order."""
    workspace.feed("k", np.array([1, 0] * 20, np.int32))
    workspace.run(op("CreateTreeCursor", (), ["c"], fields=["k"]))
    workspace.run(op("SortAndShuffle", ["c", "k"], ["o"], sort_by_field_idx=0, batch_size=40))
    assert workspace.fetch("o").tolist() == [*range(1, 40, 2), *range(0, 40, 2)]


# --- appending ---


def test_append_again_and_again(workspace: Workspace) -> None:
    """What was there stays, whoever writes to the tensor meanwhile."""
    workspace.feed("x", np.zeros((0, 2), np.float32))
    bound = workspace.create(net(op("Append", ["x", "a"], ["x"])))
    expected = np.zeros((0, 2), np.float32)
    for i in range(20):
        workspace.feed("a", np.full((i % 4, 2), i, np.float32))
        bound.run()
        expected = np.concatenate([expected, np.full((i % 4, 2), i, np.float32)])
        assert np.array_equal(workspace.fetch("x"), expected)
        if i == 9:
            expected = expected[:5]
            workspace.feed("x", expected)


def test_append_to_itself(workspace: Workspace) -> None:
    bound = workspace.create(net(op("Append", ["i", "i"], ["i"])))
    for _ in range(3):
        bound.run()
    assert workspace.fetch("i").tolist() == COLUMNS["i"].tolist() * 8


def test_two_writers_of_one_tensor(workspace: Workspace) -> None:
    workspace.feed("one", np.int64([1]))
    workspace.feed("two", np.int64([2]))
    both = workspace.create(net(op("Append", ["i", "one"], ["i"]), op("Append", ["i", "two"], ["i"])))
    for _ in range(3):
        both.run()
    assert workspace.fetch("i").tolist() == [*COLUMNS["i"].tolist(), 1, 2, 1, 2, 1, 2]


def test_atomic_append_takes_all_or_none(workspace: Workspace) -> None:
    workspace.run(op("CreateMutex", (), ["mutex"]))
    with pytest.raises(OperatorError, match="dtype is int64, wants int32"):
        workspace.run(op("AtomicAppend", ["mutex", "a", "n", "a", "i"], ["a", "n"]))
    assert np.array_equal(workspace.fetch("a"), COLUMNS["a"])


def test_atomic_append_on_threads(workspace: Workspace) -> None:
    workspace.run(op("CreateMutex", (), ["mutex"]))
    workspace.feed("x", np.zeros(0, np.int64))
    append = op("AtomicAppend", ["mutex", "x", "i"], ["x"])
    together(4, lambda: [workspace.run(append) for _ in range(10)])
    assert workspace.fetch("x").tolist() == COLUMNS["i"].tolist() * 40


# --- records and vectors ---


def test_records_are_moved_by_other_operators(workspace: Workspace) -> None:
    workspace.feed("order", np.int32([2, 0]))
    workspace.run(op("PackRecords", COLUMNS, ["p"], fields=FIELDS))
    workspace.run(op("Gather", ["p", "order"], ["q"]))
    workspace.run(op("UnPackRecords", ["q"], [f"y{i}" for i in range(5)], fields=FIELDS))
    assert workspace.fetch("y1").tolist() == [3, 1]
    assert workspace.fetch("y3").tolist() == [12, 13, 14, 15, 10, 11]


def test_records_are_not_saved(workspace: Workspace) -> None:
    workspace.run(op("PackRecords", ["i"], ["p"], fields=["i"]))
    with pytest.raises(OperatorError, match="tensor 'p': elements are Record, which have no serialized form"):
        workspace.run(op("Save", ["p"], db="p.db", db_type="minidb"))


def test_records_own_their_rows(workspace: Workspace) -> None:
    workspace.run(op("PackRecords", ["i"], ["p"], fields=["i"]))
    workspace.feed("i", np.zeros(6, np.int64))
    workspace.run(op("UnPackRecords", ["p"], ["y"], fields=["i"]))
    assert np.array_equal(workspace.fetch("y"), COLUMNS["i"])


# What Caffe2 collects of 0, 1, ... with the seed 7 after each run.
COLLECTED = [[0], [0, 1], [0, 1, 2], [0, 1, 2], [0, 1, 4], [0, 5, 4], *[[0, 6, 4]] * 6]


def test_collect_keeps_some_at_random(workspace: Workspace) -> None:
    workspace.feed("x", np.int64([0]))
    workspace.feed("z", np.int64([0]))
    for vector in ("v", "w"):
        workspace.run(op("CreateTensorVector", (), [vector]))
    collect = op("CollectTensor", ["v", "w", "x", "z"], ["v", "w"], num_to_collect=3)
    bound = workspace.create(net(collect.replace(device_option=DeviceOption(random_seed=7))))
    found = []
    for i in range(12):
        workspace.feed("x", np.int64([i]))
        workspace.feed("z", np.int64([-i]))
        bound.run()
        workspace.run(op("ConcatTensorVector", ["v"], ["all"]))
        workspace.run(op("ConcatTensorVector", ["w"], ["others"]))
        found.append(workspace.fetch("all").tolist())
        assert [-i for i in found[-1]] == workspace.fetch("others").tolist()
    assert found == COLLECTED


# --- saved ---


def test_serialized_forms_are_those_of_caffe2() -> None:
    cursor = TreeCursor(Fields(["a:lengths", "a:values"]))
    assert encode(Counter(3).to_blob("c")) == (
        b"\n\x01c\x12!std::unique_ptr<Counter<int64_t>>\x1a\n\x08\x01\x10\n:\x01cR\x01\x03"
    )
    assert encode(cursor.to_blob("t")) == b'\n\x01t\x12\x1bstd::unique_ptr<TreeCursor>"\x13a:lengths a:values '
    cursor.offsets = [2, 3]
    again = TreeCursor.from_blob(cursor.to_blob("t"))
    assert (again.offsets, again.fields.names) == ([2, 3], ("a:lengths", "a:values"))
    assert Counter.from_blob(Counter(-7).to_blob("c")).add(0) == -7


def test_counters_and_cursors_are_saved(workspace: Workspace) -> None:
    workspace.run(op("CreateCounter", (), ["c"], init_count=3))
    workspace.run(op("CreateTreeCursor", (), ["t"], fields=FIELDS))
    read = op("ReadNextBatch", ["t", *COLUMNS], [f"y{i}" for i in range(5)])
    workspace.run(read)
    workspace.run(op("Save", ["c", "t"], db="state.db", db_type="minidb"))
    for _ in range(2):
        workspace.run(read)
        workspace.run(op("CountDown", ["c"], ["done"]))
    workspace.run(op("Load", (), ["c", "t"], db="state.db", db_type="minidb"))
    workspace.run(read)
    workspace.run(op("RetrieveCount", ["c"], ["count"]))
    assert workspace.fetch("count") == 3
    assert workspace.fetch("y1").tolist() == [0]

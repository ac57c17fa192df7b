"""Datasets and what goes with them: state from run to run, threads, serialized forms, shared memory, stores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops import add_gradients
from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import BlobError, OperatorError
from caffe2ops.formats import encode
from caffe2ops.ops.control.scope import WorkspaceStack
from caffe2ops.ops.data.counter import Counter
from caffe2ops.ops.data.cursor import TreeCursor
from caffe2ops.ops.data.fields import Fields
from caffe2ops.ops.data.store import FileStore
from caffe2ops.workspace import Workspace

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


def together(count: int, call: Callable[[], object]) -> None:
    """Calls it on so many threads at once."""
    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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


# --- the window and the sum ---


def test_window_over_several_runs(workspace: Workspace) -> None:
    """While fewer rows have come than it keeps, it has as many; then new ones go round."""
    workspace.blob("w")
    workspace.feed("next", np.array(0, np.int32))
    workspace.feed("seen", np.int64([5]))
    workspace.run(op("CreateMutex", (), ["mutex"]))
    collect = op("LastNWindowCollector", ["w", "next", "a", "mutex", "seen"], ["w", "next", "seen"], num_to_collect=5)
    bound = workspace.create(net(collect))
    rows = COLUMNS["a"]
    for places, next_, seen in (([0, 1, 2], 3, 3), ([2, 1, 2, 0, 1], 1, 6), ([2, 0, 1, 2, 1], 4, 9)):
        bound.run()
        assert np.array_equal(workspace.fetch("w"), rows[places])
        assert (workspace.fetch("next").item(), workspace.fetch("seen").item()) == (next_, seen)


def test_accumulate_over_several_runs(workspace: Workspace) -> None:
    bound = workspace.create(net(op("Accumulate", ["a"], ["sum"], gamma=0.5)))
    for factor in (1.0, 1.5, 1.75):
        bound.run()
        assert np.array_equal(workspace.fetch("sum"), COLUMNS["a"] * np.float32(factor))


# --- counters, serialized forms ---


def test_counters_on_threads(workspace: Workspace) -> None:
    workspace.run(op("CreateCounter", (), ["c"], init_count=100))
    counter = workspace.fetch("c")
    together(4, lambda: [counter.add(-1) for _ in range(1000)])
    assert counter.add(0) == 100 - 4000


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


# --- blobs ---


def test_coalesced_tensors_share_memory(workspace: Workspace) -> None:
    workspace.feed("b", np.float32([7]))
    bound = workspace.create(net(op("UnsafeCoalesce", ["a", "b"], ["a", "b", "all"])))
    bound.run()
    workspace.feed("all", np.arange(7, dtype=np.float32))
    assert np.array_equal(workspace.fetch("a"), [[0, 1], [2, 3], [4, 5]])
    bound.run()
    assert np.array_equal(workspace.fetch("all"), np.arange(7))
    with pytest.raises(OperatorError, match="X 0: is another part of the output 'all' already"):
        workspace.run(op("UnsafeCoalesce", ["b", "a"], ["b", "a", "all"]))


def test_free_empties_blobs(workspace: Workspace) -> None:
    workspace.run(op("Free", ["a", "n"], ["a", "n"]))
    with pytest.raises(BlobError, match="'a' is empty"):
        workspace.fetch("a")


def test_names_of_all_blobs(tmp_path: Path) -> None:
    parent = Workspace(root=tmp_path)
    parent.feed("p", np.float32([1]))
    child = Workspace(parent)
    child.run(op("GetAllBlobNames", (), ["names"]))
    assert child.fetch("names").tolist() == [b"names", b"p"]
    child.run(op("GetAllBlobNames", (), ["names"], include_shared=0))
    assert child.fetch("names").tolist() == [b"names"]


# What Caffe2 estimates of 100 elements under a name of 9 letters.
SIZES = {
    "bool": 156, "int8": 256, "uint8": 257, "int16": 357, "uint16": 358, "float16": 359, "int32": 457, "float32": 459,
    "int64": 857, "float64": 859,
}  # fmt: skip


def test_estimated_sizes(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path)
    for name in SIZES:
        workspace.feed(f"z_{name}", np.zeros(100, name))
    workspace.feed("z_str", np.array([b"abc", b"d"], dtype=object))
    workspace.feed("z_s", "hello world")
    workspace.feed("z_emp", np.zeros((0, 3), np.float32))
    workspace.run(op("CreateMutex", (), ["z_m"]))
    workspace.run(op("EstimateAllBlobSizes", (), ["n", "s"]))
    found = dict(zip((name.decode() for name in workspace.fetch("n")), workspace.fetch("s").tolist()))
    others = {"z_str": 155, "z_s": 34, "z_emp": 0, "z_m": 0, "n": 51 + 50 * len(found), "s": 51 + 8 * len(found)}
    assert found == {f"z_{name}": size for name, size in SIZES.items()} | others


def test_negated_gradient() -> None:
    extended, gradients = add_gradients(net(op("NegateGradient", ["x"], ["y"])), {"y": "dy"})
    workspace = Workspace()
    workspace.feed("x", np.float32([1, 2]))
    workspace.feed("dy", np.float32([3, -4]))
    workspace.run(extended)
    assert workspace.fetch(str(gradients["x"])).tolist() == [-3, 4]


def test_gradient_of_copied_rows() -> None:
    copy = op("CopyRowsToTensor", ["x", "i", "r"], ["x"])
    extended, gradients = add_gradients(net(copy), {"x": "dx"})
    assert [made.type for made in extended.op] == ["CopyRowsToTensor", "CopyRowsToTensorGradient"]
    assert gradients["x"] == "x_grad"
    assert gradients.get("r") is None


def test_scopes(workspace: Workspace) -> None:
    """What was popped is pushed again, blobs and all; a scope that is made again is cleared."""
    workspace.run(op("CreateScope", (), ["scope"]))
    stack: WorkspaceStack = workspace.fetch("scope")
    first = stack.push(workspace)
    assert stack.push(workspace) is not first
    stack.pop()
    workspace.run(op("HasScope", ["scope"], ["has"]))
    assert workspace.fetch("has").tolist() == [True]
    assert stack.pop() is first
    with pytest.raises(ValueError, match="no workspace left"):
        stack.pop()
    assert stack.push(workspace) is first
    workspace.run(op("CreateScope", (), ["scope"]))
    workspace.run(op("HasScope", ["scope"], ["has"]))
    assert workspace.fetch("has").tolist() == [False]


# --- stores ---


def test_stores_keep_keys_apart(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    workspace = Workspace(root=tmp_path / "root")
    for name, value in COLUMNS.items():
        workspace.feed(name, value)
    for prefix in ("", "p", "../q"):
        workspace.run(op("FileStoreHandlerCreate", (), [f"h{prefix}"], path=".", prefix=prefix))
    workspace.run(op("StoreSet", ["h", "a"], blob_name="../k"))
    workspace.run(op("StoreSet", ["hp", "s"], blob_name="../k"))
    workspace.run(op("StoreGet", ["h"], ["y"], blob_name="../k"))
    workspace.run(op("StoreGet", ["hp"], ["z"], blob_name="../k"))
    assert np.array_equal(workspace.fetch("y"), COLUMNS["a"])
    assert np.array_equal(workspace.fetch("z"), COLUMNS["s"])
    folders = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("k*")}
    assert folders == {"root", "root/pp"}


def test_a_store_waits(tmp_path: Path) -> None:
    store = FileStore(tmp_path, timeout=5)
    threading.Timer(0.05, lambda: store.write("k", b"v")).start()
    assert store.read("k") == b"v"
    store.timeout = 0.02
    with pytest.raises(TimeoutError, match="no value for other after"):
        store.wait(["k", "other"])


def test_a_store_adds_on_threads(tmp_path: Path) -> None:
    together(4, lambda: [FileStore(tmp_path).add("n", 2) for _ in range(5)])
    assert FileStore(tmp_path).add("n", 0) == 40

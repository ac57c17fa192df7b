"""What nets keep in blobs and share: counters, windows, sums, memory; names and sizes of blobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.errors import BlobError, OperatorError
from caffe2ops.workspace import Workspace
from tests.kit.threads import together

ROWS = np.float32([[1, 2], [3, 4], [5, 6]])


def op(type_: str, inputs: Any = (), outputs: Any = (), **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=tuple(inputs), output=tuple(outputs), args=args)


def net(*ops: OperatorDef) -> NetDef:
    return NetDef(name="n", op=ops)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(root=tmp_path, seed=3)
    workspace.feed("a", ROWS)
    return workspace


def test_counters_on_threads(workspace: Workspace) -> None:
    workspace.run(op("CreateCounter", (), ["c"], init_count=100))
    counter = workspace.fetch("c")
    together(4, lambda: [counter.add(-1) for _ in range(1000)])
    assert counter.add(0) == 100 - 4000


def test_window_over_several_runs(workspace: Workspace) -> None:
    """While fewer rows have come than it keeps, it has as many; then new ones go round."""
    workspace.blob("w")
    workspace.feed("next", np.array(0, np.int32))
    workspace.feed("seen", np.int64([5]))
    workspace.run(op("CreateMutex", (), ["mutex"]))
    collect = op("LastNWindowCollector", ["w", "next", "a", "mutex", "seen"], ["w", "next", "seen"], num_to_collect=5)
    bound = workspace.create(net(collect))
    for places, next_, seen in (([0, 1, 2], 3, 3), ([2, 1, 2, 0, 1], 1, 6), ([2, 0, 1, 2, 1], 4, 9)):
        bound.run()
        assert np.array_equal(workspace.fetch("w"), ROWS[places])
        assert (workspace.fetch("next").item(), workspace.fetch("seen").item()) == (next_, seen)


def test_accumulate_over_several_runs(workspace: Workspace) -> None:
    bound = workspace.create(net(op("Accumulate", ["a"], ["sum"], gamma=0.5)))
    for factor in (1.0, 1.5, 1.75):
        bound.run()
        assert np.array_equal(workspace.fetch("sum"), ROWS * np.float32(factor))


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
    workspace.feed("b", ROWS)
    workspace.run(op("Free", ["a", "b"], ["a", "b"]))
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

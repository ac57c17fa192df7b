"""Workspaces: feeding and fetching, parents, nets by name, files."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caffe2ops import BlobError, NetDef, OperatorDef, QTensor, Workspace

ARRAYS = [np.arange(3, dtype=d) for d in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2")] + [
    np.array([True, False]),
    np.array(5.0, np.float32),
    np.zeros((0, 2), np.float32),
    np.arange(6, dtype=np.float32).reshape(2, 3).T,
    np.arange(3, dtype=">f4"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_feeding_and_fetching_copies(array: np.ndarray) -> None:
    workspace = Workspace()
    original = array.copy()
    workspace.feed("x", array)
    first = workspace.fetch("x")
    assert first.dtype == array.dtype.newbyteorder("=")
    assert first.shape == array.shape
    np.testing.assert_array_equal(first, original)
    first[...] = 1
    np.testing.assert_array_equal(workspace.fetch("x"), original)
    assert workspace.blob("x").value.flags.c_contiguous


class ArrayLike:
    """What NumPy can make an array of, as of PyTorch's tensors."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.array([1, 2])


def test_other_values() -> None:
    workspace, handle = Workspace(), object()
    for name, value in {
        "s": "text",
        "b": b"\xff",
        "h": handle,
        "q": QTensor(np.arange(3, dtype=np.uint8), 0.5, 1),
    }.items():
        workspace.feed(name, value)
    workspace.feed("strings", np.array([["a", "bc"]]))
    workspace.feed("number", 3)
    workspace.feed("list", [1.5, 2])
    workspace.feed("foreign", ArrayLike())
    assert workspace.fetch("s") == b"text"
    assert workspace.fetch("b") == b"\xff"
    assert workspace.fetch("h") is handle
    np.testing.assert_array_equal(workspace.fetch("q").dequantize(), np.array([-0.5, 0, 0.5], np.float32))
    assert workspace.fetch("strings").tolist() == [[b"a", b"bc"]]
    assert workspace.fetch("number").dtype == np.int64
    assert workspace.fetch("list").dtype == np.float32
    assert workspace.fetch("foreign").tolist() == [1, 2]


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(2, np.uint32),
        np.zeros(2, np.complex64),
        np.array([1, None], object),
        np.ma.masked_equal([1, 2], 2),
        1j,
        [[1], [2, 3]],
    ],
)
def test_refused_values(value: object) -> None:
    with pytest.raises((TypeError, ValueError), match="blob 'x'"):
        Workspace().feed("x", value)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda w: pickle.loads(pickle.dumps(w))], ids=["copy", "pickle"])
def test_copies_share_nothing(duplicate: Callable[[Workspace], Workspace]) -> None:
    """The nets of a copy, in their bare form too, run on the arrays of the copy."""
    workspace = Workspace()
    workspace.feed("x", np.ones((2, 3), np.float32))
    ops = OperatorDef(type="Flatten", input="x", output="r"), OperatorDef(type="Tanh", input="r", output="y")
    workspace.create(NetDef(name="n", op=ops))
    for _ in range(4):
        workspace.run("n")
    other = duplicate(workspace)
    for shape in ((2, 3), (4, 3)):
        other.feed("x", np.zeros(shape, np.float32))
        for _ in range(4):
            other.run("n")
        np.testing.assert_array_equal(other.fetch("y"), np.zeros(shape))
        np.testing.assert_array_equal(workspace.fetch("y"), np.tanh(np.ones((2, 3), np.float32)))


def test_missing_and_empty_blobs() -> None:
    workspace = Workspace()
    workspace.feed("data", np.zeros(1))
    with pytest.raises(BlobError, match="no blob 'dat' in the workspace; did you mean data"):
        workspace.fetch("dat")
    workspace.blob("empty")
    with pytest.raises(BlobError, match="'empty' is empty"):
        workspace.fetch("empty")


def test_same_shape_is_fed_into_the_same_buffer() -> None:
    workspace = Workspace()
    workspace.feed("x", np.zeros(3, np.float32))
    held = workspace.blob("x").value
    workspace.feed("x", np.ones(3, np.float32))
    assert workspace.blob("x").value is held
    workspace.feed("x", np.ones(4, np.float32))
    assert workspace.blob("x").value is not held


def test_child_sees_the_parent_and_keeps_its_own() -> None:
    parent = Workspace()
    parent.feed("shared", np.zeros(1, np.float32))
    child = Workspace(parent)
    child.feed("own", np.ones(1, np.float32))
    child.run(OperatorDef(type="Relu", input="own", output="made"))
    child.run(OperatorDef(type="Sum", input=("shared", "own"), output="shared"))
    assert not parent.has("own")
    assert not parent.has("made")
    assert parent.fetch("shared").tolist() == [1.0]
    assert child.blobs() == ["made", "own", "shared"]
    child.local_blob("shared").set(np.full(1, 9, np.float32))
    assert (child.fetch("shared").item(), parent.fetch("shared").item()) == (9.0, 1.0)


def test_nets_by_name() -> None:
    workspace = Workspace()
    workspace.feed("x", np.array([-1.0, 2.0], np.float32))
    net = NetDef(name="n", op=(OperatorDef(type="Relu", input="x", output="y"),))
    workspace.create(net)
    workspace.run("n")
    assert workspace.fetch("y").tolist() == [0.0, 2.0]
    with pytest.raises(ValueError, match="net 'n' exists"):
        workspace.create(net)
    workspace.create(net, overwrite=True)
    assert workspace.nets() == ["n"]
    assert workspace.delete_net("n")
    with pytest.raises(BlobError, match="no net 'n'"):
        workspace.run("n")


def test_files_stay_inside_the_root(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="without a root folder"):
        Workspace().path("x.db")
    workspace = Workspace(root=tmp_path)
    assert workspace.path("a/../x.db") == tmp_path.resolve() / "x.db"
    for name in ("../x.db", "/etc/passwd", "a/../../x"):
        with pytest.raises(PermissionError, match="outside the root folder"):
            workspace.path(name)


def test_seeds_are_reproducible() -> None:
    first, second = Workspace(seed=3), Workspace(seed=3)
    assert [first.next_seed() for _ in range(3)] == [second.next_seed() for _ in range(3)]
    assert Workspace(seed=4).next_seed() != Workspace(seed=3).next_seed()

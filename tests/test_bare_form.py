"""Nets in their bare form give what their operators give one by one, whatever is fed between runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe2ops import NetDef, OperatorDef, OperatorError, Workspace
from caffe2ops.net import BoundNet


def op(type_: str, inputs: Any, outputs: Any, **args: Any) -> OperatorDef:
    return OperatorDef(type=type_, input=inputs, output=outputs, args=args)


WEIGHTS = {"w": (4, 4), "v": (2, 4), "b": (4,), "c": (2,)}
CHAIN = (op("FC", ("x", "w", "b"), "a"), op("Tanh", "a", "h"), op("FC", ("h", "v", "c"), "y"))
# {name: operators that read x [N, 4] and the weights}
NETS = {
    "chain": CHAIN,
    "in place": (op("FC", ("x", "w", "b"), "a"), op("Relu", "a", "a"), op("Add", ("a", "x"), "a")),
    "filled like a blob": (*CHAIN, op("ConstantFill", "y", "ones", value=1.0), op("Mul", ("y", "ones"), "z")),
    "two blobs in turn": (
        op("FC", ("x", "w", "b"), "p"), op("Tanh", "p", "q"), op("FC", ("q", "v", "c"), "p"), op("Relu", "p", "p"),
        op("Concat", ("p", "p"), ("q", "_"), axis=1), op("FC", ("q", "w", "b"), "p"),
    ),
    "begins without a short cut": (
        op("NanCheck", "x", "p"), op("FC", ("p", "v", "c"), "q"), op("Tanh", "q", "q"), op("MatMul", ("q", "v"), "p"),
        op("Sigmoid", "p", "q"),
    ),
    "sizes that depend on values": (
        op("FlattenToVec", "x", "flat"), op("Cast", "flat", "whole", to=2), op("Unique", "whole", "u"),
        op("Cast", "u", "e", to=1), op("SumElements", "e", "sum"), op("Tanh", "x", "e"), op("Mul", ("e", "x"), "u"),
    ),
    "overwrites its input": (
        op("Tanh", "x", "h"), op("FC", ("h", "v", "c"), "x"), op("MatMul", ("x", "v"), "h"), op("Exp", "h", "x"),
    ),
    "in place on arrays that take turns": (
        op("Softplus", "turn", "turn"), op("Tanh", "turn", "h"), op("Transpose", "h", "turn"), op("Abs", "turn", "h"),
        op("Tanh", "x", "y"),
    ),
    "asks for its buffer where another one lies": (op("Tile", "x", "p", tiles=2, axis=0), op("Mean", ("x", "x"), "p")),
    "counts": (op("Add", ("count", "b"), "count"), op("Mul", ("x", "count"), "y", broadcast=1)),
}  # fmt: skip


def workspace_of(rng: np.random.Generator) -> Workspace:
    workspace = Workspace()
    for name, shape in WEIGHTS.items():
        workspace.feed(name, rng.standard_normal(shape).astype(np.float32))
    workspace.feed("count", np.zeros(4, np.float32))
    workspace.feed("turn", rng.standard_normal((2, 3)).astype(np.float32))
    return workspace


def assert_same(a: Workspace, b: Workspace) -> None:
    assert set(a.blobs()) == set(b.blobs())
    for name in a.blobs():
        np.testing.assert_array_equal(a.fetch(name), b.fetch(name), err_msg=name)


@pytest.mark.parametrize("name", NETS)
def test_as_operator_by_operator(name: str) -> None:
    """Twenty runs, before which inputs are fed or not, of the same size or not, and results overwritten."""
    rng = np.random.default_rng(7)
    nets, singly = (workspace_of(np.random.default_rng(1)) for _ in range(2))
    x = rng.integers(-2, 3, (3, 4)).astype(np.float32)
    for workspace in (nets, singly):
        workspace.feed("x", x)
    bound, bare = nets.create(NetDef(name=name, op=NETS[name])), 0
    for turn in range(20):
        feeds: dict[str, Any] = {}
        if turn % 3:
            feeds["x"] = rng.integers(-2, 3, (5 if turn in (8, 9) else 3, 4)).astype(np.float32)
        if turn == 12:
            feeds |= {"w": rng.standard_normal((4, 4)).astype(np.float32), "h": np.zeros(7, np.float32)}
        if turn == 13:
            feeds["p"] = np.ones((1, 9), np.float32)
        for workspace in (nets, singly):
            for blob, value in feeds.items():
                workspace.feed(blob, value)
        bare += bound._bare is not None
        bound.run()
        for each in NETS[name]:
            singly.run(each)
        assert_same(nets, singly)
    assert bare > 4


def settled(workspace: Workspace, *ops: OperatorDef) -> BoundNet:
    bound = workspace.create(NetDef(name=f"net of {ops[0].type}", op=ops))
    for _ in range(3):
        bound.run()
    assert bound._bare is not None
    return bound


def test_an_operator_that_replaces_an_array_ends_the_bare_form_in_the_midst_of_a_run() -> None:
    """Sizes that are values of a blob change though no blob is given another array from outside."""
    workspace = Workspace()
    workspace.feed("size", np.int64([3]))
    fill = op("ConstantFill", "size", "f", input_as_shape=1, value=1.0)
    bound = settled(workspace, fill, op("Exp", "f", "e"), op("Scale", "e", "y", scale=2.0))
    for size in (3, 5, 5, 4, 3):
        workspace.feed("size", np.int64([size]))
        bound.run()
        np.testing.assert_allclose(workspace.fetch("y"), np.full(size, 2 * np.exp(1)), rtol=1e-6)
    assert bound._restless == {0}


def test_another_net_on_the_same_blobs() -> None:
    workspace = Workspace()
    workspace.feed("x", np.ones((2, 4), np.float32))
    first = settled(workspace, op("Tanh", "x", "p"), op("ReduceFrontSum", "p", "q"), op("Exp", "q", "p"))
    second = settled(workspace, op("Scale", "p", "q", scale=3.0))
    for factor in (1.0, 2.0):
        workspace.feed("x", np.full((2, 4), factor, np.float32))
        first.run()
        second.run()
        np.testing.assert_allclose(workspace.fetch("q"), np.full(4, 3 * np.exp(2 * np.tanh(factor))), rtol=1e-6)


def test_two_nets_that_write_one_blob() -> None:
    """The first does not watch it, as it holds another array in every run of it."""
    workspace = Workspace()
    workspace.feed("ids", np.int32([3, 1, 3]))
    workspace.feed("y", np.ones(4, np.float32))
    first = settled(workspace, op("Unique", "ids", "p"), op("Tanh", "y", "p"))
    workspace.feed("z", np.ones(8, np.float32))
    second = settled(workspace, op("Scale", "z", "p", scale=2.0))
    for _ in range(3):
        first.run()
        np.testing.assert_allclose(workspace.fetch("p"), np.full(4, np.tanh(1)), rtol=1e-6)
        second.run()
        np.testing.assert_array_equal(workspace.fetch("p"), np.full(8, 2.0))


def test_a_net_that_changes_a_blob_without_watching_it() -> None:
    """The second reads what the first has written and leaves another array there: one that it keeps for itself."""
    nets, singly = (workspace_of(np.random.default_rng(1)) for _ in range(2))
    for workspace in (nets, singly):
        workspace.feed("x", np.ones((2, 4), np.float32))
    ops = (op("Exp", "x", "p"),), (op("Cos", "p", "q"), op("Split", "x", ("p", "r"), axis=0), op("Tanh", "x", "t"))
    bound = [nets.create(NetDef(name=str(i), op=each)) for i, each in enumerate(ops)]
    for i in (0, 1) * 2 + (0, 0, 1) * 4:
        bound[i].run()
        for each in ops[i]:
            singly.run(each)
        np.testing.assert_array_equal(nets.fetch("p"), singly.fetch("p"))


def test_a_run_that_fails_leaves_what_others_can_go_on_with() -> None:
    workspace = Workspace()
    workspace.feed("x", np.ones(4, np.float32))
    workspace.feed("i", np.int64([0, 3]))
    ops = op("Tanh", "x", "p"), op("Concat", ("p", "p"), ("q", "_"), axis=0), op("Exp", "q", "p")
    bound = settled(workspace, *ops, op("Gather", ("x", "i"), "g"), op("Relu", "g", "p"))
    workspace.feed("i", np.int64([0, 4]))
    with pytest.raises(OperatorError, match="operator 3, Gather"):
        bound.run()
    assert workspace.fetch("p").shape == (8,)
    workspace.run(op("Scale", "p", "twice", scale=2.0))
    np.testing.assert_allclose(workspace.fetch("twice"), np.full(8, 2 * np.exp(np.tanh(1))), rtol=1e-6)
    workspace.feed("i", np.int64([1, 2]))
    bound.run()
    np.testing.assert_array_equal(workspace.fetch("p"), [1, 1])

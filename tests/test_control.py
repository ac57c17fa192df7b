"""Do over several runs: the workspaces of its scope, what an inner net sees, gradients that go back through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.errors import OperatorError
from caffe2ops.ops.control.scope import WorkspaceStack
from caffe2ops.workspace import Workspace


def op(type: str, inputs: str, outputs: str, gradient: bool = False, **args: Any) -> OperatorDef:
    return OperatorDef(
        type=type, input=tuple(inputs.split()), output=tuple(outputs.split()), args=args, is_gradient_op=gradient
    )


SQUARE = NetDef(name="square", op=(op("Mul", "a a", "local"), op("Copy", "local", "b")))
BINDINGS = {"inner_blobs": ["a", "b"], "outer_blobs_idx": [0, 1]}


def test_scopes() -> None:
    """What was popped is pushed again, blobs and all; a scope that is made again is cleared."""
    workspace = Workspace()
    workspace.run(op("CreateScope", "", "scope"))
    stack: WorkspaceStack = workspace.fetch("scope")
    first = stack.push(workspace)
    assert stack.push(workspace) is not first
    stack.pop()
    workspace.run(op("HasScope", "scope", "has"))
    assert workspace.fetch("has").tolist() == [True]
    assert stack.pop() is first
    with pytest.raises(ValueError, match="no workspace left"):
        stack.pop()
    assert stack.push(workspace) is first
    workspace.run(op("CreateScope", "", "scope"))
    workspace.run(op("HasScope", "scope", "has"))
    assert workspace.fetch("has").tolist() == [False]


def scoped(**feeds: np.ndarray) -> Workspace:
    workspace = Workspace()
    workspace.run(op("CreateScope", "", "scope"))
    for name, value in feeds.items():
        workspace.feed(name, value)
    return workspace


def test_inner_names_are_apart() -> None:
    """A subnet sees the bound blobs alone: another blob of an outer name is its own."""
    workspace = scoped(x=np.float32([3]), local=np.float32([7]), a=np.float32([5]))
    workspace.run(op("Do", "x scope", "y scope", net=SQUARE, **BINDINGS))
    assert [workspace.fetch(name).tolist() for name in ("y", "local", "a")] == [[9], [7], [5]]
    unbound = NetDef(name="unbound", op=(op("Copy", "local", "b"),))
    with pytest.raises(OperatorError, match="'local' does not exist"):
        workspace.run(op("Do", "x scope", "z scope", net=unbound, **BINDINGS))


def test_a_gradient_takes_the_last_workspace() -> None:
    """Each forward run leaves a workspace; gradient runs find the blobs of the last one first."""
    workspace = scoped(x=np.float32([2]))
    forward = op("Do", "x scope", "y scope", net=SQUARE, **BINDINGS)
    for value in (2, 3):
        workspace.feed("x", np.float32([value]))
        workspace.run(forward)
    peek = NetDef(name="peek", op=(op("Copy", "local", "found"),))
    gradient = op("Do", "scope", "seen scope", gradient=True, net=peek, inner_blobs=["found"], outer_blobs_idx=[0])
    for expected in (9, 4):
        workspace.run(op("HasScope", "scope", "left"))
        assert workspace.fetch("left").tolist() == [True]
        workspace.run(gradient)
        assert workspace.fetch("seen").tolist() == [expected]
    workspace.run(op("HasScope", "scope", "left"))
    assert workspace.fetch("left").tolist() == [False]
    with pytest.raises(OperatorError, match="scope: has no workspace left"):
        workspace.run(gradient)


def test_outer_blobs_may_be_kept() -> None:
    """With copy_external_blobs a gradient sees the outer blobs as they were after the forward run."""
    peek = NetDef(name="peek", op=(op("Copy", "a", "found"),))
    gradient = op(
        "Do", "x scope", "seen scope", gradient=True, net=peek, inner_blobs=["a", "found"], outer_blobs_idx=[0, 1]
    )
    for copied, expected in ((1, 3), (0, 8)):
        workspace = scoped()
        net = None
        for start in (3, 3):  # the second round finds the workspace of the first
            workspace.feed("x", np.float32([start]))
            forward = op("Do", "x scope", "y scope", net=SQUARE, copy_external_blobs=copied, **BINDINGS)
            net = net or workspace.create(NetDef(name="n", op=(forward,)))
            net.run()
            workspace.feed("x", np.float32([8]))
            workspace.run(gradient)
            assert workspace.fetch("seen").tolist() == [expected]


def test_a_loop_of_do() -> None:
    """While with Do as its body leaves a workspace for each round, and its gradient goes back through them."""
    double = NetDef(name="double", op=(op("Mul", "v two", "w"), op("Copy", "w", "v"), op("Copy", "w", "mine")))
    body = op("Do", "x two scope", "x scope", net=double, inner_blobs=["v", "two"], outer_blobs_idx=[0, 1])
    count = NetDef(name="body", op=(body, op("Add", "i one", "i")))
    below = NetDef(name="below", op=(op("LT", "i most", "go"),))
    feeds = {"i": 0, "one": 1, "most": 3}
    workspace = scoped(x=np.float32([1]), two=np.float32([2]), **{k: np.int64([v]) for k, v in feeds.items()})
    workspace.run(op("LT", "i most", "go"))
    workspace.run(op("While", "go", "", loop_net=count, cond_net=below))
    assert workspace.fetch("x").tolist() == [8]
    peek = NetDef(name="peek", op=(op("Copy", "mine", "found"),))
    back = op("Do", "scope", "seen scope", gradient=True, net=peek, inner_blobs=["found"], outer_blobs_idx=[0])
    seen = []
    for _ in range(3):
        workspace.run(back)
        seen += workspace.fetch("seen").tolist()
    assert seen == [8, 4, 2]


def test_a_gradient_wants_its_own_workspace() -> None:
    workspace = scoped(x=np.float32([3]))
    with pytest.raises(OperatorError, match="reuse_workspace: a gradient Do"):
        workspace.run(op("Do", "x scope", "y scope", gradient=True, net=SQUARE, reuse_workspace=1, **BINDINGS))

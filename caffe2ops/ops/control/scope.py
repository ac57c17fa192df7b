"""Scopes: the workspaces of subnets, kept for their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.operator import FORBIDDEN, Operator
from caffe2ops.ops.data.opaque import held
from caffe2ops.workspace import Workspace


class WorkspaceStack:
    """Child workspaces in the order that forward runs pushed them; the gradient pops them.

    What was popped or cleared is used again by later pushes, blobs and all. Caffe2: operators/create_scope_op.
    """

    def __init__(self) -> None:
        self._workspaces: list[Workspace] = []
        self.depth = 0

    def push(self, parent: Workspace) -> Workspace:
        """The workspace of another forward run."""
        if self.depth == len(self._workspaces):
            self._workspaces.append(parent.child())
        self.depth += 1
        return self.top()

    def top(self) -> Workspace:
        """The workspace that was pushed last. Raises ValueError where there is none."""
        if not self.depth:
            raise ValueError("scope: has no workspace left; the forward run has not been, or has been undone already")
        return self._workspaces[self.depth - 1]

    def pop(self) -> Workspace:
        """Takes the last workspace off. Raises ValueError where there is none."""
        workspace = self.top()
        self.depth -= 1
        return workspace

    def clear(self) -> None:
        self.depth = 0


class CreateScope(Operator):
    """Makes a scope without workspaces, or clears the one that is there. Caffe2: operators/create_scope_op."""

    contract = "-> scope: blob"
    docs = {"scope": "the scope, for Do"}
    gradient = FORBIDDEN

    def run_cpu(self) -> WorkspaceStack:
        before = self.outputs[0].value if self.outputs else None
        stack = before if isinstance(before, WorkspaceStack) else WorkspaceStack()
        stack.clear()
        return stack


class HasScope(Operator):
    """Whether a scope has workspaces left: bool[1]. Caffe2: operators/create_scope_op."""

    contract = "scope: blob -> has_scope: bool[1]"
    docs = {"scope": "from CreateScope", "has_scope": "whether Do has pushed more than was popped"}
    gradient = FORBIDDEN

    def run_cpu(self, scope: Any) -> np.ndarray:
        return np.array([held("scope", scope, WorkspaceStack, "CreateScope").depth > 0])

"""Do: a net run in a workspace of its own, which its gradient comes back to."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.net import BoundNet
from caffe2ops.operator import Arg, Operator
from caffe2ops.ops.control.scope import WorkspaceStack
from caffe2ops.ops.data.opaque import held
from caffe2ops.workspace import Blob, Workspace


class Do(Operator):
    """Runs a net in a workspace of its own, where `inner_blobs` are blobs of the outer one under other names.

    Each run leaves a workspace in the scope, so that a gradient operator finds what the forward net computed: it runs
    in the last one and takes it off. Raises ValueError for bindings that aren't one to one. Caffe2: operators/do_op.
    """

    contract = "*inputs: blob -> *outputs: blob"
    docs = {
        "inputs": "blobs that the net reads, last the scope",
        "outputs": "blobs that it writes, last the scope again",
    }
    inplace = "any"
    net: NetDef = Arg(doc="the net to run")
    inner_blobs: list[str] = Arg((), doc="names in the net of outer blobs")
    outer_blobs_idx: list[int] = Arg((), doc="which these are, counted over inputs and outputs without the scope")
    saved_fwd_blobs: list[str] = Arg((), doc="what a gradient operator reads from the forward workspace; for readers")
    reuse_workspace: bool = Arg(False, doc="whether to run in the last workspace where there is one")
    copy_external_blobs: bool = Arg(False, doc="whether the workspace keeps the outer blobs as they are after the run")

    def __init__(self, op_def: OperatorDef, *args: Any, **kwargs: Any):
        super().__init__(op_def, *args, **kwargs)
        if op_def.is_gradient_op and self.reuse_workspace:
            raise ValueError("reuse_workspace: a gradient Do wants a workspace for each run, that is 0")
        self._bindings = self._bound()
        self._nets: WeakKeyDictionary[Workspace, BoundNet] = WeakKeyDictionary()

    def _bound(self) -> dict[str, str]:
        """{inner: outer} names."""
        inputs, outputs = self.op_def.input, self.op_def.output
        if inputs[-1] != outputs[-1]:
            raise ValueError(f"scope: is {inputs[-1]!r} as input and {outputs[-1]!r} as output, wants the same blob")
        for side, names in (("inputs", inputs[:-1]), ("outputs", outputs[:-1])):
            if len(set(names)) < len(names):
                raise ValueError(f"{side}: {', '.join(names)} have duplicates")
        outer = (*inputs[:-1], *outputs[:-1])
        if len(self.inner_blobs) != len(self.outer_blobs_idx):
            raise ValueError(
                f"inner_blobs: has {len(self.inner_blobs)} names, outer_blobs_idx {len(self.outer_blobs_idx)}: "
                "different inner/outer blobs lengths"
            )
        found: dict[str, str] = {}
        for inner, index in zip(self.inner_blobs, self.outer_blobs_idx):
            if inner in found:
                raise ValueError(f"inner_blobs: redefinition of {inner!r}")
            if not 0 <= index < len(outer):
                raise ValueError(f"outer_blobs_idx: {index} is out of bounds, wants 0 to {len(outer) - 1}")
            if outer[index] in found.values():
                raise ValueError(f"outer_blobs_idx: {outer[index]!r} has two names inside")
            found[inner] = outer[index]
        if missing := set(outer) - set(found.values()):
            raise ValueError(f"outer_blobs_idx: {', '.join(sorted(missing))} are not bound to inner names")
        return found

    def run_cpu(self, *inputs: Any) -> Any:
        stack: WorkspaceStack = held("scope", inputs[-1], WorkspaceStack, "CreateScope")
        if self.op_def.is_gradient_op:
            workspace = stack.pop()
        elif self.reuse_workspace and stack.depth:
            workspace = stack.top()
        else:
            workspace = stack.push(self.workspace)
        workspace.parent = None  # of the outer blobs it sees those that are bound
        for inner, outer in self._bindings.items():
            if not (self.op_def.is_gradient_op and workspace.has(inner)):
                workspace.share(inner, self.workspace.blob(outer))
        self._bound_net(workspace).run()
        if self.copy_external_blobs and not self.op_def.is_gradient_op:
            self._keep(workspace)
        return tuple(blob.value for blob in self.outputs)

    def _bound_net(self, workspace: Workspace) -> BoundNet:
        """The net bound to the blobs that the workspace has now."""
        net = self._nets.get(workspace)
        if net is None or any(
            workspace.find(name) is not blob
            for op in net.operators
            for name, blob in zip((*op.op_def.input, *op.op_def.output), (*op.inputs, *op.outputs))
        ):
            net = self._nets[workspace] = BoundNet(self.net, workspace)
        return net

    def _keep(self, workspace: Workspace) -> None:
        """Puts copies in the place of the outer blobs that hold tensors."""
        for inner in self._bindings:
            blob = workspace.find(inner)
            if blob is not None and isinstance(blob.value, np.ndarray):
                copied = Blob(inner)
                copied.feed(blob.value)
                workspace.share(inner, copied)

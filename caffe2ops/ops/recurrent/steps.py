"""A step net bound once for each time step, and the workspaces in which the steps leave what they compute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from caffe2ops.defs import NetDef
from caffe2ops.net import BoundNet
from caffe2ops.ops.data.opaque import held
from caffe2ops.workspace import Blob, Workspace


class Link(NamedTuple):
    """In step t, the blob `internal` is rows t + offset to t + offset + window of the blob `external`."""

    internal: str
    external: str
    offset: int
    window: int = 1


class StepWorkspaces:
    """What the last output of RecurrentNetwork holds: a workspace for each step, below one that all steps share."""

    def __init__(self, parent: Workspace):
        self.shared = parent.child()
        self.steps: list[Workspace] = []

    def at_least(self, count: int) -> list[Workspace]:
        """The workspaces of the steps, `count` or more."""
        while len(self.steps) < count:
            self.steps.append(self.shared.child())
        return self.steps


def workspaces_of(name: str, value: Any) -> StepWorkspaces:
    """The workspaces that an input holds."""
    return held(name, value, StepWorkspaces, "RecurrentNetwork")


def rows(array: np.ndarray, start: int, count: int, what: str) -> np.ndarray:
    """A view of rows start to start + count. Raises ValueError, which `what` begins, where they are not all there."""
    if start < 0 or start + count > len(array):
        raise ValueError(f"{what}: wants rows {start} to {start + count - 1} of {len(array)}")
    return array[start : start + count]


def addition(target: np.ndarray, source: np.ndarray, step: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
    """Row step + offset of `target` and what is to be added to it: as many elements, step by step, of `source`."""
    row = rows(target, step + offset, 1, "offset: accumulation destination is out of bounds")
    begin = step * row.size
    if begin + row.size > source.size:
        raise ValueError(
            f"output gradient: has {source.size} elements, wants {row.size} for each step: accumulation source is out "
            f"of bounds at step {step}"
        )
    return row, source.reshape(-1)[begin : begin + row.size].reshape(row.shape)


@dataclass
class _Step:
    net: BoundNet
    slots: list[tuple[Blob, np.ndarray]]  # linked blobs and the rows that they are in this step
    written: list[tuple[Blob, np.ndarray]]  # those that the net writes
    additions: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)  # (row, what is added before the net)


class Unrolled:
    """A step net with its links. `run` runs it once a step, each time in the workspace of that step.

    The net is read once and has a twin for each workspace; views are made anew only where a linked array is another
    one than in the run before.
    """

    def __init__(self, definition: NetDef, links: Sequence[Link], timestep: str):
        self.definition = definition.replace(external_input=(), external_output=())
        self.links, self.timestep = links, timestep
        self._written = {name for op in definition.op for name in op.output}
        self._first: BoundNet | None = None  # never runs: the twins are made from it
        self._nets: dict[int, BoundNet] = {}  # by the id of their workspace, which they keep alive
        self._made_for: list[object] = []
        self._steps: list[_Step] = []

    def run(
        self,
        count: int,
        workspaces: Sequence[Workspace],
        linked: Sequence[np.ndarray],
        order: Iterable[int],
        additions: Sequence[tuple[np.ndarray, np.ndarray, int]] = (),
    ) -> None:
        """Runs steps in `order`, step t in workspace t modulo their number.

        `linked` are the arrays behind the links. `additions` are (target, source, offset): before the net of step t,
        part t of the source is added to row t + offset of the target.
        """
        made_for: list[object] = [*workspaces, *linked, *(array for pair in additions for array in pair[:2])]
        same = len(made_for) == len(self._made_for) and all(a is b for a, b in zip(made_for, self._made_for))
        if not same or count != len(self._steps):
            self._made_for = []
            self._prepare(count, workspaces, linked, additions)
            self._made_for = made_for
        for t in order:
            step = self._steps[t]
            for blob, view in step.slots:
                if blob.value is not view:
                    blob.set(view)
            for row, part in step.additions:
                row += part
            step.net.run()
            for blob, view in step.written:
                if blob.value is not view:
                    _land(blob, view)

    @property
    def operator_runs(self) -> int:
        """How many operators the last run ran."""
        return len(self._steps) * len(self.definition.op)

    def _prepare(
        self,
        count: int,
        workspaces: Sequence[Workspace],
        linked: Sequence[np.ndarray],
        additions: Sequence[tuple[np.ndarray, np.ndarray, int]],
    ) -> None:
        if workspaces and id(workspaces[0]) not in self._nets:
            self._first, self._nets = None, {}
        clock = np.arange(count, dtype=np.int32)
        self._steps = []
        for t in range(count):
            workspace = workspaces[t % len(workspaces)]
            slots = [(workspace.local_blob(self.timestep), clock[t : t + 1])]
            for link, array in zip(self.links, linked):
                view = rows(array, t + link.offset, link.window, f"link {link.external} to {link.internal}, step {t}")
                slots.append((workspace.local_blob(link.internal), view))
            last = {blob.name: (blob, view) for blob, view in slots if blob.name in self._written}
            added = [addition(target, source, t, offset) for target, source, offset in additions]
            self._steps.append(_Step(self._net(workspace), slots, list(last.values()), added))

    def _net(self, workspace: Workspace) -> BoundNet:
        if self._first is None:
            self._first = BoundNet(self.definition, workspace)
        if id(workspace) not in self._nets:
            self._nets[id(workspace)] = self._first.twin(workspace)
        return self._nets[id(workspace)]


def _land(blob: Blob, view: np.ndarray) -> None:
    """Brings what an operator left in a linked blob, in an array of its own, to the rows where it belongs."""
    value = blob.value
    if value.dtype != view.dtype or value.size != view.size:
        raise ValueError(
            f"link to {blob.name}: the step net wrote {value.dtype}{list(value.shape)} there, wants {view.size} "
            f"elements of {view.dtype}, shape {list(view.shape)}"
        )
    there = view.reshape(value.shape)
    there[...] = value
    blob.set(there)

"""What a port of a net starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from caffe2ops.dataflow import read_by
from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import OperatorError
from caffe2ops.workspace import Workspace


def workspace_of(init: NetDef | Mapping[str, Any] | Workspace | None) -> Workspace:
    """A workspace with the parameters that a net makes (on the CPU), or that are given by name."""
    if isinstance(init, Workspace):
        return init
    workspace = Workspace()
    if isinstance(init, Mapping):
        for name, value in init.items():
            workspace.feed(name, value)
    elif init is not None:
        workspace.run(init, device=DeviceOption())
    return workspace


def fed_to(net: NetDef, workspace: Workspace, shapes: Mapping[str, Any]) -> list[str]:
    """The blobs that are fed to a net: those it reads that are in `shapes`, or that the workspace does not hold. Raises
    ValueError where the shape of one is not given."""

    def is_empty(name: str) -> bool:
        blob = workspace.find(name)
        return blob is None or blob.value is None

    names = [name for name in read_by(net) if name in shapes or is_empty(name)]
    if missing := [name for name in names if name not in shapes]:
        listed = ", ".join(map(repr, missing))
        raise ValueError(
            f"the shape of input {listed} is not given (--shape {missing[0]}=N,3,224,224 or --feeds; where it is a "
            "parameter, --init for the net that makes it)"
        )
    return names


def drawn(
    parameters: dict[str, Any], workspace: Workspace, name: str, size: int, draw: Callable[[int], Any]
) -> np.ndarray[Any, Any]:
    """So many random numbers that a blob of the workspace holds, drawn where there are none; a parameter from now on,
    so that the proof feeds the same."""
    if name not in parameters:
        held: Any = workspace.fetch(name) if workspace.has(name) else None
        parameters[name] = held if np.shape(held) == (size,) else draw(size)
    array: np.ndarray[Any, Any] = parameters[name]
    return array


def refuse_others(net: NetDef, portable: Callable[[OperatorDef], bool], framework: str, way_out: str) -> None:
    """Raises OperatorError for the operators that are not portable, all of them in one message."""
    found: dict[str, tuple[int, OperatorDef]] = {}
    for index, op in enumerate(net.op):
        if not portable(op):
            found.setdefault(op.type, (index, op))
    if found:
        index, op = next(iter(found.values()))
        others = ", ".join(f"{kind} (operator {i})" for kind, (i, _) in list(found.items())[1:])
        raise OperatorError(
            f"has no form in {framework} here{f'; nor have {others}' if others else ''}. Name outputs before it "
            f"(--output), or {way_out}",
            op, net=net.name, index=index,
        )  # fmt: skip

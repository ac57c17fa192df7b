"""What nets read and write, those within their operators included, and what a port of one starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from caffe2ops.defs import DeviceOption, NetDef, OperatorDef
from caffe2ops.errors import OperatorError
from caffe2ops.workspace import Workspace


def inner_nets(op: OperatorDef) -> Iterator[NetDef]:
    """The nets in the arguments of an operator that see the blobs around it; steps of recurrent nets and Do do not."""
    if op.type == "Do" or op.type.startswith("RecurrentNetwork"):
        return iter(())
    return (value for value in op.args.values() if isinstance(value, NetDef))


def read_by(net: NetDef) -> list[str]:
    """The blobs that a net reads before it writes them, in order of first use."""
    written: set[str] = set()
    found: dict[str, None] = {}
    for op in net.op:
        found.update(dict.fromkeys(name for name in read_by_operator(op) if name not in written))
        written.update(op.output)
    return list(found)


def read_by_operator(op: OperatorDef) -> list[str]:
    """The blobs that one operator reads."""
    own = own_blobs(op)
    return [*op.input, *(name for net in inner_nets(op) for name in read_by(net) if name not in own)]


def own_blobs(op: OperatorDef) -> tuple[str, ...]:
    """The blobs that an operator itself feeds to its net: of an ONNXWhile the round, the condition, what is carried."""
    body, carried = op.args.get("body"), cast(int, op.args.get("num_loop_carried_deps", -1))
    if op.type != "ONNXWhile" or not isinstance(body, NetDef):
        return ()
    return body.external_input[: len(op.input) if carried < 0 else 2 + carried]


def given_out_by(net: NetDef) -> tuple[str, ...]:
    """The blobs that nobody reads after they were written last, in the order in which they are written."""
    read: set[str] = set()
    found: dict[str, None] = {}
    for op in reversed(net.op):
        found.update(dict.fromkeys(name for name in reversed(op.output) if name not in read))
        read.update((*read_by_operator(op), *written_by(op)))
    return tuple(found)[::-1]


def written_by(op: OperatorDef) -> list[str]:
    """The blobs that an operator writes."""
    if op.type == "ONNXWhile" and not op.args.get("disable_scopes"):
        return list(op.output)
    inner = [name for net in inner_nets(op) for each in net.op for name in written_by(each)]
    return list(dict.fromkeys([*op.output, *inner]))


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

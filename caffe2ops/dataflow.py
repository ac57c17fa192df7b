"""What operators and nets read and write, the nets within operators included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from caffe2ops.defs import NetDef, OperatorDef


def nets_within(net: NetDef) -> Iterator[tuple[str, NetDef]]:
    """The nets that operators of a net hold as arguments, and theirs, each with a phrase that says where."""
    for index, op in enumerate(net.op):
        for name, value in op.args.items():
            if isinstance(value, NetDef):
                where = f"{name} of operator {index} ({op.type})"
                yield where, value
                yield from ((f"{inner} in {where}", held) for inner, held in nets_within(value))


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


def last_written(net: NetDef) -> tuple[str, ...]:
    """`given_out_by`, without the blobs that the net reads before it writes them: those it changes, others it makes."""
    state = read_by(net)
    return tuple(name for name in given_out_by(net) if name not in state)

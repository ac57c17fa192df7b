"""What nets read and write, those within their operators included."""

from __future__ import annotations

from collections.abc import Iterator

from caffe2ops.defs import NetDef, OperatorDef


def inner_nets(op: OperatorDef) -> Iterator[NetDef]:
    """The nets in the arguments of an operator that run in its own workspace; steps of recurrent nets have another."""
    if op.type.startswith("RecurrentNetwork"):
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
    return [*op.input, *(name for net in inner_nets(op) for name in read_by(net))]


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
    inner = [name for net in inner_nets(op) for each in net.op for name in written_by(each)]
    return list(dict.fromkeys([*op.output, *inner]))

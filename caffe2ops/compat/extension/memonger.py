"""Nets with fewer blobs: those whose lives do not overlap become one. Caffe2: core/memonger."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from caffe2ops import registry
from caffe2ops.compat.extension.definitions import encode, net_of, text
from caffe2ops.compat.extension.errors import runtime_errors
from caffe2ops.defs import NetDef, OperatorDef

QUOTED = re.compile(r'"([^"]*)"')


@runtime_errors
def memonger_optimize_inference_net(net_def: bytes, static_blobs: Collection[str | bytes]) -> bytes:
    """The serialized net, run in order, with shared blobs named `__mN_shared`; `static_blobs` stay as they are.

    A net of another type than simple, or with recurrent operators, stays as it is.
    """
    net = net_of(net_def)
    if net.type not in ("", "simple") or any(op.type == "RecurrentNetwork" for op in net.op):
        return net_def
    wanted = {name for op in net.op for name in op.output} - set(map(text, static_blobs))
    return _with_shared(net, wanted, [(1 << index) - 1 for index in range(len(net.op))], {}, "")


@runtime_errors
def memonger_compute_blob_recycling_for_dag(
    net_def: bytes,
    heads: Collection[str | bytes],
    op_indices: Sequence[int],
    shareable_blob_names: Collection[str | bytes],
    namescope: str | bytes,
    dont_share_blob_names: Collection[str | bytes],
    blob_shapes: Mapping[str, Sequence[int]],
) -> bytes:
    """The serialized net, whose operators may run in any order that the data allows, with shared blobs named
    `SCOPE__mN_shared`.

    Of the operators at `op_indices`, outputs among `shareable_blob_names` share blobs; `blob_shapes` help to choose
    which. All these operators are looked at, whether the blobs `heads` lead to them or not.
    """
    net = net_of(net_def)
    wanted = {name for index in op_indices for name in net.op[index].output} & set(map(text, shareable_blob_names))
    sizes = {text(name): prod(shape) for name, shape in blob_shapes.items()}
    return _with_shared(net, wanted - set(map(text, dont_share_blob_names)), _ancestors(net), sizes, text(namescope))


@dataclass
class _Slot:
    """What blobs share. `users`: bit k says that operator k reads or writes one of them."""

    device: tuple[int, int]
    users: int = 0
    size: int = 0
    blobs: list[str] = field(default_factory=list)


def _with_shared(
    net: NetDef, wanted: Collection[str], before: Sequence[int], sizes: Mapping[str, int], scope: str
) -> bytes:
    """The net with blobs among `wanted` renamed; bit j of `before[k]` says that operator j is done before k begins.

    A blob takes the place of others where all that use them are done before it is first written.
    """
    for op in net.op:
        registry.get(op.type).schema_of().verify(op)
    users = _users(net)
    if f"{scope}__m0_shared" in users:  # done already
        return encode(net)
    candidates = _private(net, wanted)
    slots: list[_Slot] = []
    for index, op in enumerate(net.op):
        for name in op.output:
            if name not in candidates:
                continue
            candidates.remove(name)
            device, size = _device(op), sizes.get(name, 0)
            free = [slot for slot in slots if slot.device == device and not slot.users & ~before[index]]
            slot = min(free, key=lambda slot: (max(0, size - slot.size), slot.size), default=None)
            if slot is None:
                slots.append(slot := _Slot(device))
            slot.users |= users[name]
            slot.size = max(slot.size, size)
            slot.blobs.append(name)
    shared = [slot.blobs for slot in slots if len(slot.blobs) > 1]
    names = {name: f"{scope}__m{number}_shared" for number, blobs in enumerate(shared) for name in blobs}
    return encode(net.replace(op=tuple(_renamed(op, names) for op in net.op)))


def _private(net: NetDef, wanted: Collection[str]) -> set[str]:
    """Those of the blobs that are written before they are read, and read at all, and that no net inside an operator and
    no argument names."""
    written, read, other = set[str](), set[str](), {*net.external_input, *net.external_output}
    for op in net.op:
        names = {*op.input, *op.control_input}
        other |= names - written
        read |= names
        written |= set(op.output)
        other |= {*_named_in_arguments(op)}
    return {name for name in wanted if name in read and name not in other}


def _users(net: NetDef) -> dict[str, int]:
    """For each blob the operators that read or write it, as bits."""
    users: dict[str, int] = defaultdict(int)
    for index, op in enumerate(net.op):
        for name in _names_in(op):
            users[name] |= 1 << index
    return users


def _ancestors(net: NetDef) -> list[int]:
    """For each operator those that must be done before it, as bits."""
    writer: dict[str, int] = defaultdict(int)
    readers: dict[str, int] = defaultdict(int)
    found: list[int] = []
    for index, op in enumerate(net.op):
        inputs = (*op.input, *op.control_input)
        direct = 0
        for name in (*inputs, *op.output):
            direct |= writer[name]
        for name in op.output:
            direct |= readers[name]
        before = direct
        for j in range(index):
            if direct >> j & 1:
                before |= found[j]
        found.append(before)
        for name in inputs:
            readers[name] |= 1 << index
        for name in op.output:
            writer[name], readers[name] = 1 << index, 0
    return found


def _names_in(op: OperatorDef) -> Iterator[str]:
    """The blobs of an operator, and whatever its arguments name."""
    yield from (*op.input, *op.control_input, *op.output)
    yield from _named_in_arguments(op)


def _named_in_arguments(op: OperatorDef) -> Iterator[str]:
    """The strings in arguments and in text among them (the step net of a recurrent operator), and the blobs of nets."""
    for value in op.args.values():
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, NetDef):
                for inner in part.op:
                    yield from _names_in(inner)
            elif isinstance(part, (str, bytes)):
                whole = part.decode(errors="replace") if isinstance(part, bytes) else part
                yield from (whole, *QUOTED.findall(whole))


def _device(op: OperatorDef) -> tuple[int, int]:
    """Where the outputs are: (type, id)."""
    option = op.device_option
    return (0, 0) if option is None or op.type == "CopyGPUToCPU" else (option.device_type, option.device_id)


def _renamed(op: OperatorDef, names: Mapping[str, str]) -> OperatorDef:
    return op.replace(
        input=tuple(names.get(name, name) for name in op.input),
        output=tuple(names.get(name, name) for name in op.output),
        control_input=tuple(names.get(name, name) for name in op.control_input),
    )

"""What of a net is ported: the operators that its outputs need, none that compute gradients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from caffe2ops.dataflow import given_out_by, read_by, read_by_operator, written_by
from caffe2ops.defs import NetDef
from caffe2ops.errors import did_you_mean
from caffe2ops.port.torch.rules import rules

# {operator: from which on its outputs are for gradients and the next batch alone, and none of the net's}
ASIDE = {
    **dict.fromkeys(("Concat", "Dropout", "GroupNorm", "InstanceNorm", "LRN", "LayerNorm", "Reshape", "SpatialBN"), 1),
    "RecurrentNetwork": -1, "Iter": 0, "AtomicIter": 0,
}  # fmt: skip


def without_drops(net: NetDef, notes: list[str]) -> NetDef:
    """The net with a Dropout that lets everything through, as the module does unless it trains."""
    drops = [op.type == "Dropout" and not op.args.get("is_test") for op in net.op]
    if any(drops):
        notes.append("Dropout (is_test = 0) drops in training mode; the module is compared without that")
    kept = (op.replace(args={**op.args, "is_test": 1}) if drop else op for op, drop in zip(net.op, drops))
    return net.replace(op=tuple(kept))


def forward_of(net: NetDef, outputs: Sequence[str], notes: list[str]) -> tuple[NetDef, tuple[str, ...]]:
    """The operators that the outputs need, and the outputs."""
    backward = (i for i, op in enumerate(net.op) if op.is_gradient_op or _computes_a_gradient(op.type))
    first = next(backward, len(net.op))
    kept = net.op[:first]
    if first < len(net.op):
        seeds = {name for op in net.op[first:] for name in op.input if name.endswith("_grad")}
        kept = tuple(op for op in kept if not op.output or not seeds.issuperset(op.output))
        notes.append(
            f"the operators from the first gradient operator on (operator {first}, {net.op[first].type}) are left out: "
            "PyTorch differentiates by itself"
        )
    forward = net.replace(op=kept, external_output=())
    written = {name for op in forward.op for name in written_by(op)}
    declared = [name for name in net.external_output if name in written]
    if first < len(net.op) or not declared:
        aside = {name for op in forward.op if op.type in ASIDE for name in op.output[ASIDE[op.type] :]}
        giving = forward.replace(op=tuple(op for op in forward.op if op.output))
        declared += [name for name in given_out_by(giving) if name not in aside]
    wanted = tuple(dict.fromkeys(outputs or declared))
    if not wanted:
        raise ValueError(f"net {net.name!r} gives out nothing; name outputs")
    known = {name for op in net.op for name in (*op.input, *written_by(op))}
    for name in wanted:
        if name not in known:
            raise ValueError(f"the net has no blob {name!r}{did_you_mean(name, known)}")
    needed = set(wanted)
    used, left = [], []
    for op in reversed(forward.op):
        if needed & set(written_by(op)) or (not op.output and op.type in rules()):
            used.append(op)
            needed.update(read_by_operator(op))
        else:
            left.append(op.type)
    if left:
        counted = ", ".join(f"{n} {kind}" for kind, n in Counter(left).items())
        notes.append(f"operators that the outputs do not need are left out: {counted}")
    forward = forward.replace(op=tuple(reversed(used)), external_output=wanted)
    there = written.union(read_by(forward))
    for name in wanted:
        if name not in there:
            raise ValueError(f"output {name!r} is neither written nor read by the operators that are ported")
    return forward, wanted


def _computes_a_gradient(type_name: str) -> bool:
    return type_name.endswith("Gradient") and type_name not in rules()

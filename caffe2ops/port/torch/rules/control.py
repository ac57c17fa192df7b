"""Nets within operators: If and While, as Python's own."""

from __future__ import annotations

from typing import Any

from caffe2ops.dataflow import written_by
from caffe2ops.defs import NetDef
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.text import identifier
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Writer
from caffe2ops.port.values import NotPortable


def assign(t: Writer, names: dict[str, str], env: dict[str, Tensor]) -> None:
    """Gives blobs the locals that they have behind the statement."""
    for blob, local in names.items():
        t.line(f"{local} = {env[blob]}")


def either(left: TensorSpec, right: TensorSpec) -> TensorSpec:
    """What is known of a tensor that is one of two."""
    dtype = left.dtype if left.dtype == right.dtype else None
    if not (left.has_rank and right.has_rank) or left.ndim != right.ndim:
        return TensorSpec(None, dtype)
    same = left.known and right.known
    return TensorSpec([a if same and a == b else UNKNOWN for a, b in zip(left.shape, right.shape)], dtype)


@rule("If")
def if_(t: Writer, op: Any, condition: Tensor, *inputs: Tensor) -> None:
    """Blobs that a net writes without naming them among the outputs are seen outside, too."""
    outer = t.env
    nets = [op.then_net, op.else_net or NetDef()]
    written = sorted({name for net in nets for inner in net.op for name in written_by(inner)})
    names = {blob: t.locals.unique(identifier(blob)) for blob in written}
    after: list[dict[str, Tensor]] = []
    ends = []
    for net, head in zip(nets, (f"if {condition}:", "else:")):
        after.append(dict(outer))
        with t.block(head):
            t.walk(net, after[-1])
        ends.append(len(t.source.statements))
    names = {blob: local for blob, local in names.items() if all(blob in env for env in after)}
    if missing := [name for name in op.op_def.output if name not in names]:
        raise NotPortable(f"{missing[0]!r} is written by one of the nets alone, and has no value before")
    for env, end in reversed(list(zip(after, ends))):
        assigned = [(t.depth + 1, f"{local} = {env[blob]}") for blob, local in names.items()]
        t.source.statements[end:end] = assigned or [(t.depth + 1, "pass")]
    for blob, local in names.items():
        specs = [env[blob].spec for env in after]
        steps = {env[blob].steps for env in after}
        outer[blob] = Tensor(local, either(*specs), blob=blob, steps=steps.pop() if len(steps) == 1 else None)


@rule("While")
def while_(t: Writer, op: Any, condition: Tensor, *inputs: Tensor) -> None:
    """The condition's net runs before each round."""
    outer = t.env
    name = op.op_def.input[0]
    if op.cond_net is not None:
        t.walk(op.cond_net, outer)
    written = {n for net in (op.loop_net, op.cond_net) if net is not None for o in net.op for n in written_by(o)}
    if missing := [blob for blob in op.op_def.output if blob not in outer]:
        raise NotPortable(f"{missing[0]!r} has no value before the loop; fill it with zeros first")
    names = {blob: t.locals.unique(identifier(blob)) for blob in sorted(written & set(outer))}
    assign(t, names, outer)
    for blob, local in names.items():
        outer[blob] = Tensor(local, outer[blob].spec, blob=blob, steps=outer[blob].steps)
    env = dict(outer)
    with t.block(f"while {outer[name]}:"):
        t.walk(op.loop_net, env)
        if op.cond_net is not None:
            t.walk(op.cond_net, env)
        if other := [blob for blob in names if env[blob].steps != outer[blob].steps]:
            raise NotPortable(f"{other[0]!r} has another scale behind a round of the loop")
        assign(t, names, env)

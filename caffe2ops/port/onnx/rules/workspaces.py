"""Nets within operators that see other blobs than the net around them: Do and ONNXWhile."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.dataflow import read_by, written_by
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.onnx.rules.control import condition_of, looped
from caffe2ops.port.values import NotPortable, Value


@rule("CreateMutex", "CreateScope")
def opaque(g: Builder, op: Any) -> Value:
    """A blob without a tensor, which only operators ask for whose nodes need none."""
    return Value(op.op_def.output[0])


@rule("Do")
def do(g: Builder, op: Any, *inputs: Value, env: Any, position: Any) -> tuple[Value | None, ...]:
    """The nodes of the net, in place; its blobs bear their outer names."""
    if op.op_def.is_gradient_op:
        raise NotPortable("runs in the workspace that another Do has left; ONNX keeps nothing of that")
    bound, outer = op._bindings, set(map(id, env.values()))
    before = {inner: env[name] for inner, name in bound.items() if name in env}
    inside = dict(before)
    g.walker.walk(g, op.net, inside, (*position, 0))
    for inner, name in bound.items():
        value = inside.get(inner)
        if value is None or value is before.get(inner):
            continue
        if id(value) not in outer:
            outer.add(id(value))
            value.settled = ""
            g.walker.settle(g, name, value, position)
        env[name] = value
    return tuple(env.get(name) for name in op.op_def.output)


@rule("ONNXWhile")
def onnx_while(
    g: Builder, op: Any, most: Value, first: Value, *values: Value, env: Any, position: Any
) -> tuple[Value, ...]:
    """A Loop; blobs of the net around that the body writes are carried, too."""
    net, count = op.body, op._count(len(values))
    (turn, holds, *names), outputs = net.external_input[: 2 + count], net.external_output
    written = {name for each in net.op for name in written_by(each)}
    others = sorted((written & set(env)) - {turn, holds, *names})
    if not op.disable_scopes:
        others = [name for name in others if name != outputs[0]]  # the body has its own
        if others:
            raise NotPortable(f"the body writes {others[0]!r}, which is there outside of it; give it another name")
    start = {**dict(zip(names, values)), **{name: env[name] for name in others}}
    if not op.has_cond and holds in read_by(net.replace(external_input=())):
        start[holds] = _one(g, first, first)

    def step(body: Builder, turn_number: Value, carried: dict[str, Value]) -> Any:
        inside = {**env, holds: body.constant(np.ones(1, first.dtype)), **carried, turn: turn_number}
        g.walker.walk(body, net, inside, (*position, 0))
        after = [inside[name] for name in outputs]
        following = {**{name: inside[name] for name in others}, **dict(zip(names, after[1:]))}
        if holds in start:
            following[holds] = _one(body, after[0], first)
        goes_on = condition_of(body, body.cast(after[0], bool)) if op.has_cond else body.constant(np.True_)
        return goes_on, following, after[1 + count : 1 + op.n_outputs]

    found, rows = looped(
        g, start, step, condition_of(g, g.cast(first, bool)) if op.has_cond else None,
        g.reshape(most, []) if op.has_trip_count else None,
    )  # fmt: skip
    if rows:
        g.note(f"{op.type} without a round gives int32[0] for what rounds would give; the model keeps dtype and dims")
    for name in others:
        g.walker.settle(g, name, found[name], position)
        env[name] = found[name]
    if op.disable_scopes:  # they hold what the last round got
        for name in (turn, holds, *names):
            env.pop(name, None)
    return (*(found[name] for name in names), *(_joined(g, v) for v in rows))[: op.n_outputs]


def _one(g: Builder, condition: Value, like: Value) -> Value:
    """A condition as the body gets it: one element, 0 or 1."""
    return g.cast(g.cast(g.reshape(condition, [1]), bool), like.dtype)


def _joined(g: Builder, stacked: Value) -> Value:
    """What the rounds gave, one after the other along the first dim; a scalar is that of the only round."""
    if stacked.rank < 3:
        return g.reshape(stacked, [-1] if stacked.rank == 2 else [])
    return g.reshape(stacked, -1, g.dims(stacked, slice(2, None)))

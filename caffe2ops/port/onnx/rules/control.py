"""Nets within operators: If and While."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from caffe2ops.dataflow import written_by
from caffe2ops.defs import NetDef
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import Node, NotPortable, Value


def condition_of(g: Builder, condition: Value) -> Value:
    return g.reshape(condition, [])


@rule("If")
def if_(g: Builder, op: Any, condition: Value, *inputs: Value, env: Any, position: Any) -> tuple[Value, ...]:
    """Blobs that a net writes without naming them among the outputs are seen outside, too."""
    nets = [op.then_net, op.else_net or NetDef()]
    seen = {name for name in written_by(op.op_def) if g.walker.is_read(name)}
    names = [*op.op_def.output, *sorted(seen - set(op.op_def.output))]
    bodies, found = [], []
    for i, net in enumerate(nets):
        with g.body("else" if i else "then") as body:
            inner = dict(env)
            g.walker.walk(body, net, inner, (*position, i))
            found.append({name: inner[name] for name in names if name in inner})
            bodies.append(body)
    opaque = {name: value for name, value in found[0].items() if value.dtype is None}  # the scope of a Do
    names = [name for name in names if all(name in inner for inner in found) or name in op.op_def.output]
    names = [name for name in names if name not in opaque]
    pairs = [(found[0].get(name), found[1].get(name)) for name in names]
    for i, (body, inner) in enumerate(zip(bodies, found)):
        for name, pair in zip(names, pairs):
            body.graph.outputs.append(_shaped_as(body, name, _own(body, name, inner), pair[1 - i]))
    results = []
    for left, right in zip(bodies[0].graph.outputs, bodies[1].graph.outputs):
        if left.dtype != right.dtype:
            raise NotPortable(f"the nets leave {left.dtype} and {right.dtype} in {left.name!r}")
        results.append(_either(left, right))
    branches = {"then_branch": bodies[0].graph, "else_branch": bodies[1].graph}
    node = Node("If", [condition_of(g, condition)], list(results), branches, name=g.unique(f"{g.scope}/If"))
    g.graph.nodes.append(node)
    for name, result in zip(names, results):
        result.name = g.unique(f"{node.name}/{name}")
        if name not in op.op_def.output:
            g.walker.settle(g, name, result, position)
            env[name] = result
    given = {**opaque, **dict(zip(names, results))}
    return tuple(given[name] for name in op.op_def.output)


def _own(body: Builder, name: str, inner: dict[str, Value]) -> Value:
    """The Value of a blob as a body gives it out: a copy of what stands outside of it."""
    if name not in inner:
        raise NotPortable(f"{name!r} is written by one of the nets alone, and has no value before")
    return body.own(inner[name])


def _shaped_as(body: Builder, name: str, value: Value, other: Value | None) -> Value:
    """The value in the rank of the other branch's, where it has less dims: ONNX wants one rank."""
    if other is None or not (value.has_rank and other.has_rank) or value.rank >= other.rank:
        return value
    body.note(f"{name!r} has {value.rank} dims in one branch and {other.rank} in the other; it gets dims of 1 there")
    return body.unsqueeze(value, *range(value.rank, other.rank))


def _either(left: Value, right: Value) -> Value:
    made = Value("", left.dtype)
    if left.has_rank and right.has_rank and left.rank == right.rank:
        made.shape = [a if a == b else None for a, b in zip(left.shape, right.shape)]
    if left.quantised != right.quantised:
        raise NotPortable("the nets leave quantised tensors of different scales")
    made.quantised = left.quantised
    return made


def looped(
    g: Builder,
    start: dict[str, Value],
    step: Callable[[Builder, Value, dict[str, Value]], tuple[Value, dict[str, Value], list[Value]]],
    condition: Value | None,
    count: Value | None = None,
) -> tuple[dict[str, Value], list[Value]]:
    """A Loop that carries blobs, and what they are after it; rows of each round are stacked.

    `step` gives the next condition, the blobs after a round, and its rows. Dims that change from round to round are
    unknown inside, which only the round itself tells: it is written anew then.
    """
    shapes = {name: value.shape if value.has_rank else None for name, value in start.items()}
    while True:
        steps, notes = len(g.walker.steps), len(g.walker.notes)
        with g.body("loop") as body:
            iteration = body.argument("iteration", np.int64, [])
            body.argument("condition", bool, [])
            inner = {name: body.argument(name, value.dtype, shapes[name]) for name, value in start.items()}
            for name, value in inner.items():
                value.quantised, value.settled = start[name].quantised, name
            goes_on, after, rows = step(body, iteration, inner)
            outputs = [body.own(after[name]) for name in start]
            body.graph.outputs += [body.own(goes_on), *outputs, *map(body.own, rows)]
        results = []
        for (name, value), out in zip(inner.items(), outputs):
            if out.dtype != value.dtype:
                raise NotPortable(f"{name!r} is {value.dtype} before the loop and {out.dtype} in it")
            results.append(_either(value, out))
        found = {name: value.shape if value.has_rank else None for name, value in zip(start, results)}
        if found == shapes:
            break
        shapes = found
        del g.walker.steps[steps:], g.walker.notes[notes:]
    stacked = [Value("", v.dtype, [None, *v.shape] if v.has_rank else None) for v in rows]
    node = Node("Loop", [count, condition, *start.values()], [*results, *stacked], {"body": body.graph})
    node.name = g.unique(f"{g.scope}/Loop")
    for name, value in zip([*start, *["rows"] * len(stacked)], (*results, *stacked)):
        value.name = g.unique(f"{node.name}/{name}")
    g.graph.nodes.append(node)
    return dict(zip(start, results)), stacked


@rule("While")
def while_(g: Builder, op: Any, condition: Value, *inputs: Value, env: Any, position: Any) -> tuple[Value, ...]:
    """A Loop whose carried values are all blobs that the nets write and that are there before."""
    nets = [net for net in (op.cond_net, op.loop_net) if net is not None]
    written = {name for net in nets for inner in net.op for name in written_by(inner)}
    name = op.op_def.input[0]
    needed = set(op.op_def.output) - set(env)
    if needed:
        raise NotPortable(f"{', '.join(sorted(needed))} has no value before the loop; fill it with zeros first")
    before = dict(env)
    if op.cond_net is not None:
        g.walker.walk(g, op.cond_net, before, (*position, 0))
    start = {blob: before[blob] for blob in sorted(written & set(before)) if before[blob].dtype is not None}

    def step(body: Builder, iteration: Value, carried: dict[str, Value]) -> Any:
        inner = {**before, **carried}
        g.walker.walk(body, op.loop_net, inner, (*position, 1))
        if op.cond_net is not None:
            g.walker.walk(body, op.cond_net, inner, (*position, 2))
        return condition_of(body, inner[name]), inner, []

    after, _ = looped(g, start, step, condition_of(g, before[name]))
    env.update(after)
    return tuple(env[blob] for blob in op.op_def.output)

"""Bodies: If as Caffe2's If, Loop and Scan as ONNXWhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from caffe2ops.defs import data_type_of
from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.steps import Body, Step
from caffe2ops.port.from_onnx.values import Listed
from caffe2ops.port.values import NotPortable, Value


@rule("If")
def choice(g: Builder, node: Node, condition: Value) -> list[Value]:
    """Both nets write the outputs; one that is known to be taken stands in the place of the node."""
    if condition.array is not None:
        graph, env = node["then_branch" if condition.array.reshape(-1)[0] else "else_branch"], dict(node.env)
        inside, g.inside = g.inside, g.scope
        g.walker.fill(g, graph, env)
        g.inside = inside
        return [env[o.name] for o in graph.output]
    bodies, found = {}, []
    for name in ("then", "else"):
        graph = node[f"{name}_branch"]
        inner, env = g.walker.body(g, graph, node.env)
        found.append([env[o.name] for o in graph.output])
        bodies[f"{name}_net"] = Body(g.names.unique(f"{g.scope}/{name}"), inner, [], found[-1])
    results = [Value(g.names.unique(f"{g.scope}/If")) for _ in node.outputs]
    for body, values in zip(bodies.values(), found):
        for value, result in zip(values, results):
            body.builder.steps.append(Step("Copy", [value], [result], {}, g.node))
        body.outputs = results
    for result, one, other in zip(results, *found):
        if isinstance(one, Listed) or isinstance(other, Listed):
            raise NotPortable("chooses between sequences, Caffe2 has tensors only")
        if one.dtype != other.dtype:
            raise NotPortable(f"its branches give {one.dtype} and {other.dtype}")
        same_rank = one.has_rank and other.has_rank and one.rank == other.rank
        result.dtype = one.dtype
        result.shape = [a if a == b else None for a, b in zip(one.shape, other.shape)] if same_rank else None
    outside = [v for body in bodies.values() for v in body.read()]
    g.steps.append(Step("If", [condition, *dict.fromkeys(outside)], results, {}, g.node, bodies))
    return results


def loop(
    g: Builder, count: Value | None, condition: Value | None, carried: Sequence[Value],
    step: Callable[[Builder, list[Value]], tuple[Value | None, Sequence[Value], Sequence[Value]]],
    shapes: Sequence[Any] = (),
) -> tuple[list[Value], list[Value]]:  # fmt: skip
    """An ONNXWhile: carried values after the last round, and what each round gives, joined along a new first axis.

    `step(body, [round, condition, *carried])` gives the next condition (None: goes on), the next values, the row.
    """
    inner, name = Builder(g), g.names.unique(f"{g.scope}/body")
    inner.walker, inner.inside, inner.scope = g.walker, g.scope, name
    dims = [*shapes, *[v.shape if v.has_rank else None for v in carried[len(shapes) :]]]
    names = ["round", "condition", *(f"carried_{i}" for i in range(len(carried)))]
    kinds = [(np.int64, []), (bool, []), *zip((v.dtype for v in carried), dims)]
    inputs = [Value(g.names.unique(f"{name}/{n}"), *kind) for n, kind in zip(names, kinds)]
    for value in inputs:
        value.settled = value.name
    goes_on, following, rows = step(inner, inputs)
    outputs = [inner.Copy(v) for v in (goes_on if goes_on is not None else inputs[1], *following)]
    outputs += [inner.unsqueeze(v, 0) for v in rows]  # which ONNXWhile joins along their first axis
    body = Body(name, inner, inputs, outputs)
    made = [Value(g.names.unique(f"{g.scope}/ONNXWhile"), v.dtype, s) for v, s in zip(carried, dims)]
    made += [
        Value(g.names.unique(f"{g.scope}/ONNXWhile"), v.dtype, [None, *v.shape] if v.has_rank else None) for v in rows
    ]
    given = [count or g.constant(np.int64(0)), condition or g.constant(np.asarray(True))]
    args = {
        "has_trip_count": int(count is not None), "has_cond": int(goes_on is not None),
        "num_loop_carried_deps": len(carried), "disable_scopes": 1,
    }  # fmt: skip
    g.steps.append(Step("ONNXWhile", [*given, *carried, *body.read()], made, args, g.node, {"body": body}))
    if count is not None and count.array is not None and count.array > 0 and goes_on is None:
        return made[: len(carried)], made[len(carried) :]
    return made[: len(carried)], [_of_no_round(g, v) for v in made[len(carried) :]]


def _of_no_round(g: Builder, rows: Value) -> Value:
    """Joined rows in their dtype and shape, which ONNXWhile doesn't know where there was no round."""
    inner = [d for d in rows.shape[1:] if isinstance(d, int)] if rows.has_rank else None
    if inner is None or len(inner) < rows.rank - 1:
        g.note("where there is no round at all, what the rounds give has the shape [0]")
        return rows
    dtype, rows.dtype = rows.dtype, np.dtype(np.int32)
    found = g.one("Cast", rows, to=int(data_type_of(dtype)))
    return g.reshape(found, [-1, *inner]) if inner else found


def _walked(g: Builder, node: Node, inner: Builder, inputs: Sequence[Value], shapes_of: Any = None) -> list[Value]:
    """The outputs of a node's body, added to `inner`, for these inputs."""
    graph = node["body"]
    env = {**node.env, **{info.name: value for info, value in zip(graph.input, inputs)}}
    g.walker.fill(inner, graph, env)
    return [env[o.name] for o in graph.output]


@rule("Loop")
def repeated(g: Builder, node: Node, count: Value | None, condition: Value | None, *carried: Value) -> list[Value]:
    graph = node["body"]

    def step(inner: Builder, inputs: list[Value]) -> Any:
        first, *rest = _walked(g, node, inner, inputs)
        return first, rest[: len(carried)], rest[len(carried) :]

    shapes = [g.walker.declared(info) for info in graph.input[2:]]
    done, rows = loop(g, count, condition, carried, step, shapes)
    return [*done, *rows]


@rule("Scan")
def scan(g: Builder, node: Node, *inputs: Value | None) -> list[Value]:
    """A loop over the rows of some inputs."""
    if node.opset < 9:
        raise NotPortable("has a batch axis, as before opset 9")
    n = node["num_scan_inputs"]
    carried, rows = ([v for v in part if v is not None] for part in (inputs[:-n], inputs[-n:]))
    axes, backwards = (list(node[f"scan_input_{name}"] or [0] * n) for name in ("axes", "directions"))
    length = g.dim(rows[0], axes[0])
    count = g.constant(np.int64(length)) if isinstance(length, int) else g.reshape(length, [])
    last = g.constant(np.int64(length - 1)) if isinstance(length, int) else g.Sub(count, np.int64(1))

    def step(inner: Builder, given: list[Value]) -> Any:
        turn, _, *state = given
        parts = []
        for row, axis, back in zip(rows, axes, backwards):
            at = inner.Sub(last, turn) if back else turn
            parts.append(inner.one("Gather", row, at, axis=axis % row.rank))
        found = _walked(g, node, inner, [*state, *parts])
        return None, found[: len(carried)], found[len(carried) :]

    done, found = loop(g, count, None, carried, step)
    out_axes, out_back = (node[f"scan_output_{name}"] or [0] * len(found) for name in ("axes", "directions"))
    results = []
    for value, axis, back in zip(found, out_axes, out_back):
        value.shape = [length if isinstance(length, int) else None, *value.shape[1:]]
        turned = g.one("Gather", value, g.Sub(last, g.Range(count)), axis=0) if back else value
        results.append(g.moved(turned, 0, axis))
    return [*done, *results]

"""RecurrentNetwork: a loop over time steps that carries the states, a row for each step."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.dataflow import written_by
from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import NotPortable, Value


@rule("RecurrentNetwork")
def recurrent_network(g: Builder, op: Any, x: Value, *inputs: Value, env: Any, position: Any) -> list[Value | None]:
    """Links cut rows out of sequences for the step net, and put those that it writes into the states."""
    net, count = op.net_of("step_net"), g.dim(x, 0)
    written = {name for each in net.op for name in written_by(each)}
    starts = dict(op.columns("recurrent_states", "initial_recurrent_state_ids"))
    states = {name: _begun(g, (x, *inputs)[i], x, count) for name, i in starts.items()}
    links = op.links()
    for link in links:
        if link.external not in states and (link.external not in env or link.internal in written):
            raise NotPortable(f"the step net writes rows of {link.external!r}, which is no state")

    def step(body: Builder, iteration: Value, *carried: Value) -> Any:
        now = dict(zip(states, carried))
        inner = {**env, **now, op.timestep: body.cast(body.reshape(iteration, [1]), np.int32)}
        rows = {link: body.reshape(body.Add(iteration, np.int64(link.offset)), [1]) for link in links}
        seen: dict[Any, Value] = {}  # the sequence that a link was cut out of last

        for index, each in enumerate(net.op):
            for link in links:  # a link is a view: it shows what another one has written
                sequence = now.get(link.external, env.get(link.external))
                if link.internal in each.input and seen.get(link) is not sequence:
                    seen[link] = sequence
                    first = rows[link]
                    part = body.Slice(sequence, first, body.Add(first, np.int64(link.window)), [0])
                    part.shape = [link.window, *sequence.shape[1:]]
                    inner[link.internal] = part
            g.walker.walk(body, net, inner, (*position, 0), only=index)
            for link in links:
                if link.internal in each.output:
                    at = body.Add(rows[link], np.arange(link.window))
                    state = now[link.external]
                    changed = body.ScatterND(state, body.unsqueeze(at, 1), inner[link.internal])
                    changed.shape = state.shape
                    now[link.external] = seen[link] = changed
        return None, list(now.values()), ()

    final = dict(zip(states, g.loop(list(states.values()), step, count=count)))
    given = {}
    for source, name, offset in op.columns("alias_src", "alias_dst", "alias_offset"):
        given[name] = g.slice(final[source], 0, offset, np.iinfo(np.int64).max) if offset else final[source]
    return [given.get(name) for name in op.op_def.output]


def _begun(g: Builder, initial: Value, x: Value, count: Value) -> Value:
    """A state with its first rows, [L, N, D], and zeros for all steps."""
    rows = initial
    if initial.rank < 3:
        size = g.dims(initial, [initial.rank - 1])
        rows = g.Expand(initial, g.vector(1, g.dims(x, [1]), size))
    rest = g.full(g.vector(g.reshape(count, [1]), g.dims(rows, [1, 2])), 0, initial.dtype)
    made: Value = g.Concat(rows, rest, axis=0)
    made.shape = [None, *made.shape[1:]] if made.rank == 3 else None  # known or not, it must fit the loop
    return made

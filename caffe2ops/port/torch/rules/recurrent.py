"""Steps of recurrent nets, and whole ones: loops over the rows of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.dataflow import written_by
from caffe2ops.defs import NetDef
from caffe2ops.infer import UNKNOWN, TensorSpec
from caffe2ops.port.torch.rules import rule
from caffe2ops.port.torch.text import identifier, literal
from caffe2ops.port.torch.values import Tensor
from caffe2ops.port.torch.writer import Several, Writer
from caffe2ops.port.values import NotPortable


def _over(t: Writer, op: Any, rest: tuple[Tensor, ...]) -> str:
    """The rows whose sequence is over, as source; nothing without lengths."""
    if not op.sequence_lengths:
        return "None"
    lengths, step = rest[:2]
    return f"({lengths} <= {step}).reshape(1, -1, 1)"


@rule("LSTMUnit")
def lstm_unit(t: Writer, op: Any, hidden: Tensor, cell: Tensor, gates: Tensor, *rest: Tensor) -> Several:
    given = (op.forget_bias, bool(op.drop_states))
    return Several(t.call("lstm_unit", hidden, cell, gates, _over(t, op, rest), *given))


@rule("GRUUnit")
def gru_unit(t: Writer, op: Any, hidden: Tensor, gates: Tensor, *rest: Tensor) -> str:
    return t.call("gru_unit", hidden, gates, _over(t, op, rest), bool(op.drop_states))


@rule("VariableLengthSequencePadding")
def sequence_padding(t: Writer, op: Any, data: Tensor, lengths: Tensor) -> str:
    steps = t.let("steps", f"torch.arange({data}.shape[0], device={data}.device)[:, None]")
    return f"torch.where(({steps} < {lengths})[:, :, None], {data}, 0)"


@rule("CTCGreedyDecoder")
def greedy_decoder(t: Writer, op: Any, scores: Tensor, lengths: Tensor | None = None) -> Several:
    return Several(t.call("greedy_symbols", scores, "None" if lengths is None else lengths, bool(op.merge_repeated)))


@rule("InferenceLSTM")
def inference_lstm(t: Writer, op: Any, x: Tensor, hidden: Tensor, cell: Tensor, *parameters: Tensor) -> Any:
    """PyTorch has the gates in the same order."""
    if all(p.owned for p in parameters):
        size = hidden.static(2)
        given = {
            "num_layers": (op.num_layers, 1), "bias": (bool(op.has_biases), True),
            "batch_first": (bool(op.batch_first), False), "bidirectional": (bool(op.bidirectional), False),
        }  # fmt: skip
        more = "".join(f", {name}={literal(value)}" for name, (value, default) in given.items() if value != default)
        ends = [f"l{layer}{way}" for layer in range(op.num_layers) for way in ("", "_reverse")[: 1 + op.bidirectional]]
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if op.has_biases else 2]
        names = [f"{kind}_{end}" for end in ends for kind in kinds]
        states = {name: (p, lambda a: a) for name, p in zip(names, parameters)}
        made = t.module(f"nn.LSTM({parameters[0].static(1)}, {size}{more})", states, name=op.op_def.output[0] + "_lstm")
        found = t.let("found", f"{made}({x}, ({hidden}, {cell}))")
        return f"{found}[0]", f"{found}[1][0]", f"{found}[1][1]"
    weights = f"[{', '.join(map(str, parameters))}]"
    biases, both, first = (literal(bool(flag)) for flag in (op.has_biases, op.bidirectional, op.batch_first))
    options = f"{biases}, {op.num_layers}, 0.0, False, {both}, {first}"
    return Several(f"torch.lstm({x}, ({hidden}, {cell}), {weights}, {options})")


@rule("RecurrentNetwork")
def recurrent_network(t: Writer, op: Any, x: Tensor, *inputs: Tensor) -> list[str | None]:
    """Links cut rows out of sequences for the step net, and put those that it writes into the states."""
    net, env, states = op.net_of("step_net"), dict(t.env), dict[str, Tensor]()
    links, written = op.links(), {name for each in net.op for name in written_by(each)}
    for name, i in op.columns("recurrent_states", "initial_recurrent_state_ids"):
        initial, local = (x, *inputs)[i], t.locals.unique(identifier(name))
        t.line(f"{local} = {t.call('begun', initial, x)}")
        spec = TensorSpec([UNKNOWN, x.spec.shape[1], initial.spec.shape[-1]], initial.dtype)
        env[name] = states[name] = Tensor(local, spec)
    for link in links:
        if link.external not in states and (link.external not in env or link.internal in written):
            raise NotPortable(f"the step net writes rows of {link.external!r}, which is no state")
    step, versions = t.locals.unique("step"), dict.fromkeys(env, 0)
    seen: dict[Any, int] = {}  # which version of its sequence a link shows
    with t.block(f"for {step} in range({x}.shape[0]):"):
        number = t.locals.unique(identifier(op.timestep))
        t.line(f"{number} = torch.tensor([{step}], dtype=torch.int32, device={x}.device)")
        env[op.timestep] = Tensor(number, TensorSpec([1], np.int32))
        for each in net.op:
            for link in links:  # a link is a view: it shows what another one has written
                if link.internal in each.input and seen.get(link) != versions[link.external]:
                    seen[link], sequence = versions[link.external], env[link.external]
                    local = t.locals.unique(identifier(link.internal))
                    t.line(f"{local} = {sequence}[{_at(step, link.offset)} : {_at(step, link.offset + link.window)}]")
                    spec = TensorSpec([link.window, *sequence.spec.shape[1:]], sequence.dtype)
                    env[link.internal] = Tensor(local, spec)
            t.walk(NetDef(name=net.name, op=(each,)), env)
            for link in links:
                if link.internal in each.output:
                    state = states[link.external]
                    t.line(f"{state} = {t.call('put_rows', state, _at(step, link.offset), env[link.internal])}")
                    versions[link.external] += 1
                    seen[link] = versions[link.external]
    given = {}
    for source, name, offset in op.columns("alias_src", "alias_dst", "alias_offset"):
        given[name] = f"{states[source]}[{offset}:]" if offset else str(states[source])
    return [given.get(name) for name in op.op_def.output]


def _at(step: str, offset: int) -> str:
    return f"{step} + {offset}" if offset > 0 else f"{step} - {-offset}" if offset else step

"""Recurrent cells, and whole LSTMs."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe2ops.port.onnx.builder import Builder
from caffe2ops.port.onnx.rules import rule
from caffe2ops.port.values import Value


def staying(g: Builder, op: Any, rest: tuple[Value, ...], pairs: list[tuple[Value, Value]]) -> list[Value]:
    """(new, old) states: those of rows whose sequence is over stay as they were, or become 0."""
    if not op.sequence_lengths:
        return [new for new, _ in pairs]
    lengths, step = rest[:2]
    over = g.LessOrEqual(g.reshape(lengths, [1, -1, 1]), g.reshape(step, []))
    return [g.Where(over, 0 if op.drop_states else old, new) for new, old in pairs]


@rule("LSTMUnit")
def lstm_unit(g: Builder, op: Any, hidden: Value, cell: Value, gates: Value, *rest: Value) -> list[Value]:
    size = gates.static(2, "gates") // 4
    i, f, o, c = g.split(gates, [size] * 4, 2)
    f = g.Add(f, op.forget_bias) if op.forget_bias else f
    i, f, o = (g.Sigmoid(v) for v in (i, f, o))
    new_cell = g.Add(g.Mul(f, cell), g.Mul(i, g.Tanh(c)))
    return staying(g, op, rest, [(g.Mul(o, g.Tanh(new_cell)), hidden), (new_cell, cell)])


@rule("GRUUnit")
def gru_unit(g: Builder, op: Any, hidden: Value, gates: Value, *rest: Value) -> list[Value]:
    size = gates.static(2, "gates") // 3
    _, update, output = g.split(gates, [size] * 3, 2)
    update = g.Sigmoid(update)
    rest_of = g.Sub(np.ones((), gates.dtype), update)
    return staying(g, op, rest, [(g.Add(g.Mul(update, hidden), g.Mul(rest_of, g.Tanh(output))), hidden)])


@rule("InferenceLSTM")
def inference_lstm(g: Builder, op: Any, x: Value, hidden: Value, cell: Value, *parameters: Value) -> tuple[Value, ...]:
    """ONNX has the gates in the order input, output, forget, cell; the parameters: input, forget, cell, output."""
    directions, each = 2 if op.bidirectional else 1, 4 if op.has_biases else 2
    size = hidden.static(2, "hidden")

    def reordered(parts: list[Value]) -> Value:
        """One parameter of all directions, with the gates in ONNX's order."""
        found = []
        for part in parts:
            i, f, c, o = g.split(part, [size] * 4, 0)
            found.append(g.unsqueeze(g.Concat(i, o, f, c, axis=0), 0))
        return g.Concat(*found, axis=0) if len(found) > 1 else found[0]

    y = g.transpose(x, [1, 0, 2]) if op.batch_first else x
    states: tuple[list[Value], list[Value]] = ([], [])
    for layer in range(op.num_layers):
        first = layer * directions
        cells = [parameters[k * each : (k + 1) * each] for k in range(first, first + directions)]
        w, r, *biases = (reordered([own[i] for own in cells]) for i in range(each))
        begin = [g.slice(v, 0, first, first + directions) for v in (hidden, cell)]
        bias = g.Concat(*biases, axis=1) if biases else None
        y, h, c = g.LSTM(
            y,
            w,
            r,
            bias,
            None,
            *begin,
            out=3,
            hidden_size=size,
            direction="bidirectional" if op.bidirectional else None,
        )
        states[0].append(h)
        states[1].append(c)
        y = g.reshape(g.transpose(y, [0, 2, 1, 3]), g.dims(y, [0]), g.dims(y, [2]), size * directions)
    final = [g.Concat(*v, axis=0) if len(v) > 1 else v[0] for v in states]
    return g.transpose(y, [1, 0, 2]) if op.batch_first else y, *final

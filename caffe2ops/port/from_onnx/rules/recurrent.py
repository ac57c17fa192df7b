"""Recurrent layers: InferenceLSTM where it fits, else a loop (ONNXWhile) over the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe2ops.port.from_onnx.builder import Builder
from caffe2ops.port.from_onnx.node import Node
from caffe2ops.port.from_onnx.rules import rule
from caffe2ops.port.from_onnx.rules.control import loop
from caffe2ops.port.values import NotPortable, Value

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
# name -> Caffe2's operator, and its arguments for alpha and beta with ONNX's defaults
ACTIVATIONS = {
    "relu": ("Relu", {}), "tanh": ("Tanh", {}), "sigmoid": ("Sigmoid", {}), "softsign": ("Softsign", {}),
    "softplus": ("Softplus", {}), "leakyrelu": ("LeakyRelu", {"alpha": 0.01}), "elu": ("Elu", {"alpha": 1.0}),
    "thresholdedrelu": ("ThresholdedRelu", {"alpha": 1.0}), "hardsigmoid": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
}  # fmt: skip
Activation = Callable[[Builder, Value], Value]


@dataclass
class Layer:
    """One direction of a layer: weights [gates H, I] and [gates H, H], biases [gates H] of both, peepholes [3 H]."""

    node: Node
    size: int
    w: Value
    r: Value
    w_bias: Value
    r_bias: Value
    peephole: Value | None
    activations: list[Activation]
    clip: float | None

    def gates(self, g: Builder, x: Value, count: int) -> list[Value]:
        return g.split(x, [self.size] * count, 1)

    def act(self, g: Builder, index: int, x: Value) -> Value:
        if self.clip:
            x = g.Clip(x, min=-self.clip, max=self.clip)
        return self.activations[index](g, x)

    def step(self, g: Builder, x: Value, h: Value, c: Value | None) -> tuple[Value, ...]:
        """The next states, for a step's share of the input [N, gates H]."""
        return {"RNN": self._rnn, "GRU": self._gru, "LSTM": self._lstm}[self.node.type](g, x, h, c)

    def _rnn(self, g: Builder, x: Value, h: Value, c: Value | None) -> tuple[Value, ...]:
        return (self.act(g, 0, g.Add(x, g.FC(h, self.r, self.r_bias))),)

    def _gru(self, g: Builder, x: Value, h: Value, c: Value | None) -> tuple[Value, ...]:
        of_x = self.gates(g, x, 3)
        if self.node["linear_before_reset"]:
            of_h = self.gates(g, g.FC(h, self.r, self.r_bias), 3)
            z, r = (self.act(g, 0, g.Add(a, b)) for a, b in zip(of_x[:2], of_h))
            new = self.act(g, 1, g.Add(of_x[2], g.Mul(r, of_h[2])))
        else:
            (r_zr, r_h), (b_zr, b_h) = (
                [g.op("Slice", v, starts=[a] + [0] * (v.rank - 1), ends=[b] + [-1] * (v.rank - 1))
                 for a, b in ((0, 2 * self.size), (2 * self.size, 3 * self.size))]
                for v in (self.r, self.r_bias)
            )  # fmt: skip
            of_h = self.gates(g, g.FC(h, r_zr, b_zr), 2)
            z, r = (self.act(g, 0, g.Add(a, b)) for a, b in zip(of_x[:2], of_h))
            new = self.act(g, 1, g.Add(of_x[2], g.FC(g.Mul(r, h), r_h, b_h)))
        return (g.Add(new, g.Mul(z, g.Sub(h, new))),)

    def _lstm(self, g: Builder, x: Value, h: Value, c: Value | None) -> tuple[Value, ...]:
        assert c is not None
        i, o, f, new = self.gates(g, g.Add(x, g.FC(h, self.r, self.r_bias)), 4)
        p_i = p_o = p_f = None
        if self.peephole is not None:
            p_i, p_o, p_f = g.split(self.peephole, [self.size] * 3, 0)
            i, f = g.Add(i, g.Mul(c, p_i)), g.Add(f, g.Mul(c, p_f))
        i = self.act(g, 0, i)
        f = g.Sub(g.like(i, 1), i) if self.node["input_forget"] else self.act(g, 0, f)
        cell = g.Add(g.Mul(f, c), g.Mul(i, self.act(g, 1, new)))
        o = self.act(g, 0, o if p_o is None else g.Add(o, g.Mul(cell, p_o)))
        return g.Mul(o, self.activations[2](g, cell)), cell


@rule("RNN", "GRU", "LSTM")
def recurrent(
    g: Builder, node: Node, x: Value, w: Value, r: Value, b: Value | None = None, lengths: Value | None = None,
    h: Value | None = None, c: Value | None = None, p: Value | None = None,
) -> list[Value]:  # fmt: skip
    size, batch_first = node["hidden_size"] or r.static(-1), bool(node["layout"])
    count = w.static(0)
    backwards = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[node["direction"]]
    if batch_first:
        x = g.transpose(x, [1, 0, 2])
        h, c = (None if v is None else g.transpose(v, [1, 0, 2]) for v in (h, c))
    gates = GATES[node.type]
    b = g.full([count, 2 * gates * size], 0, x.dtype) if b is None else b
    states = [v if v is not None else _zeros(g, x, count, size) for v in ((h, c) if node.type == "LSTM" else (h,))]
    found = _names(node, count), node["activation_alpha"] or [], node["activation_beta"] or []
    plain = not any(node.has(n) for n in ("clip", "input_forget", "activation_alpha", "activation_beta"))
    usual = [n.lower() for n in found[0]] == [n.lower() for n in DEFAULTS[node.type]] * count
    if node.type == "LSTM" and plain and usual and lengths is None and p is None and node["direction"] != "reverse":
        results = _inference(g, x, w, r, b, states, size)
    else:
        functions = _activations(*found)
        each = len(functions) // count
        parts = []
        for d, back in enumerate(backwards):
            of_x, of_h = g.split(_of(g, b, d), [gates * size] * 2, 0)
            layer = Layer(node, size, _of(g, w, d), _of(g, r, d), of_x, of_h, None if p is None else _of(g, p, d),
                          functions[d * each : (d + 1) * each], node["clip"])  # fmt: skip
            parts.append(_direction(g, layer, x, lengths, [_of(g, s, d) for s in states], back))
        results = [g.join([g.unsqueeze(part[i], 1 if i == 0 else 0) for part in parts], 1 if i == 0 else 0)
                   for i in range(len(states) + 1)]  # fmt: skip
    if batch_first:
        results = [g.transpose(results[0], [2, 0, 1, 3]), *(g.transpose(v, [1, 0, 2]) for v in results[1:])]
    return results


def _zeros(g: Builder, x: Value, count: int, size: int) -> Value:
    lanes = g.dims(x, 1)
    return g.full(g.join([np.asarray([count]), lanes, np.asarray([size])], 0) if lanes.array is None
                  else [count, int(lanes.array[0]), size], 0, x.dtype)  # fmt: skip


def _of(g: Builder, x: Value, index: int) -> Value:
    """Row `index` of a stack."""
    if x.array is not None:
        return g.constant(x.array[index])
    return g.squeeze(g.cut(x, 0, index, index + 1), 0)


def _names(node: Node, count: int) -> list[str]:
    given: list[str] = node["activations"] if node.has("activations") else DEFAULTS[node.type] * count
    return given


def _activations(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]) -> list[Activation]:
    """The functions; alphas and betas go in turn to those that take them."""
    given = {"alpha": iter(alphas), "beta": iter(betas)}
    found: list[Activation] = []
    for name in names:
        if name.lower() not in ACTIVATIONS:
            raise NotPortable(f"activation {name!r}, wants one of {', '.join(ACTIVATIONS)}")
        operator, defaults = ACTIVATIONS[name.lower()]
        args = {key: next(given[key], default) for key, default in defaults.items()}

        def call(g: Builder, x: Value, operator: str = operator, args: Any = args) -> Value:
            return g.one(operator, x, **args)

        found.append(call)
    return found


def _inference(g: Builder, x: Value, w: Value, r: Value, b: Value, states: Sequence[Value], size: int) -> list[Value]:
    """By Caffe2's InferenceLSTM, whose gates are input, forget, cell, output."""
    count = w.static(0)
    rows = np.concatenate([np.arange(k * size, (k + 1) * size) for k in (0, 2, 3, 1)])
    params = []
    for d in range(count):
        biases = g.split(_of(g, b, d), [4 * size] * 2, 0)
        for value in (_of(g, w, d), _of(g, r, d), *biases):
            params.append(
                g.constant(value.array[rows]) if value.array is not None else g.op("Gather", value, rows, axis=0)
            )
    y, h, c = g.op("InferenceLSTM", x, *states, *params, out=3, bidirectional=int(count == 2) or None)
    if count == 1:
        return [g.unsqueeze(y, 1), h, c]
    y = g.join([g.unsqueeze(half, 1) for half in g.split(y, [size, size], 2)], 1)
    return [y, h, c]


def _direction(
    g: Builder, layer: Layer, x: Value, lengths: Value | None, states: Sequence[Value], backwards: bool
) -> list[Value]:  # fmt: skip
    """Hidden states of all steps [T, N, H], and the last states."""
    shares = g.FC(x, layer.w, layer.w_bias, axis=2)  # of the inputs, for all steps at once
    steps = g.reshape(g.dims(x, 0), [])
    last = g.Sub(steps, np.int64(1)) if steps.array is None else g.constant(steps.array - 1)

    def step(inner: Builder, given: list[Value]) -> Any:
        turn, _, *old = given
        at = inner.Sub(last, turn) if backwards else turn
        new = layer.step(inner, inner.op("Gather", shares, at, axis=0), old[0], old[1] if len(old) > 1 else None)
        if lengths is None:
            return None, new, [new[0]]
        inside = inner.unsqueeze(inner.LT(at, inner.cast(lengths, np.int64)), 1)
        kept = [inner.where(inside, a, b) for a, b in zip(new, old)]
        return None, kept, [inner.where(inside, new[0], inner.like(new[0], 0))]

    done, (rows,) = loop(g, steps, None, states, step)
    if backwards:
        turns = g.Range(steps) if steps.array is None else g.constant(np.arange(int(steps.array)))
        rows = g.one("Gather", rows, g.Sub(last, turns) if turns.array is None else turns.array[::-1].copy(), axis=0)
    rows.shape = (*x.shape[:2], layer.size)
    return [rows, *done]

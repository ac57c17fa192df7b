"""LSTMUnit, GRUUnit and their gradients on CUDA arrays: a thread for each element of the states, or of the gates."""

from __future__ import annotations

from typing import Any

from caffe2ops.cuda import Elementwise

_SIGMOID = "__device__ __forceinline__ T sigmoid(T x) { return T(1) / (T(1) + exp(-x)); }"
# Element k of row n, whose sequence is maybe over; of the gates also which one it is.
_OVER = "const bool over = timed && lengths[n] <= step[0]; "
_STATE = f"const long long n = i / d, k = i % d; {_OVER}"
_GATE = (
    "const long long n = i / d / {gates}, k = i % d, at = n * d + k; const int gate = int(i / d % {gates}); " + _OVER
)
_LSTM = (
    "const T* row = gates + n * 4 * d + k; [[maybe_unused]] const T in = sigmoid(row[0]), g = tanh(row[3 * d]), "
    "forget = sigmoid(row[d] + T(forget_bias)), out = sigmoid(row[2 * d]); "
)
_GRU = (
    "const T* row = gates + n * 3 * d + k; const T update = sigmoid(row[d]), out = tanh(row[2 * d]), "
    "rest = T(1) - update; "
)
# What reaches the cell state, of itself and through the hidden state.
_THROUGH = "const T t = tanh(cell{at}), through = (T(1) - t * t) * dhidden{at} * out + dcell{at}; "


def _kernel(name: str, expression: str, inputs: str, outputs: str, tables: str) -> Elementwise:
    return Elementwise(
        expression, inputs, outputs, tables=f"{tables} lengths:int32 step:int32", int_scalars="d timed drop",
        scalars="forget_bias" if name.startswith("lstm") else "", dtypes=("float32", "float64"), preamble=_SIGMOID,
        name=name,
    )  # fmt: skip


_LSTM_UNIT = _kernel(
    "lstm_unit",
    f"{_STATE}{_LSTM}cell = forget * cell_prev + in * g; hidden = out * tanh(cell); "
    "if (over) { hidden = drop ? T(0) : hidden_prev; cell = drop ? T(0) : cell_prev; }",
    "hidden_prev cell_prev", "hidden cell", "gates",
)  # fmt: skip
_LSTM_STATES_BACK = _kernel(
    "lstm_states_back",
    f"{_STATE}{_LSTM}{_THROUGH.format(at='')}dhidden_prev = over && !drop ? dhidden : T(0); "
    "dcell_prev = !over ? through * forget : drop ? T(0) : dcell;",
    "cell dhidden dcell", "dhidden_prev dcell_prev", "gates",
)  # fmt: skip
_LSTM_GATES_BACK = _kernel(
    "lstm_gates_back",
    f"{_GATE.format(gates=4)}{_LSTM}{_THROUGH.format(at='[at]')}"
    "dgates = gate == 0 ? (T(1) - in) * in * through * g : gate == 1 ? (T(1) - forget) * forget * through * "
    "cell_prev[at] : gate == 2 ? (T(1) - out) * out * dhidden[at] * t : (T(1) - g * g) * through * in; "
    "if (over) dgates = T(0);",
    "", "dgates", "cell_prev gates cell dhidden dcell",
)  # fmt: skip
_GRU_UNIT = _kernel(
    "gru_unit",
    f"{_STATE}{_GRU}hidden = over ? (drop ? T(0) : hidden_prev) : out * rest + update * hidden_prev;",
    "hidden_prev", "hidden", "gates",
)  # fmt: skip
_GRU_STATES_BACK = _kernel(
    "gru_states_back",
    f"{_STATE}const T update = sigmoid(gates[(3 * n + 1) * d + k]); "
    "dhidden_prev = !over ? dhidden * update : drop ? T(0) : dhidden;",
    "dhidden", "dhidden_prev", "gates",
)  # fmt: skip
_GRU_GATES_BACK = _kernel(
    "gru_gates_back",
    f"{_GATE.format(gates=3)}{_GRU}const T dh = dhidden[at]; "
    "dgates = over || gate == 0 ? T(0) : gate == 1 ? dh * update * (hidden_prev[at] - out) * rest "
    ": dh * (T(1) - out * out) * rest;",
    "", "dgates", "hidden_prev gates dhidden",
)  # fmt: skip


def _common(op: Any, hidden: Any, lengths: Any, step: Any) -> dict[str, Any]:
    """What all kernels of a unit take; without lengths the step stands in their place, unread."""
    timing = {"lengths": step if lengths is None else lengths, "step": step, "timed": lengths is not None}
    bias = {"forget_bias": op.forget_bias} if hasattr(op, "forget_bias") else {}
    return {"d": hidden.shape[2], "drop": op.drop_states} | timing | bias


def lstm_unit(op: Any, states: tuple[Any, ...], gates: Any, timing: tuple[Any, Any], outs: tuple[Any, ...]) -> Any:
    """Hidden and cell state after a step; `timing` are lengths (None for none) and step."""
    return _LSTM_UNIT(*states, out=outs, gates=gates, **_common(op, states[0], *timing))


def lstm_gradient(op: Any, cell_prev: Any, gates: Any, timing: tuple[Any, Any], states: Any, outs: Any) -> Any:
    """Gradients of both states and the gates; `states` are hidden, cell and their gradients."""
    _, cell, dhidden, dcell = states
    common = {"gates": gates} | _common(op, cell_prev, *timing)
    _LSTM_STATES_BACK(cell, dhidden, dcell, out=outs[:2], **common)
    _LSTM_GATES_BACK(out=outs[2], cell_prev=cell_prev, cell=cell, dhidden=dhidden, dcell=dcell, **common)
    return outs


def gru_unit(op: Any, hidden_prev: Any, gates: Any, timing: tuple[Any, Any], hidden: Any) -> Any:
    """The hidden state after a step; `timing` are lengths (None for none) and step."""
    return _GRU_UNIT(hidden_prev, out=hidden, gates=gates, **_common(op, hidden_prev, *timing))


def gru_gradient(op: Any, hidden_prev: Any, gates: Any, timing: tuple[Any, Any], dhidden: Any, outs: Any) -> Any:
    """Gradients of the hidden state before and of the gates."""
    common = {"gates": gates} | _common(op, hidden_prev, *timing)
    _GRU_STATES_BACK(dhidden, out=outs[0], **common)
    _GRU_GATES_BACK(out=outs[1], hidden_prev=hidden_prev, dhidden=dhidden, **common)
    return outs

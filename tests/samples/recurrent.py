"""Recurrent networks, forwards and backwards, and the operators inside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.formats import pbtxt
from tests.kit.sample import Blob, Sample, int32s, normal, strings

STEP = int32s(1)


def op(type: str, inputs: str, outputs: str, **args: Any) -> OperatorDef:
    return OperatorDef(type=type, input=tuple(inputs.split()), output=tuple(outputs.split()), args=args)


# A simple cell: h = tanh(x + W h' + b), its inputs in0 (x), in1 (the initial state), in2 (W), in3 (b).
CELL = NetDef(
    name="cell",
    op=(op("FC", "h_prev in2 in3", "f", axis=2), op("Sum", "f x_t", "s"), op("Tanh", "s", "h")),
    external_input=("x_t", "h_prev", "in2", "in3"),
    external_output=("h",),
)
BACK = NetDef(
    name="cell_back",
    op=(
        op("TanhGradient", "h h_grad", "s_grad"),
        op("FCGradient", "h_prev in2 s_grad", "w_grad b_grad h_prev_grad", axis=2),
    ),
    external_input=("in2", "in3"),
)
LINKS = {
    "link_internal": ["h_prev", "h", "x_t"],
    "link_external": ["states", "states", "in0"],
    "link_offset": [0, 1, 0],
}
ALIASES = {"alias_src": ["states", "states"], "alias_dst": ["out0", "out1"], "alias_offset": [1, -1]}
FORWARD = {"step_net": CELL, "recurrent_states": ["states"], "initial_recurrent_state_ids": [1], **LINKS, **ALIASES}
BACKWARD = {
    "backward_step_net": BACK,
    "backward_link_internal": ["h_grad", "h_prev_grad", "s_grad"],
    "backward_link_external": ["states_grad", "states_grad", "in0_grad"],
    "backward_link_offset": [1, 0, 0],
    "param": [2, 3],
    "param_grads": ["w_grad", "b_grad"],
    "outputs_with_grads": [0, 1],
}
BOTH = {**FORWARD, **BACKWARD}
INPUTS = [normal(4, 2, 3), normal(1, 2, 3, seed=1), normal(3, 3, seed=2), normal(3, seed=3)]


def network(args: dict[str, Any], inputs: Sequence[np.ndarray] = INPUTS, **more: Any) -> Sample:
    return Sample("RecurrentNetwork", inputs, args, **{"outputs": 3, **more})


# The last two elements of a sequence, beginning with one row of padding: y = sum over them.
WINDOW = {
    "step_net": NetDef(
        name="pair", op=(op("Copy", "x_t", "x_new"), op("ReduceSum", "both", "y", axes=[0], keepdims=1))
    ),
    "recurrent_states": ["seen", "sums"],
    "initial_recurrent_state_ids": [1, 2],
    "link_internal": ["x_t", "x_new", "both", "y"],
    "link_external": ["in0", "seen", "seen", "sums"],
    "link_offset": [0, 2, 1, 1],
    "link_window": [1, 1, 2, 1],
    "alias_src": ["seen", "sums"],
    "alias_dst": ["out0", "out1"],
    "alias_offset": [0, 1],
}
# An LSTM, whose cell needs the step: in0 (the gates' part from the input), in1, in2 (states), in3 (lengths), in4, in5.
LSTM_CELL = NetDef(
    name="lstm",
    op=(
        op("FC", "h_prev in4 in5", "g", axis=2),
        op("Sum", "g x_t", "gates"),
        op("LSTMUnit", "h_prev c_prev gates in3 timestep", "h c", forget_bias=0.5),
    ),
)
LSTM_BACK = NetDef(
    name="lstm_back",
    op=(
        op(
            "LSTMUnitGradient",
            "h_prev c_prev gates in3 timestep h c h_grad c_grad",
            "h_prev_part c_prev_grad gates_grad",
            forget_bias=0.5,
        ),
        op("FCGradient", "h_prev in4 gates_grad", "w_grad b_grad h_prev_grad", axis=2),
        op("Sum", "h_prev_grad h_prev_part", "h_prev_grad"),
    ),
)
LSTM_NET = {
    "step_net": LSTM_CELL,
    "recurrent_states": ["hs", "cs"],
    "initial_recurrent_state_ids": [1, 2],
    "link_internal": ["h_prev", "h", "c_prev", "c", "x_t"],
    "link_external": ["hs", "hs", "cs", "cs", "in0"],
    "link_offset": [0, 1, 0, 1, 0],
    "alias_src": ["hs", "hs", "cs", "cs"],
    "alias_dst": ["out0", "out1", "out2", "out3"],
    "alias_offset": [1, -1, 1, -1],
    "backward_step_net": LSTM_BACK,
    "backward_link_internal": ["h_grad", "h_prev_grad", "c_grad", "c_prev_grad", "gates_grad"],
    "backward_link_external": ["hs_grad", "hs_grad", "cs_grad", "cs_grad", "in0_grad"],
    "backward_link_offset": [1, 0, 1, 0, 0],
    "param": [4, 5],
    "param_grads": ["w_grad", "b_grad"],
    "outputs_with_grads": [0, 1, 2, 3],
    "timestep": "timestep",
    "enable_rnn_executor": 1,
}
LSTM_INPUTS = [
    normal(3, 2, 8),
    normal(1, 2, 2, seed=1),
    normal(2, 2, seed=2),
    int32s(3, 2),
    normal(8, 2, seed=4),
    normal(8, seed=5),
]

NO_BACKWARD = "there is no backward step net"

networks = [
    network(BOTH),
    network({**BOTH, "recompute_blobs_on_backward": ["f"], "enable_rnn_executor": 1}, note="recompute"),
    network({**BOTH, "step_net": pbtxt.write(CELL), "backward_step_net": pbtxt.write(BACK)}, note="text"),
    network(BOTH, [INPUTS[0], INPUTS[1][0], *INPUTS[2:]], note="initial state of two dims"),
    network(BOTH, [INPUTS[0], INPUTS[1][0, 0], *INPUTS[2:]], note="one initial state for all rows"),
    network(BOTH, [INPUTS[0][:1], *INPUTS[1:]], note="one step"),
    network(
        {**BOTH, "outputs_with_grads": [1]},
        note="gradient of the last step alone",
        differentiable=False,
        reason="Caffe2 wants the gradient of the output that is left out",
    ),
    network({**FORWARD, "enable_rnn_executor": 1}, note="forward only", differentiable=False, reason=NO_BACKWARD),
    network(
        FORWARD, [INPUTS[0][:1], *INPUTS[1:]], note="forward only, one step", differentiable=False, reason=NO_BACKWARD
    ),
    network(
        WINDOW,
        [normal(4, 2, 3), normal(2, 2, 3, seed=1), np.zeros(3, np.float32)],
        note="window",
        differentiable=False,
        reason=NO_BACKWARD,
    ),
    network(LSTM_NET, LSTM_INPUTS, outputs=5, note="LSTM"),
    network(
        {**FORWARD, "link_offset": [0, 2, 0]},
        error="link states to h, step 3: wants rows 5",
        golden=False,
        reason="Caffe2 writes out of bounds",
        note="link out of bounds",
    ),
    network({**FORWARD, "link_offset": [0, 1]}, error="link_offset has 2.*mismatch", note="links mismatch"),
    network({**FORWARD, "initial_recurrent_state_ids": [1, 1]}, error="mismatch", note="states mismatch"),
    network({**FORWARD, "alias_offset": [1, 6]}, error="alias_offset: 6", note="alias out of bounds"),
    network({**FORWARD, "step_net": "op {"}, error="Invalid NetDef", note="no net"),
    network(
        {**FORWARD, "initial_recurrent_state_ids": [7]},
        error="ids: 7, there are 4 inputs",
        golden=False,
        reason="Caffe2 reads out of bounds",
        note="no such input",
    ),
    network(FORWARD, [INPUTS[0], normal(1, 3, 3), *INPUTS[2:]], error="initial state 'in1'", note="other batch"),
    network(
        {**FORWARD, "link_external": ["states", "states", "nothing"]},
        error="'nothing' is no float tensor",
        note="no external",
    ),
]


def fill(name: str, value: np.ndarray) -> tuple[str, Sequence[str], Sequence[str], dict[str, Any]]:
    return "GivenTensorFill", [], [name], {"shape": list(value.shape), "values": value.ravel().tolist()}


RUN = [
    *(fill(f"in{i}", value) for i, value in enumerate(INPUTS)),
    (
        "RecurrentNetwork",
        [f"in{i}" for i in range(4)],
        ["all", "last", "steps"],
        {**BOTH, "alias_dst": ["all", "last"]},
    ),
]
GIVEN = [normal(4, 2, 3, seed=7), normal(1, 2, 3, seed=8)]
FROM_RUN = [Blob(name) for name in ("in0", "in1", "in2", "in3", "all", "last", "steps")]


def through_time(dall: np.ndarray, dlast: np.ndarray) -> list[np.ndarray]:
    """Gradients of x, W, b and the initial state for a run of CELL on INPUTS, in float64."""
    x, start, w, b, dall, dlast = (array.astype(np.float64) for array in (*INPUTS, dall, dlast))
    hs = [start[0]]
    for x_t in x:
        hs.append(np.tanh(x_t + hs[-1] @ w.T + b))
    dx, dw, dh = np.empty_like(x), np.zeros_like(w), dlast[0]
    for t in reversed(range(len(x))):
        dx[t] = (dh + dall[t]) * (1 - hs[t + 1] ** 2)
        dw += dx[t].T @ hs[t]
        dh = dx[t] @ w
    return [array.astype(np.float32) for array in (dx, dw, dx.sum(axis=(0, 1)), dh[None])]


OWN_NAMES = "Caffe2 looks for the gradient of in0 under the name in0_grad, whatever the output is called"
AFTER = {**BOTH, "alias_dst": ["all", "last"]}
NAMES = [f"p_{name}{t}" for t in range(4) for name in ("f", "h", "h_prev", "s", "timestep", "x_t")]

others = [
    Sample(
        "RecurrentNetworkGradient",
        [Blob("dall"), Blob("dlast"), *FROM_RUN],
        AFTER,
        outputs=4,
        before=[*RUN, fill("dall", GIVEN[0]), fill("dlast", GIVEN[1])],
        golden=False,
        reason=OWN_NAMES,
        expected=through_time(GIVEN[0], GIVEN[1]),
    ),
    Sample(
        "RecurrentNetworkGradient",
        [Blob("dlast"), *FROM_RUN],
        {**AFTER, "outputs_with_grads": [1]},
        outputs=4,
        before=[*RUN, fill("dlast", GIVEN[1])],
        golden=False,
        reason=OWN_NAMES,
        expected=through_time(0 * GIVEN[0], GIVEN[1]),
        note="last step alone",
    ),
    Sample(
        "RecurrentNetworkGradient",
        [Blob("dall"), *FROM_RUN],
        {**AFTER, "outputs_with_grads": [0], "alias_offset": [2, -1]},
        outputs=4,
        before=[*RUN, fill("dall", GIVEN[0])],
        error="alias_offset: 2",
        note="alias offset",
    ),
    Sample(
        "RecurrentNetworkGradient",
        [Blob("dall"), Blob("dlast"), *FROM_RUN[:-1], Blob("in3")],
        AFTER,
        outputs=4,
        before=[*RUN, fill("dall", GIVEN[0]), fill("dlast", GIVEN[1])],
        error="last input: holds ndarray, wants what RecurrentNetwork makes",
        note="no workspaces",
    ),
    Sample(
        "RecurrentNetworkGradient",
        [Blob("dall"), Blob("dlast"), *FROM_RUN],
        {**AFTER, "param_grads": ["w_grad"]},
        outputs=4,
        before=[*RUN, fill("dall", GIVEN[0]), fill("dlast", GIVEN[1])],
        error="param_grads: has 1",
        note="param grads",
    ),
    Sample(
        "RecurrentNetworkBlobFetcher",
        [Blob("steps")],
        {"prefix": "p"},
        before=RUN,
        golden=False,
        reason="Caffe2 lists the names in the order of a hash table",
        expected=[strings(*NAMES)],
    ),
    Sample("RecurrentNetworkBlobFetcher", [Blob("in0")], before=RUN, error="holds ndarray", note="a tensor"),
    Sample(
        "rnn_internal_apply_link",
        [Blob("t"), Blob("x")],
        {"offset": 1, "window": 2},
        inplace={1: 1},
        outputs=2,
        before=[("GivenTensorIntFill", [], ["t"], {"shape": [1], "values": [1]}), fill("x", INPUTS[0])],
    ),
    Sample(
        "rnn_internal_apply_link",
        [STEP, INPUTS[0]],
        {"offset": 3, "window": 1},
        inplace={1: 1},
        outputs=2,
        error="offset: wants rows 4 to 4 of 4",
        golden=False,
        reason="Caffe2 reads out of bounds",
        note="out of bounds",
    ),
    Sample(
        "rnn_internal_apply_link",
        [STEP, INPUTS[0]],
        {"window": 1},
        inplace={1: 1},
        outputs=2,
        error="offset is missing",
        note="no offset",
    ),
    Sample("rnn_internal_accumulate_gradient_input", [STEP, GIVEN[0], normal(5, 2, 3)], {"offset": 1}, inplace={0: 2}),
    Sample(
        "rnn_internal_accumulate_gradient_input",
        [STEP, GIVEN[0], normal(2, 2, 3)],
        {"offset": 1},
        inplace={0: 2},
        error="destination is out of bounds",
        note="destination",
    ),
    Sample(
        "rnn_internal_accumulate_gradient_input",
        [STEP, GIVEN[1], normal(5, 2, 3)],
        {"offset": 1},
        inplace={0: 2},
        error="source is out of bounds",
        note="source",
    ),
]


samples = [*networks, *others]

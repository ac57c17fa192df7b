"""Recurrent networks over several runs: sequences of any length, gradients, what steps leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caffe2ops.defs import NetDef, OperatorDef
from caffe2ops.errors import OperatorError
from caffe2ops.gradient import add_gradients
from caffe2ops.workspace import Workspace
from tests.kit.sample import normal
from tests.samples.recurrent import BACK, BOTH, CELL, FORWARD, GIVEN, INPUTS, through_time

WEIGHTS = {"in2": INPUTS[2], "in3": INPUTS[3]}


def op(type: str, inputs: str, outputs: str, gradient: bool = False, **args: Any) -> OperatorDef:
    return OperatorDef(
        type=type, input=tuple(inputs.split()), output=tuple(outputs.split()), args=args, is_gradient_op=gradient
    )


def network(inputs: str = "in0 in1 in2 in3", outputs: str = "out0 out1 steps", **args: Any) -> OperatorDef:
    return op("RecurrentNetwork", inputs, outputs, **{**BOTH, **args})


def renamed(op: OperatorDef, name: str, other: str) -> OperatorDef:
    inputs, outputs = ([other if n == name else n for n in names] for names in (op.input, op.output))
    return op.replace(input=tuple(inputs), output=tuple(outputs))


def workspace_of(*ops: OperatorDef, **feeds: np.ndarray) -> tuple[Workspace, Any]:
    workspace = Workspace(seed=0)
    for name, value in {**WEIGHTS, "in0": INPUTS[0], "in1": INPUTS[1], **feeds}.items():
        workspace.feed(name, value)
    return workspace, workspace.create(NetDef(name="net", op=ops))


def unrolled(x: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The states of CELL."""
    states = [start[0]]
    for x_t in x:
        states.append(np.tanh(x_t + states[-1] @ INPUTS[2].T + INPUTS[3]))
    return np.array(states[1:])


@pytest.mark.parametrize("args", [BOTH, FORWARD], ids=["backward", "forward only"])
def test_sequences_of_any_length_one_after_the_other(args: dict[str, Any]) -> None:
    """The same bound network follows its inputs: new values in the same arrays, other lengths, other batch sizes."""
    workspace, net = workspace_of(op("RecurrentNetwork", "in0 in1 in2 in3", "out0 out1 steps", **args))
    for seed, (steps, batch) in enumerate([(4, 2), (4, 2), (4, 2), (7, 2), (1, 2), (7, 2), (3, 5), (0, 5), (4, 2)]):
        x, start = normal(steps, batch, 3, seed=seed), normal(1, batch, 3, seed=seed + 50)
        workspace.feed("in0", x)
        workspace.feed("in1", start)
        net.run()
        expected = unrolled(x, start)
        np.testing.assert_allclose(workspace.fetch("out0"), expected.reshape(x.shape), rtol=1e-5, atol=1e-6)
        assert workspace.fetch("out1").tolist() == workspace.fetch("states")[-1:].tolist()


def test_gradients_run_after_run() -> None:
    """Sums over the steps begin anew with each run."""
    definition, gradients = add_gradients(NetDef(name="n", op=(network(),)), {"out0": "dall", "out1": "dlast"})
    assert [gradients[name] for name in ("in0", "in2", "in3", "in1")] == [f"in{i}_grad" for i in (0, 2, 3, 1)]
    workspace, net = workspace_of(*definition.op, dall=GIVEN[0], dlast=GIVEN[1])
    for scale in (1, 1, 1, -2):
        workspace.feed("dall", GIVEN[0] * scale)
        if scale < 0:
            workspace.find("steps").set(None)  # new workspaces
        net.run()
        expected = through_time(GIVEN[0] * scale, GIVEN[1])
        for name, value in zip(("in0", "in2", "in3", "in1"), expected, strict=True):
            np.testing.assert_allclose(workspace.fetch(f"{name}_grad"), value, rtol=2e-5, atol=2e-6)


def test_two_networks_share_an_input() -> None:
    """The gradient of a sequence that two networks read is the sum; each writes where its output says."""
    other = {
        key: [f"other_{v}" if v.startswith("states") else v for v in value]
        for key, value in BOTH.items()
        if key in ("recurrent_states", "link_external", "backward_link_external", "alias_src")
    }
    second = network(outputs="second last2 steps2", **{**other, "alias_dst": ["second", "last2"]})
    ops = (network(), second, op("Add", "out0 second", "y"), op("Add", "out1 last2", "z"))
    definition, _ = add_gradients(NetDef(name="n", op=ops), {"y": "dall", "z": "dlast"})
    workspace, net = workspace_of(*definition.op, dall=GIVEN[0], dlast=GIVEN[1])
    net.run()
    for name, value in zip(("in0", "in2", "in3", "in1"), through_time(*GIVEN), strict=True):
        np.testing.assert_allclose(workspace.fetch(f"{name}_grad"), 2 * value, rtol=2e-5, atol=2e-6)


def test_shared_names_of_gradients() -> None:
    """`NAME.rename` says under which name a backward step net finds a blob that shares memory with others."""
    back = NetDef(name="back", op=tuple(renamed(o, "s_grad", "pool") for o in BACK.op))
    args = {**BOTH, "backward_step_net": back, "s_grad.rename": "pool", "in0_grad.rename": "dx"}
    gradient = op(
        "RecurrentNetworkGradient", "dall dlast in0 in1 in2 in3 out0 out1 steps", "dx dw db dh", gradient=True, **args
    )
    workspace, net = workspace_of(network(), gradient, dall=GIVEN[0], dlast=GIVEN[1])
    net.run()
    for name, value in zip(("dx", "dw", "db", "dh"), through_time(*GIVEN), strict=True):
        np.testing.assert_allclose(workspace.fetch(name), value, rtol=2e-5, atol=2e-6)


def test_what_steps_compute_is_kept() -> None:
    """With a backward step net each step has a workspace, without one some take turns; shared blobs are in neither."""
    workspace, net = workspace_of(network(recompute_blobs_on_backward=["f"]))
    net.run()
    scratch = workspace.find("steps").value
    assert [step.local_blobs() for step in scratch.steps] == [["h", "h_prev", "s", "timestep", "x_t"]] * 4
    assert [step.fetch("timestep").tolist() for step in scratch.steps] == [[0], [1], [2], [3]]
    assert scratch.shared.local_blobs() == ["f"]
    for executor, turns in ((0, 2), (1, 4)):
        workspace, net = workspace_of(
            op("RecurrentNetwork", "in0 in1 in2 in3", "out0 out1 steps", **FORWARD, enable_rnn_executor=executor),
            in0=normal(6, 2, 3),
        )
        net.run()
        assert len(workspace.find("steps").value.steps) == turns


def test_outputs_that_operators_leave_elsewhere() -> None:
    """A state gets what the step net computed, whatever shape and array it has; other sizes are refused."""
    squeezed = NetDef(name="cell", op=(op("Squeeze", "x_t", "flat", dims=[0]), op("Sum", "flat h_prev2", "h")))
    ready = NetDef(name="cell", op=(op("Squeeze", "h_prev", "h_prev2", dims=[0]), *squeezed.op))
    workspace, net = workspace_of(
        op("RecurrentNetwork", "in0 in1", "out0 out1 steps", **{**FORWARD, "step_net": ready})
    )
    for _ in range(3):
        net.run()
        expected = INPUTS[1] + np.cumsum(INPUTS[0], axis=0)
        np.testing.assert_allclose(workspace.fetch("out0"), expected, rtol=1e-5, atol=1e-6)
    wide = NetDef(name="cell", op=(op("Concat", "x_t h_prev", "h split", axis=2),))
    _, net = workspace_of(op("RecurrentNetwork", "in0 in1", "out0 out1 steps", **{**FORWARD, "step_net": wide}))
    with pytest.raises(
        OperatorError, match=r"link to h: the step net wrote float32\[1, 2, 6\] there, wants 6 elements"
    ):
        net.run()


def test_steps_that_run_nets_or_draw_numbers() -> None:
    """Each step has operators of its own: nets inside run on the step's blobs, random numbers differ."""
    inside = NetDef(name="inside", op=(op("Sum", "x_t h_prev", "h"),))
    cell = NetDef(
        name="cell",
        op=(op("UniformFill", "", "noise", shape=[5]), op("If", "yes x_t h_prev", "h", then_net=inside)),
    )
    workspace, net = workspace_of(
        op("RecurrentNetwork", "in0 in1 yes", "out0 out1 steps", **{**BOTH, "step_net": cell}), yes=np.array([True])
    )
    for _ in range(3):
        net.run()
        expected = INPUTS[1] + np.cumsum(INPUTS[0], axis=0)
        np.testing.assert_allclose(workspace.fetch("out0"), expected, rtol=1e-5, atol=1e-6)
    steps = workspace.find("steps").value.steps
    assert len({step.fetch("noise").tobytes() for step in steps}) == len(steps)
    again, other = workspace_of(
        op("RecurrentNetwork", "in0 in1 yes", "out0 out1 steps", **{**BOTH, "step_net": cell}), yes=np.array([True])
    )
    for _ in range(3):
        other.run()
    noise = [step.fetch("noise").tolist() for step in again.find("steps").value.steps]
    assert noise == [step.fetch("noise").tolist() for step in steps], "a workspace's seed makes steps reproducible"


def test_errors_name_the_operator_of_the_step() -> None:
    _, net = workspace_of(network(), in2=np.ones((4, 3), np.float32))
    with pytest.raises(OperatorError) as caught:
        net.run()
    assert (caught.value.net, caught.value.op.type) == ("cell", "FC")
    broken = CELL.replace(op=(*CELL.op, op("Relu", "nowhere", "r")))
    _, net = workspace_of(network(step_net=broken))
    with pytest.raises(OperatorError, match="'nowhere' does not exist"):
        net.run()


def test_scratch_must_be_long_enough() -> None:
    workspace, net = workspace_of(network())
    net.run()
    workspace.feed("long", normal(9, 2, 3))
    workspace.feed("dall", normal(9, 2, 3))
    gradient = op(
        "RecurrentNetworkGradient", "dall dall long in1 in2 in3 out0 out1 steps", "a b c d", gradient=True, **BOTH
    )
    with pytest.raises(OperatorError, match="workspaces of 4 steps, wants 9"):
        workspace.run(gradient)

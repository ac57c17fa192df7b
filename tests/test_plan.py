"""Plans: iterations, stop blobs, substeps, workspaces of their own."""

from __future__ import annotations

import numpy as np
import pytest

from caffe2ops import ExecutionStep, NetDef, OperatorDef, OperatorError, PlanDef, Workspace


def counting(name: str, blob: str) -> NetDef:
    return NetDef(name=name, op=(OperatorDef(type="Sum", input=(blob, "one"), output=blob),))


@pytest.fixture
def workspace() -> Workspace:
    made = Workspace()
    for name in ("a", "b"):
        made.feed(name, np.zeros(1, np.float32))
    made.feed("one", np.ones(1, np.float32))
    made.feed("never", np.zeros(1, bool))
    made.feed("limit", np.full(1, 4, np.float32))
    return made


def run(workspace: Workspace, *steps: ExecutionStep, nets: tuple[NetDef, ...] = ()) -> list[float]:
    workspace.run(PlanDef(name="plan", network=(counting("na", "a"), counting("nb", "b"), *nets), execution_step=steps))
    return [workspace.fetch("a").item(), workspace.fetch("b").item()]


@pytest.mark.parametrize(
    ("steps", "counts"),
    [
        ([ExecutionStep(network=("na", "nb"))], [1, 1]),
        ([ExecutionStep(network=("na",), num_iter=5)], [5, 0]),
        ([ExecutionStep(network=("na",), num_iter=0)], [0, 0]),
        (
            [
                ExecutionStep(
                    substep=(ExecutionStep(network=("na",), num_iter=2), ExecutionStep(network=("nb",))), num_iter=3
                )
            ],
            [6, 3],
        ),
        (
            [
                ExecutionStep(
                    substep=(
                        ExecutionStep(network=("na",), should_stop_blob="never", only_once=True),
                        ExecutionStep(network=("nb",)),
                    ),
                    num_iter=3,
                )
            ],
            [3, 3],
        ),
        (
            [
                ExecutionStep(
                    substep=(ExecutionStep(network=("na",), num_iter=7), ExecutionStep(network=("nb",), num_iter=9)),
                    concurrent_substeps=True,
                )
            ],
            [7, 9],
        ),
    ],
)
def test_iterations(workspace: Workspace, steps: list[ExecutionStep], counts: list[int]) -> None:
    assert run(workspace, *steps) == counts


def test_should_stop_blob(workspace: Workspace) -> None:
    compare = NetDef(name="compare", op=(OperatorDef(type="GE", input=("a", "limit"), output="stop"),))
    step = ExecutionStep(network=("na", "compare"), should_stop_blob="stop")
    workspace.feed("stop", np.zeros(1, bool))
    assert run(workspace, step, nets=(compare,)) == [4, 0]


def test_a_stop_blob_that_is_no_bool_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r"should_stop_blob 'a' holds float32.*, wants one bool"):
        run(workspace, ExecutionStep(network=("na",), should_stop_blob="a"))


def test_a_failing_concurrent_substep_stops_the_others(workspace: Workspace) -> None:
    workspace.feed("text", "no tensor")
    bad = NetDef(name="bad", op=(OperatorDef(type="Relu", input="text", output="y"),))
    steps = (ExecutionStep(network=("bad",)), ExecutionStep(network=("na",), should_stop_blob="never"))
    workspace.feed("never", np.zeros(1, bool))
    with pytest.raises(OperatorError, match="net 'bad'"):
        run(workspace, ExecutionStep(substep=steps, concurrent_substeps=True), nets=(bad,))


def test_a_workspace_of_its_own(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="both substeps and networks"):
        run(workspace, ExecutionStep(network=("na",), substep=(ExecutionStep(),)))
    made = NetDef(name="made", op=(OperatorDef(type="Relu", input="one", output="local"),))
    workspace.run(PlanDef(network=(made,), execution_step=(ExecutionStep(network=("made",), create_workspace=True),)))
    assert not workspace.has("local")
    assert "made" not in workspace.nets()


def test_reports_run_while_a_step_runs_and_at_its_end(workspace: Workspace) -> None:
    often = ExecutionStep(network=("nb",), run_every_ms=1)
    slow = ExecutionStep(network=("na",), num_iter=2000)
    a, b = run(workspace, ExecutionStep(substep=(slow, often)))
    assert a == 2000
    assert b > 1
    step = ExecutionStep(network=("na",), num_iter=3, report_net="nb", report_interval=10_000)
    assert run(workspace, step)[1] == b + 1
